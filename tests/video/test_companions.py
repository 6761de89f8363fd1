"""What lies beside the frames: kept where the container can hold it, else one line before the work."""

import shutil
import subprocess
from fractions import Fraction

import numpy as np
import pytest

av = pytest.importorskip("av", "18", reason="PyAV 18 (extra `video`) is not installed")

from clips import Bicubic, images, probe, read_clip, write_clip  # noqa: E402

from lsm.errors import InputError, OptionError  # noqa: E402
from lsm.video.convert import upscale_video  # noqa: E402
from lsm.video.encoding import Encoding  # noqa: E402
from lsm.video.file import VideoFile  # noqa: E402

FAST = Encoding(preset="ultrafast")
SUBTITLES = "1\n00:00:00,100 --> 00:00:00,300\nHello\n\n"


def by_ffmpeg(*arguments):
    if shutil.which("ffmpeg") is None:
        pytest.skip("ffmpeg is not installed")
    subprocess.run(["ffmpeg", "-v", "error", "-y", *map(str, arguments)], check=True)


def rich(folder):
    """A clip with subtitles, chapters and an attachment."""
    clip = write_clip(folder / "clip.mkv", images(10), audio="aac")
    (folder / "s.srt").write_text(SUBTITLES)
    (folder / "font.ttf").write_bytes(b"no real font")
    (folder / "chapters.txt").write_text(
        ";FFMETADATA1\n[CHAPTER]\nTIMEBASE=1/1000\nSTART=0\nEND=200\ntitle=One\n"
        "[CHAPTER]\nTIMEBASE=1/1000\nSTART=200\nEND=400\ntitle=Two\n"
    )
    by_ffmpeg(
        "-i", clip, "-i", folder / "s.srt", "-i", folder / "chapters.txt", "-map", 0, "-map", 1, "-map_metadata", 2,
        "-attach", folder / "font.ttf", "-metadata:s:t", "mimetype=application/x-truetype-font", "-c", "copy",
        folder / "a.mkv",
    )  # fmt: skip
    return folder / "a.mkv"


def test_subtitles_chapters_and_attachments(tmp_path, caplog):
    source = rich(tmp_path)
    upscale_video(VideoFile(source), tmp_path / "b.mkv", Bicubic(), FAST)
    assert not caplog.text
    made = probe(tmp_path / "b.mkv", "-show_streams", "-show_chapters")
    assert [stream["codec_type"] for stream in made["streams"]] == ["video", "audio", "subtitle", "attachment"]
    assert [chapter["tags"]["title"] for chapter in made["chapters"]] == ["One", "Two"]
    assert float(made["chapters"][1]["start_time"]) == pytest.approx(0.2, abs=0.03)
    after = []
    for path in (source, tmp_path / "b.mkv"):
        with av.open(path) as container:
            (text,) = [packet for packet in container.demux(subtitles=0) if packet.size]
            assert bytes(text) == b"Hello"
            assert container.streams.get(3)[0].data == b"no real font"
        after.append(text.pts * text.time_base - read_clip(path)[1][0])
    assert after[0] == after[1]
    upscale_video(VideoFile(source), tmp_path / "b.mp4", Bicubic(), FAST)
    assert "stream 2, subtitle (srt), is lost: mp4 cannot hold it (.mkv can)" in caplog.text
    assert "stream 3, attachment" in caplog.text
    assert len(probe(tmp_path / "b.mp4", "-show_chapters")["chapters"]) == 2


def test_a_cover_and_a_second_video(tmp_path, caplog):
    clip = write_clip(tmp_path / "clip.mp4", images(5))
    with av.open(tmp_path / "cover.png", "w", format="image2") as output:
        stream = output.add_stream("png", rate=1)
        stream.width, stream.height, stream.pix_fmt = 32, 24, "rgb24"
        output.mux(stream.encode(av.VideoFrame.from_ndarray(images(1)[0], "rgb24")))
        output.mux(stream.encode(None))
    by_ffmpeg(
        "-i", clip, "-i", clip, "-i", tmp_path / "cover.png", "-map", 0, "-map", 1, "-map", 2, "-c", "copy",
        "-disposition:v:2", "attached_pic", "-timecode", "01:02:03:04", tmp_path / "a.mp4",
    )  # fmt: skip
    for name in ("b.mp4", "b.mkv"):
        upscale_video(VideoFile(tmp_path / "a.mp4"), tmp_path / name, Bicubic(), FAST)
        streams = probe(tmp_path / name, "-show_streams")["streams"]
        videos = [one for one in streams if one["codec_type"] == "video"]
        assert [(one["width"], one["height"]) for one in videos] == [(64, 48), (32, 24), (32, 24)]
        assert videos[2]["codec_name"] == "png"
        times = [read_clip(tmp_path / name)[1], read_clip(tmp_path / name, 1)[1]]
        assert times[0] == times[1] == [Fraction(number, 25) for number in range(5)]
        tags = {name.lower(): text for one in streams for name, text in one.get("tags", {}).items()}
        assert ("timecode" in tags) == (name == "b.mkv")
        assert ("the timecode is lost" in caplog.text) == (name == "b.mp4")
        caplog.clear()


@pytest.mark.parametrize("name", ["b.mp4", "b.mov", "b.mkv"])
def test_the_timecode(tmp_path, caplog, name):
    clip = write_clip(tmp_path / "clip.mp4", images(5))
    by_ffmpeg("-i", clip, "-c", "copy", "-timecode", "01:02:03:04", tmp_path / "a.mov")
    upscale_video(VideoFile(tmp_path / "a.mov"), tmp_path / name, Bicubic(), FAST)
    streams = probe(tmp_path / name, "-show_streams")["streams"]
    tags = {name.lower(): text for one in streams for name, text in one.get("tags", {}).items()}
    assert tags["timecode"] == "01:02:03:04"
    assert not caplog.text


def test_hdr_metadata(tmp_path, caplog):
    light = "master-display=G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,50):max-cll=1000,400"
    deep = [one.astype(np.uint16) * 257 for one in images(4, 64, 96)]
    source = write_clip(
        tmp_path / "a.mp4", deep, codec="libx265", pixel_format="yuv420p10le", matrix=9, tags=(9, 16),
        options={"x265-params": f"log-level=error:{light}"},
    )  # fmt: skip
    found = []
    for path in (source, tmp_path / "b.mp4"):
        if path != source:
            upscale_video(VideoFile(source), path, Bicubic(), Encoding("libx265", preset="ultrafast"))
        frames = probe(path, "-show_frames", "-read_intervals", "%+#1", "-show_entries", "frame=side_data_list")
        data = {one["side_data_type"]: one for one in frames["frames"][0]["side_data_list"]}
        found.append([data["Mastering display metadata"], data["Content light level metadata"]])
    assert found[0] == found[1]
    assert not caplog.text
    upscale_video(VideoFile(source), tmp_path / "b.mkv", Bicubic(), Encoding("ffv1"))
    assert "HDR mastering display and light level are lost" in caplog.text


def see_through(path, codec, pixel_format):
    """A clip whose right half is transparent; the alpha of each frame as written."""
    frames = [np.dstack([one, np.full(one.shape[:2], 255, np.uint8)]) for one in images(4, 32, 48)]
    with av.open(path, "w") as output:
        stream = output.add_stream(codec, rate=10)
        stream.width, stream.height, stream.pix_fmt = 48, 32, pixel_format
        if codec == "libvpx-vp9":
            stream.metadata["alpha_mode"] = "1"
        for pixels in frames:
            pixels[:, 24:, 3] = 0
            output.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, "rgba").reformat(format=pixel_format)))
        output.mux(stream.encode(None))
    return path


@pytest.mark.parametrize(
    ("codec", "pixel_format", "name"),
    [("libvpx-vp9", "yuva420p", "b.webm"), ("prores_ks", "yuva444p10le", "b.mov"), ("ffv1", "bgra", "b.mkv")],
)
def test_transparency(tmp_path, caplog, codec, pixel_format, name):
    source = see_through(tmp_path / f"a{name[1:]}", codec, pixel_format)
    assert VideoFile(source).facts.alpha
    upscale_video(VideoFile(source), tmp_path / name, Bicubic(), Encoding(codec), segment=3)
    assert not caplog.text
    alphas = [frame.pixels[..., 3] for frame in VideoFile(tmp_path / name).frames(0)]
    top = np.iinfo(alphas[0].dtype).max
    assert len(alphas) == 4
    for alpha in alphas:
        assert alpha.shape == (64, 96)
        assert alpha[:, :40].min() > 0.95 * top
        assert alpha[:, 56:].max() < 0.05 * top
    upscale_video(VideoFile(source), tmp_path / "c.mp4", Bicubic(), FAST)
    assert "transparency is lost; the codecs ffv1, prores_ks and libvpx-vp9 keep it" in caplog.text


@pytest.mark.parametrize(
    ("way", "name", "codec"), [("aac", "b.mp4", "aac"), ("opus", "b.mkv", "opus"), ("flac", "b.mkv", "flac")]
)
def test_audio_that_the_container_cannot_hold_is_encoded(tmp_path, way, name, codec):
    source = write_clip(
        tmp_path / "a.wmv", images(25), codec="wmv2", options={"b": "100000"}, audio="wmav2", time_base=Fraction(1, 25)
    )
    with pytest.raises(OptionError, match=r"the audio \(wmav2\) cannot be copied into .*encode it anew \(audio aac or"):
        upscale_video(VideoFile(source), tmp_path / name, Bicubic(), FAST)
    upscale_video(VideoFile(source), tmp_path / name, Bicubic(), FAST, audio=way)
    video, audio = probe(tmp_path / name, "-show_streams")["streams"]
    assert (video["codec_name"], audio["codec_name"], audio["channels"]) == ("h264", codec, 1)
    with av.open(tmp_path / name) as container:
        tone = np.concatenate([frame.to_ndarray()[0] for frame in container.decode(audio=0)]).astype(float)
        rate = container.streams.audio[0].rate
    assert len(tone) / rate == pytest.approx(1, abs=0.15)
    middle = tone[rate // 4 : rate // 4 + rate // 2]
    strongest = np.argmax(np.abs(np.fft.rfft(middle * np.hanning(len(middle))))) * rate / len(middle)
    assert strongest == pytest.approx(0.1 * 44100 / (2 * np.pi), abs=4)


def test_a_size_that_changes_is_found_in_the_first_pass(tmp_path):
    parts = [
        write_clip(tmp_path / f"{i}.ts", images(5, *size)).read_bytes() for i, size in enumerate([(64, 96), (96, 128)])
    ]
    (tmp_path / "a.ts").write_bytes(b"".join(parts))
    with pytest.raises(InputError, match=r"changes its size at frame 5, from 96×64 to 128×96; resize all frames"):
        VideoFile(tmp_path / "a.ts")
    report = upscale_video(VideoFile(tmp_path / "a.ts", resize_to_first=True), tmp_path / "b.mp4", Bicubic(), FAST)
    assert (report.width, report.height, report.frames) == (192, 128, 10)
    made = read_clip(tmp_path / "b.mp4")[0]
    assert {one.shape for one in made} == {(128, 192, 3)}
    assert np.abs(made[9].astype(int) - made[0]).mean() > 1
