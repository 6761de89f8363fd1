"""`fast`: 3×3 convolutions at the low resolution, and modulated-LRU blocks over coarser tokens for context.

- residual blocks without normalisation, one global residual, and one sub-pixel convolution at the end: EDSR (Lim et al.
  2017, arXiv 1707.02921, §3) and ESPCN (Shi et al. 2016, arXiv 1609.05158);
- the context block is the CML block of LSM (arXiv 2606.19901, §3.2–3.3) on tokens of s×s pixels;
- branches that start at zero: ReZero (Bachlechner et al. 2020, arXiv 2003.04887).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from lsm.arch.base import Network
from lsm.arch.blocks import Block
from lsm.arch.convolutional_config import ConvolutionalConfig
from lsm.arch.pixel_unshuffle import PixelUnshuffle
from lsm.arch.upsamplers import PixelShuffleDirect
from lsm.mixers.base import to_image, to_tokens
from lsm.mixers.registry import build_mixer

NEGATIVE_SLOPE = 0.1


class ResidualBlock(nn.Module):
    """x + Conv3×3(LeakyReLU(Conv3×3(x))).

    Args:
        dim: C.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(dim, dim, 3, padding=1)
        self.conv2 = nn.Conv2d(dim, dim, 3, padding=1)

    def forward(self, image: Tensor) -> Tensor:
        """Transform features (B, C, H, W) into (B, C, H, W)."""
        hidden = F.leaky_relu_(self.conv1(image), NEGATIVE_SLOPE)
        return self.conv2(hidden).add_(image)


class ContextBlock(nn.Module):
    """x + Up(CML block(Down(x))): what tokens of s×s pixels, scanned over the whole image, say about each pixel.

    Down is a convolution s×s of stride s, C → D (PixelUnshuffle and 1×1 in one); Up is its transpose, D → C, and starts
    at zero, so that the untrained block is the identity. Sides that are no multiples of s are padded with the nearest
    pixels, and cropped after.

    Args:
        dim: C.
        context_dim: D.
        stride: s.
        mixer: Takes tokens (B, L, D) and the size (H, W).
        hidden: Width of the gated MLP, even.
    """

    def __init__(self, dim: int, context_dim: int, stride: int, mixer: nn.Module, hidden: int) -> None:
        super().__init__()
        self.stride = stride
        self.down = nn.Conv2d(dim, context_dim, stride, stride)
        self.block = Block(context_dim, mixer, hidden, drop_path=0.0)
        self.up = nn.ConvTranspose2d(context_dim, dim, stride, stride)
        self.block.apply(_init_linear)
        nn.init.zeros_(self.up.weight)
        assert self.up.bias is not None
        nn.init.zeros_(self.up.bias)

    def forward(self, image: Tensor) -> Tensor:
        """Transform features (B, C, H, W) into (B, C, H, W)."""
        height, width = image.shape[2:]
        below, right = -height % self.stride, -width % self.stride
        # A graph holds for all sizes, so there nothing may hang on whether this one needs padding.
        pads = torch.compiler.is_compiling() or below or right
        padded = F.pad(image, (0, right, 0, below), mode="replicate") if pads else image
        coarse = self.down(padded)
        size = (coarse.shape[2], coarse.shape[3])
        context = to_image(self.block(to_tokens(coarse), size), size)
        up = self.up(context)
        return (F.pad(up, (0, -right, 0, -below)) if pads else up).add_(image)


class ConvolutionalLSM(Network):
    """Super-resolution mostly by convolutions: (B, 3, H, W) in [0, 1] → (B, 3, rH, rW), any H, W ≥ 1.

    x₀ = Conv3×3(image − mean); x = blocks(x₀); output = PixelShuffle(Conv3×3(Conv3×3(x) + x₀)) + mean. The untrained
    network upscales bilinearly: the first channels of x₀ carry the image past the body, whose last convolution starts
    weak. At r = 1 it restores: what it computes is added to its input, and starts at zero. Runs fastest in
    channels-last memory, into which `forward` brings the image.

    Args:
        config: The architecture.
    """

    config: ConvolutionalConfig

    def __init__(self, config: ConvolutionalConfig) -> None:
        super().__init__()
        self.config = config
        self.checkpointing = False
        dim = config.embed_dim
        self.unshuffle = PixelUnshuffle(config.unshuffle)
        self.shallow = nn.Conv2d(config.in_chans * config.unshuffle**2, dim, 3, padding=1)
        self.body = nn.ModuleList(_build_body(config))
        self.conv = nn.Conv2d(dim, dim, 3, padding=1)
        self.upsampler = PixelShuffleDirect(dim, config.in_chans, config.upscale * config.unshuffle)
        self.register_buffer("mean", torch.empty(1, config.in_chans, 1, 1), persistent=False)
        self.reset_buffers()
        self._init_bilinear() if config.upscale > 1 else self._init_identity()
        self.to(memory_format=torch.channels_last)

    def checkpoint_blocks(self, enabled: bool = True) -> ConvolutionalLSM:
        """Keep only the blocks' inputs for the gradient, see `Network.checkpoint_blocks`."""
        self.checkpointing = enabled
        return self

    def forward_features(self, image: Tensor) -> Tensor:
        """Compute deep features of a normalised image: (B, 3u², H, W) → (B, C, H, W)."""
        shallow = self.shallow(image.contiguous(memory_format=torch.channels_last))
        features = shallow
        for block in self.body:
            if self.checkpointing and torch.is_grad_enabled():
                features = checkpoint(block, features, use_reentrant=False)
            else:
                features = block(features)
        return self.conv(features).add_(shallow)


def _build_body(config: ConvolutionalConfig) -> list[nn.Module]:
    """Build the residual blocks and the context blocks between them."""
    body: list[nn.Module] = []
    for number in range(1, config.blocks + 1):
        body.append(ResidualBlock(config.embed_dim))
        if number in config.context_after:
            body.append(_build_context(config))
    return body


def _build_context(config: ConvolutionalConfig) -> ContextBlock:
    dim = config.context_dim
    mixer = build_mixer("cml", dim, d_state=config.d_state, recurrence=config.recurrence)
    hidden = int(round(dim * config.context_mlp_ratio, 3))
    return ContextBlock(config.embed_dim, dim, config.context_stride, mixer, hidden)


def _init_linear(module: nn.Module) -> None:
    """Draw a Linear's weight with variance 1/inputs, so that a block of few layers starts at full strength."""
    if isinstance(module, nn.Linear):
        nn.init.trunc_normal_(module.weight, std=module.in_features**-0.5)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
