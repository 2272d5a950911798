"""Check what protects the logs in the bucket of the log archive, beside its policy and its encryption."""

from collections.abc import Iterator, Mapping
from typing import Any

from botocore.exceptions import ClientError

from session_manager_fleet.aws import rescue
from session_manager_fleet.settings import LogArchive
from session_manager_fleet.terraform import permissions
from session_manager_fleet.verify.archive import Archive
from session_manager_fleet.verify.bucket import missing_bucket
from session_manager_fleet.verify.checks import Place, TargetCheck
from session_manager_fleet.verify.keys import find_key
from session_manager_fleet.verify.model import (
    APPLY_ARCHIVE,
    Check,
    CheckInfo,
    Problem,
    Severity,
    finding,
    not_needed,
    ok,
)
from session_manager_fleet.verify.reading import Reader, error_code

_NAME = "archive"
# S3's codes for a bucket that lacks a setting.
_UNSET = {
    "NoSuchLifecycleConfiguration",
    "NoSuchPublicAccessBlockConfiguration",
    "ObjectLockConfigurationNotFoundError",
    "OwnershipControlsNotFoundError",
}
_PUBLIC_ACCESS = ("BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets")
_UPLOAD_DAYS = 7


def archive_protection(reader: Reader, archive: Archive) -> Check:
    """Check the settings of the bucket that modules/log_archive creates; an existing bucket is its owner's."""
    if archive.settings.existing_bucket_name:
        return not_needed(_NAME, f"{archive.bucket} existed already: nothing on it is changed or judged.")
    try:
        problems = [Problem(text, APPLY_ARCHIVE) for text in _bucket_problems(reader, archive)]
        problems += _key_problems(reader, archive)
    except ClientError as error:
        if error_code(error) != "NoSuchBucket":
            raise
        return missing_bucket(_NAME, archive.bucket, archive.apply_bucket)
    if problems:
        text = "; ".join(problem.text for problem in problems)
        message = f"The bucket {archive.bucket} is not protected as configured: {text}."
        fixes = sorted(dict.fromkeys(problem.fix for problem in problems), key=APPLY_ARCHIVE.__eq__)
        command = archive.apply_command if APPLY_ARCHIVE in fixes else ()
        return finding(_NAME, message, "\n".join(fixes), command)
    lock = archive.settings.object_lock
    locked = f", and locked for {lock.days} days ({lock.mode})" if lock else ""
    return ok(_NAME, f"The logs in {archive.bucket} have versions, are private{locked}, and expire as configured.")


def _bucket_problems(reader: Reader, archive: Archive) -> Iterator[str]:
    def setting(name: str) -> Mapping[str, Any]:
        try:
            return reader.call("s3", archive.region, f"get_{name}", Bucket=archive.bucket)
        except ClientError as error:
            if error_code(error) not in _UNSET:
                raise
            return {}

    if (status := setting("bucket_versioning").get("Status", "off")) != "Enabled":
        yield f"versioning is {status}, so a log that is written over is lost"
    blocked = setting("public_access_block").get("PublicAccessBlockConfiguration", {})
    if missing := [name for name in _PUBLIC_ACCESS if not blocked.get(name)]:
        yield f"public access is not blocked ({', '.join(missing)})"
    rules = setting("bucket_ownership_controls").get("OwnershipControls", {}).get("Rules", [])
    if [rule["ObjectOwnership"] for rule in rules] != ["BucketOwnerEnforced"]:
        yield "ACLs are not disabled, so accounts can own logs and open them"
    yield from judge_lock(setting("object_lock_configuration").get("ObjectLockConfiguration", {}), archive.settings)
    yield from judge_lifecycle(setting("bucket_lifecycle_configuration").get("Rules", []), archive.settings)
    if wanted := archive.settings.access_logging:
        logging = setting("bucket_logging").get("LoggingEnabled", {})
        if (logging.get("TargetBucket"), logging.get("TargetPrefix")) != (wanted.bucket_name, wanted.key_prefix):
            yield f"its access logs do not go to {wanted.bucket_name}/{wanted.key_prefix}"


def judge_lock(found: Mapping[str, Any], settings: LogArchive) -> Iterator[str]:
    """Yield what is wrong with the Object Lock of a bucket; one that is not configured is no problem.

    Args:
        found: `ObjectLockConfiguration` of the bucket, empty without one.
        settings: Settings of the log archive.
    """
    wanted = settings.object_lock
    if wanted is None:
        return
    retention = found.get("Rule", {}).get("DefaultRetention", {})
    days = retention.get("Days") or retention.get("Years", 0) * 365
    if (retention.get("Mode"), days) != (wanted.mode, wanted.days):
        is_ = f"{retention['Mode']} for {days} days" if retention else "off"
        yield f"Object Lock is {is_}, expected {wanted.mode} for {wanted.days} days"


def judge_lifecycle(found: list[Mapping[str, Any]], settings: LogArchive) -> Iterator[str]:
    """Yield what is wrong with the lifecycle rules of a bucket: logs that expire too early, too late or move elsewhere.

    Args:
        found: The rules.
        settings: Settings of the log archive.
    """
    enabled = {str(rule.get("ID")): rule for rule in found if rule.get("Status") == "Enabled"}
    wanted, own = settings.retention, enabled.pop("session-logs", None)
    if own is None:
        yield "the lifecycle rule session-logs is missing or disabled"
    else:
        transitions = [(each.get("Days", 0), each["StorageClass"]) for each in own.get("Transitions", [])]
        facts = {
            "logs expire after": (own.get("Expiration", {}).get("Days", 0), wanted.days),
            "old versions expire after": (
                own.get("NoncurrentVersionExpiration", {}).get("NoncurrentDays", 0),
                wanted.noncurrent_days,
            ),
            "unfinished uploads end after": (
                own.get("AbortIncompleteMultipartUpload", {}).get("DaysAfterInitiation", 0),
                _UPLOAD_DAYS,
            ),
        }
        for what, (is_, expected) in facts.items():
            if is_ != expected:
                yield f"{what} {is_ or 'no'} days, expected {expected or 'never'}"
        if sorted(transitions) != sorted((each.days, each.storage_class) for each in wanted.transitions):
            yield "logs move to other storage classes than configured"
        if _prefix(own):
            yield f"the lifecycle rule session-logs is for {_prefix(own)} only"
    if enabled.pop("delete-markers", None) is None:
        yield "the lifecycle rule delete-markers is missing or disabled"
    for name, rule in enabled.items():
        if rule.get("Expiration") or rule.get("NoncurrentVersionExpiration"):
            yield f"another lifecycle rule, {name}, deletes logs"


def _prefix(rule: Mapping[str, Any]) -> str:
    """Return what a rule is limited to; empty for a rule about everything."""
    limit = rule.get("Filter") or {}
    return str(rule.get("Prefix") or limit.get("Prefix") or limit.get("Tag") or limit.get("And") or "")


def _key_problems(reader: Reader, archive: Archive) -> Iterator[Problem]:
    """Yield what is wrong with the keys that are created with the bucket."""
    settings = archive.settings
    aliases = [] if settings.bucket_key.kms_key_arn else [settings.bucket_key.alias]
    if settings.session_key.mode == "separate":
        aliases.append(settings.session_key.alias)
    for alias in aliases:
        key = find_key(reader, archive.region, alias)
        if key is None:
            yield Problem(f"{alias} does not exist", APPLY_ARCHIVE)
        elif key.state != "Enabled":
            yield Problem(f"the key of {alias} is {key.state}", rescue(key.arn, key.state))
        elif not reader.call("kms", archive.region, "get_key_rotation_status", KeyId=key.arn)["KeyRotationEnabled"]:
            yield Problem(f"the key of {alias} is not rotated", APPLY_ARCHIVE)


class ArchiveProtection(TargetCheck):
    """Check what protects the logs in the log archive."""

    info = CheckInfo(
        id=_NAME,
        severity=Severity.CRITICAL,
        what="the created bucket of the log archive has versions, blocks public access, has no ACLs, and has the "
        "configured Object Lock, lifecycle rules and access logs; its keys and the organization's session key are "
        "enabled and rotated. That it denies plain HTTP is part of `bucket_policy`. Another rule that deletes logs is "
        "named. Nothing is judged on a bucket that existed already",
        why="Without versions, lock or lifecycle, logs can be written over or vanish; public access shows them.",
        fix="Enable its keys; apply the target of the log archive.",
        evidence="versions, public access block, ownership, Object Lock, lifecycle and logging of the bucket; its keys",
        where="targets that log to the log archive",
        permissions=(
            permissions.BUCKETS.allow(
                "s3:GetBucketLogging",
                "s3:GetBucketObjectLockConfiguration",
                "s3:GetBucketOwnershipControls",
                "s3:GetBucketPublicAccessBlock",
                "s3:GetBucketVersioning",
                "s3:GetLifecycleConfiguration",
            ),
            permissions.KEYS.allow("kms:DescribeKey", "kms:GetKeyRotationStatus"),
        ),
        controls=(
            "Security Hub S3.8",
            "Security Hub S3.12",
            "Security Hub S3.13",
            "Security Hub S3.15",
            "CIS AWS Foundations 3.0.0 2.1.4",
            "NIST 800-53 AU-9",
            "NIST 800-53 AU-11",
        ),
    )

    def applies(self, place: Place) -> bool:
        """Judge targets that log to the log archive."""
        return super().applies(place) and place.archive is not None

    def run(self, place: Place) -> Check:
        """Return the judgement of the bucket, which is read once for all targets."""
        assert place.archive is not None  # noqa: S101 - see `applies`
        return place.archive.protection
