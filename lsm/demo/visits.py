"""The demo's files on disk: one folder a visit, gone when its page is closed, and all of them when the server ends."""

from __future__ import annotations

import itertools
import shutil
import tempfile
import threading
from collections import defaultdict
from pathlib import Path


class Visits:
    """A temporary folder, and in it what belongs to whom.

    Equal uploads of two visits are one file, which goes with the last of them.

    Attributes:
        root: The folder; only the user whom the server runs as can look into it.
    """

    def __init__(self) -> None:
        self.root = Path(tempfile.mkdtemp(prefix="lsm-demo-"))
        self._lock = threading.Lock()
        self._uploads: dict[str, set[Path]] = defaultdict(set)
        self._folders: dict[str, list[Path]] = defaultdict(list)
        self._numbers = itertools.count()

    def note_upload(self, visit: str, upload: Path) -> None:
        """Remember that a visit has uploaded a file."""
        with self._lock:
            self._uploads[visit].add(upload)

    def new_folder(self, visit: str) -> Path:
        """Make an empty folder for one result of a visit; the folder of the visit's result before goes."""
        with self._lock:
            while self._folders[visit]:
                shutil.rmtree(self._folders[visit].pop(), ignore_errors=True)
            folder = Path(tempfile.mkdtemp(prefix=f"{next(self._numbers)}-", dir=self.root))
            self._folders[visit].append(folder)
            return folder

    def end(self, visit: str) -> None:
        """Delete all of a visit but the uploads that another visit has too."""
        with self._lock:
            for folder in self._folders.pop(visit, []):
                shutil.rmtree(folder, ignore_errors=True)
            uploads = self._uploads.pop(visit, set())
            for upload in uploads.difference(*self._uploads.values()):
                shutil.rmtree(upload.parent, ignore_errors=True)
            for stray in self.root.iterdir():  # gradio leaves an empty file for each upload that it hands over
                if stray.is_file() and stray.stat().st_size == 0:
                    stray.unlink()

    def close(self) -> None:
        """Delete everything."""
        shutil.rmtree(self.root, ignore_errors=True)
