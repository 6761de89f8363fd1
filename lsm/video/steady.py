"""Steadier videos: where a scene stands still, an upscaled frame is blended with those before it.

A network sharpens the noise of each frame anew, and what is left of it flickers. Where the pixels of the small frames
agree within their noise, the large frames become a running mean of up to `LONGEST` frames; what moves, and all after a
cut, stays as the network made it. Whether pixels agree is seen in the small frames alone, by three tests.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import cv2
import numpy as np

from lsm.errors import InputError
from lsm.image.pixels import peak
from lsm.inference.choose import estimate_noise

LONGEST = 8
"""Frames whose mean a still place becomes, in the limit with the weight 1/8 for the newest."""
CUT = 0.75
"""Part of a frame that must have changed for a cut; then nothing is blended."""
_LEAST_NOISE = 0.3  # steps of 255: what rounding to whole steps leaves
_WINDOW, _WIDE = 5, 11  # pixels a side of the squares over which frames are compared
_MOST_ENERGY, _MOST_MEAN, _CLOSER = (
    2.3,
    0.85,
    0.6,
)  # see `still_places`; noise alone, grey or coloured, passes nearly all
_REACH = 5  # pixels a side by which what moves is widened, since the network carries it to its neighbours
_BLOCK, _QUANTILE, _BIAS = 8, 0.25, 0.94  # of the noise between frames; the bias is that of 64 normal numbers
_DARKEST, _LIGHTEST = 2.5, 252.5  # blocks beyond are clipped, or the bars of another aspect


@dataclass
class State:
    """What is kept of the frames so far.

    Attributes:
        mean: Of the small frames where they stand still, in steps of 255: (H, W, C) float32.
        count: How many frames each is the mean of, 1 to `LONGEST - 1`: (H, W) uint8.
        large: Of the large frames, of 16 bits so that small steps add up: (rH, rW, C) uint16.
    """

    mean: np.ndarray
    count: np.ndarray
    large: np.ndarray


def noise_between(frame: np.ndarray, state: State) -> float:
    """Estimate the noise of a small frame: what it differs from the mean by, in its calmest blocks, or has by itself.

    Motion makes the first too large, and texture the second; the lesser counts.

    Args:
        frame: (H, W, C) float32 in steps of 255.
        state: Of the frames before.

    Returns:
        A standard deviation in steps of 255.
    """
    green = min(1, frame.shape[2] - 1)
    height, width = (length // _BLOCK * _BLOCK for length in frame.shape[:2])
    alone = estimate_noise(frame[..., :3] / np.float32(255))
    if not height or not width:
        return max(alone, _LEAST_NOISE)
    change = (frame[..., green] - state.mean[..., green]) / np.sqrt(1 + 1 / state.count.astype(np.float32))
    blocks, light = (_blocks(plane[:height, :width]) for plane in (change, frame[..., green]))
    inside = (light.min(1) > _DARKEST) & (light.max(1) < _LIGHTEST)
    blocks = blocks[inside] if inside.any() else blocks
    between = float(np.quantile(np.sqrt(np.square(blocks).mean(1)), _QUANTILE)) / _BIAS
    return max(min(alone, between), _LEAST_NOISE)


def still_places(frame: np.ndarray, state: State, noise: float) -> np.ndarray:
    """Tell where a small frame shows the same as those before: not moved, not lighter, not anything else.

    In units of the noise that frame and mean have together, a place has changed if in the square around it

    - the mean square of the change is more than noise would give (edges and objects that move);
    - the change has a mean (light that changes, slopes that move);
    - the frame is closer to the mean moved by one pixel than to the mean (texture that moves and looks like noise).

    Args:
        frame: (H, W, C) float32 in steps of 255.
        state: Of the frames before.
        noise: Its standard deviation, likewise.

    Returns:
        (H, W) bool; false too within 2 pixels of a place that has changed.
    """
    deviation = np.float32(noise) * np.sqrt(1 + 1 / state.count.astype(np.float32))[..., None]
    change = (frame - state.mean) / deviation
    energy = _mean(np.square(change).mean(2), _WINDOW)
    drift = np.abs(_mean(change, _WINDOW).reshape(change.shape)).max(2)
    here, elsewhere = _mean(_distance(frame, state.mean), _WIDE), np.float32(np.inf)
    for down in (-1, 0, 1):
        for right in (-1, 0, 1):
            if down or right:
                moved = _mean(_distance(frame, _moved(state.mean, down, right)), _WIDE)
                elsewhere = np.minimum(elsewhere, moved)
    changed = (energy > _MOST_ENERGY) | (drift > _MOST_MEAN) | (elsewhere < _CLOSER * here)
    return cv2.dilate(changed.astype(np.uint8), np.ones((_REACH, _REACH), np.uint8)) == 0


class Steadier:
    """Blends the frames of one video, in their order.

    Attributes:
        state: Of the frames so far; none before the first.
    """

    def __init__(self) -> None:
        self.state: State | None = None

    def __call__(self, small: np.ndarray, large: np.ndarray) -> np.ndarray:
        """Blend a frame with those before.

        Args:
            small: As it was upscaled: (H, W, C) uint8 or uint16.
            large: The upscaled frame: (rH, rW, C), uint8 or uint16, where r need be no whole number.

        Returns:
            A frame like `large`, equal to it wherever the scene moves.
        """
        frame = small.astype(np.float32) * np.float32(255 / peak(small.dtype))
        most, state = peak(large.dtype), self.state
        exact = large.astype(np.uint16) * np.uint16(65535 // int(most))
        if state is None or state.mean.shape != frame.shape or state.large.shape != large.shape:
            self.state = State(frame, np.ones(frame.shape[:2], np.uint8), exact)
            return large
        still = still_places(frame, state, noise_between(frame, state))
        if still.mean() < 1 - CUT:
            still[:] = False
        count = state.count.astype(np.float32)
        weight = np.where(still, count / (count + 1), np.float32(0))
        height, width = large.shape[:2]
        wide = np.clip(cv2.resize(weight, (width, height), interpolation=cv2.INTER_LINEAR), 0, 1)[..., None]
        blended = exact + wide * (state.large.astype(np.float32) - exact)
        blended = np.where(wide > 0, np.rint(blended), exact).astype(np.uint16)
        mean = frame + weight[..., None] * (state.mean - frame)
        counted = np.where(still, np.minimum(state.count + 1, LONGEST - 1), 1).astype(np.uint8)
        self.state = State(mean, counted, blended)
        return np.rint(blended * np.float32(most / 65535)).astype(large.dtype)

    def arrays(self) -> dict[str, np.ndarray]:
        """Return the state as arrays; none before the first frame."""
        return {} if self.state is None else dict(vars(self.state))

    def resume(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Go on from what `arrays` gave.

        Raises:
            InputError: If it is something else.
        """
        try:
            self.state = State(arrays["mean"], arrays["count"], arrays["large"])
        except KeyError as error:
            raise InputError(f"The state of the frames before lacks {error}.") from error


def _blocks(plane: np.ndarray) -> np.ndarray:
    """Cut (H, W), multiples of the block's side, into (number, 64)."""
    height, width = plane.shape
    cut = plane.reshape(height // _BLOCK, _BLOCK, width // _BLOCK, _BLOCK).swapaxes(1, 2)
    return cut.reshape(-1, _BLOCK * _BLOCK)


def _mean(plane: np.ndarray, side: int) -> np.ndarray:
    """Return the mean over the square around each pixel."""
    return cv2.blur(plane, (side, side), borderType=cv2.BORDER_REFLECT_101)


def _distance(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Return the mean square of the difference over the channels."""
    return np.square(one - other).mean(2)


def _moved(plane: np.ndarray, down: int, right: int) -> np.ndarray:
    """Move (H, W, C) by one pixel; at the edge it is mirrored."""
    wide = np.pad(plane, ((1, 1), (1, 1), (0, 0)), mode="reflect" if min(plane.shape[:2]) > 1 else "edge")
    height, width = plane.shape[:2]
    return wide[1 - down : 1 - down + height, 1 - right : 1 - right + width]
