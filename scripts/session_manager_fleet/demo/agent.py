"""Upload a session log as the SSM agent on an instance does.

From amazon-ssm-agent, `agent/session/shell/shell.go` and `agent/s3util/s3util.go`: it asks for the bucket's region and
default encryption, and uploads text with the canned ACL `bucket-owner-full-control` and the encryption, if it knows it.
"""

import io
from typing import Any

import boto3
from boto3.s3.transfer import TransferConfig
from botocore.exceptions import ClientError

# The SDK of the agent uploads larger logs in parts of 5 MiB; encryption and ACL are sent with the first call only.
_PART_BYTES = 5 * 1024 * 1024
_IN_PARTS = TransferConfig(multipart_threshold=_PART_BYTES + 1, multipart_chunksize=_PART_BYTES, use_threads=False)
_KMS, _S3 = "aws:kms", "AES256"


def upload_log(session: boto3.Session, bucket: str, key: str, text: str) -> None:
    """Upload a session log.

    Args:
        session: With credentials of the instance.
        bucket: Name of the log bucket.
        key: Key of the object.
        text: Content of the log.

    Raises:
        botocore.exceptions.ClientError: S3 or KMS refuses the upload.
    """
    region = _region_of(session, bucket)
    s3 = session.client("s3", region_name=region)
    arguments = {"ACL": "bucket-owner-full-control", "ContentType": "text/plain", **_encryption(s3, bucket)}
    s3.upload_fileobj(io.BytesIO(text.encode()), bucket, key, ExtraArgs=arguments, Config=_IN_PARTS)


def _region_of(session: boto3.Session, bucket: str) -> str | None:
    """Return the region that S3 names, also where it denies the call; without one, that of the instance."""
    try:
        answer: Any = session.client("s3").head_bucket(Bucket=bucket)
    except ClientError as error:
        answer = error.response
    headers = answer["ResponseMetadata"].get("HTTPHeaders", {})
    return headers.get("x-amz-bucket-region") or session.region_name


def _encryption(s3: Any, bucket: str) -> dict[str, str]:  # noqa: ANN401 - boto3 clients are made at run time
    """Return the headers for the default encryption; none if it is denied, missing or not one that the agent knows."""
    try:
        rules = s3.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]["Rules"]
    except ClientError:
        return {}
    default = rules[0]["ApplyServerSideEncryptionByDefault"]
    if default["SSEAlgorithm"] == _KMS and "KMSMasterKeyID" in default:
        return {"ServerSideEncryption": _KMS, "SSEKMSKeyId": default["KMSMasterKeyID"]}
    return {"ServerSideEncryption": default["SSEAlgorithm"]} if default["SSEAlgorithm"] in {_KMS, _S3} else {}
