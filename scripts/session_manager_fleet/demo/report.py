"""Terminal output of the demo."""

from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from session_manager_fleet.demo.central_logging import Attempt
from session_manager_fleet.demo.live_state import RemediatedRole
from session_manager_fleet.demo.node_sessions import NodeSession
from session_manager_fleet.demo.nodes import DemoNode
from session_manager_fleet.demo.preferences import LivePreferences
from session_manager_fleet.reports import counted, visible
from session_manager_fleet.targets import Target
from session_manager_fleet.verify import TargetVerification, Verdict


def print_attempts(console: Console, attempts: Sequence[Attempt]) -> None:
    """Print each upload with its result, and whether that was expected."""
    table = Table("who", "log", "result", title_justify="left")
    for attempt in attempts:
        answer = f"refused: {attempt.refusal}" if attempt.refusal else "stored"
        style = "green" if attempt.as_expected else "bold red"
        table.add_row(visible(attempt.who), visible(attempt.key), Text(answer, style=style))
    console.print(table)


def print_findings(console: Console, verified: Sequence[TargetVerification]) -> None:
    """Print each finding, and how many checks found everything as configured."""
    table = Table("Name", "Region", "Severity", "Check", title_justify="left")
    table.add_column("Finding", overflow="fold")
    for one in verified:
        for check in one.checks:
            if check.verdict in {Verdict.FINDING, Verdict.NOT_CHECKED}:
                name, severity = Text(visible(one.target.account.name)), check.severity or check.verdict
                table.add_row(name, one.target.region, severity, check.name, Text(visible(check.message)))
    good = sum(check.verdict is Verdict.OK for one in verified for check in one.checks)
    targets, checks = counted(len(verified), "target"), counted(good, "check")
    console.print(f"{targets} verified; as configured: {checks}; findings: {table.row_count}")
    if table.row_count:
        console.print(table)


def print_sessions(console: Console, rows: Iterable[tuple[DemoNode, NodeSession]]) -> None:
    """Print what became of a session on each node."""
    table = Table("Name", "Node", "Session", title_justify="left")
    for node, session in rows:
        lost = f"not logged: {'; '.join(session.lost) or 'nowhere'}"
        became = f"logged to {', '.join(session.logged)}" if session.is_good else session.refusal or lost
        text = Text(visible(became), style="green" if session.is_good else "red")
        table.add_row(Text(visible(node.target.account.name)), f"{node.kind} {node.node}", text)
    console.print(table)


def print_live(console: Console, rows: Iterable[tuple[Target, LivePreferences | str]]) -> None:
    """Print the live preferences document of each target."""
    table = Table("Name", "Region", "Default", "Latest", title="Live preferences")
    for heading in ("Logging", "Encrypted", "Minutes"):
        table.add_column(heading, overflow="fold")
    for target, live in rows:
        name = Text(visible(target.account.name))
        if isinstance(live, str):
            table.add_row(name, target.region, "", "", Text(visible(live), style="red"), "", "")
        else:
            values = (live.default_version, live.latest_version, live.logging, live.encryption, live.timeouts)
            table.add_row(name, target.region, *values)
    console.print(table)


def print_remediations(console: Console, rows: Iterable[RemediatedRole]) -> None:
    """Print the compliance of each instance role before and after the remediation."""
    verdicts = {True: Text("compliant", style="green"), False: Text("non-compliant", style="red")}
    table = Table("Name", "Role", "Before", "Remediation", "Now", title="Instance roles")
    for row in rows:
        state = row.state.lower().replace("_", " ")
        before, now = verdicts[row.before.compliant], verdicts[row.compliant]
        table.add_row(Text(visible(row.target.account.name)), Text(visible(row.before.name)), before, state, now)
    console.print(table)
