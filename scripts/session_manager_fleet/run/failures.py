"""The result of a target whose step failed, or that has left the organization."""

from collections.abc import Sequence
from pathlib import Path

from session_manager_fleet.errors import AccessError, FleetError, InputError, TerraformError
from session_manager_fleet.preferences import VerificationError
from session_manager_fleet.run.diagnosis import is_refusal, why_refused
from session_manager_fleet.run.results import Failure, FailureKind, Status, Step, TargetResult
from session_manager_fleet.targets import Target
from session_manager_fleet.terraform import StalePlanError


class UnsavedStateError(FleetError):
    """A state that terraform could not save has to be pushed before its target is planned or applied again.

    Attributes:
        kind: Kind of the failure.
        diagnostics: Terraform's own errors, and the commands that push the state.
    """

    def __init__(self, message: str, diagnostics: Sequence[str], kind: FailureKind) -> None:
        super().__init__(message)
        self.diagnostics = tuple(diagnostics)
        self.kind = kind


class TargetLeftError(InputError):
    """A target is not in the organization or its settings any more; its run can end without it."""


def failed(target: Target, step: Step, error: FleetError | OSError, folder: Path) -> TargetResult:
    """Return the failed result of a target for an error, or the skipped one of a target that has left.

    `folder` is named if the error names no file.
    """
    if isinstance(error, TargetLeftError):
        return TargetResult.build(target, Status.SKIPPED, step, reason=str(error).removesuffix("."))
    diagnostics: tuple[str, ...] = getattr(error, "diagnostics", ())
    kind = _kind_of(error)
    message = str(error)
    if kind == "access" and isinstance(error, TerraformError):
        message = why_refused(target, diagnostics)
    elif isinstance(error, OSError):
        what = error.strerror or error
        message = f"{error.filename or folder} cannot be used ({what}). Fix this, then `resume` plans the target again."
    failure = Failure(kind, message, (*diagnostics, *notes_of(error)))
    verified = False if isinstance(error, VerificationError) else None
    return TargetResult.build(target, Status.FAILED, step, failure=failure, verified=verified)


def notes_of(error: Exception) -> tuple[str, ...]:
    """Return the notes that were added to an error."""
    return tuple(getattr(error, "__notes__", ()))


def _kind_of(error: FleetError | OSError) -> FailureKind:
    if isinstance(error, UnsavedStateError):
        return error.kind
    if isinstance(error, VerificationError):
        return "verification"
    if isinstance(error, AccessError):
        return "access"
    if isinstance(error, TerraformError) and not isinstance(error, StalePlanError):
        return "access" if is_refusal(error.diagnostics) else "terraform"
    return "machine" if isinstance(error, OSError) else "input"
