"""A verification as Markdown, for pull requests and job summaries."""

from collections.abc import Iterator

from session_manager_fleet.reports.safe_text import code, escape, visible
from session_manager_fleet.reports.text import counted
from session_manager_fleet.reports.verification.groups import FindingGroup, groups
from session_manager_fleet.reports.verification.text import comparison_line, totals_line, verdict_words
from session_manager_fleet.verify import Verdict, Verification

# GitHub shows 1 MiB of a job summary, and 65,536 characters of a comment.
_GROUPS, _NAMES = 100, 20


def markdown(verification: Verification) -> str:
    """Return the outcome, the equal findings once with their targets, what is fixed, and exceptions."""
    return "\n".join(_lines(verification)) + "\n"


def _lines(verification: Verification) -> Iterator[str]:
    yield f"## Verification {code(verification.run_id or verification.started_at.isoformat())}"
    yield ""
    yield f"{_text(totals_line(verification))}  "
    if line := comparison_line(verification):
        yield f"{_text(line)}  "
    yield (
        f"Organization {code(verification.organization_id)}, {verification.started_at:%Y-%m-%d %H:%M} UTC, by "
        f"{code(verification.caller or 'unknown')}, configuration {code(verification.configuration_sha256[:12])}"
    )
    found = groups(verification.targets, {Verdict.FINDING, Verdict.NOT_CHECKED})
    for group in found[:_GROUPS]:
        yield from _group(group)
    if len(found) > _GROUPS:
        yield f"\n… and {counted(len(found) - _GROUPS, 'more finding')}."
    failed = [target for target in verification.targets if target.failure]
    if failed:
        yield "\n### Not entered\n"
        for target in failed[:_GROUPS]:
            place = f"{target.account_id} {target.account_name} {target.region}"
            yield f"- {_text(place)}: {_text(target.failure or '')}"
    if verification.exceptions:
        yield "\n### Exceptions\n"
        for exception in verification.exceptions:
            yield f"- {_text(exception.owner)}, until {exception.expires}: {_text(exception.reason)}"
    for warning in verification.warnings:
        yield f"\n> {_text(warning)}"


def _group(group: FindingGroup) -> Iterator[str]:
    check = group.check
    names = [f"{target.account_name} {target.region}" for target in group.targets]
    new = f", {group.new} new" if group.new else ""
    yield f"\n### {verdict_words(check)}: {_text(check.name)}, in {counted(len(names), 'target')}{new}\n"
    yield f"{_text(check.message)}\n"
    rest = f" and {len(names) - _NAMES} more" if len(names) > _NAMES else ""
    yield f"{_text(', '.join(names[:_NAMES]))}{rest}\n"
    for line in check.exceptions:
        yield f"- {_text(line)}"
    for line in (check.fix or "").split("\n"):
        yield f"- {_text(line)}"
    if check.command:
        yield f"- {code(check.command)}"


def _text(text: str) -> str:
    return escape(visible(text))
