"""Which weights a compressed video wants: PSNR of frames upscaled after H.264, by its quality (crf).

    python benchmarks/compressed_video.py datasets/SR/Urban100/HR --every 10 --models fast-x4,photo-x4

Shots are images panned by a low-resolution pixel a frame; LR is MATLAB's bicubic, coded by libx264, preset medium.
Needs the extra `video`.
"""

from __future__ import annotations

import io
from pathlib import Path

import av
import numpy as np
import typer
from measuring import Row, show

from lsm import Upscaler
from lsm.benchmark.baselines import BASELINES
from lsm.image.io import read_rgb
from lsm.image.resize import imresize
from lsm.metrics import psnr

FRAMES, MEASURED = 10, (5, 9)
MULTIPLE = 8  # H.264 codes chroma at half the resolution; LR sides of multiples of 8 need no padding


def code(frames: list[np.ndarray], crf: int) -> list[np.ndarray]:
    """Code frames (H, W, 3) by H.264 and decode them again."""
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=25, options={"crf": str(crf), "preset": "medium"})
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, "rgb24")))
        container.mux(stream.encode())
    file.seek(0)
    with av.open(file) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


def pan(hr: np.ndarray, scale: int) -> list[np.ndarray]:
    """Move an image to the right by `scale` pixels a frame; what leaves comes in on the left."""
    unit = scale * MULTIPLE
    hr = hr[: hr.shape[0] // unit * unit, : hr.shape[1] // unit * unit]
    return [np.roll(hr, scale * number, axis=1) for number in range(FRAMES)]


def main(
    images: Path, models: str = "fast-x4,photo-x4", scale: int = 4, every: int = 10, crfs: str = "12,18,23,28"
) -> None:
    """Print a row for each crf: mean PSNR (Y, scale pixels cropped) of frames 5 and 9 of all shots."""
    upscalers = {name: Upscaler(name, device="cpu") for name in models.split(",")}
    shots = [pan(read_rgb(path), scale) for path in sorted(images.iterdir())[::every]]
    rows: list[Row] = []
    for crf in map(int, crfs.split(",")):
        values: dict[str, list[float]] = {name: [] for name in ("bicubic", *upscalers)}
        for shot in shots:
            decoded = code([imresize(frame, 1 / scale) for frame in shot], crf)
            for number in MEASURED:
                values["bicubic"].append(psnr(BASELINES["bicubic"](decoded[number], scale), shot[number], scale))
                for name, upscaler in upscalers.items():
                    values[name].append(psnr(upscaler(decoded[number]), shot[number], scale))
        rows.append({"crf": crf, **{name: f"{np.mean(each):.2f}" for name, each in values.items()}})
    show(rows)


if __name__ == "__main__":
    typer.run(main)
