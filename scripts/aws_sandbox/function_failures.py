"""Events that a function failed to process: send them to its dead-letter target and on-failure destination.

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
    """Send a failed invocation to the configured targets; log and drop it if that is not allowed.

    Args:
        function: The function.
        invocation: The failed invocation.
        outcome: Outcome of the last attempt.
        attempts: Number of attempts.
        may_send: Returns whether a role ARN may send to a queue or topic ARN.
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
    """Return the invocation record that a destination receives."""
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
