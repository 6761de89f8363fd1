import os
import signal
import subprocess
import sys

import pytest

from lsm.data.workers import map_in_order, worker_pool
from lsm.errors import InputError, OptionError


def test_a_killed_worker_is_an_error_of_one_line():
    with pytest.raises(InputError, match="fewer `jobs`"), worker_pool(1, "lsm.data.workers") as pool:
        pool.submit(os._exit, 9).result()


def test_one_job_needs_no_process():
    seen = []
    assert list(map_in_order(lambda *numbers: seen.append(numbers) or sum(numbers), [(1, 2), (3, 4)], 1)) == [3, 7]
    assert seen == [(1, 2), (3, 4)]
    with pytest.raises(OptionError, match="`jobs` must be at least 1, not 0"):
        list(map_in_order(sum, [], 0))


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_workers_end_with_a_parent_that_is_killed():
    command = [sys.executable, "-c", START]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    parent = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
    worker = int(parent.stdout.readline())
    parent.kill()
    try:
        parent.communicate(timeout=60)  # ends when the last process that holds the pipe has ended
    except subprocess.TimeoutExpired:
        os.kill(worker, signal.SIGKILL)
        pytest.fail("the worker outlives its parent")


START = """
import os, time
from lsm.data.workers import worker_pool
if __name__ == "__main__":
    with worker_pool(1, "os") as pool:
        print(pool.submit(os.getpid).result(), flush=True)
        pool.submit(time.sleep, 600).result()
"""
