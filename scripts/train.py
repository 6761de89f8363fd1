"""`lsm train` as a script, so that `torchrun scripts/train.py -opt X.yml --launcher pytorch` can start it."""

import sys

from lsm.cli import main

if __name__ == "__main__":
    main(["train", *sys.argv[1:]])
