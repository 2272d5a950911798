"""`states`: what has left is listed, shown, destroyed with the kept settings, and forgotten."""

from __future__ import annotations

import json
from pathlib import Path

import boto3
import pytest

from session_manager_fleet.cli import hints
from tests.session_manager_fleet.cli.conftest import Command, last_run, trace

DEV, NAME, WORKSPACE = "222233334444", "222233334444/us-east-1", "222233334444-us-east-1"
BUCKET = "session-manager-state-123456789012"
KEY = f"session-manager/us-east-1/{WORKSPACE}/terraform.tfstate"
STATE = {
    "resources": [
        {"mode": "managed", "type": "aws_kms_key", "name": "logs", "instances": [{"attributes": {"arn": "arn:key"}}]}
    ]
}


@pytest.fixture
def left(command: Command, ready: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project from which a region of an account was taken out after it was applied."""
    monkeypatch.setattr(hints, "_call", hints._Call())
    assert command("apply", "--account", "Dev", "--yes").code == 0
    boto3.client("s3", region_name="us-east-1").put_object(Bucket=BUCKET, Key=KEY, Body=json.dumps(STATE))
    path = ready / "organization.yaml"
    path.write_text(path.read_text() + "overrides: [{match: {accounts: [Dev]}, set: {regions: [eu-west-1]}}]\n")
    (ready / f"done-{WORKSPACE}").unlink()
    return ready


def test_what_has_left_is_listed_by_every_command(command: Command, left: Path) -> None:  # noqa: ARG001 - set up
    listed = command("states", "--format", "json")
    assert listed.code == 2
    [state] = json.loads(listed.out)["states"]
    assert (state["account_id"], state["region"], state["resources"]) == (DEV, "us-east-1", 1)
    assert state["reason"] == "the settings leave the region out"
    shown = command("states", "show", NAME, "--format", "json")
    assert shown.code == 0
    assert json.loads(shown.out)["states"][0]["held"] == [{"address": "aws_kms_key.logs", "id": "arn:key"}]
    assert "aws_kms_key.logs  arn:key" in command("states", "show").out
    warning = f"No target has the state of account {DEV} in us-east-1"
    for selection in ("Dev", "Payments"):
        planned = command("plan", "--account", selection)
        assert (warning in planned.out) == (selection == "Dev"), planned
    assert warning in command("plan", "--all").out


def test_a_destruction_that_failed_is_resumed_with_the_kept_settings(command: Command, left: Path) -> None:
    failing = left / f"fail-apply-{WORKSPACE}"
    failing.touch()
    destroyed = command("states", "destroy", NAME, "--yes", "--allow-destroy")
    assert destroyed.code == 1, destroyed
    assert f"{NAME}: with the settings in " in destroyed.out
    folder, summary = last_run(left)
    assert (summary["command"], [target["workspace"] for target in summary["targets"]]) == ("destroy", [WORKSPACE])
    kept = (folder / NAME / "kept.tfvars").read_text()
    assert (folder / NAME / "terraform.tfvars").read_text() == kept

    failing.unlink()
    resumed = command("resume", folder.name, "--yes", "--allow-destroy")
    assert resumed.code == 0, resumed
    assert trace(left, "apply")[-2:] == [WORKSPACE] * 2


REFUSED = [
    (["remove"], '"remove" is none of list, show, destroy and forget'),
    (["destroy"], "Name the states, as 111122223333/eu-west-1"),
    (["forget"], "Name the states, as 111122223333/eu-west-1"),
    (["show", f"{DEV}/eu-west-1"], f'No state "{DEV}/eu-west-1" without a target holds resources'),
    (["list", "--variables", "x"], "Variables belong to `states destroy` of one state"),
    (["destroy", NAME], "standard input is not a terminal"),
    (["destroy", NAME, "--yes"], "--allow-destroy"),
    (["destroy", NAME, "--variables", "accounts.yaml"], "accounts.yaml: "),
    (["forget", NAME], "standard input is not a terminal"),
]


def test_what_is_refused_and_what_is_forgotten(command: Command, left: Path) -> None:
    for arguments, message in REFUSED:
        outcome = command("states", *arguments)
        assert (outcome.code, message in " ".join(outcome.err.split())) == (64, True), outcome
    assert len(trace(left, "apply")) == 2

    assert f"{NAME}: forgotten, {KEY} was deleted" in command("states", "forget", KEY, "--yes").out
    assert command("states").code == 0
