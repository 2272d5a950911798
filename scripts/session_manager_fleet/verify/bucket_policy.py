"""What the policy of the log archive's bucket must say: the meaning of modules/log_archive/bucket_policy.tf."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from itertools import product
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from session_manager_fleet.settings import LogArchive

_KEY_ID = "s3:x-amz-server-side-encryption-aws-kms-key-id"
_ALGORITHM = "s3:x-amz-server-side-encryption"
_CUSTOMER_ALGORITHM = "s3:x-amz-server-side-encryption-customer-algorithm"


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


def wanted_statements(archive: LogArchive, organization_id: str, bucket_arn: str, key_arn: str) -> list[dict[str, Any]]:
    """Return the statements that modules/log_archive makes, all of them about everybody, in the form of IAM.

    Args:
        archive: Settings of the log archive.
        organization_id: The organization whose accounts write.
        bucket_arn: ARN of the bucket.
        key_arn: ARN of its key.
    """
    creates_bucket, readers = archive.existing_bucket_name is None, archive.reader_role_arns
    own = "/".join(filter(None, [bucket_arn, archive.key_prefix, "${aws:PrincipalAccount}", "*"]))
    logs = "/".join(filter(None, [bucket_arn, archive.key_prefix, "*"]))
    guarded = f"{bucket_arn}/*" if creates_bucket else logs
    organization = {"StringEquals": {"aws:PrincipalOrgID": organization_id}}
    write = ["s3:PutObject", "s3:PutObjectAcl"]

    wanted = [
        _statement("ReadEncryption", "Allow", "s3:GetEncryptionConfiguration", bucket_arn, organization),
        _statement("WriteOwnFolder", "Allow", write, own, organization),
        _statement(
            "EncryptedTransportOnly",
            "Deny",
            "s3:*",
            [bucket_arn, guarded] if creates_bucket else guarded,
            {"Bool": {"aws:SecureTransport": "false"}},
        ),
        _statement(
            "OrganizationOnly",
            "Deny",
            "s3:*",
            guarded,
            {
                "StringNotEquals": {"aws:PrincipalOrgID": organization_id},
                "BoolIfExists": {"aws:PrincipalIsAWSService": "false"},
            },
        ),
        _statement(
            "NamedReadersOnly",
            "Deny",
            "s3:GetObject*",
            guarded,
            {"ArnNotEquals": {"aws:PrincipalArn": readers}} if readers else {},
        ),
        _statement(
            "NoDeletion",
            "Deny",
            ["s3:BypassGovernanceRetention", "s3:DeleteObject", "s3:DeleteObjectVersion"],
            guarded,
        ),
        _statement(
            "NoOtherKey",
            "Deny",
            "s3:PutObject",
            guarded,
            {"Null": {_KEY_ID: "false"}, "StringNotEquals": {_KEY_ID: key_arn}},
        ),
        _statement(
            "NoUnnamedKey",
            "Deny",
            "s3:PutObject",
            guarded,
            {"StringEquals": {_ALGORITHM: "aws:kms"}, "Null": {_KEY_ID: "true"}},
        ),
        _statement(
            "NoOtherEncryption",
            "Deny",
            "s3:PutObject",
            guarded,
            {"Null": {_ALGORITHM: "false"}, "StringNotEquals": {_ALGORITHM: "aws:kms"}},
        ),
        _statement("NoCustomerProvidedKey", "Deny", "s3:PutObject", guarded, {"Null": {_CUSTOMER_ALGORITHM: "false"}}),
    ]
    if readers:
        reading = {**organization, "ArnEquals": {"aws:PrincipalArn": readers}}
        below = {"StringLike": {"s3:prefix": [archive.key_prefix, f"{archive.key_prefix}/*"]}}
        listing = {**reading, **(below if archive.key_prefix else {})}
        wanted.append(_statement("ReadLogs", "Allow", ["s3:GetObject", "s3:GetObjectVersion"], logs, reading))
        wanted.append(_statement("ListLogs", "Allow", ["s3:ListBucket", "s3:ListBucketVersions"], bucket_arn, listing))
    if creates_bucket:
        own_only = _statement("OwnFolderOnly", "Deny", write, own)
        own_only["NotResource"] = own_only.pop("Resource")
        wanted.append(own_only)
    return wanted


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


def _statement(
    sid: str,
    effect: str,
    actions: str | Sequence[str],
    resources: str | Sequence[str],
    conditions: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    about = {"Sid": sid, "Effect": effect, "Principal": "*", "Action": actions, "Resource": resources}
    return {**about, "Condition": conditions} if conditions else about


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
