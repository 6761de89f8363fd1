"""Options that the commands over images and videos share: what upscales, restores or converts names them alike."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lsm.errors import OptionError

if TYPE_CHECKING:
    from lsm.batch.outputs import OutputOptions
    from lsm.inference.options import UpscaleOptions

Inputs = Annotated[
    list[str], typer.Argument(metavar="INPUT...", help="Images, folders (with all below them), globs, or URLs.")
]
MoreInputs = Annotated[list[str], typer.Option("-i", "--input", help="The same as an INPUT; may be repeated.")]
Output = Annotated[
    str,
    typer.Option("-o", "--output", help="Folder for the results; for one image also the result's name; or a URL."),
]
MODEL_NAMES = ("-n", "--model", "--model_name", "--model-name", "--model_path", "--model-path")
"""How the option for weights may be spelt, here and where its help differs."""
Model = Annotated[
    str | None,
    typer.Option(
        *MODEL_NAMES,
        help="Embedded weights (see `lsm models`), a preset of theirs, or a .safetensors, .pth or .onnx file.",
        show_default="auto, which lets each image decide",
    ),
]  # fmt: skip
Scale = Annotated[
    float | None,
    typer.Option(
        "-s", "--scale", "--outscale",
        help="Upscaling factor. Where the network has another, its result is resampled (antialiased bicubic).",
        show_default="the network's",
    ),
]  # fmt: skip
Suffix = Annotated[str, typer.Option("--suffix", help="Results are called NAME_SUFFIX; may be empty.")]
Ext = Annotated[str, typer.Option("--ext", help="auto (as the input), png, jpg, webp, tif or bmp.")]
Tile = Annotated[
    str,
    typer.Option("-t", "--tile", help="Side of a tile in input pixels; 0: no tiles; auto: what fits the memory."),
]
TileOverlap = Annotated[
    int,
    typer.Option(
        "--tile-overlap",
        "--tile_overlap",
        "--tile-pad",
        "--tile_pad",
        help="Input pixels that neighbouring tiles share.",
    ),
]
Precision = Annotated[str, typer.Option("--precision", help="fp32, bf16 or fp16.")]
Fp32 = Annotated[bool, typer.Option("--fp32", help="The same as --precision fp32, which is the default.")]
Device = Annotated[str, typer.Option("--device", help="auto, cpu, cuda (also cuda:1) or mps.")]
Alpha = Annotated[str, typer.Option("--alpha", help="How transparency is upscaled: model, bicubic, or drop.")]
Ensemble = Annotated[
    bool, typer.Option("--ensemble", help="Average 8 flipped and turned runs: better, 8 times slower.")
]
SkipExisting = Annotated[bool, typer.Option("--skip-existing", "--skip_existing", help="Leave results that are there.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace files that are there, even the inputs.")]
Wrap = Annotated[bool, typer.Option("--wrap", help="For seamless textures: beyond an edge lies the other side.")]
Seed = Annotated[int, typer.Option("--seed", help="For networks that draw random categories (official recurrence).")]
MaxMegapixels = Annotated[
    float, typer.Option("--max-megapixels", "--max_megapixels", help="Refuse larger inputs: decompression bombs.")
]
Ray = Annotated[
    str | None,
    typer.Option(
        "--ray",
        metavar="[ADDRESS]",
        help="Spread the work over a Ray cluster: HOST:PORT, auto (the default) or local.",
        show_default=False,
    ),
]
RayCpus = Annotated[
    int | None,
    typer.Option(
        "--ray-cpus",
        "--ray_cpus",
        help="Processors for each worker on the cluster.",
        show_default="torch's threads here",
    ),
]


Plugins = Annotated[
    list[str], typer.Option("--plugin", help="Module, or file .py, to import first: mixers that the weights need.")
]
Size = Annotated[str | None, typer.Option("--size", metavar="WxH", help="Size of the results, e.g. 1920x1080.")]
Width = Annotated[int | None, typer.Option("--width", help="Width of the results; the height follows.")]
Height = Annotated[int | None, typer.Option("--height", help="Height of the results; the width follows.")]
Fit = Annotated[str, typer.Option("--fit", help="Of a size: fit within it, or fill it and cut what is beyond.")]
MaxSide = Annotated[
    int | None, typer.Option("--max-side", "--max_side", help="Pixels of the results' longer side at most.")
]
Quality = Annotated[
    int | None, typer.Option("--quality", help="Of JPEG and WebP, 1 to 100.", show_default="about the input's, or 95")
]
Subsampling = Annotated[
    str | None,
    typer.Option(
        "--subsampling", help="Of a JPEG's chroma: 4:4:4, 4:2:2 or 4:2:0.", show_default="the input's, or 4:4:4"
    ),
]
Dpi = Annotated[str, typer.Option("--dpi", help="keep the resolution, or scale it: the same size on paper.")]
Pages = Annotated[str, typer.Option("--pages", help="all: every page of a TIFF; one: refuse several.")]


@dataclass(frozen=True)
class Batch:
    """How the files of a run are treated; the names are those of the options above."""

    skip_existing: bool
    overwrite: bool
    max_megapixels: float
    ray: str | None
    ray_cpus: int | None
    output: OutputOptions

    @property
    def max_pixels(self) -> int:
        """Pixels of the largest input."""
        return int(self.max_megapixels * 1e6)


def upscale_options(fp32: bool, **options: Any) -> UpscaleOptions:
    """Return the options of an upscaler from those of a command.

    Args:
        fp32: The short form of `--precision fp32`.
        **options: Of `UpscaleOptions`.

    Raises:
        OptionError: On a wrong value, or if `fp32` and the precision contradict each other.
    """
    from lsm.inference.options import UpscaleOptions

    if fp32 and options["precision"] != "fp32":
        raise OptionError(f"--fp32 and --precision {options['precision']} exclude each other.")
    return UpscaleOptions(**options)


def output_options(size: str | None = None, **options: Any) -> OutputOptions:
    """Return how outputs are made from the options of a command.

    Args:
        size: Width and height, e.g. "1920x1080".
        **options: Of `OutputOptions`.

    Raises:
        OptionError: On a wrong value, or if the size is given twice.
    """
    from lsm.batch.outputs import OutputOptions

    if size is not None:
        match = re.fullmatch(r"(\d+)[x×X](\d+)", size.strip())
        if match is None:
            raise OptionError(f"--size {size} is no width and height, such as 1920x1080.")
        if options.get("width") or options.get("height"):
            raise OptionError("--size and --width or --height exclude each other.")
        options |= {"width": int(match[1]), "height": int(match[2])}
    return OutputOptions(**options)
