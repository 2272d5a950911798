"""`sandbox`: run an emulated organization on this machine."""

import os
import shlex
import signal
import sys
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from session_manager_fleet.cli import hints
from session_manager_fleet.cli.options import RUNS, LzaOption, RunsOption
from session_manager_fleet.demo import RunningSandbox, sandboxed
from session_manager_fleet.errors import ExitCode
from session_manager_fleet.reports import terminal


def sandbox(lza: LzaOption = None, runs: RunsOption = RUNS) -> int:
    """Run an emulated organization, and print the environment variables to use it."""
    console = terminal.make_console()
    with sandboxed(lza, runs.resolve(), console.print) as running:
        sys.stdout.write(running.shell_environment())
        sys.stdout.flush()
        keep_running(console, running)
    return ExitCode.DONE


def keep_running(console: Console, running: RunningSandbox) -> None:
    """Print how to use an emulated organization, and keep it running until Ctrl-C."""
    hints.remember_files(Path(os.path.relpath(running.config)), None)
    by_hand = shlex.join(["terraform", "init", f"-backend-config={running.backend_file}"])
    console.print(f"By hand, in the folder of the root module: {escape(by_hand)}", soft_wrap=True)
    console.print("Ctrl-C stops the organization.")
    source = shlex.join(["source", os.path.relpath(running.environment_file)])
    hints.print_next(console, "in another terminal", f"{source} && {hints.command('plan', '--all')}")
    signal.pause()
