"""The policies of operators and auditors: what they refuse, and the example as it stands."""

import json
from collections.abc import Callable
from typing import Any

import boto3
import pytest

pytestmark = pytest.mark.terraform


def sids(document: str) -> set[str]:
    return {statement["Sid"] for statement in json.loads(document)["Statement"]}


def test_operator_access(applied: Callable[..., dict[str, Any]], member: boto3.Session) -> None:
    outputs = applied("operator_access")

    iam = member.client("iam")
    for role, kind in (("operators", "operator"), ("auditors", "auditor")):
        (attached,) = iam.list_attached_role_policies(RoleName=f"session-manager-{role}")["AttachedPolicies"]
        policy = outputs[f"{kind}_policy"]
        assert attached == {"PolicyName": policy["name"], "PolicyArn": policy["arn"]}
        assert policy["path"] == "/"
    assert sids(outputs["operator_policy_json"]) == {
        "StartSessionOnTaggedInstances",
        "StartSessionWithDocument",
        "OwnSessions",
        "OwnSessionsById",
        "EncryptSessionDataByAlias",
        "FindInstances",
        "ReadConnectionStatus",
    }
