"""Saved programs of torch.export against the network."""

import pytest
import torch

from lsm.errors import OptionError
from lsm.export.program import export_program


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


def test_the_network_stays_as_it_is(small, tmp_path):
    model = small(depths=(2,), recurrence="official").train()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    export_program(model, tmp_path / "a.pt2")
    assert model.training and model.groups[0].blocks[1].mixer.core.sampling
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    with pytest.raises(OptionError, match="hilbert"):
        export_program(small(recurrence={"scan_order": "hilbert"}), tmp_path / "b.pt2")
