"""Training against a discriminator, and the perceptual loss."""

from __future__ import annotations

import re
from types import SimpleNamespace

import pytest
import torch
from small_training import SMALL_NETWORK
from torchvision.models import vgg

from lsm.errors import LSMError, OptionError
from lsm.training import launch
from lsm.training.compat import build_model
from lsm.training.options import read_options

DISCRIMINATOR = {"type": "UNetDiscriminatorSN", "num_in_ch": 3, "num_feat": 4}
GAN = {"type": "GANLoss", "gan_type": "vanilla", "real_label_val": 1.0, "fake_label_val": 0.0, "loss_weight": 5e-3}
NAMES = ("l_pix", "l_gan", "l_d_real", "l_d_fake", "out_d_real", "out_d_fake")


@pytest.fixture
def adversarial(content, tmp_path, monkeypatch):
    """A training as BasicSR's SRGAN files are."""
    monkeypatch.chdir(tmp_path)
    content |= {"model_type": "SRGANModel", "network_d": dict(DISCRIMINATOR)}
    content["train"] |= {"total_iter": 4, "gan_opt": dict(GAN), "optim_d": {"type": "Adam", "lr": 1e-3}}
    content["train"]["pixel_opt"] = {"type": "L1Loss", "loss_weight": 1e-2}
    content["train"] |= {"net_d_iters": 1, "net_d_init_iters": 0}
    content["datasets"]["train"]["batch_size"] = 2
    content["logger"]["save_checkpoint_freq"] = 2
    return content


def load(path):
    return torch.load(path, weights_only=True)


@pytest.mark.parametrize("kind", ["SRGANModel", "ESRGANModel"])
def test_two_networks_train_and_go_on_to_the_same_weights(adversarial, option_file, tmp_path, capsys, kind):
    adversarial["model_type"] = kind
    file = option_file(adversarial)
    launch.train(file, ["name=whole"])
    log = capsys.readouterr().err
    assert f"model_type: {kind} counts as LSMGANModel" in log
    assert ("train.relativistic: true" in log) == (kind == "ESRGANModel")
    assert all(len(re.findall(rf"\b{name} \S+", log)) == 4 for name in NAMES)
    launch.train(file, ["name=parts", "train:total_iter=2"])
    launch.train(file, ["name=parts"], auto_resume=True)
    for network in ("net_g_4.pth", "net_d_4.pth"):
        whole, parts = (load(tmp_path / f"experiments/{name}/models/{network}") for name in ("whole", "parts"))
        for name, tensor in whole["params"].items():
            assert torch.equal(tensor, parts["params"][name]), name
    before, after = (load(tmp_path / f"experiments/whole/models/net_d_{n}.pth")["params"] for n in (2, 4))
    assert any(not torch.equal(before[name], after[name]) for name in before)


@pytest.fixture
def build(adversarial, option_file):
    def make(**train):
        adversarial["train"] |= train
        adversarial["network_g"] = SMALL_NETWORK | {"drop_path_rate": 0.0, "recurrence": {"categories": "argmax"}}
        options = read_options(option_file(adversarial))
        torch.manual_seed(0)
        model = build_model(options | {"dist": False, "rank": 0, "world_size": 1, "is_train": True})
        model.feed_data({"lq": torch.rand(2, 3, 8, 8), "gt": torch.rand(2, 3, 16, 16)})
        return model

    return make


@pytest.mark.parametrize("relativistic", [False, True])
def test_losses_are_those_of_the_papers(build, relativistic):
    """Written out: −log D of what is to be taken for true, and for the discriminator both kinds."""
    model = build(relativistic=relativistic)
    with torch.no_grad():
        output = model.net_g(model.lq)
        real, fake = (model.net_d(images).double() for images in (model.gt, output))

    def cross_entropy(logits, label):
        return -(logits if label else -logits).sigmoid().log().mean()

    model.net_d.eval()  # the power iteration of spectral norms would go on with each pass
    with torch.no_grad():
        real, fake = (model.net_d(images).double() for images in (model.gt, output))
    fooling = model._fooling(output)
    if relativistic:
        expected = (cross_entropy(real - fake.mean(), False) + cross_entropy(fake - real.mean(), True)) / 2
    else:
        expected = cross_entropy(fake, True)
    assert fooling.item() == pytest.approx(GAN["loss_weight"] * expected.item(), rel=1e-4)
    log = model._discriminate(output, 1)
    others = (fake.mean(), real.mean()) if relativistic else (0, 0)
    share = 0.5 if relativistic else 1.0
    assert log["l_d_real"] == pytest.approx(share * cross_entropy(real - others[0], True).item(), rel=1e-4)
    assert log["l_d_fake"] == pytest.approx(share * cross_entropy(fake - others[1], False).item(), rel=1e-4)


def test_each_network_learns_in_its_turn(build):
    model = build(net_d_iters=2, net_d_init_iters=2)
    for iteration, learns in ((1, False), (2, False), (3, False), (4, True), (5, False)):
        before = {name: value.detach().clone() for name, value in model.net_g.named_parameters()}
        discriminator = next(model.net_d.parameters()).detach().clone()
        model.optimize_parameters(iteration)
        changed = any(not torch.equal(before[name], value) for name, value in model.net_g.named_parameters())
        assert changed == learns == ("l_gan" in model.get_current_log())
        assert not torch.equal(discriminator, next(model.net_d.parameters()))


def test_what_a_discriminator_needs_is_checked(adversarial, option_file):
    def refusal(content):
        with pytest.raises(OptionError) as caught:
            read_options(option_file(content))
        return str(caught.value).partition(": ")[2]

    without = {key: value for key, value in adversarial.items() if key != "network_d"}
    assert refusal(without) == "LSMGANModel needs network_d"
    assert refusal(adversarial | {"model_type": "LSMModel"}).startswith("only LSMGANModel takes network_d, train.gan")
    adversarial["network_d"] = {"type": "VGGStyleDiscriminator", "num_in_ch": 3, "num_feat": 4}
    assert "network_d: VGGStyleDiscriminator takes no patches of 16" in refusal(adversarial)
    adversarial["network_d"] |= {"features": 4}
    assert "network_d: Unknown key of VGGStyleDiscriminator 'features'" in refusal(adversarial)
    adversarial["network_d"] = dict(DISCRIMINATOR)
    adversarial["train"]["gan_opt"] = {"type": "GANLoss"}
    assert refusal(adversarial) == "train.gan_opt: GANLoss needs the key gan_type"


PERCEPTUAL = {
    **{"type": "PerceptualLoss", "layer_weights": {"conv1_1": 1, "relu2_1": 0.5}, "vgg_type": "vgg11"},
    **{"use_input_norm": True, "range_norm": False, "perceptual_weight": 1.0, "style_weight": 0.5, "criterion": "l1"},
}


def test_perceptual_loss_is_added(content, option_file, tmp_path, monkeypatch, capsys):
    """With random weights in place of those that would be fetched."""
    monkeypatch.chdir(tmp_path)
    layers = vgg.make_layers(vgg.cfgs["A"], False)
    monkeypatch.setattr(vgg, "vgg11", lambda **_: SimpleNamespace(features=layers))
    content["train"] |= {"total_iter": 2, "perceptual_opt": dict(PERCEPTUAL)}
    launch.train(option_file(content))
    log = capsys.readouterr().err
    assert len(re.findall(r"l_pix \S+  l_percep \S+  l_style \S+", log)) == 2
    content["train"]["perceptual_opt"]["layers"] = 3
    with pytest.raises(OptionError, match=r"train\.perceptual_opt: Unknown key of PerceptualLoss 'layers'"):
        read_options(option_file(content))


def test_weights_that_cannot_be_fetched_are_told_of(content, option_file, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def unreachable(**_):
        raise OSError("no route to host")

    monkeypatch.setattr(vgg, "vgg11", unreachable)
    content["train"]["perceptual_opt"] = dict(PERCEPTUAL)
    with pytest.raises(LSMError, match=r"cannot be fetched \(no route to host\); put vgg19-dcbb9e9d\.pth"):
        launch.train(option_file(content))
