"""A document that exists already: whose it is, what is recorded of it, which of its values are kept."""

from collections.abc import Callable, Iterator, Mapping

from .document import Change, managed, parse
from .errors import AdoptionRefusedError, OriginalRecordError
from .original_document import PARAMETER, Original
from .request import Request
from .store import Live, Store

# The record, read when it is first asked for.
Record = Callable[[], Original | None]


def kept_values(request: Request, live: Live | None, record: Record) -> Iterator[Mapping[str, object]]:
    """What to put where nothing is managed, best first; what is not among the flat values is neutral.

    Merging keeps the live values, but never one that was managed before and is not any more: it was written here.
    Where the live values are unfit, those of the original document are next.
    """
    if request.adopt != "merge":
        yield {}
        return
    if live:
        released = managed(request.previous).keys() - managed(request.preferences).keys()
        before = _original_values(request, record()) if released else {}
        yield parse(live.default_text) | {path: before.get(path) for path in released}
    # Without a record a first run has the original before it: none of its values is dropped.
    if not live or request.action in {"update", "reconcile"} or record():
        yield _original_values(request, record())


def _original_values(request: Request, first: Original | None) -> dict[str, object]:
    return parse(first.json_text) if first and first.json_text and first.document == request.document else {}


def check_owner(request: Request, live: Live | None, first: Original | None, changes: list[Change]) -> None:
    """Raise OriginalRecordError or AdoptionRefusedError if the document is not ours to change."""
    name = request.document
    if first and first.document != name:
        raise OriginalRecordError(
            f"{PARAMETER} records {first.document}, and a region has one managed document. Destroy those "
            f"preferences before {name} is managed."
        )
    # A first run may have ended between the record and the write.
    untouched = not first or (request.action == "create" and live and live.default_text == first.json_text)
    if live and untouched and request.adopt == "fail":
        raise AdoptionRefusedError(
            f"{name} exists, differs from what is wanted, and adopt is fail, so nothing was touched. It differs in: "
            f"{'; '.join(map(str, changes))}. Find out who owns it; then set adopt to replace, or to merge, which "
            "keeps what is not managed here."
        )


def present(store: Store, live: Live | None) -> Original:
    """What is there, to be recorded."""
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
