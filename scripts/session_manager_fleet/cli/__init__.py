"""The command line: arguments in, exit code out."""

from session_manager_fleet.cli.app import main, run_alone
from session_manager_fleet.cli.commands.render import render

__all__ = [
    "main",
    "render",
    "run_alone",
]
