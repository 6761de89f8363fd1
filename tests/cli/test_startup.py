"""What answers without PyTorch, and what upscaling does not import: each asked of a process of its own."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import lsm
from lsm.cli.flags import translate_options
from lsm.image.io import write_image

HEAVY = {"torch", "cv2", "PIL", "numpy", "matplotlib", "gradio"}
NOT_FOR_UPSCALING = {"basicsr", "scipy", "skimage", "timm", "torchvision", "matplotlib", "tensorboard"}

CODE = """
import sys
sys.modules["numba"] = None  # of the extra `fast`; it imports scipy where that is installed
sys.argv = ["lsm", *sys.argv[1:]]
try:
    from lsm.__main__ import main
    main()
except SystemExit as left:
    code = left.code
print("code", code or 0, "modules", *sorted({name.partition(".")[0] for name in sys.modules}))
"""


def run(*arguments: object) -> tuple[str, int, set[str]]:
    """Return what a command says, its exit code, and the top-level packages that it has imported."""
    done = subprocess.run(
        [sys.executable, "-c", CODE, *map(str, arguments)], capture_output=True, text=True, check=True
    )
    *said, last = done.stdout.splitlines()
    code, modules = last.removeprefix("code ").split(" modules ")
    return "\n".join(said) + done.stderr, int(code), set(modules.split())


@pytest.mark.parametrize(
    ("arguments", "expected", "text"),
    [
        (["--help"], 0, "upscale"),
        (["--version"], 0, f"lsm {lsm.__version__}"),
        (["models"], 0, "tiny-x4"),
        (["upscal", "a.png"], 2, "Did you mean 'upscale'"),
        (["upscale", "--help"], 0, "--tile"),
        (["upscale", "a.png", "--precision", "fp8"], 2, "fp16"),
    ],
)
def test_these_answer_without_pytorch(arguments: list[str], expected: int, text: str) -> None:
    said, code, modules = run(*arguments)
    assert code == expected and text in said
    assert modules.isdisjoint(HEAVY), modules & HEAVY


def test_upscaling_imports_nothing_of_training(tmp_path: Path) -> None:
    write_image(tmp_path / "a.png", np.zeros((8, 8, 3), np.uint8))
    _, code, modules = run("upscale", tmp_path / "a.png", "-o", tmp_path / "b.png", "-n", "tiny-x2", "--device", "cpu")
    assert code == 0 and (tmp_path / "b.png").exists()
    assert "torch" in modules
    assert modules.isdisjoint(NOT_FOR_UPSCALING), modules & NOT_FOR_UPSCALING


def test_the_module_runs_as_the_command() -> None:
    done = subprocess.run([sys.executable, "-m", "lsm", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout == f"lsm {lsm.__version__}\n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("exists; use `overwrite` or `skip_existing`.", "exists; use --overwrite or --skip-existing."),
        ("raise it (`max_pixels`)", "raise it (--max-megapixels)"),
        ("see `lsm upscale` and `ray start --head`", "see `lsm upscale` and `ray start --head`"),
        ("`no_option_of_ours` stays", "`no_option_of_ours` stays"),
        ("let `device` be cpu; `auto_resume`", "let --device be cpu; --auto_resume"),
    ],
)
def test_options_in_messages_become_flags(text: str, expected: str) -> None:
    assert translate_options(text) == expected
