import ast
import subprocess
import sys
from pathlib import Path

import lsm

PROMISED = {
    *("LSM", "LSMConfig", "LRU", "LRUUNet", "Upscaler", "UpscaleOptions", "linear_scan"),
    *("create_model", "list_models", "load_model", "save_model", "__version__"),
}


def test_the_public_names_are_there_and_documented():
    assert set(lsm.__all__) == PROMISED
    assert set(dir(lsm)) >= PROMISED
    for name in PROMISED - {"__version__"}:
        assert getattr(lsm, name).__doc__, name
    assert lsm.__version__[0].isdigit()


def test_types_and_lazy_names_agree():
    """What type checkers read is what `__getattr__` imports."""
    tree = ast.parse(Path(lsm.__file__).read_text())
    block = next(node for node in tree.body if isinstance(node, ast.If))
    typed = {alias.name: node.module for node in block.body if isinstance(node, ast.ImportFrom) for alias in node.names}
    assert typed == lsm._HOMES
    for name, home in typed.items():
        assert getattr(lsm, name) is getattr(sys.modules[home], name)


def test_an_unknown_name_is_an_attribute_error():
    assert not hasattr(lsm, "create_modle")


IMPORTS = """
import sys

def loaded():
    return {name.partition(".")[0] for name in sys.modules}

import lsm
dir(lsm), lsm.__version__, lsm.list_models()
print(*loaded())
import torch
by_torch = loaded()
lsm.LSM, lsm.linear_scan, lsm.LRUUNet, lsm.load_model, lsm.Upscaler
print(*(loaded() - by_torch))
"""


def test_import_is_light():
    done = subprocess.run([sys.executable, "-c", IMPORTS], capture_output=True, text=True, check=True)
    before, after = (set(line.split()) for line in done.stdout.splitlines())
    assert "lsm" in before and before.isdisjoint({"torch", "numpy", "typer"})
    # What torch itself brings, which may be triton, is not ours to choose.
    heavy = {"basicsr", "cv2", "matplotlib", "triton", "timm", "torchvision", "skimage", "typer", "rich", "pydantic"}
    assert after.isdisjoint(heavy), heavy & after
