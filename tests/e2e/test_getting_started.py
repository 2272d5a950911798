"""docs/getting-started.md, executed as it stands by a user whose environment holds PATH and HOME only."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from tests.e2e.clone import PROJECT, copy_project, running_sandbox

# The environment is installed first.
pytestmark = [pytest.mark.terraform, pytest.mark.timeout(1200)]

GUIDE = (PROJECT / "docs" / "getting-started.md").read_text(encoding="utf-8")


def blocks(number: int) -> list[str]:
    """The shell blocks of a section."""
    section = re.split(r"^## ", GUIDE, flags=re.MULTILINE)[number]
    assert section.startswith(f"{number}. ")
    return re.findall(r"```sh\n(.*?)```", section, flags=re.DOTALL)


@pytest.mark.slow
def test_the_guide_leads_to_the_first_account(tmp_path: Path) -> None:
    project = copy_project(tmp_path / "project")
    environment = {name: os.environ[name] for name in ("PATH", "HOME")}
    output = ""

    def run(script: str, expected: int = 0) -> None:
        nonlocal output
        done = subprocess.run(
            ["bash", "-c", script],
            cwd=project,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=900,
        )
        output = done.stdout + done.stderr
        assert done.returncode == expected, f"{script}\n{output}"

    [install] = blocks(1)
    run(f"set -e\n{install}")
    assert "session-manager-fleet 0.2.0" in output
    assert not list(project.glob(".venv/lib/python*/site-packages/pytest")), "the demo needs no test tools"

    with running_sandbox([str(project / ".venv" / "bin" / "session-manager-fleet")], project, environment) as file:
        start = f"source {file}; . .venv/bin/activate; set -e\n"
        [describe] = blocks(3)
        run(start + describe)
        assert "Webshop" in output
        plan, apply = blocks(4)[0].splitlines()
        run(start + plan, expected=2)
        run(start + apply)
        assert "1 target: 1 applied" in output
        run(start + blocks(5)[0])
        assert "1 target: 1 no changes" in output
