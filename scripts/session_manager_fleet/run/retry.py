"""Retries: the transient failures, the number of attempts, and the wait before each."""

import random
import re
from dataclasses import replace

import tenacity

from session_manager_fleet.run.results import TargetResult

# Throttling codes of botocore's standard retry mode, and network errors.
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

# AWS's codes for a service that an account may not use yet: it was created, or its region enabled, minutes ago.
_NOT_READY = re.compile(
    r"\b(SubscriptionRequiredException|OptInRequired|RegionDisabledException|RegionNotEnabledException"
    r"|PendingVerification|NotSignedUp|AccountNotReadyException)\b"
)

# The state no longer matches the resources: it has to be pushed by hand before a retry.
_STATE_LOST = re.compile(r"failed to (save|persist|upload) state|errored\.tfstate", re.IGNORECASE)

# IAM's error code for the deletion of a policy that is attached.
_IN_USE = re.compile(r"\bDeleteConflict\b")

ATTEMPTS = 4
# Between two attempts in an account that is not ready: three waits are five to ten minutes.
_SLOW_SECONDS = 100, 200
# "Full jitter" (AWS Architecture Blog, "Exponential Backoff And Jitter") spreads targets that were throttled together.
_WAIT = tenacity.wait_random_exponential(multiplier=2, max=60)


def is_transient(result: TargetResult) -> bool:
    """Tell whether a result is a transient failure."""
    return _failed_for(result, _TRANSIENT) or is_not_ready(result)


def is_not_ready(result: TargetResult) -> bool:
    """Tell whether a target failed because its account or region is not ready yet."""
    return _failed_for(result, _NOT_READY)


def named(result: TargetResult) -> TargetResult:
    """Return a result that says so if the account or region is not ready yet."""
    if result.failure is None or not is_not_ready(result):
        return result
    message = (
        f"{result.failure.message} The account is not ready yet: AWS needs minutes, at times hours, for the "
        "services of a new account or region. `resume` the run later."
    )
    return replace(result, failure=replace(result.failure, message=message))


def is_in_use(result: TargetResult) -> bool:
    """Tell whether a policy could not be deleted because it is attached."""
    return _failed_for(result, _IN_USE)


def _failed_for(result: TargetResult, pattern: re.Pattern[str]) -> bool:
    if result.failure is None:
        return False
    text = "\n".join((result.failure.message, *result.failure.diagnostics))
    return bool(pattern.search(text)) and not _STATE_LOST.search(text)


def wait_seconds(result: TargetResult, attempt: int) -> float:
    """Return the wait before another attempt after a transient failure."""
    return random.uniform(*_SLOW_SECONDS) if is_not_ready(result) else backoff_seconds(attempt)  # noqa: S311 - no secret


def backoff_seconds(attempt: int) -> float:
    """Return the random wait before an attempt (the second is 2); its upper limit doubles up to a minute."""
    state = tenacity.RetryCallState(tenacity.Retrying(), fn=None, args=(), kwargs={})
    state.attempt_number = attempt - 1
    return _WAIT(state)
