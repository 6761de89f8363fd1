"""Configs as other projects publish them (BasicSR, SwinIR, HAT, MambaIR), put into the keys that are checked here.

What means the same is renamed, with a line that says so; what cannot be done is refused with what to write instead.
Nothing is guessed: a key that is in none of these tables is left for the checks.
"""

from __future__ import annotations

from typing import Any

from lsm.errors import OptionError, truncate_repr
from lsm.training import official_network

OURS = ("LSMModel", "LSMGANModel")
LIKE_OURS = (
    "SRModel", "SwinIRModel", "HATModel", "MambaIRModel", "MambaIRv2Model", "DATModel", "ARTModel", "CATModel",
    "RGTModel", "ATDModel", "PFTModel", "SRFormerModel", "GRLModel", "HiTSRModel",
)  # fmt: skip
"""Models of other projects: one network, losses of its output, a validation in which they pad or cut tiles."""

_DEGRADES = (
    "degrades images on the GPU by top-level keys: write model_type: LSMModel, datasets.train.type: DegradedPairs, and "
    "those keys in datasets.train.degradation"
)
_VIDEO = "is for sequences of frames, and images are trained on here"
REFUSED = {
    "RealESRNetModel": _DEGRADES,
    "RealESRGANModel": _DEGRADES,
    "RealHATMSEModel": _DEGRADES,
    "RealHATGANModel": _DEGRADES,
    "EDVRModel": _VIDEO,
    "VideoBaseModel": _VIDEO,
    "VideoGANModel": _VIDEO,
    "VideoRecurrentModel": _VIDEO,
    "VideoRecurrentGANModel": _VIDEO,
    "HiFaceGANModel": "invents faces from layouts, which is no super-resolution",
    "StyleGAN2Model": "invents images from noise, which is no super-resolution",
}
"""Models that another network or other data belong to, and why they are refused."""
ADVERSARIAL = {"SRGANModel": False, "ESRGANModel": True}
"""Models with a discriminator, and whether it is relativistic."""

SR_TASKS = {"sr", "classicalsr", "lightweightsr", "lightsr", "realsr", "imagesr", "superresolution"}
DENOISE_TASKS = {"dn", "denoising", "colordn", "denoisingcolor", "colordenoising"}
GREY_TASKS = {"graydn", "denoisinggray", "graydenoising", "greydn"}
JPEG_TASKS = {"car", "jpegcar", "colorjpegcar", "jpeg", "compressionartifactreduction"}
"""What SwinIR, MambaIR and their kin write as `task` of a data set, without case and punctuation."""


class Translation:
    """The content of a config on its way into the keys of this project.

    Args:
        data: The content, changed in place.
        training: Whether it is for a training, else for a test.

    Attributes:
        notes: What was taken for what, a line each, by its key.
        refusals: What cannot be done, a line each, by its key.
        stops: Whether nothing else is worth checking: the keys of a model that is refused mean nothing without it.
    """

    def __init__(self, data: dict[str, Any], training: bool) -> None:
        self.data, self.training = data, training
        self.notes: list[str] = []
        self.refusals: list[str] = []
        self.stops = False

    def run(self) -> None:
        """Put everything into the keys of this project."""
        self._model()
        if self.stops:
            return
        self._top()
        self._network()
        self._path()
        self._val()
        datasets = self._section("datasets")
        for phase, settings in datasets.items():
            if isinstance(settings, dict):
                self._dataset(f"datasets.{phase}", settings)

    def _section(self, key: str) -> dict[str, Any]:
        """Return a section, or an empty one where there is none; the checks say if it is no section at all."""
        section = self.data.get(key)
        return section if isinstance(section, dict) else {}

    def _rename(self, path: str, section: dict[str, Any], old: str, new: str) -> None:
        """Take an older name of a key for the one that BasicSR 1.4.2 has; where both are given, the old one stays."""
        if old in section and new not in section:
            section[new] = section.pop(old)
            self.notes.append(f"{path}.{old}: taken for {new}")

    def _model(self) -> None:
        """Take the models of other projects for ours."""
        name = self.data.get("model_type")
        if not isinstance(name, str):
            return
        # A test needs the network alone, however it was trained.
        tested = not self.training and (name in ADVERSARIAL or REFUSED.get(name) is _DEGRADES)
        if name in LIKE_OURS or tested:
            self.data["model_type"] = "LSMModel"
            self.notes.append(f"model_type: {name} counts as LSMModel")
            self._average()
        elif name in ADVERSARIAL:
            self._adversarial(name)
        elif name in REFUSED:
            self.refusals.append(f"model_type: {name} {REFUSED[name]}")
            self.stops = True
        elif name not in OURS:
            del self.data["model_type"]
            self.refusals.append(
                f"model_type: {truncate_repr(name)} is no model that is known here; LSMModel trains one network by "
                "losses of its output"
            )

    def _adversarial(self, name: str) -> None:
        """Take BasicSR's two models with a discriminator for ours."""
        self.data["model_type"] = "LSMGANModel"
        self.notes.append(f"model_type: {name} counts as LSMGANModel")
        train = self._section("train")
        if ADVERSARIAL[name] and train.setdefault("relativistic", True) is True:
            self.notes.append("train.relativistic: true, as ESRGANModel is")
        self._average()

    def _average(self) -> None:
        """Leave the averaged weights out where BasicSR would."""
        train = self._section("train")
        if train and "ema_decay" not in train:
            train["ema_decay"] = 0
            self.notes.append("train.ema_decay: 0, as BasicSR trains where a file gives none")

    def _top(self) -> None:
        """Move `save_img`, which some write at the top, into its section."""
        if "save_img" not in self.data or not isinstance(self.data.get("val", {}), dict):
            return
        wanted, val = self.data.pop("save_img"), self.data.setdefault("val", {})
        if val.setdefault("save_img", wanted) != wanted:
            self.refusals.append("save_img: val.save_img says otherwise; keep that one")
        else:
            self.notes.append("save_img: taken for val.save_img")

    def _network(self) -> None:
        """Put the networks of the official LSM's files into the keys of this project."""
        network = self._section("network_g")
        if not official_network.is_official(network):
            return
        try:
            ours = self.data["network_g"] = official_network.from_official(network)
        except OptionError as error:
            self.refusals.append(str(error))
            self.data["network_g"] = {"type": "LSM"}  # the checks would only say it again
            return
        self.notes.append(
            f"network_g: {network['type']} as the official files write it counts as LSM with recurrence: "
            f"{ours['recurrence']}"
        )

    def _path(self) -> None:
        path = self._section("path")
        self._rename("path", path, "pretrain_model_g", "pretrain_network_g")
        self._rename("path", path, "strict_load", "strict_load_g")

    def _val(self) -> None:
        """Take the ways of testing that ART and MambaIR have for ours."""
        val = self._section("val")
        self._rename("val", val, "selfensemble_testing", "self_ensemble")
        self._rename("val", val, "patchwise_testing", "use_chop")

    def _dataset(self, path: str, settings: dict[str, Any]) -> None:
        """Take the keys of a data set for ours."""
        self._rename(path, settings, "use_flip", "use_hflip")
        color = settings.pop("color", None)
        if color == "y":
            self.refusals.append(
                f"{path}.color: y would train on luma alone, and the networks here take RGB; leave it out, and let the "
                "metrics measure luma by test_y_channel: true"
            )
        if settings.get("type") == "PairedImageDataset":
            settings["type"] = "ImagePairs"  # which reads the same, and finds more names
        if settings.get("type") == "SingleImageDataset":
            settings["type"] = "SingleImages"
        if settings.get("type") == "ImageNetPairedDataset":
            settings["type"] = "ImagePairs"
            if settings.get("dataroot_lq") == settings.get("dataroot_gt"):
                settings.pop("dataroot_lq", None)
            self.notes.append(f"{path}.type: ImageNetPairedDataset counts as ImagePairs, LR by MATLAB's bicubic")
        self._task(path, settings)

    def _task(self, path: str, settings: dict[str, Any]) -> None:
        """Read what a data set is for; only noise is made here, and everything else is in the files."""
        given = settings.pop("task", None)
        plain = "".join(sign for sign in str(given).lower() if sign.isalnum())
        if given is None or plain in SR_TASKS:
            return
        if plain in DENOISE_TASKS | GREY_TASKS:
            if "noise" in settings:
                settings["type"], settings["sigma"] = "NoisyImages", settings.pop("noise")
                settings.pop("dataroot_lq", None)
                if plain in GREY_TASKS:
                    settings["grey"] = 1.0
                self.notes.append(
                    f"{path}.task: {given} with noise {truncate_repr(settings['sigma'])} counts as NoisyImages"
                )
            self._network_task(path, given, "denoise")
        elif plain in JPEG_TASKS:
            self._network_task(path, given, "jpeg")
        else:
            self.refusals.append(
                f"{path}.task: {truncate_repr(given)} is no task that is known here; leave it out, or write SR, "
                "denoising_color with noise, or CAR"
            )

    def _network_task(self, path: str, given: Any, task: str) -> None:
        """Let an LSM at scale 1 do what its data are for, unless the file says what it does."""
        network = self._section("network_g")
        if network.get("type") == "LSM" and self.data.get("scale") == 1 and "task" not in network:
            network["task"] = task
            self.notes.append(f"network_g.task: {task}, as {path}.task is {given}")


def translate(data: dict[str, Any], training: bool) -> Translation:
    """Put a config as other projects publish it into the keys of this one.

    Args:
        data: The content, changed in place.
        training: Whether it is for a training, else for a test.

    Returns:
        What was taken for what, and what cannot be done.
    """
    translation = Translation(data, training)
    translation.run()
    return translation
