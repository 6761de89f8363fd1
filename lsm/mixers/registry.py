"""The list of token mixers: what each is called, built from, and says of itself."""

from __future__ import annotations

import inspect
import re
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from lsm.errors import OptionError, unknown_name
from lsm.mixers.base import TokenMixer
from lsm.mixers.recurrent import RecurrentMixer, modulated_recurrence, plain_recurrence
from lsm.mixers.window_attention import WindowAttention
from lsm.mixers.zoo.filters import AdaptiveGlobalFilter, GlobalFilterMixing, GlobalFilterMixing2D
from lsm.mixers.zoo.fno import AFNOMixing, FNOBlock, FourierNeuralOperator, SpectralConv1d, SpectralConv2d
from lsm.mixers.zoo.fourier import FourierMixing, FourierMixing1D, RealFourierMixing, SeparableFourierMixing
from lsm.mixers.zoo.linear_attention import KernelAttention, PerformerAttention, SpectralAttention
from lsm.mixers.zoo.spectral_attention import (
    DCTAttention,
    DSTAttention,
    HadamardAttention,
    LSTAttention,
    MixedSpectralAttention,
)
from lsm.mixers.zoo.wavelet_mixing import WaveletMixing, WaveletMixing2D
from lsm.typecheck import check_type


@dataclass(frozen=True)
class MixerEntry:
    """One mixer of the list."""

    name: str
    """What it is called in options."""
    kind: type[TokenMixer]
    """The class that does the work."""
    build: Callable[..., TokenMixer]
    """Called with C, `sequence` and options by name; its docstring describes the mixer."""


def _entry(name: str, kind: type[TokenMixer], build: Callable[..., TokenMixer] | None = None) -> MixerEntry:
    return MixerEntry(name, kind, build or kind)


MIXERS: tuple[MixerEntry, ...] = (
    _entry("cml", RecurrentMixer, modulated_recurrence),
    _entry("lru", RecurrentMixer, plain_recurrence),
    _entry("attention", WindowAttention),
    _entry("fnet", FourierMixing),
    _entry("fnet1d", FourierMixing1D),
    _entry("fnet-real", RealFourierMixing),
    _entry("fnet-separable", SeparableFourierMixing),
    _entry("gfnet", GlobalFilterMixing2D),
    _entry("gfnet1d", GlobalFilterMixing),
    _entry("gfnet-adaptive", AdaptiveGlobalFilter),
    _entry("afno", AFNOMixing),
    _entry("wavelet", WaveletMixing2D),
    _entry("wavelet1d", WaveletMixing),
    _entry("dct", DCTAttention),
    _entry("dst", DSTAttention),
    _entry("hadamard", HadamardAttention),
    _entry("lst", LSTAttention),
    _entry("lst-mixed", MixedSpectralAttention),
    _entry("rfa", SpectralAttention),
    _entry("performer", PerformerAttention),
    _entry("kernel", KernelAttention),
    _entry("spectral-conv", SpectralConv2d),
    _entry("spectral-conv1d", SpectralConv1d),
    _entry("fno", FourierNeuralOperator),
    _entry("fno-block", FNOBlock),
)
"""Every mixer, in the order of the table in docs/mixers.md."""


def add_mixer(name: str, kind: type[TokenMixer], build: Callable[..., TokenMixer] | None = None) -> None:
    """Add a mixer of a module of one's own to the list, for as long as the process runs.

    Args:
        name: What it is called in options.
        kind: The class that does the work.
        build: Called with C, `sequence` and options by name; the class by default.

    Raises:
        OptionError: If there is a mixer of that name.
    """
    global MIXERS
    if name in mixer_names():
        raise OptionError(f"There is a mixer {name} already; choose another name.")
    MIXERS += (_entry(name, kind, build),)


def mixer_names() -> list[str]:
    """Return the names of all mixers."""
    return [entry.name for entry in MIXERS]


def find_mixer(name: str) -> MixerEntry:
    """Return the entry of a name.

    Raises:
        OptionError: On an unknown name, with the nearest known one.
    """
    for entry in MIXERS:
        if entry.name == name:
            return entry
    raise OptionError(unknown_name("mixer", name, mixer_names()))


def build_mixer(name: str, dim: int, *, sequence: bool = False, **options: Any) -> TokenMixer:
    """Build a mixer that fits a network: real tokens (B, L, C) in and out.

    Args:
        name: One of `mixer_names`.
        dim: C.
        sequence: For sequences (B, T, C), called with the tokens alone; otherwise for images, called with tokens and
            (H, W).
        **options: Of this mixer.

    Raises:
        OptionError: On an unknown name or option, a value of a wrong type or out of range, or a complex result.
    """
    check_mixer_options(name, options)
    mixer = find_mixer(name).build(dim, sequence=sequence, **options)
    if not mixer.properties.real_output:
        raise OptionError(f"Mixer {name} with these options returns complex tokens, which a network cannot take.")
    return mixer


def mixer_options(name: str) -> dict[str, Any]:
    """Return the options of a mixer and their types.

    Raises:
        OptionError: On an unknown name.
    """
    build = find_mixer(name).build
    hints = typing.get_type_hints(build.__init__ if inspect.isclass(build) else build)
    parameters = inspect.signature(build).parameters.values()
    return {p.name: hints[p.name] for p in parameters if p.kind is p.KEYWORD_ONLY and p.name != "sequence"}


def check_mixer_options(name: str, options: Mapping[str, Any]) -> None:
    """Raise unless a mixer has options of these names and types.

    Raises:
        OptionError: On an unknown mixer or option, or a value of a wrong type.
    """
    known = mixer_options(name)
    for option, value in options.items():
        if option not in known:
            raise OptionError(unknown_name(f"option of mixer {name}", option, known))
        check_type(f"mixer {name}", option, value, known[option])


def sequence_mixer(name: str, **options: Any) -> Callable[[int], TokenMixer]:
    """Return what `lsm.sequence.build_unet` takes: a function from a width to a mixer over time.

    Args:
        name: One of `mixer_names`.
        **options: Of this mixer.

    Raises:
        OptionError: On an unknown name.
    """
    find_mixer(name)
    return lambda width: build_mixer(name, width, sequence=True, **options)


@dataclass(frozen=True)
class MixerDescription:
    """What the docstring of a mixer says."""

    summary: str
    paper: str
    equation: str
    cost: str
    parameters: str


def describe_mixer(name: str) -> MixerDescription:
    """Read the docstring of a mixer: its first line, and those that start with Paper, Equation, Cost and Parameters.

    Raises:
        OptionError: On an unknown name.
    """
    text = inspect.getdoc(find_mixer(name).build) or ""
    lines = {key.lower(): _line(text, key) for key in ("Paper", "Equation", "Cost", "Parameters")}
    return MixerDescription(text.partition("\n")[0].rstrip("."), **lines)


def _line(text: str, key: str) -> str:
    """Return what follows a key at the start of a line, up to the next key or empty line; empty if it is not there."""
    found = re.search(rf"^{key}: (.*?)\.?$(?=\n\n|\n[A-Z][a-z]+:|\Z)", text, re.MULTILINE | re.DOTALL)
    return " ".join(found[1].split()) if found else ""
