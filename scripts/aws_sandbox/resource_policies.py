"""Policies of buckets and keys, and the use that S3 makes of keys in the name of whoever calls it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from moto.iam.access_control import PermissionResult
from moto.kms.models import kms_backends
from moto.s3.exceptions import MissingBucket, MissingKey
from moto.s3.models import FakeBucket, s3_backends

from aws_sandbox.call import AwsError, Call
from aws_sandbox.policies import Document

# https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingKMSEncryption.html: what S3 asks of KMS.
_KEY_USES = {
    "PutObject": "kms:GenerateDataKey",
    "CreateMultipartUpload": "kms:GenerateDataKey",
    "CopyObject": "kms:GenerateDataKey",
    "UploadPart": "kms:Decrypt",
    "GetObject": "kms:Decrypt",
}


@dataclass(frozen=True)
class Protection:
    """The policy of the resource that a call is about.

    Attributes:
        owner: Account of the resource.
        documents: Its policy; empty where it has none.
        decisive: Whether nobody may do anything that this policy does not allow, as with keys.
    """

    owner: str
    documents: tuple[Document, ...]
    decisive: bool = False


@dataclass(frozen=True)
class KeyUse:
    """What S3 does with a key in the name of a caller.

    Attributes:
        action: `kms:GenerateDataKey` or `kms:Decrypt`.
        key: The key, as moto keeps it.
        context: Condition keys of the call that S3 makes.
    """

    action: str
    key: Any
    context: Mapping[str, str]


def install() -> None:
    """Keep moto from judging bucket policies, of which it reads no condition: what is denied sometimes, it denies."""
    FakeBucket.get_permission = lambda *_: PermissionResult.NEUTRAL  # type: ignore[method-assign]


def bucket_of(call: Call) -> FakeBucket | None:
    """Return the bucket that a call is about, whatever account it belongs to; who creates one asks none that exists."""
    name = call.parameters.get("Bucket") if call.service == "s3" and call.operation != "CreateBucket" else None
    if not name:
        return None
    try:
        bucket: FakeBucket = s3_backends[call.account_id]["aws"].get_bucket(name)
    except MissingBucket:
        return None
    return bucket


def check_owner(call: Call) -> None:
    """Refuse calls that expect a bucket to belong to another account than it does.

    Raises:
        AwsError: AccessDenied.
    """
    bucket = bucket_of(call)
    if bucket and call.parameters.get("ExpectedBucketOwner") not in {None, bucket.account_id}:
        raise AwsError("AccessDenied", "Access Denied")


def key_of(named: str, account_id: str, region: str) -> Any:  # noqa: ANN401 - moto's key
    """Return the key with this id, ARN or alias, or None; an ARN may be of another account."""
    if named.startswith("arn:"):
        _, _, _, region, account_id, named = named.split(":", 5)
    backend = kms_backends[account_id][region]
    key_id = backend.get_key_id_from_alias(named) if named.startswith("alias/") else named.removeprefix("key/")
    return backend.keys.get(key_id or "")


def protection_of_bucket(bucket: FakeBucket) -> Protection:
    """Return the policy of a bucket."""
    return Protection(bucket.account_id, (json.loads(bucket.policy),) if bucket.policy else ())


def protection_of_key(key: Any) -> Protection:  # noqa: ANN401 - moto's key
    """Return the policy of a key, which decides alone whether the policies of callers count at all."""
    return Protection(key.account_id, (json.loads(key.policy),), decisive=True)


def object_context(call: Call) -> dict[str, str]:
    """Return the condition keys of requests for objects."""
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
    """Return what S3 does with a key for a call, or None when no key of KMS is used."""
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
        # https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucket-key.html: its context is the bucket.
        "kms:EncryptionContext:aws:s3:arn": arn if bucket_key else f"{arn}/{name}",
    }
    return KeyUse(action, key, context)


def _stored(call: Call, bucket: FakeBucket) -> tuple[str | None, str | None, bool]:
    """Return algorithm, key and whether a bucket key was used, of an object as it is stored."""
    backend = s3_backends[bucket.account_id]["aws"]
    try:
        stored = backend.get_object(bucket.name, call.parameters["Key"], call.parameters.get("VersionId"))
    except MissingKey:
        stored = None
    if stored is None:
        return None, None, False
    return stored.encryption, stored.kms_key_id, str(stored.bucket_key_enabled).lower() == "true"


def _requested(call: Call, bucket: FakeBucket) -> tuple[str | None, str | None, bool]:
    """Return the same for an object that is being written: what the request says, else the bucket's default."""
    rule = (bucket.encryption or {}).get("Rule", {})
    default = rule.get("ApplyServerSideEncryptionByDefault", {})
    algorithm = call.parameters.get("ServerSideEncryption") or default.get("SSEAlgorithm")
    named = call.parameters.get("SSEKMSKeyId") or default.get("KMSMasterKeyID")
    return algorithm, named, str(rule.get("BucketKeyEnabled")).lower() == "true"
