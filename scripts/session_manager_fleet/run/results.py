"""The result of a target: the one shape that jobs, scheduler, journal, summary and reports share."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, ConfigDict, Field

from session_manager_fleet.accounts import Account
from session_manager_fleet.aws import REGION_FORM
from session_manager_fleet.changes import ChangeSet, PlanOutcome
from session_manager_fleet.errors import ExitCode
from session_manager_fleet.preferences import DocumentChange, Lockout
from session_manager_fleet.run.attachments import Attachment
from session_manager_fleet.targets import Target
from session_manager_fleet.terraform import Adoption


class Status(StrEnum):
    """Status of a target."""

    NO_CHANGES = "no_changes"
    CHANGES = "changes"
    APPLIED = "applied"
    FAILED = "failed"
    NOT_STARTED = "not_started"
    # The journal holds a start without an end: the run is still at work on it, or died.
    UNFINISHED = "unfinished"
    # It has left the organization or its settings since it was planned: nothing is left to do in this run.
    SKIPPED = "skipped"


class Step(StrEnum):
    """Step of a target, in the order of work."""

    PLAN = "plan"
    # Between two applies: what keeps a policy from being deleted is detached.
    DETACH = "detach"
    APPLY = "apply"


def _written_as(form: str) -> AfterValidator:
    """Return a check of texts against a form; it is no part of the JSON Schema, which describes what we write."""
    pattern = re.compile(form)

    def check(text: str) -> str:
        if not pattern.fullmatch(text):
            raise ValueError("it does not have the form of this value")
        return text

    return AfterValidator(check)


# What these values are, where a journal or a summary comes from elsewhere: some of them become paths.
AccountId = Annotated[str, _written_as("[0-9]{12}")]
Region = Annotated[str, _written_as(REGION_FORM)]
CallerArn = Annotated[str, _written_as(r"(arn:[!-~]{1,2000})?")]
WaveName = Annotated[str, _written_as("[A-Za-z0-9_-]{1,64}")]
TargetName = Annotated[str, _written_as(f"[0-9]{{12}}/{REGION_FORM}")]
Fingerprint = Annotated[str, _written_as("[0-9a-f]{16}")]
Sha256 = Annotated[str, _written_as("[0-9a-f]{64}")]
ShardName = Annotated[str, _written_as("[1-9][0-9]{0,5}/[1-9][0-9]{0,5}")]
CommandName = Annotated[str, _written_as("[a-z]{1,32}")]
OrganizationId = Annotated[str, _written_as("o-[a-z0-9]{10,32}")]
_AccountRole = Annotated[str, _written_as("(management|log-archive|audit)?")]
_Workspace = Annotated[str, _written_as(f"[0-9]{{12}}(-{REGION_FORM})?")]
_Log = Annotated[str, _written_as(f"[0-9]{{12}}/{REGION_FORM}/terraform[.]log")]

FailureKind = Literal["access", "terraform", "verification", "input", "machine"]


@dataclass(frozen=True)
class Failure:
    """Reason why a target failed.

    Attributes:
        kind: `access` (the role in the account cannot be assumed), `terraform` (terraform failed), `verification` (the
            live preferences differ from what was applied), `input` (refused before anything was touched) or `machine`
            (a full disk or another error of the machine that did the work).
        message: One sentence.
        diagnostics: Terraform's own errors, or the differences.
    """

    kind: FailureKind
    message: str
    diagnostics: tuple[str, ...] = ()


@dataclass(frozen=True)
class TargetKey:
    """A target as journals and summaries hold it."""

    account_id: Annotated[AccountId, Field(description="Twelve digits.")]
    account_name: Annotated[str, Field(description="As in AWS Organizations; not unique.")]
    ou: Annotated[str, Field(description="Path of the organizational unit, as `Workloads/Prod`.")]
    account_role: Annotated[_AccountRole, Field(description="`management`, `log-archive`, `audit`, or empty.")]
    region: Annotated[Region, Field(description="Region of the target.")]
    home_region: Annotated[Region, Field(description="The account's region for resources that exist once per account.")]
    wave: Annotated[WaveName, Field(description="Name of its wave.")]

    @classmethod
    def of(cls, target: Target) -> "TargetKey":
        """Describe a target; tags, email address and state of its account are left out."""
        return TargetKey(*_key_values(target))

    @property
    def target(self) -> Target:
        """The target, without tags, email address and state of its account."""
        account = Account(id=self.account_id, name=self.account_name, ou=self.ou, role=self.account_role)
        return Target(account, self.region, self.home_region, self.wave)

    @property
    def key(self) -> str:
        """`account/region`, as `Target.key`."""
        return f"{self.account_id}/{self.region}"


def _key_values(target: Target) -> tuple[str, str, str, str, str, str, str]:
    account = target.account
    return account.id, account.name, account.ou, account.role, target.region, target.home_region, target.wave


@dataclass(frozen=True)
class TargetResult(TargetKey):
    """The result of the last step of a target."""

    __pydantic_config__ = ConfigDict(defer_build=True)

    workspace: _Workspace
    """Terraform workspace."""
    status: Status
    """Status of the target."""
    step: Step
    """The last step that was started."""
    changes: PlanOutcome | None
    """Counts of the plan."""
    fingerprint: Fingerprint | None
    """Fingerprint of its change set."""
    failure: Failure | None
    """Reason of the failure."""
    reason: str | None
    """Reason why it was not started, or is skipped."""
    seconds: float
    """Wall time of its steps."""
    attempts: int = 1
    """Attempts at the last step."""
    plan_sha256: Sha256 | None = field(kw_only=True)
    """SHA-256 digest of the manifest of its saved plan."""
    log: _Log | None = field(kw_only=True)
    """Terraform's output, relative to the folder of the run."""
    preview: tuple[DocumentChange, ...] = ()
    """Values that an existing document would lose or change when it is adopted."""
    notes: tuple[str, ...] = ()
    """Sentences about the plan that stop nothing, as components that are left out."""
    verified: bool | None = None
    """Whether the live preferences were read back and match what was applied; null if they were not read."""
    attachments: tuple[Attachment, ...] = ()
    """Roles, users and groups that the plan's deleted or replaced policies are attached to outside of Terraform."""
    detached: tuple[Attachment, ...] = ()
    """Those that were detached."""
    lockouts: tuple[Lockout, ...] = ()
    """Managed nodes that could start no session after an apply of the plan, or would not be logged."""
    adopted: tuple[Adoption, ...] = ()
    """What the target uses as it exists instead of creating it; a destroy leaves it as it is."""
    retry_token: int = 0
    """Retry token of the plan that its apply has yet to store, because the live document differs; 0 for none."""
    skipped_plan: bool = False
    """Whether terraform did not plan it: it is as in its last clean run, and its live state was verified."""
    # Journals and summaries hold each change set once, under its fingerprint.
    change_set: Annotated[ChangeSet | None, Field(exclude=True)] = field(default=None, compare=False)

    @classmethod
    def build(
        cls,
        target: Target,
        status: Status,
        step: Step,
        changes: PlanOutcome | None = None,
        change_set: ChangeSet | None = None,
        *,
        failure: Failure | None = None,
        reason: str | None = None,
        seconds: float = 0.0,
        attempts: int = 1,
        plan_sha256: str | None = None,
        preview: tuple[DocumentChange, ...] = (),
        notes: tuple[str, ...] = (),
        verified: bool | None = None,
        attachments: tuple[Attachment, ...] = (),
        detached: tuple[Attachment, ...] = (),
        adopted: tuple[Adoption, ...] = (),
        lockouts: tuple[Lockout, ...] = (),
        retry_token: int = 0,
        skipped_plan: bool = False,
    ) -> Self:
        """Return the result of a target."""
        return cls(
            *_key_values(target),
            workspace=target.workspace,
            status=status,
            step=step,
            changes=changes,
            fingerprint=change_set.fingerprint if change_set else None,
            failure=failure,
            reason=reason,
            seconds=round(seconds, 2),
            attempts=attempts,
            plan_sha256=plan_sha256,
            log=None,
            preview=preview,
            notes=notes,
            verified=verified,
            attachments=attachments,
            detached=detached,
            adopted=adopted,
            lockouts=lockouts,
            retry_token=retry_token,
            skipped_plan=skipped_plan,
            change_set=change_set,
        )

    def after_plan(self, planned: Self) -> Self:
        """Add the findings of the plan to the result of its apply, or of a step between the two."""
        return replace(
            self.after_detaching(planned),
            attachments=self.attachments or planned.attachments,
            adopted=self.adopted or planned.adopted,
            lockouts=self.lockouts or planned.lockouts,
            changes=self.changes or planned.changes,
            fingerprint=self.fingerprint or planned.fingerprint,
            change_set=self.change_set or planned.change_set,
            plan_sha256=self.plan_sha256 or planned.plan_sha256,
            preview=self.preview or planned.preview,
            notes=self.notes or planned.notes,
            # Its plan is still to be applied, with the variables that it was made with.
            retry_token=planned.retry_token if self.status is Status.NOT_STARTED else self.retry_token,
            seconds=round(planned.seconds + self.seconds, 2),
        )

    def after_detaching(self, earlier: Self) -> Self:
        """Add what was detached earlier in the run."""
        return replace(self, detached=tuple(dict.fromkeys((*earlier.detached, *self.detached))))


def is_pending(result: TargetResult) -> bool:
    """Tell whether a target has a saved plan that is still to be applied."""
    return result.status is Status.CHANGES or (result.status is Status.NOT_STARTED and result.step is Step.APPLY)


def unfinished(results: Sequence[TargetResult]) -> list[TargetResult]:
    """Return the results of targets that have to be planned again when their run is resumed.

    An interrupted or failed apply may be partial, so its saved plan is stale.
    """
    undone = {Status.FAILED, Status.NOT_STARTED, Status.UNFINISHED}
    return [result for result in results if result.status in undone and not is_pending(result)]


def with_changes(results: Sequence[TargetResult]) -> list[TargetResult]:
    """Return the results that have something to apply."""
    return [result for result in results if is_pending(result)]


def exit_code(
    results: Sequence[TargetResult], *, interrupted: bool = False, missing_shards: Sequence[str] = ()
) -> ExitCode:
    """Return the exit code for results: failure outweighs changes, and a missing shard is a failure.

    A saved plan that waits for confirmation is a pending change.
    """
    if interrupted:
        return ExitCode.INTERRUPTED
    if missing_shards or unfinished(results):
        return ExitCode.TARGET_FAILED
    return ExitCode.CHANGES_PENDING if with_changes(results) else ExitCode.DONE
