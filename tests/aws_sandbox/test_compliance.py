"""Roles as configuration items, judged by Guard, remediated by the uploaded document."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote

import pytest
from botocore.exceptions import ClientError

from aws_sandbox import Sandbox, find_guard_engine
from aws_sandbox.guard import GuardLibrary

if TYPE_CHECKING:
    from mypy_boto3_config.literals import MessageTypeType
    from mypy_boto3_config.type_defs import EvaluationResultTypeDef, RecordingGroupTypeDef

REGION = "eu-west-1"
RULE = "instances-have-the-policy"
DOCUMENT = "Attach-the-policy"
TYPE: Final = "AWS::IAM::Role"

CHANGES: Final[tuple[MessageTypeType, ...]] = ("ConfigurationItemChangeNotification",)

POLICY_TEXT = """
rule policy_attached when resourceType == "AWS::IAM::Role" {
  when configuration.assumeRolePolicyDocument in /%22ec2\\.amazonaws\\.com%22/
       configuration.instanceProfileList !empty {
    some configuration.attachedManagedPolicies[*].policyArn == "POLICY_ARN"
  }
}
"""

SCRIPT = """
import boto3

def attach(events, context):
    config, iam = boto3.client("config"), boto3.client("iam")
    items = config.get_resource_config_history(resourceType="AWS::IAM::Role", resourceId=events["Id"], limit=1)
    name = items["configurationItems"][0]["resourceName"]
    iam.attach_role_policy(RoleName=name, PolicyArn=events["PolicyArn"])
    return {"RoleName": name, "Caller": boto3.client("sts").get_caller_identity()["Arn"]}
"""


def document(script: str = SCRIPT) -> str:
    parameter = {"type": "String", "allowedPattern": "^[\\w:/.+=,@-]+$"}
    return json.dumps(
        {
            "schemaVersion": "0.3",
            "assumeRole": "{{ AutomationAssumeRole }}",
            "outputs": ["Attach.RoleName"],
            "parameters": {"AutomationAssumeRole": parameter, "Id": parameter, "PolicyArn": parameter},
            "mainSteps": [
                {
                    "name": "Attach",
                    "action": "aws:executeScript",
                    "timeoutSeconds": 60,
                    "isEnd": True,
                    "inputs": {
                        "Runtime": "python3.11",
                        "Handler": "attach",
                        "Script": script,
                        "InputPayload": {"Id": "{{ Id }}", "PolicyArn": "{{ PolicyArn }}"},
                    },
                    "outputs": [{"Name": "RoleName", "Selector": "$.Payload.RoleName", "Type": "String"}],
                }
            ],
        }
    )


def trust(service: str) -> str:
    statement = {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def policy(action: str) -> str:
    statement = {"Effect": "Allow", "Action": action, "Resource": "*"}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


class Account:
    """An account, and the roles, policies, rule and document that a test creates in it and deletes."""

    def __init__(self, sandbox: Sandbox, account_id: str) -> None:
        self.sandbox = sandbox
        self.id = account_id
        self.session = sandbox.session(account_id, REGION)
        self.config = self.session.client("config")
        self.iam = self.session.client("iam")
        self.ssm = self.session.client("ssm")
        self.policy_arn = self.iam.create_policy(
            PolicyName="SessionPolicy",
            PolicyDocument=policy("logs:DescribeLogGroups"),
        )["Policy"]["Arn"]
        self.roles: list[str] = []
        self.other_policies: list[str] = []
        self.has_rule = False
        self.automation_role = self.role("ssm.amazonaws.com", profile=False)
        self.iam.put_role_policy(RoleName=self.automation_role, PolicyName="all", PolicyDocument=policy("*"))

    @property
    def automation_role_arn(self) -> str:
        return f"arn:aws:iam::{self.id}:role/{self.automation_role}"

    def role(self, service: str = "ec2.amazonaws.com", *, profile: bool = True, **settings: object) -> str:
        name = f"role-{uuid.uuid4().hex[:8]}"
        self.iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust(service), **settings)  # type: ignore[arg-type]
        if profile:
            self.iam.create_instance_profile(InstanceProfileName=name)
            self.iam.add_role_to_instance_profile(InstanceProfileName=name, RoleName=name)
        self.roles.append(name)
        return name

    def role_id(self, name: str) -> str:
        return self.iam.get_role(RoleName=name)["Role"]["RoleId"]

    def delete_role(self, name: str) -> None:
        for policy in self.iam.list_attached_role_policies(RoleName=name)["AttachedPolicies"]:
            self.iam.detach_role_policy(RoleName=name, PolicyArn=policy["PolicyArn"])
        for inline in self.iam.list_role_policies(RoleName=name)["PolicyNames"]:
            self.iam.delete_role_policy(RoleName=name, PolicyName=inline)
        for profile in self.iam.list_instance_profiles_for_role(RoleName=name)["InstanceProfiles"]:
            self.iam.remove_role_from_instance_profile(
                InstanceProfileName=profile["InstanceProfileName"], RoleName=name
            )
            self.iam.delete_instance_profile(InstanceProfileName=profile["InstanceProfileName"])
        self.iam.delete_role(RoleName=name)
        self.roles.remove(name)

    def attach(self, name: str) -> None:
        self.iam.attach_role_policy(RoleName=name, PolicyArn=self.policy_arn)

    def attach_others(self, name: str, count: int) -> None:
        """Create and attach `count` other policies."""
        for number in range(count):
            document = policy("logs:DescribeLogGroups")
            made = self.iam.create_policy(PolicyName=f"Other{number}", PolicyDocument=document)
            self.other_policies.append(made["Policy"]["Arn"])
            self.iam.attach_role_policy(RoleName=name, PolicyArn=self.other_policies[-1])

    def rule(self, *messages: MessageTypeType) -> None:
        self.config.put_config_rule(
            ConfigRule={
                "ConfigRuleName": RULE,
                "Scope": {"ComplianceResourceTypes": [TYPE]},
                "Source": {
                    "Owner": "CUSTOM_POLICY",
                    "SourceDetails": [
                        {"EventSource": "aws.config", "MessageType": message} for message in messages or CHANGES
                    ],
                    "CustomPolicyDetails": {
                        "PolicyRuntime": "guard-2.x.x",
                        "PolicyText": POLICY_TEXT.replace("POLICY_ARN", self.policy_arn),
                    },
                },
            }
        )
        self.has_rule = True
        self.sandbox.wait_until_idle()

    def remediation(self, *, automatic: bool = False, script: str = SCRIPT) -> None:
        self.ssm.create_document(Name=DOCUMENT, DocumentType="Automation", Content=document(script))
        self.config.put_remediation_configurations(
            RemediationConfigurations=[
                {
                    "ConfigRuleName": RULE,
                    "TargetType": "SSM_DOCUMENT",
                    "TargetId": DOCUMENT,
                    "ResourceType": TYPE,
                    "Automatic": automatic,
                    "MaximumAutomaticAttempts": 3,
                    "Parameters": {
                        "AutomationAssumeRole": {"StaticValue": {"Values": [self.automation_role_arn]}},
                        "Id": {"ResourceValue": {"Value": "RESOURCE_ID"}},
                        "PolicyArn": {"StaticValue": {"Values": [self.policy_arn]}},
                    },
                }
            ]
        )

    def results(self) -> dict[str, str]:
        """Return the compliance type of each role that the test created."""
        self.sandbox.wait_until_idle()
        names = {self.role_id(name): name for name in self.roles}
        found: list[EvaluationResultTypeDef] = []
        pages = self.config.get_paginator("get_compliance_details_by_config_rule")
        for page in pages.paginate(ConfigRuleName=RULE, PaginationConfig={"PageSize": 2}):
            found += page["EvaluationResults"]
        by_id = {
            result["EvaluationResultIdentifier"]["EvaluationResultQualifier"]["ResourceId"]: result["ComplianceType"]
            for result in found
        }
        return {name: by_id[role_id] for role_id, name in names.items() if role_id in by_id}

    def compliance(self) -> dict[str, Any]:
        (described,) = self.config.describe_compliance_by_config_rule(ConfigRuleNames=[RULE])["ComplianceByConfigRules"]
        return dict(described["Compliance"])

    def clean(self) -> None:
        if self.has_rule:
            if self.config.describe_remediation_configurations(ConfigRuleNames=[RULE])["RemediationConfigurations"]:
                self.config.delete_remediation_configuration(ConfigRuleName=RULE)
                self.ssm.delete_document(Name=DOCUMENT)
            self.config.delete_config_rule(ConfigRuleName=RULE)
        self.sandbox.wait_until_idle()
        for name in [*self.roles, "app-server"]:
            for policy in self.iam.list_attached_role_policies(RoleName=name)["AttachedPolicies"]:
                self.iam.detach_role_policy(RoleName=name, PolicyArn=policy["PolicyArn"])
        for name in list(self.roles):
            self.delete_role(name)
        for arn in (self.policy_arn, *self.other_policies):
            self.iam.delete_policy(PolicyArn=arn)
        self.sandbox.wait_until_idle()


@pytest.fixture
def account(sandbox: Sandbox) -> Iterator[Account]:
    made = Account(sandbox, sandbox.organization.members[0].id)
    yield made
    made.clean()


def items(account: Account, role_id: str, **more: object) -> list[dict[str, Any]]:
    account.sandbox.wait_until_idle()
    history = account.config.get_resource_config_history(resourceType=TYPE, resourceId=role_id, **more)  # type: ignore[arg-type]
    return [dict(item) for item in history["configurationItems"]]


def test_a_role_as_a_configuration_item(account: Account) -> None:
    name = account.role(Path="/apps/", Tags=[{"Key": "team", "Value": "shop"}], Description="A server")
    account.attach(name)
    account.iam.put_role_policy(RoleName=name, PolicyName="inline", PolicyDocument=policy("*"))
    role = account.iam.get_role(RoleName=name)["Role"]
    (item, *_) = items(account, role["RoleId"])
    configuration = json.loads(item["configuration"])
    assert (item["resourceType"], item["resourceId"], item["resourceName"]) == (TYPE, role["RoleId"], name)
    assert (item["accountId"], item["awsRegion"], item["arn"]) == (account.id, "global", role["Arn"])
    assert item["tags"] == {"team": "shop"}
    assert item["resourceCreationTime"].timestamp() == pytest.approx(role["CreateDate"].timestamp(), abs=0.001)
    assert (configuration["path"], configuration["roleName"], configuration["roleId"], configuration["arn"]) == (
        "/apps/",
        name,
        role["RoleId"],
        role["Arn"],
    )
    document_text = configuration["assumeRolePolicyDocument"]
    assert "%22Service%22%3A%20%22ec2.amazonaws.com%22" in document_text
    assert json.loads(unquote(document_text)) == role["AssumeRolePolicyDocument"]
    assert configuration["attachedManagedPolicies"] == [
        {"policyArn": account.policy_arn, "policyName": "SessionPolicy"}
    ]
    (profile,) = configuration["instanceProfileList"]
    assert profile["instanceProfileName"] == name
    assert [each["roleName"] for each in profile["roles"]] == [name]
    (inline,) = configuration["rolePolicyList"]
    assert (inline["policyName"], unquote(inline["policyDocument"])) == ("inline", policy("*"))
    assert configuration["permissionsBoundary"] is None


def test_every_change_is_an_item(account: Account) -> None:
    name = account.role(profile=False)
    role_id = account.role_id(name)
    items(account, role_id)
    account.attach(name)
    assert [item["configurationItemStatus"] for item in items(account, role_id)] == ["OK", "ResourceDiscovered"]
    account.iam.get_role(RoleName=name)
    account.iam.tag_role(RoleName=name, Tags=[{"Key": "a", "Value": "b"}])
    account.delete_role(name)
    history = items(account, role_id)
    assert history[0]["configurationItemStatus"] == "ResourceDeleted"
    assert history[0]["resourceName"] == name
    assert "configuration" not in history[0]
    forward = items(account, role_id, chronologicalOrder="Forward", limit=1)
    assert [item["configurationItemStatus"] for item in forward] == ["ResourceDiscovered"]

    listed = account.config.list_discovered_resources(resourceType=TYPE)["resourceIdentifiers"]
    assert role_id not in [each["resourceId"] for each in listed]
    assert {"app-server", "report-function"} <= {each["resourceName"] for each in listed}
    (deleted,) = account.config.list_discovered_resources(
        resourceType=TYPE, resourceIds=[role_id], includeDeletedResources=True
    )["resourceIdentifiers"]
    assert deleted["resourceDeletionTime"]


def test_a_role_created_again_is_another_resource(account: Account) -> None:
    account.iam.create_role(RoleName="again", AssumeRolePolicyDocument=trust("ec2.amazonaws.com"))
    first = account.role_id("again")
    items(account, first)
    account.iam.delete_role(RoleName="again")
    account.iam.create_role(RoleName="again", AssumeRolePolicyDocument=trust("ec2.amazonaws.com"))
    second = account.role_id("again")
    assert items(account, first)[0]["configurationItemStatus"] == "ResourceDeleted"
    assert items(account, second)[0]["configurationItemStatus"] == "ResourceDiscovered"
    account.iam.delete_role(RoleName="again")


def test_several_at_once(account: Account) -> None:
    role_id = account.role_id(account.role())
    account.sandbox.wait_until_idle()
    answer = account.config.batch_get_resource_config(
        resourceKeys=[
            {"resourceType": TYPE, "resourceId": role_id},
            {"resourceType": TYPE, "resourceId": "AROAUNKNOWN"},
        ]
    )
    assert [item["resourceId"] for item in answer["baseConfigurationItems"]] == [role_id]
    assert [key["resourceId"] for key in answer["unprocessedResourceKeys"]] == ["AROAUNKNOWN"]


def test_what_is_not_recorded(sandbox: Sandbox, account: Account) -> None:
    elsewhere = sandbox.session(account.id, "us-east-1").client("config")
    role_id = account.role_id("app-server")
    with pytest.raises(elsewhere.exceptions.NoAvailableConfigurationRecorderException):
        elsewhere.get_resource_config_history(resourceType=TYPE, resourceId=role_id)
    with pytest.raises(account.config.exceptions.ResourceNotDiscoveredException):
        account.config.get_resource_config_history(resourceType=TYPE, resourceId="AROAUNKNOWN")
    assert account.config.list_discovered_resources(resourceType="AWS::S3::Bucket")["resourceIdentifiers"] == []


@pytest.mark.parametrize(
    ("group", "recorded"),
    [
        ({"allSupported": True}, False),
        ({"allSupported": True, "includeGlobalResourceTypes": True}, True),
        ({"allSupported": False, "resourceTypes": ["AWS::S3::Bucket"]}, False),
        (
            {
                "allSupported": False,
                "exclusionByResourceTypes": {"resourceTypes": ["AWS::S3::Bucket"]},
                "recordingStrategy": {"useOnly": "EXCLUSION_BY_RESOURCE_TYPES"},
            },
            True,
        ),
        (
            {
                "allSupported": False,
                "exclusionByResourceTypes": {"resourceTypes": [TYPE]},
                "recordingStrategy": {"useOnly": "EXCLUSION_BY_RESOURCE_TYPES"},
            },
            False,
        ),
    ],
)
def test_what_a_recorder_records(
    sandbox: Sandbox, account: Account, group: RecordingGroupTypeDef, recorded: bool
) -> None:
    config = sandbox.session(account.id, "us-east-1").client("config")
    config.put_configuration_recorder(
        ConfigurationRecorder={"name": "other", "roleARN": account.automation_role_arn, "recordingGroup": group}
    )
    config.put_delivery_channel(DeliveryChannel={"name": "other", "s3BucketName": "config-items"})

    def is_discovered(role: str) -> bool:
        sandbox.wait_until_idle()
        found = config.list_discovered_resources(resourceType=TYPE)["resourceIdentifiers"]
        return role in [each["resourceName"] for each in found]

    before = account.role()
    assert not is_discovered(before), "not started"
    config.start_configuration_recorder(ConfigurationRecorderName="other")
    assert is_discovered(before) == recorded
    assert is_discovered(account.role()) == recorded
    config.stop_configuration_recorder(ConfigurationRecorderName="other")
    assert not is_discovered(account.role())
    config.delete_configuration_recorder(ConfigurationRecorderName="other")
    config.delete_delivery_channel(DeliveryChannelName="other")


def test_guard_judges_the_roles(account: Account) -> None:
    bare, attached, function = account.role(), account.role(), account.role("lambda.amazonaws.com")
    unused = account.role(profile=False)
    account.attach(attached)
    account.rule()
    assert account.results() == {bare: "NON_COMPLIANT", attached: "COMPLIANT"}
    compliance = account.compliance()
    assert compliance["ComplianceType"] == "NON_COMPLIANT"
    # The role that the account came with counts too.
    assert compliance["ComplianceContributorCount"] == {"CappedCount": 2, "CapExceeded": False}

    # Every change that matters is judged again.
    account.attach(bare)
    account.iam.detach_role_policy(RoleName=attached, PolicyArn=account.policy_arn)
    account.iam.update_assume_role_policy(RoleName=function, PolicyDocument=trust("ec2.amazonaws.com"))
    account.iam.create_instance_profile(InstanceProfileName=unused)
    account.iam.add_role_to_instance_profile(InstanceProfileName=unused, RoleName=unused)
    assert account.results() == {
        bare: "COMPLIANT",
        attached: "NON_COMPLIANT",
        function: "NON_COMPLIANT",
        unused: "NON_COMPLIANT",
    }
    account.iam.remove_role_from_instance_profile(InstanceProfileName=attached, RoleName=attached)
    account.delete_role(function)
    account.attach(unused)
    assert account.results() == {bare: "COMPLIANT", unused: "COMPLIANT"}
    account.attach("app-server")
    account.results()
    assert account.compliance() == {"ComplianceType": "COMPLIANT"}


def test_compliance_of_a_resource(account: Account) -> None:
    bare = account.role()
    account.rule()
    (entry,) = account.config.describe_compliance_by_resource(ResourceType=TYPE, ResourceId=account.role_id(bare))[
        "ComplianceByResources"
    ]
    assert entry["Compliance"]["ComplianceType"] == "NON_COMPLIANT"
    compliant = account.config.describe_compliance_by_resource(ResourceType=TYPE, ComplianceTypes=["COMPLIANT"])
    assert compliant["ComplianceByResources"] == []
    only = account.config.get_compliance_details_by_config_rule(ConfigRuleName=RULE, ComplianceTypes=["COMPLIANT"])
    assert only["EvaluationResults"] == []


def test_details_of_a_resource(account: Account) -> None:
    bare = account.role_id(account.role())
    account.rule()
    (result,) = account.config.get_compliance_details_by_resource(ResourceType=TYPE, ResourceId=bare)[
        "EvaluationResults"
    ]
    assert result["ComplianceType"] == "NON_COMPLIANT"
    assert result["EvaluationResultIdentifier"]["EvaluationResultQualifier"]["ConfigRuleName"] == RULE
    for asked in (
        {"ResourceType": TYPE, "ResourceId": bare, "ComplianceTypes": ["COMPLIANT"]},
        {"ResourceType": TYPE, "ResourceId": "AROAUNKNOWN"},
        {"ResourceType": "AWS::S3::Bucket", "ResourceId": bare},
    ):
        assert account.config.get_compliance_details_by_resource(**asked)["EvaluationResults"] == []


def test_summaries(account: Account) -> None:
    def counts(summary: Any) -> tuple[int, int]:  # noqa: ANN401
        return summary["CompliantResourceCount"]["CappedCount"], summary["NonCompliantResourceCount"]["CappedCount"]

    account.attach(account.role())
    account.rule()
    account.sandbox.wait_until_idle()
    # The role that the account came with does not comply.
    rules = account.config.get_compliance_summary_by_config_rule()["ComplianceSummary"]
    assert counts(rules) == (0, 1)
    (everything,) = account.config.get_compliance_summary_by_resource_type()["ComplianceSummariesByResourceType"]
    assert counts(everything["ComplianceSummary"]) == (1, 1)
    of_types = account.config.get_compliance_summary_by_resource_type(ResourceTypes=[TYPE, "AWS::S3::Bucket"])
    assert {
        each["ResourceType"]: counts(each["ComplianceSummary"])
        for each in of_types["ComplianceSummariesByResourceType"]
    } == {TYPE: (1, 1), "AWS::S3::Bucket": (0, 0)}


@pytest.mark.skipif(
    not isinstance(find_guard_engine(), GuardLibrary), reason="only the library loses long reports, not the binary"
)
def test_an_item_that_the_engine_cannot_judge_hinders_no_other(account: Account) -> None:
    odd, plain = account.role(), account.role()
    account.rule()
    (status,) = account.config.describe_config_rule_evaluation_status()["ConfigRulesEvaluationStatus"]
    assert (status["ConfigRuleName"], status["FirstEvaluationStarted"]) == (RULE, True)
    assert "LastFailedEvaluationTime" not in status
    assert account.results() == {odd: "NON_COMPLIANT", plain: "NON_COMPLIANT"}

    # The rule compares every policy, and the engine loses the report when it is that long.
    account.attach_others(odd, 10)
    account.config.start_config_rules_evaluation(ConfigRuleNames=[RULE])
    assert account.results() == {plain: "NON_COMPLIANT"}
    (status,) = account.config.describe_config_rule_evaluation_status(ConfigRuleNames=[RULE])[
        "ConfigRulesEvaluationStatus"
    ]
    assert f"cannot judge {odd}" in status["LastErrorMessage"]
    assert status["LastSuccessfulEvaluationTime"] >= status["LastFailedEvaluationTime"]


def test_evaluation_on_request(account: Account) -> None:
    account.rule()
    before = account.config.get_compliance_details_by_config_rule(ConfigRuleName=RULE)["EvaluationResults"]
    account.config.start_config_rules_evaluation(ConfigRuleNames=[RULE])
    account.sandbox.wait_until_idle()
    after = account.config.get_compliance_details_by_config_rule(ConfigRuleName=RULE)["EvaluationResults"]
    assert after[0]["ResultRecordedTime"] > before[0]["ResultRecordedTime"]
    for call in (
        account.config.start_config_rules_evaluation,
        account.config.describe_compliance_by_config_rule,
    ):
        with pytest.raises(account.config.exceptions.NoSuchConfigRuleException):
            call(ConfigRuleNames=["missing"])


def test_a_rule_for_oversized_items_only_judges_nothing(account: Account) -> None:
    account.rule("OversizedConfigurationItemChangeNotification")
    assert account.results() == {}
    assert account.compliance() == {"ComplianceType": "INSUFFICIENT_DATA"}


def test_a_rule_that_guard_cannot_read_is_refused(account: Account) -> None:
    with pytest.raises(account.config.exceptions.InvalidParameterValueException, match="PolicyText is not valid"):
        account.config.put_config_rule(
            ConfigRule={
                "ConfigRuleName": RULE,
                "Source": {
                    "Owner": "CUSTOM_POLICY",
                    "CustomPolicyDetails": {"PolicyRuntime": "guard-2.x.x", "PolicyText": "rule broken {"},
                },
            }
        )


def statuses(account: Account) -> dict[str, dict[str, Any]]:
    account.sandbox.wait_until_idle()
    answer = account.config.describe_remediation_execution_status(ConfigRuleName=RULE)
    return {status["ResourceKey"]["resourceId"]: dict(status) for status in answer["RemediationExecutionStatuses"]}


def test_remediation_by_hand(account: Account) -> None:
    bare = account.role()
    role_id = account.role_id(bare)
    account.rule()
    account.remediation()
    account.sandbox.wait_until_idle()
    assert statuses(account) == {}
    assert account.results()[bare] == "NON_COMPLIANT"
    account.config.start_remediation_execution(
        ConfigRuleName=RULE, ResourceKeys=[{"resourceType": TYPE, "resourceId": role_id}]
    )
    (status,) = statuses(account).values()
    assert status["State"] == "SUCCEEDED"
    assert [(step["Name"], step["State"]) for step in status["StepDetails"]] == [("Attach", "SUCCEEDED")]
    assert account.results()[bare] == "COMPLIANT"

    (execution,) = account.ssm.describe_automation_executions(
        Filters=[{"Key": "DocumentNamePrefix", "Values": [DOCUMENT]}], MaxResults=1
    )["AutomationExecutionMetadataList"]
    details = account.ssm.get_automation_execution(AutomationExecutionId=execution["AutomationExecutionId"])[
        "AutomationExecution"
    ]
    assert details["Outputs"] == {"Attach.RoleName": [bare]}
    assert details["Parameters"]["Id"] == [role_id]
    assert "AWSServiceRoleForConfigRemediation" in details["ExecutedBy"]


def test_automatic_remediation(account: Account) -> None:
    bare = account.role()
    account.rule()
    account.remediation(automatic=True)
    # A resource that the rule has flagged before, and one that it flags later.
    later = account.role()
    assert account.results() == {bare: "COMPLIANT", later: "COMPLIANT"}
    assert {status["State"] for status in statuses(account).values()} == {"SUCCEEDED"}
    account.iam.detach_role_policy(RoleName=bare, PolicyArn=account.policy_arn)
    assert account.results()[bare] == "COMPLIANT"


def test_automatic_remediation_gives_up(account: Account) -> None:
    account.attach("app-server")
    bare = account.role()
    role_id = account.role_id(bare)
    account.rule()
    account.remediation(automatic=True, script="def attach(events, context):\n    raise ValueError('no way')\n")
    assert account.results()[bare] == "NON_COMPLIANT"
    status = statuses(account)[role_id]
    assert status["State"] == "FAILED"
    assert "ValueError - no way" in status["StepDetails"][0]["ErrorMessage"]

    def executions() -> int:
        account.sandbox.wait_until_idle()
        listed = account.ssm.describe_automation_executions(Filters=[{"Key": "ExecutionStatus", "Values": ["Failed"]}])[
            "AutomationExecutionMetadataList"
        ]
        return sum(execution["FailureMessage"].endswith("no way") for execution in listed)

    assert executions() == 3
    (exception,) = account.config.describe_remediation_exceptions(ConfigRuleName=RULE)["RemediationExceptions"]
    assert (exception["ResourceId"], exception["Message"]) == (role_id, "Automatic remediation failed 3 times.")
    account.config.start_config_rules_evaluation(ConfigRuleNames=[RULE])
    assert executions() == 3
    account.config.delete_remediation_exceptions(
        ConfigRuleName=RULE, ResourceKeys=[{"ResourceType": TYPE, "ResourceId": role_id}]
    )
    account.config.start_config_rules_evaluation(ConfigRuleNames=[RULE])
    assert executions() == 6


def test_a_role_with_as_many_policies_as_it_may_have_is_not_remediated(account: Account) -> None:
    full = account.role()
    account.attach_others(full, 10)
    with pytest.raises(account.iam.exceptions.LimitExceededException, match="PoliciesPerRole: 10"):
        account.attach(full)
    account.iam.attach_role_policy(RoleName=full, PolicyArn=account.other_policies[0])
    account.rule()
    account.remediation()
    account.config.start_remediation_execution(
        ConfigRuleName=RULE, ResourceKeys=[{"resourceType": TYPE, "resourceId": account.role_id(full)}]
    )
    (status,) = statuses(account).values()
    assert status["State"] == "FAILED"
    assert "Cannot exceed quota for PoliciesPerRole: 10" in status["StepDetails"][0]["ErrorMessage"]


def test_a_resource_that_is_excepted_is_not_remediated(account: Account) -> None:
    bare, later = account.role_id(account.role()), account.role_id(account.role())
    account.rule()
    account.remediation()
    config = account.config
    (configuration,) = config.describe_remediation_configurations(ConfigRuleNames=[RULE])["RemediationConfigurations"]
    for role_id, expires in ((bare, timedelta(days=1)), (later, timedelta(seconds=-1))):
        config.put_remediation_exceptions(
            ConfigRuleName=RULE,
            ResourceKeys=[{"ResourceType": TYPE, "ResourceId": role_id}],
            Message="Moves next week.",
            ExpirationTime=datetime.now(UTC) + expires,
        )
    (exception,) = config.describe_remediation_exceptions(ConfigRuleName=RULE)["RemediationExceptions"]
    assert (exception["ResourceId"], exception["Message"]) == (bare, "Moves next week.")
    assert exception["ExpirationTime"] > datetime.now(UTC)
    config.put_remediation_configurations(RemediationConfigurations=[{**configuration, "Automatic": True}])
    assert later in statuses(account)
    assert bare not in statuses(account)


def test_a_remediation_that_cannot_start(account: Account) -> None:
    bare = account.role()
    account.rule()
    account.remediation()
    role = account.automation_role
    account.iam.update_assume_role_policy(RoleName=role, PolicyDocument=trust("lambda.amazonaws.com"))
    answer = account.config.start_remediation_execution(
        ConfigRuleName=RULE,
        ResourceKeys=[
            {"resourceType": TYPE, "resourceId": account.role_id(bare)},
            {"resourceType": TYPE, "resourceId": "AROAUNKNOWN"},
        ],
    )
    assert [item["resourceId"] for item in answer["FailedItems"]] == ["AROAUNKNOWN"]
    (status,) = statuses(account).values()
    assert status["State"] == "FAILED"
    assert "assume role is unable to be assumed" in status["StepDetails"][0]["ErrorMessage"]


def test_remediation_needs_a_configuration(account: Account) -> None:
    account.rule()
    key: Any = {"resourceType": TYPE, "resourceId": "AROAUNKNOWN"}
    calls: list[Callable[[], object]] = [
        lambda: account.config.start_remediation_execution(ConfigRuleName=RULE, ResourceKeys=[key]),
        lambda: account.config.describe_remediation_execution_status(ConfigRuleName=RULE),
    ]
    for call in calls:
        with pytest.raises(ClientError, match="NoSuchRemediationConfigurationException"):
            call()
