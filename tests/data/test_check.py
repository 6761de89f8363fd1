import cv2
import numpy as np
import pytest
from PIL import Image
from skimage import data

from lsm.data.check import check_set, misalignment
from lsm.data.datasets import find_set, pair_folders
from lsm.data.origin import other_origin
from lsm.image.resize import imresize

HIGH = data.astronaut()[:240, :320]
LOW = imresize(HIGH, 0.25)


def _save(path, image):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(image).save(path)


def _problems(image_set):
    return [problem for _, problems in check_set(image_set) for problem in problems]


@pytest.fixture
def root(tmp_path):
    for stem in "abc":
        _save(tmp_path / "Set5" / "HR" / f"{stem}.png", HIGH)
        _save(tmp_path / "Set5" / "LR_bicubic" / "X4" / f"{stem}x4.png", LOW)
    return tmp_path


def test_a_good_set(root):
    assert _problems(find_set(root, "Set5", 4)) == []
    assert [done for done, _ in check_set(find_set(root, "Set5", 4))] == [1, 2, 3, 3]


def test_every_fault_is_named(root):
    high, low = root / "Set5" / "HR", root / "Set5" / "LR_bicubic" / "X4"
    _save(high / "d.png", HIGH)
    (low / "ax4.png").write_bytes((low / "ax4.png").read_bytes()[:500])
    _save(low / "bx4.png", LOW[:-1])
    _save(low / "cx4.png", np.ascontiguousarray(LOW[:, ::-1]))
    _save(low / "zx4.png", LOW)
    found = {problem.image: problem.text for problem in _problems(find_set(root, "Set5", 4, incomplete=True))}
    assert list(found) == ["a", "b", "c", "d", "zx4"]
    assert "damaged or cut off" in found["a"]
    assert "80×59" in found["b"] and "needs 80×60" in found["b"]
    assert "shows something else than c.png" in found["c"]
    assert "has no LR" in found["d"]
    assert "LR without HR" in found["zx4"]


def test_unreadable_hr_without_lr(tmp_path):
    _save(tmp_path / "HR" / "a.png", HIGH)
    (tmp_path / "HR" / "b.png").write_bytes(b"")
    found = _problems(pair_folders(tmp_path / "HR", None, 4, "mine"))
    assert [problem.image for problem in found] == ["b"]
    assert "empty" in found[0].text


@pytest.mark.parametrize(("dy", "dx"), [(0, 1), (2, 0), (-1, 3), (0, -1)])
def test_whole_pixel_shifts(dy, dx):
    padded = np.pad(LOW, ((3, 3), (3, 3), (0, 0)), mode="edge")
    shifted = padded[3 - dy : 63 - dy, 3 - dx : 83 - dx]
    text = misalignment(HIGH, shifted)
    right, down = (float(part) for part in text.removeprefix("lies ").split(" LR")[0].split(", "))
    assert right == pytest.approx(dx, abs=0.15)
    assert down == pytest.approx(dy, abs=0.15)


def test_every_fourth_pixel_is_misaligned():
    # Its pixels are those at 0, 4, 8 …, whose centres lie 1.5 HR pixels above and left of the LR pixels' centres.
    smooth = imresize(imresize(HIGH, 0.25), 4.0)
    text = misalignment(smooth, smooth[::4, ::4])
    right, down = (float(part) for part in text.removeprefix("lies ").split(" LR")[0].split(", "))
    assert right == pytest.approx(0.375, abs=0.1)
    assert down == pytest.approx(0.375, abs=0.1)


@pytest.mark.parametrize("kind", ["bicubic", "pillow", "box", "noise", "jpeg", "brightness", "flat"])
def test_other_degradations_are_aligned(kind, tmp_path):
    high, low = HIGH, LOW
    if kind in ("pillow", "box"):
        method = Image.Resampling.LANCZOS if kind == "pillow" else Image.Resampling.BOX
        low = np.asarray(Image.fromarray(HIGH).resize((80, 60), method))
    if kind == "noise":
        low = np.clip(LOW + np.random.default_rng(0).normal(0, 15, LOW.shape), 0, 255).astype(np.uint8)
    if kind == "jpeg":
        Image.fromarray(LOW).save(tmp_path / "a.jpg", quality=40)
        low = np.asarray(Image.open(tmp_path / "a.jpg"))
    if kind == "brightness":
        low = (LOW * 0.7).astype(np.uint8)
    if kind == "flat":
        high, low = np.full_like(HIGH, 90), np.full_like(LOW, 90)
    assert misalignment(high, low) is None


MADE_OTHERWISE = {
    "OpenCV's cubic": lambda: cv2.resize(HIGH, (80, 60), interpolation=cv2.INTER_CUBIC),
    "the mean of areas": lambda: HIGH.reshape(60, 4, 80, 4, 3).mean((1, 3)).round().astype(np.uint8),
    "red and blue swapped": lambda: np.ascontiguousarray(LOW[..., ::-1]),
    "antialiased Lanczos": lambda: np.asarray(Image.fromarray(HIGH).resize((80, 60), Image.Resampling.LANCZOS)),
}


@pytest.mark.parametrize("kind", MADE_OTHERWISE)
@pytest.mark.parametrize("folder", ["LR_bicubic/X4", "LR_x4"])
def test_lr_by_another_kernel_is_named(tmp_path, kind, folder):
    _save(tmp_path / "mine" / "HR" / "a.png", HIGH)
    _save(tmp_path / "mine" / folder / "a.png", MADE_OTHERWISE[kind]())
    (problem,) = _problems(find_set(tmp_path, "mine", 4))
    assert kind in problem.text and problem.text.endswith("of a.png.")


def test_other_bicubics_that_antialias_are_near_enough(tmp_path):
    low = Image.fromarray(HIGH).resize((80, 60), Image.Resampling.BICUBIC)
    assert other_origin(HIGH, np.asarray(low)) is None


def test_real_lr_is_left_alone_unless_its_folder_says_bicubic(tmp_path):
    noise = np.random.default_rng(0).normal(0, 6, LOW.shape)
    noisy = np.clip(LOW + noise, 0, 255).astype(np.uint8)
    assert other_origin(HIGH, noisy) is None
    assert "is not MATLAB's bicubic, from which it is 3" in other_origin(HIGH, noisy, must_be_bicubic=True)


def test_selfexsr_folders(tmp_path):
    folder = tmp_path / "Urban100" / "image_SRF_4"
    for kind, image in {"HR": HIGH, "LR": LOW, "bicubic": HIGH, "SelfExSR": HIGH}.items():
        _save(folder / f"img_001_SRF_4_{kind}.png", image)
    found = find_set(tmp_path, "Urban100", 4)
    assert [(pair.hr.stem, pair.lr.stem) for pair in found.pairs] == [("img_001_SRF_4_HR", "img_001_SRF_4_LR")]
    assert _problems(found) == []
