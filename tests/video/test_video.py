"""Larger videos: frames, times, colours and sound."""

import struct
from fractions import Fraction

import numpy as np
import pytest

av = pytest.importorskip("av", "18", reason="PyAV 18 (extra `video`) is not installed")

from clips import COLOUR_BARS, LOSSLESS, Bicubic, bars, images, lag, read_clip, sound_packets, write_clip  # noqa: E402

from lsm.errors import OptionError  # noqa: E402
from lsm.inference.upscaler import Upscaler  # noqa: E402
from lsm.video.convert import upscale_video  # noqa: E402
from lsm.video.encoding import Encoding  # noqa: E402
from lsm.video.file import VideoFile  # noqa: E402
from lsm.weights import load_model  # noqa: E402


def test_frames_are_those_of_the_upscaler_and_the_sound_is_copied(tmp_path, upscaler):
    source = write_clip(tmp_path / "a.mp4", images(20), audio="aac", pixel_format="yuv444p", matrix=6)
    frames = [frame.pixels for frame in VideoFile(source).frames(0)]
    reference, times = read_clip(source)
    assert np.abs(np.stack(frames).astype(int) - np.stack(reference)).max() <= 1
    report = upscale_video(VideoFile(source), tmp_path / "b.mkv", upscaler, LOSSLESS, segment=6)
    assert (report.width, report.height, report.frames, report.found) == (64, 48, 20, 0)
    made, made_times = read_clip(tmp_path / "b.mkv")
    for one, pixels in zip(made, frames, strict=True):
        np.testing.assert_array_equal(one, upscaler(pixels))
    # Matroska knows no times before zero, where AAC begins; so image and sound move together.
    assert [one - made_times[0] for one in made_times] == times
    assert lag(tmp_path / "b.mkv") == pytest.approx(lag(source), abs=0.001)
    assert sound_packets(tmp_path / "b.mkv") == sound_packets(source)
    with av.open(tmp_path / "b.mkv") as container:
        assert container.metadata["title"] == "Clip"
        assert container.streams.audio[0].metadata["language"] == "deu"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.mp4", "b.mkv"]


@pytest.mark.parametrize("name", ["b.mp4", "b.mkv", "b.mov"])
def test_uneven_times_survive(tmp_path, upscaler, name):
    units = [0, 512, 700, 3000, 3001, 9000, 12800, 12900, 20000, 20512]
    source = write_clip(tmp_path / "a.mp4", images(10), times=units)
    upscale_video(VideoFile(source), tmp_path / name, upscaler, segment=4)
    _, times = read_clip(tmp_path / name)
    assert read_clip(source)[1] == [Fraction(unit, 12800) for unit in units]
    if name == "b.mkv":  # Matroska counts milliseconds
        assert all(
            abs(time - Fraction(unit, 12800)) <= Fraction(1, 2000) for time, unit in zip(times, units, strict=True)
        )
    else:
        assert times == [Fraction(unit, 12800) for unit in units]


@pytest.mark.parametrize("rate", [Fraction(24000, 1001), Fraction(60)])
def test_the_rate_survives(tmp_path, upscaler, rate):
    time_base = Fraction(1, rate.numerator)
    source = write_clip(tmp_path / "a.mp4", images(7), rate=rate, time_base=time_base)
    upscale_video(VideoFile(source), tmp_path / "b.mp4", upscaler, segment=3)
    assert read_clip(tmp_path / "b.mp4")[1] == [number / rate for number in range(7)]
    with av.open(tmp_path / "b.mp4") as container:
        assert container.streams.video[0].average_rate == rate
        assert container.streams.video[0].duration * container.streams.video[0].time_base == 7 / rate


@pytest.mark.parametrize(("matrix", "primaries"), [(1, 1), (6, 6), (5, 5), (9, 9)])
@pytest.mark.parametrize("range_", [1, 2])
def test_colours_and_their_tags_survive(tmp_path, upscaler, matrix, primaries, range_):
    source = write_clip(
        tmp_path / "a.mp4", [bars()] * 3, matrix=matrix, range_=range_, tags=(primaries, 1), pixel_format="yuv444p"
    )
    upscale_video(VideoFile(source), tmp_path / "b.mp4", Bicubic(), Encoding(crf=4))
    with av.open(tmp_path / "b.mp4") as container:
        context = container.streams.video[0].codec_context
        stated = context.colorspace, context.color_range, context.color_primaries, context.color_trc
        assert [int(number) for number in stated] == [matrix, range_, primaries, 1]
        assert context.pix_fmt in ("yuv420p", "yuvj420p")
    for image in read_clip(tmp_path / "b.mp4")[0]:
        middles = image[image.shape[0] // 2, 8::16].astype(int)
        assert np.abs(middles - COLOUR_BARS).max() <= 4


@pytest.mark.parametrize(("height", "matrix"), [(24, 6), (720, 1)])
def test_a_matrix_that_is_not_stated_is_what_players_take(tmp_path, height, matrix):
    source = write_clip(tmp_path / "a.mp4", [bars(height)] * 2, matrix=2)
    assert VideoFile(source).facts.colours.matrix == matrix
    upscale_video(VideoFile(source), tmp_path / "b.mp4", Bicubic())
    with av.open(tmp_path / "b.mp4") as container:
        assert int(container.streams.video[0].codec_context.colorspace) == matrix


def test_ten_bits_stay_ten_bits(tmp_path):
    gradient = np.linspace(0, 65535, 64 * 32).reshape(32, 64, 1).repeat(3, 2).astype(np.uint16)
    source = write_clip(tmp_path / "a.mp4", [gradient] * 3, pixel_format="yuv420p10le", matrix=9, tags=(9, 16))
    facts = VideoFile(source).facts
    assert (facts.deep, facts.colours.transfer) == (True, 16)
    upscale_video(VideoFile(source), tmp_path / "b.mp4", Bicubic(), Encoding(crf=1))
    with av.open(tmp_path / "b.mp4") as container:
        assert container.streams.video[0].codec_context.pix_fmt == "yuv420p10le"
    frame = read_clip(tmp_path / "b.mp4")[0][1]
    assert np.abs(frame[::2, ::2].astype(int) - gradient).mean() < 65535 / 400
    with pytest.raises(OptionError, match="more than 8 bits"):
        upscale_video(VideoFile(source), tmp_path / "c.webm", Bicubic(), Encoding("libvpx-vp9"))


def test_rotation_is_applied(tmp_path):
    image = images(1)[0]
    source = write_clip(tmp_path / "a.mp4", [image] * 2, rotation=90, aspect=Fraction(4, 3), pixel_format="yuv444p")
    data = source.read_bytes()
    matrix = struct.unpack(">9i", data[(head := data.index(b"tkhd") + 4 + 40) : head + 36])
    clockwise = matrix[1] > 0  # x of the stored image becomes y downwards
    upscale_video(VideoFile(source), tmp_path / "b.mp4", Bicubic(), Encoding(crf=1, pixel_format="yuv444p"))
    with av.open(tmp_path / "b.mp4") as container:
        assert next(container.decode(video=0)).rotation == 0
        assert container.streams.video[0].sample_aspect_ratio == Fraction(3, 4)
    expected = np.rot90(image, -1 if clockwise else 1).repeat(2, 0).repeat(2, 1)
    assert np.abs(read_clip(tmp_path / "b.mp4")[0][0].astype(int) - expected).mean() < 4


def test_odd_sizes_are_padded_by_their_last_row_and_column(tmp_path, weights):
    source = write_clip(tmp_path / "a.mp4", [bars(25, 40)[:, :35]] * 2, pixel_format="yuv444p")
    upscaler = Upscaler(load_model(weights), device="cpu", scale=3)
    report = upscale_video(VideoFile(source), tmp_path / "b.mp4", upscaler)
    assert (report.width, report.height) == (106, 76)
    frame = read_clip(tmp_path / "b.mp4")[0][0].astype(int)
    assert np.abs(frame[:, -1] - frame[:, -2]).mean() < 4


@pytest.mark.parametrize(
    ("codec", "name"), [("libx265", "b.mp4"), ("libsvtav1", "b.mkv"), ("libvpx-vp9", "b.webm"), ("ffv1", "b.mkv")]
)
def test_other_codecs(tmp_path, codec, name):
    source = write_clip(tmp_path / "a.mp4", images(9, 64, 64), matrix=1)
    upscale_video(VideoFile(source), tmp_path / name, Bicubic(), Encoding(codec), segment=4)
    made, times = read_clip(tmp_path / name)
    assert [round(time * 1000) for time in times] == [40 * number for number in range(9)]
    for one, pixels in zip(made, read_clip(source)[0], strict=True):
        assert np.abs(one[::2, ::2].astype(int) - pixels).mean() < 16
