"""Upload a session log as the SSM agent on an instance does.

From amazon-ssm-agent, `agent/s3util/s3util.go` and `agent/session/logging`: it reads the bucket's default encryption,
and uploads with the canned ACL `bucket-owner-full-control` and that encryption.
"""

from typing import Any

import boto3


def upload_log(session: boto3.Session, bucket: str, key: str, text: str) -> None:
    """Upload a session log.

    Args:
        session: With credentials of the instance.
        bucket: Name of the log bucket.
        key: Key of the object.
        text: Content of the log.

    Raises:
        botocore.exceptions.ClientError: S3 or KMS refuses it.
    """
    s3 = session.client("s3")
    rules = s3.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]["Rules"]
    default = rules[0]["ApplyServerSideEncryptionByDefault"]
    encryption: dict[str, Any] = {"ServerSideEncryption": default["SSEAlgorithm"]}
    if "KMSMasterKeyID" in default:
        encryption["SSEKMSKeyId"] = default["KMSMasterKeyID"]
    s3.put_object(Bucket=bucket, Key=key, Body=text.encode(), ACL="bucket-owner-full-control", **encryption)
