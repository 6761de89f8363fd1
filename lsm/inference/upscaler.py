"""`Upscaler`: images of any kind and depth through a network, with their alpha and metadata."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any, BinaryIO, overload

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from lsm.image import resample as resampling
from lsm.image.pixels import ImageData, from_tensor, to_tensor
from lsm.inference import kinds
from lsm.inference.choose import Choice, choose
from lsm.inference.frame import crop_band, frame_pixels, frame_tensor
from lsm.inference.networks import open_network
from lsm.inference.options import UpscaleOptions
from lsm.inference.tiled import Progress, TiledNetwork
from lsm.inference.tiling import Span
from lsm.weights.resolve import resolve


class Upscaler(TiledNetwork):
    """Upscale images with a network.

    The same image gives the same bits on one device at one tile size, whatever is upscaled before it: nothing is
    batched, and every tile starts from the same seed. A network that looks at the whole image, as LSM's scan does,
    gives slightly other results in tiles.

    Args:
        model: A name or file for `load_model`, for a variant ("tiny") completed by the options' scale; or a network.
            That takes (1, 3, H, W) in [0, 1] to (1, 3, rH, rW); its `config` has `upscale` (r) and `tile_multiple`
            (what attention windows fit into). It is moved to the device. An `OnnxNetwork` runs in onnxruntime.
        options: How; the defaults of `UpscaleOptions` if none are given.
        photo: Name of weights, or a network, for compressed or noisy images; the name "auto" brings its own.
        **changes: Options by name, in place of those.

    Attributes:
        options: As they are used.
        device: Where the network runs.
        precision: In which it computes; that of an exported network is fixed.
        model_scale: The network's own scale.
        scale: That of the results.
        photo: Name of weights, or a network, by which compressed or noisy images are upscaled instead, see
            `lsm.inference.choose`; none where the one network does all. The name "auto" sets it.
        choice: What the last image was taken for, where there was a choice.

    Raises:
        CheckpointError: If there are no such weights, or they cannot be read.
        OptionError: On a wrong value.
    """

    def __init__(
        self,
        model: nn.Module | str | Path,
        options: UpscaleOptions | None = None,
        /,
        *,
        photo: str | nn.Module | None = None,
        **changes: Any,
    ) -> None:
        settings = (options or UpscaleOptions()).replace(**changes)
        self.photo = photo
        self.choice: Choice | None = None
        network: Any = model
        if isinstance(model, str | Path):
            source = resolve(model, settings.scale)
            network, self.photo = open_network(source), photo or source.photo
        super().__init__(network, settings)
        self.scale = float(settings.scale or self.model_scale)

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
        upscaler = Upscaler(network, self.options)
        upscaler.max_tile = self.max_tile  # the one that was said, and on a cluster chosen for all
        return upscaler

    def _upscale_batch(self, image: Tensor, progress: Progress | None) -> Tensor:
        """Upscale a tensor (C, H, W) or (B, C, H, W) by `self.scale`, image by image."""
        batch = kinds.batch_of(image)
        count, frame, edge = len(batch), self.options.frame, self.options.frame * self.model_scale
        framed = frame_tensor(batch, frame, self.options.wrap)
        parts = [self.upscale_tensor(framed[i : i + 1], _part(progress, i, count)) for i in range(count)]
        parts = [each[..., edge : each.shape[2] - edge, edge : each.shape[3] - edge] for each in parts]
        return kinds.batch_like(torch.cat(parts), image, self.output_size(*batch.shape[2:]))

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

        self.run(height + 2 * frame, width + 2 * frame, cut, store, progress)
        if is_alpha:
            result = resampling.keep_within_neighbours(result, pixels)
        if not resample:
            return result
        return resampling.resized(result, *self.output_size(height, width), pixels.dtype)


def _part(progress: Progress | None, index: int, parts: int) -> Progress | None:
    """Return a callback for one of the passes over an image, so that they count as one."""
    if progress is None:
        return None
    return lambda done, total: progress(index * total + done, parts * total)
