"""Policies that a plan deletes are found attached, and detached in the order that keeps nodes their permissions."""

from collections.abc import Iterator, Mapping
from typing import Any

import boto3
import pytest
from moto import mock_aws

from session_manager_fleet.errors import InputError
from session_manager_fleet.run import attachments as work
from session_manager_fleet.run.attachments import Attachment, detach, find_attachments, removes_policy

ACCOUNT = "arn:aws:iam::123456789012:policy"
ADDRESS = "module.instance_policy[0].aws_iam_policy.this"
TRUST = '{"Version": "2012-10-17", "Statement": []}'
GRANTS = (
    '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:ListAllMyBuckets", "Resource": "*"}]}'
)


@pytest.fixture
def session(credentials: None) -> Iterator[boto3.Session]:  # noqa: ARG001 - in the environment
    with mock_aws():
        session = boto3.Session(region_name="eu-west-1")
        iam = session.client("iam")
        for name in ("Old", "New"):
            iam.create_policy(PolicyName=name, PolicyDocument=GRANTS)
        for name in ("WebServer", "Listed"):
            iam.create_role(RoleName=name, AssumeRolePolicyDocument=TRUST)
            iam.attach_role_policy(RoleName=name, PolicyArn=f"{ACCOUNT}/Old")
        iam.create_user(UserName="robot")
        iam.attach_user_policy(UserName="robot", PolicyArn=f"{ACCOUNT}/Old")
        iam.create_group(GroupName="team")
        iam.attach_group_policy(GroupName="team", PolicyArn=f"{ACCOUNT}/Old")
        yield session


@pytest.fixture(autouse=True)
def usage(monkeypatch: pytest.MonkeyPatch) -> None:
    """moto takes no account of the usage: nothing is a permissions boundary here."""
    entities = work._entities
    monkeypatch.setattr(
        work, "_entities", lambda iam, arn, usage: [] if usage == "PermissionsBoundary" else entities(iam, arn, usage)
    )


def change(actions: list[str], before: str | None, after: str | None, **more: str) -> dict[str, Any]:
    def values(name: str | None) -> dict[str, Any] | None:
        return name and {"arn": f"{ACCOUNT}/{name}", "path": "/", "name": name}  # type: ignore[return-value]

    told = {"actions": actions, "before": values(before), "after": values(after)}
    return {"mode": "managed", "type": "aws_iam_policy", "address": ADDRESS, "change": told, **more}


OWN = {
    "mode": "managed",
    "type": "aws_iam_role_policy_attachment",
    "address": 'module.instance_policy[0].aws_iam_role_policy_attachment.this["Listed"]',
    "change": {"actions": ["delete"], "before": {"role": "Listed", "policy_arn": f"{ACCOUNT}/Old"}, "after": None},
}
DELETED = {"resource_changes": [change(["delete"], "Old", None), OWN]}
REPLACED = {"resource_changes": [change(["create", "delete"], "Old", "New"), OWN]}
LEFT_OVER = {
    "resource_changes": [change(["no-op"], "New", "New"), change(["delete"], "Old", None, deposed="0a1b2c3d"), OWN]
}


@pytest.mark.parametrize(
    ("plan", "successor"),
    [(DELETED, ""), (REPLACED, f"{ACCOUNT}/New"), (LEFT_OVER, f"{ACCOUNT}/New")],
    ids=["deleted", "replaced", "left over"],
)
def test_what_a_policy_is_attached_to_is_found_without_terraforms_own(
    session: boto3.Session, plan: Mapping[str, Any], successor: str
) -> None:
    kinds = (("group", "team"), ("role", "WebServer"), ("user", "robot"))

    assert removes_policy(plan)
    assert find_attachments(session, plan) == tuple(
        Attachment(f"{ACCOUNT}/Old", kind, name, successor)  # type: ignore[arg-type]
        for kind, name in kinds
    )


@pytest.mark.parametrize("actions", [["create"], ["update"], ["no-op"]])
def test_other_plans_ask_for_nothing(actions: list[str]) -> None:
    plan = {"resource_changes": [change(actions, "Old", "Old")]}

    assert not removes_policy(plan)
    assert find_attachments(None, plan) == ()  # type: ignore[arg-type]


def test_a_policy_under_another_path_is_refused(session: boto3.Session) -> None:
    plan = {"resource_changes": [change(["create", "delete"], "Old", "old")]}

    with pytest.raises(InputError, match=r"change names\.policy together with names\.policy_path"):
        find_attachments(session, plan)


def test_a_permissions_boundary_is_refused(session: boto3.Session, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(work, "_entities", lambda *_: [("role", "Bounded")])

    with pytest.raises(InputError, match=r"permissions boundary of the role Bounded.*put-role-permissions-boundary"):
        find_attachments(session, DELETED)


def attached(session: boto3.Session, name: str) -> set[str]:
    found = session.client("iam").list_attached_role_policies(RoleName=name)["AttachedPolicies"]
    return {policy["PolicyName"] for policy in found}


def test_the_new_policy_is_attached_before_the_old_one_is_detached(session: boto3.Session) -> None:
    reviewed = find_attachments(session, {"resource_changes": REPLACED["resource_changes"][:1]})
    calls: list[str] = []
    session.events.register("before-call.iam", lambda model, **_: calls.append(model.name))

    detach(session, reviewed)
    detach(session, reviewed)  # what is done is done

    assert attached(session, "WebServer") == attached(session, "Listed") == {"New"}
    changing = [name for name in calls if not name.startswith("List")]
    assert changing[:4] == ["AttachGroupPolicy", "DetachGroupPolicy", "AttachRolePolicy", "DetachRolePolicy"]


def test_a_role_at_its_quota_gets_the_new_policy_after_the_old_one(session: boto3.Session) -> None:
    iam = session.client("iam")
    for number in range(9):
        arn = iam.create_policy(PolicyName=f"Full{number}", PolicyDocument=GRANTS)["Policy"]["Arn"]
        iam.attach_role_policy(RoleName="WebServer", PolicyArn=arn)

    def limit(params: Mapping[str, Any], **_: object) -> None:
        body = params["body"]
        if body["RoleName"] == "WebServer" and "New" in body["PolicyArn"] and "Old" in attached(session, "WebServer"):
            raise iam.exceptions.LimitExceededException({"Error": {"Code": "LimitExceeded"}}, "AttachRolePolicy")

    session.events.register("before-call.iam.AttachRolePolicy", limit)
    detach(
        session,
        [Attachment(f"{ACCOUNT}/Old", "role", name, f"{ACCOUNT}/New") for name in ("WebServer", "Listed")]
        + [
            Attachment(f"{ACCOUNT}/Old", "user", "robot", f"{ACCOUNT}/New"),
            Attachment(f"{ACCOUNT}/Old", "group", "team", f"{ACCOUNT}/New"),
        ],
    )

    assert {"New", "Full0"} < attached(session, "WebServer")
    assert "Old" not in attached(session, "WebServer")


def test_what_was_attached_after_the_plan_is_not_detached(session: boto3.Session) -> None:
    reviewed = [Attachment(f"{ACCOUNT}/Old", "role", "WebServer")]

    with pytest.raises(InputError, match="attached to group team, role Listed, user robot after the plan"):
        detach(session, reviewed)
    assert attached(session, "WebServer") == {"Old"}
