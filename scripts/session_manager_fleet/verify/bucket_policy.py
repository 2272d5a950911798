"""Compare the policy of the log archive's bucket with the one that modules/log_archive writes."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from itertools import product
from string import Template
from typing import TYPE_CHECKING, Any

from session_manager_fleet.terraform import ROOT_MODULE

if TYPE_CHECKING:
    from session_manager_fleet.settings import LogArchive

_TEMPLATE = "modules/log_archive/bucket_policy.json.tftpl"


@dataclass(frozen=True)
class _Statement:
    """A statement about everybody, in one form for all ways to write it.

    Attributes:
        sid: Its name.
        effect: `Allow` or `Deny`.
        actions: In lower case; empty for those that name what they do not mean, which say nothing wanted.
        resources: What it is about.
        inverted: Whether it is about everything but that.
        conditions: Their values, by operator and key; the keys in lower case.
    """

    sid: str
    effect: str
    actions: frozenset[str]
    resources: frozenset[str]
    inverted: bool
    conditions: Mapping[tuple[str, str], frozenset[str]]


def expected_statements(
    archive: LogArchive, organization_id: str, bucket_arn: str, key_arn: str
) -> list[dict[str, Any]]:
    """Return the statements that modules/log_archive writes, from the template that it renders, too.

    Args:
        archive: Settings of the log archive.
        organization_id: The organization whose accounts may write.
        bucket_arn: ARN of the bucket.
        key_arn: ARN of the bucket's key.
    """
    creates_bucket, folder = archive.existing_bucket_name is None, f"{archive.key_prefix}/".lstrip("/")
    applies = {
        "new bucket" if creates_bucket else "existing bucket",
        "readers" if archive.reader_role_arns else "no readers",
        "key prefix" if archive.key_prefix else "no key prefix",
    }
    # Terraform's `${name}` and `$${` mean the same in string.Template.
    document = Template((ROOT_MODULE / _TEMPLATE).read_text(encoding="utf-8")).substitute(
        bucket=bucket_arn,
        guarded_objects=f"{bucket_arn}/*" if creates_bucket else f"{bucket_arn}/{folder}*",
        key=key_arn,
        key_prefix=archive.key_prefix,
        log_objects=f"{bucket_arn}/{folder}*",
        organization_id=organization_id,
        own_objects=f"{bucket_arn}/{folder}${{aws:PrincipalAccount}}/*",
        readers=json.dumps(archive.reader_role_arns),
    )
    return [
        {name: value for name, value in statement.items() if name not in {"When", "Why"}}
        for statement in json.loads(document)["Statement"]
        if applies.issuperset(statement.get("When", []))
    ]


def missing_statements(document: Mapping[str, Any], wanted: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return the names of the wanted statements that a policy lacks, whatever its own are called and joined to.

    A statement with fewer conditions, or about more, says the wanted one, too.
    """
    found = [_parsed(statement) for statement in _many(document["Statement"]) if _means_everybody(statement)]
    return [each.sid for each in map(_parsed, wanted) if not _is_said(each, found)]


def _is_said(wanted: _Statement, found: Sequence[_Statement]) -> bool:
    return all(
        any(_says(each, wanted, action, resource) for each in found)
        for action, resource in product(wanted.actions, wanted.resources)
    )


def _says(found: _Statement, wanted: _Statement, action: str, resource: str) -> bool:
    """Tell whether a statement holds for an action and a resource whenever the wanted one does."""
    if wanted.inverted:
        about = found.resources <= wanted.resources if found.inverted else "*" in found.resources
    else:
        about = not found.inverted and any(fnmatchcase(resource, pattern) for pattern in found.resources)
    return (
        found.effect == wanted.effect
        and about
        and any(fnmatchcase(action, pattern) for pattern in found.actions)
        and all(wanted.conditions.get(test) == values for test, values in found.conditions.items())
    )


def _parsed(statement: Mapping[str, Any]) -> _Statement:
    inverted = "NotResource" in statement
    return _Statement(
        sid=statement.get("Sid", ""),
        effect=statement["Effect"],
        actions=frozenset(action.lower() for action in _many(statement.get("Action", []))),
        resources=frozenset(_many(statement["NotResource" if inverted else "Resource"])),
        inverted=inverted,
        conditions={
            (operator, key.lower()): frozenset(_text(value) for value in _many(values))
            for operator, keys in statement.get("Condition", {}).items()
            for key, values in keys.items()
        },
    )


def _means_everybody(statement: Mapping[str, Any]) -> bool:
    principal = statement.get("Principal")
    return principal == "*" or (isinstance(principal, dict) and "*" in _many(principal.get("AWS", [])))


def _text(value: object) -> str:
    """Write a value as IAM compares it: JSON's true is "true"."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _many(value: object) -> list[Any]:
    return value if isinstance(value, list) else [value]
