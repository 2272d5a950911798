"""A plan as a normalized change set with a fingerprint, so that equal changes of many accounts are read once."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fleet.targets import Target

_KEY_ID = re.compile(r"\b(mrk-[0-9a-f]{32}|[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})\b")

# Order and symbols of actions, the destructive ones first.
ACTIONS: Mapping[str, str] = {"replace": "-/+", "delete": "-", "forget": "x", "update": "~", "create": "+"}


@dataclass(frozen=True)
class ResourceChange:
    """What happens to one resource.

    Attributes:
        action: A key of ACTIONS.
        address: Terraform's address.
        detail: Attributes before and after, with placeholders for what differs between targets, as canonical JSON.
    """

    action: str
    address: str
    detail: str


@dataclass(frozen=True)
class ChangeSet:
    """All changes of a plan, free of account ids, regions and key ids.

    Attributes:
        changes: Destructive ones first, then by address.
        outputs: Names of root outputs that change.
    """

    changes: tuple[ResourceChange, ...]
    outputs: tuple[str, ...]

    @property
    def fingerprint(self) -> str:
        """Equal for change sets that do the same, whatever the account and the region."""
        content = json.dumps(
            [[change.action, change.address, change.detail] for change in self.changes] + [list(self.outputs)]
        )
        return hashlib.sha256(content.encode()).hexdigest()[:12]


def change_set(plan: Mapping[str, Any], target: Target) -> ChangeSet:
    """Normalize a plan in terraform's JSON format (`terraform show -json`)."""
    changes = []
    for entry in plan.get("resource_changes", []):
        action = _action(entry["change"]["actions"])
        if action is not None:
            changes.append(ResourceChange(action, entry["address"], _detail(entry["change"], target)))
    rank = {action: number for number, action in enumerate(ACTIONS)}
    changes.sort(key=lambda change: (rank[change.action], change.address))
    outputs = [
        name for name, change in plan.get("output_changes", {}).items() if change.get("actions") not in (["no-op"], [])
    ]
    return ChangeSet(tuple(changes), tuple(sorted(outputs)))


def _action(actions: list[str]) -> str | None:
    """Return the one word for terraform's list of actions; None where nothing is done to the resource."""
    if "delete" in actions and "create" in actions:
        return "replace"
    return next((action for action in actions if action in ACTIONS), None)


def _detail(change: Mapping[str, Any], target: Target) -> str:
    """Return before and after as canonical JSON; values terraform does not know yet, and secrets, are marked so."""
    before = _masked(change.get("before"), change.get("before_sensitive"))
    after = _masked(_with_unknown(change.get("after"), change.get("after_unknown")), change.get("after_sensitive"))
    return _normalized(json.dumps([before, after], sort_keys=True, separators=(",", ":")), target)


def _with_unknown(value: Any, unknown: Any) -> Any:  # noqa: ANN401 - attributes are any JSON
    """Put a mark where terraform will know the value only after the apply."""
    if unknown is True:
        return "(known after apply)"
    if isinstance(unknown, Mapping):
        known = value if isinstance(value, Mapping) else {}
        return {key: _with_unknown(known.get(key), unknown.get(key)) for key in {*known, *unknown}}
    if isinstance(unknown, list) and isinstance(value, list):
        return [_with_unknown(item, mark) for item, mark in zip(value, unknown, strict=False)]
    return value


def _masked(value: Any, sensitive: Any) -> Any:  # noqa: ANN401 - attributes are any JSON
    """Replace what terraform calls sensitive by a mark."""
    if sensitive is True:
        return "(sensitive)"
    if isinstance(sensitive, Mapping) and isinstance(value, Mapping):
        return {key: _masked(item, sensitive.get(key)) for key, item in value.items()}
    if isinstance(sensitive, list) and isinstance(value, list):
        return [_masked(item, mark) for item, mark in zip(value, sensitive, strict=False)]
    return value


def _normalized(text: str, target: Target) -> str:
    """Replace by placeholders what names the account, its regions and its keys."""
    for known, placeholder in (
        (target.account.id, "<account>"),
        (target.region, "<region>"),
        (target.home_region, "<home region>"),
    ):
        text = re.sub(rf"(?<![A-Za-z0-9]){re.escape(known)}(?![A-Za-z0-9])", placeholder, text)
    return _KEY_ID.sub("<key id>", text)


@dataclass(frozen=True)
class ChangeGroup:
    """Targets whose plans do the same."""

    change_set: ChangeSet
    targets: tuple[Target, ...]


def group_equal(change_sets: Iterable[tuple[Target, ChangeSet]]) -> list[ChangeGroup]:
    """Group targets by equal change set, the largest group first."""
    groups: dict[str, list[tuple[Target, ChangeSet]]] = {}
    for target, changes in change_sets:
        groups.setdefault(changes.fingerprint, []).append((target, changes))
    grouped = [ChangeGroup(members[0][1], tuple(target for target, _ in members)) for members in groups.values()]
    return sorted(grouped, key=lambda group: (-len(group.targets), group.change_set.fingerprint))
