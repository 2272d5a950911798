"""Read accounts, organizational units and regions from a Landing Zone Accelerator configuration folder.

File names in comments are those of awslabs/landing-zone-accelerator-on-aws, packages/@aws-accelerator/config.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from session_manager_fleet.accounts.lza_files import (
    ACCOUNT_LISTS,
    SESSION_MANAGER,
    Directory,
    Files,
    as_mapping,
    as_texts,
    entries_of,
)
from session_manager_fleet.accounts.model import (
    ACCOUNT_ID,
    ACTIVE,
    AUDIT,
    LOG_ARCHIVE,
    MANAGEMENT,
    ROOT,
    Account,
    Organization,
    ancestry,
)
from session_manager_fleet.errors import AccessError, InputError, Problem
from session_manager_fleet.yaml_source import YamlDocument, nearest

# Names that the accelerator reserves for these accounts (accounts-config.ts).
_ROLES = {"Management": MANAGEMENT, "LogArchive": LOG_ARCHIVE, "Audit": AUDIT}

# A warning lists at most so many names.
_MAX_NAMES = 20


def from_lza(folder: Path, directory: Directory | None = None) -> Organization:
    """Read a Landing Zone Accelerator configuration folder.

    Accounts come from `accounts-config.yaml` (`mandatoryAccounts`, `workloadAccounts`, `accountIds`), organizational
    units from `organization-config.yaml`, regions from `global-config.yaml`. Accounts in a unit with `ignore: true` are
    kept and marked; those below it are not, as the accelerator compares the unit's full name only. `!include` and
    `{{ placeholders }}` are resolved.

    Args:
        folder: The folder.
        directory: Source of account ids and parameters that the configuration does not hold; without it, they are
            reported as missing.

    Raises:
        InputError: With every problem, each with file and line; also for accounts without an id.
    """
    files = Files.read(folder, directory)
    problems: list[Problem] = []
    units = _units(files.organization, problems)
    home_region, regions = _regions(files.global_, problems)
    ask = None if directory is None else partial(directory.accounts, region=home_region)
    accounts, unlisted = _accounts(files.accounts, units, ask, problems)
    if problems:
        raise InputError(problems)
    organization = replace(
        Organization.of(None, accounts, units),
        home_region=home_region,
        regions=regions,
        has_tags=any(account.tags for account in accounts),
    )
    warnings = [
        *_session_manager_warnings(files.global_, organization),
        *_govcloud_warnings(files.accounts),
        *_unlisted_warnings(files.accounts, unlisted),
    ]
    return replace(organization, warnings=tuple(str(warning) for warning in warnings))


def deployment_role(folder: Path) -> str:
    """Return the role that the accelerator assumes in accounts (`managementAccountAccessRole`).

    Raises:
        InputError: The file is missing or has no such key.
    """
    document = Files.read(folder, None).global_
    role = as_mapping(document.data).get("managementAccountAccessRole")
    if not isinstance(role, str) or not role:
        raise InputError('The key "managementAccountAccessRole" is missing.', document.where())
    return role


def _units(document: YamlDocument, problems: list[Problem]) -> dict[str, bool]:
    """Return every organizational unit path with whether the accelerator ignores accounts directly in it.

    `OrganizationConfig.isIgnored` and `AccountsConfig.getActiveAccounts` compare the full name of the unit.
    """
    own = {
        entry["name"].strip().strip("/"): entry.get("ignore") is True
        for _, entry in entries_of(document, "organizationalUnits", problems, ("name",))
    }
    return {path: own.get(path, False) for name in own for path in ancestry(name)}


def _regions(document: YamlDocument, problems: list[Problem]) -> tuple[str | None, tuple[str, ...]]:
    data = as_mapping(document.data)
    home_region, regions = data.get("homeRegion"), data.get("enabledRegions")
    if not isinstance(home_region, str):
        problems.append(Problem('The key "homeRegion" is missing.', document.where(("homeRegion",))))
        home_region = None
    if not isinstance(regions, list) or not regions or len(as_texts(regions)) < len(regions):
        message = 'The key "enabledRegions" must be a list of regions.'
        problems.append(Problem(message, document.where(("enabledRegions",))))
    return home_region, tuple(dict.fromkeys(as_texts(regions)))


def _identities(document: YamlDocument, problems: list[Problem]) -> dict[str, Account]:
    """Return id and state of accounts in `accountIds`, by address in lower case, as the accelerator compares them."""
    known: dict[str, Account] = {}
    ids: set[str] = set()
    for where, entry in entries_of(document, "accountIds", problems, ("email", "accountId")):
        account_id, email = entry["accountId"], entry["email"].lower()
        if not ACCOUNT_ID.fullmatch(account_id):
            message = f'"{account_id}" is not an account id; write twelve digits.'
            problems.append(Problem(message, document.where((*where, "accountId"))))
        elif account_id in ids:
            problems.append(Problem(f"Account {account_id} is listed twice.", document.where((*where, "accountId"))))
        if email in known:
            message = f"The address {entry['email']} has two account ids."
            problems.append(Problem(message, document.where((*where, "email"))))
        ids.add(account_id)
        known[email] = Account(account_id, "", email=email, state=str(entry.get("status") or ACTIVE).upper())
    return known


def _accounts(
    document: YamlDocument,
    units: Mapping[str, bool],
    ask: Callable[[Collection[str]], Iterable[Account]] | None,
    problems: list[Problem],
) -> tuple[list[Account], list[Account]]:
    """Return the accounts of the configuration, and those that are known and that it does not list.

    Args:
        document: accounts-config.yaml.
        units: Result of `_units`.
        ask: Returns the accounts with these addresses; called only if an id is missing.
        problems: Problems are appended here.
    """
    entries = [pair for key in ACCOUNT_LISTS for pair in entries_of(document, key, problems, ("name", "email"))]
    known = _identities(document, problems)
    absent = 'add it to "accountIds", or run the command with credentials for the Organizations API'
    missing = {entry["email"].lower() for _, entry in entries} - known.keys()
    if ask is not None and missing:
        try:
            known = {**{account.email.lower(): account for account in ask(missing)}, **known}
            absent = "no account of the organization has this address"
        except AccessError as error:
            message = f"Account ids are missing, and the Organizations API cannot be read. {error}"
            problems.append(Problem(message, document.where()))
    accounts: list[Account] = []
    seen: set[str] = set()
    for where, entry in entries:
        email, ou = entry["email"].lower(), str(entry.get("organizationalUnit") or ROOT).strip().strip("/")
        identity = known.get(email)
        message = ""
        if email in seen:
            message = f"The address {entry['email']} is used by two accounts."
        elif identity is None:
            message = f'The account "{entry["name"]}" ({entry["email"]}) has no id: {absent}.'
        elif ou not in units and ou != ROOT:
            message = f'The organizational unit "{ou}" is not in organization-config.yaml{nearest(ou, units)}.'
        else:
            accounts.append(_account(entry, identity, ou, units.get(ou, False), where[0] == ACCOUNT_LISTS[0]))
        if message:
            problems.append(Problem(message, document.where(where)))
        seen.add(email)
    if not entries and not problems:
        problems.append(Problem("The configuration holds no accounts.", document.where()))
    return accounts, [account for email, account in known.items() if email not in seen]


def _account(entry: Mapping[str, Any], identity: Account, ou: str, ignored: bool, mandatory: bool) -> Account:
    tags = [tag for tag in entry.get("tags") or [] if isinstance(tag, dict)]
    return Account(
        id=identity.id,
        name=entry["name"],
        email=entry["email"],
        ou=ou,
        state=identity.state,
        tags={str(tag.get("key")): str(tag.get("value")) for tag in tags},
        role=_ROLES.get(entry["name"], "") if mandatory else "",
        ignored=f"Landing Zone Accelerator ignores the organizational unit {ou}" if ignored else "",
    )


def _session_manager_warnings(document: YamlDocument, organization: Organization) -> Iterator[Problem]:
    """Warn if the accelerator also writes the preferences document.

    It does so if logs are sent to S3 or CloudWatch, in all accounts and enabled regions that are not excluded
    (security-resources-stack.ts).

    Raises:
        InputError: The section excludes an account that does not exist.
    """
    section: object = document.data
    for key in SESSION_MANAGER:
        section = as_mapping(section).get(key)
    settings = as_mapping(section)
    if not any(settings.get(key) is True for key in ("sendToCloudWatchLogs", "sendToS3")):
        return
    excluded = as_texts(settings.get("excludeAccounts"))
    names = [account.name for account in organization.accounts]
    unknown = [f'No account has the name "{name}"{nearest(name, names)}.' for name in excluded if name not in names]
    if unknown:
        where = document.where((*SESSION_MANAGER, "excludeAccounts"))
        raise InputError([Problem(message, where) for message in unknown])
    accounts = [a.name for a in organization.accounts if not a.skip_reason and a.name not in excluded]
    regions = [region for region in organization.regions if region not in as_texts(settings.get("excludeRegions"))]
    if accounts and regions:
        message = (
            "Landing Zone Accelerator also writes the document SSM-SessionManagerRunShell, which then has two owners, "
            f"in the accounts {_listed(accounts)} and the regions {_listed(regions)}. Set sendToCloudWatchLogs and "
            "sendToS3 to false there, or exclude these accounts, and let its pipeline finish first."
        )
        yield Problem(message, document.where(SESSION_MANAGER))


def _govcloud_warnings(document: YamlDocument) -> Iterator[Problem]:
    """Warn of accounts with a counterpart in GovCloud, which is in another partition and organization."""
    for where, entry in entries_of(document, ACCOUNT_LISTS[1], [], ("name",)):
        if entry.get("enableGovCloud") is True:
            message = (
                f'The GovCloud counterpart of "{entry["name"]}" is no target: it is in another organization, which '
                "needs a separate organization.yaml."
            )
            yield Problem(message, document.where((*where, "enableGovCloud")))


def _unlisted_warnings(document: YamlDocument, unlisted: Iterable[Account]) -> Iterator[Problem]:
    """Warn of accounts that the configuration does not list: the accelerator refuses those of units that it ignores."""
    names = sorted(account.name or account.email for account in unlisted if account.state == ACTIVE)
    if names:
        message = (
            f"Active accounts of the organization that are not in the configuration are no targets ({len(names)}): "
            f"{_listed(names)}."
        )
        yield Problem(message, document.where())


def _listed(names: Iterable[str]) -> str:
    distinct = list(dict.fromkeys(names))
    more = f" and {len(distinct) - _MAX_NAMES} more" if len(distinct) > _MAX_NAMES else ""
    return ", ".join(distinct[:_MAX_NAMES]) + more
