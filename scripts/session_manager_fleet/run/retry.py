"""Which failures pass by themselves: the only list of errors that are worth another attempt."""

from __future__ import annotations

import random
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from session_manager_fleet.run.results import TargetResult

# Error codes of throttling as botocore's standard retry mode knows them, and what the network and AWS say on a bad day.
_TRANSIENT = re.compile(
    r"\b(Throttling|ThrottlingException|ThrottledException|RequestThrottled|RequestThrottledException"
    r"|TooManyRequestsException|RequestLimitExceeded|BandwidthLimitExceeded|LimitExceededException: Rate|SlowDown"
    r"|PriorRequestNotComplete|TransactionInProgressException|ProvisionedThroughputExceededException"
    r"|RequestTimeout|RequestTimeoutException|ServiceUnavailable|ServiceUnavailableException|InternalFailure"
    r"|InternalServerError|InternalError|StatusCode: 50[0234])\b"
    r"|Rate exceeded|connection reset by peer|connection refused|i/o timeout|TLS handshake timeout|unexpected EOF"
    r"|no such host|temporary failure in name resolution",
    re.IGNORECASE,
)

# Here the state no longer tells what exists: a person has to look before anything is repeated.
_STATE_LOST = re.compile(r"failed to (save|persist|upload) state|errored\.tfstate", re.IGNORECASE)

ATTEMPTS = 4
_BASE_SECONDS = 2.0
_MOST_SECONDS = 60.0


def is_transient(result: TargetResult) -> bool:
    """Tell whether a result is a failure for a reason that passes by itself."""
    if result.failure is None:
        return False
    text = "\n".join((result.failure.message, *result.failure.diagnostics))
    return bool(_TRANSIENT.search(text)) and not _STATE_LOST.search(text)


def backoff_seconds(attempt: int) -> float:
    """Return how long to wait before an attempt (the second is 2): anything up to a limit that doubles, "full jitter".

    It spreads targets that were throttled together (AWS Architecture Blog, "Exponential Backoff And Jitter").
    """
    return random.uniform(0, min(_MOST_SECONDS, _BASE_SECONDS * 2 ** (attempt - 2)))  # noqa: S311 - spreads load only
