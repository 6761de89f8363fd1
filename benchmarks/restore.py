"""Measure the colour denoiser beside OpenCV's non-local means, tune the latter, and measure the weights for JPEG.

    python benchmarks/restore.py denoise --data datasets/SR --report results/restoration
    python benchmarks/restore.py jpeg --data datasets/SR
    python benchmarks/restore.py tune --data datasets/BSDS400/HR

The protocols are written down in `lsm.metrics.protocols.RESTORATION_PROTOCOLS`. All scores of all images, with what
they were computed with, go to REPORT/denoise-DATE.json.
"""

from __future__ import annotations

import dataclasses
import datetime
import json
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer

from lsm.benchmark.restoration import METHODS, NLM_STRENGTHS, Score, measure_denoising, tune_non_local_means
from lsm.cli import user_errors
from lsm.data.datasets import find_set
from lsm.data.degradations import compress, to_grey
from lsm.data.pairs import list_images
from lsm.files import write_text
from lsm.image.io import read_rgb
from lsm.inference.networks import open_network
from lsm.inference.upscaler import Upscaler
from lsm.metrics import RESTORATION_PROTOCOLS, psnr, psnr_b, ssim
from lsm.profiling.environment import describe_environment
from lsm.weights.identity import state_hash

FACTORS = ((0.4, 0.5, 0.6, 0.7), (0.2, 0.4, 0.6, 1.0, 1.4, 2.0))
"""h and hColor over sigma that are tried."""

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


def numbers(text: str) -> list[int]:
    """Read whole numbers separated by commas."""
    return [int(part) for part in text.split(",")]


def means(scores: list[Score], image_set: str, sigma: int, method: str) -> tuple[float, float]:
    """Average PSNR and SSIM of a method on a set."""
    chosen = [score for score in scores if (score.image_set, score.sigma, score.method) == (image_set, sigma, method)]
    return float(np.mean([score.psnr for score in chosen])), float(np.mean([score.ssim for score in chosen]))


@app.command()
def denoise(
    data: Annotated[Path, typer.Option(help="Folder of the test sets.")],
    sets: Annotated[str, typer.Option(help="Names of sets, by commas.")] = "Set5,Set14,B100",
    sigmas: Annotated[str, typer.Option(help="Standard deviations of the noise, by commas.")] = "15,25,50",
    model: Annotated[str, typer.Option(help="Embedded weights, or a file.")] = "tiny-denoise",
    limit: Annotated[int | None, typer.Option(help="Only the first images of each set.")] = None,
    threads: Annotated[int, typer.Option(help="CPU threads.")] = 1,
    report: Annotated[Path, typer.Option(help="Folder of the results.")] = Path("results/restoration"),
) -> None:
    """Print the table as Markdown, and write all scores."""
    torch.set_num_threads(threads)
    network = open_network(model, "denoise")
    upscaler = Upscaler(network, tile=0, device="cpu")
    scores: list[Score] = []
    sigma_list = numbers(sigmas)
    print(f"| set | sigma | {' | '.join(METHODS)} | LSM over non-local means |\n|{'---|' * (len(METHODS) + 3)}")
    for name in sets.split(","):
        # Scale 2, since some layouts keep images cropped to a multiple of a scale only.
        files = [pair.hr for pair in find_set(data, name, 2).pairs][:limit]
        scores += measure_denoising(name, files, sigma_list, upscaler)
        for sigma in sigma_list:
            values = {method: means(scores, name, sigma, method) for method in METHODS}
            cells = " | ".join(f"{p:.2f}/{s:.4f}" for p, s in values.values())
            print(
                f"| {name} | {sigma} | {cells} | {values['LSM'][0] - values['non-local means'][0]:+.2f} dB |",
                flush=True,
            )
    now = datetime.datetime.now(datetime.timezone.utc)
    content = {
        "date": now.isoformat(timespec="seconds"),
        "protocols": {name: text for name, text in RESTORATION_PROTOCOLS.items() if "denoising" in name},
        "model": model,
        "state": state_hash(network),
        "non_local_means": {str(sigma): NLM_STRENGTHS[sigma] for sigma in sigma_list},
        "environment": describe_environment(torch.device("cpu"), "lsm.benchmark.restoration", "lsm.weights"),
        "scores": [dataclasses.asdict(score) for score in scores],
    }
    path = report / f"denoise-{now:%Y-%m-%d}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, json.dumps(content, indent=1))
    print(f"\n{path}")


@app.command()
def jpeg(
    data: Annotated[Path, typer.Option(help="Folder of the test sets.")],
    model: Annotated[str, typer.Option(help="Embedded weights, or a file.")] = "fast-jpeg",
    sets: Annotated[str, typer.Option(help="Names of sets, by commas.")] = "B100",
    qualities: Annotated[str, typer.Option(help="Of the JPEGs, by commas.")] = "10,20,40",
    threads: Annotated[int, typer.Option(help="CPU threads.")] = 1,
) -> None:
    """Print PSNR / SSIM / PSNR-B of the JPEG and of the result, by `jpeg-grey` and `jpeg-colour-y`, as Markdown."""
    torch.set_num_threads(threads)
    upscaler = Upscaler(open_network(model, "jpeg"), tile=0, device="cpu")
    print(f"| set | quality | grey: JPEG | {Path(model).stem} | colour, Y: JPEG | {Path(model).stem} |\n|{'---|' * 6}")
    for name in sets.split(","):
        files = [pair.hr for pair in find_set(data, name, 2).pairs]
        for quality in numbers(qualities):
            cells = [cell for grey in (True, False) for cell in jpeg_cells(files, quality, upscaler, grey)]
            print(f"| {name} | {quality} | {' | '.join(cells)} |", flush=True)


def jpeg_cells(files: list[Path], quality: int, upscaler: Upscaler, grey: bool) -> list[str]:
    """Measure JPEGs and what is made of them: mean PSNR / SSIM / PSNR-B of both, and the gain."""
    values = np.zeros((2, 3))
    for file in files:
        image = to_grey(read_rgb(file)) if grey else read_rgb(file)
        damaged = compress(image, quality, grey=grey)
        for row, result in enumerate((damaged, upscaler(damaged))):
            values[row] += [metric(result, image, 0, "rgb" if grey else "y") for metric in (psnr, ssim, psnr_b)]
    before, after = values / len(files)
    texts = [f"{each[0]:.2f} / {each[1]:.4f} / {each[2]:.2f}" for each in (before, after)]
    return [texts[0], f"{texts[1]} ({after[0] - before[0]:+.2f} dB)"]


@app.command()
def tune(
    data: Annotated[Path, typer.Option(help="Folder of images to train on.")],
    sigmas: Annotated[str, typer.Option(help="Standard deviations of the noise, by commas.")] = "15,25,50",
    every: Annotated[int, typer.Option(help="Take every n-th image, by name.")] = 40,
) -> None:
    """Print the best strengths of non-local means for each sigma."""
    for sigma in numbers(sigmas):
        values = tune_non_local_means(list_images(data)[::every], sigma, FACTORS)
        for (h, h_colour), value in sorted(values.items(), key=lambda item: -item[1])[:4]:
            print(f"sigma {sigma}: h {h:g}, hColor {h_colour:g}: {value:.2f} dB", flush=True)


if __name__ == "__main__":
    with user_errors():
        app(standalone_mode=True)
