"""What was deleted or disabled outside Terraform: said in the review, with the commands that rescue it."""

from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from moto import mock_aws

from session_manager_fleet.run.refusals import Place
from session_manager_fleet.run.vanished import find_vanished

HOME = "eu-west-1"
ADDRESS = "module.preferences[0].aws_kms_key.logs[0]"


@pytest.fixture
def kms(credentials: None) -> Iterator[Any]:  # noqa: ARG001 - in the environment
    with mock_aws():
        yield boto3.client("kms", region_name=HOME)


def place() -> Place:
    return Place("123456789012", HOME, lambda: boto3.Session(region_name=HOME))


def plan(kind: str, before: dict[str, Any], *, after: dict[str, Any] | None = None) -> dict[str, Any]:
    actions = ["update"] if after else ["delete"]
    drift = {"address": ADDRESS, "type": kind, "change": {"actions": actions, "before": before, "after": after}}
    created = {"address": ADDRESS, "type": kind, "change": {"actions": ["create"], "before": None, "after": {}}}
    return {"resource_drift": [drift], "resource_changes": [] if after else [created]}


def test_a_key_whose_deletion_is_pending_is_rescued_by_the_commands_of_the_note(kms: Any) -> None:  # noqa: ANN401
    arn = kms.create_key()["KeyMetadata"]["Arn"]
    kms.schedule_key_deletion(KeyId=arn.rpartition("/")[2])

    (found,) = find_vanished(plan("aws_kms_key", {"arn": arn}), place())

    assert found.can_be_rescued
    assert found.note.startswith(f"{ADDRESS} is PendingDeletion outside Terraform, and the plan creates another key. ")
    commands = found.note.partition(": ")[2].partition(" - and plan again")[0]
    for command in commands.split(" && "):
        words = command.split()
        getattr(kms, words[2].replace("-", "_"))(KeyId=words[words.index("--key-id") + 1])
    assert kms.describe_key(KeyId=arn)["KeyMetadata"]["KeyState"] == "Enabled"


@pytest.mark.usefixtures("kms")
@pytest.mark.parametrize(
    ("kind", "before", "after", "note"),
    [
        (
            "aws_kms_key",
            {"arn": "arn:aws:kms:eu-west-1:123456789012:key/929ada09-40e3-405a-9a4d-9362cf4bb7a8"},
            None,
            "was deleted outside Terraform. What only it can decrypt is lost.",
        ),
        (
            "aws_kms_key",
            {"is_enabled": True},
            {"is_enabled": False},
            "was disabled outside Terraform; the apply enables",
        ),
        ("aws_cloudwatch_log_group", {"name": "x"}, None, "was deleted outside Terraform, with all that it held."),
        ("aws_iam_policy", {"name": "x"}, None, "was deleted outside Terraform."),
    ],
)
def test_what_cannot_be_rescued_is_said(
    kind: str, before: dict[str, Any], after: dict[str, Any] | None, note: str
) -> None:
    (found,) = find_vanished(plan(kind, before, after=after), place())

    assert not found.can_be_rescued
    assert found.note.startswith(f"{ADDRESS} {note}")


def test_other_drift_is_not_said() -> None:
    assert find_vanished(plan("aws_kms_key", {"tags": {}}, after={"tags": {"a": "b"}}), place()) == []
    assert find_vanished({}, place()) == []
