"""What AWS would refuse in an apply is refused in the plan."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from session_manager_fleet.errors import AccessError
from session_manager_fleet.run.refusals import Place, examine

ACCOUNT, REGION = "111122223333", "eu-west-1"
KEY = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/1111aaaa-22bb-33cc-44dd-555555eeeeee"


class Answers(Place):
    """An account that answers as given, by operation; an error code raises."""

    def __init__(self, answers: Mapping[str, Any]) -> None:
        super().__init__(ACCOUNT, REGION, boto3.Session)
        self.answers = answers

    def ask(self, service: str, operation: str, **parameters: Any) -> dict[str, Any]:  # noqa: ANN401
        answer = self.answers[operation]
        if callable(answer):
            answer = answer(**parameters)
        if isinstance(answer, str):
            status = int(answer) if answer.isdecimal() else 400
            error: Any = {"Error": {"Code": answer}, "ResponseMetadata": {"HTTPStatusCode": status}}
            raise ClientError(error, f"{service}:{operation}")
        return dict(answer)


def plan(*resources: dict[str, Any], outputs: Mapping[str, Any] | None = None) -> dict[str, Any]:
    return {"resource_changes": list(resources), "output_changes": outputs or {}}


def resource(kind: str, *actions: str, before: Any = None, **after: Any) -> dict[str, Any]:  # noqa: ANN401
    change = {"actions": list(actions or ("create",)), "before": before, "after": after}
    return {"mode": "managed", "type": kind, "change": change}


def problems(planned: dict[str, Any], **answers: Any) -> list[str]:  # noqa: ANN401
    """Return the problems of a plan in an account with these answers."""
    found, notes = examine(planned, Answers(answers))
    assert notes == []
    return [problem.message for problem in found]


RULE = "aws_config_config_rule"
RECORDERS = {"ConfigurationRecorders": [{"name": "default"}]}


@pytest.mark.parametrize("action", ["create", "update"])
def test_a_rule_needs_a_recorder(action: str) -> None:
    planned = plan(resource(RULE, action, before={"name": "rule"}, name="rule"))
    assert problems(planned, describe_configuration_recorders=RECORDERS) == []
    (problem,) = problems(planned, describe_configuration_recorders={"ConfigurationRecorders": []})
    assert "AWS Config has no recorder in eu-west-1" in problem
    assert 'config_rule.without_recorder: "skip"' in problem


@pytest.mark.parametrize(
    "planned",
    [
        plan(),
        plan(resource(RULE, "delete"), resource("aws_iam_role", "no-op"), resource("aws_s3_bucket", "delete")),
        plan(resource("aws_sqs_queue", name="queue")),
    ],
)
def test_what_needs_nothing_asks_nothing(planned: dict[str, Any]) -> None:
    assert problems(planned) == []


ATTACHMENT = resource("aws_organizations_policy_attachment", target_id="ou-abcd-12345678")
ROOT = {"Id": "r-abcd", "PolicyTypes": [{"Type": "SERVICE_CONTROL_POLICY", "Status": "ENABLED"}]}


def test_service_control_policies() -> None:
    def policies(count: int) -> dict[str, Any]:
        return {"Policies": [{"Name": f"policy-{number}"} for number in range(count)]}

    enabled: dict[str, Any] = {"list_roots": {"Roots": [ROOT]}}
    assert problems(plan(ATTACHMENT), **enabled, list_policies_for_target=policies(9)) == []
    (full,) = problems(plan(ATTACHMENT), **enabled, list_policies_for_target=policies(10))
    assert full.startswith("ou-abcd-12345678 has 10 service control policies of at most 10 (policy-0, policy-1,")
    (disabled,) = problems(plan(ATTACHMENT), list_roots={"Roots": [{**ROOT, "PolicyTypes": []}]})
    assert "aws organizations enable-policy-type --root-id r-abcd --policy-type SERVICE_CONTROL_POLICY" in disabled


SUMMARY = {"Policies": 3, "PoliciesQuota": 1500, "Roles": 5, "RolesQuota": 1000, "AttachedPoliciesPerRoleQuota": 10}


def attached(**roles: int) -> Callable[..., Any]:
    def answer(*, RoleName: str, Marker: str = "") -> Any:  # noqa: ANN401, N803 - IAM's names
        if RoleName not in roles:
            return "NoSuchEntity"
        policies = [{"PolicyName": f"policy-{number}"} for number in range(roles[RoleName])]
        # IAM answers in pages.
        return {"AttachedPolicies": policies[3:]} if Marker else {"AttachedPolicies": policies[:3], "Marker": "next"}

    return answer


@pytest.mark.parametrize(
    ("resources", "summary", "expected"),
    [
        ([resource("aws_iam_policy"), resource("aws_iam_role", name="made")], {}, ""),
        ([resource("aws_iam_policy")], {"Policies": 1500}, "The account has 1500 managed policies of at most 1500"),
        ([resource("aws_iam_policy", "delete", "create")], {"Policies": 1500}, ""),
        ([resource("aws_iam_role", name="made")], {"Roles": 1000}, "The account has 1000 roles of at most 1000"),
        ([resource("aws_iam_role_policy_attachment", role="free")], {}, ""),
        ([resource("aws_iam_role_policy_attachment", role="full")], {}, "The role full has 10 managed policies"),
        ([resource("aws_iam_role_policy_attachment", role="full")], {"AttachedPoliciesPerRoleQuota": 20}, ""),
        ([resource("aws_iam_role_policy_attachment", role="gone")], {}, "The role gone does not exist."),
        (
            [resource("aws_iam_role_policy_attachment", role="made"), resource("aws_iam_role", name="made")],
            {},
            "",
        ),
        (
            [resource("aws_iam_role_policy_attachment", role="free")] * 2,
            {},
            "The role free has 9 managed policies of at most 10, and 2 more would be attached.",
        ),
    ],
)
def test_roles_and_quotas_of_iam(resources: list[dict[str, Any]], summary: dict[str, int], expected: str) -> None:
    found = problems(
        plan(*resources),
        get_account_summary={"SummaryMap": SUMMARY | summary},
        list_attached_role_policies=attached(free=9, full=10),
    )
    assert len(found) == bool(expected)
    assert expected in "".join(found)


GROUP = "aws_cloudwatch_log_group"
ENCRYPTION = resource(
    "aws_s3_bucket_server_side_encryption_configuration",
    rule=[{"apply_server_side_encryption_by_default": [{"kms_master_key_id": KEY, "sse_algorithm": "aws:kms"}]}],
)
INVOCATION = resource("aws_lambda_invocation", input="{}")
PREFERENCES = {"preferences": {"after": {"preferences": {"kmsKeyId": KEY}}, "after_unknown": False}}


def key_policy(principal: object, effect: str = "Allow") -> dict[str, str]:
    return {"Policy": json.dumps({"Statement": [{"Effect": effect, "Principal": principal, "Action": "kms:*"}]})}


@pytest.mark.parametrize(
    ("planned", "state", "expected"),
    [
        (plan(resource(GROUP, kms_key_id=KEY)), "Enabled", ""),
        (plan(resource(GROUP, kms_key_id=KEY)), "PendingDeletion", f"aws kms cancel-key-deletion --key-id {KEY}"),
        (plan(resource(GROUP, kms_key_id=KEY)), "Disabled", f"aws kms enable-key --key-id {KEY}"),
        (plan(resource(GROUP, "update", before={"kms_key_id": KEY}, kms_key_id=KEY)), "Disabled", ""),
        (plan(resource(GROUP, kms_key_id=None)), "Disabled", ""),
        (plan(resource(GROUP, kms_key_id=KEY.replace(ACCOUNT, "444455556666"))), "Disabled", ""),
        (plan(ENCRYPTION), "Disabled", f"aws kms enable-key --key-id {KEY}"),
        (plan(INVOCATION, outputs=PREFERENCES), "Disabled", f"aws kms enable-key --key-id {KEY}"),
        (plan(outputs=PREFERENCES), "Disabled", ""),
    ],
)
def test_states_of_keys(planned: dict[str, Any], state: str, expected: str) -> None:
    policy = key_policy({"Service": "logs.eu-west-1.amazonaws.com"})
    found = problems(planned, describe_key={"KeyMetadata": {"KeyState": state}}, get_key_policy=policy)
    assert len(found) == bool(expected)
    assert expected in "".join(found)


def test_a_key_that_does_not_exist() -> None:
    (problem,) = problems(plan(resource(GROUP, kms_key_id=KEY)), describe_key="NotFoundException")
    assert problem == f"The key {KEY} does not exist in this account. Correct its ARN."


@pytest.mark.parametrize(
    ("policy", "usable"),
    [
        (key_policy({"Service": ["logs.eu-west-1.amazonaws.com"]}), True),
        (key_policy({"Service": "logs.*.amazonaws.com"}), True),
        (key_policy("*"), True),
        (key_policy({"AWS": f"arn:aws:iam::{ACCOUNT}:root"}), False),
        (key_policy({"Service": "logs.us-east-1.amazonaws.com"}), False),
        (key_policy({"Service": "logs.eu-west-1.amazonaws.com"}, "Deny"), False),
    ],
)
def test_the_key_of_a_log_group_lets_the_service_use_it(policy: dict[str, str], *, usable: bool) -> None:
    answers = {"describe_key": {"KeyMetadata": {"KeyState": "Enabled"}}, "get_key_policy": policy}
    found = problems(plan(resource(GROUP, kms_key_id=KEY)), **answers)
    assert [f"does not allow logs.{REGION}.amazonaws.com" in problem for problem in found] == [True] * (not usable)
    assert problems(plan(ENCRYPTION), **answers) == [], "S3 uses keys with the caller's permissions"


FUNCTION = "aws_lambda_function"


@pytest.mark.parametrize(
    ("function", "unreserved", "refused"),
    [
        (resource(FUNCTION, reserved_concurrent_executions=-1), 10, False),
        (resource(FUNCTION, reserved_concurrent_executions=1), 1000, False),
        (resource(FUNCTION, reserved_concurrent_executions=1), 100, True),
        (resource(FUNCTION, reserved_concurrent_executions=1), 10, True),
        (
            resource(
                FUNCTION,
                "update",
                before={"reserved_concurrent_executions": 5},
                reserved_concurrent_executions=5,
            ),
            100,
            False,
        ),
    ],
)
def test_reserved_concurrency(function: dict[str, Any], unreserved: int, *, refused: bool) -> None:
    limit = {"ConcurrentExecutions": 1000, "UnreservedConcurrentExecutions": unreserved}
    found = problems(plan(function), get_account_settings={"AccountLimit": limit})
    assert ["AWS requires 100" in problem for problem in found] == [True] * refused


BUCKET = "aws_s3_bucket"


@pytest.mark.parametrize(
    ("bucket", "status", "expected"),
    [
        (resource(BUCKET, bucket="logs"), "404", ""),
        (resource(BUCKET, bucket="logs"), "403", "Bucket logs already exists in another account. Choose another"),
        (resource(BUCKET, bucket="logs"), "301", "Bucket logs already exists in another account. Choose another"),
        (resource(BUCKET, bucket="logs"), "200", "Bucket logs already exists, but not in this Terraform state. Import"),
        (resource(BUCKET, "update", bucket="logs"), "200", ""),
        (resource(BUCKET, "delete", "create", bucket="logs"), "200", ""),
        (resource(BUCKET), "200", ""),
    ],
)
def test_bucket_names(bucket: dict[str, Any], status: str, expected: str) -> None:
    found = problems(plan(bucket), head_bucket={} if status == "200" else status)
    assert len(found) == bool(expected)
    assert expected in "".join(found)


def test_all_problems_show_at_once() -> None:
    found = problems(
        plan(resource(BUCKET, bucket="one"), resource(BUCKET, bucket="two"), resource(RULE)),
        head_bucket="403",
        describe_configuration_recorders={"ConfigurationRecorders": []},
    )
    assert len(found) == 3


def test_what_may_not_be_asked_is_a_note() -> None:
    found, notes = examine(plan(resource(RULE)), Answers({"describe_configuration_recorders": "AccessDeniedException"}))
    assert (found, len(notes)) == ([], 1)
    assert notes[0].startswith("Not checked: the recorder of AWS Config. The role lacks one of config:Describe")


@pytest.mark.parametrize("code", ["503", "ExpiredTokenException"])
def test_what_aws_does_not_answer_fails(code: str) -> None:
    with pytest.raises(AccessError, match="Cannot check whether bucket names are free"):
        examine(plan(resource(BUCKET, bucket="logs")), Answers({"head_bucket": code}))
