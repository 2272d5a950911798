"""`--skip-clean`: verify the targets that are as in their last clean run, so that terraform need not plan them."""

from collections.abc import Sequence
from typing import Annotated

import typer
from rich.console import Console

from session_manager_fleet.cli.run_options import Running
from session_manager_fleet.errors import InputError
from session_manager_fleet.reports import TargetsProgress, counted, terminal
from session_manager_fleet.run import Operation
from session_manager_fleet.targets import Target
from session_manager_fleet.verify import Check, Severity, TargetVerification, Verdict, Verifier

SkipCleanOption = Annotated[
    bool,
    typer.Option(
        "--skip-clean",
        help="Do not plan targets that are as in their last clean run and that verify finds clean now.",
    ),
]
_GOOD = {Verdict.OK, Verdict.NOT_NEEDED}


def refuse_skipping(running: Running, *, skip_clean: bool) -> None:
    """Refuse to skip targets whose plans are not whole.

    Raises:
        InputError: Plans are limited to components.
    """
    if skip_clean and running.components:
        message = "Only a plan of all components says that a target is clean; leave out one of the two options."
        raise InputError(message, "--skip-clean")


def verify_candidates(operation: Operation, targets: Sequence[Target], console: Console, *, quiet: bool) -> None:
    """Verify the targets that terraform need not plan, and let it plan those that are not clean.

    Args:
        operation: The operation that plans them next.
        targets: Targets of the command.
        console: For what is found.
        quiet: Whether nothing is shown.
    """
    candidates = operation.skip_clean(targets)
    shown = Console(quiet=True) if quiet else terminal.make_console(stderr=True)
    with operation.interruptible(console.print), TargetsProgress(shown, len(candidates)) as progress:
        verified = Verifier(operation.inventory).verify(candidates, progress.finished, stop=operation.stop)
    clean = 0
    for one in verified:
        reason = why_planned(one)
        operation.verified(one.target, reason)
        clean += not reason
    if not quiet:
        console.print(f"As in their last clean run, and verified now: {clean:,} of {counted(len(targets), 'target')}.")


def why_planned(verified: TargetVerification) -> str:
    """Return what makes terraform plan a verified target; empty if all of it is clean."""
    if verified.failure:
        return f"verify could not look at it: {verified.failure}"
    bad = next((check for check in verified.checks if check.verdict not in _GOOD and not _is_advice(check)), None)
    return f"verify does not find it clean: {bad.name} ({bad.verdict}): {bad.message}" if bad else ""


def _is_advice(check: Check) -> bool:
    """Tell whether a finding is about the settings: a plan from the same settings would change nothing."""
    return check.verdict is Verdict.FINDING and check.severity is Severity.LOW
