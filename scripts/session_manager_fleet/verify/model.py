"""Results of a verification."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from session_manager_fleet.errors import ExitCode
from session_manager_fleet.targets import Target

PLAN_AND_APPLY = "Plan and apply this target."
# Terraform does not see what the function writes: it invokes it for a new input only.
WRITE_AGAIN = (
    "Plan and apply this target; if the plan has no changes, set preferences.revision to another value before that."
)


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
        name: `preferences`, `session_key`, `log_group`, `bucket`, `bucket_policy`, `endpoints`, `logs`, `roles`,
            `instance_policy`, `recorder`, `config_rule`, `guardrails`, `drift_repair`, `applied_preferences`,
            `public_sharing`, `keys`.
        verdict: Its outcome.
        message: The observed state, in one sentence.
        fix: How to correct a finding; empty for other verdicts.
        newest_log: For the check `logs`, if there is a log.
        command: Words of the command that corrects a finding, without the program; the target is added unless they name
            one. PLAN_AND_APPLY needs none.
    """

    name: str
    verdict: Verdict
    message: str
    fix: str = ""
    newest_log: NewestLog | None = None
    command: tuple[str, ...] = ()

    def command_in(self, target: Target) -> tuple[str, ...]:
        """Return the words of the command that corrects a finding of a target; none if no command does."""
        words = self.command or (("apply",) if self.fix == PLAN_AND_APPLY else ())
        if not words or "--account" in words:
            return words
        return (*words, "--account", target.account.id, "--region", target.region)


def ok(name: str, message: str) -> Check:
    """Return a check that found the expected state."""
    return Check(name, Verdict.OK, message)


def finding(name: str, message: str, fix: str = PLAN_AND_APPLY, command: Sequence[str] = ()) -> Check:
    """Return a check that found a problem, with its correction and the command for it."""
    return Check(name, Verdict.FINDING, message, fix, command=tuple(command))


def not_needed(name: str, message: str) -> Check:
    """Return a check that does not apply to the target."""
    return Check(name, Verdict.NOT_NEEDED, message)


@dataclass(frozen=True)
class Problem:
    """One of several problems that a check found, and its correction."""

    text: str
    fix: str = PLAN_AND_APPLY


def findings(name: str, what: str, problems: Sequence[Problem]) -> Check:
    """Return one check for all problems of `what`, with their corrections, a line each, in the order to do them."""
    fixes = list(dict.fromkeys(problem.fix for problem in problems))
    by_apply = PLAN_AND_APPLY in fixes
    ordered = [PLAN_AND_APPLY] * by_apply + [fix for fix in fixes if fix != PLAN_AND_APPLY]
    text = "; ".join(problem.text for problem in problems)
    return finding(name, f"{what}: {text}.", "\n".join(ordered), ("apply",) if by_apply else ())


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

    def as_dict(self, line: Callable[..., str]) -> dict[str, Any]:
        """Return the target's entry in the JSON report.

        Args:
            line: Returns the line to type for the words of a command.
        """
        return {
            "account_id": self.target.account.id,
            "account_name": self.target.account.name,
            "region": self.target.region,
            "failure": self.failure or None,
            "checks": [
                {
                    **asdict(check),
                    "verdict": check.verdict.value,
                    "fix": check.fix or None,
                    "command": line(*words) if (words := check.command_in(self.target)) else None,
                }
                for check in self.checks
            ],
        }


def exit_code(verified: Sequence[TargetVerification]) -> ExitCode:
    """Return the exit code for verified targets: failures and checks that could not run outweigh findings."""
    verdicts = {check.verdict for one in verified for check in one.checks}
    if any(one.failure for one in verified) or Verdict.NOT_CHECKED in verdicts:
        return ExitCode.TARGET_FAILED
    return ExitCode.CHANGES_PENDING if Verdict.FINDING in verdicts else ExitCode.DONE
