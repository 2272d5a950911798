"""Check that drift repair is alive: function, rules, permissions, and what becomes of failures."""

import datetime
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from session_manager_fleet.aws import partitions
from session_manager_fleet.settings import TargetSettings
from session_manager_fleet.targets import Target
from session_manager_fleet.terraform import ROOT_MODULE, permissions
from session_manager_fleet.verify.checks import Place, TargetCheck
from session_manager_fleet.verify.model import Check, CheckInfo, Problem, Severity, findings, not_needed, ok
from session_manager_fleet.verify.reading import Reader

_NAME = "drift_repair"
# Of modules/preferences/drift_repair.tf; a test compares them.
EVENT_NAMES = (
    *("CreateDocument", "UpdateDocument", "DeleteDocument", "UpdateDocumentDefaultVersion"),
    "ModifyDocumentPermission",
)
# How late CloudWatch Logs may tell the time of an event.
_LATE = datetime.timedelta(hours=2)
_METRIC = "ApproximateNumberOfMessagesVisible"


@dataclass(frozen=True)
class _Expected:
    """Resources that modules/preferences creates in a target."""

    target: Target
    values: TargetSettings

    @property
    def function(self) -> str:
        return self.values.names.function

    @property
    def queue(self) -> str:
        return f"{self.function}-failures"

    @property
    def topics(self) -> list[str]:
        topic = self.values.preferences.drift_repair.notify_topic_arn
        return [topic] if topic else []

    def arn(self, service: str, resource: str) -> str:
        account, region = self.target.account.id, self.target.region
        return f"arn:{partitions()[region]}:{service}:{region}:{account}:{resource}"

    @property
    def function_arn(self) -> str:
        return self.arn("lambda", f"function:{self.function}")

    @property
    def event(self) -> dict[str, Any]:
        notify = {"notify_topic_arn": self.topics[0]} if self.topics else {}
        return {"action": "reconcile", "document": self.values.names.document, **notify}

    @property
    def pattern(self) -> dict[str, Any]:
        account, region = self.target.account.id, self.target.region
        role = f"arn:{partitions()[region]}:sts::{account}:assumed-role/{self.function}-{region}/"
        return {
            "source": ["aws.ssm"],
            "detail-type": ["AWS API Call via CloudTrail"],
            "detail": {
                "eventSource": ["ssm.amazonaws.com"],
                "eventName": list(EVENT_NAMES),
                "errorCode": [{"exists": False}],
                "requestParameters": {"name": [self.values.names.document]},
                "userIdentity": {"arn": [{"anything-but": {"prefix": role}}, {"exists": False}]},
            },
        }


@cache
def _package_digest() -> str:
    return ROOT_MODULE.function_digest


def drift_repair(reader: Reader, target: Target, values: TargetSettings) -> Check:
    """Check that changes of the document outside Terraform are repaired, and that failures are noticed."""
    configured, expected = values.preferences.drift_repair, _Expected(target, values)
    if not configured.enabled:
        return not_needed(_NAME, "preferences.drift_repair.enabled is false.")
    rules = [f"{expected.function}-api-calls"]
    if configured.schedule:
        rules.append(f"{expected.function}-schedule")
    function = reader.find_once("lambda", target.region, "get_function", FunctionName=expected.function)
    problems = list(_function(reader, expected, rules, function))
    for rule in rules:
        problems.extend(_rule(reader, expected, rule))
    problems.extend(_failures(reader, expected))
    problems.extend(_invocations(reader, expected, function))
    if problems:
        return findings(_NAME, "Drift repair does not work", problems)
    return ok(_NAME, f"{' and '.join(rules)} call {expected.function}, and no failures wait in its queue.")


def shared_alarm(reader: Reader, region: str, name: str) -> Mapping[str, Any] | None:
    """Return the alarm on the queue of failures, read once for all checks; None if it does not exist."""

    def read() -> Mapping[str, Any] | None:
        alarms = reader.call("cloudwatch", region, "describe_alarms", AlarmNames=[name])["MetricAlarms"]
        return next(iter(alarms), None)

    return reader.once(("alarm", region, name), read)


def _function(
    reader: Reader, expected: _Expected, rules: list[str], found: Mapping[str, Any] | None
) -> Iterator[Problem]:
    region, name = expected.target.region, expected.function
    if found is None:
        yield Problem(f"the function {name} does not exist")
        return
    state = found["Configuration"]["State"]
    if state != "Active":
        delete = f"aws lambda delete-function --region {region} --function-name {name}"
        yield Problem(f"the function {name} is {state}", f"Delete the function ({delete}), then plan and apply.")
    if found["Configuration"]["CodeSha256"] != _package_digest():
        yield Problem(f"the function {name} has other code than this version of the project")
    reserved = found.get("Concurrency", {}).get("ReservedConcurrentExecutions")
    if reserved != (wanted := expected.values.preferences.function.reserved_concurrent_executions):
        yield Problem(f"the function {name} has reserved concurrency {reserved}, expected {wanted}")
    policy = (reader.find("lambda", region, "get_policy", FunctionName=name) or {}).get("Policy", "{}")
    for rule in rules:
        if not _may_invoke(json.loads(policy), expected.arn("events", f"rule/{rule}")):
            yield Problem(f"the rule {rule} may not invoke the function")
    queue = expected.arn("sqs", expected.queue)
    config = reader.find("lambda", region, "get_function_event_invoke_config", FunctionName=name) or {}
    if config.get("DestinationConfig", {}).get("OnFailure", {}).get("Destination") != queue:
        yield Problem(f"failures of the function do not go to the queue {expected.queue}")


def _invocations(reader: Reader, expected: _Expected, found: Mapping[str, Any] | None) -> Iterator[Problem]:
    """Yield a problem if the function has not run for three periods of its schedule, as its log group tells.

    CloudWatch Logs may tell the time of the newest event an hour late.
    """
    region, group = expected.target.region, f"/aws/lambda/{expected.function}"
    period = period_of(expected.values.preferences.drift_repair.schedule or "")
    wanted = {"logGroupName": group, "orderBy": "LastEventTime", "descending": True, "limit": 1}
    streams = reader.find("logs", region, "describe_log_streams", **wanted)
    if streams is None:
        text = f"its log group {group} does not exist, so failures cannot be read there"
        yield Problem(text, severity=Severity.MEDIUM)
        return
    if found is None or period is None:
        return
    now, limit = datetime.datetime.now(datetime.UTC), 3 * period + _LATE
    changed = datetime.datetime.fromisoformat(found["Configuration"]["LastModified"])
    newest: Mapping[str, Any] = next(iter(streams["logStreams"]), {})
    ran = datetime.datetime.fromtimestamp(newest.get("lastEventTimestamp", 0) / 1000, datetime.UTC)
    if now - max(changed, ran) > limit:
        when = f"since {ran:%Y-%m-%d %H:%M} UTC" if newest.get("lastEventTimestamp") else "at all"
        fix = (
            f"Call it, and read its log group: aws lambda invoke --region {region} --function-name {expected.function} "
            '--cli-binary-format raw-in-base64-out --payload \'{"action": "reconcile"}\' /dev/stdout'
        )
        yield Problem(f"the function {expected.function} has not run {when}, although it is scheduled", fix)


def period_of(schedule: str) -> datetime.timedelta | None:
    """Return the period of `rate(VALUE UNIT)`; None for a cron expression, whose periods differ."""
    match = re.fullmatch(r"rate\((\d+) (minute|hour|day)s?\)", schedule)
    return datetime.timedelta(**{f"{match[2]}s": int(match[1])}) if match else None


def _may_invoke(policy: Mapping[str, Any], rule_arn: str) -> bool:
    return any(
        statement["Effect"] == "Allow"
        and statement["Principal"] == {"Service": "events.amazonaws.com"}
        and statement["Action"] == "lambda:InvokeFunction"
        and rule_arn in [arn for test in statement.get("Condition", {}).values() for arn in test.values()]
        for statement in policy.get("Statement", [])
    )


def _rule(reader: Reader, expected: _Expected, name: str) -> Iterator[Problem]:
    region, schedule = expected.target.region, expected.values.preferences.drift_repair.schedule
    found = reader.find("events", region, "describe_rule", Name=name)
    if found is None:
        yield Problem(f"the rule {name} does not exist")
        return
    if found["State"] != "ENABLED":
        yield Problem(f"the rule {name} is {found['State']}")
    on_schedule = name.endswith("-schedule")
    if on_schedule and found.get("ScheduleExpression") != schedule:
        yield Problem(f"the rule {name} has the schedule {found.get('ScheduleExpression')}, expected {schedule}")
    if not on_schedule and json.loads(found.get("EventPattern") or "{}") != expected.pattern:
        yield Problem(f"the rule {name} does not match every change of {expected.values.names.document}")
    event = expected.event | ({"destinations": True} if on_schedule else {})
    targets = reader.call("events", region, "list_targets_by_rule", Rule=name)["Targets"]
    aimed = [one for one in targets if one["Arn"] == expected.function_arn]
    if not aimed:
        yield Problem(f"the rule {name} does not call the function {expected.function}")
    elif not any(_event(one) == event for one in aimed):
        yield Problem(f"the rule {name} calls the function {expected.function} with another event")


def _event(target: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a target sends, without the cause, which comes from the event; empty if that is no JSON object."""
    text = target.get("Input") or target.get("InputTransformer", {}).get("InputTemplate", "")
    try:
        event = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return {name: value for name, value in event.items() if name != "cause"} if isinstance(event, dict) else {}


def _failures(reader: Reader, expected: _Expected) -> Iterator[Problem]:
    region, name = expected.target.region, expected.queue
    waiting = 0
    queue = reader.find("sqs", region, "get_queue_url", QueueName=name)
    if queue is None:
        yield Problem(f"the queue {name} does not exist")
    else:
        url, counts = queue["QueueUrl"], ("ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible")
        found = reader.call("sqs", region, "get_queue_attributes", QueueUrl=url, AttributeNames=counts)["Attributes"]
        waiting = sum(int(found[count]) for count in counts)
    if queue and waiting:
        where = f"--region {region} --queue-url {queue['QueueUrl']}"
        fix = (
            f"Read why (aws sqs receive-message {where} --max-number-of-messages 10), correct it, and delete the "
            f"messages, with a role that the guardrails exempt: aws sqs purge-queue {where}"
        )
        yield Problem(f"{waiting} failures of the function wait in the queue {name}", fix)
    alarm = shared_alarm(reader, region, name)
    if alarm is None:
        yield Problem(f"the alarm {name} does not exist")
        return
    if not _counts_failures(alarm, name):
        yield Problem(f"the alarm {name} does not watch the queue as configured")
    if expected.topics and not (alarm["ActionsEnabled"] and set(expected.topics) <= set(alarm["AlarmActions"])):
        yield Problem(f"the alarm {name} does not notify {expected.topics[0]}")
    elif not alarm["ActionsEnabled"]:
        yield Problem(f"the actions of the alarm {name} are disabled")
    if alarm["StateValue"] == "ALARM" and not waiting:
        yield Problem(f"the alarm {name} is in ALARM", "If the queue stays empty, the alarm ends within ten minutes.")


def _counts_failures(alarm: Mapping[str, Any], queue: str) -> bool:
    return (
        alarm.get("Namespace") == "AWS/SQS"
        and alarm.get("MetricName") == _METRIC
        and alarm.get("Dimensions") == [{"Name": "QueueName", "Value": queue}]
        and alarm.get("ComparisonOperator") == "GreaterThanThreshold"
        and alarm.get("Threshold") == 0
        and alarm.get("Statistic") == "Maximum"
        and (alarm.get("Period"), alarm.get("EvaluationPeriods")) == (300, 1)
        and alarm.get("TreatMissingData") == "notBreaching"
    )


class DriftRepair(TargetCheck):
    """Check that drift repair is alive."""

    info = CheckInfo(
        id="drift_repair",
        severity=Severity.HIGH,
        what="the function exists, is active, has the package of this version and its concurrency; both rules exist, "
        "are enabled, have the configured pattern or schedule, call the function with the right event, and may do so; "
        "it has run within three periods of its schedule; failures go to the queue, which is empty; the alarm watches "
        "it, is not in ALARM, and notifies `drift_repair.notify_topic_arn` if that is set",
        why="Without it a change of the document outside Terraform stays, and nothing says so.",
        fix="Plan and apply the target; read, correct and delete the messages that wait in the queue of failures.",
        evidence="function, its policy, destination and newest log stream, rules and their targets, queue and alarm",
        where="every target, unless `drift_repair.enabled` is false",
        permissions=(
            permissions.FUNCTION.allow("lambda:GetFunction", "lambda:GetFunctionEventInvokeConfig", "lambda:GetPolicy"),
            permissions.LOG_GROUPS.allow("logs:DescribeLogStreams"),
            permissions.DRIFT_REPAIR.allow(
                "cloudwatch:DescribeAlarms",
                "events:DescribeRule",
                "events:ListTargetsByRule",
                "sqs:GetQueueAttributes",
                "sqs:GetQueueUrl",
            ),
        ),
        controls=("Security Hub CloudWatch.15", "Security Hub CloudWatch.17", "NIST 800-53 SI-7", "NIST 800-53 CM-3"),
    )

    def run(self, place: Place) -> Check:
        """Judge function, rules, queue and alarm."""
        return drift_repair(place.reader, place.target, place.values)
