"""Run checks, and report as `not_checked` what AWS refuses to show, with the permission that is missing.

The calls of a check are its evidence; they also say which permission a refused one needs.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

from botocore.exceptions import ClientError

from session_manager_fleet.aws import translated_errors
from session_manager_fleet.errors import AccessError
from session_manager_fleet.targets import Reader, error_code, setting_arn
from session_manager_fleet.verify.model import Check, CheckInfo, Verdict
from session_preferences.errors import AwsError

# What all checks read with.
__all__ = ["Reader", "error_code", "iam_action", "not_checked", "run_check", "setting_arn", "with_facts"]

_DENIED = {"AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "AuthorizationError"}
# Operations of S3 whose IAM actions have other names: https://docs.aws.amazon.com/service-authorization/latest/reference/
_ACTIONS = {
    "GetBucketEncryption": "GetEncryptionConfiguration",
    "GetBucketLifecycleConfiguration": "GetLifecycleConfiguration",
    "GetObjectLockConfiguration": "GetBucketObjectLockConfiguration",
    "GetPublicAccessBlock": "GetBucketPublicAccessBlock",
    "HeadBucket": "ListBucket",
    "ListObjectsV2": "ListBucket",
}


def iam_action(call: str) -> str:
    """Return the IAM action that a call needs, such as `s3:ListBucket`."""
    service, _, operation = call.partition(" ")[0].partition(":")
    return f"{service}:{_ACTIONS.get(operation, operation) if service == 's3' else operation}"


def run_check(info: CheckInfo, reader: Reader, check: Callable[[], Check]) -> Check:
    """Run a check; if AWS denies the read, the result is `not_checked` with the missing permission, never `ok`."""
    with reader.evidence() as calls:
        try:
            with translated_errors(f"check the {info.id.replace('_', ' ')}"):
                found = check()
        except AccessError as error:
            found = not_checked(info.id, error, calls)
    return with_facts(found, info, calls)


def with_facts(check: Check, info: CheckInfo, calls: Sequence[str]) -> Check:
    """Return a result with its severity, if it is no good one, and with its evidence."""
    bad = check.verdict in {Verdict.FINDING, Verdict.NOT_CHECKED}
    evidence = (*check.evidence, *(call for call in calls if call not in check.evidence))
    return replace(check, severity=(check.severity or info.severity) if bad else None, evidence=evidence)


def _code(error: BaseException | None) -> str:
    """Return AWS's code of what led to an error, also in the function's own code; empty for anything else."""
    if isinstance(error, ClientError):
        return error_code(error)
    return error.code if isinstance(error, AwsError) else ""


def not_checked(name: str, error: AccessError, calls: Sequence[str] = ()) -> Check:
    """Return a check that could not run, because the last of its calls was refused."""
    missing = iam_action(calls[-1]) if calls and _code(error.__cause__) in _DENIED else ""
    fix = f"Allow the role {missing or 'to read it'} (see docs/read-policy.json)."
    return Check(name, Verdict.NOT_CHECKED, str(error), fix)
