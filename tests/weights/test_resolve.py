"""What names mean; the list of embedded weights is the folder's."""

import json
from pathlib import Path

import pytest
import torch
from safetensors import safe_open

from lsm import create_model, list_models, load_model
from lsm.errors import CheckpointError, OptionError
from lsm.weights import embedded_path, save_model
from lsm.weights import resolve as module
from lsm.weights.architectures import ARCHITECTURES
from lsm.weights.header import read_header
from lsm.weights.resolve import ModelName, resolve

SMALL = {"embed_dim": 16, "depths": (2,), "d_state": 2, "num_heads": 2}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Another set of embedded weights."""
    monkeypatch.setattr(module, "FOLDER", tmp_path)
    module._embedded.cache_clear()
    for name in ("tiny-x2", "tiny-x4", "fast-x3", "photo-x4", "tiny-denoise", "jpeg", "denoiser-16k", "notes"):
        (tmp_path / f"{name}.safetensors").touch()
    yield tmp_path
    module._embedded.cache_clear()


@pytest.mark.parametrize(
    ("name", "scale", "kind", "expected"),
    [
        (None, None, "embedded", "fast-x4"),
        (None, 2, "embedded", "fast-x2"),
        (None, 1.5, "embedded", "fast-x2"),
        (None, 2.5, "embedded", "fast-x3"),
        ("tiny", 6, "embedded", "tiny-x4"),
        ("tiny-x3", 2, "embedded", "tiny-x3"),
        ("light", 2, "preset", "light-x2"),
        ("light", 1.5, "preset", "light-x2"),
        ("light-jpeg", None, "preset", "light-jpeg"),
        ("official/light", 3, "official", "official/light-x3"),
        ("official/s-x2", None, "official", "official/s-x2"),
        ("hf:a/b", None, "hub", "hf:a/b"),
        ("some/file.pth", 2, "file", "some/file.pth"),
        (Path("tiny"), 2, "file", "tiny"),
    ],
)
def test_what_a_name_and_a_scale_mean(name, scale, kind, expected):
    source = resolve(name, scale)
    assert (source.kind, source.name) == (kind, expected)


def test_a_file_comes_before_a_variant_of_its_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert resolve("tiny").kind == "embedded"
    Path("tiny").touch()
    assert resolve("tiny").kind == "file"


def test_the_folders_files_are_the_list(folder):
    assert list_models() == ["fast-x3", "jpeg", "photo-x4", "tiny-x2", "tiny-x4", "tiny-denoise"]
    assert list_models("sr") == ["fast-x3", "photo-x4", "tiny-x2", "tiny-x4"]
    assert resolve("fast", 2).name == "fast-x3"
    assert resolve("photo").name == "photo-x4"
    assert resolve("jpeg").model == ModelName("jpeg", 1, "jpeg")
    assert resolve(None, task="jpeg").name == "jpeg"
    assert resolve(None, task="denoise").name == "tiny-denoise"
    assert resolve(None, 3).name == "fast-x3"
    assert resolve("photo-x4").fetch() == folder / "photo-x4.safetensors"


def test_a_task_without_weights_says_how_to_train_some(folder):
    (folder / "jpeg.safetensors").unlink()
    with pytest.raises(OptionError, match=r"No weights for the task jpeg .* options/train/fast_jpeg\.yml"):
        resolve(None, task="jpeg")


@pytest.mark.parametrize(
    ("name", "scale", "texts"),
    [
        ("light", 2, ["light", "×2", "options/train/light_x2", "official/light-x2", "tiny-x4"]),
        ("light-x3", None, ["official/light-x3"]),
        ("tiny-x8", None, ["tiny-x2, tiny-x3, tiny-x4"]),
        ("base-jpeg", None, ["base", "jpeg", "train it"]),
        ("tinny-x4", None, ["Did you mean 'tiny-x4'"]),
        ("official/lite-x4", None, ["official/light-x4"]),
    ],
)
def test_names_without_weights_say_what_to_do(name, scale, texts):
    with pytest.raises(CheckpointError) as caught:
        load_model(name, scale=scale)
    assert all(text in str(caught.value) for text in texts)
    assert "--" not in str(caught.value) and "\n" not in str(caught.value)


def test_there_is_one_way_from_a_name_to_a_network(tmp_path):
    assert load_model("tiny", scale=2).config.upscale == 2
    assert load_model("tiny").config.upscale == 4
    assert create_model("tiny-x3", pretrained=True).config.upscale == 3
    for name, expected in (("tiny", 5), ("tiny-x4", 2)):
        with pytest.raises(OptionError, match=f"not ×{expected}"):
            load_model(name, scale=expected)
    pretrained, fresh = create_model("tiny", 2, pretrained=True), create_model("tiny", scale=2)
    assert not pretrained.training and fresh.training
    assert torch.equal(pretrained.conv.weight, load_model("tiny-x2").conv.weight)
    assert not torch.equal(pretrained.conv.weight, fresh.conv.weight)
    assert create_model("light", **SMALL).config.upscale == 4
    assert create_model("light-x3", **SMALL).config.upscale == 3
    assert create_model("light-jpeg", **SMALL).config.task == "jpeg"
    for wrong in ({"scale": 2}, {"pretrained": True, "embed_dim": 8}):
        with pytest.raises(OptionError):
            create_model("tiny-x4", **wrong)
    save_model(create_model("tiny", 2, **SMALL), tmp_path / "a.safetensors")
    assert create_model(str(tmp_path / "a.safetensors"), pretrained=True).config.embed_dim == 16


@pytest.mark.parametrize("name", list_models())
def test_headers_are_read_as_the_formats_library_reads_them(name):
    header = read_header(embedded_path(name))
    with safe_open(embedded_path(name), framework="pt") as file:
        assert header.metadata == file.metadata()
        shapes = {key: tuple(file.get_slice(key).get_shape()) for key in file.keys()}  # noqa: SIM118
    assert header.shapes.items() <= shapes.items()
    assert shapes.keys() - header.shapes.keys() == {"_extra_state"}
    model, config = ModelName.parse(name), json.loads(header.metadata["config"])
    assert model is not None and (model.scale, model.task) == (config["upscale"], config["task"])


@pytest.mark.parametrize("content", [b"", b"\xff" * 20, b"\x02\0\0\0\0\0\0\0[]", b"\x08\0\0\0\0\0\0\0{broken}"])
def test_damaged_headers_are_one_line(content, tmp_path):
    (tmp_path / "a.safetensors").write_bytes(content)
    with pytest.raises(CheckpointError, match=r"header of .*a\.safetensors") as caught:
        read_header(tmp_path / "a.safetensors")
    assert "\n" not in str(caught.value)


def test_a_header_states_the_architecture(tmp_path):
    save_model(create_model("tiny", 2, **SMALL), tmp_path / "a.safetensors", {"architecture": "LSM"})
    assert read_header(tmp_path / "a.safetensors").metadata["architecture"] in [each.name for each in ARCHITECTURES]
    save_model(create_model("tiny", 2, **SMALL), tmp_path / "b.safetensors", {"architecture": "LSMM"})
    with pytest.raises(CheckpointError, match=r"architecture 'LSMM'\. Did you mean 'LSM'"):
        load_model(tmp_path / "b.safetensors")
