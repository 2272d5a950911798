"""What protects the bucket of the log archive, setting by setting, as `verify` sees it."""

from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from moto import mock_aws

from session_manager_fleet.accounts.model import Account
from session_manager_fleet.settings import LogArchive
from session_manager_fleet.verify.archive import Archive
from session_manager_fleet.verify.archive_protection import archive_protection, judge_lifecycle, judge_lock
from session_manager_fleet.verify.model import APPLY_ARCHIVE
from session_manager_fleet.verify.reading import Reader

REGION, BUCKET = "eu-west-1", "central-session-logs"
SETTINGS: dict[str, Any] = {
    "bucket_name": BUCKET,
    "object_lock": {"days": 30},
    "retention": {"days": 365, "transitions": [{"days": 90, "storage_class": "GLACIER_IR"}]},
    "access_logging": {"bucket_name": "access-logs", "key_prefix": "s/"},
    "session_key": {"mode": "separate"},
}
OWN = {
    "ID": "session-logs",
    "Status": "Enabled",
    "Filter": {"Prefix": ""},
    "Expiration": {"Days": 365},
    "NoncurrentVersionExpiration": {"NoncurrentDays": 90},
    "Transitions": [{"Days": 90, "StorageClass": "GLACIER_IR"}],
    "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 7},
}
MARKERS = {"ID": "delete-markers", "Status": "Enabled", "Filter": {}, "Expiration": {"ExpiredObjectDeleteMarker": True}}
BLOCKED = dict.fromkeys(("BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets"), True)


def archive(**settings: object) -> Archive:
    values = LogArchive.model_validate({**SETTINGS, **settings})
    return Archive(Account("123456789012", "Log Archive"), REGION, "o-exampleorgid", values)


@pytest.fixture
def s3(credentials: None) -> Iterator[Any]:  # noqa: ARG001 - in the environment
    with mock_aws():
        client: Any = boto3.client("s3", region_name=REGION)
        for name in (BUCKET, "access-logs"):
            client.create_bucket(
                Bucket=name,
                CreateBucketConfiguration={"LocationConstraint": REGION},
                ObjectLockEnabledForBucket=name == BUCKET,
                ObjectOwnership="BucketOwnerEnforced" if name == BUCKET else "ObjectWriter",
            )
        grant = {"Type": "Group", "URI": "http://acs.amazonaws.com/groups/s3/LogDelivery"}
        owner = client.get_bucket_acl(Bucket="access-logs")["Owner"]
        grants: Any = [{"Grantee": grant, "Permission": each} for each in ("WRITE", "READ_ACP")]
        client.put_bucket_acl(Bucket="access-logs", AccessControlPolicy={"Grants": grants, "Owner": owner})
        protect(client)
        kms = boto3.client("kms", region_name=REGION)
        for alias in ("log-archive", "organization-data"):
            key = kms.create_key()["KeyMetadata"]["KeyId"]
            kms.enable_key_rotation(KeyId=key)
            kms.create_alias(AliasName=f"alias/session-manager/{alias}", TargetKeyId=key)
        yield client


def protect(s3: Any) -> None:  # noqa: ANN401 - a client of moto
    """Make the bucket as an apply makes it."""
    s3.put_public_access_block(Bucket=BUCKET, PublicAccessBlockConfiguration=BLOCKED)
    lock = {"ObjectLockEnabled": "Enabled", "Rule": {"DefaultRetention": {"Mode": "GOVERNANCE", "Days": 30}}}
    s3.put_object_lock_configuration(Bucket=BUCKET, ObjectLockConfiguration=lock)
    s3.put_bucket_lifecycle_configuration(Bucket=BUCKET, LifecycleConfiguration={"Rules": [OWN, MARKERS]})
    target = {"TargetBucket": "access-logs", "TargetPrefix": "s/"}
    s3.put_bucket_logging(Bucket=BUCKET, BucketLoggingStatus={"LoggingEnabled": target})
    s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
    s3.put_bucket_ownership_controls(
        Bucket=BUCKET, OwnershipControls={"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}
    )


def test_each_protection_that_is_switched_off_is_found_and_the_apply_is_named(s3: Any) -> None:  # noqa: ANN401
    reader = Reader(boto3.Session(region_name=REGION))
    kms = boto3.client("kms", region_name=REGION)
    key = kms.describe_key(KeyId="alias/session-manager/organization-data")["KeyMetadata"]["KeyId"]
    check = archive_protection(reader, archive())
    assert check.verdict == "ok", check.message
    assert "locked for 30 days (GOVERNANCE)" in check.message
    sabotages: dict[str, Any] = {
        "public access is not blocked (BlockPublicPolicy)": lambda: s3.put_public_access_block(
            Bucket=BUCKET, PublicAccessBlockConfiguration={**BLOCKED, "BlockPublicPolicy": False}
        ),
        "ACLs are not disabled": lambda: s3.delete_bucket_ownership_controls(Bucket=BUCKET),
        "Object Lock is off, expected GOVERNANCE for 30 days": lambda: s3.put_object_lock_configuration(
            Bucket=BUCKET, ObjectLockConfiguration={"ObjectLockEnabled": "Enabled"}
        ),
        "the lifecycle rule session-logs is missing": lambda: s3.delete_bucket_lifecycle(Bucket=BUCKET),
        "its access logs do not go to access-logs/s/": lambda: s3.put_bucket_logging(
            Bucket=BUCKET, BucketLoggingStatus={}
        ),
        "the key of alias/session-manager/organization-data is not rotated": lambda: kms.disable_key_rotation(
            KeyId=key
        ),
        "alias/session-manager/log-archive does not exist": lambda: kms.delete_alias(
            AliasName="alias/session-manager/log-archive"
        ),
    }
    for problem, sabotage in sabotages.items():
        sabotage()
        found = archive_protection(reader, archive())
        assert found.verdict == "finding", problem
        assert problem in found.message
        assert found.command == ("apply", "--account", "123456789012", "--region", REGION)
        protect(s3)
    s3.delete_bucket(Bucket=BUCKET)
    assert archive_protection(reader, archive()).message == f"The bucket {BUCKET} does not exist."


def test_a_bucket_that_existed_is_not_judged() -> None:
    there = archive(bucket_name=None, existing_bucket_name="shared", object_lock=None, access_logging=None)
    assert archive_protection(Reader(boto3.Session(region_name=REGION)), there).verdict == "not_needed"


def test_a_key_is_rescued_before_the_archive_is_applied(s3: Any) -> None:  # noqa: ANN401 - a client
    kms = boto3.client("kms", region_name=REGION)
    kms.disable_key(KeyId=kms.describe_key(KeyId="alias/session-manager/log-archive")["KeyMetadata"]["KeyId"])
    reader = Reader(boto3.Session(region_name=REGION))

    alone = archive_protection(reader, archive())
    s3.delete_public_access_block(Bucket=BUCKET)
    both = archive_protection(reader, archive())

    assert alone.fix.startswith("Enable it in account 123456789012: aws kms enable-key ")
    assert (both.fix, both.command) == (f"{alone.fix}\n{APPLY_ARCHIVE}", archive().apply_command)
    assert alone.command == ()


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({}, ""),
        ({"Status": "Disabled"}, "session-logs is missing or disabled"),
        ({"Expiration": {"Days": 1}}, "logs expire after 1 days, expected 365"),
        ({"Expiration": {}}, "logs expire after no days, expected 365"),
        ({"NoncurrentVersionExpiration": {"NoncurrentDays": 1}}, "old versions expire after 1 days, expected 90"),
        ({"AbortIncompleteMultipartUpload": {}}, "unfinished uploads end after no days, expected 7"),
        ({"Transitions": []}, "move to other storage classes"),
        ({"Filter": {"Prefix": "other/"}}, "session-logs is for other/ only"),
    ],
)
def test_lifecycle(change: dict[str, Any], problem: str) -> None:
    found = list(judge_lifecycle([{**OWN, **change}, MARKERS], archive().settings))
    assert [problem in each for each in found] == ([True] if problem else [])


def test_another_rule_that_deletes_logs_is_named() -> None:
    other = {"ID": "cleanup", "Status": "Enabled", "Expiration": {"Days": 1}}
    moves = {"ID": "moves", "Status": "Enabled", "Transitions": [{"Days": 1, "StorageClass": "GLACIER"}]}
    settings = archive().settings
    assert list(judge_lifecycle([OWN, MARKERS, other, moves], settings)) == [
        "another lifecycle rule, cleanup, deletes logs"
    ]
    assert list(judge_lifecycle([OWN, MARKERS, {**other, "Status": "Disabled"}], settings)) == []
    assert list(judge_lifecycle([OWN], settings)) == ["the lifecycle rule delete-markers is missing or disabled"]


def test_a_lock_in_years_and_a_stricter_mode() -> None:
    settings = archive(object_lock={"days": 365}).settings
    one_year = {"Rule": {"DefaultRetention": {"Mode": "GOVERNANCE", "Years": 1}}}
    assert list(judge_lock(one_year, settings)) == []
    other = {"Rule": {"DefaultRetention": {"Mode": "COMPLIANCE", "Days": 365}}}
    assert list(judge_lock(other, settings)) == [
        "Object Lock is COMPLIANCE for 365 days, expected GOVERNANCE for 365 days"
    ]
    assert list(judge_lock({}, archive(object_lock=None).settings)) == []
