"""Try what central logging must allow, and what it must not."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from aws_sandbox.seed import INSTANCE_ROLE
from session_manager_fleet.demo.agent import upload_log

if TYPE_CHECKING:
    import boto3

    from aws_sandbox.emulator import Sandbox
    from session_manager_fleet.targets import Target

_LOG = "$ whoami\nssm-user\n"


@dataclass(frozen=True)
class Attempt:
    """An upload of a session log.

    Attributes:
        who: Who tries, for people.
        key: Where to.
        expected: Whether it must succeed.
        refusal: What AWS said; empty when it succeeded.
    """

    who: str
    key: str
    expected: bool
    refusal: str = ""

    @property
    def as_expected(self) -> bool:
        """Whether it came as it must."""
        return self.expected == (not self.refusal)


def try_uploads(sandbox: Sandbox, targets: Sequence[Target], bucket: str, prefix: str) -> list[Attempt]:
    """Upload logs as the agent does: with an instance's role below its own prefix and another's, and from outside.

    Args:
        sandbox: The emulated organization, where the instance policy is attached to the instances' role already.
        targets: Targets of two accounts.
        bucket: The bucket of the log archive.
        prefix: What all keys begin with.
    """
    one, other = targets
    instance = sandbox.instance_session(one.account.id, INSTANCE_ROLE, one.region)
    outsider = sandbox.outsider_session(one.region)
    own, foreign = (f"{prefix}/{target.key}/jane-0123456789abcdef0.log" for target in (one, other))
    who = f"{INSTANCE_ROLE} of {one.account.name}"
    return [
        _attempt(who, own, lambda: upload_log(instance, bucket, own, _LOG), expected=True),
        _attempt(who, foreign, lambda: upload_log(instance, bucket, foreign, _LOG), expected=False),
        _attempt(
            f"{who}, with a key of its own", own, lambda: _upload_otherwise(instance, bucket, own), expected=False
        ),
        _attempt(
            "an administrator outside the organization",
            own,
            lambda: upload_log(outsider, bucket, own, _LOG),
            expected=False,
        ),
    ]


def _upload_otherwise(session: boto3.Session, bucket: str, key: str) -> None:
    """Upload a log that the readers of the archive could not decrypt."""
    session.client("s3").put_object(
        Bucket=bucket, Key=key, Body=_LOG.encode(), ServerSideEncryption="aws:kms", SSEKMSKeyId="alias/aws/s3"
    )


def _attempt(who: str, key: str, upload: Callable[[], None], *, expected: bool) -> Attempt:
    try:
        upload()
    except ClientError as error:
        return Attempt(who, key, expected, error.response["Error"]["Code"])
    return Attempt(who, key, expected)
