"""Commands that work with an emulated organization on this machine."""

from __future__ import annotations

import os
import signal
import sys
from typing import TYPE_CHECKING

from rich.markup import escape

from session_manager_fleet.cli.commands.report import write_reports
from session_manager_fleet.cli.commands.rollout import apply_planned, finish, plan_and_show, start
from session_manager_fleet.cli.options import RUNS, LzaOption, RunsOption, Source, WorkersOption, load, parse_workers
from session_manager_fleet.cli.run_options import Running
from session_manager_fleet.errors import ExitCode
from session_manager_fleet.reports import terminal
from session_manager_fleet.run import RunOptions
from session_manager_fleet.targets import Selection, TargetList

if TYPE_CHECKING:
    from session_manager_fleet.demo import Attempt, RunningSandbox
    from session_manager_fleet.targets import Inventory

# One writes, into its own folder and into the other's.
_MEMBERS_NEEDED = 2


def demo(
    lza: LzaOption = None,
    workers: WorkersOption = "auto",
    runs: RunsOption = RUNS,
) -> int:
    """Show the whole job on an emulated organization on this machine; no AWS account is needed."""
    from session_manager_fleet import demo as demonstration  # noqa: PLC0415 - an extra, and slow to import

    console = terminal.make_console()
    running = Running(RunOptions(workers=parse_workers(workers)), runs.resolve(), yes=True)
    with demonstration.sandboxed(lza, running.runs, console.print) as sandbox:
        console.print(f"[bold]1. Discover[/bold] {escape(sandbox.organization.name)}")
        loaded, selected = load(Source(sandbox.config), Selection(everything=True), console)
        terminal.print_targets(console, selected.targets)
        console.print("\n[bold]2. Plan[/bold]")
        with start(loaded, "demo", selected, running, console) as operation:
            results = plan_and_show(operation, selected.targets, console)
            if not operation.stop.is_set():
                console.print("\n[bold]3. Apply[/bold]")
                results = apply_planned(operation, results, running, console)
            code = finish(operation, results, console)
        for path in write_reports(operation.run):
            console.print(f"Report: {escape(os.path.relpath(path))}")
        if code != ExitCode.DONE:
            return code
        console.print("\n[bold]4. Plan again[/bold]")
        with start(loaded, "plan", selected, running, console) as check:
            code = finish(check, plan_and_show(check, selected.targets, console), console)
        console.print("\n[bold]5. Read back[/bold]")
        live = demonstration.live_preferences(loaded, selected.targets)
        demonstration.print_live(console, live)
        console.print("\n[bold]6. Remediate[/bold] the roles of instances that lack the policy")
        roles = demonstration.remediate_roles(loaded, selected.targets, sandbox.sandbox.wait_until_idle)
        demonstration.print_remediations(console, roles)
        broken = any(isinstance(row, str) for _, row in live) or not all(role.compliant for role in roles)
        attempts = _try_central_logging(sandbox, loaded, selected)
        if attempts:
            console.print("\n[bold]7. Log[/bold] sessions to the central bucket, as the agent does")
            demonstration.print_attempts(console, attempts)
        broken = broken or not all(attempt.as_expected for attempt in attempts)
        if code == ExitCode.CHANGES_PENDING or broken:
            console.print("[bold red]The organization is not as it was applied.[/bold red]")
            return ExitCode.TARGET_FAILED
        return code


def _try_central_logging(sandbox: RunningSandbox, context: Inventory, selected: TargetList) -> list[Attempt]:
    """Upload logs from a member whose instances may, if sessions are logged to a bucket at all."""
    from session_manager_fleet.demo import try_uploads  # noqa: PLC0415 - the emulator is an extra

    members = []
    for target in selected.targets:
        values = context.settings.effective(target.account, target.region).values
        s3 = values.preferences.s3
        if target.is_home and not target.account.role and values.instance_policy.enabled and s3.enabled:
            members.append((target, s3))
    if len(members) < _MEMBERS_NEEDED:
        return []
    s3 = members[0][1]
    return try_uploads(sandbox.sandbox, [target for target, _ in members[:2]], s3.bucket_name or "", s3.key_prefix)


def sandbox(lza: LzaOption = None, runs: RunsOption = RUNS) -> int:
    """Keep an emulated organization running, and print the environment to use it with."""
    from session_manager_fleet.demo import sandboxed  # noqa: PLC0415 - the emulator is an extra, and slow to import

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
