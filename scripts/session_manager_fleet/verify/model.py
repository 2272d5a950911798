"""Results of a verification."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from session_manager_fleet.errors import ExitCode
from session_manager_fleet.targets import Target

PLAN_AND_APPLY = "Plan and apply this target."


class Verdict(StrEnum):
    """Outcome of a check."""

    OK = "ok"
    FINDING = "finding"
    NOT_CHECKED = "not_checked"
    NOT_NEEDED = "not_needed"


@dataclass(frozen=True)
class NewestLog:
    """The newest log object of a target.

    Attributes:
        key: Key of the object in the bucket.
        age_seconds: Seconds since it was written.
    """

    key: str
    age_seconds: int


@dataclass(frozen=True)
class Check:
    """Result of one check.

    Attributes:
        name: `preferences`, `session_key`, `log_group`, `bucket`, `bucket_policy`, `instance_policy`, `recorder`,
            `endpoints`, `logs`.
        verdict: Its outcome.
        message: The observed state, in one sentence.
        fix: How to correct a finding; empty for other verdicts.
        newest_log: For the check `logs`, if there is a log.
    """

    name: str
    verdict: Verdict
    message: str
    fix: str = ""
    newest_log: NewestLog | None = None


def ok(name: str, message: str) -> Check:
    """Return a check that found the expected state."""
    return Check(name, Verdict.OK, message)


def finding(name: str, message: str, fix: str = PLAN_AND_APPLY) -> Check:
    """Return a check that found a problem, with its correction."""
    return Check(name, Verdict.FINDING, message, fix)


def not_needed(name: str, message: str) -> Check:
    """Return a check that does not apply to the target."""
    return Check(name, Verdict.NOT_NEEDED, message)


@dataclass(frozen=True)
class TargetVerification:
    """All checks of a target.

    Attributes:
        target: The target.
        checks: In the order in which they ran.
        failure: Why access to the account failed; then no check ran.
    """

    target: Target
    checks: tuple[Check, ...] = ()
    failure: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Return the target's entry in the JSON report."""
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
    """Return the exit code for verified targets: failures and checks that could not run outweigh findings."""
    verdicts = {check.verdict for one in verified for check in one.checks}
    if any(one.failure for one in verified) or Verdict.NOT_CHECKED in verdicts:
        return ExitCode.TARGET_FAILED
    return ExitCode.CHANGES_PENDING if Verdict.FINDING in verdicts else ExitCode.DONE
