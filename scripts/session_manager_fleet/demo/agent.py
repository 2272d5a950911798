"""Hold sessions, and upload their logs as the SSM agent on an instance does.

From amazon-ssm-agent, `agent/session/shell/shell.go` and `agent/s3util/s3util.go`: it asks for the bucket's region and
default encryption, and uploads text with the canned ACL `bucket-owner-full-control` and the encryption, if it knows it.
"""

import io
import json
import time
from contextlib import suppress
from typing import Any

import boto3
from boto3.s3.transfer import TransferConfig
from botocore.exceptions import ClientError

# The SDK of the agent uploads larger logs in parts of 5 MiB; encryption and ACL are sent with the first call only.
_PART_BYTES = 5 * 1024 * 1024
_IN_PARTS = TransferConfig(multipart_threshold=_PART_BYTES + 1, multipart_chunksize=_PART_BYTES, use_threads=False)
_KMS, _S3 = "aws:kms", "AES256"


# On a node without `script` the agent leaves its error in the bucket, in words like these (amazon-ssm-agent#653).
_NO_SCRIPT = (
    'unable to generate log data: the following errors:\nexec: "script": executable file not found in $PATH: \n'
)


def hold_session(
    user: boto3.Session,
    instance: boto3.Session,
    node: str,
    text: str,
    *,
    document: str = "SSM-SessionManagerRunShell",
    has_script: bool = True,
) -> str:
    """Start a session, end it, log it where its document says, and return its id.

    As with the real agent, a session whose log cannot be written ends like any other.

    Args:
        user: With credentials of the user who opens the session.
        instance: With credentials of the node.
        node: Id of the node.
        text: What is typed and answered.
        document: The session document.
        has_script: Whether the node has `script`, with which the agent makes the log.
    """
    ssm = user.client("ssm")
    session_id = ssm.start_session(Target=node, DocumentName=document)["SessionId"]
    inputs: Any = {}
    if not document.startswith("AWS-"):
        inputs = json.loads(ssm.get_document(Name=document)["Content"]).get("inputs", {})
    ssm.terminate_session(SessionId=session_id)
    bucket, group = inputs.get("s3BucketName"), inputs.get("cloudWatchLogGroupName")
    below = "/".join(filter(None, [inputs.get("s3KeyPrefix"), session_id]))
    with suppress(ClientError):
        if bucket and has_script:
            upload_log(instance, bucket, f"{below}.log", text)
        elif bucket:
            upload_log(instance, bucket, f"{below}/Standard_Stream/stderr", _NO_SCRIPT)
    with suppress(ClientError):
        if group and has_script:
            _put_events(instance, group, session_id, text)
    return session_id


def _put_events(session: boto3.Session, group: str, stream: str, text: str) -> None:
    """Write a session log to the stream with its id."""
    logs = session.client("logs")
    logs.create_log_stream(logGroupName=group, logStreamName=stream)
    event: Any = {"timestamp": int(time.time() * 1000), "message": text}
    logs.put_log_events(logGroupName=group, logStreamName=stream, logEvents=[event])


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
