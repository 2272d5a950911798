"""Find what was changed outside of Terraform and would not be put back: attributes that the provider computes."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

from session_manager_fleet.changes.change_set import SET_BY_AWS_OF

# Whatever a type computes besides: they follow from attributes that are compared.
_OF_ALL = frozenset({"tags_all"})
# After an apply, the state lacks what the first refresh reads as empty.
_NOTHING: tuple[object, ...] = (None, "", [], {})


# The policies of a role, of which each has a resource of its own: by its attribute, the type, and what names an entry.
_APART = {
    "inline_policy": ("aws_iam_role_policy", "name"),
    "managed_policy_arns": ("aws_iam_role_policy_attachment", "policy_arn"),
}


def left_as_changed(plan: Mapping[str, Any]) -> Iterator[str]:
    """Yield `address (attributes)` of what was changed outside of Terraform and stays so, as `terraform show` tells.

    Only names: a value may be a secret.
    """
    entries = plan.get("resource_changes", [])
    planned = {entry["address"]: entry["change"] for entry in entries}
    for entry in plan.get("resource_drift", []):
        change, kind = entry["change"], entry["type"]
        before, found = change.get("before") or {}, change.get("after")
        if entry.get("mode") != "managed" or found is None:
            continue
        after, unknown = _planned(planned.get(entry["address"], change))
        apart = _apart(entries, found.get("name")) if kind == "aws_iam_role" else {}
        names = [
            name
            for name, value in found.items()
            if value != before.get(name)
            and not (_without(value, apart.get(name)) in _NOTHING and before.get(name) in _NOTHING)
            and after.get(name) == value
            and not unknown.get(name)
        ]
        if names := sorted({*names} - _OF_ALL - SET_BY_AWS_OF.get(kind, frozenset())):
            yield f"{entry['address']} ({', '.join(names)})"


def _apart(entries: Iterable[Mapping[str, Any]], role: object) -> dict[str, set[object]]:
    """Return the policies of a role that have resources of their own, by the attribute of the role that names them."""
    found: dict[str, set[object]] = {}
    for name, (kind, key) in _APART.items():
        planned = (entry["change"].get("after") or {} for entry in entries if entry.get("type") == kind)
        found[name] = {after.get(key) for after in planned if after.get("role") == role}
    return found


def _without(value: object, apart: Collection[object] | None) -> object:
    """Return a list of policies without those that have resources of their own."""
    if apart is None or not isinstance(value, list):
        return value
    return [each for each in value if (each.get("name") if isinstance(each, dict) else each) not in apart]


def _planned(change: Mapping[str, Any]) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """Return the attributes after a change, and those that are unknown before the apply."""
    unknown = change.get("after_unknown")
    return change.get("after") or {}, unknown if isinstance(unknown, dict) else {}
