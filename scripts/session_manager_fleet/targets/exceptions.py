"""The exception register: each exception with its owner, its targets and its last day."""

import datetime
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from session_manager_fleet.errors import InputError, Problem
from session_manager_fleet.settings import Settings
from session_manager_fleet.targets.model import Target
from session_manager_fleet.yaml_source import KeyPath, format_key_path

WARNING_DAYS = 30


@dataclass(frozen=True)
class PolicyException:
    """An entry of the register, as of one day.

    Attributes:
        owner: Person or team that is responsible for it.
        reason: Reason for the exception.
        expires: Its last day.
        days_left: Days until its last day; negative after it.
        targets: Keys of the targets that it applies to, `account/region`.
        skip: Components that it leaves out.
        set: Key paths of the values that it sets, as `preferences.idle_session_timeout`.
        where: Location of the entry, as `organization.yaml:40 (exceptions[0])`.
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
        """Whether its last day is in the past."""
        return self.days_left < 0

    def as_dict(self) -> dict[str, Any]:
        """Return the exception in the form of machine-readable output."""
        return {**asdict(self), "expires": self.expires.isoformat(), "expired": self.expired}


def register(settings: Settings, targets: Sequence[Target], today: datetime.date) -> list[PolicyException]:
    """Return all exceptions, the first to expire first.

    Args:
        settings: organization.yaml.
        targets: The targets to look at; an exception lists only those of them that it applies to.
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
    """Refuse expired exceptions.

    Raises:
        InputError: With the line of each expired exception.
    """
    if problems := [problem for problem, days_left in _ends(settings, today) if days_left < 0]:
        raise InputError(problems)


def soon_over(settings: Settings, today: datetime.date) -> list[Problem]:
    """Return a problem for each exception that has expired or expires within WARNING_DAYS."""
    return [problem for problem, days_left in _ends(settings, today) if days_left <= WARNING_DAYS]


def _ends(settings: Settings, today: datetime.date) -> Iterable[tuple[Problem, int]]:
    for index, entry in enumerate(settings.exceptions):
        days_left = (entry.expires - today).days
        when = f"expired on {entry.expires}" if days_left < 0 else f"expires on {entry.expires}, in {days_left} days"
        message = f"The exception of {entry.owner} {when}: remove it, or have it renewed."
        yield Problem(message, settings.document.where(("exceptions", index, "expires"))), days_left
