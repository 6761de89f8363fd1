"""`Upscaler`: runs a network over images of any size, in tiles that fit the memory."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from lsm.errors import CheckpointError, InputError, OptionError, unknown_name
from lsm.image import resample as resampling
from lsm.image.pixels import ImageData, from_tensor, to_tensor
from lsm.inference.device import check_precision, computing, pick_device, seeded
from lsm.inference.memory import budget, fitting_tile, is_out_of_memory, peak_memory, release
from lsm.inference.tiling import Span, blended_bands, check_tile, count_tiles, spans

ALPHA = ("model", "bicubic", "drop")
Progress = Callable[[int, int], None]
"""Called after each tile with the tiles done and all tiles of the image; it starts anew if memory ran out."""

log = logging.getLogger(__name__)


class Upscaler:
    """Upscale images with a network.

    The same image gives the same bits on one device at one tile size, whatever is upscaled before it: nothing is
    batched, and every tile starts from the same seed. A network that looks at the whole image, as LSM's scan does,
    gives slightly other results in tiles.

    Args:
        model: Takes (1, 3, H, W) in [0, 1] to (1, 3, rH, rW); its `config` has `upscale` (r) and `tile_multiple`
            (what attention windows fit into). It is moved to the device. An `OnnxNetwork` runs in onnxruntime.
        tile: Side of a tile in low-resolution pixels, rounded down to a multiple of the window; 0 runs images whole;
            "auto" takes one that fits the memory there is now, and images of no more pixels than that run whole.
        tile_overlap: Low-resolution pixels that neighbouring tiles share at least.
        precision: "fp32", "bf16" or "fp16". A tile that is not finite in the latter is computed again in fp32.
        device: "auto", "cpu", "cuda", "cuda:1", "mps" or a torch device.
        ensemble: Average the results of the 8 flips and quarter turns: better, and eight times slower.
        scale: What the user wants, the network's own by default; to another one its result is resampled (bicubic).
        alpha: How transparency is upscaled: "model", "bicubic", or "drop" to leave it out.
        seed: Of the random numbers that some networks draw, see `LSMConfig.recurrence`.

    Raises:
        OptionError: On a wrong value.
    """

    def __init__(
        self,
        model: nn.Module,
        tile: int | str = "auto",
        tile_overlap: int = 32,
        precision: str = "fp32",
        device: str | torch.device = "auto",
        ensemble: bool = False,
        *,
        scale: float | None = None,
        alpha: str = "model",
        seed: int = 0,
    ) -> None:
        if alpha not in ALPHA:
            raise OptionError(unknown_name("way with alpha", alpha, ALPHA))
        if scale is not None and not 0 < scale <= 64:
            raise OptionError(f"Scale {scale} is out of range: more than 0, at most 64.")
        config: Any = model.config
        # Networks that run elsewhere than in torch know where, and with how many bits.
        self.device = getattr(model, "pick_device", pick_device)(device)
        self.precision = check_precision(precision, getattr(model, "precision", None))
        self.model = model.to(self.device)
        self.model_scale: int = config.upscale
        self.window = config.tile_multiple
        self.scale = float(scale or self.model_scale)
        self.ensemble = ensemble
        self.alpha, self.seed = alpha, seed
        self.auto = tile == "auto"
        self.tile_overlap = tile_overlap
        # Read once: the choice must not depend on the images that came before.
        self._budget = budget(self.device)
        self._tile = None if self.auto else check_tile(_whole_number(tile), tile_overlap, self.window)

    def __call__(self, image: str | os.PathLike[str] | np.ndarray, progress: Progress | None = None) -> np.ndarray:
        """Upscale an image.

        Args:
            image: A file, or an array (H, W) or (H, W, 1-4), uint8 or uint16: grey, grey and alpha, RGB, RGBA.
            progress: See `Progress`.

        Returns:
            An array of the same type and number of axes; for a file, of the file's depth, (H, W) if it is grey.

        Raises:
            InputError: If the file or array is no image, or memory does not suffice.
        """
        if not isinstance(image, np.ndarray):
            from lsm.image.io import read_image

            pixels = self.upscale_image(read_image(image), progress).pixels
            return pixels[..., 0] if pixels.shape[2] == 1 else pixels
        data = ImageData(image[..., None] if image.ndim == 2 else image)
        pixels = self.upscale_image(data, progress).pixels
        return pixels[..., 0] if image.ndim == 2 else pixels

    def upscale_image(self, image: ImageData, progress: Progress | None = None) -> ImageData:
        """Upscale an image with its depth, channels and metadata kept.

        Raises:
            InputError: If memory does not suffice.
        """
        pixels, alpha = image.colour, None
        if image.has_alpha and self.alpha != "drop":
            alpha = image.pixels[..., -1:]
            pixels = resampling.fill_hidden_colours(pixels, alpha[..., 0])
        by_model = alpha is not None and self.alpha == "model" and alpha.min() != alpha.max()
        passes = 2 if by_model else 1
        result = [self._upscale_pixels(pixels, _part(progress, 0, passes))]
        if alpha is not None and by_model:
            result.append(self._upscale_pixels(alpha, _part(progress, 1, passes), is_alpha=True))
        elif alpha is not None:
            height, width = result[0].shape[:2]
            result.append(resampling.resized(alpha, height, width, alpha.dtype))
        return image.with_pixels(result[0] if len(result) == 1 else np.concatenate(result, axis=2))

    def upscale_tensor(self, image: Tensor, progress: Progress | None = None) -> Tensor:
        """Upscale a tensor by the network's own scale.

        Args:
            image: (1, 3, H, W), values in [0, 1], on any device.
            progress: See `Progress`.

        Returns:
            (1, 3, rH, rW) float32 on the image's device, not clamped. Without tiles, exactly what the network gives.

        Raises:
            InputError: If the shape is another, or memory does not suffice.
        """
        if image.dim() != 4 or image.shape[:2] != (1, 3) or min(image.shape) < 1:
            raise InputError(f"An image must have shape (1, 3, H, W), not {tuple(image.shape)}.")
        height, width, scale = *image.shape[2:], self.model_scale
        result = torch.empty(1, 3, height * scale, width * scale)

        def cut(row: Span, column: Span) -> Tensor:
            return image[:, :, row.start : row.stop, column.start : column.stop]

        def store(top: int, band: Tensor) -> None:
            result[0, :, top : top + band.shape[1]] = band

        self._run(height, width, cut, store, progress)
        return result.to(image.device)

    @property
    def max_tile(self) -> int:
        """Side of the largest tile that is tried; 0 for no tiles. "auto" is resolved by a run over a small tile."""
        if self._tile is None:
            self._tile = fitting_tile(self._bytes_per_pixel(), self._budget, self.window)
        return self._tile

    @max_tile.setter
    def max_tile(self, side: int) -> None:
        """Take over the tile that another upscaler has chosen, so that both give the same bits."""
        self._tile = side

    def _bytes_per_pixel(self) -> float:
        """Measure what the network needs for each low-resolution pixel, unless it says."""
        stated = getattr(self.model, "bytes_per_pixel", None)
        if stated is not None:
            return stated
        side = 2 * self.window
        image = torch.zeros(1, 3, side, side)
        return peak_memory(lambda: self._network(image, self.precision), self.device) / side**2

    def tile_for(self, height: int, width: int) -> int:
        """Give the tile size with which an image of H×W is first tried; 0 for whole."""
        return 0 if self.auto and height * width <= self.max_tile**2 else self.max_tile

    def output_size(self, height: int, width: int) -> tuple[int, int]:
        """Give height and width of the result for an image of H×W."""
        return max(1, round(height * self.scale)), max(1, round(width * self.scale))

    def _upscale_pixels(self, pixels: np.ndarray, progress: Progress | None, is_alpha: bool = False) -> np.ndarray:
        """Upscale (H, W, 1) or (H, W, 3) integers by `self.scale`."""
        height, width, channels = pixels.shape
        scale = self.model_scale
        resample = self.scale != scale
        # Where a resampling follows, the steps between are finer than the result's.
        dtype = np.dtype(np.uint16) if resample and not is_alpha else pixels.dtype
        result = np.empty((height * scale, width * scale, channels), dtype)

        def cut(row: Span, column: Span) -> Tensor:
            return to_tensor(pixels[row.start : row.stop, column.start : column.stop])

        def store(top: int, band: Tensor) -> None:
            result[top : top + band.shape[1]] = from_tensor(band, channels, dtype)

        self._run(height, width, cut, store, progress)
        if is_alpha:
            result = resampling.keep_within_neighbours(result, pixels)
        if not resample:
            return result
        return resampling.resized(result, *self.output_size(height, width), pixels.dtype)

    def _run(
        self,
        height: int,
        width: int,
        cut: Callable[[Span, Span], Tensor],
        store: Callable[[int, Tensor], None],
        progress: Progress | None,
    ) -> None:
        """Upscale band by band; when memory runs out, begin again with half the tile."""
        tile = self.tile_for(height, width)
        smallest = 2 * self.window
        while True:
            try:
                for top, band in self._bands(height, width, tile, cut, progress):
                    store(top, band)
                return
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
            # Outside of the handler, since the exception's frames hold the tensors that filled the memory.
            release(self.device)
            side = tile or max(height, width)
            if (tile == 0 and not self.auto) or side <= smallest:
                how = "whole; use --tile auto" if tile == 0 else f"in tiles of {tile}"
                raise InputError(f"Not enough memory on {self.device} to upscale {width}×{height} {how}.")
            tile = max(smallest, side // 2 // self.window * self.window)
            log.warning("Memory on %s ran out; trying again with tiles of %d.", self.device, tile)

    def _bands(
        self, height: int, width: int, tile: int, cut: Callable[[Span, Span], Tensor], progress: Progress | None
    ) -> Iterator[tuple[int, Tensor]]:
        """Upscale in one tile size."""
        grid = (tile, min(self.tile_overlap, tile // 2), self.window)
        total, done, overflowed = count_tiles(height, width, *grid), 0, False

        def run_tile(row: Span, column: Span) -> Tensor:
            nonlocal done, overflowed
            image = cut(row, column)
            result = self._network(image, self.precision)
            if self.precision != "fp32" and not torch.isfinite(result).all():
                if not overflowed:
                    log.warning("Values overflow in %s; computing the tiles concerned in fp32.", self.precision)
                overflowed = True
                result = self._network(image, "fp32")
            if not torch.isfinite(result).all():
                raise CheckpointError("The network's output is not finite even in fp32: its weights are damaged.")
            done += 1
            if progress:
                progress(done, total)
            return result

        yield from blended_bands(spans(height, *grid), spans(width, *grid), self.model_scale, run_tile)

    def _network(self, tile: Tensor, precision: str) -> Tensor:
        """Run the network, or the mean of its 8 flipped and turned runs, over one tile."""
        training = self.model.training
        # Asked first, since switching every module twice takes a noticeable part of a small image's time.
        switch = any(module.training for module in self.model.modules())
        if switch:
            self.model.eval()
        try:
            with computing(self.device, precision), seeded(self.seed, self.device):
                image = tile.to(self.device, torch.float32)
                if not self.ensemble:
                    return self.model(image)[0].float().cpu()
                return _self_ensemble(self.model, image)[0].cpu()
        finally:
            if switch:
                self.model.train(training)


def _self_ensemble(model: nn.Module, image: Tensor) -> Tensor:
    """Average a network's results over the 8 flips and quarter turns of (1, 3, H, W), each turned back."""
    total: Tensor | None = None
    for turns in range(4):
        for flip in (False, True):
            turned = torch.rot90(image.flip(3) if flip else image, turns, (2, 3))
            result = torch.rot90(model(turned.contiguous()).float(), -turns, (2, 3))
            result = result.flip(3) if flip else result
            total = result if total is None else total + result
    assert total is not None
    return total / 8


def _whole_number(tile: int | str) -> int:
    try:
        return int(tile)
    except ValueError:
        raise OptionError(f"Tile size {tile!r} is neither a whole number nor 'auto'.") from None


def _part(progress: Progress | None, index: int, parts: int) -> Progress | None:
    """Let the passes over one image, of the same number of tiles each, count as one."""
    if progress is None:
        return None
    return lambda done, total: progress(index * total + done, parts * total)
