"""torch.compile takes the network whole, and computes the same; a size it has not seen needs no new graph.

Other graphs serve sizes that are multiples of the windows, and those with a single row or column of windows.
"""

import shutil
import warnings

import pytest
import torch
from torch._dynamo.testing import CompileCounterWithBackend

from lsm import create_model
from lsm.mixers.recurrent import RecurrentMixer
from lsm.scan.torch_version import TORCH_26


@pytest.fixture(autouse=True)
def _fresh():
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()


BLOCKS = [2, pytest.param(3, marks=pytest.mark.slow)]  # to trace a network takes long, not to run it


def small(blocks, **options):
    """One group: shifted attention and the recurrence, or attention, the recurrence and shifted attention."""
    if blocks == 3:
        return create_model("tiny", 2, depths=(3,), **options)
    network = create_model("tiny", 2, depths=(1, 2), **options)
    network.groups = network.groups[1:]
    assert network.groups[0].blocks[0].mixer.shifted
    return network


@pytest.mark.parametrize("blocks", BLOCKS)
def test_inference_is_one_graph_for_all_sizes(blocks):
    network, counter = small(blocks).eval(), CompileCounterWithBackend("eager")
    compiled = torch.compile(network, backend=counter, fullgraph=True, dynamic=True)
    for size in ((37, 41), (50, 70)):
        image = torch.rand(1, 3, *size)
        with torch.no_grad(), warnings.catch_warnings():
            warnings.filterwarnings("error", message=".*lru_cache.*")
            assert (compiled(image) - network(image)).abs().max() < 1e-5
    assert counter.frame_count == (2 if TORCH_26 else 1)  # torch 2.6 takes the second size for another case


@pytest.mark.skipif(not shutil.which("g++"), reason="inductor needs a C++ compiler (g++)")
@pytest.mark.parametrize("whole", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_what_inductor_generates_computes_the_same(whole):
    """A whole network, or what is recurrent in it: the C++ compiler takes a second for each loop."""
    pytest.importorskip("setuptools", reason="inductor of torch 2.6 imports setuptools, which nothing else needs here")
    network = create_model("tiny", 2, embed_dim=16, depths=(2,), d_state=2, num_heads=2).eval()
    mixer = network.groups[0].blocks[1].mixer
    assert isinstance(mixer, RecurrentMixer)
    module, arguments = (network, (torch.rand(1, 3, 16, 24),)) if whole else (mixer, (torch.rand(1, 24, 16), (4, 6)))
    with torch.no_grad():
        compiled = torch.compile(module, fullgraph=True)
        assert (compiled(*arguments) - module(*arguments)).abs().max() < 1e-5


@pytest.mark.parametrize("blocks", BLOCKS)
def test_a_training_step_is_one_graph_forward_and_one_backward(blocks):
    pytest.importorskip("timm", reason="timm (extra `train`), for drop path, is not installed")
    network = small(blocks, drop_path_rate=0.2).train()
    image, results = torch.rand(2, 3, 16, 16), []
    for run in (network, torch.compile(network, backend="aot_eager", fullgraph=True)):
        torch.manual_seed(3)  # categories are drawn, blocks are skipped
        output = run(image)
        grads = torch.autograd.grad(output.square().mean(), list(network.parameters()), allow_unused=True)
        results.append([output, *(grad for grad in grads if grad is not None)])
    assert len(results[0]) == len(results[1])
    for ours, theirs in zip(*results, strict=True):
        assert (ours - theirs).abs().max() <= 1e-5 * max(1, theirs.abs().max())
