"""`lsm export`, `lsm convert`, and ONNX files in `lsm upscale` and `lsm info`, from arguments to files."""

import numpy as np
import pytest
import torch

from lsm import Upscaler, load_model
from lsm.arch import build_preset
from lsm.cli import main
from lsm.errors import CheckpointError, OptionError
from lsm.image.io import read_image, write_image
from lsm.scan.torch_version import TORCH_26
from lsm.weights import read_checkpoint, save_model


def run(capfd, *arguments):
    with pytest.raises(SystemExit) as left:
        main(list(map(str, arguments)))
    said = capfd.readouterr()
    return int(left.value.code or 0), said.out + said.err


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    torch.manual_seed(0)
    small = {"embed_dim": 16, "depths": (1,), "placement": "mixer", "d_state": 2, "num_heads": 2}
    model = build_preset("tiny", 2, split_size=(4, 8), **small)  # an export takes longer the more blocks there are
    path = tmp_path_factory.mktemp("weights") / "small.safetensors"
    save_model(model, path, {"licence": "CC0-1.0", "training_set": "noise"})
    return path


@pytest.fixture(scope="module")
def onnx_file(weights):
    if TORCH_26:
        pytest.skip("torch 2.6 cannot export to ONNX")
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    path = weights.with_suffix(".onnx")
    with pytest.raises(SystemExit) as left:
        main(["export", "onnx", str(weights), "-o", str(path)])
    assert not left.value.code
    return path


def test_images_by_onnxruntime_are_those_by_torch(onnx_file, weights, tmp_path, capfd):
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (45, 37, 4), dtype=np.uint8)
    write_image(tmp_path / "a.png", pixels)
    for options in (
        ["-t", "0"],
        ["-t", "16", "--tile-overlap", "8"],
        ["-t", "16", "--tile-overlap", "8", "--ensemble"],
    ):
        results = []
        for name in (onnx_file, weights):
            out = tmp_path / f"{name.suffix[1:]}.png"
            code, said = run(capfd, "upscale", tmp_path / "a.png", "-o", out, "-n", name, "--overwrite", *options)
            assert code == 0, said
            assert ("fp32 in onnxruntime on cpu" in said) == (name is onnx_file)
            results.append(read_image(out).pixels.astype(int))
        assert results[0].shape == (90, 74, 4)
        assert np.abs(results[0] - results[1]).max() <= 1  # a value may lie on the border of two integers
        assert (results[0] != results[1]).mean() < 1e-3


def test_tiles_are_chosen_from_what_the_file_says(onnx_file):
    from lsm.inference.onnx_network import OnnxNetwork

    network = OnnxNetwork(onnx_file)
    upscaler = Upscaler(network, device="cpu")
    upscaler._budget = int(network.bytes_per_pixel * 40 * 40)
    assert upscaler.max_tile == 32
    assert (upscaler.model_scale, upscaler.window, upscaler.precision) == (2, 8, "fp32")


def test_memory_that_runs_out_is_known_as_such(onnx_file, monkeypatch):
    from onnxruntime.capi.onnxruntime_pybind11_state import RuntimeException

    from lsm.inference.onnx_network import OnnxNetwork

    network, tiles = OnnxNetwork(onnx_file), []
    session = network._session

    class Small:
        def run(self, outputs, inputs):
            tiles.append(inputs["image"].shape)
            if max(inputs["image"].shape) > 32:
                raise RuntimeException("Failed to allocate memory for requested buffer of size 9")
            return session.run(outputs, inputs)

    network._session = Small()
    result = Upscaler(network, device="cpu")(np.zeros((70, 70, 3), np.uint8))
    assert result.shape == (140, 140, 3)
    assert tiles[0][2:] == (86, 86) and max(tiles[-1]) <= 32


def test_what_does_not_fit_an_onnx_file_is_refused(onnx_file, tmp_path, capfd):
    from lsm.inference.onnx_network import OnnxNetwork

    with pytest.raises(OptionError, match="as it was exported"):
        Upscaler(OnnxNetwork(onnx_file), precision="bf16")
    with pytest.raises(OptionError, match="onnxruntime cannot run on cuda"):
        Upscaler(OnnxNetwork(onnx_file), device="cuda")
    with pytest.raises(CheckpointError, match="ONNX file"):
        load_model(onnx_file)
    (tmp_path / "bad.onnx").write_bytes(b"nonsense")
    write_image(tmp_path / "a.png", np.zeros((8, 8, 3), np.uint8))
    for name, text in (("bad.onnx", "cannot read"), ("none.onnx", "no ONNX file")):
        code, said = run(capfd, "upscale", tmp_path / "a.png", "-o", tmp_path / "o.png", "-n", tmp_path / name)
        assert code == 2 and text in said and said.count("\n") == 1
    code, said = run(capfd, "info", onnx_file)
    assert code == 0
    for text in ("×2", "onnxruntime", "CC0-1.0", "noise"):
        assert text in said


def test_files_of_other_programs_are_refused(tmp_path):
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    from lsm.inference.onnx_network import OnnxNetwork

    text = '<ir_version: 8, opset_import: ["" : 18]> other (float[1] x) => (float[1] y) { y = Identity(x) }'
    (tmp_path / "other.onnx").write_bytes(onnx.parser.parse_model(text).SerializeToString())
    with pytest.raises(CheckpointError, match="another program"):
        OnnxNetwork(tmp_path / "other.onnx")


@pytest.mark.skipif(TORCH_26, reason="torch 2.6 cannot read what it exports")
def test_a_saved_program_is_written(weights, tmp_path, capfd):
    code, _ = run(capfd, "export", "torch", weights, "-o", tmp_path / "a.pt2", "--licence", "MIT")
    assert code == 0
    image = torch.rand(1, 3, 12, 9)
    program = torch.export.load(tmp_path / "a.pt2").module()
    with torch.no_grad():
        torch.testing.assert_close(program(image), load_model(weights)(image), atol=1e-5, rtol=0)


def test_conversion_and_what_it_writes_down(weights, tmp_path, capfd):
    code, said = run(capfd, "convert", weights, "-o", tmp_path / "a.safetensors", "--iterations", 7, "--licence", "MIT")
    assert code == 0 and "×2" in said
    header = read_checkpoint(tmp_path / "a.safetensors").metadata
    assert (header["licence"], header["iterations"], header["training_set"]) == ("MIT", "7", "noise")
    code, _ = run(capfd, "convert", tmp_path / "a.safetensors", "-o", tmp_path / "a.pth")
    assert code == 0
    assert load_model(tmp_path / "a.pth").config == load_model(weights).config


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["export", "onnx", "tiny-x9", "-o", "a.onnx"], "tiny-x"),
        (["export", "onnx", "WEIGHTS", "-o", "a.onnx", "--precision", "fp8"], "fp16"),
        (["export", "torch", "none.pth", "-o", "a.pt2"], "none.pth"),
        (["convert", "WEIGHTS", "-o", "a.bin"], ".pth"),
        (["convert", "WEIGHTS", "-o", "a.pth", "--naming", "ours"], "naming"),
        (["convert", "hf:nobody", "-o", "a.pth"], "OWNER/NAME"),
    ],
)
def test_wrong_requests_are_one_line_and_write_nothing(arguments, text, weights, tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    code, said = run(capfd, *[weights if item == "WEIGHTS" else item for item in arguments])
    assert code == 2
    assert text in said and "Traceback" not in said
    assert not list(tmp_path.iterdir())
