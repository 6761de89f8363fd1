"""Video frames ↔ RGB, with the matrix and range that the video states; players guess where nothing is stated.

Numbers of matrices, primaries and transfers are those of ITU-T H.273, which FFmpeg shares.
"""

from __future__ import annotations

from dataclasses import dataclass

import av
import numpy as np
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from av.video.reformatter import Interpolation, VideoReformatter

from lsm.errors import InputError

RGB, BT709, UNSPECIFIED, BT601 = 0, 1, 2, 6
LIMITED, FULL = 1, 2
_SWSCALE = {BT709: 1, 4: 4, 5: 5, BT601: 5, 7: 7, 9: 9}
"""H.273's matrices by swscale's numbers: BT.709, FCC, BT.470, BT.601, SMPTE 240M, BT.2020."""
_EXACT = (
    Interpolation.BICUBIC | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INP | Interpolation.FULL_CHR_H_INT
)


@dataclass(frozen=True)
class Colours:
    """How numbers in a video mean colours.

    Attributes:
        matrix: YCbCr matrix, 0 for RGB.
        range: 1 limited (16 to 235 of 255), 2 full.
        primaries: Passed on.
        transfer: Passed on; the network sees the values as they are, HDR's too.
    """

    matrix: int
    range: int
    primaries: int = UNSPECIFIED
    transfer: int = UNSPECIFIED

    def apply_to(self, target: VideoCodecContext | VideoFrame) -> None:
        """State them on a frame, or on an encoder before it is opened."""
        target.colorspace, target.color_range = self.matrix, self.range
        target.color_primaries, target.color_trc = self.primaries, self.transfer


VIDEO_OF_IMAGES = Colours(BT709, LIMITED, primaries=BT709, transfer=BT709)


def stated_colours(context: VideoCodecContext) -> Colours:
    """Return what a decoder says of its frames, completed as players do.

    Without a stated matrix, frames of 720 lines or 1280 columns and more are BT.709, smaller ones BT.601. The larger
    copy has to state it, or it would be taken for BT.709.

    Raises:
        InputError: On a matrix that cannot be converted.
    """
    name = context.pix_fmt or ""
    primaries, transfer = int(context.color_primaries), int(context.color_trc)
    if av.VideoFormat(name).is_rgb or context.colorspace == RGB:
        return Colours(RGB, FULL, primaries, transfer)
    matrix = int(context.colorspace)
    if matrix == UNSPECIFIED:
        matrix = BT709 if context.height >= 720 or context.width >= 1280 else BT601
    if matrix not in _SWSCALE:
        raise InputError(f"its colours use matrix {matrix} of H.273, which cannot be converted to RGB here.")
    full = context.color_range == FULL or name.startswith("yuvj")
    return Colours(matrix, FULL if full else LIMITED, primaries, transfer)


def coded_colours(colours: Colours, pixel_format: str) -> Colours:
    """Return the colours of the larger copy: the same, unless RGB becomes YCbCr (BT.709, limited) or the reverse."""
    if av.VideoFormat(pixel_format).is_rgb:
        return Colours(RGB, FULL, colours.primaries, colours.transfer)
    if colours.matrix == RGB:
        return Colours(BT709, LIMITED, colours.primaries, colours.transfer)
    return colours


def to_rgb(
    frame: VideoFrame,
    colours: Colours,
    reformatter: VideoReformatter,
    deep: bool,
    alpha: bool,
    size: tuple[int, int],
) -> np.ndarray:
    """Convert a decoded frame.

    Args:
        frame: Of any format.
        colours: What its numbers mean.
        reformatter: Keeps tables from frame to frame; of one thread.
        deep: Whether to return 16 bits.
        alpha: Whether to return alpha too.
        size: Height and width; a frame of another size is resized (bicubic).

    Returns:
        (H, W, 3), or (H, W, 4) with alpha, uint8, or uint16 over the full range.
    """
    converted = reformatter.reformat(
        frame,
        size[1],
        size[0],
        format=("rgba" if alpha else "rgb") + (("64le" if alpha else "48le") if deep else ("" if alpha else "24")),
        src_colorspace=_SWSCALE.get(colours.matrix),
        src_color_range=colours.range,
        dst_color_range=FULL,
        interpolation=_EXACT,
    )
    return converted.to_ndarray()


def from_rgb(pixels: np.ndarray, colours: Colours, pixel_format: str, reformatter: VideoReformatter) -> VideoFrame:
    """Convert (H, W, 3 or 4) uint8 or uint16 to a frame to be encoded, and state its colours on it."""
    eight, sixteen = ("rgba", "rgba64le") if pixels.shape[2] == 4 else ("rgb24", "rgb48le")
    frame = VideoFrame.from_ndarray(np.ascontiguousarray(pixels), eight if pixels.dtype == np.uint8 else sixteen)
    converted = reformatter.reformat(
        frame,
        format=pixel_format,
        dst_colorspace=_SWSCALE.get(colours.matrix),
        src_color_range=FULL,
        dst_color_range=colours.range,
        interpolation=_EXACT,
    )
    colours.apply_to(converted)
    return converted
