"""The Lambda entry: one event in, one result out, one structured log line; every failure raises."""

import json
import logging
import os
from typing import Any

from .aws import Budget, boto_clients, caller
from .errors import PreferencesError
from .reconcile import reconcile
from .request import parse_event

_DEFAULT_MILLISECONDS = 240_000  # without a context; the function's timeout is 300 s
_RESERVE = 10  # seconds, to raise and log before Lambda ends the process

logger = logging.getLogger(__name__)
logger.setLevel(logging.INFO)


def lambda_handler(event: object, context: Any = None) -> dict[str, Any]:  # noqa: ANN401 - Lambda's type
    """Do what the event says; raises the PreferencesError that says where, why and what to do."""
    region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
    account = "".join(str(getattr(context, "invoked_function_arn", "")).split(":")[4:5])
    time_left = getattr(context, "get_remaining_time_in_millis", lambda: _DEFAULT_MILLISECONDS)
    log: dict[str, Any] = {"account": account, "region": region}
    try:
        request = parse_event(event)
        budget = Budget(time_left() / 1000 - _RESERVE)
        result = reconcile(request, caller(boto_clients(region), budget), budget, region)
    except PreferencesError as error:
        error.place = " ".join(filter(None, [account and f"account {account}", region]))
        log |= {"event": "failed", "error": type(error).__name__, "message": str(error)}
        logger.log(logging.ERROR, json.dumps(log))
        raise
    # Paths only: the values of a shell profile may be secrets.
    log |= {**result, "event": request.action, "changes": [change["path"] for change in result["changes"]]}
    logger.info(json.dumps(log))
    return result
