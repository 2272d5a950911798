"""Discover accounts with the Organizations API."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import boto3

from session_manager_fleet.accounts.model import ACTIVE, MANAGEMENT, ROOT, Account, Organization
from session_manager_fleet.aws import CLIENT_CONFIG, translated_errors
from session_manager_fleet.errors import AccessError, InputError, Problem


def from_organizations(session: boto3.Session, region: str, *, with_tags: bool) -> Organization:
    """Read accounts and organizational units (as the management account or a delegated administrator).

    ListAccounts returns the accounts, a walk down the tree their organizational units: two paginated calls per unit.
    Only tags cost a call per account.

    Args:
        session: Session with credentials for the Organizations API.
        region: Region whose partition the organization is in.
        with_tags: Read the tags of active accounts, too.

    Raises:
        AccessError: A call was refused or failed, or an account was moved during the walk.
        InputError: Two organizational units have the same path.
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
        raise AccessError(f"Accounts were moved while the organization was read: {named}. Run the command again.")
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


def organization_of(session: boto3.Session, region: str) -> str | None:
    """Return the id of the organization that the caller's account belongs to; None if the caller may not ask.

    Raises:
        AccessError: The account belongs to no organization, or the call failed.
    """
    with translated_errors("describe the caller's organization"):
        client = session.client("organizations", region_name=region, config=CLIENT_CONFIG)
        try:
            return str(client.describe_organization()["Organization"]["Id"])
        except client.exceptions.AccessDeniedException:
            return None


def list_accounts(client: Any) -> list[Account]:  # noqa: ANN401 - boto3 clients are made at run time
    """Return all accounts of the organization, without their organizational units."""
    pages = client.get_paginator("list_accounts").paginate()
    # By id, because retries may deliver a page twice.
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
    """Refuse unit names with a slash, or like the root, that give two units the same path.

    Args:
        units: Ids of the units by path.

    Raises:
        InputError: Several units have the same path.
    """
    problems = [
        f'{" and ".join(ids)} both have the path "{path}". Rename one: no slash, and not "{ROOT}".'
        for path, ids in units.items()
        if len(list(ids)) > 1
    ]
    if problems:
        raise InputError([Problem(problem, "AWS Organizations") for problem in problems])


def _from_api(entry: Mapping[str, Any]) -> Account:
    # `State` replaces `Status`, which AWS retires in September 2026; older endpoints return only the latter.
    state = entry.get("State") or entry.get("Status") or ACTIVE
    return Account(id=entry["Id"], name=entry["Name"], email=entry.get("Email", ""), state=state)


def _with_tags(client: Any, account: Account) -> Account:  # noqa: ANN401 - boto3 clients are made at run time
    pages = client.get_paginator("list_tags_for_resource").paginate(ResourceId=account.id)
    return replace(account, tags={tag["Key"]: tag["Value"] for page in pages for tag in page.get("Tags", [])})
