"""`demo`: run a complete rollout on an emulated organization."""

import os
import threading
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from session_manager_fleet import demo as demonstration
from session_manager_fleet.cli import hints
from session_manager_fleet.cli.commands.report import write_reports
from session_manager_fleet.cli.commands.sandbox import keep_running
from session_manager_fleet.cli.options import RUNS, LzaOption, RunsOption, Source, WorkersOption, load, parse_workers
from session_manager_fleet.cli.run_flow import apply_planned, end, plan_and_show, start
from session_manager_fleet.cli.run_options import Running
from session_manager_fleet.demo import Attempt, DemoNode, RunningSandbox
from session_manager_fleet.errors import ExitCode
from session_manager_fleet.reports import terminal
from session_manager_fleet.run import RunOptions, prerequisites
from session_manager_fleet.targets import Inventory, Selection, TargetList
from session_manager_fleet.verify import Verdict, Verifier

# One account uploads to its own prefix and to the other's.
_MEMBERS_NEEDED = 2


def demo(
    lza: LzaOption = None,
    workers: WorkersOption = "auto",
    runs: RunsOption = RUNS / "demo",
    keep: Annotated[bool, typer.Option("--keep", help="Keep the organization running until Ctrl-C.")] = False,
) -> int:
    """Run a complete rollout on an emulated organization on this machine; needs no AWS account."""
    console = terminal.make_console()
    running = Running(RunOptions(workers=parse_workers(workers)), runs.resolve(), yes=True)
    prerequisites.refuse_missing(prerequisites.examine(prerequisites.of_machine(os.environ, running.runs)))
    with demonstration.sandboxed(lza, running.runs, console.print) as sandbox:
        console.print(f"[bold]1. Discover[/bold] {escape(sandbox.organization.name)}")
        inventory, selected = load(Source(sandbox.config, emulated=True), Selection(everything=True), console)
        terminal.print_targets(console, selected.targets)
        console.print("\n[bold]2. Plan[/bold]")
        with start(inventory, "demo", selected, running, console) as operation:
            results = plan_and_show(operation, selected.targets, console)
            if not operation.stop.is_set():
                console.print("\n[bold]3. Apply[/bold]")
                results = apply_planned(operation, results, running, console)
            code, _ = end(operation, results, console)
        reports = [escape(os.path.relpath(path)) for path in write_reports(operation.run)]
        console.print(*(f"Report: {path}" for path in reports), sep="\n")
        if code != ExitCode.DONE:
            return _stopped(console, code)
        console.print("\n[bold]4. Plan again[/bold]")
        with start(inventory, "plan", selected, running, console) as check:
            code, _ = end(check, plan_and_show(check, selected.targets, console), console)
        console.print("\n[bold]5. Read back[/bold]")
        live = demonstration.live_preferences(inventory, selected.targets)
        demonstration.print_live(console, live)
        console.print("\n[bold]6. Remediate[/bold] roles of nodes without the policy")
        remediated = _remediate(console, sandbox, inventory, selected)
        broken = any(isinstance(row, str) for _, row in live) or not remediated
        attempts = _try_central_logging(sandbox, inventory, selected)
        if attempts:
            console.print("\n[bold]7. Log[/bold] sessions to the central bucket, as the agent does")
            demonstration.print_attempts(console, attempts)
        broken = broken or not all(attempt.as_expected for attempt in attempts)
        console.print("\n[bold]8. Verify[/bold], before and after one target is dismantled")
        broken = not _verify(console, inventory, selected) or broken
        if code == ExitCode.CHANGES_PENDING or broken:
            console.print("[bold red]The organization differs from what was applied.[/bold red]")
            return _stopped(console, ExitCode.TARGET_FAILED)
        console.print("\nReports of the rollout:", *reports, sep="\n  ")
        if keep:
            keep_running(console, sandbox)
        hints.print_next(console, "to try verify, explain and drift repair yourself", hints.again("--keep"))
        return code


def _stopped(console: Console, code: int) -> int:
    """Print how to run the demo again, and return the exit code; the organization is gone, so nothing can resume."""
    hints.print_next(console, "to run the demo again", hints.again())
    return code


def _remediate(console: Console, sandbox: RunningSandbox, inventory: Inventory, selected: TargetList) -> bool:
    """Remediate the roles of nodes, and tell whether all comply and the nodes have sessions that are logged."""
    if reason := demonstration.evaluation_unavailable():
        console.print(f"[bold yellow]Left out:[/bold yellow] {escape(reason)}", soft_wrap=True)
        return True
    nodes = _add_nodes(console, sandbox, inventory, selected)
    roles = demonstration.remediate_roles(inventory, selected.targets, sandbox.sandbox.wait_until_idle)
    demonstration.print_remediations(console, roles)
    sessions = demonstration.open_sessions(sandbox.sandbox, nodes)
    if sessions:
        console.print("Sessions on the same nodes now:")
        demonstration.print_sessions(console, sessions)
    return all(role.compliant for role in roles) and all(session.is_good for _, session in sessions)


def _verify(console: Console, inventory: Inventory, selected: TargetList) -> bool:
    """Verify all targets, and one again after it was dismantled; tell whether exactly that is found."""
    verifier, stop = Verifier(inventory), threading.Event()
    verified = verifier.verify(selected.targets, lambda _: None, stop=stop)
    demonstration.print_findings(console, verified)
    victim = selected.targets[-1]
    done = demonstration.dismantle(inventory, victim)
    for line in done.values():
        console.print(f"[bold]Dismantled[/bold] in {escape(victim.account.name)}: {escape(line)}", soft_wrap=True)
    again = verifier.verify([victim], lambda _: None, stop=stop)
    demonstration.print_findings(console, again)
    found, then = (
        {check.name for one in each for check in one.checks if check.verdict is Verdict.FINDING}
        for each in (verified, again)
    )
    return found.isdisjoint(done) and then.issuperset(done)


def _add_nodes(console: Console, sandbox: RunningSandbox, inventory: Inventory, selected: TargetList) -> list[DemoNode]:
    """Add nodes without instance profile to two member accounts, and show that they have no sessions yet."""
    members = []
    for target in selected.targets:
        values = inventory.settings.effective(target.account, target.region).values
        if target.is_home and not target.account.role and values.instance_policy.enabled and values.config_rule.enabled:
            members.append(target)
    if len(members) < _MEMBERS_NEEDED:
        return []
    nodes = demonstration.add_nodes(sandbox.sandbox, members[:2])
    console.print("Sessions on new nodes, whose roles Systems Manager gives them:")
    demonstration.print_sessions(console, demonstration.open_sessions(sandbox.sandbox, nodes))
    return nodes


def _try_central_logging(sandbox: RunningSandbox, inventory: Inventory, selected: TargetList) -> list[Attempt]:
    """Upload session logs from two member accounts, if sessions are logged to S3."""
    members = []
    for target in selected.targets:
        values = inventory.settings.effective(target.account, target.region).values
        s3 = values.preferences.s3
        if target.is_home and not target.account.role and values.instance_policy.enabled and s3.enabled:
            members.append((target, s3))
    if len(members) < _MEMBERS_NEEDED:
        return []
    s3 = members[0][1]
    return demonstration.try_uploads(
        sandbox.sandbox, [target for target, _ in members[:2]], s3.bucket_name or "", s3.key_prefix
    )
