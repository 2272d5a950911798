"""Explain the settings of a target: every effective value with its origin."""

import datetime
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from session_manager_fleet.accounts import Account
from session_manager_fleet.errors import InputError
from session_manager_fleet.settings import Settings
from session_manager_fleet.targets.exceptions import PolicyException, register
from session_manager_fleet.targets.inventory import Inventory
from session_manager_fleet.targets.model import Target, targets_of
from session_manager_fleet.targets.variables import variables_of
from session_manager_fleet.yaml_source import KeyPath, format_key_path, nearest

BUILT_IN = "built-in default"


@dataclass(frozen=True)
class ExplainedValue:
    """An effective value and its origin.

    Attributes:
        key: Key path, as `preferences.cloudwatch.retention_in_days`.
        value: The effective value.
        layer: `built-in default`, `defaults`, `overrides[n]`, `exceptions[n]`, or the section of the value:
            `organization`, `log_archive`, `guardrails`.
        where: File and line, as `organization.yaml:12`; empty for a built-in default that no layer has touched.
        owner: Owner of the exception, if the layer is one.
        unset_by: Layer that removed the value of lower layers, so that the built-in default applies.
        placed_by: Account role because of which the target has this value.
    """

    key: str
    value: Any
    layer: str
    where: str = ""
    owner: str = ""
    unset_by: str = ""
    placed_by: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Return the content in the form of machine-readable output."""
        return {name: value if name == "value" else value or None for name, value in asdict(self).items()}


@dataclass(frozen=True)
class Explanation:
    """All effective values of a target, and the exceptions that apply to it."""

    target: Target
    values: tuple[ExplainedValue, ...]
    exceptions: tuple[PolicyException, ...]

    def changed(self) -> "Explanation":
        """Return the explanation without the built-in defaults that no layer has touched."""
        return replace(self, values=tuple(value for value in self.values if value.where))

    def as_dict(self) -> dict[str, Any]:
        """Return the content in the form of machine-readable output."""
        return {
            "region": self.target.region,
            "home": self.target.is_home,
            "wave": self.target.wave,
            "workspace": self.target.workspace,
            "values": [value.as_dict() for value in self.values],
            "exceptions": [entry.as_dict() for entry in self.exceptions],
        }


def explain(context: Inventory, account: Account, region: str | None, today: datetime.date) -> list[Explanation]:
    """Explain the settings of an account in one region, or in all, the home region first.

    Raises:
        InputError: The organization does not use the region, or the settings conflict.
    """
    used = context.regions_of(account)
    if region is not None and region not in used:
        who = f"account {account.id}" if region in context.regions else "organization"
        message = f'The {who} does not use the region "{region}"{nearest(region, used)}; it uses {", ".join(used)}.'
        raise InputError(message, "REGION")
    settings = context.settings
    found = targets_of(account, home_region=context.home_region, regions=used, waves=settings.waves)
    return [
        Explanation(
            target,
            tuple(_values(settings, target)),
            tuple(entry for entry in register(settings, [target], today) if entry.targets),
        )
        for target in found
        if region in {None, target.region}
    ]


def equal_explanations(explanations: Sequence[Explanation]) -> list[list[Explanation]]:
    """Group explanations with equal values, as those of several regions."""
    groups: list[list[Explanation]] = []
    for explanation in explanations:
        same = next((group for group in groups if group[0].values == explanation.values), None)
        if same is None:
            groups.append([explanation])
        else:
            same.append(explanation)
    return groups


def _values(settings: Settings, target: Target) -> Iterator[ExplainedValue]:
    effective = settings.effective(target.account, target.region)
    for key_path, value in _leaves(effective.values.model_dump()):
        key, origin = format_key_path(key_path), effective.origin(key_path)
        if origin is None:
            yield ExplainedValue(key, value, BUILT_IN)
        else:
            where = f"{settings.document.path}:{origin.line}"
            layer, unset_by = (BUILT_IN, origin.layer) if origin.unset else (origin.layer, "")
            yield ExplainedValue(key, value, layer, where, origin.owner, unset_by)
    role = target.account.role
    for key_path, value in _leaves(effective.foundation):
        where = _where(settings, key_path[:1])
        yield ExplainedValue(format_key_path(key_path), value, str(key_path[0]), where, placed_by=role)
    rendered = variables_of(target, effective, settings.organization.roles)
    for key_path, value in _leaves({key: rendered[key] for key in ("deployment_role", "read_role") if key in rendered}):
        key, written = format_key_path(key_path), ("organization", *key_path)
        if written in settings.document.lines:
            placed_by = role if value is None else ""
            yield ExplainedValue(key, value, "organization", _where(settings, written), placed_by=placed_by)
        else:
            yield ExplainedValue(key, value, BUILT_IN)


def _where(settings: Settings, key_path: KeyPath) -> str:
    return f"{settings.document.path}:{settings.document.line(key_path)}"


def _leaves(values: Mapping[str, Any], path: KeyPath = ()) -> Iterator[tuple[KeyPath, Any]]:
    for key, value in values.items():
        if isinstance(value, Mapping) and value:
            yield from _leaves(value, (*path, key))
        else:
            yield (*path, key), value
