"""What a verification says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from session_manager_fleet.errors import ExitCode
from session_manager_fleet.targets import Target


class Verdict(StrEnum):
    """What came of a check."""

    OK = "ok"
    FINDING = "finding"
    NOT_CHECKED = "not_checked"
    NOT_NEEDED = "not_needed"


@dataclass(frozen=True)
class NewestLog:
    """The newest log object of a target.

    Attributes:
        key: Its key in the bucket.
        age_seconds: How long ago it was written.
    """

    key: str
    age_seconds: int


@dataclass(frozen=True)
class Check:
    """One thing that was looked at.

    Attributes:
        name: `preferences`, `session_key`, `log_group`, `bucket`, `bucket_policy`, `instance_policy`, `recorder`,
            `endpoints`, `logs`.
        verdict: What came of it.
        message: What was seen, in one sentence.
        fix: What to do about a finding; else empty.
        newest_log: Of `logs`, where there is one.
    """

    name: str
    verdict: Verdict
    message: str
    fix: str = ""
    newest_log: NewestLog | None = None


@dataclass(frozen=True)
class TargetVerification:
    """All checks of a target.

    Attributes:
        target: The target.
        checks: In the order in which they were made.
        failure: Why the account could not be entered; then nothing was checked.
    """

    target: Target
    checks: tuple[Check, ...] = ()
    failure: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Return what the JSON report says of this target."""
        return {
            "account_id": self.target.account.id,
            "account_name": self.target.account.name,
            "region": self.target.region,
            "failure": self.failure or None,
            "checks": [
                {**asdict(check), "verdict": check.verdict.value, "fix": check.fix or None} for check in self.checks
            ],
        }


def exit_code(verified: Sequence[TargetVerification]) -> ExitCode:
    """Return what the process says of verified targets: failures outweigh findings.

    What could not be checked is never taken for good.
    """
    verdicts = {check.verdict for one in verified for check in one.checks}
    if any(one.failure for one in verified) or Verdict.NOT_CHECKED in verdicts:
        return ExitCode.TARGET_FAILED
    return ExitCode.CHANGES_PENDING if Verdict.FINDING in verdicts else ExitCode.DONE
