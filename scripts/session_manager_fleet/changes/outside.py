"""Find what was changed outside of Terraform and would not be put back: attributes that the provider computes."""

from collections.abc import Iterator, Mapping
from typing import Any

from session_manager_fleet.changes.change_set import SET_BY_AWS_OF

# Whatever a type computes besides: they follow from attributes that are compared.
_OF_ALL = frozenset({"tags_all"})
# After an apply, the state lacks what the first refresh reads as empty.
_NOTHING: tuple[object, ...] = (None, "", [], {})


def left_as_changed(plan: Mapping[str, Any]) -> Iterator[str]:
    """Yield `address (attributes)` of what was changed outside of Terraform and stays so, as `terraform show` tells.

    Only names: a value may be a secret.
    """
    planned = {entry["address"]: entry["change"] for entry in plan.get("resource_changes", [])}
    for entry in plan.get("resource_drift", []):
        change, kind = entry["change"], entry["type"]
        before, found = change.get("before") or {}, change.get("after")
        if entry.get("mode") != "managed" or found is None:
            continue
        after, unknown = _planned(planned.get(entry["address"], change))
        names = [
            name
            for name, value in found.items()
            if value != before.get(name)
            and not (value in _NOTHING and before.get(name) in _NOTHING)
            and after.get(name) == value
            and not unknown.get(name)
        ]
        if names := sorted({*names} - _OF_ALL - SET_BY_AWS_OF.get(kind, frozenset())):
            yield f"{entry['address']} ({', '.join(names)})"


def _planned(change: Mapping[str, Any]) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """Return the attributes after a change, and those that are unknown before the apply."""
    unknown = change.get("after_unknown")
    return change.get("after") or {}, unknown if isinstance(unknown, dict) else {}
