"""Weights on the Hugging Face hub, through huggingface-hub: its cache, its offline switch, its addresses."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from lsm.errors import CheckpointError, first_line, needs_extra
from lsm.weights.identity import file_hash

WEIGHTS = "model.safetensors"
"""The file of weights in a repository of the hub's layout."""


@dataclass(frozen=True)
class HubFile:
    """One file of a repository on the hub.

    Attributes:
        repository: OWNER/NAME.
        file: Its path inside.
        revision: Branch, tag or commit; the main branch by default. Only a commit stays what it is.
    """

    repository: str
    file: str
    revision: str | None = None

    PREFIX: ClassVar[str] = "hf:"

    @classmethod
    def parse(cls, text: str) -> HubFile:
        """Read "hf:OWNER/NAME[@REVISION][/FILE]"; without FILE it is the repository's `WEIGHTS`.

        A revision with a slash in its name, as some branches have, cannot be told from a folder; name its commit.

        Raises:
            CheckpointError: If it is written otherwise.
        """
        match = re.fullmatch(rf"{cls.PREFIX}([\w.-]+/[\w.-]+)(?:@([^/@]+))?(?:/(.+))?", text)
        if match is None:
            raise CheckpointError(f"{text!r} names no file on the hub; write {cls.PREFIX}OWNER/NAME[@REVISION][/FILE].")
        return cls(match[1], match[3] or WEIGHTS, match[2])

    def __str__(self) -> str:
        at = f"@{self.revision}" if self.revision else ""
        return f"{self.PREFIX}{self.repository}{at}/{self.file}"


_PRESETS = {"s": "S_SR", "base": "SR", "light": "light_lightSR"}

OFFICIAL = {
    f"official/{preset}-x{scale}": HubFile(
        "mingyurun/LSM-pretrained", f"train_LSM_{name}_x{scale}_finetune/models/net_g_best.pth"
    )
    for preset, name in _PRESETS.items()
    for scale in (2, 3, 4)
}
"""The published checkpoints; their naming tells that they have `official` recurrence."""


def fetch(place: HubFile) -> Path:
    """Download a file from the hub, or find it in the cache.

    With HF_HUB_OFFLINE=1 in the environment, only from the cache. HF_HOME says where that is. Of files that the hub
    stores by the SHA-256 of their content, as it does with all large ones, the content is compared with it.

    Raises:
        CheckpointError: If there is no such file, the hub cannot be reached, or the content is damaged.
        OptionError: If huggingface-hub is not installed.
    """
    hub = import_hub()
    from huggingface_hub import constants

    try:
        path = Path(
            hub.hf_hub_download(
                place.repository,
                place.file,
                revision=place.revision,
                local_files_only=constants.HF_HUB_OFFLINE,
            )
        )
    except Exception as error:  # of the library, and of the HTTP library below it, which changes with its version
        raise CheckpointError(f"{place}: {explain(error)}") from error
    stored = path.resolve()  # in the cache, files are called by their hash
    if re.fullmatch(r"[0-9a-f]{64}", stored.name) and file_hash(stored) != stored.name:
        raise CheckpointError(f"{place}: {path} is damaged, its SHA-256 is another; delete it and try again.")
    return path


def import_hub() -> Any:
    """Import huggingface-hub.

    Raises:
        OptionError: If it is not installed.
    """
    with needs_extra("hub", "Weights on the hub need the library huggingface-hub"):
        import huggingface_hub
    return huggingface_hub


def explain(error: Exception) -> str:
    """Return in one line why the hub did not give a file, or did not take one."""
    from huggingface_hub import constants, errors

    # huggingface-hub 1.16 closes its client when a connection fails, and then asks that client again.
    closed = isinstance(error, RuntimeError) and "client has been closed" in str(error)
    if closed or isinstance(error, errors.LocalEntryNotFoundError | errors.OfflineModeIsEnabled):
        if constants.HF_HUB_OFFLINE:
            return "not in the cache, and HF_HUB_OFFLINE forbids to download it."
        return f"not in the cache, and the hub at {constants.ENDPOINT} cannot be reached."
    if isinstance(error, errors.EntryNotFoundError):
        return "the repository has no such file."
    if isinstance(error, errors.RevisionNotFoundError):
        return "the repository has no such revision."
    if isinstance(error, errors.GatedRepoError):
        return "the repository asks its users to accept its terms first; do so on its page, then `hf auth login`."
    if isinstance(error, errors.RepositoryNotFoundError):
        return "there is no such repository, or it is private; then `hf auth login` first."
    return first_line(error)
