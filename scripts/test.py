"""`lsm test` as a script, so that `torchrun scripts/test.py -opt X.yml --launcher pytorch` can start it."""

import sys

from lsm.cli import main

if __name__ == "__main__":
    main(["test", *sys.argv[1:]])
