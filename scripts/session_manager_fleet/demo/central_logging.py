"""Try uploads that central logging must allow, and uploads that it must refuse."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import boto3
from botocore.exceptions import ClientError

from aws_sandbox.emulator import Sandbox
from aws_sandbox.seed import INSTANCE_ROLE
from session_manager_fleet.demo.agent import upload_log
from session_manager_fleet.targets import Target

_LOG = "$ whoami\nssm-user\n"
_LONG_LOG = _LOG * 300_000  # more than the agent uploads in one call


@dataclass(frozen=True)
class Attempt:
    """An upload of a session log.

    Attributes:
        who: The uploader, for display.
        key: Key of the object.
        expected: Whether the upload must succeed.
        refusal: AWS's error code; empty if it succeeded.
    """

    who: str
    key: str
    expected: bool
    refusal: str = ""

    @property
    def as_expected(self) -> bool:
        """Whether the upload ended as expected."""
        return self.expected == (not self.refusal)


def try_uploads(sandbox: Sandbox, targets: Sequence[Target], bucket: str, prefix: str) -> list[Attempt]:
    """Upload logs with an instance role below its own prefix and another's, and from outside the organization.

    Args:
        sandbox: The emulated organization; its instance roles must have the instance policy.
        targets: Targets of two accounts.
        bucket: The bucket of the log archive.
        prefix: Prefix of all keys.
    """
    one, other = targets
    instance = sandbox.instance_session(one.account.id, INSTANCE_ROLE, one.region)
    outsider = sandbox.outsider_session(one.region)
    own, foreign = (f"{prefix}/{target.key}/jane-0123456789abcdef0.log" for target in (one, other))
    who = f"{INSTANCE_ROLE} of {one.account.name}"
    return [
        _attempt(who, own, lambda: upload_log(instance, bucket, own, _LOG), expected=True),
        _attempt(f"{who}, in parts", own, lambda: upload_log(instance, bucket, own, _LONG_LOG), expected=True),
        _attempt(f"{who}, without naming a key", own, lambda: _upload_plainly(instance, bucket, own), expected=True),
        _attempt(who, foreign, lambda: upload_log(instance, bucket, foreign, _LOG), expected=False),
        _attempt(
            f"{who}, with another KMS key", own, lambda: _upload_with_another_key(instance, bucket, own), expected=False
        ),
        _attempt(
            "an administrator outside the organization",
            own,
            lambda: upload_log(outsider, bucket, own, _LOG),
            expected=False,
        ),
    ]


def _upload_plainly(session: boto3.Session, bucket: str, key: str) -> None:
    """Upload a log as an agent that may not read the bucket's encryption; S3 encrypts it with the bucket's key."""
    session.client("s3").put_object(Bucket=bucket, Key=key, Body=_LOG.encode(), ACL="bucket-owner-full-control")


def _upload_with_another_key(session: boto3.Session, bucket: str, key: str) -> None:
    """Upload a log that the readers of the log archive could not decrypt."""
    session.client("s3").put_object(
        Bucket=bucket, Key=key, Body=_LOG.encode(), ServerSideEncryption="aws:kms", SSEKMSKeyId="alias/aws/s3"
    )


def _attempt(who: str, key: str, upload: Callable[[], None], *, expected: bool) -> Attempt:
    try:
        upload()
    except ClientError as error:
        return Attempt(who, key, expected, error.response["Error"]["Code"])
    return Attempt(who, key, expected)
