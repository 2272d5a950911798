"""The policies of operators and auditors: what they refuse, and the example as it stands."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import boto3
import pytest

if TYPE_CHECKING:
    from tests.modules.conftest import Terraform

pytestmark = pytest.mark.terraform

TAGS = 'instance_tags = { team = ["web"] }'

# Arguments, and what the message must say: one broken rule each. Terraform checks rules over one value first, and those
# over several values only when no other is broken.
REFUSED = {
    "one value": [
        ("", "The operator.instance_tags must name at least one tag"),
        ("operator = { instance_tags = {} }", "The operator.instance_tags must name at least one tag"),
        ("operator = { instance_tags = { team = [] } }", "The operator.instance_tags must be keys of tags"),
        ('operator = { instance_tags = { "a*" = ["b"] } }', "The operator.instance_tags must be keys of tags"),
        ('operator = { instance_tags = { team = ["web-*"] } }', "The values of operator.instance_tags must be whole"),
        ('operator = { instance_tags = { team = ["$${aws:x}"] } }', "The values of operator.instance_tags must be"),
        (f'operator = {{ {TAGS}, policy_name = "two words" }}', "The operator.policy_name must have 1 to 128"),
        (f'operator = {{ {TAGS}, attach_to_roles = ["team/ops"] }}', "The operator.attach_to_roles must be names"),
        ('auditor = { policy_name = "a/b" }', "The auditor.policy_name must have 1 to 128"),
        ('auditor = { attach_to_roles = ["*"] }', "The auditor.attach_to_roles must be names of roles"),
        ('names = { data_key_alias = "data" }', "The names.data_key_alias and names.logs_key_alias must begin"),
        ('names = { document = "Session*" }', "The names.document must have 3 to 128"),
        ('names = { function = "" }', "The names.function must have 1 to 49"),
        ('names = { log_group = "logs:*" }', "The names.log_group must have 1 to 512"),
        ('path = "team"', "The path must begin and end with a slash"),
        ("regions = []", "The regions must be names of regions"),
        ('s3 = { bucket_name = "with.dots" }', "The s3.bucket_name must be a bucket's name without dots"),
        ('s3 = { bucket_name = "logs", key_prefix = "a/*" }', "The s3.key_prefix must be letters"),
        ('s3 = { bucket_name = "logs", kms_key_arn = "alias/x" }', "The s3.kms_key_arn must be the ARN"),
        ('session_key_arns = ["alias/x"]', "The session_key_arns must be ARNs of keys"),
    ],
    "several values": [
        ('auditor = { policy_name = "SessionManagerOperator" }', "and the operator.policy_name must differ"),
        (
            'session_key_arns = [for n in range(90) : "arn:aws:kms:eu-west-1:210987654321:key/0f5f5b5c-4552-${n}"]',
            "The policy SessionManagerOperator would have",
        ),
    ],
}


def call(name: str, arguments: str) -> str:
    """A module call, for tagged instances unless the arguments say otherwise."""
    operator = "" if "operator" in arguments or not arguments else f"operator = {{ {TAGS} }}\n"
    return f'module "{name}" {{\nsource = "./modules/operator_access"\n{operator}{arguments}\n}}\n'


@pytest.mark.parametrize("cases", REFUSED.values(), ids=REFUSED)
def test_the_plan_refuses_bad_input_with_the_rule_that_it_breaks(
    caller: Terraform, cases: list[tuple[str, str]]
) -> None:
    calls = [call(f"case_{number}", arguments) for number, (arguments, _) in enumerate(cases)]
    (caller.folder / "main.tf").write_text("".join(calls), encoding="utf-8")
    caller.succeed("init", "-input=false")

    errors = caller.refusals()

    missing = [case for case in cases if not any(case[1] in error for error in errors)]
    assert missing == []
    assert len(errors) == len(cases), "one error for each case"


def sids(document: str) -> set[str]:
    return {statement["Sid"] for statement in json.loads(document)["Statement"]}


def test_operator_access(applied: Callable[..., dict[str, Any]], member: boto3.Session) -> None:
    outputs = applied("operator_access")

    iam = member.client("iam")
    for role, kind in (("operators", "operator"), ("auditors", "auditor")):
        (attached,) = iam.list_attached_role_policies(RoleName=f"session-manager-{role}")["AttachedPolicies"]
        assert attached == {"PolicyName": outputs[kind]["name"], "PolicyArn": outputs[kind]["arn"]}
        assert outputs[kind]["path"] == "/"
    assert sids(outputs["operator_json"]) == {
        "StartSessionOnTaggedInstances",
        "StartSessionWithDocument",
        "OwnSessions",
        "OwnSessionsById",
        "EncryptSessionDataByAlias",
        "FindInstances",
        "ReadConnectionStatus",
    }
