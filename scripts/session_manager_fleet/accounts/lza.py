"""Accounts, organizational units and regions of a Landing Zone Accelerator configuration (aws-accelerator-config).

Facts about the accelerator are those of awslabs/landing-zone-accelerator-on-aws, packages/@aws-accelerator/config.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Protocol, Self

from session_manager_fleet.accounts.lza_replacements import Replacements, unresolved
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
from session_manager_fleet.accounts.organizations_api import list_accounts
from session_manager_fleet.aws import CLIENT_CONFIG, new_session, translated_errors
from session_manager_fleet.errors import AccessError, InputError, Problem
from session_manager_fleet.yaml_source import KeyPath, YamlDocument, nearest, read_yaml

# The accelerator knows these accounts by name (accounts-config.ts).
_ROLES = {"Management": MANAGEMENT, "LogArchive": LOG_ARCHIVE, "Audit": AUDIT}

_ACCOUNTS = ("mandatoryAccounts", "workloadAccounts")
_SESSION_MANAGER = ("logging", "sessionManager")

# How many names a warning lists.
_NAMED = 20


class Directory(Protocol):
    """What the configuration may leave to AWS."""

    def accounts(self, emails: Collection[str], region: str | None) -> Iterable[Account]:
        """Return accounts of the organization, those with these addresses among them.

        Raises:
            AccessError: They cannot be listed.
        """

    def parameter(self, name: str, region: str | None) -> str:
        """Return the value of a Parameter Store parameter.

        Raises:
            AccessError: It cannot be read.
        """


class AwsDirectory:
    """The management account, asked with the caller's own credentials.

    Attributes:
        region: Where to ask if the configuration does not say its home region.
    """

    def __init__(self, region: str | None) -> None:
        self.region = region

    def accounts(self, emails: Collection[str], region: str | None) -> Iterable[Account]:  # noqa: ARG002
        """Return all accounts of the organization; there is no call that finds one by its address.

        Raises:
            AccessError: They cannot be listed.
        """
        with translated_errors("list the accounts of the organization"):
            client = new_session().client("organizations", region_name=region or self.region, config=CLIENT_CONFIG)
            return list_accounts(client)

    def parameter(self, name: str, region: str | None) -> str:
        """Return the value of a Parameter Store parameter; a secret one stays encrypted, as for the accelerator.

        Raises:
            AccessError: It cannot be read.
        """
        with translated_errors(f"read the parameter {name}"):
            client = new_session().client("ssm", region_name=region or self.region, config=CLIENT_CONFIG)
            return str(client.get_parameter(Name=name)["Parameter"]["Value"])


def from_lza(folder: Path, directory: Directory | None = None) -> Organization:
    """Read a Landing Zone Accelerator configuration folder.

    Accounts come from `accounts-config.yaml` (`mandatoryAccounts`, `workloadAccounts`, `accountIds`), organizational
    units from `organization-config.yaml`, regions from `global-config.yaml`. Accounts in or below a unit with
    `ignore: true` are kept, but marked. `!include` and `{{ placeholders }}` are resolved.

    Args:
        folder: The folder.
        directory: Is asked for account ids and parameters that the configuration leaves to AWS; without it they are
            missing.

    Raises:
        InputError: With every problem, each with file and line; also for accounts without an id.
    """
    files = _Files.read(folder, directory)
    problems: list[Problem] = []
    units = _units(files.organization, problems)
    home_region, regions = _regions(files.global_, problems)
    ask = None if directory is None else partial(directory.accounts, region=home_region)
    accounts = _accounts(files.accounts, units, ask, problems)
    if problems:
        raise InputError(problems)
    organization = replace(
        Organization.of(None, accounts, units),
        home_region=home_region,
        regions=regions,
        has_tags=any(account.tags for account in accounts),
    )
    warnings = [*_session_manager_warnings(files.global_, organization), *_govcloud_warnings(files.accounts)]
    return replace(organization, warnings=tuple(str(warning) for warning in warnings))


def deployment_role(folder: Path) -> str:
    """Return the role through which the accelerator enters accounts (`managementAccountAccessRole`).

    Raises:
        InputError: The file is missing or has no such key.
    """
    document = _Files.read(folder, None).global_
    role = _mapping(document.data).get("managementAccountAccessRole")
    if not isinstance(role, str) or not role:
        raise InputError('The key "managementAccountAccessRole" is missing.', document.where())
    return role


@dataclass(frozen=True)
class _Files:
    """The files of a configuration that say which targets there are."""

    accounts: YamlDocument
    organization: YamlDocument
    global_: YamlDocument

    @classmethod
    def read(cls, folder: Path, directory: Directory | None) -> Self:
        """Read the files and resolve what they leave to replacements, parameters included.

        Raises:
            InputError: A file is missing or invalid, or a placeholder where it matters has no value.
        """
        if not folder.is_dir():
            raise InputError("The Landing Zone Accelerator folder does not exist.", str(folder))
        replacements = Replacements.read(folder)
        files = cls._parse(folder, replacements)
        needed = {placeholder for _, _, placeholder in files.open_placeholders()}
        wanted = [key for key in replacements.parameters if key in needed]
        if wanted and directory is not None:
            values = files.parameters(directory, {key: replacements.parameters[key] for key in wanted})
            replacements = replacements.knowing(values)
            files = cls._parse(folder, replacements)
        problems = [
            replacements.problem(placeholder, document.where(key_path))
            for document, key_path, placeholder in files.open_placeholders()
        ]
        if problems:
            raise InputError(problems)
        return files

    @classmethod
    def _parse(cls, folder: Path, replacements: Replacements) -> Self:
        accounts = _read(folder, "accounts-config.yaml", replacements)
        # The accelerator lets every account's name stand for itself, too.
        names = {
            entry["name"]: entry["name"] for key in _ACCOUNTS for _, entry in _entries(accounts, key, [], ("name",))
        }
        replacements = replacements.knowing(names)
        return cls(
            accounts,
            _read(folder, "organization-config.yaml", replacements),
            _read(folder, "global-config.yaml", replacements),
        )

    def open_placeholders(self) -> Iterator[tuple[YamlDocument, KeyPath, str]]:
        """Yield what has no value in the parts that are read here."""
        sections: list[tuple[YamlDocument, KeyPath]] = [
            *((self.accounts, (key,)) for key in (*_ACCOUNTS, "accountIds")),
            (self.organization, ("organizationalUnits",)),
            *((self.global_, (key,)) for key in ("homeRegion", "enabledRegions", "managementAccountAccessRole")),
            (self.global_, _SESSION_MANAGER),
        ]
        for document, section in sections:
            for key_path, placeholder in unresolved(document, section):
                yield document, key_path, placeholder

    def parameters(self, directory: Directory, names: Mapping[str, str]) -> dict[str, str]:
        """Read the values of parameters, by key.

        Raises:
            InputError: One cannot be read; with the places where it is needed.
        """
        home_region = _mapping(self.global_.data).get("homeRegion")
        known = isinstance(home_region, str) and not list(unresolved(self.global_, ("homeRegion",)))
        values: dict[str, str] = {}
        problems: list[Problem] = []
        for key, name in names.items():
            try:
                values[key] = directory.parameter(name, home_region if known else None)
            except AccessError as error:
                message = f'"{{{{{key}}}}}" is the parameter {name} of the management account. {error}'
                problems.extend(
                    Problem(message, document.where(key_path))
                    for document, key_path, placeholder in self.open_placeholders()
                    if placeholder == key
                )
        if problems:
            raise InputError(problems)
        return values


def _read(folder: Path, name: str, replacements: Replacements) -> YamlDocument:
    return read_yaml(folder / name, include_below=folder, prepare=replacements.prepare)


def _mapping(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _texts(value: object) -> tuple[str, ...]:
    return tuple(item for item in value if isinstance(item, str)) if isinstance(value, list) else ()


def _entries(
    document: YamlDocument, key: str, problems: list[Problem], required: tuple[str, ...]
) -> Iterator[tuple[KeyPath, dict[str, Any]]]:
    """Yield the mappings of a list that have all required string keys; complain about the others."""
    entries = _mapping(document.data).get(key) or []
    if not isinstance(entries, list):
        problems.append(Problem(f'"{key}" must be a list.', document.where((key,))))
        return
    for index, entry in enumerate(entries):
        missing = [name for name in required if not isinstance(_mapping(entry).get(name), str)]
        if missing:
            needed = " and ".join(f'"{name}"' for name in missing)
            problems.append(Problem(f"The entry needs {needed}, as text.", document.where((key, index))))
        else:
            yield (key, index), entry


def _units(document: YamlDocument, problems: list[Problem]) -> dict[str, str]:
    """Return every organizational unit path with the unit, itself or above it, that is ignored, or empty."""
    own = {
        entry["name"].strip().strip("/"): entry.get("ignore") is True
        for _, entry in _entries(document, "organizationalUnits", problems, ("name",))
    }
    paths = {parent for path in own for parent in ancestry(path)}
    return {path: next((parent for parent in ancestry(path) if own.get(parent)), "") for path in paths}


def _regions(document: YamlDocument, problems: list[Problem]) -> tuple[str | None, tuple[str, ...]]:
    data = _mapping(document.data)
    home_region, regions = data.get("homeRegion"), data.get("enabledRegions")
    if not isinstance(home_region, str):
        problems.append(Problem('The key "homeRegion" is missing.', document.where(("homeRegion",))))
        home_region = None
    if not isinstance(regions, list) or not regions or len(_texts(regions)) < len(regions):
        message = 'The key "enabledRegions" must be a list of regions.'
        problems.append(Problem(message, document.where(("enabledRegions",))))
    return home_region, tuple(dict.fromkeys(_texts(regions)))


def _identities(document: YamlDocument, problems: list[Problem]) -> dict[str, Account]:
    """Return what `accountIds` says, by address in lower case: the accelerator compares addresses without case."""
    known: dict[str, Account] = {}
    ids: set[str] = set()
    for where, entry in _entries(document, "accountIds", problems, ("email", "accountId")):
        account_id, email = entry["accountId"], entry["email"].lower()
        if not ACCOUNT_ID.fullmatch(account_id):
            message = f'"{account_id}" is not an account id: twelve digits are needed.'
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
    units: Mapping[str, str],
    ask: Callable[[Collection[str]], Iterable[Account]] | None,
    problems: list[Problem],
) -> list[Account]:
    """Return the accounts that the configuration names.

    Args:
        document: accounts-config.yaml.
        units: What `_units` returned.
        ask: Returns the accounts with these addresses; called only if an id is missing.
        problems: What is wrong is added here.
    """
    entries = [pair for key in _ACCOUNTS for pair in _entries(document, key, problems, ("name", "email"))]
    known = _identities(document, problems)
    absent = 'add it to "accountIds", or run this where the Organizations API can be asked'
    missing = {entry["email"].lower() for _, entry in entries} - known.keys()
    if ask is not None and missing:
        try:
            known = {**{account.email.lower(): account for account in ask(missing)}, **known}
            absent = "no account of the organization has this address"
        except AccessError as error:
            message = f"Account ids are missing, and the Organizations API does not tell them. {error}"
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
            message = f'There is no account id for "{entry["name"]}" ({entry["email"]}): {absent}.'
        elif ou not in units and ou != ROOT:
            message = f'The organizational unit "{ou}" is not in organization-config.yaml{nearest(ou, units)}.'
        else:
            accounts.append(_account(entry, identity, ou, units.get(ou, ""), mandatory=where[0] == _ACCOUNTS[0]))
        if message:
            problems.append(Problem(message, document.where(where)))
        seen.add(email)
    if not entries and not problems:
        problems.append(Problem("The configuration holds no accounts.", document.where()))
    return accounts


def _account(entry: Mapping[str, Any], identity: Account, ou: str, ignored_unit: str, *, mandatory: bool) -> Account:
    tags = [tag for tag in entry.get("tags") or [] if isinstance(tag, dict)]
    return Account(
        id=identity.id,
        name=entry["name"],
        email=entry["email"],
        ou=ou,
        state=identity.state,
        tags={str(tag.get("key")): str(tag.get("value")) for tag in tags},
        role=_ROLES.get(entry["name"], "") if mandatory else "",
        ignored=f"Landing Zone Accelerator ignores the organizational unit {ignored_unit}" if ignored_unit else "",
    )


def _session_manager_warnings(document: YamlDocument, organization: Organization) -> Iterator[Problem]:
    """Warn of every target where the accelerator writes the session document, too.

    It does so wherever logs are sent to S3 or CloudWatch, in all accounts and enabled regions that are not excluded
    (security-resources-stack.ts).

    Raises:
        InputError: The section excludes an account that does not exist.
    """
    section: object = document.data
    for key in _SESSION_MANAGER:
        section = _mapping(section).get(key)
    settings = _mapping(section)
    if not any(settings.get(key) is True for key in ("sendToCloudWatchLogs", "sendToS3")):
        return
    excluded = _texts(settings.get("excludeAccounts"))
    names = [account.name for account in organization.accounts]
    unknown = [f'No account has the name "{name}"{nearest(name, names)}.' for name in excluded if name not in names]
    if unknown:
        where = document.where((*_SESSION_MANAGER, "excludeAccounts"))
        raise InputError([Problem(message, where) for message in unknown])
    accounts = [a.name for a in organization.accounts if not a.skip_reason and a.name not in excluded]
    regions = [region for region in organization.regions if region not in _texts(settings.get("excludeRegions"))]
    if accounts and regions:
        message = (
            "Landing Zone Accelerator writes the document SSM-SessionManagerRunShell, too, so that it has two owners, "
            f"in the accounts {_listed(accounts)} and the regions {_listed(regions)}. Set sendToCloudWatchLogs and "
            "sendToS3 to false there, or exclude these accounts, and let its pipeline finish first."
        )
        yield Problem(message, document.where(_SESSION_MANAGER))


def _govcloud_warnings(document: YamlDocument) -> Iterator[Problem]:
    """Warn of accounts that have a counterpart in GovCloud: another partition, another organization."""
    for where, entry in _entries(document, _ACCOUNTS[1], [], ("name",)):
        if entry.get("enableGovCloud") is True:
            message = (
                f'The GovCloud counterpart of "{entry["name"]}" is no target: it belongs to an organization of its '
                "own, which needs a configuration of its own."
            )
            yield Problem(message, document.where((*where, "enableGovCloud")))


def _listed(names: Iterable[str]) -> str:
    distinct = list(dict.fromkeys(names))
    more = f" and {len(distinct) - _NAMED} more" if len(distinct) > _NAMED else ""
    return ", ".join(distinct[:_NAMED]) + more
