"""Transparency: colours that are not seen do not bleed, and hard edges are told from soft ones."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lsm.image.io import has_alpha, read_image
from lsm.image.resample import fill_hidden_colours, has_hard_edges, resized

RED, GREEN = (250, 20, 20), (20, 250, 20)


def disc(soft: bool = False, side: int = 32) -> np.ndarray:
    y, x = np.mgrid[:side, :side] - side / 2 + 0.5
    distance = side / 3 - np.hypot(x, y)
    return (np.clip(distance + 0.5, 0, 1) if soft else distance > 0).astype(np.float64)


@pytest.mark.parametrize("faint", range(9))
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_colours_under_faint_alpha_do_not_bleed(faint: int, dtype: type) -> None:
    peak = 1 if dtype == np.float32 else np.iinfo(dtype).max
    inside = disc() > 0
    alpha = np.where(inside, peak, faint / 255 * peak).astype(dtype)
    colour = (np.where(inside[..., None], RED, GREEN) / 255 * peak).astype(dtype)
    filled = fill_hidden_colours(colour, alpha)
    np.testing.assert_array_equal(filled[inside], colour[inside])
    ring = (disc(side=32) == 0) & (
        resized(inside[..., None].astype(np.float32), 32, 32, np.dtype(np.float32))[..., 0] == 0
    )
    ring &= np.hypot(*(np.mgrid[:32, :32] - 15.5)) < 32 / 3 + 1.5
    mistake = np.abs(filled[ring].astype(float) / peak * 255 - RED).mean()
    assert mistake <= 25  # of 153 where nothing is done


def test_colours_of_what_is_seen_stay(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    colour = rng.integers(0, 256, (20, 20, 3), np.uint8)
    alpha = rng.integers(33, 256, (20, 20)).astype(np.uint8)
    assert fill_hidden_colours(colour, alpha) is colour
    shadow = np.zeros((20, 20, 3), np.uint8)  # faint all over, and of one colour
    np.testing.assert_array_equal(fill_hidden_colours(shadow, np.full((20, 20), 9, np.uint8)), shadow)
    nothing = np.zeros((20, 20), np.uint8)
    assert fill_hidden_colours(colour, nothing) is colour


def test_hard_edges_are_told_from_soft_ones() -> None:
    def alpha(plane: np.ndarray, dtype: type = np.uint8) -> np.ndarray:
        return np.rint(plane * np.iinfo(dtype).max).astype(dtype)[..., None]

    assert has_hard_edges(alpha(disc()))
    assert has_hard_edges(alpha(disc(), np.uint16))
    assert has_hard_edges(disc().astype(np.float32)[..., None])
    assert not has_hard_edges(alpha(disc(soft=True)))
    assert not has_hard_edges(alpha(np.tile(np.linspace(0, 1, 32), (32, 1))))
    assert not has_hard_edges(alpha(np.ones((8, 8))))
    assert not has_hard_edges(alpha(np.full((8, 8), 0.5)))


@pytest.mark.parametrize("bits", [2, 4])
def test_a_transparent_grey_counts_in_the_files_own_depth(tmp_path: Path, bits: int) -> None:
    most = 2**bits - 1
    values = np.tile(np.arange(most + 1, dtype=np.uint8), (4, 3))
    grey = Image.fromarray(values, "P")
    grey.putpalette(np.repeat(np.arange(256, dtype=np.uint8), 3).tobytes())
    # A grey PNG of few bits, of which Pillow writes none with tRNS, from its chunks.
    import struct
    import zlib

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    height, width = values.shape
    rows = b"".join(
        b"\0" + int("".join(f"{value:0{bits}b}" for value in row), 2).to_bytes(width * bits // 8, "big")
        for row in values
    )
    head = struct.pack(">IIBBBBB", width, height, bits, 0, 0, 0, 0)
    path = tmp_path / "a.png"
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", head)
        + chunk(b"tRNS", struct.pack(">H", most - 1))
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )
    assert has_alpha(path)
    pixels = read_image(path).pixels
    np.testing.assert_array_equal(pixels[..., 0], values * (255 // most))
    np.testing.assert_array_equal(pixels[..., 1] == 0, values == most - 1)
