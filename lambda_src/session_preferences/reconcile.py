"""Carry out a request: apply settings and store them, repair drift from them, or compare.

An apply stores its settings before it writes the document. A repair reads them after it has looked at the document,
writes on top of the version that it looked at only, and looks and reads again until both agree. So a repair that an
apply or a destruction overtakes never has the last word.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any

from . import applied_settings, original_document, records
from .adoption import check_owner, kept_values, present
from .applied_settings import AppliedSettings
from .aws import Budget, Call
from .converge import Situation, Step, assess, converge, result
from .document import Document, build, check, managed, parse
from .errors import (
    CALL_AGAIN,
    AppliedSettingsError,
    DestinationError,
    InvalidPreferencesError,
    LateEventError,
    NotManagedError,
    PreferencesError,
    PreflightError,
)
from .original_document import Original
from .preflight import DESTINATIONS, Problem, find_problems, preflight
from .records import Records
from .request import Request
from .store import Live, Store

_LOOKS = 6  # for settings that were just stored


def reconcile(request: Request, call: Call, budget: Budget, region: str | None) -> dict[str, Any]:
    """Carry out a request; return the function's result, raise the PreferencesError that says what is wrong."""
    store = Store(call, budget, request.document)
    if request.action == "delete":
        from .on_destroy import leave  # noqa: PLC0415 - seldom needed

        return leave(request, store, call)
    if request.action == "reconcile":
        return _Repair(request, store, call, region).run()
    # Bad preferences are refused before AWS is asked, unless values of the live document are kept.
    if request.adopt != "merge":
        check(build(request.preferences), request.waive)
    if request.action == "diff":
        return _compare(request, store, call)
    return _Apply(request, store, call, region).run()


def _compare(request: Request, store: Store, call: Call) -> dict[str, Any]:
    live = store.observe()
    record = cache(lambda: original_document.read(call))
    situation = _choose(request, live, record, {}, lambda *_: None)
    return result(store, "differs" if situation.changes else "unchanged", live, situation.changes)


def _choose(
    request: Request,
    live: Live | None,
    record: Callable[[], Original | None],
    before: dict[str, Any],
    inspect: Callable[[Situation, Document], None],
) -> Situation:
    """Return the situation for the best document that may be written; raise what is wrong with the very best one."""
    refusals: list[PreferencesError] = []
    for keep in kept_values(request, live, record, before):
        try:
            wanted = build(request.preferences, keep)
            check(wanted, request.waive)
            situation = assess(live, wanted)
            inspect(situation, wanted)
        except (InvalidPreferencesError, PreflightError) as refusal:
            refusals.append(refusal)
        else:
            return situation
    raise refusals[0]


class _Apply:
    """Terraform's create or update: its preferences become the stored settings, and the document follows."""

    def __init__(self, request: Request, store: Store, call: Call, region: str | None) -> None:
        self._request = request
        self._store = store
        self._call = call
        self._region = region
        self._checked: set[Document] = set()
        self._before: AppliedSettings | None = None
        self._current = False

    def run(self) -> dict[str, Any]:
        first = last = self._look()
        if not self._current:
            changed = self._store_settings()
            if changed and first.done:
                last = self._look()  # a repair with the settings before may have been under way
        if not last.done:
            last = converge(self._store, last, self._look)
        self._clean()
        return result(self._store, first.outcome, last.live, first.changes)

    def _look(self) -> Situation:
        live, found = self._store.observe(), records.read(self._call)
        if self._current:
            self._await_own_settings(found)
        else:
            self._before = found.applied_or_none()
            if self._before:
                self._before.refuse_other(self._store.name)
                self._before.refuse_late(self._request)
        before = dict(self._before.preferences) if self._before else {}
        situation = _choose(self._request, live, found.original, before, self._inspect(live, found))
        if found.original_value is None and not self._current:
            self._record(live)
        return situation

    def _inspect(self, live: Live | None, found: Records) -> Callable[[Situation, Document], None]:
        request = self._request

        def inspect(situation: Situation, wanted: Document) -> None:
            if situation.changes and request.action == "create" and not self._current:
                check_owner(request, live, found.original(), situation.changes)
            needed = situation.step is not Step.NOTHING or _keeps_destination(request, wanted)
            if needed and wanted not in self._checked:
                preflight(wanted, self._call, self._region, request.waive)
                self._checked.add(wanted)

        return inspect

    def _record(self, live: Live | None) -> None:
        # An update without a record: it was deleted, and what was there before is not known any more.
        known = self._request.action == "create"
        first = present(self._store, live) if known else Original(self._request.document, existed=None)
        original_document.record(self._call, first)

    def _store_settings(self) -> bool:
        """Store the settings; return whether they differ from those before."""
        self._current = True
        wanted = AppliedSettings.of(self._request, self._before)
        before = self._before
        if before and replace(before, superseded=()) == replace(wanted, superseded=()):
            return False
        applied_settings.store(self._call, wanted, self._request)
        return not before or before.settings != wanted.settings

    def _await_own_settings(self, found: Records) -> None:
        for attempt in range(_LOOKS):
            applied = found.applied_or_none()
            if applied and applied.event == self._request.event_digest:
                return
            if applied and (not self._before or applied.event != self._before.event):
                raise LateEventError(
                    f"Another apply has stored other settings for {self._store.name} meanwhile, so this one stopped. "
                    "If these preferences are wanted, apply again."
                )
            self._store.budget.pause(attempt)  # AWS answers from before our own write
            found = records.read(self._call)
        raise AppliedSettingsError(
            f"{applied_settings.PARAMETER} was stored and cannot be read. To store it again, {CALL_AGAIN}"
        )

    def _clean(self) -> None:
        before = self._before.preferences.get("shellProfile") if self._before else None
        wanted = AppliedSettings.of(self._request, self._before)
        if (before or None) != (wanted.preferences.get("shellProfile") or None):
            applied_settings.clean(self._call, wanted)


def _keeps_destination(request: Request, wanted: Document) -> bool:
    # A kept destination can break without a change to the document.
    values, ours = wanted.values(), managed(request.preferences)
    return any(values[path] and path not in ours for path in DESTINATIONS)


class _Repair:
    """A reconcile: brings the document back to the stored settings, whatever the event says.

    An unusable destination does not keep the document from being repaired, because a tampered one is no safer; it
    makes the run fail afterwards.
    """

    def __init__(self, request: Request, store: Store, call: Call, region: str | None) -> None:
        self._request = request
        self._store = store
        self._call = call
        self._region = region
        self._problems: dict[Document, list[Problem]] = {}
        self._wanted: Document | None = None
        self._waived: frozenset[str] = frozenset()

    def run(self) -> dict[str, Any]:
        first = last = self._look()
        if not first.done:
            try:
                last = converge(self._store, first, self._look)
            except NotManagedError:
                self._undo(first)
                raise
        found = result(self._store, first.outcome, last.live, first.changes)
        # Of an API call also when it was repaired before: else Lambda's retry would hide the failure.
        if not first.done or self._request.destinations or self._request.cause:
            self._raise_problems(found)
        return found

    def _look(self) -> Situation:
        live, found = self._store.observe(), records.read(self._call)
        applied = self._managed(found)
        request = applied.request(self._request, self._call, parse(live.default_text) if live else {})
        self._waived = request.waive
        unfit: list[Situation] = []

        def inspect(situation: Situation, wanted: Document) -> None:
            self._wanted = wanted
            if request.adopt != "merge" or situation.done:
                return
            ours = managed(request.preferences)
            kept = [problem for problem in self._find_problems(wanted) if problem.path not in ours]
            if kept:
                unfit.append(situation)
                raise PreflightError(" ".join(map(str, kept)))

        try:
            return _choose(request, live, found.original, {}, inspect)
        except (InvalidPreferencesError, PreflightError):
            if not unfit:
                raise
            return unfit[-1]  # the original values, as the live ones may be another writer's

    def _managed(self, found: Records) -> AppliedSettings:
        applied = found.applied()
        if applied is None or found.original_value is None:
            missing = applied_settings.PARAMETER if applied is None else original_document.PARAMETER
            raise NotManagedError(
                f"{self._store.name} is not repaired, because no apply is recorded to manage it: the parameter "
                f"{missing} does not exist. Nothing was written. If it is to be managed, {CALL_AGAIN}"
            )
        applied.refuse_other(self._store.name)
        return applied

    def _find_problems(self, wanted: Document) -> list[Problem]:
        if wanted not in self._problems:
            self._problems[wanted] = find_problems(wanted, self._call, self._region, self._waived, failures=True)
        return self._problems[wanted]

    def _raise_problems(self, found: dict[str, Any]) -> None:
        problems = self._find_problems(self._wanted) if self._wanted else []
        if problems:
            raise DestinationError(
                f"{self._store.name} matches the configuration ({found['outcome']}), but sessions may be refused or "
                f"their logs lost: {' '.join(map(str, problems))}",
                found,
            )

    def _undo(self, before: Situation) -> None:
        """Take back what was written while a destruction finished."""
        now = self._store.observe()
        if now is None or not before.desired.matches(now.latest_text):
            return
        if before.live is None:
            self._store.delete()
        elif now.latest_version != before.live.latest_version:
            self._store.roll_back(before.live.default_version, before.live.latest_version, now.latest_version)
