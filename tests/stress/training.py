"""Trainings killed at random, damaged, diverging, and left by one of their processes."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import Any

import torch
import yaml

from stress.commands import LSM, fingerprint, images, one_thread, training_options
from stress.section import Section


def run(section: Section) -> None:
    """Kill a training 20 times, truncate its newest state, make its loss NaN, and kill one of its two processes."""
    folder = images(section.folder / "data" / "HR", 6, 60)
    _kills(section, folder)
    _truncation(section, folder)
    _divergence(section, folder)
    _lost_process(section, folder)


def _kills(section: Section, images: Path) -> None:
    """Kill and resume until the kills are used up; compare the end with a training that nobody disturbed."""
    rng, kills = section.random(), section.times(20)
    total = 40 * max(1, kills // 2)
    file = _option_file(section.folder, images, total, 5)
    whole, killed = section.folder / "whole", section.folder / "killed"
    whole.mkdir()
    killed.mkdir()
    code, said = _finish(_train(file, whole))
    section.check("a training ends", code == 0, said[-300:] if code else f"{total} iterations")
    places, resumed = [], []
    for _ in range(kills):
        process = _train(file, killed)
        first = _next_iteration(process)
        for _ in range(rng.randrange(max(1, 2 * total // kills))):
            last = _next_iteration(process)
            first = last if last else first
        time.sleep(rng.uniform(0, 0.05))
        process.kill()
        resumed.append(process.wait())
        places.append(first)
    ended = sum(code == 0 for code in resumed)
    code, said = _finish(_train(file, killed))
    same = fingerprint(whole).keys() >= fingerprint(killed).keys()
    expected, found = (_final(folder, total) for folder in (whole, killed))
    different = [name for name, tensor in expected.items() if not torch.equal(tensor, found[name])]
    section.check(
        f"after {kills} kills at random moments the final weights are those of an undisturbed training, bit for bit",
        code == 0 and not different and same,
        f"killed around iterations {places} of {total}, {ended} of them after the end; {len(expected)} tensors of "
        f"weights and averages compared; {different[:3]}",
    )


def _truncation(section: Section, images: Path) -> None:
    """Cut the newest state, then its network, and resume."""
    for name in ("training_states/10.state", "models/net_g_10.pth"):
        place = section.folder / f"cut-{Path(name).suffix[1:]}"
        place.mkdir()
        _finish(_train(_option_file(section.folder, images, 10, 5), place))
        path = place / "experiments/small" / name
        path.write_bytes(path.read_bytes()[:1000])
        code, said = _finish(_train(_option_file(section.folder, images, 15, 5), place))
        good = code == 0 and "Falling back" in said and "Resuming after iteration 5" in said
        section.check(f"{name} cut off: resumed from the one before with a warning", good, "" if good else said[-400:])


def _divergence(section: Section, images: Path) -> None:
    """Train with a learning rate at which nothing can go well."""
    place = section.folder / "diverging"
    place.mkdir()
    forced = ["--force_yml", "train:optim_g:lr=1e30"]
    code, said = _finish(_train(_option_file(section.folder, images, 50, 100), place, *forced))
    states = sorted((place / "experiments/small/training_states").glob("[0-9]*.state"))
    named = re.search(r"at iteration (\d+), with these images in the batch: (\S+\.png)", said)
    good = code == 2 and "Traceback" not in said and named is not None and len(states) == 1
    if good and named:
        content = torch.load(states[0], weights_only=True)
        network = torch.load(place / f"experiments/small/models/net_g_{states[0].stem}.pth", weights_only=True)
        finite = all(tensor.isfinite().all() for tensor in network["params"].values())
        good = content["iter"] == int(named[1]) - 1 and finite
    section.check(
        "divergence stops with the iteration, the images and a saved, finite state", good, said[-300:].strip()
    )


def _lost_process(section: Section, images: Path) -> None:
    """Kill one of two processes; the other must end within a minute with a message."""
    place = section.folder / "two"
    place.mkdir()
    file = _option_file(section.folder, images, 100_000, 100_000)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    common = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    ranks = [
        _train(file, place, "--launcher", "pytorch", RANK=str(rank), LOCAL_RANK=str(rank), **common) for rank in (0, 1)
    ]
    for _ in range(3):
        _next_iteration(ranks[0])
    ranks[1].kill()
    start = time.monotonic()
    code, said = _finish(ranks[0], 120)
    ranks[1].wait()
    seconds = time.monotonic() - start
    good = code == 2 and seconds < 60 and "Another process of this training has ended" in said
    section.check(
        "a process that dies ends the other within a minute, with a message",
        good and "Traceback" not in said,
        f"{seconds:.1f} s; {said.strip().splitlines()[-1] if said.strip() else 'nothing said'}",
    )


def _option_file(folder: Path, images: Path, iterations: int, save_every: int) -> Path:
    path = folder / f"options-{iterations}.yml"
    path.write_text(yaml.safe_dump(training_options(images, iterations, save_every)))
    return path


def _train(file: Path, folder: Path, *arguments: str, **environment: str) -> subprocess.Popen[str]:
    command = [*LSM, "train", "-opt", str(file), "--auto_resume", *arguments]
    everything = {**one_thread(), **environment}
    return subprocess.Popen(
        command, cwd=folder, env=everything, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
    )


def _finish(process: subprocess.Popen[str], seconds: float = 600) -> tuple[int, str]:
    try:
        _, said = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGKILL)
        return 999, process.communicate()[1]
    return process.returncode, said


def _next_iteration(process: subprocess.Popen[str]) -> int:
    """Read the log up to the next iteration, and give its number; 0 at the log's end."""
    assert process.stderr is not None
    for line in process.stderr:
        if match := re.search(r"iter +(\d+)/", line):
            return int(match[1])
    return 0


def _final(folder: Path, iteration: int) -> dict[str, Any]:
    """Read the network of an iteration: weights and their averages, by name."""
    path = folder / "experiments" / "small" / "models" / f"net_g_{iteration}.pth"
    content = torch.load(path, weights_only=True) if path.exists() else {}
    return {f"{kind}.{name}": tensor for kind, state in content.items() for name, tensor in state.items()}
