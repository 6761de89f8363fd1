"""The files of a public host: actions pinned, few permissions, every step a script that runs here."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
pytestmark = pytest.mark.skipif(not WORKFLOWS, reason="the files of the repository's host are not in a source archive")


def steps(workflow: dict[str, Any]) -> list[dict[str, Any]]:
    return [step for job in workflow["jobs"].values() for step in job["steps"]]


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_a_workflow_is_pinned_bounded_and_has_few_permissions(path):
    text = path.read_text(encoding="utf-8")
    workflow = yaml.safe_load(text)
    assert workflow["permissions"] == {}  # each job says what it needs
    for job in workflow["jobs"].values():
        assert job["timeout-minutes"] <= 120
        allowed = {"contents": "read", "id-token": "write", "attestations": "write", "security-events": "write"}
        assert job["permissions"].items() <= allowed.items()
    used = re.findall(r"uses: (\S+)(.*)", text)
    assert used and all(re.fullmatch(r"[\w./-]+@[0-9a-f]{40}", name) for name, _ in used), "pin actions by commit"
    assert all(re.fullmatch(r" # v\d+\.\d+\.\d+", comment) for _, comment in used), "name the version of the commit"
    for step in steps(workflow):
        if step.get("uses", "").startswith("actions/checkout@"):
            assert step["with"]["persist-credentials"] is False
        assert "${{" not in step.get("run", ""), "values go through the environment, never into a shell's text"


def test_every_command_is_a_step_of_a_script_that_runs_here():
    known = set(re.findall(r"^    ([a-z-]+)\)", (ROOT / "scripts" / "ci.sh").read_text(), flags=re.MULTILINE))
    commands = [step["run"] for path in WORKFLOWS for step in steps(yaml.safe_load(path.read_text())) if "run" in step]
    named = {command.split()[2] for command in commands if command.startswith("bash scripts/ci.sh ")}
    assert named == known
    others = {command for command in commands if not command.startswith("bash scripts/ci.sh ")}
    assert others == {'python scripts/release.py check --tag "$GITHUB_REF_NAME"'}


def test_the_matrix_is_what_the_package_says():
    matrix = yaml.safe_load((ROOT / ".github/workflows/tests.yml").read_text())["jobs"]["tests"]["strategy"]["matrix"]
    oldest = re.search(r'requires-python = ">=(\S+)"', (ROOT / "pyproject.toml").read_text())
    assert matrix["python"][0] == oldest[1] and len(matrix["python"]) == 5
    assert {name.split("-")[0] for name in matrix["os"]} == {"ubuntu", "macos", "windows"}


def test_publishing_needs_no_secret_and_only_what_was_built():
    release = yaml.safe_load((ROOT / ".github/workflows/release.yml").read_text())
    assert "secrets." not in (ROOT / ".github/workflows/release.yml").read_text()
    assert release["jobs"]["publish"]["needs"] == "build" and release["jobs"]["publish"]["environment"] == "release"
    assert not any("run" in step for step in release["jobs"]["publish"]["steps"])


def test_templates_ask_for_the_doctor():
    for name in ("bug", "quality"):
        form = yaml.safe_load((ROOT / f".github/ISSUE_TEMPLATE/{name}.yml").read_text())
        asked = [item for item in form["body"] if "lsm doctor" in item["attributes"].get("label", "")]
        assert asked and asked[0]["validations"]["required"]
