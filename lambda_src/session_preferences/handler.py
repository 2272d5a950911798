"""The Lambda entry: one event in, one result out, one structured log line; every failure raises."""

import logging
import os
from typing import Any

from .aws import Budget, boto_clients, caller
from .errors import PreferencesError
from .reconcile import reconcile
from .report import notify, summary
from .request import parse_event

_DEFAULT_MILLISECONDS = 240_000  # without a context; the function's timeout is 300 s
_RESERVE = 10  # seconds, to raise and log before Lambda ends the process
# Seconds in which permissions that Terraform has just given to the role reach every AWS service.
_PROPAGATION = 30

logger = logging.getLogger(__name__)
logger.setLevel(logging.INFO)
logging.getLogger("botocore").setLevel(logging.WARNING)  # it tells where each client's credentials come from


def lambda_handler(event: object, context: Any = None) -> dict[str, Any]:  # noqa: ANN401 - Lambda's type
    """Do what the event says; raises the PreferencesError that says where, why and what to do."""
    region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
    account = "".join(str(getattr(context, "invoked_function_arn", "")).split(":")[4:5])
    time_left = getattr(context, "get_remaining_time_in_millis", lambda: _DEFAULT_MILLISECONDS)
    fields: dict[str, Any] = {"account": account, "region": region}
    try:
        request = parse_event(event)
        budget = Budget(time_left() / 1000 - _RESERVE)
        grace = Budget(_PROPAGATION) if request.action in {"create", "update"} else None
        call = caller(boto_clients(region), budget, grace)
        result = reconcile(request, call, budget, region)
        # Lambda's JSON format makes a field of each.
        fields |= {"event": request.action, **summary(result, request.cause)}
        logger.info("%s %s", result["document"], result["outcome"], extra=fields)
        # An API call is told of though another run has undone it: else a repeated run would hide a failed message.
        told = request.action == "reconcile" and (result["outcome"] != "unchanged" or request.cause)
        if told and request.notify_topic_arn:
            notify(call, request.notify_topic_arn, fields)
    except PreferencesError as error:
        error.place = " ".join(filter(None, [account and f"account {account}", region]))
        logger.error("%s", error, extra={**fields, "event": "failed", "error": type(error).__name__})  # noqa: TRY400
        raise
    return result
