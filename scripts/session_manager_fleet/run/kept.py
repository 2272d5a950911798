"""Variables of targets that have left the settings: kept by the run that applied them, or given.

What a state holds can be destroyed with the variables that it was made with. They are copied to the run that destroys
it, so that the run can be applied and resumed like any other.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Self

from session_manager_fleet.accounts import Account
from session_manager_fleet.errors import FleetError, InputError
from session_manager_fleet.files import read_regular, write_private
from session_manager_fleet.run.folder import RunFolder
from session_manager_fleet.run.results import Status, TargetKey
from session_manager_fleet.run.saved_plan import VARIABLES
from session_manager_fleet.targets import Target, values_of
from session_manager_fleet.terraform import StrayState

_COPY = "kept.tfvars"
# What a target had that was applied, or was found as it had been applied.
_DONE = {Status.APPLIED, Status.NO_CHANGES}


@dataclass(frozen=True)
class KeptTarget:
    """A target that is in the settings no more.

    Attributes:
        target: The target.
        variables: The tfvars that it was applied with.
        source: The file that they are from.
    """

    target: Target
    variables: str
    source: Path

    @classmethod
    def find(cls, state: StrayState, account: Account, runs: Path) -> Self:
        """Find the variables that the last run with the target kept.

        Raises:
            InputError: No run in the folder has applied it.
        """
        for path in sorted(runs.glob(f"*/{state.name}/{VARIABLES}"), reverse=True):
            try:
                if _was_done(path.parents[2], state.name):
                    return cls.read(state, account, path)
            except FleetError:
                continue  # a damaged run, or another home region
        message = (
            f"No run in {runs} has applied {state.name}: name the folder of its runs (--runs) or its tfvars "
            f"(--variables), which `render` writes from the old settings."
        )
        raise InputError(message, "STATE", next_command=("states", "show", state.name))

    @classmethod
    def read(cls, state: StrayState, account: Account, path: Path) -> Self:
        """Read the variables in a file.

        Raises:
            InputError: They cannot be read, or are those of another target than the state's.
        """
        try:
            text = read_regular(path, megabytes=1).decode()
            values = values_of(text)
        except (OSError, UnicodeDecodeError) as error:
            raise InputError("The file with the variables cannot be read.", str(path)) from error
        except InputError as error:
            raise InputError("This is no tfvars file.", str(path)) from error
        home = values.get("home_region")
        found = (values.get("account_id"), values.get("region"), home == state.region)
        if not isinstance(home, str) or found != (state.account_id, state.region, state.is_home):
            where = "the home region" if state.is_home else "a region that is not the home region"
            message = f"These are not the variables of account {state.account_id} with {state.region} as {where}."
            raise InputError(message, str(path))
        return cls(Target(account, state.region, home), text, path)

    def copy_to(self, run: RunFolder) -> None:
        """Keep the variables in the run that destroys the target.

        Raises:
            JournalError: The folder of the run cannot be written.
        """
        with run.writing():
            write_private(run.target_folder(self.target) / _COPY, self.variables)


def kept_in(run: RunFolder, target: TargetKey | Target) -> str | None:
    """Return the variables that a run keeps for a target that is in the settings no more; None without them.

    Raises:
        InputError: They cannot be read.
    """
    path = run.path / target.key / _COPY
    try:
        return read_regular(path, megabytes=1).decode()
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError("The variables that the run kept cannot be read.", str(path)) from error


def _was_done(run: Path, key: str) -> bool:
    return any(result.key == key and result.status in _DONE for result in RunFolder(run).read().results)
