"""Delivery of events by EventBridge.

moto stores rules and targets and matches patterns, but delivers only events of PutEvents, not to functions, and checks
no resource policy. Here the default bus delivers API calls and scheduled events to functions, queues and topics.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

from moto.core.exceptions import ServiceException
from moto.events.models import Rule, events_backends
from werkzeug.exceptions import HTTPException

from aws_sandbox.api_calls import REPORTED, Event, api_call, event
from aws_sandbox.background import Background
from aws_sandbox.call import AwsError, Call, Reply
from aws_sandbox.event_inputs import target_input
from aws_sandbox.functions import Functions, find_function
from aws_sandbox.identity import Identity
from aws_sandbox.lock import CallLock
from aws_sandbox.messages import Attribute, policy_of, send
from aws_sandbox.policies import Principal, Request, allows

_BUS = "default"
_SERVICE = Principal("Service", frozenset({"events.amazonaws.com"}))
_ACTIONS = {"lambda": "lambda:InvokeFunction", "sqs": "sqs:SendMessage", "sns": "sns:Publish"}

log = logging.getLogger(__name__)


class EventBus:
    """The default event bus of every account and region.

    Args:
        identity: Resolves callers.
        functions: Invokes functions.
        background: Runs deliveries.
        lock: Held during a delivery.
    """

    def __init__(self, identity: Identity, functions: Functions, background: Background, lock: CallLock) -> None:
        self._identity = identity
        self._functions = functions
        self._background = background
        self._lock = lock

    def observe(self, call: Call, reply: Reply) -> None:
        """Deliver the CloudTrail event of a successful call, if it has one."""
        if (call.service, call.operation) in REPORTED:
            happened = api_call(call, reply, self._identity.caller(call))
            self._background.start(partial(self._deliver, happened))

    def fire_schedules(self, account_id: str, region: str) -> int:
        """Fire every enabled scheduled rule once, now; return their number."""
        with self._lock:
            rules = [rule for rule in _rules(account_id, region) if rule.scheduled_expression]
        for rule in rules:
            due = event("Scheduled Event", "aws.events", account_id, region, {}, rule.arn)
            self._background.start(partial(self._deliver_by, rule, due))
        return len(rules)

    def _deliver(self, happened: Event) -> None:
        with self._lock:
            rules = [
                rule
                for rule in _rules(happened["account"], happened["region"])
                # A scheduled rule has no pattern, which moto treats as one that matches everything.
                if rule.event_pattern.get_pattern() and rule.event_pattern.matches_event(happened)  # type: ignore[arg-type]
            ]
        for rule in rules:
            self._deliver_by(rule, happened)

    def _deliver_by(self, rule: Rule, happened: Event) -> None:
        for target in list(rule.targets):
            with self._lock:
                try:
                    self._send(rule, target, happened)
                except (ServiceException, HTTPException, ValueError) as error:
                    log.warning("%s: nothing is delivered to %s: %s", rule.arn, target["Arn"], error)
                    _keep_undelivered(rule, target, happened, error)

    def _send(self, rule: Rule, target: Mapping[str, Any], happened: Event) -> None:
        arn = str(target["Arn"])
        _, _, service, region, account_id, *_ = arn.split(":")
        payload = target_input(target, happened, rule.name, rule.arn)
        if service == "lambda":
            function = find_function(account_id, region, arn)
            _check(rule, arn, [{"Statement": function.policy.statements}])
            self._functions.invoke_later(function, payload)
        elif service in _ACTIONS:
            _check(rule, arn, policy_of(arn))
            send(arn, payload)
        else:
            raise AwsError("NotImplemented", "The sandbox delivers to functions, queues and topics.")


def _rules(account_id: str, region: str) -> Iterator[Rule]:
    for rule in events_backends[account_id][region].event_buses[_BUS].rules.values():
        if rule.state != "DISABLED":
            yield rule


def _check(rule: Rule, arn: str, policies: list[Mapping[str, Any]]) -> None:
    """Check that the resource policy of a target allows the rule.

    Raises:
        AwsError: NO_PERMISSIONS, EventBridge's error code.
    """
    context = {"aws:SourceArn": rule.arn, "aws:SourceAccount": rule.account_id}
    if not allows(policies, Request(_ACTIONS[arn.split(":")[2]], arn, context, _SERVICE)):
        raise AwsError("NO_PERMISSIONS", "the target's policy does not allow events.amazonaws.com for this rule.")


def _keep_undelivered(rule: Rule, target: Mapping[str, Any], happened: Event, error: Exception) -> None:
    """Send an undelivered event to the target's dead-letter queue, if it has one.

    See https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-rule-dlq.html.
    """
    queue = (target.get("DeadLetterConfig") or {}).get("Arn")
    if not queue:
        return
    attributes = {
        "RULE_ARN": Attribute("String", rule.arn),
        "TARGET_ARN": Attribute("String", target["Arn"]),
        "ERROR_CODE": Attribute("String", error.code if isinstance(error, AwsError) else "SDK_CLIENT_ERROR"),
        "ERROR_MESSAGE": Attribute("String", str(error)),
    }
    try:
        _check(rule, queue, policy_of(queue))
        send(queue, json.dumps(happened), attributes)
    except ServiceException as refused:
        log.warning("%s: the dead-letter queue %s gets nothing: %s", rule.arn, queue, refused)
