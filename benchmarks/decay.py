"""Show how far a network's recurrences remember: a table of their decay |a|, and what one output pixel needs.

python benchmarks/decay.py tiny-x4 --image photo.png -o results/decay

Writes decay.md (quantiles of |a| and of the number of tokens in which a state fades to 1/e, for each recurrence) and
dependence.png: the image, and on a logarithmic scale of six decades how strongly each of its pixels moves the output
pixel in its middle, as the network is and with its recurrences cut.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
import typer

from lsm.cli import user_errors
from lsm.errors import needs_extra

if TYPE_CHECKING:
    from torch import Tensor

    from lsm.arch import Network

DECADES = 6
RADII = (16, 32, 64)


def decay_table(network: Network, image: Tensor) -> str:
    """Tabulate the decay of each recurrence on an image (1, 3, H, W) in [0, 1], as Markdown."""
    from lsm.ablation.decay import QUANTILES, measure_decay

    columns = [f"{what} {quantile:.0%}" for what in ("decay,", "tokens,") for quantile in QUANTILES]
    head = ["recurrence", *columns, "longest state"]
    lines = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    for item in measure_decay(network, image):
        values = [*(f"{v:.4f}" for v in item.decay), *(f"{v:.0f}" for v in item.length), f"{item.longest:.1f}"]
        lines.append(f"| {item.block} | {' | '.join(values)} |")
    return "\n".join(lines) + "\n"


def middle_dependence(network: Network, image: Tensor) -> tuple[str, np.ndarray]:
    """Map what the middle output pixel depends on, with the recurrences and without.

    Args:
        network: The network; its recurrences are left cut.
        image: (1, 3, H, W) in [0, 1].

    Returns:
        Lines of text, and the two maps side by side, (H, 2W, 3) uint8.
    """
    from lsm.ablation.decay import dependence, far_share
    from lsm.mixers.recurrent import ModulatedLRU

    row, column = image.shape[2] // 2, image.shape[3] // 2
    scale = network.config.upscale
    maps, lines = [], []
    for name in ("as it is", "recurrences cut"):
        influence = dependence(network, image, row * scale, column * scale)
        shares = (f"{far_share(influence, row, column, radius):.1e} from beyond {radius}" for radius in RADII)
        lines.append(f"\nInfluence on the middle pixel, {name}: {', '.join(shares)} input pixels.\n")
        maps.append(influence)
        for module in network.modules():
            if isinstance(module, ModulatedLRU):
                module.config = replace(module.config, transition="none")
    brightness = np.log10(np.concatenate(maps, axis=1) / np.max(maps) + 1e-30) / DECADES + 1
    return "".join(lines), np.repeat(np.uint8(brightness.clip(0, 1) * 255)[..., None], 3, axis=2)


def decay(
    model: Annotated[str, typer.Argument(help="Embedded weights, or a file.", show_default=False)],
    image: Annotated[
        Path | None, typer.Option(help="A low-resolution image.", show_default="scikit-image's astronaut, 128×128")
    ] = None,
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder of the report.")] = Path("results/decay"),
) -> None:
    """Report the decay of a network's states on an image."""
    from lsm.files import write_text
    from lsm.image.io import read_rgb, write_image
    from lsm.image.pixels import to_tensor
    from lsm.image.resize import imresize
    from lsm.weights import load_model

    if image is None:
        with needs_extra("train", "The sample photograph needs scikit-image"):
            from skimage.data import astronaut

        pixels = imresize(astronaut(), 0.25)
    else:
        pixels = read_rgb(image)
    network = load_model(model)
    tensor = to_tensor(pixels)
    text = decay_table(network, tensor)
    lines, maps = middle_dependence(network, tensor)
    print(text + lines)
    output.mkdir(parents=True, exist_ok=True)
    write_text(output / "decay.md", text + lines)
    write_image(output / "dependence.png", np.concatenate([pixels, maps], axis=1))


if __name__ == "__main__":
    with user_errors():
        typer.run(decay)
