"""Audio files in, denoised audio files out: any rate, channels and length, at constant memory."""

from __future__ import annotations

import struct
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
import torch

from lsm.audio.checkpoint import Denoiser
from lsm.audio.inference import open_stream
from lsm.audio.libraries import load_library
from lsm.errors import InputError, OptionError
from lsm.files import atomic_file

if TYPE_CHECKING:
    import soundfile

_FLOATS = ("FLOAT", "DOUBLE")


@dataclass(frozen=True)
class FileReport:
    """What became of a file.

    Attributes:
        seconds: Its length.
        rate: Its sampling rate in Hz.
        channels: Its channels.
        clipped: Samples of the result beyond full scale that an integer format had to clip.
        real_time_factor: Computing time over length, with reading, resampling and writing.
        latency: Algorithmic latency in seconds with which a stream would run; None if the network looks ahead.
        cutoff: Frequency in Hz above which resampling left nothing; None if the file was not resampled down.
    """

    seconds: float
    rate: int
    channels: int
    clipped: int
    real_time_factor: float
    latency: float | None
    cutoff: float | None


def denoise_file(
    source: Path,
    target: Path,
    denoiser: Denoiser,
    *,
    block_seconds: float = 2.0,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> FileReport:
    """Denoise an audio file into another of the same rate, channels, length, sample format and tags.

    A file of another rate than the denoiser's is resampled and back, which leaves nothing above half the denoiser's
    rate.

    Args:
        source: Any file that libsndfile reads: WAV, FLAC, OGG, and more.
        target: Where; replaced if it exists. Its suffix says the format.
        denoiser: The network.
        block_seconds: What is read at a time.
        progress: Called with frames done and all frames.

    Raises:
        InputError: If the source cannot be read, is empty or truncated, or holds NaN or infinity.
        OptionError: If the target is the source, or of a format that cannot hold it.
    """
    soundfile = load_library("soundfile")
    if target.exists() and source.exists() and target.samefile(source):
        raise OptionError(f"The result would replace its source {source}; name another output.")
    start = time.perf_counter()
    try:
        _refuse_truncated(source)
        with soundfile.SoundFile(source) as reader:
            if reader.frames == 0:
                raise InputError(f"{source} is empty: it has no samples.")
            written = _written_format(reader, target)
            with atomic_file(target) as file, _open_writer(file, reader, written) as writer:
                clipped = _pump(reader, writer, denoiser, block_seconds, progress, source)
            seconds, rate, channels = reader.frames / reader.samplerate, reader.samplerate, reader.channels
    except soundfile.LibsndfileError as error:
        # Code 7 says that the file does not exist; it does, but its decoder found nothing in it.
        reason = "no audio in it can be decoded." if error.code == 7 else error.error_string
        raise InputError(f"Cannot read {source} (WAV, FLAC and OGG are sure to work): {reason}") from error
    except OSError as error:
        raise InputError(f"{error.filename or source}: {error.strerror or error}") from error
    cutoff = denoiser.rate / 2 if rate > denoiser.rate else None
    return FileReport(
        seconds, rate, channels, clipped, (time.perf_counter() - start) / seconds, denoiser.latency, cutoff
    )


def _pump(
    reader: soundfile.SoundFile,
    writer: soundfile.SoundFile,
    denoiser: Denoiser,
    block_seconds: float,
    progress: Callable[[int, int], None],
    source: Path,
) -> int:
    """Read, resample, denoise, resample back and write, block by block; return the number of clipped samples."""
    rates = reader.samplerate, denoiser.rate
    down, up = _Resampler(rates[0], rates[1], reader.channels), _Resampler(rates[1], rates[0], reader.channels)
    stream = open_stream(denoiser, reader.channels)
    written = clipped = 0

    def write(samples: np.ndarray) -> None:
        nonlocal written, clipped
        samples = samples[: reader.frames - written]
        if writer.subtype not in _FLOATS:
            clipped += int((np.abs(samples) > 1).sum())
            samples = samples.clip(-1, 1)
        writer.write(samples)
        written += len(samples)
        progress(written, reader.frames)

    for block in _blocks(reader, max(1, round(block_seconds * reader.samplerate)), source):
        write(up(stream.push(_tensor(down(block))).T.numpy()))
    rest = np.zeros((0, reader.channels), np.float32)
    last = [stream.push(_tensor(down(rest, last=True))), stream.finish()]
    write(up(torch.cat(last, dim=1).T.numpy(), last=True))
    # Resampling there and back can lose a sample or two at the very end.
    write(np.zeros((reader.frames - written, reader.channels), np.float32))
    return clipped


def _tensor(samples: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(samples.T))


def _blocks(reader: soundfile.SoundFile, size: int, source: Path) -> Iterator[np.ndarray]:
    """Read blocks (n, C), float32, and see that they are finite and that none is missing."""
    seen = 0
    while len(block := reader.read(size, dtype="float32", always_2d=True)):
        if not np.isfinite(block).all():
            at = (seen + int(np.argmax(~np.isfinite(block).all(axis=1)))) / reader.samplerate
            raise InputError(f"{source} holds NaN or infinity, the first at {at:.3f} s.")
        seen += len(block)
        yield block
    if seen < reader.frames:
        raise InputError(f"{source} is truncated: it has {seen} of {reader.frames} samples.")


class _Resampler:
    """A stream (n, C) from one rate to another; the same numbers if the rates are the same."""

    def __init__(self, source: int, target: int, channels: int) -> None:
        self.stream = None
        if source != target:
            self.stream = load_library("soxr").ResampleStream(source, target, channels, "float32")
        self.channels = channels

    def __call__(self, samples: np.ndarray, last: bool = False) -> np.ndarray:
        if self.stream is None:
            return samples
        return self.stream.resample_chunk(np.ascontiguousarray(samples), last=last).reshape(-1, self.channels)


def _written_format(reader: soundfile.SoundFile, target: Path) -> tuple[str, str]:
    """Choose format and sample format of the result: those of the source, unless the suffix says another format.

    Raises:
        OptionError: If the suffix says none.
    """
    soundfile = load_library("soundfile")
    name = target.suffix.lower().lstrip(".").upper()
    name = {"AIF": "AIFF", "OGA": "OGG", "OPUS": "OGG"}.get(name, name)
    if name == "WAV" and reader.format in ("WAV", "WAVEX", "RF64"):
        name = reader.format
    if name not in soundfile.available_formats():
        raise OptionError(f"{target}: the suffix {target.suffix!r} is no audio format; use .wav, .flac or .ogg.")
    # libsndfile says that a WAV may hold MP3, but cannot write one.
    fits = soundfile.check_format(name, reader.subtype) and (name == "MP3" or not reader.subtype.startswith("MPEG"))
    return name, reader.subtype if fits else soundfile.default_subtype(name)


def _open_writer(file: BinaryIO, reader: soundfile.SoundFile, written: tuple[str, str]) -> soundfile.SoundFile:
    writer = load_library("soundfile").SoundFile(
        file, "w", reader.samplerate, reader.channels, subtype=written[1], format=written[0]
    )
    for tag, text in reader.copy_metadata().items():
        setattr(writer, tag, text)
    return writer


def _refuse_truncated(path: Path) -> None:
    """Raise InputError if a WAV promises more samples than it has; libsndfile would silently read what is there."""
    with path.open("rb") as file:
        head = file.read(12)
        if head[:4] != b"RIFF" or head[8:] != b"WAVE":
            return
        while len(chunk := file.read(8)) == 8:
            size = struct.unpack("<I", chunk[4:])[0]
            if chunk[:4] == b"data":
                there = path.stat().st_size - file.tell()
                if there < size < 0xFFFFFFF0:  # programs that write to a pipe leave a size near 2³² − 1
                    raise InputError(f"{path} is truncated: it has {there} of {size} bytes of samples.")
                return
            file.seek(size + size % 2, 1)
        raise InputError(f"{path} is truncated: a WAV without samples.")


def plan_files(source: Path, output: Path) -> list[tuple[Path, Path]]:
    """Pair the files to denoise with their results.

    Args:
        source: A file, or a folder, of which all WAV, FLAC and OGG files are taken, with those below it.
        output: For a file, its result, or a folder (that exists, or a name without suffix) that gets a file of the
            same name; for a folder, the folder that gets the same tree.

    Raises:
        InputError: If the source does not exist, or the folder has no audio.
        OptionError: If the results would lie in the folder they come from.
    """
    from lsm.audio.data import find_audio

    if source.is_dir():
        if output.resolve() == source.resolve():
            raise OptionError(f"The results would replace their sources in {source}; name another output folder.")
        inside = output.resolve()
        files = [file for file in find_audio(source) if inside not in file.resolve().parents]
        return [(file, output / file.relative_to(source)) for file in files]
    if not source.is_file():
        raise InputError(f"There is no file or folder {source}.")
    return [(source, output / source.name if output.is_dir() or not output.suffix else output)]


def denoise_files(
    pairs: list[tuple[Path, Path]],
    denoiser: Denoiser,
    *,
    finished: Callable[[Path, Any], None] = lambda source, result: None,
    **options: Any,
) -> list[str]:
    """Denoise files one after the other; one that fails does not stop the others.

    Args:
        pairs: Sources and results; folders of results are made.
        denoiser: The network.
        finished: Called with each source and its `FileReport`, or the error that stopped it.
        **options: Of `denoise_file`.

    Returns:
        A line for each file that failed.
    """
    failed = []
    for source, target in pairs:
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            finished(source, denoise_file(source, target, denoiser, **options))
        except (InputError, OptionError) as error:  # noqa: PERF203  (one try a file)
            failed.append(str(error))
            finished(source, error)
    return failed
