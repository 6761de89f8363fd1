"""`LSMGANModel`: training against a discriminator, as in SRGAN and ESRGAN.

SRGAN (Ledig et al. 2017, arXiv 1609.04802, §2.2) lets a second network D tell true images from others, and the first
one learn from what D says besides its other losses. Relativistic (Wang et al. 2018, ESRGAN, arXiv 1809.00219, §3.2),
D judges an image against the mean of the other kind. The steps are those of BasicSR's SRGANModel and ESRGANModel.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Any, cast

from torch import Tensor

from lsm.training.compat import MODEL_REGISTRY, build_loss, build_network
from lsm.training.model import LSMModel, on_cpu
from lsm.training.optimizers import build_optimizer, set_learning_rate
from lsm.training.schedule import learning_rate


@MODEL_REGISTRY.register()
class LSMGANModel(LSMModel):
    """Training of a network against a discriminator.

    Args:
        opt: The checked options, with `network_d`, `train.gan_opt` and `train.optim_d`.
    """

    def setup_optimizers(self) -> None:
        """Build the discriminator and both optimizers."""
        super().setup_optimizers()
        train, path = self.opt["train"], self.opt["path"]
        self.net_d = self.model_to_device(build_network(self.opt["network_d"]))
        self.print_network(self.net_d)
        if path["pretrain_network_d"] is not None:
            self.load_network(self.net_d, path["pretrain_network_d"], path["strict_load_d"], path["param_key_d"])
        self.net_d.train()
        self.cri_gan = build_loss(train["gan_opt"]).to(self.device)
        self.optimizer_d = build_optimizer(self.get_bare_model(self.net_d), train["optim_d"])
        self.optimizers.append(self.optimizer_d)

    def update_learning_rate(self, current_iter: int, warmup_iter: int = -1) -> None:
        """Set the learning rates of an iteration; the discriminator's follows the same schedule."""
        super().update_learning_rate(current_iter, warmup_iter)
        train = self.opt["train"]
        rate = learning_rate(train["scheduler"], train["optim_d"]["lr"], current_iter, warmup_iter, self.progress)
        set_learning_rate(self.optimizer_d, rate)

    def optimize_parameters(self, current_iter: int) -> None:
        """Do a step of the network, where it is its turn, and one of the discriminator.

        Raises:
            DivergenceError: If a loss or a gradient is not finite; that network's weights are then still those of the
                step before.
        """
        train = self.opt["train"]
        self.net_d.requires_grad_(False)
        self.optimizer_g.zero_grad()
        with self.autocast():
            output = self.net_g(self.lq)
        output = output.float()
        log: dict[str, float] = {}
        if current_iter % train["net_d_iters"] == 0 and current_iter > train["net_d_init_iters"]:
            losses = self.losses(output, self.target()) | {"l_gan": self._fooling(output)}
            (cast(Tensor, sum(losses.values())) + self.penalties()).backward()
            self.step(losses, current_iter)
            log.update(self.log_dict)
        self.net_d.requires_grad_(True)
        log.update(self._discriminate(output.detach(), current_iter))
        self.log_dict = OrderedDict(log)
        self.average(current_iter)

    def _fooling(self, output: Tensor) -> Tensor:
        """Return the loss of images (B, 3, rH, rW) that the discriminator does not take for true."""
        fake = self.net_d(output)
        if not self.opt["train"]["relativistic"]:
            return cast(Tensor, self.cri_gan(fake, True, is_disc=False))
        real = self.net_d(self.gt).detach()
        wrong = self.cri_gan(real - fake.mean(), False, is_disc=False)
        right = self.cri_gan(fake - real.mean(), True, is_disc=False)
        return cast(Tensor, (wrong + right) / 2)

    def _discriminate(self, output: Tensor, current_iter: int) -> dict[str, float]:
        """Let the discriminator learn from true images and the network's, one after the other.

        Args:
            output: (B, 3, rH, rW), without gradient.
            current_iter: 1 for the first.

        Returns:
            Its losses, and the means of what it says.
        """
        relativistic = self.opt["train"]["relativistic"]
        share = 0.5 if relativistic else 1.0
        self.optimizer_d.zero_grad()
        others = self.net_d(output).detach().mean() if relativistic else 0.0
        real = self.net_d(self.gt)
        of_real = self.cri_gan(real - others, True, is_disc=True) * share
        of_real.backward()
        others = real.detach().mean() if relativistic else 0.0
        fake = self.net_d(output)
        of_fake = self.cri_gan(fake - others, False, is_disc=True) * share
        of_fake.backward()
        said = {"out_d_real": real.detach().mean(), "out_d_fake": fake.detach().mean()}
        log = self.means_over_processes({"l_d_real": of_real, "l_d_fake": of_fake, **said}, current_iter)
        self.check_gradient(self.net_d, current_iter)
        self.optimizer_d.step()
        return log

    def networks(self) -> dict[str, dict[str, Any]]:
        """Return what is kept of the networks, the discriminator too: `net_d_ITER.pth`."""
        return super().networks() | {"d": {"params": on_cpu(self.get_bare_model(self.net_d))}}
