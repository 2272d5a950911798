"""Adoption of an existing document: whether it may be changed, what is recorded of it, which of its values are kept."""

from collections.abc import Callable, Iterator, Mapping

from .document import Change, managed, parse
from .errors import AdoptionRefusedError, OriginalRecordError
from .original_document import PARAMETER, Original
from .request import Request
from .store import Live, Store

# The record, decoded when it is first asked for.
Record = Callable[[], Original | None]
_MOST_CHANGES = 50  # that a refusal lists


def kept_values(
    request: Request, live: Live | None, record: Record, before: Mapping[str, object]
) -> Iterator[Mapping[str, object]]:
    """Yield the values to put where nothing is managed, best first; paths that are absent from them are neutral.

    Merging keeps the live values, but never one that was managed `before` (preferences) and is not any more: the
    function wrote it. Where the live values are unfit, those of the original document are next.
    """
    if request.adopt != "merge":
        yield {}
        return
    if live:
        managed_before = managed(request.previous).keys() | managed(before).keys()
        released = managed_before - managed(request.preferences).keys()
        originals = _original_values(request, record()) if released else {}
        yield parse(live.default_text) | {path: originals.get(path) for path in released}
    # Without a record a first run has the original before it: none of its values is dropped.
    if not live or request.action in {"update", "reconcile"} or record():
        yield _original_values(request, record())


def _original_values(request: Request, first: Original | None) -> dict[str, object]:
    return parse(first.json_text) if first and first.json_text and first.document == request.document else {}


def check_owner(request: Request, live: Live | None, first: Original | None, changes: list[Change]) -> None:
    """Raise OriginalRecordError or AdoptionRefusedError if a first apply must not change the document."""
    name = request.document
    if first and first.document != name:
        raise OriginalRecordError(
            f"{PARAMETER} records {first.document}, and a region has one managed document. Destroy those "
            f"preferences before {name} is managed."
        )
    # A first run may have ended between the record and the write.
    untouched = not first or (live and live.default_text == first.json_text)
    if live and untouched and request.adopt == "fail":
        more = f"; and {len(changes) - _MOST_CHANGES} more" if len(changes) > _MOST_CHANGES else ""
        raise AdoptionRefusedError(
            f"{name} exists, differs from what is wanted, and adopt is fail, so nothing was touched. It differs in: "
            f"{'; '.join(map(str, changes[:_MOST_CHANGES]))}{more}. Find out who owns it; then set adopt to "
            "replace, or to merge, which keeps what is not managed here."
        )


def present(store: Store, live: Live | None) -> Original:
    """Return the record of the live document."""
    if live is None:
        return Original(store.name, existed=False)
    own, version, text = live.document_format, live.default_version, live.default_text
    return Original(
        store.name,
        existed=True,
        content=text if own == "JSON" else store.read(version, own),
        default_version=version,
        document_format=own,
        as_json=None if own == "JSON" else text,
        latest_version=live.latest_version,
        shared_with=live.shared_with,
    )
