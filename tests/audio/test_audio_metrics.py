import sys

import numpy as np
import pytest
import torch

from lsm.audio import metrics
from lsm.errors import InputError


def test_snr_by_hand():
    clean = torch.tensor([3.0, 4.0])
    assert metrics.snr(clean + torch.tensor([0.3, 0.4]), clean).item() == pytest.approx(20.0, abs=1e-4)
    assert metrics.snr(clean, clean).item() == float("inf")


def test_si_sdr_is_the_ratio_of_projection_and_rest():
    rng = np.random.default_rng(0)
    clean, estimate = rng.standard_normal((2, 1000))
    estimate = estimate + 2 * clean
    projection = clean * (estimate @ clean) / (clean @ clean)
    expected = 10 * np.log10(np.sum(projection**2) / np.sum((estimate - projection) ** 2))
    pair = torch.tensor(estimate), torch.tensor(clean)
    assert metrics.si_sdr(*pair).item() == pytest.approx(expected, abs=1e-9)
    assert metrics.si_sdr(7 * pair[0], pair[1]).item() == pytest.approx(expected, abs=1e-9)


def speech(seconds: float) -> np.ndarray:
    from lsm.audio.synthesis import voice

    return voice(np.random.default_rng(3), int(16000 * seconds), 16000)


def test_stoi_falls_with_noise():
    pytest.importorskip("pystoi")
    clean = speech(3)
    noise = np.random.default_rng(0).standard_normal(len(clean)).astype(np.float32)
    scores = [metrics.stoi(clean + level * noise, clean, 16000) for level in (0.0, 0.01, 0.1)]
    assert scores[0] == pytest.approx(1.0, abs=1e-4)
    assert scores[0] > scores[1] > scores[2]


def test_stoi_of_too_little_speech_is_said():
    pytest.importorskip("pystoi")
    with pytest.raises(InputError, match="more speech"):
        metrics.stoi(speech(0.1), speech(0.1), 16000)


def test_pesq_judges_or_says_why_not():
    pytest.importorskip("pesq")
    clean = speech(3)
    assert metrics.pesq(clean, clean, 16000) > 4.5
    with pytest.raises(InputError, match="16 kHz"):
        metrics.pesq(clean, clean, 8000)


@pytest.mark.parametrize("name", ["stoi", "pesq"])
def test_an_absent_package_is_named(monkeypatch, name):
    for module in ("pystoi", "pesq"):
        monkeypatch.setitem(sys.modules, module, None)  # as if it were not installed
    with pytest.raises(InputError, match=r"pip install .*\["):
        getattr(metrics, name)(np.zeros(10), np.zeros(10), 16000)
