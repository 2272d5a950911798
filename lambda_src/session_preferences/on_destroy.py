"""Restore, retain or reset the document when its management ends."""

from typing import Any

from . import applied_settings, original_document, records
from .aws import Call
from .converge import DesiredDocument, Situation, assess, converge, next_step, result, write
from .document import Change, Document, build, diff, parse
from .errors import AwsError, InvalidPreferencesError, OriginalRecordError, PreferencesError, UnreadableDocumentError
from .original_document import Original
from .records import Records
from .request import Request
from .store import Live, Store

_ROUNDS = 8


def leave(request: Request, store: Store, call: Call) -> dict[str, Any]:
    """Restore, retain or reset the document; the record of the original stays until a look has found it restored.

    First the settings are deleted, without which no repair writes.
    """
    found = records.read(call)
    if request.on_destroy == "restore":
        return _restore(request, store, call, found)
    _end_management(call, store, found)
    if request.on_destroy == "retain":
        return result(store, "retained", store.observe(), [])
    neutral = Document()
    situation = assess(store.observe(), neutral)
    last = situation if situation.done else converge(store, situation, lambda: assess(store.observe(), neutral))
    return result(store, "reset", last.live, situation.changes)


def _end_management(call: Call, store: Store, found: Records) -> None:
    applied = found.applied_or_none()
    if applied and applied.document != store.name:
        return
    if found.applied_value is not None:
        applied_settings.forget(call)
    applied_settings.clean(call, None)


def _restore(request: Request, store: Store, call: Call, found: Records) -> dict[str, Any]:
    first = found.original()
    if first is None or first.existed is None or first.document != store.name:
        live = store.observe()
        _check_restored(request, live)
        _end_management(call, store, found)
        return result(store, "restored" if live else "deleted", live, [])
    _end_management(call, store, found)
    before = store.observe()
    now = _put_back(store, first, before)
    original_document.forget(call)
    changes = diff(_readable(before), _readable(now))
    if before and now and before.shared_with != now.shared_with:
        changes.append(Change("sharing", before.shared_with, now.shared_with))
    return result(store, "restored" if first.existed else "deleted", now, changes)


def _check_restored(request: Request, live: Live | None) -> None:
    # A destruction that is repeated after it succeeded finds no record, and no document of ours.
    values = _readable(live)
    try:
        ours = values and not diff(values, build(request.preferences, values).values())
    except InvalidPreferencesError:  # such a document was never written here
        ours = False
    if ours:
        raise OriginalRecordError(
            f"{original_document.PARAMETER} does not record what {request.document} was before it was managed, so it "
            'was left as it is. Set on_destroy to "retain" to leave it, or "reset" for preferences without logs; '
            "apply, then destroy again."
        )


def _put_back(store: Store, first: Original, live: Live | None) -> Live | None:
    """Write until a look finds the original: a repair that began before may write in between."""
    own = str(first.document_format or "JSON")
    for attempt in range(_ROUNDS):
        now = live if attempt == 0 and own == "JSON" else store.observe(own)
        if _is_original(now, first):
            return now if own == "JSON" else store.observe()
        try:
            _write_original(store, first, now)
        except AwsError as error:
            if error.code not in {"InvalidDocument", "InvalidDocumentVersion", "DocumentAlreadyExists"}:
                raise
            store.budget.pause(attempt)
    raise PreferencesError(
        f"{store.name} did not stay restored {_ROUNDS} times: another writer keeps changing it. Find out who in "
        "CloudTrail (CreateDocument, UpdateDocument, UpdateDocumentDefaultVersion), then destroy again."
    )


def _accounts(first: Original) -> tuple[str, ...]:
    return tuple(sorted(set(first.shared_with) - {"all"}))  # nothing is made public


def _is_original(now: Live | None, first: Original) -> bool:
    """Return whether a look, in the original's own format, has found what was recorded."""
    if not first.existed or now is None:
        return not first.existed and now is None
    latest = {now.default_version}
    if now.default_version == first.default_version and first.latest_version:
        latest = {first.latest_version}
    return (
        now.default_text == first.content
        and now.latest_version in latest
        and set(now.shared_with) == set(_accounts(first))
    )


def _write_original(store: Store, first: Original, now: Live | None) -> None:
    text, own = str(first.content), str(first.document_format)
    if not first.existed:
        if now:
            store.share(now.shared_with, [])  # nothing of a shared document can be deleted
            store.delete()
        return
    if now and first.default_version and store.has(text, first.default_version, own):
        store.share(now.shared_with, [])
        latest = first.latest_version or first.default_version
        store.roll_back(first.default_version, latest, now.latest_version)
        store.share([], _accounts(first))
        return
    desired = DesiredDocument(text, own, lambda found: found == text, shared_with=_accounts(first))
    write(store, Situation(now, desired, [], next_step(now, desired.matches)))
    if now is None and desired.shared_with:
        store.share([], desired.shared_with)


def _readable(live: Live | None) -> dict[str, object]:
    try:
        return parse(live.default_text) if live else {}
    except UnreadableDocumentError:
        return {}
