"""A video upscaled frame by frame: reading, the network and writing at the same time, and never anew from the start."""

from __future__ import annotations

import copy
import logging
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from lsm.errors import OptionError
from lsm.image.io import printable
from lsm.image.pixels import ImageData
from lsm.inference.onnx_network import OnnxNetwork
from lsm.inference.upscaler import Upscaler
from lsm.video.colour import coded_colours
from lsm.video.companions import plan_companions
from lsm.video.encoding import Encoding, Shape, coded_size, keeps_alpha
from lsm.video.join import Joined, join, rehearse
from lsm.video.light import light_options
from lsm.video.segments import Segments, SegmentWriter, read_numbers
from lsm.video.source import Frame, Source
from lsm.video.steady import Steadier
from lsm.weights.identity import file_hash, state_hash

log = logging.getLogger(__name__)

SEGMENT = 48
"""Frames a segment: what is lost at most when a run is stopped."""

_AHEAD = 2  # frames read before they are needed, and frames that wait to be written


@dataclass(frozen=True)
class Report:
    """What was made.

    Attributes:
        width: Of the video.
        height: Likewise.
        frames: In it.
        found: Frames that a run before had made.
    """

    width: int
    height: int
    frames: int
    found: int


def upscale_video(
    source: Source,
    target: Path,
    upscaler: Upscaler,
    encoding: Encoding | None = None,
    *,
    audio: str = "copy",
    overwrite: bool = False,
    restart: bool = False,
    segment: int = SEGMENT,
    steady: bool = False,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Report:
    """Upscale a video.

    Frames are computed one by one, as images are, and only blended afterwards, if at all. What is finished lies in
    segments in a hidden folder beside the target; the same call goes on there after a run that was stopped, whatever
    stopped it.

    Args:
        source: A `VideoFile` or a `ImageSequence`.
        target: The video to make; its extension says the container.
        upscaler: Does the work. An automatic tile size is that of the first run.
        encoding: How to code the result.
        audio: What becomes of the source's audio: "copy", or "aac", "opus" or "flac" to encode it anew, or "drop".
        overwrite: Whether a file of that name may be replaced.
        restart: Whether segments of a run before are deleted instead of used.
        segment: Frames a segment.
        steady: Whether places that stand still are blended with the frames before, see `lsm.video.steady`.
        progress: Called with frames done and all frames, at the start and after each.

    Returns:
        What was made.

    Raises:
        InputError: If a frame is damaged.
        OptionError: If the target exists, cannot hold the result, or an unfinished run had other settings.
    """
    encoding = encoding or Encoding()
    if target.exists() and not overwrite:
        raise OptionError(f"{printable(target)} exists already; allow it to be replaced (overwrite), or name another.")
    facts = source.facts
    pixel_format = encoding.format_for(facts.deep, facts.alpha)
    size = coded_size(*upscaler.output_size(facts.height, facts.width), pixel_format)
    shape = Shape(size[1], size[0], pixel_format, coded_colours(facts.colours, pixel_format))
    kept = plan_companions(target, facts.companions, audio)
    joined = Joined(target, encoding, shape, facts, kept)
    rehearse(joined)
    for line in (*kept.lost, *_lost(joined)):
        log.warning("%s: %s", printable(target), line)
    plan = {
        "input": source.identity(),
        "network": _identity(upscaler),
        "encoding": {**asdict(encoding), "shape": asdict(shape), "segment": segment, "audio": audio},
        "steadiness": steady,
        "chosen": {"tile": upscaler.tile_for(facts.height, facts.width)},
    }
    segments, upscaler = Segments(target), copy.copy(upscaler)
    with segments.held():
        upscaler.max_tile = segments.begin(plan, restart)["chosen"]["tile"]
        done = [read_numbers(file).frames for file in segments.files()]
        progress(sum(done), facts.frames)
        writer = SegmentWriter(segments, len(done), segment, encoding, shape, facts)
        steadier = Steadier() if steady else None
        if steadier and done and sum(done) == len(done) * segment:
            steadier.resume(segments.read_state(len(done)))
        total = _make_segments(source, sum(done), _Pixels(upscaler, steadier), writer, progress)
        join(segments.files(), joined, overwrite)
    segments.remove()
    return Report(shape.width, shape.height, total, sum(done))


def _lost(joined: Joined) -> list[str]:
    """List what frames carry and the encoder or the container does not keep, a line each."""
    encoding, facts = joined.encoding, joined.facts
    lines = [f"{words} cannot be written, and is lost." for words in facts.unkept]
    if joined.loses_timecode:
        lines.append("the timecode is lost: it needs a container such as .mkv beside a cover or another video.")
    if facts.alpha and not keeps_alpha(joined.shape.pixel_format):
        lines.append("transparency is lost; the codecs ffv1, prores_ks and libvpx-vp9 keep it.")
    if facts.light and not light_options(encoding.codec, facts.light):
        lines.append(
            f"HDR mastering display and light level are lost, {encoding.codec} does not write them; libx265, "
            f"libx264 and libsvtav1 do."
        )
    return lines


@dataclass(frozen=True)
class _Pixels:
    """What makes large pixels of small ones."""

    upscaler: Upscaler
    steadier: Steadier | None

    def __call__(self, small: np.ndarray) -> np.ndarray:
        large = self.upscaler.upscale_image(ImageData(small)).pixels
        return self.steadier(small, large) if self.steadier else large

    def state(self) -> dict[str, np.ndarray]:
        """Return what the next frame depends on."""
        return self.steadier.arrays() if self.steadier else {}


def _make_segments(
    source: Source, first: int, upscale: _Pixels, writer: SegmentWriter, progress: Callable[[int, int], None]
) -> int:
    """Upscale all frames from number `first`; a few are in memory at a time. Return the number of all frames."""
    count, channels = first, 4 if writer.keeps_alpha else 3
    with ThreadPoolExecutor(1, "lsm-read") as reader, ThreadPoolExecutor(1, "lsm-write") as coder:
        writing: deque[Future[None]] = deque()
        try:
            for frame in _ahead(reader, source.frames(first)):
                pixels = upscale(frame.pixels[..., :channels])
                state = upscale.state() if writer.ends_with(count) else {}
                writing.append(coder.submit(writer.add, Frame(pixels, frame.pts, frame.duration), state))
                if len(writing) > _AHEAD:
                    writing.popleft().result()
                count += 1
                progress(count, max(count, source.facts.frames))
            for future in writing:
                future.result()
            coder.submit(writer.finish).result()
        except BaseException:
            coder.shutdown(wait=True, cancel_futures=True)
            raise
    return count


def _ahead(reader: ThreadPoolExecutor, frames: Iterator[Frame]) -> Iterator[Frame]:
    """Yield frames while the next ones are read."""
    waiting = deque(reader.submit(next, frames, None) for _ in range(_AHEAD))
    while (frame := waiting.popleft().result()) is not None:
        waiting.append(reader.submit(next, frames, None))
        yield frame


def _identity(upscaler: Upscaler) -> dict[str, object]:
    """Return what decides about the pixels: the weights and the settings."""
    model = upscaler.model
    return {
        "weights": file_hash(model.path) if isinstance(model, OnnxNetwork) else state_hash(model),
        "scale": upscaler.scale,
        "tile": "auto" if upscaler.options.tile == "auto" else upscaler.max_tile,
        "overlap": upscaler.options.tile_overlap,
        "precision": upscaler.precision,
        "device": upscaler.device.type,
        "ensemble": upscaler.options.ensemble,
        "seed": upscaler.options.seed,
    }
