"""Metrics of a validation: the project's own under names in BasicSR's style, and BasicSR's others."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

import numpy as np

from lsm.metrics import psnr, psnr_b, ssim
from lsm.metrics.perceptual import dists, load_network, lpips
from lsm.training.compat import METRIC_REGISTRY, calculate_metric

OWN_METRICS = {
    "calculate_psnr": psnr,
    "calculate_ssim": ssim,
    "calculate_psnrb": psnr_b,
    "calculate_lpips": lpips,
    "calculate_dists": dists,
}


def load_networks(metrics: Mapping[str, dict[str, Any]]) -> None:
    """Load the networks that metrics measure by, so that a missing one is known before the first iteration.

    Raises:
        LSMError: If one cannot be loaded.
    """
    for options in metrics.values():
        name = options["type"].removeprefix("calculate_")
        if name in ("lpips", "dists"):
            load_network(name)


def select_metrics(metrics: Mapping[str, dict[str, Any]], has_target: bool) -> dict[str, dict[str, Any]]:
    """Leave out the metrics that compare with a true image where there is none."""
    return {name: options for name, options in metrics.items() if has_target or not _compares(options["type"])}


def _compares(kind: str) -> bool:
    """Return whether a metric takes a true image."""
    return kind in OWN_METRICS or "img2" in inspect.signature(METRIC_REGISTRY.get(kind)).parameters


def measure(options: Mapping[str, Any], result: np.ndarray, target: np.ndarray | None) -> float:
    """Measure one image.

    Args:
        options: A metric's section of the config: `type`, `crop_border`, `test_y_channel`.
        result: The network's output (H, W, 3), uint8 RGB.
        target: The true image, likewise; None where the metric needs none.

    Returns:
        The metric's value.
    """
    settings = {name: value for name, value in options.items() if name != "better"}
    own = OWN_METRICS.get(settings["type"])
    if own is not None and target is not None:
        return own(result, target, settings["crop_border"], channel="y" if settings["test_y_channel"] else "rgb")
    images = {"img": result[..., ::-1]}  # BasicSR's metrics take BGR
    if target is not None:
        images["img2"] = target[..., ::-1]
    return float(calculate_metric(images, settings))
