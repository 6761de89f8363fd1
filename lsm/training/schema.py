"""What an option file may hold: BasicSR's keys that mean something here, each with its type and default."""

from __future__ import annotations

import importlib.util
import os
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PositiveInt, model_validator
from pydantic_core import PydanticCustomError

from lsm.weights.registry import EMBEDDED, embedded_path


class Section(BaseModel):
    """A section of an option file; unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", coerce_numbers_to_str=True, populate_by_name=True)


# os.path answers no, where pathlib raises, on names too long, of unknown users, or with a null character.
def _existing_folder(path: str) -> str:
    if not os.path.isdir(expanded := os.path.expanduser(path)):  # noqa: PTH111, PTH112
        raise PydanticCustomError("no_folder", "the folder {path} does not exist", {"path": path})
    return expanded


def _existing_file(path: str) -> str:
    if not os.path.isfile(expanded := os.path.expanduser(path)):  # noqa: PTH111, PTH113
        raise PydanticCustomError("no_file", "the file {path} does not exist", {"path": path})
    return expanded


def _part_of_a_name(text: str) -> str:
    """Refuse what could lead a file or folder called by it out of its place."""
    if text in (".", "..") or not text.isprintable() or any(sign in text for sign in '/\\:*?"<>|') or len(text) > 100:
        raise PydanticCustomError(
            "no_name",
            "{text} cannot be part of a file's name: at most 100 characters, no folders",
            {"text": repr(text)},
        )
    return text


def _template(text: str) -> str:
    """Refuse a template of file names that is more than a name with `{}` in it."""
    if text.count("{}") != 1 or any(sign in _part_of_a_name(text).replace("{}", "") for sign in "{}"):
        raise PydanticCustomError("no_template", "it must hold {{}} once, for the name, and no other braces")
    return text


def _weights_file(name: str) -> str:
    return str(embedded_path(name)) if name in EMBEDDED else _existing_file(name)


Name = Annotated[str, Field(min_length=1), AfterValidator(_part_of_a_name)]
Folder = Annotated[str, AfterValidator(_existing_folder)]
File = Annotated[str, AfterValidator(_existing_file)]
Fraction = Annotated[float, Field(ge=0, lt=1)]
NonNegativeInt = Annotated[int, Field(ge=0)]
Share = Annotated[float, Field(ge=0, le=1)]

DEGRADATIONS: dict[str, dict[str, Any]] = {
    "NoisyImages": {"sigma": None, "clipped": 0.0, "grey": 0.0, "seed": 0},
    "JpegImages": {"quality": None, "grey": 0.0, "seed": 0},
}
"""What the datasets that degrade clean images take, with the defaults; see `lsm.training.restoration`."""

TASKS = {"NoisyImages": "denoise", "JpegImages": "jpeg"}
"""The task of the network for each of these datasets."""


class IOBackend(Section):
    """Where BasicSR's own datasets read from: plain files, or an LMDB that the data roots name."""

    type: Literal["disk", "lmdb"] = "disk"


def _range(least: float, most: float) -> Any:
    """Give the type of a number, or of the two ends of a range, between two bounds."""
    number = Annotated[float, Field(ge=least, le=most)]

    def rises(value: float | tuple[float, float]) -> float | tuple[float, float]:
        if isinstance(value, tuple) and value[0] > value[1]:
            raise PydanticCustomError("range", "the first end of the range is above the second")
        return value

    return Annotated[number | tuple[number, number], AfterValidator(rises)]


class ImageSet(Section):
    """Images to validate or test on: `ImagePairs`, `NoisyImages`, `JpegImages` (ours), or one of BasicSR's datasets.

    `in_memory: auto` keeps a training set of up to 2 GB decoded. `task` is accepted for files of other projects.
    """

    name: Name | None = None
    type: Literal["ImagePairs", "NoisyImages", "JpegImages", "PairedImageDataset", "SingleImageDataset"] = "ImagePairs"
    task: Literal["SR"] = "SR"
    dataroot_gt: Folder | None = None
    dataroot_lq: Folder | None = None
    meta_info_file: File | None = None
    filename_tmpl: Annotated[str, AfterValidator(_template)] | None = None
    io_backend: IOBackend = IOBackend()
    in_memory: bool | Literal["auto"] = "auto"
    sigma: _range(0, 255) | None = None  # type: ignore[valid-type]
    clipped: Share | None = None
    quality: _range(1, 100) | None = None  # type: ignore[valid-type]
    grey: Share | None = None
    seed: NonNegativeInt | None = None

    @model_validator(mode="after")
    def _roots_of_the_type(self) -> ImageSet:
        needed = {
            "ImagePairs": ["dataroot_gt"],
            "NoisyImages": ["dataroot_gt", "sigma"],
            "JpegImages": ["dataroot_gt", "quality"],
            "PairedImageDataset": ["dataroot_gt", "dataroot_lq"],
            "SingleImageDataset": ["dataroot_lq"],
        }[self.type]
        missing = [key for key in needed if getattr(self, key) is None]
        if missing:
            raise PydanticCustomError(
                "no_root", "{type} needs {keys}", {"type": self.type, "keys": " and ".join(missing)}
            )
        return self

    @model_validator(mode="after")
    def _degradation_of_the_type(self) -> ImageSet:
        """Give what degrades the images its defaults, and refuse what this type does not do."""
        own = DEGRADATIONS.get(self.type, {})
        for key in ("sigma", "clipped", "quality", "grey", "seed"):
            if getattr(self, key) is None:
                setattr(self, key, own.get(key))
            elif key not in own:
                raise PydanticCustomError("no_degradation", "{type} takes no {key}", {"type": self.type, "key": key})
        if own and self.dataroot_lq is not None:
            raise PydanticCustomError(
                "no_degradation", "{type} degrades the images itself; give no dataroot_lq", {"type": self.type}
            )
        return self


class TrainSet(ImageSet):
    """Images to train on.

    `batch_size` counts one iteration over all processes; `batch_size_per_gpu` one forward pass of one process. The
    loader's workers always prefetch on the CPU; `prefetch_mode: cuda` asks for pinned memory, as `pin_memory` does.
    """

    gt_size: PositiveInt
    use_hflip: bool = True
    use_rot: bool = True
    use_shuffle: bool = True
    num_worker_per_gpu: NonNegativeInt = 4
    batch_size: PositiveInt | None = None
    batch_size_per_gpu: PositiveInt | None = None
    dataset_enlarge_ratio: PositiveInt = 1
    prefetch_mode: Literal["cpu", "cuda"] | None = None
    pin_memory: bool = True

    @model_validator(mode="after")
    def _one_batch_size(self) -> TrainSet:
        if (self.batch_size is None) == (self.batch_size_per_gpu is None):
            raise PydanticCustomError("batch_size", "give either batch_size (global) or batch_size_per_gpu")
        return self


class Paths(Section):
    """Files, or names of embedded weights, to start from; `param_key_g` is preferred where a file has both kinds."""

    pretrain_network_g: Annotated[str, AfterValidator(_weights_file)] | None = None
    param_key_g: Literal["params", "params_ema"] = "params_ema"
    strict_load_g: bool = True
    resume_state: File | None = None


class Optimizer(Section):
    """The optimizer of the network."""

    type: Literal["Adam", "AdamW"] = "AdamW"
    lr: Annotated[float, Field(gt=0)]
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    betas: tuple[Fraction, Fraction] = (0.9, 0.999)
    eps: Annotated[float, Field(gt=0)] = 1e-8


class MultiStep(Section):
    """A learning rate that falls at milestones."""

    type: Literal["MultiStepLR", "MultiStepRestartLR"]
    milestones: list[PositiveInt]
    gamma: Annotated[float, Field(gt=0)] = 0.1
    restarts: list[NonNegativeInt] = [0]
    restart_weights: list[float] = [1.0]

    @model_validator(mode="after")
    def _restarts_from_zero(self) -> MultiStep:
        if self.restarts[:1] != [0] or len(self.restarts) != len(self.restart_weights):
            raise PydanticCustomError("restarts", "restarts must begin with 0 and be as many as restart_weights")
        return self


class Cosine(Section):
    """A learning rate that falls along a cosine in each period."""

    type: Literal["CosineAnnealingRestartLR"]
    periods: list[PositiveInt]
    restart_weights: list[float] = [1.0]
    eta_min: Annotated[float, Field(ge=0)] = 0.0

    @model_validator(mode="after")
    def _as_many_weights(self) -> Cosine:
        if len(self.periods) != len(self.restart_weights):
            raise PydanticCustomError("periods", "periods and restart_weights must be equally many")
        return self


class PixelLoss(Section):
    """The loss between output and truth, one of BasicSR's."""

    type: Literal["L1Loss", "MSELoss", "CharbonnierLoss"] = "L1Loss"
    loss_weight: Annotated[float, Field(gt=0)] = 1.0
    reduction: Literal["mean"] = "mean"


class Train(Section):
    """How the network is trained; `accumulate` splits each process's batch into that many forward passes.

    `checkpointing` computes each block again for the gradient instead of keeping what is inside it: less memory, more
    time, the same gradient.
    """

    total_iter: PositiveInt
    optim_g: Optimizer
    scheduler: Annotated[MultiStep | Cosine, Field(discriminator="type")]
    pixel_opt: PixelLoss = PixelLoss()
    ema_decay: Fraction = 0.999
    warmup_iter: Annotated[int, Field(ge=-1)] = -1
    accumulate: PositiveInt = 1
    checkpointing: bool = False

    @model_validator(mode="after")
    def _periods_reach_the_end(self) -> Train:
        if isinstance(self.scheduler, Cosine) and sum(self.scheduler.periods) < self.total_iter:
            raise PydanticCustomError("periods", "the scheduler's periods sum to less than total_iter")
        return self


class Metric(Section):
    """One metric of a validation, under its name in BasicSR."""

    type: Literal["calculate_psnr", "calculate_ssim", "calculate_psnrb", "calculate_niqe"]
    crop_border: NonNegativeInt
    test_y_channel: bool = False
    better: Literal["higher", "lower"] = "higher"


class Val(Section):
    """How often and by what a validation measures; `use_chop` upscales in tiles that fit the memory."""

    val_freq: PositiveInt = 5000
    save_img: bool = False
    suffix: Name | None = None
    use_chop: bool = False
    pbar: bool = False
    metrics: dict[str, Metric] = {}


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


class CommonOptions(Section):
    """What training and testing share."""

    name: Name  # of a folder
    model_type: Literal["LSMModel"] = "LSMModel"
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
    fast_matmul: bool = False

    @model_validator(mode="after")
    def _amp_is_bf16(self) -> CommonOptions:
        """Take `amp: bf16` for `use_amp: true`, which other projects write."""
        self.use_amp = self.use_amp or self.amp is not None
        if self.use_amp and not self.amp_bf16:
            raise PydanticCustomError("amp", "mixed precision is bfloat16 here; set amp_bf16: true")
        return self


class TrainOptions(CommonOptions):
    """An option file of `lsm train`, but for its datasets, of which there can be any number."""

    train: Train
    logger: Logger = Logger()


class TestOptions(CommonOptions):
    """An option file of `lsm test`, but for its datasets."""
