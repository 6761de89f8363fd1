import json

import numpy as np
import pytest
import torch
from safetensors import safe_open

from lsm.audio.checkpoint import EMBEDDED, embedded_file, load_denoiser
from lsm.audio.inference import denoise_single, open_stream
from lsm.audio.metrics import snr
from lsm.audio.synthesis import simple_pair


@pytest.mark.parametrize("name", EMBEDDED)
def test_small_documented_and_loadable(name):
    path = embedded_file(name)
    assert path.stat().st_size <= 3e6
    with safe_open(path, "pt") as file:
        header = file.metadata()
    assert {"denoiser", "training_set", "command", "licence"} <= header.keys()
    assert json.loads(header["denoiser"])["rate"] == 16000
    assert load_denoiser(name).causal == ("causal" in name)


@pytest.mark.parametrize(
    ("name", "gain"), [("denoiser-16k", 17.0), ("denoiser-causal-16k", 16.0), ("denoiser-unet-16k", 4.0)]
)
def test_noise_goes_on_unseen_signals(name, gain):
    rng, gains = np.random.default_rng(99), []
    for _ in range(6):
        noisy, clean = (torch.from_numpy(item) for item in simple_pair(rng, 32000, 16000))
        gains.append((snr(denoise_single(load_denoiser(name), noisy), clean) - snr(noisy, clean)).item())
    assert np.mean(gains) > gain


def test_causal_weights_stream_what_they_give_whole():
    denoiser = load_denoiser("denoiser-causal-16k")
    noisy = torch.from_numpy(simple_pair(np.random.default_rng(5), 8000, 16000)[0])[None]
    stream = open_stream(denoiser, 1)
    streamed = torch.cat([*(stream.push(block) for block in noisy.split(320, dim=1)), stream.finish()], dim=1)
    torch.testing.assert_close(streamed, denoise_single(denoiser, noisy), atol=1e-5, rtol=1e-4)
