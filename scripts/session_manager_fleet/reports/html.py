"""A self-contained HTML page for reading, archiving and printing."""

import re
from collections.abc import Mapping, Sequence

import jinja2

from session_manager_fleet.changes import ACTIONS, ResourceChange
from session_manager_fleet.reports import text
from session_manager_fleet.reports.causes import causes
from session_manager_fleet.reports.commands import Commands
from session_manager_fleet.reports.next_steps import next_steps
from session_manager_fleet.reports.page import asset, digest, environment
from session_manager_fleet.reports.safe_text import markup_for_logs, visible
from session_manager_fleet.reports.text import DiffLine
from session_manager_fleet.run import Status, Summary, TargetResult

_SYMBOL_CLASSES = {"+": "new", "-": "old", "~": "changed", " ": "same"}
# The worst first: it begins the outcome, and colours the head of the page.
_SEVERITY = (
    Status.FAILED,
    Status.UNFINISHED,
    Status.NOT_STARTED,
    Status.CHANGES,
    Status.APPLIED,
    Status.NO_CHANGES,
    Status.SKIPPED,
)
_MODULES = re.compile(r"(?:module\.[A-Za-z0-9_-]+(?:\[[^\]]*\])?\.)+")
# Longer texts get a box that scrolls.
_TALL_LINES, _TALL_LETTERS = 16, 2_000


def html(summary: Summary, commands: Commands | None = None) -> str:
    """Return the whole summary as a page that begins with the outcome and the next steps.

    The page loads nothing from a server, and its Content-Security-Policy allows only its own script and style sheet, by
    digest, so that no name or error message can run as code. Without scripts, only sorting and filtering are missing.
    """
    style, script = asset("report.css"), asset("report.js")
    entries = {entry.key: entry for entry in summary.targets}
    found = causes(summary.targets)
    statuses = [status for status in _SEVERITY if getattr(summary.totals, status.value)]
    template = _environment().get_template("report.html.j2")
    page = template.render(
        summary=summary,
        outcome=_outcome(summary, statuses),
        verdict=(statuses or [Status.NO_CHANGES])[0],
        duration=_duration(summary),
        steps=next_steps(summary, commands),
        causes=found,
        cause_numbers={entry.key: number for number, cause in enumerate(found, 1) for entry in cause.targets},
        set_numbers={group.fingerprint: number for number, group in enumerate(summary.change_sets, 1)},
        rows={entry.key: number for number, entry in enumerate(summary.targets, 1)},
        members={
            group.fingerprint: _by_region([entries[key] for key in group.targets]) for group in summary.change_sets
        },
        statuses=statuses,
        choices=_choices(summary.targets),
        previews=text.previews(summary.targets),
        notes=text.notes(summary.targets),
        style=style,
        script=script,
        style_digest=digest(style),
        script_digest=digest(script),
    )
    return markup_for_logs(page)


def _outcome(summary: Summary, statuses: Sequence[Status]) -> str:
    parts = [f"{getattr(summary.totals, status.value):,} {text.status_words(status)}" for status in statuses]
    return ", ".join(parts) or "nothing to do"


def _duration(summary: Summary) -> str:
    if summary.finished_at is None:
        return ""
    minutes, seconds = divmod(round((summary.finished_at - summary.started_at).total_seconds()), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {seconds} s" if minutes else f"{seconds} s"


def _by_region(entries: Sequence[TargetResult]) -> dict[str, list[TargetResult]]:
    found: dict[str, list[TargetResult]] = {}
    for entry in entries:
        found.setdefault(entry.region, []).append(entry)
    return found


def _choices(entries: Sequence[TargetResult]) -> dict[str, list[str]]:
    """Return the values to filter the targets by, in the order of their columns; one value is no choice."""
    values = {
        "Unit": [entry.ou for entry in entries],
        "Region": [entry.region for entry in entries],
        "Wave": [entry.wave for entry in entries],
    }
    distinct = {name: list(dict.fromkeys(map(visible, each))) for name, each in values.items()}
    distinct["Unit"].sort()
    return {name: each for name, each in distinct.items() if len(each) > 1}


def _by_action(changes: Sequence[ResourceChange]) -> dict[str, list[ResourceChange]]:
    return {action: found for action in ACTIONS if (found := [each for each in changes if each.action == action])}


def _address_parts(address: str) -> tuple[str, str]:
    """Return the modules of a resource's address, and the rest."""
    shown = visible(address)
    modules = _MODULES.match(shown)
    return (shown[: modules.end()], shown[modules.end() :]) if modules else ("", shown)


def _lines(change: ResourceChange) -> list[DiffLine]:
    return [line for attribute in change.attributes for line in text.diff_lines(attribute, whole=True)]


def _is_tall(lines: Sequence[str]) -> bool:
    return len(lines) > _TALL_LINES or sum(map(len, lines)) > _TALL_LETTERS


def _environment() -> jinja2.Environment:
    filters: Mapping[str, object] = {
        "diff_lines": _lines,
        "by_action": _by_action,
        "address_parts": _address_parts,
        "tall": _is_tall,
        "counted": text.counted,
        "words": text.status_words,
        "action_counts": text.action_counts,
        "change_counts": text.change_counts,
        "failure_heading": text.failure_heading,
        "value": lambda value: text.value_text(value, whole=True),
    }
    made = environment(filters)
    made.globals |= {
        "actions": ACTIONS,
        "symbol_classes": _SYMBOL_CLASSES,
        "previews_heading": text.PREVIEWS_HEADING,
    }
    return made
