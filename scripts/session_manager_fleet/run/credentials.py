"""The end of the caller's credentials: what cannot finish before it is not started."""

import datetime
import re
from collections.abc import Callable
from dataclasses import dataclass, field

from session_manager_fleet.run.results import Step, TargetResult

_EXPIRED = re.compile(r"\b(ExpiredToken|ExpiredTokenException|RequestExpired)\b")

# A step that was never seen to take longer gets this time: an apply waits for keys and IAM.
_LEAST_SECONDS = {Step.PLAN: 120.0, Step.APPLY: 600.0}
_DOING = {Step.PLAN: "a plan", Step.APPLY: "an apply"}


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)


@dataclass
class CredentialsEnd:
    """The end of the credentials of a run, as far as it is known.

    Attributes:
        ends: When they end and cannot be renewed; None if that is not known, or if they are renewed.
        most_seconds: Time limit of one terraform command.
        now: Returns the current time.
    """

    ends: datetime.datetime | None = None
    most_seconds: float = 1800.0
    now: Callable[[], datetime.datetime] = _now
    _longest: dict[Step, float] = field(default_factory=dict)
    _expired: bool = False

    def observe(self, result: TargetResult) -> None:
        """Learn how long a step takes, and whether the credentials have expired."""
        self._longest[result.step] = max(result.seconds, self._longest.get(result.step, 0.0))
        if result.failure and any(map(_EXPIRED.search, (result.failure.message, *result.failure.diagnostics))):
            self._expired = True

    def reason(self, step: Step) -> str:
        """Return why a step must not be started any more; empty if it can finish in time."""
        if self._expired:
            return "the AWS credentials have expired"
        if self.ends is None:
            return ""
        # Twice the longest so far, because the next target may have more to do.
        needed = min(self.most_seconds, max(_LEAST_SECONDS[step], 2 * self._longest.get(step, 0.0)))
        if (self.ends - self.now()).total_seconds() >= needed:
            return ""
        minutes = max(1, round(needed / 60))
        return (
            f"the AWS credentials are valid until {self.ends:%H:%M} UTC, and {_DOING[step]} may take {minutes} "
            f"minute{'s' if minutes > 1 else ''}"
        )
