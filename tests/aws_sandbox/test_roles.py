import json
from collections.abc import Callable, Iterator

import boto3
import pytest
from botocore.exceptions import ClientError

from aws_sandbox import Sandbox

MANAGEMENT = "380917246553"
PAYMENTS = "902764185309"
WEBSHOP = "158346729082"
RETIRED = "436192807765"


@pytest.fixture
def make_role(sandbox: Sandbox) -> Iterator[Callable[..., str]]:
    """Create roles in the account Payments; they are deleted afterwards."""
    iam = sandbox.session(PAYMENTS, "eu-west-1").client("iam")
    names: list[str] = []

    def make(principal: object, condition: object = None) -> str:
        name = f"trusting-{len(names)}"
        statement = {"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"}
        if condition:
            statement["Condition"] = condition
        policy = {"Version": "2012-10-17", "Statement": [statement]}
        role = iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(policy))["Role"]
        names.append(name)
        return role["Arn"]

    yield make
    for name in names:
        iam.delete_role(RoleName=name)


def assume(session: boto3.Session, arn: str, external_id: str | None = None) -> str:
    sts = session.client("sts")
    if external_id:
        answer = sts.assume_role(RoleArn=arn, RoleSessionName="test", ExternalId=external_id)
    else:
        answer = sts.assume_role(RoleArn=arn, RoleSessionName="test")
    return answer["AssumedRoleUser"]["Arn"]


def refusal(session: boto3.Session, arn: str, external_id: str | None = None) -> str:
    with pytest.raises(ClientError) as refused:
        assume(session, arn, external_id)
    assert refused.value.response["Error"]["Code"] == "AccessDenied"
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403
    return refused.value.response["Error"]["Message"]


def test_deployment_role_in_every_active_account(sandbox: Sandbox) -> None:
    for account in sandbox.organization.active_accounts:
        for region in sandbox.organization.regions:
            identity = sandbox.session(account.id, region).client("sts").get_caller_identity()
            assert identity["Account"] == account.id
            assert identity["Arn"] == f"arn:aws:sts::{account.id}:assumed-role/AWSControlTowerExecution/sandbox"


@pytest.mark.parametrize(
    "arn",
    [
        f"arn:aws:iam::{PAYMENTS}:role/Missing",
        f"arn:aws:iam::{PAYMENTS}:role/path/AWSControlTowerExecution",
        "arn:aws:iam::999999999999:role/AWSControlTowerExecution",
        f"arn:aws:iam::{RETIRED}:role/AWSControlTowerExecution",
        f"arn:aws:iam::{PAYMENTS}:role/app-server",
        f"arn:aws:iam::{PAYMENTS}:role/aws-service-role/config.amazonaws.com/AWSServiceRoleForConfig",
    ],
    ids=["missing", "other path", "foreign account", "suspended account", "trusts a service", "service-linked"],
)
def test_roles_that_cannot_be_assumed(sandbox: Sandbox, arn: str) -> None:
    message = refusal(sandbox.session(MANAGEMENT, "eu-west-1"), arn)
    assert message == (
        f"User: arn:aws:sts::{MANAGEMENT}:assumed-role/AWSControlTowerExecution/sandbox "
        f"is not authorized to perform: sts:AssumeRole on resource: {arn}"
    )


def test_only_trusted_accounts(sandbox: Sandbox, make_role: Callable[..., str]) -> None:
    webshop = sandbox.session(WEBSHOP, "eu-west-1")
    refusal(webshop, f"arn:aws:iam::{PAYMENTS}:role/AWSControlTowerExecution")
    trusting = make_role({"AWS": WEBSHOP})
    assert assume(webshop, trusting) == f"arn:aws:sts::{PAYMENTS}:assumed-role/trusting-0/test"
    refusal(sandbox.session(MANAGEMENT, "eu-west-1"), trusting)


def test_only_the_trusted_role(sandbox: Sandbox, make_role: Callable[..., str]) -> None:
    trusting = make_role({"AWS": f"arn:aws:iam::{WEBSHOP}:role/AWSControlTowerExecution"})
    assert assume(sandbox.session(WEBSHOP, "eu-west-1"), trusting)
    refusal(sandbox.session(MANAGEMENT, "eu-west-1"), trusting)


def test_conditions(sandbox: Sandbox, make_role: Callable[..., str]) -> None:
    management = sandbox.session(MANAGEMENT, "eu-west-1")
    guarded = make_role({"AWS": MANAGEMENT}, {"StringEquals": {"sts:ExternalId": "agreed"}})
    refusal(management, guarded)
    refusal(management, guarded, "guessed")
    assert assume(management, guarded, "agreed")
    organization = make_role({"AWS": "*"}, {"StringEquals": {"aws:PrincipalOrgID": "o-sandbox1234"}})
    assert assume(sandbox.session(WEBSHOP, "eu-west-1"), organization)
    other = make_role({"AWS": "*"}, {"StringEquals": {"aws:PrincipalOrgID": "o-other123456"}})
    refusal(sandbox.session(WEBSHOP, "eu-west-1"), other)


def test_session_helper_says_so_too(sandbox: Sandbox) -> None:
    with pytest.raises(ClientError, match="is not authorized to perform: sts:AssumeRole"):
        sandbox.session(RETIRED, "eu-west-1")
