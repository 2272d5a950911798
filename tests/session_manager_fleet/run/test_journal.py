"""The folder of a run: private, append-only, and a journal that tells everything again, whenever it ended."""

import datetime
import json
import os
import re
import resource
import stat
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from session_manager_fleet.accounts.model import LOG_ARCHIVE, Account
from session_manager_fleet.changes.change_set import AttributeChange, ChangeSet, PlanOutcome, ResourceChange
from session_manager_fleet.errors import ExitCode, InputError
from session_manager_fleet.preferences.compare import DocumentChange
from session_manager_fleet.run.folder import JOURNAL, SUMMARY, JournalError, RunFolder, find_run
from session_manager_fleet.run.journal import Beginning
from session_manager_fleet.run.results import Failure, Status, Step, TargetKey, TargetResult
from session_manager_fleet.run.summary import Summary
from session_manager_fleet.targets.model import SkippedAccount, Target

HOME = "eu-west-1"
PAYMENTS = Account("111122223333", "Payments Prod", ou="Workloads/Prod")
LOGS = Account("444455556666", "Logs", ou="Security", role=LOG_ARCHIVE)
CHANGES = ChangeSet(
    (ResourceChange("create", "aws_kms_key.this", (AttributeChange("tags", None, {"a": ["b", 1, None]}),)),), ("arn",)
)

PLANNED = TargetResult.build(
    Target(PAYMENTS, HOME, HOME, "canary"),
    Status.CHANGES,
    Step.PLAN,
    PlanOutcome(changed=True, add=1),
    CHANGES,
    seconds=1.25,
    plan_sha256="ab" * 32,
    preview=(DocumentChange("inputs.idleSessionTimeout", "60", "20"),),
)
SAME = TargetResult.build(
    Target(LOGS, "us-east-1", HOME),
    Status.CHANGES,
    Step.PLAN,
    PlanOutcome(changed=True, add=1),
    CHANGES,
    plan_sha256="cd" * 32,
)
FAILED = TargetResult.build(
    Target(LOGS, HOME, HOME),
    Status.FAILED,
    Step.PLAN,
    failure=Failure("access", "The account could not be entered.", ("Error: é",)),
    attempts=3,
)
STOPPED = TargetResult.build(
    Target(PAYMENTS, "us-east-1", HOME), Status.NOT_STARTED, Step.PLAN, reason="the run was interrupted"
)
ALL = (PLANNED, SAME, FAILED, STOPPED)
BEGINNING = Beginning(
    command="plan",
    organization_id="o-exampleorgid",
    configuration_sha256="ef" * 32,
    shard="1/2",
    shards=(1, 2),
    tolerances={"canary": 0, "rest": "5%"},
    targets=tuple(TargetKey.of(result.target) for result in ALL),
    skipped=(SkippedAccount(account_id="333344445555", account_name="Old", reason="the account is suspended"),),
    warnings=("Look at this.",),
)


@pytest.fixture(autouse=True)
def _open_umask() -> Iterator[None]:
    """Nothing may be private only because the caller's umask makes it so."""
    before = os.umask(0)
    yield
    os.umask(before)


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    folder = RunFolder.create(tmp_path / "runs")
    folder.begin(BEGINNING)
    return folder


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def events(run: RunFolder) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run.path / JOURNAL).read_text(encoding="utf-8").splitlines()]


# --- The folder --------------------------------------------------------------------------------------------------


def test_every_run_has_a_private_folder_of_its_own(tmp_path: Path) -> None:
    runs = [RunFolder.create(tmp_path / "deep" / "runs") for _ in range(3)]

    assert len({run.run_id for run in runs}) == 3
    for run in runs:
        assert re.fullmatch(r"\d{8}T\d{6}Z-[0-9a-f]{4}", run.run_id)
        assert mode(run.path) == 0o700


def test_the_folders_and_files_of_targets_are_private(run: RunFolder) -> None:
    run.keep(PLANNED.target, {"tfplan": b"\x00\xff"})

    folder = run.target_folder(PLANNED.target)
    assert folder == run.path / "111122223333" / HOME
    assert (mode(folder), mode(folder.parent), mode(folder / "tfplan")) == (0o700, 0o700, 0o600)
    assert (folder / "tfplan").read_bytes() == b"\x00\xff"


def test_a_run_is_found_by_its_id_and_by_its_path(run: RunFolder) -> None:
    assert find_run(run.run_id, run.path.parent).path == run.path
    assert find_run(str(run.path), Path("/nowhere")).path == run.path
    with pytest.raises(InputError, match="There is no run here"):
        find_run("20261121T000000Z-abcd", run.path.parent).read()


# --- Writing -----------------------------------------------------------------------------------------------------


def test_the_journal_is_private_and_only_grows(run: RunFolder) -> None:
    run.started(PLANNED.target, Step.PLAN, 1)
    run.end(ExitCode.CHANGES_PENDING)

    assert mode(run.path / JOURNAL) == 0o600
    begin, started, end = events(run)
    assert {entry["schema_version"] for entry in (begin, started, end)} == {1}
    assert (begin["event"], begin["command"], begin["pid"]) == ("begin", "plan", os.getpid())
    assert (started["event"], started["target"], started["step"]) == ("started", "111122223333/eu-west-1", "plan")
    assert (end["event"], end["exit_code"]) == ("end", 2)
    moments = [datetime.datetime.fromisoformat(entry["at"]) for entry in (begin, started, end)]
    assert moments == sorted(moments)
    assert all(moment.utcoffset() == datetime.timedelta() for moment in moments)


def test_a_change_set_of_many_targets_is_written_once(run: RunFolder) -> None:
    run.finished(PLANNED)
    run.finished(SAME)

    assert [entry["event"] for entry in events(run)] == ["begin", "change_set", "finished", "finished"]


def test_events_of_many_threads_do_not_mix(run: RunFolder) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: run.started(PLANNED.target, Step.PLAN, number), range(200)))

    assert sorted(entry["attempt"] for entry in events(run)[1:]) == list(range(200))


def test_every_event_is_on_the_disk_before_the_run_goes_on(run: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []
    fsync = os.fsync

    def noted(handle: int) -> None:
        fsync(handle)
        sizes.append(os.fstat(handle).st_size)

    monkeypatch.setattr(os, "fsync", noted)
    run.started(PLANNED.target, Step.PLAN, 1)

    assert sizes == [(run.path / JOURNAL).stat().st_size]


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """Let no file grow beyond a size, as on a full disk: the last write is short, the next one fails."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("room", [0, 1, 20, 200])
def test_a_full_disk_is_told_in_a_sentence_and_leaves_no_part_of_an_event(run: RunFolder, room: int) -> None:
    run.finished(PLANNED)
    path = run.path / JOURNAL
    before = path.read_bytes()

    message = r"journal\.jsonl cannot be written \(File too large\); .* Free disk space there, then resume\."
    with largest_file(len(before) + room), pytest.raises(JournalError, match=message) as raised:
        run.finished(FAILED)

    assert raised.value.next_command == ("resume", str(run.path))

    assert path.read_bytes() == before
    # What was at work meanwhile ends, when there is room again: its event is not lost, and nothing is damaged.
    run.finished(replace(SAME, change_set=None))
    state = run.read()
    assert [result.status for result in state.results] == [Status.CHANGES] * 2 + [Status.NOT_STARTED] * 2
    assert state.torn_lines == 0


def test_a_change_set_that_could_not_be_written_is_told_with_the_next_target(run: RunFolder) -> None:
    with largest_file((run.path / JOURNAL).stat().st_size + 20), pytest.raises(JournalError):
        run.finished(PLANNED)

    run.finished(SAME)

    assert run.read().results[1] == SAME


def test_an_event_after_a_torn_one_has_a_line_of_its_own(run: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where not even the part of an event can be taken back, it costs nothing but itself."""
    run.finished(PLANNED)
    monkeypatch.setattr(os, "ftruncate", lambda *_: None)
    with largest_file((run.path / JOURNAL).stat().st_size + 20), pytest.raises(JournalError):
        run.finished(FAILED)

    run.finished(replace(SAME, change_set=None))
    run.end(ExitCode.TARGET_FAILED)

    state = run.read()
    assert [result.status for result in state.results] == [Status.CHANGES] * 2 + [Status.NOT_STARTED] * 2
    assert state.torn_lines == 1
    assert "The journal holds 1 incomplete line, left by a crash or a full disk;" in run.write_summary().warnings[-1]


def test_a_folder_that_cannot_be_made_is_told_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("in the way")

    with pytest.raises(JournalError, match=r"/runs.* cannot be written \(Not a directory\); nothing was started"):
        RunFolder.create(tmp_path / "runs")


# --- Reading -----------------------------------------------------------------------------------------------------


def test_results_come_back_as_they_were(run: RunFolder) -> None:
    for result in (SAME, PLANNED, FAILED):
        run.finished(result)
    run.end(ExitCode.TARGET_FAILED)

    state = run.read()

    assert state.results == [PLANNED, SAME, FAILED, replace(STOPPED, reason="the run ended before")]
    assert state.results[0].change_set is state.results[1].change_set
    assert state.beginning == BEGINNING
    assert state.exit_code == 1
    assert state.finished_at is not None
    assert state.started_at <= state.finished_at


def test_an_apply_keeps_what_the_plan_found(run: RunFolder) -> None:
    run.finished(PLANNED)
    run.started(PLANNED.target, Step.APPLY, 1)
    run.finished(TargetResult.build(PLANNED.target, Status.APPLIED, Step.APPLY, seconds=2.0, verified=True))

    assert run.read().results[0] == replace(
        PLANNED, status=Status.APPLIED, step=Step.APPLY, seconds=3.25, verified=True
    )


@pytest.mark.parametrize("step", list(Step))
def test_a_step_without_an_end_is_unfinished(run: RunFolder, step: Step) -> None:
    run.finished(PLANNED)
    run.started(PLANNED.target, step, 1)

    [result, *_] = run.read().results

    assert result == replace(PLANNED, status=Status.UNFINISHED, step=step)


def test_an_apply_that_was_begun_is_indeterminate_until_one_succeeds(run: RunFolder) -> None:
    run.finished(PLANNED)
    assert run.read().indeterminate == set()
    run.started(PLANNED.target, Step.APPLY, 1)
    run.started(PLANNED.target, Step.PLAN, 2)
    assert run.read().indeterminate == {PLANNED.target.key}
    run.finished(replace(PLANNED, status=Status.APPLIED, step=Step.APPLY))
    assert run.read().indeterminate == set()


def test_a_last_line_that_a_crash_tore_is_left_out(run: RunFolder) -> None:
    run.finished(PLANNED)
    path = run.path / JOURNAL
    whole = path.read_bytes()
    for length in (1, 30, 200):
        path.write_bytes(whole + whole.splitlines(keepends=True)[-1][:-1][:length])
        assert run.read().results[0] == PLANNED

    run.begin(BEGINNING)
    run.finished(SAME)

    assert path.read_bytes().startswith(whole)
    state = run.read()
    assert (state.results[:2], state.torn_lines) == ([PLANNED, SAME], 1)


def test_torn_lines_are_skipped_wherever_they_are(run: RunFolder) -> None:
    run.finished(PLANNED)
    path = run.path / JOURNAL
    begin, *others = path.read_bytes().splitlines(keepends=True)
    torn = others[0][:70] + b"\n"
    path.write_bytes(b"".join([begin, torn, b"\x00\xff\n", *others, b"\n"]))

    state = run.read()

    assert (state.results[0], state.torn_lines) == (PLANNED, 3)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda lines: lines[:0], "There is no run here"),
        (lambda lines: ["{}", *lines], "damaged"),
        (lambda lines: ["nonsense", *lines], "damaged"),
        (lambda lines: lines[1:], "damaged"),
        (lambda lines: [lines[0].replace('"schema_version":1', '"schema_version":2')], "schema version 2; 1 is supp"),
        (lambda lines: [lines[0], lines[2].replace('"region":"eu-west-1"', '"region":"eu-west-9"')], "damaged"),
        (lambda lines: [*lines, "{}", *lines], "damaged"),
        (lambda lines: [*lines, "17", *lines], "damaged"),
        (lambda lines: [*lines, "[" * 200_000], "damaged"),
        (lambda lines: [*lines, "9" * 5_000], "damaged"),
        (lambda lines: [lines[0].replace('"1/2"', '"1/' + "9" * 5_000 + '"')], r"damaged \(shard is not valid\)"),
        (
            lambda lines: [lines[0].replace('"tolerances":{', '"tolerances":{"other":"x%",')],
            "tolerances.* is not valid",
        ),
        (lambda lines: [lines[0].replace('"tolerances":{', '"tolerances":{"a/..":1,')], "tolerances.* is not valid"),
        (lambda lines: [lines[0].replace("ef" * 32, "../../x")], "configuration_sha256 is not valid"),
        (lambda lines: [lines[0].replace('"command":"plan"', '"command":"\\u001b[31m"')], "command is not valid"),
        (lambda lines: [*lines, lines[2].replace("ab" * 32, "../../x")], "damaged"),
        (lambda lines: [*lines, lines[1].replace('"address":"', '"address":"x')], "does not have its fingerprint"),
        (lambda lines: [lines[0], lines[2].replace('"status":"changes"', '"status":"done"')], "damaged"),
    ],
)
def test_a_damaged_journal_is_refused(run: RunFolder, damage: Any, message: str) -> None:  # noqa: ANN401
    run.finished(PLANNED)
    path = run.path / JOURNAL
    path.write_text("".join(f"{line}\n" for line in damage(path.read_text().splitlines())))

    with pytest.raises(InputError, match=message) as caught:
        run.read()

    assert re.fullmatch(rf"{re.escape(str(path))}:[0-9]+|{re.escape(str(run.path))}", caught.value.problems[0].location)


def test_a_later_command_says_what_it_works_on(run: RunFolder) -> None:
    run.begin(BEGINNING.model_copy(update={"command": "apply", "wave": "canary", "shard": "2/2", "targets": ()}))

    state = run.read()

    assert (state.beginning.command, state.beginning.wave, state.beginning.shard) == ("apply", "canary", "2/2")
    assert state.first == BEGINNING
    assert len(state.results) == 4
    assert {result.wave for result in state.scope} <= {"canary"}


# --- The summary -------------------------------------------------------------------------------------------------


def test_the_summary_is_what_the_journal_tells(run: RunFolder) -> None:
    for result in (PLANNED, SAME, FAILED, STOPPED):
        run.finished(result)
    (run.target_folder(PLANNED.target) / "terraform.log").touch()
    run.end(ExitCode.TARGET_FAILED)

    summary = run.write_summary()

    assert mode(run.path / SUMMARY) == 0o600
    assert Summary.read(run.path / SUMMARY) == summary
    assert (summary.run_id, summary.command, summary.exit_code, summary.shard) == (run.run_id, "plan", 1, "1/2")
    assert (summary.totals.targets, summary.totals.changes, summary.totals.failed) == (4, 2, 1)
    assert [entry.key for entry in summary.targets] == [result.key for result in ALL]
    assert summary.targets[0].log == "111122223333/eu-west-1/terraform.log"
    assert summary.targets[1].log is None
    assert [entry.targets for entry in summary.change_sets] == [("111122223333/eu-west-1", "444455556666/us-east-1")]
    assert summary.skipped == BEGINNING.skipped
    assert summary.warnings == ("Look at this.",)


def test_an_unfinished_run_has_a_summary_too(run: RunFolder) -> None:
    run.finished(PLANNED)
    run.started(FAILED.target, Step.PLAN, 1)

    summary = run.summarize(run.read())

    assert not summary.finished
    assert [entry.status for entry in summary.targets] == [
        Status.CHANGES,
        Status.NOT_STARTED,
        Status.UNFINISHED,
        Status.NOT_STARTED,
    ]
