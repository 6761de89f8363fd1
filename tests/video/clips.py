"""Short synthetic videos, made by PyAV, and what upscales them without a network."""

import json
import shutil
import subprocess
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace

import av
import numpy as np
import pytest
import torch

from lsm.inference.upscaler import Upscaler
from lsm.video.encoding import Encoding

LOSSLESS = Encoding("ffv1", pixel_format="bgr0")
HQ = av.video.reformatter.Interpolation.ACCURATE_RND
COLOUR_BARS = np.array(
    [
        [180, 180, 180], [180, 180, 16], [16, 180, 180], [16, 180, 16],
        [180, 16, 180], [180, 16, 16], [16, 16, 180], [90, 90, 90],
    ],
    np.uint8,
)  # fmt: skip


def images(count: int, height: int = 24, width: int = 32, seed: int = 0) -> list[np.ndarray]:
    """Smooth moving images, each different."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (height // 4 + 1, width // 4 + count, 3), np.uint8)
    wide = np.kron(coarse, np.ones((4, 4, 1), np.uint8))
    return [np.ascontiguousarray(wide[:height, 2 * i : 2 * i + width]) for i in range(count)]


def bars(height: int = 32, width: int = 64) -> np.ndarray:
    """Eight vertical bars."""
    return np.ascontiguousarray(np.repeat(COLOUR_BARS[None], height, 0).repeat(width // 8, 1))


def write_clip(
    path: Path,
    frames: list[np.ndarray],
    *,
    codec: str = "libx264",
    pixel_format: str = "yuv420p",
    options: dict | None = None,
    rate: Fraction = Fraction(25),
    times: list[int] | None = None,
    time_base: Fraction = Fraction(1, 12800),
    matrix: int = 2,
    range_: int = 1,
    tags: tuple[int, int] = (2, 2),
    rotation: int = 0,
    aspect: Fraction | None = None,
    audio: str | None = None,
    seconds: float = 0.0,
) -> Path:
    """Write frames, converted by the matrix and range stated; `times` in units of the time base."""
    with av.open(path, "w") as output:
        output.metadata["title"] = "Clip"
        video = output.add_stream(codec, rate=rate, options=options or ({"crf": "4"} if codec == "libx264" else {}))
        video.height, video.width = frames[0].shape[:2]
        video.pix_fmt = pixel_format
        context = video.codec_context
        context.time_base = time_base
        context.colorspace, context.color_range = matrix, range_
        context.color_primaries, context.color_trc = tags
        if aspect:
            context.sample_aspect_ratio = aspect
        if rotation:
            video.set_display_rotation(rotation)
        if audio:
            sound = output.add_stream(audio, rate={"libopus": 48000, "wmav2": 44100}.get(audio, 16000), layout="mono")
            sound.bit_rate = 64000
            sound.metadata["language"] = "deu"
        step = round(1 / rate / time_base)
        for number, pixels in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(pixels, "rgb24" if pixels.dtype == np.uint8 else "rgb48le")
            if pixel_format != "rgb24":
                coefficients = {1: 1, 9: 9}.get(matrix, 5)
                frame = frame.reformat(
                    format=pixel_format, dst_colorspace=coefficients, dst_color_range=range_, interpolation=HQ
                )
            frame.pts, frame.time_base = times[number] if times else number * step, time_base
            output.mux(video.encode(frame))
        output.mux(video.encode(None))
        if audio:
            samples = int((seconds or len(frames) / rate) * sound.rate)
            begin = round(times[0] * time_base * sound.rate) if times else 0
            tone = np.sin(np.arange(samples) * 0.1).astype(np.float32)[None] * 0.3
            for start in range(0, samples, 1024):
                frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(tone[:, start : start + 1024]), "fltp", "mono")
                frame.sample_rate, frame.pts = sound.rate, begin + start
                output.mux(sound.encode(frame))
            output.mux(sound.encode(None))
    return path


def read_clip(path: Path, video: int = 0) -> tuple[list[np.ndarray], list[Fraction]]:
    """Decode to RGB by the colours stated in the file, and give the time of each frame in seconds."""
    frames, times = [], []
    with av.open(path) as container:
        for frame in container.decode(video=video):
            deep = frame.format.components[0].bits > 8
            coefficients = {1: 1, 9: 9}.get(frame.colorspace, 5)
            options = {} if frame.format.is_rgb else {"src_colorspace": coefficients}
            rgb = frame.reformat(
                format="rgb48le" if deep else "rgb24", src_color_range=frame.color_range, dst_color_range=2,
                interpolation=HQ | av.video.reformatter.Interpolation.FULL_CHR_H_INP, **options,
            )  # fmt: skip
            frames.append(rgb.to_ndarray())
            times.append(frame.pts * frame.time_base)
    return frames, times


def probe(path: Path, *show: str) -> dict:
    """What ffprobe says of a file, such as `probe(path, "-show_streams")`; skips where there is no ffprobe."""
    if shutil.which("ffprobe") is None:
        pytest.skip("ffprobe is not installed")
    command = ["ffprobe", "-v", "error", *show, "-of", "json", str(path)]
    return json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def lag(path: Path) -> float:
    """Seconds from the start of the sound to that of the image."""
    starts = {"video": [], "audio": []}
    with av.open(path) as container:
        for packet in container.demux():
            if packet.pts is not None:
                starts[packet.stream.type].append(float(packet.pts * packet.time_base))
    return min(starts["video"]) - min(starts["audio"])


def sound_packets(path: Path) -> list[bytes]:
    """The packets of a file's first sound."""
    with av.open(path) as container:
        return [bytes(packet) for packet in container.demux(audio=0) if packet.size]


class Bicubic(Upscaler):
    """Upscales without a network, for tests of what is around it."""

    def __init__(self):
        super().__init__(Repeat(), device="cpu", tile=0)


class Repeat(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.config = SimpleNamespace(upscale=2, tile_multiple=8)

    def forward(self, image):
        return image.repeat_interleave(2, 2).repeat_interleave(2, 3)
