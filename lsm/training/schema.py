"""What a config may hold: BasicSR's keys that mean something here, each with its type and default."""

from __future__ import annotations

import importlib.util
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    PositiveInt,
    model_validator,
)
from pydantic_core import PydanticCustomError

from lsm.training.image_schema import File, Fraction, Name, NonNegativeInt, Share, existing_file
from lsm.training.loss_schema import AnyPixelLoss, PixelLoss, RegisteredLoss, SpectralLoss
from lsm.training.optimizer_schema import Cosine, CosineToTheEnd, MultiStep, Optimizer
from lsm.training.section import Section
from lsm.training.validation_schema import Tile, Val
from lsm.weights.resolve import embedded_path, list_models


def _weights_file(name: str) -> str:
    return str(embedded_path(name)) if name in list_models() else existing_file(name)


class Paths(Section):
    """Files, or names of embedded weights, to start from; `param_key_g` is preferred where a file has both kinds."""

    pretrain_network_g: Annotated[str, AfterValidator(_weights_file)] | None = None
    """File, or name of embedded weights, to start from."""
    param_key_g: Literal["params", "params_ema"] = "params_ema"
    """Which weights of a file with both kinds: the last, or their average."""
    strict_load_g: bool = True
    """Whether every name and shape must agree; else what fits is loaded, and the log names the rest."""
    pretrain_network_d: Annotated[str, AfterValidator(existing_file)] | None = None
    """File of a discriminator to start from."""
    param_key_d: Literal["params"] = "params"
    """Which weights of that file."""
    strict_load_d: bool = True
    """As `strict_load_g`."""
    resume_state: File | None = None
    """A training state to go on from, `experiments/NAME/training_states/ITER.state`."""


class TeacherSection(Section):
    """A network whose outputs are mixed into the truth: gt + w · (teacher − gt), w from `weight` to `final_weight`.

    With `cache`, a folder, it upscales each image of the training set once; else each batch as it comes.
    """

    path: File
    """A network of ours, or any that spandrel loads."""
    weight: Share = 1.0
    """w at the start."""
    final_weight: Share | None = None
    """w at the end; the same as `weight` if it is not given."""
    cache: str | None = None
    """Folder for the teacher's images of the whole set."""

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
    """Iterations of the training."""
    budget_hours: Annotated[float, Field(gt=0)] | None = None
    """Hours that it may use, in place of `total_iter`."""
    optim_g: Optimizer
    """The optimizer of the network."""
    scheduler: Annotated[MultiStep | Cosine | CosineToTheEnd, Field(discriminator="type")]
    """How the learning rate goes."""
    pixel_opt: AnyPixelLoss = PixelLoss()
    """The loss between output and truth."""
    perceptual_opt: RegisteredLoss | None = None
    """A loss between features, BasicSR's `PerceptualLoss`."""
    losses: dict[Name, RegisteredLoss] = Field(default={})
    """Further losses, by the names that the log shows."""
    gan_opt: RegisteredLoss | None = None
    """What the discriminator's judgements cost, BasicSR's `GANLoss`."""
    optim_d: Optimizer | None = None
    """The optimizer of the discriminator."""
    net_d_iters: PositiveInt = 1
    """The network learns in every so many iterations."""
    net_d_init_iters: NonNegativeInt = 0
    """It learns after this iteration."""
    relativistic: bool = False
    """Whether an image is judged against the mean of the other kind."""
    fft_opt: SpectralLoss | None = None
    """A loss between the spectra."""
    teacher: TeacherSection | None = None
    """A network to learn from."""
    ema_decay: Fraction = 0.999
    """Of the averaged weights, which are validated and kept beside the others; 0 for none."""
    ema_switch: NonNegativeInt = 0
    """Iterations after which the average takes over, again and again; 0 for never."""
    grad_clip: Annotated[float, BeforeValidator(_norm), Field(gt=0)] | None = None
    """Norm that the gradient is scaled down to; `true` for 1."""
    warmup_iter: Annotated[int, Field(ge=-1)] = -1
    """Iterations in which the learning rate rises from 0; -1 for none."""
    accumulate: PositiveInt = 1
    """Parts that a batch is computed in, for less memory."""
    checkpointing: bool = False
    """Whether blocks are computed again for the gradient."""

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


class WandB(Section):
    """Weights & Biases; nothing is sent unless a project is named."""

    project: str | None = None
    """Name of the project."""
    resume_id: str | None = None
    """A run of it to go on with."""


class Logger(Section):
    """How often to print and save, how many training states to keep, and where else to log."""

    print_freq: PositiveInt = 100
    """Iterations from one line of the log to the next."""
    save_checkpoint_freq: PositiveInt = 5000
    """Iterations from one training state to the next."""
    keep_states: PositiveInt = 3
    """Training states that are kept; networks are all kept."""
    use_tb_logger: bool = False
    """Whether TensorBoard's files are written, to `tb_logger/NAME`."""
    wandb: WandB = WandB()
    """What Weights & Biases gets."""

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
    """nccl on GPUs and gloo on CPUs if it is not given."""
    port: PositiveInt | None = None
    """Of SLURM's first machine."""


class CommonConfig(Section):
    """What training and testing share.

    `plugins` are modules, or files that end with `.py`, that are imported first: what they register with BasicSR, or
    among the mixers, can be named. `use_channels_last` and `use_compile` change how the network is computed.
    """

    name: Name  # of a folder
    """Of the run, and of its folder in `experiments` or `results`."""
    model_type: Literal["LSMModel", "LSMGANModel"] = "LSMModel"
    """How it is trained: by losses of its output, or against a discriminator too."""
    plugins: list[str] = Field(default=[])
    """Modules, or files .py, to import first."""
    scale: Literal[1, 2, 3, 4, 8]
    """Of the network; 1 for restoration."""
    num_gpu: NonNegativeInt | Literal["auto"] = "auto"
    """GPUs in all: `auto` for what there is, 0 for the CPU."""
    manual_seed: NonNegativeInt = 0
    """Of all random numbers."""
    network_g: dict[str, Any]
    """The network: `type` (LSM, or any that is registered) and its own keys."""
    path: Paths = Paths()
    """What to start from."""
    val: Val = Val()
    """Validation."""
    tile: Tile = Tile()
    """Tiles of a validation."""
    dist_params: DistParams = DistParams()
    """Several processes."""
    find_unused_parameters: bool = False
    """For networks of which parts get no gradient, in several processes."""
    amp: Literal["bf16"] | None = None
    """bf16: the network is computed in bfloat16 where that is safe."""
    use_amp: bool = False
    """The same, as other projects write it."""
    amp_bf16: bool = Field(default=True, alias="bfloat16")
    """Must be true with `use_amp`."""
    deterministic: bool = False
    """Whether only operations are used that give the same bits each time."""
    use_channels_last: bool = False
    """Whether channels come last in memory: faster on some GPUs."""
    use_compile: bool = Field(default=False, alias="compile")
    """Whether torch compiles the network."""
    fast_matmul: bool = False
    """Whether float32 products may be rounded to TF32."""

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
    """The training."""
    network_d: dict[str, Any] | None = None
    """The discriminator: `type` and its own keys."""
    logger: Logger = Logger()
    """The log."""

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
