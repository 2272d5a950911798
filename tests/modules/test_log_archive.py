"""The bucket for the session logs of all accounts: what it refuses, plans for a bucket that exists, and makes."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.exceptions import ClientError

from aws_sandbox import Sandbox
from session_manager_fleet.settings.foundation import LogArchive
from session_manager_fleet.verify.bucket_policy import expected_statements, missing_statements
from session_preferences.aws import Budget, caller
from session_preferences.document import build
from session_preferences.preflight import preflight

if TYPE_CHECKING:
    from tests.modules.conftest import Terraform

pytestmark = pytest.mark.terraform

ORGANIZATION = "o-exampleorgid"
KEY = "arn:aws:kms:eu-west-1:614208975316:key/0f5f5b5c-cb57-4552-8153-0f5f5b5ccb57"
FUNCTION_ROLE = "session-manager-preferences-eu-west-1"


def call(name: str, arguments: str) -> str:
    """A module call, in the organization unless the arguments say otherwise."""
    organization = "" if "organization_id" in arguments else f'organization_id = "{ORGANIZATION}"\n'
    return f'module "{name}" {{\nsource = "./modules/log_archive"\n{organization}{arguments}\n}}\n'


def test_a_bucket_that_exists_is_left_alone_and_gets_statements_to_merge(
    caller: Terraform, member: boto3.Session
) -> None:
    s3, far = member.client("s3"), member.client("s3", region_name="eu-central-1")
    location = {"LocationConstraint": member.region_name}
    s3.create_bucket(Bucket="shared-archive", CreateBucketConfiguration=location)  # type: ignore[arg-type]
    arguments = f"""
      existing_bucket_name = "shared-archive"
      key_prefix           = "sessions"
      bucket_key           = {{ kms_key_arn = "{KEY}" }}
      session_key          = {{ mode = "shared" }}
      reader_role_arns     = ["arn:aws:iam::111122223333:role/SessionLogAuditor"]
    """
    outputs = 'output "archive" {\n  value = module.archive\n}\n'
    (caller.folder / "main.tf").write_text(call("archive", arguments) + outputs, encoding="utf-8")
    caller.init()

    try:
        caller.apply()
        archive = caller.outputs()["archive"]
        far.create_bucket(
            Bucket="far-archive",
            CreateBucketConfiguration={"LocationConstraint": "eu-central-1"},
        )
        calls = [call(name, arguments.replace("shared-a", f"{name}-a")) for name in ("no", "far")]
        (caller.folder / "main.tf").write_text("".join(calls), encoding="utf-8")
        caller.init()
        elsewhere, missing = sorted(caller.refusals(), key=lambda error: "far-archive" not in error)
    finally:
        s3.delete_bucket(Bucket="shared-archive")
        far.delete_bucket(Bucket="far-archive")

    assert json.loads((caller.folder / "terraform.tfstate").read_text(encoding="utf-8"))["resources"]
    assert not [
        resource
        for resource in json.loads((caller.folder / "terraform.tfstate").read_text(encoding="utf-8"))["resources"]
        if resource["mode"] == "managed"
    ]
    assert archive["s3"] == {
        "bucket_name": "shared-archive",
        "key_prefix": "sessions",
        "kms_key_account_id": "614208975316",
    }
    assert archive["session_key_arn"] == archive["bucket_key_arn"] == KEY
    existing = LogArchive(
        existing_bucket_name="shared-archive",
        key_prefix="sessions",
        reader_role_arns=["arn:aws:iam::111122223333:role/SessionLogAuditor"],
    )
    made = json.loads(archive["bucket_policy_statements_json"])["Statement"]
    same_meaning(made, expected_statements(existing, ORGANIZATION, "arn:aws:s3:::shared-archive", KEY))
    guarded = {
        statement["Resource"]
        for statement in json.loads(archive["bucket_policy_statements_json"])["Statement"]
        if statement["Effect"] == "Deny"
    }
    assert guarded == {"arn:aws:s3:::shared-archive/sessions/*"}, "what others keep in the bucket is not touched"
    statements = json.loads(archive["key_policy_statements_json"])["Statement"]
    assert {statement["Sid"] for statement in statements} == {
        "UploadsOfTheOrganization",
        "ReadersOfTheLogs",
        "SessionsOfTheOrganization",
        "LookAtTheSessionKey",
    }
    assert "no-archive" in missing
    assert "The bucket far-archive is in eu-central-1, and its key must be there, too" in elsewhere


def test_log_archive(
    applied: Callable[..., dict[str, Any]], sandbox: Sandbox, member: boto3.Session, tmp_path: Path
) -> None:
    outputs = applied("log_archive")

    s3, kms = member.client("s3"), member.client("kms")
    bucket = outputs["s3"]["bucket_name"]
    account = outputs["s3"]["kms_key_account_id"]
    assert bucket == f"session-manager-logs-{account}-eu-west-1"
    (rule,) = s3.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]["Rules"]
    assert rule["ApplyServerSideEncryptionByDefault"] == {
        "SSEAlgorithm": "aws:kms",
        "KMSMasterKeyID": outputs["bucket_key_arn"],
    }
    assert rule["BucketKeyEnabled"] is True
    assert outputs["bucket_key_arn"].startswith(f"arn:aws:kms:eu-west-1:{account}:key/")
    assert set(s3.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"].values()) == {True}
    assert s3.get_bucket_versioning(Bucket=bucket)["Status"] == "Enabled"
    (ownership,) = s3.get_bucket_ownership_controls(Bucket=bucket)["OwnershipControls"]["Rules"]
    assert ownership["ObjectOwnership"] == "BucketOwnerEnforced"
    lock = s3.get_object_lock_configuration(Bucket=bucket)["ObjectLockConfiguration"]
    retention = lock["Rule"]["DefaultRetention"]
    assert (retention.get("Mode"), retention.get("Days")) == ("GOVERNANCE", 365)
    logs, markers = s3.get_bucket_lifecycle_configuration(Bucket=bucket)["Rules"]
    assert logs["Expiration"]["Days"] == 730
    assert logs["NoncurrentVersionExpiration"]["NoncurrentDays"] == 90
    assert [(step["Days"], step["StorageClass"]) for step in logs["Transitions"]] == [(90, "GLACIER_IR")]
    assert markers["Expiration"]["ExpiredObjectDeleteMarker"] is True
    policy = json.loads(s3.get_bucket_policy(Bucket=bucket)["Policy"])
    assert policy == json.loads(outputs["bucket_policy"])
    wanted = expected_statements(
        LogArchive(reader_role_arns=["arn:aws:iam::111122223333:role/SessionLogAuditor"]),
        ORGANIZATION,
        f"arn:aws:s3:::{bucket}",
        outputs["bucket_key_arn"],
    )
    same_meaning(policy["Statement"], wanted)

    aliases = {alias["AliasName"]: alias.get("TargetKeyId") for alias in kms.list_aliases()["Aliases"]}
    assert outputs["bucket_key_arn"].endswith(f"/{aliases['alias/session-manager/log-archive']}")
    assert outputs["session_key_arn"].endswith(f"/{aliases['alias/session-manager/organization-data']}")
    for arn in (outputs["bucket_key_arn"], outputs["session_key_arn"]):
        assert kms.get_key_rotation_status(KeyId=arn)["KeyRotationEnabled"] is True
    policy = kms.get_key_policy(KeyId=outputs["session_key_arn"], PolicyName="default")["Policy"]
    organization = replace(sandbox.organization, id=ORGANIZATION)
    with Sandbox.start(organization, tmp_path / "enforcing", enforce_iam=True) as enforcing:
        the_session_key_serves_members(enforcing, policy)


def same_meaning(made: list[dict[str, Any]], wanted: list[dict[str, Any]]) -> None:
    """What `verify` wants of the bucket's policy is what the module makes, no more and no less."""
    assert missing_statements({"Statement": made}, wanted) == []
    assert missing_statements({"Statement": wanted}, made) == []
    assert {each["Sid"] for each in wanted} == {each["Sid"] for each in made}


def the_session_key_serves_members(sandbox: Sandbox, policy: str) -> None:
    """The function of a member sees the key, and session data goes through it; nobody outside the organization does."""
    archive, member, *_ = sandbox.organization.members
    region = sandbox.organization.home_region
    key = sandbox.session(archive.id, region).client("kms").create_key(Policy=policy)["KeyMetadata"]["Arn"]
    iam, role = sandbox.session(member.id, region).client("iam"), f"arn:aws:iam::{member.id}:role/{FUNCTION_ROLE}"
    management = sandbox.organization.management_account_id
    trust = {"Effect": "Allow", "Principal": {"AWS": management}, "Action": "sts:AssumeRole"}
    actions = ["kms:Decrypt", "kms:DescribeKey", "kms:GenerateDataKey"]
    allowed = {"Effect": "Allow", "Action": actions, "Resource": key}
    iam.create_role(RoleName=FUNCTION_ROLE, AssumeRolePolicyDocument=document(trust))
    iam.put_role_policy(RoleName=FUNCTION_ROLE, PolicyName="least", PolicyDocument=document(allowed))
    sts = sandbox.session(management, region).client("sts")
    credentials = sts.assume_role(RoleArn=role, RoleSessionName="preflight")["Credentials"]

    def client(service: str) -> Any:  # noqa: ANN401 - one kind for each service
        return boto3.client(
            service,  # type: ignore[call-overload]
            endpoint_url=sandbox.endpoint_url,
            region_name=region,
            aws_access_key_id=credentials["AccessKeyId"],
            aws_secret_access_key=credentials["SecretAccessKey"],
            aws_session_token=credentials["SessionToken"],
        )

    preflight(build({"kmsKeyId": key}), caller(client, Budget(60)), region)
    with pytest.raises(ClientError, match="AccessDenied"):
        client("kms").generate_data_key(KeyId=key, KeySpec="AES_256")
    with pytest.raises(ClientError, match="AccessDenied"):
        sandbox.outsider_session(region).client("kms").describe_key(KeyId=key)


def document(statement: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": statement})
