"""The state machine: look, decide, write if needed, look again.

Each version written is the whole wanted document, becomes the default once it is active, and names the version it
was decided on, so that a concurrent writer makes it fail and look again. Whatever call fails, the document is the
old or the new one, and a second run finishes.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from .document import DESCRIPTION, Change, Document, diff, parse, render
from .errors import AwsError, PreferencesError
from .store import Live, Store

_ROUNDS = 8
# Somebody else wrote in between, or AWS answers from before our own write.
_RACES = {"InvalidDocumentVersion", "InvalidDocument", "DocumentAlreadyExists"}


class Step(StrEnum):
    """The next write, by the outcome that it is reported as."""

    CREATE = "created"
    UPDATE = "updated"
    PROMOTE = "promoted"
    NOTHING = "unchanged"


@dataclass(frozen=True, slots=True)
class DesiredDocument:
    """A text to reach, which texts count as reached, and its form when SSM refuses to repeat an earlier version.

    `shared_with` are the accounts that may read the document in the end.
    """

    text: str
    document_format: str
    matches: Callable[[str], bool]
    restated: Callable[[str], str] | None = None
    shared_with: tuple[str, ...] = ()


def desired_document(wanted: Document) -> DesiredDocument:
    """Return the document to reach."""
    return DesiredDocument(
        render(wanted),
        "JSON",
        matches=lambda text: not diff(parse(text), wanted.values()),
        restated=lambda latest: render(wanted, f"{DESCRIPTION} (restated after version {latest})"),
    )


def next_step(live: Live | None, matches: Callable[[str], bool]) -> Step:
    """What is missing until the latest version matches and is the default.

    Both count: the console reads the default version, `start-session --document-name` the latest one.
    """
    if live is None:
        return Step.CREATE
    if not matches(live.latest_text):
        return Step.UPDATE
    return Step.NOTHING if live.default_version == live.latest_version else Step.PROMOTE


def find_changes(live: Live | None, wanted: Document) -> list[Change]:
    """All that differs: contents, the default version, sharing."""
    if live is None:
        return diff({}, wanted.values())
    strayed = diff(parse(live.latest_text), wanted.values())
    changes = diff(parse(live.default_text), wanted.values()) or [*strayed]
    if not strayed and live.default_version != live.latest_version:
        changes.append(Change("default_version", live.default_version, live.latest_version))
    if live.shared_with:
        changes.append(Change("sharing", live.shared_with, []))
    return changes


def converge(store: Store, live: Live | None, desired: DesiredDocument) -> Live:
    """Write until the live document is the desired one; raises PreferencesError if somebody else keeps changing it."""
    for attempt in range(_ROUNDS):
        step = next_step(live, desired.matches)
        if live and step is Step.NOTHING and set(live.shared_with) == set(desired.shared_with):
            return live
        try:
            _take(step, store, live, desired)
        except AwsError as error:
            if error.code not in _RACES:
                raise
            store.budget.pause(attempt)
        live = store.observe(desired.document_format)
    raise PreferencesError(
        f"{store.name} did not stay as it was written {_ROUNDS} times: somebody else keeps changing it. Find out who "
        "in CloudTrail (UpdateDocument, UpdateDocumentDefaultVersion), then run it again."
    )


def _take(step: Step, store: Store, live: Live | None, desired: DesiredDocument) -> None:
    if live is None:
        store.create(desired.text, desired.document_format)
        return
    if step is Step.UPDATE:
        _update(store, live.latest_version, desired)
    elif step is Step.PROMOTE:
        store.promote(live.latest_version)
    store.share(live.shared_with, desired.shared_with)


def _update(store: Store, latest: str, desired: DesiredDocument) -> None:
    try:
        store.update(desired.text, desired.document_format, after=latest)
    except AwsError as error:
        done = False
        if error.code == "DocumentVersionLimitExceeded":
            done = store.prune()
        # Some earlier version has this very text; SSM does not say which versions it compares with.
        elif error.code == "DuplicateDocumentContent" and desired.restated:
            store.update(desired.restated(latest), desired.document_format, after=latest)
            done = True
        elif error.code == "DuplicateDocumentContent":
            done = store.return_to(desired.text, desired.document_format, latest)
        if not done:
            raise


def result(store: Store, outcome: str, live: Live | None, changes: list[Change]) -> dict[str, Any]:
    """What the function returns."""
    return {
        "document": store.name,
        "outcome": str(outcome),
        "default_version": live and live.default_version,
        "latest_version": live and live.latest_version,
        "changes": [{"path": item.path, "from": item.before, "to": item.after} for item in changes],
    }
