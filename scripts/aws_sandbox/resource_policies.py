"""Bucket and key policies, and S3's use of KMS keys on behalf of the caller."""

from __future__ import annotations

import json
from base64 import b64decode
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from moto.iam.access_control import PermissionResult
from moto.kms.models import kms_backends
from moto.kms.utils import KEY_ID_LEN
from moto.s3.exceptions import MissingBucket, MissingKey
from moto.s3.models import FakeBucket, s3_backends

from aws_sandbox.call import AwsError, Call
from aws_sandbox.policies import Document

# https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingKMSEncryption.html: the KMS actions that S3 calls.
_KEY_USES = {
    "PutObject": "kms:GenerateDataKey",
    "CreateMultipartUpload": "kms:GenerateDataKey",
    "CopyObject": "kms:GenerateDataKey",
    "UploadPart": "kms:Decrypt",
    "GetObject": "kms:Decrypt",
}


@dataclass(frozen=True)
class Protection:
    """The policy of the resource of a call.

    Attributes:
        owner: Account of the resource.
        documents: The resource policy; empty if there is none.
        decisive: Whether access requires this policy's permission, as with keys.
    """

    owner: str
    documents: tuple[Document, ...]
    decisive: bool = False


@dataclass(frozen=True)
class KeyUse:
    """S3's use of a KMS key on behalf of a caller.

    Attributes:
        action: `kms:GenerateDataKey` or `kms:Decrypt`.
        key: moto's key.
        context: Condition keys of S3's call.
    """

    action: str
    key: Any
    context: Mapping[str, str]


def install() -> None:
    """Switch off moto's own check of bucket policies: it ignores conditions, so that each Deny always applies."""
    FakeBucket.get_permission = lambda *_: PermissionResult.NEUTRAL  # type: ignore[method-assign]


def bucket_of(call: Call) -> FakeBucket | None:
    """Return the bucket of a call, of any account; None for CreateBucket."""
    name = call.parameters.get("Bucket") if call.service == "s3" and call.operation != "CreateBucket" else None
    if not name:
        return None
    try:
        bucket: FakeBucket = s3_backends[call.account_id]["aws"].get_bucket(name)
    except MissingBucket:
        return None
    return bucket


def check_owner(call: Call) -> None:
    """Reject calls whose expected bucket owner is wrong.

    Raises:
        AwsError: AccessDenied.
    """
    bucket = bucket_of(call)
    if bucket and call.parameters.get("ExpectedBucketOwner") not in {None, bucket.account_id}:
        raise AwsError("AccessDenied", "Access Denied")


def key_of(named: str, account_id: str, region: str) -> Any:  # noqa: ANN401 - moto's key
    """Return the key with this id, ARN or alias, or None; an ARN may name another account."""
    if named.startswith("arn:"):
        _, _, _, region, account_id, named = named.split(":", 5)
    backend = kms_backends[account_id][region]
    key_id = backend.get_key_id_from_alias(named) if named.startswith("alias/") else named.removeprefix("key/")
    return backend.keys.get(key_id or "")


def key_of_call(call: Call) -> Any:  # noqa: ANN401 - moto's key
    """Return the KMS key that a call of KMS names, or with which its ciphertext was made, or None."""
    if call.service != "kms":
        return None
    named = call.parameters.get("KeyId") or call.parameters.get("TargetKeyId")
    if not named and (ciphertext := call.parameters.get("CiphertextBlob")):
        # A ciphertext of moto begins with the id of its key.
        content = ciphertext if isinstance(ciphertext, bytes) else b64decode(ciphertext)
        named = content[:KEY_ID_LEN].decode(errors="replace")
    return key_of(named, call.account_id, call.region) if named else None


def protection_of_bucket(bucket: FakeBucket) -> Protection:
    """Return the policy of a bucket."""
    return Protection(bucket.account_id, (json.loads(bucket.policy),) if bucket.policy else ())


def protection_of_key(key: Any) -> Protection:  # noqa: ANN401 - moto's key
    """Return the policy of a key; it decides whether identity policies apply."""
    return Protection(key.account_id, (json.loads(key.policy),), decisive=True)


def object_context(call: Call) -> dict[str, str]:
    """Return the condition keys of object requests."""
    asked = call.parameters
    names = {
        "s3:x-amz-acl": asked.get("ACL"),
        "s3:x-amz-server-side-encryption": asked.get("ServerSideEncryption"),
        "s3:x-amz-server-side-encryption-aws-kms-key-id": asked.get("SSEKMSKeyId"),
        "s3:x-amz-server-side-encryption-customer-algorithm": asked.get("SSECustomerAlgorithm"),
        "s3:prefix": asked.get("Prefix"),
    }
    return {name: str(value) for name, value in names.items() if value is not None}


def key_use(call: Call, bucket: FakeBucket) -> KeyUse | None:
    """Return S3's use of a KMS key for a call, or None."""
    action, name = _KEY_USES.get(call.operation), call.parameters.get("Key")
    if action is None or name is None:
        return None
    algorithm, named, bucket_key = (_stored if call.operation == "GetObject" else _requested)(call, bucket)
    key = key_of(named, call.account_id, bucket.region_name) if named and str(algorithm).startswith("aws:kms") else None
    if key is None:
        return None
    arn = f"arn:aws:s3:::{bucket.name}"
    context = {
        "kms:ViaService": f"s3.{bucket.region_name}.amazonaws.com",
        # https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucket-key.html: its encryption context is the bucket.
        "kms:EncryptionContext:aws:s3:arn": arn if bucket_key else f"{arn}/{name}",
    }
    return KeyUse(action, key, context)


def _stored(call: Call, bucket: FakeBucket) -> tuple[str | None, str | None, bool]:
    """Return algorithm, key and bucket key setting of a stored object."""
    backend = s3_backends[bucket.account_id]["aws"]
    try:
        stored = backend.get_object(bucket.name, call.parameters["Key"], call.parameters.get("VersionId"))
    except MissingKey:
        stored = None
    if stored is None:
        return None, None, False
    return stored.encryption, stored.kms_key_id, str(stored.bucket_key_enabled).lower() == "true"


def _requested(call: Call, bucket: FakeBucket) -> tuple[str | None, str | None, bool]:
    """Return algorithm, key and bucket key setting of a write request; default: those of the bucket."""
    rule = (bucket.encryption or {}).get("Rule", {})
    default = rule.get("ApplyServerSideEncryptionByDefault", {})
    algorithm = call.parameters.get("ServerSideEncryption") or default.get("SSEAlgorithm")
    named = call.parameters.get("SSEKMSKeyId") or default.get("KMSMasterKeyID")
    return algorithm, named, str(rule.get("BucketKeyEnabled")).lower() == "true"
