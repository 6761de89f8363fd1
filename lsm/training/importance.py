"""Patches that are hard to upscale come more often: small networks spend their steps where bicubic is wrong.

A patch is drawn evenly and kept with probability min(1, e / q)^p, e the mean error of bicubic within it and q the 90 %
quantile of that error over patches drawn evenly; else another one is drawn, from any image. Rejection sampling by an
importance is textbook (von Neumann 1951); the errors as importance are in the spirit of online hard example mining
(Shrivastava et al. 2016, arXiv 1604.03540).
"""

from __future__ import annotations

import random
from collections.abc import Sequence

import numpy as np

from lsm.image.resize import imresize

_TRIALS = 4000
"""Patches from which the quantile is estimated."""
_MOST_DRAWS = 100
"""Draws after which a patch is taken as it is: a set of flat images has no hard ones."""


class PatchImportance:
    """Where to cut patches from the images of a set.

    Args:
        pairs: The images, (rH, rW, C ≥ 3) and (H, W, 3), uint8.
        side: Of a patch in low-resolution pixels.
        scale: The scale r.
        power: p; 0 draws evenly, 1 in proportion to the error.
    """

    def __init__(self, pairs: Sequence[tuple[np.ndarray, np.ndarray]], side: int, scale: int, power: float) -> None:
        self.side, self.power = side, power
        self._sums = [_error_sums(hr, lr, scale) for hr, lr in pairs]
        generator = np.random.default_rng(0)
        trials = [self._error(*self._even(generator.random(3))) for _ in range(_TRIALS)]
        self._quantile = max(float(np.quantile(trials, 0.9)), 1e-6)

    def draw(self, index: int) -> tuple[int, int, int]:
        """Draw a patch from `random`.

        Args:
            index: The image that is tried first.

        Returns:
            The image, and the patch's top and left in low-resolution pixels.
        """
        for _ in range(_MOST_DRAWS):
            _, top, left = place = self._even([(index + 0.5) / len(self._sums), random.random(), random.random()])
            if random.random() < (self._error(index, top, left) / self._quantile) ** self.power:
                break
            index = random.randrange(len(self._sums))
        return place

    def kept(self, index: int) -> np.ndarray:
        """Return the probability that a patch is kept, for each place where one fits in an image: (rows, columns)."""
        sums, side = self._sums[index], self.side
        totals = sums[side:, side:] - sums[:-side, side:] - sums[side:, :-side] + sums[:-side, :-side]
        # A flat image has no place that is kept; it comes as `draw` lets it, once in many draws.
        shares = np.minimum(1.0, np.maximum(totals, 0.0) / side**2 / self._quantile) ** self.power
        return np.maximum(shares, 1e-12)

    def _even(self, numbers: Sequence[float] | np.ndarray) -> tuple[int, int, int]:
        """Turn three numbers in [0, 1) into an image, top and left."""
        index = int(numbers[0] * len(self._sums))
        rows, columns = (length - self.side for length in self._sums[index].shape)  # one longer than the image
        return index, int(numbers[1] * rows), int(numbers[2] * columns)

    def _error(self, index: int, top: int, left: int) -> float:
        """Return the mean error of bicubic within a patch, in steps of 8 bits."""
        sums, bottom, right = self._sums[index], top + self.side, left + self.side
        total = sums[bottom, right] - sums[top, right] - sums[bottom, left] + sums[top, left]
        return float(total) / self.side**2


def _error_sums(hr: np.ndarray, lr: np.ndarray, scale: int) -> np.ndarray:
    """Return the sums of bicubic's error over all pixels above and left, (H + 1, W + 1), one r×r square a pixel."""
    error = np.abs(imresize(lr, scale).astype(np.float32) - hr[..., :3]).mean(axis=2)
    height, width = lr.shape[:2]
    squares = error[: height * scale, : width * scale].reshape(height, scale, width, scale).mean(axis=(1, 3))
    return np.pad(squares.cumsum(axis=0, dtype=np.float64).cumsum(axis=1), ((1, 0), (1, 0)))
