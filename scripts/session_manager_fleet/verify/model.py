"""Results of a verification."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from session_manager_fleet.errors import ExitCode
from session_manager_fleet.targets import PolicyException, Target
from session_manager_fleet.terraform import Permission

PLAN_AND_APPLY = "Plan and apply this target."
APPLY_ARCHIVE = "Plan and apply the target of the log archive."


class Verdict(StrEnum):
    """Outcome of a check."""

    OK = "ok"
    FINDING = "finding"
    NOT_CHECKED = "not_checked"
    NOT_NEEDED = "not_needed"


class Severity(StrEnum):
    """How much a finding matters, in the words of AWS Security Hub, the worst first."""

    CRITICAL = "critical"
    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"

    @property
    def rank(self) -> int:
        """Place in the order: 0 for the worst."""
        return list(Severity).index(self)


@dataclass(frozen=True)
class CheckInfo:
    """Facts of a check that are declared: documentation and permissions are generated from them.

    Attributes:
        id: Its id, which is the name in its results.
        severity: Severity of its findings, unless a finding has its own.
        what: What it checks.
        why: Why that matters: what a finding means for sessions.
        fix: How findings are corrected; each finding says the command.
        evidence: What it reads as evidence; each result says the calls.
        where: The targets that it judges.
        permissions: What the read role needs for it.
        controls: Controls of standards that it answers for, such as `Security Hub SSM.7`; empty if none has one.
        component: Component of the settings that it judges: an exception that skips or changes it explains a result.
    """

    id: str
    severity: Severity
    what: str
    why: str
    fix: str
    evidence: str
    where: str
    permissions: tuple[Permission, ...]
    controls: tuple[str, ...] = ()
    component: str = "preferences"

    @property
    def actions(self) -> tuple[str, ...]:
        """The IAM actions that the check needs."""
        return tuple(sorted({action for permission in self.permissions for action in permission.actions}))


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
        name: Id of the check, as in `CheckInfo`.
        verdict: Its outcome.
        message: The observed state, in one sentence.
        fix: How to correct a finding; empty for other verdicts.
        newest_log: For the check `logs`, if there is a log.
        command: Words of the command that corrects a finding, without the program; the target is added unless they name
            one. PLAN_AND_APPLY needs none.
        severity: Severity of a finding, or of a check that could not run; None for other verdicts.
        evidence: The calls whose answers were judged, such as `ssm:GetDocument Name=… (eu-west-1)`.
        exceptions: Exceptions of the register that explain a result which is not `ok`, a sentence each.
    """

    name: str
    verdict: Verdict
    message: str
    fix: str = ""
    newest_log: NewestLog | None = None
    command: tuple[str, ...] = ()
    severity: Severity | None = None
    evidence: tuple[str, ...] = ()
    exceptions: tuple[str, ...] = ()

    def command_in(self, target: Target) -> tuple[str, ...]:
        """Return the words of the command that corrects a finding of a target; none if no command does."""
        words = self.command or (("apply",) if self.fix == PLAN_AND_APPLY else ())
        if not words or "--account" in words:
            return words
        return (*words, "--account", target.account.id, "--region", target.region)


def explained(check: Check, info: CheckInfo, exceptions: Sequence[PolicyException]) -> Check:
    """Return a result with the exceptions that explain it: those that skip or change the component that it judges."""
    if check.verdict is Verdict.OK:
        return check
    return replace(
        check,
        exceptions=tuple(
            f"Exception of {one.owner} until {one.expires}: {one.reason} ({one.where})."
            for one in exceptions
            if info.component in one.skip or any(path.split(".")[0] == info.component for path in one.set)
        ),
    )


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
    """One of several problems that a check found.

    Attributes:
        text: The problem, in a clause.
        fix: Its correction.
        severity: Its severity, if it is not that of the check.
        before_apply: Whether its correction comes before an apply, which would be refused.
    """

    text: str
    fix: str = PLAN_AND_APPLY
    severity: Severity | None = None
    before_apply: bool = False


def findings(name: str, what: str, problems: Sequence[Problem]) -> Check:
    """Return one check for all problems of `what`, with their corrections, a line each, in the order to do them.

    Its severity is that of the check, unless every problem has its own, or one is critical: then it is their worst.
    """
    by_apply = any(problem.fix == PLAN_AND_APPLY for problem in problems)
    first = [problem.fix for problem in problems if problem.before_apply]
    fixes = [*first, *([PLAN_AND_APPLY] if by_apply else []), *(problem.fix for problem in problems)]
    ordered = list(dict.fromkeys(fixes))
    text = "; ".join(problem.text for problem in problems)
    own = [problem.severity for problem in problems if problem.severity]
    worst = min(own, key=lambda one: one.rank, default=None)
    # Nothing is worse than a critical one, whatever the severity of the check.
    severity = worst if len(own) == len(problems) or worst is Severity.CRITICAL else None
    check = finding(name, f"{what}: {text}.", "\n".join(ordered), ("apply",) if by_apply else ())
    return replace(check, severity=severity)


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


def exit_code(verified: Sequence[TargetVerification]) -> ExitCode:
    """Return the exit code for verified targets; see `exit_code_of`."""
    results = ((check.verdict, check.severity) for one in verified for check in one.checks)
    return exit_code_of(results, failed=any(one.failure for one in verified))


def exit_code_of(
    results: Iterable[tuple[Verdict, Severity | None]], *, failed: bool, least: Severity = Severity.MEDIUM
) -> ExitCode:
    """Return the exit code for results: failures and checks that could not run outweigh findings.

    Args:
        results: Verdict and severity of each check.
        failed: Whether an account could not be accessed.
        least: Findings that are less severe are advice, which changes no exit code.
    """
    found = set(results)
    if failed or any(verdict is Verdict.NOT_CHECKED for verdict, _ in found):
        return ExitCode.TARGET_FAILED
    severities = [severity for verdict, severity in found if verdict is Verdict.FINDING]
    pending = any(severity is None or severity.rank <= least.rank for severity in severities)
    return ExitCode.CHANGES_PENDING if pending else ExitCode.DONE
