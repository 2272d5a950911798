"""Terminal output of `sessions`."""

from rich.console import Console
from rich.text import Text

from session_manager_fleet.reports.safe_text import visible
from session_manager_fleet.reports.terminal.tables import add_row, table_of
from session_manager_fleet.reports.text import counted
from session_manager_fleet.verify import Kind, LogState, Session, SessionReport

_STYLES = {LogState.NOT_LOGGED: "bold red", LogState.NOT_CHECKED: "bold red", LogState.NOT_YET: "yellow"}


def print_sessions(console: Console, report: SessionReport) -> None:
    """Print a table of the sessions, what was found of those without a log, and how many have which state."""
    if report.sessions:
        table = table_of("Session", "Account", "Region", "User", "Node", "Document", "Began", "Log", whole=("Region",))
        for session in report.sessions:
            account = f"{session.account_id} {session.account_name}"
            began = f"{session.started_at:%Y-%m-%d %H:%M}"
            document = session.document if session.kind is Kind.UNKNOWN else f"{session.document} ({session.kind})"
            state = Text(_words(session.state), style=_STYLES.get(session.state, ""))
            user = session.user.rpartition(":")[2]
            add_row(table, session.session_id, account, session.region, user, session.node, document, began, state)
        console.print(table)
    if len(report.sessions) == 1:
        _print_proof(console, report.sessions[0])
    else:
        _print_equal(console, report)
    for one in report.not_read:
        text = f"Not read in {one.account_id} {one.account_name} {one.region}: {one.problem}"
        console.print(Text(visible(text), style="bold red"), soft_wrap=True)
    totals = ", ".join(f"{report.totals[each]} {_words(each)}" for each in LogState if each in report.totals)
    console.print(
        f"{counted(len(report.sessions), 'session')} since {report.since:%Y-%m-%d %H:%M} UTC: {totals or 'none'}"
    )


def _print_proof(console: Console, session: Session) -> None:
    """Print everything that is known of a session."""
    ended = (
        f"{session.ended_at:%Y-%m-%d %H:%M:%S} UTC" if session.ended_at else "active" if session.active else "unknown"
    )
    recorded = "yes" if session.in_cloudtrail else "not yet, or its event is older than 90 days"
    lines = {
        "User": session.user + (f" from {session.source_address}" if session.source_address else ""),
        "Began": f"{session.started_at:%Y-%m-%d %H:%M:%S} UTC",
        "Ended": ended,
        "Reason": session.reason or "none given",
        "CloudTrail event": recorded,
        "Log": f"{_words(session.state)}{f' ({_words(session.cause)})' if session.cause else ''}",
        "Evidence": session.evidence,
        **({"Fix": session.fix} if session.fix else {}),
    }
    for name, value in lines.items():
        console.print(Text(f"{name}: {visible(value)}"), soft_wrap=True)


def _print_equal(console: Console, report: SessionReport) -> None:
    """Print once what was found of sessions without a log for the same cause."""
    wrong = [each for each in report.sessions if each.state in {LogState.NOT_LOGGED, LogState.NOT_CHECKED}]
    groups: dict[tuple[str, str], list[Session]] = {}
    for session in wrong:
        groups.setdefault((session.evidence.replace(session.node, "the node"), session.fix), []).append(session)
    for (evidence, fix), sessions in sorted(groups.items(), key=lambda each: -len(each[1])):
        console.print(Text(f"{counted(len(sessions), 'session')}: {visible(evidence)}", style="bold"), soft_wrap=True)
        console.print(Text(f"  {visible(fix)}"), soft_wrap=True)


def _words(value: str) -> str:
    return value.replace("_", " ")
