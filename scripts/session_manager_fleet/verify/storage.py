"""Keys, log group and bucket: do they exist, and are they what sessions need?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from session_manager_fleet.verify.model import Check, Verdict

if TYPE_CHECKING:
    from session_manager_fleet.settings import S3Logging, TargetSettings
    from session_manager_fleet.verify.reading import Reader

_APPLY = "Plan and apply this target."
_REVIVE = "Enable it, or cancel its deletion."


@dataclass(frozen=True)
class Key:
    """A key of KMS.

    Attributes:
        arn: Its ARN.
        state: As KMS calls it, such as `Enabled` or `PendingDeletion`.
    """

    arn: str
    state: str


def find_key(reader: Reader, region: str, named: str) -> Key | None:
    """Return the key with an ARN or alias, or None when there is none."""
    try:
        found = reader.call("kms", region, "describe_key", KeyId=named)["KeyMetadata"]
    except ClientError as error:
        if error.response["Error"]["Code"] != "NotFoundException":
            raise
        return None
    return Key(found["Arn"], found["KeyState"])


def session_key(reader: Reader, region: str, values: TargetSettings) -> tuple[Check, str | None]:
    """Find the key of session data; returns its ARN, too."""
    wanted = values.preferences.session_key
    if not wanted.enabled:
        return Check("session_key", Verdict.NOT_NEEDED, "No session key is wanted."), None
    named = wanted.kms_key_arn or values.names.data_key_alias
    key = find_key(reader, region, named)
    if key is None:
        fix = _APPLY if wanted.kms_key_arn is None else "Create the key, or correct session_key.kms_key_arn."
        return Check("session_key", Verdict.FINDING, f"The session key {named} does not exist.", fix), None
    if key.state != "Enabled":
        message = f"The session key {named} is {key.state}: no session can start."
        return Check("session_key", Verdict.FINDING, message, _REVIVE), key.arn
    return Check("session_key", Verdict.OK, f"{named} is enabled."), key.arn


def log_group(reader: Reader, region: str, values: TargetSettings, name: str) -> Check:
    """Check the log group of session logs."""
    wanted = values.preferences.cloudwatch
    if not name:
        return Check("log_group", Verdict.NOT_NEEDED, "Session logs do not go to CloudWatch.")
    groups = reader.pages("logs", region, "describe_log_groups", "logGroups", logGroupNamePrefix=name)
    group = next((entry for entry in groups if entry["logGroupName"] == name), None)
    if group is None:
        fix = _APPLY if wanted.create_log_group else "Create it: this project does not, with create_log_group = false."
        return Check("log_group", Verdict.FINDING, f"The log group {name} does not exist.", fix)
    problems = []
    if wanted.encryption_enabled and not group.get("kmsKeyId"):
        problems.append("has no KMS key, so that no session can start")
    retention = group.get("retentionInDays", 0)
    if wanted.create_log_group and retention != wanted.retention_in_days:
        problems.append(f"keeps logs for {retention or 'ever, not'} days, {wanted.retention_in_days} are wanted")
    if problems:
        fix = _APPLY if wanted.create_log_group else "Associate a key with it."
        return Check("log_group", Verdict.FINDING, f"The log group {name} {' and '.join(problems)}.", fix)
    return Check("log_group", Verdict.OK, f"{name} is {'encrypted' if group.get('kmsKeyId') else 'there'}.")


def bucket(reader: Reader, region: str, s3: S3Logging, key: Key | None) -> Check:
    """Check the default encryption of the bucket as an instance of this account sees it.

    Args:
        reader: In the account of the instances.
        region: Their region.
        s3: What is wanted.
        key: The key that the bucket must encrypt with; None where the settings do not say which, or where it belongs to
            an account that is not entered.
    """
    if not s3.enabled:
        return Check("bucket", Verdict.NOT_NEEDED, "Session logs do not go to S3.")
    name = s3.bucket_name or ""
    try:
        answer = reader.call("s3", region, "get_bucket_encryption", Bucket=name)
        rules = answer["ServerSideEncryptionConfiguration"]["Rules"]
    except ClientError as error:
        code = error.response["Error"]["Code"]
        if code == "NoSuchBucket":
            return missing_bucket("bucket", name)
        if code != "ServerSideEncryptionConfigurationNotFoundError":
            raise
        rules = []
    default = rules[0].get("ApplyServerSideEncryptionByDefault", {}) if rules else {}
    problem = judge_encryption(default, s3, key.arn if key else s3.kms_key_arn)
    if problem:
        fix = "Set the bucket's default encryption to aws:kms with the full ARN of its key."
        return Check("bucket", Verdict.FINDING, f"The bucket {name} {problem}.", fix)
    if key and key.state != "Enabled":
        message = f"The bucket {name} encrypts with {key.arn}, which is {key.state}: no log can be written or read."
        return Check("bucket", Verdict.FINDING, message, _REVIVE)
    used = default.get("KMSMasterKeyID") or default.get("SSEAlgorithm", "nothing")
    return Check("bucket", Verdict.OK, f"{name} encrypts with {used}.")


def missing_bucket(check: str, name: str) -> Check:
    """Return what a check says when there is no such bucket."""
    message = f"The bucket {name} does not exist."
    return Check(check, Verdict.FINDING, message, "Apply the log archive, or correct s3.bucket_name.")


def judge_encryption(default: dict[str, Any], s3: S3Logging, key_arn: str | None) -> str:
    """Return what is wrong with the default encryption of a bucket for session logs; empty when nothing is.

    The agent takes aws:kms and AES256, and sends the key on as it stands there
    (amazon-ssm-agent, `agent/s3util/s3util.go`): an alias would be one of the instance's account.

    Args:
        default: As GetBucketEncryption tells it.
        s3: What is wanted.
        key_arn: The key that is wanted; None where only its account is known, or any will do.
    """
    algorithm, key = default.get("SSEAlgorithm", ""), default.get("KMSMasterKeyID", "")
    account = s3.kms_key_account_id
    if s3.encryption_enabled and algorithm not in {"aws:kms", "AES256"}:
        return f"has the default encryption {algorithm or 'none'}, which the agent refuses"
    if key_arn is None and account is None:
        return ""
    if algorithm != "aws:kms":
        return f"has the default encryption {algorithm or 'none'}, and not one with the wanted key"
    if not key.startswith("arn:") or ":key/" not in key:
        return f"names its key as {key or 'the one that AWS manages'}, not by the full ARN of a key"
    if key != key_arn and (key_arn is not None or key.split(":")[4] != account):
        return f"encrypts with {key}; {key_arn or f'a key of account {account}'} is wanted"
    return ""
