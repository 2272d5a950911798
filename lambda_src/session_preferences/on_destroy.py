"""What becomes of the document when it is managed no longer."""

from typing import Any

from . import original_document
from .aws import Call
from .converge import DesiredDocument, converge, desired_document, find_changes, result
from .document import Change, Document, build, diff, parse
from .errors import InvalidPreferencesError, OriginalRecordError, UnreadableDocumentError
from .request import Request
from .store import Live, Store


def leave(request: Request, store: Store, call: Call) -> dict[str, Any]:
    """Restore, retain or reset the document; the record stays unless what it tells has been given back."""
    if request.on_destroy == "restore":
        return _restore(request, store, call)
    live = store.observe()
    if request.on_destroy == "retain":
        return result(store, "retained", live, [])
    neutral = Document()
    changes = find_changes(live, neutral)
    return result(store, "reset", converge(store, live, desired_document(neutral)), changes)


def _restore(request: Request, store: Store, call: Call) -> dict[str, Any]:
    live, first = store.observe(), original_document.read(call)
    if first is None or first.document != store.name:
        _check_given_back(request, live)
        return result(store, "restored" if live else "deleted", live, [])
    now = None
    if live:
        store.share(live.shared_with, [])  # nothing of a shared document can be deleted
    if first.existed:
        now = _put_back(store, live, first)
    elif live:
        store.delete()
    original_document.forget(call)
    changes = diff(_readable(live), _readable(now))
    if live and now and live.shared_with != now.shared_with:
        changes.append(Change("sharing", live.shared_with, now.shared_with))
    return result(store, "restored" if first.existed else "deleted", now, changes)


def _check_given_back(request: Request, live: Live | None) -> None:
    # A destruction that is repeated after it succeeded finds no record, and nothing of ours.
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


def _put_back(store: Store, live: Live | None, first: original_document.Original) -> Live | None:
    text, own = str(first.content), str(first.document_format)
    accounts = tuple(set(first.shared_with) - {"all"})  # nothing is made public
    if live and first.default_version and first.latest_version and store.has(text, first.default_version, own):
        store.roll_back(first.default_version, first.latest_version, live.latest_version)
        store.share([], accounts)
    else:
        converge(store, store.observe(own), DesiredDocument(text, own, lambda now: now == text, shared_with=accounts))
    return store.observe()


def _readable(live: Live | None) -> dict[str, object]:
    try:
        return parse(live.default_text) if live else {}
    except UnreadableDocumentError:
        return {}
