"""How the outputs of a run are made, besides their names: size, compression, resolution, pages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from lsm.errors import OptionError, unknown_name
from lsm.image.pixels import Compression, ImageData
from lsm.image.resample import resized

Fit = Literal["fit", "fill"]
Dpi = Literal["keep", "scale"]
Pages = Literal["one", "all"]


@dataclass(frozen=True)
class OutputOptions:
    """How outputs are made. A size is reached by antialiased bicubic from the upscaler's result.

    Attributes:
        width: Of the outputs in pixels; with no height, the height follows.
        height: Likewise.
        fit: Of a width and a height: "fit" takes the largest image within both, "fill" the smallest that covers both,
            cut to them at its sides.
        max_side: Pixels of the longer side at most; a size to fill becomes smaller in proportion.
        quality: Of JPEG and WebP, 1 to 100; the input's own by default.
        subsampling: Of a JPEG's chroma, "4:4:4", "4:2:2" or "4:2:0"; the input's own by default.
        dpi: "keep" the resolution, or "scale" it with the image, so that its size on paper stays.
        pages: Of a TIFF: it must have "one" page, or "all" become the pages of a TIFF.
    """

    width: int | None = None
    height: int | None = None
    fit: Fit = "fit"
    max_side: int | None = None
    quality: int | None = None
    subsampling: str | None = None
    dpi: Dpi = "keep"
    pages: Pages = "one"

    def __post_init__(self) -> None:
        """Check all values.

        Raises:
            OptionError: On a wrong value.
        """
        for name in ("width", "height", "max_side"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise OptionError(f"`{name}` must be at least 1, not {value}.")
        for kind, value, known in (("fit", self.fit, Fit), ("dpi", self.dpi, Dpi), ("pages", self.pages, Pages)):
            if value not in get_args(known):
                raise OptionError(unknown_name(f"value of `{kind}`", value, get_args(known)))
        if self.fit == "fill" and not (self.width and self.height):
            raise OptionError("`fit` fill needs a width and a height to fill.")
        if self.quality == 0:
            raise OptionError("Quality 0 is out of range: 1 to 100.")
        try:
            Compression(quality=self.quality, subsampling=self.subsampling)
        except Exception as error:
            raise OptionError(str(error)) from error

    def size(self, height: int, width: int) -> tuple[int, int]:
        """Return height and width of the output for an upscaler's result of H×W."""
        return self._box or self._covering(height, width)

    def apply(self, result: ImageData, source: ImageData) -> ImageData:
        """Convert an upscaler's result to what is asked for.

        Args:
            result: The upscaled image.
            source: The one that was upscaled.
        """
        height, width = result.pixels.shape[:2]
        covering, (tall, wide) = self._covering(height, width), self.size(height, width)
        if covering != (height, width):
            result = result.with_pixels(resized(result.pixels, *covering, result.pixels.dtype))
        if covering != (tall, wide):
            top, left = (covering[0] - tall) // 2, (covering[1] - wide) // 2
            result = result.with_pixels(result.pixels[top : top + tall, left : left + wide].copy())
        if self.dpi == "scale":
            factor = covering[1] / source.pixels.shape[1]
            result = result.with_metadata(result.metadata.with_dpi_scaled(factor))
        return result.with_compression(self.quality, self.subsampling)

    @property
    def _box(self) -> tuple[int, int] | None:
        """Height and width to be filled, if any; no side longer than `max_side`."""
        if self.fit != "fill" or not self.height or not self.width:
            return None
        factor = min(1.0, self.max_side / max(self.height, self.width)) if self.max_side else 1.0
        return max(1, round(self.height * factor)), max(1, round(self.width * factor))

    def _covering(self, height: int, width: int) -> tuple[int, int]:
        """Return the size before anything is cut off."""
        if self._box:
            factor = max(self._box[0] / height, self._box[1] / width)
            return max(round(height * factor), self._box[0]), max(round(width * factor), self._box[1])
        factors = [wanted / side for wanted, side in ((self.height, height), (self.width, width)) if wanted]
        factor = min(factors, default=1.0)
        if self.max_side:
            factor = min(factor, self.max_side / max(height, width))
        return max(1, round(height * factor)), max(1, round(width * factor))
