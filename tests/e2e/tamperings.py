"""Change every attribute of the resources of a state in the emulated AWS, one at a time, by real calls, and undo it."""

from __future__ import annotations

import copy
import json
import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import boto3

from session_manager_fleet.terraform import ManagedResource

Act = Callable[[], object]
# Of a policy document, as many leaves; all others are read in the same place.
_LEAVES = 6
# A role that functions can have, beside that of the function.
OTHER_ROLE = "oracle-other"


@dataclass(frozen=True)
class Tampering:
    """A change of one attribute outside of Terraform.

    Attributes:
        resource: Of which.
        attribute: Name of the attribute in the state.
        what: What is changed in it.
        do: Changes it.
        undo: Puts it back.
    """

    resource: ManagedResource
    attribute: str
    what: str
    do: Act
    undo: Act

    @property
    def part(self) -> str:
        """What is changed, with its type: for a value that holds others, such as a policy, the kind of place in it."""
        place = re.sub(r"\[[^\]]*\]", "", self.what) if self.what.startswith(".") else ""
        return f"{self.resource.type}.{self.attribute}{place}"

    def __str__(self) -> str:
        return f"{self.resource.address}.{self.attribute} ({self.what})"


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:  # noqa: ANN401 - any JSON
    """Yield copies of a value, each with another leaf changed, or an item of a list left out, and where."""
    if isinstance(value, dict):
        for key, item in value.items():
            for where, changed in leaves(item, f"{path}.{key}"):
                yield where, {**value, key: changed}
    elif isinstance(value, list):
        for index, item in enumerate(value):
            for where, changed in leaves(item, f"{path}[{index}]"):
                yield where, [*value[:index], changed, *value[index + 1 :]]
        if len(value) > 1:
            yield f"{path}[last]", value[:-1]
    else:
        yield path, _other(value)


_OTHERS = {
    "Allow": "Deny",
    "Deny": "Allow",
    "true": "false",
    "false": "true",
    "*": "arn:aws:iam::111122223333:root",
    "2012-10-17": "2008-10-17",
    "Enabled": "Disabled",
    "GOVERNANCE": "COMPLIANCE",
    "GLACIER": "DEEP_ARCHIVE",
    "STANDARD_IA": "GLACIER",
    "GLACIER_IR": "GLACIER",
    "INTELLIGENT_TIERING": "GLACIER",
}


def _other(value: Any) -> Any:  # noqa: ANN401 - a leaf of JSON
    """Return another value of the same kind."""
    if not isinstance(value, str):
        return not value if isinstance(value, bool) else value + 1
    if value in _OTHERS:
        return _OTHERS[value]
    if value.startswith("arn:") or value.count(":") != 1:
        return f"{value}x" if value.rstrip("*") == value else f"{value.rstrip('*')}x*"
    # An action: one that there is.
    return {"sts:AssumeRole": "sts:TagSession", "kms:*": "kms:Decrypt"}.get(value, f"{value.partition(':')[0]}:Get*")


def documents(text: str) -> Iterator[tuple[str, str]]:
    """Yield variants of a JSON document, spread over the whole of it."""
    found = list(leaves(json.loads(text)))
    for where, changed in found[:: math.ceil(len(found) / _LEAVES)]:
        yield where, json.dumps(changed)


class Account:
    """The account of the resources."""

    def __init__(self, session: boto3.Session, package: bytes) -> None:
        self.session = session
        self.package = package
        self._clients: dict[str, Any] = {}

    def __getattr__(self, service: str) -> Any:  # noqa: ANN401 - one kind for each service
        name = service.rstrip("_")
        if name not in self._clients:
            self._clients[name] = self.session.client(name)  # type: ignore[call-overload]
        return self._clients[name]

    def tamperings(self, resource: ManagedResource) -> Iterator[Tampering]:
        """Yield the changes of a resource."""
        for attribute, what, do, undo in _OF[resource.type](self, resource.attributes):
            yield Tampering(resource, attribute, what, do, undo)


Change = tuple[str, str, Act, Act]
Attributes = Mapping[str, Any]
Changes = Callable[["Account", Attributes], Iterator[Change]]


def _put(attribute: str, what: str, put: Callable[..., object], before: object, after: object) -> Change:
    """Return a change by a call that takes the whole value."""
    return attribute, what, lambda: put(after), lambda: put(before)


def _fields(
    put: Callable[..., object], whole: Mapping[str, Any], changes: Mapping[str, tuple[str, Any]]
) -> Iterator[Change]:
    """Yield changes by a call that takes all fields as keywords: by attribute, the field and another value."""
    yield from _members(lambda fields: put(**fields), whole, [(name, *change) for name, change in changes.items()])


def _members(
    put: Callable[[Mapping[str, Any]], object], whole: Mapping[str, Any], changes: Iterable[tuple[str, str, Any]]
) -> Iterator[Change]:
    """Yield changes of members of a whole that one call stores: attribute, member, another value.

    Several may be done at once: each keeps the others. A place below the member says what the other value differs in.
    """
    current = dict(whole)

    def with_member(name: str, value: Any) -> dict[str, Any]:  # noqa: ANN401 - any JSON
        others = {key: each for key, each in current.items() if key != name}
        return others if value is None else {**others, name: value}

    def change(name: str, value: Any) -> None:  # noqa: ANN401 - any JSON
        changed = with_member(name, value)
        put(changed)
        # AWS may have refused it.
        current.clear()
        current.update(changed)

    def undo(name: str) -> None:
        # What is refused while others are changed, too, is put back with them.
        restored = with_member(name, whole.get(name))
        current.clear()
        current.update(restored)
        put(current)

    for attribute, place, value in changes:
        name = place.partition(".")[0]
        yield (
            *(attribute, place[len(name) :] or name),
            lambda n=name, v=value: change(n, v),  # type: ignore[misc]
            lambda n=name: undo(n),  # type: ignore[misc]
        )


def _policy(attribute: str, text: str, put: Callable[[str], object]) -> Iterator[Change]:
    for where, changed in documents(text):
        yield _put(attribute, where, put, text, changed)


_TAG = {"tampered": "yes"}


def _queue(a: Account, s: Attributes) -> Iterator[Change]:
    def put(name: str) -> Callable[[str], object]:
        return lambda value: a.sqs.set_queue_attributes(QueueUrl=s["url"], Attributes={name: value})

    for attribute, name, before, after in (
        ("visibility_timeout_seconds", "VisibilityTimeout", "30", "31"),
        ("max_message_size", "MaximumMessageSize", "262144", "131072"),
        ("message_retention_seconds", "MessageRetentionPeriod", "1209600", "86400"),
        ("delay_seconds", "DelaySeconds", "0", "5"),
        ("receive_wait_time_seconds", "ReceiveMessageWaitTimeSeconds", "0", "5"),
        ("kms_data_key_reuse_period_seconds", "KmsDataKeyReusePeriodSeconds", "300", "600"),
        ("kms_master_key_id", "KmsMasterKeyId", "alias/aws/sqs", "alias/session-manager/logs"),
    ):
        yield _put(attribute, name, put(name), before, after)
    yield from _policy("policy", s["policy"], put("Policy"))
    yield (
        *("tags_all", "a tag"),
        lambda: a.sqs.tag_queue(QueueUrl=s["url"], Tags=_TAG),
        lambda: a.sqs.untag_queue(QueueUrl=s["url"], TagKeys=list(_TAG)),
    )


def _alarm(a: Account, s: Attributes) -> Iterator[Change]:
    names = (
        *("AlarmName", "AlarmDescription", "ActionsEnabled", "OKActions", "AlarmActions", "InsufficientDataActions"),
        *("MetricName", "Namespace", "Statistic", "Dimensions", "Period", "EvaluationPeriods", "Threshold"),
        *("ComparisonOperator", "TreatMissingData"),
    )
    found = a.cloudwatch.describe_alarms(AlarmNames=[s["alarm_name"]])["MetricAlarms"][0]
    whole = {name: found[name] for name in names if name in found}
    topic = f"{s['alarm_actions'][0]}-other"
    yield from _fields(
        a.cloudwatch.put_metric_alarm,
        whole,
        {
            "alarm_description": ("AlarmDescription", "Other."),
            "actions_enabled": ("ActionsEnabled", False),
            "ok_actions": ("OKActions", [topic]),
            "alarm_actions": ("AlarmActions", []),
            "insufficient_data_actions": ("InsufficientDataActions", [topic]),
            "metric_name": ("MetricName", "NumberOfMessagesSent"),
            "namespace": ("Namespace", "AWS/SNS"),
            "statistic": ("Statistic", "Minimum"),
            "dimensions": ("Dimensions", [{"Name": "QueueName", "Value": "another"}]),
            "period": ("Period", 600),
            "evaluation_periods": ("EvaluationPeriods", 2),
            "datapoints_to_alarm": ("DatapointsToAlarm", 1),
            "threshold": ("Threshold", 5.0),
            "comparison_operator": ("ComparisonOperator", "LessThanThreshold"),
            "treat_missing_data": ("TreatMissingData", "breaching"),
        },
    )
    yield (
        *("tags_all", "a tag"),
        lambda: a.cloudwatch.tag_resource(ResourceARN=s["arn"], Tags=[{"Key": "tampered", "Value": "yes"}]),
        lambda: a.cloudwatch.untag_resource(ResourceARN=s["arn"], TagKeys=["tampered"]),
    )


def _event_rule(a: Account, s: Attributes) -> Iterator[Change]:
    found = a.events.describe_rule(Name=s["name"])
    names = ("Name", "Description", "EventPattern", "ScheduleExpression", "State")
    whole = {name: found[name] for name in names if found.get(name)}
    changes: list[tuple[str, str, Any]] = [("description", "Description", "Other."), ("state", "State", "DISABLED")]
    if "EventPattern" in whole:
        changes += [("event_pattern", f"EventPattern{at}", text) for at, text in documents(whole["EventPattern"])]
    else:
        changes += [("schedule_expression", "ScheduleExpression", "rate(7 days)")]
    yield from _members(lambda fields: a.events.put_rule(**fields), whole, changes)
    yield (
        *("tags_all", "a tag"),
        lambda: a.events.tag_resource(ResourceARN=s["arn"], Tags=[{"Key": "tampered", "Value": "yes"}]),
        lambda: a.events.untag_resource(ResourceARN=s["arn"], TagKeys=["tampered"]),
    )


def _event_target(a: Account, s: Attributes) -> Iterator[Change]:
    found = a.events.list_targets_by_rule(Rule=s["rule"])["Targets"]
    whole = next(each for each in found if each["Id"] == s["target_id"])

    def put(target: object) -> None:
        a.events.put_targets(Rule=s["rule"], Targets=[target])

    changes: list[tuple[str, str, Any]] = [("arn", "Arn", f"{whole['Arn']}x")]
    changes += [("retry_policy", f"RetryPolicy{at}", changed) for at, changed in leaves(whole["RetryPolicy"])]
    if "Input" in whole:
        changes += [("input", f"Input{at}", text) for at, text in documents(whole["Input"])]
    else:
        variants = list(leaves(whole["InputTransformer"]))[:_LEAVES]
        changes += [("input_transformer", f"InputTransformer{at}", changed) for at, changed in variants]
    yield from _members(put, whole, changes)
    yield (
        *("target_id", "the whole target"),
        lambda: a.events.remove_targets(Rule=s["rule"], Ids=[s["target_id"]]),
        lambda: put(whole),
    )


def _log_group(a: Account, s: Attributes) -> Iterator[Change]:
    name = {"logGroupName": s["name"]}
    yield _put(
        "retention_in_days",
        "retention",
        lambda days: a.logs.put_retention_policy(**name, retentionInDays=days),
        s["retention_in_days"],
        30,
    )
    yield (
        *("retention_in_days", "no retention"),
        lambda: a.logs.delete_retention_policy(**name),
        lambda: a.logs.put_retention_policy(**name, retentionInDays=s["retention_in_days"]),
    )
    yield (
        *("kms_key_id", "no key"),
        lambda: a.logs.disassociate_kms_key(**name),
        lambda: a.logs.associate_kms_key(**name, kmsKeyId=s["kms_key_id"]),
    )
    yield (
        *("tags_all", "a tag"),
        lambda: a.logs.tag_resource(resourceArn=s["arn"], tags=_TAG),
        lambda: a.logs.untag_resource(resourceArn=s["arn"], tagKeys=list(_TAG)),
    )


def _data_protection(a: Account, s: Attributes) -> Iterator[Change]:
    def put(text: str) -> None:
        a.logs.put_data_protection_policy(logGroupIdentifier=s["log_group_name"], policyDocument=text)

    document = json.loads(s["policy_document"])
    fewer = copy.deepcopy(document)
    for statement in fewer["Statement"]:
        statement["DataIdentifier"] = statement["DataIdentifier"][:-1]
    yield _put("policy_document", "an identifier less", put, s["policy_document"], json.dumps(fewer))
    yield _put("policy_document", "Name", put, s["policy_document"], json.dumps({**document, "Name": "other"}))
    yield (
        *("policy_document", "the whole policy"),
        lambda: a.logs.delete_data_protection_policy(logGroupIdentifier=s["log_group_name"]),
        lambda: put(s["policy_document"]),
    )


def _subscription(a: Account, s: Attributes) -> Iterator[Change]:
    whole = {
        "logGroupName": s["log_group_name"],
        "filterName": s["name"],
        "filterPattern": s["filter_pattern"],
        "destinationArn": s["destination_arn"],
        "roleArn": s["role_arn"],
        "distribution": s["distribution"],
    }
    changes = {
        "filter_pattern": ("filterPattern", "ERROR"),
        "distribution": ("distribution", "Random"),
        "destination_arn": ("destinationArn", f"{s['destination_arn']}-other"),
        "role_arn": ("roleArn", s["role_arn"].replace("-logs-", "-")),
    }
    yield from _fields(a.logs.put_subscription_filter, whole, changes)
    yield (
        *("name", "the whole filter"),
        lambda: a.logs.delete_subscription_filter(logGroupName=s["log_group_name"], filterName=s["name"]),
        lambda: a.logs.put_subscription_filter(**whole),
    )


def _role(a: Account, s: Attributes) -> Iterator[Change]:
    name = {"RoleName": s["name"]}
    yield from _policy(
        "assume_role_policy",
        s["assume_role_policy"],
        lambda text: a.iam.update_assume_role_policy(**name, PolicyDocument=text),
    )
    whole = {**name, "Description": s["description"], "MaxSessionDuration": s["max_session_duration"]}
    yield from _fields(
        a.iam.update_role,
        whole,
        {"description": ("Description", "Other."), "max_session_duration": ("MaxSessionDuration", 7200)},
    )
    yield (
        *("permissions_boundary", "a boundary"),
        lambda: a.iam.put_role_permissions_boundary(
            **name, PermissionsBoundary="arn:aws:iam::aws:policy/AmazonSSMManagedInstanceCore"
        ),
        lambda: a.iam.delete_role_permissions_boundary(**name),
    )
    yield (
        *("tags_all", "a tag"),
        lambda: a.iam.tag_role(**name, Tags=[{"Key": "tampered", "Value": "yes"}]),
        lambda: a.iam.untag_role(**name, TagKeys=["tampered"]),
    )


def _role_policy(a: Account, s: Attributes) -> Iterator[Change]:
    name = {"RoleName": s["role"], "PolicyName": s["name"]}

    def put(text: str) -> None:
        a.iam.put_role_policy(**name, PolicyDocument=text)

    yield from _policy("policy", s["policy"], put)
    yield "name", "the whole policy", lambda: a.iam.delete_role_policy(**name), lambda: put(s["policy"])


def _iam_policy(a: Account, s: Attributes) -> Iterator[Change]:
    arn = {"PolicyArn": s["arn"]}

    def new(text: str) -> None:
        a.iam.create_policy_version(**arn, PolicyDocument=text, SetAsDefault=True)

    first = a.iam.get_policy(**arn)["Policy"]["DefaultVersionId"]

    def back() -> None:
        a.iam.set_default_policy_version(**arn, VersionId=first)
        for each in a.iam.list_policy_versions(**arn)["Versions"]:
            if each["VersionId"] != first:
                a.iam.delete_policy_version(**arn, VersionId=each["VersionId"])

    for where, text in documents(s["policy"]):
        yield "policy", where, lambda t=text: new(t), back  # type: ignore[misc]
    yield (
        *("tags_all", "a tag"),
        lambda: a.iam.tag_policy(**arn, Tags=[{"Key": "tampered", "Value": "yes"}]),
        lambda: a.iam.untag_policy(**arn, TagKeys=["tampered"]),
    )


def _attachment(a: Account, s: Attributes) -> Iterator[Change]:
    which = {"RoleName": s["role"], "PolicyArn": s["policy_arn"]}
    yield (
        *("policy_arn", "the whole attachment"),
        lambda: a.iam.detach_role_policy(**which),
        lambda: a.iam.attach_role_policy(**which),
    )


def _key(a: Account, s: Attributes) -> Iterator[Change]:
    key = {"KeyId": s["key_id"]}
    yield _put(
        "description",
        "description",
        lambda text: a.kms.update_key_description(**key, Description=text),
        s["description"],
        "Other.",
    )
    yield from _policy(
        "policy", s["policy"], lambda text: a.kms.put_key_policy(**key, PolicyName="default", Policy=text)
    )
    # No other call about a disabled key is answered.
    yield "is_enabled", "the whole key, disabled", lambda: a.kms.disable_key(**key), lambda: a.kms.enable_key(**key)
    yield (
        *("enable_key_rotation", "no rotation"),
        lambda: a.kms.disable_key_rotation(**key),
        lambda: a.kms.enable_key_rotation(**key),
    )
    yield (
        *("tags_all", "a tag"),
        lambda: a.kms.tag_resource(**key, Tags=[{"TagKey": "tampered", "TagValue": "yes"}]),
        lambda: a.kms.untag_resource(**key, TagKeys=["tampered"]),
    )


def _alias(a: Account, s: Attributes) -> Iterator[Change]:
    others = [
        each for each in a.kms.list_aliases()["Aliases"] if each["AliasName"].startswith("alias/session-manager/")
    ]
    other = next(each["TargetKeyId"] for each in others if each["TargetKeyId"] != s["target_key_id"])

    def put(key: object) -> None:
        a.kms.update_alias(AliasName=s["name"], TargetKeyId=key)

    yield _put("target_key_id", "another key", put, s["target_key_id"], other)
    yield (
        *("name", "the whole alias"),
        lambda: a.kms.delete_alias(AliasName=s["name"]),
        lambda: a.kms.create_alias(AliasName=s["name"], TargetKeyId=s["target_key_id"]),
    )


def _function(a: Account, s: Attributes) -> Iterator[Change]:
    client = a.lambda_
    name = {"FunctionName": s["function_name"]}

    def put(**fields: Any) -> None:  # noqa: ANN401 - any of the call
        client.update_function_configuration(**name, **fields)

    logging = {"LogFormat": "JSON", "LogGroup": s["logging_config"][0]["log_group"]}
    for attribute, field, before, after in (
        ("description", "Description", s["description"], "Other."),
        ("handler", "Handler", s["handler"], "other.handler"),
        ("memory_size", "MemorySize", 256, 512),
        ("timeout", "Timeout", 420, 60),
        ("role", "Role", s["role"], f"arn:aws:iam::{s['role'].split(':')[4]}:role/{OTHER_ROLE}"),
        ("runtime", "Runtime", "python3.13", "python3.12"),
        ("tracing_config", "TracingConfig", {"Mode": "Active"}, {"Mode": "PassThrough"}),
        ("ephemeral_storage", "EphemeralStorage", {"Size": 512}, {"Size": 1024}),
        ("environment", "Environment", {"Variables": {}}, {"Variables": {"AWS_LAMBDA_EXEC_WRAPPER": "/opt/other"}}),
        ("logging_config", ".LogFormat", logging, {**logging, "LogFormat": "Text"}),
        ("logging_config", ".LogGroup", logging, {**logging, "LogGroup": "/aws/lambda/other"}),
    ):
        key = "LoggingConfig" if attribute == "logging_config" else field
        yield (
            *(attribute, field),
            lambda k=key, v=after: put(**{k: v}),  # type: ignore[misc]
            lambda k=key, v=before: put(**{k: v}),  # type: ignore[misc]
        )
    yield (
        *("reserved_concurrent_executions", "concurrency"),
        lambda: client.put_function_concurrency(**name, ReservedConcurrentExecutions=1),
        lambda: client.delete_function_concurrency(**name),
    )
    yield (
        *("code_sha256", "code"),
        lambda: client.update_function_code(**name, ZipFile=a.package[:-22] + b"PK\x05\x06" + b"\0" * 18),
        lambda: client.update_function_code(**name, ZipFile=a.package),
    )
    yield (
        *("tags_all", "a tag"),
        lambda: client.tag_resource(Resource=s["arn"], Tags=_TAG),
        lambda: client.untag_resource(Resource=s["arn"], TagKeys=list(_TAG)),
    )


def _invoke_config(a: Account, s: Attributes) -> Iterator[Change]:
    found = a.lambda_.get_function_event_invoke_config(FunctionName=s["function_name"])
    names = ("MaximumRetryAttempts", "MaximumEventAgeInSeconds", "DestinationConfig")
    whole = {"FunctionName": s["function_name"], **{name: found[name] for name in names}}
    changes = {
        "maximum_retry_attempts": ("MaximumRetryAttempts", 0),
        "maximum_event_age_in_seconds": ("MaximumEventAgeInSeconds", 60),
        "destination_config": ("DestinationConfig", {"OnFailure": {}, "OnSuccess": {}}),
    }
    yield from _fields(a.lambda_.put_function_event_invoke_config, whole, changes)
    yield (
        *("function_name", "the whole configuration"),
        lambda: a.lambda_.delete_function_event_invoke_config(FunctionName=s["function_name"]),
        lambda: a.lambda_.put_function_event_invoke_config(**whole),
    )


def _permission(a: Account, s: Attributes) -> Iterator[Change]:
    which = {"FunctionName": s["function_name"], "StatementId": s["statement_id"]}
    whole = {**which, "Action": s["action"], "Principal": s["principal"], "SourceArn": s["source_arn"]}

    def put(statement: Mapping[str, Any]) -> None:
        a.lambda_.remove_permission(**which)
        a.lambda_.add_permission(**statement)

    yield from _members(
        put,
        whole,
        [
            ("action", "Action", "lambda:GetFunction"),
            ("principal", "Principal", "sns.amazonaws.com"),
            ("source_arn", "SourceArn", f"{s['source_arn']}-other"),
        ],
    )
    yield (
        *("statement_id", "the whole statement"),
        lambda: a.lambda_.remove_permission(**which),
        lambda: a.lambda_.add_permission(**whole),
    )


def _config_rule(a: Account, s: Attributes) -> Iterator[Change]:
    found = a.config.describe_config_rules(ConfigRuleNames=[s["name"]])["ConfigRules"][0]
    text = s["source"][0]["custom_policy_details"][0]["policy_text"]
    details = {"PolicyRuntime": "guard-2.x.x", "EnableDebugLogDelivery": False, "PolicyText": text}
    source = {key: found["Source"][key] for key in ("Owner", "SourceDetails")} | {"CustomPolicyDetails": details}
    whole = {
        "ConfigRuleName": s["name"],
        "Description": found["Description"],
        "Scope": found["Scope"],
        "Source": source,
    }

    def put(rule: object) -> None:
        a.config.put_config_rule(ConfigRule=rule)

    fewer = {**source, "SourceDetails": source["SourceDetails"][:1]}
    debug = {**source, "CustomPolicyDetails": {**details, "EnableDebugLogDelivery": True}}
    yield from _members(
        put,
        whole,
        [
            ("description", "Description", "Other."),
            ("scope", "Scope", {"ComplianceResourceTypes": ["AWS::IAM::User"]}),
            ("source", "Source.SourceDetails", fewer),
            ("source", "Source.CustomPolicyDetails.EnableDebugLogDelivery", debug),
        ],
    )
    yield (
        *("tags_all", "a tag"),
        lambda: a.config.tag_resource(ResourceArn=s["arn"], Tags=[{"Key": "tampered", "Value": "yes"}]),
        lambda: a.config.untag_resource(ResourceArn=s["arn"], TagKeys=["tampered"]),
    )


def _remediation(a: Account, s: Attributes) -> Iterator[Change]:
    names = (
        *("ConfigRuleName", "TargetType", "TargetId", "Parameters", "ResourceType", "Automatic", "ExecutionControls"),
        *("MaximumAutomaticAttempts", "RetryAttemptSeconds"),
    )
    where = {"ConfigRuleNames": [s["config_rule_name"]]}
    found = a.config.describe_remediation_configurations(**where)["RemediationConfigurations"][0]
    whole = {name: found[name] for name in names if name in found}

    def put(configuration: object) -> None:
        a.config.put_remediation_configurations(RemediationConfigurations=[configuration])

    policy = {"PolicyArn": {"StaticValue": {"Values": ["arn:aws:iam::aws:policy/AdministratorAccess"]}}}
    yield from _members(
        put,
        whole,
        [
            ("automatic", "Automatic", True),
            ("maximum_automatic_attempts", "MaximumAutomaticAttempts", 1),
            ("retry_attempt_seconds", "RetryAttemptSeconds", 600),
            ("parameter", "Parameters", {**whole["Parameters"], **policy}),
            *(
                ("execution_controls", f"ExecutionControls{at}", each)
                for at, each in leaves(whole["ExecutionControls"])
            ),
        ],
    )


def _document(a: Account, s: Attributes) -> Iterator[Change]:
    name = {"Name": s["name"]}

    def put(text: str) -> None:
        version = a.ssm.update_document(**name, Content=text, DocumentVersion="$LATEST", DocumentFormat="JSON")
        number = version["DocumentDescription"]["DocumentVersion"]
        a.ssm.update_document_default_version(**name, DocumentVersion=number)

    def back() -> None:
        a.ssm.update_document_default_version(**name, DocumentVersion=s["default_version"])
        for each in a.ssm.list_document_versions(**name)["DocumentVersions"]:
            if each["DocumentVersion"] != s["default_version"]:
                a.ssm.delete_document(**name, DocumentVersion=each["DocumentVersion"])

    content = json.loads(s["content"])
    content["mainSteps"][0]["timeoutSeconds"] = 60
    yield "content", "a timeout", lambda: put(json.dumps(content)), back
    share = {**name, "PermissionType": "Share"}
    yield (
        *("permissions", "an account"),
        lambda: a.ssm.modify_document_permission(**share, AccountIdsToAdd=["111122223333"]),
        lambda: a.ssm.modify_document_permission(**share, AccountIdsToRemove=["111122223333"]),
    )
    which = {"ResourceType": "Document", "ResourceId": s["name"]}
    yield (
        *("tags_all", "a tag"),
        lambda: a.ssm.add_tags_to_resource(**which, Tags=[{"Key": "tampered", "Value": "yes"}]),
        lambda: a.ssm.remove_tags_from_resource(**which, TagKeys=["tampered"]),
    )


def _parameter(a: Account, s: Attributes) -> Iterator[Change]:
    whole = {
        "Name": s["name"],
        "Value": s["value"],
        "Description": s["description"],
        "Type": "String",
        "Overwrite": True,
    }
    changes = {
        "value": ("Value", "11111111-2222-3333-4444-555555555555"),
        "description": ("Description", "Other."),
        "tier": ("Tier", "Advanced"),
        "allowed_pattern": ("AllowedPattern", ".*"),
    }
    yield from _fields(a.ssm.put_parameter, whole, changes)
    which = {"ResourceType": "Parameter", "ResourceId": s["name"]}
    yield (
        *("tags_all", "a tag"),
        lambda: a.ssm.add_tags_to_resource(**which, Tags=[{"Key": "tampered", "Value": "yes"}]),
        lambda: a.ssm.remove_tags_from_resource(**which, TagKeys=["tampered"]),
    )


def _setting(a: Account, s: Attributes) -> Iterator[Change]:
    def put(value: object) -> None:
        a.ssm.update_service_setting(SettingId=s["setting_id"], SettingValue=value)

    yield _put("setting_value", "Enable", put, "Disable", "Enable")


def _bucket(a: Account, s: Attributes) -> Iterator[Change]:
    bucket = {"Bucket": s["bucket"]}
    yield (
        *("tags_all", "a tag"),
        lambda: a.s3.put_bucket_tagging(
            **bucket,
            Tagging={
                "TagSet": [{"Key": key, "Value": value} for key, value in {**(s["tags_all"] or {}), **_TAG}.items()]
            },
        ),
        lambda: a.s3.put_bucket_tagging(
            **bucket,
            Tagging={"TagSet": [{"Key": key, "Value": value} for key, value in (s["tags_all"] or {}).items()]},
        ),
    )
    yield (
        *("acceleration_status", "acceleration"),
        lambda: a.s3.put_bucket_accelerate_configuration(**bucket, AccelerateConfiguration={"Status": "Enabled"}),
        lambda: a.s3.put_bucket_accelerate_configuration(**bucket, AccelerateConfiguration={"Status": "Suspended"}),
    )
    rule = {"AllowedMethods": ["GET"], "AllowedOrigins": ["*"]}
    yield (
        *("cors_rule", "a rule"),
        lambda: a.s3.put_bucket_cors(**bucket, CORSConfiguration={"CORSRules": [rule]}),
        lambda: a.s3.delete_bucket_cors(**bucket),
    )
    yield (
        *("website", "a website"),
        lambda: a.s3.put_bucket_website(**bucket, WebsiteConfiguration={"IndexDocument": {"Suffix": "index.html"}}),
        lambda: a.s3.delete_bucket_website(**bucket),
    )


def _whole_bucket(
    attribute: str, read: str, put: str, member: str
) -> Callable[[Account, Attributes], Iterator[Change]]:
    """Return the changes of a configuration of a bucket, each leaf of it."""

    def changes(a: Account, s: Attributes) -> Iterator[Change]:
        bucket = {"Bucket": s["bucket"]}
        answer = getattr(a.s3, read)(**bucket)
        for name in ("ResponseMetadata", "TransitionDefaultMinimumObjectSize"):
            answer.pop(name, None)
        whole = answer.get(member, answer)

        def store(value: object) -> None:
            getattr(a.s3, put)(**bucket, **{member: value})

        if attribute:
            for where, changed in leaves(whole):
                yield _put(attribute, where, store, whole, changed)
        else:
            yield from _members(store, whole, [(_snake(name), name, not value) for name, value in whole.items()])

    return changes


def _snake(name: str) -> str:
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name).lstrip("_")


def _bucket_policy(a: Account, s: Attributes) -> Iterator[Change]:
    def put(text: str) -> None:
        a.s3.put_bucket_policy(Bucket=s["bucket"], Policy=text)

    yield from _policy("policy", s["policy"], put)
    yield "policy", "the whole policy", lambda: a.s3.delete_bucket_policy(Bucket=s["bucket"]), lambda: put(s["policy"])


def _bucket_encryption(a: Account, s: Attributes) -> Iterator[Change]:
    rule = s["rule"][0]
    default = rule["apply_server_side_encryption_by_default"][0]
    kms = {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": default["kms_master_key_id"]}

    def put(value: tuple[Mapping[str, str], bool]) -> None:
        rules = [{"ApplyServerSideEncryptionByDefault": value[0], "BucketKeyEnabled": value[1]}]
        a.s3.put_bucket_encryption(Bucket=s["bucket"], ServerSideEncryptionConfiguration={"Rules": rules})

    yield _put("rule", ".BucketKeyEnabled", put, (kms, True), (kms, False))
    yield _put("rule", "AES256", put, (kms, True), ({"SSEAlgorithm": "AES256"}, False))
    other = {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": f"{default['kms_master_key_id'][:-1]}0"}
    yield _put("rule", "another key", put, (kms, True), (other, True))


def _bucket_logging(a: Account, s: Attributes) -> Iterator[Change]:
    whole = {"LoggingEnabled": {"TargetBucket": s["target_bucket"], "TargetPrefix": s["target_prefix"]}}

    def put(status: object) -> None:
        a.s3.put_bucket_logging(Bucket=s["bucket"], BucketLoggingStatus=status)

    other = {"LoggingEnabled": {**whole["LoggingEnabled"], "TargetPrefix": "other/"}}
    yield _put("target_prefix", "prefix", put, whole, other)
    yield _put("target_bucket", "no logging", put, whole, {})


def _ownership(a: Account, s: Attributes) -> Iterator[Change]:
    def put(value: object) -> None:
        rules = {"Rules": [{"ObjectOwnership": value}]}
        a.s3.put_bucket_ownership_controls(Bucket=s["bucket"], OwnershipControls=rules)

    for other in ("BucketOwnerPreferred", "ObjectWriter"):
        yield _put("rule", other, put, "BucketOwnerEnforced", other)


def _versioning(a: Account, s: Attributes) -> Iterator[Change]:
    def put(status: object) -> None:
        a.s3.put_bucket_versioning(Bucket=s["bucket"], VersioningConfiguration={"Status": status})

    yield _put("versioning_configuration", "Suspended", put, "Enabled", "Suspended")


def _organizations_policy(a: Account, s: Attributes) -> Iterator[Change]:
    which = {"PolicyId": s["id"]}
    yield from _policy("content", s["content"], lambda text: a.organizations.update_policy(**which, Content=text))
    yield _put(
        "description",
        "description",
        lambda text: a.organizations.update_policy(**which, Description=text),
        s["description"],
        "Other.",
    )
    yield _put("name", "name", lambda text: a.organizations.update_policy(**which, Name=text), s["name"], "other")
    yield (
        *("tags_all", "a tag"),
        lambda: a.organizations.tag_resource(ResourceId=s["id"], Tags=[{"Key": "tampered", "Value": "yes"}]),
        lambda: a.organizations.untag_resource(ResourceId=s["id"], TagKeys=["tampered"]),
    )


def _organizations_attachment(a: Account, s: Attributes) -> Iterator[Change]:
    which = {"PolicyId": s["policy_id"], "TargetId": s["target_id"]}
    yield (
        *("target_id", "the whole attachment"),
        lambda: a.organizations.detach_policy(**which),
        lambda: a.organizations.attach_policy(**which),
    )


_OF: Mapping[str, Changes] = {
    "aws_cloudwatch_event_rule": _event_rule,
    "aws_cloudwatch_event_target": _event_target,
    "aws_cloudwatch_log_data_protection_policy": _data_protection,
    "aws_cloudwatch_log_group": _log_group,
    "aws_cloudwatch_log_subscription_filter": _subscription,
    "aws_cloudwatch_metric_alarm": _alarm,
    "aws_config_config_rule": _config_rule,
    "aws_config_remediation_configuration": _remediation,
    "aws_iam_policy": _iam_policy,
    "aws_iam_role": _role,
    "aws_iam_role_policy": _role_policy,
    "aws_iam_role_policy_attachment": _attachment,
    "aws_kms_alias": _alias,
    "aws_kms_key": _key,
    "aws_lambda_function": _function,
    "aws_lambda_function_event_invoke_config": _invoke_config,
    "aws_lambda_invocation": lambda _, __: iter(()),
    "aws_lambda_permission": _permission,
    "aws_organizations_policy": _organizations_policy,
    "aws_organizations_policy_attachment": _organizations_attachment,
    "aws_s3_bucket": _bucket,
    "aws_s3_bucket_lifecycle_configuration": _whole_bucket(
        "rule", "get_bucket_lifecycle_configuration", "put_bucket_lifecycle_configuration", "LifecycleConfiguration"
    ),
    "aws_s3_bucket_logging": _bucket_logging,
    "aws_s3_bucket_object_lock_configuration": _whole_bucket(
        "rule", "get_object_lock_configuration", "put_object_lock_configuration", "ObjectLockConfiguration"
    ),
    "aws_s3_bucket_ownership_controls": _ownership,
    "aws_s3_bucket_policy": _bucket_policy,
    "aws_s3_bucket_public_access_block": _whole_bucket(
        "", "get_public_access_block", "put_public_access_block", "PublicAccessBlockConfiguration"
    ),
    "aws_s3_bucket_server_side_encryption_configuration": _bucket_encryption,
    "aws_s3_bucket_versioning": _versioning,
    "aws_sqs_queue": _queue,
    "aws_ssm_document": _document,
    "aws_ssm_parameter": _parameter,
    "aws_ssm_service_setting": _setting,
}
