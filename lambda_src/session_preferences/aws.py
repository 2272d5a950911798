"""AWS calls in a time budget: throttling is waited out, any other failure raises with AWS's error code."""

import random
import re
import time
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

from .errors import AwsError, OutOfTimeError

# One operation by its API names, call("ssm", "GetDocument", Name=…); raises AwsError.
Call = Callable[..., dict[str, Any]]

DENIED = {"AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "403"}
_ATTEMPTS = 7
_TRANSIENT = {
    *("Throttling", "ThrottlingException", "ThrottledException", "RequestThrottled", "RequestLimitExceeded"),
    *("RateExceeded", "TooManyRequestsException", "TooManyUpdates", "SlowDown", "DependencyTimeoutException"),
    *("InternalServerError", "InternalFailure", "InternalError", "KMSInternalException"),
    *("ServiceUnavailable", "ServiceUnavailableException"),
}


class Budget:
    """The time that is left, in seconds, and the pauses between attempts."""

    def __init__(
        self,
        seconds: float,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._clock = clock
        self._sleep = sleep
        self._end = clock() + seconds

    def pause(self, attempt: int) -> None:
        """Wait longer with each attempt, with jitter; raises OutOfTimeError when that does not fit."""
        seconds = min(0.5 * 2**attempt, 10) * random.uniform(0.5, 1)  # noqa: S311 - jitter, not a secret
        if self._clock() + seconds > self._end:
            raise OutOfTimeError("Time ran out while waiting for AWS. Run it again: it goes on from here.")
        self._sleep(seconds)


def caller(clients: Callable[[str], Any], budget: Budget, grace: Budget | None = None) -> Call:
    """A `Call` over boto3 clients, which are asked for by the name of their service.

    What is denied is asked again as long as `grace` lasts.
    """

    def call(service: str, operation: str, **arguments: object) -> dict[str, Any]:
        method = re.sub(r"(?<!^)(?=[A-Z])", "_", operation).lower()
        attempt = 0
        while True:
            try:
                result: dict[str, Any] = getattr(clients(service), method)(**arguments)
            except Exception as error:
                failure = _failure(f"{service}:{operation} {next(iter(arguments.values()), '')}", error)
                patience = grace if failure.code in DENIED else budget if failure.code in _TRANSIENT else None
                if not patience or attempt == _ATTEMPTS - 1:
                    raise failure from error
            else:
                return result
            try:
                patience.pause(attempt)
            except OutOfTimeError:
                raise failure from None
            attempt += 1

    return call


def pages(call: Call, items: str, token: str, *operation: str, **arguments: object) -> Iterator[Any]:
    """The items of all pages of an operation, whose answers have them under `items` and what comes next as `token`."""
    while True:
        page = call(*operation, **arguments)
        yield from page.get(items, [])
        if not page.get(token):
            return
        arguments[token] = page[token]


def _failure(what: str, error: Exception) -> AwsError:
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415 - see boto_clients

    if isinstance(error, ClientError):
        details = error.response["Error"]
        code, message = details.get("Code", "Unknown"), details.get("Message", "")
    elif isinstance(error, BotoCoreError):
        code, message = type(error).__name__, str(error)
    else:
        raise error
    advice = ""
    if code in DENIED:
        advice = " Allow it in the function's role, or find the policy that denies it."
    elif code in _TRANSIENT:
        advice = " AWS kept refusing; run it again later."
    return AwsError(code, f"{what} failed with {code}: {message.rstrip('. ')}.{advice}")


def boto_clients(region: str | None) -> Callable[[str], Any]:
    """A factory of boto3 clients; importing boto3 is most of a cold start, so it waits for the first."""

    @cache
    def client(service: str) -> Any:  # noqa: ANN401 - four kinds of client
        import boto3  # noqa: PLC0415
        from botocore.config import Config  # noqa: PLC0415

        retries: Any = {"mode": "standard", "total_max_attempts": 3}
        make: Any = boto3.client
        return make(service, region, config=Config(retries=retries, connect_timeout=5, read_timeout=20))

    return client
