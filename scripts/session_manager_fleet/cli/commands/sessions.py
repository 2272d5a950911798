"""`sessions`: list sessions and whether each was logged."""

import datetime
import re
import threading
from collections.abc import Iterable
from dataclasses import replace
from enum import StrEnum
from typing import Annotated, TypeVar

import typer

from session_manager_fleet.cli import hints
from session_manager_fleet.cli.options import load, parse_age, selecting
from session_manager_fleet.cli.output import check_format, write_json, write_text
from session_manager_fleet.errors import ExitCode, InputError
from session_manager_fleet.reports import TargetsProgress, print_sessions, sessions_csv, terminal
from session_manager_fleet.run import prerequisites, signals
from session_manager_fleet.targets import Selection
from session_manager_fleet.verify import Kind, LogState, SessionAudit, SessionReport

_FORMATS = ("table", "json", "csv")
# CloudTrail's event history reaches back so far; the history of Systems Manager 30 days.
_MOST = datetime.timedelta(days=90)
_SESSION_ID = re.compile(r"[A-Za-z0-9_=,.@+-]{1,96}")
_Value = TypeVar("_Value", bound=StrEnum)


@selecting
def sessions(
    context: typer.Context,
    selection: Selection,
    session_id: Annotated[
        str | None,
        typer.Argument(metavar="SESSION-ID", help="Prove this session only; without a selection, look in all targets."),
    ] = None,
    since: Annotated[
        str, typer.Option(metavar="12h|7d", help="Sessions that began within this time; at most 90 days.")
    ] = "7d",
    state: Annotated[
        list[str] | None,
        typer.Option(metavar="logged|not_logged|not_yet", help="Show sessions with this state; can be repeated."),
    ] = None,
    kind: Annotated[
        list[str] | None,
        typer.Option(metavar="shell|command|port|ssh", help="Show sessions of this kind; can be repeated."),
    ] = None,
    arrival: Annotated[
        str, typer.Option(metavar="15m|1h", help="Time that a log may take to arrive after the end of its session.")
    ] = "15m",
    output: Annotated[str, typer.Option("--format", metavar="|".join(_FORMATS), help="Output format.")] = "table",
) -> int:
    """List the sessions of targets: who opened them, and whether each was logged. Exit code 2 if any was not."""
    check_format(output, *_FORMATS)
    if session_id is not None and not _SESSION_ID.fullmatch(session_id):
        raise InputError("This is not the id of a session, such as jane-0a1b2c3d4e5f60718.", "SESSION-ID")
    kinds, states = _of(Kind, kind, "--kind"), _of(LogState, state, "--state")
    age = _MOST if session_id else _age(since)
    if session_id and not selection.given:
        selection = replace(selection, everything=True)
    errors = terminal.make_console(stderr=True)
    inventory, selected = load(context.obj, selection, errors, ask_regions=True)
    prerequisites.confirmed_organization(inventory)
    began = datetime.datetime.now(datetime.UTC).replace(microsecond=0) - age
    audit, stop = SessionAudit(inventory, began, parse_age(arrival, "--arrival")), threading.Event()
    with (
        signals.handled_signals(lambda *_: stop.set()),
        TargetsProgress(errors, len(selected.targets), "Reading sessions", "targets read") as progress,
    ):
        found = audit.read(selected.targets, progress.finished, stop=stop, session_id=session_id or "")
    if stop.is_set():
        raise KeyboardInterrupt
    report = SessionReport.build(
        found,
        since=began,
        organization_id=inventory.settings.organization.id,
        caller=prerequisites.caller_arn(inventory),
        kinds=kinds,
        states=states,
    )
    if session_id and not report.sessions and not report.not_read:
        raise InputError(
            f"No selected target has a session {session_id}, in 30 days or in CloudTrail's 90.", "SESSION-ID"
        )
    if output == "json":
        write_json(report.model_dump(mode="json"))
    elif output == "csv":
        write_text(sessions_csv(report))
    else:
        console = terminal.make_console()
        print_sessions(console, report)
        purpose, line = _next(report, session_id)
        hints.print_next(console, purpose, line)
    return report.exit_code


def _next(report: SessionReport, session_id: str | None) -> tuple[str, str]:
    unlogged = [session for session in report.sessions if session.state is LogState.NOT_LOGGED]
    if report.exit_code == ExitCode.TARGET_FAILED:
        return "once this is corrected", hints.again()
    if unlogged:
        accounts = hints.selection_of(session.account_id for session in unlogged)
        return "to find what keeps sessions from being logged", hints.command("verify", *accounts)
    if session_id is None and report.sessions:
        return "to prove one of them", hints.command("sessions", report.sessions[0].session_id)
    return "to check again at any time", hints.again()


def _age(text: str) -> datetime.timedelta:
    age = parse_age(text, "--since")
    if age > _MOST:
        raise InputError("CloudTrail's event history has 90 days; use the queries in docs/sessions.md.", "--since")
    return age


def _of(values: type[_Value], texts: Iterable[str] | None, option: str) -> list[_Value]:
    try:
        return [values(text) for text in texts or ()]
    except ValueError as error:
        raise InputError(f"{error}; use {', '.join(values)}.", option) from error
