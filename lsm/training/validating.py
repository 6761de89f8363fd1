"""Validation of a network: whole images upscaled, measured, written, and the best network kept."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from rich.progress import track
from torch import nn
from torch.utils.data import DataLoader

from lsm.image.io import write_image
from lsm.image.pixels import from_tensor
from lsm.inference.upscaler import Upscaler
from lsm.training import checkpoints
from lsm.training.compat import SRModel, build_network
from lsm.training.foreign import PaddedNetwork, find_multiple
from lsm.training.metrics import measure, select_metrics


class ValidatingModel(SRModel):
    """BasicSR's SRModel with our validation.

    Args:
        opt: The checked options, see `lsm.training.options`.
    """

    _multiple: int | None = None
    """Of which the sides of a foreign network's images must be; found when it is first needed."""

    def test(self) -> None:
        """Upscale `lq` (1, 3, h, w) into `output` (1, 3, rh, rw), with the EMA weights where there are any."""
        net = getattr(self, "net_g_ema", None) or self.get_bare_model(self.net_g)
        if self.opt["network_g"]["type"] != "LSM":
            net = self._padded(net)
        tile, ensemble = self.opt["tile"], self.opt["val"]["self_ensemble"]
        upscaler = Upscaler(
            net, tile=tile["tile_size"], tile_overlap=tile["tile_pad"], ensemble=ensemble, device=self.device
        )
        self.output = upscaler.upscale_tensor(self.lq)

    def _padded(self, net: nn.Module) -> nn.Module:
        """Let a network of BasicSR's or of a plug-in's take images of any size."""
        if self._multiple is None:
            name, scale = self.opt["network_g"]["type"], self.opt["scale"]
            self._multiple = find_multiple(lambda: build_network(self.opt["network_g"]), name, scale)
        return PaddedNetwork(net, self.opt["scale"], self._multiple)

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
                self.networks()["g"], checkpoints.network_path(Path(self.opt["path"]["models"]), "best")
            )

    def _write_image(self, image: np.ndarray, stem: str, dataset: str, current_iter: int | str) -> None:
        folder = Path(self.opt["path"]["visualization"])
        if self.is_train:
            path = folder / dataset / stem / f"{stem}_{current_iter}.png"
        else:
            path = folder / dataset / f"{stem}_{self.opt['val']['suffix'] or self.opt['name']}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_image(path, image)
