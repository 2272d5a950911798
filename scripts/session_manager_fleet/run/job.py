"""What is done to one target in one step. It needs nothing but its arguments, so it can be done anywhere."""

from __future__ import annotations

import datetime
import json
import re
import shlex
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from session_manager_fleet.changes import change_set_of, protected_destructions
from session_manager_fleet.errors import AccessError, FleetError, TerraformError
from session_manager_fleet.files import write_private
from session_manager_fleet.preferences import (
    PREFERENCES_OUTPUT,
    DocumentChange,
    VerificationError,
    planned_preferences,
    preview_adoption,
    preview_destruction,
    verify_preferences,
    writes_preferences,
)
from session_manager_fleet.run.bucket_names import created_buckets, refuse_taken_names
from session_manager_fleet.run.results import Failure, FailureKind, Status, Step, TargetResult
from session_manager_fleet.run.saved_plan import (
    PLAN,
    PLAN_JSON,
    VARIABLES,
    Origin,
    PlanConstraints,
    Toolchain,
    check,
    seal,
)
from session_manager_fleet.targets import account_session
from session_manager_fleet.terraform import (
    StalePlanError,
    StateLockedError,
    StoppedError,
    commands_by_hand,
    store_retry_token,
    unsaved_state,
)

if TYPE_CHECKING:
    import boto3

    from session_manager_fleet.settings import DeploymentRole
    from session_manager_fleet.targets import Target
    from session_manager_fleet.terraform import StateBackend, Terraform

LOG = "terraform.log"

# How terraform's S3 backend and the AWS provider say that the account could not be entered.
_ACCESS = re.compile(
    r"Cannot assume IAM Role|No valid credential sources|sts:AssumeRole|ExpiredToken|InvalidClientTokenId"
    r"|UnrecognizedClientException|SignatureDoesNotMatch|AWS account ID not allowed"
    r"|The credentials are those of account"
)
_INVOCATION = "aws_lambda_invocation."
_MENDING = (
    "Only that file tells what was made: push it with the commands below, in the folder of the root module, and remove "
    "it. Until then this target is neither planned nor applied."
)


class UnsavedStateError(FleetError):
    """A state that terraform could not save must be pushed before anything else is done with its target.

    Attributes:
        kind: The kind of failure that this is.
        diagnostics: Terraform's own errors, and the commands that mend it.
    """

    def __init__(self, message: str, diagnostics: Sequence[str], kind: FailureKind) -> None:
        super().__init__(message)
        self.diagnostics = tuple(diagnostics)
        self.kind = kind


@dataclass(frozen=True)
class Terms:
    """What holds for all jobs of a run.

    Attributes:
        tools: What plans are made with.
        role: How accounts are entered.
        backend: Where the states are.
        max_plan_age: How old a saved plan may be when it is applied.
        allow_destroy: Whether keys, log groups and buckets may be deleted or replaced.
    """

    tools: Toolchain
    role: DeploymentRole
    backend: StateBackend
    max_plan_age: datetime.timedelta
    allow_destroy: bool


@dataclass(frozen=True)
class Job:
    """One step of one target; it can be pickled, and holds no credentials.

    Attributes:
        step: What to do.
        target: The target.
        variables: The rendered tfvars.
        terms: What holds for all jobs of the run.
        plan_sha256: For an apply, the digest of the saved plan to apply.
        destroy: For a plan, whether everything is to be destroyed.
        retry_token: The target's retry token, which is part of the tfvars; 0 for none.
        verify: For a plan, whether to read the preferences back even if there is nothing to do: nobody saw how the
            last apply ended.
    """

    step: Step
    target: Target
    variables: str
    terms: Terms
    plan_sha256: str | None = None
    destroy: bool = False
    retry_token: int = 0
    verify: bool = False

    @property
    def origin(self) -> Origin:
        """What a plan for this job is made of and for."""
        target = self.target
        return Origin(target.account.id, target.region, target.workspace, self.terms.backend.address, self.terms.tools)


@dataclass(frozen=True)
class Performed:
    """What came of a job.

    Attributes:
        result: The target's result.
        artifacts: Content of the files that were made, by name, where the run's folder was out of reach.
    """

    result: TargetResult
    artifacts: Mapping[str, bytes] | None = None


def perform(job: Job, folder: Path, terraform: Terraform) -> TargetResult:
    """Do a job; whatever may go wrong becomes the result.

    Args:
        job: What to do.
        folder: Private folder of the target.
        terraform: Initialized for the states of the target's region.
    """
    begun = time.monotonic()
    try:
        _refuse_unsaved_state(job, folder, terraform)
        result = {Step.PLAN: _plan, Step.APPLY: _apply}[job.step](job, folder, terraform)
    except (FleetError, OSError) as error:
        result = failed(job.target, job.step, error, folder)
    return replace(result, seconds=round(time.monotonic() - begun, 2))


def _refuse_unsaved_state(job: Job, folder: Path, terraform: Terraform) -> None:
    """Refuse to work with a state that does not tell what an earlier apply has made.

    Raises:
        UnsavedStateError: An apply of this target could not save its state.
    """
    if unsaved := unsaved_state(folder):
        message = f"An earlier apply could not save its state, which is kept in {unsaved}. {_MENDING}"
        raise UnsavedStateError(message, _mending_commands(job, unsaved, terraform), "input")


def _mending_commands(job: Job, unsaved: Path, terraform: Terraform) -> tuple[str, ...]:
    path = str(unsaved)
    push = commands_by_hand(terraform.backend, job.target.workspace, "state", "push", path)
    return (*push, shlex.join(["rm", path]))


def _plan(job: Job, folder: Path, terraform: Terraform) -> TargetResult:
    variables, plan, log = folder / VARIABLES, folder / PLAN, folder / LOG
    write_private(variables, job.variables)
    outcome = terraform.plan(job.target.workspace, variables, plan, log, destroy=job.destroy)
    # An apply whose rollout was killed may have failed while this plan waited for its lock.
    _refuse_unsaved_state(job, folder, terraform)
    if not outcome.changed:
        verified = _verify(job, planned_preferences(terraform.show(plan, log))) if job.verify else None
        return TargetResult.build(job.target, Status.NO_CHANGES, Step.PLAN, outcome, verified=verified)
    shown = terraform.show(plan, log)
    write_private(folder / PLAN_JSON, json.dumps(shown))
    if buckets := created_buckets(shown):
        refuse_taken_names(_session(job), job.target.account.id, job.target.region, buckets)
    changes = change_set_of(shown, job.target)
    protected = [change.address for change in protected_destructions(changes)]
    sha256 = seal(folder, terraform.root, job.origin, protected=protected, created_at=_now())
    return TargetResult.build(
        job.target,
        Status.CHANGES,
        Step.PLAN,
        outcome,
        changes,
        plan_sha256=sha256,
        preview=_preview(job, shown),
    )


def _preview(job: Job, plan: Mapping[str, Any]) -> tuple[DocumentChange, ...]:
    """Return what an existing document would lose or change."""
    if job.destroy:
        return preview_destruction(plan)
    wanted = planned_preferences(plan) if writes_preferences(plan) else None
    return preview_adoption(_session(job), job.target.region, wanted) if wanted else ()


def _apply(job: Job, folder: Path, terraform: Terraform) -> TargetResult:
    demands = PlanConstraints(
        sha256=job.plan_sha256 or "",
        origin=job.origin,
        variables=job.variables,
        now=_now(),
        max_age=job.terms.max_plan_age,
        allow_destroy=job.terms.allow_destroy,
    )
    check(folder, demands)
    try:
        outputs = terraform.apply(job.target.workspace, folder / PLAN, folder / LOG)
    except (StateLockedError, StalePlanError):
        raise
    except TerraformError as error:
        # A failed deletion stays in the plan by itself.
        if not job.destroy and _may_have_called(error):
            _call_again(job, error)
        if unsaved := unsaved_state(folder):
            message = f"{error} It could not save its state, which is kept in {unsaved}. {_MENDING}"
            told = (*error.diagnostics, *_notes(error), *_mending_commands(job, unsaved, terraform))
            raise UnsavedStateError(message, told, "terraform") from error
        raise
    return TargetResult.build(
        job.target, Status.APPLIED, Step.APPLY, verified=_verify(job, outputs.get(PREFERENCES_OUTPUT))
    )


def _may_have_called(error: TerraformError) -> bool:
    """Tell whether the call of the preferences function may be what failed."""
    return isinstance(error, StoppedError) or any(_INVOCATION in text for text in error.diagnostics)


def _verify(job: Job, wanted: Mapping[str, Any] | None) -> bool | None:
    """Read the preferences back; None where none are managed.

    Raises:
        VerificationError: They are not what they were made to be.
        AccessError: They cannot be read.
    """
    if wanted is None:
        return None
    try:
        verify_preferences(_session(job), job.target.region, wanted)
    except (AccessError, VerificationError) as error:
        _call_again(job, error)
        raise
    return True


def _call_again(job: Job, error: FleetError) -> None:
    """See to it that the next plan calls the preferences function again: terraform itself would find nothing to do."""
    try:
        store_retry_token(job.terms.backend, job.target.key, job.retry_token + 1, type(error).__name__)
    except AccessError as refused:
        error.add_note(f"The next plan will find nothing to do: give preferences.revision another value. ({refused})")
    else:
        error.add_note("The next plan writes the preferences anew.")


def _session(job: Job) -> boto3.Session:
    return account_session(job.target.account, job.target.region, job.terms.role)


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)


def failed(target: Target, step: Step, error: FleetError | OSError, folder: Path) -> TargetResult:
    """Return the result of a target for an error: in which bucket it belongs, and what to tell.

    Args:
        target: The target.
        step: What was being done.
        error: What went wrong.
        folder: Where it was done, for an error that names no file.
    """
    told: tuple[str, ...] = getattr(error, "diagnostics", ())
    kind = _kind_of(error)
    message = str(error)
    if kind == "access" and isinstance(error, TerraformError):
        message = "The account could not be entered."
    elif isinstance(error, OSError):
        what = error.strerror or error
        message = (
            f"{error.filename or folder} cannot be used ({what}): repair that, then `resume` plans the target again."
        )
    failure = Failure(kind, message, (*told, *_notes(error)))
    verified = False if isinstance(error, VerificationError) else None
    return TargetResult.build(target, Status.FAILED, step, failure=failure, verified=verified)


def _notes(error: Exception) -> tuple[str, ...]:
    return tuple(getattr(error, "__notes__", ()))


def _kind_of(error: FleetError | OSError) -> FailureKind:
    if isinstance(error, UnsavedStateError):
        return error.kind
    if isinstance(error, VerificationError):
        return "verification"
    if isinstance(error, AccessError):
        return "access"
    if isinstance(error, TerraformError) and not isinstance(error, StalePlanError):
        return "access" if any(_ACCESS.search(text) for text in error.diagnostics) else "terraform"
    return "machine" if isinstance(error, OSError) else "input"
