"""Seed data: resources that exist in the accounts before the product is used, made by people and other tools."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import boto3

from aws_sandbox.model import SandboxAccount, SandboxOrganization

DOCUMENT = "SSM-SessionManagerRunShell"
POLICY = "SessionManagerLogPolicy"

INSTANCE_ROLE = "app-server"
LEGACY_INSTANCE_ROLE = "legacy-app-server"
FUNCTION_ROLE = "report-function"


@dataclass(frozen=True)
class SeedData:
    """The accounts that hold seed data; None if the organization has too few members.

    Every member has a role for instances without the session policy, with an instance profile, and a role for a
    function. AWS Config records IAM roles in the home region of every active account. Documents are in the home region.

    Attributes:
        state_bucket: Bucket for Terraform state in the management account, versioned and encrypted.
        foreign_document: Account with a document of another tool, with other settings.
        moved_default: Account whose document has two versions, of which the first is the default.
        legacy: Account where the session policy was created by hand and is attached to a second instance role;
            Terraform cannot create it there (`instance_policy.enabled = false`).
    """

    state_bucket: str
    foreign_document: str | None
    moved_default: str | None
    legacy: str | None

    @classmethod
    def of(cls, organization: SandboxOrganization) -> SeedData:
        """Choose the accounts: the last members, because security accounts usually come first."""
        ids = [account.id for account in organization.members]
        return cls(
            state_bucket=f"session-manager-state-{organization.management_account_id}",
            legacy=ids[-1] if ids else None,
            foreign_document=ids[-2 % len(ids)] if ids else None,
            moved_default=ids[-3 % len(ids)] if len(ids) > 1 else None,
        )


def seed(data: SeedData, organization: SandboxOrganization, session: Callable[[str, str], boto3.Session]) -> None:
    """Create the seed data through the AWS APIs.

    Args:
        data: The accounts that hold seed data.
        organization: The emulated organization.
        session: Returns a session in an account and region.
    """
    management = session(organization.management_account_id, organization.home_region)
    _create_state_bucket(management, data.state_bucket, organization.home_region)
    for account in organization.active_accounts:
        home = session(account.id, organization.home_region)
        _record_roles(home, organization)
        if account.id != organization.management_account_id:
            _seed_member(account, home, data)


def _create_state_bucket(session: boto3.Session, name: str, region: str) -> None:
    s3 = session.client("s3")
    if region == "us-east-1":
        # The API rejects us-east-1 as a location constraint.
        s3.create_bucket(Bucket=name)
    else:
        s3.create_bucket(
            Bucket=name,
            CreateBucketConfiguration={"LocationConstraint": region},  # type: ignore[typeddict-item]
        )
    s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    s3.put_bucket_encryption(
        Bucket=name,
        ServerSideEncryptionConfiguration={
            "Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms"}}]
        },
    )
    s3.put_public_access_block(
        Bucket=name,
        PublicAccessBlockConfiguration={
            "BlockPublicAcls": True,
            "IgnorePublicAcls": True,
            "BlockPublicPolicy": True,
            "RestrictPublicBuckets": True,
        },
    )


def _record_roles(session: boto3.Session, organization: SandboxOrganization) -> None:
    role = session.client("iam").create_service_linked_role(AWSServiceName="config.amazonaws.com")["Role"]
    config = session.client("config")
    config.put_configuration_recorder(
        ConfigurationRecorder={
            "name": "default",
            "roleARN": role["Arn"],
            "recordingGroup": {"allSupported": False, "resourceTypes": ["AWS::IAM::Role"]},
        }
    )
    config.put_delivery_channel(DeliveryChannel={"name": "default", "s3BucketName": f"aws-config-{organization.id}"})
    config.start_configuration_recorder(ConfigurationRecorderName="default")


def _seed_member(account: SandboxAccount, session: boto3.Session, data: SeedData) -> None:
    _create_role(session, FUNCTION_ROLE, "lambda.amazonaws.com")
    _create_instance_role(session, INSTANCE_ROLE)
    if account.id == data.legacy:
        _create_instance_role(session, LEGACY_INSTANCE_ROLE)
        _attach_policy_made_by_hand(session, account.id, LEGACY_INSTANCE_ROLE)
    ssm = session.client("ssm")
    if account.id == data.foreign_document:
        ssm.create_document(
            Name=DOCUMENT,
            DocumentType="Session",
            DocumentFormat="JSON",
            Content=_document(
                s3BucketName=f"{account.name.lower()}-session-logs",
                s3KeyPrefix="shell",
                s3EncryptionEnabled=True,
                idleSessionTimeout="60",
                shellProfile={"linux": "exec /bin/bash"},
            ),
        )
    if account.id == data.moved_default:
        ssm.create_document(
            Name=DOCUMENT, DocumentType="Session", DocumentFormat="JSON", Content=_document(idleSessionTimeout="60")
        )
        # An update does not move the default: it stays at version 1.
        ssm.update_document(
            Name=DOCUMENT,
            DocumentFormat="JSON",
            DocumentVersion="$LATEST",
            Content=_document(
                cloudWatchLogGroupName="ssm-sessionmanager-logs",
                cloudWatchEncryptionEnabled=True,
                idleSessionTimeout="20",
                maxSessionDuration="60",
            ),
        )


def _document(**inputs: object) -> str:
    neutral: Mapping[str, object] = {
        "s3BucketName": "",
        "s3KeyPrefix": "",
        "s3EncryptionEnabled": False,
        "cloudWatchLogGroupName": "",
        "cloudWatchEncryptionEnabled": False,
        "cloudWatchStreamingEnabled": False,
        "kmsKeyId": "",
        "runAsEnabled": False,
        "runAsDefaultUser": "",
    }
    return json.dumps(
        {
            "schemaVersion": "1.0",
            "description": "Session preferences",
            "sessionType": "Standard_Stream",
            "inputs": {**neutral, **inputs},
        }
    )


def _create_role(session: boto3.Session, name: str, service: str) -> None:
    session.client("iam").create_role(
        RoleName=name,
        AssumeRolePolicyDocument=json.dumps(
            {
                "Version": "2012-10-17",
                "Statement": [{"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}],
            }
        ),
    )


def _create_instance_role(session: boto3.Session, name: str) -> None:
    _create_role(session, name, "ec2.amazonaws.com")
    iam = session.client("iam")
    iam.create_instance_profile(InstanceProfileName=name)
    iam.add_role_to_instance_profile(InstanceProfileName=name, RoleName=name)


def _attach_policy_made_by_hand(session: boto3.Session, account_id: str, role: str) -> None:
    log_group = f"arn:aws:logs:*:{account_id}:log-group:ssm-sessionmanager-logs"
    iam = session.client("iam")
    policy = iam.create_policy(
        PolicyName=POLICY,
        PolicyDocument=json.dumps(
            {
                "Version": "2012-10-17",
                "Statement": [
                    {"Effect": "Allow", "Action": "logs:DescribeLogGroups", "Resource": "*"},
                    {
                        "Effect": "Allow",
                        "Action": ["logs:CreateLogStream", "logs:PutLogEvents", "logs:DescribeLogStreams"],
                        "Resource": [log_group, f"{log_group}:*"],
                    },
                ],
            }
        ),
    )["Policy"]
    iam.attach_role_policy(RoleName=role, PolicyArn=policy["Arn"])
