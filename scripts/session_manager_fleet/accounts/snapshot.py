"""A discovered organization kept in a file: for offline work, and beside every run that used it."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from session_manager_fleet.accounts.model import Account, Organization
from session_manager_fleet.errors import InputError, Problem
from session_manager_fleet.files import write_private
from session_manager_fleet.yaml_source import format_key_path, read_text

SCHEMA_VERSION = 1


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class _SavedAccount(_Model):
    """The attributes of `Account`."""

    id: str = Field(pattern=r"^[0-9]{12}$")
    name: str = Field(min_length=1)
    email: str
    ou: str = Field(min_length=1)
    state: str = Field(min_length=1)
    tags: dict[str, str]
    role: Literal["", "management", "log-archive", "audit"]
    ignored: str


class _SavedOrganization(_Model):
    """The attributes of `Organization`, and the version of the format."""

    schema_version: Literal[1]
    id: str | None
    home_region: str | None
    regions: list[str]
    has_tags: bool
    warnings: list[str]
    organizational_units: list[str]
    accounts: Annotated[list[_SavedAccount], Field(min_length=1)]


def save(organization: Organization, path: Path) -> None:
    """Write an organization to a JSON file that only its owner can read, all or nothing."""
    document = {"schema_version": SCHEMA_VERSION, **asdict(organization)}
    write_private(path, json.dumps(document, indent=2, sort_keys=True) + "\n")


def from_saved(path: Path) -> Organization:
    """Read an organization that was saved.

    Raises:
        InputError: The file is missing, of another version, or not what `save` writes.
    """
    try:
        saved = _SavedOrganization.model_validate_json(read_text(path))
    except ValidationError as error:
        advice = "This is no discovery saved by this version; save it again."
        raise InputError(
            [
                Problem(f"{problem['msg']}. {advice}", f"{path} ({format_key_path(problem['loc'])})")
                for problem in error.errors(include_url=False, include_context=False, include_input=False)[:5]
            ]
        ) from error
    twice = [account_id for account_id, count in Counter(account.id for account in saved.accounts).items() if count > 1]
    if twice:
        raise InputError(f"Account {twice[0]} is listed twice.", str(path))
    return Organization(
        id=saved.id,
        accounts=tuple(Account(**account.model_dump()) for account in saved.accounts),
        organizational_units=tuple(saved.organizational_units),
        home_region=saved.home_region,
        regions=tuple(saved.regions),
        has_tags=saved.has_tags,
        warnings=tuple(saved.warnings),
    )
