"""When a plan looks for nodes that it would lock out, and what an apply does about them."""

import json
from dataclasses import replace
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from session_manager_fleet.accounts import Account
from session_manager_fleet.errors import AccessError
from session_manager_fleet.preferences import Demands, Effect, Lockout, NodeKind
from session_manager_fleet.run import lockouts
from session_manager_fleet.run.lockouts import planned_lockouts, refuse_lockouts
from session_manager_fleet.run.saved_plan import SavedPlanError
from session_manager_fleet.settings import TargetSettings
from session_manager_fleet.targets import Target

TARGET = Target(Account("111122223333", "Payments"), "eu-west-1", "eu-west-1")
KEY = "arn:aws:kms:eu-west-1:111122223333:key/0a1b2c3d-cb57-4552-8153-0f5f5b5ccb57"
LOCKED = Lockout("web", NodeKind.INSTANCE_PROFILE, ("i-1",), 1, Effect.NO_SESSION, "missing_policy", "it lacks x")


def plan(after: dict[str, Any], before: dict[str, Any] | None = None, *, writes: bool = True) -> dict[str, Any]:
    had = {"input": json.dumps({"preferences": before})} if before is not None else None
    change = {"actions": ["update" if had else "create"], "before": had, "after": {}}
    invocation = {"mode": "managed", "type": "aws_lambda_invocation", "address": "x", "change": change}
    return {
        "resource_changes": [invocation] if writes else [],
        "output_changes": {"preferences": {"after": {"preferences": after}, "after_unknown": {}}},
    }


@pytest.fixture(autouse=True)
def key_without_further_aliases(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lockouts, "read_demands", lambda _reader, *given: Demands.of(given[1], given[0], given[2]))


@pytest.fixture
def judged(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The demands that nodes are judged by."""
    found: list[Any] = []

    def find(_reader: object, _target: object, demands: object, granted: object) -> list[Lockout]:
        found.append((demands, granted))
        return [LOCKED]

    monkeypatch.setattr(lockouts, "find_lockouts", find)
    return found


GROUP = {"cloudWatchLogGroupName": "logs", "cloudWatchEncryptionEnabled": True}


@pytest.mark.parametrize(
    ("shown", "looks"),
    [
        (plan({"kmsKeyId": KEY}), True),
        (plan(GROUP), True),
        (plan({"s3BucketName": "b", "s3EncryptionEnabled": True}), True),
        (plan({"kmsKeyId": KEY}, {"idleSessionTimeout": "20"}), True),
        (plan({"kmsKeyId": KEY, **GROUP}, {"kmsKeyId": KEY}), True),
        (plan({"kmsKeyId": KEY, "idleSessionTimeout": "20"}, {"kmsKeyId": KEY}), False),
        (plan({"idleSessionTimeout": "20"}), False),
        (plan({"cloudWatchLogGroupName": "logs"}), False),
        (plan({"kmsKeyId": KEY}, writes=False), False),
    ],
)
def test_only_demands_that_are_new_and_can_lock_out_are_judged(
    shown: dict[str, Any], judged: list[Any], *, looks: bool
) -> None:
    found = planned_lockouts(shown, TARGET, TargetSettings(), boto3.Session())
    assert (found, bool(judged)) == (((LOCKED,), True) if looks else ((), False))


def test_roles_that_terraform_attaches_the_policy_to_are_judged_as_if_they_had_it(judged: list[Any]) -> None:
    values = TargetSettings.model_validate({"instance_policy": {"attach_to_roles": ["web"]}})
    planned_lockouts(plan({"kmsKeyId": KEY}), TARGET, values, boto3.Session())
    ((_, granted),) = judged
    assert [granted({"RoleName": name}) for name in ("web", "other")] == [True, False]


@pytest.mark.parametrize("code", ["AccessDenied", "AccessDeniedException", "UnauthorizedOperation"])
def test_what_may_not_be_read_is_not_known(monkeypatch: pytest.MonkeyPatch, code: str) -> None:
    def refuse(*_: object) -> None:
        raise ClientError({"Error": {"Code": code, "Message": "no"}}, "DescribeActivations")

    monkeypatch.setattr(lockouts, "find_lockouts", refuse)
    assert planned_lockouts(plan({"kmsKeyId": KEY}), TARGET, TargetSettings(), boto3.Session()) is None


def test_other_refusals_are_failures(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise ClientError({"Error": {"Code": "ExpiredToken", "Message": "no"}}, "GetRole")

    monkeypatch.setattr(lockouts, "find_lockouts", refuse)
    with pytest.raises(AccessError):
        planned_lockouts(plan({"kmsKeyId": KEY}), TARGET, TargetSettings(), boto3.Session())


def test_an_apply_refuses_or_warns_as_the_settings_say() -> None:
    refusing = TargetSettings()
    warning = TargetSettings.model_validate({"preferences": {"lockout": "warn"}})
    assert refusing.preferences.lockout == "refuse"
    with pytest.raises(SavedPlanError, match=r"would lock out managed nodes: web \(i-1\): no session can start"):
        refuse_lockouts([LOCKED], refusing)
    with pytest.raises(SavedPlanError, match="and 1 more"):
        refuse_lockouts([LOCKED] * 6, refusing)
    with pytest.raises(SavedPlanError, match=r"Not checked.*iam:SimulatePrincipalPolicy"):
        refuse_lockouts(None, refusing)
    refuse_lockouts((), refusing)
    refuse_lockouts([replace(LOCKED, nodes=(), node_count=0)], refusing)
    refuse_lockouts([LOCKED], warning)
    refuse_lockouts(None, warning)
