import pytest
import torch

from lsm.errors import OptionError
from lsm.mixers.export import export_mixer
from lsm.mixers.registry import build_mixer
from lsm.scan.torch_version import TORCH_26

ort = pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")
if TORCH_26:
    pytest.skip("torch 2.6 cannot export to ONNX", allow_module_level=True)

# One of each engine; the others differ from these in options and weights.
EXPORTED = ["gfnet", "afno", "wavelet1d", "performer"]


@pytest.mark.parametrize("name", EXPORTED)
def test_onnxruntime_computes_the_same(name, tmp_path):
    mixer, tokens, path = build_mixer(name, 4), torch.randn(1, 15, 4), tmp_path / "mixer.onnx"
    export_mixer(mixer, 4, (3, 5), path)
    assert mixer.training
    session = ort.InferenceSession(path, providers=["CPUExecutionProvider"])
    (got,) = session.run(None, {session.get_inputs()[0].name: tokens.numpy()})
    with torch.no_grad():
        torch.testing.assert_close(torch.from_numpy(got), mixer.eval()(tokens, (3, 5)), atol=1e-4, rtol=1e-4)


def test_what_onnx_cannot_do_is_said(tmp_path):
    path = tmp_path / "mixer.onnx"
    with pytest.raises(OptionError, match=r"RecurrentMixer cannot be exported: .* the operator aten\.sort"):
        export_mixer(build_mixer("cml", 4), 4, (3, 5), path)
    assert not path.exists()
