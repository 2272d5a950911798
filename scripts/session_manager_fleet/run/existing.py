"""Look for what a plan creates and AWS has already: terraform plan does not, and some of it would be overwritten.

Only names that a plan creates are asked for, so a plan without new resources costs nothing.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import boto3
from botocore.exceptions import ClientError

from session_manager_fleet.aws import CLIENT_CONFIG, translated_errors
from session_manager_fleet.errors import InputError, Problem

PUBLIC_SHARING = "aws_ssm_service_setting"
LOG_GROUP, ALIAS = "aws_cloudwatch_log_group", "aws_kms_alias"
_KEY = "aws_kms_key"
_BLOCKED, ENABLED = "Disable", "Enabled"
_INDEX = re.compile(r"\[[^\]]*\]")

# Errors that say that there is no such thing.
_MISSING = frozenset(
    {
        *("NoSuchEntity", "NoSuchConfigRuleException", "NotFoundException", "ParameterNotFound", "InvalidDocument"),
        *("ResourceNotFoundException", "QueueDoesNotExist", "AWS.SimpleQueueService.NonExistentQueue"),
    }
)


@dataclass(frozen=True)
class Existing:
    """A resource that a plan creates although it exists.

    Attributes:
        type: Terraform's type, as `aws_kms_alias`.
        address: Terraform's address.
        name: Name of the resource.
        import_id: Its id for `terraform import`.
        key_arn: ARN of the KMS key of a log group or an alias; empty for none.
        detail: What else is to be known about it, as `retention 90 days`; may be empty.
        key_address: Address of the key that the plan creates for an alias; empty for none.
        retention_in_days: Of a log group, 0 for ever; None for anything else.
    """

    type: str
    address: str
    name: str
    import_id: str
    key_arn: str = ""
    detail: str = ""
    key_address: str = ""
    retention_in_days: int | None = None

    @property
    def imports(self) -> tuple[tuple[str, str], ...]:
        """Address and id of everything to import: of an alias also its key, from which it would move otherwise."""
        key = ((self.key_address, self.key_arn.rpartition("/")[2]),) if self.key_address else ()
        return (*key, (self.address, self.import_id))

    @property
    def unusable(self) -> bool:
        """Whether it cannot be used as it is: the key of an alias is disabled or will be deleted."""
        return self.type == ALIAS and bool(self.detail)

    def __str__(self) -> str:
        details = ", ".join(text for text in (f"key {self.key_arn}" if self.key_arn else "", self.detail) if text)
        return f"{_KINDS[self.type].noun} {self.name}" + (f" ({details})" if details else "")


# Returns the import id, the ARN of the key, a detail, and of a log group the retention; None if there is none.
_Found = tuple[str, str, str] | tuple[str, str, str, int] | None
_Look = Callable[[boto3.Session, Mapping[str, Any]], _Found]


@dataclass(frozen=True)
class _Kind:
    """How to look for a type of resources.

    Attributes:
        noun: As it reads before the name.
        look: Looks for one, given its planned values.
        name: Attribute with its name.
    """

    noun: str
    look: _Look
    name: str = "name"


def find_existing(session: boto3.Session, plan: Mapping[str, Any]) -> list[Existing]:
    """Return what a plan (`terraform show -json`) creates although it exists, in the order of the plan.

    Raises:
        AccessError: AWS refuses to answer.
    """
    created = [
        entry
        for entry in plan.get("resource_changes", [])
        if entry.get("mode") == "managed" and entry["change"]["actions"] == ["create"]
    ]
    addresses = {entry["address"] for entry in created}
    return [found for entry in created if (found := _look(session, entry, addresses))]


def creates_anything(plan: Mapping[str, Any]) -> bool:
    """Tell whether a plan creates anything that may exist already."""
    changes = (entry for entry in plan.get("resource_changes", []) if entry.get("mode") == "managed")
    return any(entry["type"] in _KINDS and entry["change"]["actions"] == ["create"] for entry in changes)


class ExistingError(InputError):
    """A plan would create what exists.

    Attributes:
        diagnostics: The commands that import what exists.
    """

    def __init__(self, problems: Sequence[Problem], diagnostics: Sequence[str] = ()) -> None:
        super().__init__(problems)
        self.diagnostics = tuple(diagnostics)


def problem_of(found: Existing) -> Problem:
    """Return what exists as a problem, with the ways out."""
    return Problem(
        f"The {found} exists already, but not in this Terraform state: {ways_out_of(found)}, import it with the "
        "commands below (a destroy then deletes it), or delete it."
    )


def ways_out_of(found: Existing) -> str:
    """Return the settings with which a plan does not create what exists."""
    return _WAYS_OUT.get(place_of(found.address), _OTHER_WAYS_OUT)


def _look(session: boto3.Session, entry: Mapping[str, Any], created: set[str]) -> Existing | None:
    kind = _KINDS.get(entry["type"])
    planned = entry["change"]["after"]
    if kind is None or not planned.get(kind.name):
        return None
    name = str(planned[kind.name])
    with translated_errors(f"ask whether the {kind.noun} {name} exists"):
        try:
            answer = kind.look(session, planned)
        except ClientError as error:
            if not is_missing(error):
                raise
            return None
    if answer is None:
        return None
    key_address = entry["address"].replace(ALIAS, _KEY) if entry["type"] == ALIAS else ""
    import_id, key_arn, detail, *retention = answer
    return Existing(
        entry["type"],
        entry["address"],
        name,
        import_id,
        key_arn,
        detail,
        key_address if key_address in created else "",
        *retention,
    )


def is_missing(error: ClientError) -> bool:
    """Tell whether an error says that there is no such thing."""
    return error.response.get("Error", {}).get("Code") in _MISSING


def client_of(session: boto3.Session, service: str) -> Any:  # noqa: ANN401 - a client of any service
    """Return a client."""
    return session.client(service, config=CLIENT_CONFIG)  # type: ignore[call-overload]


def log_group(session: boto3.Session, name: str) -> Mapping[str, Any] | None:
    """Return a log group as CloudWatch Logs describes it; None if there is none."""
    pages = client_of(session, "logs").get_paginator("describe_log_groups").paginate(logGroupNamePrefix=name)
    return next((group for page in pages for group in page["logGroups"] if group["logGroupName"] == name), None)


def key_of_alias(session: boto3.Session, name: str) -> tuple[str, str]:
    """Return ARN and state of the key behind an alias.

    Raises:
        ClientError: There is no such alias.
    """
    key = client_of(session, "kms").describe_key(KeyId=name)["KeyMetadata"]
    return key["Arn"], key["KeyState"]


def is_sharing_blocked(session: boto3.Session, setting_id: str) -> bool:
    """Tell whether the public sharing of documents is blocked; `setting_id` is the id or the ARN of the setting."""
    setting = client_of(session, "ssm").get_service_setting(SettingId=setting_id)["ServiceSetting"]
    return bool(setting["SettingValue"] == _BLOCKED)


def _log_group(session: boto3.Session, planned: Mapping[str, Any]) -> _Found:
    group = log_group(session, planned["name"])
    if group is None:
        return None
    days = group.get("retentionInDays", 0)
    return planned["name"], group.get("kmsKeyId", ""), f"retention {days} days" if days else "kept forever", days


def _alias(session: boto3.Session, planned: Mapping[str, Any]) -> _Found:
    arn, state = key_of_alias(session, planned["name"])
    return planned["name"], arn, "" if state == ENABLED else f"which is {state}"


def _subscription(session: boto3.Session, planned: Mapping[str, Any]) -> _Found:
    """Look for a subscription filter of the same name, which would be changed."""
    group, name = planned["log_group_name"], planned["name"]
    logs = client_of(session, "logs")
    found = logs.describe_subscription_filters(logGroupName=group, filterNamePrefix=name)["subscriptionFilters"]
    to = next((each["destinationArn"] for each in found if each["filterName"] == name), None)
    return (f"{group}|{name}", "", f"to {to}") if to else None


def _data_protection(session: boto3.Session, planned: Mapping[str, Any]) -> _Found:
    """Look for a data protection policy, which would be replaced."""
    group = planned["log_group_name"]
    found = client_of(session, "logs").get_data_protection_policy(logGroupIdentifier=group)
    return (group, "", "") if found.get("policyDocument") else None


def _setting(session: boto3.Session, planned: Mapping[str, Any]) -> _Found:
    blocked = planned["setting_value"] == _BLOCKED and is_sharing_blocked(session, planned["setting_id"])
    return (planned["setting_id"], "", _BLOCKED) if blocked else None


def _named(service: str, operation: str, parameter: str, attribute: str = "name") -> _Look:
    """Return a look by a call that fails for a name that does not exist."""

    def look(session: boto3.Session, planned: Mapping[str, Any]) -> _Found:
        getattr(client_of(session, service), operation)(**{parameter: planned[attribute]})
        return planned[attribute], "", ""

    return look


def _queue(session: boto3.Session, planned: Mapping[str, Any]) -> _Found:
    return client_of(session, "sqs").get_queue_url(QueueName=planned["name"])["QueueUrl"], "", ""


def _alarm(session: boto3.Session, planned: Mapping[str, Any]) -> _Found:
    name = planned["alarm_name"]
    found = client_of(session, "cloudwatch").describe_alarms(AlarmNames=[name], AlarmTypes=["MetricAlarm"])
    return (name, "", "") if found["MetricAlarms"] else None


def _config_rule(session: boto3.Session, planned: Mapping[str, Any]) -> _Found:
    found = client_of(session, "config").describe_config_rules(ConfigRuleNames=[planned["name"]])
    return (planned["name"], "", "") if found["ConfigRules"] else None


def _remediation(session: boto3.Session, planned: Mapping[str, Any]) -> _Found:
    name = planned["config_rule_name"]
    found = client_of(session, "config").describe_remediation_configurations(ConfigRuleNames=[name])
    return (name, "", "") if found["RemediationConfigurations"] else None


def _policy(session: boto3.Session, planned: Mapping[str, Any]) -> _Found:
    """Look for a policy under any path: IAM knows a name once, whatever its path and case."""
    pages = client_of(session, "iam").get_paginator("list_policies").paginate(Scope="Local")
    for page in pages:
        for policy in page["Policies"]:
            if policy["PolicyName"].casefold() == planned["name"].casefold():
                return policy["Arn"], "", "" if policy["Path"] == planned["path"] else f"path {policy['Path']}"
    return None


def _organization_policy(session: boto3.Session, planned: Mapping[str, Any]) -> _Found:
    pages = client_of(session, "organizations").get_paginator("list_policies").paginate(Filter=planned["type"])
    found = (policy for page in pages for policy in page["Policies"] if policy["Name"] == planned["name"])
    return next(((policy["Id"], "", "") for policy in found), None)


_KINDS: Mapping[str, _Kind] = {
    LOG_GROUP: _Kind("log group", _log_group),
    "aws_cloudwatch_log_data_protection_policy": _Kind(
        "data protection policy of the log group", _data_protection, "log_group_name"
    ),
    "aws_cloudwatch_log_subscription_filter": _Kind("subscription filter", _subscription),
    ALIAS: _Kind("KMS alias", _alias),
    "aws_ssm_parameter": _Kind("SSM parameter", _named("ssm", "get_parameter", "Name")),
    "aws_lambda_function": _Kind(
        "Lambda function", _named("lambda", "get_function", "FunctionName", "function_name"), "function_name"
    ),
    "aws_sqs_queue": _Kind("SQS queue", _queue),
    "aws_cloudwatch_metric_alarm": _Kind("CloudWatch alarm", _alarm, "alarm_name"),
    "aws_cloudwatch_event_rule": _Kind("EventBridge rule", _named("events", "describe_rule", "Name")),
    "aws_config_config_rule": _Kind("Config rule", _config_rule),
    "aws_config_remediation_configuration": _Kind("remediation of the Config rule", _remediation, "config_rule_name"),
    "aws_ssm_document": _Kind("Automation document", _named("ssm", "describe_document", "Name")),
    "aws_iam_role": _Kind("IAM role", _named("iam", "get_role", "RoleName")),
    "aws_iam_policy": _Kind("IAM policy", _policy),
    "aws_organizations_policy": _Kind("service control policy", _organization_policy),
    PUBLIC_SHARING: _Kind("public sharing setting", _setting, "setting_id"),
}

# Settings that help, by the address without modules' indexes; most names follow from the name of the function.
_NAME = "choose another {}"
_WAYS_OUT: Mapping[str, str] = {
    "preferences.aws_cloudwatch_log_group.sessions": (
        "keep it with preferences.cloudwatch.existing: adopt, choose another names.log_group"
    ),
    "preferences.aws_cloudwatch_log_data_protection_policy.sessions": (
        "keep it as it is without preferences.cloudwatch.data_protection"
    ),
    "preferences.aws_cloudwatch_log_subscription_filter.sessions": _NAME.format(
        "preferences.cloudwatch.subscription.name"
    ),
    "preferences.aws_kms_alias.logs": (
        "keep it and encrypt the log group with its key with preferences.cloudwatch.existing: adopt, choose another "
        "names.logs_key_alias"
    ),
    "preferences.aws_kms_alias.session_data": (
        "keep it and encrypt session data with its key with preferences.session_key.existing: adopt, choose another "
        "names.data_key_alias"
    ),
    "preferences.aws_ssm_parameter.session_key": _NAME.format("names.data_key_parameter"),
    "instance_policy.aws_iam_policy.this": (
        "use it as it is with instance_policy.enabled: false, choose another names.policy"
    ),
    "config_rule.aws_config_config_rule.this": _NAME.format("names.config_rule"),
    "config_rule.aws_config_remediation_configuration.this": _NAME.format("names.config_rule"),
    "config_rule.aws_ssm_document.this": _NAME.format("names.automation_document"),
    "config_rule.aws_iam_role.this": _NAME.format("names.automation_document"),
    "log_archive.aws_kms_alias.bucket": _NAME.format("log_archive.bucket_key.alias"),
    "log_archive.aws_kms_alias.session_data": _NAME.format("log_archive.session_key.alias"),
    "guardrails.aws_organizations_policy.this": _NAME.format("guardrails.name"),
}
_OTHER_WAYS_OUT = _NAME.format("names.function")


def place_of(address: str) -> str:
    """Return an address without indexes and without the first `module.`."""
    return _INDEX.sub("", address).removeprefix("module.")
