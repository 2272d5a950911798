"""What a destroy leaves of the preferences document."""

import json
from typing import Any

import pytest

from session_manager_fleet.preferences import preview_destruction

ARN = "arn:aws:kms:eu-west-1:123456789012:key/929ada09-40e3-405a-9a4d-9362cf4bb7a8"
KEY = {"type": "aws_kms_key", "change": {"actions": ["delete"], "before": {"arn": ARN}}}
GROUP = {"type": "aws_cloudwatch_log_group", "change": {"actions": ["delete"], "before": {"name": "sessions"}}}
BUCKET = {"type": "aws_s3_bucket", "change": {"actions": ["delete"], "before": {"bucket": "archive"}}}


def after(mode: str, *others: dict[str, Any]) -> Any:  # noqa: ANN401
    request = {
        "document": "SSM-SessionManagerRunShell",
        "on_destroy": mode,
        "preferences": {"kmsKeyId": ARN, "cloudWatchLogGroupName": "sessions", "s3BucketName": "archive"},
    }
    invocation = {
        "mode": "managed",
        "type": "aws_lambda_invocation",
        "change": {"actions": ["delete"], "before": {"input": json.dumps(request)}},
    }
    (change,) = preview_destruction({"resource_changes": [invocation, *others]})
    return change.after


@pytest.mark.parametrize(
    ("others", "named"),
    [
        ((KEY,), "a key"),
        ((GROUP,), "a log group"),
        ((KEY, GROUP), "a key and a log group"),
        ((BUCKET,), "a bucket"),
    ],
)
def test_a_document_that_stays_and_names_what_goes_is_warned_of(others: tuple[dict[str, Any], ...], named: str) -> None:
    assert after("retain", *others) == (
        f"as it is (on_destroy = retain); it names {named} that this plan destroys: no session can start"
    )
    assert "no session" not in after("restore", *others)


def test_a_document_whose_keys_and_groups_stay_is_kept_as_it_is() -> None:
    assert after("retain") == "as it is (on_destroy = retain)"
