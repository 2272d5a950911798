"""The Guard rule, judged by AWS's own engine over configuration items in the shape of AWS Config."""

from __future__ import annotations

import json
from pathlib import Path
from urllib.parse import quote

import pytest
from cfn_guard_rs import run_checks  # type: ignore[attr-defined]  # typed, but without __all__

RULE_FILE = Path(__file__).parents[2] / "modules" / "config_rule" / "guard" / "session_manager_policy_attached.guard"
ACCOUNT = "210987654321"
POLICY_ARN = f"arn:aws:iam::{ACCOUNT}:policy/SessionManagerLogPolicy"
RULE = RULE_FILE.read_text(encoding="utf-8").replace("${policy_arn}", POLICY_ARN)

COMPLIANT = "COMPLIANT"
NON_COMPLIANT = "NON_COMPLIANT"
NOT_APPLICABLE = "NOT_APPLICABLE"

EC2 = {"Service": "ec2.amazonaws.com"}
LAMBDA = {"Service": "lambda.amazonaws.com"}


def statement(effect: str, principal: object, **more: object) -> dict[str, object]:
    """One statement of a trust policy, its keys in the order in which IAM's console writes them."""
    return {"Effect": effect, "Principal": principal, "Action": "sts:AssumeRole", **more}


def trust(*statements: dict[str, object], indent: int | None = None, separators: tuple[str, str] | None = None) -> str:
    """A trust policy as Config delivers it: the author's own JSON text, URL-encoded."""
    document = {"Version": "2012-10-17", "Statement": list(statements)}
    return quote(json.dumps(document, indent=indent, separators=separators), safe="")


def configuration_item(trust_policy: str | None, **configuration: object) -> dict[str, object]:
    """An item of a role with an instance profile and without policies; None takes a key out."""
    role_arn = f"arn:aws:iam::{ACCOUNT}:role/web"
    content = {
        "path": "/",
        "roleName": "web",
        "roleId": "AROAWEBEXAMPLE0000001",
        "arn": role_arn,
        "assumeRolePolicyDocument": trust_policy,
        "instanceProfileList": [{"instanceProfileName": "web", "arn": f"arn:aws:iam::{ACCOUNT}:instance-profile/web"}],
        "attachedManagedPolicies": [],
        "rolePolicyList": [],
        **configuration,
    }
    return {
        "version": "1.3",
        "accountId": ACCOUNT,
        "configurationItemStatus": "OK",
        "resourceType": "AWS::IAM::Role",
        "resourceId": "AROAWEBEXAMPLE0000001",
        "resourceName": "web",
        "ARN": role_arn,
        "awsRegion": "global",
        "configuration": {key: value for key, value in content.items() if value is not None},
    }


def policies(*arns: str) -> list[dict[str, str]]:
    """The attached managed policies as they stand in an item."""
    return [{"policyArn": arn, "policyName": arn.rsplit("/", 1)[-1]} for arn in arns]


def verdict(item: dict[str, object]) -> str:
    """What Config would record for the item."""
    report = run_checks(item, RULE)
    if report.not_compliant:
        return NON_COMPLIANT
    return COMPLIANT if report.compliant else NOT_APPLICABLE


ITEMS: dict[str, tuple[dict[str, object], str]] = {
    "the policy is attached": (
        configuration_item(trust(statement("Allow", EC2)), attachedManagedPolicies=policies(POLICY_ARN)),
        COMPLIANT,
    ),
    "the policy is attached among others": (
        configuration_item(
            trust(statement("Allow", EC2)),
            attachedManagedPolicies=policies("arn:aws:iam::aws:policy/AmazonSSMManagedInstanceCore", POLICY_ARN),
        ),
        COMPLIANT,
    ),
    "no policy is attached": (configuration_item(trust(statement("Allow", EC2))), NON_COMPLIANT),
    "another policy is attached": (
        configuration_item(trust(statement("Allow", EC2)), attachedManagedPolicies=policies(POLICY_ARN + "2")),
        NON_COMPLIANT,
    ),
    "the same name under another path": (
        configuration_item(
            trust(statement("Allow", EC2)),
            attachedManagedPolicies=policies(f"arn:aws:iam::{ACCOUNT}:policy/team/SessionManagerLogPolicy"),
        ),
        NON_COMPLIANT,
    ),
    "the same name in another account": (
        configuration_item(
            trust(statement("Allow", EC2)),
            attachedManagedPolicies=policies("arn:aws:iam::109876543210:policy/SessionManagerLogPolicy"),
        ),
        NON_COMPLIANT,
    ),
    "the list of policies is missing": (
        configuration_item(trust(statement("Allow", EC2)), attachedManagedPolicies=None),
        NON_COMPLIANT,
    ),
    "indented trust policy": (configuration_item(trust(statement("Allow", EC2), indent=4)), NON_COMPLIANT),
    "compact trust policy": (
        configuration_item(trust(statement("Allow", EC2), separators=(",", ":"))),
        NON_COMPLIANT,
    ),
    "white space encoded as plus": (
        configuration_item(trust(statement("Allow", EC2)).replace("%20", "+")),
        NON_COMPLIANT,
    ),
    "principal before effect": (
        configuration_item(
            trust({"Action": "sts:AssumeRole", "Principal": EC2, "Sid": "Instances", "Effect": "Allow"})
        ),
        NON_COMPLIANT,
    ),
    "one statement that is no list": (
        configuration_item(quote(json.dumps({"Statement": statement("Allow", EC2), "Version": "2012-10-17"}))),
        NON_COMPLIANT,
    ),
    "a list of services": (
        configuration_item(trust(statement("Allow", {"Service": ["ssm.amazonaws.com", "ec2.amazonaws.com"]}))),
        NON_COMPLIANT,
    ),
    "a service beside an account": (
        configuration_item(
            trust(statement("Allow", {"AWS": f"arn:aws:iam::{ACCOUNT}:root", "Service": "ec2.amazonaws.com"}))
        ),
        NON_COMPLIANT,
    ),
    "China": (
        configuration_item(trust(statement("Allow", {"Service": "ec2.amazonaws.com.cn"}))),
        NON_COMPLIANT,
    ),
    "the second of two statements": (
        configuration_item(trust(statement("Allow", LAMBDA), statement("Allow", EC2))),
        NON_COMPLIANT,
    ),
    "a condition between effect and principal": (
        configuration_item(
            trust(
                {
                    "Effect": "Allow",
                    "Condition": {"StringEquals": {"aws:SourceAccount": ACCOUNT}},
                    "Principal": EC2,
                    "Action": "sts:AssumeRole",
                }
            )
        ),
        NON_COMPLIANT,
    ),
    "a condition with a policy variable between principal and effect": (
        configuration_item(
            trust(
                {
                    "Principal": EC2,
                    "Condition": {"StringLike": {"aws:userid": "${aws:PrincipalTag/team}*"}},
                    "Effect": "Allow",
                    "Action": "sts:AssumeRole",
                }
            )
        ),
        NON_COMPLIANT,
    ),
    "an allow and a conditional deny for EC2": (
        configuration_item(trust(statement("Deny", EC2, Condition={}), statement("Allow", EC2))),
        NON_COMPLIANT,
    ),
    "only a deny for EC2": (configuration_item(trust(statement("Deny", EC2))), NOT_APPLICABLE),
    "an allow for Lambda before a deny for EC2": (
        configuration_item(trust(statement("Allow", LAMBDA), statement("Deny", EC2))),
        NOT_APPLICABLE,
    ),
    "an allow for Lambda before a deny for EC2 whose effect comes last": (
        configuration_item(
            trust(statement("Allow", LAMBDA), {"Principal": EC2, "Action": "sts:AssumeRole", "Effect": "Deny"})
        ),
        NOT_APPLICABLE,
    ),
    "a deny for EC2 whose effect comes first before an allow for Lambda": (
        configuration_item(trust(statement("Deny", EC2), statement("Allow", LAMBDA))),
        NOT_APPLICABLE,
    ),
    "everyone but EC2": (
        configuration_item(trust({"Effect": "Allow", "NotPrincipal": EC2, "Action": "sts:AssumeRole"}), path="/"),
        NOT_APPLICABLE,
    ),
    "a service whose name ends alike": (
        configuration_item(trust(statement("Allow", {"Service": "spotfleet.ec2.amazonaws.com"}))),
        NOT_APPLICABLE,
    ),
    "a service whose name begins alike": (
        configuration_item(trust(statement("Allow", {"Service": "ec2.amazonaws.com.example.com"}))),
        NOT_APPLICABLE,
    ),
    "EC2's name in a condition": (
        configuration_item(
            trust(statement("Allow", LAMBDA, Condition={"StringEquals": {"aws:CalledVia": "ec2.amazonaws.com"}}))
        ),
        NOT_APPLICABLE,
    ),
    "Lambda's role": (configuration_item(trust(statement("Allow", LAMBDA))), NOT_APPLICABLE),
    "a federated role": (
        configuration_item(trust(statement("Allow", {"Federated": "arn:aws:iam::210987654321:saml-provider/sso"}))),
        NOT_APPLICABLE,
    ),
    "a service-linked role": (
        configuration_item(
            trust(statement("Allow", {"Service": "autoscaling.amazonaws.com"})),
            path="/aws-service-role/autoscaling.amazonaws.com/",
            instanceProfileList=[],
        ),
        NOT_APPLICABLE,
    ),
    "no instance profile": (
        configuration_item(trust(statement("Allow", EC2)), instanceProfileList=[]),
        NOT_APPLICABLE,
    ),
    "the list of instance profiles is missing": (
        configuration_item(trust(statement("Allow", EC2)), instanceProfileList=None),
        NOT_APPLICABLE,
    ),
    "the trust policy is missing": (configuration_item(None), NOT_APPLICABLE),
    "a deleted role": (
        {
            **configuration_item(None),
            "configuration": None,
            "configurationItemStatus": "ResourceDeleted",
        },
        NOT_APPLICABLE,
    ),
    "a user": ({**configuration_item(None), "resourceType": "AWS::IAM::User"}, NOT_APPLICABLE),
}


@pytest.mark.parametrize(("item", "expected"), ITEMS.values(), ids=ITEMS)
def test_verdict(item: dict[str, object], expected: str) -> None:
    assert verdict(item) == expected


def test_the_rule_fits_into_config_with_the_longest_policy_arn() -> None:
    longest = f"arn:aws-us-gov:iam::{ACCOUNT}:policy/{'p' * 510}/{'n' * 128}"

    assert len(RULE_FILE.read_text(encoding="utf-8").replace("${policy_arn}", longest)) <= 10_000


@pytest.mark.parametrize("function", ["url_decode", "json_parse", "regex_replace", "substring", "to_upper"])
def test_the_rule_keeps_to_the_language_of_runtime_2(function: str) -> None:
    assert f"{function}(" not in RULE
