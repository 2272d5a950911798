"""The nightly verification of GitHub and GitLab: its scripts, with a stand-in for the program, and its permissions."""

import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

PROJECT = Path(__file__).resolve().parents[2]
GITHUB = PROJECT / ".github" / "workflows" / "nightly-verify.yml"
GITLAB = PROJECT / ".gitlab" / "nightly-verify.yml"
# Makes a run as verify does, and notes how it is called.
PYTHON = """#!/bin/sh
echo "$*" >>called
case " $* " in
  *" verify "*)
    mkdir -p runs/20261126T032300Z-ab12
    echo {} >runs/20261126T032300Z-ab12/verification.json
    exit "$VERDICT" ;;
  *) echo "critical: preferences, in 1 target"; echo "2 targets: 30 ok, 1 finding (1 critical)" ;;
esac
"""


def document(path: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return loaded


def steps() -> dict[str, dict[str, Any]]:
    return {step.get("name", step.get("uses")): step for step in document(GITHUB)["jobs"]["verify"]["steps"]}


def execute(folder: Path, script: str, **variables: str) -> int:
    (folder / "bin").mkdir(exist_ok=True)
    python = folder / "bin" / "python"
    python.write_text(PYTHON)
    python.chmod(0o755)
    environment = {"PATH": f"{folder / 'bin'}:{os.environ['PATH']}", "CONFIG": "organization.yaml", **variables}
    return subprocess.run(["bash", "-e", "-c", script], cwd=folder, env=environment, check=False).returncode


@pytest.mark.parametrize("verdict", ["0", "1", "2"])
def test_github_tells_how_much_is_wrong_and_fails(tmp_path: Path, verdict: str) -> None:
    output, summary = tmp_path / "output", tmp_path / "summary"

    code = execute(
        tmp_path, steps()["verify"]["run"], VERDICT=verdict, GITHUB_OUTPUT=str(output), GITHUB_STEP_SUMMARY=str(summary)
    )

    assert code == 0
    assert output.read_text().splitlines() == [f"code={verdict}", "run=20261126T032300Z-ab12"]
    assert summary.read_text() == "2 targets: 30 ok, 1 finding (1 critical)\n"
    assert (execute(tmp_path, steps()["verdict"]["run"], CODE=verdict) == 0) == (verdict == "0")


def test_github_shows_findings_in_code_scanning_where_it_is_asked_for(tmp_path: Path) -> None:
    script = steps()["findings for code scanning"]
    (upload,) = [step for name, step in steps().items() if "upload-sarif" in name]

    assert execute(tmp_path, script["run"], RUN="20261126T032300Z-ab12") == 0
    assert (tmp_path / "called").read_text() == (
        f"scripts/rollout.py report 20261126T032300Z-ab12 --format sarif --output {upload['with']['sarif_file']}\n"
    )
    assert script["if"] == upload["if"]
    assert "vars.VERIFY_CODE_SCANNING == 'true'" in script["if"]


@pytest.mark.parametrize("verdict", ["0", "1", "2"])
def test_gitlab_fails_with_the_exit_code_of_verify(tmp_path: Path, verdict: str) -> None:
    (script,) = document(GITLAB)["nightly-verify"]["script"]

    assert execute(tmp_path, script, VERDICT=verdict) == int(verdict)
    assert (tmp_path / "called").read_text().splitlines() == [
        "scripts/rollout.py -c organization.yaml verify --all --format junit --output verify.xml",
        "scripts/rollout.py report 20261126T032300Z-ab12 --format html --output report.html",
    ]


def test_the_job_has_few_permissions_and_pinned_actions() -> None:
    workflow = document(GITHUB)
    job = workflow["jobs"]["verify"]

    assert workflow["permissions"] == {"contents": "read"}
    writes = {name for name, access in job["permissions"].items() if access == "write"}
    assert writes == {"id-token", "security-events"}
    used = [step["uses"] for step in job["steps"] if "uses" in step]
    assert all(re.fullmatch(r"[\w-]+/[\w-]+(/[\w-]+)?@[0-9a-f]{40}", action) for action in used)
    # The secret reaches one step, and no expression is expanded within a script.
    assert [name for name, step in steps().items() if "secrets." in str(step)] == ["verify"]
    assert not [step for step in job["steps"] if "${{" in step.get("run", "")]
    assert "upload-artifact" not in GITHUB.read_text(encoding="utf-8")
    assert document(GITLAB)["nightly-verify"]["artifacts"]["access"] == "maintainer"
