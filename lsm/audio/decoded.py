"""Audio that libsndfile does not read (M4A, AAC), through PyAV: what is needed of `soundfile.SoundFile`."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path
from types import TracebackType

import numpy as np

from lsm.errors import InputError, needs_extra

SUFFIXES = (".m4a", ".aac", ".mp4")
"""Files that are read by PyAV."""

_TAGS = ("title", "artist", "album", "comment", "date", "genre", "copyright")


class DecodedAudio:
    """The first audio stream of a file, read in blocks at constant memory; decoded once before, to know its length.

    Args:
        path: Of any container that FFmpeg reads.

    Raises:
        InputError: If it holds no audio, or is damaged.
        OptionError: If PyAV is not installed.
    """

    format, subtype = "M4A", "PCM_16"

    def __init__(self, path: Path) -> None:
        with needs_extra("video", f"{path.suffix[1:].upper()} files need PyAV"):
            import av
        self._path, self._errors = path, av.error.FFmpegError
        av.logging.set_level(None)
        try:
            with av.open(f"file:{path}") as container:
                if not container.streams.audio:
                    raise InputError(f"{path} holds no audio.")
                stream = container.streams.audio[0]
                self.samplerate, self.channels = stream.rate, stream.layout.nb_channels
                self._tags = {name: text for name, text in container.metadata.items() if name in _TAGS}
        except self._errors as error:
            raise InputError(f"Cannot read {path}: {error.strerror or error}.") from error
        self.frames = sum(len(block) for block in self._decoded())
        self._blocks = self._decoded()
        self._waiting = np.zeros((0, self.channels), np.float32)

    def read(self, frames: int, dtype: str = "float32", always_2d: bool = True) -> np.ndarray:
        """Read the next samples, (n, C) float32; n is less than asked for at the end only."""
        parts, count = [self._waiting], len(self._waiting)
        while count < frames and (block := next(self._blocks, None)) is not None:
            parts.append(block)
            count += len(block)
        samples = np.concatenate(parts)
        self._waiting = samples[frames:]
        return samples[:frames]

    def copy_metadata(self) -> dict[str, str]:
        """Return the tags that other formats have too."""
        return self._tags

    def __enter__(self) -> DecodedAudio:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._blocks.close()

    def _decoded(self) -> Generator[np.ndarray, None, None]:
        """Yield decoded blocks, (n, C) float32."""
        import av

        resampler = av.AudioResampler(format="fltp")
        try:
            with av.open(f"file:{self._path}") as container:
                for frame in container.decode(audio=0):
                    for converted in resampler.resample(frame):
                        yield converted.to_ndarray().T
        except self._errors as error:
            raise InputError(f"{self._path} is damaged or truncated: {error.strerror or error}.") from error
