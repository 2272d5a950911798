"""The command line against the emulated organization that all tests share."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from aws_sandbox import Sandbox, default_organization
from session_manager_fleet.terraform.processes import MARKER

PROJECT = Path(__file__).resolve().parents[2]
EXAMPLE = Path(__file__).with_name("organization.yaml")


@dataclass(frozen=True)
class Finished:
    """A command that has ended."""

    code: int
    output: str
    folder: Path

    @property
    def summary(self) -> dict[str, Any]:
        """The summary of the last run that it made."""
        runs = sorted(self.folder.glob("runs/*/summary.json"), key=lambda path: path.stat().st_mtime_ns)
        summary: dict[str, Any] = json.loads(runs[-1].read_text())
        return summary

    @property
    def plain(self) -> str:
        """The output with its lines joined, so that it can be searched for sentences."""
        return re.sub(r"\s+", " ", self.output)


def run_command(arguments: list[str], folder: Path, environment: dict[str, str]) -> Finished:
    """Run rollout.py as a user does, from another folder."""
    finished = subprocess.run(
        [sys.executable, str(PROJECT / "scripts" / "rollout.py"), *arguments],
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return Finished(finished.returncode, finished.stdout, folder)


@pytest.fixture(scope="session")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """An organization for these tests alone: they configure its accounts."""
    with Sandbox.start(default_organization(), tmp_path_factory.mktemp("sandbox")) as running:
        yield running


@pytest.fixture
def rollout(sandbox: Sandbox, tmp_path: Path) -> Iterator[Callable[..., Finished]]:
    """Run rollout.py with the management account's credentials."""
    environment = {name: value for name, value in os.environ.items() if name != MARKER and not name.startswith("AWS_")}
    environment.update(sandbox.environment())

    def run(*arguments: str, config: Path = EXAMPLE) -> Finished:
        return run_command(["-c", str(config), *arguments], tmp_path, environment)

    yield run
    sandbox.clear_faults()
