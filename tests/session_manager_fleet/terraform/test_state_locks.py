"""State locks: who holds them, since when, and the commands that release one, which are shown and never run."""

import datetime
import json
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from moto import mock_aws

from session_manager_fleet.accounts.model import Account, Organization
from session_manager_fleet.aws import new_session
from session_manager_fleet.cli import app as cli
from session_manager_fleet.errors import AccessError, ExitCode
from session_manager_fleet.targets.model import Target
from session_manager_fleet.terraform.backend import StateBackend
from session_manager_fleet.terraform.state_locks import Lock, read_locks, release_commands

HOME, OTHER = "eu-west-1", "us-east-1"
BUCKET = "session-manager-state-123456789012"
BACKEND = StateBackend(BUCKET, "us-east-1", "session-manager")
ACCOUNT = Account("111122223333", "Payments Prod", ou="Workloads/Prod")
TARGETS = [Target(ACCOUNT, HOME, HOME), Target(ACCOUNT, OTHER, HOME)]
CONTENT = {
    "ID": "83c0b8e1-d95e-ac6c-a49a-70ddc3ee8cf1",
    "Operation": "OperationTypeApply",
    "Info": "",
    "Who": "ci@runner-7",
    "Version": "1.11.4",
    "Created": "2026-11-21T20:00:00.123456789Z",
    "Path": f"{BUCKET}/session-manager/us-east-1/111122223333-us-east-1/terraform.tfstate",
}
SINCE = datetime.datetime(2026, 11, 21, 20, 0, 0, 123456, datetime.UTC)


@pytest.fixture
def lock(
    credentials: None,  # noqa: ARG001 - they are in the environment
    create_organization: Callable[[str], None],
) -> Iterator[Callable[..., None]]:
    """Put an object beside the state of a target."""
    with mock_aws():
        s3 = new_session("us-east-1").client("s3")
        s3.create_bucket(Bucket=BUCKET)
        create_organization("o-exampleorgid")

        def put(target: Target, body: str, name: str = "terraform.tfstate.tflock") -> None:
            s3.put_object(Bucket=BUCKET, Key=f"session-manager/{target.region}/{target.workspace}/{name}", Body=body)

        yield put


def test_a_lock_says_who_holds_it_and_since_when(lock: Callable[..., None]) -> None:
    for target in TARGETS:
        lock(target, "{}", "terraform.tfstate")
    lock(TARGETS[1], json.dumps(CONTENT))

    (found,) = read_locks(BACKEND, TARGETS)

    assert found == Lock(TARGETS[1], CONTENT["ID"], "ci@runner-7", "OperationTypeApply", SINCE)
    assert str(found.age(SINCE + datetime.timedelta(hours=2, seconds=1.5))) == "2:00:01"


@pytest.mark.usefixtures("lock")
def test_where_nothing_is_locked_nothing_is_found() -> None:
    assert read_locks(BACKEND, TARGETS) == []


def test_locks_of_other_targets_are_left_out(lock: Callable[..., None]) -> None:
    lock(TARGETS[1], json.dumps(CONTENT))

    assert read_locks(BACKEND, TARGETS[:1]) == []


@pytest.mark.parametrize(
    ("created", "since"),
    [
        ("2026-11-21T20:00:00.123456789", SINCE),
        ("2026-11-21T22:00:00.123456+02:00", SINCE),
        ("2026-11-21", SINCE.replace(hour=0, microsecond=0)),
    ],
)
def test_the_time_of_a_lock_is_in_utc(lock: Callable[..., None], created: str, since: datetime.datetime) -> None:
    lock(TARGETS[0], json.dumps({**CONTENT, "Created": created}))

    (found,) = read_locks(BACKEND, TARGETS)

    assert (found.since, found.since.tzinfo) == (since, datetime.UTC)


@pytest.mark.parametrize(
    "body",
    [
        *("", "{", "[]", "{}", '{"ID": "1", "Who": "me", "Operation": "x", "Created": "?"}'),
        '{"ID": "1", "Who": "me", "Operation": "x", "Created": "0001-01-01T00:00:00+14:00"}',
    ],
)
def test_a_lock_that_cannot_be_read_is_a_lock(lock: Callable[..., None], body: str) -> None:
    lock(TARGETS[0], body)

    (found,) = read_locks(BACKEND, TARGETS)

    assert (found.target, found.lock_id, found.who) == (TARGETS[0], "", "unknown")
    assert datetime.datetime.now(datetime.UTC) - found.since < datetime.timedelta(minutes=1)


@pytest.mark.usefixtures("credentials")
def test_a_bucket_that_cannot_be_read_is_reported() -> None:
    with mock_aws(), pytest.raises(AccessError, match=r"Cannot read the locks in the state bucket .*NoSuchBucket"):
        read_locks(BACKEND, TARGETS)


def test_the_commands_are_for_exactly_this_state() -> None:
    found = Lock(TARGETS[1], "83c0 $(id)", "me", "OperationTypePlan", SINCE)

    initialize, unlock = release_commands(found, BACKEND)

    assert shlex.split(initialize) == [
        *("terraform", "init", "-reconfigure", f"-backend-config=bucket={BUCKET}", "-backend-config=region=us-east-1"),
        *("-backend-config=key=terraform.tfstate", "-backend-config=use_lockfile=true"),
        *("-backend-config=encrypt=true", "-backend-config=workspace_key_prefix=session-manager/us-east-1"),
    ]
    assert shlex.split(unlock) == ["TF_WORKSPACE=111122223333-us-east-1", "terraform", "force-unlock", "83c0 $(id)"]


def test_the_lock_of_a_state_that_does_not_exist_is_deleted_by_the_command(lock: Callable[..., None]) -> None:
    lock(TARGETS[1], json.dumps({**CONTENT, "Operation": "init"}))
    (found,) = read_locks(BACKEND, TARGETS)

    (command,) = release_commands(found, BACKEND)

    words = shlex.split(command)
    assert words[:5] == ["aws", "s3api", "delete-object", "--region", "us-east-1"]
    given = dict(zip(words[5::2], words[6::2], strict=True))
    new_session("us-east-1").client("s3").delete_object(Bucket=given["--bucket"], Key=given["--key"])
    assert read_locks(BACKEND, TARGETS) == []


# --- The command -------------------------------------------------------------------------------------------------


@pytest.fixture
def config(settings_file: Callable[[str], Path], organization: Organization, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("session_manager_fleet.targets.inventory._discover", lambda *_, **__: organization)
    return settings_file("")


def test_the_command_shows_locks_and_releases_none(
    lock: Callable[..., None], config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lock(TARGETS[1], json.dumps(CONTENT))
    lock(TARGETS[1], "{}", "terraform.tfstate")

    assert cli.run(["-c", str(config), "unlock", "--account", "111122223333"]) == ExitCode.DONE

    shown = capsys.readouterr().out
    assert "111122223333 Payments Prod us-east-1\n" in shown
    assert "locked by ci@runner-7 for " in shown
    assert "since 2026-11-21 20:00:00 UTC (OperationTypeApply)\n" in shown
    assert (
        "  TF_WORKSPACE=111122223333-us-east-1 terraform force-unlock 83c0b8e1-d95e-ac6c-a49a-70ddc3ee8cf1\n" in shown
    )
    left = new_session("us-east-1").client("s3").list_objects_v2(Bucket=BUCKET)["Contents"]
    assert [entry["Key"].rpartition("/")[2] for entry in left] == ["terraform.tfstate", "terraform.tfstate.tflock"]


def test_the_command_says_when_nothing_is_locked(
    lock: Callable[..., None], config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run(["-c", str(config), "unlock", "--account", "111122223333"]) == ExitCode.DONE
    assert "No state is locked (2 targets checked)." in capsys.readouterr().out

    lock(TARGETS[0], "broken")
    assert cli.run(["-c", str(config), "unlock", "--all"]) == ExitCode.DONE
    shown = capsys.readouterr().out
    assert "The lock cannot be read" in shown
    assert "force-unlock" not in shown


def test_nothing_in_a_lock_reaches_the_terminal_or_a_command_unseen(
    lock: Callable[..., None], config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    hostile = {
        "ID": "1; \x1b]0;owned\x07\nrm -rf ~",
        "Who": "me\x1b[2J\n  rm -rf / [bold]",
        "Operation": "x\u202ey",
        "Created": "2026-11-21T20:00:00",
    }
    lock(TARGETS[0], json.dumps({**CONTENT, **hostile}))

    assert cli.run(["-c", str(config), "unlock", "--account", "111122223333"]) == ExitCode.DONE

    shown = capsys.readouterr().out
    assert r"locked by me\x1b[2J\n  rm -rf / [bold] for " in shown
    assert r"since 2026-11-21 20:00:00 UTC (x\u202ey)" in shown
    assert r"The lock id 1; \x1b]0;owned\x07\nrm -rf ~ was not written by Terraform" in shown
    assert not {letter for letter in shown if not letter.isprintable()} - {"\n"}
    assert "force-unlock" not in shown
