# LSM: Linear Recurrent Unit with Semantic Modulation for Image Super-Resolution (https://arxiv.org/abs/2606.19901),
# written from the paper and from the measured behaviour of the published networks, with their parameter names.
#
# The published networks compute, for one image, without a recurrence (theirs runs over the images of a batch), and
# modulate the sorted tokens in raster order. They draw the categories at random; here the most probable one is taken,
# so that an image comes out the same each time.

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn as nn
import torch.nn.functional as F
from einops import rearrange
from einops.layers.torch import Rearrange
from spandrel.util import store_hyperparameters
from spandrel.util.timm import DropPath
from torch import Tensor


def to_image(tokens: Tensor, size: tuple[int, int]) -> Tensor:
    return rearrange(tokens, "b (h w) c -> b c h w", h=size[0], w=size[1])


def to_tokens(image: Tensor) -> Tensor:
    return rearrange(image, "b c h w -> b (h w) c")


class SpatialGate(nn.Module):
    def __init__(self, dim: int):
        super().__init__()
        self.norm = nn.LayerNorm(dim)
        self.conv = nn.Conv2d(dim, dim, 3, padding=1, groups=dim)

    def forward(self, x: Tensor, size: tuple[int, int]) -> Tensor:
        value, gate = x.chunk(2, dim=-1)
        return value * to_tokens(self.conv(to_image(self.norm(gate), size)))


class GatedMLP(nn.Module):
    def __init__(self, dim: int, hidden: int):
        super().__init__()
        self.fc1 = nn.Linear(dim, hidden)
        self.act = nn.GELU()
        self.sg = SpatialGate(hidden // 2)
        self.fc2 = nn.Linear(hidden // 2, dim)

    def forward(self, x: Tensor, size: tuple[int, int]) -> Tensor:
        return self.fc2(self.sg(self.act(self.fc1(x)), size))


class DynamicPositionBias(nn.Module):
    """An MLP from the offset between two tokens to a bias for each head."""

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.pos_proj = nn.Linear(2, width)
        # a ReLU stands between each pair
        self.pos1 = nn.Sequential(
            nn.LayerNorm(width), nn.ReLU(), nn.Linear(width, width)
        )
        self.pos2 = nn.Sequential(
            nn.LayerNorm(width), nn.ReLU(), nn.Linear(width, width)
        )
        self.pos3 = nn.Sequential(
            nn.LayerNorm(width), nn.ReLU(), nn.Linear(width, heads)
        )

    def forward(self, offsets: Tensor) -> Tensor:
        return self.pos3(self.pos2(self.pos1(self.pos_proj(offsets))))


class RectangleAttention(nn.Module):
    """Attention of half of the channels in windows of one orientation."""

    rpe_biases: Tensor
    relative_position_index: Tensor

    def __init__(self, heads: int, window: tuple[int, int], pos_dim: int):
        super().__init__()
        self.heads = heads
        self.window = window
        self.pos = DynamicPositionBias(pos_dim, heads)

        h, w = window
        dy, dx = torch.arange(1 - h, h), torch.arange(1 - w, w)
        grid = torch.stack(torch.meshgrid(dy, dx, indexing="ij"))
        self.register_buffer("rpe_biases", grid.flatten(1).T.contiguous().float())

        y = torch.arange(h).repeat_interleave(w)
        x = torch.arange(w).repeat(h)
        rows = y[:, None] - y[None] + h - 1
        columns = x[:, None] - x[None] + w - 1
        self.register_buffer("relative_position_index", rows * (2 * w - 1) + columns)

    def bias(self) -> Tensor:
        by_offset = self.pos(self.rpe_biases.to(self.pos.pos_proj.weight.dtype))
        pairs = by_offset[self.relative_position_index.flatten()]
        return rearrange(pairs, "(q k) n -> n q k", q=math.prod(self.window))

    def mask(self, height: int, width: int, like: Tensor) -> Tensor:
        """-100 between tokens that the shift brought together though they are apart."""
        h, w = self.window
        region = torch.zeros(height, width, dtype=like.dtype, device=like.device)
        for number, rows in enumerate((slice(-h, -(h // 2)), slice(-(h // 2), None))):
            region[rows] += number + 1
        for number, columns in enumerate(
            (slice(-w, -(w // 2)), slice(-(w // 2), None))
        ):
            region[:, columns] += 3 * (number + 1)
        flat = rearrange(region, "(y h) (x w) -> (y x) (h w)", h=h, w=w)
        return (flat[:, None] != flat[:, :, None]).to(like.dtype) * -100

    def forward(self, qkv: Tensor, shifted: bool) -> Tensor:
        """(3, B, C/2, H, W) padded to whole windows -> (B, C/2, H, W)"""
        h, w = self.window
        height, width = qkv.shape[-2:]
        shift = (h // 2, w // 2)
        if shifted:
            qkv = qkv.roll((-shift[0], -shift[1]), dims=(-2, -1))
        q, k, v = rearrange(
            qkv,
            "t b (n d) (y h) (x w) -> t b (y x) n (h w) d",
            n=self.heads,
            h=h,
            w=w,
        )
        scores = (q * q.shape[-1] ** -0.5) @ k.transpose(-2, -1) + self.bias()
        if shifted:
            scores = scores + self.mask(height, width, scores)[:, None]
        out = rearrange(
            scores.softmax(dim=-1) @ v,
            "b (y x) n (h w) d -> b (n d) (y h) (x w)",
            y=height // h,
            h=h,
        )
        return out.roll(shift, dims=(-2, -1)) if shifted else out


class WindowAttention(nn.Module):
    def __init__(
        self,
        dim: int,
        num_heads: int,
        split_size: tuple[int, int],
        shifted: bool,
    ):
        super().__init__()
        h, w = split_size
        self.multiple = max(split_size)
        self.shifted = shifted
        self.qkv = nn.Linear(dim, dim * 3)
        self.proj = nn.Linear(dim, dim)
        self.get_v = nn.Conv2d(dim, dim, 3, padding=1, groups=dim)
        pos_dim = max(dim // 2 // 4 // 4, 1)
        self.attns = nn.ModuleList(
            RectangleAttention(num_heads // 2, window, pos_dim)
            for window in ((h, w), (w, h))
        )

    def forward(self, x: Tensor, size: tuple[int, int]) -> Tensor:
        height, width = size
        qkv = rearrange(
            self.qkv(x), "b (h w) (t c) -> t b c h w", t=3, h=height, w=width
        )
        local = self.get_v(qkv[2])
        padded = F.pad(qkv, (0, -width % self.multiple, 0, -height % self.multiple))
        halves = [
            attn(part, self.shifted)
            for attn, part in zip(self.attns, padded.chunk(2, dim=2))
        ]
        out = torch.cat(halves, dim=1)[:, :, :height, :width] + local
        return self.proj(to_tokens(out))


class LRUCore(nn.Module):
    def __init__(self, dim: int, d_state: int):
        super().__init__()
        radius = torch.empty(d_state).uniform_(0.9**2, 0.99**2)
        self.nu_log = nn.Parameter(torch.log(-0.5 * torch.log(radius)))
        self.theta_log = nn.Parameter(torch.log(6.283 * torch.rand(d_state)))
        self.gamma_log = nn.Parameter(torch.log(torch.sqrt(1 - radius)))
        self.B_re = nn.Parameter(torch.randn(d_state, dim) / math.sqrt(2 * dim))
        self.B_im = nn.Parameter(torch.randn(d_state, dim) / math.sqrt(2 * dim))
        self.C_re = nn.Parameter(torch.randn(dim, d_state) / math.sqrt(d_state))
        self.C_im = nn.Parameter(torch.randn(dim, d_state) / math.sqrt(d_state))
        self.D = nn.Parameter(torch.randn(dim, dim) / math.sqrt(dim))

    def forward(self, x: Tensor, modulation: Tensor) -> Tensor:
        _decay, m_b, m_re, m_im = modulation.chunk(4, dim=-1)
        scale = self.gamma_log.exp()[:, None]
        real = (x @ (self.B_re * scale).T) * m_b * m_re
        imaginary = (x @ (self.B_im * scale).T) * m_b * m_im
        return real @ self.C_re.T - imaginary @ self.C_im.T + x @ self.D.T


class SemanticLRU(nn.Module):
    def __init__(self, dim: int, d_state: int, num_tokens: int):
        super().__init__()
        self.wq = nn.Linear(dim, dim // 3)
        self.wk = nn.Linear(dim, dim // 3)
        self.wv = nn.Linear(dim, dim // 2)
        self.scale = nn.Parameter(torch.full((num_tokens,), 0.5))
        self.in_proj = nn.Sequential(nn.Conv2d(dim, dim, 1))
        self.CPE = nn.Sequential(nn.Conv2d(dim, dim, 3, padding=1, groups=dim))
        self.lru_core = LRUCore(dim, d_state)
        self.out_proj = nn.Linear(dim, dim // 2)

    def forward(self, x: Tensor, dictionary: Tensor, size: tuple[int, int]) -> Tensor:
        sharpness = 1 + self.scale.clamp(0, 1) * math.log(self.scale.shape[0])
        keys = F.normalize(self.wk(dictionary), dim=-1) * sharpness[:, None]
        scores = F.normalize(self.wq(x), dim=-1) @ keys.T
        modulation = scores.softmax(dim=-1)
        enhanced = modulation @ self.wv(dictionary)

        image = self.in_proj(to_image(x, size))
        gated = to_tokens(image * torch.sigmoid(self.CPE(image)))
        order = scores.argmax(dim=-1).argsort(dim=-1, stable=True)[..., None]
        order = order.expand_as(gated)
        out = self.lru_core(gated.gather(1, order), modulation)
        out = torch.zeros_like(out).scatter(1, order, out)
        return torch.cat([self.out_proj(out), enhanced], dim=-1)


class WindowBlock(nn.Module):
    def __init__(
        self,
        dim: int,
        num_heads: int,
        split_size: tuple[int, int],
        shifted: bool,
        mlp_ratio: float,
        drop_path: float,
    ):
        super().__init__()
        self.norm1 = nn.LayerNorm(dim)
        self.attn = WindowAttention(dim, num_heads, split_size, shifted)
        self.norm2 = nn.LayerNorm(dim)
        self.mlp = GatedMLP(dim, int(dim * mlp_ratio))
        self.drop_path = DropPath(drop_path) if drop_path > 0 else nn.Identity()
        self.gamma = nn.Parameter(torch.full((dim,), 1e-4))

    def forward(self, x: Tensor, size: tuple[int, int]) -> Tensor:
        out = x + self.drop_path(self.attn(self.norm1(x), size))
        out = out + self.drop_path(self.mlp(self.norm2(out), size))
        return out + self.gamma * x


class RecurrentBlock(nn.Module):
    def __init__(
        self,
        dim: int,
        d_state: int,
        num_tokens: int,
        mlp_ratio: float,
        drop_path: float,
    ):
        super().__init__()
        self.norm3 = nn.LayerNorm(dim)
        self.embedding = nn.Embedding(num_tokens, dim)
        self.lru = SemanticLRU(dim, d_state, num_tokens)
        self.norm4 = nn.LayerNorm(dim)
        self.mlp = GatedMLP(dim, int(dim * mlp_ratio))
        self.drop_path = DropPath(drop_path) if drop_path > 0 else nn.Identity()
        self.gamma = nn.Parameter(torch.full((dim,), 1e-4))

    def forward(self, x: Tensor, size: tuple[int, int]) -> Tensor:
        mixed = self.lru(self.norm3(x), self.embedding.weight, size)
        out = x + self.drop_path(mixed)
        out = out + self.drop_path(self.mlp(self.norm4(out), size))
        return out + self.gamma * x


class ResidualGroup(nn.Module):
    def __init__(self, dim: int, blocks: Sequence[nn.Module]):
        super().__init__()
        self.blocks = nn.ModuleList(blocks)
        self.conv = nn.Conv2d(dim, dim, 3, padding=1)

    def forward(self, x: Tensor, size: tuple[int, int]) -> Tensor:
        out = x
        for block in self.blocks:
            out = block(out, size)
        return x + to_tokens(self.conv(to_image(out, size)))


@store_hyperparameters()
class LSM(nn.Module):
    hyperparameters = {}  # noqa: RUF012

    def __init__(
        self,
        *,
        upscale: int = 4,
        in_chans: int = 3,
        embed_dim: int = 60,
        depths: Sequence[int] = (6, 6, 6, 6),
        num_heads: int = 4,
        mlp_ratio: float = 1.0,
        d_state: int = 16,
        num_tokens: int = 64,
        split_size: Sequence[int] = (8, 32),
        img_range: float = 1.0,
        drop_path_rate: float = 0.1,
        upsampler: Literal["pixelshuffle", "pixelshuffledirect"] = "pixelshuffledirect",
    ):
        super().__init__()
        self.img_range = img_range
        self.upsampler = upsampler
        mean = torch.full((1, in_chans, 1, 1), 0.5)
        if in_chans == 3:
            mean = torch.tensor((0.4488, 0.4371, 0.4040)).view(1, 3, 1, 1)
        self.register_buffer("mean", mean, persistent=False)

        self.conv_first = nn.Conv2d(in_chans, embed_dim, 3, padding=1)
        self.before_RG = nn.Sequential(
            Rearrange("b c h w -> b (h w) c"), nn.LayerNorm(embed_dim)
        )
        rates = iter(torch.linspace(0, drop_path_rate, sum(depths)).tolist())
        window = (split_size[0], split_size[1])
        layers: list[ResidualGroup] = []
        for group, depth in enumerate(depths):
            blocks: list[nn.Module] = []
            for index in range(depth):
                if index % 2:
                    blocks.append(
                        RecurrentBlock(
                            embed_dim, d_state, num_tokens, mlp_ratio, next(rates)
                        )
                    )
                else:
                    shifted = index % 4 == (0 if group % 2 else 2)
                    blocks.append(
                        WindowBlock(
                            embed_dim,
                            num_heads,
                            window,
                            shifted,
                            mlp_ratio,
                            next(rates),
                        )
                    )
            layers.append(ResidualGroup(embed_dim, blocks))
        self.layers = nn.ModuleList(layers)
        self.norm = nn.LayerNorm(embed_dim)
        self.conv_after_body = nn.Conv2d(embed_dim, embed_dim, 3, padding=1)

        if upsampler == "pixelshuffle":
            width = 64
            factors = [3] if upscale == 3 else [2] * int(math.log2(upscale))
            stages: list[nn.Module] = []
            for factor in factors:
                stages.append(nn.Conv2d(width, width * factor**2, 3, padding=1))
                stages.append(nn.PixelShuffle(factor))
            self.conv_before_upsample = nn.Sequential(
                nn.Conv2d(embed_dim, width, 3, padding=1), nn.LeakyReLU()
            )
            self.upsample = nn.Sequential(*stages)
            self.conv_last = nn.Conv2d(width, in_chans, 3, padding=1)
        else:
            self.upsample = nn.Sequential(
                nn.Conv2d(embed_dim, in_chans * upscale**2, 3, padding=1),
                nn.PixelShuffle(upscale),
            )

    mean: Tensor

    def forward(self, x: Tensor) -> Tensor:
        mean = self.mean.to(x)
        size = (x.shape[2], x.shape[3])
        shallow = self.conv_first((x - mean) * self.img_range)
        tokens = self.before_RG(shallow)
        for layer in self.layers:
            tokens = layer(tokens, size)
        deep = self.conv_after_body(to_image(self.norm(tokens), size)) + shallow
        if self.upsampler == "pixelshuffle":
            out = self.conv_last(self.upsample(self.conv_before_upsample(deep)))
        else:
            out = self.upsample(deep)
        return out / self.img_range + mean
