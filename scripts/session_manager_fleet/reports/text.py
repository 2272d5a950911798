"""Wording that all reports share: statuses, counts, values and differences, as text without control characters."""

import difflib
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace

from pydantic import JsonValue

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
from session_manager_fleet.preferences import INVOCATION_TYPE, DocumentChange, heading_of
from session_manager_fleet.reports.causes import Cause
from session_manager_fleet.reports.safe_text import visible, visible_lines
from session_manager_fleet.run import FailureKind, Status, Summary, TargetResult
from session_manager_fleet.targets import PolicyException

PREVIEWS_HEADING = "What exists already, and what becomes of it"
_KEPT, _DETACHED = "Used and left as it is: what exists already", "Detached: policies that others attached"
_ADOPTED: Mapping[str, str] = {
    "log_group": "log group",
    "logs_key": "key of the log group,",
    "session_key": "key of session data,",
    "public_sharing": "block of public sharing,",
}
_CHANGED_GROUP = ".aws_cloudwatch_log_group.adopted["
FAILURE_HEADINGS: Mapping[FailureKind, str] = {
    "access": "access denied",
    "terraform": "terraform failed",
    "verification": "verification failed",
    "input": "refused",
    "machine": "local error",
}

# Longer values are cut, except where the whole value is asked for.
_LONG = 160
# Changes of values that are together no longer than this are shown on one line.
_SHORT = 100
_CONTEXT_LINES = 2
_NOT_TELLING: tuple[JsonValue, ...] = (UNKNOWN, SET_BY_AWS, "", [], {})


def status_words(status: Status) -> str:
    """Return a status in words."""
    return status.value.replace("_", " ")


def outcome(entry: TargetResult) -> str:
    """Return the result of a target in words, such as `applied, verified`."""
    if entry.skipped_plan:
        return f"verified, {status_words(entry.status)}"
    return f"{status_words(entry.status)}, verified" if entry.verified else status_words(entry.status)


def counted(number: int, noun: str) -> str:
    """Return a number with its noun: `1 target`, `2 targets`."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def listed(names: Sequence[str], limit: int) -> str:
    """Return names as a list in words, cut at the limit."""
    shown, more = names[:limit], len(names) - limit
    return ", ".join(shown) + (f" and {more:,} more" if more > 0 else "")


def totals_line(summary: Summary) -> str:
    """Return the number of targets by status, such as `12 targets: 2 changes, 10 no changes`."""
    totals = summary.totals
    parts = [f"{number:,} {status_words(status)}" for status in Status if (number := getattr(totals, status.value))]
    line = f"{counted(totals.targets, 'target')}: {', '.join(parts) or 'nothing to do'}"
    skipped = sum(entry.skipped_plan for entry in summary.targets)
    return f"{line} ({skipped:,} verified instead of planned)" if skipped else line


def action_counts(change_set: ChangeSet) -> str:
    """Return the number of resources by action, such as `1 to replace, 2 to create`."""
    counts = Counter(change.action for change in change_set.changes)
    return ", ".join(f"{counts[action]} to {action}" for action in ACTIONS if counts[action]) or "outputs only"


def action_totals(summary: Summary) -> str:
    """Return the number of resources of all targets by action, such as `2 to replace, 40 to create`."""
    counts: Counter[str] = Counter()
    for group in summary.change_sets:
        for change in group.change_set.changes:
            counts[change.action] += len(group.targets)
    return ", ".join(f"{counts[action]:,} to {action}" for action in ACTIONS if counts[action]) or "outputs only"


def change_counts(entry: TargetResult) -> str:
    """Return the counts of a target's plan, such as `+1 ~2 -0`; empty without changes."""
    found = entry.changes
    return f"+{found.add} ~{found.change} -{found.destroy}" if found and found.changed else ""


def names_by_region(entries: Iterable[TargetResult]) -> dict[str, list[str]]:
    """Return the account names of targets by region."""
    names: dict[str, list[str]] = {}
    for entry in entries:
        names.setdefault(entry.region, []).append(visible(entry.account_name))
    return names


def value_text(value: JsonValue, *, whole: bool = False) -> str:
    """Return a value as JSON on one line, cut if it is long and not wanted whole; placeholders have no quotes."""
    if isinstance(value, str) and value in MARKS:
        return value
    text = visible(json.dumps(value, ensure_ascii=False))
    return text if whole else _cut(text)


def telling_attributes(change: ResourceChange) -> list[AttributeChange]:
    """Return the attributes for review: of created or deleted resources, those neither empty nor set by AWS."""
    if change.action == "create":
        return [each for each in change.attributes if each.after not in _NOT_TELLING]
    if change.action in {"delete", "forget"}:
        return [each for each in change.attributes if each.before not in _NOT_TELLING]
    return list(change.attributes)


@dataclass(frozen=True)
class DiffLine:
    """A line of a difference.

    Attributes:
        symbol: `+` new, `-` old, `~` changed, ` ` unchanged.
        text: The line, without line breaks and control characters.
    """

    symbol: str
    text: str


def diff_lines(change: AttributeChange, *, whole: bool = False) -> Iterator[DiffLine]:
    """Yield an attribute's change as the lines of a diff; long values are cut if they are not wanted whole."""
    path, before, after = visible(change.path), change.before, change.after
    note = "  # forces replacement" if change.forces_replacement else ""
    if before is None:
        yield DiffLine("+", f"{path} = {value_text(after, whole=whole)}{note}")
    elif after is None:
        yield DiffLine("-", f"{path} = {value_text(before, whole=whole)}{note}")
    elif lines := _text_diff(before, after, whole=whole):
        yield DiffLine("~", f"{path}:{note}")
        yield from lines
    else:
        old, new = value_text(before, whole=whole), value_text(after, whole=whole)
        if len(old) + len(new) <= _SHORT:
            yield DiffLine("~", f"{path} = {old} → {new}{note}")
        else:
            yield DiffLine("-", f"{path} = {old}{note}")
            yield DiffLine("+", f"{path} = {new}{note}")


def _text_diff(before: JsonValue, after: JsonValue, *, whole: bool) -> list[DiffLine]:
    """Return the line diff of two multi-line texts; empty for other values."""
    if not (isinstance(before, str) and isinstance(after, str)) or "\n" not in before + after or after in MARKS:
        return []
    lines = difflib.unified_diff(visible_lines(before), visible_lines(after), n=_CONTEXT_LINES, lineterm="")
    # The first two lines are file names.
    return [
        DiffLine(" ", "  …")
        if line.startswith("@@")
        else DiffLine(line[0], f"  {line[1:] if whole else _cut(line[1:])}")
        for line in list(lines)[2:]
    ]


def _cut(text: str) -> str:
    return text if len(text) <= _LONG else f"{text[:_LONG]}… ({len(text):,} characters)"


def failure_heading(entry: TargetResult | Cause) -> str:
    """Return the step and kind of a failure, such as `apply: terraform failed`."""
    return f"{entry.step.value}: {FAILURE_HEADINGS[entry.failure.kind] if entry.failure else ''}"


@dataclass(frozen=True)
class Preview:
    """The end of something that exists already, or its change.

    Attributes:
        heading: What happens to it.
        changes: What an existing document loses or changes, what is used as it is, or what policies are detached from.
        targets: The targets in which it happens.
    """

    heading: str
    changes: tuple[DocumentChange, ...]
    targets: list[TargetResult]


def previews(entries: Iterable[TargetResult]) -> list[Preview]:
    """Return each distinct preview once, with its targets; largest group first.

    Values that name a target are replaced by placeholders, as in change sets.
    """
    grouped: dict[str, Preview] = {}
    for entry in entries:
        for heading, changes in _previews_of(entry):
            shown = _with_placeholders(entry, changes)
            key = json.dumps([heading, *(asdict(change) for change in shown)])
            grouped.setdefault(key, Preview(heading, shown, [])).targets.append(entry)
    return sorted(grouped.values(), key=lambda group: -len(group.targets))


def _previews_of(entry: TargetResult) -> Iterator[tuple[str, tuple[DocumentChange, ...]]]:
    """Yield what exists already in a target, by what happens to it."""
    changes = entry.change_set.changes if entry.change_set else ()
    managed = any(change.type == INVOCATION_TYPE and change.action != "create" for change in changes)
    found = {
        heading_of(entry.preview, managed=managed): entry.preview,
        _KEPT: tuple(_adoptions(entry)),
        _DETACHED: tuple(_detachments(entry)),
    }
    yield from ((heading, listed) for heading, listed in found.items() if listed)


def _with_placeholders(entry: TargetResult, changes: Sequence[DocumentChange]) -> tuple[DocumentChange, ...]:
    content = [[change.before, change.after] for change in changes]
    names = Placeholders(entry.account_id, entry.region, entry.home_region, content)

    def shown(value: JsonValue) -> JsonValue:
        return value if value in MARKS else names.value(value)

    return tuple(replace(change, before=shown(change.before), after=shown(change.after)) for change in changes)


def _adoptions(entry: TargetResult) -> Iterator[DocumentChange]:
    changes = entry.change_set.changes if entry.change_set else ()
    changed = any(_CHANGED_GROUP in change.address and change.action == "update" for change in changes)
    for adoption in entry.adopted if entry.change_set else ():
        used = "used as it is, kept by destroy"
        if adoption.kind == "log_group" and changed:
            used = "changed, kept by destroy with key and retention of before"
        yield DocumentChange(f"{_ADOPTED[adoption.kind]} {adoption.name}", adoption.key_arn or "exists", used)


def _detachments(entry: TargetResult) -> Iterator[DocumentChange]:
    for attachment in dict.fromkeys((*entry.detached, *entry.attachments)):
        by = f", in favour of {attachment.successor_arn}" if attachment.successor_arn else ""
        state = "detached" if attachment in entry.detached else "will be detached"
        path = f"{attachment}, attached outside of Terraform"
        yield DocumentChange(path, f"has {attachment.policy_arn}", state + by)


def preview_line(change: DocumentChange) -> str:
    """Return a change of a document, such as `inputs.idleSessionTimeout: "30" → "20"`."""
    return f"{visible(change.path)}: {value_text(change.before)} → {value_text(change.after)}"


def notes(entries: Iterable[TargetResult]) -> list[tuple[str, list[TargetResult]]]:
    """Return each distinct note about plans, and each lockout, once with its targets.

    Account and region are placeholders in notes of several.
    """
    grouped: dict[str, list[tuple[str, TargetResult]]] = {}
    for entry in entries:
        for note in (*entry.notes, *(f"Locked out: {lockout}." for lockout in entry.lockouts)):
            names = Placeholders(entry.account_id, entry.region, entry.home_region, [note])
            grouped.setdefault(names.text(note), []).append((note, entry))
    return [
        (general if len(group) > 1 else group[0][0], [entry for _, entry in group])
        for general, group in grouped.items()
    ]


def exception_line(exception: PolicyException) -> str:
    """Return an exception in one sentence."""
    what = [*(f"skips {name}" for name in exception.skip), *(f"sets {path}" for path in exception.set)]
    return visible(
        f"Exception of {exception.owner}: {', '.join(what) or 'nothing'} in "
        f"{counted(len(exception.targets), 'target')}, until {exception.expires} "
        f"({counted(exception.days_left, 'day')} left): {exception.reason} ({exception.where})"
    )
