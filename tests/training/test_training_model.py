from __future__ import annotations

import copy

import pytest
import torch
from small_training import SMALL_NETWORK

from lsm.errors import OptionError
from lsm.training import launch
from lsm.training.compat import build_model
from lsm.training.model import DivergenceError
from lsm.training.options import read_options


@pytest.fixture
def build(content, option_file):
    """Build a model from the small training's options with some of them changed."""

    def make(network=None, **train):
        content["train"] |= train
        content["network_g"] = (
            SMALL_NETWORK | {"drop_path_rate": 0.0, "recurrence": {"categories": "argmax"}} | (network or {})
        )
        options = read_options(option_file(content)) | {"dist": False, "rank": 0, "world_size": 1, "is_train": True}
        torch.manual_seed(0)
        return build_model(options)

    return make


@pytest.fixture
def batch():
    torch.manual_seed(1)
    names = [f"folder/im{index}.png" for index in range(4)]
    return {"lq": torch.rand(4, 3, 8, 8), "gt": torch.rand(4, 3, 16, 16), "gt_path": names, "lq_path": names}


def weights(model):
    return copy.deepcopy(dict(model.net_g.named_parameters()))


def test_every_parameter_gets_a_gradient(build, batch):
    """Else several processes would wait for each other's gradients, without find_unused_parameters."""
    model = build()
    model.feed_data(batch)
    model.optimize_parameters(1)
    assert [name for name, parameter in model.net_g.named_parameters() if parameter.grad is None] == []


def test_accumulation_equals_the_whole_batch(build, batch):
    gradients = []
    for parts in (1, 2, 4):
        model = build(accumulate=parts)
        model.feed_data(batch)
        model.optimize_parameters(1)
        gradients.append([parameter.grad for parameter in model.net_g.parameters()])
    for other in gradients[1:]:
        for expected, found in zip(gradients[0], other, strict=True):
            torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("parts", [1, 2])
def test_what_a_mixer_penalises_is_in_the_gradient_once(build, batch, parts):
    gradients, filters = [], []
    for factor in (0.0, 0.5):
        options = {"height": 4, "width": 4, "std": 0.5, "regularization": factor}
        model = build({"mixer": "gfnet-adaptive", "mixer_options": options}, accumulate=parts)
        filters.append([p for name, p in model.net_g.named_parameters() if name.endswith("filter.weight")])
        starts = [weight.detach().clone() for weight in filters[-1]]
        model.feed_data(batch)
        model.optimize_parameters(1)
        gradients.append([weight.grad for weight in filters[-1]])
    assert starts
    for start, without, with_penalty in zip(starts, *gradients, strict=True):
        # 0.5 times the mean over the numel/2 complex numbers
        torch.testing.assert_close(with_penalty - without, 2 * start / start.numel(), rtol=1e-3, atol=1e-6)


def test_ema_follows_the_weights(build, batch):
    model = build(ema_decay=0.75)
    before = weights(model)
    model.feed_data(batch)
    model.optimize_parameters(1)
    for (name, start), average in zip(before.items(), model.net_g_ema.parameters(), strict=True):
        now = dict(model.net_g.named_parameters())[name]
        torch.testing.assert_close(average, 0.75 * start + 0.25 * now)


def test_nan_stops_with_iteration_and_images_before_the_weights_change(build, batch):
    model = build()
    before = weights(model)
    batch["gt"][2, 0, 0, 0] = float("nan")
    model.feed_data(batch)
    with pytest.raises(DivergenceError, match=r"nan at iteration 17.*im0\.png, im1\.png, im2\.png, im3\.png"):
        model.optimize_parameters(17)
    for name, parameter in model.net_g.named_parameters():
        assert torch.equal(parameter, before[name])


def test_checkpointing_gives_the_same_gradients(build, batch):
    gradients = []
    for checkpointing in (False, True):
        model = build(checkpointing=checkpointing)
        assert {group.checkpointing for group in model.net_g.groups} == {checkpointing}
        model.feed_data(batch)
        model.optimize_parameters(1)
        gradients.append([parameter.grad for parameter in model.net_g.parameters()])
    for expected, found in zip(*gradients, strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-8)


def test_a_gradient_that_is_not_finite_stops_before_the_weights_change(build, batch, monkeypatch):
    """A finite loss can have such a gradient; one iteration later the weights would be lost."""
    model = build()
    before = weights(model)
    loss = model.cri_pix
    # The square root's slope is infinite at 0, and 0 times that is no number.
    monkeypatch.setattr(model, "cri_pix", lambda output, high: loss(output, high) + (output * 0).abs().sqrt().sum())
    model.feed_data(batch)
    with pytest.raises(DivergenceError, match=r"gradient is not finite at iteration 3.*im0\.png"):
        model.optimize_parameters(3)
    for name, parameter in model.net_g.named_parameters():
        assert torch.equal(parameter, before[name])


@pytest.mark.parametrize("setting", [{"amp": "bf16"}, {"use_amp": True}])
def test_bf16_trains_in_full_precision_weights(content, build, batch, setting):
    content |= setting
    model = build()
    assert model.autocast_dtype == torch.bfloat16
    model.feed_data(batch)
    losses = []
    for iteration in range(1, 31):
        model.optimize_parameters(iteration)
        losses.append(model.get_current_log()["l_pix"])
    assert losses[-1] < losses[0]
    assert {parameter.dtype for parameter in model.net_g.parameters()} == {torch.float32}


def test_validation_during_training_leaves_it_unchanged(tmp_path, content, images, option_file, monkeypatch):
    """The same weights with and without validation, and the best value in the state."""
    monkeypatch.chdir(tmp_path)
    content["train"]["total_iter"] = 4
    metric = {"psnr": {"type": "calculate_psnr", "crop_border": 2, "test_y_channel": True}}
    launch.train(option_file(content), ["name=without"])
    content["datasets"]["val"] = {"name": "some", "dataroot_gt": str(images)}
    content["val"] = {"val_freq": 1, "metrics": metric, "save_img": True}
    launch.train(option_file(content), ["name=with", "logger:use_tb_logger=true"])
    first, second = (
        torch.load(tmp_path / f"experiments/{name}/models/net_g_latest.pth", weights_only=True)
        for name in ("without", "with")
    )
    for name, tensor in first["params_ema"].items():
        assert torch.equal(tensor, second["params_ema"][name])
    state = torch.load(tmp_path / "experiments/with/training_states/4.state", weights_only=True)
    assert 1 <= state["best_metric_results"]["some"]["psnr"]["iter"] <= 4
    assert len(list((tmp_path / "experiments/with/visualization/some/im0").iterdir())) == 4
    assert list((tmp_path / "tb_logger/with").glob("events*"))
    assert not (tmp_path / "tb_logger/without").exists()


def test_gradients_are_clipped_to_a_norm(build, batch):
    norms = {}
    for clip in (None, 1e-3, True):
        model = build(grad_clip=clip)
        model.feed_data(batch)
        model.optimize_parameters(1)
        gradients = torch.cat([parameter.grad.flatten() for parameter in model.net_g.parameters()])
        norms[clip] = gradients.norm().item()
    assert norms[None] > 1e-3
    assert norms[1e-3] == pytest.approx(1e-3, rel=1e-3)
    assert norms[True] == pytest.approx(min(1.0, norms[None]), rel=1e-3)


def test_the_average_takes_over_every_so_often(build, batch):
    model = build(ema_decay=0.75, ema_switch=2)
    model.feed_data(batch)
    for iteration, same in ((1, False), (2, True), (3, False), (4, True)):
        model.optimize_parameters(iteration)
        pairs = zip(model.net_g.parameters(), model.net_g_ema.parameters(), strict=True)
        assert all(torch.equal(now, average) for now, average in pairs) == same


def test_a_switch_without_an_average_is_refused(build):
    with pytest.raises(OptionError, match="ema_switch needs an ema_decay"):
        build(ema_decay=0, ema_switch=2)


@pytest.mark.parametrize("setting", [{"use_channels_last": True}, {"use_compile": True}, {"compile": True}])
def test_other_ways_of_computing_give_the_same(content, build, batch, monkeypatch, setting):
    """Compiling is traced here without the compiler, which takes a minute."""
    backends = []

    def compile_eagerly(module):
        backends.append(module)
        return compiled(module, backend="eager")

    compiled = torch.nn.Module.compile
    monkeypatch.setattr(torch.nn.Module, "compile", compile_eagerly)
    network = {"type": "SRVGGNetCompact", "num_feat": 8, "num_conv": 2, "upscale": 2}
    found = []
    for changes in ({}, setting):
        content |= changes
        model = build()
        content["network_g"] = network
        options = model.opt | {"network_g": network}
        torch.manual_seed(0)
        model = build_model(options)
        model.feed_data(batch)
        model.optimize_parameters(1)
        found.append({name: parameter.grad for name, parameter in model.net_g.named_parameters()})
    assert len(backends) == ("use_channels_last" not in setting) * 2
    assert found[0].keys() == found[1].keys()
    for name, expected in found[0].items():
        torch.testing.assert_close(found[1][name], expected, rtol=1e-4, atol=1e-7)
    if "use_channels_last" in setting:
        assert model.lq.is_contiguous(memory_format=torch.channels_last)
