import io
import tarfile
import zipfile

import pytest

from lsm.data.archives import extract
from lsm.errors import InputError


def _tar(path, members, mode="w:gz"):
    """Write a tar; a member's content may be a TarInfo for links and devices."""
    with tarfile.open(path, mode) as archive:
        for name, content in members.items():
            if isinstance(content, tarfile.TarInfo):
                archive.addfile(content)
                continue
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


def _zip(path, members):
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


GOOD = {"benchmark/Set5/HR/a.png": b"a" * 100, "benchmark/Set14/HR/b.png": b"b", "__MACOSX/x": b"", "c/.DS_Store": b""}


@pytest.mark.parametrize("kind", [_tar, _zip])
def test_members_are_unpacked_without_litter(tmp_path, kind):
    archive = kind(tmp_path / "set", GOOD)
    seen = []
    files = extract(archive, tmp_path / "out", progress=lambda done, total: seen.append((done, total)))
    assert [str(path.relative_to(tmp_path / "out")) for path in files] == [
        "benchmark/Set5/HR/a.png",
        "benchmark/Set14/HR/b.png",
    ]
    assert files[0].read_bytes() == b"a" * 100
    assert seen == [(1, 2), (2, 2)]


@pytest.mark.parametrize("kind", [_tar, _zip])
def test_only_what_was_asked_for(tmp_path, kind):
    archive = kind(tmp_path / "set", GOOD)
    assert [path.name for path in extract(archive, tmp_path / "out", ["benchmark/Set14/"])] == ["b.png"]
    with pytest.raises(InputError, match="holds no files of benchmark/B100/"):
        extract(archive, tmp_path / "out", ["benchmark/B100/"])


@pytest.mark.parametrize("name", ["../evil", "a/../../evil", "/tmp/evil", "C:\\evil", "a\\..\\..\\evil", "C:/evil"])
@pytest.mark.parametrize("kind", [_tar, _zip])
def test_members_that_point_outside_are_refused(tmp_path, kind, name):
    archive = kind(tmp_path / "set", {"good.png": b"1", name: b"evil"})
    with pytest.raises(InputError, match=r"refused.*outside"):
        extract(archive, tmp_path / "deep" / "out")
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["set"]


def test_links_and_devices_are_refused(tmp_path):
    link = tarfile.TarInfo("link")
    link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
    hard = tarfile.TarInfo("hard")
    hard.type, hard.linkname = tarfile.LNKTYPE, "../../secret"
    device = tarfile.TarInfo("device")
    device.type = tarfile.CHRTYPE
    for info in (link, hard, device):
        archive = _tar(tmp_path / f"{info.name}.tar", {"a.png": b"1", info.name: info})
        with pytest.raises(InputError, match="link or a device"):
            extract(archive, tmp_path / "out")
    info = zipfile.ZipInfo("link")
    info.external_attr = 0o120777 << 16
    with zipfile.ZipFile(tmp_path / "link.zip", "w") as archive:
        archive.writestr(info, "/etc/passwd")
    with pytest.raises(InputError, match="link or a device"):
        extract(tmp_path / "link.zip", tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("kind", [_tar, _zip])
def test_damaged_archives(tmp_path, kind):
    import random

    members = {f"{i}.png": random.Random(i).randbytes(5000) for i in range(20)}
    whole = kind(tmp_path / "whole", members).read_bytes()
    (tmp_path / "cut").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "text").write_bytes(b"<html>not found</html>")
    for name in ("cut", "text"):
        with pytest.raises(InputError, match=name):
            extract(tmp_path / name, tmp_path / "out")
    spoilt = bytearray(whole)
    spoilt[3000:3010] = b"\0" * 10
    (tmp_path / "spoilt").write_bytes(spoilt)
    if kind is _zip:
        with pytest.raises(InputError, match="damaged"):
            extract(tmp_path / "spoilt", tmp_path / "out")
    assert not list((tmp_path / "out").rglob("*.part")) if (tmp_path / "out").exists() else True


def test_a_stopped_unpacking_goes_on(tmp_path):
    archive = _zip(tmp_path / "set.zip", {"a.png": b"aaaa", "b.png": b"bbbb"})
    out = tmp_path / "out"
    extract(archive, out)
    (out / "a.png").write_bytes(b"half"[:2])
    stamp = (out / "b.png").stat().st_mtime_ns
    extract(archive, out)
    assert (out / "a.png").read_bytes() == b"aaaa"
    assert (out / "b.png").stat().st_mtime_ns == stamp


def test_archives_that_inflate_are_refused_before_they_are_read_on(tmp_path, monkeypatch):
    zeros = bytes(100 << 20)
    for archive in (_zip(tmp_path / "a.zip", {}), _tar(tmp_path / "a.tar.gz", {"zeros.png": zeros})):
        if archive.suffix == ".zip":
            with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
                file.writestr("zeros.png", zeros)
        with pytest.raises(InputError, match="100 times its size"):
            extract(archive, tmp_path / "out")
    monkeypatch.setattr("lsm.data.archives.MOST_MEMBERS", 20)
    with pytest.raises(InputError, match="more than 20 files"):
        extract(_tar(tmp_path / "many.tar", {f"{i}.png": b"" for i in range(21)}), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_no_room(tmp_path, monkeypatch):
    archive = _zip(tmp_path / "set.zip", {"a.png": b"aaaa"})
    monkeypatch.setattr("lsm.data.archives.shutil.disk_usage", lambda path: type("Usage", (), {"free": 3}))
    with pytest.raises(InputError, match="unpacks to 4 bytes; 3 are free"):
        extract(archive, tmp_path / "out")
