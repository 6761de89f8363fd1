import pytest
import torch
from torch import nn
from torch.nn import functional as F

from lsm.audio.denoiser import UNetLRUAudio
from lsm.errors import OptionError
from lsm.sequence import LRU


def original_names(channels_in: int, channels_out: int, features: list[int]) -> dict[str, tuple[int, ...]]:
    """Names and shapes of the original project's state dict, written out from its description."""
    shapes: dict[str, tuple[int, ...]] = {}

    def conv(name, out, inp, taps, transposed=False):
        shapes[f"{name}.weight"] = (inp, out, taps) if transposed else (out, inp, taps)
        shapes[f"{name}.bias"] = (out,)

    read = channels_in
    for i, f in enumerate(features):
        conv(f"down_blocks.{i}.0", f, read, 3)
        conv(f"down_blocks.{i}.2", f, f, 3)
        conv(f"down_pools.{i}.conv", 2 * f, f, 2)
        read = 2 * f
    for i, f in enumerate(reversed(features)):
        conv(f"up_pools.{i}.conv", f, 2 * f, 2, transposed=True)
        conv(f"up_blocks.{i}.0", f, 2 * f, 3)
        conv(f"up_blocks.{i}.2", f, f, 3)
    conv("final", channels_out, features[0], 1)
    n = 2 * features[-1]
    shapes |= {"lru.nu_log": (n,), "lru.theta_log": (n,), "lru.D": (n,)}
    shapes |= {f"lru.{name}": (n, n) for name in ("B_re", "B_im", "C_re", "C_im")}
    return shapes


def test_state_dict_has_the_original_names():
    network = UNetLRUAudio()
    found = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
    assert found == original_names(1, 1, [16, 32, 64, 128])


def naive_forward(network: UNetLRUAudio, noisy: torch.Tensor) -> torch.Tensor:
    """Compute the network from its description with plain functions and a loop over time."""
    p = network.state_dict()

    def block(x, name):
        x = F.conv1d(x, p[f"{name}.0.weight"], p[f"{name}.0.bias"], padding=1).relu()
        return F.conv1d(x, p[f"{name}.2.weight"], p[f"{name}.2.bias"], padding=1).relu()

    x, skips = noisy, []
    for i in range(len(network.features)):
        skips.append(block(x, f"down_blocks.{i}"))
        x = F.conv1d(skips[-1], p[f"down_pools.{i}.conv.weight"], p[f"down_pools.{i}.conv.bias"], stride=2)
    lam = torch.exp(-p["lru.nu_log"].exp() + 1j * p["lru.theta_log"].exp())
    B, C = torch.complex(p["lru.B_re"], p["lru.B_im"]), torch.complex(p["lru.C_re"], p["lru.C_im"])
    state, outputs = torch.zeros(x.shape[0], len(lam), dtype=torch.complex64), []
    for k in range(x.shape[-1]):
        state = lam * state + x[..., k].to(torch.complex64) @ B.T
        outputs.append((state @ C.T).real + p["lru.D"] * x[..., k])
    x = torch.stack(outputs, dim=-1)
    for i, skip in enumerate(reversed(skips)):
        x = F.conv_transpose1d(x, p[f"up_pools.{i}.conv.weight"], p[f"up_pools.{i}.conv.bias"], stride=2)
        if x.shape[-1] != skip.shape[-1]:
            x = F.interpolate(x, skip.shape[-1], mode="linear")
        x = block(torch.cat([skip, x], dim=1), f"up_blocks.{i}")
    return F.conv1d(x, p["final.weight"], p["final.bias"])


@pytest.mark.parametrize("length", [16, 64, 101, 400])
def test_forward_is_the_description(length):
    network = UNetLRUAudio(features=[4, 8, 16]).eval()
    noisy = torch.randn(2, 1, length)
    with torch.no_grad():
        torch.testing.assert_close(network(noisy), naive_forward(network, noisy), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("length", [1, 2, 15, 17])
def test_any_length(length):
    assert UNetLRUAudio(2, 3, features=[4, 8])(torch.randn(1, 2, length)).shape == (1, 3, length)


def test_every_parameter_learns():
    network = UNetLRUAudio(features=[4, 8])
    network(torch.randn(2, 1, 64)).square().mean().backward()
    dead = [name for name, p in network.named_parameters() if p.grad is None or not p.grad.isfinite().all()]
    assert not dead


def test_features_must_double():
    with pytest.raises(OptionError, match="double"):
        UNetLRUAudio(features=[16, 24])


def test_no_parameter_beyond_convolutions_and_the_lru():
    kinds = {type(module) for module in UNetLRUAudio().modules() if not list(module.children())}
    assert all(issubclass(kind, (nn.Conv1d, nn.ConvTranspose1d, nn.ReLU, LRU)) for kind in kinds)
