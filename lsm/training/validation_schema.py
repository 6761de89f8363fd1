"""What a config may say of validations: how often, by which metrics, in which tiles."""

from __future__ import annotations

import typing
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Discriminator, Field, PositiveInt, Tag, model_validator
from pydantic_core import PydanticCustomError

from lsm.training.image_schema import Name, NonNegativeInt
from lsm.training.section import Section


class Metric(Section):
    """One metric of a validation, under its name in BasicSR."""

    type: Literal[
        "calculate_psnr", "calculate_ssim", "calculate_psnrb", "calculate_niqe", "calculate_lpips", "calculate_dists"
    ]
    """The metric; LPIPS and DISTS need the extra `perceptual`."""
    crop_border: NonNegativeInt
    """Pixels that are left out at each edge."""
    test_y_channel: bool = False
    """Whether luma alone is compared."""
    better: Literal["higher", "lower"] | None = None
    """Whether a higher or a lower value is better; by default what the metric means by it."""

    @model_validator(mode="after")
    def _what_the_metric_means(self) -> Metric:
        lower = self.type in ("calculate_niqe", "calculate_lpips", "calculate_dists")
        self.better = self.better or ("lower" if lower else "higher")
        if self.test_y_channel and self.type in ("calculate_lpips", "calculate_dists"):
            raise PydanticCustomError("luma", "{type} compares colours; leave test_y_channel out", {"type": self.type})
        return self


class RegisteredMetric(Section):
    """A metric by its name in BasicSR's registry, with its own keys; it takes `img` and `img2`, uint8 BGR."""

    model_config = ConfigDict(extra="allow")

    type: str
    """Its name in the registry."""
    better: Literal["higher", "lower"] = "higher"
    """Whether a higher or a lower value is better."""


def _metric_kind(metric: Any) -> str:
    """Choose the section that a metric is checked by: an open one for what a plug-in registers."""
    name = metric.get("type") if isinstance(metric, dict) else getattr(metric, "type", None)
    if not isinstance(name, str) or name in typing.get_args(Metric.model_fields["type"].annotation):
        return "known"
    from lsm.training.compat import METRIC_REGISTRY
    from lsm.training.registered import by_plugin

    return "registered" if by_plugin(METRIC_REGISTRY, name) else "known"


class Val(Section):
    """How often and by what a validation measures.

    `use_chop` upscales in tiles that fit the memory; `self_ensemble` averages the eight flips and quarter turns.
    """

    val_freq: PositiveInt = 5000
    """Iterations from one validation to the next."""
    save_img: bool = False
    """Whether the images are written."""
    suffix: Name | None = None
    """Of the images' names in a test; the run's name if it is not given."""
    use_chop: bool = False
    """Whether images are upscaled in tiles that fit the memory."""
    self_ensemble: bool = False
    """Whether eight flips and quarter turns are averaged."""
    pbar: bool = False
    """Whether a progress bar is shown."""
    metrics: dict[
        str,
        Annotated[
            Annotated[Metric, Tag("known")] | Annotated[RegisteredMetric, Tag("registered")],
            Discriminator(_metric_kind),
        ],
    ] = Field(default={})
    """What is measured, by the names that the log shows; the first one decides which network is kept as the best."""


class Tile(Section):
    """Tiles of a validation, in low-resolution pixels; 0 takes each image whole."""

    tile_size: NonNegativeInt = 0
    """Side of a tile; 0 for none."""
    tile_pad: NonNegativeInt = 32
    """Pixels that neighbouring tiles share."""
