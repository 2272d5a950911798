"""Examples that show how modules are combined: applied, with an empty second plan, and destroyed."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from aws_sandbox import Sandbox

pytestmark = pytest.mark.terraform

DOCUMENT = "SSM-SessionManagerRunShell"


def test_existing_resources_stay_with_their_owners(applied: Callable[..., dict[str, Any]], sandbox: Sandbox) -> None:
    account = sandbox.organization.members[0].id
    session = sandbox.session(account, "us-east-1")
    statement = {
        "Effect": "Allow",
        "Principal": {"AWS": f"arn:aws:iam::{account}:root", "Service": "logs.us-east-1.amazonaws.com"},
        "Action": "kms:*",
        "Resource": "*",
    }
    kms, logs, iam = session.client("kms"), session.client("logs"), session.client("iam")
    made = kms.create_key(Policy=json.dumps({"Version": "2012-10-17", "Statement": [statement]}))["KeyMetadata"]
    logs.create_log_group(logGroupName="/ssm/session-logs", kmsKeyId=made["Arn"])
    trust = {"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}
    iam.create_role(RoleName="web", AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": trust}))

    outputs = applied(
        "existing_resources",
        region="us-east-1",
        key_arn=made["Arn"],
        log_group_name="/ssm/session-logs",
        instance_role_name="web",
    )

    (attached,) = iam.list_attached_role_policies(RoleName="web")["AttachedPolicies"]
    assert attached["PolicyArn"] == outputs["policy_arn"]
    content = session.client("ssm").get_document(Name=DOCUMENT, DocumentVersion="$DEFAULT")["Content"]
    assert json.loads(content)["inputs"]["cloudWatchLogGroupName"] == "/ssm/session-logs"
    assert json.loads(content)["inputs"]["kmsKeyId"] == made["Arn"]


@pytest.fixture(autouse=True, scope="module")
def _tidy(sandbox: Sandbox) -> Iterator[None]:
    """Remove what was there before; that it was still there is the point of the example."""
    yield
    session = sandbox.session(sandbox.organization.members[0].id, "us-east-1")
    logs, iam = session.client("logs"), session.client("iam")
    # Neither is there when this test was not selected.
    with contextlib.suppress(logs.exceptions.ResourceNotFoundException):
        logs.delete_log_group(logGroupName="/ssm/session-logs")
    with contextlib.suppress(iam.exceptions.NoSuchEntityException):
        iam.delete_role(RoleName="web")


@pytest.mark.slow
def test_many_regions_have_a_key_each(applied: Callable[..., dict[str, Any]], sandbox: Sandbox) -> None:
    account = sandbox.organization.members[1].id
    arns = applied("many_regions", account)["session_key_arns"]
    for region in ("eu-west-1", "us-east-1"):
        ssm = sandbox.session(account, region).client("ssm")
        content = ssm.get_document(Name=DOCUMENT, DocumentVersion="$DEFAULT")["Content"]
        assert json.loads(content)["inputs"]["kmsKeyId"] == arns[region]
        assert arns[region].split(":")[3] == region
