"""`verify`: check the live state of targets."""

import datetime
import threading
from collections.abc import Sequence
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from session_manager_fleet.cli import hints
from session_manager_fleet.cli.options import load, parse_age, selecting
from session_manager_fleet.cli.output import FormatOption, check_format, write_json
from session_manager_fleet.errors import ExitCode, FleetError, InputError
from session_manager_fleet.reports import TargetsProgress, print_verification, terminal, visible
from session_manager_fleet.run import order, prerequisites, signals
from session_manager_fleet.targets import Inventory, Selection, Target
from session_manager_fleet.verify import (
    MIN_WATCH_SECONDS,
    TargetVerification,
    Verifier,
    exit_code,
    watch_logs,
    watchable,
    with_arrivals,
)


@selecting
def verify(
    context: typer.Context,
    selection: Selection,
    output: FormatOption = "table",
    max_log_age: Annotated[
        str | None, typer.Option(metavar="90m|12h|7d", help="Maximum age of the newest log of a target.")
    ] = None,
    watch: Annotated[
        int, typer.Option(metavar="SECONDS", help="Wait for new logs; they can take more than 30 seconds.")
    ] = 0,
) -> int:
    """Check the live state: keys, log groups, buckets, preferences, endpoints, policies, and that logs arrive."""
    started = datetime.datetime.now(datetime.UTC)
    check_format(output, "table", "json")
    if watch and watch < MIN_WATCH_SECONDS:
        raise InputError(f"Logs can take {MIN_WATCH_SECONDS} seconds to arrive; use at least that.", "--watch")
    age = parse_age(max_log_age, "--max-log-age") if max_log_age else None
    errors = terminal.make_console(stderr=True)
    inventory, selected = load(context.obj, selection, errors, ask_regions=True)
    prerequisites.confirmed_organization(inventory)
    if watch and not watchable(inventory, selected.targets):
        raise InputError("No selected target logs sessions to S3 or CloudWatch Logs to be watched.", "--watch")
    verifier, stop = Verifier(inventory, age), threading.Event()
    with (
        signals.handled_signals(lambda *_: stop.set()),
        TargetsProgress(errors, len(selected.targets)) as progress,
    ):
        verified = verifier.verify(selected.targets, progress.finished, stop=stop)
        if watch and not stop.is_set():
            arrivals = watch_logs(inventory, selected.targets, watch, progress.arrived, since=started, stop=stop)
            verified = with_arrivals(verified, arrivals)
    if stop.is_set():
        raise KeyboardInterrupt
    if output == "json":
        write_json({"schema_version": 1, "targets": [one.as_dict(hints.command) for one in verified]})
    else:
        console = terminal.make_console()
        print_verification(console, verified, hints.command)
        _print_next(console, verified)
    for warning in _stray_warnings(inventory, selected.targets, selection):
        errors.print(f"[yellow]Warning:[/yellow] {escape(visible(warning))}", soft_wrap=True)
    return exit_code(verified)


def _stray_warnings(inventory: Inventory, targets: Sequence[Target], selection: Selection) -> list[str]:
    """Return a warning for each state that no target has, or one if they cannot be read."""
    try:
        strays = order.strays_of(order.stray_states(inventory), targets, selection)
        return [order.stray_warning(state) for state in strays]
    except FleetError as error:
        return [f"Not checked: states that no target has. {error}"]


def _print_next(console: Console, verified: Sequence[TargetVerification]) -> None:
    """Print the command that repairs the findings which an apply repairs, or else the one that checks again."""
    found = [check.command_in(one.target) for one in verified for check in one.checks]
    repairs = dict.fromkeys(words for words in found if words[:1] == ("apply",))
    if len(repairs) == 1:
        hints.print_next(console, "to plan and apply", hints.command(*next(iter(repairs))))
    elif repairs:
        accounts = hints.selection_of(words[words.index("--account") + 1] for words in repairs)
        hints.print_next(console, "to plan and apply", hints.command("apply", *accounts))
    elif exit_code(verified) == ExitCode.DONE:
        hints.print_next(console, "to check again at any time", hints.again())
    else:
        hints.print_next(console, "once this is corrected", hints.again())
