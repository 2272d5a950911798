"""The next steps after a run: what to do, with the command to type."""

from collections.abc import Iterator
from dataclasses import dataclass

from session_manager_fleet.reports.commands import RUN, Commands
from session_manager_fleet.reports.text import counted
from session_manager_fleet.run import Status, Summary, with_changes
from session_manager_fleet.targets import WARNING_DAYS


@dataclass(frozen=True)
class NextStep:
    """A step to take after a run.

    Attributes:
        sentence: What to do.
        command: The line to type; may be empty.
        section: Id of the section of the HTML page with the details; may be empty.
    """

    sentence: str
    command: str = ""
    section: str = ""


def next_steps(summary: Summary, commands: Commands | None = None) -> list[NextStep]:
    """Return the next steps after a run, in the order in which to take them.

    Args:
        summary: The summary.
        commands: The lines to type; by default those of the installed program, for readers on any machine.
    """
    return list(_steps(summary, commands or Commands.of_installed(summary)))


def _steps(summary: Summary, commands: Commands) -> Iterator[NextStep]:
    totals = summary.totals
    waiting = {entry.key for entry in with_changes(summary.targets)}
    pending = len(waiting)
    stopped = totals.unfinished + sum(
        entry.status is Status.NOT_STARTED and entry.key not in waiting for entry in summary.targets
    )
    if summary.missing_shards:
        shards = ", ".join(summary.missing_shards)
        yield NextStep(f"Run the missing shards ({shards}) again and merge all of them; this run cannot be applied.")
    if not summary.finished:
        yield NextStep("The run is still running, or crashed. Show its current state", commands.line("report", RUN))
    if totals.failed:
        yield NextStep(f"Fix the causes of {counted(totals.failed, 'failure')}.", section="failures")
    if totals.failed or stopped:
        unreached = f" and {counted(stopped, 'target')} without a result" if totals.failed and stopped else ""
        what = "the failed targets" if totals.failed else f"the {counted(stopped, 'target')} without a result"
        yield NextStep(f"Run {what}{unreached} again", commands.line("resume", RUN))
    # `resume` of an apply also applies the saved plans that are left.
    resumes = bool(totals.failed or stopped) and summary.command in {"apply", "destroy"}
    if pending and not (summary.missing_shards or resumes):
        destructive = sum(group.change_set.destructive for group in summary.change_sets)
        if destructive:
            yield NextStep(f"Review {counted(destructive, 'destructive change set')} first.", section="changes")
        yield NextStep(f"Apply the saved plans of {counted(pending, 'target')}", commands.line("apply", RUN))
    expiring = sum(exception.days_left <= WARNING_DAYS for exception in summary.exceptions)
    if expiring:
        yield NextStep(f"Renew or end {counted(expiring, 'exception')} that will soon expire.", section="exceptions")
    if totals.applied and not (totals.failed or stopped or pending) and summary.command != "destroy":
        yield NextStep("Everything is applied. Check the live state", commands.line("verify", "--all"))
