"""A network run over tensors of any size, in tiles that fit the memory."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

from lsm.errors import CheckpointError, InputError
from lsm.inference.device import check_precision, fix_seed, pick_device, set_precision
from lsm.inference.ensemble import self_ensemble
from lsm.inference.memory import choose_tile, is_out_of_memory, memory_budget, peak_memory, release
from lsm.inference.options import UpscaleOptions
from lsm.inference.tiling import Span, blend_bands, check_tile, count_tiles, spans

Progress = Callable[[int, int], None]
"""Called after each tile with the tiles done and all tiles of the image; it starts anew if memory ran out."""

log = logging.getLogger(__name__)


class TiledNetwork:
    """Run a network over images whole or in tiles, in eval mode, every tile from the same seed.

    Args:
        network: Takes (1, 3, H, W) in [0, 1] to (1, 3, rH, rW); its `config` has `upscale` (r) and `tile_multiple`
            (what attention windows fit into). It is moved to the device.
        options: How.

    Attributes:
        options: As they are used.
        device: Where the network runs.
        precision: In which it computes; that of an exported network is fixed.
        model: The network.
        model_scale: Its scale, r.
        window: `tile_multiple`.

    Raises:
        OptionError: On a wrong value.
    """

    def __init__(self, network: Any, options: UpscaleOptions) -> None:
        self.options = options
        # Networks that run elsewhere than in torch know where, and with how many bits.
        self.device: torch.device = getattr(network, "pick_device", pick_device)(options.device)
        self.precision = check_precision(options.precision, getattr(network, "precision", None))
        self.model: nn.Module = network.to(self.device)
        self.model_scale: int = network.config.upscale
        self.window: int = network.config.tile_multiple
        # Read once: the choice must not depend on the images that came before.
        self._budget = memory_budget(self.device)
        tile = options.tile
        self._tile = None if isinstance(tile, str) else check_tile(tile, options.tile_overlap, self.window)

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

        self.run(height, width, cut, store, progress)
        return result.to(image.device)

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

    def run(
        self,
        height: int,
        width: int,
        cut: Callable[[Span, Span], Tensor],
        store: Callable[[int, Tensor], None],
        progress: Progress | None,
    ) -> None:
        """Upscale band by band; when memory runs out, begin again with half the tile.

        Args:
            height: H of the image.
            width: W of the image.
            cut: Returns (1, 3, h, w), the part of the image in some rows and columns.
            store: Takes the first row of a band of the result, and the band, (3, h, rW).
            progress: See `Progress`.

        Raises:
            CheckpointError: If the result is not finite.
            InputError: If memory does not suffice.
        """
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
