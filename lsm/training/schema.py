"""What a config may hold: BasicSR's keys that mean something here, each with its type and default."""

from __future__ import annotations

import importlib.util
import typing
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    PositiveInt,
    Tag,
    model_validator,
)
from pydantic_core import PydanticCustomError

from lsm.training.image_schema import File, Fraction, Name, NonNegativeInt, Share, existing_file
from lsm.training.loss_schema import AnyPixelLoss, PixelLoss, RegisteredLoss, SpectralLoss
from lsm.training.optimizer_schema import Cosine, CosineToTheEnd, MultiStep, Optimizer
from lsm.training.section import Section
from lsm.weights.resolve import embedded_path, list_models


def _weights_file(name: str) -> str:
    return str(embedded_path(name)) if name in list_models() else existing_file(name)


class Paths(Section):
    """Files, or names of embedded weights, to start from; `param_key_g` is preferred where a file has both kinds."""

    pretrain_network_g: Annotated[str, AfterValidator(_weights_file)] | None = None
    param_key_g: Literal["params", "params_ema"] = "params_ema"
    strict_load_g: bool = True
    pretrain_network_d: Annotated[str, AfterValidator(existing_file)] | None = None
    param_key_d: Literal["params"] = "params"
    strict_load_d: bool = True
    resume_state: File | None = None


class TeacherSection(Section):
    """A network whose outputs are mixed into the truth: gt + w · (teacher − gt), w from `weight` to `final_weight`.

    With `cache`, a folder, it upscales each image of the training set once; else each batch as it comes.
    """

    path: File
    weight: Share = 1.0
    final_weight: Share | None = None
    cache: str | None = None

    @model_validator(mode="after")
    def _one_weight_holds_to_the_end(self) -> TeacherSection:
        self.final_weight = self.weight if self.final_weight is None else self.final_weight
        return self


def _norm(value: Any) -> Any:
    """Take `true` for a norm of 1, and `false` for none, as other projects write it."""
    return {True: 1.0, False: None}[value] if isinstance(value, bool) else value


class Train(Section):
    """How the network is trained; `accumulate` splits each process's batch into that many forward passes.

    It ends after `total_iter` iterations, or after `budget_hours`: of the processor where it runs on a CPU, of the
    clock where it runs on a GPU, validations not counted.

    `checkpointing` computes each block again for the gradient instead of keeping what is inside it: less memory, more
    time, the same gradient.

    `losses` are further ones beside the pixel loss, each under a name that the log shows; a registered one can be
    `pixel_opt` too. `grad_clip` scales the gradient down to that norm (true: 1). `ema_switch` takes the averaged
    weights over every so many iterations, 0 for never (Li et al. 2024, Switch EMA, arXiv 2402.09240).

    Of `LSMGANModel` alone: `gan_opt` and `optim_d`; the network learns in every `net_d_iters`-th iteration after
    `net_d_init_iters`; `relativistic` compares with the mean of the others, as ESRGAN does.
    """

    total_iter: PositiveInt | None = None
    budget_hours: Annotated[float, Field(gt=0)] | None = None
    optim_g: Optimizer
    scheduler: Annotated[MultiStep | Cosine | CosineToTheEnd, Field(discriminator="type")]
    pixel_opt: AnyPixelLoss = PixelLoss()
    perceptual_opt: RegisteredLoss | None = None
    losses: dict[Name, RegisteredLoss] = Field(default={})
    gan_opt: RegisteredLoss | None = None
    optim_d: Optimizer | None = None
    net_d_iters: PositiveInt = 1
    net_d_init_iters: NonNegativeInt = 0
    relativistic: bool = False
    fft_opt: SpectralLoss | None = None
    teacher: TeacherSection | None = None
    ema_decay: Fraction = 0.999
    ema_switch: NonNegativeInt = 0
    grad_clip: Annotated[float, BeforeValidator(_norm), Field(gt=0)] | None = None
    warmup_iter: Annotated[int, Field(ge=-1)] = -1
    accumulate: PositiveInt = 1
    checkpointing: bool = False

    @model_validator(mode="after")
    def _ends(self) -> Train:
        if (self.total_iter is None) == (self.budget_hours is None):
            raise PydanticCustomError("end", "give either total_iter or budget_hours")
        if self.total_iter is None and not isinstance(self.scheduler, CosineToTheEnd):
            raise PydanticCustomError("end", "a training with budget_hours needs the scheduler {{type: Cosine}}")
        if self.ema_switch and not self.ema_decay:
            raise PydanticCustomError("ema", "ema_switch needs an ema_decay")
        total = self.total_iter or 0
        if isinstance(self.scheduler, Cosine) and sum(self.scheduler.periods) < total:
            raise PydanticCustomError("periods", "the scheduler's periods sum to less than total_iter")
        return self


class Metric(Section):
    """One metric of a validation, under its name in BasicSR."""

    type: Literal["calculate_psnr", "calculate_ssim", "calculate_psnrb", "calculate_niqe"]
    crop_border: NonNegativeInt
    test_y_channel: bool = False
    better: Literal["higher", "lower"] = "higher"


class RegisteredMetric(Section):
    """A metric by its name in BasicSR's registry, with its own keys; it takes `img` and `img2`, uint8 BGR."""

    model_config = ConfigDict(extra="allow")

    type: str
    better: Literal["higher", "lower"] = "higher"


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
    save_img: bool = False
    suffix: Name | None = None
    use_chop: bool = False
    self_ensemble: bool = False
    pbar: bool = False
    metrics: dict[
        str,
        Annotated[
            Annotated[Metric, Tag("known")] | Annotated[RegisteredMetric, Tag("registered")],
            Discriminator(_metric_kind),
        ],
    ] = Field(default={})


class Tile(Section):
    """Tiles of a validation, in low-resolution pixels; 0 takes each image whole."""

    tile_size: NonNegativeInt = 0
    tile_pad: NonNegativeInt = 32


class WandB(Section):
    """Weights & Biases; nothing is sent unless a project is named."""

    project: str | None = None
    resume_id: str | None = None


class Logger(Section):
    """How often to print and save, how many training states to keep, and where else to log."""

    print_freq: PositiveInt = 100
    save_checkpoint_freq: PositiveInt = 5000
    keep_states: PositiveInt = 3
    use_tb_logger: bool = False
    wandb: WandB = WandB()

    @model_validator(mode="after")
    def _wandb_follows_tensorboard(self) -> Logger:
        if self.wandb.project and not self.use_tb_logger:
            raise PydanticCustomError("wandb", "wandb.project needs use_tb_logger: true, whose log it follows")
        if self.wandb.project and importlib.util.find_spec("wandb") is None:
            raise PydanticCustomError("wandb", "wandb.project needs wandb, which is not installed: pip install wandb")
        return self


class DistParams(Section):
    """The processes' backend (nccl on GPUs and gloo on CPUs by default), and SLURM's port."""

    backend: Literal["nccl", "gloo"] | None = None
    port: PositiveInt | None = None


class CommonConfig(Section):
    """What training and testing share.

    `plugins` are modules, or files that end with `.py`, that are imported first: what they register with BasicSR, or
    among the mixers, can be named. `use_channels_last` and `use_compile` change how the network is computed.
    """

    name: Name  # of a folder
    model_type: Literal["LSMModel", "LSMGANModel"] = "LSMModel"
    plugins: list[str] = Field(default=[])
    scale: Literal[1, 2, 3, 4, 8]
    num_gpu: NonNegativeInt | Literal["auto"] = "auto"
    manual_seed: NonNegativeInt = 0
    network_g: dict[str, Any]
    path: Paths = Paths()
    val: Val = Val()
    tile: Tile = Tile()
    dist_params: DistParams = DistParams()
    find_unused_parameters: bool = False
    amp: Literal["bf16"] | None = None
    use_amp: bool = False
    amp_bf16: bool = Field(default=True, alias="bfloat16")
    deterministic: bool = False
    use_channels_last: bool = False
    use_compile: bool = Field(default=False, alias="compile")
    fast_matmul: bool = False

    @model_validator(mode="after")
    def _amp_is_bf16(self) -> CommonConfig:
        """Take `amp: bf16` for `use_amp: true`, which other projects write."""
        self.use_amp = self.use_amp or self.amp is not None
        if self.use_amp and not self.amp_bf16:
            raise PydanticCustomError("amp", "mixed precision is bfloat16 here; set amp_bf16: true")
        return self


class TrainConfig(CommonConfig):
    """A config of a training, but for its datasets, of which there can be any number."""

    train: Train
    network_d: dict[str, Any] | None = None
    logger: Logger = Logger()

    @model_validator(mode="after")
    def _two_networks(self) -> TrainConfig:
        """Compare what a discriminator needs with the model that has one."""
        parts = {"network_d": self.network_d, "train.gan_opt": self.train.gan_opt, "train.optim_d": self.train.optim_d}
        needs = self.model_type == "LSMGANModel"
        wrong = [key for key, value in parts.items() if (value is None) == needs]
        if wrong:
            text = "LSMGANModel needs {keys}" if needs else "only LSMGANModel takes {keys}"
            raise PydanticCustomError("gan", text, {"keys": ", ".join(wrong)})
        if needs and self.train.accumulate > 1:
            raise PydanticCustomError("gan", "LSMGANModel takes no train.accumulate")
        return self


class TestConfig(CommonConfig):
    """A config of a test, but for its datasets."""
