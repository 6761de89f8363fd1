"""The `network_g` of the official configs, put into the keys of this project.

The official code has two networks, `LSM_light` and `LSM` (LSM-S and LSM), of keyword arguments; here there is one, with
presets. What the official code computes from such a section is this project's `recurrence: official`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lsm.errors import OptionError, truncate_repr

_FIXED = {"rmin": 0.9, "rmax": 0.99, "max_phase": 6.283, "resi_connection": "1conv"}
"""Arguments with one value that is built here: the decays' and phases' initial values, and a group's convolution."""

_WITHOUT_EFFECT = ("img_size",)  # of the images, which may have any

_OFFICIAL_KEYS = {"depth", "num_tokens", *_FIXED, *_WITHOUT_EFFECT}


def is_official(network: Mapping[str, Any]) -> bool:
    """Return whether a section `network_g` is in the official spelling."""
    if network.get("type") == "LSM_light":
        return True
    heads = isinstance(network.get("num_heads"), list)
    return network.get("type") == "LSM" and (heads or not _OFFICIAL_KEYS.isdisjoint(network))


def from_official(network: Mapping[str, Any]) -> dict[str, Any]:
    """Put a section `network_g` of the official configs into our keys.

    Args:
        network: The section, see `is_official`.

    Returns:
        The same network in our keys, with the official recurrence unless the section names another; keys that are in
        neither spelling are left for the checks.

    Raises:
        OptionError: On a value that is not built here, or if `num_tokens` is not four times `d_state`.
    """
    ours: dict[str, Any] = {"type": "LSM", "variant": "light" if network["type"] == "LSM_light" else "base"}
    for key, value in network.items():
        if key in _FIXED:
            _check_fixed(key, value)
        elif key == "depth":
            ours["depths"] = value
        elif key == "num_heads":
            ours[key] = _one_number_of_heads(value)
        elif key not in ("type", "num_tokens", *_WITHOUT_EFFECT):
            ours[key] = value
    if "num_tokens" in network:
        ours.setdefault("d_state", network["num_tokens"] // 4 if isinstance(network["num_tokens"], int) else 0)
        if network["num_tokens"] != 4 * ours["d_state"]:
            raise OptionError(
                f"network_g.num_tokens: {network['num_tokens']} is not four times d_state, {ours['d_state']}: a "
                "quarter of the prototypes modulates each of the four parts of the recurrence."
            )
    ours.setdefault("recurrence", "official")
    return ours


def _check_fixed(key: str, value: Any) -> None:
    """Refuse another value than the one that every published network has."""
    known = _FIXED[key]
    same = isinstance(value, int | float) and abs(value - known) < 1e-3 if isinstance(known, float) else value == known
    if not same:
        raise OptionError(
            f"network_g.{key}: only {known}, the published networks' value, is built here (got {truncate_repr(value)})."
        )


def _one_number_of_heads(value: Any) -> Any:
    """Return the number of heads that all residual groups have."""
    if not isinstance(value, list):
        return value
    if len(set(value)) != 1:
        raise OptionError(f"network_g.num_heads: all groups have equally many heads here (got {value}).")
    return value[0]
