"""Carries out a request: decides which document is wanted, checks it, and brings it about."""

from functools import cache
from typing import Any

from . import original_document
from .adoption import Record, check_owner, kept_values, present
from .aws import Budget, Call
from .converge import DesiredDocument, Step, converge, desired_document, find_changes, next_step, result
from .document import Change, Document, build, check, managed
from .errors import InvalidPreferencesError, PreferencesError, PreflightError
from .on_destroy import leave
from .preflight import DESTINATIONS, preflight
from .request import Request
from .store import Live, Store


def reconcile(request: Request, call: Call, budget: Budget, region: str | None) -> dict[str, Any]:
    """Carry out a request; returns the function's result, raises the PreferencesError that says what is wrong."""
    store = Store(call, budget, request.document)
    if request.action == "delete":
        return leave(request, store, call)
    # Bad preferences are refused before AWS is asked, unless the live document has a say in them.
    if request.adopt != "merge":
        check(build(request.preferences), request.waive)
    live, record = store.observe(), cache(lambda: original_document.read(call))
    desired, step, changes = _decide(request, live, record, call, region)
    if request.action == "diff":
        return result(store, "differs" if changes else "unchanged", live, changes)
    if request.action == "create" and record() is None:
        original_document.record(call, present(store, live))
    if not changes:
        return result(store, step, live, changes)
    outcome = Step.UPDATE if step is Step.NOTHING else step  # of the sharing alone
    return result(store, outcome, converge(store, live, desired), changes)


def _decide(
    request: Request, live: Live | None, record: Record, call: Call, region: str | None
) -> tuple[DesiredDocument, Step, list[Change]]:
    """The best document that may be written, and what is to be done; raises what is wrong with the very best one."""
    refusals: list[PreferencesError] = []
    for keep in kept_values(request, live, record):
        try:
            wanted = build(request.preferences, keep)
            check(wanted, request.waive)
            desired, changes = desired_document(wanted), find_changes(live, wanted)
            step = next_step(live, desired.matches)
            if changes and request.action in {"create", "reconcile"}:
                check_owner(request, live, record(), changes)
            if request.action != "diff" and (step is not Step.NOTHING or _keeps_destination(request, wanted)):
                preflight(wanted, call, region, request.waive)
        except (InvalidPreferencesError, PreflightError) as refusal:
            refusals.append(refusal)
        else:
            return desired, step, changes
    raise refusals[0]


def _keeps_destination(request: Request, wanted: Document) -> bool:
    # It may have become unusable though nothing differs. Repeated looks are spared the calls.
    values, ours = wanted.values(), managed(request.preferences)
    return request.action != "reconcile" and any(values[path] and path not in ours for path in DESTINATIONS)
