import hashlib
import http.server
import json
import threading

import numpy as np
import pytest

from lsm.data.catalog import CATALOG, Archive, find_entry
from lsm.data.download import Patience, check, fetch
from lsm.errors import InputError, OptionError

CONTENT = np.random.default_rng(0).bytes(300_000)
QUICK = Patience(attempts=3, pause=0.01, timeout=5)


class Behaviour:
    """What the server does wrong, and what it was asked."""

    def __init__(self):
        self.content = CONTENT
        self.etag = '"one"'
        self.drops = []  # bytes after which the connection of each answer is dropped
        self.statuses = []  # error codes of the first answers
        self.ranges = True
        self.announced = None  # a lie about the length
        self.requests = []


@pytest.fixture
def behaviour():
    return Behaviour()


@pytest.fixture
def server(behaviour):
    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            asked = self.headers.get("Range")
            behaviour.requests.append(asked)
            if behaviour.statuses:
                self.send_error(behaviour.statuses.pop(0))
                return
            start = 0
            unchanged = self.headers.get("If-Range") in (None, behaviour.etag)
            if asked and behaviour.ranges and unchanged:
                start = int(asked.removeprefix("bytes=").rstrip("-"))
                if start >= len(behaviour.content):
                    self.send_error(416)
                    return
            body = behaviour.content[start:]
            self.send_response(206 if start else 200)
            self.send_header("Content-Length", str(behaviour.announced or len(body)))
            if start:
                total = len(behaviour.content)
                self.send_header("Content-Range", f"bytes {start}-{total - 1}/{total}")
            if behaviour.etag:
                self.send_header("ETag", behaviour.etag)
            self.end_headers()
            cut = behaviour.drops.pop(0) if behaviour.drops else None
            self.wfile.write(body[:cut])
            self.close_connection = True

        def log_message(self, *args):
            pass

    instance = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=instance.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{instance.server_address[1]}"
    instance.shutdown()
    thread.join()
    instance.server_close()


def _archive(server, **known):
    return Archive(f"{server}/set.zip", **known)


def _hashes(content=CONTENT):
    return {"sha256": hashlib.sha256(content).hexdigest(), "md5": hashlib.md5(content).hexdigest()}


def test_a_whole_file(server, behaviour, tmp_path):
    seen = []
    path, sha256 = fetch(
        _archive(server, size=len(CONTENT), **_hashes()),
        tmp_path,
        lambda done, total: seen.append((done, total)),
        QUICK,
    )
    assert path.read_bytes() == CONTENT
    assert sha256 == _hashes()["sha256"]
    assert seen[-1] == (len(CONTENT), len(CONTENT))
    assert [file.name for file in tmp_path.iterdir()] == ["set.zip"]
    fetch(_archive(server, **_hashes()), tmp_path, patience=QUICK)
    assert len(behaviour.requests) == 1


def test_dropped_connections_are_resumed(server, behaviour, tmp_path):
    behaviour.drops = [100_000, 50_000, 1]
    path, _ = fetch(_archive(server, **_hashes()), tmp_path, patience=QUICK)
    assert path.read_bytes() == CONTENT
    assert behaviour.requests[0] is None
    starts = [int(asked.removeprefix("bytes=").rstrip("-")) for asked in behaviour.requests[1:]]
    assert starts == [100_000, 150_000, 150_001]


def test_another_run_goes_on_where_one_gave_up(server, behaviour, tmp_path):
    behaviour.drops = [120_000, 0, 0, 0, 0]
    with pytest.raises(InputError, match="120,000 bytes are kept"):
        fetch(_archive(server, **_hashes()), tmp_path, patience=QUICK)
    assert not (tmp_path / "set.zip").exists()
    behaviour.drops = []
    behaviour.requests.clear()
    path, _ = fetch(_archive(server, **_hashes()), tmp_path, patience=QUICK)
    assert path.read_bytes() == CONTENT
    assert behaviour.requests == ["bytes=120000-"]


def test_a_file_that_changed_meanwhile_begins_anew(server, behaviour, tmp_path):
    behaviour.drops = [120_000, 0, 0]
    with pytest.raises(InputError):
        fetch(_archive(server), tmp_path, patience=QUICK)
    behaviour.content, behaviour.etag = CONTENT[::-1], '"two"'
    path, _ = fetch(_archive(server, **_hashes(CONTENT[::-1])), tmp_path, patience=QUICK)
    assert path.read_bytes() == CONTENT[::-1]


@pytest.mark.parametrize("etag", ['"one"', None])
def test_servers_that_cannot_resume_begin_anew(server, behaviour, tmp_path, etag):
    behaviour.ranges, behaviour.etag = False, etag
    behaviour.drops = [100_000, 200_000]
    path, _ = fetch(_archive(server, **_hashes()), tmp_path, patience=QUICK)
    assert path.read_bytes() == CONTENT


def test_a_beginning_that_is_no_beginning_is_thrown_away(server, behaviour, tmp_path):
    (tmp_path / "set.zip.part").write_bytes(b"x" * 400_000)
    note = {"url": f"{server}/set.zip", "validator": '"one"'}
    (tmp_path / "set.zip.part.json").write_text(json.dumps(note))
    path, _ = fetch(_archive(server, **_hashes()), tmp_path, patience=QUICK)
    assert path.read_bytes() == CONTENT
    assert behaviour.requests == ["bytes=400000-", None]


def test_a_truncated_file_is_not_taken(server, behaviour, tmp_path):
    behaviour.announced = len(CONTENT) + 1000
    with pytest.raises(InputError, match="cannot be downloaded"):
        fetch(_archive(server), tmp_path, patience=QUICK)
    assert not (tmp_path / "set.zip").exists()


@pytest.mark.parametrize(
    ("known", "message"),
    [
        ({"sha256": "0" * 64}, "another file than the published one: SHA-256"),
        ({"md5": "0" * 32}, "another file than the published one: MD5"),
        ({"size": 5}, "300,000 bytes; 5 are published"),
    ],
)
def test_another_file_than_published_is_deleted(server, tmp_path, known, message):
    with pytest.raises(InputError, match=message):
        fetch(_archive(server, **known), tmp_path, patience=QUICK)
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_lies_there_is_checked_too(server, tmp_path):
    (tmp_path / "set.zip").write_bytes(b"something else")
    with pytest.raises(InputError, match="another file"):
        fetch(_archive(server, **_hashes()), tmp_path, patience=QUICK)
    assert (tmp_path / "set.zip").read_bytes() == b"something else"


def test_errors_of_the_server(server, behaviour, tmp_path):
    behaviour.statuses = [503, 500]
    assert fetch(_archive(server), tmp_path, patience=QUICK)[0].read_bytes() == CONTENT
    behaviour.statuses = [404]
    with pytest.raises(InputError, match="404"):
        fetch(Archive(f"{server}/other.zip"), tmp_path, patience=QUICK)
    assert len(behaviour.requests) == 4


def test_no_server_and_no_room(server, tmp_path, monkeypatch):
    with pytest.raises(InputError, match="cannot be downloaded"):
        fetch(Archive("http://127.0.0.1:1/set.zip"), tmp_path, patience=Patience(2, 0.01, 1))
    with pytest.raises(OptionError, match="http"):
        fetch(Archive("file:///etc/passwd"), tmp_path)
    with pytest.raises(InputError, match="are free"):
        fetch(_archive(server, size=1 << 60), tmp_path, patience=QUICK)


def test_check_returns_the_hash(tmp_path):
    (tmp_path / "a").write_bytes(CONTENT)
    assert check(tmp_path / "a", Archive("http://h/a")) == _hashes()["sha256"]


def test_the_catalog():
    names = [entry.name for entry in CATALOG]
    assert {"DIV2K", "Flickr2K", "Set5", "Set14", "B100", "Urban100", "Manga109"} <= set(names)
    for entry in CATALOG:
        assert entry.licence
        assert [bool(entry.archives), bool(entry.parts), bool(entry.how_to_get)].count(True) == 1
        for archive in entry.archives:
            assert archive.url.startswith(("http://", "https://"))
            assert archive.md5 is None or len(archive.md5) == 32
            assert archive.sha256 is None or len(archive.sha256) == 64
    assert find_entry("bsds100").name == "B100"
    assert find_entry("div2k").name == "DIV2K"
    with pytest.raises(OptionError, match="Did you mean 'Flickr2K'"):
        find_entry("flicker2k")
