"""The long commands of `lsm` on small data, and how to compare what they leave."""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from stress.networks import small_weights

LSM = [sys.executable, "-c", "from lsm.cli import main; main()"]
"""Starts the `lsm` of this interpreter."""


@dataclass(frozen=True)
class Command:
    """A command of `lsm` that makes files.

    Attributes:
        name: What it is called in the report.
        call: Gives, for an output folder, the arguments and the folder to run in.
        victim: An input file that may vanish.
        too_small: Size of a file system that it fills.
    """

    name: str
    call: Callable[[Path], tuple[list[str], Path]]
    victim: Path
    too_small: str


def _upscale(place: Path) -> Command:
    source, weights = images(place / "source", 16, 96), small_weights(place)
    arguments = ["upscale", str(source), "-n", str(weights), "--skip-existing", "--device", "cpu", "-o"]
    return Command("upscale", lambda out: ([*LSM, *arguments, str(out)], place), source / "p9.png", "600k")


def _benchmark(place: Path) -> Command:
    source, weights = images(place / "sets" / "Mine" / "HR", 12, 100), small_weights(place)
    arguments = ["benchmark", "--data", str(place / "sets"), "--sets", "Mine", "--scales", "2", "--device", "cpu"]
    arguments += ["--models", f"small={weights},bicubic", "--threads", "1", "--report"]
    return Command("benchmark", lambda out: ([*LSM, *arguments, str(out)], place), source / "p10.png", "200k")


def _prepare(place: Path) -> Command:
    source = images(place / "source", 16, 200)
    arguments = ["--scales", "2,3,4", "--sub-size", "96", "--lmdb", "--jobs", "2"]
    call = [*LSM, "data", "prepare", str(source)]
    return Command("data prepare", lambda out: ([*call, str(out), *arguments], place), source / "p13.png", "1m")


def _train(place: Path) -> Command:
    source = images(place / "data" / "HR", 6, 60)
    file = place / "options.yml"
    file.write_text(yaml.safe_dump(training_options(source, 60, 7)))
    call = [*LSM, "train", "-opt", str(file), "--auto_resume"]
    return Command("train", lambda out: (call, out), source / "p3.png", "100k")


COMMANDS: dict[str, Callable[[Path], Command]] = {
    "upscale": _upscale,
    "benchmark": _benchmark,
    "prepare": _prepare,
    "train": _train,
}


def one_thread() -> dict[str, str]:
    """Return the environment of a command that computes on one thread, so that its sums are added in one order."""
    return {**os.environ, "OMP_NUM_THREADS": "1"}


def training_options(images: Path, iterations: int, save_every: int) -> dict[str, Any]:
    """Return the config of a training of a few seconds, its random numbers (drop path, Gumbel noise) on."""
    return {
        "name": "small",
        "scale": 2,
        "num_gpu": 0,
        "datasets": {
            "train": {
                "dataroot_gt": str(images),
                "gt_size": 16,
                "batch_size": 4,
                "num_worker_per_gpu": 1,
                "in_memory": False,
            }
        },
        "network_g": {
            "type": "LSM",
            "variant": "tiny",
            "embed_dim": 8,
            "depths": [2],
            "num_heads": 2,
            "d_state": 2,
            "split_size": [4, 8],
            "drop_path_rate": 0.1,
            "recurrence": {"categories": "gumbel"},
        },
        "train": {
            "total_iter": iterations,
            "ema_decay": 0.9,
            "optim_g": {"type": "AdamW", "lr": 1e-3},
            "scheduler": {"type": "CosineAnnealingRestartLR", "periods": [iterations]},
        },
        "logger": {"print_freq": 1, "save_checkpoint_freq": save_every},
    }


def images(folder: Path, count: int, side: int) -> Path:
    """Write images of waves and noise, named p0.png, p1.png, ..."""
    from lsm.image.io import write_image

    folder.mkdir(parents=True)
    for number in range(count):
        rng = np.random.default_rng(number)
        y, x = np.mgrid[:side, : side - number % 3] / 10
        waves = [np.sin(x * rng.normal() + y * rng.normal() + rng.uniform(0, 6)) for _ in range(3)]
        pixels = np.stack(waves, -1) * 100 + 128 + rng.integers(-9, 9, (*x.shape, 3))
        write_image(folder / f"p{number}.png", pixels.astype(np.uint8))
    return folder


def fingerprint(folder: Path) -> dict[str, str]:
    """Hash what a command has made, but for what holds times: name to hash."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_file() and (content := _content(path)) is not None:
            found[name] = hashlib.sha256(content).hexdigest()
    return found


def _content(path: Path) -> bytes | None:
    if path.name.startswith("."):
        return None
    if path.suffix in (".png", ".txt"):
        return path.read_bytes()
    if path.name == "results.json":
        rows = json.loads(path.read_text("utf-8"))["rows"]
        return json.dumps([[row["model"], row["image"], row["psnr"], row["ssim"]] for row in rows]).encode()
    if path.suffix in (".pth", ".state"):
        return _tensors(_load(path))
    if path.name == "data.mdb":
        return _database(path.parent)
    return None


def _load(path: Path) -> Any:
    import torch

    return torch.load(path, map_location="cpu", weights_only=True)


def _tensors(value: Any) -> bytes:
    """Turn what a checkpoint holds into bytes, tensors by their values."""
    import torch

    if isinstance(value, torch.Tensor):
        return value.numpy().tobytes()
    if isinstance(value, dict):
        return b"".join(repr(key).encode() + _tensors(item) for key, item in value.items())
    if isinstance(value, list):
        return b"".join(map(_tensors, value))
    return repr(value).encode()


def _database(folder: Path) -> bytes:
    import lmdb

    with lmdb.open(str(folder), readonly=True, lock=False) as database, database.begin() as transaction:
        return b"".join(key + value for key, value in transaction.cursor())


def not_whole(folder: Path) -> list[str]:
    """List files under their final names that cannot be read to their end."""
    from lsm.image.io import read_image

    torn = []
    for path in sorted(folder.rglob("*")):
        hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        if not path.is_file() or hidden:
            continue
        try:
            if path.suffix == ".png":
                read_image(path)
            elif path.suffix in (".pth", ".state"):
                _load(path)
            elif path.suffix == ".json":
                json.loads(path.read_text("utf-8"))
            elif path.suffix == ".yml":
                assert yaml.safe_load(path.read_text("utf-8"))
            elif path.name == "data.mdb":
                _database(path.parent)
            elif path.suffix in (".html", ".svg"):
                assert path.read_text("utf-8").rstrip().endswith(">")
        except Exception as error:
            torn.append(f"{path.relative_to(folder)}: {error}")
    return torn
