"""Static HDR metadata: the display on which a video was mastered (SMPTE ST 2086), its brightest light (CTA-861.3)."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, cast

from av.video.frame import VideoFrame

_KINDS = "MASTERING_DISPLAY_METADATA", "CONTENT_LIGHT_LEVEL"


@dataclass(frozen=True)
class Light:
    """What a video says about light.

    Attributes:
        primaries: x and y of red, green, blue and white in CIE 1931, or none.
        luminance: Lowest and highest of the display in cd/m², or none.
        content: Brightest pixel and brightest frame average in cd/m², or none.
    """

    primaries: tuple[float, ...] | None = None
    luminance: tuple[float, float] | None = None
    content: tuple[int, int] | None = None

    def __bool__(self) -> bool:
        return self.mastering or self.content is not None

    @property
    def mastering(self) -> bool:
        """Whether the display is known wholly, as encoders want it."""
        return self.primaries is not None and self.luminance is not None


def read_light(frame: VideoFrame) -> Light:
    """Read the metadata that FFmpeg attached to a frame."""
    primaries = luminance = content = None
    mastering, level = (bytes(cast("Any", frame.side_data.get(kind)) or b"") for kind in _KINDS)
    if len(mastering) == 88:  # ten rationals, and whether each half is known
        numbers = struct.unpack("=22i", mastering)
        values = [float(Fraction(numbers[i], numbers[i + 1] or 1)) for i in range(0, 20, 2)]
        primaries = tuple(values[:8]) if numbers[20] else None
        luminance = (values[8], values[9]) if numbers[21] else None
    if len(level) == 8:
        content = struct.unpack("=2I", level)
    return Light(primaries, luminance, content)


def light_options(codec: str, light: Light) -> dict[str, str]:
    """Return an encoder's options that write the metadata; none where it cannot."""
    names = {
        "libx264": ("x264-params", "mastering-display", "cll"),
        "libx265": ("x265-params", "master-display", "max-cll"),
        "libsvtav1": ("svtav1-params", "mastering-display", "content-light"),
    }
    if codec not in names or not light:
        return {}
    option, display, level = names[codec]
    parts = []
    if light.primaries and light.luminance:
        red, green, blue, white = (light.primaries[i : i + 2] for i in range(0, 8, 2))
        low, high = light.luminance
        if codec == "libsvtav1":
            points, ends = "{:.4f},{:.4f}", f"L({high:.4f},{low:.4f})"
        else:  # in steps of 0.00002, and of 0.0001 cd/m²
            red, green, blue, white = (
                tuple(round(50000 * one) for one in point) for point in (red, green, blue, white)
            )
            points, ends = "{},{}", f"L({round(10000 * high)},{round(10000 * low)})"
        named = {"G": green, "B": blue, "R": red, "WP": white}
        parts.append(f"{display}=" + "".join(f"{name}({points.format(*at)})" for name, at in named.items()) + ends)
    if light.content:
        parts.append(f"{level}={light.content[0]},{light.content[1]}")
    return {option: ":".join(parts)}
