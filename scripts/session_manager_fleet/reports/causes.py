"""Group failed targets by equal cause, so that the same error in many targets is read once."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

from session_manager_fleet.changes import Placeholders
from session_manager_fleet.run import Failure, Step, TargetResult

# Ids that differ in every call to AWS and in every lock.
_CALL_IDS = re.compile(r"(?i)\b(request ?id:?|host ?id:?|lock info: id:)(\s*)[A-Za-z0-9+/=-]{8,}")


@dataclass(frozen=True)
class Cause:
    """A cause of failures and the targets that failed for it.

    Attributes:
        step: The step that failed.
        failure: The failure; if several targets have it, account and region are placeholders.
        targets: The results, in the order of work.
    """

    step: Step
    failure: Failure
    targets: tuple[TargetResult, ...]


def causes(entries: Iterable[TargetResult]) -> list[Cause]:
    """Return each distinct cause of failures once, the one of the most targets first."""
    grouped: dict[tuple[Step, Failure], list[TargetResult]] = {}
    for entry in entries:
        if entry.failure is not None:
            grouped.setdefault((entry.step, _with_placeholders(entry, entry.failure)), []).append(entry)
    found = [
        Cause(step, failure if len(targets) > 1 else targets[0].failure or failure, tuple(targets))
        for (step, failure), targets in grouped.items()
    ]
    return sorted(found, key=lambda cause: -len(cause.targets))


def _with_placeholders(entry: TargetResult, failure: Failure) -> Failure:
    texts = [failure.message, *failure.diagnostics]
    names = Placeholders(entry.account_id, entry.region, entry.home_region, texts)
    message, *diagnostics = (_CALL_IDS.sub(r"\1\2<id>", names.with_ids(names.text(text))) for text in texts)
    return replace(failure, message=message, diagnostics=tuple(diagnostics))


def without_local_paths(text: str, run_id: str) -> str:
    """Return a text with paths relative to the folder of the run, for readers who are on another machine."""
    folder = re.escape(run_id)
    return re.sub(rf"(?:(?<=: )/[^\n:\"']*?|[^\s\"'=(]*)/{folder}/", "", text)
