"""The Guard rule that Terraform makes, judged by two engines over configuration items in the shape of AWS Config."""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
from collections.abc import Callable
from functools import partial
from itertools import permutations
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote

import pytest

from aws_sandbox.guard import GuardBinary, GuardEngine, GuardError, GuardLibrary

if TYPE_CHECKING:
    from tests.judges.conftest import Products

RULES = Path(__file__).parents[2] / "modules" / "config_rule" / "guard"
RULE_NAME = "session_manager_policy_attached"
ACCOUNT = "614208975316"
POLICY_ARN = f"arn:aws:iam::{ACCOUNT}:policy/SessionManagerLogPolicy"

COMPLIANT = "COMPLIANT"
NON_COMPLIANT = "NON_COMPLIANT"
NOT_APPLICABLE = "NOT_APPLICABLE"

EC2 = {"Service": "ec2.amazonaws.com"}
SSM = {"Service": "ssm.amazonaws.com"}
LAMBDA = {"Service": "lambda.amazonaws.com"}
# AWS's policies for the agent of nodes that Systems Manager gives their role.
CORE = "arn:aws:iam::aws:policy/AmazonSSMManagedInstanceCore"
HOST_MANAGEMENT = "arn:aws:iam::aws:policy/AmazonSSMManagedEC2InstanceDefaultPolicy"


def statement(effect: str, principal: object, **more: object) -> dict[str, object]:
    """One statement of a trust policy, its keys in the order in which IAM's console writes them."""
    return {"Effect": effect, "Principal": principal, "Action": "sts:AssumeRole", **more}


def trust(*statements: dict[str, object], indent: int | None = None, separators: tuple[str, str] | None = None) -> str:
    """A trust policy as Config delivers it: the author's own JSON text, URL-encoded."""
    document = {"Version": "2012-10-17", "Statement": list(statements)}
    return quote(json.dumps(document, indent=indent, separators=separators), safe="")


def encoded_in_small_letters(text: str) -> str:
    """The same text, encoded as `%7b` instead of `%7B`."""
    return re.sub("%[0-9A-F]{2}", lambda character: character[0].lower(), text)


def configuration_item(
    trust_policy: str | None, role: str = "/web", partition: str = "aws", **configuration: object
) -> dict[str, Any]:
    """An item of a role with an instance profile and without policies; None takes a key out."""
    role_arn = f"arn:{partition}:iam::{ACCOUNT}:role{role}"
    path, _, name = role.rpartition("/")
    content = {
        "path": f"{path}/",
        "roleName": name,
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
        "resourceName": name,
        "ARN": role_arn,
        "awsRegion": "global",
        "configuration": {key: value for key, value in content.items() if value is not None},
    }


def with_null(item: dict[str, Any], key: str) -> dict[str, Any]:
    """An item whose configuration says null."""
    return {**item, "configuration": {**item["configuration"], key: None}}


def policies(*arns: str) -> list[dict[str, str]]:
    """The attached managed policies as they stand in an item."""
    return [{"policyArn": arn, "policyName": arn.rsplit("/", 1)[-1]} for arn in arns]


def node_role(
    *arns: str, by: object = SSM, role: str = "/service-role/nodes", partition: str = "aws"
) -> dict[str, Any]:
    """An item of a role without instance profile that Systems Manager may assume."""
    trusted, attached = trust(statement("Allow", by)), policies(*arns)
    return configuration_item(trusted, role, partition, instanceProfileList=[], attachedManagedPolicies=attached)


COPY = [{"policyName": "SessionManagerLogPolicy", "policyDocument": "%7B%7D"}]

# In the condition of a statement: what a reader that only counts braces stumbles over.
BRACES = {"StringEquals": {"aws:SourceAccount": ACCOUNT, "aws:PrincipalTag/team": ["}", "{{"]}}


def escaped(text: str, word: str) -> str:
    """The text with the first letter of a word as a JSON escape."""
    return text.replace(word, f"%5Cu{ord(word[0]):04x}{word[1:]}")


# How the same trust policy may be written, and whether the rule reads it; if not, it counts as one that trusts EC2.
READABLE = {"dots encoded", "dots encoded in small letters", "colons and commas as they are", "white space around it"}
SPELLINGS: dict[str, Callable[[str], Any]] = {
    "dots encoded": lambda text: text.replace(".", "%2E"),
    "dots encoded in small letters": lambda text: text.replace(".", "%2e"),
    "colons and commas as they are": lambda text: text.replace("%3A", ":").replace("%2C", ","),
    "white space around it": lambda text: f"%0A%20{text}%0D%0A",
    "no encoding": unquote,
    "white space before no encoding": lambda text: f" \n{unquote(text)}",
    "two encodings": lambda text: quote(text, safe=""),
    "three encodings": lambda text: quote(quote(text, safe=""), safe=""),
    "an object": lambda text: json.loads(unquote(text)),
    "quotes that are not encoded": lambda text: text.replace("%22", '"'),
    "a letter encoded": lambda text: text.replace("Principal", "%50rincipal"),
    "all letters encoded": lambda text: "".join(f"%{ord(each):02X}" for each in unquote(text)),
    "a digit encoded": lambda text: text.replace("2012", "%32012"),
    **{
        f"{word} with an escape": partial(escaped, word=word)
        for word in ("Statement", "Effect", "Allow", "Principal", "Service", "Action", "AssumeRole", "amazonaws")
    },
    "dots as escapes": lambda text: text.replace(".amazonaws", "%5Cu002eamazonaws"),
    "an escape of capital digits": lambda text: text.replace(".amazonaws", "%5Cu002Eamazonaws"),
    "a small letter in the escape's encoding": lambda text: text.replace(".amazonaws", "%5cu002eamazonaws"),
}

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
    **{
        f"{count} other policies are attached": (
            configuration_item(
                trust(statement("Allow", EC2)),
                attachedManagedPolicies=policies(*(f"{POLICY_ARN}{number}" for number in range(count))),
            ),
            NON_COMPLIANT,
        )
        for count in (10, 20)
    },
    "the policy is the last of many": (
        configuration_item(
            trust(statement("Allow", EC2)),
            attachedManagedPolicies=policies(*(f"{POLICY_ARN}{number}" for number in range(19)), POLICY_ARN),
        ),
        COMPLIANT,
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
    "small letters in encoded characters": (
        configuration_item(encoded_in_small_letters(trust(statement("Allow", EC2), indent=2))),
        NON_COMPLIANT,
    ),
    "small letters in encoded characters of a deny beside an allow for Lambda": (
        configuration_item(encoded_in_small_letters(trust(statement("Allow", LAMBDA), statement("Deny", EC2)))),
        NOT_APPLICABLE,
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
    **{
        f"the order {' '.join(key for key, _ in parts)}": (
            configuration_item(trust(dict(parts), separators=(",", ":"))),
            NON_COMPLIANT,
        )
        for parts in permutations(
            [("Effect", "Allow"), ("Principal", EC2), ("Action", "sts:AssumeRole"), ("Condition", BRACES)]
        )
    },
    **{
        f"the action {action}": (configuration_item(trust(statement("Allow", EC2, Action=action))), verdict)
        for action, verdict in {
            "sts:AssumeRole": NON_COMPLIANT,
            "sts:assumerole": NON_COMPLIANT,
            "STS:AssumeRole": NON_COMPLIANT,
            "sts:Assume*": NON_COMPLIANT,
            "sts:?ssumeRole": NON_COMPLIANT,
            "sts:*": NON_COMPLIANT,
            "*": NON_COMPLIANT,
            "sts:TagSession": NOT_APPLICABLE,
            "sts:SetSourceIdentity": NOT_APPLICABLE,
        }.items()
    },
    "the action in a list": (
        configuration_item(trust(statement("Allow", EC2, Action=["sts:TagSession", "sts:AssumeRole"]))),
        NON_COMPLIANT,
    ),
    "the action first in a list": (
        configuration_item(
            trust({"Action": ["sts:AssumeRole", "sts:TagSession"], "Effect": "Allow", "Principal": EC2})
        ),
        NON_COMPLIANT,
    ),
    "only other actions in a list": (
        configuration_item(trust(statement("Allow", EC2, Action=["sts:TagSession", "sts:SetSourceIdentity"]))),
        NOT_APPLICABLE,
    ),
    "TagSession for EC2 beside AssumeRole for Lambda": (
        configuration_item(trust(statement("Allow", EC2, Action="sts:TagSession"), statement("Allow", LAMBDA))),
        NOT_APPLICABLE,
    ),
    "AssumeRole for Lambda before TagSession for EC2": (
        configuration_item(
            trust(statement("Allow", LAMBDA), {"Action": "sts:TagSession", "Principal": EC2, "Effect": "Allow"})
        ),
        NOT_APPLICABLE,
    ),
    "TagSession and AssumeRole for EC2 in two statements": (
        configuration_item(trust(statement("Allow", EC2, Action="sts:TagSession"), statement("Allow", EC2))),
        NON_COMPLIANT,
    ),
    "every action but one": (
        configuration_item(trust({"Effect": "Allow", "Principal": EC2, "NotAction": "sts:TagSession"})),
        NON_COMPLIANT,
    ),
    **{
        f"{value!r} in a condition between effect and principal": (
            configuration_item(
                trust(
                    {
                        "Effect": "Allow",
                        "Condition": {"StringEquals": {"aws:PrincipalTag/team": value}},
                        "Principal": EC2,
                        "Action": "sts:AssumeRole",
                    }
                )
            ),
            NON_COMPLIANT,
        )
        for value in ("}", "{", "}}}}", "{{{{", "]", "[", "a}b{c", "%7D", "%22", ["}", "{"], "+ :,", "é 🔒")
    },
    **{
        f"{value!r} in a condition of Lambda's statement before a deny for EC2": (
            configuration_item(
                trust(
                    statement("Allow", LAMBDA, Condition={"StringEquals": {"aws:PrincipalTag/team": value}}),
                    statement("Deny", EC2),
                )
            ),
            NOT_APPLICABLE,
        )
        for value in ("}", "{", "}}}}", "{{{{", "{},{", "%22", ["{", "}"])
    },
    **{
        f"{what} that trusts EC2": (configuration_item(spelled(trust(statement("Allow", EC2)))), NON_COMPLIANT)
        for what, spelled in SPELLINGS.items()
    },
    **{
        f"{what} that trusts EC2, with the policy": (
            configuration_item(spelled(trust(statement("Allow", EC2))), attachedManagedPolicies=policies(POLICY_ARN)),
            COMPLIANT,
        )
        for what, spelled in SPELLINGS.items()
        if what in {"dots encoded", "no encoding", "an object", "Service with an escape"}
    },
    **{
        f"{what} that does not trust EC2, read all the same": (
            configuration_item(spelled(trust(statement("Allow", LAMBDA)))),
            NOT_APPLICABLE,
        )
        for what, spelled in SPELLINGS.items()
        if what in READABLE
    },
    **{
        f"{what} that does not trust EC2, which cannot be seen": (
            configuration_item(spelled(trust(statement("Allow", LAMBDA)))),
            NON_COMPLIANT,
        )
        for what, spelled in SPELLINGS.items()
        if what not in READABLE
    },
    "a trust policy that cannot be read, of a role without instance profile": (
        configuration_item(unquote(trust(statement("Allow", LAMBDA))), instanceProfileList=[]),
        NOT_APPLICABLE,
    ),
    "a trust policy that cannot be read, of an excluded role": (
        configuration_item(unquote(trust(statement("Allow", EC2))), role="/break-glass"),
        NOT_APPLICABLE,
    ),
    "a trust policy that cannot be read, of a deleted role": (
        {**configuration_item(unquote(trust(statement("Allow", EC2)))), "configurationItemStatus": "ResourceDeleted"},
        NOT_APPLICABLE,
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
        configuration_item(trust(statement("Allow", {"Federated": f"arn:aws:iam::{ACCOUNT}:saml-provider/sso"}))),
        NOT_APPLICABLE,
    ),
    "a service-linked role": (
        configuration_item(
            trust(statement("Allow", {"Service": "autoscaling.amazonaws.com"})),
            role="/aws-service-role/autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling",
            instanceProfileList=[],
        ),
        NOT_APPLICABLE,
    ),
    "a role that is excluded by its name": (
        configuration_item(trust(statement("Allow", EC2)), role="/break-glass"),
        NOT_APPLICABLE,
    ),
    "a role that is excluded by its name, under a path": (
        configuration_item(trust(statement("Allow", EC2)), role="/team/break-glass"),
        NOT_APPLICABLE,
    ),
    "a role that is excluded by a pattern": (
        configuration_item(trust(statement("Allow", EC2)), role="/team/legacy-web"),
        NOT_APPLICABLE,
    ),
    "a role that is excluded by a pattern of special characters": (
        configuration_item(trust(statement("Allow", EC2)), role="/node7.prod+1"),
        NOT_APPLICABLE,
    ),
    "a role that is excluded by its path": (
        configuration_item(trust(statement("Allow", EC2)), role="/platform/web"),
        NOT_APPLICABLE,
    ),
    "a role that is excluded by the beginning of its path": (
        configuration_item(trust(statement("Allow", EC2)), role="/platform/edge/web"),
        NOT_APPLICABLE,
    ),
    "an excluded role with the policy is not judged either": (
        configuration_item(
            trust(statement("Allow", EC2)), role="/break-glass", attachedManagedPolicies=policies(POLICY_ARN)
        ),
        NOT_APPLICABLE,
    ),
    "a name that only begins like an excluded one": (
        configuration_item(trust(statement("Allow", EC2)), role="/break-glass2"),
        NON_COMPLIANT,
    ),
    "a name that only ends like an excluded one": (
        configuration_item(trust(statement("Allow", EC2)), role="/no-break-glass"),
        NON_COMPLIANT,
    ),
    "an excluded name in another case": (
        configuration_item(trust(statement("Allow", EC2)), role="/Break-Glass"),
        NON_COMPLIANT,
    ),
    "a path that is like an excluded name": (
        configuration_item(trust(statement("Allow", EC2)), role="/break-glass/web"),
        NON_COMPLIANT,
    ),
    "a path that matches an excluded pattern of names": (
        configuration_item(trust(statement("Allow", EC2)), role="/legacy-apps/web"),
        NON_COMPLIANT,
    ),
    "a name like an excluded pattern with two characters for one": (
        configuration_item(trust(statement("Allow", EC2)), role="/node77.prod+1"),
        NON_COMPLIANT,
    ),
    "a name like an excluded pattern with another character for the dot": (
        configuration_item(trust(statement("Allow", EC2)), role="/node7-prod+1"),
        NON_COMPLIANT,
    ),
    "an excluded path in the middle": (
        configuration_item(trust(statement("Allow", EC2)), role="/team/platform/web"),
        NON_COMPLIANT,
    ),
    "a name like an excluded path": (
        configuration_item(trust(statement("Allow", EC2)), role="/platform"),
        NON_COMPLIANT,
    ),
    "a role of AWS's that trusts EC2": (
        configuration_item(trust(statement("Allow", EC2)), role="/aws-service-role/ec2.amazonaws.com/AWSServiceRole"),
        NOT_APPLICABLE,
    ),
    "a role of Identity Center's that trusts EC2": (
        configuration_item(trust(statement("Allow", EC2)), role="/aws-reserved/sso.amazonaws.com/AWSReservedSSO_Admin"),
        NOT_APPLICABLE,
    ),
    "a role of AWS's that trusts EC2, without its ARN": (
        configuration_item(
            trust(statement("Allow", EC2)), role="/aws-service-role/ec2.amazonaws.com/AWSServiceRole", arn=None
        ),
        NOT_APPLICABLE,
    ),
    "the path of the role is missing": (configuration_item(trust(statement("Allow", EC2)), path=None), NON_COMPLIANT),
    "the ARN of the role is missing": (configuration_item(trust(statement("Allow", EC2)), arn=None), NON_COMPLIANT),
    "a role in China": (
        configuration_item(trust(statement("Allow", {"Service": "ec2.amazonaws.com.cn"})), partition="aws-cn"),
        NON_COMPLIANT,
    ),
    "an excluded role in China": (
        configuration_item(
            trust(statement("Allow", {"Service": "ec2.amazonaws.com.cn"})), role="/platform/web", partition="aws-cn"
        ),
        NOT_APPLICABLE,
    ),
    "a role of hybrid nodes": (node_role(CORE), NON_COMPLIANT),
    "a role of hybrid nodes with the policy": (node_role(CORE, POLICY_ARN), COMPLIANT),
    "a role of Default Host Management": (node_role(HOST_MANAGEMENT), NON_COMPLIANT),
    "a role of Default Host Management with the policy": (node_role(HOST_MANAGEMENT, POLICY_ARN), COMPLIANT),
    "a role of hybrid nodes in China": (
        node_role(CORE.replace("aws:iam", "aws-cn:iam"), by={"Service": "ssm.amazonaws.com.cn"}, partition="aws-cn"),
        NON_COMPLIANT,
    ),
    "a role of both instances and hybrid nodes": (
        configuration_item(
            trust(statement("Allow", {"Service": ["ec2.amazonaws.com", "ssm.amazonaws.com"]})),
            attachedManagedPolicies=policies(CORE),
        ),
        NON_COMPLIANT,
    ),
    "a role of automations": (
        node_role("arn:aws:iam::aws:policy/service-role/AmazonSSMAutomationRole"),
        NOT_APPLICABLE,
    ),
    "a role of automations without policies": (node_role(), NOT_APPLICABLE),
    "a policy of the account that is called like AWS's": (
        node_role(f"arn:aws:iam::{ACCOUNT}:policy/AmazonSSMManagedInstanceCore"),
        NOT_APPLICABLE,
    ),
    "a role of another service with AWS's policy for the agent": (node_role(CORE, by=LAMBDA), NOT_APPLICABLE),
    "a role that Systems Manager is denied": (
        configuration_item(
            trust(statement("Deny", SSM)), instanceProfileList=[], attachedManagedPolicies=policies(CORE)
        ),
        NOT_APPLICABLE,
    ),
    "an excluded role of hybrid nodes": (node_role(CORE, role="/platform/nodes"), NOT_APPLICABLE),
    "a copy where copies do not count": (
        configuration_item(trust(statement("Allow", EC2)), rolePolicyList=COPY),
        NON_COMPLIANT,
    ),
    "an instance profile whose role only Systems Manager may assume": (
        configuration_item(trust(statement("Allow", SSM))),
        NOT_APPLICABLE,
    ),
    "no instance profile": (
        configuration_item(trust(statement("Allow", EC2)), instanceProfileList=[]),
        NOT_APPLICABLE,
    ),
    "the list of instance profiles is null": (
        with_null(configuration_item(trust(statement("Allow", EC2))), "instanceProfileList"),
        NOT_APPLICABLE,
    ),
    "the list of policies is null": (
        with_null(configuration_item(trust(statement("Allow", EC2))), "attachedManagedPolicies"),
        NON_COMPLIANT,
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
    **{
        f"a deleted role that still has its configuration, {status}": (
            {**configuration_item(trust(statement("Allow", EC2))), "configurationItemStatus": status},
            NOT_APPLICABLE,
        )
        for status in ("ResourceDeleted", "ResourceDeletedNotRecorded")
    },
    "a role without a status": (
        {
            key: value
            for key, value in configuration_item(trust(statement("Allow", EC2))).items()
            if key != "configurationItemStatus"
        },
        NON_COMPLIANT,
    ),
    "a user": ({**configuration_item(None), "resourceType": "AWS::IAM::User"}, NOT_APPLICABLE),
}


@pytest.fixture(params=["library", "binary"])
def engine(request: pytest.FixtureRequest, cfn_guard: str) -> GuardEngine:
    """AWS's engine in its two forms, as the emulated organization uses them."""
    if request.param == "binary":
        return GuardBinary(cfn_guard)
    if importlib.util.find_spec("cfn_guard_rs") is None:
        pytest.skip("cfn-guard-rs has no wheel for this Python: the binary alone judges")
    return GuardLibrary()


# AWS Config keeps no result when a rule skips an item.
STATUSES = {"PASS": COMPLIANT, "FAIL": NON_COMPLIANT, "SKIP": NOT_APPLICABLE}


@pytest.mark.parametrize("name", ITEMS)
def test_verdict(name: str, engine: GuardEngine, products: Products) -> None:
    item, verdict = ITEMS[name]

    assert STATUSES[engine.evaluate(item, products.rule)] == verdict


@pytest.mark.parametrize(
    ("item", "verdict"),
    [
        (configuration_item(trust(statement("Allow", EC2))), NON_COMPLIANT),
        (configuration_item(trust(statement("Allow", EC2)), rolePolicyList=COPY), NOT_APPLICABLE),
        (configuration_item(trust(statement("Allow", EC2)), rolePolicyList=[{"policyName": "Other"}]), NON_COMPLIANT),
        (node_role(HOST_MANAGEMENT), NON_COMPLIANT),
        (node_role(CORE), NOT_APPLICABLE),
    ],
)
def test_the_kinds_of_nodes_and_copies_are_settings(
    item: dict[str, Any], verdict: str, engine: GuardEngine, products: Products
) -> None:
    assert STATUSES[engine.evaluate(item, products.inline_rule)] == verdict


def test_both_forms_refuse_a_policy_that_is_not_valid(engine: GuardEngine) -> None:
    with pytest.raises(GuardError, match="at line 1 at column 13"):
        engine.evaluate({}, "rule a when { b == 1")


def test_the_rule_passes_its_unit_tests_as_it_is_committed(cfn_guard: str) -> None:
    done = subprocess.run(
        [cfn_guard, "test", "--dir", str(RULES)], capture_output=True, text=True, timeout=60, check=False
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count(f"{RULE_NAME}: Expected = ") >= 10
    assert "FAIL Rules" not in done.stdout


def test_nothing_is_left_of_the_example(products: Products) -> None:
    assert "111122223333" not in products.rule
    assert r"/:role\x2Fplatform\x2F/" in products.rule
    assert r"/\x2Fnode[^\x2F]\.prod\+1$/" in products.rule
    assert products.rule.count("legacy-") == 1


def test_the_rule_leaves_room_for_a_long_policy_arn_and_many_exclusions(products: Products) -> None:
    longest = f"arn:aws-us-gov:iam::{ACCOUNT}:policy/{'p' * 510}/{'n' * 128}"

    assert len(products.rule.replace(POLICY_ARN, longest)) <= 6_500, "AWS Config accepts 10,000"


def test_the_rule_is_deployed_without_its_comments(products: Products) -> None:
    assert "#" not in products.rule.replace("#]", "")


@pytest.mark.parametrize("function", ["url_decode", "json_parse", "regex_replace", "substring", "to_upper"])
def test_the_rule_keeps_to_the_language_of_runtime_2(function: str, products: Products) -> None:
    assert f"{function}(" not in products.rule
