"""Options of commands that run Terraform."""

import datetime
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, get_args

import typer

from session_manager_fleet.cli.options import RUNS, RunsOption, WorkersOption, YesOption, parse_workers, with_options
from session_manager_fleet.errors import InputError
from session_manager_fleet.run import THREADS, RunOptions
from session_manager_fleet.settings import Component, Tolerance

ExecutorOption = Annotated[
    str,
    typer.Option(
        "--executor",
        metavar="threads|dask://HOST:PORT",
        help="Where Terraform runs: on this machine, or on a Dask cluster.",
    ),
]
DebugOption = Annotated[bool, typer.Option("--debug", help="Work on one target at a time, without threads.")]
TimeoutOption = Annotated[
    float,
    typer.Option("--timeout", metavar="SECONDS", help="Time limit of one Terraform command; at most 24 hours."),
]
MaxFailuresOption = Annotated[
    str | None,
    typer.Option(
        "--max-failures",
        metavar="N|P%",
        help="Start no targets after more failures than this.",
    ),
]
WavePauseOption = Annotated[
    float,
    typer.Option("--wave-pause", metavar="SECONDS", help="Pause between two waves; at most 24 hours."),
]
MaxPlanAgeOption = Annotated[
    str, typer.Option("--max-plan-age", metavar="24h|90m", help="Maximum age of a saved plan when it is applied.")
]
AllowDestroyOption = Annotated[
    bool,
    typer.Option(
        "--allow-destroy",
        help="Allow keys, log groups and buckets to be deleted or replaced, and policies to be detached.",
    ),
]
QuietOption = Annotated[bool, typer.Option("--quiet", help="Show only failures and the result.")]
ConfirmWavesOption = Annotated[bool, typer.Option("--confirm-waves", help="Ask before each wave after the first.")]

ComponentOption = Annotated[
    list[str] | None,
    typer.Option(
        "--component",
        metavar="NAME",
        help="Plan only instance_policy, config_rule or preferences, with what it needs; repeat it for several.",
    ),
]

_DAY_SECONDS = 24 * 60 * 60


@dataclass(frozen=True)
class Running:
    """Options of a command that runs Terraform.

    Attributes:
        options: Options of the run itself.
        runs: Folder of the run folders.
        yes: Apply without confirmation.
        confirm_waves: Ask before each wave after the first.
        quiet: Show only failures and the result.
        components: Components that plans are limited to; empty for all.
    """

    options: RunOptions
    runs: Path
    yes: bool = False
    confirm_waves: bool = False
    quiet: bool = False
    components: tuple[Component, ...] = ()

    @property
    def unattended_and_quiet(self) -> bool:
        """Whether to hide planned changes; they are shown to anyone who is asked for confirmation."""
        return self.quiet and self.yes


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
        message = "Cannot ask before a wave: standard input is not a terminal. Use --wave-pause or --wave."
        raise InputError(message, "--confirm-waves")
    options = replace(
        running.options,
        wave_pause_seconds=_within_a_day(wave_pause, 0, "--wave-pause"),
        max_plan_age=parse_duration(max_plan_age),
        allow_destroy=allow_destroy,
    )
    return replace(running, options=options, yes=yes, confirm_waves=confirm_waves)


def _within_a_day(seconds: float, least: int, option: str) -> float:
    """Return seconds within the limits; "nan" is refused, too."""
    if not least <= seconds <= _DAY_SECONDS:
        raise InputError(f"{seconds:g} is not between {least} and {_DAY_SECONDS} seconds.", option)
    return seconds


def parse_components(names: Sequence[str] | None) -> tuple[Component, ...]:
    """Return components, each once.

    Raises:
        InputError: There is no such component.
    """
    known: tuple[Component, ...] = get_args(Component)
    for name in names or ():
        if name not in known:
            raise InputError(f'There is no component "{name}"; use {", ".join(known)}.', "--component")
    return tuple(name for name in known if name in (names or ()))


planning = with_options("running", _planning)
applying = with_options("running", _applying)


def parse_tolerance(text: str | None) -> Tolerance | None:
    """Return the tolerated failures; None for any number.

    Raises:
        InputError: The text is neither.
    """
    if text is None:
        return None
    try:
        return Tolerance.parse(int(text) if re.fullmatch(r"[0-9]{1,9}", text) else text)
    except ValueError as error:
        message = f'"{text}" is neither a number of targets nor a percentage such as 5%.'
        raise InputError(message, "--max-failures") from error


def parse_duration(text: str) -> datetime.timedelta:
    """Return a duration written as `24h`, `90m` or `45s`.

    Raises:
        InputError: The text has another form.
    """
    match = re.fullmatch(r"([1-9][0-9]{0,5})([hms])", text)
    if match is None:
        raise InputError(f'"{text}" is not a duration; use for example 24h, 90m or 45s.', "--max-plan-age")
    unit = {"h": "hours", "m": "minutes", "s": "seconds"}[match[2]]
    return datetime.timedelta(**{unit: int(match[1])})
