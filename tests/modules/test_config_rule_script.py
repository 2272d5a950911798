"""The script of the Automation document against an emulated IAM: it attaches, or it raises."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import ModuleType

    from mypy_boto3_iam import IAMClient

SCRIPT = Path(__file__).parents[2] / "modules" / "config_rule" / "automation" / "attach_policy.py"
TRUST = (
    '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"ec2.amazonaws.com"},'
    '"Action":"sts:AssumeRole"}]}'
)
POLICY = '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"kms:Decrypt","Resource":"*"}]}'


class FakeConfig:
    """AWS Config with one configuration item, or with an error to raise."""

    def __init__(self) -> None:
        self.items: list[dict[str, str]] = []
        self.error: ClientError | None = None
        self.asked: list[dict[str, object]] = []
        self.simulation: Any = []

    def simulated(self, *_: object) -> Iterator[Any]:
        if isinstance(self.simulation, ClientError):
            raise self.simulation
        return iter(self.simulation)

    def get_resource_config_history(self, **arguments: object) -> dict[str, Any]:
        self.asked.append(arguments)
        if self.error:
            raise self.error
        return {"configurationItems": self.items}


@pytest.fixture
def iam(monkeypatch: pytest.MonkeyPatch) -> Iterator[IAMClient]:
    for key in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.setenv(key, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    with mock_aws():
        yield boto3.client("iam")


@pytest.fixture
def config() -> FakeConfig:
    return FakeConfig()


@pytest.fixture
def script(iam: IAMClient, config: FakeConfig, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The script as Systems Manager loads it, with the emulated clients and without waiting."""
    specification = importlib.util.spec_from_file_location("attach_policy", SCRIPT)
    assert specification
    assert specification.loader
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    clients = {"iam": iam, "config": config}
    monkeypatch.setattr(module.boto3, "client", lambda service, **_: clients[service])
    monkeypatch.setattr(module.time, "sleep", lambda _: None)
    # moto has neither; AWS's own simulator judges both in tests/judges.
    monkeypatch.setattr(module, "simulated", config.simulated)
    monkeypatch.setattr(module, "nodes_of", lambda *_: "none")
    return module


@pytest.fixture
def policy_arn(iam: IAMClient) -> str:
    return iam.create_policy(PolicyName="SessionManagerLogPolicy", PolicyDocument=POLICY)["Policy"]["Arn"]


@pytest.fixture
def role_id(iam: IAMClient, config: FakeConfig) -> str:
    """A role of instances, known to Config."""
    role = iam.create_role(RoleName="web", AssumeRolePolicyDocument=TRUST)["Role"]
    config.items = [
        {"resourceId": role["RoleId"], "resourceName": "web", "configurationItemStatus": "ResourceDiscovered"}
    ]
    return role["RoleId"]


def attached(iam: IAMClient, role_name: str = "web") -> list[str]:
    return [policy["PolicyArn"] for policy in iam.list_attached_role_policies(RoleName=role_name)["AttachedPolicies"]]


def refusal(operation: str, code: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": "No."}}, operation)


def refuse(operation: str, code: str) -> Callable[..., None]:
    def call(**_: object) -> None:
        raise refusal(operation, code)

    return call


def run(
    script: ModuleType,
    resource_id: str,
    policy_arn: str,
    names: tuple[str, ...] = (),
    paths: tuple[str, ...] = (),
    kinds: str = "instance_profiles default_host_management hybrid",
    inline: str = "false",
) -> dict[str, str]:
    inputs = {
        "IAMResourceId": resource_id,
        "PolicyArn": policy_arn,
        "ExcludedRoleNames": " ".join(names),
        "ExcludedRolePaths": " ".join(paths),
        "InlineAtQuota": inline,
        "NodeKinds": kinds,
    }
    result: dict[str, str] = script.attach_policy(inputs, None)
    return result


def test_attaches_the_policy_and_says_so(
    script: ModuleType, iam: IAMClient, config: FakeConfig, role_id: str, policy_arn: str
) -> None:
    assert run(script, role_id, policy_arn) == {
        "RoleName": "web",
        "PolicyArn": policy_arn,
        "Outcome": "attached",
        "Nodes": "none",
    }
    assert attached(iam) == [policy_arn]
    assert config.asked == [{"resourceType": "AWS::IAM::Role", "resourceId": role_id, "limit": 1}]


def simulation(
    *, boundary: bool = True, organization: bool = True, decision: str = "implicitDeny"
) -> dict[str, object]:
    """What IAM says of an action of the policy."""
    return {
        "EvalActionName": "kms:Decrypt",
        "EvalDecision": decision,
        "OrganizationsDecisionDetail": {"AllowedByOrganizations": organization},
        "PermissionsBoundaryDecisionDetail": {"AllowedByPermissionsBoundary": boundary},
    }


@pytest.mark.parametrize(
    ("result", "by"),
    [
        (simulation(boundary=False), "the permissions boundary arn:aws:iam::123456789012:policy/Boundary"),
        (simulation(organization=False), "a service control policy"),
        (simulation(decision="explicitDeny"), "another policy of the role"),
    ],
)
def test_a_role_that_may_not_use_the_policy_is_a_failure_that_says_why(
    script: ModuleType, iam: IAMClient, config: FakeConfig, role_id: str, policy_arn: str, result: object, by: str
) -> None:
    """KiroCrew#10229: sessions fail at the handshake, though the policy is attached."""
    boundary = iam.create_policy(PolicyName="Boundary", PolicyDocument=POLICY)["Policy"]["Arn"]
    iam.put_role_permissions_boundary(RoleName="web", PermissionsBoundary=boundary)
    config.simulation = [result]
    for outcome in ("attached", "already attached"):
        with pytest.raises(script.RemediationError) as error:
            run(script, role_id, policy_arn)
        assert str(error.value) == (
            f"The policy is {outcome}, but role web cannot use it, so its nodes have no sessions or no logs. These "
            f"actions are denied by {by}: kms:Decrypt. Allow them there, or exclude the role."
        )
    config.simulation = [simulation()]
    assert run(script, role_id, policy_arn)["Outcome"] == "already attached"


def test_a_boundary_that_cannot_be_simulated_is_a_failure(
    script: ModuleType, iam: IAMClient, config: FakeConfig, role_id: str, policy_arn: str
) -> None:
    config.simulation = refusal("SimulatePrincipalPolicy", "AccessDenied")
    assert run(script, role_id, policy_arn)["Outcome"] == "attached", "without a boundary, nothing is likely to deny"
    iam.put_role_permissions_boundary(RoleName="web", PermissionsBoundary=policy_arn)
    with pytest.raises(script.RemediationError, match=r"cannot be simulated.*Allow iam:SimulatePrincipalPolicy"):
        run(script, role_id, policy_arn)


CORE, DEFAULT = "AmazonSSMManagedInstanceCore", "AmazonSSMManagedEC2InstanceDefaultPolicy"
KINDS = {"hybrid": CORE, "default_host_management": DEFAULT}


@pytest.mark.parametrize("kind", KINDS)
def test_roles_of_nodes_that_systems_manager_assumes_are_told_by_the_policy_of_their_agent(
    *,
    script: ModuleType,
    iam: IAMClient,
    role_id: str,
    policy_arn: str,
    kind: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    iam.update_assume_role_policy(RoleName="web", PolicyDocument=trust(Principal={"Service": "ssm.amazonaws.com"}))
    with pytest.raises(script.RemediationError, match=f"is none of nodes, as it has no policy {KINDS[kind]}"):
        run(script, role_id, policy_arn, kinds=kind)
    # moto lacks the policies of AWS.
    of_aws, listed = f"arn:aws:iam::aws:policy/{KINDS[kind]}", script.attached_policies
    monkeypatch.setattr(script, "attached_policies", lambda *asked: [of_aws, *listed(*asked)])
    assert run(script, role_id, policy_arn, kinds=kind)["Outcome"] == "attached"


def test_kinds_that_are_not_wanted_are_refused(
    script: ModuleType, iam: IAMClient, role_id: str, policy_arn: str
) -> None:
    with pytest.raises(script.RemediationError, match=r"does not allow ssm\.amazonaws\.com"):
        run(script, role_id, policy_arn, kinds="hybrid default_host_management")
    assert attached(iam) == []


def test_a_role_at_the_quota_gets_a_copy_where_it_is_allowed(
    script: ModuleType, iam: IAMClient, role_id: str, policy_arn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(iam, "attach_role_policy", refuse("AttachRolePolicy", "LimitExceeded"))
    with pytest.raises(script.RemediationError, match=r"LimitExceeded.*set instance_policy.nodes.inline_at_quota"):
        run(script, role_id, policy_arn)
    assert run(script, role_id, policy_arn, inline="true")["Outcome"] == "copied inline"
    copy = iam.get_role_policy(RoleName="web", PolicyName="SessionManagerLogPolicy")["PolicyDocument"]
    assert copy == json.loads(POLICY)
    assert run(script, role_id, policy_arn, inline="true")["Outcome"] == "already copied inline"
    iam.create_policy_version(PolicyArn=policy_arn, PolicyDocument=POLICY.replace("kms:", "ssm:"), SetAsDefault=True)
    assert run(script, role_id, policy_arn, inline="true")["Outcome"] == "copied inline", "the copy was stale"


def test_an_attached_policy_is_left_alone(
    script: ModuleType, iam: IAMClient, role_id: str, policy_arn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    iam.attach_role_policy(RoleName="web", PolicyArn=policy_arn)
    monkeypatch.setattr(iam, "attach_role_policy", refuse("AttachRolePolicy", "AccessDenied"))

    assert run(script, role_id, policy_arn)["Outcome"] == "already attached"


def test_finds_the_policy_on_a_later_page(
    script: ModuleType, iam: IAMClient, role_id: str, policy_arn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pages = iter(
        [
            {"AttachedPolicies": [{"PolicyArn": "arn:aws:iam::aws:policy/One"}]},
            {"AttachedPolicies": [{"PolicyArn": policy_arn}]},
        ]
    )

    class Paginator:
        def paginate(self, **_: object) -> Iterator[dict[str, list[dict[str, str]]]]:
            return pages

    monkeypatch.setattr(iam, "get_paginator", lambda _: Paginator())

    assert run(script, role_id, policy_arn)["Outcome"] == "already attached"


def test_iam_is_asked_and_not_the_stale_item(
    script: ModuleType, iam: IAMClient, config: FakeConfig, role_id: str, policy_arn: str
) -> None:
    config.items[0]["configuration"] = f'{{"attachedManagedPolicies":[{{"policyArn":"{policy_arn}"}}]}}'

    assert run(script, role_id, policy_arn)["Outcome"] == "attached"
    assert attached(iam) == [policy_arn]


def test_a_missing_policy_is_a_failure_that_says_what_to_do(script: ModuleType, role_id: str) -> None:
    missing = "arn:aws:iam::123456789012:policy/Missing"

    with pytest.raises(script.RemediationError, match=r"NoSuchEntity.*deploy the instance policy first") as error:
        run(script, role_id, missing)
    assert missing in str(error.value)
    assert role_id in str(error.value)


def test_a_role_deleted_since_is_a_failure_that_does_not_speak_of_the_policy(
    script: ModuleType, iam: IAMClient, role_id: str, policy_arn: str
) -> None:
    iam.delete_role(RoleName="web")

    with pytest.raises(script.RemediationError, match=r"GetRole failed.*NoSuchEntity.*The role is deleted") as error:
        run(script, role_id, policy_arn)
    assert "instance policy" not in str(error.value)


@pytest.mark.parametrize("status", ["ResourceDeleted", "ResourceDeletedNotRecorded"])
def test_a_deleted_role_is_refused(
    *, script: ModuleType, iam: IAMClient, config: FakeConfig, role_id: str, policy_arn: str, status: str
) -> None:
    config.items[0]["configurationItemStatus"] = status

    with pytest.raises(script.RemediationError, match=rf"{role_id} is deleted.*{status}"):
        run(script, role_id, policy_arn)
    assert attached(iam) == []


def test_a_role_that_config_does_not_know_is_refused(
    script: ModuleType, config: FakeConfig, role_id: str, policy_arn: str
) -> None:
    config.items = []

    with pytest.raises(script.RemediationError, match="no configuration item"):
        run(script, role_id, policy_arn)


def test_a_role_created_anew_under_the_same_name_is_refused(
    script: ModuleType, iam: IAMClient, role_id: str, policy_arn: str
) -> None:
    iam.delete_role(RoleName="web")
    iam.create_role(RoleName="web", AssumeRolePolicyDocument=TRUST)

    with pytest.raises(script.RemediationError, match="was recreated"):
        run(script, role_id, policy_arn)
    assert attached(iam) == []


@pytest.mark.parametrize("path", ["/aws-service-role/autoscaling.amazonaws.com/", "/aws-reserved/sso.amazonaws.com/"])
def test_roles_of_aws_are_refused(
    script: ModuleType, iam: IAMClient, config: FakeConfig, policy_arn: str, path: str
) -> None:
    role = iam.create_role(RoleName="managed", Path=path, AssumeRolePolicyDocument=TRUST)["Role"]
    config.items = [{"resourceName": "managed", "configurationItemStatus": "OK"}]

    with pytest.raises(script.RemediationError, match="AWS manages the roles under"):
        run(script, role["RoleId"], policy_arn)
    assert attached(iam, "managed") == []


@pytest.mark.parametrize(
    ("names", "paths"),
    [(("web",), ()), (("other", "w*"), ()), (("?eb",), ()), (("*",), ()), ((), ("/team/",)), ((), ("/team/edge/",))],
)
def test_excluded_roles_are_refused(
    *,
    script: ModuleType,
    iam: IAMClient,
    config: FakeConfig,
    policy_arn: str,
    names: tuple[str, ...],
    paths: tuple[str, ...],
) -> None:
    role = iam.create_role(RoleName="web", Path="/team/edge/", AssumeRolePolicyDocument=TRUST)["Role"]
    config.items = [{"resourceName": "web", "configurationItemStatus": "OK"}]

    with pytest.raises(script.RemediationError, match=r"Role web is left as it is: the roles .* are excluded"):
        run(script, role["RoleId"], policy_arn, names, paths)
    assert attached(iam) == []


def test_roles_like_excluded_ones_are_not_refused(
    script: ModuleType, iam: IAMClient, role_id: str, policy_arn: str
) -> None:
    names = ("we", "eb", "WEB", "w?", "team", "web2", "*.web")

    assert run(script, role_id, policy_arn, names, ("/web/", "/team/"))["Outcome"] == "attached"
    assert attached(iam) == [policy_arn]


def trust(**statement: object) -> str:
    allow = {"Effect": "Allow", "Action": "sts:AssumeRole"}
    return json.dumps({"Version": "2012-10-17", "Statement": [{**allow, **statement}]})


ACCOUNT_ROOT = "arn:aws:iam::123456789012:root"


@pytest.mark.parametrize(
    "trust_policy",
    [
        trust(Principal={"Service": "lambda.amazonaws.com"}),
        trust(Principal={"Service": "spotfleet.ec2.amazonaws.com"}),
        trust(Principal={"Service": ["ec2.amazonaws.com.example.com", "lambda.amazonaws.com"]}),
        trust(Principal={"AWS": ACCOUNT_ROOT}),
        trust(Principal="*"),
        trust(NotPrincipal={"Service": "ec2.amazonaws.com"}),
        trust(Effect="Deny", Principal={"Service": "ec2.amazonaws.com"}),
    ],
)
def test_roles_that_ec2_may_not_assume_are_refused(
    script: ModuleType, iam: IAMClient, role_id: str, policy_arn: str, trust_policy: str
) -> None:
    iam.update_assume_role_policy(RoleName="web", PolicyDocument=trust_policy)

    with pytest.raises(script.RemediationError, match=r"Role web is left as it is: .* not allow ec2.amazonaws.com"):
        run(script, role_id, policy_arn)
    assert attached(iam) == []


@pytest.mark.parametrize(
    "trust_policy",
    [
        trust(Principal={"Service": "ec2.amazonaws.com.cn"}),
        trust(Principal={"AWS": ACCOUNT_ROOT, "Service": ["ssm.amazonaws.com", "ec2.amazonaws.com"]}),
        json.dumps({**json.loads(TRUST), "Statement": json.loads(TRUST)["Statement"][0]}),
    ],
)
def test_roles_that_ec2_may_assume_among_others_are_remediated(
    script: ModuleType, iam: IAMClient, role_id: str, policy_arn: str, trust_policy: str
) -> None:
    iam.update_assume_role_policy(RoleName="web", PolicyDocument=trust_policy)

    assert run(script, role_id, policy_arn)["Outcome"] == "attached"


def test_a_policy_of_another_account_is_refused(script: ModuleType, iam: IAMClient, role_id: str) -> None:
    with pytest.raises(script.RemediationError, match="not in the account of role"):
        run(script, role_id, "arn:aws:iam::210987654321:policy/SessionManagerLogPolicy")
    assert attached(iam) == []


@pytest.mark.parametrize("code", ["AccessDenied", "LimitExceeded", "UnmodifiableEntity", "PolicyNotAttachable"])
def test_a_refused_attachment_is_a_failure_with_advice(
    *,
    script: ModuleType,
    iam: IAMClient,
    role_id: str,
    policy_arn: str,
    monkeypatch: pytest.MonkeyPatch,
    code: str,
) -> None:
    monkeypatch.setattr(iam, "attach_role_policy", refuse("AttachRolePolicy", code))

    with pytest.raises(script.RemediationError, match=f"AttachRolePolicy failed.*{code}") as error:
        run(script, role_id, policy_arn)
    assert (script.ADVICE.get(f"AttachRolePolicy {code}") or script.ADVICE[code]) in str(error.value)


@pytest.mark.parametrize("operation", ["get_role", "get_paginator"])
def test_a_refused_read_is_a_failure(
    *,
    script: ModuleType,
    iam: IAMClient,
    role_id: str,
    policy_arn: str,
    monkeypatch: pytest.MonkeyPatch,
    operation: str,
) -> None:
    def denied(*_: object, **__: object) -> None:
        raise refusal(operation, "AccessDenied")

    monkeypatch.setattr(iam, operation, denied)

    with pytest.raises(script.RemediationError, match=f"{operation} failed.*AccessDenied"):
        run(script, role_id, policy_arn)


@pytest.mark.parametrize("code", ["AccessDeniedException", "ResourceNotDiscoveredException"])
def test_a_refusal_of_config_is_a_failure(
    script: ModuleType, config: FakeConfig, role_id: str, policy_arn: str, code: str
) -> None:
    config.error = refusal("GetResourceConfigHistory", code)

    with pytest.raises(script.RemediationError, match=f"GetResourceConfigHistory failed.*{code}"):
        run(script, role_id, policy_arn)


def test_an_attachment_that_does_not_stay_is_a_failure(
    script: ModuleType, iam: IAMClient, role_id: str, policy_arn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(iam, "attach_role_policy", lambda **_: None)

    with pytest.raises(script.RemediationError, match="IAM does not list it"):
        run(script, role_id, policy_arn)


def test_systems_manager_substitutes_nothing_in_the_script() -> None:
    text = SCRIPT.read_text(encoding="utf-8")

    assert "{{" not in text, "Automation would take it for one of its variables"
