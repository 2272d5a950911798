"""Check, before a document takes effect, whether sessions would start and their logs arrive.

The rules are the agent's (`agent/session/shell/shell.go`, `agent/s3util/s3util.go`). What cannot be checked has failed.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from .aws import DENIED, Call, pages
from .document import PREFLIGHT_PERMISSIONS, Document
from .errors import AwsError, PreflightError

_GROUP, _BUCKET, _KEY = "inputs.cloudWatchLogGroupName", "inputs.s3BucketName", "inputs.kmsKeyId"
# The paths that name what is checked.
DESTINATIONS = (_GROUP, _BUCKET, _KEY)
_LOCKOUT = "would lock everybody out"
# DELIVERY, the third class, keeps logs for a day.
_KEEPING_CLASSES = {"STANDARD", "INFREQUENT_ACCESS"}


@dataclass(frozen=True)
class Problem:
    """A problem of the destination that the input at `path` names."""

    path: str
    text: str

    def __str__(self) -> str:
        return self.text


def preflight(document: Document, call: Call, region: str | None, waived: Collection[str] = ()) -> None:
    """Check every destination and key; raise PreflightError with all problems, AwsError if AWS fails."""
    problems = find_problems(document, call, region, waived)
    if problems:
        raise PreflightError("Preflight failed, nothing was written. " + " ".join(map(str, problems)))


def find_problems(
    document: Document, call: Call, region: str | None, waived: Collection[str] = (), failures: bool = False
) -> list[Problem]:
    """Return the problems of every destination and key; with `failures`, failed calls are problems, too."""
    checks = (
        (_GROUP, document.cloud_watch_log_group_name, "logs:DescribeLogGroups", _log_group),
        (_GROUP, document.cloud_watch_log_group_name, "kms:DescribeKey", _log_group_key),
        (_BUCKET, document.s3_bucket_name, "s3:GetEncryptionConfiguration", _bucket),
        (_KEY, document.kms_key_id, "kms:DescribeKey", _session_key),
    )
    groups = _Groups(call)
    problems: list[Problem] = []
    for path, name, permission, check in checks:
        try:
            problems += [Problem(path, text) for text in check(document, groups, region)] if name else []
        except AwsError as error:
            if error.code not in DENIED and not failures:
                raise
            if error.code not in DENIED:
                problems.append(Problem(path, f"{name} could not be checked: {error}"))
            elif PREFLIGHT_PERMISSIONS not in waived:
                problems.append(
                    Problem(
                        path,
                        f"{name} could not be checked: {permission} is denied. {error} Its policy may have to "
                        f"allow it, too, or its alias is missing; or waive {PREFLIGHT_PERMISSIONS}.",
                    )
                )
    return problems


class _Groups:
    """Log groups by name, each read once."""

    def __init__(self, call: Call) -> None:
        self.call = call
        self._found: dict[str, dict[str, str] | None] = {}

    def find(self, name: str) -> dict[str, str] | None:
        if name not in self._found:
            groups = pages(self.call, "logGroups", "nextToken", "logs", "DescribeLogGroups", logGroupNamePrefix=name)
            self._found[name] = next((item for item in groups if item["logGroupName"] == name), None)
        return self._found[name]


def _log_group(document: Document, groups: _Groups, region: str | None) -> Iterator[str]:
    name = document.cloud_watch_log_group_name
    group = groups.find(name)
    if group is None:
        yield (
            f"cloudWatchLogGroupName would refuse sessions or lose their logs: {name} does not exist in {region}. "
            "Create it, or correct the name."
        )
        return
    if group.get("logGroupClass", "STANDARD") not in _KEEPING_CLASSES:
        yield (
            f"cloudWatchLogGroupName would lose logs: {name} is of class {group['logGroupClass']}. Use one of class "
            "STANDARD or INFREQUENT_ACCESS."
        )
    if document.cloud_watch_encryption_enabled and not group.get("kmsKeyId"):
        yield f"cloudWatchEncryptionEnabled {_LOCKOUT}: {name} has no KMS key. Associate one, or turn the flag off."


def _log_group_key(document: Document, groups: _Groups, _region: str | None) -> Iterator[str]:
    name = document.cloud_watch_log_group_name
    key = (groups.find(name) or {}).get("kmsKeyId")
    if not key:
        return
    state = _key_state(groups.call, key)
    if state != "Enabled":
        problem = "does not exist" if state is None else f"is {state}"
        yield (
            f"cloudWatchLogGroupName would lose logs: the key {key} of {name} {problem}. Enable it, or associate "
            "another key with the group."
        )


def _key_state(call: Call, key: str) -> str | None:
    try:
        return str(call("kms", "DescribeKey", KeyId=key)["KeyMetadata"]["KeyState"])
    except AwsError as error:
        if error.code != "NotFoundException":
            raise
        return None


def _bucket(document: Document, groups: _Groups, _region: str | None) -> Iterator[str]:
    name = document.s3_bucket_name
    rules = []
    try:
        answer = groups.call("s3", "GetBucketEncryption", Bucket=name)
        rules = answer["ServerSideEncryptionConfiguration"]["Rules"][:1]  # the agent reads the first one
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


def _session_key(document: Document, groups: _Groups, region: str | None) -> Iterator[str]:
    key = document.kms_key_id
    said = f"kmsKeyId {_LOCKOUT}: {key}"
    if key.startswith("arn:") and region not in {None, key.split(":")[3]}:
        yield f"{said} is not of {region}. Use a key of this region."
        return
    try:
        found = groups.call("kms", "DescribeKey", KeyId=key)["KeyMetadata"]
    except AwsError as error:
        if error.code != "NotFoundException":
            raise
        yield f"{said} does not exist. Create it, or correct kmsKeyId."
        return
    if found["KeyState"] != "Enabled":
        yield f"{said} is {found['KeyState']}. Enable it, or use another key."
    if found["KeySpec"] != "SYMMETRIC_DEFAULT":
        yield f"{said} is not a symmetric encryption key. Use one that is."
    if found.get("KeyManager") == "AWS":  # for use through AWS services only
        yield f"{said} is an AWS managed key. Use a customer managed key."
