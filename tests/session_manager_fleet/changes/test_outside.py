"""What was changed outside of Terraform and stays so: attributes that the provider computes and no setting names."""

from typing import Any

import pytest

from session_manager_fleet.changes import left_as_changed

ADDRESS = "module.preferences[0].aws_kms_key.logs"


def entry(before: object, after: object, kind: str = "aws_kms_key", **details: object) -> dict[str, Any]:
    change = {"actions": ["update"], "before": before, "after": after, **details}
    return {"address": ADDRESS, "mode": "managed", "type": kind, "change": change}


def found(drift: dict[str, Any], *planned: dict[str, Any]) -> list[str]:
    return list(left_as_changed({"resource_drift": [drift], "resource_changes": list(planned)}))


DRIFT = entry(
    {"description": "a", "policy": "p", "rotation": True}, {"description": "b", "policy": "q", "rotation": True}
)


@pytest.mark.parametrize(
    ("planned", "names"),
    [
        ({"after": {"description": "b", "policy": "q", "rotation": True}}, "description, policy"),
        ({"after": {"description": "b", "policy": "p", "rotation": True}}, "description"),
        ({"after": {"description": "b", "policy": "q"}, "after_unknown": {"policy": True}}, "description"),
        ({"after": {"description": "b", "policy": "q"}, "after_unknown": {"policy": False}}, "description, policy"),
        ({"after": {"description": "b", "policy": "q"}, "after_unknown": False}, "description, policy"),
        ({"after": {"description": "a", "policy": "p", "rotation": True}}, None),
        ({"after": None}, None),
        ({}, None),
    ],
)
def test_what_the_plan_leaves_is_named(planned: dict[str, Any], names: str | None) -> None:
    planned = {"address": ADDRESS, "change": {"actions": ["update"], **planned}}
    other = {"address": "aws_kms_key.other", "change": {"actions": ["no-op"], "after": {}}}

    assert found(DRIFT, planned, other) == ([f"{ADDRESS} ({names})"] if names else [])


def test_a_resource_without_a_planned_change_stays_as_it_was_found() -> None:
    assert found(DRIFT) == [f"{ADDRESS} (description, policy)"]
    assert list(left_as_changed({"resource_drift": [DRIFT]})) == [f"{ADDRESS} (description, policy)"]


def test_a_resource_that_was_made_outside_has_nothing_before() -> None:
    assert found(entry(None, {"description": "b"})) == [f"{ADDRESS} (description)"]


@pytest.mark.parametrize(
    "drift",
    [
        {**DRIFT, "mode": "data"},
        entry({"description": "a"}, None),
        entry({"tags_all": {}}, {"tags_all": {"team": "b"}}),
        entry({"version": 1}, {"version": 2}, "aws_ssm_parameter"),
    ],
)
def test_what_is_read_deleted_or_computed_besides_is_no_change(drift: dict[str, Any]) -> None:
    assert found(drift) == []
    # What comes behind it is not overlooked.
    both = {"resource_drift": [drift, DRIFT], "resource_changes": []}
    assert list(left_as_changed(both)) == [f"{ADDRESS} (description, policy)"]


def test_what_one_type_computes_another_one_may_set() -> None:
    assert found(entry({"version": 1}, {"version": 2})) == [f"{ADDRESS} (version)"]


def test_a_plan_without_drift_says_nothing() -> None:
    assert list(left_as_changed({})) == []


OWN: tuple[dict[str, Any], ...] = tuple(
    {"address": kind, "type": kind, "change": {"actions": ["no-op"], "after": {"role": "function", **attributes}}}
    for kind, attributes in (
        ("aws_iam_role_policy", {"name": "own"}),
        ("aws_iam_role_policy_attachment", {"policy_arn": "arn:own"}),
    )
)


@pytest.mark.parametrize(
    ("before", "after", "names"),
    [
        # The state of a role has none of the policies that the same apply made after it.
        ({}, {"inline_policy": [{"name": "own"}], "managed_policy_arns": ["arn:own"]}, None),
        ({}, {"inline_policy": [{"name": "own"}, {"name": "further"}], "managed_policy_arns": []}, "inline_policy"),
        ({}, {"managed_policy_arns": ["arn:own", "arn:further"], "inline_policy": None}, "managed_policy_arns"),
        ({"inline_policy": [{"name": "own"}]}, {"inline_policy": [{"name": "own"}, {"name": "x"}]}, "inline_policy"),
    ],
)
def test_policies_of_a_role_with_resources_of_their_own_are_no_change_of_it(
    before: dict[str, Any], after: dict[str, Any], names: str | None
) -> None:
    drift = entry({"name": "function", **before}, {"name": "function", **after}, "aws_iam_role")

    assert found(drift, *OWN) == ([f"{ADDRESS} ({names})"] if names else [])


def test_a_policy_of_another_role_is_a_change_of_this_one() -> None:
    drift = entry({"name": "other"}, {"name": "other", "inline_policy": [{"name": "own"}]}, "aws_iam_role")

    assert found(drift, *OWN) == [f"{ADDRESS} (inline_policy)"]
