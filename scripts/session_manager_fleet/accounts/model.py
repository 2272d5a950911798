"""An organization as data: its accounts, their roles, and the organizational units that they are in."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Annotated, Self

from pydantic import ConfigDict, Field, with_config

from session_manager_fleet.errors import InputError
from session_manager_fleet.yaml_source import nearest

ACCOUNT_ID = re.compile(r"[0-9]{12}")

# The organizational unit path of an account directly under the root.
ROOT = "Root"

MANAGEMENT = "management"
LOG_ARCHIVE = "log-archive"
AUDIT = "audit"
ROLES = (MANAGEMENT, LOG_ARCHIVE, AUDIT)

ACTIVE = "ACTIVE"
STATES = (ACTIVE, "SUSPENDED", "PENDING_ACTIVATION", "PENDING_CLOSURE", "CLOSED")

# Annotations and this configuration concern data from outside, which pydantic checks (see snapshot.py).
_STRICT = with_config(ConfigDict(extra="forbid", strict=True))
_Text = Annotated[str, Field(min_length=1)]


@_STRICT
@dataclass(frozen=True)
class Account:
    """An account of the organization.

    Attributes:
        id: Twelve digits.
        name: As shown in the Organizations console; not unique.
        email: Address of the root user, or empty.
        ou: Path of organizational unit names from the root, as `Workloads/Prod`; `Root` directly under the root.
        state: One of `STATES`.
        tags: Tags of the account in AWS Organizations; empty where they were not read.
        role: `management`, `log-archive`, `audit`, or empty for every other account.
        ignored: Why the source excludes the account, or empty.
        regions: Regions to configure if the source limits them, else empty.
    """

    id: Annotated[str, Field(pattern=r"^[0-9]{12}$")]
    name: _Text
    email: str = ""
    ou: _Text = ROOT
    state: _Text = ACTIVE
    tags: Mapping[str, str] = field(default_factory=dict, hash=False)
    role: Annotated[str, Field(pattern=rf"^({'|'.join(ROLES)})?$")] = ""
    ignored: str = ""
    regions: tuple[str, ...] = ()

    @property
    def skip_reason(self) -> str:
        """Why the account has no targets, or empty."""
        if self.state != ACTIVE:
            return f"the account is {self.state.lower().replace('_', ' ')}"
        return self.ignored


@_STRICT
@dataclass(frozen=True)
class Organization:
    """All accounts in any state, and all organizational units, those without accounts included.

    Attributes:
        id: `o-…`, or None if the source does not hold it.
        accounts: Ordered by id.
        organizational_units: Paths, sorted.
        home_region: Home region if the source holds it (Landing Zone Accelerator), else None.
        regions: Enabled regions if the source holds them, else empty.
        has_tags: Whether the tags of the accounts are known.
        warnings: Warnings about the source, each with its place, as `global-config.yaml:12: …`.
    """

    id: str | None
    accounts: tuple[Account, ...]
    organizational_units: tuple[str, ...]
    home_region: str | None = None
    regions: tuple[str, ...] = ()
    has_tags: bool = True
    warnings: tuple[str, ...] = ()

    @classmethod
    def of(cls, organization_id: str | None, accounts: Iterable[Account], units: Iterable[str]) -> Self:
        """Return an organization with ordered accounts and units; parent units are added."""
        ordered = tuple(sorted(accounts, key=lambda account: account.id))
        paths = {*units, *(account.ou for account in ordered)}
        return cls(organization_id, ordered, tuple(sorted({parent for path in paths for parent in ancestry(path)})))


def ancestry(ou: str) -> Iterator[str]:
    """Yield the paths of an organizational unit's parents from the top down, then its own; none for the root."""
    parts = ou.split("/") if ou != ROOT else []
    for count in range(1, len(parts) + 1):
        yield "/".join(parts[:count])


def find_account(organization: Organization, text: str, location: str = "") -> Account:
    """Return the account with this id or name; twelve digits are an id.

    A closed account keeps its name for 90 days; it makes the name of an active one not ambiguous.

    Raises:
        InputError: There is none, or several have the name.
    """
    by_id = ACCOUNT_ID.fullmatch(text)
    found = [account for account in organization.accounts if text == (account.id if by_id else account.name)]
    active = [account for account in found if account.state == ACTIVE]
    for accounts in (found, active):
        if len(accounts) == 1:
            return accounts[0]
    if not found:
        raise InputError(no_account(organization, text, "No account has the id or name"), location)
    ids = ", ".join(f"{account.id} ({account.ou})" for account in found)
    raise InputError(f'Several accounts have the name "{text}": {ids}; give the id.', location)


def account_in(organization: Organization, account_id: str) -> Account | None:
    """Return the account with an id, or None."""
    return next((account for account in organization.accounts if account.id == account_id), None)


def no_account(organization: Organization, text: str, by_name: str) -> str:
    """Return the message that an account does not exist, with the most similar id or name.

    Args:
        organization: The organization.
        text: Id, name or pattern.
        by_name: Beginning of the sentence for a name or pattern.
    """
    if ACCOUNT_ID.fullmatch(text):
        return f'No account has the id "{text}"{nearest(text, {account.id for account in organization.accounts})}.'
    return f'{by_name} "{text}"{nearest(text, {account.name for account in organization.accounts})}.'


def with_role(organization: Organization, role: str, account: str, location: str = "") -> Organization:
    """Assign a role to the account with this id or name, and remove it from any other.

    Args:
        organization: The organization.
        role: One of `ROLES`.
        account: Id or name.
        location: Where the account is named, for messages.

    Raises:
        InputError: No account or several have this name, or the account already has another role.
    """
    found = find_account(organization, account, location)
    if found.role not in {"", role}:
        raise InputError(f'The account "{account}" already has the role "{found.role}".', location)

    def changed(entry: Account) -> Account:
        if entry is found:
            return replace(entry, role=role)
        return replace(entry, role="") if entry.role == role else entry

    return replace(organization, accounts=tuple(changed(entry) for entry in organization.accounts))
