"""How the larger video is coded: codec, quality, effort, pixel format."""

from __future__ import annotations

from dataclasses import dataclass

import av
import numpy as np
from av.codec.context import Flags
from av.video.codeccontext import VideoCodecContext

from lsm.errors import OptionError, unknown_name
from lsm.video.colour import Colours
from lsm.video.light import Light, light_options
from lsm.video.source import Facts

_X26X = ("ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow", "slower", "veryslow", "placebo")
_EIGHT_BIT = ("yuv420p", "yuv422p", "yuv444p")
_YUV = (*_EIGHT_BIT, "yuv420p10le", "yuv422p10le", "yuv444p10le")
_YUVA = tuple(name.replace("yuv", "yuva") for name in _YUV)


@dataclass(frozen=True)
class Codec:
    """What an encoder takes.

    Attributes:
        formats: Pixel formats.
        crf: Default constant quality, less is better; none if it has no such thing.
        worst_crf: The largest.
        preset: Default effort.
        presets: Those there are.
        preset_option: FFmpeg's name for the effort.
        options: Further options that it needs to behave.
    """

    formats: tuple[str, ...]
    crf: int | None = None
    worst_crf: int = 51
    preset: str | None = None
    presets: tuple[str, ...] = ()
    preset_option: str = "preset"
    options: tuple[tuple[str, str], ...] = ()


CODECS = {
    "libx264": Codec(_YUV, 18, 51, "medium", _X26X),
    "libx265": Codec(_YUV, 20, 51, "medium", _X26X, options=(("x265-params", "log-level=error"),)),
    "libsvtav1": Codec(("yuv420p", "yuv420p10le"), 24, 63, "6", tuple(map(str, range(14)))),
    "libvpx-vp9": Codec(
        (*_EIGHT_BIT, "yuva420p"),
        20,
        63,
        "2",
        tuple(map(str, range(9))),
        "cpu-used",
        (("row-mt", "1"), ("deadline", "good")),
    ),
    "ffv1": Codec((*_YUV, *_YUVA, "bgr0", "bgra")),
    "prores_ks": Codec(("yuv422p10le", "yuv444p10le", "yuva444p10le"), options=(("vendor", "apl0"),)),
}
"""Encoders by FFmpeg's names; a list, so that an option never reaches one that would ignore it. FFV1 loses nothing."""


@dataclass(frozen=True)
class Encoding:
    """The options of a user, completed and checked.

    Attributes:
        codec: One of `CODECS`.
        crf: Constant quality; none for the codec's default.
        preset: Effort; none for the codec's default.
        pixel_format: None for yuv420p, with 10 bits if the source has more than 8.

    Raises:
        OptionError: If the codec knows no such thing.
    """

    codec: str = "libx264"
    crf: int | None = None
    preset: str | None = None
    pixel_format: str | None = None

    def __post_init__(self) -> None:
        if self.codec not in CODECS:
            raise OptionError(unknown_name("codec", self.codec, CODECS))
        known = CODECS[self.codec]
        if self.crf is not None and (known.crf is None or not 0 <= self.crf <= known.worst_crf):
            range_ = f"0 to {known.worst_crf}" if known.crf is not None else "none"
            raise OptionError(f"crf {self.crf}: {self.codec} takes {range_}.")
        if self.preset is not None and self.preset not in known.presets:
            if not known.presets:
                raise OptionError(f"preset {self.preset}: {self.codec} has no presets.")
            raise OptionError(unknown_name(f"preset of {self.codec}", self.preset, known.presets))
        if self.pixel_format is not None and self.pixel_format not in known.formats:
            raise OptionError(unknown_name(f"pixel format of {self.codec}", self.pixel_format, known.formats))

    def format_for(self, deep: bool, alpha: bool = False) -> str:
        """Return the pixel format for a source of 8 bits or of more, with alpha where the codec can keep it.

        Raises:
            OptionError: If the codec holds 8 bits only and the source has more; to lose them has to be asked for.
        """
        if self.pixel_format is not None:
            return self.pixel_format
        formats = CODECS[self.codec].formats
        bits, opaque = "10le" if deep else "", ("yuv420p", "yuv422p", "yuv444p")
        wanted = [f"{name.replace('yuv', 'yuva')}{bits}" for name in opaque] if alpha else []
        wanted += [f"{name}{bits}" for name in opaque]
        if not deep:  # a codec of 10 bits only
            wanted += [f"{name}10le" for name in (*(["yuva444p"] if alpha else []), "yuv422p")]
        chosen = next((name for name in wanted if name in formats), None)
        if chosen is None:
            raise OptionError(
                f"The source has more than 8 bits, which {self.codec} does not keep; choose another codec, or the "
                f"pixel format yuv420p."
            )
        return chosen

    def options(self, light: Light | None = None) -> dict[str, str]:
        """Return the encoder's options under FFmpeg's names, with HDR metadata where it takes them."""
        known = CODECS[self.codec]
        options = dict(known.options)
        if known.crf is not None:
            options["crf"] = str(known.crf if self.crf is None else self.crf)
        if known.presets:
            options[known.preset_option] = str(known.preset if self.preset is None else self.preset)
        for name, text in light_options(self.codec, light or Light()).items():
            options[name] = f"{options[name]}:{text}" if name in options else text
        return options


def keeps_alpha(pixel_format: str) -> bool:
    """Return whether a pixel format holds transparency."""
    return any(component.is_alpha for component in av.VideoFormat(pixel_format).components)


@dataclass(frozen=True)
class Shape:
    """What every frame of the larger video has in common.

    Attributes:
        width: Of the coded image.
        height: Likewise.
        pixel_format: FFmpeg's name.
        colours: What its numbers mean.
    """

    width: int
    height: int
    pixel_format: str
    colours: Colours

    def padded(self, pixels: np.ndarray) -> np.ndarray:
        """Repeat the last row and column of (h, w, C) where the coded image, whose chroma is halved, is larger."""
        missing = self.height - pixels.shape[0], self.width - pixels.shape[1]
        if missing == (0, 0):
            return pixels
        return np.pad(pixels, ((0, missing[0]), (0, missing[1]), (0, 0)), "edge")


def coded_size(height: int, width: int, pixel_format: str) -> tuple[int, int]:
    """Round a size up to what the chroma of a pixel format can halve."""
    across = 2 if "420" in pixel_format or "422" in pixel_format else 1
    down = 2 if "420" in pixel_format else 1
    return -(-height // down) * down, -(-width // across) * across


def configure(context: VideoCodecContext, encoding: Encoding, shape: Shape, facts: Facts) -> None:
    """Set up an encoder that is not open yet; those of all segments and of the joined file must agree."""
    context.width, context.height, context.pix_fmt = shape.width, shape.height, shape.pixel_format
    context.time_base, context.framerate = facts.time_base, facts.rate
    context.sample_aspect_ratio = facts.aspect
    context.bit_rate = 0
    context.options = encoding.options(facts.light)
    context.flags |= Flags.global_header
    shape.colours.apply_to(context)


def open_encoder(encoding: Encoding, shape: Shape, facts: Facts) -> VideoCodecContext:
    """Open an encoder for one segment.

    Raises:
        OptionError: If the codec does not take frames of this shape.
    """
    context = av.CodecContext.create(encoding.codec, "w")
    assert isinstance(context, VideoCodecContext)
    configure(context, encoding, shape, facts)
    try:
        context.open()
    except (av.error.FFmpegError, ValueError) as error:
        raise OptionError(
            f"{encoding.codec} cannot code {shape.width}×{shape.height} in {shape.pixel_format} ({error}); try a "
            f"smaller scale or another codec."
        ) from error
    return context
