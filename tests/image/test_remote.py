"""Images by URL: in fsspec's memory as an object store, and in a folder as a file system with URLs."""

import errno
from pathlib import Path

import fsspec
import numpy as np
import pytest

from lsm.cli import main
from lsm.errors import OptionError
from lsm.image.io import has_alpha, read_image, write_image
from lsm.image.remote import RemotePath, any_path


@pytest.fixture(params=["memory", "file"])
def root(request: pytest.FixtureRequest, tmp_path: Path) -> RemotePath:
    return RemotePath(f"memory://{tmp_path.name}" if request.param == "memory" else f"file://{tmp_path}/store")


@pytest.fixture
def images(root: RemotePath, tmp_path: Path) -> Path:
    """The same images in a local folder and at the URL, `root`/in."""
    rng = np.random.default_rng(0)
    for name in ("a.png", "sub/b.webp", ".hidden.png", "out/c_out.png"):
        path = tmp_path / "in" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        write_image(path, rng.integers(0, 256, (20, 17, 3), dtype=np.uint8))
        (root / "in" / name).parent.mkdir()
        with (root / "in" / name).new_file() as file:
            file.write(path.read_bytes())
    return tmp_path / "in"


def run(*arguments: object) -> int:
    with pytest.raises(SystemExit) as left:
        main(["upscale", *map(str, arguments), "-n", "tiny-x2", "--device", "cpu"])
    return int(left.value.code or 0)


def test_a_folder_by_url_gives_the_bytes_of_a_local_run(root: RemotePath, images: Path) -> None:
    assert run(images, "-o", images / "out") == 0
    assert run(root / "in", "-o", root / "in/out") == 0
    made = {str(file).removeprefix(f"{root}/"): file.read_bytes() for file in (root / "in/out").files()}
    del made["in/out/c_out.png"]
    assert sorted(made) == ["in/out/a_out.png", "in/out/sub/b_out.webp"]
    for name, data in made.items():
        assert data == (images.parent / name).read_bytes()


def test_what_is_there_is_kept_skipped_or_replaced(
    root: RemotePath, images: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (root / "out").mkdir()
    with (root / "out/a_out.png").new_file() as file:
        file.write(b"mine")
    assert run(root / "in", "-o", root / "out") == 2
    assert "a_out.png exists already; use --overwrite" in capfd.readouterr().err
    assert run(root / "in", "-o", root / "out", "--skip-existing") == 0
    assert (root / "out/a_out.png").read_bytes() == b"mine"
    assert run(root / "in/a.png", "-o", root / "out/a_out.png", "--overwrite") == 0
    assert (root / "out/a_out.png").read_bytes() != b"mine"


def test_new_files_replace_nothing_unasked_and_leave_nothing_behind(root: RemotePath) -> None:
    path = root / "a/b.png"
    path.parent.mkdir()
    for content in (b"one", b"two"):
        with path.new_file() as file:
            file.write(content)
    with pytest.raises(FileExistsError) as raised, path.new_file(replace=False) as file:
        file.write(b"three")
    assert raised.value.errno == errno.EEXIST
    with pytest.raises(ZeroDivisionError), path.new_file() as file:
        file.write(b"half")
        _ = 1 / 0
    assert path.read_bytes() == b"two"
    assert root.files() == [path]


def test_a_failing_move_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type(fsspec.filesystem("file")), "mv", lambda *_: (_ for _ in ()).throw(OSError("full")))
    with pytest.raises(OSError, match="full"), RemotePath(f"file://{tmp_path}/a.png").new_file() as file:
        file.write(b"x")
    assert list(tmp_path.iterdir()) == []


def test_a_store_is_asked_once_for_a_image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = RemotePath(f"memory://{tmp_path.name}/a.jpg")
    write_image(path, np.zeros((4, 4, 3), np.uint8))
    asked, ask = [], RemotePath._ask

    def counted(self, question):
        asked.append(question)
        return ask(self, question)

    monkeypatch.setattr(RemotePath, "_ask", counted)
    assert not has_alpha(path)
    assert len(asked) == 1
    assert read_image(path).pixels.shape == (4, 4, 3)
    assert len(asked) == 2


def test_parts_of_a_url() -> None:
    path = any_path("s3://bucket/photos/")
    assert isinstance(path, RemotePath)
    assert (path / "a.b.png").stem == "a.b"
    assert (path / "sub" / "c.JPG").suffix == ".JPG"
    assert path.parent == RemotePath("s3://bucket")
    assert path / Path() == path
    assert any_path("c:/photos") == Path("c:/photos")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("nosuch://bucket/in", "cannot be used here: Protocol not known"),
        ("memory://nothing-there", "no PNG, JPEG"),
        ("file:///nothing/there", "no PNG, JPEG"),
    ],
)
def test_urls_that_cannot_be_read_are_one_line(name: str, text: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(name) == 2
    said = capfd.readouterr().err
    assert text in said
    assert said.count("\n") == 1


def test_a_missing_library_is_named() -> None:
    known = {"s3": "s3fs", "gs": "gcsfs", "abfs": "adlfs"}
    missing = [kind for kind, library in known.items() if not _installed(library)]
    if not missing:
        pytest.skip("the libraries of all stores are installed")
    with pytest.raises(OptionError, match=known[missing[0]]):
        RemotePath(f"{missing[0]}://bucket/a").exists()


def _installed(library: str) -> bool:
    import importlib.util

    return importlib.util.find_spec(library) is not None
