"""An organization as data: its accounts and organizational units, and how the Organizations API tells them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Self

from session_manager_fleet.aws import CLIENT_CONFIG, translated_errors
from session_manager_fleet.errors import AccessError, InputError, Problem
from session_manager_fleet.yaml_source import nearest

if TYPE_CHECKING:
    import boto3

ACCOUNT_ID = re.compile(r"[0-9]{12}")

# The organizational unit of an account that stands directly under the root.
ROOT = "Root"

MANAGEMENT = "management"
LOG_ARCHIVE = "log-archive"
AUDIT = "audit"
ROLES = (MANAGEMENT, LOG_ARCHIVE, AUDIT)

ACTIVE = "ACTIVE"
STATES = (ACTIVE, "SUSPENDED", "PENDING_ACTIVATION", "PENDING_CLOSURE", "CLOSED")


@dataclass(frozen=True)
class Account:
    """A member (or the management account) of the organization.

    Attributes:
        id: Twelve digits.
        name: As shown in the Organizations console; not unique.
        email: Root user's address, or empty.
        ou: Path of organizational unit names from the root, as `Workloads/Prod`; `Root` directly under the root.
        state: `ACTIVE`, `SUSPENDED`, `PENDING_ACTIVATION`, `PENDING_CLOSURE`, `CLOSED`.
        tags: Tags of the account in AWS Organizations; empty when they were not asked for.
        role: `management`, `log-archive`, `audit`, or empty for every other account.
        ignored: Why the source of the account says to leave it alone, or empty.
    """

    id: str
    name: str
    email: str = ""
    ou: str = ROOT
    state: str = ACTIVE
    tags: Mapping[str, str] = field(default_factory=dict, hash=False)
    role: str = ""
    ignored: str = ""

    @property
    def skip_reason(self) -> str:
        """Why no target may be made of this account, or empty."""
        if self.state != ACTIVE:
            return f"the account is {self.state.lower().replace('_', ' ')}"
        return self.ignored


@dataclass(frozen=True)
class Organization:
    """All accounts, whatever their state, and all organizational units, also the empty ones.

    Attributes:
        id: `o-…`, or None where the source does not tell.
        accounts: Ordered by id.
        organizational_units: Paths, sorted.
        home_region: Where the source knows it (Landing Zone Accelerator), else None.
        regions: Enabled regions where the source knows them, else empty.
        has_tags: Whether the tags of the accounts are known.
        warnings: What the source says that is worth knowing, each with its place, as `global-config.yaml:12: …`.
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
        """Put accounts and organizational units, the ones above them included, in order."""
        ordered = tuple(sorted(accounts, key=lambda account: account.id))
        paths = {*units, *(account.ou for account in ordered)}
        return cls(organization_id, ordered, tuple(sorted({parent for path in paths for parent in ancestry(path)})))


def ancestry(ou: str) -> Iterator[str]:
    """Yield the paths above an organizational unit from the top down, then its own, without the root."""
    parts = ou.split("/") if ou != ROOT else []
    for count in range(1, len(parts) + 1):
        yield "/".join(parts[:count])


def find_account(organization: Organization, text: str, location: str = "") -> Account:
    """Return the account with this id or name; twelve digits are an id.

    Raises:
        InputError: There is none, or several have the name.
    """
    by_id = ACCOUNT_ID.fullmatch(text)
    found = [account for account in organization.accounts if text == (account.id if by_id else account.name)]
    if len(found) == 1:
        return found[0]
    if not found:
        raise InputError(no_account(organization, text, "No account has the id or name"), location)
    ids = ", ".join(f"{account.id} ({account.ou})" for account in found)
    raise InputError(f'Several accounts have the name "{text}": {ids}; give the id.', location)


def no_account(organization: Organization, text: str, by_name: str) -> str:
    """Say that an account does not exist, with the nearest one that does.

    Args:
        organization: The organization.
        text: Id, name or pattern.
        by_name: How the sentence begins unless this is an id.
    """
    if ACCOUNT_ID.fullmatch(text):
        return f'No account has the id "{text}"{nearest(text, {account.id for account in organization.accounts})}.'
    return f'{by_name} "{text}"{nearest(text, {account.name for account in organization.accounts})}.'


def with_role(organization: Organization, role: str, account: str, location: str = "") -> Organization:
    """Give a role to the account with this id or name, and to no other.

    Args:
        organization: The organization.
        role: One of `ROLES`.
        account: Id or name.
        location: Where the account is named, for messages.

    Raises:
        InputError: No account or several have this name, or the account has another role.
    """
    found = find_account(organization, account, location)
    if found.role not in {"", role}:
        raise InputError(f'The account "{account}" is the {found.role} account already.', location)

    def changed(entry: Account) -> Account:
        if entry is found:
            return replace(entry, role=role)
        return replace(entry, role="") if entry.role == role else entry

    return replace(organization, accounts=tuple(changed(entry) for entry in organization.accounts))


def from_organizations(session: boto3.Session, region: str, *, with_tags: bool) -> Organization:
    """Ask the Organizations API (management account or delegated administrator).

    ListAccounts says which accounts there are, a walk down the tree where they stand: two paginated calls per
    organizational unit. There is no call per account, unless tags are asked for.

    Raises:
        AccessError: A call was refused or failed, or an account was moved during the walk.
        InputError: Two organizational units would have the same path.
    """
    with translated_errors("describe the organization"):
        client = session.client("organizations", region_name=region, config=CLIENT_CONFIG)
        description = client.describe_organization()["Organization"]
    with translated_errors("list the accounts of the organization"):
        accounts = list_accounts(client)
        paths: dict[str, str] = {}
        units: dict[str, dict[str, None]] = {}
        for parent_id, path in _walk(client):
            units.setdefault(path, {})[parent_id] = None
            pages = client.get_paginator("list_accounts_for_parent").paginate(ParentId=parent_id)
            paths.update((entry["Id"], path) for page in pages for entry in page.get("Accounts", []))
    _refuse_equal_paths(units)
    moved = [account.id for account in accounts if account.id not in paths and not account.skip_reason]
    if moved:
        named = ", ".join(moved)
        raise AccessError(f"Accounts were moved while the organization was read; run the command again: {named}.")
    if with_tags:
        with translated_errors("read the tags of the accounts"):
            accounts = [account if account.skip_reason else _with_tags(client, account) for account in accounts]
    management_id = description["MasterAccountId"]
    placed = [
        replace(
            account,
            ou=paths.get(account.id, ROOT),
            role=MANAGEMENT if account.id == management_id else "",
        )
        for account in accounts
    ]
    return replace(Organization.of(description["Id"], placed, units), has_tags=with_tags)


def list_accounts(client: Any) -> list[Account]:  # noqa: ANN401 - boto3 clients are made at run time
    """Return all accounts of the organization, without the organizational units that they are in."""
    pages = client.get_paginator("list_accounts").paginate()
    # By id: a page that is delivered twice adds nothing.
    accounts = {entry["Id"]: _from_api(entry) for page in pages for entry in page.get("Accounts", [])}
    return list(accounts.values())


def _walk(client: Any) -> Iterator[tuple[str, str]]:  # noqa: ANN401 - boto3 clients are made at run time
    """Yield (id, path) of the root and of every organizational unit below it."""
    pages = client.get_paginator("list_roots").paginate()
    pending = [(root["Id"], ROOT) for page in pages for root in page.get("Roots", [])]
    while pending:
        parent_id, path = pending.pop()
        yield parent_id, path
        prefix = "" if path == ROOT else f"{path}/"
        children = client.get_paginator("list_organizational_units_for_parent").paginate(ParentId=parent_id)
        pending.extend(
            (unit["Id"], f"{prefix}{unit['Name']}") for page in children for unit in page.get("OrganizationalUnits", [])
        )


def _refuse_equal_paths(units: Mapping[str, Iterable[str]]) -> None:
    """Refuse names with a slash, or of the root, that make one unit look like another.

    Args:
        units: The ids of the units by their path.

    Raises:
        InputError: Matchers could not tell units apart.
    """
    problems = [
        f'{" and ".join(ids)} both have the path "{path}": rename one, without a slash and not "{ROOT}".'
        for path, ids in units.items()
        if len(list(ids)) > 1
    ]
    if problems:
        raise InputError([Problem(problem, "AWS Organizations") for problem in problems])


def _from_api(entry: Mapping[str, Any]) -> Account:
    # `State` replaces `Status`, which AWS retires in September 2026; older endpoints know only the latter.
    state = entry.get("State") or entry.get("Status") or ACTIVE
    return Account(id=entry["Id"], name=entry["Name"], email=entry.get("Email", ""), state=state)


def _with_tags(client: Any, account: Account) -> Account:  # noqa: ANN401 - boto3 clients are made at run time
    pages = client.get_paginator("list_tags_for_resource").paginate(ResourceId=account.id)
    return replace(account, tags={tag["Key"]: tag["Value"] for page in pages for tag in page.get("Tags", [])})
