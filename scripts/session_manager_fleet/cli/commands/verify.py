"""`verify`: check the live state of targets."""

import datetime
import os
import platform
import threading
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from session_manager_fleet.cli import hints
from session_manager_fleet.cli.notify import notify
from session_manager_fleet.cli.options import RUNS, RunsOption, load, parse_age, selecting, today, warnings_of
from session_manager_fleet.cli.output import check_format, write_file, write_text
from session_manager_fleet.errors import ExitCode, FleetError, InputError
from session_manager_fleet.reports import (
    PROGRAM,
    VERIFICATION_REPORTS,
    TargetsProgress,
    counted,
    filtered,
    listed,
    print_verification,
    terminal,
    visible,
)
from session_manager_fleet.run import RunFolder, beginnings, order, prerequisites, signals
from session_manager_fleet.targets import Inventory, Selection, Target, TargetList, register
from session_manager_fleet.verify import (
    CHECKS,
    MIN_WATCH_SECONDS,
    VERIFICATION,
    Severity,
    TargetVerification,
    Verification,
    Verifier,
    earlier_runs,
    exit_code,
    record,
    watch_logs,
    watchable,
    with_arrivals,
)

# Targets that a warning names.
_NAMES = 20


@selecting
def verify(
    context: typer.Context,
    selection: Selection,
    output_format: Annotated[
        str, typer.Option("--format", metavar="|".join(VERIFICATION_REPORTS), help="Output format.")
    ] = "table",
    output: Annotated[
        Path | None, typer.Option("--output", metavar="FILE", help="Write to this file, readable by its owner only.")
    ] = None,
    severity: Annotated[
        str | None,
        typer.Option(metavar="|".join(Severity), help="Show findings that are at least this severe."),
    ] = None,
    check: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Show this check only; can be repeated.")
    ] = None,
    only_findings: Annotated[bool, typer.Option("--only-findings", help="Leave out what is as configured.")] = False,
    max_log_age: Annotated[
        str | None, typer.Option(metavar="90m|12h|7d", help="Maximum age of the newest log of a target.")
    ] = None,
    watch: Annotated[
        int, typer.Option(metavar="SECONDS", help="Wait for new logs; they can take more than 30 seconds.")
    ] = 0,
    runs: RunsOption = RUNS,
) -> int:
    """Check the live state: keys, log groups, buckets, preferences, endpoints, policies, and that logs arrive."""
    started = datetime.datetime.now(datetime.UTC)
    check_format(output_format, *VERIFICATION_REPORTS)
    least, names = _severity(severity), _checks(check)
    if watch and watch < MIN_WATCH_SECONDS:
        raise InputError(f"Logs can take {MIN_WATCH_SECONDS} seconds to arrive; use at least that.", "--watch")
    age = parse_age(max_log_age, "--max-log-age") if max_log_age else None
    errors = terminal.make_console(stderr=True)
    inventory, selected = load(context.obj, selection, errors, ask_regions=True)
    prerequisites.confirmed_organization(inventory)
    warnings = _watch_warnings(inventory, selected.targets) if watch else []
    verifier, stop = Verifier(inventory, age), threading.Event()
    with (
        signals.handled_signals(lambda *_: stop.set()),
        TargetsProgress(errors, len(selected.targets)) as progress,
    ):
        verified = verifier.verify(selected.targets, progress.finished, stop=stop)
        if watch and not stop.is_set():
            arrivals = watch_logs(inventory, selected.targets, watch, progress.arrived, since=started, stop=stop)
            verified = verified if stop.is_set() else with_arrivals(verified, arrivals)
    interrupted = stop.is_set()
    if interrupted:
        done = f"{len(verified):,} of {counted(len(selected.targets), 'target')}"
        warnings.append(f"The run was interrupted; verified: {done}{', without waiting for logs' if watch else ''}.")
    else:
        warnings += _stray_warnings(inventory, selected.targets, selection)
    for warning in warnings:
        errors.print(f"[yellow]Warning:[/yellow] {escape(visible(warning))}", soft_wrap=True)
    folder, whole = _keep(
        inventory, selected, selection, verified, started, runs.resolve(), warnings, interrupted=interrupted
    )
    reference = f"Run {folder.run_id}: {escape(visible(os.path.relpath(folder.path / VERIFICATION)))}"
    if interrupted:
        errors.print(reference, soft_wrap=True)
        raise KeyboardInterrupt
    shown = filtered(whole, severity=least, names=names, only_wrong=only_findings)
    _show(shown, output_format, output)
    notify(inventory, whole)
    (terminal.make_console() if output_format == "table" else errors).print(reference, soft_wrap=True)
    if output_format == "table":
        _print_next(terminal.make_console(), verified)
    return shown.code


def _keep(
    inventory: Inventory,
    selected: TargetList,
    selection: Selection,
    verified: Sequence[TargetVerification],
    started: datetime.datetime,
    runs: Path,
    warnings: Sequence[str],
    *,
    interrupted: bool,
) -> tuple[RunFolder, Verification]:
    """Keep the result in a run folder, compared with those of earlier runs; of an interrupted run what there is."""
    exceptions = [entry for entry in register(inventory.settings, selected.targets, today()) if entry.targets]
    beginning = beginnings.begin_run(
        inventory,
        beginnings.VERIFY,
        selected,
        selection,
        warnings=[*warnings_of(inventory), *warnings],
        exceptions=exceptions,
    ).model_copy(update={"caller": prerequisites.caller_arn(inventory)})
    earlier = earlier_runs(runs, beginning.organization_id)
    folder = RunFolder.create(runs)
    verification = Verification.build(
        verified,
        [each.info for each in CHECKS],
        hints.command,
        run_id=folder.run_id,
        started_at=started.replace(microsecond=0),
        organization_id=beginning.organization_id,
        caller=beginning.caller,
        configuration_sha256=beginning.configuration_sha256,
        selection=beginning.selection,
        versions=_versions(),
        skipped=beginning.skipped,
        exceptions=beginning.exceptions,
        warnings=beginning.warnings,
    )
    compared = earlier.compare(verification)
    if interrupted:
        compared = compared.model_copy(update={"exit_code": int(ExitCode.INTERRUPTED)})
    record(folder, beginning, compared)
    return folder, compared


def _versions() -> dict[str, str]:
    return {PROGRAM: version(PROGRAM), "python": platform.python_version(), "boto3": version("boto3")}


def _show(verification: Verification, output_format: str, output: Path | None) -> None:
    if output is not None:
        write_file(output, VERIFICATION_REPORTS[output_format](verification))
        terminal.make_console().print(f"Report: {escape(visible(str(output)))}", soft_wrap=True)
    elif output_format == "table":
        print_verification(terminal.make_console(), verification)
    else:
        write_text(VERIFICATION_REPORTS[output_format](verification))


def _severity(text: str | None) -> Severity | None:
    try:
        return Severity(text) if text else None
    except ValueError as error:
        raise InputError(f'"{text}" is not a severity; use {", ".join(Severity)}.', "--severity") from error


def _checks(names: Sequence[str] | None) -> list[str]:
    known = [each.info.id for each in CHECKS]
    for name in names or ():
        if name not in known:
            raise InputError(f'There is no check "{name}"; use {", ".join(known)}.', "--check")
    return list(names or ())


def _watch_warnings(inventory: Inventory, targets: Sequence[Target]) -> list[str]:
    """Return a warning that names the targets without logs to watch; none if all are watched.

    Raises:
        InputError: None can be watched.
    """
    watched = set(watchable(inventory, targets))
    if not watched:
        raise InputError("No selected target logs sessions to S3 or CloudWatch Logs to be watched.", "--watch")
    others = [f"{each.account.name} {each.key}" for each in targets if each not in watched]
    if not others:
        return []
    return [f"Not watched, because the settings log their sessions nowhere: {listed(others, _NAMES)}."]


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
    if exit_code(verified) == ExitCode.DONE:
        hints.print_next(console, "to check again at any time", hints.again())
    elif len(repairs) == 1:
        hints.print_next(console, "to plan and apply", hints.command(*next(iter(repairs))))
    elif repairs:
        accounts = hints.selection_of(words[words.index("--account") + 1] for words in repairs)
        hints.print_next(console, "to plan and apply", hints.command("apply", *accounts))
    else:
        hints.print_next(console, "once this is corrected", hints.again())
