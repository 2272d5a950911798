"""Match accounts and regions against conditions: `match` in organization.yaml, options on the command line."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import translate
from functools import cache
from typing import TypeVar

from session_manager_fleet.accounts.model import (
    ACCOUNT_ID,
    AUDIT,
    LOG_ARCHIVE,
    ROLES,
    Account,
    Organization,
    no_account,
)
from session_manager_fleet.yaml_source import nearest

T = TypeVar("T")


def _matches(pattern: Sequence[T], items: Sequence[T], any_number: T, fits: Callable[[T, T], bool]) -> bool:
    """Tell whether a pattern matches all of the items.

    Only the last `any_number` takes more items after a mismatch, which suffices: the time is at most the product of
    the lengths, where a regular expression may need a power of them.

    Args:
        pattern: Items to compare, and `any_number`, which stands for any number of items.
        items: The items.
        any_number: Any number of items.
        fits: Tells whether an item of the pattern fits another.
    """
    place = number = 0
    last, taken = -1, 0
    while number < len(items):
        if place < len(pattern) and pattern[place] == any_number:
            last, taken = place, number
            place += 1
        elif place < len(pattern) and fits(pattern[place], items[number]):
            place, number = place + 1, number + 1
        elif last >= 0:
            taken += 1
            place, number = last + 1, taken
        else:
            return False
    return all(item == any_number for item in pattern[place:])


def _letter_fits(letter: str, other: str) -> bool:
    return letter in {"?", other}


@cache
def _segment_matches(glob: str, segment: str) -> bool:
    """Tell whether a segment matches: `*` stands for any letters, `?` for one."""
    return _matches(glob, segment, "*", _letter_fits)


@cache
def ou_matches(glob: str, path: str) -> bool:
    """Tell whether an organizational unit path matches: `Workloads/**` is Workloads and all units below it.

    `*` and `?` match within one segment, `**` matches any number of segments, or none.
    """
    return _matches(glob.strip("/").split("/"), path.split("/"), "**", _segment_matches)


# Longer patterns match nothing: AWS's names have at most 50 letters, its paths some 650.
_LONGEST = 1_000


@cache
def _name_pattern(glob: str) -> re.Pattern[str]:
    return re.compile(translate(glob))


def account_matches(pattern: str, account: Account) -> bool:
    """Tell whether an account has this id or name, or a name that matches this glob.

    Twelve digits are always an id, so that an account named like the id of another is not matched by mistake.
    """
    if ACCOUNT_ID.fullmatch(pattern):
        return account.id == pattern
    if account.name == pattern:
        return True
    return len(pattern) <= _LONGEST and _name_pattern(pattern).match(account.name) is not None


@dataclass(frozen=True)
class Matcher:
    """Conditions on a target: all that are given must hold, each by at least one of its alternatives.

    Attributes:
        accounts: Account ids, names or name globs.
        ous: Organizational unit path globs.
        tags: Account tags; the account must have all of them with exactly these values.
        regions: Region names.
        roles: Roles of accounts: `management`, `log-archive`, `audit`.
    """

    accounts: Sequence[str] = ()
    ous: Sequence[str] = ()
    tags: Mapping[str, str] = field(default_factory=dict)
    regions: Sequence[str] = ()
    roles: Sequence[str] = ()

    @property
    def empty(self) -> bool:
        """Whether there is no condition, so that every target matches."""
        return not (self.accounts or self.ous or self.tags or self.regions or self.roles)

    def matches(self, account: Account, region: str) -> bool:
        """Tell whether the target (account, region) matches."""
        return self.matches_region(region) and self.matches_account(account)

    def matches_region(self, region: str) -> bool:
        """Tell whether the conditions on the region hold."""
        return not self.regions or region in self.regions

    def matches_account(self, account: Account) -> bool:
        """Tell whether the conditions on the account hold."""
        return (
            (not self.roles or account.role in self.roles)
            and (not self.accounts or any(account_matches(pattern, account) for pattern in self.accounts))
            and (not self.ous or any(ou_matches(glob, account.ou) for glob in self.ous))
            and all(account.tags.get(key) == value for key, value in self.tags.items())
        )

    def dead_ends(self, organization: Organization, regions: Sequence[str]) -> Iterator[tuple[str, int, str]]:
        """Yield (attribute, index, message) for every alternative that matches nothing in the organization."""
        for index, glob in enumerate(self.ous):
            paths = {*organization.organizational_units, *(account.ou for account in organization.accounts)}
            if not any(ou_matches(glob, path) for path in paths):
                yield "ous", index, f'No organizational unit matches "{glob}"{nearest(glob, paths)}.'
        for index, pattern in enumerate(self.accounts):
            if not any(account_matches(pattern, account) for account in organization.accounts):
                yield "accounts", index, no_account(organization, pattern, "No account matches")
        for index, region in enumerate(self.regions):
            if region not in regions:
                known = ", ".join(regions)
                yield "regions", index, f'The organization does not use the region "{region}"; it uses {known}.'
        for index, role in enumerate(self.roles):
            if not any(account.role == role for account in organization.accounts):
                yield "roles", index, _unassigned(role)


def _unassigned(role: str) -> str:
    """Return why a role matches no account."""
    if role not in ROLES:
        return f'Unknown role "{role}"{nearest(role, ROLES)}; the roles are {", ".join(ROLES)}.'
    # Only the role of the management account comes from the Organizations API.
    key = {LOG_ARCHIVE: "log_archive_account", AUDIT: "audit_account"}.get(role)
    return f'No account has the role "{role}"' + (f"; name one in organization.{key}." if key else ".")
