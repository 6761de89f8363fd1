"""Entry of a fuzzer on OSS-Fuzz; build.sh puts the target's name in."""

import sys

import atheris

with atheris.instrument_imports(include=["lsm", "PIL", "tifffile", "yaml", "soundfile"]):
    from fuzz.targets import TARGETS

    TARGETS["TARGET"](b"\0")  # loads what the target imports

atheris.Setup(sys.argv, TARGETS["TARGET"])
atheris.Fuzz()
