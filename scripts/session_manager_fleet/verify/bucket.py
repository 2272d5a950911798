"""Check the bucket of session logs: that it exists, and its default encryption."""

import json
from collections.abc import Sequence
from typing import Any

from botocore.exceptions import ClientError

from session_manager_fleet.aws import rescue
from session_manager_fleet.settings import S3Logging
from session_manager_fleet.targets import Target
from session_manager_fleet.terraform import permissions
from session_manager_fleet.verify.checks import Place, TargetCheck
from session_manager_fleet.verify.keys import Key, find_key
from session_manager_fleet.verify.model import APPLY_ARCHIVE, Check, CheckInfo, Severity, finding, not_needed, ok
from session_manager_fleet.verify.reading import Reader, error_code

# The statement of the bucket policy with which accounts may read the default encryption.
_READING = "ReadEncryption"


def bucket_of_target(
    reader: Reader, target: Target, s3: S3Logging, archive_key: Key | Check | None, apply_archive: Sequence[str] = ()
) -> Check:
    """Check the bucket of a target, with its key where the key is known.

    Args:
        reader: In the account of the target.
        target: The target.
        s3: Its settings for logs in S3.
        archive_key: Key of the log archive's bucket, or why it is unknown; None for another bucket.
        apply_archive: Words of the command that creates the log archive's bucket; empty for a bucket that exists
            without it.
    """
    if not s3.enabled:
        return not_needed("bucket", "Session logs do not go to S3.")
    if isinstance(archive_key, Check):
        return archive_key
    key, given = archive_key, s3.kms_key_arn
    # A key of another account is not looked up: this account's role cannot describe it.
    if key is None and given is not None and given.split(":")[4] == target.account.id:
        key = find_key(reader, given.split(":")[3], given)
        if key is None:
            message = f"The key {given} of the bucket {s3.bucket_name} does not exist."
            return finding("bucket", message, "Create the key, or correct s3.kms_key_arn.")
    return _bucket(reader, target.region, s3, key, apply_archive)


def _bucket(reader: Reader, region: str, s3: S3Logging, key: Key | None, apply_archive: Sequence[str]) -> Check:
    """Check the default encryption as an instance of the account sees it."""
    name = s3.bucket_name or ""
    try:
        answer = reader.call("s3", region, "get_bucket_encryption", Bucket=name)
        rules = answer["ServerSideEncryptionConfiguration"]["Rules"]
    except ClientError as error:
        if error_code(error) == "NoSuchBucket":
            return missing_bucket("bucket", name, apply_archive)
        if error_code(error) != "ServerSideEncryptionConfigurationNotFoundError":
            raise
        rules = []
    default = rules[0].get("ApplyServerSideEncryptionByDefault", {}) if rules else {}
    key_arn = key.arn if key else s3.kms_key_arn
    problem = judge_encryption(default, s3, key_arn)
    if problem:
        fix = APPLY_ARCHIVE if apply_archive else _encrypt(name, key_arn)
        return finding("bucket", f"The bucket {name} {problem}.", fix, apply_archive)
    if key and key.state != "Enabled":
        message = f"The bucket {name} encrypts with {key.arn}, which is {key.state}: no log can be written or read."
        return finding("bucket", message, rescue(key.arn, key.state))
    used = default.get("KMSMasterKeyID") or default.get("SSEAlgorithm", "nothing")
    return ok("bucket", f"{name} encrypts with {used}.")


def _encrypt(name: str, key_arn: str | None) -> str:
    """Return how to set the default encryption of a bucket that the rollout does not create."""
    if key_arn is None:
        return "Set the bucket's default encryption to aws:kms with the full ARN of its key."
    default = {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key_arn}
    rules = json.dumps({"Rules": [{"ApplyServerSideEncryptionByDefault": default, "BucketKeyEnabled": True}]})
    return (
        f"In the account of the bucket, set it: aws s3api put-bucket-encryption --bucket {name} "
        f"--server-side-encryption-configuration '{rules}'"
    )


def missing_bucket(check: str, name: str, apply_archive: Sequence[str]) -> Check:
    """Return the finding of a check whose bucket does not exist; `apply_archive` as in `bucket_of_target`."""
    fix = APPLY_ARCHIVE if apply_archive else "Create the bucket, or correct s3.bucket_name."
    return finding(check, f"The bucket {name} does not exist.", fix, apply_archive)


def judge_encryption(default: dict[str, Any], s3: S3Logging, key_arn: str | None) -> str:
    """Return the problem with the default encryption of a bucket for session logs, or an empty text.

    The agent accepts aws:kms and AES256, and passes the key id on unchanged (amazon-ssm-agent,
    `agent/s3util/s3util.go`), so an alias would be resolved in the instance's account.

    Args:
        default: `ApplyServerSideEncryptionByDefault` from GetBucketEncryption.
        s3: Settings for logs in S3.
        key_arn: The expected key; None if only its account is known, or if any key will do.
    """
    algorithm, key = default.get("SSEAlgorithm", ""), default.get("KMSMasterKeyID", "")
    account = s3.kms_key_account_id
    if s3.encryption_enabled and algorithm not in {"aws:kms", "AES256"}:
        return f"has default encryption {algorithm or 'none'}, which the SSM agent refuses"
    if key_arn is None and account is None:
        return ""
    if algorithm != "aws:kms":
        return f"has default encryption {algorithm or 'none'}, expected aws:kms"
    if not key.startswith("arn:") or ":key/" not in key:
        return f"encrypts with {key or 'the AWS managed key'}, expected the full ARN of a customer managed key"
    if key != key_arn and (key_arn is not None or key.split(":")[4] != account):
        return f"encrypts with {key}, expected {key_arn or f'a key of account {account}'}"
    return ""


def closed_bucket(name: str, policy: Check) -> Check:
    """Return the finding about a bucket whose policy does not let the account read its default encryption.

    Args:
        name: Name of the bucket.
        policy: The finding about its policy.
    """
    message = (
        f"The bucket {name} does not let this account read its default encryption, which the agent reads, too: see "
        "bucket_policy."
    )
    return finding("bucket", message, policy.fix, policy.command)


class Bucket(TargetCheck):
    """Check the bucket of session logs."""

    info = CheckInfo(
        id="bucket",
        severity=Severity.HIGH,
        what="default encryption as an instance of the account sees it: the configured key by its full ARN (for the "
        "log archive the key of its alias), and that key is enabled. The agent takes DSSE for no encryption, and "
        "refuses sessions if `s3.encryption_enabled` requires one, and resolves an alias in the instance's account",
        why="With another default encryption the agent refuses sessions, or logs lie under a key that others may use.",
        fix="Apply the target of the log archive; of another bucket, set the default encryption to aws:kms with the "
        "full ARN of the key; enable the key.",
        evidence="default encryption of the bucket, and the state of its key",
        where="targets that log to S3; a key of a third account is not checked",
        permissions=(
            permissions.BUCKETS.allow("s3:GetEncryptionConfiguration"),
            permissions.KEYS.allow("kms:DescribeKey"),
        ),
        controls=("Security Hub S3.17", "NIST 800-53 SC-28", "NIST 800-53 AU-9"),
    )

    def run(self, place: Place) -> Check:
        """Judge the bucket that the settings name."""
        archive, s3 = place.archive, place.values.preferences.s3
        if archive is None:
            return bucket_of_target(place.reader, place.target, s3, None)
        try:
            return bucket_of_target(place.reader, place.target, s3, archive.key, archive.apply_bucket)
        except ClientError as error:
            # What the role lacks is another matter: the bucket lets no role of the account read it.
            if error_code(error) != "AccessDenied" or _READING not in archive.policy.message:
                raise
            return closed_bucket(s3.bucket_name or "", archive.policy)
