"""Time LSM-light against SwinIR-light of the library spandrel: same picture, same threads, eval mode, in turns."""

from __future__ import annotations

import statistics
import time

import torch
import typer

from lsm import create_model


def main(threads: int = 2, repeats: int = 5, sizes: str = "64,128,192") -> None:
    """Print seconds of both and the median of their ratio, pair by pair; weights are random."""
    from spandrel.architectures.SwinIR import SwinIR

    torch.manual_seed(0)
    torch.set_num_threads(threads)
    ours = create_model("light", 4).eval()
    peer = SwinIR(
        upscale=4, img_size=64, window_size=8, img_range=1.0, depths=[6] * 4, embed_dim=60, num_heads=[6] * 4,
        mlp_ratio=2, upsampler="pixelshuffledirect",
    ).eval()  # fmt: skip
    print(f"torch {torch.__version__}, {threads} thread(s), x4, float32, batch 1")
    for size in map(int, sizes.split(",")):
        image = torch.rand(1, 3, size, size)
        pairs = []
        with torch.inference_mode():
            for _ in range(repeats + 1):
                marks = [time.perf_counter()]
                for model in (ours, peer):
                    model(image)
                    marks.append(time.perf_counter())
                pairs.append((marks[1] - marks[0], marks[2] - marks[1]))
        pairs = pairs[1:]  # the first pair warms up
        ratio = statistics.median(a / b for a, b in pairs)
        lsm, swinir = (statistics.median(column) for column in zip(*pairs, strict=True))
        print(f"{size}x{size}: LSM-light {lsm:.3f} s, SwinIR-light {swinir:.3f} s, ratio {ratio:.2f}")


if __name__ == "__main__":
    typer.run(main)
