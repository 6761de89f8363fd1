import json
import os
import pickle

import pytest
import torch
from safetensors.torch import save_file

from lsm import create_model, load_model
from lsm.arch import PRESETS
from lsm.errors import CheckpointError
from lsm.weights import read_checkpoint, save_model

CONFIGURATIONS = [(variant, scale) for variant in PRESETS for scale in (2, 3, 4)] + [("s", 8)]


def model_of(variant="light", scale=2, **options):
    return create_model(variant, scale, **{"embed_dim": 32, "depths": (2, 2), "d_state": 4, **options}).eval()


@pytest.mark.parametrize(("variant", "scale"), CONFIGURATIONS)
def test_every_preset_survives_saving_and_detection(variant, scale, tmp_path):
    # Two groups instead of all: detection counts them, and the large presets would only cost time.
    model = create_model(variant, scale, depths=PRESETS[variant].get("depths", (6, 6))[:2])
    save_model(model, tmp_path / "weights.safetensors")
    torch.save({"params": model.state_dict()}, tmp_path / "weights.pth")
    for name in ("weights.safetensors", "weights.pth"):
        loaded = load_model(tmp_path / name)
        assert loaded.config == model.config
        assert not loaded.training
        for ours, theirs in zip(model.parameters(), loaded.parameters(), strict=True):
            assert torch.equal(ours, theirs)


@torch.no_grad()
@pytest.mark.parametrize(
    "options", [{"recurrence": {"scan_order": "cross-hilbert"}}, {"recurrence": "official"}, {"img_range": 255.0}]
)
def test_what_shapes_do_not_tell_survives_too(options, tmp_path):
    model = model_of(**options)
    save_model(model, tmp_path / "a.safetensors")
    torch.save(model.state_dict(), tmp_path / "a.pth")
    image = torch.rand(1, 3, 10, 12)
    torch.manual_seed(1)
    expected = model(image)
    for name in ("a.safetensors", "a.pth"):
        torch.manual_seed(1)
        assert torch.equal(load_model(tmp_path / name)(image), expected)


def test_the_same_network_gives_the_same_bytes(tmp_path):
    model, about = model_of(), {"licence": "none", "training_set": "Büsche \U0001f33f", "iterations": "12", "more": ""}
    files = []
    for number in range(5):  # the library's own order of the header is another in most of them
        save_model(model, tmp_path / f"{number}.safetensors", dict(reversed(about.items())) if number % 2 else about)
        files.append((tmp_path / f"{number}.safetensors").read_bytes())
    assert len(set(files)) == 1
    length = int.from_bytes(files[0][:8], "little")
    assert length % 8 == 0  # so that readers may map the numbers
    assert about.items() <= read_checkpoint(tmp_path / "0.safetensors").metadata.items()
    for ours, theirs in zip(model.parameters(), load_model(tmp_path / "0.safetensors").parameters(), strict=True):
        assert torch.equal(ours, theirs)


def test_semantics_can_be_chosen(tmp_path):
    save_model(model_of(), tmp_path / "a.safetensors")
    assert load_model(tmp_path / "a.safetensors", recurrence="official").config.recurrence.mode == "official"


def test_wrappers_and_their_order(tmp_path):
    first, second = model_of(), model_of()
    wrapped = {f"module.{name}": tensor for name, tensor in second.state_dict().items()}
    torch.save({"params": first.state_dict(), "params_ema": wrapped}, tmp_path / "a.pth")
    loaded = load_model(tmp_path / "a.pth")
    assert torch.equal(loaded.conv.weight, second.conv.weight)  # EMA is preferred
    assert torch.equal(read_checkpoint(tmp_path / "a.pth", "params").state["conv.weight"], first.conv.weight)


class Evil:
    def __init__(self, canary):
        self.canary = canary

    def __reduce__(self):
        return os.mkdir, (str(self.canary),)


def test_code_in_a_file_does_not_run(tmp_path):
    canary = tmp_path / "canary"
    torch.save({"params": {"conv.weight": Evil(canary)}}, tmp_path / "torch.pth")
    (tmp_path / "plain.pth").write_bytes(pickle.dumps(Evil(canary)))
    for name in ("torch.pth", "plain.pth"):
        with pytest.raises(CheckpointError, match=name):
            load_model(tmp_path / name)
    assert not canary.exists()


def corrupt(kind, path):
    state = dict(model_of().state_dict())
    if kind == "shape":
        state["conv.weight"] = torch.zeros(3, 3)
    elif kind == "nan":
        state["conv.weight"] = state["conv.weight"] * float("nan")
    elif kind == "missing":
        del state["norm_out.weight"]
    elif kind == "extra":
        state["surplus"] = torch.zeros(1)
    elif kind == "other network":
        state = {"layer1.0.weight": torch.zeros(3)}
    elif kind == "no configuration":
        del state["_extra_state"]
    elif kind == "contradiction":
        values = json.loads(bytes(state["_extra_state"].tolist()))
        state["_extra_state"] = torch.tensor(list(json.dumps({**values, "embed_dim": 64}).encode()), dtype=torch.uint8)
    elif kind == "broken configuration":
        state["_extra_state"] = torch.tensor([1, 2, 3], dtype=torch.uint8)
    save_file(state, path)


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("shape", "conv.weight"),
        ("nan", "finite"),
        ("missing", "norm_out.weight"),
        ("extra", "surplus"),
        ("other network", "Not a checkpoint of LSM"),
        ("no configuration", "configuration"),
        ("contradiction", "embed_dim"),
        ("broken configuration", "configuration"),
    ],
)
def test_wrong_files_give_one_clear_line(kind, message, tmp_path):
    path = tmp_path / "bad.safetensors"
    corrupt(kind, path)
    with pytest.raises(CheckpointError, match=message) as caught:
        load_model(path)
    assert "bad.safetensors" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"\xff" * 8 + b"x" * 50, b"\x10\0\0\0\0\0\0\0{broken", b"PNG nonsense"])
@pytest.mark.parametrize("name", ["a.safetensors", "a.pth"])
def test_damaged_files_give_one_clear_line(content, name, tmp_path):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(CheckpointError, match=name) as caught:
        load_model(tmp_path / name)
    assert "\n" not in str(caught.value)


def test_truncated_files_are_refused(tmp_path):
    save_model(model_of(), tmp_path / "a.safetensors")
    torch.save(model_of().state_dict(), tmp_path / "a.pth")
    for name in ("a.safetensors", "a.pth"):
        path = tmp_path / name
        path.write_bytes(path.read_bytes()[:-1000])
        with pytest.raises(CheckpointError, match=name):
            load_model(path)


def test_unknown_names_and_missing_files():
    with pytest.raises(CheckpointError, match="tiny-x4"):
        load_model("tiny-x5")
    with pytest.raises(CheckpointError, match=r"nowhere\.pth"):
        load_model("nowhere.pth")
