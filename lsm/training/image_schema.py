"""What a config may say of images: datasets to train, validate or test on, each key with its type and default."""

from __future__ import annotations

import os
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, PositiveInt, WithJsonSchema, model_validator
from pydantic_core import PydanticCustomError

from lsm.training.degradation_config import DegradationConfig
from lsm.training.section import Section


# os.path answers no, where pathlib raises, on names too long, of unknown users, or with a null character.
def _existing_folder(path: str) -> str:
    if not os.path.isdir(expanded := os.path.expanduser(path)):  # noqa: PTH111, PTH112
        raise PydanticCustomError("no_folder", "the folder {path} does not exist", {"path": path})
    return expanded


def folders(root: str | list[str]) -> list[str]:
    """Return the folders of a data root, which is one or a list of them."""
    return [root] if isinstance(root, str) else list(root)


def _existing_folders(root: Any) -> str | list[str]:
    """Check a data root."""
    if isinstance(root, list) and root and all(isinstance(folder, str) for folder in root):
        return [_existing_folder(folder) for folder in root]
    if not isinstance(root, str):
        raise PydanticCustomError("no_folder", "a folder is needed, or a list of folders")
    return _existing_folder(root)


def existing_file(path: str) -> str:
    """Check the path of a file, and write its `~` out."""
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


def _bare_template(value: Any) -> Any:
    """Take `{}` without quotes, which YAML reads as an empty mapping, for what was meant."""
    return "{}" if value == {} else value


Template = Annotated[str, BeforeValidator(_bare_template), AfterValidator(_template)]
Name = Annotated[str, Field(min_length=1), AfterValidator(_part_of_a_name)]
Folders = Annotated[Any, AfterValidator(_existing_folders), WithJsonSchema({"format": "folder or list of folders"})]
File = Annotated[str, AfterValidator(existing_file), WithJsonSchema({"format": "file"})]
Fraction = Annotated[float, Field(ge=0, lt=1)]
NonNegativeInt = Annotated[int, Field(ge=0)]
Share = Annotated[float, Field(ge=0, le=1)]

DEGRADATIONS: dict[str, dict[str, Any]] = {
    "NoisyImages": {"sigma": None, "clipped": 0.0, "grey": 0.0, "seed": 0},
    "JpegImages": {"quality": None, "grey": 0.0, "seed": 0},
    "DegradedPairs": {"degradation": None, "seed": 0},
}
"""What the datasets that degrade clean images take, with the defaults; see `lsm.training.restoration`
and `lsm.training.degraded_pairs`."""

TASKS = {"NoisyImages": "denoise", "JpegImages": "jpeg"}
"""The task of the network for each of these datasets."""


class IOBackend(Section):
    """Where images are read from: plain files, or LMDBs, whose folders end with `.lmdb`."""

    type: Literal["disk", "lmdb"] = "disk"
    """Files, or databases."""


def _range(least: float, most: float) -> Any:
    """Return the type of a number, or of the two ends of a range, between two bounds."""
    number = Annotated[float, Field(ge=least, le=most)]

    def rises(value: float | tuple[float, float]) -> float | tuple[float, float]:
        if isinstance(value, tuple) and value[0] > value[1]:
            raise PydanticCustomError("range", "the first end of the range is above the second")
        return value

    return Annotated[number | tuple[number, number], AfterValidator(rises)]


class DatasetConfig(Section):
    """Images to validate or test on.

    `ImagePairs`, `DegradedPairs`, `NoisyImages`, `JpegImages`; without true images `SingleImages`. BasicSR's names,
    `PairedImageDataset` and `SingleImageDataset`, mean the first and the last.

    A root may be a list of folders, which together are one set: DF2K as DIV2K and Flickr2K. `in_memory: auto` keeps a
    training set of up to 2 GB decoded; `device` puts it where the network trains and cuts patches there, without
    workers, which keeps a GPU busy with a small network.
    """

    name: Name | None = None
    """What the log and the folders call it; else that of its folder."""
    type: Literal["ImagePairs", "DegradedPairs", "NoisyImages", "JpegImages", "SingleImages"] = "ImagePairs"
    """Where images come from, and what is made of them."""
    dataroot_gt: Folders = None
    """Folder of true images, or a list of them."""
    dataroot_lq: Folders = None
    """Folder of low-resolution images, or a list; else they are made by MATLAB's bicubic."""
    meta_info_file: File | None = None
    """A text file whose lines begin with the names to take."""
    filename_tmpl: Template | None = None
    """Of low-resolution names, `{}x4`; the usual ones are found without."""
    io_backend: IOBackend = IOBackend()
    """What the roots are."""
    in_memory: bool | Literal["auto", "device"] = "auto"
    """Whether decoded images are kept; `device`, of a training of `ImagePairs`: where the network is."""
    sigma: _range(0, 255) | None = None  # type: ignore[valid-type]
    """`NoisyImages`: standard deviation of the noise in steps of 8 bits, or a range of it."""
    clipped: Share | None = None
    """`NoisyImages`: share that is clamped and rounded to 8 bits."""
    quality: _range(1, 100) | None = None  # type: ignore[valid-type]
    """`JpegImages`: quality, or a range of it."""
    grey: Share | None = None
    """`NoisyImages`, `JpegImages`: share that is turned grey first."""
    degradation: DegradationConfig | None = None  # type: ignore[valid-type]  # made from the options' dataclass
    """`DegradedPairs`: what is done to the images, see `lsm.data.degrade.options`."""
    seed: NonNegativeInt | None = None
    """Of the random numbers of a validation."""

    @model_validator(mode="after")
    def _roots_of_the_type(self) -> DatasetConfig:
        needed = {
            "ImagePairs": ["dataroot_gt"],
            "DegradedPairs": ["dataroot_gt", "degradation"],
            "NoisyImages": ["dataroot_gt", "sigma"],
            "JpegImages": ["dataroot_gt", "quality"],
            "SingleImages": ["dataroot_lq"],
        }[self.type]
        missing = [key for key in needed if getattr(self, key) is None]
        if missing:
            raise PydanticCustomError(
                "no_root", "{type} needs {keys}", {"type": self.type, "keys": " and ".join(missing)}
            )
        return self

    @model_validator(mode="after")
    def _databases(self) -> DatasetConfig:
        """Check that the roots are LMDBs where they are said to be."""
        for root in filter(None, (self.dataroot_gt, self.dataroot_lq)):
            for folder in folders(root) if self.io_backend.type == "lmdb" else []:
                if not folder.rstrip("/").endswith(".lmdb"):
                    raise PydanticCustomError(
                        "lmdb", "{folder} is no NAME.lmdb, as io_backend says", {"folder": folder}
                    )
        return self

    @model_validator(mode="after")
    def _on_the_device(self) -> DatasetConfig:
        """Refuse to keep on the device what is made anew for every sample."""
        if self.in_memory == "device" and not (self.type == "ImagePairs" and isinstance(self, TrainDatasetConfig)):
            raise PydanticCustomError("device", "in_memory: device is for training by ImagePairs")
        return self

    @model_validator(mode="after")
    def _as_many_folders(self) -> DatasetConfig:
        """Compare the two roots where they are lists: the folders belong together in their order."""
        both = self.dataroot_gt is not None and self.dataroot_lq is not None
        if both and len(folders(self.dataroot_gt)) != len(folders(self.dataroot_lq)):
            raise PydanticCustomError("roots", "dataroot_gt and dataroot_lq must be equally many folders")
        return self

    @model_validator(mode="after")
    def _degradation_of_the_type(self) -> DatasetConfig:
        """Fill in the defaults of what degrades the images, and refuse what this type does not do."""
        own = DEGRADATIONS.get(self.type, {})
        for key in ("sigma", "clipped", "quality", "grey", "degradation", "seed"):
            if getattr(self, key) is None:
                setattr(self, key, own.get(key))
            elif key not in own:
                raise PydanticCustomError("no_degradation", "{type} takes no {key}", {"type": self.type, "key": key})
        if own and self.dataroot_lq is not None:
            raise PydanticCustomError(
                "no_degradation", "{type} degrades the images itself; give no dataroot_lq", {"type": self.type}
            )
        return self


class LoaderKeys(Section):
    """How samples of a training come.

    `batch_size` counts one iteration over all processes; `batch_size_per_gpu` one forward pass of one process. The
    loader's workers always prefetch on the CPU; `prefetch_mode: cuda` asks for pinned memory, as `pin_memory` does.
    """

    use_shuffle: bool = True
    """Whether each epoch has an order of its own."""
    num_worker_per_gpu: NonNegativeInt = 4
    """Processes that prepare samples, for each process that trains."""
    batch_size: PositiveInt | None = None
    """Samples of an iteration, over all processes."""
    batch_size_per_gpu: PositiveInt | None = None
    """Or those of one forward pass of one process."""
    dataset_enlarge_ratio: PositiveInt = 1
    """How often an epoch holds each image."""
    prefetch_mode: Literal["cpu", "cuda"] | None = None
    """cuda asks for pinned memory."""
    pin_memory: bool = True
    """Whether batches are put where GPUs fetch them fast."""

    @model_validator(mode="after")
    def _one_batch_size(self) -> LoaderKeys:
        if (self.batch_size is None) == (self.batch_size_per_gpu is None):
            raise PydanticCustomError("batch_size", "give either batch_size (global) or batch_size_per_gpu")
        return self


class TrainDatasetConfig(LoaderKeys, DatasetConfig):
    """Images to train on.

    `patch_importance` lets patches that bicubic upscales badly come more often, 0 for evenly, 1 in proportion to the
    error, see `lsm.training.importance`.
    """

    gt_size: PositiveInt
    """Side of the patches of true images, a multiple of the scale."""
    patch_importance: Annotated[float, Field(ge=0, le=4)] = 0.0
    """How much more often hard patches come: 0 for not, 1 in proportion to bicubic's error."""
    use_hflip: bool = True
    """Whether left and right may change places."""
    use_rot: bool = True
    """Whether patches may be turned."""
