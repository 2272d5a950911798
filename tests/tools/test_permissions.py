"""The generated policies: not stale, within IAM's limits, and no more than needed."""

import json

import pytest

from session_manager_fleet.terraform.permissions import CHANGE, DEPLOY
from session_manager_fleet.terraform.policies import Permission, policy
from session_manager_fleet.verify import READ
from tools import module_permissions, permissions

# https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
MANAGED, INLINE = 6144, 10240
READING = ("Lookup", "Describe", "Get", "List", "Simulate")


def size(statements: tuple[Permission, ...]) -> int:
    return len(json.dumps(policy(statements), separators=(",", ":")))


def test_what_is_generated_is_not_stale() -> None:
    for path, text in permissions.files().items():
        assert path.read_text(encoding="utf-8") == text, f"{path} is stale: run `make docs`"


def test_the_policies_are_within_the_quotas() -> None:
    assert size(READ) < MANAGED
    assert size(CHANGE) < MANAGED
    assert size(DEPLOY) < INLINE


def test_the_read_role_only_reads_configuration() -> None:
    actions = {action for statement in READ for action in statement.actions}

    assert [action for action in actions if not action.split(":")[1].startswith(READING)] == []
    assert not actions & {
        "s3:GetObject",
        "logs:GetLogEvents",
        "kms:Decrypt",
        "lambda:InvokeFunction",
        "ssm:GetParametersByPath",
    }


@pytest.mark.parametrize("statement", CHANGE, ids=lambda statement: statement.sid)
def test_nothing_is_changed_everywhere(statement: Permission) -> None:
    assert (statement.resources == ("*",)) == (statement.sid in {"CreateKeys", "ChangeGuardrails"})
    assert statement.why


def test_a_module_of_its_own_needs_no_more_and_no_less_than_the_rollout() -> None:
    taken = {action for kind in module_permissions.OF_STATEMENTS for action in module_permissions.actions_of(kind)}

    assert {action for statement in CHANGE for action in statement.actions} <= taken
    assert all(map(module_permissions.actions_of, module_permissions.OF_STATEMENTS))
