"""What all reports say the same way: words, counts, values and differences as text that cannot do harm."""

from __future__ import annotations

import difflib
import json
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING

from session_manager_fleet.changes import (
    ACTIONS,
    MARKS,
    SET_BY_AWS,
    UNKNOWN,
    AttributeChange,
    ChangeSet,
    Placeholders,
    ResourceChange,
)
from session_manager_fleet.run import FailureKind, Status

if TYPE_CHECKING:
    from pydantic import JsonValue

    from session_manager_fleet.preferences import DocumentChange
    from session_manager_fleet.run import Summary, TargetResult
    from session_manager_fleet.targets import PolicyException

FAILURE_HEADINGS: Mapping[FailureKind, str] = {
    "access": "could not get in",
    "terraform": "terraform failed",
    "verification": "verification failed",
    "input": "refused",
    "machine": "this machine failed",
}

# A value longer than this is cut for people.
_LONG = 160
# A change of two values that fit into this is shown on one line.
_SHORT = 100
_CONTEXT_LINES = 2
_NOT_TELLING: tuple[JsonValue, ...] = (UNKNOWN, SET_BY_AWS, "", [], {})


def visible(text: str) -> str:
    r"""Spell out what would not be seen, or would do something: ESC becomes `\x1b`, U+202E `\u202e`, a newline `\n`."""
    return text if text.isprintable() else "".join(map(_visible, text))


def _visible(letter: str) -> str:
    # Cc: control characters; Cf: joiners and the marks that change the direction; Cs, Co, Cn: no characters at all.
    if unicodedata.category(letter) not in {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}:
        return letter
    return letter.encode("unicode_escape").decode()


def visible_lines(text: str) -> list[str]:
    """Return the lines of a text, each of them visible."""
    return [visible(line) for line in text.replace("\r\n", "\n").split("\n")]


def status_words(status: Status) -> str:
    """Return a status in words."""
    return status.value.replace("_", " ")


def outcome(entry: TargetResult) -> str:
    """Return what became of a target in words, as `applied, verified`."""
    return f"{status_words(entry.status)}, verified" if entry.verified else status_words(entry.status)


def counted(number: int, noun: str) -> str:
    """Return a number with its noun: `1 target`, `2 targets`."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def listed(names: Sequence[str], limit: int) -> str:
    """Return names, the first ones only when there are more than the limit."""
    shown, more = names[:limit], len(names) - limit
    return ", ".join(shown) + (f" and {more:,} more" if more > 0 else "")


def totals_line(summary: Summary) -> str:
    """Return how many targets there are and where they stand, as `12 targets: 2 changes, 10 no changes`."""
    totals = summary.totals
    parts = [f"{number:,} {status_words(status)}" for status in Status if (number := getattr(totals, status.value))]
    return f"{counted(totals.targets, 'target')}: {', '.join(parts) or 'nothing to do'}"


def action_counts(change_set: ChangeSet) -> str:
    """Return what a change set does, as `1 to replace, 2 to create`."""
    counts = Counter(change.action for change in change_set.changes)
    return ", ".join(f"{counts[action]} to {action}" for action in ACTIONS if counts[action]) or "outputs only"


def change_counts(entry: TargetResult) -> str:
    """Return the counts of a target's plan, as `+1 ~2 -0`; empty where there is nothing to do."""
    found = entry.changes
    return f"+{found.add} ~{found.change} -{found.destroy}" if found and found.changed else ""


def names_by_region(entries: Iterable[TargetResult]) -> dict[str, list[str]]:
    """Return the names of the targets' accounts for each region."""
    names: dict[str, list[str]] = {}
    for entry in entries:
        names.setdefault(entry.region, []).append(visible(entry.account_name))
    return names


def value_text(value: JsonValue) -> str:
    """Return a value for people: as JSON, on one line, cut when it is long; marks stand without quotes."""
    if isinstance(value, str) and value in MARKS:
        return value
    return _cut(visible(json.dumps(value, ensure_ascii=False)))


def telling_attributes(change: ResourceChange) -> list[AttributeChange]:
    """Return the attributes that a reviewer reads: of what comes or goes those that are neither empty nor AWS's own."""
    if change.action == "create":
        return [each for each in change.attributes if each.after not in _NOT_TELLING]
    if change.action in {"delete", "forget"}:
        return [each for each in change.attributes if each.before not in _NOT_TELLING]
    return list(change.attributes)


@dataclass(frozen=True)
class DiffLine:
    """A line of a difference.

    Attributes:
        symbol: `+` new, `-` old, `~` changed, ` ` stays.
        text: The line, without line breaks and control characters.
    """

    symbol: str
    text: str


def diff_lines(change: AttributeChange) -> Iterator[DiffLine]:
    """Show an attribute's change as the lines of a diff."""
    path, before, after = visible(change.path), change.before, change.after
    note = "  # forces replacement" if change.forces_replacement else ""
    if before is None:
        yield DiffLine("+", f"{path} = {value_text(after)}{note}")
    elif after is None:
        yield DiffLine("-", f"{path} = {value_text(before)}{note}")
    elif lines := _text_diff(before, after):
        yield DiffLine("~", f"{path}:{note}")
        yield from lines
    else:
        old, new = value_text(before), value_text(after)
        if len(old) + len(new) <= _SHORT:
            yield DiffLine("~", f"{path} = {old} → {new}{note}")
        else:
            yield DiffLine("-", f"{path} = {old}{note}")
            yield DiffLine("+", f"{path} = {new}{note}")


def _text_diff(before: JsonValue, after: JsonValue) -> list[DiffLine]:
    """Compare texts of several lines line by line; empty for anything else."""
    if not (isinstance(before, str) and isinstance(after, str)) or "\n" not in before + after or after in MARKS:
        return []
    lines = difflib.unified_diff(visible_lines(before), visible_lines(after), n=_CONTEXT_LINES, lineterm="")
    # The first two lines name files.
    return [
        DiffLine(" ", "  …") if line.startswith("@@") else DiffLine(line[0], f"  {_cut(line[1:])}")
        for line in list(lines)[2:]
    ]


def _cut(text: str) -> str:
    return text if len(text) <= _LONG else f"{text[:_LONG]}… ({len(text):,} characters)"


def failure_heading(entry: TargetResult) -> str:
    """Return in which step a target failed, and how: `apply: terraform failed`."""
    return f"{entry.step.value}: {FAILURE_HEADINGS[entry.failure.kind] if entry.failure else ''}"


def previews(entries: Iterable[TargetResult]) -> list[tuple[tuple[DocumentChange, ...], list[TargetResult]]]:
    """Return each distinct adoption preview once, with its targets; that of the most targets first.

    What names a target is replaced by placeholders, as in change sets.
    """
    grouped: dict[str, tuple[tuple[DocumentChange, ...], list[TargetResult]]] = {}
    for entry in entries:
        if entry.preview:
            preview = _with_placeholders(entry)
            key = json.dumps([asdict(change) for change in preview])
            grouped.setdefault(key, (preview, []))[1].append(entry)
    return sorted(grouped.values(), key=lambda group: -len(group[1]))


def _with_placeholders(entry: TargetResult) -> tuple[DocumentChange, ...]:
    content = [[change.before, change.after] for change in entry.preview]
    names = Placeholders(entry.account_id, entry.region, entry.home_region, content)

    def shown(value: JsonValue) -> JsonValue:
        return value if value in MARKS else names.value(value)

    return tuple(replace(change, before=shown(change.before), after=shown(change.after)) for change in entry.preview)


def preview_line(change: DocumentChange) -> str:
    """Return what a document would lose, as `inputs.idleSessionTimeout: "30" → "20"`."""
    return f"{visible(change.path)}: {value_text(change.before)} → {value_text(change.after)}"


def exception_line(exception: PolicyException) -> str:
    """Return an exception in one sentence."""
    what = [*(f"skips {name}" for name in exception.skip), *(f"sets {path}" for path in exception.set)]
    return visible(
        f"Exception of {exception.owner}: {', '.join(what) or 'nothing'} in "
        f"{counted(len(exception.targets), 'target')}, until {exception.expires} "
        f"({counted(exception.days_left, 'day')} left): {exception.reason} ({exception.where})"
    )
