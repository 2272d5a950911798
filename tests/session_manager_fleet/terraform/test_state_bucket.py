"""The state bucket that `init` creates, and the policies of the roles that use it."""

import json
from collections.abc import Iterator

import boto3
import pytest
from moto import mock_aws

from session_manager_fleet.errors import AccessError
from session_manager_fleet.terraform.state_bucket import StateBucket
from session_manager_fleet.verify import READ

NAME = "session-manager-state-123456789012"


@pytest.fixture
def bucket(credentials: None) -> Iterator[StateBucket]:  # noqa: ARG001 - for the clients
    with mock_aws():
        yield StateBucket.of_caller("eu-west-1")


def test_a_bucket_is_protected_from_the_beginning(bucket: StateBucket) -> None:
    assert bucket.name == NAME
    assert bucket.create()

    s3 = boto3.client("s3", region_name="eu-west-1")
    assert s3.get_bucket_versioning(Bucket=NAME)["Status"] == "Enabled"
    [rule] = s3.get_bucket_encryption(Bucket=NAME)["ServerSideEncryptionConfiguration"]["Rules"]
    assert rule["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"] == "AES256"
    assert set(s3.get_public_access_block(Bucket=NAME)["PublicAccessBlockConfiguration"].values()) == {True}
    [statement] = json.loads(s3.get_bucket_policy(Bucket=NAME)["Policy"])["Statement"]
    assert (statement["Effect"], statement["Principal"]) == ("Deny", "*")
    assert statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
    assert s3.get_bucket_location(Bucket=NAME)["LocationConstraint"] == "eu-west-1"


def test_an_existing_bucket_is_left_unchanged(bucket: StateBucket) -> None:
    s3 = boto3.client("s3", region_name="us-east-1")
    s3.create_bucket(Bucket=NAME)

    assert not bucket.create()
    assert "Status" not in s3.get_bucket_versioning(Bucket=NAME)


def test_a_bucket_that_cannot_be_protected_is_deleted_again(
    bucket: StateBucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_self: StateBucket, _client: object) -> None:
        raise OSError("unplugged")

    monkeypatch.setattr(StateBucket, "_protect", fail)

    with pytest.raises(AccessError, match=f"Cannot create the state bucket {NAME} in account 123456789012: unplugged"):
        bucket.create()
    assert boto3.client("s3").list_buckets()["Buckets"] == []


def test_reading_states_cannot_write_and_planning_cannot_store_tokens(bucket: StateBucket) -> None:
    policies = bucket.role_policies("o-exampleorgid", "Deploy", "session-manager", READ)

    def actions(name: str) -> set[str]:
        listed = [statement["Action"] for statement in policies[name]["Statement"]]
        return {action for entry in listed for action in ([entry] if isinstance(entry, str) else entry)}

    assert actions("read-states") == {"s3:ListBucket", "s3:GetObject"}
    assert actions("plan") == actions("apply") > actions("read-states")
    assert "lambda:InvokeFunction" in actions("deployment-role") - actions("read-role")
    assert "revisions" not in json.dumps(policies["plan"])
    assert "revisions" in json.dumps(policies["apply"])
    assert {action for action in actions("apply") if action.startswith("s3:")} == actions("states")
    [assume] = [each for each in policies["plan"]["Statement"] if each["Action"] == ["sts:AssumeRole"]]
    assert assume["Resource"] == "arn:aws:iam::*:role/Deploy"
    assert assume["Condition"] == {"StringEquals": {"aws:ResourceOrgID": "o-exampleorgid"}}
