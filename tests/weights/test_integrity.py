"""The weights of the package against their recorded SHA-256."""

import shutil
import subprocess

import pytest

from lsm.cli import main
from lsm.weights import integrity


def verify() -> int:
    with pytest.raises(SystemExit) as left:
        main(["doctor", "--verify"])
    return left.value.code or 0


def test_the_weights_of_the_package_are_the_recorded_ones(capsys):
    assert verify() == 0, "changed on purpose? python scripts/weights.py"
    lines = capsys.readouterr().out.splitlines()[1:]
    assert len(lines) == len(list(integrity.FOLDER.glob("*.safetensors"))) > 6
    assert all("as recorded" in line for line in lines)


@pytest.mark.skipif(shutil.which("sha256sum") is None, reason="sha256sum is not installed")
def test_sha256sum_agrees():
    done = subprocess.run(["sha256sum", "--check", "--strict", "--quiet", integrity.SUMS], cwd=integrity.FOLDER)
    assert done.returncode == 0


def test_damaged_missing_and_foreign_files_are_named(tmp_path, monkeypatch, capsys):
    for name in ("a", "b", "c"):
        (tmp_path / f"{name}.safetensors").write_bytes(name.encode())
    (tmp_path / integrity.SUMS).write_text(integrity.write_sums(tmp_path))
    assert all(check.good for check in integrity.verify_embedded(tmp_path))
    (tmp_path / "a.safetensors").write_bytes(b"A")
    (tmp_path / "b.safetensors").unlink()
    (tmp_path / "d.safetensors").write_bytes(b"d")
    checks = {check.name: check for check in integrity.verify_embedded(tmp_path)}
    said = {name[0]: check.description.split(":")[0] for name, check in checks.items()}
    assert said == {"a": "differs", "b": "missing", "c": "as recorded", "d": "not recorded"}
    assert [check.good for check in checks.values()] == [False, False, True, False]
    monkeypatch.setattr("lsm.weights.integrity.verify_embedded", lambda: list(checks.values()))
    assert verify() == 1
    assert "differs" in capsys.readouterr().out
