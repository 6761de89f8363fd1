"""A model hub on this machine, with the paths, headers and errors of the real one, in memory."""

import base64
import functools
import hashlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlparse

import pytest

COMMIT = "c" * 40
OLD = "0" * 40


class Hub:
    """Repositories as {name: {revision: {path: bytes}}}, and what was asked for."""

    def __init__(self):
        self.repositories = {}
        self.requests = []

    def add(self, repository, path, content, revision="main"):
        self.repositories.setdefault(repository, {}).setdefault(revision, {})[path] = content


def handler_of(hub):
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *arguments):
            pass

        def answer(self, status, body=b"", **headers):
            self.send_response(status)
            for name, value in {"Content-Length": str(len(body)), **headers}.items():
                self.send_header(name.replace("_", "-"), value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        def say(self, value, status=200):
            self.answer(status, json.dumps(value).encode(), Content_Type="application/json")

        def refuse(self, code):
            self.answer(404, X_Error_Code=code, X_Error_Message=code)

        def do_GET(self):
            path = unquote(urlparse(self.path).path)
            hub.requests.append((self.command, path))
            asked = path.removeprefix("/api/models/").removesuffix("/revision/main")
            if path.startswith("/api/models/") and asked in hub.repositories:  # before an upload, in huggingface-hub 0
                return self.say({"id": asked, "xetEnabled": False})
            name, _, rest = path.strip("/").partition("/resolve/")
            revision, _, file = rest.partition("/")
            if name not in hub.repositories:
                return self.refuse("RepoNotFound")
            revisions = {COMMIT: "main", OLD: "v1"}
            files = hub.repositories[name].get(revisions.get(revision, revision))
            if files is None:
                return self.refuse("RevisionNotFound")
            commit = OLD if revisions.get(revision, revision) == "v1" else COMMIT
            if file not in files:
                return self.answer(404, X_Error_Code="EntryNotFound", X_Repo_Commit=commit)
            digest = hashlib.sha256(files[file]).hexdigest()
            return self.answer(200, files[file], ETag=f'"{digest}"', X_Repo_Commit=commit, Accept_Ranges="bytes")

        do_HEAD = do_GET

        def do_POST(self):
            path = urlparse(self.path).path
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            hub.requests.append(("POST", path))
            if path == "/api/repos/create":
                asked = json.loads(body)
                name = f"{asked.get('organization') or 'me'}/{asked['name']}"
                hub.repositories.setdefault(name, {"main": {}})
                return self.say({"url": f"http://{self.headers['Host']}/{name}", "name": name})
            if path == "/api/validate-yaml":
                return self.say({"errors": [], "warnings": []})
            name, _, action = path.removeprefix("/api/models/").rpartition("/main")[0].rpartition("/")
            if name not in hub.repositories:
                return self.refuse("RepoNotFound")
            if action == "preupload":
                files = [{"path": file["path"], "uploadMode": "regular", "shouldIgnore": False}
                         for file in json.loads(body)["files"]]  # fmt: skip
                return self.say({"files": files})
            for line in map(json.loads, body.splitlines()):
                if line["key"] == "file":
                    hub.add(name, line["value"]["path"], base64.b64decode(line["value"]["content"]))
            url = f"http://{self.headers['Host']}/{name}/commit/{COMMIT}"
            return self.say({"success": True, "commitOid": COMMIT, "commitUrl": url, "hookOutput": ""})

    return Handler


def set_address(monkeypatch, address):
    """Let huggingface-hub find files at an address; version 0 keeps a copy of the template where it downloads."""
    for module in ("constants", "file_download"):
        name = f"huggingface_hub.{module}.HUGGINGFACE_CO_URL_TEMPLATE"
        monkeypatch.setattr(name, address + "/{repo_id}/resolve/{revision}/{filename}", raising=False)


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """A running hub that huggingface-hub takes for the real one, with a cache of its own."""
    pytest.importorskip("huggingface_hub")
    from huggingface_hub import constants

    state = Hub()
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler_of(state))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setattr(constants, "ENDPOINT", address)
    state.set_address = functools.partial(set_address, monkeypatch)
    state.set_address(address)
    monkeypatch.setattr("huggingface_hub.utils._http.time.sleep", lambda seconds: None)  # between its own attempts
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_TELEMETRY", True)
    yield state
    server.shutdown()
    server.server_close()
