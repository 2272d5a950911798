"""Names of buckets that are taken are refused before anything is made."""

from __future__ import annotations

from typing import TYPE_CHECKING
from unittest.mock import create_autospec

import boto3
import pytest
from botocore.stub import Stubber

from session_manager_fleet.errors import AccessError, InputError
from session_manager_fleet.run.refusals.bucket_names import created_buckets, refuse_taken_names

if TYPE_CHECKING:
    from collections.abc import Iterator

REGION = "eu-west-1"
ACCOUNT = "111122223333"


@pytest.fixture
def s3() -> Iterator[tuple[boto3.Session, Stubber]]:
    client = boto3.client("s3", region_name=REGION, aws_access_key_id="x", aws_secret_access_key="x")
    session = create_autospec(boto3.Session, instance=True)
    session.client.return_value = client
    with Stubber(client) as stubber:
        yield session, stubber


def answer(stubber: Stubber, name: str, status: int) -> None:
    if status == 200:
        stubber.add_response("head_bucket", {}, {"Bucket": name, "ExpectedBucketOwner": ACCOUNT})
    else:
        stubber.add_client_error(
            "head_bucket",
            str(status),
            http_status_code=status,
            expected_params={"Bucket": name, "ExpectedBucketOwner": ACCOUNT},
        )


def test_a_free_name_passes(s3: tuple[boto3.Session, Stubber]) -> None:
    session, stubber = s3
    answer(stubber, "new-logs", 404)
    refuse_taken_names(session, ACCOUNT, REGION, ["new-logs"])
    stubber.assert_no_pending_responses()


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (
            200,
            "Bucket old-logs already exists, but not in this Terraform state: import it, or name it as existing_",
        ),
        (403, "Bucket old-logs already exists in another account; choose another bucket_name."),
        (301, "Bucket old-logs already exists in another account; choose another bucket_name."),
    ],
)
def test_a_taken_name_is_refused(s3: tuple[boto3.Session, Stubber], status: int, message: str) -> None:
    session, stubber = s3
    answer(stubber, "old-logs", status)
    with pytest.raises(InputError) as refused:
        refuse_taken_names(session, ACCOUNT, REGION, ["old-logs"])
    assert str(refused.value).startswith(message)


def test_all_taken_names_are_told_at_once(s3: tuple[boto3.Session, Stubber]) -> None:
    session, stubber = s3
    for name, status in (("one", 403), ("two", 404), ("three", 200)):
        answer(stubber, name, status)
    with pytest.raises(InputError) as refused:
        refuse_taken_names(session, ACCOUNT, REGION, ["one", "two", "three"])
    assert len(refused.value.problems) == 2


def test_what_s3_does_not_answer_is_no_free_name(s3: tuple[boto3.Session, Stubber]) -> None:
    session, stubber = s3
    answer(stubber, "new-logs", 503)
    with pytest.raises(AccessError, match="Cannot ask whether the bucket name new-logs is free"):
        refuse_taken_names(session, ACCOUNT, REGION, ["new-logs"])


def test_only_buckets_that_a_plan_makes_anew_are_asked_for() -> None:
    def bucket(actions: list[str], name: str | None, kind: str = "aws_s3_bucket") -> dict[str, object]:
        return {"type": kind, "change": {"actions": actions, "after": {"bucket": name} if name else {}}}

    plan = {
        "resource_changes": [
            bucket(["create"], "new-logs"),
            bucket(["create"], None),
            bucket(["update"], "kept-logs"),
            bucket(["delete", "create"], "replaced-logs"),
            bucket(["create"], "new-logs", "aws_s3_bucket_policy"),
        ]
    }
    assert created_buckets(plan) == ["new-logs"]
    assert created_buckets({}) == []
