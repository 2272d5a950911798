"""Values that AWS refuses and moto takes: reserved names, and lifecycle transitions."""

from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from aws_sandbox import Sandbox


@pytest.fixture
def session(sandbox: Sandbox) -> boto3.Session:
    return sandbox.session(sandbox.organization.members[0].id, "eu-west-1")


@pytest.mark.parametrize("name", ["aws/ssm/x", "AWS/sessions"])
def test_a_log_group_that_begins_like_those_of_aws(session: boto3.Session, name: str) -> None:
    with pytest.raises(ClientError, match="Log groups starting with AWS/ are reserved for AWS"):
        session.client("logs").create_log_group(logGroupName=name)


@pytest.mark.parametrize("name", ["AWS-Shell", "amazon.x", "AmznShell"])
def test_a_document_that_begins_like_those_of_aws(session: boto3.Session, name: str) -> None:
    with pytest.raises(ClientError, match="reserved for AWS"):
        session.client("ssm").create_document(Name=name, Content="{}", DocumentType="Session")


@pytest.mark.parametrize(
    ("moves", "reason"),
    [
        ([(30, "STANDARD_IA"), (60, "GLACIER")], ""),
        ([(30, "STANDARD_IA"), (60, "ONEZONE_IA"), (90, "DEEP_ARCHIVE")], ""),
        ([(0, "INTELLIGENT_TIERING"), (1, "GLACIER")], ""),
        ([(29, "STANDARD_IA")], "must be greater than or equal to 30"),
        ([(30, "STANDARD_IA"), (45, "GLACIER")], "must be 30 days more"),
        ([(30, "ONEZONE_IA"), (90, "GLACIER_IR")], "from ONEZONE_IA to GLACIER_IR"),
        ([(30, "GLACIER"), (90, "STANDARD_IA")], "from GLACIER to STANDARD_IA"),
        ([(4000, "GLACIER")], "in the Expiration action must be greater"),
    ],
)
@pytest.mark.parametrize(
    ("of", "days", "end"),
    [
        ("Transitions", "Days", {"Expiration": {"Days": 4000}}),
        ("NoncurrentVersionTransitions", "NoncurrentDays", {"NoncurrentVersionExpiration": {"NoncurrentDays": 4000}}),
    ],
)
def test_lifecycle_transitions(
    session: boto3.Session, moves: list[tuple[int, str]], reason: str, of: str, days: str, end: dict[str, object]
) -> None:
    s3 = session.client("s3")
    s3.create_bucket(Bucket="moved-logs", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    transitions: Any = [{days: number, "StorageClass": storage_class} for number, storage_class in moves]
    rule: Any = {"ID": "logs", "Status": "Enabled", "Filter": {"Prefix": ""}, of: transitions, **end}
    try:
        if not reason:
            s3.put_bucket_lifecycle_configuration(Bucket="moved-logs", LifecycleConfiguration={"Rules": [rule]})
            return
        with pytest.raises(ClientError, match=reason) as refused:
            s3.put_bucket_lifecycle_configuration(Bucket="moved-logs", LifecycleConfiguration={"Rules": [rule]})
        assert refused.value.response["Error"]["Code"] == "InvalidArgument"
    finally:
        s3.delete_bucket(Bucket="moved-logs")
