import pytest
import torch
from test_denoiser import original_names

from lsm.audio.bidirectional import BidirectionalDenoiser
from lsm.audio.checkpoint import EMBEDDED, Denoiser, load_denoiser, save_denoiser
from lsm.audio.denoiser import UNetLRUAudio
from lsm.audio.streaming import StreamingDenoiser
from lsm.errors import CheckpointError


@pytest.mark.parametrize("wrapper", [None, "model_state_dict"])
def test_checkpoint_of_the_original_project_loads(tmp_path, wrapper):
    features = [4, 8, 16, 32]
    state = {name: torch.randn(shape) * 0.1 for name, shape in original_names(1, 1, features).items()}
    torch.save(state if wrapper is None else {wrapper: state, "epoch": 3}, tmp_path / "original.pth")
    denoiser = load_denoiser(tmp_path / "original.pth")
    assert isinstance(denoiser.network, UNetLRUAudio)
    assert denoiser.network.features == tuple(features)
    assert (denoiser.rate, denoiser.normalize, denoiser.causal) == (16000, False, False)
    for name, tensor in denoiser.network.state_dict().items():
        assert torch.equal(tensor, state[name])


SMALL = {"window": 16, "hop": 8, "d_model": 4, "d_state": 3, "n_layers": 2}


@pytest.mark.parametrize(
    "network", [UNetLRUAudio(features=[4, 8]), StreamingDenoiser(**SMALL), BidirectionalDenoiser(**SMALL)]
)
def test_saved_and_loaded_again(tmp_path, network):
    save_denoiser(Denoiser(network.eval(), rate=8000), tmp_path / "own.safetensors", {"training_set": "none"})
    loaded = load_denoiser(tmp_path / "own.safetensors")
    noisy = torch.randn(1, 1, 100)
    assert (loaded.rate, loaded.normalize) == (8000, True)
    assert not loaded.network.training
    assert loaded.causal == isinstance(network, StreamingDenoiser)
    assert loaded.latency == (16 / 8000 if loaded.causal else None)
    assert torch.equal(loaded.network(noisy), network(noisy))


def test_errors_name_the_file(tmp_path):
    (tmp_path / "torn.safetensors").write_bytes(b"torn")
    torch.save({"weight": torch.zeros(3)}, tmp_path / "other.pth")
    with pytest.raises(CheckpointError, match=r"torn\.safetensors"):
        load_denoiser(tmp_path / "torn.safetensors")
    with pytest.raises(CheckpointError, match=r"other\.pth.*down_blocks"):
        load_denoiser(tmp_path / "other.pth")
    with pytest.raises(CheckpointError, match="Did you mean 'denoiser-16k'"):
        load_denoiser("denoiser-16")
    with pytest.raises(CheckpointError, match="no weights file"):
        load_denoiser(tmp_path / "absent.pth")
    assert "denoiser-16k" in EMBEDDED
