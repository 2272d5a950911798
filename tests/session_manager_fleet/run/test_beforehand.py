"""What the first plan of a target creates; e2e/test_all_that_is_missing.py compares it with Terraform."""

from typing import Any

import pytest

from session_manager_fleet.accounts.model import Account
from session_manager_fleet.run.beforehand import first_plan
from session_manager_fleet.settings import EffectiveSettings, TargetSettings
from session_manager_fleet.targets.model import Target

HOME, ELSEWHERE = "eu-west-1", "us-east-1"
KEY = "arn:aws:kms:eu-west-1:111122223333:key/0f5f5b5c-cb57-4552-8153-0f5f5b5ccb57"


def planned(region: str = HOME, foundation: dict[str, Any] | None = None, **values: Any) -> dict[str, Any]:  # noqa: ANN401
    """The attributes of what a target's first plan creates, by type and name."""
    settings = EffectiveSettings(TargetSettings.model_validate(values), {}, frozenset(), foundation or {})
    plan = first_plan(Target(Account("111122223333", "Payments"), region, HOME), settings)
    return {
        entry["address"].removeprefix("module.").partition(".")[2]: entry["change"]["after"]
        for entry in plan["resource_changes"]
    }


def test_the_home_region_has_what_is_global() -> None:
    home, elsewhere = planned(), planned(ELSEWHERE)

    assert {name for name in home if name not in elsewhere} == {
        *("aws_iam_policy.this", "aws_config_config_rule.this", "aws_config_remediation_configuration.this"),
        *("aws_ssm_document.this", "aws_iam_role.this"),
    }
    assert elsewhere["aws_iam_role.function"] == {"name": f"session-manager-preferences-{ELSEWHERE}"}


@pytest.mark.parametrize(
    ("preferences", "missing"),
    [
        ({"drift_repair": {"schedule": ""}}, ["aws_cloudwatch_event_rule.schedule[0]"]),
        ({"session_key": {"kms_key_arn": KEY}}, ["aws_kms_alias.session_data[0]", "aws_ssm_parameter.session_key[0]"]),
        ({"session_key": {"enabled": False}}, ["aws_kms_alias.session_data[0]", "aws_ssm_parameter.session_key[0]"]),
        ({"cloudwatch": {"kms_key_arn": KEY}}, ["aws_kms_alias.logs[0]"]),
        ({"cloudwatch": {"encryption_enabled": False}}, ["aws_kms_alias.logs[0]"]),
        (
            {"cloudwatch": {"create_log_group": False}},
            ["aws_cloudwatch_log_group.sessions[0]", "aws_kms_alias.logs[0]"],
        ),
    ],
)
def test_what_settings_leave_out(preferences: dict[str, Any], missing: list[str]) -> None:
    everything, less = planned(), planned(preferences=preferences)

    assert [name for name in everything if name not in less and "aws_kms_key" not in name] == missing


def test_nothing_is_created_where_nothing_is_enabled() -> None:
    disabled: dict[str, Any] = {name: {"enabled": False} for name in ("preferences", "instance_policy", "config_rule")}

    assert planned(**disabled) == {}


def test_given_names_keys_and_roles_are_asked_about() -> None:
    plan = planned(
        names={"function": "keeper", "policy_path": "/teams/"},
        instance_policy={"attach_to_roles": ["app"], "attach_managed_instance_core": True},
        preferences={"cloudwatch": {"kms_key_arn": KEY, "log_group_name": "own"}},
    )

    assert plan["aws_cloudwatch_log_group.sessions[0]"] == {"name": "own", "kms_key_id": KEY}
    assert plan["aws_cloudwatch_log_group.function"] == {"name": "/aws/lambda/keeper", "kms_key_id": KEY}
    assert plan["aws_iam_policy.this"] == {"name": "SessionManagerLogPolicy", "path": "/teams/"}
    assert sum("aws_iam_role_policy_attachment" in name for name in plan) == 2
