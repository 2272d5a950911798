"""Messages about runs, for people who are not there."""

from collections.abc import Collection, Iterator, Sequence

from session_manager_fleet.errors import ExitCode
from session_manager_fleet.reports.causes import causes
from session_manager_fleet.reports.commands import PROGRAM
from session_manager_fleet.reports.safe_text import slack_text, visible
from session_manager_fleet.reports.text import counted, failure_heading, listed, totals_line
from session_manager_fleet.reports.verification.groups import groups
from session_manager_fleet.reports.verification.text import (
    comparison_line,
    totals_line as totals_of_checks,
    verdict_words,
)
from session_manager_fleet.run import Message, Summary
from session_manager_fleet.targets import WARNING_DAYS, PolicyException
from session_manager_fleet.verify import Verdict, Verification, VerifiedTarget

# Findings and causes that a message names, and targets that each names.
_LINES, _NAMES = 10, 5


def message_of_run(summary: Summary, events: Collection[str]) -> Message | None:
    """Return the message about a run of Terraform; None if nothing of it is to be told."""
    failed = summary.exit_code not in {ExitCode.DONE, ExitCode.CHANGES_PENDING}
    happened = {"run_failed" if failed else "run_finished"} | _expiring_event(summary.exceptions)
    if not happened & set(events):
        return None
    lines = [totals_line(summary)]
    if failed:
        for cause in causes(summary.targets)[:_LINES]:
            names = [f"{entry.account_name} {entry.region}" for entry in cause.targets]
            lines.append(f"{failure_heading(cause)}: {cause.failure.message} In {listed(names, _NAMES)}.")
    lines += _expiring_lines(summary.exceptions)
    return _message(summary.command, summary.organization_id, summary.run_id, lines, failed=failed)


def message_of_verification(verification: Verification, events: Collection[str]) -> Message | None:
    """Return the message about a verification; None if nothing of it is to be told.

    Findings that the last run on the same target had are not told again; without such a run, all are new.
    """
    failed = verification.exit_code not in {ExitCode.DONE, ExitCode.CHANGES_PENDING}
    new = [_only_new(target) for target in verification.targets]
    found = groups(new, {Verdict.FINDING})
    happened = {"run_failed" if failed else "run_finished"} | _expiring_event(verification.exceptions)
    if found:
        happened.add("new_findings")
    if not happened & set(events):
        return None
    lines = [totals_of_checks(verification), *filter(None, [comparison_line(verification)])]
    for group in found[:_LINES]:
        names = [f"{target.account_name} {target.region}" for target in group.targets]
        check = group.check
        lines.append(f"New, {verdict_words(check)}: {check.name}: {check.message} In {listed(names, _NAMES)}.")
    if len(found) > _LINES:
        lines.append(f"… and {counted(len(found) - _LINES, 'more new finding')}.")
    lines += _expiring_lines(verification.exceptions)
    return _message("verify", verification.organization_id, verification.run_id, lines, failed=failed)


def _only_new(target: VerifiedTarget) -> VerifiedTarget:
    return target.model_copy(update={"checks": tuple(check for check in target.checks if check.history != "open")})


def _expiring_event(exceptions: Sequence[PolicyException]) -> set[str]:
    return {"expiring_exceptions"} if any(_expiring(exceptions)) else set()


def _expiring(exceptions: Sequence[PolicyException]) -> Iterator[PolicyException]:
    return (exception for exception in exceptions if exception.days_left <= WARNING_DAYS)


def _expiring_lines(exceptions: Sequence[PolicyException]) -> list[str]:
    return [
        f"The exception of {one.owner} {'has expired' if one.expired else 'expires'} on {one.expires}: {one.reason}"
        for one in list(_expiring(exceptions))[:_LINES]
    ]


def _message(command: str, organization: str, run: str, lines: Sequence[str], *, failed: bool) -> Message:
    subject = visible(f"{PROGRAM}: {command} of {organization} {'failed' if failed else 'finished'}")
    lines = [subject, *map(visible, lines), f"Run {visible(run)}: {PROGRAM} report {visible(run)}"]
    return Message(subject, "\n".join(lines) + "\n", "\n".join(map(slack_text, lines)))
