"""Blending of what stands still: it gets steadier, motion stays as it was, and a cut begins anew."""

import numpy as np
import pytest

pytest.importorskip("av", "18", reason="PyAV 18 (extra `video`) is not installed")
cv2 = pytest.importorskip("cv2")

from clips import LOSSLESS, Bicubic, read_clip, write_clip  # noqa: E402

from lsm.cli import main  # noqa: E402
from lsm.errors import CheckpointError, InputError, OptionError  # noqa: E402
from lsm.image.io import write_image  # noqa: E402
from lsm.metrics.fidelity import psnr  # noqa: E402
from lsm.video.convert import upscale_video  # noqa: E402
from lsm.video.file import VideoFile  # noqa: E402
from lsm.video.segments import Segments  # noqa: E402
from lsm.video.steady import LONGEST, State, Steadier, noise_between, still_places  # noqa: E402

SIDE, SCALE, FRAMES = 64, 2, 8


def scene(seed: int = 0, side: int = 4 * SIDE) -> np.ndarray:
    """Shading, boxes and, in one half, texture; (side, side, 3) float64 in steps of 255."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:side, :side]
    image = 128 + 40 * np.sin(rows / 37 + seed)[..., None] * np.cos(columns[..., None] / 43 + np.arange(3))
    for _ in range(30):
        top, left = rng.integers(0, side, 2)
        height, width = rng.integers(side // 20, side // 5, 2)
        image[top : top + height, left : left + width] = rng.integers(30, 226, 3)
    image[:, side // 2 :] += cv2.GaussianBlur(rng.normal(0, 20, (side, side - side // 2, 1)), (0, 0), 0.8)[..., None]
    return image.clip(16, 240)


def small(view: np.ndarray, noise: float, seed: int) -> np.ndarray:
    """Halve a view by the mean of 2×2 pixels, and add noise."""
    height, width, channels = view.shape
    halved = view.reshape(height // 2, 2, width // 2, 2, channels).mean((1, 3))
    return (halved + np.random.default_rng(seed).normal(0, noise, halved.shape)).clip(0, 255).round().astype(np.uint8)


def enlarged(frame: np.ndarray) -> np.ndarray:
    height, width = frame.shape[:2]
    return cv2.resize(frame, (SCALE * width, SCALE * height), interpolation=cv2.INTER_CUBIC)


def shot(step: int, noise: float, frames: int = FRAMES, seed: int = 0) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Return the small frames and the true large ones of a view that moves by `step` large pixels a frame."""
    whole, side = scene(seed), SIDE * SCALE
    views = [whole[step * n : step * n + side, step * n : step * n + side] for n in range(frames)]
    return [small(view, noise, 100 * seed + n) for n, view in enumerate(views)], [
        view.round().astype(np.uint8) for view in views
    ]


def steadied(frames: list[np.ndarray]) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Return the enlarged frames as they are and blended."""
    steadier, plain = Steadier(), [enlarged(frame) for frame in frames]
    return plain, [steadier(one, large) for one, large in zip(frames, plain, strict=True)]


def flicker(frames: list[np.ndarray]) -> float:
    return float(np.sqrt(np.square(np.diff(np.stack(frames).astype(float), axis=0)).mean()))


@pytest.mark.parametrize("noise", [2.0, 5.0, 10.0])
def test_a_noisy_shot_that_stands_still_gets_steadier_and_nearer_to_the_truth(noise: float) -> None:
    frames, truth = shot(0, noise)
    plain, blended = steadied(frames)
    assert flicker(blended) < 0.4 * flicker(plain)
    assert flicker(blended[-3:]) < 0.25 * flicker(plain[-3:])
    assert psnr(blended[-1], truth[-1], 2) > psnr(plain[-1], truth[-1], 2)


@pytest.mark.parametrize("noise", [0.0, 2.0, 5.0])
@pytest.mark.parametrize("step", [1, 2, 3, 7])
def test_motion_is_not_smeared(noise: float, step: int) -> None:
    frames, truth = shot(step, noise)
    for plain, blended, true in zip(*steadied(frames), truth, strict=True):
        assert psnr(blended, true, 2) >= psnr(plain, true, 2) - 0.005


def test_an_object_moves_over_what_stands_still() -> None:
    frames, _ = shot(0, 3.0)
    for number, frame in enumerate(frames):
        frame[20:32, 4 + 5 * number : 16 + 5 * number] = 230
    plain, blended = steadied(frames)
    for number in range(1, FRAMES):
        rows, columns = slice(38, 66), slice(4 + 10 * number, 36 + 10 * number)  # the object and 2 pixels around it
        np.testing.assert_array_equal(blended[number][rows, columns], plain[number][rows, columns])
        uncovered = slice(10 * number - 2, 10 * number + 6)  # where it was a frame ago
        np.testing.assert_array_equal(blended[number][42:62, uncovered], plain[number][42:62, uncovered])
    assert flicker([frame[80:] for frame in blended]) < 0.5 * flicker([frame[80:] for frame in plain])


def test_a_cut_begins_anew() -> None:
    first, second = shot(0, 3.0, seed=0)[0], shot(0, 3.0, seed=1)[0]
    plain, blended = steadied(first + second)
    np.testing.assert_array_equal(blended[FRAMES], plain[FRAMES])
    alone = steadied(second)[1]
    for one, other in zip(blended[FRAMES:], alone, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("rate", [1.0, 4.0])
def test_light_that_changes_slowly_is_followed(rate: float) -> None:
    frames, _ = shot(0, 2.0, 16)
    frames = [(frame * 0.5 + rate * number).clip(0, 255).astype(np.uint8) for number, frame in enumerate(frames)]
    plain, blended = steadied(frames)
    lag = plain[-1].astype(float).mean() - blended[-1].astype(float).mean()
    assert abs(lag) < 1.0


def test_a_still_shot_without_noise_and_a_first_frame_stay_as_they_are() -> None:
    frames = shot(0, 0.0, 1)[0] * 4
    for one, other in zip(*steadied(frames), strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_place_is_the_mean_of_the_frames_up_to_the_limit() -> None:
    """Flat grey with the same noise everywhere, against the recurrence written out in float64."""
    rng = np.random.default_rng(0)
    frames = [rng.normal(128, 3, (64, 64, 1)).round().astype(np.uint8) for _ in range(12)]
    steadier, expected, always = Steadier(), frames[0].astype(float), np.ones((64, 64), bool)
    for number, frame in enumerate(frames):
        made = steadier(frame, frame)
        weight = min(number, LONGEST - 1)
        expected = (weight * expected + frame) / (weight + 1)
        assert steadier.state is not None
        always &= steadier.state.count == min(number + 1, LONGEST - 1)  # by chance, noise looks like change in places
        assert np.abs(made - expected)[always].max() <= 0.51
    assert always.mean() > 0.2


@pytest.mark.parametrize("noise", [1.0, 4.0, 12.0])
def test_the_noise_is_measured_and_noise_alone_stands_still(noise: float) -> None:
    (one, other), _ = shot(0, noise, 2)
    frame, before = other.astype(np.float32), one.astype(np.float32)
    state = State(before, np.ones(before.shape[:2], np.uint8), np.zeros((1, 1, 3), np.uint16))
    assert noise_between(frame, state) == pytest.approx(noise, rel=0.15)
    assert still_places(frame, state, noise).mean() > 0.9
    assert not still_places(frame + 3 * np.float32(noise), state, noise).any()


@pytest.mark.parametrize(("channels", "dtype"), [(1, np.uint8), (3, np.uint16), (4, np.uint8), (4, np.uint16)])
def test_other_depths_channels_and_sizes(channels: int, dtype: type) -> None:
    rng = np.random.default_rng(0)
    most = np.iinfo(dtype).max
    frames = [(rng.normal(0.5, 0.01, (7, 40, channels)) * most).astype(dtype) for _ in range(4)]
    steadier = Steadier()
    for frame in frames:
        large = cv2.resize(frame, (53, 10)).reshape(10, 53, channels)
        made = steadier(frame, large)
        assert (made.shape, made.dtype) == (large.shape, large.dtype)
    other = frames[0][:3, :5]
    np.testing.assert_array_equal(steadier(other, other), other, "another size begins anew")
    with pytest.raises(InputError, match="lacks"):
        steadier.resume({})


def test_a_video_goes_on_to_the_same_frames(tmp_path, monkeypatch) -> None:
    frames, _ = shot(0, 4.0, 11)
    lossless = {"codec": "ffv1", "pixel_format": "bgr0"}
    source = VideoFile(write_clip(tmp_path / "a.mkv", frames, **lossless))
    settings = {"encoding": LOSSLESS, "segment": 3, "steady": True}
    upscale_video(source, tmp_path / "whole.mkv", Bicubic(), **settings)
    steadier = Steadier()
    for made, frame in zip(read_clip(tmp_path / "whole.mkv")[0], frames, strict=True):
        np.testing.assert_array_equal(made, steadier(frame, frame.repeat(2, 0).repeat(2, 1)))

    def stop(done: int, total: int) -> None:
        if done == 8:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        upscale_video(source, tmp_path / "b.mkv", Bicubic(), **settings, progress=stop)
    folder = Segments(tmp_path / "b.mkv").folder
    with pytest.raises(OptionError, match="another steadiness"):
        upscale_video(source, tmp_path / "b.mkv", Bicubic(), LOSSLESS, segment=3)
    state = folder / "state-0.safetensors"
    kept = state.read_bytes()
    state.write_bytes((folder / "state-1.safetensors").read_bytes())
    with pytest.raises(CheckpointError, match="of another segment"):
        upscale_video(source, tmp_path / "b.mkv", Bicubic(), **settings)
    state.write_bytes(kept)
    report = upscale_video(source, tmp_path / "b.mkv", Bicubic(), **settings)
    assert (report.found, report.frames) == (6, 11)
    for one, other in zip(read_clip(tmp_path / "b.mkv")[0], read_clip(tmp_path / "whole.mkv")[0], strict=True):
        np.testing.assert_array_equal(one, other)
    upscale_video(source, tmp_path / "plain.mkv", Bicubic(), LOSSLESS)
    np.testing.assert_array_equal(read_clip(tmp_path / "plain.mkv")[0][5], frames[5].repeat(2, 0).repeat(2, 1))


def test_the_command_takes_it_for_videos_only(tmp_path, weights, capfd) -> None:
    frames, _ = shot(0, 4.0, 5)
    write_clip(tmp_path / "a.mkv", frames, codec="ffv1", pixel_format="bgr0")
    options = ["-n", str(weights), "--device", "cpu", "--codec", "ffv1", "--pixel-format", "bgr0"]
    for name, flags in (("plain", []), ("steady", ["--steady"])):
        with pytest.raises(SystemExit) as left:
            main(["upscale-video", str(tmp_path / "a.mkv"), "-o", str(tmp_path / f"{name}.mkv"), *options, *flags])
        assert not left.value.code, capfd.readouterr().err
    plain, steady = (read_clip(tmp_path / f"{name}.mkv")[0] for name in ("plain", "steady"))
    np.testing.assert_array_equal(plain[0], steady[0])
    assert flicker(steady) < 0.6 * flicker(plain)
    (tmp_path / "in").mkdir()
    write_image(tmp_path / "in" / "f1.png", frames[0])
    capfd.readouterr()
    with pytest.raises(SystemExit) as left:
        main(["upscale-video", str(tmp_path / "in"), "-o", str(tmp_path / "out"), "--steady"])
    assert (left.value.code, "for which frames need --fps" in capfd.readouterr().err) == (2, True)
