import os

import pytest

from lsm.benchmark.pool import worker_pool
from lsm.data.parallel import in_order
from lsm.errors import InputError, OptionError


def test_a_killed_worker_is_told_in_one_line():
    with pytest.raises(InputError, match="fewer --jobs"), worker_pool(1, "lsm.benchmark.pool") as pool:
        pool.submit(os._exit, 9).result()


def test_one_job_needs_no_process():
    seen = []
    assert list(in_order(lambda *numbers: seen.append(numbers) or sum(numbers), [(1, 2), (3, 4)], 1)) == [3, 7]
    assert seen == [(1, 2), (3, 4)]
    with pytest.raises(OptionError, match="--jobs 0"):
        list(in_order(sum, [], 0))
