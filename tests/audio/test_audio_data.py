import numpy as np
import pytest
import torch

from lsm.audio.data import MixtureDataset, PairDataset, Recipe, find_audio, hold_out, read_crop
from lsm.audio.synthesis import NOISES, SIGNALS, harmonic_tone, mix, shaped_noise, simple_pair
from lsm.errors import InputError, OptionError

soundfile = pytest.importorskip("soundfile")
pytest.importorskip("soxr")


@pytest.mark.parametrize("maker", [*SIGNALS.values(), *(maker for maker, _ in NOISES.values()), harmonic_tone])
@pytest.mark.parametrize("rate", [8000, 16000])
def test_makers_are_finite_audible_and_repeatable(maker, rate):
    first, second, other = (maker(np.random.default_rng(seed), 2 * rate, rate) for seed in (0, 0, 1))
    assert (first.shape, first.dtype) == ((2 * rate,), np.float32)
    assert np.isfinite(first).all()
    assert 1e-3 < first.std() < 2
    np.testing.assert_array_equal(first, second)
    assert not np.array_equal(first, other)


def test_simple_task_is_7_6_db_of_harmonics_of_200_to_800_hz():
    rng, ratios, lowest = np.random.default_rng(0), [], []
    for _ in range(200):
        noisy, clean = simple_pair(rng, 8000, 16000)
        ratios.append(10 * np.log10(np.sum(clean**2) / np.sum((noisy - clean) ** 2)))
        spectrum = np.abs(np.fft.rfft(clean * np.hanning(8000)))
        lowest.append(2 * np.argmax(spectrum > 0.2 * spectrum.max()))
    assert np.mean(ratios) == pytest.approx(7.6, abs=0.3)
    assert 190 <= min(lowest) < 250
    assert 750 < max(lowest) <= 810


@pytest.mark.parametrize("snr", [-5.0, 0.0, 20.0])
def test_mix_has_the_ratio(snr):
    clean, noise = np.random.default_rng(0).standard_normal((2, 5000)).astype(np.float32)
    rest = mix(clean, noise, snr) - clean
    assert 10 * np.log10(np.sum(clean**2) / np.sum(rest**2)) == pytest.approx(snr, abs=1e-3)
    np.testing.assert_array_equal(mix(np.zeros_like(noise), noise, snr), noise)


@pytest.mark.parametrize(("alpha", "slope"), [(0, 0.0), (1, -3.01), (2, -6.02), (-1, 3.01)])
def test_colour_of_noise(alpha, slope):
    power = np.abs(np.fft.rfft(shaped_noise(np.random.default_rng(0), 2**17, 16000, alpha))) ** 2
    frequencies = np.fft.rfftfreq(2**17, 1 / 16000)
    bands = [power[(frequencies >= f) & (frequencies < 2 * f)].mean() for f in (100, 200, 400, 800, 1600, 3200)]
    assert np.polyfit(range(6), 10 * np.log10(bands), 1)[0] == pytest.approx(slope, abs=0.3)


def test_items_depend_on_seed_and_index_alone(tmp_path):
    write(tmp_path / "a.wav", 1.0)
    recipe = Recipe((tmp_path / "a.wav",), (), (0, 10), synthetic=0.4, simple=0.3)
    first, second = (MixtureDataset(recipe, 4000, 16000, 10, seed=3) for _ in range(2))
    for index in (7, 0, 3):
        for a, b in zip(first[index], second[index], strict=True):
            assert a.shape == (1, 4000)
            assert torch.equal(a, b)
    assert not torch.equal(first[0][0], first[1][0])
    assert not torch.equal(first[0][0], MixtureDataset(recipe, 4000, 16000, 10, seed=4)[0][0])


def write(path, seconds, rate=16000, channels=1):
    path.parent.mkdir(parents=True, exist_ok=True)
    ramp = np.linspace(0.1, 0.9, round(seconds * rate))
    soundfile.write(path, np.stack([ramp] * channels, axis=1), rate, subtype="FLOAT")


def test_crops_are_resampled_and_padded(tmp_path):
    write(tmp_path / "long.wav", 1.0, rate=48000, channels=2)
    write(tmp_path / "short.flac.wav", 0.1)
    crop = read_crop(tmp_path / "long.wav", 16000, 4000, np.random.default_rng(0))
    assert crop.shape == (4000,)
    steps = np.diff(crop[200:-200])
    assert steps.mean() == pytest.approx(0.8 / 16000, rel=0.01)
    padded = read_crop(tmp_path / "short.flac.wav", 16000, 4000, np.random.default_rng(0))
    assert (padded[1600:] == 0).all()
    assert padded[1599] == pytest.approx(0.9, abs=1e-3)


def test_pairs_are_cropped_at_the_same_place(tmp_path):
    for name in ("x.wav", "deep/y.wav"):
        write(tmp_path / "noisy" / name, 1.0)
        write(tmp_path / "clean" / name, 1.0)
    pairs = PairDataset(tmp_path / "noisy", tmp_path / "clean", 1000)
    assert len(pairs) == 2
    for index in (0, 1):
        assert torch.equal(*pairs[index])
    (tmp_path / "clean" / "x.wav").unlink()
    with pytest.raises(InputError, match=r"x\.wav"):
        PairDataset(tmp_path / "noisy", tmp_path / "clean", 1000)


def test_held_out_files_are_not_trained_on(tmp_path):
    files = [tmp_path / f"{index}.wav" for index in range(45)]
    kept, held = hold_out(files)
    assert len(held) == 2
    assert not set(kept) & set(held)
    assert set(kept) | set(held) == set(files)
    assert hold_out(files[:3]) == (tuple(files[:2]), (files[2],))


def test_impossible_recipes_and_folders(tmp_path):
    with pytest.raises(OptionError, match="add up to 1"):
        Recipe(synthetic=0.4)
    with pytest.raises(OptionError, match="at most 1"):
        Recipe(synthetic=0.8, simple=0.4)
    with pytest.raises(OptionError, match="low to high"):
        Recipe(snr=(10, 0), simple=1.0)
    with pytest.raises(InputError, match="no audio in"):
        find_audio(tmp_path)
    (tmp_path / "bad.wav").write_text("no audio")
    with pytest.raises(InputError, match=r"bad\.wav"):
        read_crop(tmp_path / "bad.wav", 16000, 100, np.random.default_rng(0))
