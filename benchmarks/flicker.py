"""How steady an upscaled video is: frame-to-frame change that the scene itself does not have, against bicubic.

    python benchmarks/flicker.py --models tiny-x2 tiny-x4 --json flicker.json
    python benchmarks/flicker.py --models fast-x4 --steady

Shots are made here. The scene is an image far larger than the frames; each frame is a view of it, reduced by MATLAB's
bicubic, with sensor noise of its own (σ in steps of 255) and in `static-h264` and `pan-h264` after H.264 (crf 28).
`static`: the same view. `pan`: the view moves by whole pixels of the large image, which are fractions of a pixel of the
small frames; each larger frame is moved back by that many pixels, exactly, before it is compared.

Flicker is the root mean square of the difference of neighbouring frames so aligned, luma in steps of 255, away from the
edges. The shots' true large frames have none. `ratio` is the network's over bicubic's. `--steady` measures the frames
as `lsm upscale-video --steady` blends them too, and the luma PSNR of both to the true large frames, without the edges.
"""

from __future__ import annotations

import argparse
import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch

from lsm import Upscaler, load_model
from lsm.image.resize import imresize
from lsm.metrics import psnr
from lsm.video.steady import Steadier

SIDE = 96  # of the small frames
EDGE = 16  # pixels of the larger frames that are not compared, besides the shift


def scene(side: int, seed: int = 0) -> np.ndarray:
    """Draw smooth shading, sharp edges, lines and fine texture: (side, side, 3) uint8."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:side, :side].astype(np.float64)
    image = 128 + 40 * np.sin(rows / 57)[..., None] * np.cos(columns[..., None] / 83 + np.arange(3))
    for _ in range(60):
        top, left = rng.integers(0, side, 2)
        height, width = rng.integers(side // 40, side // 6, 2)
        image[top : top + height, left : left + width] = rng.integers(20, 236, 3)
    for _ in range(40):  # lines at any angle
        angle, offset, width = rng.uniform(0, np.pi), rng.uniform(-side, side), rng.uniform(1, 4)
        image[np.abs(rows * np.sin(angle) + columns * np.cos(angle) - offset) < width] = rng.integers(20, 236, 3)
    texture = rng.normal(0, 12, (side, side // 2, 1))
    image[:, side // 2 : side // 2 + texture.shape[1]] += texture
    return image.clip(0, 255).round().astype(np.uint8)


def shot(scale: int, frames: int, step: int, noise: float, seed: int = 0) -> list[np.ndarray]:
    """Return small frames of a view that moves by `step` pixels of the large image to the right and down."""
    rng = np.random.default_rng(seed + 1)
    large = scene(SIDE * scale + frames * step, seed)
    small = []
    for number in range(frames):
        start = number * step
        view = large[start : start + SIDE * scale, start : start + SIDE * scale]
        reduced = np.asarray(imresize(view, 1 / scale), np.float64)
        small.append((reduced + rng.normal(0, noise, reduced.shape)).clip(0, 255).round().astype(np.uint8))
    return small


def truth(scale: int, frames: int, step: int, seed: int = 0) -> list[np.ndarray]:
    """Return the large frames that those of `shot` were made of."""
    large, side = scene(SIDE * scale + frames * step, seed), SIDE * scale
    return [large[step * n : step * n + side, step * n : step * n + side] for n in range(frames)]


def coded(frames: list[np.ndarray], crf: int) -> list[np.ndarray]:
    """Send frames through H.264."""
    import av

    with TemporaryDirectory() as folder:
        path = Path(folder) / "shot.mkv"
        with av.open(path, "w") as output:
            stream = output.add_stream("libx264", rate=25, options={"crf": str(crf)})
            stream.height, stream.width = frames[0].shape[:2]
            stream.pix_fmt = "yuv420p"
            for frame in frames:
                output.mux(stream.encode(av.VideoFrame.from_ndarray(frame, "rgb24")))
            output.mux(stream.encode(None))
        with av.open(path) as container:
            return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


def flicker(frames: list[np.ndarray], step: int) -> float:
    """Return the root mean square of the warped difference of neighbours, luma in steps of 255."""
    luma = [frame @ np.array([0.299, 0.587, 0.114]) for frame in frames]
    squares = []
    for one, following in itertools.pairwise(luma):
        height, width = one.shape
        moved = one[EDGE + step : height - EDGE, EDGE + step : width - EDGE]
        same = following[EDGE : height - EDGE - step, EDGE : width - EDGE - step]
        squares.append(np.square(moved - same).mean())
    return float(np.sqrt(np.mean(squares)))


def mean_psnr(frames: list[np.ndarray], true: list[np.ndarray]) -> float:
    """Return the mean PSNR of frames in decibels, luma, away from the edges."""
    return float(np.mean([psnr(one, other, EDGE) for one, other in zip(frames, true, strict=True)]))


def shots(scale: int, frames: int) -> Iterator[tuple[str, list[np.ndarray], int]]:
    """Yield the name, the small frames and the step of each shot."""
    for noise in (0.0, 2.0, 5.0):
        for name, step in (("static", 0), ("pan", 1 if scale == 2 else 3)):
            yield f"{name}, noise {noise:g}", shot(scale, frames, step, noise), step
    for name, step in (("static", 0), ("pan", 1 if scale == 2 else 3)):
        yield f"{name}, noise 5, H.264", coded(shot(scale, frames, step, 5.0), 28), step


def measure(model: str, frames: int, steady: bool = False) -> list[dict[str, str | float | None]]:
    """Return a row a shot."""
    upscaler = Upscaler(load_model(model), device="cpu")
    scale = int(upscaler.scale)
    rows: list[dict[str, str | float | None]] = []
    for name, small, step in shots(scale, frames):
        large = [np.asarray(upscaler(frame)) for frame in small]
        ours = flicker(large, step)
        bicubic = flicker([np.asarray(imresize(frame, scale)) for frame in small], step)
        given = flicker([frame.repeat(scale, 0).repeat(scale, 1) for frame in small], 0) if step == 0 else None
        ratio = ours / bicubic if bicubic else None
        rows.append({"model": model, "shot": name, "input": given, "bicubic": bicubic, "network": ours, "ratio": ratio})
        print(f"{model:12} {name:24} bicubic {bicubic:6.2f}  network {ours:6.2f}  ratio {ratio or 1:.2f}", flush=True)
        if steady:
            steadier, true = Steadier(), truth(scale, frames, step)
            blended = [steadier(*pair) for pair in zip(small, large, strict=True)]
            values = {
                "steady": flicker(blended, step),
                "psnr": mean_psnr(large, true),
                "psnr steady": mean_psnr(blended, true),
            }
            rows[-1].update(values)
            print(f"{'':37} " + "  ".join(f"{name} {value:.2f}" for name, value in values.items()), flush=True)
    return rows


def main() -> None:
    """Measure the models and print a line a shot."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", default=["tiny-x2", "tiny-x4"])
    parser.add_argument("--frames", type=int, default=8)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--steady", action="store_true", help="measure the blended frames too, and PSNR")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    rows = [row for model in options.models for row in measure(model, options.frames, options.steady)]
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
