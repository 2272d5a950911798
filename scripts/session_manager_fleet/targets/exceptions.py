"""The exception register: who wants what for which targets, until when, and whether that time is over."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from session_manager_fleet.errors import InputError, Problem
from session_manager_fleet.yaml_source import KeyPath, format_key_path

if TYPE_CHECKING:
    from session_manager_fleet.settings import Settings
    from session_manager_fleet.targets.model import Target

WARNING_DAYS = 30


@dataclass(frozen=True)
class PolicyException:
    """An entry of the register, with what it means today.

    Attributes:
        owner: Who answers for it.
        reason: Why it is needed.
        expires: Its last day.
        days_left: Days until then; negative when that day is over.
        targets: Keys of the targets that it applies to, `account/region`.
        skip: Components that it leaves out.
        set: Key paths of the values that it sets, as `preferences.idle_session_timeout`.
        where: Where it stands, as `organization.yaml:40 (exceptions[0])`.
    """

    owner: str
    reason: str
    expires: datetime.date
    days_left: int
    targets: tuple[str, ...]
    skip: tuple[str, ...]
    set: tuple[str, ...]
    where: str

    @property
    def expired(self) -> bool:
        """Whether its last day is over."""
        return self.days_left < 0

    def as_dict(self) -> dict[str, Any]:
        """Return it in the form of all machine-readable output."""
        return {
            "owner": self.owner,
            "reason": self.reason,
            "expires": self.expires.isoformat(),
            "days_left": self.days_left,
            "expired": self.expired,
            "targets": list(self.targets),
            "skip": list(self.skip),
            "set": list(self.set),
            "where": self.where,
        }


def register(settings: Settings, targets: Sequence[Target], today: datetime.date) -> list[PolicyException]:
    """Return all exceptions, those that expire first in front.

    Args:
        settings: organization.yaml.
        targets: The targets to tell apart; others are not listed.
        today: The day to count from.
    """
    data = settings.document.data.get("exceptions") or []
    entries = []
    for index, entry in enumerate(settings.exceptions):
        matcher = entry.match.matcher
        entries.append(
            PolicyException(
                owner=entry.owner,
                reason=entry.reason,
                expires=entry.expires,
                days_left=(entry.expires - today).days,
                targets=tuple(target.key for target in targets if matcher.matches(target.account, target.region)),
                skip=tuple(entry.skip),
                set=tuple(format_key_path(path) for path in _leaves(data[index].get("set") or {})),
                where=settings.document.where(("exceptions", index)),
            )
        )
    return sorted(entries, key=lambda entry: entry.expires)


def _leaves(values: Mapping[str, Any], path: KeyPath = ()) -> Iterator[KeyPath]:
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, (*path, key))
        else:
            yield (*path, key)


def refuse_expired(settings: Settings, today: datetime.date) -> None:
    """Refuse to go on with an exception whose last day is over.

    Raises:
        InputError: With the line of each.
    """
    if problems := [problem for problem, days_left in _ends(settings, today) if days_left < 0]:
        raise InputError(problems)


def soon_over(settings: Settings, today: datetime.date) -> list[Problem]:
    """Return what has to be renewed or removed soon, or should have been."""
    return [problem for problem, days_left in _ends(settings, today) if days_left <= WARNING_DAYS]


def _ends(settings: Settings, today: datetime.date) -> Iterable[tuple[Problem, int]]:
    for index, entry in enumerate(settings.exceptions):
        days_left = (entry.expires - today).days
        when = f"expired on {entry.expires}" if days_left < 0 else f"expires on {entry.expires}, in {days_left} days"
        message = f"The exception of {entry.owner} {when}: remove it, or have it renewed."
        yield Problem(message, settings.document.where(("exceptions", index, "expires"))), days_left
