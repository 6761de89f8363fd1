"""What pyproject.toml cannot say of a build: option files inside the package, an index' page, and equal bytes.

The same tree and SOURCE_DATE_EPOCH give the same wheel and source archive.
"""

import gzip
import io
import os
import re
import shutil
import tarfile
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py
from setuptools.command.sdist import sdist

OLDEST = 315532800  # 1980: what a zip, and so a wheel, can date


class BuildWithOptions(build_py):
    """Copies options/ to lsm/options, where `lsm options` finds it; an installation in place reads it where it lies."""

    def run(self):
        """Build, and copy."""
        super().run()
        if not self.editable_mode:
            for source in _option_files():
                target = Path(self.build_lib, "lsm", source)
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(source, target)

    def get_outputs(self, include_bytecode=True):
        """List the copies too."""
        own = [] if self.editable_mode else [str(Path(self.build_lib, "lsm", source)) for source in _option_files()]
        return super().get_outputs(include_bytecode) + own


class EqualSource(sdist):
    """Writes the source archive without its builder: names sorted, one date, one owner, two modes."""

    def make_archive(self, base_name, format, *args, **kwargs):
        """Write the archive, and rewrite it if it is a .tar.gz."""
        path = super().make_archive(base_name, format, *args, **kwargs)
        if format == "gztar":
            _normalise(Path(path))
        return path


def _normalise(path):
    date = max(OLDEST, int(os.environ.get("SOURCE_DATE_EPOCH", OLDEST)))
    plain = io.BytesIO()
    with tarfile.open(path) as old, tarfile.open(fileobj=plain, mode="w", format=tarfile.PAX_FORMAT) as new:
        for member in sorted(old.getmembers(), key=lambda each: each.name):
            content = old.extractfile(member)
            member.mtime, member.uid, member.gid, member.uname, member.gname = date, 0, 0, "", ""
            member.mode = 0o755 if member.isdir() or member.mode & 0o100 else 0o644
            member.pax_headers = {}
            new.addfile(member, content)
    with path.open("wb") as file, gzip.GzipFile("", "wb", mtime=date, fileobj=file) as packed:
        packed.write(plain.getvalue())


def _option_files():
    return sorted(Path("options").glob("*/*.yml"))


def index_page(readme):
    """Return the README for a package index, which has none of the repository's files: no relative images or links."""
    text = re.sub(r"^!\[[^\]]*\]\((?!https?:)[^)]*\)\n(\n\*.*?\*\n)?", "", readme, flags=re.MULTILINE | re.DOTALL)
    text = re.sub(r"<!--.*?-->\n?", "", text, flags=re.DOTALL)
    return re.sub(r"\[([^\]]+)\]\((?!https?:|mailto:)[^)]*\)", r"\1", text)


setup(
    cmdclass={"build_py": BuildWithOptions, "sdist": EqualSource},
    long_description=index_page(Path("README.md").read_text(encoding="utf-8")),
    long_description_content_type="text/markdown",
)
