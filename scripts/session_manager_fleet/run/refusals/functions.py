"""Reserved concurrency of functions: 100 executions of an account must stay unreserved."""

from collections.abc import Iterator, Mapping
from typing import Any

from session_manager_fleet.run.refusals.planned import Place, planned

NEEDS = "lambda:GetAccountSettings"

# https://docs.aws.amazon.com/lambda/latest/dg/configuration-concurrency.html
_UNRESERVED = 100


def problems(plan: Mapping[str, Any], place: Place) -> Iterator[str]:
    """Yield reservations that the account has no room for."""
    more = sum(
        _reserved(each.after) - _reserved(each.before)
        for each in planned(plan, "aws_lambda_function")
        if _reserved(each.after) > _reserved(each.before)
    )
    if not more:
        return
    limit = place.ask("lambda", "get_account_settings")["AccountLimit"]
    unreserved = limit["UnreservedConcurrentExecutions"]
    if unreserved - more < _UNRESERVED:
        yield (
            f"{more} more reserved executions would leave {unreserved - more} of the account's "
            f"{limit['ConcurrentExecutions']} unreserved, and AWS requires {_UNRESERVED}. Have the quota raised in "
            "Service Quotas, or unset preferences.function.reserved_concurrent_executions."
        )


def _reserved(function: Mapping[str, Any]) -> int:
    return max(0, int(function.get("reserved_concurrent_executions") or 0))
