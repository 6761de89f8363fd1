"""Which datasets of a test's config are measured: all that are there, or those that the user names."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from lsm.data.datasets import canonical_name
from lsm.errors import OptionError, unknown_name
from lsm.training.options import force, parse_yaml


def choose_sets(
    config: str | Path,
    forced: Sequence[str],
    names: Sequence[str] = (),
    require_all: bool = False,
    note: Callable[[str], None] = lambda line: None,
) -> list[str]:
    """Choose the datasets of a test.

    Args:
        config: The YAML file. What is wrong with it is left to `read_options`.
        forced: Entries that change what the file says.
        names: Names of the wanted datasets, in any common spelling; all if empty.
        require_all: Whether a dataset whose folder is missing is an error rather than left out.
        note: Called with a line for each dataset that is left out because its folder is missing.

    Returns:
        Entries that take the other datasets out of the config, to be appended to `forced`.

    Raises:
        OptionError: If a name is no dataset of the config, or the folder of every dataset is missing.
    """
    datasets = _datasets(config, forced)
    wanted = _named(datasets, names) if names else list(datasets)
    missing = {phase: folder for phase in wanted if (folder := _missing_folder(datasets[phase]))}
    if require_all or not missing:
        missing = {}
    elif len(missing) == len(wanted):
        folders = ", ".join(missing.values())
        raise OptionError(
            f"{config}: none of its sets is there: {folders}. `lsm data download` fetches the usual ones, and "
            "docs say where others go."
        )
    for phase, folder in missing.items():
        note(f"{_name(phase, datasets[phase])} is left out: there is no folder {folder}.")
    return [f"datasets:{phase}=null" for phase in datasets if phase not in wanted or phase in missing]


def _datasets(config: str | Path, forced: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Read the datasets' sections, as far as they are sections."""
    try:
        data = parse_yaml(Path(config).read_text(encoding="utf-8"), str(config))
    except (OSError, UnicodeDecodeError):
        return {}
    if not isinstance(data, dict):
        return {}
    force(data, forced)
    sections = data.get("datasets")
    if not isinstance(sections, dict):
        return {}
    return {phase: content for phase, content in sections.items() if isinstance(content, dict)}


def _named(datasets: dict[str, dict[str, Any]], names: Sequence[str]) -> list[str]:
    """Return the keys of the datasets of these names."""
    known = {_name(phase, content): phase for phase, content in datasets.items()}
    phases = []
    for name in names:
        fitting = [known[each] for each in known if canonical_name(each).lower() == canonical_name(name).lower()]
        if not fitting and name in datasets:
            fitting = [name]
        if not fitting:
            raise OptionError(unknown_name("dataset", name, known))
        phases += fitting
    return phases


def _name(phase: str, content: dict[str, Any]) -> str:
    return str(content.get("name") or phase)


def _missing_folder(content: dict[str, Any]) -> str | None:
    """Return the first folder of images that a dataset names and that is not there."""
    for key in ("dataroot_gt", "dataroot_lq"):
        value = content.get(key)
        for folder in value if isinstance(value, list) else [value]:
            if isinstance(folder, str) and not Path(folder).expanduser().exists():
                return folder
        if value is not None:  # with HR but without its LR a set is there, and not whole
            return None
    return None
