"""Tiles against whole images by overlap, seams, and what flips and rotations change."""

from __future__ import annotations

import numpy as np
import torch

from lsm import Upscaler, load_model
from lsm.image.pixels import to_tensor
from lsm.inference.tiling import spans
from stress.networks import photographs
from stress.section import Section

DEFAULT_OVERLAP = 32
SIZE = (192, 256)  # of the part of each photograph that is looked at


def run(section: Section) -> None:
    """Measure on ten photographs with tiny-x2 and tiny-x4."""
    torch.set_num_threads(1)
    images = {name: to_tensor(p[: SIZE[0], : SIZE[1]]) for name, p in photographs(section.images).items()}
    rows, worst = [], 0.0
    for scale in (2, 4):
        model = load_model(f"tiny-x{scale}")
        whole = {name: Upscaler(model, tile=0, device="cpu").upscale_tensor(p) for name, p in images.items()}
        for tile in (64, 128):
            for overlap in (0, 8, 16, 32, 64):
                if 2 * overlap > tile:
                    continue
                upscaler = Upscaler(model, tile=tile, tile_overlap=overlap, device="cpu")
                differences = {name: 255 * (upscaler.upscale_tensor(p) - whole[name]) for name, p in images.items()}
                seam = max(seam_step(d[0], tile, overlap, upscaler.window, scale) for d in differences.values())
                largest = max(d.abs().max().item() for d in differences.values())
                mean = float(np.mean([d.abs().mean().item() for d in differences.values()]))
                rows.append([f"x{scale}", str(tile), str(overlap), f"{largest:.2f}", f"{mean:.3f}", f"{seam:.3f}"])
                if overlap == DEFAULT_OVERLAP:
                    worst = max(worst, seam)
        _views(section, scale, model, images)
    section.table(
        f"Tiled against whole, {len(images)} photographs cut to {SIZE[1]}x{SIZE[0]}, in 1/255",
        ["scale", "tile", "overlap", "largest difference", "mean difference", "largest seam"],
        rows,
    )
    section.check("seams stay under 1/255 at the default overlap", worst < 1, f"largest {worst:.3f}/255")


def seam_step(difference: torch.Tensor, tile: int, overlap: int, window: int, scale: int) -> float:
    """Measure the largest step that tiling adds where tiles meet.

    Args:
        difference: (3, rH, rW), tiled minus whole.
        tile: Side of the tiles.
        overlap: What they share.
        window: The network's.
        scale: r.

    Returns:
        For each line of pixels in the blended zones, how far the difference jumps from the line before, averaged along
        the line; of these the largest.
    """
    steps = [0.0]
    for axis in (1, 2):
        jumps = difference.diff(dim=axis).abs().mean(dim=(0, 3 - axis))
        length = difference.shape[axis] // scale
        for span in spans(length, tile, min(overlap, tile // 2), window)[1:]:
            start, stop = span.keep_start * scale, (span.keep_start + span.fade_in) * scale
            steps.append(jumps[max(0, start - 1) : stop + 1].max().item())
    return max(steps)


def _views(section: Section, scale: int, model: torch.nn.Module, images: dict[str, torch.Tensor]) -> None:
    """Compare an image's result with those of its flips and rotations, rotated back."""
    upscaler = Upscaler(model, tile=0, device="cpu")
    rows = []
    for name, view in {
        "flipped": lambda x: x.flip(3),
        "upside down": lambda x: x.flip(2),
        "turned by 180": lambda x: x.flip(2, 3),
        "transposed": lambda x: x.transpose(2, 3),
    }.items():
        means, largest = [], 0.0
        for image in list(images.values())[:3]:
            part = image[..., :96, :128].contiguous()
            difference = 255 * (view(upscaler.upscale_tensor(view(part).contiguous())) - upscaler.upscale_tensor(part))
            means.append(difference.abs().mean().item())
            largest = max(largest, difference.abs().max().item())
        rows.append([name, f"{np.mean(means):.2f}", f"{largest:.1f}"])
    section.table(
        f"tiny-x{scale}: result of a changed image, changed back, against its own, 3 photographs, in 1/255",
        ["view", "mean difference", "largest"],
        rows,
    )
