"""Small files that ask for much: built by hand, since no program writes them."""

from __future__ import annotations

import io
import itertools
import lzma
import random
import struct
import zlib
from pathlib import Path

import numpy as np
import tifffile
from PIL import Image

_GIGABYTE = 1 << 30


def image_bombs(inflated: int = _GIGABYTE) -> dict[str, bytes]:
    """Make small images that would take gigabytes or hours.

    Args:
        inflated: Bytes that the compressed parts inflate to.

    Returns:
        Files by name with extension.
    """
    return {
        "wide.png": _png(200_000, 200_000),
        "megapixels.bmp": _bmp(60_000, 60_000),
        "scans.jpg": progressive_with(20_000),
        "deflate.tif": tiff_with(zlib.compress(bytes(inflated), 9), "zlib"),
        "lzma.tif": tiff_with(lzma.compress(bytes(inflated), preset=0), "lzma"),
        "text.png": _png(8, 8, _chunk(b"zTXt", b"k\0\0" + zlib.compress(bytes(inflated), 9))),
        "profile.png": _png(8, 8, _chunk(b"iCCP", b"k\0\0" + zlib.compress(bytes(inflated), 9))),
    }


def progressive_with(scans: int, side: int = 4000) -> bytes:
    """Make a progressive JPEG that repeats its last scan."""
    file = io.BytesIO()
    Image.new("L", (side, side), 90).save(file, "JPEG", progressive=True)
    data = file.getvalue()
    last = data[data.rindex(b"\xff\xda") : -2]
    return data[:-2] + last * scans + data[-2:]


def tiff_with(packed: bytes, compression: str) -> bytes:
    """Make a 16-bit TIFF of 64×64 whose only strip is packed data of one's own."""
    file = io.BytesIO()
    pixels = np.zeros((64, 64, 3), np.uint16)
    tifffile.imwrite(file, pixels, photometric="rgb", compression=compression, rowsperstrip=64)
    with tifffile.TiffFile(io.BytesIO(file.getvalue())) as tif:
        page = tif.pages[0]
        offsets, counts = page.tags["StripOffsets"], page.tags["StripByteCounts"]  # type: ignore[union-attr]
    data = bytearray(file.getvalue())
    for tag, value in ((offsets, len(data)), (counts, len(packed))):
        struct.pack_into({3: "<H", 4: "<I", 16: "<Q"}[int(tag.dtype)], data, tag.valueoffset, value)
        if int(tag.dtype) == 3:  # a short cannot hold it
            struct.pack_into("<HI", data, tag.offset + 2, 4, 1)
            struct.pack_into("<I", data, tag.offset + 8, value)
    return bytes(data) + packed


def option_bombs() -> dict[str, str]:
    """Make YAML texts that would grow, nest or hang, by what they do."""
    names = "abcdefghij"
    laughs = "\n".join(f"{b}: &{b} [{', '.join([f'*{a}'] * 10)}]" for a, b in itertools.pairwise(names))
    merges = "\n".join(f"{b}: &{b} {{<<: [{', '.join([f'*{a}'] * 10)}]}}" for a, b in itertools.pairwise(names))
    return {
        "aliases of aliases": f"a: &a [x]\n{laughs}",
        "merges of merges": f"a: &a {{k: v}}\n{merges}",
        "itself": "a: &a [*a]",
        "a merge of itself": "a: &a\n  <<: *a",
        "20,000 levels": "[" * 20_000,
        "20,000 levels of mappings": "{a: " * 20_000,
        "9,000 keys": "\n".join(f"k{n}: 1" for n in range(9_000)),
        "5 MB": "a: " + "x" * 5_000_000,
        "a number of 90,000 digits": "scale: " + "9" * 90_000,
        "a date that cannot be": "name: 2024-13-45",
        "code": "name: !!python/object/apply:os.mkdir [canary]",
        "a module": "name: !!python/module:os",
        "bytes": "name: !!binary '%%%'",
        "a list as key": "? [a, b]\n: c",
        "null bytes": "name: a\0b",
        "half a surrogate": 'name: "\\ud800"',
        "another encoding": "%YAML 9.9\n---\na: 1",
        "several documents": "a: 1\n---\nb: 2",
    }


def archive_bombs(folder: Path) -> dict[str, Path]:
    """Write archives that would unpack to far more than they are, by what they do."""
    import gzip
    import tarfile
    import zipfile

    zeros = folder / "zeros.zip"
    with zipfile.ZipFile(zeros, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("zeros.png", "w") as member:
        for _ in range(1024):
            member.write(bytes(1 << 20))
    tar = folder / "zeros.tar.gz"
    with tarfile.open(tar, "w:gz") as packed:
        info = tarfile.TarInfo("zeros.png")
        info.size = _GIGABYTE
        packed.addfile(info, _Zeros(_GIGABYTE))  # type: ignore[arg-type]
    many = folder / "many.tar.gz"
    header = tarfile.TarInfo("a.png").tobuf()
    with gzip.open(many, "wb", 9) as file:
        for _ in range(3000):
            file.write(header * 1000)
    return {"1 GB of zeros in a zip": zeros, "1 GB of zeros in a tar.gz": tar, "3,000,000 members": many}


class _Zeros(io.RawIOBase):
    """So many zeros, without the memory for them."""

    def __init__(self, size: int) -> None:
        self._left = size

    def read(self, size: int = -1) -> bytes:
        size = self._left if size < 0 else min(size, self._left)
        self._left -= size
        return bytes(size)


def config_values(rng: random.Random) -> object:
    """Choose a value that no field of a configuration should have."""
    deep: object = 0
    for _ in range(rng.choice((3, 100))):
        deep = [deep]
    return rng.choice(
        [
            *(0, -1, 1, 3, 2**31, 2**63, 10**30, 1e308, -1e-300, float("nan"), float("inf"), True, None),
            *("", "x" * 10_000, "../../etc/passwd", "\0", "official", "hilbert", [], {}, deep),
            *([0], [10**9], [1] * 5000, [256, 256], [1, 4096], [10**6, 10**6], [-1, 8], ["a", "b"], [1e9, 1e9]),
        ]
    )


def _png(width: int, height: int, extra: bytes = b"") -> bytes:
    head = _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    lines = zlib.compress(bytes((3 * width + 1) * min(height, 8)))
    return b"\x89PNG\r\n\x1a\n" + head + extra + _chunk(b"IDAT", lines) + _chunk(b"IEND", b"")


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _bmp(width: int, height: int) -> bytes:
    return b"BM" + struct.pack("<IHHIIiiHHIIiiII", 54, 0, 0, 54, 40, width, height, 1, 24, 0, 0, 0, 0, 0, 0)
