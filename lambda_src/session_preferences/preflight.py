"""Would sessions still start, and would their logs arrive? Asked before a document takes effect.

The rules are the agent's (amazon-ssm-agent, `agent/session/shell/shell.go` and `agent/s3util/s3util.go`). What
cannot be checked counts as failed.
"""

from collections.abc import Collection, Iterator

from .aws import DENIED, Call, pages
from .document import PREFLIGHT_PERMISSIONS, Document
from .errors import AwsError, PreflightError

# The paths that name what is looked at.
DESTINATIONS = ("inputs.cloudWatchLogGroupName", "inputs.s3BucketName", "inputs.kmsKeyId")
_LOCKOUT = "would lock everybody out"


def preflight(document: Document, call: Call, region: str | None, waived: Collection[str] = ()) -> None:
    """Look at every destination and key; raises PreflightError with all problems, AwsError if AWS fails."""
    checks = (
        (document.cloud_watch_log_group_name, "logs:DescribeLogGroups", _log_group),
        (document.s3_bucket_name, "s3:GetEncryptionConfiguration", _bucket),
        (document.kms_key_id, "kms:DescribeKey", _key),
    )
    problems: list[str] = []
    for name, permission, look in checks:
        try:
            problems += look(document, call, region) if name else ()
        except AwsError as error:
            if error.code not in DENIED:
                raise
            if PREFLIGHT_PERMISSIONS not in waived:
                problems.append(
                    f"{name} could not be checked: {permission} is denied ({error.code}). Allow it to the function's "
                    f"role (and in the resource's policy), or waive {PREFLIGHT_PERMISSIONS}."
                )
    if problems:
        raise PreflightError("Preflight failed, nothing was written. " + " ".join(problems))


def _log_group(document: Document, call: Call, region: str | None) -> Iterator[str]:
    name = document.cloud_watch_log_group_name
    groups = pages(call, "logGroups", "nextToken", "logs", "DescribeLogGroups", logGroupNamePrefix=name)
    group = next((item for item in groups if item["logGroupName"] == name), None)
    if group is None:
        yield (
            f"cloudWatchLogGroupName would refuse sessions or lose their logs: {name} does not exist in {region}. "
            "Create it, or correct the name."
        )
    elif document.cloud_watch_encryption_enabled and not group.get("kmsKeyId"):
        yield f"cloudWatchEncryptionEnabled {_LOCKOUT}: {name} has no KMS key. Associate one, or turn the flag off."


def _bucket(document: Document, call: Call, _region: str | None) -> Iterator[str]:
    name = document.s3_bucket_name
    rules = []
    try:
        rules = call("s3", "GetBucketEncryption", Bucket=name)["ServerSideEncryptionConfiguration"]["Rules"]
    except AwsError as error:
        if error.code == "NoSuchBucket":
            yield f"s3BucketName would lose logs: {name} does not exist. Create it, or correct the name."
            return
        if error.code != "ServerSideEncryptionConfigurationNotFoundError":
            raise
    used = {rule.get("ApplyServerSideEncryptionByDefault", {}).get("SSEAlgorithm", "off") for rule in rules}
    if document.s3_encryption_enabled and not used & {"aws:kms", "AES256"}:
        yield (
            f"s3EncryptionEnabled {_LOCKOUT}: the default encryption of {name} is {'/'.join(used) or 'off'}, and the "
            "agent accepts aws:kms and AES256. Change it, or turn the flag off."
        )


def _key(document: Document, call: Call, region: str | None) -> Iterator[str]:
    key = document.kms_key_id
    if key.startswith("arn:") and region not in {None, key.split(":")[3]}:
        yield f"kmsKeyId {_LOCKOUT}: {key} is not of {region}. Use a key of this region."
        return
    try:
        found = call("kms", "DescribeKey", KeyId=key)["KeyMetadata"]
    except AwsError as error:
        if error.code != "NotFoundException":
            raise
        yield f"kmsKeyId {_LOCKOUT}: {key} does not exist. Create it, or correct kmsKeyId."
        return
    if found["KeyState"] != "Enabled":
        yield f"kmsKeyId {_LOCKOUT}: {key} is {found['KeyState']}. Enable it, or use another key."
    if found["KeySpec"] != "SYMMETRIC_DEFAULT":
        yield f"kmsKeyId {_LOCKOUT}: {key} is not a symmetric encryption key. Use one that is."
    if found.get("KeyManager") == "AWS":  # its policy allows use through AWS services only
        yield f"kmsKeyId {_LOCKOUT}: {key} is an AWS managed key. Use a customer managed key."
