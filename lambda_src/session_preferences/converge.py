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
_MOST_CHANGES = 200  # that a result lists; it is stored in Terraform's state
# Another writer was faster, or AWS answers from before our own write.
_RACES = {"InvalidDocumentVersion", "InvalidDocument", "DocumentAlreadyExists"}


class Step(StrEnum):
    """The next write, by the outcome that it is reported as."""

    CREATE = "created"
    UPDATE = "updated"
    PROMOTE = "promoted"
    NOTHING = "unchanged"


@dataclass(frozen=True)
class DesiredDocument:
    """A text to reach, which texts count as reached, and its form when SSM refuses to repeat an earlier version."""

    text: str
    document_format: str
    matches: Callable[[str], bool]
    restated: Callable[[str], str] | None = None
    shared_with: tuple[str, ...] = ()


@dataclass(frozen=True)
class Situation:
    """The live document against the desired one: the differences, and the next write."""

    live: Live | None
    desired: DesiredDocument
    changes: list[Change]
    step: Step

    @property
    def done(self) -> bool:
        """Return whether the live document is the desired one."""
        if not self.live or self.step is not Step.NOTHING:
            return False
        return set(self.live.shared_with) == set(self.desired.shared_with)

    @property
    def outcome(self) -> str:
        """Return the outcome to report once the document is as desired."""
        return str(Step.UPDATE if self.changes and self.step is Step.NOTHING else self.step)


def assess(live: Live | None, wanted: Document) -> Situation:
    """Compare the live document with a wanted one."""
    desired = DesiredDocument(
        render(wanted),
        "JSON",
        matches=lambda text: not diff(parse(text), wanted.values()),
        restated=lambda latest: render(wanted, f"{DESCRIPTION} (restated after version {latest})"),
    )
    return Situation(live, desired, _find_changes(live, wanted), next_step(live, desired.matches))


def next_step(live: Live | None, matches: Callable[[str], bool]) -> Step:
    """Return what is missing until the latest version matches and is the default.

    Both count: the console reads the default version, `start-session --document-name` the latest one.
    """
    if live is None:
        return Step.CREATE
    if not matches(live.latest_text):
        return Step.UPDATE
    return Step.NOTHING if live.default_version == live.latest_version else Step.PROMOTE


def _find_changes(live: Live | None, wanted: Document) -> list[Change]:
    """Return all that differs: contents, the default version, sharing."""
    if live is None:
        return diff({}, wanted.values())
    latest = diff(parse(live.latest_text), wanted.values())
    changes = diff(parse(live.default_text), wanted.values()) or [*latest]
    if not latest and live.default_version != live.latest_version:
        changes.append(Change("default_version", live.default_version, live.latest_version))
    if live.shared_with:
        changes.append(Change("sharing", live.shared_with, []))
    return changes


def converge(store: Store, situation: Situation, look: Callable[[], Situation]) -> Situation:
    """Write until a look finds the document as desired; return what that look found.

    `look` observes and decides again: what is desired may have changed, too. Raises PreferencesError if another writer
    keeps changing the document.
    """
    for attempt in range(_ROUNDS):
        if not situation.done:
            try:
                write(store, situation)
            except AwsError as error:
                if error.code not in _RACES:
                    raise
                store.budget.pause(attempt)
        situation = look()
        if situation.done:
            return situation
    raise PreferencesError(
        f"{store.name} did not stay as it was written {_ROUNDS} times: another writer keeps changing it. Find out who "
        "in CloudTrail (UpdateDocument, UpdateDocumentDefaultVersion), then run it again."
    )


def write(store: Store, situation: Situation) -> None:
    """Make the next write that the situation needs."""
    live, desired, step = situation.live, situation.desired, situation.step
    if live is None:
        store.create(desired.text, desired.document_format)
        return
    # First, because of a shared document nothing can be deleted; but a document is better shared than tampered with.
    kept, refusal = set(live.shared_with) & set(desired.shared_with), None
    if kept != set(live.shared_with):
        try:
            store.share(live.shared_with, kept)
        except AwsError as error:
            if step is Step.NOTHING:
                raise
            refusal = error
    if step is Step.UPDATE:
        _update(store, live.latest_version, desired)
    elif step is Step.PROMOTE:
        store.promote(live.latest_version)
    if refusal:
        raise refusal
    store.share(kept, desired.shared_with)


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
    """Return the function's result, without values that may be secret."""
    shown = [change.as_dict() for change in changes[:_MOST_CHANGES]]
    if len(changes) > _MOST_CHANGES:
        shown.append({"path": f"({len(changes) - _MOST_CHANGES} more)", "from": None, "to": None})
    return {
        "document": store.name,
        "outcome": outcome,
        "default_version": live and live.default_version,
        "latest_version": live and live.latest_version,
        "changes": shown,
    }
