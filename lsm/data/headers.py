"""What can be known of an image file without decoding it: its size, and whether its end is there."""

from __future__ import annotations

import os
from pathlib import Path
from typing import BinaryIO

from PIL import ExifTags, Image

from lsm.errors import InputError
from lsm.image.io import read_rgb

_PNG_END = b"\0\0\0\0IEND\xaeB`\x82"
_JPEG_END = b"\xff\xd9"


def header_size(path: Path) -> tuple[int, int]:
    """Read an image's (width, height) from its header, as it stands upright.

    Raises:
        InputError: If the file is no image.
    """
    try:
        with path.open("rb") as file, Image.open(file) as image:
            width, height = image.size
            turned = image.getexif().get(ExifTags.Base.Orientation, 1) >= 5
    except OSError as error:
        raise InputError(f"{path} is not a readable image.") from error
    return (height, width) if turned else (width, height)


def check_whole(path: Path) -> None:
    """Raise unless an image file is there to its end.

    A PNG or JPEG that ends as one ends is taken for whole, which costs a read of its last bytes; anything else is
    decoded.

    Raises:
        InputError: If the file cannot be read, is cut off, or is no image.
    """
    try:
        with path.open("rb") as file:
            if _ends(file):
                return
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}.") from error
    read_rgb(path)


def _ends(file: BinaryIO) -> bool:
    """Return whether a file begins and ends as a PNG or a JPEG does."""
    head = file.read(3)
    end = {b"\x89PN": _PNG_END, b"\xff\xd8\xff": _JPEG_END}.get(head)
    if end is None:
        return False
    length = file.seek(0, os.SEEK_END)
    file.seek(max(0, length - len(end)))
    return file.read() == end
