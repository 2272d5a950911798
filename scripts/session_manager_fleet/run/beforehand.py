"""Find what the first plan of a target would be refused for, without Terraform: for `doctor`.

The plan knows best what it creates. Until there is one, this says what a target without a state begins with, in the
form of a plan; a test compares it with Terraform's own plan.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from session_manager_fleet.errors import Problem
from session_manager_fleet.preferences import PREFERENCES_OUTPUT, expected_preferences
from session_manager_fleet.run import refusals
from session_manager_fleet.run.adopting import adoptions_of
from session_manager_fleet.run.existing import Existing, find_existing
from session_manager_fleet.settings import EffectiveSettings
from session_manager_fleet.targets import Target
from session_manager_fleet.terraform import adoptable_kinds

# Terraform's type and address of a resource, and the attributes that AWS is asked about.
_Created = tuple[str, Mapping[str, Any]]


def find_beforehand(
    target: Target, settings: EffectiveSettings, place: refusals.Place
) -> tuple[list[Existing], list[Problem], list[str]]:
    """Return what exists already and cannot be adopted, what AWS would refuse, and what it does not let one ask.

    Raises:
        AccessError: AWS refuses to answer.
    """
    plan = first_plan(target, settings)
    found = find_existing(place.session, plan)
    adopted = {adoption.name for adoption in adoptions_of(found, adoptable_kinds(settings))}
    refused, unchecked = refusals.examine(plan, place)
    return [each for each in found if each.name not in adopted], refused, unchecked


def first_plan(target: Target, settings: EffectiveSettings) -> dict[str, Any]:
    """Return what a target without a state creates and AWS knows by name, as `terraform show -json` gives a plan."""
    variables = {"region": target.region, "account_id": target.account.id, **settings.variables}
    parts = [_preferences, _guardrails, _log_archive, *([_instance_policy, _config_rule] if target.is_home else [])]
    given = settings.values.preferences.session_key
    wanted = expected_preferences(target, settings.values, given.kms_key_arn if given.enabled else None)
    return {
        "resource_changes": [_entry(*each) for part in parts for each in part(variables)],
        "output_changes": {PREFERENCES_OUTPUT: {"actions": ["create"], "after": wanted, "after_unknown": {}}},
        "variables": {"preferences": {"value": variables["preferences"]}},
    }


def _entry(address: str, after: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "mode": "managed",
        "type": address.split(".")[1],
        "address": f"module.{address}",
        "change": {"actions": ["create"], "before": None, "after": after},
    }


def _preferences(variables: Mapping[str, Any]) -> Iterator[_Created]:
    preferences, names = variables["preferences"], variables["names"]
    if not preferences["enabled"]:
        return
    logs, session_key = preferences["cloudwatch"], preferences["session_key"]
    function, module = names["function"], "preferences[0]"
    given = logs.get("kms_key_arn") if logs["encryption_enabled"] else None
    group, key = logs.get("log_group_name", names["log_group"]), {"kms_key_id": given} if given else {}
    if logs["create_log_group"] and group:
        yield f"{module}.aws_cloudwatch_log_group.sessions[0]", {"name": group, **key}
        if logs["encryption_enabled"] and not given:
            yield f"{module}.aws_kms_key.logs[0]", {}
            yield f"{module}.aws_kms_alias.logs[0]", {"name": names["logs_key_alias"]}
    if session_key["enabled"] and not session_key.get("kms_key_arn"):
        yield f"{module}.aws_kms_key.session_data[0]", {}
        yield f"{module}.aws_kms_alias.session_data[0]", {"name": names["data_key_alias"]}
        yield f"{module}.aws_ssm_parameter.session_key[0]", {"name": names["data_key_parameter"]}
    yield f"{module}.aws_cloudwatch_log_group.function", {"name": f"/aws/lambda/{function}", **key}
    reserved = preferences["function"].get("reserved_concurrent_executions")
    yield (
        f"{module}.aws_lambda_function.this",
        {"function_name": function, "reserved_concurrent_executions": reserved or -1},
    )
    yield f"{module}.aws_iam_role.function", {"name": f"{function}-{variables['region']}"}
    yield f"{module}.aws_lambda_invocation.this", {}
    repair = preferences["drift_repair"]
    if repair["enabled"]:
        yield f"{module}.aws_sqs_queue.failures[0]", {"name": f"{function}-failures"}
        yield f"{module}.aws_cloudwatch_metric_alarm.failures[0]", {"alarm_name": f"{function}-failures"}
        yield f"{module}.aws_cloudwatch_event_rule.api_calls[0]", {"name": f"{function}-api-calls"}
        if repair["schedule"]:
            yield f"{module}.aws_cloudwatch_event_rule.schedule[0]", {"name": f"{function}-schedule"}


def _instance_policy(variables: Mapping[str, Any]) -> Iterator[_Created]:
    settings, names, module = variables["instance_policy"], variables["names"], "instance_policy[0]"
    if not settings["enabled"]:
        return
    yield f"{module}.aws_iam_policy.this", {"name": names["policy"], "path": names["policy_path"]}
    for role in settings["attach_to_roles"]:
        yield f'{module}.aws_iam_role_policy_attachment.this["{role}"]', {"role": role}
        if settings["attach_managed_instance_core"]:
            yield f'{module}.aws_iam_role_policy_attachment.managed_instance_core["{role}"]', {"role": role}


def _config_rule(variables: Mapping[str, Any]) -> Iterator[_Created]:
    names, module = variables["names"], "config_rule[0]"
    if not variables["config_rule"]["enabled"]:
        return
    yield f"{module}.aws_config_config_rule.this", {"name": names["config_rule"]}
    yield f"{module}.aws_config_remediation_configuration.this", {"config_rule_name": names["config_rule"]}
    yield f"{module}.aws_ssm_document.this", {"name": names["automation_document"]}
    yield f"{module}.aws_iam_role.this", {"name": names["automation_document"]}


def _log_archive(variables: Mapping[str, Any]) -> Iterator[_Created]:
    archive, module = variables.get("log_archive"), "log_archive[0]"
    if archive is None:
        return
    if not archive.get("existing_bucket_name"):
        default = f"session-manager-logs-{variables['account_id']}-{variables['region']}"
        bucket = archive.get("bucket_name") or default
        key = archive["bucket_key"].get("kms_key_arn")
        yield f"{module}.aws_s3_bucket.this[0]", {"bucket": bucket}
        if key:
            yield (
                f"{module}.aws_s3_bucket_server_side_encryption_configuration.this[0]",
                {"bucket": bucket, "rule": key},
            )
    if not archive["bucket_key"].get("kms_key_arn"):
        yield f"{module}.aws_kms_alias.bucket[0]", {"name": archive["bucket_key"]["alias"]}
    if archive["session_key"]["mode"] == "separate":
        yield f"{module}.aws_kms_alias.session_data[0]", {"name": archive["session_key"]["alias"]}


def _guardrails(variables: Mapping[str, Any]) -> Iterator[_Created]:
    guardrails, module = variables.get("guardrails"), "guardrails[0]"
    if guardrails is None or not guardrails["attach_to"]:
        return
    policy = {"name": guardrails["name"], "type": "SERVICE_CONTROL_POLICY"}
    yield f"{module}.aws_organizations_policy.this[0]", policy
    for unit in guardrails["attach_to"]:
        yield f'{module}.aws_organizations_policy_attachment.this["{unit}"]', {"target_id": unit}
