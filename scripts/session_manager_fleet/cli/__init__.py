"""The command line: arguments in, exit code out."""

from session_manager_fleet.cli.app import main as main, run_alone as run_alone
from session_manager_fleet.cli.commands.render import render as render
