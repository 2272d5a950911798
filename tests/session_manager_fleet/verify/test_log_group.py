"""How `verify` words the retention of a log group."""

from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from moto import mock_aws

from session_manager_fleet.aws import rescue
from session_manager_fleet.settings import TargetSettings
from session_manager_fleet.verify.log_group import judge_retention, log_group
from session_manager_fleet.verify.model import Check
from session_manager_fleet.verify.reading import Reader

HOME = "eu-west-1"


@pytest.mark.parametrize(
    ("days", "expected", "problem"),
    [
        (90, 90, ""),
        (None, 0, ""),
        (None, 90, 'retention is "never expire", expected 90 days'),
        (30, 90, "retention is 30 days, expected 90 days"),
        (30, 0, 'retention is 30 days, expected "never expire"'),
    ],
)
def test_retention(days: int | None, expected: int, problem: str) -> None:
    assert judge_retention(days, expected) == problem


@pytest.fixture
def kms(credentials: None) -> Iterator[Any]:  # noqa: ARG001 - in the environment
    with mock_aws():
        yield boto3.client("kms", region_name=HOME)


@pytest.mark.parametrize("state", ["PendingDeletion", "Disabled"])
def test_a_key_of_the_log_group_that_cannot_be_used_is_found_and_the_advice_rescues_it(kms: Any, state: str) -> None:  # noqa: ANN401
    arn = kms.create_key()["KeyMetadata"]["Arn"]
    logs = boto3.client("logs", region_name=HOME)
    logs.create_log_group(logGroupName="sessions", kmsKeyId=arn)
    logs.put_retention_policy(logGroupName="sessions", retentionInDays=90)
    values = TargetSettings.model_validate({"preferences": {"cloudwatch": {"retention_in_days": 90}}})
    reader = Reader(boto3.Session(region_name=HOME))
    assert log_group(reader, HOME, values, "sessions").verdict == "ok"
    if state == "Disabled":
        kms.disable_key(KeyId=arn.rpartition("/")[2])
    else:
        kms.schedule_key_deletion(KeyId=arn.rpartition("/")[2])

    check = log_group(reader, HOME, values, "sessions")

    assert check.verdict == "finding"
    assert f"is {state}: nothing can be written to it or read from it." in check.message
    assert check.fix == rescue(arn, state)
    for command in check.fix.split(": ", 1)[1].split(" && "):
        _aws, _service, operation, *_ = words = command.split()
        assert words[3:5] == ["--region", HOME]
        getattr(kms, operation.replace("-", "_"))(KeyId=words[words.index("--key-id") + 1])
    assert log_group(reader, HOME, values, "sessions").verdict == "ok"


class OneGroup(Reader):
    """An account with one log group, of another class than the standard one; moto knows no classes."""

    def __init__(self) -> None:
        self._known: dict[Any, Any] = {}
        self._calls: list[str] = []

    def pages(self, *_: Any, **__: Any) -> Iterator[Any]:  # noqa: ANN401 - as the reader has it
        return iter([{"logGroupName": "sessions", "retentionInDays": 90, "logGroupClass": "INFREQUENT_ACCESS"}])


def test_a_class_that_no_apply_changes_is_found_and_the_advice_ends_the_finding() -> None:
    def judged(**cloudwatch: object) -> Check:
        values = TargetSettings.model_validate(
            {"preferences": {"cloudwatch": {"encryption_enabled": False, **cloudwatch}}}
        )
        return log_group(OneGroup(), HOME, values, "sessions")

    check = judged()
    assert check.message == "The log group sessions has the class INFREQUENT_ACCESS, expected STANDARD."
    assert "set cloudwatch.log_group_class to INFREQUENT_ACCESS" in check.fix
    assert judged(log_group_class="INFREQUENT_ACCESS").verdict == "ok"
    assert judged(existing="adopt").verdict == "ok", "an adopted group keeps its class"
