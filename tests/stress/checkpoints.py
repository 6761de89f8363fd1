"""Weights made to hurt: code, damaged bytes, wrong configurations, files that claim more than they hold."""

from __future__ import annotations

import functools
import io
import json
import os
import pickle
import struct
import zipfile
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save as safetensors_bytes

from stress.bombs import config_values
from stress.mutants import mutate
from stress.networks import small_model
from stress.section import Section
from stress.watch import Outcome, watched


def run(section: Section) -> None:
    """Try code, crafted files, 2,000 damaged files and 1,000 wrong configurations."""
    place = section.folder
    canary = place / "canary"
    files = {**with_code(canary), **crafted()}
    outcomes, faults = watched(functools.partial(try_file, place), list(files.items()), place / "stderr.txt")
    bad = [said for kind, said in outcomes if kind != "refused"]
    section.check(f"{len(files)} crafted files are refused in one line each", not bad and not faults, f"{bad} {faults}")
    section.check("code in a file does not run", not canary.exists(), f"{len(with_code(canary))} files with a canary")
    rng, whole = section.random(), whole_files()
    names = sorted(whole)
    tries = []
    for number in range(section.times(2000)):
        name = names[number % len(names)]
        tries.append((f"{number}-{name}", mutate(whole[name], whole[rng.choice(names)], rng)))
    outcomes, faults = watched(functools.partial(try_file, place), tries, place / "stderr.txt")
    bad = [said for kind, said in outcomes if kind == "wrong"]
    loaded = sum(kind == "loaded" for kind, _ in outcomes)
    evidence = f"{len(tries)} files, {loaded} still load; {bad[:5]} {faults[:5]}"
    section.check("damaged files load or are refused in one line", not bad and not faults, evidence)
    configs = [(f"{number}-config.safetensors", wrong_config(rng)) for number in range(section.times(1000))]
    outcomes, faults = watched(functools.partial(try_file, place), configs, place / "stderr.txt")
    bad = [said for kind, said in outcomes if kind == "wrong"]
    loaded = sum(kind == "loaded" for kind, _ in outcomes)
    evidence = f"{len(configs)} files, {loaded} load and run; {bad[:5]} {faults[:5]}"
    section.check("wrong configurations are refused in one line, or run", not bad and not faults, evidence)


class _Code:
    """Makes a folder when it is unpickled."""

    def __init__(self, canary: Path) -> None:
        self.canary = str(canary)

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (self.canary,)


def with_code(canary: Path) -> dict[str, bytes]:
    """Make files that would make a folder when read without care, by name with extension."""
    code = _Code(canary)
    files = {
        "torch.pth": _torch_bytes({"params": {"conv.weight": code}}),
        "metadata.pth": _torch_bytes({"params": small_model().state_dict(), "note": code}),
        "legacy.pth": _torch_bytes({"params": {"conv.weight": code}}, _use_new_zipfile_serialization=False),
        "eval.pth": b"cbuiltins\neval\n(V__import__('os').mkdir('" + str(canary).encode() + b"')\ntR.",
        "system.state": b"cos\nsystem\n(Vmkdir " + str(canary).encode() + b"\ntR.",
    }
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        files[f"pickle{protocol}.pth"] = pickle.dumps(code, protocol)
        files[f"pickle{protocol}.safetensors"] = pickle.dumps(code, protocol)
    return files


def crafted() -> dict[str, bytes]:
    """Make files that no program writes, by name with extension."""
    state = small_model().state_dict()
    name = "conv.weight"
    itself: dict[str, Any] = {"other": 1}
    itself["params"] = itself
    nested: Any = {}
    for _ in range(100):
        nested = {"params": nested}
    packed = io.BytesIO()
    plain = zipfile.ZipFile(io.BytesIO(_torch_bytes({"params": state})))
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for record in plain.namelist():
            archive.writestr(record, plain.read(record))
    header = json.dumps({"a": {"dtype": "F32", "shape": [2**40], "data_offsets": [0, 2**42]}}).encode()
    overlong = struct.pack("<Q", len(header)) + header
    other = {"layers.0.weight": torch.zeros(3, 3), "layers.0.bias": torch.zeros(3)}
    return {
        "empty.safetensors": b"",
        "empty.pth": b"",
        "header-2^60.safetensors": struct.pack("<Q", 2**60) + b"{}",
        "header-2^64.safetensors": b"\xff" * 8 + b"{}",
        "tensor-2^42.safetensors": overlong,
        "deep-config.safetensors": safetensors_bytes(
            {key: item for key, item in state.items() if key != "_extra_state"}, {"config": "[" * 100_000}
        ),
        "deep-header.safetensors": struct.pack("<Q", 100_000) + b"[" * 100_000,
        "shape.safetensors": safetensors_bytes({**state, name: torch.zeros(3, 3)}),
        "nan.safetensors": safetensors_bytes({**state, name: torch.full_like(state[name], torch.nan)}),
        "missing.safetensors": safetensors_bytes({key: item for key, item in state.items() if key != name}),
        "extra.safetensors": safetensors_bytes({**state, "surplus": torch.zeros(1)}),
        "other.safetensors": safetensors_bytes(other),
        "other.pth": _torch_bytes(other),
        "list.pth": _torch_bytes([1, 2, 3]),
        "itself.pth": _torch_bytes(itself),
        "nested.pth": _torch_bytes(nested),
        "expanded.pth": _torch_bytes({"params": {**state, name: torch.zeros(1).expand(10**12)}}),
        "meta.pth": _torch_bytes({"params": {**state, name: torch.zeros(9, device="meta")}}),
        "sparse.pth": _torch_bytes({"params": {**state, name: torch.zeros(9, 9).to_sparse()}}),
        "packed.pth": packed.getvalue(),
    }


def whole_files() -> dict[str, bytes]:
    """Make a whole file of each kind."""
    model = small_model()
    config = json.dumps(model.config.to_dict())
    state = {key: item.contiguous() for key, item in model.state_dict().items()}
    return {
        "new.pth": _torch_bytes({"params": state}),
        "legacy.pth": _torch_bytes({"params": state}, _use_new_zipfile_serialization=False),
        "plain.safetensors": safetensors_bytes(state, {"config": config}),
    }


def wrong_config(rng: Any) -> bytes:
    """Make a safetensors file of right weights whose configuration has one or two wrong values."""
    model = small_model()
    state = {key: item.contiguous() for key, item in model.state_dict().items() if key != "_extra_state"}
    values = model.config.to_dict()
    for _ in range(rng.choice((1, 1, 2))):
        values[rng.choice(sorted(values))] = config_values(rng)
    return safetensors_bytes(state, {"config": json.dumps(values)})


def try_file(place: Path, item: tuple[str, bytes]) -> Outcome:
    """Load a file as `lsm upscale -n` does and run what was loaded on a small image."""
    from lsm import Upscaler, load_model
    from lsm.errors import LSMError

    path = place / item[0]
    path.write_bytes(item[1])
    try:
        upscaler = Upscaler(load_model(path), tile=0, device="cpu")
        upscaler.upscale_tensor(torch.rand(1, 3, 9, 7))
    except LSMError as error:
        text = str(error)
        return ("refused" if "\n" not in text and len(text) < 5000 else "wrong"), text
    except BaseException as error:  # what must not happen
        return "wrong", f"{path.name}: {type(error).__name__}: {str(error)[:200]}"
    finally:
        path.unlink()
    return "loaded", path.name


def _torch_bytes(content: Any, **options: Any) -> bytes:
    file = io.BytesIO()
    torch.save(content, file, **options)
    return file.getvalue()
