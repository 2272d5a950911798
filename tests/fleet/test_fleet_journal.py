"""The folder of a run: private, append-only, and readable again."""

from __future__ import annotations

import datetime
import json
import os
import re
import stat
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from fleet.errors import ExitCode, InputError
from fleet.journal import (
    Failure,
    RunFolder,
    SavedTarget,
    Status,
    Step,
    TargetResult,
    sha256_of,
    totals,
)
from fleet.organization import LOG_ARCHIVE, Account
from fleet.plans import ChangeSet, ResourceChange
from fleet.targets import SkippedAccount, Target
from fleet.terraform import PlanOutcome

HOME = "eu-west-1"
PAYMENTS = Account("111122223333", "Payments Prod", ou="Workloads/Prod", tags={"a": "b"})
LOGS = Account("444455556666", "Logs", ou="Security", role=LOG_ARCHIVE)
CHANGES = ChangeSet((ResourceChange("create", "aws_kms_key.this", "[null,{}]"),), ("arn",))

PLANNED = TargetResult(
    Target(PAYMENTS, HOME, HOME, "canary"),
    Status.CHANGES,
    Step.PLAN,
    PlanOutcome(changed=True, add=1),
    CHANGES,
    seconds=1.239,
    plan_sha256="ab" * 32,
)
SAME = TargetResult(
    Target(LOGS, "us-east-1", HOME),
    Status.CHANGES,
    Step.PLAN,
    PlanOutcome(changed=True, add=1),
    CHANGES,
    plan_sha256="cd" * 32,
)
FAILED = TargetResult(
    Target(LOGS, HOME, HOME),
    Status.FAILED,
    Step.PLAN,
    failure=Failure("access", "The account could not be entered.", ("Error: é",)),
)
STOPPED = TargetResult(
    Target(PAYMENTS, "us-east-1", HOME), Status.NOT_STARTED, Step.PLAN, reason="the run was interrupted"
)


@pytest.fixture(autouse=True)
def _open_umask() -> Iterator[None]:
    """Nothing may be private only because the caller's umask makes it so."""
    before = os.umask(0)
    yield
    os.umask(before)


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    return RunFolder.create(tmp_path / "runs")


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def write_summary(run: RunFolder, *results: TargetResult) -> dict[str, Any]:
    skipped = [SkippedAccount(Account("333344445555", "Old", state="SUSPENDED"), "the account is suspended")]
    path = run.write_summary(command="plan", exit_code=ExitCode.CHANGES_PENDING, results=results, skipped=skipped)
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return content


def test_every_run_has_a_private_folder_of_its_own(tmp_path: Path) -> None:
    runs = [RunFolder.create(tmp_path / "deep" / "runs") for _ in range(3)]

    assert len({run.run_id for run in runs}) == 3
    for run in runs:
        assert re.fullmatch(r"\d{8}T\d{6}Z-[0-9a-f]{4}", run.run_id)
        assert mode(run.path) == 0o700


def test_the_folders_of_targets_are_private(run: RunFolder) -> None:
    target = PLANNED.target

    paths = [run.variables(target), run.plan(target), run.plan_json(target), run.log(target)]

    assert {path.parent for path in paths} == {run.path / "111122223333" / HOME}
    assert [path.name for path in paths] == ["terraform.tfvars", "tfplan", "plan.json", "terraform.log"]
    assert mode(run.path / "111122223333") == 0o700
    assert mode(run.path / "111122223333" / HOME) == 0o700


def test_the_journal_is_private_and_only_grows(run: RunFolder) -> None:
    run.record("started", target="111122223333/eu-west-1", step="plan")
    run.record("finished", text="line\nend é")

    path = run.path / "journal.jsonl"
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    assert mode(path) == 0o600
    assert [{key: value for key, value in line.items() if key != "at"} for line in lines] == [
        {"schema_version": 1, "event": "started", "target": "111122223333/eu-west-1", "step": "plan"},
        {"schema_version": 1, "event": "finished", "text": "line\nend é"},
    ]
    moments = [datetime.datetime.fromisoformat(line["at"]) for line in lines]
    assert moments == sorted(moments)
    assert all(moment.utcoffset() == datetime.timedelta() for moment in moments)


def test_events_of_many_threads_do_not_mix(run: RunFolder) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: run.record("event", number=number, filler="x" * 5000), range(200)))

    lines = (run.path / "journal.jsonl").read_text().splitlines()
    assert sorted(json.loads(line)["number"] for line in lines) == list(range(200))


def test_the_summary(run: RunFolder) -> None:
    run.log(PLANNED.target).touch()

    summary = write_summary(run, PLANNED, SAME, FAILED, STOPPED)

    assert mode(run.path / "summary.json") == 0o600
    times = [datetime.datetime.fromisoformat(summary.pop(key)) for key in ("started_at", "finished_at")]
    assert times == sorted(times)
    targets = summary.pop("targets")
    fingerprint = CHANGES.fingerprint
    assert summary == {
        "schema_version": 1,
        "run_id": run.run_id,
        "command": "plan",
        "exit_code": 2,
        "totals": {"targets": 4, "no_changes": 0, "changes": 2, "applied": 0, "failed": 1, "not_started": 1},
        "skipped": [{"account_id": "333344445555", "account_name": "Old", "reason": "the account is suspended"}],
        "change_sets": [
            {
                "fingerprint": fingerprint,
                "targets": ["111122223333/eu-west-1", "444455556666/us-east-1"],
                "changes": [{"action": "create", "address": "aws_kms_key.this"}],
                "outputs": ["arn"],
            }
        ],
    }
    assert targets[0] == {
        "account_id": "111122223333",
        "account_name": "Payments Prod",
        "ou": "Workloads/Prod",
        "account_role": "",
        "region": "eu-west-1",
        "home_region": "eu-west-1",
        "wave": "canary",
        "workspace": "111122223333",
        "status": "changes",
        "step": "plan",
        "changes": {"changed": True, "add": 1, "change": 0, "destroy": 0},
        "fingerprint": fingerprint,
        "failure": None,
        "reason": None,
        "seconds": 1.24,
        "plan_sha256": "ab" * 32,
        "log": "111122223333/eu-west-1/terraform.log",
    }
    assert targets[1]["workspace"] == "444455556666-us-east-1"
    assert targets[2]["failure"] == {
        "kind": "access",
        "message": "The account could not be entered.",
        "diagnostics": ["Error: é"],
    }
    assert (targets[2]["log"], targets[2]["changes"], targets[2]["plan_sha256"]) == (None, None, None)
    assert targets[3]["reason"] == "the run was interrupted"
    assert [target.keys() for target in targets] == [targets[0].keys()] * 4


def test_a_saved_run_is_read_back(run: RunFolder) -> None:
    write_summary(run, PLANNED, FAILED)

    first, second = RunFolder(run.path).saved_targets()

    account = Account("111122223333", "Payments Prod", ou="Workloads/Prod")
    assert first == SavedTarget(Target(account, HOME, HOME, "canary"), Status.CHANGES, "ab" * 32, CHANGES.fingerprint)
    assert first.target.workspace == PLANNED.target.workspace
    assert (second.status, second.target.account.role, second.plan_sha256) == (Status.FAILED, LOG_ARCHIVE, "")


def test_an_unfinished_run_cannot_be_read_back(run: RunFolder, tmp_path: Path) -> None:
    for folder in (run, RunFolder(tmp_path / "absent")):
        with pytest.raises(InputError, match="it does not exist, or it was not finished"):
            folder.saved_targets()


def without(key: str) -> Callable[[dict[str, Any]], object]:
    return lambda summary: summary["targets"][0].pop(key)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda summary: summary.update(schema_version=2), "schema version 2; 1 is understood"),
        (lambda summary: summary.pop("schema_version"), "schema version None; 1 is understood"),
        (lambda summary: summary.pop("targets"), "damaged"),
        (lambda summary: summary.update(targets=[5]), "damaged"),
        (lambda summary: summary.update(targets=None), "damaged"),
        (lambda summary: summary["targets"][0].update(status="done"), "damaged"),
        (without("account_id"), "damaged"),
        (without("plan_sha256"), "damaged"),
    ],
)
def test_a_damaged_summary_is_refused(run: RunFolder, damage: Callable[[dict[str, Any]], object], message: str) -> None:
    summary = write_summary(run, PLANNED)
    damage(summary)
    (run.path / "summary.json").write_text(json.dumps(summary))

    with pytest.raises(InputError, match=message) as caught:
        run.saved_targets()

    assert caught.value.problems[0].location == str(run.path / "summary.json")


@pytest.mark.parametrize("content", [b"", b"{", b"\xff", b"[]", b"5", b"null"])
def test_what_is_no_summary_is_refused(run: RunFolder, content: bytes) -> None:
    (run.path / "summary.json").write_bytes(content)

    with pytest.raises(InputError, match=r"summary\.json: The summary "):
        run.saved_targets()


def test_totals_count_every_status() -> None:
    assert totals([PLANNED, SAME, FAILED, STOPPED]) == {
        "targets": 4,
        "no_changes": 0,
        "changes": 2,
        "applied": 0,
        "failed": 1,
        "not_started": 1,
    }
    assert set(totals([]).values()) == {0}


def test_the_digest_of_a_file(tmp_path: Path) -> None:
    path = tmp_path / "tfplan"
    path.write_bytes(b"abc")

    # The example of FIPS 180-4.
    assert sha256_of(path) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
