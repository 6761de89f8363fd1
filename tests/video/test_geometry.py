"""The eight display matrices, against FFmpeg's own program and by definition."""

import shutil
import struct
import subprocess
from fractions import Fraction

import numpy as np
import pytest

av = pytest.importorskip("av", "18", reason="PyAV 18 (extra `video`) is not installed")

from clips import Bicubic, probe, read_clip, write_clip  # noqa: E402

from lsm.video.convert import upscale_video  # noqa: E402
from lsm.video.encoding import Encoding  # noqa: E402
from lsm.video.file import VideoFile  # noqa: E402
from lsm.video.geometry import orientation_of  # noqa: E402

ONE = 1 << 16
MATRICES = [(a, b, c, d) for a, b, c, d in np.ndindex(3, 3, 3, 3)]
MATRICES = [tuple(n - 1 for n in matrix) for matrix in MATRICES]
EIGHT = [(a, b, c, d) for a, b, c, d in MATRICES if abs(a * d - b * c) == 1 and abs(a) + abs(b) == 1 == abs(c) + abs(d)]


def picture():
    """Each corner of another colour, wider than high."""
    pixels = np.full((32, 48, 3), 120, np.uint8)
    pixels[:16, :24], pixels[:16, 24:], pixels[16:, :24] = (200, 40, 40), (40, 200, 40), (40, 40, 200)
    return pixels


def turned(folder, matrix, aspect=None):
    """A clip whose track header holds a matrix."""
    path = write_clip(folder / "a.mp4", [picture()] * 2, pixel_format="yuv444p", aspect=aspect)
    data = bytearray(path.read_bytes())
    head = data.index(b"tkhd") + 4 + 40
    a, b, c, d = (ONE * number for number in matrix)
    data[head : head + 36] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("matrix", EIGHT, ids=str)
def test_pixels_go_where_the_matrix_says(matrix):
    a, b, c, d = matrix
    pixels = np.arange(6 * 4, dtype=np.uint8).reshape(4, 6, 1)
    made = orientation_of(struct.pack("=9i", a * ONE, b * ONE, 0, c * ONE, d * ONE, 0, 0, 0, 1 << 30)).apply(pixels)
    places = {(a * x + c * y, b * x + d * y): pixels[y, x, 0] for y in range(4) for x in range(6)}
    left, top = min(x for x, _ in places), min(y for _, y in places)
    for (x, y), value in places.items():
        assert made[y - top, x - left, 0] == value


@pytest.mark.parametrize("matrix", EIGHT, ids=str)
def test_videos_are_turned_as_ffmpeg_turns_them(tmp_path, matrix):
    if shutil.which("ffmpeg") is None:
        pytest.skip("ffmpeg is not installed")
    source = turned(tmp_path, matrix, Fraction(4, 3))
    facts = VideoFile(source).facts
    command = ["ffmpeg", "-v", "error", "-i", str(source), "-frames:v", "1", "-f", "rawvideo", "-pix_fmt", "rgb24", "-"]
    raw = subprocess.run(command, capture_output=True, check=True).stdout
    expected = np.frombuffer(raw, np.uint8).reshape(facts.height, facts.width, 3)
    frame = next(iter(VideoFile(source).frames(0))).pixels
    assert np.abs(frame.astype(int) - expected).mean() < 4
    assert facts.aspect == (Fraction(3, 4) if matrix[0] == 0 else Fraction(4, 3))


def test_a_mirrored_and_turned_video_keeps_its_mirror(tmp_path):
    source = turned(tmp_path, (0, 1, 1, 0), Fraction(4, 3))
    upscale_video(VideoFile(source), tmp_path / "b.mp4", Bicubic(), Encoding(crf=1, pixel_format="yuv444p"))
    expected = picture().transpose(1, 0, 2).repeat(2, 0).repeat(2, 1)
    assert np.abs(read_clip(tmp_path / "b.mp4")[0][0].astype(int) - expected).mean() < 4
    stream = probe(tmp_path / "b.mp4", "-show_streams")["streams"][0]
    assert (stream["width"], stream["height"], stream["sample_aspect_ratio"]) == (64, 96, "3:4")
    assert not stream.get("side_data_list")
