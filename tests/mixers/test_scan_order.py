import pytest
import torch

from lsm.errors import OptionError
from lsm.mixers.scan_order import SPATIAL_ORDERS, check_order, directions, permutation
from lsm.scan.reorder import invert

SIZES = [(1, 1), (1, 9), (7, 1), (5, 8), (8, 8), (13, 6), (33, 17)]


@pytest.mark.parametrize("name", SPATIAL_ORDERS)
@pytest.mark.parametrize("size", SIZES)
def test_orders_visit_every_token_once_and_invert(name, size):
    order = permutation(name, *size)
    tokens = torch.randn(size[0] * size[1])
    assert order.sort().values.tolist() == list(range(len(tokens)))
    assert torch.equal(tokens[order][invert(order)], tokens)


def test_small_orders_by_hand():
    assert permutation("column", 2, 3).tolist() == [0, 3, 1, 4, 2, 5]
    assert permutation("snake", 3, 2).tolist() == [0, 1, 3, 2, 4, 5]
    assert permutation("hilbert", 2, 2).tolist() in ([0, 2, 3, 1], [0, 1, 3, 2])


@pytest.mark.parametrize("name", ["snake", "hilbert"])
def test_neighbours_in_the_sequence_are_neighbours_in_the_image(name):
    side = 16
    order = permutation(name, side, side)
    y, x = order // side, order % side
    assert ((y.diff().abs() + x.diff().abs()) == 1).all()


@pytest.mark.parametrize("base", SPATIAL_ORDERS)
@pytest.mark.parametrize("size", SIZES)
def test_composed_orders_cover_the_image_in_every_direction(base, size):
    for kind, count in (("bidirectional", 2), ("cross", 4)):
        scans = directions(f"{kind}-{base}", *size)
        assert len(scans) == count
        assert sum(backwards for _, backwards in scans) == count // 2
        for order, _ in scans:
            if order is not None:
                assert order.sort().values.tolist() == list(range(size[0] * size[1]))


def test_cross_of_raster_scans_rows_and_columns():
    orders = [order for order, _ in directions("cross", 3, 4)]
    assert orders[0] is None
    assert torch.equal(orders[2], permutation("column", 3, 4))


def test_batched_invert():
    order = torch.stack([torch.randperm(12) for _ in range(3)])
    tokens = torch.randn(3, 12)
    assert torch.equal(tokens.gather(1, order).gather(1, invert(order)), tokens)


@pytest.mark.parametrize("name", ["rster", "cross-category", "bidirectional-", "raster-cross", ""])
def test_unknown_orders_are_named(name):
    with pytest.raises(OptionError, match="scan order"):
        check_order(name)
