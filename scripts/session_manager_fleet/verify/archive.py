"""The log archive: the key of its bucket, and the policy that lets every account write and nobody else read."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from session_manager_fleet.aws import partitions
from session_manager_fleet.verify.bucket_policy import expected_statements, missing_statements
from session_manager_fleet.verify.model import Check, Verdict
from session_manager_fleet.verify.storage import missing_bucket

if TYPE_CHECKING:
    from session_manager_fleet.accounts import Account
    from session_manager_fleet.settings import LogArchive, S3Logging
    from session_manager_fleet.targets import Inventory
    from session_manager_fleet.verify.reading import Reader


@dataclass(frozen=True)
class Archive:
    """What is wanted of the log archive.

    Attributes:
        account: Its account.
        region: Its region.
        organization_id: The organization whose accounts log to it.
        wanted: Its settings.
    """

    account: Account
    region: str
    organization_id: str
    wanted: LogArchive

    @property
    def bucket(self) -> str:
        """Name of the bucket."""
        return self.wanted.bucket_in(self.account.id, self.region)

    @property
    def key(self) -> str:
        """Alias of the key that is made with the archive, or ARN of the one that is given."""
        return self.wanted.bucket_key.kms_key_arn or self.wanted.bucket_key.alias

    @property
    def key_account_id(self) -> str:
        """The account that the key belongs to."""
        given = self.wanted.bucket_key.kms_key_arn
        return given.split(":")[4] if given else self.account.id

    def holds_logs_of(self, s3: S3Logging) -> bool:
        """Tell whether session logs with these settings go to this bucket."""
        return s3.enabled and s3.bucket_name == self.bucket


def archive_of(context: Inventory, account: Account | None) -> Archive | None:
    """Return the log archive of an organization, or None where the settings make none.

    Args:
        context: The organization and its settings.
        account: The log-archive account, if there is one.
    """
    wanted = context.settings.log_archive
    if account is None or wanted is None:
        return None
    return Archive(account, context.home_region, context.settings.organization.id, wanted)


def policy(reader: Reader, archive: Archive, key_arn: str) -> Check:
    """Check that the policy of the bucket says what modules/log_archive makes, in whatever words.

    Args:
        reader: In the account of the log archive.
        archive: The log archive.
        key_arn: ARN of the key of the bucket.
    """
    try:
        answer = reader.call("s3", archive.region, "get_bucket_policy", Bucket=archive.bucket)
        document = json.loads(answer["Policy"])
    except ClientError as error:
        code = error.response["Error"]["Code"]
        if code == "NoSuchBucket":
            return missing_bucket("bucket_policy", archive.bucket)
        if code != "NoSuchBucketPolicy":
            raise
        document = {"Statement": []}
    bucket_arn = f"arn:{partitions()[archive.region]}:s3:::{archive.bucket}"
    wanted = expected_statements(archive.wanted, archive.organization_id, bucket_arn, key_arn)
    missing = missing_statements(document, wanted)
    if missing:
        fix = "Plan and apply the target of the log archive."
        if archive.wanted.existing_bucket_name:
            fix = "Merge bucket_policy_statements_json of modules/log_archive into the policy."
        message = f"The policy of the bucket {archive.bucket} lacks {', '.join(missing)}."
        return Check("bucket_policy", Verdict.FINDING, message, fix)
    return Check("bucket_policy", Verdict.OK, f"The policy of {archive.bucket} says what the log archive needs.")
