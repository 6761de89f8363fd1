"""Configs made to hurt: bombs, code, wrong values in every place, paths that lead outside."""

from __future__ import annotations

import copy
import functools
import random
from pathlib import Path
from typing import Any

import yaml

from stress.bombs import config_values, option_bombs
from stress.commands import training_options
from stress.section import Section
from stress.watch import Outcome, watched

OUTSIDE = ("../out", "/tmp/out", "a/b", "..", ".", "a\\b", "\0", "\u202e", "x" * 5000)


def run(section: Section) -> None:
    """Try the bombs, 3,000 configs with wrong values, and code on the command line."""
    place = section.folder
    bombs = option_bombs()
    outcomes, faults = watched(functools.partial(try_text, place), list(bombs.values()), place / "stderr.txt")
    accepted = [name for name, (kind, _) in zip(bombs, outcomes, strict=False) if kind == "wrong"]
    held = not faults and not accepted
    section.check(f"{len(bombs)} bombs and odd texts are refused or harmless", held, f"{accepted} {faults}")
    (place / "HR").mkdir()
    rng = section.random()
    tries = [yaml.safe_dump(wrong_options(place / "HR", rng)) for _ in range(section.times(3000))]
    outcomes, faults = watched(functools.partial(try_text, place), tries, place / "stderr.txt")
    bad = [said for kind, said in outcomes if kind == "wrong"]
    refused = sum(kind == "refused" for kind, _ in outcomes)
    section.check(
        "configs with wrong values are refused in lines or harmless",
        not bad and not faults,
        f"{len(tries)} files, {refused} refused, {len(outcomes) - refused} valid; {bad[:5]} {faults[:5]}",
    )
    forced = [("name", text) for text in OUTSIDE] + [("datasets:train:name", text) for text in OUTSIDE]
    forced += [("val:suffix", text) for text in OUTSIDE] + [
        ("datasets:train:filename_tmpl", text) for text in (*OUTSIDE, "{0.__class__}", "{:>99999999}", "{}{}")
    ]
    outcomes, faults = watched(functools.partial(try_outside, place), forced, place / "stderr.txt")
    bad = [said for kind, said in outcomes if kind != "refused"]
    section.check("names that lead outside are refused", not bad and not faults, f"{len(forced)} tried; {bad} {faults}")
    codes = [
        "__import__('os').mkdir('CANARY')",
        "!!python/object/apply:os.mkdir ['CANARY']",
        "$(mkdir CANARY)",
        "{{7*7}}",
    ]
    entries = [entry.replace("CANARY", str(place / "canary")) for entry in codes]
    for entry in entries:
        try_forced(place, [f"name={entry}", f"manual_seed={entry}"])
    section.check("--force_yml runs no code", not (place / "canary").exists(), f"{2 * len(codes)} entries, no canary")


def try_text(place: Path, text: str) -> Outcome:
    """Read a text as a config."""
    path = place / "text.yml"
    path.write_text(text, "utf-8", errors="surrogatepass")
    return _read(path, [])


def try_forced(place: Path, forced: list[str]) -> Outcome:
    """Read a right file with `--force_yml` entries."""
    path = place / "right.yml"
    path.write_text(yaml.safe_dump(training_options(place / "HR", 10, 5)), "utf-8")
    return _read(path, forced)


def try_outside(place: Path, entry: tuple[str, str]) -> Outcome:
    """Read a right file with one value that names a place outside."""
    key, value = entry
    options = training_options(place / "HR", 10, 5)
    *sections, last = key.split(":")
    target = options
    for section in sections:
        target = target.setdefault(section, {})
    target[last] = value
    return try_text(place, yaml.safe_dump(options))


def wrong_options(images: Path, rng: random.Random) -> dict[str, Any]:
    """Return a right config with one to three values replaced, keys renamed or sections taken away."""
    options = copy.deepcopy(training_options(images, 10, 5))
    options["path"] = {"pretrain_network_g": None, "resume_state": None}
    options["val"] = {"val_freq": 5, "metrics": {"psnr": {"type": "calculate_psnr", "crop_border": 2}}}
    for _ in range(rng.choice((1, 1, 2, 3))):
        places = list(_places(options))
        section, key = rng.choice(places)
        way = rng.random()
        if way < 0.8:
            section[key] = config_values(rng)
        elif way < 0.9:
            section[f"{key}x"] = section.pop(key)
        else:
            del section[key]
    return options


def _places(section: dict[str, Any]) -> list[tuple[dict[str, Any], str]]:
    """List every key of a mapping and of those inside it."""
    found = [(section, key) for key in section]
    for value in section.values():
        if isinstance(value, dict):
            found += _places(value)
    return found


def _read(path: Path, forced: list[str]) -> Outcome:
    from lsm.errors import OptionError
    from lsm.training.options import read_options

    try:
        read_options(path, forced)
    except OptionError as error:
        text = str(error)
        return ("refused" if text.count("\n") <= 50 and max(map(len, text.splitlines())) < 5000 else "wrong"), text
    except BaseException as error:  # what must not happen
        return "wrong", f"{type(error).__name__}: {str(error)[:200]}: {path.read_text(errors='replace')[:1500]}"
    return "valid", ""
