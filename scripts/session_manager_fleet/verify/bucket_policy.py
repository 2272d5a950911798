"""Check the policy of the log archive's bucket against the one that modules/log_archive writes."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from itertools import product
from string import Template
from typing import Any

from botocore.exceptions import ClientError

from session_manager_fleet.aws import partitions
from session_manager_fleet.settings import LogArchive
from session_manager_fleet.terraform import ROOT_MODULE, permissions
from session_manager_fleet.verify.archive import Archive
from session_manager_fleet.verify.bucket import missing_bucket
from session_manager_fleet.verify.checks import Place, TargetCheck
from session_manager_fleet.verify.model import APPLY_ARCHIVE, Check, CheckInfo, Severity, finding, ok
from session_manager_fleet.verify.reading import Reader, error_code

_TEMPLATE = ROOT_MODULE.modules / "log_archive" / "bucket_policy.json.tftpl"


def bucket_policy(reader: Reader, archive: Archive, key_arn: str) -> Check:
    """Check that the bucket's policy has every statement of modules/log_archive, in any wording."""
    try:
        answer = reader.call("s3", archive.region, "get_bucket_policy", Bucket=archive.bucket)
        document = json.loads(answer["Policy"])
    except ClientError as error:
        if error_code(error) == "NoSuchBucket":
            return missing_bucket("bucket_policy", archive.bucket, archive.apply_bucket)
        if error_code(error) != "NoSuchBucketPolicy":
            raise
        document = {"Statement": []}
    bucket_arn = f"arn:{partitions()[archive.region]}:s3:::{archive.bucket}"
    expected = expected_statements(archive.settings, archive.organization_id, bucket_arn, key_arn)
    missing = missing_statements(document, expected)
    if missing:
        message = f"The policy of the bucket {archive.bucket} lacks {', '.join(missing)}."
        if archive.settings.existing_bucket_name:
            fix = "Merge the output bucket_policy_statements_json of modules/log_archive into the policy."
            return finding("bucket_policy", message, fix)
        return finding("bucket_policy", message, APPLY_ARCHIVE, archive.apply_command)
    return ok("bucket_policy", f"The policy of {archive.bucket} has all statements of the log archive.")


def expected_statements(
    archive: LogArchive, organization_id: str, bucket_arn: str, key_arn: str
) -> list[dict[str, Any]]:
    """Return the statements that modules/log_archive writes, from the template that it renders, too."""
    creates_bucket, folder = archive.existing_bucket_name is None, f"{archive.key_prefix}/".lstrip("/")
    applies = {
        "new bucket" if creates_bucket else "existing bucket",
        "readers" if archive.reader_role_arns else "no readers",
        "key prefix" if archive.key_prefix else "no key prefix",
    }
    # Terraform's `${name}` and `$${` mean the same in string.Template.
    document = Template(_TEMPLATE.read_text(encoding="utf-8")).substitute(
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


def missing_statements(document: Mapping[str, Any], expected: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return the ids of the expected statements that a policy does not cover, whatever the ids of its own are.

    A statement with fewer conditions, or for more actions or resources, covers an expected one.
    """
    found = [_parsed(statement) for statement in _many(document["Statement"]) if _is_for_everyone(statement)]
    return [each.sid for each in map(_parsed, expected) if not _is_covered(each, found)]


@dataclass(frozen=True)
class _Statement:
    """A statement for all principals, normalized so that equal ones compare as equal.

    Attributes:
        sid: Its id.
        effect: `Allow` or `Deny`.
        actions: In lower case; empty for a statement with NotAction, which never covers an expected one.
        resources: Its resources.
        inverted: Whether `resources` are those of NotResource.
        conditions: Values by operator and key; keys in lower case.
    """

    sid: str
    effect: str
    actions: frozenset[str]
    resources: frozenset[str]
    inverted: bool
    conditions: Mapping[tuple[str, str], frozenset[str]]


def _is_covered(expected: _Statement, found: Sequence[_Statement]) -> bool:
    return all(
        any(_covers(each, expected, action, resource) for each in found)
        for action, resource in product(expected.actions, expected.resources)
    )


def _covers(found: _Statement, expected: _Statement, action: str, resource: str) -> bool:
    """Tell whether a statement applies to an action and a resource whenever the expected one does."""
    if expected.inverted:
        applies = found.resources <= expected.resources if found.inverted else "*" in found.resources
    else:
        applies = not found.inverted and any(fnmatchcase(resource, pattern) for pattern in found.resources)
    return (
        found.effect == expected.effect
        and applies
        and any(fnmatchcase(action, pattern) for pattern in found.actions)
        and all(expected.conditions.get(test) == values for test, values in found.conditions.items())
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


def _is_for_everyone(statement: Mapping[str, Any]) -> bool:
    principal = statement.get("Principal")
    return principal == "*" or (isinstance(principal, dict) and "*" in _many(principal.get("AWS", [])))


def _text(value: object) -> str:
    """Return a value as IAM compares it: JSON's true is "true"."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _many(value: object) -> list[Any]:
    return value if isinstance(value, list) else [value]


class BucketPolicy(TargetCheck):
    """Check the policy of the log archive's bucket."""

    info = CheckInfo(
        id="bucket_policy",
        severity=Severity.CRITICAL,
        what="the bucket policy has the same effect as the one that [log_archive](../modules/log_archive) creates: who "
        "writes where, who reads, and what is denied. Every missing statement is named",
        why="The policy lets every account write its own logs only, lets only the auditors read, and forbids deletion.",
        fix="Apply the target of the log archive; for a bucket of your own, merge bucket_policy_statements_json.",
        evidence="the policy of the bucket",
        where="targets that log to the log archive",
        permissions=(permissions.BUCKETS.allow("s3:GetBucketPolicy"),),
        controls=("Security Hub S3.5", "CIS AWS Foundations 3.0.0 2.1.1", "NIST 800-53 AU-9", "NIST 800-53 AC-6"),
    )

    def applies(self, place: Place) -> bool:
        """Judge targets that log to the log archive."""
        return super().applies(place) and place.archive is not None

    def run(self, place: Place) -> Check:
        """Return the judgement of the bucket, which is read once for all targets."""
        assert place.archive is not None  # noqa: S101 - see `applies`
        return place.archive.policy
