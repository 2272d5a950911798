"""Where events go that a function failed to handle: its dead-letter target and its destination for failures.

See https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-retain-records.html for the shapes.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from moto.core.exceptions import ServiceException

from aws_sandbox.call import AwsError
from aws_sandbox.function_configuration import ConfiguredFunction
from aws_sandbox.function_process import Invocation, Outcome
from aws_sandbox.messages import Attribute, send

# A dead-letter message carries the first KB of the error.
_ERROR_CHARACTERS = 1024

log = logging.getLogger(__name__)


def hand_over(
    function: ConfiguredFunction,
    invocation: Invocation,
    outcome: Outcome,
    attempts: int,
    may_send: Callable[[str, str], bool],
) -> None:
    """Send what a function has failed to handle to where it is configured to go; what cannot be sent is lost.

    Args:
        function: The function.
        invocation: What it failed to handle.
        outcome: What came of the last attempt.
        attempts: How many there were.
        may_send: Tells whether a role may send to a queue or topic, both by their ARNs.
    """
    letters: list[tuple[str, object, dict[str, Attribute]]] = []
    if function.failure_destination:
        letters.append((function.failure_destination, record(function, invocation, outcome, attempts), {}))
    if function.dead_letter_target:
        error = json.loads(outcome.payload)
        attributes = {
            "RequestID": Attribute("String", invocation.context.aws_request_id),
            "ErrorCode": Attribute("Number", "200"),
            "ErrorMessage": Attribute("String", str(error.get("errorMessage") or "-")[:_ERROR_CHARACTERS]),
        }
        letters.append((function.dead_letter_target, invocation.event, attributes))
    for arn, body, attributes in letters:
        try:
            if not may_send(function.role, arn):
                raise AwsError("AccessDenied", f"{function.role} is not allowed to send.")
            send(arn, json.dumps(body), attributes)
        except ServiceException as error:
            log.warning("%s: an event that failed does not reach %s: %s", function.function_arn, arn, error)


def record(function: ConfiguredFunction, invocation: Invocation, outcome: Outcome, attempts: int) -> dict[str, Any]:
    """Return the record of an invocation that failed, as a destination gets it."""
    return {
        "version": "1.0",
        "timestamp": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.%f}"[:-3] + "Z",
        "requestContext": {
            "requestId": invocation.context.aws_request_id,
            "functionArn": f"{function.function_arn}:$LATEST",
            "condition": "RetriesExhausted",
            "approximateInvokeCount": attempts,
        },
        "requestPayload": invocation.event,
        "responseContext": {"statusCode": 200, "executedVersion": "$LATEST", "functionError": "Unhandled"},
        "responsePayload": json.loads(outcome.payload),
    }
