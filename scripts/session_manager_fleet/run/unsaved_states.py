"""States that an apply could not save: they are pushed before anything else is done to the target."""

import shlex
from pathlib import Path

from session_manager_fleet.run.failures import UnsavedStateError
from session_manager_fleet.terraform import Terraform, commands_by_hand, unsaved_state

PUSH_STATE = (
    "This file is the only record of what was created. Push it with the commands below, in the folder of the root "
    "module, and remove it. Until then, this target is neither planned nor applied."
)


def refuse_unsaved_state(workspace: str, folder: Path, terraform: Terraform) -> None:
    """Refuse to work with a state that lacks the changes of an earlier apply.

    Raises:
        UnsavedStateError: An apply of this target could not save its state.
    """
    if unsaved := unsaved_state(folder):
        message = f"An earlier apply could not save its state, which is kept in {unsaved}. {PUSH_STATE}"
        raise UnsavedStateError(message, push_commands(workspace, unsaved, terraform), "input")


def push_commands(workspace: str, unsaved: Path, terraform: Terraform) -> tuple[str, ...]:
    """Return the commands that push a state which could not be saved, and remove its file."""
    path = str(unsaved)
    push = commands_by_hand(terraform.backend, workspace, "state", "push", path)
    return (*push, shlex.join(["rm", path]))
