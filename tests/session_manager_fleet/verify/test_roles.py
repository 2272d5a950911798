"""Whether the roles of managed nodes have the instance policy."""

import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from session_manager_fleet.accounts import Account
from session_manager_fleet.settings import TargetSettings
from session_manager_fleet.targets import Target
from session_manager_fleet.verify.model import Check
from session_manager_fleet.verify.reading import Reader, run_check
from session_manager_fleet.verify.roles import Roles, roles

HOME, OTHER = "eu-west-1", "us-east-1"
ACCOUNT = "123456789012"
POLICY = f"arn:aws:iam::{ACCOUNT}:policy/SessionManagerLogPolicy"
ANYTHING = json.dumps({"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}})
HYBRID = {"InstanceId": "mi-1", "ResourceType": "ManagedInstance", "IamRole": "service-role/hybrid"}
VALUES = TargetSettings.model_validate({"preferences": {"session_key": {"enabled": True}}})


class Fleet(Reader):
    """An account whose managed nodes, and setting of Default Host Management, are given; the rest is moto's."""

    def __init__(
        self, *nodes: dict[str, Any], default: str | ClientError = "$None", deny: str = "", code: str = "AccessDenied"
    ) -> None:
        super().__init__(boto3.Session(region_name=HOME))
        self.nodes, self.default, self.deny, self.code = nodes, default, deny, code
        self.asked: list[str] = []
        self.activations: list[dict[str, Any]] = []
        self.simulated: dict[str, Any] = {}

    def call(self, service: str, region: str, method: str, **arguments: Any) -> Any:  # noqa: ANN401
        self.asked.append(method)
        if method == self.deny:
            raise ClientError({"Error": {"Code": self.code, "Message": "no"}}, method)
        if method == "get_service_setting":
            if isinstance(self.default, ClientError):
                raise self.default
            return {"ServiceSetting": {"SettingValue": self.default}}
        return super().call(service, region, method, **arguments)

    def pages(self, service: str, region: str, method: str, key: str, **arguments: Any) -> Iterator[Any]:  # noqa: ANN401
        self.asked.append(method)
        if method == self.deny:
            raise ClientError({"Error": {"Code": self.code, "Message": "no"}}, method)
        if method == "describe_instance_information":
            return iter(self.nodes)
        if method == "describe_activations":
            return iter(self.activations)
        if method == "simulate_principal_policy":
            return iter([{"EvalActionName": arguments["ActionNames"][0], "EvalDecision": "allowed", **self.simulated}])
        return super().pages(service, region, method, key, **arguments)


@pytest.fixture
def iam(credentials: None) -> Iterator[Any]:  # noqa: ARG001 - in the environment
    with mock_aws():
        client = boto3.client("iam", region_name=HOME)
        client.create_policy(PolicyName="SessionManagerLogPolicy", PolicyDocument=ANYTHING)
        client.create_policy(PolicyName="Boundary", PolicyDocument=ANYTHING)
        yield client


def make_role(iam: Any, name: str, *, path: str = "/", attached: bool = True, **more: Any) -> None:  # noqa: ANN401
    iam.create_role(RoleName=name, Path=path, AssumeRolePolicyDocument=ANYTHING, **more)
    if attached:
        iam.attach_role_policy(RoleName=name, PolicyArn=POLICY)


def make_instance(iam: Any, role: str, region: str = HOME) -> dict[str, Any]:  # noqa: ANN401
    """Start an instance with the role in its profile, and return it as Systems Manager lists it."""
    ec2, profile = boto3.client("ec2", region_name=region), {}
    if role:
        iam.create_instance_profile(InstanceProfileName=f"{role}-profile", Path="/web/")
        iam.add_role_to_instance_profile(InstanceProfileName=f"{role}-profile", RoleName=role)
        profile = {"IamInstanceProfile": {"Name": f"{role}-profile"}}
    made = ec2.run_instances(ImageId="ami-12c6146b", MinCount=1, MaxCount=1, **profile)
    return {"InstanceId": made["Instances"][0]["InstanceId"], "ResourceType": "EC2Instance"}


def checked(reader: Reader, values: TargetSettings = VALUES, region: str = HOME) -> Check:
    target = Target(Account(ACCOUNT, "Member"), region, HOME)
    return run_check(Roles.info, reader, lambda: roles(reader, target, values))


def run_advice(iam: Any, fix: str) -> None:  # noqa: ANN401
    for command in fix.split("`")[1].split(" && "):
        words = command.split()
        assert words[:3] == ["aws", "iam", "attach-role-policy"]
        iam.attach_role_policy(RoleName=words[4], PolicyArn=words[6])


def test_hybrid_nodes_instances_and_the_default_role_are_told_and_the_advice_attaches_the_policy(iam: Any) -> None:  # noqa: ANN401
    for name, path in {"hybrid": "/service-role/", "default": "/service-role/", "web": "/", "good": "/"}.items():
        make_role(iam, name, path=path, attached=name == "good")
    with_profile, good, without = (make_instance(iam, name) for name in ("web", "good", ""))
    nodes = (HYBRID, with_profile, good, without)

    check = checked(Fleet(*nodes, default="service-role/default"))

    assert check.verdict == "finding"
    assert check.message == (
        f"These roles of managed nodes lack {POLICY}: default ({without['InstanceId']}), hybrid (mi-1), "
        f"web ({with_profile['InstanceId']}). They cannot use the session key, so no session starts there."
    )
    run_advice(iam, check.fix)
    check = checked(Fleet(*nodes, default="service-role/default"))
    assert (check.verdict, check.message) == ("ok", f"{POLICY} is attached to default, good, hybrid, web.")


def test_a_default_role_counts_before_any_node_uses_it(iam: Any) -> None:  # noqa: ANN401
    make_role(iam, "default", attached=False)
    assert "default (no node yet)" in checked(Fleet(default="default")).message


def test_the_role_of_an_activation_counts_before_any_node_is_registered(iam: Any) -> None:  # noqa: ANN401
    make_role(iam, "hybrid", attached=False)
    reader = Fleet()
    activation = {"ActivationId": "a-1", "IamRole": "service-role/hybrid", "RegistrationLimit": 2}
    reader.activations = [activation, {"ActivationId": "a-2", "IamRole": "gone", "Expired": True}]
    assert "hybrid (no node yet)" in checked(reader).message
    reader = Fleet({"InstanceId": "mi-1", "ResourceType": "ManagedInstance", "ActivationId": "a-1"})
    reader.activations = [{**activation, "RegistrationsCount": 2}]
    assert "hybrid (mi-1)" in checked(reader).message


@pytest.mark.parametrize(
    "default", ["$None", ClientError({"Error": {"Code": "ServiceSettingNotFound", "Message": ""}}, "GetServiceSetting")]
)
def test_without_nodes_nothing_is_needed(iam: Any, default: str | ClientError) -> None:  # noqa: ANN401, ARG001
    assert checked(Fleet(default=default)).verdict == "not_needed"


@pytest.mark.parametrize("off", ["preferences", "both policies"])
def test_what_is_switched_off_is_not_needed(iam: Any, off: str) -> None:  # noqa: ANN401, ARG001
    names = ["preferences"] if off == "preferences" else ["instance_policy", "config_rule"]
    values = TargetSettings.model_validate({name: {"enabled": False} for name in names})
    reader = Fleet(HYBRID)
    assert (checked(reader, values).verdict, reader.asked) == ("not_needed", [])


@pytest.mark.parametrize(
    ("detail", "by"),
    [
        (
            {"PermissionsBoundaryDecisionDetail": {"AllowedByPermissionsBoundary": False}},
            f"the permissions boundary arn:aws:iam::{ACCOUNT}:policy/Boundary does not allow kms:Decrypt",
        ),
        (
            {"OrganizationsDecisionDetail": {"AllowedByOrganizations": False}},
            "a service control policy denies kms:Decrypt",
        ),
        ({}, "no policy allows kms:Decrypt"),
    ],
)
def test_a_role_that_cannot_use_the_policy_is_found(iam: Any, detail: dict[str, Any], by: str) -> None:  # noqa: ANN401
    make_role(iam, "hybrid", PermissionsBoundary=f"arn:aws:iam::{ACCOUNT}:policy/Boundary")
    reader = Fleet(HYBRID)
    reader.simulated = {"EvalDecision": "implicitDeny", **detail}
    check = checked(reader)
    assert check.verdict == "finding"
    assert check.message.startswith(
        "These roles of managed nodes have the policy, but not its permissions: hybrid (mi-1): it cannot "
    )
    assert by in check.message


def test_a_boundary_is_judged_and_excluded_roles_are_left_out(iam: Any) -> None:  # noqa: ANN401
    make_role(iam, "hybrid", PermissionsBoundary=f"arn:aws:iam::{ACCOUNT}:policy/Boundary")
    make_role(iam, "legacy-1", attached=False)
    make_role(iam, "build", path="/platform/", attached=False)
    nodes = [{**HYBRID, "InstanceId": f"mi-{name}", "IamRole": name} for name in ("hybrid", "legacy-1", "build")]
    rule = {"excluded_role_names": ["legacy-?"], "excluded_role_paths": ["/platform/"]}

    check = checked(Fleet(*nodes), TargetSettings.model_validate({"config_rule": rule}))

    assert check.verdict == "ok"
    assert check.message == (f"{POLICY} is attached to hybrid. Left out by config_rule: build, legacy-1.")


def test_excluded_roles_alone_need_nothing(iam: Any) -> None:  # noqa: ANN401
    make_role(iam, "hybrid", attached=False)
    values = TargetSettings.model_validate({"config_rule": {"excluded_role_names": ["hybrid"]}})
    assert checked(Fleet(HYBRID), values).verdict == "not_needed"


def test_roles_and_policies_that_are_gone(iam: Any) -> None:  # noqa: ANN401
    gone = checked(Fleet(HYBRID))
    assert (gone.verdict, gone.message) == ("finding", "These roles of managed nodes do not exist: hybrid (mi-1).")
    make_role(iam, "hybrid", attached=False)
    # AWS refuses the call then, which moto answers.
    check = checked(Fleet(HYBRID, deny="list_entities_for_policy", code="NoSuchEntity"), region=OTHER)
    assert f"The policy {POLICY} does not exist" in check.message
    assert check.command == ("apply", "--account", ACCOUNT, "--region", HOME)


def test_iam_is_read_once_for_all_regions(iam: Any) -> None:  # noqa: ANN401
    make_role(iam, "hybrid")
    reader = Fleet(HYBRID)
    assert [checked(reader, region=region).verdict for region in (HOME, OTHER)] == ["ok", "ok"]
    assert reader.asked.count("list_entities_for_policy") == 1
    assert reader.asked.count("get_role") == 1
    assert reader.asked.count("describe_instance_information") == 2


@pytest.mark.parametrize(
    "denied",
    [
        *("describe_instance_information", "describe_instances", "get_service_setting", "describe_activations"),
        *("get_instance_profile", "list_entities_for_policy", "get_role"),
    ],
)
def test_what_is_denied_is_not_checked(iam: Any, denied: str) -> None:  # noqa: ANN401
    make_role(iam, "web")
    node = make_instance(iam, "web")
    assert checked(Fleet(node, deny=denied)).verdict == "not_checked"


def test_an_inline_copy_counts_where_it_is_allowed_and_is_the_same(iam: Any) -> None:  # noqa: ANN401
    make_role(iam, "hybrid", attached=False)
    iam.put_role_policy(RoleName="hybrid", PolicyName="SessionManagerLogPolicy", PolicyDocument=ANYTHING)
    allowed = TargetSettings.model_validate({"instance_policy": {"nodes": {"inline_at_quota": True}}})
    assert checked(Fleet(HYBRID)).verdict == "finding"
    assert checked(Fleet(HYBRID), allowed).verdict == "ok"
    other = ANYTHING.replace('"Action": "*"', '"Action": "logs:*"')
    iam.put_role_policy(RoleName="hybrid", PolicyName="SessionManagerLogPolicy", PolicyDocument=other)
    assert checked(Fleet(HYBRID), allowed).verdict == "finding", "it is stale"


def test_a_role_at_its_quota_is_not_advised_to_attach_more(iam: Any) -> None:  # noqa: ANN401
    make_role(iam, "hybrid", attached=False)
    for number in range(10):
        arn = iam.create_policy(PolicyName=f"other-{number}", PolicyDocument=ANYTHING)["Policy"]["Arn"]
        iam.attach_role_policy(RoleName="hybrid", PolicyArn=arn)
    check = checked(Fleet(HYBRID))
    assert "hybrid cannot get it: the role has as many managed policies as its quota allows." in check.message
    assert "attach-role-policy" not in check.fix
    assert "instance_policy.nodes.inline_at_quota" in check.fix
