"""The state machine: look, decide, write if needed, look again.

Each version written is the whole wanted document, becomes the default once it is active, and names the version it
was decided on, so that a concurrent writer makes it fail and look again. Whatever call fails, the document is the
old or the new one, and a second run finishes.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from . import original
from .aws import Budget, Call
from .document import DESCRIPTION, Change, Document, build, check, diff, parse, render
from .errors import AdoptionRefusedError, AwsError, OriginalRecordError, PreferencesError, UnreadableDocumentError
from .preflight import preflight
from .request import Request
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
class Target:
    """A text to reach, which texts count as reached, and its form when SSM refuses to repeat an earlier version."""

    text: str
    document_format: str
    matches: Callable[[str], bool]
    restated: Callable[[str], str] | None = None


def reconcile(request: Request, call: Call, budget: Budget, region: str | None) -> dict[str, Any]:
    """Carry out a request; returns the function's result, raises the PreferencesError that says what is wrong."""
    store = Store(call, budget, request.document)
    if request.action != "delete":
        return _apply(request, store, call, region)
    result = {"restore": _restore, "retain": _retain, "reset": _reset}[request.on_destroy](store, call)
    original.forget(call)
    return result


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


def _target(wanted: Document) -> Target:
    return Target(
        render(wanted),
        "JSON",
        matches=lambda text: not diff(parse(text), wanted.values()),
        restated=lambda latest: render(wanted, f"{DESCRIPTION} (restated after version {latest})"),
    )


def _apply(request: Request, store: Store, call: Call, region: str | None) -> dict[str, Any]:
    def fit(keep: dict[str, object] | None = None) -> Document:
        document = build(request.preferences, keep)
        check(document, request.waive)
        return document

    # Bad preferences are refused before AWS is asked, unless the live document has a say in them.
    wanted = None if request.adopt == "merge" else fit()
    live = store.observe()
    wanted = wanted or fit(parse(live.default_text) if live else {})
    changes, target = find_changes(live, wanted), _target(wanted)
    if request.action == "diff":
        return _result(store, "differs" if changes else "unchanged", live, changes)
    step = next_step(live, target.matches)
    if request.action == "create" and changes:
        _check_owner(request, call, live, changes)
    if step is not Step.NOTHING:
        preflight(wanted, call, region, request.waive)
    if request.action == "create":
        original.record(call, _present(store, live))
    if not changes:
        return _result(store, step, live, changes)
    outcome = Step.UPDATE if step is Step.NOTHING else step  # of the sharing alone
    return _result(store, outcome, _converge(store, live, target), changes)


def _check_owner(request: Request, call: Call, live: Live | None, changes: list[Change]) -> None:
    first, name = original.read(call), request.document
    if first and first.document != name:
        raise OriginalRecordError(
            f"{original.PARAMETER} records {first.document}, and a region has one managed document. Destroy those "
            f"preferences before {name} is managed."
        )
    if live and not first and request.adopt == "fail":
        raise AdoptionRefusedError(
            f"{name} exists, differs from what is wanted, and adopt is fail, so nothing was touched. It differs in: "
            f"{'; '.join(map(str, changes))}. Find out who owns it; then set adopt to replace, or to merge, which "
            "keeps what is not managed here."
        )


def _present(store: Store, live: Live | None) -> original.Original:
    if live is None:
        return original.Original(store.name, existed=False)
    own, version, text = live.document_format, live.default_version, live.default_text
    if own != "JSON":
        text = store.read(version, own)
    return original.Original(store.name, existed=True, content=text, default_version=version, document_format=own)


def _retain(store: Store, _call: Call) -> dict[str, Any]:
    return _result(store, "retained", store.observe(), [])


def _reset(store: Store, _call: Call) -> dict[str, Any]:
    live, neutral = store.observe(), Document()
    changes = find_changes(live, neutral)
    return _result(store, "reset", _converge(store, live, _target(neutral)), changes)


def _restore(store: Store, call: Call) -> dict[str, Any]:
    live, before = store.observe(), original.read(call)
    if before is None and live is None:
        return _result(store, "deleted", None, [])
    if before is None or before.document != store.name:
        raise OriginalRecordError(
            f"{original.PARAMETER} does not tell what {store.name} was before it was managed, so it was left as it is. "
            'Set on_destroy to "retain" to leave it, or "reset" for preferences without logs; apply, then destroy '
            "again. If it was given back already, remove the invocation from the state."
        )
    if not before.existed:
        if live:
            store.unshare(live.shared_with)
            store.delete()
        return _result(store, "deleted", None, diff(_readable(live), {}))
    text, own = str(before.content), str(before.document_format)
    there = live if own == "JSON" else store.observe(own)
    after = _converge(store, there, Target(text, own, lambda now: now == text))
    now = after if own == "JSON" else store.observe()
    return _result(store, "restored", after, diff(_readable(live), _readable(now)))


def _readable(live: Live | None) -> dict[str, object]:
    try:
        return parse(live.default_text) if live else {}
    except UnreadableDocumentError:
        return {}


def _converge(store: Store, live: Live | None, target: Target) -> Live:
    for attempt in range(_ROUNDS):
        step = next_step(live, target.matches)
        if live and step is Step.NOTHING and not live.shared_with:
            return live
        try:
            _take(step, store, live, target)
        except AwsError as error:
            if error.code not in _RACES:
                raise
            store.budget.pause(attempt)
        live = store.observe(target.document_format)
    raise PreferencesError(
        f"{store.name} did not stay as it was written {_ROUNDS} times: somebody else keeps changing it. Find out who "
        "in CloudTrail (UpdateDocument, UpdateDocumentDefaultVersion), then run it again."
    )


def _take(step: Step, store: Store, live: Live | None, target: Target) -> None:
    if live is None:
        store.create(target.text, target.document_format)
        return
    if step is Step.UPDATE:
        _update(store, live.latest_version, target)
    elif step is Step.PROMOTE:
        store.promote(live.latest_version)
    store.unshare(live.shared_with)


def _update(store: Store, latest: str, target: Target) -> None:
    try:
        store.update(target.text, target.document_format, after=latest)
    except AwsError as error:
        done = False
        if error.code == "DocumentVersionLimitExceeded":
            done = store.prune()
        # Some earlier version has this very text; SSM does not say which versions it compares with.
        elif error.code == "DuplicateDocumentContent" and target.restated:
            store.update(target.restated(latest), target.document_format, after=latest)
            done = True
        elif error.code == "DuplicateDocumentContent":
            done = store.return_to(target.text, target.document_format, latest)
        if not done:
            raise


def _result(store: Store, outcome: str, live: Live | None, changes: list[Change]) -> dict[str, Any]:
    return {
        "document": store.name,
        "outcome": str(outcome),
        "default_version": live and live.default_version,
        "latest_version": live and live.latest_version,
        "changes": [{"path": item.path, "from": item.before, "to": item.after} for item in changes],
    }
