"""Tiles cover an image once, weights add up to one, and the blended result is that of the whole image."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from lsm.errors import OptionError
from lsm.inference.tiling import Span, blend_bands, check_tile, count_tiles, spans, weights


@st.composite
def grids(draw: st.DrawFn) -> tuple[int, int, int, int]:
    multiple = draw(st.integers(1, 9))
    tile = multiple * draw(st.integers(2, 9))
    return draw(st.integers(1, 200)), tile, draw(st.integers(0, tile // 2)), multiple


@given(grids(), st.integers(1, 3))
@settings(deadline=None, max_examples=300)
def test_weights_add_up_to_one_and_two_tiles_meet_at_most(grid: tuple[int, int, int, int], scale: int) -> None:
    size, tile, overlap, multiple = grid
    total, meeting = torch.zeros(size * scale), torch.zeros(size * scale)
    all_spans = spans(size, tile, overlap, multiple)
    for i, span in enumerate(all_spans):
        assert 0 <= span.start <= span.keep_start < span.keep_stop <= span.stop <= size
        assert span.start % multiple == 0
        assert span.stop - span.start <= tile
        assert i == 0 or all_spans[i - 1].stop - span.start >= min(overlap, span.stop - span.start)
        kept = slice(span.keep_start * scale, span.keep_stop * scale)
        total[kept] += weights(span, scale)
        meeting[kept] += 1
    torch.testing.assert_close(total, torch.ones_like(total))
    assert meeting.min() >= 1
    assert meeting.max() <= 2


def nearest(image: Tensor, scale: int, row: Span, column: Span) -> Tensor:
    tile = image[:, row.start : row.stop, column.start : column.stop]
    return tile.repeat_interleave(scale, 1).repeat_interleave(scale, 2)


@given(grids(), grids(), st.integers(1, 3))
@settings(deadline=None, max_examples=30)
def test_blending_of_a_local_operation_is_seamless(
    first: tuple[int, int, int, int], second: tuple[int, int, int, int], scale: int
) -> None:
    image = torch.rand(3, first[0], second[0])
    rows, columns = spans(*first), spans(*second)
    bands = list(blend_bands(rows, columns, scale, lambda row, column: nearest(image, scale, row, column)))
    tops = [top for top, _ in bands]
    heights = [band.shape[1] for _, band in bands]
    assert tops == [sum(heights[:i]) for i in range(len(heights))]
    expected = image.repeat_interleave(scale, 1).repeat_interleave(scale, 2)
    torch.testing.assert_close(torch.cat([band for _, band in bands], dim=1), expected)


def test_order_of_the_tiles_does_not_matter_to_the_bit() -> None:
    rows, columns = spans(90, 32, 16, 8), spans(120, 32, 16, 8)
    tiles = {(r, c): torch.rand(3, 2 * (r.stop - r.start), 2 * (c.stop - c.start)) for r in rows for c in columns}
    forward = [band for _, band in blend_bands(rows, columns, 2, lambda r, c: tiles[r, c])]
    shuffled = [columns[i] for i in torch.randperm(len(columns), generator=torch.Generator().manual_seed(0))]
    shuffled.remove(columns[-1])
    shuffled.append(columns[-1])  # the last one says the width
    other = [band for _, band in blend_bands(rows, shuffled, 2, lambda r, c: tiles[r, c])]
    assert all(torch.equal(a, b) for a, b in zip(forward, other, strict=True))


def test_one_tile_is_left_as_it_is() -> None:
    image = torch.randn(3, 10, 14)
    whole = spans(10, 0, 0, 8), spans(14, 16, 8, 8)
    ((top, band),) = blend_bands(*whole, 1, lambda row, column: image)
    assert top == 0
    assert torch.equal(band, image)
    assert count_tiles(10, 14, 0, 0, 8) == 1


def test_wrong_grids_are_refused() -> None:
    assert check_tile(0, 32, 16) == 0
    assert check_tile(100, 32, 16) == 96
    for tile, overlap in ((-1, 0), (64, -1), (31, 8), (64, 33)):
        with pytest.raises(OptionError):
            check_tile(tile, overlap, 16)
