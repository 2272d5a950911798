"""Plan, apply, resume and destroy through the command line, with a terraform that does as it is told."""

import datetime
import errno
import hashlib
import json
import os
import re
import shutil
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto import mock_aws

from session_manager_fleet.cli import app as cli
from session_manager_fleet.run.folder import RunFolder
from session_manager_fleet.run.results import Status
from session_manager_fleet.run.run_lock import RunLock
from session_manager_fleet.run.summary import Summary
from session_manager_fleet.targets.model import shard_index
from session_manager_fleet.terraform import ROOT_MODULE
from session_manager_fleet.terraform.provider_search import PLATFORM, PROVIDER_SOURCE

DEV, PROD = "222233334444", "111122223333"
TERRAFORM = """
    case "$1" in
      version) echo '{"terraform_version": "1.11.4"}'; exit ;;
      init) exit ;;
      show) echo '{"resource_changes": [{"address": "a.b", "type": "a",
                   "change": {"actions": ["create"], "before": null, "after": {}}}]}' | tr -d '\\n'; exit ;;
    esac
    echo "$1 $TF_WORKSPACE $*" >>"$HOME/trace"
    if [ -e "$HOME/fail-$1-$TF_WORKSPACE" ]; then
      echo '{"type":"diagnostic","diagnostic":{"severity":"error","summary":"denied","address":"a.b"}}'
      exit 1
    fi
    if [ "$1" = plan ]; then
      for argument; do case "$argument" in -out=*) echo "$TF_WORKSPACE" >"${argument#-out=}" ;; esac; done
      exit 2
    fi
    """
Command = Callable[..., int]


@pytest.fixture
def command(
    tmp_path: Path,
    write: Callable[[str, str], Path],
    settings_file: Callable[[str], Path],
    stand_in: Callable[[str], Path],
    create_organization: Callable[[str], None],
    credentials: None,  # noqa: ARG001 - for the clients
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Command]:
    """Run a command over two accounts in two regions and two waves; nobody sits at a terminal."""
    write("accounts.yaml", f"accounts:\n  - {{id: {PROD}, name: Prod}}\n  - {{id: {DEV}, name: Dev}}\n")
    config = settings_file("waves: [{name: canary, match: {accounts: [Dev]}}, {name: everyone}]\n")
    # The stand-in makes no plans and no documents; run/test_job.py compares their content.
    monkeypatch.setattr("session_manager_fleet.run.job.refuse_other_plan", lambda *_: None)
    monkeypatch.setattr("session_manager_fleet.run.job.read_back", lambda *_: None)
    monkeypatch.setattr("session_manager_fleet.run.unseen.differences", lambda *_: ((), ()))
    path = stand_in(TERRAFORM)
    monkeypatch.setenv("PATH", f"{path.parent}:{os.environ['PATH']}")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    with mock_aws():
        create_organization("o-exampleorgid")
        boto3.client("s3", region_name="us-east-1").create_bucket(Bucket="session-manager-state-123456789012")
        yield lambda *arguments: cli.run(["-c", str(config), *arguments])


def run_folder(folder: Path) -> Path:
    return max((folder / "runs").glob("2*"))


def totals(folder: Path) -> dict[str, int]:
    counts = Summary.read(run_folder(folder) / "summary.json").totals.model_dump()
    return {status: count for status, count in counts.items() if count}


def traced(folder: Path, verb: str) -> list[str]:
    """The workspaces of all commands of a kind since the last question."""
    path = folder / "trace"
    lines = path.read_text().splitlines() if path.exists() else []
    path.unlink(missing_ok=True)
    return [line.split()[1] for line in lines if line.split()[0] == verb]


# --- A saved run -------------------------------------------------------------------------------------------------


def test_a_saved_run_is_applied_wave_by_wave_in_commands_of_its_own(command: Command, tmp_path: Path) -> None:
    assert command("plan", "--all") == 2
    run = run_folder(tmp_path).name

    assert command("apply", run, "--wave", "canary") == 0
    assert traced(tmp_path, "apply") == [DEV, f"{DEV}-us-east-1"]
    assert totals(tmp_path) == {"targets": 4, "applied": 2, "changes": 2}
    assert command("apply", run) == 0
    assert traced(tmp_path, "apply") == [PROD, f"{PROD}-us-east-1"]
    assert totals(tmp_path) == {"targets": 4, "applied": 4}
    assert command("apply", run) == 0
    assert traced(tmp_path, "apply") == []


def test_only_waves_and_shards_narrow_a_saved_run(
    command: Command, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command("plan", "--all")
    run = run_folder(tmp_path).name

    assert command("apply", run, "--account", "Dev") == 64
    assert command("apply", run, "--wave", "canari") == 64

    errors = capsys.readouterr().err
    assert "only --wave and --shard can narrow them" in errors
    assert 'No target of this run is in the wave "canari"; its waves: canary, everyone.' in errors
    assert traced(tmp_path, "apply") == []


# --- The order of the waves, across commands ---------------------------------------------------------------------


def test_a_wave_waits_for_the_ones_before_it_in_a_command_of_its_own_too(
    command: Command, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command("plan", "--all")
    run = run_folder(tmp_path).name

    assert command("apply", run, "--wave", "everyone") == 64
    message = "2 of 2 targets of the wave canary, which comes before everyone, are not done: apply that wave first."
    assert message in " ".join(capsys.readouterr().err.split())

    (tmp_path / f"fail-apply-{DEV}-us-east-1").touch()
    assert command("apply", run, "--wave", "canary") == 1
    traced(tmp_path, "apply")
    for narrowed in ([], ["--wave", "everyone"]):
        assert command("apply", run, *narrowed) == 64
        message = "1 of 2 targets of the wave canary, which comes before everyone, failed: resume the run first."
        assert message in " ".join(capsys.readouterr().err.split())
    assert traced(tmp_path, "apply") == []

    (tmp_path / f"fail-apply-{DEV}-us-east-1").unlink()
    assert command("resume", run, "--yes") == 0
    assert traced(tmp_path, "apply") == [f"{DEV}-us-east-1"]
    assert command("apply", run, "--wave", "everyone") == 0
    assert traced(tmp_path, "apply") == [PROD, f"{PROD}-us-east-1"]


def test_failures_that_an_earlier_wave_tolerates_hold_nothing_back(command: Command, tmp_path: Path) -> None:
    config = tmp_path / "organization.yaml"
    config.write_text(config.read_text().replace("{name: canary,", "{name: canary, max_failures: 50%,"))
    (tmp_path / f"fail-apply-{DEV}").touch()
    command("plan", "--all")
    run = run_folder(tmp_path).name
    assert command("apply", run, "--wave", "canary") == 1
    traced(tmp_path, "apply")

    assert command("apply", run, "--wave", "everyone") == 0

    assert traced(tmp_path, "apply") == [PROD, f"{PROD}-us-east-1"]


def test_a_wave_of_which_another_shard_is_not_done_holds_back_the_later_ones(
    command: Command, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    count = next(number for number in range(2, 9) if shard_index(DEV, number) != shard_index(PROD, number))
    command("plan", "--all")
    run = run_folder(tmp_path).name
    others = f"{shard_index(PROD, count)}/{count}"

    assert command("apply", run, "--shard", others) == 64
    assert "2 of 2 targets of the wave canary, which comes before everyone, are not done" in capsys.readouterr().err
    assert command("apply", run, "--wave", "canary") == 0
    assert command("apply", run, "--shard", others) == 0


def test_a_saved_destruction_keeps_its_order_too(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("sys.stdin.isatty", lambda: True, raising=False)
        patch.setattr("typer.prompt", lambda _question: "no")
        command("destroy", "--all")
    run, agreed = run_folder(tmp_path).name, ("--yes", "--allow-destroy")

    assert command("apply", run, "--wave", "canary", *agreed) == 64
    assert "2 of 2 targets of the wave everyone, which comes before canary, are not done" in capsys.readouterr().err
    assert command("apply", run, "--wave", "everyone", *agreed) == 0
    assert command("apply", run, "--wave", "canary", *agreed) == 0


# --- Who says no ---------------------------------------------------------------------------------------------------


def test_a_no_between_two_waves_leaves_changes_pending(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command("plan", "--all")
    run = run_folder(tmp_path).name
    with monkeypatch.context() as patch:
        patch.setattr("sys.stdin.isatty", lambda: True, raising=False)
        patch.setattr("typer.confirm", lambda _question: False)

        assert command("apply", run, "--confirm-waves") == 2
        assert traced(tmp_path, "apply") == [DEV, f"{DEV}-us-east-1"]
        assert Summary.read(run_folder(tmp_path) / "summary.json").exit_code == 2
        # The same to the question of `resume`, though nothing has been asked about single waves.
        assert command("resume", run) == 2
        assert traced(tmp_path, "apply") == []

    assert command("resume", run, "--yes") == 0
    assert traced(tmp_path, "apply") == [PROD, f"{PROD}-us-east-1"]


@pytest.mark.parametrize("verb", [["apply"], ["destroy", "--allow-destroy"]])
def test_nobody_is_asked_about_nothing(command: Command, tmp_path: Path, verb: list[str]) -> None:
    assert command(*verb, "--all", "--yes") == 0
    run = run_folder(tmp_path).name

    assert command("resume", run) == 0
    assert command("apply", run) == 0


# --- What has changed since the plan -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("file", "before", "after", "left", "reason"),
    [
        (
            "organization.yaml",
            "regions: [eu-west-1, us-east-1]",
            "regions: [eu-west-1]",
            [f"{DEV}/us-east-1", f"{PROD}/us-east-1"],
            "The settings no longer include the region us-east-1",
        ),
        (
            "accounts.yaml",
            "name: Prod}",
            "name: Prod, state: SUSPENDED}",
            [f"{PROD}/eu-west-1", f"{PROD}/us-east-1"],
            f"The account {PROD} is skipped now: the account is suspended",
        ),
        (
            "accounts.yaml",
            f"  - {{id: {PROD}, name: Prod}}\n",
            "",
            [f"{PROD}/eu-west-1", f"{PROD}/us-east-1"],
            f"The account {PROD} is no longer in the organization",
        ),
    ],
    ids=["region", "suspended", "gone"],
)
def test_what_has_left_since_the_plan_is_skipped_and_the_run_ends(
    command: Command, tmp_path: Path, file: str, before: str, after: str, left: list[str], reason: str
) -> None:
    """It counts for no tolerance: the canary tolerates no failure, and everyone is applied all the same."""
    command("plan", "--all")
    run = run_folder(tmp_path)
    path = tmp_path / file
    assert before in path.read_text()
    path.write_text(path.read_text().replace(before, after))

    assert command("apply", run.name) == 0

    summary = Summary.read(run / "summary.json")
    assert sorted(entry.key for entry in summary.targets if entry.status is Status.SKIPPED) == sorted(left)
    assert {entry.reason for entry in summary.targets if entry.reason} == {reason}
    assert (summary.totals.skipped, summary.totals.failed) == (len(left), 0)
    assert len(traced(tmp_path, "apply")) == 4 - len(left)
    assert command("resume", run.name, "--yes") == 0


def test_a_home_region_that_has_changed_since_the_plan_is_refused(command: Command, tmp_path: Path) -> None:
    config = tmp_path / "organization.yaml"
    tolerant = "max_failures: 100%"
    waves = f"waves: [{{name: canary, match: {{accounts: [Dev]}}, {tolerant}}}, {{name: everyone, {tolerant}}}]"
    config.write_text(re.sub("waves: .*", waves, config.read_text()))
    command("plan", "--all")
    run = run_folder(tmp_path)
    config.write_text(config.read_text().replace("home_region: eu-west-1", "home_region: us-east-1"))

    assert command("apply", run.name) == 1

    failures = [entry.failure for entry in Summary.read(run / "summary.json").targets if entry.failure]
    assert [failure.kind for failure in failures] == ["input"] * 4
    was = f"The home region of account {DEV} was eu-west-1 when it was planned, and is us-east-1 now; plan again."
    assert failures[0].message == was
    assert traced(tmp_path, "apply") == []


def test_what_an_apply_accepted_is_what_its_resume_compares_with(
    command: Command, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A comment in organization.yaml changes no plan; after a crash the run must not be stuck for it."""
    command("plan", "--all")
    folder = run_folder(tmp_path)
    with (tmp_path / "organization.yaml").open("a") as file:
        file.write("# a comment\n")
    assert command("apply", folder.name, "--wave", "canary") == 0
    journal = folder / "journal.jsonl"
    lines = journal.read_text().splitlines(keepends=True)
    died = next(number for number, line in enumerate(lines) if '"step":"apply","attempt"' in line)
    journal.write_text("".join(lines[: died + 1]))
    traced(tmp_path, "apply")

    assert command("resume", folder.name, "--yes") == 0
    assert traced(tmp_path, "apply") == [DEV, f"{DEV}-us-east-1"]

    with (tmp_path / "organization.yaml").open("a") as file:
        file.write("# another one\n")
    (tmp_path / f"fail-apply-{PROD}").touch()
    assert command("apply", folder.name) == 1
    with (tmp_path / "organization.yaml").open("a") as file:
        file.write("# a third one\n")
    assert command("resume", folder.name, "--yes") == 64
    assert "The configuration has changed since this run was planned" in capsys.readouterr().err


@pytest.mark.parametrize("verb", ["apply", "resume"])
def test_a_run_that_comes_from_elsewhere_is_made_private(command: Command, tmp_path: Path, verb: str) -> None:
    """The storage of a CI system, or a copy, keeps no permissions; programs stay programs."""
    (tmp_path / f"fail-plan-{PROD}").touch()
    command("plan", "--all")
    (tmp_path / f"fail-plan-{PROD}").unlink()
    folder = run_folder(tmp_path)
    program = folder / ".terraform" / "eu-west-1" / "provider"
    program.parent.mkdir(parents=True, exist_ok=True)
    program.touch()
    for path in (folder, *folder.rglob("*")):
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() or path == program else 0o644)

    assert command(verb, folder.name) in {1, 2}

    modes = {path: stat.S_IMODE(path.lstat().st_mode) for path in (folder, *folder.rglob("*")) if not path.is_symlink()}
    assert {path: mode for path, mode in modes.items() if mode & 0o077} == {}
    assert modes[program] == 0o700


@pytest.mark.parametrize("verb", ["apply", "resume"])
@pytest.mark.parametrize("name", ["journal.jsonl", f"{PROD}/eu-west-1/terraform.log", f"{PROD}/eu-west-1", "run"])
def test_a_run_with_a_link_is_refused_and_nothing_is_written_through_it(
    command: Command, tmp_path: Path, capsys: pytest.CaptureFixture[str], verb: str, name: str
) -> None:
    command("plan", "--all")
    folder = run_folder(tmp_path)
    link = folder if name == "run" else folder / name
    moved = tmp_path / "moved"
    if link.exists():
        link.rename(moved)
    else:
        moved.touch()
    link.symlink_to(moved)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file() and "bin" not in path.parts}

    assert command(verb, folder.name, "--yes") == 64

    assert "This is a link, which " in capsys.readouterr().err
    after = {path: path.read_bytes() for path in before}
    assert after == before


def test_a_run_of_another_user_is_refused(
    command: Command, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Root could change such a folder, and its owner could go on changing it, too."""
    command("plan", "--all")
    folder = run_folder(tmp_path)
    owner = folder.stat().st_uid
    monkeypatch.setattr("session_manager_fleet.run.folder._ROOT_USER", owner + 1)
    monkeypatch.setattr(os, "geteuid", lambda: owner + 1)

    assert command("apply", folder.name, "--yes") == 64

    assert "This belongs to another user" in capsys.readouterr().err


def test_targets_that_another_run_works_on_are_refused(
    command: Command, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    claim = RunLock.take(tmp_path / "runs", "20261121T000000Z-abcd", [f"{DEV}/eu-west-1"])

    assert command("plan", "--all") == 64

    error = capsys.readouterr().err
    assert "Run 20261121T000000Z-abcd is locked by process " in error
    assert f"(targets {DEV}/eu-west-1)" in error
    assert list((tmp_path / "runs").glob("2*")) == []
    claim.release()


def test_a_start_that_is_refused_leaves_nothing(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    mirror = tmp_path / "mirror"
    package = mirror / PROVIDER_SOURCE / f"terraform-provider-aws_{ROOT_MODULE.provider_version}_{PLATFORM}.zip"
    package.parent.mkdir(parents=True)
    package.touch()
    monkeypatch.setenv("TF_PLUGIN_MIRROR", str(mirror))
    monkeypatch.setattr("session_manager_fleet.run.operation._initialize", _full)

    assert command("plan", "--all") == 1

    assert re.search(r"cannot be written \(No space left on device\); nothing was started\.", capsys.readouterr().err)
    assert list((tmp_path / "runs").glob("2*")) == []
    assert list((tmp_path / "runs" / ".active").glob("*.json")) == []


def test_an_interruption_before_the_beginning_leaves_nothing(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even the log of terraform's start: nothing was wrong with that."""

    def interrupted(_binary: str, _environment: object, run: RunFolder, _site: object) -> None:
        (run.path / "init-eu-west-1.log").touch()
        raise KeyboardInterrupt

    monkeypatch.setattr("session_manager_fleet.run.operation._initialize", interrupted)

    assert command("plan", "--all") == 130

    assert list((tmp_path / "runs").glob("2*")) == []
    assert list((tmp_path / "runs" / ".active").glob("*.json")) == []


def _full(*_: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["plan", "--all", "--max-failures", "many"], "neither a number of targets nor a percentage"),
        (["plan", "--all", "--executor", "ray://a:1"], "Unknown executor"),
        (["apply", "--all", "--yes", "--max-plan-age", "1 day"], "is not a duration"),
        (["apply", "--all", "--yes", "--confirm-waves"], "Cannot ask before a wave"),
        (["apply", "--all"], "Cannot ask for confirmation: standard input is not a terminal. Use --yes"),
        (["destroy", "--all"], "Cannot ask for confirmation: standard input is not a terminal. Use --yes"),
        (["destroy", "--all", "--yes"], "add --allow-destroy"),
        (["resume", "nothing"], "There is no run here"),
        (["plan", "--all", "--executor", "dask://127.0.0.1:1"], "No Dask scheduler answers"),
        (["plan", "--all", "--timeout", "inf"], "inf is not between 1 and 86400 seconds"),
        (["plan", "--all", "--timeout", "nan"], "nan is not between 1 and 86400 seconds"),
        (["plan", "--all", "--timeout", "0"], "0 is not between 1 and 86400 seconds"),
        (["apply", "--all", "--yes", "--wave-pause", "1e10"], "1e+10 is not between 0 and 86400 seconds"),
        (["apply", "--all", "--yes", "--wave-pause", "-1"], "-1 is not between 0 and 86400 seconds"),
        (["plan", "--all", "--runs", "accounts.yaml"], "accounts.yaml' is a file"),
    ],
)
def test_what_cannot_be_done_is_refused_before_anything_is_touched(
    command: Command,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    message: str,
) -> None:
    monkeypatch.setattr("session_manager_fleet.run.executors.dask._CONNECT_SECONDS", 1)

    assert command(*arguments) == 64

    assert message in capsys.readouterr().err
    assert not (tmp_path / "trace").exists()
    assert list((tmp_path / "runs").glob("2*")) == []


def test_too_many_failures_in_all_stop_a_plan(command: Command, tmp_path: Path) -> None:
    for workspace in (DEV, f"{DEV}-us-east-1"):
        (tmp_path / f"fail-plan-{workspace}").touch()

    assert command("plan", "--all", "--debug", "--max-failures", "25%") == 1

    assert totals(tmp_path) == {"targets": 4, "failed": 2, "not_started": 2}


def test_a_saved_run_is_applied_once_however_many_apply_it(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What a run holds is read when nobody else can change it any more."""
    command("plan", "--all")
    run = run_folder(tmp_path).name
    take, first = RunLock.take, [True]

    def after_another(*arguments: Any) -> RunLock:  # noqa: ANN401
        if first.pop() if first else False:
            assert command("apply", run) == 0
        return take(*arguments)

    monkeypatch.setattr("session_manager_fleet.run.run_lock.RunLock.take", after_another)

    assert command("apply", run) == 0

    assert len(traced(tmp_path, "apply")) == 4
    assert "This run has nothing to apply." in capsys.readouterr().out


def test_a_run_at_work_is_refused_to_a_second_command(
    command: Command, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command("plan", "--all")
    run = run_folder(tmp_path).name

    with RunLock.take(tmp_path / "runs", run):
        assert command("apply", run) == 64
        assert command("resume", run) == 64

    assert capsys.readouterr().err.count(f"Run {run} is locked by process {os.getpid()} on ") == 2
    assert traced(tmp_path, "apply") == []


@pytest.mark.parametrize("verb", ["plan", "apply", "resume"])
def test_targets_are_free_after_whatever_went_wrong(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, verb: str
) -> None:
    (tmp_path / f"fail-plan-{PROD}").touch()
    command("plan", "--all")
    run = run_folder(tmp_path).name

    def broken(*_: object, **__: object) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with monkeypatch.context() as patch:
        patch.setattr("session_manager_fleet.run.operation.Operation._rollout", broken)
        assert command(*{"plan": ["plan", "--all"], "apply": ["apply", run], "resume": ["resume", run]}[verb]) == 1

    assert list((tmp_path / "runs" / ".active").glob("*.json")) == []


def seal_of(folder: Path, account: str) -> Path:
    return folder / account / "eu-west-1" / "bundle.json"


def forge(folder: Path) -> None:
    """Seal other content as `plan` would have."""
    seal = seal_of(folder, DEV)
    (seal.parent / "tfplan").write_text("another plan")
    digest = hashlib.sha256(b"another plan").hexdigest()
    content = json.loads(seal.read_text())
    seal.write_text(json.dumps({**content, "files": {**content["files"], "tfplan": digest}}, indent=2) + "\n")


def swap(folder: Path) -> None:
    """Put the bundle of one account into the folder of another, and let the journal say so."""
    shutil.rmtree(seal_of(folder, DEV).parent)
    shutil.copytree(seal_of(folder, PROD).parent, seal_of(folder, DEV).parent)
    digest = hashlib.sha256(seal_of(folder, PROD).read_bytes()).hexdigest()
    journal = folder / "journal.jsonl"
    events = [json.loads(line) for line in journal.read_text().splitlines()]
    for event in events:
        if event["event"] == "finished" and event["target"] == f"{DEV}/eu-west-1":
            event["result"]["plan_sha256"] = digest
    journal.write_text("".join(f"{json.dumps(event)}\n" for event in events))


def age(folder: Path) -> None:
    """Let a day and a minute pass since the plan, as its seal tells; whoever could write both could also plan."""
    seal = seal_of(folder, DEV)
    content = json.loads(seal.read_text())
    made = datetime.datetime.fromisoformat(content["created_at"]) - datetime.timedelta(days=1, minutes=1)
    old = hashlib.sha256(seal.read_bytes()).hexdigest()
    seal.write_text(json.dumps({**content, "created_at": made.isoformat()}))
    journal = folder / "journal.jsonl"
    journal.write_text(journal.read_text().replace(old, hashlib.sha256(seal.read_bytes()).hexdigest()))


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (forge, r"The manifest \(\S+\) was changed after the plan was made\. Plan again\."),
        (swap, f"The account has changed since the plan was made \\({PROD} then, {DEV} now\\)\\. Plan again"),
        (age, r"The plan is 24 hours old \(maximum 24 hours\)\. Plan again\."),
    ],
)
def test_a_plan_that_is_not_the_one_that_was_reviewed_is_refused(
    command: Command, tmp_path: Path, spoil: Callable[[Path], None], message: str
) -> None:
    command("plan", "--all")
    folder = run_folder(tmp_path)
    spoil(folder)

    assert command("apply", folder.name) == 1

    failed = [entry for entry in Summary.read(folder / "summary.json").targets if entry.failure]
    assert [(entry.key, entry.failure and entry.failure.kind) for entry in failed] == [(f"{DEV}/eu-west-1", "input")]
    assert re.search(message, str(failed[0].failure))
    assert DEV not in traced(tmp_path, "apply")


def test_a_plan_may_be_as_old_as_is_said(command: Command, tmp_path: Path) -> None:
    command("plan", "--all")
    folder = run_folder(tmp_path)
    age(folder)

    assert command("apply", folder.name, "--max-plan-age", "25h") == 0


# --- Little noise --------------------------------------------------------------------------------------------------


def test_quiet_shows_failures_and_the_result_only(
    command: Command, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def lines() -> list[str]:
        return [line for line in capsys.readouterr().out.splitlines() if line]

    assert command("plan", "--all", "--quiet") == 2
    run = run_folder(tmp_path).name
    config = tmp_path / "organization.yaml"
    following = f"Next, to apply these plans: session-manager-fleet -c {config} apply {run}"
    assert lines() == ["4 targets: 4 changes", f"Run {run}: runs/{run}/summary.json", following]

    (tmp_path / f"fail-apply-{DEV}").touch()
    assert command("apply", run, "--quiet") == 1
    progress, heading, *_, why, waiting, totals, _, following = lines()
    assert re.match(rf"\[1/2\] {DEV} eu-west-1 +failed", progress)
    assert heading == f"{DEV} Dev eu-west-1: apply: terraform failed"
    assert why == "  denied (a.b)"
    assert waiting == "3 not started: 1 of 2 targets failed in the wave canary."
    assert totals == "4 targets: 1 failed, 3 not started"
    assert following == f"Next, to complete this run: session-manager-fleet -c {config} resume {run}"

    (tmp_path / f"fail-apply-{DEV}").unlink()
    assert command("resume", run, "--yes", "--quiet") == 0
    assert lines() == ["4 targets: 4 applied", f"Run {run}: runs/{run}/summary.json"]
    assert command("apply", "--all", "--yes", "--quiet") == 0
    assert lines()[0] == "4 targets: 4 applied"
    assert command("resume", run, "--yes", "--quiet") == 0
    assert lines() == []


def test_who_is_asked_sees_what_about(
    command: Command, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("typer.confirm", lambda _question: False)

    assert command("apply", "--all", "--quiet") == 2

    assert "Change set 1" in capsys.readouterr().out


# --- Resume ------------------------------------------------------------------------------------------------------


def test_a_failed_apply_is_resumed_where_it_stopped(command: Command, tmp_path: Path) -> None:
    (tmp_path / f"fail-apply-{DEV}").touch()
    assert command("apply", "--all", "--yes") == 1
    assert totals(tmp_path) == {"targets": 4, "failed": 1, "not_started": 3}
    (tmp_path / f"fail-apply-{DEV}").unlink()
    (tmp_path / "trace").unlink()

    assert command("resume", run_folder(tmp_path).name, "--yes") == 0

    lines = (tmp_path / "trace").read_text().splitlines()
    assert [line.split()[:2] for line in lines] == [
        ["plan", DEV],
        ["apply", DEV],
        ["apply", f"{DEV}-us-east-1"],
        ["apply", PROD],
        ["apply", f"{PROD}-us-east-1"],
    ]
    assert totals(tmp_path) == {"targets": 4, "applied": 4}
    traced(tmp_path, "plan")
    assert command("resume", run_folder(tmp_path).name, "--yes") == 0
    assert not (tmp_path / "trace").exists()


def test_a_plan_that_writes_the_live_document_again_is_resumed_with_its_retry_token(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "session_manager_fleet.run.unseen.differences", lambda _, wanted: (("inputs.x",) if wanted else (), ())
    )
    assert command("plan", "--all") == 2
    run = run_folder(tmp_path).name
    (tmp_path / f"fail-apply-{DEV}").touch()
    assert command("apply", run) == 1
    (tmp_path / f"fail-apply-{DEV}").unlink()

    assert command("resume", run, "--yes") == 0
    assert totals(tmp_path) == {"targets": 4, "applied": 4}


def test_a_run_that_died_is_resumed_from_a_torn_journal(command: Command, tmp_path: Path) -> None:
    command("plan", "--all")
    folder = run_folder(tmp_path)
    (folder / "summary.json").unlink()
    journal = folder / "journal.jsonl"
    lines = journal.read_text().splitlines(keepends=True)
    last = max(number for number, line in enumerate(lines) if json.loads(line)["event"] == "finished")
    torn = json.loads(lines[last])["target"]
    journal.write_text("".join(lines[:last]) + lines[last][:100])
    traced(tmp_path, "plan")

    assert command("resume", folder.name) == 2

    account, region = torn.split("/")
    assert traced(tmp_path, "plan") == [account if region == "eu-west-1" else f"{account}-{region}"]
    assert totals(tmp_path) == {"targets": 4, "changes": 4}


def test_a_resumed_apply_keeps_to_its_wave(command: Command, tmp_path: Path) -> None:
    command("plan", "--all")
    run = run_folder(tmp_path).name
    (tmp_path / f"fail-apply-{DEV}").touch()
    command("apply", run, "--wave", "canary")
    (tmp_path / f"fail-apply-{DEV}").unlink()
    traced(tmp_path, "apply")

    assert command("resume", run, "--yes") == 0

    assert traced(tmp_path, "apply") == [DEV, f"{DEV}-us-east-1"]
    assert totals(tmp_path) == {"targets": 4, "applied": 2, "changes": 2}


def test_a_run_is_not_resumed_with_other_settings(
    command: Command, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / f"fail-plan-{DEV}").touch()
    command("plan", "--all")
    with (tmp_path / "organization.yaml").open("a") as file:
        file.write("# changed\n")

    assert command("resume", run_folder(tmp_path).name) == 64

    assert "The configuration has changed since this run was planned. Plan again" in capsys.readouterr().err


# --- Destroy -----------------------------------------------------------------------------------------------------


def test_destruction_goes_backwards(command: Command, tmp_path: Path) -> None:
    assert command("destroy", "--all", "--yes", "--allow-destroy") == 0

    lines = (tmp_path / "trace").read_text().splitlines()
    plans = [line for line in lines if line.startswith("plan ")]
    assert len(plans) == 4
    assert all(" -destroy " in line for line in plans)
    applies = [line.split()[1] for line in lines if line.startswith("apply ")]
    assert applies == [f"{PROD}-us-east-1", PROD, f"{DEV}-us-east-1", DEV]
    assert Summary.read(run_folder(tmp_path) / "summary.json").command == "destroy"


@pytest.mark.parametrize("verb", ["apply", "resume"])
def test_a_saved_destruction_is_confirmed_as_one(
    command: Command,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    verb: str,
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("sys.stdin.isatty", lambda: True, raising=False)
        patch.setattr("typer.prompt", lambda _question: "no")
        assert command("destroy", "--all") == 2
    run = run_folder(tmp_path).name

    assert command(verb, run) == 64
    assert command(verb, run, "--yes") == 64
    errors = capsys.readouterr().err
    assert "Cannot ask for confirmation: standard input is not a terminal. Use --yes" in errors
    assert "add --allow-destroy" in errors
    assert traced(tmp_path, "apply") == []

    with monkeypatch.context() as patch:
        patch.setattr("sys.stdin.isatty", lambda: True, raising=False)
        patch.setattr("typer.prompt", lambda _question: "yes")
        assert command(verb, run) == 2
        assert "Change set 1" in capsys.readouterr().out
        assert traced(tmp_path, "apply") == []
        patch.setattr("typer.prompt", lambda _question: "4")
        assert command(verb, run) == 0
    assert traced(tmp_path, "apply") == [f"{PROD}-us-east-1", PROD, f"{DEV}-us-east-1", DEV]


@pytest.mark.parametrize(("answer", "destroyed"), [("4", 4), ("o-exampleorgid", 4), ("yes", 0), ("3", 0)])
def test_destruction_asks_for_more_than_a_yes(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: str, destroyed: int
) -> None:
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("typer.prompt", lambda _question: answer)

    assert command("destroy", "--all") == (0 if destroyed else 2)

    assert len(traced(tmp_path, "apply")) == destroyed
