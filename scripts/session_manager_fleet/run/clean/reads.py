"""Name the calls whose answers decide a plan: those that Terraform's provider makes for each type in a refresh."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Attributes = Mapping[str, Any]


@dataclass(frozen=True)
class Read:
    """A call.

    Attributes:
        service: Name of the service in boto3.
        method: Name of the method in boto3.
        parameters: Its parameters.
        only: Where the answer is a list of which one entry counts: the key of the list, a member, and its value.
    """

    service: str
    method: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    only: tuple[str, str, str] | None = None


# Members of answers that change by themselves, and from which no plan follows.
CHANGING: Mapping[str, frozenset[str]] = {
    "describe_alarms": frozenset(
        {
            *("StateValue", "StateReason", "StateReasonData", "StateUpdatedTimestamp", "StateTransitionedTimestamp"),
            "EvaluationState",
        }
    ),
    "describe_log_groups": frozenset({"storedBytes"}),
    # A function that was not called for a while is inactive; the address of its package is signed for some minutes.
    "get_function": frozenset({"Location", "RevisionId", "State", "StateReason", "StateReasonCode"}),
    "get_key_rotation_status": frozenset({"NextRotationDate"}),
    # Who else has the policy is no change of it.
    "get_policy": frozenset({"AttachmentCount", "PermissionsBoundaryUsageCount"}),
    "get_queue_attributes": frozenset(
        {
            "ApproximateNumberOfMessages",
            "ApproximateNumberOfMessagesDelayed",
            "ApproximateNumberOfMessagesNotVisible",
        }
    ),
    "get_role": frozenset({"RoleLastUsed"}),
    "list_versions_by_function": frozenset({"RevisionId", "State", "StateReason", "StateReasonCode"}),
}

# Data sources that read nothing which a target could change: they name the caller and the place, or compute a text.
# The function of `check_in_plan` compares the document, as the check `preferences` does.
HARMLESS_DATA = frozenset(
    {
        *("aws_caller_identity", "aws_iam_policy_document", "aws_lambda_invocation"),
        *("aws_partition", "aws_region"),
    }
)


def reads_of(kind: str, attributes: Attributes) -> tuple[Read, ...] | None:
    """Return the calls that tell all that a plan knows of a resource; None for a type that is not in the table.

    Raises:
        LookupError, AttributeError, TypeError: The state lacks an attribute.
    """
    read = _READS.get(kind)
    return None if read is None else tuple(read(attributes))


def known_types() -> frozenset[str]:
    """Return the types of resources in the table."""
    return frozenset(_READS)


def _rule(a: Attributes) -> Iterator[Read]:
    yield Read("events", "describe_rule", {"Name": a["name"], "EventBusName": a["event_bus_name"]})
    yield Read("events", "list_tags_for_resource", {"ResourceARN": a["arn"]})


def _target(a: Attributes) -> Iterator[Read]:
    where = {"Rule": a["rule"], "EventBusName": a["event_bus_name"]}
    yield Read("events", "list_targets_by_rule", where, ("Targets", "Id", a["target_id"]))


def _log_group(a: Attributes) -> Iterator[Read]:
    yield Read(
        "logs", "describe_log_groups", {"logGroupNamePrefix": a["name"]}, ("logGroups", "logGroupName", a["name"])
    )
    yield Read("logs", "list_tags_for_resource", {"resourceArn": a["arn"]})


def _filter(a: Attributes) -> Iterator[Read]:
    where = {"logGroupName": a["log_group_name"], "filterNamePrefix": a["name"]}
    yield Read("logs", "describe_subscription_filters", where, ("subscriptionFilters", "filterName", a["name"]))


def _alarm(a: Attributes) -> Iterator[Read]:
    yield Read("cloudwatch", "describe_alarms", {"AlarmNames": [a["alarm_name"]]})
    yield Read("cloudwatch", "list_tags_for_resource", {"ResourceARN": a["arn"]})


def _config_rule(a: Attributes) -> Iterator[Read]:
    yield Read("config", "describe_config_rules", {"ConfigRuleNames": [a["name"]]})
    yield Read("config", "list_tags_for_resource", {"ResourceArn": a["arn"]})


def _role(a: Attributes) -> Iterator[Read]:
    name = {"RoleName": a["name"]}
    yield Read("iam", "get_role", name)
    yield Read("iam", "list_attached_role_policies", name)
    yield Read("iam", "list_role_policies", name)


def _role_policy(a: Attributes) -> Iterator[Read]:
    yield Read("iam", "get_role_policy", {"RoleName": a["role"], "PolicyName": a["name"]})


def _attachment(a: Attributes) -> Iterator[Read]:
    only = ("AttachedPolicies", "PolicyArn", a["policy_arn"])
    yield Read("iam", "list_attached_role_policies", {"RoleName": a["role"]}, only)


def _key(a: Attributes) -> Iterator[Read]:
    key = {"KeyId": a["key_id"]}
    yield Read("kms", "describe_key", key)
    yield Read("kms", "get_key_policy", {**key, "PolicyName": "default"})
    yield Read("kms", "get_key_rotation_status", key)
    yield Read("kms", "list_resource_tags", key)


def _alias(a: Attributes) -> Iterator[Read]:
    yield Read("kms", "list_aliases", {}, ("Aliases", "AliasName", a["name"]))


def _function(a: Attributes) -> Iterator[Read]:
    name = {"FunctionName": a["function_name"]}
    yield Read("lambda", "get_function", name)
    yield Read("lambda", "get_function_code_signing_config", name)
    yield Read("lambda", "list_versions_by_function", name)


def _organizations_policy(a: Attributes) -> Iterator[Read]:
    yield Read("organizations", "describe_policy", {"PolicyId": a["id"]})
    yield Read("organizations", "list_tags_for_resource", {"ResourceId": a["id"]})


def _organizations_attachment(a: Attributes) -> Iterator[Read]:
    only = ("Targets", "TargetId", a["target_id"])
    yield Read("organizations", "list_targets_for_policy", {"PolicyId": a["policy_id"]}, only)


def _bucket(*methods: str) -> Callable[[Attributes], Iterator[Read]]:
    """Return the reads of a bucket; where the bucket is another account's, that account has to allow them."""

    def reads(a: Attributes) -> Iterator[Read]:
        owner = {"ExpectedBucketOwner": a["expected_bucket_owner"]} if a.get("expected_bucket_owner") else {}
        for method in methods:
            yield Read("s3", method, {"Bucket": a["bucket"], **owner})

    return reads


def _queue(a: Attributes) -> Iterator[Read]:
    yield Read("sqs", "get_queue_attributes", {"QueueUrl": a["url"], "AttributeNames": ["All"]})
    yield Read("sqs", "list_queue_tags", {"QueueUrl": a["url"]})


def _document(a: Attributes) -> Iterator[Read]:
    name = {"Name": a["name"]}
    yield Read("ssm", "describe_document", name)
    yield Read("ssm", "describe_document_permission", {**name, "PermissionType": "Share"})
    yield Read("ssm", "get_document", {**name, "DocumentVersion": "$LATEST"})


def _parameter(a: Attributes) -> Iterator[Read]:
    name = a["name"]
    yield Read("ssm", "get_parameters", {"Names": [name], "WithDecryption": True})
    by_name: Sequence[Mapping[str, Any]] = [{"Key": "Name", "Option": "Equals", "Values": [name]}]
    yield Read("ssm", "describe_parameters", {"ParameterFilters": by_name})
    yield Read("ssm", "list_tags_for_resource", {"ResourceType": "Parameter", "ResourceId": name})


def _one(service: str, method: str, parameter: str, attribute: str) -> Callable[[Attributes], Iterator[Read]]:
    """Return the one read of a resource that an attribute names."""

    def reads(a: Attributes) -> Iterator[Read]:
        yield Read(service, method, {parameter: a[attribute]})

    return reads


def _many_by_name(service: str, method: str, parameter: str, attribute: str) -> Callable[[Attributes], Iterator[Read]]:
    """Return the one read of a resource whose call takes a list of names."""

    def reads(a: Attributes) -> Iterator[Read]:
        yield Read(service, method, {parameter: [a[attribute]]})

    return reads


_READS: Mapping[str, Callable[[Attributes], Iterator[Read]]] = {
    "aws_cloudwatch_event_rule": _rule,
    "aws_cloudwatch_event_target": _target,
    "aws_cloudwatch_log_data_protection_policy": _one(
        "logs", "get_data_protection_policy", "logGroupIdentifier", "log_group_name"
    ),
    "aws_cloudwatch_log_group": _log_group,
    "aws_cloudwatch_log_subscription_filter": _filter,
    "aws_cloudwatch_metric_alarm": _alarm,
    "aws_config_config_rule": _config_rule,
    "aws_config_remediation_configuration": _many_by_name(
        "config", "describe_remediation_configurations", "ConfigRuleNames", "config_rule_name"
    ),
    # It names the default version, and a version never changes.
    "aws_iam_policy": _one("iam", "get_policy", "PolicyArn", "arn"),
    "aws_iam_role": _role,
    "aws_iam_role_policy": _role_policy,
    "aws_iam_role_policy_attachment": _attachment,
    "aws_kms_alias": _alias,
    "aws_kms_key": _key,
    "aws_lambda_function": _function,
    "aws_lambda_function_event_invoke_config": _one(
        "lambda", "get_function_event_invoke_config", "FunctionName", "function_name"
    ),
    # What the function writes is compared besides: the document, and the settings that it stored.
    "aws_lambda_invocation": lambda _: iter(()),
    "aws_lambda_permission": _one("lambda", "get_policy", "FunctionName", "function_name"),
    "aws_organizations_policy": _organizations_policy,
    "aws_organizations_policy_attachment": _organizations_attachment,
    "aws_s3_bucket": _bucket(
        *("head_bucket", "get_bucket_accelerate_configuration", "get_bucket_acl", "get_bucket_cors"),
        *("get_bucket_encryption", "get_bucket_lifecycle_configuration", "get_bucket_logging", "get_bucket_policy"),
        *("get_bucket_replication", "get_bucket_request_payment", "get_bucket_tagging", "get_bucket_versioning"),
        *("get_bucket_website", "get_object_lock_configuration"),
    ),
    "aws_s3_bucket_lifecycle_configuration": _bucket("get_bucket_lifecycle_configuration"),
    "aws_s3_bucket_logging": _bucket("get_bucket_logging"),
    "aws_s3_bucket_object_lock_configuration": _bucket("get_object_lock_configuration"),
    "aws_s3_bucket_ownership_controls": _bucket("get_bucket_ownership_controls"),
    "aws_s3_bucket_policy": _bucket("get_bucket_policy"),
    "aws_s3_bucket_public_access_block": _bucket("get_public_access_block"),
    "aws_s3_bucket_server_side_encryption_configuration": _bucket("get_bucket_encryption"),
    "aws_s3_bucket_versioning": _bucket("get_bucket_versioning"),
    "aws_sqs_queue": _queue,
    "aws_ssm_document": _document,
    "aws_ssm_parameter": _parameter,
    "aws_ssm_service_setting": _one("ssm", "get_service_setting", "SettingId", "setting_id"),
}
