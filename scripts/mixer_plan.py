"""Write a plan for scripts/ablate.py: every token mixer in the same network, at equal parameters.

python scripts/mixer_plan.py > mixers.yml && python scripts/ablate.py mixers.yml --data datasets
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from lsm.arch.config import LSMConfig
from lsm.cli import user_errors
from lsm.errors import OptionError

SMALLER: dict[str, dict[str, Any]] = {
    "spectral-conv": {"blocks": 4},
    "spectral-conv1d": {"blocks": 2},
    "fno": {"blocks": 4},
    "fno-block": {"blocks": 4, "mlp_ratio": 0.5},
}
"""Options of the mixers that are larger than the CML's at their defaults."""


def _config(variant: str, scale: int, **overrides: Any) -> LSMConfig:
    """Return the configuration of a preset that has token mixers in its blocks."""
    from lsm.arch.presets import preset_config

    config = preset_config(variant, scale, **overrides)
    if not isinstance(config, LSMConfig):
        raise OptionError(f"The preset {variant} has no mixers to exchange.")
    return config


def plan(
    variant: Annotated[str, typer.Option(help="Preset of the network.")] = "tiny",
    scale: Annotated[int, typer.Option(help="Of the scale.")] = 4,
    options: Annotated[Path, typer.Option(help="Config of the training.")] = Path("options/train/tiny_x4.yml"),
    iterations: Annotated[int, typer.Option(min=1, help="Steps of each training.")] = 400,
    seeds: Annotated[int, typer.Option(min=1, help="Trainings of each variant.")] = 1,
    only: Annotated[str, typer.Option(help="Names of mixers beside cml, with commas; all by default.")] = "",
) -> None:
    """Write the plan to the standard output."""
    import yaml

    from lsm.arch.budget import count_parameters, match_parameters
    from lsm.mixers.registry import find_mixer, mixer_names

    target = count_parameters(_config(variant, scale))
    variants: dict[str, Any] = {"cml": {}}
    names = [find_mixer(name.strip()).name for name in only.split(",")] if only else mixer_names()
    for name in (name for name in names if name != "cml"):
        config = _config(variant, scale, mixer=name, mixer_options=SMALLER.get(name, {}))
        matched = match_parameters(config, target)
        change: dict[str, Any] = {"mixer": name, "mixer_mlp_ratio": matched.mixer_mlp_ratio}
        if matched.mixer_options:
            change["mixer_options"] = matched.mixer_options
        variants[name] = {"network_g": change}
    content = {
        "name": "mixers",
        "options": str(options),
        "reference": "cml",
        "seeds": list(range(seeds)),
        "sets": ["Set5", "Set14", "B100"],
        "common": {
            "network_g": {"variant": variant, "upscale": scale},
            "datasets": {"train": {"gt_size": 24 * scale, "batch_size": 8}},
            "train": {
                "total_iter": iterations,
                "warmup_iter": 50,
                "optim_g": {"lr": 1.5e-3},
                "ema_decay": 0,
                "scheduler": {"type": "CosineAnnealingRestartLR", "periods": [iterations], "eta_min": 1.0e-6},
            },
        },
        "variants": variants,
    }
    print(yaml.safe_dump(content, sort_keys=False, width=120), end="")


if __name__ == "__main__":
    with user_errors():
        typer.run(plan)
