"""The commands of docs/rollout.md and docs/credentials.md, as they stand there, with a stand-in for Terraform.

Those of docs/lifecycle.md are executed with Terraform: tests/e2e/test_lifecycle.py.
"""

from __future__ import annotations

import re
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from session_manager_fleet.cli import hints
from session_manager_fleet.verify import account_prerequisites
from session_manager_fleet.verify.model import ok
from tests.session_manager_fleet.cli.conftest import Command, last_run

DOCS = Path(__file__).resolve().parents[3] / "docs"
PROGRAM = "python scripts/rollout.py "
WAVES = "waves: [{name: canary, match: {accounts: [Dev]}}, {name: everyone}]\n"
# They start a cluster; tests/session_manager_fleet/run/executors plans and applies on one.
CLUSTER = ("dask scheduler", "dask worker", "DASK_", "--executor")
# They sign the digest of a run: tests/session_manager_fleet/run/test_reviewed_plan.py executes them.
SIGNED = ("RUN.digest", "ssh-keygen")
WELL = {0, 2}


@pytest.fixture(autouse=True)
def fresh_call(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hints, "_call", hints._Call())
    monkeypatch.delenv(hints.CONFIG_VARIABLE, raising=False)
    monkeypatch.setattr("session_manager_fleet.terraform.provider_search.registry_reachable", lambda: True)


def documented(page: str) -> list[str]:
    """Every command of a page's shell blocks, and of its texts where it is a whole line to type."""
    text = (DOCS / page).read_text(encoding="utf-8")
    blocks = "\n".join(re.findall(r"```(?:sh|bash)\n(.*?)```", text, flags=re.DOTALL))
    lines = [shlex.join(shlex.split(line, comments=True)) for line in blocks.splitlines()]
    inline = [found for found in re.findall(r"`(rollout\.py [a-z][^`]*)`", text) if "…" not in found]
    return [line for line in [*lines, *(f"python scripts/{found}" for found in inline)] if line]


def test_every_command_of_the_page_about_rollouts(
    command: Command, ready: Path, settings_file: Callable[[str], Path]
) -> None:
    settings_file(WAVES)
    run_id, executed = "", []
    for line in documented("rollout.md"):
        if any(word in line for word in (*CLUSTER, *SIGNED)):
            continue
        assert line.startswith(PROGRAM), line
        if "--shard" in line and " plan " in line:
            # One of the jobs; the others plan their shards.
            for index in range(1, 11):
                command("plan", "--all", "--shard", f"{index}/10", "--runs", f"jobs/{index}")
            (ready / "shards").mkdir()
            for run in ready.glob("jobs/*/2*"):
                shutil.copytree(run, ready / "shards" / f"{run.parent.name}-{run.name}")
        words = [
            word
            for part in shlex.split(line.removeprefix(PROGRAM))
            for word in ([str(path) for path in ready.glob("shards/*")] if part == "shards/*" else [part])
        ]
        digest = ""
        if "SHA256" in words:
            _, summary = last_run(ready)
            digest = summary["digest"]
        words = [{"RUN": run_id, "SHA256": digest}.get(word, word) for word in words]
        if "apply" in words or "destroy" in words or "resume" in words:
            words += ["--yes", *(["--allow-destroy"] if "destroy" in words else [])]
        outcome = command(*words)
        assert outcome.code in WELL, f"{line}\n{outcome}"
        executed.append(words[words.index("organization.yaml") + 1] if "-c" in words else words[0])
        if executed[-1] in {"plan", "merge"}:
            run_id = last_run(ready)[0].name
            for path in ready.glob("done-*"):
                path.unlink()
    assert {"plan", "report", "apply", "resume", "merge", "unlock", "destroy"} <= set(executed)


@pytest.mark.usefixtures("ready")
def test_every_command_of_the_page_about_credentials(
    command: Command, settings_file: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    # moto answers neither for nodes nor for AWS Config; tests/e2e/test_doctor.py asks the emulated organization.
    monkeypatch.setattr(account_prerequisites, "nodes", lambda *_: ok("nodes", "There are none."))
    settings_file("defaults: {config_rule: {enabled: false}}\n")
    lines = documented("credentials.md")
    assert lines == [f"{PROGRAM}doctor --all"]
    outcome = command(*shlex.split(lines[0].removeprefix(PROGRAM)))
    assert outcome.code in WELL | {1}, outcome
    # Whose credentials, how long they are valid, and what they reach.
    printed = " ".join((outcome.out + outcome.err).split())
    for found in ("arn:aws:sts::123456789012:user/moto", "session-manager-state-123456789012", "can be assumed"):
        assert found in printed
