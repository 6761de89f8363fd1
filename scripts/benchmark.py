"""Compare methods on test sets: the same as `lsm benchmark`, for those who look for a script.

python scripts/benchmark.py --data datasets --sets Set5,Set14 --scales 4 --models tiny,bicubic --report results
torchrun --nproc_per_node=2 scripts/benchmark.py --data datasets --models tiny
"""

import sys

from lsm.cli import main

if __name__ == "__main__":
    main(["benchmark", *sys.argv[1:]])
