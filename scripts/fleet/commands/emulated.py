"""Commands that work with an emulated organization on this machine."""

from __future__ import annotations

import os
import signal
import sys

from rich.markup import escape

from fleet import operations
from fleet.commands.rolling import apply_planned, finish, plan_and_show, prepare
from fleet.errors import ExitCode
from fleet.options import RUNS, LzaOption, RunsOption, WorkersOption, load
from fleet.reports import terminal
from fleet.targets import Selection


def demo(
    lza: LzaOption = None,
    workers: WorkersOption = "auto",
    runs: RunsOption = RUNS,
) -> int:
    """Show the whole job on an emulated organization on this machine; no AWS account is needed."""
    from fleet.sandbox.session import sandboxed  # noqa: PLC0415 - the emulator is an extra, and slow to import

    console = terminal.make_console()
    with sandboxed(lza, runs.resolve(), console.print) as sandbox:
        console.print(f"[bold]1. Discover[/bold] {escape(sandbox.organization.name)}")
        loaded, selected = load(sandbox.config, Selection(everything=True), console)
        terminal.print_targets(console, selected.targets)
        console.print("\n[bold]2. Plan[/bold]")
        operation = prepare(loaded, selected, runs, workers, console)
        results = plan_and_show(operation, selected, console)
        if not operation.stop.is_set():
            console.print("\n[bold]3. Apply[/bold]")
            results = apply_planned(operation, results, console)
        code = finish(operation, "demo", results, selected, console)
        if code != ExitCode.DONE:
            return code
        console.print("\n[bold]4. Plan again[/bold]")
        check = prepare(loaded, selected, runs, workers, console)
        code = finish(check, "plan", plan_and_show(check, selected, console), selected, console)
        console.print("\n[bold]5. Read back[/bold]")
        live = operations.live_preferences(loaded, selected.targets)
        terminal.print_live(console, live)
        console.print("\n[bold]6. Remediate[/bold] the roles of instances that lack the policy")
        roles = operations.remediate_roles(loaded, selected.targets, sandbox.sandbox.wait_until_idle)
        terminal.print_remediations(console, roles)
        broken = any(isinstance(row, str) for _, row in live) or not all(role.compliant for role in roles)
        if code == ExitCode.CHANGES_PENDING or broken:
            console.print("[bold red]The organization is not as it was applied.[/bold red]")
            return ExitCode.TARGET_FAILED
        return code


def sandbox(lza: LzaOption = None, runs: RunsOption = RUNS) -> int:
    """Keep an emulated organization running, and print the environment to use it with."""
    from fleet.sandbox.session import sandboxed  # noqa: PLC0415 - the emulator is an extra, and slow to import

    console = terminal.make_console()
    with sandboxed(lza, runs.resolve(), console.print) as running:
        sys.stdout.write(running.shell_environment())
        sys.stdout.flush()
        console.print(f"\nIn another terminal: [bold]source {escape(os.path.relpath(running.environment_file))}[/bold]")
        console.print(
            f"Then for example: python scripts/rollout.py -c {escape(os.path.relpath(running.config))} plan --all"
        )
        console.print("Ctrl-C stops the organization.")
        signal.pause()
    return ExitCode.DONE
