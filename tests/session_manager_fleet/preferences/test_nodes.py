"""Managed nodes of all kinds: what a document locks out is told before, and sessions show that it is so."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Literal

import boto3
import pytest
from botocore.exceptions import ClientError

from aws_sandbox import Sandbox, SandboxAccount, SandboxOrganization
from session_manager_fleet.accounts import Account
from session_manager_fleet.demo import open_session
from session_manager_fleet.preferences import Demands, Lockout, find_lockouts, read_demands
from session_manager_fleet.settings import TargetSettings
from session_manager_fleet.targets import Reader, Target

REGION: Literal["eu-west-1"] = "eu-west-1"
MANAGEMENT, MEMBER = "218407395516", "640281937465"
TARGET = Target(Account(MEMBER, "Member"), REGION, REGION)
GROUP, ALIAS, DOCUMENT = "ssm-sessionmanager-logs", "alias/session-manager/data", "SSM-SessionManagerRunShell"
POLICY, BUCKET = f"arn:aws:iam::{MEMBER}:policy/SessionManagerLogPolicy", "session-logs-of-640281937465"
ROLES = {"instance_profile": "web", "default_host_management": "host-management", "hybrid": "on-premises"}
AGENT = {
    "default_host_management": "AmazonSSMManagedEC2InstanceDefaultPolicy",
    "hybrid": "AmazonSSMManagedInstanceCore",
}
SERVICES = ("ssm", "ssmmessages", "kms", "logs", "s3")
ORGANIZATION = SandboxOrganization(
    id="o-nodes12345",
    management_account_id=MANAGEMENT,
    accounts=(
        SandboxAccount(MANAGEMENT, "Management", "management@example.com", ""),
        SandboxAccount(MEMBER, "Member", "member@example.com", ""),
        # The last ones hold the seed data.
        *(SandboxAccount(f"64028193747{n}", f"Other {n}", f"other{n}@example.com", "") for n in range(3)),
    ),
    organizational_units=(),
    home_region=REGION,
    regions=(REGION,),
)


def policy(*actions: str, resource: str = "*", effect: str = "Allow") -> str:
    statement = {"Effect": effect, "Action": list(actions), "Resource": resource}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


# What modules/instance_policy allows, for the places of this test; tests/judges has the policy itself.
NEEDED = (
    *("kms:Decrypt", "logs:DescribeLogGroups", "logs:DescribeLogStreams", "logs:CreateLogStream"),
    "logs:PutLogEvents",
)
FOR_S3 = ("s3:PutObject", "s3:PutObjectAcl", "s3:GetEncryptionConfiguration", "kms:GenerateDataKey")


@dataclass(frozen=True)
class Fleet:
    """An account with one node of each kind, whose document demands a key, an encrypted log group and a bucket."""

    sandbox: Sandbox
    admin: boto3.Session
    management: boto3.Session
    vpc: str
    nodes: Mapping[str, str]
    preferences: Mapping[str, Any]

    def client(self, service: str) -> Any:  # noqa: ANN401 - one type for each service
        return self.admin.client(service)  # type: ignore[call-overload]

    def opened(self, kind: str) -> str:
        """What became of a session: `good`, `no_session` or `no_log`."""
        session = open_session(self.sandbox, MEMBER, REGION, self.nodes[kind])
        return "no_session" if session.refusal else "good" if session.is_good else "no_log"

    def told(self, *, granted: bool = False, reader: Reader | None = None) -> list[Lockout]:
        demands = Demands.of(self.preferences, TARGET, TargetSettings())
        return find_lockouts(reader or Reader(self.admin), TARGET, demands, lambda _: granted)


def make_role(iam: Any, name: str, service: str) -> None:  # noqa: ANN401
    trust = {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    iam.create_role(RoleName=name, Path="/service-role/", AssumeRolePolicyDocument=document)


def make_network(ec2: Any) -> tuple[str, str]:  # noqa: ANN401
    vpc = ec2.create_vpc(CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"]
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.9.1.0/24")["Subnet"]["SubnetId"]
    for service in SERVICES:
        make_endpoint(ec2, vpc, service)
    return vpc, subnet


def make_endpoint(ec2: Any, vpc: str, service: str) -> None:  # noqa: ANN401
    name = f"com.amazonaws.{REGION}.{service}"
    ec2.create_vpc_endpoint(VpcId=vpc, ServiceName=name, VpcEndpointType="Interface", PrivateDnsEnabled=True)


def make_nodes(sandbox: Sandbox, admin: boto3.Session, subnet: str) -> dict[str, str]:
    iam, ec2, ssm = admin.client("iam"), admin.client("ec2"), admin.client("ssm")
    for kind, role in ROLES.items():
        make_role(iam, role, "ec2.amazonaws.com" if kind == "instance_profile" else "ssm.amazonaws.com")
        if kind in AGENT:
            iam.attach_role_policy(RoleName=role, PolicyArn=f"arn:aws:iam::aws:policy/{AGENT[kind]}")
    iam.create_instance_profile(InstanceProfileName="web")
    iam.add_role_to_instance_profile(InstanceProfileName="web", RoleName="web")
    setting = f"arn:aws:ssm:{REGION}:{MEMBER}:servicesetting/ssm/managed-instance/default-ec2-instance-management-role"
    ssm.update_service_setting(SettingId=setting, SettingValue=f"service-role/{ROLES['default_host_management']}")
    common = {"ImageId": "ami-12c6146b", "MinCount": 1, "MaxCount": 1, "SubnetId": subnet}
    profile: Any = {"instance_profile": {"IamInstanceProfile": {"Name": "web"}}, "default_host_management": {}}
    made = {kind: ec2.run_instances(**common, **more) for kind, more in profile.items()}
    activation: Any = ssm.create_activation(IamRole=ROLES["hybrid"], RegistrationLimit=1)
    return {
        **{kind: each["Instances"][0]["InstanceId"] for kind, each in made.items()},
        "hybrid": sandbox.register_node(MEMBER, REGION, activation),
    }


def make_destinations(admin: boto3.Session) -> dict[str, Any]:
    kms, logs, s3 = admin.client("kms"), admin.client("logs"), admin.client("s3")
    service = {"Service": f"logs.{REGION}.amazonaws.com"}
    root = {"AWS": f"arn:aws:iam::{MEMBER}:root"}
    statements = [{"Effect": "Allow", "Principal": who, "Action": "kms:*", "Resource": "*"} for who in (root, service)]
    key = kms.create_key(Policy=json.dumps({"Version": "2012-10-17", "Statement": statements}))["KeyMetadata"]["Arn"]
    kms.create_alias(AliasName=ALIAS, TargetKeyId=key)
    logs.create_log_group(logGroupName=GROUP, kmsKeyId=key)
    s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
    encrypted: Any = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}
    s3.put_bucket_encryption(Bucket=BUCKET, ServerSideEncryptionConfiguration={"Rules": [encrypted]})
    preferences = {
        "kmsKeyId": key,
        "cloudWatchLogGroupName": GROUP,
        "cloudWatchEncryptionEnabled": True,
        "cloudWatchStreamingEnabled": False,
        "s3BucketName": BUCKET,
        "s3KeyPrefix": f"sessions/{MEMBER}",
        "s3EncryptionEnabled": True,
    }
    content = {"schemaVersion": "1.0", "sessionType": "Standard_Stream", "inputs": preferences}
    text = json.dumps(content)
    admin.client("ssm").create_document(Name=DOCUMENT, Content=text, DocumentType="Session", DocumentFormat="JSON")
    return preferences


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    folder = tmp_path_factory.mktemp("nodes")
    with Sandbox.start(ORGANIZATION, folder, enforce_iam=True) as sandbox:
        admin = sandbox.session(MEMBER, REGION)
        vpc, subnet = make_network(admin.client("ec2"))
        nodes = make_nodes(sandbox, admin, subnet)
        iam = admin.client("iam")
        iam.create_policy(PolicyName="SessionManagerLogPolicy", PolicyDocument=policy(*NEEDED, *FOR_S3))
        for role in ROLES.values():
            iam.attach_role_policy(RoleName=role, PolicyArn=POLICY)
        management = sandbox.session(MANAGEMENT, REGION)
        yield Fleet(sandbox, admin, management, vpc, nodes, make_destinations(admin))


@contextmanager
def lost_policy(fleet: Fleet, kind: str) -> Iterator[None]:
    iam = fleet.client("iam")
    iam.detach_role_policy(RoleName=ROLES[kind], PolicyArn=POLICY)
    yield
    iam.attach_role_policy(RoleName=ROLES[kind], PolicyArn=POLICY)


@contextmanager
def boundary(fleet: Fleet, kind: str) -> Iterator[None]:
    iam = fleet.client("iam")
    with suppress(iam.exceptions.EntityAlreadyExistsException):
        iam.create_policy(PolicyName="Boundary", PolicyDocument=policy("ssm:*", "ssmmessages:*", "logs:*", "s3:*"))
    arn = f"arn:aws:iam::{MEMBER}:policy/Boundary"
    iam.put_role_permissions_boundary(RoleName=ROLES[kind], PermissionsBoundary=arn)
    yield
    iam.delete_role_permissions_boundary(RoleName=ROLES[kind])


@contextmanager
def organization_denies(fleet: Fleet, _: str) -> Iterator[None]:
    organizations = fleet.management.client("organizations")
    denying = policy("logs:PutLogEvents", effect="Deny")
    made = organizations.create_policy(Name="Deny", Description="", Content=denying, Type="SERVICE_CONTROL_POLICY")
    name = made["Policy"]["PolicySummary"]["Id"]
    organizations.attach_policy(PolicyId=name, TargetId=MEMBER)
    yield
    organizations.detach_policy(PolicyId=name, TargetId=MEMBER)
    organizations.delete_policy(PolicyId=name)


@contextmanager
def role_denies(fleet: Fleet, kind: str) -> Iterator[None]:
    iam, denying = fleet.client("iam"), policy("kms:Decrypt", effect="Deny")
    iam.put_role_policy(RoleName=ROLES[kind], PolicyName="deny", PolicyDocument=denying)
    yield
    iam.delete_role_policy(RoleName=ROLES[kind], PolicyName="deny")


@contextmanager
def without_endpoint(fleet: Fleet, _: str) -> Iterator[None]:
    ec2 = fleet.client("ec2")
    here = [{"Name": "vpc-id", "Values": [fleet.vpc]}]
    endpoints = ec2.describe_vpc_endpoints(Filters=here)["VpcEndpoints"]
    ids = [each["VpcEndpointId"] for each in endpoints if each["ServiceName"].endswith(".kms")]
    ec2.delete_vpc_endpoints(VpcEndpointIds=ids)
    yield
    make_endpoint(ec2, fleet.vpc, "kms")


@contextmanager
def old_agent(fleet: Fleet, kind: str) -> Iterator[None]:
    fleet.sandbox.set_agent_version(fleet.nodes[kind], "2.3.372.0")
    yield
    fleet.sandbox.set_agent_version(fleet.nodes[kind], "3.3.987.0")


Breaking = Callable[[Fleet, str], Any]
ON_EC2 = ("instance_profile", "default_host_management")
CASES: list[tuple[Breaking, str, str, str]] = [
    *((lost_policy, kind, "missing_policy", "no_session") for kind in ROLES),
    *((boundary, kind, "permissions_boundary", "no_session") for kind in ROLES),
    *((organization_denies, kind, "service_control_policy", "no_log") for kind in ROLES),
    (role_denies, "hybrid", "explicit_deny", "no_session"),
    *((without_endpoint, kind, "no_endpoint", "no_session") for kind in ON_EC2),
    *((old_agent, kind, "old_agent", "no_session") for kind in ROLES),
]


@pytest.mark.parametrize(
    ("break_it", "kind", "reason", "effect"), CASES, ids=[f"{case[0].__name__}-{case[1]}" for case in CASES]
)
def test_what_locks_nodes_out_is_told_before_and_sessions_show_it(
    fleet: Fleet, break_it: Breaking, kind: str, reason: str, effect: str
) -> None:
    assert fleet.opened(kind) == "good"
    with break_it(fleet, kind):
        told = [(each.reason, each.effect) for each in fleet.told() if fleet.nodes[kind] in each.nodes]
        became = fleet.opened(kind)
    assert ((reason, effect) in told, became) == (True, effect), told
    assert fleet.opened(kind) == "good"
    assert fleet.told() == []


class WithoutSimulator(Reader):
    """A reader that may not simulate."""

    def pages(self, service: str, region: str, method: str, key: str, **arguments: Any) -> Any:  # noqa: ANN401
        if method == "simulate_principal_policy":
            raise ClientError({"Error": {"Code": "AccessDenied", "Message": ""}}, method)
        return super().pages(service, region, method, key, **arguments)


@pytest.mark.parametrize("break_it", [lost_policy, boundary, role_denies])
def test_without_the_simulator_policies_are_read(fleet: Fleet, break_it: Breaking) -> None:
    """Service control policies cannot be read in a member account."""
    assert fleet.told(reader=WithoutSimulator(fleet.admin)) == []
    with break_it(fleet, "hybrid"):
        read, simulated = (
            {(each.role, each.reason, each.effect, each.detail) for each in fleet.told(reader=reader)}
            for reader in (WithoutSimulator(fleet.admin), Reader(fleet.admin))
        )
    assert read == simulated
    assert read


def test_a_role_that_is_about_to_get_the_policy_is_not_locked_out_unless_something_denies_it(fleet: Fleet) -> None:
    with lost_policy(fleet, "hybrid"):
        assert fleet.told(granted=True) == []
        with boundary(fleet, "hybrid"):
            told = fleet.told(granted=True)
    assert {each.reason for each in told} == {"permissions_boundary"}
    assert "arn:aws:iam::640281937465:policy/Boundary does not allow kms:Decrypt" in str(told[0])
    assert str(told[0]).startswith(f"on-premises ({fleet.nodes['hybrid']}): no session can start: it cannot use the ")


def test_a_given_key_may_be_allowed_by_an_alias_that_it_has(fleet: Fleet) -> None:
    iam, key = fleet.client("iam"), fleet.preferences["kmsKeyId"]
    values = TargetSettings.model_validate({"preferences": {"session_key": {"kms_key_arn": key}}})
    by_alias = json.loads(policy("kms:Decrypt"))
    by_alias["Statement"][0]["Condition"] = {"ForAnyValue:StringEquals": {"kms:ResourceAliases": ALIAS}}
    with lost_policy(fleet, "hybrid"):
        iam.put_role_policy(RoleName=ROLES["hybrid"], PolicyName="by-alias", PolicyDocument=json.dumps(by_alias))
        reader, wanted = Reader(fleet.admin), {"kmsKeyId": fleet.preferences["kmsKeyId"]}
        demands = read_demands(reader, TARGET, wanted, values)
        assert find_lockouts(reader, TARGET, demands, lambda _: False) == []
        without = Demands.of(wanted, TARGET, values)
        assert {each.role for each in find_lockouts(reader, TARGET, without, lambda _: False)} == {ROLES["hybrid"]}
        iam.delete_role_policy(RoleName=ROLES["hybrid"], PolicyName="by-alias")


def test_what_no_document_demands_locks_nobody_out(fleet: Fleet) -> None:
    with lost_policy(fleet, "hybrid"):
        demands = Demands.of({"idleSessionTimeout": "20"}, TARGET, TargetSettings())
        assert find_lockouts(Reader(fleet.admin), TARGET, demands, lambda _: False) == []


def test_the_services_of_a_role_are_told_by_its_trust(fleet: Fleet) -> None:
    iam, service = fleet.client("iam"), "sagemaker.amazonaws.com"
    own = iam.get_role(RoleName=ROLES["hybrid"])["Role"]["AssumeRolePolicyDocument"]
    trust = {**own, "Statement": [*own["Statement"], {**own["Statement"][0], "Principal": {"Service": [service]}}]}
    iam.update_assume_role_policy(RoleName=ROLES["hybrid"], PolicyDocument=json.dumps(trust))
    with lost_policy(fleet, "hybrid"):
        told = fleet.told()
    iam.update_assume_role_policy(RoleName=ROLES["hybrid"], PolicyDocument=json.dumps(own))
    assert {each.assumed_by for each in told} == {(service, "ssm.amazonaws.com")}
    assert str(told[0]).startswith(f"on-premises ({fleet.nodes['hybrid']}, of {service}): ")
