"""A network as a repository on the hub, or a folder of that layout: weights, configuration, and a card."""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Mapping
from pathlib import Path

from lsm.arch.base import Network
from lsm.errors import CheckpointError
from lsm.files import atomic_file
from lsm.weights.hub import WEIGHTS, HubFile, explain, import_hub
from lsm.weights.load import load_model, save_model

CONFIG, CARD = "config.json", "README.md"


def from_pretrained(source: str | Path, *, revision: str | None = None, recurrence: str | None = None) -> Network:
    """Load what `save_pretrained` or `push_to_hub` wrote, in eval mode.

    Args:
        source: A folder, or OWNER/NAME on the hub.
        revision: Branch, tag or commit of the repository.
        recurrence: As in `load_model`.

    Raises:
        CheckpointError: If it cannot be read.
    """
    folder = Path(source)
    if folder.is_dir():
        return load_model(folder / WEIGHTS, recurrence=recurrence)
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", str(source)):
        raise CheckpointError(f"{str(source)!r} is neither a folder nor OWNER/NAME of a repository on the hub.")
    return load_model(str(HubFile(str(source), WEIGHTS, revision)), recurrence=recurrence)


def save_pretrained(
    model: Network, folder: str | Path, metadata: Mapping[str, str] | None = None, name: str | None = None
) -> None:
    """Write a network as a folder of the hub's layout; files of these names are replaced.

    Args:
        model: The network.
        folder: Where; made if it is not there.
        metadata: What is known of the weights: `licence`, `training_set`, `iterations` …
        name: OWNER/NAME of the repository, for the card's example; the folder's name by default.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    save_model(model, folder / WEIGHTS, metadata)
    texts = {
        CONFIG: json.dumps(model.config.to_dict(), indent=2) + "\n",
        CARD: write_card(model, metadata or {}, name or folder.name),
    }
    for place, text in texts.items():
        with atomic_file(folder / place) as file:
            file.write(text.encode())


def push_to_hub(
    model: Network,
    repository: str,
    *,
    metadata: Mapping[str, str] | None = None,
    private: bool = False,
    token: str | None = None,
    message: str = "Upload LSM weights",
) -> str:
    """Write a network into a repository on the hub, which is made if it is not there.

    Args:
        model: The network.
        repository: OWNER/NAME.
        metadata: As in `save_pretrained`.
        private: Whether a new repository is private.
        token: Of the account; by default the one of `hf auth login`.
        message: Of the commit.

    Returns:
        The commit's address.

    Raises:
        CheckpointError: If the hub refuses it or cannot be reached.
        OptionError: If huggingface-hub is not installed.
    """
    hub = import_hub()
    from huggingface_hub import constants

    api = hub.HfApi(endpoint=constants.ENDPOINT, token=token, library_name="lsm-sr")
    with tempfile.TemporaryDirectory() as folder:
        save_pretrained(model, folder, metadata, repository)
        try:
            api.create_repo(repository, private=private, exist_ok=True)
            commit = api.upload_folder(repo_id=repository, folder_path=folder, commit_message=message)
        except Exception as error:  # as in `hub.fetch`
            raise CheckpointError(f"{repository} was not written: {explain(error)}") from error
    return str(commit.commit_url)


def write_card(model: Network, metadata: Mapping[str, str], name: str) -> str:
    """Return the page of a repository: what the network is, what is known of its weights, how it is used."""
    config = model.config
    parameters = sum(parameter.numel() for parameter in model.parameters())
    licence = metadata.get("licence", "unknown").lower()
    field = "super-resolution" if config.task == "sr" else "restoration"
    facts = "".join(f"- {fact.replace('_', ' ')}: {value}\n" for fact, value in metadata.items())
    return (
        f"---\nlibrary_name: lsm-sr\npipeline_tag: image-to-image\ntags: [{field}, lsm]\n"
        f"license: {licence}\n---\n"
        f"# LSM {config.purpose}\n\n"
        f"Image {field.replace('-', ' ')} with LSM ([arXiv 2606.19901](https://arxiv.org/abs/2606.19901)): "
        f"{parameters:,} parameters, {config.recurrence.mode} recurrence.\n{facts}\n"
        "```python\nfrom lsm import Upscaler\n\n"
        f'result = Upscaler("hf:{name}")("photo.jpg")\n```\n'
    )
