"""The options of commands that run terraform, and how they are read."""

from __future__ import annotations

import datetime
import re
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import typer

from session_manager_fleet.cli.options import RUNS, RunsOption, WorkersOption, YesOption, giving, parse_workers
from session_manager_fleet.errors import InputError
from session_manager_fleet.run import THREADS, RunOptions

ExecutorOption = Annotated[
    str,
    typer.Option("--executor", metavar="threads|dask://HOST:PORT", help="Where terraform runs: here, or on a cluster."),
]
DebugOption = Annotated[bool, typer.Option("--debug", help="One target after another, without threads.")]
TimeoutOption = Annotated[
    float,
    typer.Option("--timeout", metavar="SECONDS", help="How long one terraform command may take; at most 24 hours."),
]
MaxFailuresOption = Annotated[
    str | None,
    typer.Option(
        "--max-failures", metavar="N|P%", help="Start nothing more when more targets have failed; waves have their own."
    ),
]
WavePauseOption = Annotated[
    float,
    typer.Option("--wave-pause", metavar="SECONDS", help="How long to wait between two waves; at most 24 hours."),
]
MaxPlanAgeOption = Annotated[
    str, typer.Option("--max-plan-age", metavar="24h|90m", help="How old a saved plan may be when it is applied.")
]
AllowDestroyOption = Annotated[
    bool, typer.Option("--allow-destroy", help="Let keys, log groups and buckets be deleted or replaced.")
]
QuietOption = Annotated[bool, typer.Option("--quiet", help="Show failures and the result only.")]
ConfirmWavesOption = Annotated[bool, typer.Option("--confirm-waves", help="Ask before every wave but the first.")]

_DAY_SECONDS = 24 * 60 * 60


@dataclass(frozen=True)
class Running:
    """How a command is to run terraform.

    Attributes:
        options: What the run itself is told.
        runs: Where the folders of runs are kept.
        yes: Nobody is asked.
        confirm_waves: Somebody is asked before every wave but the first.
        quiet: Only failures and the result are shown.
    """

    options: RunOptions
    runs: Path
    yes: bool = False
    confirm_waves: bool = False
    quiet: bool = False


def _planning(
    workers: WorkersOption = "auto",
    executor: ExecutorOption = THREADS,
    debug: DebugOption = False,
    timeout: TimeoutOption = 1800,
    max_failures: MaxFailuresOption = None,
    quiet: QuietOption = False,
    runs: RunsOption = RUNS,
) -> Running:
    options = RunOptions(
        workers=parse_workers(workers),
        executor=executor,
        serial=debug,
        timeout_seconds=_within_a_day(timeout, 1, "--timeout"),
        max_failures=parse_tolerance(max_failures),
    )
    return Running(options, runs.resolve(), quiet=quiet)


def _applying(
    workers: WorkersOption = "auto",
    executor: ExecutorOption = THREADS,
    debug: DebugOption = False,
    timeout: TimeoutOption = 1800,
    max_failures: MaxFailuresOption = None,
    wave_pause: WavePauseOption = 0,
    confirm_waves: ConfirmWavesOption = False,
    max_plan_age: MaxPlanAgeOption = "24h",
    allow_destroy: AllowDestroyOption = False,
    yes: YesOption = False,
    quiet: QuietOption = False,
    runs: RunsOption = RUNS,
) -> Running:
    running = _planning(workers, executor, debug, timeout, max_failures, quiet, runs)
    if confirm_waves and not sys.stdin.isatty():
        message = "Nobody is there to be asked before a wave; use --wave-pause, or apply wave by wave with --wave."
        raise InputError(message, "--confirm-waves")
    options = replace(
        running.options,
        wave_pause_seconds=_within_a_day(wave_pause, 0, "--wave-pause"),
        max_plan_age=parse_duration(max_plan_age),
        allow_destroy=allow_destroy,
    )
    return replace(running, options=options, yes=yes, confirm_waves=confirm_waves)


def _within_a_day(seconds: float, least: int, option: str) -> float:
    """Return seconds that are no fewer than the least; what is no number, as "nan", is refused, too."""
    if not least <= seconds <= _DAY_SECONDS:
        raise InputError(f"{seconds:g} is not between {least} and {_DAY_SECONDS} seconds.", option)
    return seconds


planning = giving("running", _planning)
applying = giving("running", _applying)


def parse_tolerance(text: str | None) -> int | str | None:
    """Return how many failures are tolerated: a number, a percentage as text, or None for any number.

    Raises:
        InputError: The text is neither.
    """
    if text is None:
        return None
    if text.isdecimal():
        return int(text)
    if not re.fullmatch(r"(100|[1-9]?[0-9])%", text):
        raise InputError(f'"{text}" is neither a number of targets nor a percentage such as 5%.', "--max-failures")
    return text


def parse_duration(text: str) -> datetime.timedelta:
    """Return a duration written as `24h`, `90m` or `45s`.

    Raises:
        InputError: It is written in another way.
    """
    match = re.fullmatch(r"([1-9][0-9]{0,5})([hms])", text)
    if match is None:
        raise InputError(f'"{text}" is not a duration; write 24h, 90m or 45s.', "--max-plan-age")
    unit = {"h": "hours", "m": "minutes", "s": "seconds"}[match[2]]
    return datetime.timedelta(**{unit: int(match[1])})
