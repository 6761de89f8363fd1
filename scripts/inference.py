"""Upscale images: the same as `lsm upscale`, for those who look for a script.

python scripts/inference.py -i photo.jpg -o results -n tiny-x4
"""

import sys

from lsm.cli import main

if __name__ == "__main__":
    main(["upscale", *sys.argv[1:]])
