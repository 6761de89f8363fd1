"""Saved programs of torch.export against the network."""

import pytest
import torch

from lsm import create_model
from lsm.errors import OptionError
from lsm.export.program import export_program
from lsm.scan.torch_version import TORCH_26

if TORCH_26:
    pytest.skip("torch 2.6 cannot read what it exports", allow_module_level=True)


@torch.no_grad()
def test_a_saved_program_gives_what_the_network_gives(network, tmp_path):
    size = export_program(network, tmp_path / "a.pt2", {"licence": "CC0-1.0"})
    assert size == (tmp_path / "a.pt2").stat().st_size
    about = {"licence": ""}
    program = torch.export.load(tmp_path / "a.pt2", extra_files=about)
    assert about["licence"] == "CC0-1.0"
    scans = [node for node in program.graph.nodes if node.target is torch.ops.lsm.linear_scan.default]
    assert scans and {node.args[-1] for node in scans} == {"blocked"}
    for height, width in ((2, 3), (16, 16), (31, 17), (40, 65)):
        image = torch.rand(1, 3, height, width)
        torch.testing.assert_close(program.module()(image), network(image), atol=1e-5, rtol=0)


@pytest.mark.parametrize("scale", [2, 1])
@torch.no_grad()
def test_a_program_of_fast_takes_even_and_odd_sides(scale, tmp_path):
    """Its tokens of several pixels are padded for some sizes only; the example that is traced has odd sides."""
    task = {} if scale > 1 else {"task": "jpeg", "unshuffle": 2}
    model = create_model(
        "fast", scale, embed_dim=8, blocks=1, context_after=(1,), context_dim=8, d_state=2, **task
    ).eval()
    torch.nn.init.normal_(model.body[1].up.weight)  # zero at first: then nothing depends on the tokens
    export_program(model, tmp_path / "a.pt2")
    program = torch.export.load(tmp_path / "a.pt2").module()
    for height, width in ((8, 16), (31, 18), (40, 65), (7, 9)):
        image = torch.rand(1, 3, height, width)
        torch.testing.assert_close(program(image), model(image), atol=1e-5, rtol=0)


def test_the_network_stays_as_it_is(small, tmp_path):
    model = small(depths=(2,), recurrence="official").train()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    export_program(model, tmp_path / "a.pt2")
    assert model.training and model.groups[0].blocks[1].mixer.core.sampling
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    with pytest.raises(OptionError, match="hilbert"):
        export_program(small(recurrence={"scan_order": "hilbert"}), tmp_path / "b.pt2")
