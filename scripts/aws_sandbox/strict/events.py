"""Quotas and schedules of EventBridge rules.

See https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-quota.html and
https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-scheduled-rule-pattern.html.
"""

from __future__ import annotations

import re

from moto.events.models import events_backends

from aws_sandbox.call import AwsError, Call

TARGETS_PER_RULE = 5
RULES_PER_BUS = 300

_RATE = re.compile(r"rate\((1 (minute|hour|day)|([2-9]|[1-9]\d+) (minutes|hours|days))\)")
# Six fields; one of day-of-month and day-of-week is `?`.
_CRON = re.compile(r"cron\(\S+ \S+ (\S+ \S+ \?|\? \S+ \S+) \S+\)")


def targets(call: Call) -> None:
    """Reject targets that exceed the quota of a rule.

    Raises:
        AwsError: LimitExceededException.
    """
    name = call.parameters.get("EventBusName") or "default"
    bus = events_backends[call.account_id][call.region].event_buses.get(name.rpartition("/")[2])
    rule = bus.rules.get(call.parameters["Rule"]) if bus else None
    ids = {target["Id"] for target in rule.targets} if rule else set()
    if len(ids | {target["Id"] for target in call.parameters["Targets"]}) > TARGETS_PER_RULE:
        raise AwsError("LimitExceededException", "The requested resource exceeds the maximum number allowed.")


def rule(call: Call) -> None:
    """Reject a rule that exceeds the quota of its bus, or whose schedule is not valid.

    Raises:
        AwsError: LimitExceededException or ValidationException.
    """
    schedule = call.parameters.get("ScheduleExpression")
    if schedule and not (_RATE.fullmatch(schedule) or _CRON.fullmatch(schedule)):
        raise AwsError("ValidationException", "Parameter ScheduleExpression is not valid.")
    name = call.parameters.get("EventBusName") or "default"
    bus = events_backends[call.account_id][call.region].event_buses.get(name.rpartition("/")[2])
    if bus and call.parameters["Name"] not in bus.rules and len(bus.rules) >= RULES_PER_BUS:
        raise AwsError("LimitExceededException", "The requested resource exceeds the maximum number allowed.")


REFUSALS = (("events:PutRule", rule), ("events:PutTargets", targets))
