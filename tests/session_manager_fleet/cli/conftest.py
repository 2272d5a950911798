"""A project with settings and accounts, and commands that are run in this process."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto import mock_aws

from session_manager_fleet.cli.app import run

ACCOUNTS = """\
accounts:
  - {id: 100000000001, name: Management, role: management}
  - {id: 111122223333, name: Payments, ou: Workloads/Prod, tags: {data: restricted}}
  - {id: 222233334444, name: Dev, ou: Workloads/NonProd}
  - {id: 333344445555, name: Old, ou: Workloads/Prod, state: SUSPENDED}
"""


@dataclass(frozen=True)
class Outcome:
    """What a command left behind."""

    code: int
    out: str
    err: str


Command = Callable[..., Outcome]


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str]) -> Command:
    """Run a command line in this process."""

    def call(*arguments: str) -> Outcome:
        capsys.readouterr()
        code = run(list(arguments))
        captured = capsys.readouterr()
        return Outcome(code, captured.out, captured.err)

    return call


@pytest.fixture
def project(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    settings_file: Callable[[str], Path],
    write: Callable[[str, str], Path],
) -> Path:
    """A folder with settings and accounts, which is the working directory."""
    settings_file("waves: [{name: canary, match: {accounts: [Dev]}}]\n")
    write("accounts.yaml", ACCOUNTS)
    monkeypatch.chdir(tmp_path)
    return tmp_path


TERRAFORM = """
    case "$1" in
      version) echo '{"terraform_version": "1.11.4"}'; exit ;;
      init) exit ;;
      show)
        echo '{"resource_changes": [{"address": "a.b", "type": "a", "change": {"actions": ["create"], "after": {}}}]}'
        exit ;;
    esac
    echo "$1 $TF_WORKSPACE" >>"$HOME/trace"
    if [ -e "$HOME/fail-$1-$TF_WORKSPACE" ]; then
      echo '{"type":"diagnostic","diagnostic":{"severity":"error","summary":"denied","address":"a.b"}}'
      exit 1
    fi
    if [ "$1" = plan ]; then
      for argument; do case "$argument" in -out=*) echo "$TF_WORKSPACE" >"${argument#-out=}" ;; esac; done
      while [ -e "$HOME/hold" ]; do sleep 0.02; done
      [ -e "$HOME/done-$TF_WORKSPACE" ] && exit 0
      echo '{"type":"change_summary","changes":{"add":1,"change":0,"remove":0,"operation":"plan"}}'
      exit 2
    fi
    touch "$HOME/done-$TF_WORKSPACE"
    """


@pytest.fixture
def ready(
    project: Path,
    credentials: None,  # noqa: ARG001 - for the clients
    stand_in: Callable[[str], Path],
    create_organization: Callable[[str], None],
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Path]:
    """The project with a state bucket and a terraform that notes what it is asked to do."""
    # The stand-in makes no plans and no documents; run/test_job.py compares their content.
    monkeypatch.setattr("session_manager_fleet.run.job.refuse_other_plan", lambda *_: None)
    monkeypatch.setattr("session_manager_fleet.run.job.read_back", lambda *_: None)
    monkeypatch.setattr("session_manager_fleet.run.unseen.differences", lambda *_: ((), ()))
    path = stand_in(TERRAFORM)
    monkeypatch.setenv("PATH", f"{path.parent}:{os.environ['PATH']}")
    monkeypatch.setenv("HOME", str(project))
    with mock_aws():
        create_organization("o-exampleorgid")
        boto3.client("s3", region_name="us-east-1").create_bucket(Bucket="session-manager-state-123456789012")
        yield project


def trace(project: Path, verb: str) -> list[str]:
    path = project / "trace"
    lines = path.read_text().splitlines() if path.exists() else []
    return [line.split()[1] for line in lines if line.split()[0] == verb]


def last_run(project: Path) -> tuple[Path, dict[str, Any]]:
    folder = max((project / "runs").glob("2*"), key=lambda path: path.stat().st_mtime_ns)
    return folder, json.loads((folder / "summary.json").read_text())
