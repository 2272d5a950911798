"""AWS calls within a time budget: throttling is waited out, any other failure raises with AWS's error code."""

import re
import time
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import Any

from .errors import AwsError, OutOfTimeError
from .redaction import Secrets

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


_OUT_OF_TIME = "Time ran out while waiting for AWS. Run it again: it continues from here."


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

    def within(self, seconds: float) -> "Budget":
        """Return a budget of so many seconds that ends with this one at the latest."""
        return Budget(min(seconds, self._end - self._clock()), self._clock, self._sleep)

    def check(self) -> None:
        """Raise OutOfTimeError when no time is left."""
        if self._clock() > self._end:
            raise OutOfTimeError(_OUT_OF_TIME)

    def pause(self, attempt: int) -> None:
        """Wait longer with each attempt, with jitter; raise OutOfTimeError when the pause does not fit."""
        import random  # noqa: PLC0415 - slow to import

        seconds = min(0.5 * 2**attempt, 10) * random.uniform(0.5, 1)  # noqa: S311 - jitter
        if self._clock() + seconds > self._end:
            raise OutOfTimeError(_OUT_OF_TIME)
        self._sleep(seconds)


def caller(clients: Callable[[str], Any], budget: Budget, graces: Mapping[str, Budget] = {}) -> Call:
    """Return a `Call` over boto3 clients, which are asked for by the name of their service.

    Denied calls are repeated within the grace of their service, or that of "".
    """
    secrets = Secrets()

    def attempt_once(service: str, operation: str, arguments: dict[str, Any]) -> dict[str, Any] | AwsError:
        method = re.sub(r"(?<!^)(?=[A-Z])", "_", operation).lower()
        try:
            result: dict[str, Any] = getattr(clients(service), method)(**arguments)
        except Exception as error:  # noqa: BLE001 - what is not AWS's is raised again
            return _failure(f"{service}:{operation} {next(iter(arguments.values()), '')}", error, secrets)
        return result

    def call(service: str, operation: str, **arguments: object) -> dict[str, Any]:
        budget.check()
        if isinstance(arguments.get("Content"), str):
            secrets.learn(str(arguments["Content"]))
        attempt = 0
        while True:
            result = attempt_once(service, operation, arguments)
            if not isinstance(result, AwsError):
                if isinstance(result.get("Content"), str):
                    secrets.learn(result["Content"])
                return result
            again = attempt < _ATTEMPTS - 1 and result.code in _TRANSIENT
            patience = graces.get(service, graces.get("")) if result.code in DENIED else budget if again else None
            if not patience or not _paused(patience, attempt):
                raise result  # outside of `except`: no traceback has boto3's error, which quotes arguments
            attempt += 1

    return call


def _paused(budget: Budget, attempt: int) -> bool:
    try:
        budget.pause(attempt)
    except OutOfTimeError:
        return False
    return True


def pages(call: Call, items: str, token: str, *operation: str, **arguments: object) -> Iterator[Any]:
    """Yield the items of all pages of an operation: answers have them under `items`, and the next page as `token`."""
    while True:
        page = call(*operation, **arguments)
        yield from page.get(items, [])
        if not page.get(token):
            return
        arguments[token] = page[token]


def _failure(what: str, error: Exception, secrets: Secrets) -> AwsError:
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
    return AwsError(code, f"{what} failed with {code}: {secrets.hide(message).rstrip('. ')}.{advice}")


def boto_clients(region: str | None) -> Callable[[str], Any]:
    """Return a factory of boto3 clients; importing boto3 is most of a cold start, so it waits for the first."""

    @cache
    def client(service: str) -> Any:  # noqa: ANN401 - four kinds of client
        import boto3  # noqa: PLC0415
        from botocore.config import Config  # noqa: PLC0415

        retries: Any = {"mode": "standard", "total_max_attempts": 2}
        make: Any = boto3.client
        return make(service, region, config=Config(retries=retries, connect_timeout=5, read_timeout=15))

    return client
