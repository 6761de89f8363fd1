"""Turn a checkpoint of a training into a safetensors file that says where it comes from."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
import yaml

from lsm import LSM
from lsm.arch import preset_config
from lsm.cli import user_errors
from lsm.weights import read_checkpoint, save_model


def convert(
    options: Annotated[Path, typer.Argument(help="The run's option file, experiments/NAME/NAME.yml.")],
    checkpoint: Annotated[Path, typer.Argument(help="The network, experiments/NAME/models/net_g_ITER.pth.")],
    output: Annotated[Path, typer.Argument(help="The .safetensors file to write.")],
    training_set: Annotated[str, typer.Option(help="What it was trained on.")],
    iterations: Annotated[int, typer.Option(help="Iterations of the training.")],
    licence: Annotated[str, typer.Option(help="Licence of the weights.")] = "Apache-2.0",
    key: Annotated[str, typer.Option(help="Which weights of the file: params_ema or params.")] = "params_ema",
) -> None:
    """Write the weights of a run as safetensors, with configuration, training set, iterations and licence."""
    network = dict(yaml.safe_load(options.read_text(encoding="utf-8"))["network_g"])
    network.pop("type")
    config = preset_config(network.pop("variant"), network.pop("upscale"), **network)
    model = LSM(config)
    state = read_checkpoint(checkpoint, key).state
    state.setdefault("_extra_state", model.state_dict()["_extra_state"])
    model.load_state_dict(state)
    about = {"training_set": training_set, "iterations": str(iterations), "licence": licence, "averaging": key}
    save_model(model, output, about)
    typer.echo(f"{output}: {output.stat().st_size:,} bytes, {about}")


if __name__ == "__main__":
    with user_errors():
        typer.run(convert)
