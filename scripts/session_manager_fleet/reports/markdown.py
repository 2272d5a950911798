"""Markdown for a pull request comment, within GitHub's size limit."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from session_manager_fleet.changes import ResourceChange
from session_manager_fleet.reports.causes import Cause, causes, without_local_paths
from session_manager_fleet.reports.commands import Commands
from session_manager_fleet.reports.safe_text import code, escape, visible, visible_lines
from session_manager_fleet.reports.text import (
    PREVIEWS_HEADING,
    action_counts,
    change_counts,
    counted,
    diff_lines,
    exception_line,
    failure_heading,
    listed,
    names_by_region,
    notes,
    outcome,
    preview_line,
    previews,
    status_words,
    telling_attributes,
    totals_line,
)
from session_manager_fleet.run import ChangeSetEntry, Status, Summary, TargetResult

# GitHub refuses longer comments ("body is too long (maximum is 65536 characters)").
LIMIT = 65_536
_NAMES = 20
_ROWS = 100
# Maximum share of failures, so that they leave room for change sets.
_FAILURES_SHARE = 0.6
_LINES = 400
# GitHub colours the lines of a difference by their first character.
_RESOURCE_SIGNS = {"create": "+", "update": "!", "move": " ", "delete": "-", "replace": "-/+", "forget": "-"}
_DIFF_SIGNS = {"+": "+", "-": "-", "~": "!", " ": " "}


@dataclass(frozen=True)
class _Part:
    """A part of the comment that is shown completely or not at all.

    Attributes:
        section: Heading of its section.
        noun: Noun for the count of omitted parts.
        text: The full text.
        short: A shorter text to use if the full one does not fit; may be empty.
    """

    section: str
    noun: str
    text: str
    short: str = ""


def markdown(summary: Summary, commands: Commands | None = None, limit: int = LIMIT) -> str:
    """Return a comment for reviewers, most important parts first; parts that do not fit are counted at the end.

    Args:
        summary: The summary.
        commands: The lines to type; by default those of the installed program.
        limit: Maximum number of characters.
    """
    report = (commands or Commands.of_installed(summary)).report
    blocks = [_head(summary)]
    left_out: dict[str, int] = {}
    section = ""
    kept = int(limit * (1 - _FAILURES_SHARE))
    # The last block counts the omitted parts; its length is bounded.
    room = limit - _length(blocks[0]) - _length(_tail(report, dict.fromkeys(_NOUNS, 10**9)))
    for part in _parts(summary):
        heading = _heading(part.section, blocks[-1]) if part.section != section else ""
        available = room - kept if part.section == _FAILURES else room
        fitting = (text for text in (part.text, part.short) if text and _length(heading + text) <= available)
        if text := next(fitting, ""):
            blocks.append(heading + text)
            section, room = part.section, room - _length(heading + text)
        else:
            left_out[part.noun] = left_out.get(part.noun, 0) + 1
    if left_out:
        blocks.append(_tail(report, left_out))
    return "".join(blocks).rstrip("\n") + "\n"


_FAILURES = "Failures"
_NOUNS = ("failure", "change set", "adoption preview", "note", "exception", "list")


def _heading(section: str, before: str) -> str:
    gap = "" if before.endswith("\n\n") else "\n"
    return f"{gap}### {section}\n\n"


def _length(text: str) -> int:
    """Return the length in UTF-16 code units, the largest of the possible counts of characters."""
    return len(text.encode("utf-16-le", errors="replace")) // 2


def _head(summary: Summary) -> str:
    totals = summary.totals
    state = "" if summary.finished else " (not finished)"
    shard = f", shard {code(summary.shard)}" if summary.shard else ""
    statuses = [status for status in Status if getattr(totals, status.value)]
    rows = [
        "| " + " | ".join(["targets", *(status_words(status) for status in statuses)]) + " |",
        "| " + " | ".join("---:" for _ in range(len(statuses) + 1)) + " |",
        "| " + " | ".join(f"{number:,}" for number in _counts(summary, statuses)) + " |",
    ]
    digest = f"Digest of the saved plans, for `apply --digest`: {code(summary.digest)}\n\n" if summary.digest else ""
    return (
        f"## Session Manager: {code(summary.command)} of {counted(totals.targets, 'target')}{state}\n\n"
        f"Run {code(summary.run_id)} of organization {code(summary.organization_id)}{shard}, started "
        f"{summary.started_at:%Y-%m-%d %H:%M} UTC. **{escape(totals_line(summary).partition(': ')[2])}**\n\n"
        f"{digest}" + "\n".join(rows) + "\n\n"
    )


def _counts(summary: Summary, statuses: Sequence[Status]) -> list[int]:
    return [summary.totals.targets, *(getattr(summary.totals, status.value) for status in statuses)]


def _tail(report: str, left_out: dict[str, int]) -> str:
    what = ", ".join(counted(number, noun) for noun, number in left_out.items())
    where = f"Full report: {code(report)}, or `summary.json`."
    return f"---\n\nOmitted, because comments are limited in size: {what}. {where}\n"


def _parts(summary: Summary) -> Iterator[_Part]:
    for cause in causes(summary.targets):
        yield _failure(cause, summary.run_id)
    entries = {entry.key: entry for entry in summary.targets}
    for group in summary.change_sets:
        section = "Destructive changes" if group.change_set.destructive else "Changes"
        yield _change_set(section, group, [entries[key] for key in group.targets])
    for preview in previews(summary.targets):
        names = listed([code(f"{entry.account_name} {entry.region}") for entry in preview.targets], _NAMES)
        lines = [f"{preview.heading}, in {names}:\n", *(f"- {code(preview_line(each))}" for each in preview.changes)]
        yield _Part(PREVIEWS_HEADING, "adoption preview", "\n".join(lines) + "\n\n")
    for note, targets in notes(summary.targets):
        names = listed([code(f"{entry.account_name} {entry.region}") for entry in targets], _NAMES)
        yield _Part("Notes", "note", f"- {code(note)} In {names}.\n")
    for exception in summary.exceptions:
        yield _Part("Exceptions", "exception", f"- {code(exception_line(exception))}\n")
    yield from _lists(summary)


def _failure(cause: Cause, run_id: str) -> _Part:
    number = f" in {counted(len(cause.targets), 'target')}" if len(cause.targets) > 1 else ""
    names = listed([_name(entry) for entry in cause.targets], _NAMES)
    title = f"**{escape(failure_heading(cause))}**{number}: {names}"
    message, *diagnostics = (
        without_local_paths(text, run_id) for text in (cause.failure.message, *cause.failure.diagnostics)
    )
    message = code(" ".join(message.split("\n")))
    lines = [line for diagnostic in diagnostics for line in visible_lines(diagnostic)]
    text = f"- {title}\n  {message}\n"
    if lines:
        text += _indented(_details("Terraform output", _fence("text", lines)))
    return _Part(_FAILURES, "failure", text + "\n", f"- {title}\n")


def _name(entry: TargetResult) -> str:
    return f"{code(entry.account_id)} {code(entry.account_name)} {code(entry.region)}"


def _change_set(section: str, group: ChangeSetEntry, targets: Sequence[TargetResult]) -> _Part:
    title = (
        f"**{action_counts(group.change_set)}** in {counted(len(targets), 'target')} ({code(group.fingerprint)})\n\n"
    )
    regions = "".join(
        f"- {code(region)}: {listed([code(name) for name in names], _NAMES)}\n"
        for region, names in names_by_region(targets).items()
    )
    resources = [_resource(change) for change in group.changes]
    lines = [line for change in group.changes for line in (_resource(change), *_attributes(change))]
    if group.outputs:
        lines.append(f"  outputs: {visible(', '.join(group.outputs))}")
    whole = _details("Changes", _fence("diff", lines), opened=group.change_set.destructive)
    short = _details("Changed resources", _fence("diff", resources))
    return _Part(section, "change set", f"{title}{regions}\n{whole}\n", f"{title}{regions}\n{short}\n")


def _resource(change: ResourceChange) -> str:
    action = change.action if change.action in {"move", "forget"} else ""
    notes = "; ".join(note for note in (action, change.reason) if note)
    return f"{_RESOURCE_SIGNS[change.action]} {visible(change.address + (f' ({notes})' if notes else ''))}"


def _attributes(change: ResourceChange) -> Iterator[str]:
    for attribute in telling_attributes(change):
        for line in diff_lines(attribute):
            yield f"{_DIFF_SIGNS[line.symbol]}     {line.text}"


def _lists(summary: Summary) -> Iterator[_Part]:
    for warning in summary.warnings:
        yield _Part("Warnings", "list", f"- {code(warning)}\n")
    waiting: dict[str, list[TargetResult]] = {}
    for entry in summary.targets:
        if entry.status in {Status.NOT_STARTED, Status.UNFINISHED}:
            waiting.setdefault(entry.reason or status_words(entry.status), []).append(entry)
    left: dict[str, list[TargetResult]] = {}
    for entry in summary.targets:
        if entry.status is Status.SKIPPED:
            left.setdefault(entry.reason or "", []).append(entry)
    for heading, groups in (("Not finished", waiting), ("Skipped targets", left)):
        for reason, entries in groups.items():
            items = [f"- {_name(entry)}" for entry in entries]
            title = f"{counted(len(entries), 'target')}: {code(reason)}"
            yield _Part(heading, "list", _details(title, "\n".join(_first(items)) + "\n") + "\n")
    if summary.skipped:
        items = [
            f"- {code(entry.account_id)} {code(entry.account_name)}: {code(entry.reason)}" for entry in summary.skipped
        ]
        title = counted(len(items), "account")
        yield _Part("Skipped accounts", "list", _details(title, "\n".join(_first(items)) + "\n") + "\n")
    rows = [
        f"| {code(entry.account_id)} | {code(entry.account_name)} | {code(entry.region)} | {code(entry.wave)} "
        f"| {outcome(entry)} | {change_counts(entry)} |"
        for entry in summary.targets
    ]
    if rows:
        head = ["| account | name | region | wave | status | changes |", "| --- | --- | --- | --- | --- | --- |"]
        table = "\n".join([*head, *_first(rows)]) + "\n"
        yield _Part("Targets", "list", _details(counted(len(rows), "target"), table) + "\n")


def _first(items: Sequence[str]) -> list[str]:
    more = len(items) - _ROWS
    return [*items[:_ROWS], *([f"\n… and {more:,} more in `summary.json`."] if more > 0 else [])]


def _details(title: str, text: str, *, opened: bool = False) -> str:
    attribute = " open" if opened else ""
    return f"<details{attribute}><summary>{title}</summary>\n\n{text}\n</details>\n"


def _fence(language: str, lines: Sequence[str]) -> str:
    more = len(lines) - _LINES
    shown = [*lines[:_LINES], *([f"  … and {counted(more, 'more line')}"] if more > 0 else [])]
    text = "\n".join(shown)
    fence = "`" * max(3, *(len(run) + 1 for run in re.findall("`+", text)), 3)
    return f"{fence}{language}\n{text}\n{fence}\n"


def _indented(text: str) -> str:
    return "".join(f"  {line}\n" if line else "\n" for line in text.splitlines())
