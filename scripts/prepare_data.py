"""Make images ready for training: the same as `lsm data prepare`, for those who look for a script.

python scripts/prepare_data.py datasets/DIV2K/HR datasets/DIV2K_sub --sub-size 480 --sub-step 240 --lmdb
"""

import sys

from lsm.cli import main

if __name__ == "__main__":
    main(["data", "prepare", *sys.argv[1:]])
