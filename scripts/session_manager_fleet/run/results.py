"""What became of a target: the words that the scheduler, the journal and the reports share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Literal

from session_manager_fleet.changes import ChangeSet
from session_manager_fleet.errors import ExitCode
from session_manager_fleet.targets import Target

if TYPE_CHECKING:
    from session_manager_fleet.changes import AttributeChange, ChangeSet, PlanOutcome
    from session_manager_fleet.targets import Target


class Status(StrEnum):
    """Where a target stands."""

    NO_CHANGES = "no_changes"
    CHANGES = "changes"
    APPLIED = "applied"
    FAILED = "failed"
    NOT_STARTED = "not_started"
    # The journal knows its beginning and no end: the run is still at it, or died.
    UNFINISHED = "unfinished"


class Step(StrEnum):
    """What is done with a target, in this order."""

    PLAN = "plan"
    APPLY = "apply"


FailureKind = Literal["access", "terraform", "verification", "input", "machine"]


@dataclass(frozen=True)
class Failure:
    """Why a target failed.

    Attributes:
        kind: `access` (the account could not be entered), `terraform` (terraform failed), `verification` (the live
            preferences are not what was applied), `input` (refused before anything was touched) or `machine` (a full
            disk or the like where the work is done).
        message: What happened, in one sentence.
        diagnostics: Terraform's own errors, or what differs.
    """

    kind: FailureKind
    message: str
    diagnostics: tuple[str, ...] = ()


@dataclass(frozen=True)
class TargetResult:
    """What became of a target in a step.

    Attributes:
        target: The target.
        status: Where it stands now.
        step: The last step that was begun.
        outcome: Counts of the plan, once there is one.
        change_set: Normalized changes, where the plan has any.
        failure: Why it failed.
        reason: Why it was not started.
        seconds: Wall time of the step.
        plan_sha256: Digest of the saved plan's bundle.
        attempts: How often the step was tried.
        preview: What an existing document would lose or change when it is taken over.
        verified: Whether the live preferences were read back and are what was applied; None where nobody looked.
    """

    target: Target
    status: Status
    step: Step
    outcome: PlanOutcome | None = None
    change_set: ChangeSet | None = None
    failure: Failure | None = None
    reason: str = ""
    seconds: float = 0.0
    plan_sha256: str = ""
    attempts: int = 1
    preview: tuple[AttributeChange, ...] = ()
    verified: bool | None = None


def is_pending(result: TargetResult) -> bool:
    """Tell whether a target has a saved plan that is still to be applied."""
    return result.status is Status.CHANGES or (result.status is Status.NOT_STARTED and result.step is Step.APPLY)


def unfinished(results: Sequence[TargetResult]) -> list[TargetResult]:
    """Return the results of targets that have to be planned anew when their run is resumed.

    Of those that were being applied, or failed there, nobody knows how far they came; their saved plans are of no use.
    """
    undone = {Status.FAILED, Status.NOT_STARTED, Status.UNFINISHED}
    return [result for result in results if result.status in undone and not is_pending(result)]


def with_changes(results: Sequence[TargetResult]) -> list[TargetResult]:
    """Return the results that have something to apply."""
    return [result for result in results if is_pending(result)]


def exit_code(
    results: Sequence[TargetResult], *, interrupted: bool = False, missing_shards: Sequence[str] = ()
) -> ExitCode:
    """Return what the process says of these results; failure outweighs changes, and a missing shard is a failure.

    A saved plan that waits for somebody to agree is a pending change.
    """
    if interrupted:
        return ExitCode.INTERRUPTED
    if missing_shards or unfinished(results):
        return ExitCode.TARGET_FAILED
    return ExitCode.CHANGES_PENDING if with_changes(results) else ExitCode.DONE
