import subprocess
import sys

import lsm

PROMISED = {"LSM", "LSMConfig", "LRU", "LRUUNet", "Upscaler", "create_model", "linear_scan", "load_model"}


def test_the_public_names_are_there_and_documented():
    assert set(lsm.__all__) >= PROMISED
    for name in lsm.__all__:
        assert getattr(lsm, name).__doc__, name


def test_import_is_light():
    # What torch itself brings, which may be triton, is not ours to choose.
    code = (
        "import sys, torch; before = set(sys.modules); import lsm; "
        "print(*sorted({name.partition('.')[0] for name in sys.modules.keys() - before}))"
    )
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    heavy = {"basicsr", "cv2", "matplotlib", "triton", "timm", "torchvision", "skimage", "typer", "rich", "pydantic"}
    assert heavy.isdisjoint(loaded)
