"""The run folder of a verification."""

from pathlib import Path

import pydantic

from session_manager_fleet.errors import ExitCode, InputError
from session_manager_fleet.files import read_regular, write_private
from session_manager_fleet.run import Beginning, RunFolder
from session_manager_fleet.verify.evidence.history import HISTORY, History
from session_manager_fleet.verify.evidence.model import Verification

VERIFICATION = "verification.json"
_LARGEST_MEGABYTES = 1024


def record(folder: RunFolder, beginning: Beginning, verification: Verification) -> None:
    """Write the journal of a verification, its result, and what later runs compare with.

    Raises:
        JournalError: The folder cannot be written.
    """
    folder.begin(beginning)
    with folder.writing():
        write_private(folder.path / VERIFICATION, verification.to_json())
        write_private(folder.path / HISTORY, History.of(verification).model_dump_json() + "\n")
    folder.end(verification.exit_code)


def read_verification(folder: Path) -> Verification | None:
    """Return the result in a run folder; None if the run verified nothing.

    Raises:
        InputError: It is damaged.
    """
    path = folder / VERIFICATION
    try:
        content = read_regular(path, megabytes=_LARGEST_MEGABYTES)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise InputError(f"The result cannot be read: {error.strerror}.", str(path)) from error
    try:
        found = Verification.model_validate_json(content)
    except pydantic.ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        where = ".".join(map(str, first["loc"]))[:80]
        raise InputError(f"The result is damaged ({where}: {first['msg']}); verify again.", str(path)) from error
    if problem := _inconsistency(found):
        raise InputError(f"The result is damaged ({problem}); verify again.", str(path))
    return found


def _inconsistency(verification: Verification) -> str:
    """Return what a file has that no verification writes, and no report can show; empty if there is none."""
    if verification.exit_code not in list(ExitCode):
        return "exit_code: it is none of this program"
    described = {check.id for check in verification.checks}
    for check in (check for target in verification.targets for check in target.checks):
        if check.name not in described:
            return "checks: one of a target is not described"
        if check.is_wrong and check.severity is None:
            return "checks: a finding has no severity"
    return ""
