"""Names of parameters: those of the official checkpoints, and ours; the one place where they meet."""

from __future__ import annotations

import re
from collections.abc import Mapping

from torch import Tensor

from lsm.errors import CheckpointError

_PLAIN = {
    "conv_first": "shallow",
    "before_RG.1": "norm_in",
    "norm": "norm_out",
    "conv_after_body": "conv",
}
_LIGHT_UPSAMPLER = {"upsample.0": "upsampler.0"}
_CLASSICAL_UPSAMPLER = {"conv_before_upsample.0": "upsampler.0"}  # the shuffle stages and conv_last follow by position
_BLOCK = {
    "gamma": "gamma",
    "mlp.fc1": "mlp.fc1",
    "mlp.sg.norm": "mlp.norm",
    "mlp.sg.conv": "mlp.conv",
    "mlp.fc2": "mlp.fc2",
}
_WMS = {
    "norm1": "norm1",
    "norm2": "norm2",
    "attn.qkv": "mixer.qkv",
    "attn.proj": "mixer.proj",
    "attn.get_v": "mixer.local",
} | {
    f"attn.attns.{half}.pos.{theirs}": f"mixer.bias.{half}.{ours}"
    for half in (0, 1)
    for theirs, ours in [("pos_proj", "project")]
    + [(f"pos{i + 1}.{j}", f"layers.{i}.{j}") for i in range(3) for j in (0, 2)]
}
_CML = {
    "norm3": "norm1",
    "norm4": "norm2",
    "embedding.weight": "mixer.modulation.dictionary",
    "lru.wq": "mixer.modulation.query",
    "lru.wk": "mixer.modulation.key",
    "lru.wv": "mixer.modulation.value",
    "lru.scale": "mixer.modulation.scale",
    "lru.in_proj.0": "mixer.in_proj",
    "lru.CPE.0": "mixer.gate",
    "lru.out_proj": "mixer.out_proj",
} | {
    f"lru.lru_core.{name}": f"mixer.core.{name}"
    for name in ("nu_log", "theta_log", "gamma_log", "B_re", "B_im", "C_re", "C_im", "D")
}
_BUFFERS = re.compile(r"attn_mask_[01]$|rpe_biases$|relative_position_index$")
_POINTWISE = "mixer.in_proj.weight"  # a 1×1 convolution in official files, a Linear here


def is_official(names: Mapping[str, object]) -> bool:
    """Return whether a state dict has the official names."""
    return "conv_first.weight" in names


def from_official(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Rename an official state dict to our names; buffers that are computed here are left out.

    Raises:
        CheckpointError: On a name that the official networks do not have.
    """
    table = _table(state)
    renamed: dict[str, Tensor] = {}
    for name, tensor in state.items():
        if _BUFFERS.search(name):
            continue
        stem, _, leaf = name.rpartition(".")
        ours = table.get(name) or (f"{table[stem]}.{leaf}" if stem in table else None)
        if ours is None:
            raise CheckpointError(f"Not a checkpoint of LSM: it holds a parameter named {name!r}.")
        renamed[ours] = tensor[:, :, 0, 0] if ours.endswith(_POINTWISE) and tensor.dim() == 4 else tensor
    return renamed


def to_official(state: Mapping[str, Tensor], reference: Mapping[str, object] | None = None) -> dict[str, Tensor]:
    """Rename our state dict to the official names, the inverse of `from_official`.

    Args:
        state: Our state dict.
        reference: Names of an official file, which decide the order of the result; by default the order of `state`.
    """
    backwards = {ours: theirs for theirs, ours in _table_of(*_layout(state)).items()}
    renamed: dict[str, Tensor] = {}
    for name, tensor in state.items():
        stem, _, leaf = name.rpartition(".")
        theirs = backwards.get(name) or f"{backwards[stem]}.{leaf}"
        renamed[theirs] = tensor[:, :, None, None] if name.endswith(_POINTWISE) else tensor
    if reference is None:
        return renamed
    return {name: renamed[name] for name in reference if name in renamed}


def _table(official: Mapping[str, object]) -> dict[str, str]:
    """Map every module or parameter that an official file with these names can have to our name."""
    blocks = {(int(m[1]), int(m[2])) for m in (re.match(r"layers\.(\d+)\.blocks\.(\d+)\.", n) for n in official) if m}
    stages = sorted({int(m[1]) for m in (re.match(r"upsample\.(\d+)\.", n) for n in official) if m})
    return _table_of(blocks, stages if "conv_last.weight" in official else None)


def _layout(state: Mapping[str, object]) -> tuple[set[tuple[int, int]], list[int] | None]:
    """Read the blocks, and the positions of the classical upsampler's shuffle stages (None: light), from our names."""
    blocks = {(int(m[1]), int(m[2])) for m in (re.match(r"groups\.(\d+)\.blocks\.(\d+)\.", n) for n in state) if m}
    convs = sorted(int(m[1]) for m in (re.match(r"upsampler\.(\d+)\.weight", n) for n in state) if m)
    return blocks, [index - 2 for index in convs[1:-1]] if len(convs) > 1 else None


def _table_of(blocks: set[tuple[int, int]], stages: list[int] | None) -> dict[str, str]:
    """Build the table for a set of (group, block), and the classical upsampler's shuffle stages (None: light)."""
    table = dict(_PLAIN)
    if stages is None:
        table |= _LIGHT_UPSAMPLER
    else:
        table |= _CLASSICAL_UPSAMPLER
        table |= {f"upsample.{i}": f"upsampler.{i + 2}" for i in stages}
        table["conv_last"] = f"upsampler.{2 * len(stages) + 2}"
    for group, index in blocks:
        table[f"layers.{group}.conv"] = f"groups.{group}.conv"
        for theirs, ours in (_BLOCK | (_CML if index % 2 else _WMS)).items():
            table[f"layers.{group}.blocks.{index}.{theirs}"] = f"groups.{group}.blocks.{index}.{ours}"
    return table
