"""`LSMModel`: BasicSR's SRModel with exact resuming, safe files, CPU and bf16 training, and our validation."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from rich.progress import track
from torch import nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader

from lsm.arch.base import CONFIG_KEY
from lsm.errors import CheckpointError, LSMError, first_line
from lsm.image.io import write_image
from lsm.image.pixels import from_tensor
from lsm.inference.upscaler import Upscaler
from lsm.mixers.base import TokenMixer
from lsm.training import checkpoints
from lsm.training.budget import LossBand
from lsm.training.compat import MODEL_REGISTRY, SRModel, get_root_logger
from lsm.training.losses import FFTLoss
from lsm.training.metrics import measure, select_metrics
from lsm.training.optimizers import build_optimizer, set_learning_rate
from lsm.training.schedule import learning_rate
from lsm.training.teacher import Teacher


class DivergenceError(LSMError):
    """The loss is no longer a number."""


@MODEL_REGISTRY.register()
class LSMModel(SRModel):
    """Super-resolution training of one network with a pixel loss.

    Args:
        opt: The checked options, see `lsm.training.options`.
    """

    def init_training_settings(self) -> None:
        """Set up the EMA network, the loss and the optimizer."""
        super().init_training_settings()
        if self.ema_decay > 0 and not self.opt["path"]["strict_load_g"]:
            self.model_ema(0)  # what the file lacks was drawn twice, once for each network
        bare = self.get_bare_model(self.net_g)
        bare.checkpoint_blocks(self.opt["train"]["checkpointing"])
        self.penalised = [m for m in bare.modules() if isinstance(m, TokenMixer) and m.penalty() is not None]
        self.accumulate: int = self.opt["train"]["accumulate"]
        self.autocast_dtype = torch.bfloat16 if self.opt["use_amp"] else None
        fft, teacher = self.opt["train"]["fft_opt"], self.opt["train"]["teacher"]
        self.cri_fft = FFTLoss(fft["loss_weight"]) if fft else None
        self.teacher = Teacher(teacher, self.opt["scale"], self.device) if teacher else None
        self.band = LossBand()
        self.progress = self.spent = 0.0

    def model_to_device(self, net: nn.Module) -> nn.Module:
        """Move a network to this process's device, and wrap it when there are several processes."""
        net = net.to(self.device)
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
        weights, own = checkpoints.read_parameters(Path(load_path), param_key), bare.state_dict()
        if not strict:
            weights, skipped = checkpoints.fitting_parameters(weights, own)
            for line in skipped:
                get_root_logger().warning("%s: %s", load_path, line)
        try:
            bare.load_state_dict(weights | {CONFIG_KEY: own[CONFIG_KEY]}, strict=strict)
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
        self.lq = data["lq"].to(self.device, non_blocking=True)
        self.gt = data["gt"].to(self.device, non_blocking=True) if "gt" in data else None
        self.taught = data["teacher"].to(self.device, non_blocking=True) if "teacher" in data else None
        self.batch_names = list(data.get("gt_path", data["lq_path"]))

    def optimize_parameters(self, current_iter: int) -> None:
        """Do one step of the optimizer on the batch, in `accumulate` parts; what mixers penalise is not in the log.

        Raises:
            DivergenceError: If the loss or its gradient is not finite; the weights are then still those of the step
                before.
        """
        self.optimizer_g.zero_grad()
        total = torch.zeros((), device=self.device)
        target = cast(torch.Tensor, self.gt)
        if self.teacher is not None:
            target = self.teacher.target(self.lq, target, self.taught, self.progress)
        targets = target.chunk(self.accumulate)
        parts = list(zip(self.lq.chunk(self.accumulate), targets, strict=True))
        for index, (lr, hr) in enumerate(parts):
            last = index == len(parts) - 1
            # Gradients are averaged over the processes once, with the last part.
            together = nullcontext() if last or not self.opt["dist"] else self.net_g.no_sync()
            with together:
                with torch.autocast(self.device.type, self.autocast_dtype, enabled=self.autocast_dtype is not None):
                    output = self.net_g(lr)
                share = len(lr) / len(self.lq)
                loss = self.cri_pix(output.float(), hr) * share
                total += loss.detach()
                if self.cri_fft is not None:
                    loss = loss + self.cri_fft(output, hr) * share
                if last:
                    loss = sum((cast(torch.Tensor, mixer.penalty()) for mixer in self.penalised), loss)
                loss.backward()
        value = self._mean_over_processes(total, current_iter)
        self._check_gradient(current_iter)
        self.optimizer_g.step()
        self.log_dict = OrderedDict(l_pix=value)
        if left := self.band.note(value):
            get_root_logger().warning("Iteration %d: %s", current_iter, left)
        if self.ema_decay > 0:
            self.model_ema(decay=self.ema_decay)

    def _mean_over_processes(self, loss: torch.Tensor, iteration: int) -> float:
        """Average the loss over the processes, and stop all of them if it is not finite in one."""
        own = loss.item()
        if self.opt["dist"]:
            torch.distributed.all_reduce(loss)
            loss /= self.opt["world_size"]
        value = loss.item()
        if not math.isfinite(value):
            where = "in another process" if math.isfinite(own) else f"with these images in the batch: {self._names()}"
            raise DivergenceError(f"The loss is {value} at iteration {iteration}, {where}.")
        return value

    def _check_gradient(self, iteration: int) -> None:
        """Stop before a step that would spoil the weights; the loss alone would tell one iteration too late."""
        gradients = [parameter.grad for parameter in self.net_g.parameters() if parameter.grad is not None]
        if not torch.nn.utils.get_total_norm(gradients, norm_type=math.inf).isfinite():
            raise DivergenceError(
                f"The gradient is not finite at iteration {iteration}, with these images in the batch: {self._names()}."
            )

    def _names(self) -> str:
        """Return the names of images in this process's batch."""
        return ", ".join(Path(name).name for name in self.batch_names)

    def test(self) -> None:
        """Upscale `lq` (1, 3, h, w) into `output` (1, 3, rh, rw), with the EMA weights where there are any."""
        net = getattr(self, "net_g_ema", None) or self.get_bare_model(self.net_g)
        tile, ensemble = self.opt["tile"], self.opt["val"]["self_ensemble"]
        upscaler = Upscaler(
            net, tile=tile["tile_size"], tile_overlap=tile["tile_pad"], ensemble=ensemble, device=self.device
        )
        self.output = upscaler.upscale_tensor(self.lq)

    def nondist_validation(
        self, dataloader: DataLoader, current_iter: int | str, tb_logger: Any, save_img: bool
    ) -> dict[str, float]:
        """Upscale a dataset, measure it, log the means and write the images if asked.

        Args:
            dataloader: One image a batch.
            current_iter: The iteration, or in a test the run's name.
            tb_logger: TensorBoard's writer or None.
            save_img: Whether to write the images.

        Returns:
            The mean of each metric.
        """
        name = dataloader.dataset.opt["name"]  # type: ignore[attr-defined]
        metrics = select_metrics(self.opt["val"]["metrics"], dataloader.dataset.opt["type"] != "SingleImages")  # type: ignore[attr-defined]
        values: dict[str, list[float]] = {metric: [] for metric in metrics}
        for data in track(dataloader, name, disable=not self.opt["val"]["pbar"]):
            self.feed_data(data)
            self.test()
            result = from_tensor(self.output[0], 3, np.dtype(np.uint8))
            target = None if self.gt is None else from_tensor(self.gt[0], 3, np.dtype(np.uint8))
            if save_img:
                self._write_image(result, Path(data["lq_path"][0]).stem, name, current_iter)
            for metric, options in metrics.items():
                values[metric].append(measure(options, result, target))
        self.metric_results = {metric: float(np.mean(each)) for metric, each in values.items()}
        if metrics:
            if self.is_train:
                self._initialize_best_metric_results(name)
                for metric, value in self.metric_results.items():
                    self._update_best_metric_result(name, metric, value, current_iter)
                self._keep_if_best(name, current_iter)
            self._log_validation_metric_values(current_iter, name, tb_logger)
        return self.metric_results

    def _keep_if_best(self, dataset: str, current_iter: int | str) -> None:
        """Save the network as `best` if the first metric of the first validation set is the best so far."""
        decisive = next(settings["name"] for key, settings in self.opt["datasets"].items() if key != "train")
        first = next(iter(self.opt["val"]["metrics"]))
        if dataset == decisive and self.best_metric_results[dataset][first]["iter"] == current_iter:
            checkpoints.save_atomic(
                self._networks(), checkpoints.network_path(Path(self.opt["path"]["models"]), "best")
            )

    def _write_image(self, image: np.ndarray, stem: str, dataset: str, current_iter: int | str) -> None:
        folder = Path(self.opt["path"]["visualization"])
        if self.is_train:
            path = folder / dataset / stem / f"{stem}_{current_iter}.png"
        else:
            path = folder / dataset / f"{stem}_{self.opt['val']['suffix'] or self.opt['name']}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_image(path, image)

    def save(self, epoch: int, current_iter: int) -> None:
        """Write the network and the training state of an iteration; -1 writes the network as `latest` only."""
        if self.opt["rank"] != 0:
            return
        label = "latest" if current_iter == -1 else current_iter
        checkpoints.save_atomic(self._networks(), checkpoints.network_path(Path(self.opt["path"]["models"]), label))
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

    def _networks(self) -> dict[str, dict[str, torch.Tensor]]:
        """Return what a file of the network holds: its weights, and their average where one is kept."""
        networks = {"params": _on_cpu(self.get_bare_model(self.net_g))}
        if self.ema_decay > 0:
            networks["params_ema"] = _on_cpu(self.net_g_ema)
        return networks

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


def _on_cpu(net: nn.Module) -> dict[str, torch.Tensor]:
    return {name: tensor.detach().cpu() for name, tensor in net.state_dict().items()}
