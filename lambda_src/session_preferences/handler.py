"""The Lambda entry: one event in, one result out, one structured log line; every failure raises."""

import logging
import os
from typing import Any

from .aws import Budget, Call, boto_clients, caller
from .errors import DefectError, DestinationError, PreferencesError
from .reconcile import reconcile
from .report import notify, summary
from .request import Request, parse_event

_DEFAULT_MILLISECONDS = 240_000  # without a context; the function's timeout is 420 s
_RESERVE = 10  # seconds, to raise and log before Lambda ends the process
# Seconds until services know new permissions, and KMS new aliases in conditions.
_PROPAGATION, _ALIAS = 120, 300

logger = logging.getLogger(__name__)
logger.setLevel(logging.INFO)
logging.getLogger("botocore").setLevel(logging.WARNING)  # it logs the source of credentials


def lambda_handler(event: object, context: Any = None) -> dict[str, Any]:  # noqa: ANN401 - Lambda's type
    """Carry out an event; raise the PreferencesError that says where, why and what to do."""
    region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
    account = "".join(str(getattr(context, "invoked_function_arn", "")).split(":")[4:5])
    fields: dict[str, Any] = {"account": account, "region": region}
    failure: PreferencesError
    try:
        return _carry_out(event, _budget(context), region, fields)
    except PreferencesError as error:
        failure = error
    except Exception as error:  # noqa: BLE001 - its text may quote a document
        failure = _defect(error)
    failure.place = " ".join(filter(None, [account and f"account {account}", region]))
    logger.error("%s", failure, extra={**fields, "event": "failed", "error": type(failure).__name__})
    # Outside of the handler, so that no traceback has the text of what caused it.
    raise failure


def _budget(context: Any) -> Budget:  # noqa: ANN401 - Lambda's type
    left = getattr(context, "get_remaining_time_in_millis", lambda: _DEFAULT_MILLISECONDS)() / 1000
    return Budget(left - min(_RESERVE, left / 2))


def _carry_out(event: object, budget: Budget, region: str | None, fields: dict[str, Any]) -> dict[str, Any]:
    request = parse_event(event)
    graces = {"": budget.within(_PROPAGATION), "kms": budget.within(_ALIAS)}
    call = caller(boto_clients(region), budget, graces if request.action in {"create", "update"} else {})
    try:
        result = reconcile(request, call, budget, region)
    except DestinationError as error:
        _report(request, call, error.result, fields)
        raise
    _report(request, call, result, fields)
    return result


def _report(request: Request, call: Call, result: dict[str, Any], fields: dict[str, Any]) -> None:
    # Lambda's JSON format makes a field of each.
    fields |= {"event": request.action, **summary(result, request.cause)}
    logger.info("%s %s", result["document"], result["outcome"], extra=fields)
    # Also an API call that another run has undone: a repeated run must not hide a failed message.
    worth = request.action == "reconcile" and (result["outcome"] != "unchanged" or request.cause)
    if worth and request.notify_topic_arn:
        notify(call, request.notify_topic_arn, fields)


def _defect(error: Exception) -> DefectError:
    last = error.__traceback__
    while last and last.tb_next:
        last = last.tb_next
    where = f" in {last.tb_frame.f_code.co_filename}, line {last.tb_lineno}" if last else ""
    return DefectError(f"The function failed with {type(error).__name__}{where}. Report this.")
