"""Whether the service control policy is in force; tests/modules compares its statements with those of the module."""

import json
from collections.abc import Callable, Iterator
from typing import Any, Final

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from session_manager_fleet.accounts import MANAGEMENT, Account
from session_manager_fleet.settings import TargetSettings
from session_manager_fleet.settings.foundation import Guardrails
from session_manager_fleet.targets import Target
from session_manager_fleet.verify.guardrail_statements import expected_statements
from session_manager_fleet.verify.guardrails import Guardrails as GuardrailsCheck, guardrails
from session_manager_fleet.verify.model import PLAN_AND_APPLY, Check
from session_manager_fleet.verify.reading import Reader, run_check

HOME = "eu-west-1"
ACCOUNT = "123456789012"
NAME = "session-manager-guardrails"
DEPLOYMENT = "arn:aws:iam::*:role/AWSControlTowerExecution"
VALUES = TargetSettings()
SCP: Final = "SERVICE_CONTROL_POLICY"


class Organization:
    """An emulated organization with the policy."""

    def __init__(self) -> None:
        self.client: Any = boto3.client("organizations", region_name=HOME)
        self.client.create_organization(FeatureSet="ALL")
        (self.root,) = self.client.list_roots()["Roots"]
        self.unit = self.client.create_organizational_unit(ParentId=self.root["Id"], Name="Workloads")[
            "OrganizationalUnit"
        ]["Id"]
        self.client.enable_policy_type(RootId=self.root["Id"], PolicyType=SCP)
        attach_to = [self.root["Id"], self.unit]
        self.wanted = Guardrails(attach_to=attach_to, exempt_role_arns=[DEPLOYMENT]).model_dump(exclude_none=True)
        made = self.client.create_policy(Content=self.content(), Description="", Name=NAME, Type=SCP)
        self.policy = made["Policy"]["PolicySummary"]["Id"]
        for place in attach_to:
            self.client.attach_policy(PolicyId=self.policy, TargetId=place)

    def content(self, change: Callable[[dict[str, Any]], object] = lambda _: None) -> str:
        """The text of the policy, after a change of its statements by their ids."""
        statements = {each["Sid"]: each for each in expected_statements(self.wanted, VALUES, "aws")}
        change(statements)
        return json.dumps({"Version": "2012-10-17", "Statement": list(statements.values())})

    def write(self, change: Callable[[dict[str, Any]], object]) -> None:
        self.client.update_policy(PolicyId=self.policy, Content=self.content(change))

    def check(self, reader: Reader | None = None) -> Check:
        asked = reader or Reader(boto3.Session(region_name=HOME))
        target = Target(Account(ACCOUNT, "Management", role=MANAGEMENT), HOME, HOME)
        return run_check(GuardrailsCheck.info, asked, lambda: guardrails(asked, target, VALUES, self.wanted))


@pytest.fixture
def organization(credentials: None) -> Iterator[Organization]:  # noqa: ARG001 - in the environment
    with mock_aws():
        yield Organization()


def test_a_policy_that_is_attached_everywhere(organization: Organization) -> None:
    check = organization.check()
    assert (check.verdict, check.message) == (
        "ok",
        f'"{NAME}" is attached to {", ".join(sorted(organization.wanted["attach_to"]))}.',
    )


def test_a_policy_that_is_only_an_output(organization: Organization) -> None:
    organization.wanted["attach_to"] = []
    assert organization.check().verdict == "not_needed"


def test_a_policy_that_was_detached(organization: Organization) -> None:
    organization.client.detach_policy(PolicyId=organization.policy, TargetId=organization.unit)
    check = organization.check()
    assert (check.verdict, check.fix) == ("finding", PLAN_AND_APPLY)
    assert f"it is not attached to {organization.unit}." in check.message


def test_a_policy_that_was_deleted(organization: Organization) -> None:
    for place in organization.wanted["attach_to"]:
        organization.client.detach_policy(PolicyId=organization.policy, TargetId=place)
    organization.client.delete_policy(PolicyId=organization.policy)
    check = organization.check()
    assert (check.verdict, check.fix) == ("finding", PLAN_AND_APPLY)
    assert check.message == f'The service control policy "{NAME}" does not exist.'


def test_policies_that_were_switched_off_and_the_advice_switches_them_on(organization: Organization) -> None:
    organization.client.disable_policy_type(RootId=organization.root["Id"], PolicyType=SCP)
    check = organization.check()
    assert check.verdict == "finding"
    assert check.command == ("apply",)
    aws, service, operation, *words = check.fix.split("`")[1].split()
    assert (aws, service, operation) == ("aws", "organizations", "enable-policy-type")
    options = dict(zip(words[::2], words[1::2], strict=True))
    organization.client.enable_policy_type(RootId=options["--root-id"], PolicyType=options["--policy-type"])
    assert organization.check().verdict == "ok"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda all_: all_.pop("KeepKeys"), "it does not deny KeepKeys"),
        (lambda all_: all_["KeepConfigRule"].update(Effect="Allow"), "it does not deny KeepConfigRule"),
        (
            lambda all_: all_["KeepKeys"]["Condition"].update(ArnNotLike={"aws:PrincipalArn": [DEPLOYMENT, "arn:x"]}),
            "KeepKeys exempts arn:x.",
        ),
        (lambda all_: all_["KeepKeys"].pop("Condition"), f"KeepKeys does not exempt {DEPLOYMENT}"),
        (lambda all_: all_["KeepKeys"]["Condition"].pop("ForAnyValue:StringEquals"), "KeepKeys has other conditions."),
        (
            lambda all_: all_["NoForeignSessionDocuments"]["Condition"]["Null"].update({"aws:ResourceAccount": "true"}),
            "NoForeignSessionDocuments has other conditions.",
        ),
        (
            lambda all_: all_["KeepAsDeployed"]["Action"].remove("lambda:Update*"),
            "KeepAsDeployed lacks the actions lambda:Update*.",
        ),
        (
            lambda all_: all_["KeepAsDeployed"].update(Resource="arn:aws:ssm:*:*:document/another"),
            "KeepAsDeployed has the further resources arn:aws:ssm:*:*:document/another.",
        ),
        (
            lambda all_: all_["NoOtherSessionDocuments"]["NotResource"].append("arn:aws:ssm:*:*:document/*"),
            "NoOtherSessionDocuments has the further resources left out arn:aws:ssm:*:*:document/*.",
        ),
        (
            lambda all_: all_.update(More={"Sid": "More", "Effect": "Deny", "Action": "s3:*", "Resource": "*"}),
            "it has other statements: More.",
        ),
    ],
)
def test_another_text(organization: Organization, change: Callable[[dict[str, Any]], object], message: str) -> None:
    organization.write(change)
    check = organization.check()
    assert (check.verdict, check.fix) == ("finding", PLAN_AND_APPLY)
    assert message in check.message
    organization.write(lambda _: None)
    assert organization.check().verdict == "ok"


def test_a_text_that_is_too_long(organization: Organization) -> None:
    organization.wanted["scp_length_limit"] = 100
    assert "characters, more than scp_length_limit" in organization.check().message


class Denied(Reader):
    """AWS denies one call."""

    def __init__(self, method: str) -> None:
        super().__init__(boto3.Session(region_name=HOME))
        self.method = method

    def call(self, service: str, region: str, method: str, **arguments: Any) -> Any:  # noqa: ANN401
        self._refuse(method)
        return super().call(service, region, method, **arguments)

    def pages(self, service: str, region: str, method: str, key: str, **arguments: Any) -> Iterator[Any]:  # noqa: ANN401
        self._refuse(method)
        return super().pages(service, region, method, key, **arguments)

    def _refuse(self, method: str) -> None:
        if method == self.method:
            raise ClientError({"Error": {"Code": "AccessDeniedException", "Message": "no"}}, method)


@pytest.mark.parametrize("method", ["list_roots", "list_policies", "list_targets_for_policy", "describe_policy"])
def test_what_is_denied_is_not_checked(organization: Organization, method: str) -> None:
    assert organization.check(Denied(method)).verdict == "not_checked"
