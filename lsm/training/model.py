"""`LSMModel`: BasicSR's SRModel with exact resuming, safe files, CPU and bf16 training, and our validation."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any, cast

import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from lsm.arch.base import CONFIG_KEY
from lsm.errors import CheckpointError, LSMError, first_line
from lsm.mixers.base import TokenMixer
from lsm.training import checkpoints
from lsm.training.budget import LossBand
from lsm.training.compat import MODEL_REGISTRY, get_root_logger
from lsm.training.losses import FurtherLosses, explain_missing_weights
from lsm.training.optimizers import build_optimizer, set_learning_rate
from lsm.training.schedule import learning_rate
from lsm.training.teacher import Teacher
from lsm.training.validating import ValidatingModel


class DivergenceError(LSMError):
    """The loss is no longer a number."""


@MODEL_REGISTRY.register()
class LSMModel(ValidatingModel):
    """Super-resolution training of one network by losses of its output.

    Args:
        opt: The checked options, see `lsm.training.options`.
    """

    def init_training_settings(self) -> None:
        """Set up the EMA network, the losses and the optimizer."""
        train = self.opt["train"]
        with explain_missing_weights(train):
            super().init_training_settings()
        if self.ema_decay > 0 and not self.opt["path"]["strict_load_g"]:
            self.model_ema(0)  # what the file lacks was drawn twice, once for each network
        bare = self.get_bare_model(self.net_g)
        if train["checkpointing"]:
            bare.checkpoint_blocks(True)
        self.penalised = [m for m in bare.modules() if isinstance(m, TokenMixer) and m.penalty() is not None]
        self.accumulate: int = train["accumulate"]
        self.autocast_dtype = torch.bfloat16 if self.opt["use_amp"] else None
        self.further = FurtherLosses(train, self.cri_perceptual).to(self.device)
        self.teacher = Teacher(train["teacher"], self.opt["scale"], self.device) if train["teacher"] else None
        self.band = LossBand()
        self.progress = self.spent = 0.0

    def model_to_device(self, net: nn.Module) -> nn.Module:
        """Move a network to this process's device, and wrap it when there are several processes."""
        net = net.to(self.device)
        if self.opt["use_channels_last"]:
            net = net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        if self.opt["use_compile"] and self.is_train:
            net.compile()  # in place: the names of its weights stay
        if not self.opt["dist"]:
            return net
        devices = [torch.cuda.current_device()] if self.device.type == "cuda" else None
        unused = self.opt["find_unused_parameters"]
        return DistributedDataParallel(net, device_ids=devices, find_unused_parameters=unused)

    def print_network(self, net: nn.Module) -> None:
        """Log the network's class and number of parameters."""
        bare = self.get_bare_model(net)
        parameters = sum(parameter.numel() for parameter in bare.parameters())
        get_root_logger().info("Network %s: %s parameters.", type(bare).__name__, f"{parameters:,}")

    def load_network(self, net: nn.Module, load_path: str, strict: bool = True, param_key: str = "params") -> None:
        """Load weights; without `strict`, those that fit, naming the others in the log.

        Args:
            net: The network, wrapped or not.
            load_path: The file.
            strict: Whether every name and shape must agree.
            param_key: `"params"` or `"params_ema"`, where the file has both.

        Raises:
            CheckpointError: If the file cannot be read or does not fit.
        """
        bare = self.get_bare_model(net)
        own = bare.state_dict()
        read = checkpoints.read_parameters if CONFIG_KEY in own else checkpoints.read_foreign_parameters
        weights = read(Path(load_path), param_key)
        if not strict:
            weights, skipped = checkpoints.fitting_parameters(weights, own)
            for line in skipped:
                get_root_logger().warning("%s: %s", load_path, line)
        if CONFIG_KEY in own:
            weights[CONFIG_KEY] = own[CONFIG_KEY]
        try:
            bare.load_state_dict(weights, strict=strict)
        except RuntimeError as error:
            raise checkpoints.mismatch_error(load_path, error) from error
        get_root_logger().info("Loaded %s weights from %s.", len(weights), load_path)

    def setup_optimizers(self) -> None:
        """Build the optimizer, see `lsm.training.optimizers`."""
        self.optimizer_g = build_optimizer(self.get_bare_model(self.net_g), self.opt["train"]["optim_g"])
        self.optimizers.append(self.optimizer_g)

    def setup_schedulers(self) -> None:
        """Do nothing: the learning rate is a function of the iteration, see `update_learning_rate`."""

    def update_learning_rate(self, current_iter: int, warmup_iter: int = -1) -> None:
        """Set the learning rate of an iteration, at `self.progress` of the training.

        Args:
            current_iter: 1 for the first.
            warmup_iter: Length of the linear warm-up, -1 for none.
        """
        train = self.opt["train"]
        rate = learning_rate(train["scheduler"], train["optim_g"]["lr"], current_iter, warmup_iter, self.progress)
        set_learning_rate(self.optimizer_g, rate)

    def feed_data(self, data: Mapping[str, Any]) -> None:
        """Take a batch: `lq` (B, 3, h, w), `gt` and `teacher` (B, 3, rh, rw) if known, and their paths."""
        layout = torch.channels_last if self.opt["use_channels_last"] else torch.preserve_format
        self.lq = data["lq"].to(self.device, non_blocking=True, memory_format=layout)
        self.gt = data["gt"].to(self.device, non_blocking=True) if "gt" in data else None
        self.taught = data["teacher"].to(self.device, non_blocking=True) if "teacher" in data else None
        self.batch_names = data.get("gt_path", data.get("lq_path", []))

    def optimize_parameters(self, current_iter: int) -> None:
        """Do one step of the optimizer on the batch, in `accumulate` parts; what mixers penalise is not in the log.

        Raises:
            DivergenceError: If the loss or its gradient is not finite; the weights are then still those of the step
                before.
        """
        self.optimizer_g.zero_grad()
        totals: dict[str, torch.Tensor] = {}
        parts = list(zip(self.lq.chunk(self.accumulate), self.target().chunk(self.accumulate), strict=True))
        for index, (lr, hr) in enumerate(parts):
            last = index == len(parts) - 1
            # Gradients are averaged over the processes once, with the last part.
            together = nullcontext() if last or not self.opt["dist"] else self.net_g.no_sync()
            with together:
                with self.autocast():
                    output = self.net_g(lr)
                share = len(lr) / len(self.lq)
                losses = {name: loss * share for name, loss in self.losses(output.float(), hr).items()}
                for name, loss in losses.items():
                    totals[name] = totals.get(name, 0) + loss.detach()
                total = cast(torch.Tensor, sum(losses.values()))
                if last:
                    total = total + self.penalties()
                total.backward()
        self.step(totals, current_iter)
        self.average(current_iter)

    def autocast(self) -> torch.autocast:
        """Return the context in which the network is computed in bfloat16, where the options ask for it."""
        return torch.autocast(self.device.type, self.autocast_dtype, enabled=self.autocast_dtype is not None)

    def target(self) -> torch.Tensor:
        """Return the images (B, 3, rH, rW) that the network is to give: the true ones, or also a teacher's."""
        gt = cast(torch.Tensor, self.gt)
        return gt if self.teacher is None else self.teacher.target(self.lq, gt, self.taught, self.progress)

    def losses(self, output: torch.Tensor, target: torch.Tensor) -> dict[str, torch.Tensor]:
        """Compare output and target (B, 3, rH, rW), float32: a scalar for each loss, by its name in the log."""
        return {"l_pix": self.cri_pix(output, target), **self.further(output, target)}

    def penalties(self) -> torch.Tensor:
        """Return the sum of what mixers penalise."""
        zero = torch.zeros((), device=self.device)
        return sum((cast(torch.Tensor, mixer.penalty()) for mixer in self.penalised), zero)

    def step(self, losses: Mapping[str, torch.Tensor], current_iter: int) -> None:
        """Let the network learn from the gradient that there is, and note the losses.

        Args:
            losses: By their names in the log.
            current_iter: 1 for the first.

        Raises:
            DivergenceError: If a loss or the gradient is not finite.
        """
        self.log_dict = OrderedDict(self.means_over_processes(losses, current_iter))
        self.check_gradient(self.net_g, current_iter)
        if (norm := self.opt["train"]["grad_clip"]) is not None:
            torch.nn.utils.clip_grad_norm_(self.net_g.parameters(), norm)
        self.optimizer_g.step()
        if left := self.band.note(self.log_dict["l_pix"]):
            get_root_logger().warning("Iteration %d: %s", current_iter, left)

    def average(self, current_iter: int) -> None:
        """Follow the weights by their average, and take the average for the weights when it is time."""
        if self.ema_decay == 0:
            return
        bare, switch = self.get_bare_model(self.net_g), self.opt["train"]["ema_switch"]
        with torch.no_grad():
            # In one go: BasicSR's loop over the weights takes a GPU as long as a small network's gradient.
            averages = list(self.net_g_ema.parameters())
            torch._foreach_mul_(averages, self.ema_decay)
            torch._foreach_add_(averages, list(bare.parameters()), alpha=1 - self.ema_decay)
            for average, buffer in zip(self.net_g_ema.buffers(), bare.buffers(), strict=True):
                average.copy_(buffer)  # running means of a batch norm are averages already
            if switch and current_iter % switch == 0:
                for average, weight in zip(self.net_g_ema.parameters(), bare.parameters(), strict=True):
                    weight.copy_(average)

    def means_over_processes(self, losses: Mapping[str, torch.Tensor], iteration: int) -> dict[str, float]:
        """Average the losses over the processes, and stop all of them if one is not finite in one."""
        values, own = torch.stack([loss.detach().float() for loss in losses.values()]), False
        if self.opt["dist"]:
            own = bool(values.isfinite().all())
            torch.distributed.all_reduce(values)
            values /= self.opt["world_size"]
        means = dict(zip(losses, values.tolist(), strict=True))
        for name, value in means.items():
            if not math.isfinite(value):
                where = "in another process" if own else f"with these images in the batch: {self._names()}"
                kind = "The loss" if name == "l_pix" else f"The loss {name}"
                raise DivergenceError(f"{kind} is {value} at iteration {iteration}, {where}.")
        return means

    def check_gradient(self, network: nn.Module, iteration: int) -> None:
        """Stop before a step that would spoil the weights; the loss alone would tell one iteration too late."""
        gradients = [parameter.grad for parameter in network.parameters() if parameter.grad is not None]
        if not torch.nn.utils.get_total_norm(gradients, norm_type=math.inf).isfinite():
            raise DivergenceError(
                f"The gradient is not finite at iteration {iteration}, with these images in the batch: {self._names()}."
            )

    def _names(self) -> str:
        """Return the names of images in this process's batch."""
        return ", ".join(Path(name).name for name in self.batch_names)

    def save(self, epoch: int, current_iter: int) -> None:
        """Write the network and the training state of an iteration; -1 writes the network as `latest` only."""
        if self.opt["rank"] != 0:
            return
        label = "latest" if current_iter == -1 else current_iter
        models = Path(self.opt["path"]["models"])
        for letter, network in self.networks().items():
            checkpoints.save_atomic(network, checkpoints.network_path(models, label, letter))
        if current_iter == -1:
            return
        state = {
            "epoch": epoch,
            "iter": current_iter,
            "optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
            "schedulers": [],
            "best_metric_results": getattr(self, "best_metric_results", {}),
            "loss_band": self.band.state(),
        }
        if self.opt["train"]["budget_hours"]:  # what a training of a fixed length took is no part of its state
            state["spent"] = self.spent
        states = Path(self.opt["path"]["training_states"])
        checkpoints.save_atomic(state, checkpoints.state_path(states, current_iter))
        checkpoints.prune_states(states, self.opt["logger"]["keep_states"])

    def networks(self) -> dict[str, dict[str, dict[str, torch.Tensor]]]:
        """Return what the files of the networks hold, by their letters: weights, and the average where one is kept."""
        networks = {"params": on_cpu(self.get_bare_model(self.net_g))}
        if self.ema_decay > 0:
            networks["params_ema"] = on_cpu(self.net_g_ema)
        return {"g": networks}

    def resume_training(self, resume_state: Mapping[str, Any]) -> None:
        """Take over a training state; the networks were loaded when the model was built.

        Raises:
            CheckpointError: If the state is of another network.
        """
        try:
            for optimizer, state in zip(self.optimizers, resume_state["optimizers"], strict=True):
                optimizer.load_state_dict(state)
        except (ValueError, KeyError, TypeError, RuntimeError) as error:
            raise CheckpointError(
                f"The training state does not fit the network of the options: {first_line(error)}"
            ) from error
        self.spent = float(resume_state.get("spent", 0.0))
        self.band = LossBand(resume_state.get("loss_band"))
        if resume_state.get("best_metric_results"):
            self.best_metric_results = resume_state["best_metric_results"]


def on_cpu(net: nn.Module) -> dict[str, torch.Tensor]:
    """Return a network's weights as copies on the CPU."""
    return {name: tensor.detach().cpu() for name, tensor in net.state_dict().items()}
