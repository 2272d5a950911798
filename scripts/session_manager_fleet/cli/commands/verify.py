"""Whether what was rolled out works."""

from __future__ import annotations

import datetime
import json
import re
import sys
import threading
from typing import Annotated

import typer

from session_manager_fleet.cli.options import load, selecting
from session_manager_fleet.errors import InputError
from session_manager_fleet.reports import VerificationProgress, print_verification, terminal
from session_manager_fleet.run import signals
from session_manager_fleet.targets import Selection
from session_manager_fleet.verify import SHORTEST_WATCH_SECONDS, Verifier, exit_code, with_arrivals

_UNITS = {"m": "minutes", "h": "hours", "d": "days"}


@selecting
def verify(
    context: typer.Context,
    selection: Selection,
    output: Annotated[str, typer.Option("--format", metavar="table|json", help="How to print the findings.")] = "table",
    max_log_age: Annotated[
        str | None, typer.Option(metavar="90m|12h|7d", help="How old the newest log of a target may be.")
    ] = None,
    watch: Annotated[
        int, typer.Option(metavar="SECONDS", help="Wait for new logs; they may take more than 30 seconds.")
    ] = 0,
) -> int:
    """Check keys, log groups, buckets, preferences, endpoints, policies, and whether logs arrive."""
    begun = datetime.datetime.now(datetime.UTC)
    if output not in {"table", "json"}:
        raise InputError(f'Unknown format "{output}"; use table or json.', "--format")
    if watch and watch < SHORTEST_WATCH_SECONDS:
        message = f"Logs may take {SHORTEST_WATCH_SECONDS} seconds to arrive; wait at least as long."
        raise InputError(message, "--watch")
    age = _age(max_log_age) if max_log_age else None
    errors = terminal.make_console(stderr=True)
    loaded, selected = load(context.obj, selection, errors)
    verifier, stop = Verifier(loaded, age), threading.Event()
    with signals.handled_signals(lambda *_: stop.set()), VerificationProgress(errors, len(selected.targets)) as told:
        verified = verifier.verify(selected.targets, told.finished, stop=stop)
        if watch and not stop.is_set():
            arrived = verifier.watch(selected.targets, watch, told.arrived, since=begun, stop=stop)
            verified = with_arrivals(verified, arrived)
    if stop.is_set():
        raise KeyboardInterrupt
    if output == "json":
        sys.stdout.write(
            json.dumps({"schema_version": 1, "targets": [one.as_dict() for one in verified]}, indent=2) + "\n"
        )
    else:
        print_verification(terminal.make_console(), verified)
    return exit_code(verified)


def _age(text: str) -> datetime.timedelta:
    match = re.fullmatch(r"([1-9][0-9]{0,5})([mhd])", text)
    if match is None:
        raise InputError(f'"{text}" is not an age; write it as 90m, 12h or 7d.', "--max-log-age")
    return datetime.timedelta(**{_UNITS[match[2]]: int(match[1])})
