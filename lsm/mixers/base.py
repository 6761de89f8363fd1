"""What every token mixer has in common: its interface, what a program can read of it, its precision, and its layouts.

One image has two layouts: an image (B, C, H, W), and its tokens (B, H·W, C) in raster order.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import ClassVar, TypeVar

import torch
from einops import rearrange
from torch import Tensor, nn

Size = tuple[int, int]
"""Height and width, of an image or of a window."""

LINEAR, LOG_LINEAR = "n", "n log n"
"""How the cost grows with the number n of tokens, as the mixers state it."""


@dataclass(frozen=True)
class MixerProperties:
    """What a program can read of a mixer."""

    complexity: str
    """Growth of the cost with the number n of tokens: "n" or "n log n"."""
    frequency_domain: bool = False
    """Whether tokens are mixed as coefficients of a transform."""
    unitary: bool = False
    """Whether the transform is unitary; `transform` computes it then."""
    energy_preserving: bool = False
    """Whether the whole mixer keeps the sum of squares."""
    real_output: bool = True
    """Whether the result is real; a complex one fits no network, and comes only where it is asked for."""


class TokenMixer(nn.Module):
    """Mixes tokens (B, L, C) of an image, L = H·W, or of a sequence, into (B, L, C).

    Args:
        dim: C.
        sequence: Built for sequences (B, T, C): any size given is ignored. Otherwise built for images, and a
            sequence is an image of one row.

    Raises:
        OptionError: In subclasses, on an option out of range.
    """

    properties: ClassVar[MixerProperties]

    def __init__(self, dim: int, *, sequence: bool = False) -> None:
        super().__init__()
        self.dim, self.sequence = dim, sequence

    def forward(self, tokens: Tensor, size: Size | None = None) -> Tensor:
        """Mix tokens.

        Args:
            tokens: (B, L, C), L at least 1.
            size: (H, W) of their image; none for a sequence.

        Returns:
            (B, L, C), in the dtype that autocast gives, else that of `tokens`.

        Raises:
            ValueError: If the shapes do not fit.
        """
        length, channels = tokens.shape[1:]
        height, width = size or (1, length)
        if channels != self.dim or (not self.sequence and height * width != length):
            raise ValueError(
                f"{type(self).__name__} of {self.dim} channels got tokens {tuple(tokens.shape)} of {(height, width)}."
            )
        return self.mix(tokens, (1, length) if self.sequence else (height, width))

    def mix(self, tokens: Tensor, size: Size) -> Tensor:
        """Mix tokens (B, L, C) whose shape is checked; the size of a sequence is (1, L)."""
        raise NotImplementedError

    def penalty(self) -> Tensor | None:
        """Return a scalar that training adds to the loss; None for none."""
        return None

    def on_grid(self, tokens: Tensor, size: Size) -> Tensor:
        """Lay tokens out for transforms along the axes between batch and channels: (B, H, W, C), or (B, T, C)."""
        return tokens if self.sequence else tokens.unflatten(1, size)


def to_image(tokens: Tensor, size: Size) -> Tensor:
    """Lay tokens (B, H·W, C) out as an image (B, C, H, W); its memory stays channels-last."""
    return rearrange(tokens, "b (y x) c -> b c y x", y=size[0])


def to_tokens(image: Tensor) -> Tensor:
    """Read an image (B, C, H, W) as tokens (B, H·W, C)."""
    return rearrange(image, "b c y x -> b (y x) c")


def grid_axes(signal: Tensor) -> tuple[int, ...]:
    """Return the axes of a signal (B, …, C) between batch and channels."""
    return tuple(range(1, signal.ndim - 1))


def full(tensor: Tensor) -> Tensor:
    """Return a tensor in at least float32: halves have no Fourier transforms, and overflow in sums over an image."""
    return tensor.float() if tensor.dtype in (torch.float16, torch.bfloat16) else tensor


def without_autocast(tensor: Tensor) -> AbstractContextManager[object]:
    """Switch autocast off where a tensor is; where it is off already nothing is done, as exporters need."""
    kind = tensor.device.type
    if has_autocast(kind) and torch.is_autocast_enabled(kind):
        return torch.autocast(kind, enabled=False)
    return nullcontext()


def has_autocast(kind: str) -> bool:
    """Return whether a kind of device has autocast; of the usual ones torch is not asked, as 2.6 cannot trace that."""
    return kind in ("cpu", "cuda") or torch.amp.is_autocast_available(kind)


Method = TypeVar("Method", bound=Callable[..., Tensor])


def in_full_precision(method: Method) -> Method:
    """Make a method compute in at least float32 whatever autocast says; its result has its first tensor's dtype."""

    @functools.wraps(method)
    def run(self: nn.Module, tokens: Tensor, *args: object) -> Tensor:
        with without_autocast(tokens):
            mixed = method(self, full(tokens), *args)
        return mixed if mixed.is_complex() else mixed.to(tokens.dtype)

    return run  # type: ignore[return-value]
