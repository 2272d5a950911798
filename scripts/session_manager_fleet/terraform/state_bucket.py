"""Create the bucket of the Terraform states, and write the policies of the roles that use it."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import botocore.exceptions

from session_manager_fleet.aws import CLIENT_CONFIG, caller_identity, new_session, partitions, translated_errors
from session_manager_fleet.terraform.caller_policies import States, caller_policies
from session_manager_fleet.terraform.permissions import DEPLOY
from session_manager_fleet.terraform.policies import Permission, policy

if TYPE_CHECKING:  # the stubs are for developers only
    from mypy_boto3_s3 import S3Client


@dataclass(frozen=True)
class StateBucket:
    """A bucket for the states, in the account of the caller.

    Attributes:
        name: Its name.
        account_id: The account.
        region: Its region.
    """

    name: str
    account_id: str
    region: str

    @classmethod
    def of_caller(cls, region: str) -> "StateBucket":
        """Return the bucket of the default name in the account of the AWS credentials.

        Raises:
            AccessError: There are no usable credentials.
        """
        with translated_errors("use the AWS credentials"):
            session = new_session()
        account_id = caller_identity(session, region).account_id
        return cls(f"session-manager-state-{account_id}", account_id, region)

    @property
    def arn(self) -> str:
        """ARN of the bucket."""
        return f"arn:{partitions()[self.region]}:s3:::{self.name}"

    def create(self) -> bool:
        """Create the bucket: versioned, encrypted, private, for TLS only; a bucket that exists is left unchanged.

        Returns:
            Whether it was created.

        Raises:
            AccessError: A call is refused, or the bucket belongs to another account.
        """
        with translated_errors(f"create the state bucket {self.name} in account {self.account_id}"):
            s3 = new_session().client("s3", region_name=self.region, config=CLIENT_CONFIG)
            if self._exists(s3):
                return False
            location = {"CreateBucketConfiguration": {"LocationConstraint": self.region}}
            where = {} if self.region == "us-east-1" else location
            s3.create_bucket(Bucket=self.name, ObjectOwnership="BucketOwnerEnforced", **where)  # type: ignore[arg-type]
            try:
                self._protect(s3)
            except Exception:
                # A bucket that is only half protected would be taken for a good one the next time.
                s3.delete_bucket(Bucket=self.name, ExpectedBucketOwner=self.account_id)
                raise
        return True

    def _exists(self, s3: "S3Client") -> bool:
        try:
            s3.head_bucket(Bucket=self.name, ExpectedBucketOwner=self.account_id)
        except botocore.exceptions.ClientError as error:
            if error.response.get("Error", {}).get("Code") in {"404", "NoSuchBucket"}:
                return False
            raise
        return True

    def _protect(self, s3: "S3Client") -> None:
        bucket: Any = {"Bucket": self.name, "ExpectedBucketOwner": self.account_id}
        s3.put_public_access_block(
            **bucket,
            PublicAccessBlockConfiguration={
                "BlockPublicAcls": True,
                "IgnorePublicAcls": True,
                "BlockPublicPolicy": True,
                "RestrictPublicBuckets": True,
            },
        )
        s3.put_bucket_versioning(**bucket, VersioningConfiguration={"Status": "Enabled"})
        s3.put_bucket_encryption(
            **bucket,
            ServerSideEncryptionConfiguration={
                "Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}]
            },
        )
        s3.put_bucket_policy(**bucket, Policy=json.dumps(self.bucket_policy()))

    def bucket_policy(self) -> dict[str, Any]:
        """Return the policy of the bucket, which refuses requests without TLS."""
        return _policy(
            {
                "Sid": "DenyWithoutTls",
                "Effect": "Deny",
                "Principal": "*",
                "Action": "s3:*",
                "Resource": [self.arn, f"{self.arn}/*"],
                "Condition": {"Bool": {"aws:SecureTransport": "false"}},
            }
        )

    def role_policies(
        self, organization_id: str, role_name: str, key_prefix: str, read: Iterable[Permission]
    ) -> Mapping[str, dict[str, Any]]:
        """Return the least-privilege policies of all roles: of the callers, and of those in the accounts.

        Args:
            organization_id: Only roles in accounts of this organization may be assumed.
            role_name: The deployment role, which also reads.
            key_prefix: Prefix of all objects of this project in the bucket.
            read: What the read role may do.
        """
        arn = f"arn:{partitions()[self.region]}:iam::*:role/{role_name}"
        states = States(self.arn, key_prefix, organization_id, arn, arn)
        return {**caller_policies(states), "read-role": policy(read), "deployment-role": policy(DEPLOY)}


def _policy(*statements: Mapping[str, Any]) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": list(statements)}
