"""The result of a verification as files and programs read it."""

import datetime
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict

from session_manager_fleet.errors import ExitCode
from session_manager_fleet.run import AccountId, CallerArn, OrganizationId, Region, Sha256
from session_manager_fleet.settings import schema_of
from session_manager_fleet.targets import PolicyException, SkippedAccount
from session_manager_fleet.verify.model import (
    Check,
    CheckInfo,
    NewestLog,
    Severity,
    TargetVerification,
    Verdict,
    exit_code,
)


class _Entry(BaseModel):
    """Part of the result; the description of a field is the text below it."""

    model_config = ConfigDict(frozen=True, defer_build=True)


class CheckDescription(_Entry):
    """Description of a check, independent of any result."""

    id: str
    """Name of the check."""
    severity: Severity
    """Severity of its findings, unless one has its own."""
    what: str
    """What it checks."""
    why: str
    """What a finding means for sessions."""
    controls: tuple[str, ...]
    """Controls of standards that it answers for, as `Security Hub SSM.7`."""

    @classmethod
    def of(cls, info: CheckInfo) -> Self:
        """Describe a check."""
        return cls(id=info.id, severity=info.severity, what=info.what, why=info.why, controls=info.controls)


class VerifiedCheck(_Entry):
    """Result of one check of a target."""

    name: str
    """Id of the check."""
    verdict: Verdict
    """Its outcome."""
    severity: Severity | None = None
    """Severity of a finding, or of a check that could not run; null for other verdicts."""
    message: str
    """The observed state, in one sentence."""
    fix: str | None
    """How to correct a finding; null for other verdicts."""
    command: str | None
    """The line to type that corrects it; null if no command of this program does."""
    evidence: tuple[str, ...] = ()
    """The calls whose answers were judged."""
    exceptions: tuple[str, ...] = ()
    """Exceptions of organization.yaml that explain a result which is not `ok`, a sentence each."""
    newest_log: NewestLog | None = None
    """For the check `logs`, if there is a log."""
    history: Literal["new", "open"] | None = None
    """For a finding: `new`, or `open` if an earlier run on this target found it, too; null without an earlier run."""
    first_seen: datetime.datetime | None = None
    """For a finding: when a run found it first, without interruption; UTC."""

    @classmethod
    def of(cls, check: Check, command: str | None) -> Self:
        """Describe a result."""
        return cls(
            name=check.name,
            verdict=check.verdict,
            severity=check.severity,
            message=check.message,
            fix=check.fix or None,
            command=command,
            evidence=check.evidence,
            exceptions=check.exceptions,
            newest_log=check.newest_log,
        )

    @property
    def is_wrong(self) -> bool:
        """Whether someone has to act: a finding, or a check that could not run."""
        return self.verdict in {Verdict.FINDING, Verdict.NOT_CHECKED}

    @property
    def is_suppressed(self) -> bool:
        """Whether an exception explains the finding, so that it needs no work."""
        return self.verdict is Verdict.FINDING and bool(self.exceptions)


class VerifiedTarget(_Entry):
    """All checks of a target."""

    account_id: AccountId
    """Twelve digits."""
    account_name: str
    """As in AWS Organizations; not unique."""
    ou: str = ""
    """Path of the organizational unit, as `Workloads/Prod`."""
    region: Region
    """Region of the target."""
    home_region: Region
    """The account's region for resources that exist once per account."""
    wave: str = ""
    """Name of its wave."""
    failure: str | None
    """Why the account could not be entered; then no check ran."""
    checks: tuple[VerifiedCheck, ...]
    """In the order in which they ran."""

    @classmethod
    def of(cls, one: TargetVerification, line: Callable[..., str]) -> Self:
        """Describe a target; `line` returns the line to type for the words of a command."""
        target = one.target
        return cls(
            account_id=target.account.id,
            account_name=target.account.name,
            ou=target.account.ou,
            region=target.region,
            home_region=target.home_region,
            wave=target.wave,
            failure=one.failure or None,
            checks=tuple(
                VerifiedCheck.of(check, line(*words) if (words := check.command_in(target)) else None)
                for check in one.checks
            ),
        )

    @property
    def key(self) -> str:
        """`account/region`."""
        return f"{self.account_id}/{self.region}"


class Fixed(_Entry):
    """A finding of an earlier run that this one does not find any more."""

    account_id: AccountId
    region: Region
    check: str
    """Id of the check."""
    first_seen: datetime.datetime
    """When a run found it first; UTC."""


class TrendPoint(_Entry):
    """How many findings a run had."""

    run_id: str
    at: datetime.datetime
    """When it began; UTC."""
    targets: int
    """Number of targets that were verified."""
    findings: dict[str, int]
    """Number of findings of each severity."""
    not_checked: int
    """Number of checks that could not run, and of targets that could not be entered."""


class Verification(_Entry):
    """Result of `verify`."""

    model_config = ConfigDict(title="Result of verify")

    schema_version: Literal[1] = 1
    """Another number means another layout; fields may be added under the same number."""
    run_id: str = ""
    """Name of the run's folder; empty if it was not kept."""
    command: Literal["verify"] = "verify"
    started_at: datetime.datetime
    """When the run began; UTC."""
    finished_at: datetime.datetime
    """When it ended; UTC."""
    exit_code: int
    """Exit code of the process."""
    organization_id: OrganizationId
    """As `o-exampleorgid`."""
    caller: CallerArn
    """ARN of the caller whose credentials were used."""
    configuration_sha256: Sha256
    """SHA-256 digest of organization.yaml."""
    selection: tuple[str, ...]
    """Options that selected the targets, as `--region eu-west-1`."""
    versions: dict[str, str]
    """Versions of the program, of Python and of boto3."""
    totals: dict[str, int]
    """Number of checks with each verdict."""
    severities: dict[str, int]
    """Number of findings of each severity."""
    checks: tuple[CheckDescription, ...]
    """The checks that ran, in their order."""
    targets: tuple[VerifiedTarget, ...]
    """In the order of work."""
    compared_with: str = ""
    """Latest earlier run that verified any of these targets; empty if there is none."""
    fixed: tuple[Fixed, ...] = ()
    """Findings of earlier runs that are corrected."""
    trend: tuple[TrendPoint, ...] = ()
    """Earlier runs with the same selection and this one, the earliest first."""
    skipped: tuple[SkippedAccount, ...] = ()
    """Accounts of which no target was made."""
    exceptions: tuple[PolicyException, ...] = ()
    """Exceptions of organization.yaml that apply to these targets, the soonest to expire first."""
    warnings: tuple[str, ...] = ()
    """Sentences about problems that stop nothing."""

    @classmethod
    def build(
        cls,
        verified: Sequence[TargetVerification],
        catalog: Iterable[CheckInfo],
        line: Callable[..., str],
        **details: Any,  # noqa: ANN401 - the other fields
    ) -> Self:
        """Describe the checks of all targets.

        Args:
            verified: The checks of all targets.
            catalog: What is known about each check.
            line: Returns the line to type for the words of a command.
            details: The other fields.
        """
        targets = tuple(VerifiedTarget.of(one, line) for one in verified)
        ran = {check.name for target in targets for check in target.checks}
        known = {info.id: CheckDescription.of(info) for info in catalog}
        return cls(
            finished_at=now(),
            exit_code=int(exit_code(verified)),
            totals=_counts(check.verdict.value for target in targets for check in target.checks),
            severities=_severities(targets),
            checks=tuple(known[name] for name in known if name in ran),
            targets=targets,
            **details,
        )

    @property
    def code(self) -> ExitCode:
        """The exit code of the process."""
        return ExitCode(self.exit_code)

    @property
    def point(self) -> TrendPoint:
        """This run as a point of a trend."""
        failed = sum(target.failure is not None for target in self.targets)
        return TrendPoint(
            run_id=self.run_id,
            at=self.started_at,
            targets=len(self.targets),
            findings=self.severities,
            not_checked=self.totals.get(Verdict.NOT_CHECKED.value, 0) + failed,
        )

    def to_json(self) -> str:
        """Return the content of `verification.json`."""
        return self.model_dump_json(indent=2, ensure_ascii=True) + "\n"


def now() -> datetime.datetime:
    """Return the time with a resolution of a second; UTC."""
    return datetime.datetime.now(datetime.UTC).replace(microsecond=0)


def verification_schema() -> dict[str, Any]:
    """Return the JSON Schema of the result of `verify`."""
    return schema_of(Verification, "serialization")


def _counts(values: Iterable[str]) -> dict[str, int]:
    return dict(sorted(Counter(values).items()))


def _severities(targets: Iterable[VerifiedTarget]) -> dict[str, int]:
    found = Counter(
        check.severity
        for target in targets
        for check in target.checks
        if check.verdict is Verdict.FINDING and check.severity
    )
    return {severity.value: found[severity] for severity in Severity if found[severity]}
