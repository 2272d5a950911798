"""The README's commands, executed as they stand there, against the organization that `rollout.py sandbox` keeps."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.clone import PROJECT, copy_project, running_sandbox

pytestmark = pytest.mark.terraform

README = (PROJECT / "README.md").read_text(encoding="utf-8")


def commands_of(section: str) -> list[str]:
    """The lines of all shell blocks of a section."""
    _, _, rest = README.partition(f"# {section}\n")
    assert rest, f"The README has no section {section}."
    body = re.split(r"^#+ ", rest, maxsplit=1, flags=re.MULTILINE)[0]
    return [line for block in re.findall(r"```sh\n(.*?)```", body, flags=re.DOTALL) for line in block.splitlines()]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of the project with an environment that is ready."""
    copy = copy_project(tmp_path / "project")
    (copy / ".venv").symlink_to(sys.prefix)
    return copy


@pytest.fixture
def environment_file(project: Path) -> Iterator[Path]:
    """Keep an organization running as the README says; return the file to source."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    with running_sandbox([sys.executable, "scripts/rollout.py"], project, environment) as file:
        yield project / file


def run(project: Path, environment_file: Path, command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-c", f"source {environment_file}; . .venv/bin/activate; {command}"],
        cwd=project,
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )


def test_the_commands_of_the_readme_work(project: Path, environment_file: Path) -> None:
    commands = [*commands_of("Use it"), *commands_of("One account by hand")]
    assert len(commands) >= 8
    for command in commands:
        finished = run(project, environment_file, command)
        # A plan that found changes, and a check with findings, say so with their exit code.
        expected = {0, 2} if " plan " in command or " verify " in command else {0}
        assert finished.returncode in expected, f"{command}\n{finished.stdout}\n{finished.stderr}"
    assert "No changes." in finished.stdout
    fmt = run(project, environment_file, "terraform fmt -check -recursive accounts")
    assert fmt.returncode == 0, fmt.stdout
    assert len(list((project / "accounts").glob("*/*.tfvars"))) == 9


def test_the_first_screen_shows_both_commands() -> None:
    first_screen = README.splitlines()[:20]
    assert any(line.startswith("make demo") for line in first_screen)
    assert any(line.startswith("make test") for line in first_screen)


def test_links_lead_somewhere() -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        assert target.startswith("https://") or (PROJECT / target).exists(), target
