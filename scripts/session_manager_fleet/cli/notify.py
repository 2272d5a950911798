"""Notify about a run that has ended."""

from session_manager_fleet.cli.output import warn
from session_manager_fleet.reports import message_of_run, message_of_verification
from session_manager_fleet.run import Summary, send
from session_manager_fleet.targets import Inventory
from session_manager_fleet.verify import Verification


def notify(inventory: Inventory, result: Summary | Verification) -> None:
    """Send what the settings want to be told; what cannot be sent is a warning, and changes no exit code."""
    settings = inventory.settings.notifications
    if settings is None:
        return
    if isinstance(result, Summary):
        message = message_of_run(result, settings.events)
    else:
        message = message_of_verification(result, settings.events)
    if message is not None:
        for error in send(settings, inventory.settings.folder, message):
            warn(str(error))
