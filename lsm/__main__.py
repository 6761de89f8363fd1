"""`python -m lsm`: the same as the command `lsm`."""

from lsm.cli import main

if __name__ == "__main__":
    main()
