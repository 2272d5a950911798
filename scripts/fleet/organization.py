"""Discover the accounts of an organization: from the Organizations API, a Landing Zone Accelerator folder or a file."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fleet.aws import CLIENT_CONFIG, translated_errors
from fleet.errors import InputError, Problem
from fleet.yaml_document import YamlDocument, nearest, read_yaml

if TYPE_CHECKING:
    import boto3

ACCOUNT_ID = re.compile(r"[0-9]{12}")

# The organizational unit of an account that stands directly under the root.
ROOT = "Root"

MANAGEMENT = "management"
LOG_ARCHIVE = "log-archive"
AUDIT = "audit"


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
    state: str = "ACTIVE"
    tags: Mapping[str, str] = field(default_factory=dict, hash=False)
    role: str = ""
    ignored: str = ""

    @property
    def skip_reason(self) -> str:
        """Why no target may be made of this account, or empty."""
        if self.state != "ACTIVE":
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
    """

    id: str | None
    accounts: tuple[Account, ...]
    organizational_units: tuple[str, ...]
    home_region: str | None = None
    regions: tuple[str, ...] = ()


def from_organizations(session: boto3.Session, region: str, *, with_tags: bool) -> Organization:
    """Ask the Organizations API (management account or delegated administrator).

    The tree is walked downwards, two paginated calls per organizational unit; there is no call per account, unless
    tags are asked for.

    Raises:
        AccessError: A call was refused or failed.
    """
    client = session.client("organizations", region_name=region, config=CLIENT_CONFIG)
    with translated_errors("describe the organization"):
        description = client.describe_organization()["Organization"]
    accounts: list[Account] = []
    units: list[str] = []
    with translated_errors("list the accounts of the organization"):
        for parent_id, path in _walk(client):
            if path != ROOT:
                units.append(path)
            pages = client.get_paginator("list_accounts_for_parent").paginate(ParentId=parent_id)
            accounts.extend(_from_api(entry, path) for page in pages for entry in page["Accounts"])
    if with_tags:
        with translated_errors("read the tags of the accounts"):
            accounts = [_with_tags(client, account) if not account.skip_reason else account for account in accounts]
    management_id = description["MasterAccountId"]
    accounts = [replace(account, role=MANAGEMENT) if account.id == management_id else account for account in accounts]
    return _organization(description["Id"], accounts, units)


def _walk(client: Any) -> Iterator[tuple[str, str]]:  # noqa: ANN401 - boto3 clients are made at run time
    """Yield (id, path) of the root and of every organizational unit below it."""
    pages = client.get_paginator("list_roots").paginate()
    pending = [(root["Id"], ROOT) for page in pages for root in page["Roots"]]
    while pending:
        parent_id, path = pending.pop()
        yield parent_id, path
        prefix = "" if path == ROOT else f"{path}/"
        children = client.get_paginator("list_organizational_units_for_parent").paginate(ParentId=parent_id)
        pending.extend(
            (unit["Id"], f"{prefix}{unit['Name']}") for page in children for unit in page["OrganizationalUnits"]
        )


def _from_api(entry: Mapping[str, Any], path: str) -> Account:
    # `State` replaces `Status`, which AWS retires in September 2026; older endpoints know only the latter.
    state = entry.get("State") or entry.get("Status") or "ACTIVE"
    return Account(id=entry["Id"], name=entry["Name"], email=entry.get("Email", ""), ou=path, state=state)


def _with_tags(client: Any, account: Account) -> Account:  # noqa: ANN401 - boto3 clients are made at run time
    pages = client.get_paginator("list_tags_for_resource").paginate(ResourceId=account.id)
    return replace(account, tags={tag["Key"]: tag["Value"] for page in pages for tag in page["Tags"]})


def from_file(path: Path) -> Organization:
    """Read accounts from a YAML file: `accounts: [{id, name, email, ou, state, tags, role}]`.

    Raises:
        InputError: With every problem of the file, each with its line.
    """
    document = read_yaml(path)
    entries = document.data.get("accounts") if isinstance(document.data, dict) else None
    if not isinstance(entries, list) or not entries:
        raise InputError('The file must hold a list "accounts" with at least one account.', document.where())
    reader = _FileReader(document)
    accounts = [reader.account(entry, index) for index, entry in enumerate(entries)]
    for key in document.data:
        if key != "accounts":
            reader.complain((key,), f'Unknown key "{key}"; the file holds "accounts" only.')
    if reader.problems:
        raise InputError(reader.problems)
    known = [account for account in accounts if account is not None]
    units = {parent for account in known for parent in _ancestry(account.ou)}
    return _organization(None, known, units)


class _FileReader:
    """Checks the entries of an accounts file and collects what is wrong with them."""

    _KEYS = ("id", "name", "email", "ou", "state", "tags", "role")
    _ROLES = ("", MANAGEMENT, LOG_ARCHIVE, AUDIT)
    _STATES = ("ACTIVE", "SUSPENDED", "PENDING_ACTIVATION", "PENDING_CLOSURE", "CLOSED")

    def __init__(self, document: YamlDocument) -> None:
        self.document = document
        self.problems: list[Problem] = []
        self._seen: dict[str, int] = {}

    def complain(self, key_path: tuple[str | int, ...], message: str) -> None:
        self.problems.append(Problem(message, self.document.where(key_path)))

    def account(self, entry: object, index: int) -> Account | None:
        where = ("accounts", index)
        if not isinstance(entry, dict):
            self.complain(where, "An account is a mapping with at least id and name.")
            return None
        before = len(self.problems)
        for key in entry:
            if key not in self._KEYS:
                self.complain((*where, key), f'Unknown key "{key}"{nearest(key, self._KEYS)}.')
        account_id = self._account_id(entry, index)
        self._check_texts(entry, where)
        tags = entry.get("tags", {})
        if not isinstance(tags, dict) or not all(isinstance(value, str) for value in tags.values()):
            self.complain((*where, "tags"), "Tags are a mapping of strings to strings; quote numbers and booleans.")
        if len(self.problems) > before:
            return None
        return Account(
            id=account_id,
            name=entry["name"],
            email=entry.get("email", ""),
            ou=entry.get("ou", ROOT).strip("/") or ROOT,
            state=entry.get("state", "ACTIVE").upper(),
            tags=dict(tags),
            role=entry.get("role", ""),
        )

    def _account_id(self, entry: Mapping[str, Any], index: int) -> str:
        where = ("accounts", index, "id")
        account_id = str(entry.get("id", ""))
        if not ACCOUNT_ID.fullmatch(account_id):
            self.complain(where, f'"{account_id}" is not an account id: twelve digits are needed.')
        elif account_id in self._seen:
            first = self.document.line(("accounts", self._seen[account_id]))
            self.complain(where, f"Account {account_id} is listed twice, first on line {first}.")
        self._seen.setdefault(account_id, index)
        return account_id

    def _check_texts(self, entry: Mapping[str, Any], where: tuple[str | int, ...]) -> None:
        for key in ("name", "email", "ou", "state", "role"):
            if key in entry and not isinstance(entry[key], str):
                self.complain((*where, key), f'"{key}" must be a string.')
        if not entry.get("name"):
            self.complain((*where, "name"), "The account needs a name.")
        if entry.get("role", "") not in self._ROLES:
            self.complain((*where, "role"), f'Unknown role "{entry["role"]}"; use one of {", ".join(self._ROLES[1:])}.')
        state = entry.get("state", "ACTIVE")
        if isinstance(state, str) and state.upper() not in self._STATES:
            self.complain((*where, "state"), f'Unknown state "{state}"; use one of {", ".join(self._STATES)}.')


def _ancestry(ou: str) -> Iterator[str]:
    """Yield a path and all paths above it, without the root."""
    parts = ou.split("/") if ou != ROOT else []
    for count in range(1, len(parts) + 1):
        yield "/".join(parts[:count])


def from_lza(folder: Path) -> Organization:
    """Read a Landing Zone Accelerator configuration folder.

    Accounts come from `accounts-config.yaml` (`mandatoryAccounts`, `workloadAccounts`, `accountIds`), organizational
    units from `organization-config.yaml`, regions from `global-config.yaml`. Accounts in a unit with `ignore: true`
    are kept, but marked.

    Raises:
        InputError: With every problem, each with file and line; also for accounts without an id.
    """
    if not folder.is_dir():
        raise InputError("The Landing Zone Accelerator folder does not exist.", str(folder))
    accounts_config = read_yaml(folder / "accounts-config.yaml")
    organization_config = read_yaml(folder / "organization-config.yaml")
    global_config = read_yaml(folder / "global-config.yaml")
    problems: list[Problem] = []
    units = _lza_units(organization_config, problems)
    accounts = _lza_accounts(accounts_config, units, problems)
    home_region, regions = _lza_regions(global_config, problems)
    if problems:
        raise InputError(problems)
    return replace(_organization(None, accounts, units), home_region=home_region, regions=regions)


def lza_deployment_role(folder: Path) -> str:
    """Return the role through which the accelerator enters accounts (`managementAccountAccessRole`).

    Raises:
        InputError: The file is missing or has no such key.
    """
    document = read_yaml(folder / "global-config.yaml")
    role = document.data.get("managementAccountAccessRole") if isinstance(document.data, dict) else None
    if not isinstance(role, str) or not role:
        raise InputError('The key "managementAccountAccessRole" is missing.', document.where())
    return role


def _entries(
    document: YamlDocument, key: str, problems: list[Problem], required: tuple[str, ...]
) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the mappings of a list that have all required string keys; complain about the others."""
    data = document.data if isinstance(document.data, dict) else {}
    entries = data.get(key) or []
    if not isinstance(entries, list):
        problems.append(Problem(f'"{key}" must be a list.', document.where((key,))))
        return
    for index, entry in enumerate(entries):
        missing = [name for name in required if not isinstance(entry, dict) or not isinstance(entry.get(name), str)]
        if missing:
            needed = " and ".join(f'"{name}"' for name in missing)
            problems.append(Problem(f"The entry needs {needed}, as text.", document.where((key, index))))
        else:
            yield index, entry


def _lza_units(document: YamlDocument, problems: list[Problem]) -> dict[str, bool]:
    """Return every organizational unit path with whether it (or a unit above it) is ignored."""
    own = {
        entry["name"].strip().strip("/"): entry.get("ignore") is True
        for _, entry in _entries(document, "organizationalUnits", problems, ("name",))
    }
    paths = {parent for path in own for parent in _ancestry(path)}
    return {path: any(own.get(parent, False) for parent in _ancestry(path)) for path in paths}


def _lza_ids(document: YamlDocument, problems: list[Problem]) -> dict[str, str]:
    """Return account ids by address, in lower case: the accelerator compares addresses without regard to case."""
    ids: dict[str, str] = {}
    known_ids: set[str] = set()
    for index, entry in _entries(document, "accountIds", problems, ("email", "accountId")):
        if not ACCOUNT_ID.fullmatch(entry["accountId"]):
            where = document.where(("accountIds", index, "accountId"))
            problems.append(Problem(f'"{entry["accountId"]}" is not an account id: twelve digits are needed.', where))
        elif entry["accountId"] in known_ids:
            where = document.where(("accountIds", index, "accountId"))
            problems.append(Problem(f"Account {entry['accountId']} is listed twice.", where))
        if entry["email"].lower() in ids:
            where = document.where(("accountIds", index, "email"))
            problems.append(Problem(f"The address {entry['email']} has two account ids.", where))
        ids[entry["email"].lower()] = entry["accountId"]
        known_ids.add(entry["accountId"])
    return ids


def _lza_accounts(document: YamlDocument, units: Mapping[str, bool], problems: list[Problem]) -> list[Account]:
    ids = _lza_ids(document, problems)
    roles = {"Management": MANAGEMENT, "LogArchive": LOG_ARCHIVE, "Audit": AUDIT}
    accounts: list[Account] = []
    seen: set[str] = set()
    for key in ("mandatoryAccounts", "workloadAccounts"):
        for index, entry in _entries(document, key, problems, ("name", "email")):
            where = document.where((key, index))
            email, ou = entry["email"].lower(), str(entry.get("organizationalUnit", ROOT)).strip("/") or ROOT
            if email in seen:
                problems.append(Problem(f"The address {entry['email']} is used by two accounts.", where))
                continue
            seen.add(email)
            if email not in ids:
                message = (
                    f'"accountIds" has no id for "{entry["name"]}" ({entry["email"]}); add it, or use accounts from '
                    "the Organizations API."
                )
                problems.append(Problem(message, where))
                continue
            if ou not in units and ou != ROOT:
                message = f'The organizational unit "{ou}" is not in organization-config.yaml{nearest(ou, units)}.'
                problems.append(Problem(message, where))
                continue
            accounts.append(
                Account(
                    id=ids[email],
                    name=entry["name"],
                    email=entry["email"],
                    ou=ou,
                    role=roles.get(entry["name"], "") if key == "mandatoryAccounts" else "",
                    ignored="its organizational unit is ignored by Landing Zone Accelerator" if units.get(ou) else "",
                )
            )
    if not accounts and not problems:
        problems.append(Problem("The configuration holds no accounts.", document.where()))
    return accounts


def _lza_regions(document: YamlDocument, problems: list[Problem]) -> tuple[str | None, tuple[str, ...]]:
    data = document.data if isinstance(document.data, dict) else {}
    home_region, regions = data.get("homeRegion"), data.get("enabledRegions")
    if not isinstance(home_region, str):
        problems.append(Problem('The key "homeRegion" is missing.', document.where(("homeRegion",))))
        home_region = None
    if not isinstance(regions, list) or not regions or not all(isinstance(region, str) for region in regions):
        message = 'The key "enabledRegions" must be a list of regions.'
        problems.append(Problem(message, document.where(("enabledRegions",))))
        regions = []
    return home_region, tuple(regions)


def _organization(
    organization_id: str | None, accounts: list[Account], units: set[str] | list[str] | Mapping[str, bool]
) -> Organization:
    ordered = tuple(sorted(accounts, key=lambda account: account.id))
    return Organization(id=organization_id, accounts=ordered, organizational_units=tuple(sorted(units)))
