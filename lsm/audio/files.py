"""Audio files in, denoised audio files out: any rate, channels and length, at constant memory."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
import torch

from lsm.audio.checkpoint import Denoiser
from lsm.audio.decoded import SUFFIXES, DecodedAudio
from lsm.audio.inference import open_stream
from lsm.audio.libraries import load_library
from lsm.audio.riff import FinishedWave, Wave, add_chunks, read_wave, refuse_truncated_aiff, refuse_truncated_ogg
from lsm.errors import InputError, OptionError
from lsm.files import atomic_file

if TYPE_CHECKING:
    import soundfile

_FLOATS = ("FLOAT", "DOUBLE")
_LARGEST = 1e12  # beyond it squares leave the range of numbers; files scaled as 32-bit integers stay below


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
        notes: What else there is to say: what is not kept, and an unfinished head, a line each.
    """

    seconds: float
    rate: int
    channels: int
    clipped: int
    real_time_factor: float
    latency: float | None
    cutoff: float | None
    notes: tuple[str, ...] = ()


def denoise_file(
    source: Path,
    target: Path,
    denoiser: Denoiser,
    *,
    block_seconds: float = 2.0,
    overwrite: bool = True,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> FileReport:
    """Denoise an audio file into another of the same rate, channels, length, sample format and tags.

    A file of another rate than the denoiser's is resampled and back, which leaves nothing above half the denoiser's
    rate. A constant offset is removed. Of a WAV, the chunks that recorders write (bext, iXML, cue, …) and the channel
    mask are kept.

    Args:
        source: Any file that libsndfile reads (WAV, FLAC, OGG, MP3, AIFF and more), or M4A and AAC where PyAV is
            installed.
        target: Where. Its suffix says the format.
        denoiser: The network.
        block_seconds: What is read at a time.
        overwrite: Whether a target that exists is replaced.
        progress: Called with frames done and all frames.

    Raises:
        InputError: If the source cannot be read, is empty or truncated, or holds NaN, infinity or numbers near it.
        OptionError: If the target exists, is the source, or of a format that cannot hold it.
    """
    soundfile = load_library("soundfile")
    if target.exists() and source.exists() and target.samefile(source):
        raise OptionError(f"The result would replace its source {source}; name another output.")
    if target.exists() and not overwrite:
        raise OptionError(f"{target} exists already; allow it to be replaced (overwrite), or name another output.")
    start = time.perf_counter()
    try:
        refuse_truncated_ogg(source)
        refuse_truncated_aiff(source)
        wave = read_wave(source)
        with _open_reader(source, wave) as reader:
            if reader.frames == 0:
                raise InputError(f"{source} is empty: it has no samples.")
            written = _written_format(reader, target)
            with atomic_file(target, overwrite) as file:
                with _open_writer(file, reader, written) as writer:
                    clipped = _pump(reader, writer, denoiser, block_seconds, progress, source)
                notes = _carry(file, source, wave, written[0])
            seconds, rate, channels = reader.frames / reader.samplerate, reader.samplerate, reader.channels
    except soundfile.LibsndfileError as error:
        # Code 7 says that the file does not exist; it does, but its decoder found nothing in it.
        reason = "no audio in it can be decoded." if error.code == 7 else error.error_string
        raise InputError(f"Cannot read {source} (WAV, FLAC and OGG are sure to work): {reason}") from error
    except OSError as error:
        raise InputError(f"{error.filename or source}: {error.strerror or error}") from error
    cutoff = denoiser.rate / 2 if rate > denoiser.rate else None
    return FileReport(
        seconds, rate, channels, clipped, (time.perf_counter() - start) / seconds, denoiser.latency, cutoff, notes
    )


@contextlib.contextmanager
def _open_reader(source: Path, wave: Wave | None) -> Iterator[Any]:
    """Open a file by what reads it: a `soundfile.SoundFile`, or what acts like one."""
    with contextlib.ExitStack() as stack:
        if source.suffix.lower() in SUFFIXES:
            yield stack.enter_context(DecodedAudio(source))
            return
        file: Any = source
        if wave and wave.unfinished:
            file = stack.enter_context(contextlib.closing(FinishedWave(source, wave)))
        yield stack.enter_context(load_library("soundfile").SoundFile(file))


def _carry(file: BinaryIO, source: Path, wave: Wave | None, written: str) -> tuple[str, ...]:
    """Add to a written WAV the chunks and the channel mask of its source; return what is to be said, a line each."""
    if wave is None:
        return ()
    notes = ["its head is unfinished, and it was read to its end"] if wave.unfinished else []
    chunks = wave.carried()
    names = ", ".join(chunk.name.decode("latin-1").strip() for chunk in chunks)
    if written in ("WAV", "WAVEX", "RF64"):
        add_chunks(file, source, chunks, wave.channel_mask)
    elif chunks:
        notes.append(f"{written} does not keep {names}")
    if wave.channel_mask and written not in ("WAV", "WAVEX", "RF64"):
        notes.append(f"{written} does not keep the channel mask {wave.channel_mask:#x}")
    return tuple(notes)


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
        if len(block) and (peak := float(np.abs(block).max())) > _LARGEST:
            at = (seen + int(np.argmax(np.abs(block).max(axis=1)))) / reader.samplerate
            raise InputError(f"{source} is damaged: a sample of {peak:.1e} at {at:.3f} s, where full scale is 1.")
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
    name = {"AIF": "AIFF", "AIFC": "AIFF", "OGA": "OGG", "OPUS": "OGG"}.get(name, name)
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


def plan_files(source: Path, output: Path) -> list[tuple[Path, Path]]:
    """Pair the files to denoise with their results.

    Args:
        source: A file, or a folder, of which all files of audio are taken, with those below it.
        output: For a file, its result, or a folder (that exists, or a name without suffix) that gets a file of the
            same name; for a folder, the folder that gets the same tree. What cannot be written (M4A, AAC) becomes a
            WAV, `song.m4a.wav`.

    Raises:
        InputError: If the source does not exist, or the folder has no audio.
        OptionError: If the results would lie in the folder they come from.
    """
    from lsm.audio.data import find_audio

    if source.is_dir():
        if output.resolve() == source.resolve():
            raise OptionError(f"The results would replace their sources in {source}; name another output folder.")
        inside = output.resolve()
        files = [file for file in find_audio(source, readable_suffixes()) if inside not in file.resolve().parents]
        return [(file, _writable(output / file.relative_to(source))) for file in files]
    if not source.is_file():
        raise InputError(f"There is no file or folder {source}.")
    return [(source, _writable(output / source.name) if output.is_dir() or not output.suffix else output)]


def readable_suffixes() -> tuple[str, ...]:
    """Return the suffixes of the files that a folder is searched for."""
    known = load_library("soundfile").available_formats()
    suffixes = [".wav", ".flac", ".ogg", ".oga", ".opus", ".aif", ".aiff", ".aifc", ".au", ".caf", ".w64", ".rf64"]
    return (*suffixes, *([".mp3"] if "MP3" in known else []), *(SUFFIXES[:2] if find_spec("av") else ()))


def _writable(target: Path) -> Path:
    return target.with_name(f"{target.name}.wav") if target.suffix.lower() in SUFFIXES else target


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
