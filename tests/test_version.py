"""How an extra is added, by where the package came from."""

import json

import pytest

from lsm import version


class Installed:
    """A distribution that says where it came from."""

    def __init__(self, origin: dict | None) -> None:
        self.origin = origin

    def read_text(self, name: str) -> str | None:
        assert name == "direct_url.json"
        return None if self.origin is None else json.dumps(self.origin)


def test_the_command_names_where_the_package_came_from(monkeypatch, tmp_path):
    folder = tmp_path / "a checkout"
    folder.mkdir()
    (folder / "pyproject.toml").touch()
    archive = "file:///tmp/lsm_sr-0.1.0-py3-none-any.whl"
    cases = [
        (None, '"lsm-sr[audio]"'),
        ({"url": folder.as_uri(), "dir_info": {"editable": True}}, f'-e "{folder}[audio]"'),
        ({"url": folder.as_uri(), "dir_info": {}}, f'"{folder}[audio]"'),
        ({"url": (tmp_path / "gone").as_uri(), "dir_info": {}}, '"lsm-sr[audio]"'),
        ({"url": archive, "archive_info": {}}, f'"lsm-sr[audio] @ {archive}"'),
        (
            {"url": "https://example.org/lsm", "vcs_info": {"vcs": "git", "commit_id": "1a2b"}},
            '"lsm-sr[audio] @ git+https://example.org/lsm@1a2b"',
        ),
    ]
    for origin, expected in cases:
        monkeypatch.setattr(version.metadata, "distribution", lambda name, origin=origin: Installed(origin))
        assert version.install_command("audio") == f"pip install {expected}"


def test_a_checkout_that_is_not_installed_is_installed_in_place(monkeypatch):
    def missing(name: str) -> None:
        raise version.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(version.metadata, "distribution", missing)
    command = version.install_command("audio")
    assert command.startswith('pip install -e "') and command.endswith('[audio]"')


@pytest.mark.parametrize("extra", ["audio", "dev"])
def test_pip_reads_the_command(monkeypatch, extra):
    """The requirement by address is one of PEP 508."""
    from packaging.requirements import Requirement

    archive = {"url": "file:///tmp/lsm_sr-0.1.0-py3-none-any.whl", "archive_info": {}}
    monkeypatch.setattr(version.metadata, "distribution", lambda name: Installed(archive))
    requirement = Requirement(version.install_command(extra).split('"')[1])
    assert (requirement.name, requirement.extras, requirement.url) == ("lsm-sr", {extra}, archive["url"])
