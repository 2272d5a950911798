"""Keep a discovered organization in a JSON file: for work without AWS, and in the folder of every run.

The file holds the attributes of `Organization` and `schema_version`. All keys are required and no others allowed.
"""

import json
from collections import Counter
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Literal

from pydantic import TypeAdapter, ValidationError

from session_manager_fleet.accounts.model import Organization
from session_manager_fleet.errors import InputError, Problem
from session_manager_fleet.files import write_private
from session_manager_fleet.yaml_source import format_key_path, read_text

SCHEMA_VERSION = 1
# That of 100,000 accounts has 30 MB.
_LARGEST_MEGABYTES = 128
_ADVICE = "This file is no discovery saved by this version; save it again."


@dataclass(frozen=True, kw_only=True)
class _Snapshot(Organization):
    schema_version: Literal[1]


_SNAPSHOT = TypeAdapter(_Snapshot)


def save(organization: Organization, path: Path) -> None:
    """Write an organization to a JSON file that only its owner can read, all or nothing."""
    document = {"schema_version": SCHEMA_VERSION, **_without_empty_regions(asdict(organization))}
    write_private(path, json.dumps(document, indent=2, sort_keys=True) + "\n")


def _without_empty_regions(organization: dict[str, Any]) -> dict[str, Any]:
    """Leave out the regions of accounts that have none of their own, which earlier versions do not know."""
    accounts = [
        {key: value for key, value in account.items() if key != "regions" or value}
        for account in organization["accounts"]
    ]
    return {**organization, "accounts": accounts}


def from_saved(path: Path) -> Organization:
    """Read an organization that was saved.

    Raises:
        InputError: The file is missing, of another version, or not what `save` writes.
    """
    text = read_text(path, megabytes=_LARGEST_MEGABYTES)
    try:
        saved = _SNAPSHOT.validate_json(text)
    except ValidationError as error:
        raise InputError(
            [
                Problem(f"{problem['msg']}. {_ADVICE}", f"{path} ({format_key_path(problem['loc'])})")
                for problem in error.errors(include_url=False, include_context=False, include_input=False)[:5]
            ]
        ) from error
    # The attributes have defaults, so pydantic does not miss their keys.
    if _without_empty_regions(_SNAPSHOT.dump_python(saved, mode="json")) != json.loads(text):
        raise InputError(f"Keys are missing. {_ADVICE}", str(path))
    if not saved.accounts:
        raise InputError("The file holds no accounts.", str(path))
    twice = [account_id for account_id, count in Counter(account.id for account in saved.accounts).items() if count > 1]
    if twice:
        raise InputError(f"Account {twice[0]} is listed twice.", str(path))
    return Organization(**{attribute.name: getattr(saved, attribute.name) for attribute in fields(Organization)})
