"""Small archives that are packed as the owners of the usual sets pack theirs, and a server of them."""

from __future__ import annotations

import dataclasses
import functools
import http.server
import io
import tarfile
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lsm.data import catalog
from lsm.image.resize import imresize

SIDE = 96
BENCHMARK = {"Set5": ["baby", "bird"], "Set14": ["lenna"], "B100": ["3096"], "Urban100": ["img_001"]}


def _png(image: np.ndarray) -> bytes:
    content = io.BytesIO()
    Image.fromarray(image).save(content, "PNG")
    return content.getvalue()


def image(seed: int) -> np.ndarray:
    """Smooth colours with some edges, uint8 (96, 96, 3)."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((SIDE, SIDE), Image.Resampling.BILINEAR))


def _with_lr(stem: str, seed: int) -> dict[str, bytes]:
    """The files of an image below the folders HR, LR_bicubic/X2 and so on."""
    hr = image(seed)
    files = {f"HR/{stem}.png": _png(hr)}
    for scale in (2, 3, 4):
        files[f"LR_bicubic/X{scale}/{stem}x{scale}.png"] = _png(imresize(hr, (SIDE // scale, SIDE // scale)))
    return files


def owners_archives() -> dict[str, dict[str, bytes]]:
    """Return the members of each archive by the archive's name."""
    archives: dict[str, dict[str, bytes]] = {"benchmark.tar": {}, "Flickr2K.tar": {}}
    for name, stems in BENCHMARK.items():
        for number, stem in enumerate(stems):
            for file, content in _with_lr(stem, number).items():
                archives["benchmark.tar"][f"benchmark/{name}/{file}"] = content
    for number in (1, 2):
        for file, content in _with_lr(f"{number:06}", 20 + number).items():
            archives["Flickr2K.tar"][f"Flickr2K/Flickr2K_{file}"] = content
    archives["Flickr2K.tar"]["Flickr2K/Flickr2K_LR_unknown/X2/000001x2.png"] = b"not wanted"
    for part, first in (("train", 1), ("valid", 801)):
        for number in (first, first + 1):
            for file, content in _with_lr(f"{number:04}", number).items():
                folder = file.rsplit("/", 1)[0].replace("/", "_")
                archives.setdefault(f"DIV2K_{part}_{folder}.zip", {})[f"DIV2K_{part}_{file}"] = content
    return archives


def _pack(path: Path, members: dict[str, bytes]) -> None:
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w") as packed:
            for name, content in members.items():
                packed.writestr(name, content)
        return
    with tarfile.open(path, "w") as packed:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            packed.addfile(info, io.BytesIO(content))


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *arguments: object) -> None:
        pass


@contextmanager
def served(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Serve stand-ins from a folder, and let the catalogue have their addresses instead of the owners'."""
    folder.mkdir()
    for name, members in owners_archives().items():
        _pack(folder / name, members)
    handler = functools.partial(_Quiet, directory=str(folder))
    instance = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=instance.serve_forever, daemon=True)
    thread.start()
    address = f"http://127.0.0.1:{instance.server_address[1]}"

    def moved(archive: catalog.Archive) -> catalog.Archive:
        return catalog.Archive(f"{address}/{archive.name}", archive.moves)

    entries = tuple(
        dataclasses.replace(entry, archives=tuple(moved(archive) for archive in entry.archives))
        for entry in catalog.CATALOG
    )
    monkeypatch.setattr(catalog, "CATALOG", entries)
    try:
        yield address
    finally:
        instance.shutdown()
        thread.join()
        instance.server_close()
