"""`Upscaler`: runs a network over images of any size, in tiles that fit the memory."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, overload

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from lsm.errors import CheckpointError, InputError
from lsm.image import resample as resampling
from lsm.image.pixels import ImageData, from_tensor, to_tensor
from lsm.inference import kinds
from lsm.inference.choose import Choice, choose
from lsm.inference.device import check_precision, fix_seed, pick_device, set_precision
from lsm.inference.ensemble import self_ensemble
from lsm.inference.frame import crop_band, frame_pixels, frame_tensor
from lsm.inference.memory import choose_tile, is_out_of_memory, memory_budget, peak_memory, release
from lsm.inference.networks import open_network
from lsm.inference.options import UpscaleOptions
from lsm.inference.tiling import Span, blend_bands, check_tile, count_tiles, spans
from lsm.weights.resolve import resolve

Progress = Callable[[int, int], None]
"""Called after each tile with the tiles done and all tiles of the image; it starts anew if memory ran out."""

log = logging.getLogger(__name__)


class Upscaler:
    """Upscale images with a network.

    The same image gives the same bits on one device at one tile size, whatever is upscaled before it: nothing is
    batched, and every tile starts from the same seed. A network that looks at the whole image, as LSM's scan does,
    gives slightly other results in tiles.

    Args:
        model: A name or file for `load_model`, for a variant ("tiny") completed by the options' scale; or a network.
            That takes (1, 3, H, W) in [0, 1] to (1, 3, rH, rW); its `config` has `upscale` (r) and `tile_multiple`
            (what attention windows fit into). It is moved to the device. An `OnnxNetwork` runs in onnxruntime.
        options: How; the defaults of `UpscaleOptions` if none are given.
        **changes: Options by name, in place of those.

    Attributes:
        options: As they are used.
        device: Where the network runs.
        precision: In which it computes; that of an exported network is fixed.
        model_scale: The network's own scale.
        scale: That of the results.
        photo: Name of weights, or a network, by which compressed or noisy images are upscaled instead, see
            `lsm.inference.choose`;
            none where the one network does all. The name "auto" sets it.
        choice: What the last image was taken for, where there was a choice.

    Raises:
        CheckpointError: If there are no such weights, or they cannot be read.
        OptionError: On a wrong value.
    """

    def __init__(self, model: nn.Module | str | Path, options: UpscaleOptions | None = None, /, **changes: Any) -> None:
        self.options = (options or UpscaleOptions()).replace(**changes)
        self.photo: str | nn.Module | None = None
        self.choice: Choice | None = None
        network: Any = model
        if isinstance(model, str | Path):
            source = resolve(model, self.options.scale)
            network, self.photo = open_network(source), source.photo
        # Networks that run elsewhere than in torch know where, and with how many bits.
        self.device: torch.device = getattr(network, "pick_device", pick_device)(self.options.device)
        self.precision = check_precision(self.options.precision, getattr(network, "precision", None))
        self.model: nn.Module = network.to(self.device)
        self.model_scale: int = network.config.upscale
        self.window: int = network.config.tile_multiple
        self.scale = float(self.options.scale or self.model_scale)
        # Read once: the choice must not depend on the images that came before.
        self._budget = memory_budget(self.device)
        tile = self.options.tile
        self._tile = None if isinstance(tile, str) else check_tile(tile, self.options.tile_overlap, self.window)

    @overload
    def __call__(self, image: Image.Image, progress: Progress | None = None) -> Image.Image: ...
    @overload
    def __call__(self, image: Tensor, progress: Progress | None = None) -> Tensor: ...
    @overload
    def __call__(self, image: bytes, progress: Progress | None = None) -> bytes: ...
    @overload
    def __call__(
        self, image: np.ndarray | kinds.AnyName | BinaryIO, progress: Progress | None = None
    ) -> np.ndarray: ...

    def __call__(self, image: Any, progress: Progress | None = None) -> Any:
        """Upscale an image; the result is of the same kind.

        Args:
            image: One of these:

                - an array (H, W) or (H, W, 1-4), uint8 or uint16: grey, grey and alpha, RGB, RGBA;
                - a path, a URL, or a file opened for reading bytes. The result is an array of the file's depth,
                  upright, (H, W) if it is grey;
                - the bytes of an image file. The result is those of a file of the same format, metadata kept;
                - a Pillow image;
                - a tensor (C, H, W) or (B, C, H, W), C = 1 or 3, floats in [0, 1], on any device. The result is of its
                  type, in [0, 1], not rounded to 8 bits.
            progress: See `Progress`.

        Raises:
            InputError: If it is none of these or no image, or memory does not suffice.
        """
        if isinstance(image, np.ndarray):
            pixels = self.upscale_image(kinds.from_array(image), progress).pixels
            return pixels[..., 0] if image.ndim == 2 else pixels
        if kinds.is_name(image):
            return kinds.drop_axis(self.upscale_image(kinds.read_image(image), progress).pixels)
        if isinstance(image, Image.Image):
            return kinds.to_pillow(self.upscale_image(kinds.from_pillow(image), progress).pixels, image)
        if isinstance(image, Tensor):
            return self._upscale_batch(image, progress)
        if isinstance(image, bytes):
            return kinds.write_data(self.upscale_image(kinds.read_data(image), progress), image)
        if hasattr(image, "read"):
            data = kinds.read_data(kinds.read_all(image))
            return kinds.drop_axis(self.upscale_image(data, progress).pixels)
        raise kinds.refuse(image)

    def upscale_image(self, image: ImageData, progress: Progress | None = None) -> ImageData:
        """Upscale an image with its depth, channels and metadata kept.

        Raises:
            InputError: If memory does not suffice.
        """
        if self.photo:
            self.choice = choose(image.colour, None if image.compression.lossless else image.compression.quality)
            if self.choice.kind == "photo":
                return self._for_photos.upscale_image(image, progress)
        pixels, alpha = image.colour, None
        if image.has_alpha and self.options.alpha != "drop":
            alpha = image.pixels[..., -1:]
            pixels = resampling.fill_hidden_colours(pixels, alpha[..., 0])
        by_model = alpha is not None and self.options.alpha == "model" and alpha.min() != alpha.max()
        if by_model and alpha is not None and resampling.has_hard_edges(alpha):
            by_model = False
        passes = 2 if by_model else 1
        result = [self._upscale_pixels(pixels, _part(progress, 0, passes))]
        if alpha is not None and by_model:
            result.append(self._upscale_pixels(alpha, _part(progress, 1, passes), is_alpha=True))
        elif alpha is not None:
            height, width = result[0].shape[:2]
            result.append(resampling.resized(alpha, height, width, alpha.dtype))
        return image.with_pixels(result[0] if len(result) == 1 else np.concatenate(result, axis=2))

    @functools.cached_property
    def _for_photos(self) -> Upscaler:
        """The upscaler of compressed or noisy images, made for the first of them."""
        assert self.photo is not None
        network = open_network(self.photo) if isinstance(self.photo, str) else self.photo
        return Upscaler(network, self.options)

    def upscale_tensor(self, image: Tensor, progress: Progress | None = None) -> Tensor:
        """Upscale a tensor by the network's own scale, without a frame around it.

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

    def _upscale_batch(self, image: Tensor, progress: Progress | None) -> Tensor:
        """Upscale a tensor (C, H, W) or (B, C, H, W) by `self.scale`, image by image."""
        batch = kinds.batch_of(image)
        count, frame, edge = len(batch), self.options.frame, self.options.frame * self.model_scale
        framed = frame_tensor(batch, frame, self.options.wrap)
        parts = [self.upscale_tensor(framed[i : i + 1], _part(progress, i, count)) for i in range(count)]
        parts = [each[..., edge : each.shape[2] - edge, edge : each.shape[3] - edge] for each in parts]
        return kinds.batch_like(torch.cat(parts), image, self.output_size(*batch.shape[2:]))

    @property
    def _auto(self) -> bool:
        return self.options.tile == "auto"

    @property
    def max_tile(self) -> int:
        """Side of the largest tile that is tried; 0 for no tiles. "auto" is resolved by a run over a small tile."""
        if self._tile is None:
            self._tile = choose_tile(self._bytes_per_pixel(), self._budget, self.window)
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
        """Return the tile size with which an image of H×W is first tried; 0 for whole."""
        return 0 if self._auto and height * width <= self.max_tile**2 else self.max_tile

    def output_size(self, height: int, width: int) -> tuple[int, int]:
        """Return height and width of the result for an image of H×W."""
        return max(1, round(height * self.scale)), max(1, round(width * self.scale))

    def _upscale_pixels(self, pixels: np.ndarray, progress: Progress | None, is_alpha: bool = False) -> np.ndarray:
        """Upscale (H, W, 1) or (H, W, 3) pixels by `self.scale`."""
        height, width, channels = pixels.shape
        scale = self.model_scale
        resample = self.scale != scale
        # Where a resampling follows, the steps between are finer than the result's.
        dtype = np.dtype(np.uint16) if resample and not is_alpha and pixels.dtype == np.uint8 else pixels.dtype
        result = np.empty((height * scale, width * scale, channels), dtype)
        frame = self.options.frame
        framed = frame_pixels(pixels, frame, self.options.wrap)

        def cut(row: Span, column: Span) -> Tensor:
            return to_tensor(framed[row.start : row.stop, column.start : column.stop])

        def store(top: int, band: Tensor) -> None:
            rows, inner = crop_band(top, band, frame * scale, height * scale)
            result[rows] = from_tensor(inner, channels, dtype)

        self._run(height + 2 * frame, width + 2 * frame, cut, store, progress)
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
            if (tile == 0 and not self._auto) or side <= smallest:
                how = "whole; let `tile` be auto" if tile == 0 else f"in tiles of {tile}"
                raise InputError(f"Not enough memory on {self.device} to upscale {width}×{height} {how}.")
            tile = max(smallest, side // 2 // self.window * self.window)
            log.warning("Memory on %s ran out; trying again with tiles of %d.", self.device, tile)

    def _bands(
        self, height: int, width: int, tile: int, cut: Callable[[Span, Span], Tensor], progress: Progress | None
    ) -> Iterator[tuple[int, Tensor]]:
        """Upscale in one tile size."""
        grid = (tile, min(self.options.tile_overlap, tile // 2), self.window)
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

        yield from blend_bands(spans(height, *grid), spans(width, *grid), self.model_scale, run_tile)

    def _network(self, tile: Tensor, precision: str) -> Tensor:
        """Run the network, or the mean of its 8 flipped and turned runs, over one tile."""
        training = self.model.training
        # Asked first, since switching every module twice takes a noticeable part of a small image's time.
        switch = any(module.training for module in self.model.modules())
        if switch:
            self.model.eval()
        try:
            with set_precision(self.device, precision), fix_seed(self.options.seed, self.device):
                image = tile.to(self.device, torch.float32)
                if not self.options.ensemble:
                    return self.model(image)[0].float().cpu()
                return self_ensemble(self.model, image)[0].cpu()
        finally:
            if switch:
                self.model.train(training)


def _part(progress: Progress | None, index: int, parts: int) -> Progress | None:
    """Return a callback for one of the passes over an image, so that they count as one."""
    if progress is None:
        return None
    return lambda done, total: progress(index * total + done, parts * total)
