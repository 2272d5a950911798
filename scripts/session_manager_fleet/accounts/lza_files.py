"""Files of a Landing Zone Accelerator configuration: read, included, and with placeholders replaced."""

import os
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, Self

from session_manager_fleet.accounts.lza_replacements import Replacements, unresolved
from session_manager_fleet.accounts.model import Account
from session_manager_fleet.accounts.organizations_api import list_accounts
from session_manager_fleet.aws import CLIENT_CONFIG, new_session, translated_errors
from session_manager_fleet.errors import AccessError, InputError, Problem
from session_manager_fleet.yaml_source import KeyPath, YamlDocument, read_yaml, refuse_links_out

ACCOUNT_LISTS = ("mandatoryAccounts", "workloadAccounts")
SESSION_MANAGER = ("logging", "sessionManager")


class Directory(Protocol):
    """Source of account ids and parameters that the configuration does not hold."""

    def accounts(self, emails: Collection[str], region: str | None) -> Iterable[Account]:
        """Return accounts of the organization; those with these addresses must be included.

        Raises:
            AccessError: They cannot be listed.
        """

    def parameter(self, name: str, region: str | None) -> str:
        """Return the value of a Parameter Store parameter.

        Raises:
            AccessError: It cannot be read.
        """


class AwsDirectory:
    """The management account, read with the caller's credentials.

    Attributes:
        region: Region of the calls if the configuration does not name its home region.
    """

    def __init__(self, region: str | None) -> None:
        self.region = region

    def accounts(self, emails: Collection[str], region: str | None) -> Iterable[Account]:  # noqa: ARG002
        """Return all accounts of the organization; AWS has no call that finds one by its address.

        Raises:
            AccessError: They cannot be listed.
        """
        with translated_errors("list the accounts of the organization"):
            client = new_session().client("organizations", region_name=region or self.region, config=CLIENT_CONFIG)
            return list_accounts(client)

    def parameter(self, name: str, region: str | None) -> str:
        """Return the value of a Parameter Store parameter; a SecureString stays encrypted, as in the accelerator.

        Raises:
            AccessError: It cannot be read.
        """
        with translated_errors(f"read the parameter {name}"):
            client = new_session().client("ssm", region_name=region or self.region, config=CLIENT_CONFIG)
            return str(client.get_parameter(Name=name)["Parameter"]["Value"])


@dataclass(frozen=True)
class Files:
    """The files of a configuration that define accounts, organizational units and regions."""

    accounts: YamlDocument
    organization: YamlDocument
    global_: YamlDocument

    @classmethod
    def read(cls, folder: Path, directory: Directory | None) -> Self:
        """Read the files and resolve their placeholders, including those of parameters.

        Raises:
            InputError: A file is missing or invalid, or a placeholder in a section that is read has no value.
        """
        if not os.path.isdir(folder):  # noqa: PTH112 - takes a name that is too long as that of nothing
            raise InputError("The Landing Zone Accelerator folder does not exist.", str(folder))
        replacements = Replacements.read(folder)
        files = cls._parse(folder, replacements)
        needed = {placeholder for _, _, placeholder in files.open_placeholders()}
        names = {key: name for key, name in replacements.parameters.items() if key in needed}
        if names and directory is not None:
            values = files.parameters(directory, names)
            replacements = replacements.with_values(values)
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
        # In the accelerator, the name of an account is a placeholder for itself.
        names = {
            entry["name"]: entry["name"]
            for key in ACCOUNT_LISTS
            for _, entry in entries_of(accounts, key, [], ("name",))
        }
        replacements = replacements.with_values(names)
        return cls(
            accounts,
            _read(folder, "organization-config.yaml", replacements),
            _read(folder, "global-config.yaml", replacements),
        )

    def open_placeholders(self) -> Iterator[tuple[YamlDocument, KeyPath, str]]:
        """Yield (document, key path, placeholder) without a value in the sections that are read."""
        sections: list[tuple[YamlDocument, KeyPath]] = [
            *((self.accounts, (key,)) for key in (*ACCOUNT_LISTS, "accountIds")),
            (self.organization, ("organizationalUnits",)),
            *((self.global_, (key,)) for key in ("homeRegion", "enabledRegions", "managementAccountAccessRole")),
            (self.global_, SESSION_MANAGER),
        ]
        for document, section in sections:
            for key_path, placeholder in unresolved(document, section):
                yield document, key_path, placeholder

    def parameters(self, directory: Directory, names: Mapping[str, str]) -> dict[str, str]:
        """Read the values of parameters, by key.

        Raises:
            InputError: One cannot be read; with the places that use it.
        """
        home_region = as_mapping(self.global_.data).get("homeRegion")
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
    refuse_links_out(folder / name, folder)
    return read_yaml(folder / name, include_below=folder, prepare=replacements.prepare)


def as_mapping(value: object) -> dict[str, Any]:
    """Return a mapping, or an empty one for any other value."""
    return value if isinstance(value, dict) else {}


def as_texts(value: object) -> tuple[str, ...]:
    """Return the texts of a list, or nothing for any other value."""
    return tuple(item for item in value if isinstance(item, str)) if isinstance(value, list) else ()


def entries_of(
    document: YamlDocument, key: str, problems: list[Problem], required: tuple[str, ...]
) -> Iterator[tuple[KeyPath, dict[str, Any]]]:
    """Yield (key path, mapping) for entries of a list with all required text keys; report the others."""
    entries = as_mapping(document.data).get(key) or []
    if not isinstance(entries, list):
        problems.append(Problem(f'"{key}" must be a list.', document.where((key,))))
        return
    for index, entry in enumerate(entries):
        missing = [name for name in required if not isinstance(as_mapping(entry).get(name), str)]
        if missing:
            needed = " and ".join(f'"{name}"' for name in missing)
            problems.append(Problem(f"The entry needs {needed} as text.", document.where((key, index))))
        else:
            yield (key, index), entry
