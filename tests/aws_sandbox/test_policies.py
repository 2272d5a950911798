import pytest

from aws_sandbox.policies import Principal, Request, allows

ACCOUNT = "111122223333"
DEPLOYER = f"arn:aws:iam::{ACCOUNT}:role/Deployer"
DOCUMENT = f"arn:aws:ssm:eu-west-1:{ACCOUNT}:document/Preferences"
CONTEXT = {"aws:PrincipalAccount": ACCOUNT, "aws:PrincipalArn": DEPLOYER}
CALLER = Principal("AWS", frozenset({ACCOUNT, f"arn:aws:iam::{ACCOUNT}:root", DEPLOYER}))


def trusting(**changes: object) -> dict[str, object]:
    return {
        "Effect": "Allow",
        "Action": "sts:AssumeRole",
        "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"},
        **changes,
    }


@pytest.mark.parametrize(
    ("statements", "trusted"),
    [
        pytest.param([trusting()], True, id="account root"),
        pytest.param(trusting(), True, id="single statement"),
        pytest.param([trusting(Principal={"AWS": ACCOUNT})], True, id="account id"),
        pytest.param([trusting(Principal={"AWS": ["other", DEPLOYER]})], True, id="role"),
        pytest.param([trusting(Principal="*")], True, id="everybody"),
        pytest.param([trusting(Principal={"AWS": "*"})], True, id="every principal"),
        pytest.param([trusting(Action=["sts:*"])], True, id="wildcard action"),
        pytest.param([], False, id="nothing"),
        pytest.param([trusting(Principal={"AWS": "arn:aws:iam::444455556666:root"})], False, id="other account"),
        pytest.param([trusting(Principal={"Service": "ec2.amazonaws.com"})], False, id="service"),
        pytest.param([trusting(Action="sts:TagSession")], False, id="other action"),
        pytest.param([trusting(), trusting(Effect="Deny")], False, id="denied"),
        pytest.param([trusting(Condition={"StringEquals": {"sts:ExternalId": "x"}})], False, id="no external id"),
        pytest.param([trusting(Condition={"StringEquals": {"AWS:principalaccount": [ACCOUNT]}})], True, id="key case"),
        pytest.param(
            [trusting(Condition={"ArnLike": {"aws:PrincipalArn": "arn:aws:iam::*:role/Dep*"}})], True, id="pattern"
        ),
        pytest.param(
            [trusting(Condition={"StringEqualsIfExists": {"sts:ExternalId": "x"}})], True, id="absent but optional"
        ),
        pytest.param([trusting(Condition={"IpAddress": {"aws:SourceIp": "0.0.0.0/0"}})], False, id="unknown operator"),
    ],
)
def test_trust_policies(statements: object, trusted: bool) -> None:
    request = Request("sts:AssumeRole", context=CONTEXT, principal=CALLER)
    assert allows([{"Statement": statements}], request) is trusted


def test_service_principals() -> None:
    policy = {"Statement": [trusting(Principal={"Service": "lambda.amazonaws.com"})]}
    service = Principal("Service", frozenset({"lambda.amazonaws.com"}))
    assert allows([policy], Request("sts:AssumeRole", principal=service))
    assert not allows([policy], Request("sts:AssumeRole", context=CONTEXT, principal=CALLER))


def allowing(**changes: object) -> dict[str, object]:
    return {"Effect": "Allow", "Action": "ssm:GetDocument", "Resource": DOCUMENT, **changes}


@pytest.mark.parametrize(
    ("statements", "allowed"),
    [
        pytest.param([allowing()], True, id="exact"),
        pytest.param([allowing(Action="SSM:getdocument")], True, id="case of the action"),
        pytest.param([allowing(Action=["ssm:Get*"], Resource="*")], True, id="wildcards"),
        pytest.param([allowing(Resource=DOCUMENT.replace("document", "Document"))], False, id="case of the resource"),
        pytest.param([allowing(Resource=DOCUMENT + "s")], False, id="other resource"),
        pytest.param([allowing(Resource=DOCUMENT.replace("a", "?"))], True, id="question marks"),
        pytest.param([allowing(Resource=DOCUMENT.replace("/P", "."))], False, id="no regular expressions"),
        pytest.param([{"Effect": "Allow", "NotAction": "iam:*", "Resource": "*"}], True, id="not action"),
        pytest.param([{"Effect": "Allow", "NotAction": "ssm:*", "Resource": "*"}], False, id="excluded action"),
        pytest.param(
            [{"Effect": "Allow", "Action": "*", "NotResource": "arn:aws:s3:::*"}], True, id="other resource excluded"
        ),
        pytest.param([{"Effect": "Allow", "Action": "*", "NotResource": [DOCUMENT]}], False, id="excluded resource"),
        pytest.param([allowing(), allowing(Effect="Deny", Action="*", Resource="*")], False, id="deny wins"),
        pytest.param([allowing(), allowing(Effect="Deny", Resource="arn:aws:s3:::*")], True, id="deny elsewhere"),
    ],
)
def test_policies_of_roles(statements: object, allowed: bool) -> None:
    assert allows([{"Statement": statements}], Request("ssm:GetDocument", DOCUMENT)) is allowed


@pytest.mark.parametrize(
    ("condition", "met"),
    [
        ({"StringNotEquals": {"aws:PrincipalAccount": "444455556666"}}, True),
        ({"StringNotEquals": {"aws:PrincipalAccount": ACCOUNT}}, False),
        ({"StringNotEquals": {"sts:ExternalId": "x"}}, True),
        ({"StringNotLike": {"aws:PrincipalArn": "*/Dep*"}}, False),
        ({"ArnNotLike": {"aws:PrincipalArn": ["*/Other", "*/Else"]}}, True),
        ({"ArnEquals": {"aws:PrincipalArn": DEPLOYER}}, True),
        ({"StringEqualsIgnoreCase": {"aws:PrincipalArn": DEPLOYER.upper()}}, True),
        ({"Bool": {"aws:SecureTransport": "true"}}, True),
        ({"Bool": {"aws:SecureTransport": "false"}}, False),
        ({"Null": {"kms:ResourceAliases": "false"}}, True),
        ({"Null": {"sts:ExternalId": "false"}}, False),
        ({"Null": {"sts:ExternalId": ["true"]}}, True),
        ({"ForAnyValue:StringEquals": {"kms:ResourceAliases": "alias/data"}}, True),
        ({"ForAnyValue:StringEquals": {"kms:ResourceAliases": "alias/else"}}, False),
        ({"ForAnyValue:StringEquals": {"sts:ExternalId": "x"}}, False),
        ({"ForAllValues:StringEquals": {"kms:ResourceAliases": "alias/data"}}, False),
        ({"ForAllValues:StringLike": {"kms:ResourceAliases": "alias/*"}}, True),
        ({"ForAllValues:StringEquals": {"sts:ExternalId": "x"}}, True),
        (
            {"StringEquals": {"aws:PrincipalAccount": ACCOUNT}, "ArnLike": {"aws:PrincipalArn": "*/Other"}},
            False,
        ),
        ({"StringEquals": {"aws:PrincipalAccount": ACCOUNT, "sts:ExternalId": "x"}}, False),
    ],
)
def test_conditions(condition: object, met: bool) -> None:
    context = {**CONTEXT, "aws:SecureTransport": "true", "kms:ResourceAliases": ["alias/data", "alias/more"]}
    request = Request("ssm:GetDocument", DOCUMENT, context)
    assert allows([{"Statement": allowing(Condition=condition)}], request) is met
    denial = allowing(Effect="Deny", Condition=condition)
    assert allows([{"Statement": [allowing()]}, {"Statement": denial}], request) is not met


def test_doubt_denies() -> None:
    unknown = {"NumericLessThan": {"aws:MultiFactorAuthAge": "3600"}}
    request = Request("ssm:GetDocument", DOCUMENT)
    assert not allows([{"Statement": allowing(Condition=unknown)}], request)
    assert not allows([{"Statement": [allowing(), allowing(Effect="Deny", Condition=unknown)]}], request)
