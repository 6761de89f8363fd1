"""`-` for an input or output: an image through the standard streams, by way of a passing file."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lsm.errors import InputError, OptionError

if TYPE_CHECKING:
    from lsm.batch.plan import Job, Naming

_ONE_ALONE = "`-`, the standard input or output, is for one image alone."
_ENDINGS = {"JPEG": "jpg", "TIFF": "tif", "JPEG2000": "jp2", "HEIF": "heic"}


@dataclass(frozen=True)
class Piped:
    """The inputs and the naming of a run whose streams have become files.

    Attributes:
        names: Inputs, without "-".
        naming: With a folder for "-".
        folder: Of the passing files; none if there are none.
        to_stdout: Whether the output goes to the standard output.
    """

    names: Sequence[str]
    naming: Naming
    folder: Path | None = None
    to_stdout: bool = False

    def check(self, jobs: int) -> None:
        """Refuse several images for the standard output, which readers would take for one damaged image.

        Args:
            jobs: How many images were found.

        Raises:
            OptionError: If they are several.
        """
        if self.to_stdout and jobs > 1:
            raise OptionError(_ONE_ALONE)

    def hide(self, text: str) -> str:
        """Take the folder of the passing files out of a message."""
        for folder in (self.naming.output, self.folder) if self.folder else ():
            text = text.replace(f"{folder}{os.sep}", "")
        return text

    def write(self, done: Sequence[Job]) -> None:
        """Write the output to the standard output, if it goes there."""
        for job in done if self.to_stdout else []:
            assert isinstance(job.target, Path)  # in the folder of the passing files
            sys.stdout.buffer.write(job.target.read_bytes())
            sys.stdout.buffer.flush()


@contextlib.contextmanager
def pipe(names: Sequence[str], naming: Naming) -> Iterator[Piped]:
    """Replace the standard streams by files for the time of a run.

    Args:
        names: Inputs; "-" reads an image from the standard input.
        naming: Whose output "-" writes the one image to the standard output.

    Raises:
        InputError: If the standard input holds no image.
        OptionError: If it is named more than once, or several inputs are to go to the standard output.
    """
    to_stdout = str(naming.output) == "-"
    if "-" not in names and not to_stdout:
        yield Piped(names, naming)
        return
    if len(names) > 1:
        raise OptionError(_ONE_ALONE)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if names == ["-"]:
            names = [os.fspath(_stdin_to_file(folder))]
        if to_stdout:
            if Path(names[0]).is_dir():
                raise OptionError(_ONE_ALONE)
            naming = dataclasses.replace(naming, output=folder / "out")
        yield Piped(names, naming, folder, to_stdout)


def _stdin_to_file(folder: Path) -> Path:
    """Read the standard input into a file with the ending of its format."""
    from lsm.image.formats import kind_of

    data = sys.stdin.buffer.read()
    if not data:
        raise InputError("The standard input is empty.")
    try:
        kind = kind_of(data)
    except InputError as error:
        raise InputError(f"The standard input: {error}") from error
    path = folder / f"stdin.{_ENDINGS.get(kind, kind.lower())}"
    path.write_bytes(data)
    return path
