import struct

import numpy as np
import pytest
import torch

from lsm.audio.checkpoint import Denoiser, save_denoiser
from lsm.audio.denoiser import UNetLRUAudio
from lsm.audio.files import denoise_file, denoise_files, plan_files
from lsm.audio.inference import denoise_single
from lsm.audio.streaming import StreamingDenoiser
from lsm.cli import main
from lsm.errors import InputError, OptionError

soundfile = pytest.importorskip("soundfile")
pytest.importorskip("soxr")


class Gain(StreamingDenoiser):
    """A causal network that multiplies the signal with a number."""

    def __init__(self, gain=1.0):
        super().__init__(window=64, hop=16, d_model=4, d_state=3)
        with torch.no_grad():
            self.local_out.weight.zero_()
            self.local_out.bias.zero_()
            self.local_out.bias[0] = gain


@pytest.fixture
def unit():
    return Denoiser(Gain().eval())


def tone(seconds: float, rate: int, channels: int = 1) -> np.ndarray:
    time = np.arange(round(seconds * rate)) / rate
    return np.stack([0.5 * np.sin(2 * np.pi * 440 * (c + 1) * time) for c in range(channels)], axis=1).astype(
        np.float32
    )


@pytest.mark.parametrize("rate", [8000, 11025, 16000, 44100, 96000])
@pytest.mark.parametrize("channels", [1, 2])
def test_any_rate_comes_back_sample_by_sample(tmp_path, unit, rate, channels):
    signal = tone(0.7, rate, channels)
    soundfile.write(tmp_path / "in.wav", signal, rate, subtype="FLOAT")
    report = denoise_file(tmp_path / "in.wav", tmp_path / "out.wav", unit, block_seconds=0.1)
    out, out_rate = soundfile.read(tmp_path / "out.wav", always_2d=True)
    assert (out_rate, out.shape) == (rate, signal.shape)
    inner = slice(rate // 20, -rate // 20)  # resampling rings at the ends
    assert np.abs(out - signal)[inner].max() < 0.01  # the running mean takes a little of the first periods
    assert (report.rate, report.channels, report.clipped) == (rate, channels, 0)
    assert report.latency == pytest.approx(64 / 16000)


@pytest.mark.parametrize(
    ("suffix", "subtype"),
    [
        ("wav", "PCM_16"),
        ("wav", "PCM_24"),
        ("wav", "DOUBLE"),
        ("flac", "PCM_16"),
        ("flac", "PCM_24"),
        ("ogg", "VORBIS"),
    ],
)
def test_sample_format_and_tags_stay(tmp_path, unit, suffix, subtype):
    source, target = tmp_path / f"in.{suffix}", tmp_path / f"out.{suffix}"
    with soundfile.SoundFile(source, "w", 16000, 1, subtype=subtype) as file:
        file.title = "A tone"
        file.write(tone(0.3, 16000))
    denoise_file(source, target, unit)
    info = soundfile.SoundFile(target)
    assert (info.subtype, info.frames, info.copy_metadata()["title"]) == (subtype, 4800, "A tone")


def test_file_is_the_signal_denoised_as_a_whole(tmp_path):
    torch.manual_seed(0)
    for denoiser in (
        Denoiser(StreamingDenoiser(window=64, hop=16, d_model=6, d_state=5).eval()),
        Denoiser(UNetLRUAudio(features=[4, 8]).eval()),
    ):
        signal = np.random.default_rng(0).uniform(-0.5, 0.5, (5000, 2)).astype(np.float32)
        soundfile.write(tmp_path / "in.wav", signal, 16000, subtype="FLOAT")
        denoise_file(tmp_path / "in.wav", tmp_path / "out.wav", denoiser, block_seconds=0.02)
        whole = denoise_single(denoiser, torch.from_numpy(signal.T.copy())[:, None])[:, 0].T.numpy()
        np.testing.assert_allclose(soundfile.read(tmp_path / "out.wav")[0], whole, atol=1e-5)


def test_clipping_is_counted(tmp_path):
    soundfile.write(tmp_path / "in.wav", tone(0.5, 16000), 16000)
    loud = Denoiser(Gain(4.0).eval())
    assert denoise_file(tmp_path / "in.wav", tmp_path / "out.wav", loud).clipped > 3000
    assert soundfile.read(tmp_path / "out.wav")[0].max() > 0.999


def cut(path, keep):
    path.write_bytes(path.read_bytes()[:keep])


def bad_files(folder):
    """Make one file of each kind that cannot be denoised, with what must be said about it."""
    soundfile.write(folder / "empty.wav", np.zeros((0, 1), np.float32), 16000)
    soundfile.write(folder / "nan.wav", np.array([0, np.nan, 0], np.float32), 16000, subtype="FLOAT")
    for name in ("short.wav", "short.flac"):
        soundfile.write(folder / name, np.random.default_rng(0).uniform(-1, 1, 9000), 16000)
        cut(folder / name, 5000)
    soundfile.write(folder / "cut.rf64", np.random.default_rng(0).uniform(-1, 1, 9000), 16000, format="RF64")
    soundfile.write(folder / "cut.ogg", np.random.default_rng(0).uniform(-1, 1, 90000), 16000)
    soundfile.write(folder / "cut.aiff", np.random.default_rng(0).uniform(-1, 1, 9000), 16000)
    for name in ("cut.rf64", "cut.ogg", "cut.aiff"):
        cut(folder / name, (folder / name).stat().st_size * 2 // 3)
    spike = np.zeros(9000, np.float32)
    spike[5000] = 1e25
    soundfile.write(folder / "spike.wav", spike, 16000, subtype="FLOAT")
    (folder / "zero.ogg").write_bytes(b"")
    (folder / "text.wav").write_text("no audio at all")
    (folder / "head.wav").write_bytes(b"RIFF" + struct.pack("<I", 4) + b"WAVE")
    reasons = {"empty.wav": "empty", "nan.wav": "NaN", "short.wav": "truncated", "short.flac": "short"}
    reasons |= {
        "cut.rf64": "truncated",
        "cut.ogg": "truncated",
        "cut.aiff": "truncated",
        "spike.wav": r"1\.0e\+25 at 0\.312",
    }
    return {**reasons, "zero.ogg": "Cannot read", "text.wav": "Cannot read", "head.wav": "truncated"}


def test_bad_files_are_named_and_leave_nothing(tmp_path, unit):
    for name, reason in bad_files(tmp_path).items():
        with pytest.raises(InputError, match=reason) as caught:
            denoise_file(tmp_path / name, tmp_path / f"out_{name}", unit)
        assert name in str(caught.value)
        assert "\n" not in str(caught.value)
    assert not [path for path in tmp_path.iterdir() if "out" in path.name or "part" in path.name]


def test_mp3_is_read_where_there_is_a_decoder(tmp_path, unit):
    (tmp_path / "torn.mp3").write_bytes(b"\xff\xfb\x90\x00" + bytes(300))
    with pytest.raises(InputError, match=r"torn\.mp3.*WAV, FLAC and OGG are sure to work"):
        denoise_file(tmp_path / "torn.mp3", tmp_path / "out.wav", unit)
    if "MP3" not in soundfile.available_formats():
        pytest.skip("this libsndfile has no MP3")
    soundfile.write(tmp_path / "in.mp3", tone(0.5, 16000), 16000, format="MP3")
    denoise_file(tmp_path / "in.mp3", tmp_path / "out.wav", unit)
    assert len(soundfile.read(tmp_path / "out.wav")[0]) == len(soundfile.read(tmp_path / "in.mp3")[0])


def chunks_of(path):
    """The chunks of a WAV, read here."""
    data, at, found = path.read_bytes(), 12, {}
    assert struct.unpack("<I", data[4:8])[0] == len(data) - 8
    while at + 8 <= len(data):
        size = struct.unpack("<I", data[at + 4 : at + 8])[0]
        found[data[at : at + 4]] = data[at + 8 : at + 8 + size]
        at += 8 + size + size % 2
    return found


def test_chunks_of_recorders_and_the_channel_mask_stay(tmp_path, unit):
    soundfile.write(tmp_path / "in.wav", tone(0.1, 16000, 6), 16000, format="WAVEX", subtype="PCM_16")
    data = bytearray((tmp_path / "in.wav").read_bytes())
    data[40:44] = struct.pack("<I", 0x60F)
    mine = {
        b"bext": b"A recorder" + bytes(593),
        b"iXML": b"<BWFXML/>",
        b"cue ": struct.pack("<7I", 1, 1, 4, 0, 0, 0, 4),
    }
    for name, content in mine.items():
        data += name + struct.pack("<I", len(content)) + content + bytes(len(content) % 2)
    data[4:8] = struct.pack("<I", len(data) - 8)
    (tmp_path / "in.wav").write_bytes(data)
    report = denoise_file(tmp_path / "in.wav", tmp_path / "out.wav", unit)
    made = chunks_of(tmp_path / "out.wav")
    assert {name: made[name] for name in mine} == mine
    assert made[b"fmt "][20:24] == struct.pack("<I", 0x60F)
    assert (report.notes, soundfile.info(tmp_path / "out.wav").frames) == ((), 1600)
    notes = denoise_file(tmp_path / "in.wav", tmp_path / "out.flac", unit).notes
    assert notes == ("FLAC does not keep bext, iXML, cue", "FLAC does not keep the channel mask 0x60f")


def test_a_crashed_recorders_head_is_finished(tmp_path, unit):
    soundfile.write(tmp_path / "whole.wav", tone(0.2, 16000), 16000)
    data = bytearray((tmp_path / "whole.wav").read_bytes())
    assert data[36:40] == b"data"
    data[4:8] = data[40:44] = bytes(4)
    (tmp_path / "in.wav").write_bytes(data)
    report = denoise_file(tmp_path / "in.wav", tmp_path / "out.wav", unit)
    denoise_file(tmp_path / "whole.wav", tmp_path / "expected.wav", unit)
    assert "unfinished" in report.notes[0]
    assert (tmp_path / "out.wav").read_bytes() == (tmp_path / "expected.wav").read_bytes()


def test_m4a_is_read_where_pyav_is(tmp_path, unit, monkeypatch):
    av = pytest.importorskip("av", reason="PyAV is not installed")
    with av.open(tmp_path / "a.m4a", "w") as output:
        stream = output.add_stream("aac", rate=16000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(tone(0.5, 16000).T), "fltp", "mono")
        frame.sample_rate = 16000
        output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    (pair,) = plan_files(tmp_path, tmp_path / "out")
    assert pair[1].name == "a.m4a.wav"
    assert denoise_files([pair], unit) == []
    made, rate = soundfile.read(pair[1])
    with av.open(tmp_path / "a.m4a") as container:
        decoded = np.concatenate([one.to_ndarray()[0] for one in container.decode(audio=0)])
    assert (rate, len(made)) == (16000, len(decoded))
    assert np.abs(made - decoded)[800:-800].max() < 0.01
    with pytest.raises(OptionError, match="no audio format"):
        denoise_file(tmp_path / "a.m4a", tmp_path / "b.m4a", unit)
    monkeypatch.setitem(__import__("sys").modules, "av", None)
    with pytest.raises(OptionError, match=r"\[video\]"):
        denoise_file(tmp_path / "a.m4a", tmp_path / "b.wav", unit)


def test_a_folder_takes_what_a_single_file_does(tmp_path, unit):
    for name in ("a.wav", "b.aiff", "c.flac", "d.ogg", "e.opus", "f.mp3"):
        if name == "f.mp3" and "MP3" not in soundfile.available_formats():
            continue
        form = {"opus": "OGG", "mp3": "MP3"}.get(name[2:])
        subtype = "OPUS" if name == "e.opus" else None
        soundfile.write(tmp_path / name, tone(0.2, 16000), 16000, format=form, subtype=subtype)
    pairs = plan_files(tmp_path, tmp_path / "out")
    assert len(pairs) == len(list(tmp_path.iterdir()))
    assert denoise_files(pairs, unit) == []
    assert all(target.is_file() for _, target in pairs)


def test_a_result_stays_unless_it_may_be_replaced(tmp_path, unit):
    soundfile.write(tmp_path / "in.wav", tone(0.1, 16000), 16000)
    (tmp_path / "out.wav").write_text("mine")
    with pytest.raises(OptionError, match="exists already"):
        denoise_file(tmp_path / "in.wav", tmp_path / "out.wav", unit, overwrite=False)
    assert (tmp_path / "out.wav").read_text() == "mine"


def test_one_sample_and_stereo_96_khz(tmp_path, unit):
    soundfile.write(tmp_path / "one.wav", np.array([0.5]), 16000)
    soundfile.write(tmp_path / "few.wav", np.full((3, 2), 0.1), 96000)
    for name, shape in (("one.wav", (1, 1)), ("few.wav", (3, 2))):
        denoise_file(tmp_path / name, tmp_path / f"out_{name}", unit)
        assert soundfile.read(tmp_path / f"out_{name}", always_2d=True)[0].shape == shape


def test_a_folder_goes_on_after_a_bad_file(tmp_path, unit):
    folder = tmp_path / "in"
    (folder / "deep").mkdir(parents=True)
    bad = bad_files(folder)
    soundfile.write(folder / "deep" / "good.flac", tone(0.2, 16000), 16000)
    failed = denoise_files(plan_files(folder, tmp_path / "out"), unit)
    assert len(failed) == len(bad)
    assert (tmp_path / "out" / "deep" / "good.flac").is_file()


def test_sources_are_never_replaced(tmp_path, unit):
    soundfile.write(tmp_path / "in.wav", tone(0.1, 16000), 16000)
    with pytest.raises(OptionError, match="replace its source"):
        denoise_file(tmp_path / "in.wav", tmp_path / "in.wav", unit)
    with pytest.raises(OptionError, match="replace their sources"):
        plan_files(tmp_path, tmp_path)
    with pytest.raises(OptionError, match="no audio format"):
        denoise_file(tmp_path / "in.wav", tmp_path / "out.xyz", unit)


def run(*arguments):
    with pytest.raises(SystemExit) as left:
        main([str(argument) for argument in arguments])
    return left.value.code


def test_command(tmp_path, capsys):
    save_denoiser(Denoiser(Gain().eval()), tmp_path / "unit.safetensors")
    save_denoiser(Denoiser(UNetLRUAudio(features=[4]).eval()), tmp_path / "unet.safetensors")
    (tmp_path / "in").mkdir()
    soundfile.write(tmp_path / "in" / "a.wav", tone(0.3, 48000, 2), 48000)
    assert (
        run(
            "denoise",
            tmp_path / "in" / "a.wav",
            "-o",
            tmp_path / "b.wav",
            "--model",
            tmp_path / "unit.safetensors",
            "--stream",
        )
        == 0
    )
    assert soundfile.info(tmp_path / "b.wav").frames == 14400
    said = capsys.readouterr().err
    assert "real-time factor" in said
    assert "algorithmic latency 4 ms" in said
    assert run("denoise", tmp_path / "in", "-o", tmp_path / "out", "--model", tmp_path / "unet.safetensors") == 0
    assert run("denoise", tmp_path / "in", "-o", tmp_path / "out", "--model", tmp_path / "unet.safetensors") == 1
    assert "exists already" in capsys.readouterr().err
    again = [
        "denoise",
        tmp_path / "in",
        "-o",
        tmp_path / "out",
        "--model",
        tmp_path / "unet.safetensors",
        "--overwrite",
    ]
    assert run(*again) == 0
    cut(tmp_path / "in" / "a.wav", 3000)
    assert run(*again) == 1
    assert (
        run("denoise", tmp_path / "in" / "a.wav", "-o", tmp_path / "c.wav", "--model", tmp_path / "unet.safetensors")
        == 2
    )
    assert "truncated" in capsys.readouterr().err
    assert run("denoise", tmp_path / "x.wav", "-o", tmp_path / "c.wav", "--model", tmp_path / "unet.safetensors") == 2
    assert (
        run("denoise", tmp_path / "in", "-o", tmp_path / "c", "--model", tmp_path / "unet.safetensors", "--stream") == 2
    )
    assert "looks ahead" in capsys.readouterr().err
