"""Check the bucket of session logs: that it exists, and its default encryption."""

from typing import Any

from botocore.exceptions import ClientError

from session_manager_fleet.aws import rescue
from session_manager_fleet.settings import S3Logging
from session_manager_fleet.targets import Target
from session_manager_fleet.terraform import permissions
from session_manager_fleet.verify.checks import Place, TargetCheck
from session_manager_fleet.verify.keys import Key, find_key
from session_manager_fleet.verify.model import Check, CheckInfo, Severity, finding, not_needed, ok
from session_manager_fleet.verify.reading import Reader, error_code


def bucket_of_target(reader: Reader, target: Target, s3: S3Logging, archive_key: Key | Check | None) -> Check:
    """Check the bucket of a target, with its key where the key is known.

    Args:
        reader: In the account of the target.
        target: The target.
        s3: Its settings for logs in S3.
        archive_key: Key of the log archive's bucket, or why it is unknown; None for another bucket.
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
    return _bucket(reader, target.region, s3, key)


def _bucket(reader: Reader, region: str, s3: S3Logging, key: Key | None) -> Check:
    """Check the default encryption as an instance of the account sees it."""
    name = s3.bucket_name or ""
    try:
        answer = reader.call("s3", region, "get_bucket_encryption", Bucket=name)
        rules = answer["ServerSideEncryptionConfiguration"]["Rules"]
    except ClientError as error:
        if error_code(error) == "NoSuchBucket":
            return missing_bucket("bucket", name)
        if error_code(error) != "ServerSideEncryptionConfigurationNotFoundError":
            raise
        rules = []
    default = rules[0].get("ApplyServerSideEncryptionByDefault", {}) if rules else {}
    problem = judge_encryption(default, s3, key.arn if key else s3.kms_key_arn)
    if problem:
        fix = "Set the bucket's default encryption to aws:kms with the full ARN of its key."
        return finding("bucket", f"The bucket {name} {problem}.", fix)
    if key and key.state != "Enabled":
        message = f"The bucket {name} encrypts with {key.arn}, which is {key.state}: no log can be written or read."
        return finding("bucket", message, rescue(key.arn, key.state))
    used = default.get("KMSMasterKeyID") or default.get("SSEAlgorithm", "nothing")
    return ok("bucket", f"{name} encrypts with {used}.")


def missing_bucket(check: str, name: str) -> Check:
    """Return the finding of a check whose bucket does not exist."""
    return finding(check, f"The bucket {name} does not exist.", "Apply the log archive, or correct s3.bucket_name.")


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


class Bucket(TargetCheck):
    """Check the bucket of session logs."""

    info = CheckInfo(
        id="bucket",
        severity=Severity.HIGH,
        what="default encryption as an instance of the account sees it: the configured key by its full ARN (for the "
        "log archive the key of its alias), and that key is enabled. The agent takes DSSE for no encryption, and "
        "refuses sessions if `s3.encryption_enabled` requires one, and resolves an alias in the instance's account",
        why="With another default encryption the agent refuses sessions, or logs lie under a key that others may use.",
        fix="Set the default encryption to aws:kms with the full ARN of the key; apply the log archive; enable the "
        "key.",
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
        key = place.archive.key if place.archive else None
        return bucket_of_target(place.reader, place.target, place.values.preferences.s3, key)
