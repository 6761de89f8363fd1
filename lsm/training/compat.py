"""Every shim that unmodified basicsr 1.4.2 needs on a current stack, and the only module that imports it.

What breaks, and where it is mended:

- `torchvision.transforms.functional_tensor` (removed in torchvision 0.17): aliased here.
- `distutils.version` (removed in Python 3.12): supplied here.
- `basicsr.utils.dist_util` wants nccl and a GPU in every process, and a `--local_rank` flag that torchrun no longer
  passes: not used, `lsm.training.distributed` reads torchrun's environment.
- `basicsr.train` resumes onto a CUDA device without `weights_only`, renames existing run folders and `exec`s
  its forced entries: not used, `lsm.training.launch` and `lsm.training.options` do the same work.
- NumPy 2 and OpenCV 5 do not break any part that is used here; tests/training/test_compat.py keeps watch.
"""

from __future__ import annotations

import importlib.util
import sys
import types

from lsm.errors import LSMError


def _alias_functional_tensor() -> None:
    """Supply `rgb_to_grayscale` under the module name that basicsr.data.degradations imports it from.

    Can go when basicsr imports it from `torchvision.transforms.functional`, as its development branch does.
    """
    name = "torchvision.transforms.functional_tensor"
    if name in sys.modules or importlib.util.find_spec(name) is not None:
        return
    from torchvision.transforms.functional import rgb_to_grayscale

    module = types.ModuleType(name)
    module.__dict__["rgb_to_grayscale"] = rgb_to_grayscale
    sys.modules[name] = module


def _supply_distutils_version() -> None:
    """Supply `LooseVersion` to basicsr.archs.arch_util, which compares torchvision's version with it.

    Can go when basicsr no longer imports distutils, or when Python 3.11 is the newest version it is installed on.
    """
    if importlib.util.find_spec("distutils") is not None:
        return
    from torch.torch_version import TorchVersion

    package, module = types.ModuleType("distutils"), types.ModuleType("distutils.version")
    module.__dict__["LooseVersion"] = TorchVersion
    package.__dict__["version"] = module
    sys.modules["distutils"], sys.modules["distutils.version"] = package, module


if importlib.util.find_spec("basicsr") is None:
    raise LSMError(
        "Training and testing need basicsr 1.4.2, which is not installed: `lsm install-basicsr` builds and installs it "
        "on every Python, also those that its source release does not know (3.13 and newer)."
    )
_alias_functional_tensor()
_supply_distutils_version()

from basicsr.archs import build_network  # noqa: E402  (the shims must come first)
from basicsr.data import build_dataset  # noqa: E402
from basicsr.losses import build_loss  # noqa: E402
from basicsr.metrics import calculate_metric  # noqa: E402
from basicsr.models import build_model, lr_scheduler  # noqa: E402
from basicsr.models.sr_model import SRModel  # noqa: E402
from basicsr.utils.logger import (  # noqa: E402
    get_root_logger,
    init_tb_logger,
    initialized_logger,
)
from basicsr.utils.registry import (  # noqa: E402
    ARCH_REGISTRY,
    DATASET_REGISTRY,
    LOSS_REGISTRY,
    METRIC_REGISTRY,
    MODEL_REGISTRY,
)

__all__ = [
    "ARCH_REGISTRY",
    "DATASET_REGISTRY",
    "LOSS_REGISTRY",
    "METRIC_REGISTRY",
    "MODEL_REGISTRY",
    "SRModel",
    "build_dataset",
    "build_loss",
    "build_model",
    "build_network",
    "calculate_metric",
    "get_root_logger",
    "init_tb_logger",
    "initialized_logger",
    "lr_scheduler",
]
