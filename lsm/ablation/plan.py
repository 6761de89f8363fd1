"""The plan of an ablation: one config, what the variants change in it, seeds, and the sets to judge on."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ConfigDict, Field, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from lsm.errors import OptionError
from lsm.training.options import parse_yaml, read_options
from lsm.training.section import Section


class Plan(Section):
    """An ablation as its YAML file describes it.

    Attributes:
        name: Of the ablation; its runs are `ablate-NAME-VARIANT-sSEED`.
        options: The training's config, a path as seen from the current folder.
        reference: The variant that all others are compared with.
        seeds: Each variant is trained once with each.
        sets: Test sets, by any name that `lsm benchmark` knows.
        common: What all variants change in the config.
        variants: By name, what each changes beyond that; sections are merged key by key.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern=r"^[A-Za-z0-9_.]+$")
    options: Path
    reference: str
    seeds: list[int] = Field(default=[0, 1, 2], min_length=1)
    sets: list[str] = Field(default=["Set5", "Set14", "B100"], min_length=1)
    common: dict[str, Any] = Field(default_factory=dict)
    variants: dict[str, dict[str, Any]] = Field(min_length=1)

    @model_validator(mode="after")
    def _reference_is_a_variant(self) -> Plan:
        if self.reference not in self.variants:
            raise PydanticCustomError("reference", "reference must be one of the variants")
        return self


@dataclass(frozen=True)
class Run:
    """One training of an ablation.

    Attributes:
        variant: Name of the variant.
        seed: Its seed.
        name: Of the training, and of its folder under `experiments`.
        options: The whole config as a mapping.
    """

    variant: str
    seed: int
    name: str
    options: dict[str, Any]

    @property
    def folder(self) -> Path:
        """Where the training writes, as seen from the current folder."""
        return Path("experiments") / self.name

    @property
    def length(self) -> str:
        """How long the training is, for people: iterations, or hours of a processor."""
        train = self.options["train"]
        return f"{train['total_iter']} iterations" if "total_iter" in train else f"{train['budget_hours']} hours"

    @property
    def weights(self) -> Path:
        """The network at the end; how many iterations fit into a budget of hours is not known before."""
        return self.folder / "models" / f"net_g_{self.options['train'].get('total_iter', 'latest')}.pth"


def read_plan(path: Path) -> Plan:
    """Read a plan.

    Raises:
        OptionError: If it cannot be read or is wrong, with a line for each mistake.
    """
    try:
        content = parse_yaml(path.read_text(encoding="utf-8"), str(path))
    except (OSError, UnicodeDecodeError) as error:
        raise OptionError(f"Cannot read the plan {path}: {error}.") from error
    try:
        return Plan.model_validate(content)
    except ValidationError as error:
        lines = (f"{path}: {'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors())
        raise OptionError("\n".join(lines)) from error


def list_runs(plan: Plan) -> list[Run]:
    """List the trainings, seed by seed, so that a plan stopped half-way has compared all variants on some seeds.

    Raises:
        OptionError: If the config cannot be read or is wrong.
    """
    read_options(plan.options)  # complains about the file itself before anything is merged into it
    base = parse_yaml(plan.options.read_text(encoding="utf-8"), str(plan.options))
    runs = []
    for seed in plan.seeds:
        for variant, changes in plan.variants.items():
            name = f"ablate-{plan.name}-{variant}-s{seed}"
            options = merge(merge(base, plan.common), changes) | {"name": name, "manual_seed": seed}
            runs.append(Run(variant, seed, name, options))
    return runs


def merge(base: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """Return `base` with `changes`, section by section; what names another `type` replaces its section whole."""
    merged = copy.deepcopy(base)
    for key, value in changes.items():
        old = merged.get(key)
        if isinstance(old, dict) and isinstance(value, dict) and value.get("type", old.get("type")) == old.get("type"):
            merged[key] = merge(old, value)
        else:
            merged[key] = copy.deepcopy(value)
    return merged
