"""Extreme images in every precision, overflow, and colours that stay."""

from __future__ import annotations

import logging

import numpy as np
import torch

from lsm import Upscaler, load_model
from lsm.arch.base import Network
from lsm.image.pixels import to_tensor
from lsm.image.resize import imresize
from stress.networks import photographs
from stress.section import Section

PRECISIONS = ("fp32", "bf16", "fp16")


def run(section: Section) -> None:
    """Try extremes on the three embedded networks, an overflowing one, and the colours of ten photographs."""
    torch.set_num_threads(1)
    for scale in (2, 3, 4):
        _extremes(section, scale)
    _overflow(section)
    _colours(section)


def extremes(dtype: type, side: int = 48) -> dict[str, np.ndarray]:
    """Return images (side, side, 3) that no camera makes, by name."""
    top = np.iinfo(dtype).max
    flat: np.ndarray = np.zeros((side, side, 3), dtype)
    board = (np.indices((side, side)).sum(0) % 2 * top).astype(dtype)
    hot = flat.copy()
    hot[side // 2, side // 2] = top
    noise: np.ndarray = np.random.default_rng(0).integers(0, top + 1, flat.shape).astype(dtype)
    return {
        "all 0": flat,
        f"all {top}": flat + dtype(top),
        "checkerboard": np.repeat(board[..., None], 3, axis=2),
        "noise": noise,
        "one hot pixel": hot,
    }


def _extremes(section: Section, scale: int) -> None:
    worst: dict[str, float] = {}
    wrong = []
    for precision in PRECISIONS:
        upscaler = Upscaler(load_model(f"tiny-x{scale}"), tile=0, precision=precision, device="cpu")
        for dtype in (np.uint8, np.uint16):
            for name, image in extremes(dtype).items():
                values = upscaler.upscale_tensor(to_tensor(image))
                if not values.isfinite().all():
                    wrong.append(f"{precision} {name}")
                if name.startswith("all"):
                    error = (values.clamp(0, 1) - float(image.flat[0] > 0)).abs().max().item() * 255
                    worst[precision] = max(worst.get(precision, 0.0), error)
    shift = ", ".join(f"{precision} {error:.2f}/255" for precision, error in worst.items())
    section.check(
        f"tiny-x{scale} is finite on extremes",
        not wrong,
        f"30 runs; black, white off by at most {shift}; {wrong}",
    )


def overflowing_model() -> Network:
    """Return tiny-x2 with its inside scaled beyond what fp16 holds, and back at its end: only fp32 is finite."""
    model = load_model("tiny-x2")
    with torch.no_grad():
        for name, factor in {"shallow.weight": 1e7, "shallow.bias": 1e7, "upsampler.0.weight": 1e-7}.items():
            model.get_parameter(name).mul_(factor)
    return model


def _overflow(section: Section) -> None:
    model = overflowing_model()
    image = extremes(np.uint8)["noise"]
    expected = Upscaler(model, tile=32, tile_overlap=8, device="cpu")(image)
    heard: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: heard.append(record.getMessage())  # type: ignore[method-assign]
    log = logging.getLogger("lsm.inference.tiled")
    log.addHandler(handler)
    found = Upscaler(model, tile=32, tile_overlap=8, precision="fp16", device="cpu")(image)
    log.removeHandler(handler)
    same = bool((found == expected).all())
    warned = sum("fp32" in line for line in heard)
    section.check("tiles that overflow in fp16 are redone in fp32, with a warning", same and warned == 1, f"{heard}")


def _colours(section: Section) -> None:
    rows, shifts = [], []
    for scale in (2, 3, 4):
        upscaler = Upscaler(load_model(f"tiny-x{scale}"), tile=0, device="cpu")
        means, largest, channel = [], 0, 0.0
        for image in photographs(section.images).values():
            image = image[:160, :160]
            back = imresize(upscaler(image), image.shape[:2]).astype(int)
            error = back - image
            means.append(np.abs(error).mean())
            largest = max(largest, int(np.abs(error).max()))
            channel = max(channel, float(np.abs(error.mean(axis=(0, 1))).max()))
        shifts.append(channel)
        rows.append([f"x{scale}", f"{np.mean(means):.2f}", f"{max(means):.2f}", str(largest), f"{channel:.3f}"])
    section.table(
        "Upscaled by tiny, downscaled by MATLAB's bicubic, against the input: ten photographs, in 1/255",
        ["scale", "mean error", "worst image's mean", "largest of a pixel", "largest shift of a channel's mean"],
        rows,
    )
    section.check("no channel's mean shifts by 0.5/255", max(shifts) < 0.5, f"{max(shifts):.3f}/255")
