"""A rollout that is killed again and again ends where an undisturbed one does, and does nothing twice."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from fleet.processes import MARKER
from fleet.sandbox import Sandbox

PROJECT = Path(__file__).resolve().parents[2]
EXAMPLE = Path(__file__).with_name("organization.yaml")
TARGETS = 12
KILLS = 10

# A terraform whose resources are lines of a file. Like the real one it locks its state, refuses a stale plan, and saves
# what it has done so far when it is interrupted. It notes when it is asked to apply where there is nothing to do.
STAND_IN = """#!@PYTHON@ -S
import json, os, signal, sys, time
from pathlib import Path

RESOURCES = 4
states = Path("@STATES@")
verb, workspace = sys.argv[1], os.environ.get("TF_WORKSPACE", "")
state, lock = states / workspace, states / f"{workspace}.lock"


def note(text):
    with (states / "notes").open("a") as file:
        file.write(f"{text} {workspace}\\n")


def resources():
    return state.read_text().splitlines() if state.is_file() else []


if verb == "version":
    print('{"terraform_version": "1.11.4"}')
elif verb == "show":
    change = {"actions": ["create"], "before": None, "after": {"tags": {}}}
    left = range(len(Path(sys.argv[-1]).read_text().splitlines()), RESOURCES)
    print(json.dumps({"resource_changes": [{"address": f"a.b[{n}]", "type": "a", "change": change} for n in left]}))
elif verb in ("plan", "apply"):
    interrupted = []
    signal.signal(signal.SIGINT, lambda *_: interrupted.append(1))
    for _ in range(600):
        try:
            lock.mkdir()
            break
        except FileExistsError:
            time.sleep(0.05)
    else:
        sys.exit("Error acquiring the state lock")
    done, code = resources(), 0
    if verb == "plan":
        [out] = [argument[5:] for argument in sys.argv if argument.startswith("-out=")]
        Path(out).write_text("".join(f"{line}\\n" for line in done))
        code = 2 if len(done) < RESOURCES else 0
    else:
        if Path(sys.argv[-1]).read_text().splitlines() != done:
            note("stale")
            code = 1
        elif len(done) == RESOURCES:
            note("needless")
        while not code and len(done) < RESOURCES:
            time.sleep(0.15)
            done.append(f"resource {len(done)}")
            note("create")
            state.write_text("".join(f"{line}\\n" for line in done))
            code = 1 if interrupted else 0
    lock.rmdir()
    sys.exit(code)
"""


@dataclass
class Killable:
    """Starts rollout.py, and kills it at a moment of an apply."""

    folder: Path
    config: Path
    environment: dict[str, str]
    random: random.Random
    kills: int = 0

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        return subprocess.run(
            self._command(arguments),
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )

    def kill(self, run_id: str, *arguments: str) -> None:
        """Start a command and kill it a while after it has begun to apply; it may be faster."""
        before = self.applies(run_id)
        with subprocess.Popen(
            self._command(arguments),
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        ) as process:
            while process.poll() is None and self.applies(run_id) == before:
                time.sleep(0.02)
            time.sleep(self.random.uniform(0, self.delay))
            if process.poll() is None:
                process.send_signal(signal.SIGKILL)
                self.kills += 1

    delay: float = 1.0

    def applies(self, run_id: str) -> int:
        """How many applies the journal of a run has seen begin."""
        journal = self.folder / "runs" / run_id / "journal.jsonl"
        return journal.read_text().count('"step":"apply","attempt"') if journal.exists() else 0

    def summary(self, run_id: str) -> dict[str, Any]:
        content: dict[str, Any] = json.loads((self.folder / "runs" / run_id / "summary.json").read_text())
        return content

    def _command(self, arguments: tuple[str, ...]) -> list[str]:
        return [sys.executable, str(PROJECT / "scripts" / "rollout.py"), "-c", str(self.config), *arguments]


@pytest.fixture
def killable(sandbox: Sandbox, tmp_path: Path) -> Callable[..., Killable]:
    """Commands over all accounts and regions, with as little in each target as possible."""
    settings = yaml.safe_load(EXAMPLE.read_text())
    settings = {key: settings[key] for key in ("schema_version", "organization")}
    settings["defaults"] = {"preferences": {"drift_repair": {"enabled": False}}, "config_rule": {"enabled": False}}
    # This account has a policy of that name already.
    settings["overrides"] = [{"match": {"accounts": ["Legacy"]}, "set": {"instance_policy": {"enabled": False}}}]
    config = tmp_path / "organization.yaml"
    config.write_text(yaml.safe_dump(settings))
    environment = {name: value for name, value in os.environ.items() if name != MARKER and not name.startswith("AWS_")}
    environment.update(sandbox.environment())

    def make(path: str = "", seed: int = 7) -> Killable:
        own = {"PATH": f"{path}:{environment['PATH']}"} if path else {}
        return Killable(tmp_path, config, {**environment, **own}, random.Random(seed))  # noqa: S311 - moments, no secrets

    return make


def test_ten_kills_of_an_apply_with_a_stand_in(killable: Callable[..., Killable], tmp_path: Path) -> None:
    states = tmp_path / "states"
    states.mkdir()
    binary = tmp_path / "bin" / "terraform"
    binary.parent.mkdir()
    binary.write_text(STAND_IN.replace("@PYTHON@", sys.executable).replace("@STATES@", str(states)))
    binary.chmod(0o755)
    commands = killable(str(binary.parent))

    while commands.kills < KILLS:
        for path in states.iterdir():
            path.unlink()
        planned = commands.run("plan", "--all", "--workers", "4", "--quiet")
        assert planned.returncode == 2, planned.stdout + planned.stderr
        run_id = max(path.name for path in (tmp_path / "runs").iterdir() if path.name[0] != ".")
        targets = commands.summary(run_id)["totals"]["targets"]
        assert targets >= TARGETS

        commands.kill(run_id, "apply", run_id, "--workers", "3")
        while commands.kills < KILLS and commands.applies(run_id) and "end" not in last_event(tmp_path, run_id):
            commands.kill(run_id, "resume", run_id, "--yes", "--workers", "3")
        finished = commands.run("resume", run_id, "--yes", "--workers", "4")

        assert finished.returncode == 0, finished.stdout + finished.stderr
        totals = commands.summary(run_id)["totals"]
        assert totals["applied"] + totals["no_changes"] == targets
        notes = (states / "notes").read_text().splitlines()
        assert [line for line in notes if line.startswith(("needless", "stale"))] == []
        assert len(notes) == 4 * targets
        assert list(states.glob("*.lock")) == []
        assert list((tmp_path / "runs" / ".active").glob("*.json")) == []


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_ten_kills_of_an_apply(killable: Callable[..., Killable], sandbox: Sandbox, tmp_path: Path) -> None:
    commands = killable()
    commands.delay = 8.0
    planned = commands.run("plan", "--all", "--quiet")
    assert planned.returncode == 2, planned.stdout + planned.stderr
    run_id = max(path.name for path in (tmp_path / "runs").iterdir() if path.name[0] != ".")
    assert commands.summary(run_id)["totals"]["changes"] == TARGETS

    commands.kill(run_id, "apply", run_id)
    while commands.kills < KILLS and "end" not in last_event(tmp_path, run_id):
        commands.kill(run_id, "resume", run_id, "--yes")
    finished = commands.run("resume", run_id, "--yes")
    assert finished.returncode == 0, finished.stdout + finished.stderr

    again = commands.run("plan", "--all", "--quiet")
    assert again.returncode == 0, again.stdout + again.stderr
    done: set[str] = set()
    for event in map(json.loads, (tmp_path / "runs" / run_id / "journal.jsonl").read_text().splitlines()):
        if event["event"] == "started":
            assert event["target"] not in done
        elif event["event"] == "finished" and event["result"]["status"] in {"applied", "no_changes"}:
            done.add(event["target"])
    assert len(done) == TARGETS
    state = sandbox.session(sandbox.organization.management_account_id, "eu-west-1").client("s3")
    keys = {entry["Key"] for entry in state.list_objects_v2(Bucket=sandbox.state_bucket)["Contents"]}
    assert not any(key.endswith(".tflock") for key in keys)


def last_event(folder: Path, run_id: str) -> str:
    """The kind of the last event in the journal of a run; empty where a kill tore it."""
    line = (folder / "runs" / run_id / "journal.jsonl").read_text().splitlines()[-1]
    return str(json.loads(line)["event"]) if line.endswith("}") else ""
