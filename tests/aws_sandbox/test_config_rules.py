from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import boto3
import pytest
from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from mypy_boto3_config import ConfigServiceClient
    from mypy_boto3_config.type_defs import ConfigRuleTypeDef, RemediationConfigurationTypeDef

POLICY = 'rule named when resourceType == "AWS::IAM::Role" { resourceName not empty }'


def rule(policy: str = POLICY) -> ConfigRuleTypeDef:
    return {
        "ConfigRuleName": "roles-are-named",
        "Description": "Roles have names.",
        "Scope": {"ComplianceResourceTypes": ["AWS::IAM::Role"]},
        "Source": {
            "Owner": "CUSTOM_POLICY",
            "SourceDetails": [
                {"EventSource": "aws.config", "MessageType": "ConfigurationItemChangeNotification"},
                {"EventSource": "aws.config", "MessageType": "OversizedConfigurationItemChangeNotification"},
            ],
            "CustomPolicyDetails": {
                "PolicyRuntime": "guard-2.x.x",
                "PolicyText": policy,
                "EnableDebugLogDelivery": True,
            },
        },
    }


REMEDIATION: RemediationConfigurationTypeDef = {
    "ConfigRuleName": "roles-are-named",
    "TargetType": "SSM_DOCUMENT",
    "TargetId": "Name-roles",
    "ResourceType": "AWS::IAM::Role",
    "Automatic": True,
    "MaximumAutomaticAttempts": 5,
    "RetryAttemptSeconds": 60,
    "ExecutionControls": {"SsmControls": {"ConcurrentExecutionRatePercentage": 10, "ErrorPercentage": 20}},
    "Parameters": {
        "AutomationAssumeRole": {"StaticValue": {"Values": ["arn:aws:iam::111122223333:role/Automation"]}},
        "IAMResourceId": {"ResourceValue": {"Value": "RESOURCE_ID"}},
    },
}


@pytest.fixture
def config(member: boto3.Session) -> Iterator[ConfigServiceClient]:
    """AWS Config of a member account, without rules afterwards."""
    client = member.client("config")
    yield client
    for rule in client.describe_config_rules()["ConfigRules"]:
        name = rule["ConfigRuleName"]
        if client.describe_remediation_configurations(ConfigRuleNames=[name])["RemediationConfigurations"]:
            client.delete_remediation_configuration(ConfigRuleName=name)
        client.delete_config_rule(ConfigRuleName=name)


def test_a_rule_with_its_own_policy(config: ConfigServiceClient) -> None:
    config.put_config_rule(ConfigRule=rule(), Tags=[{"Key": "team", "Value": "security"}])
    (described,) = config.describe_config_rules(ConfigRuleNames=["roles-are-named"])["ConfigRules"]
    assert described["ConfigRuleState"] == "ACTIVE"
    assert described["Scope"] == rule()["Scope"]
    assert described["Source"] == {
        "Owner": "CUSTOM_POLICY",
        "SourceDetails": rule()["Source"]["SourceDetails"],
        "CustomPolicyDetails": {"PolicyRuntime": "guard-2.x.x", "EnableDebugLogDelivery": True},
    }
    text = config.get_custom_rule_policy(ConfigRuleName="roles-are-named")["PolicyText"]
    assert text == POLICY
    tags = config.list_tags_for_resource(ResourceArn=described["ConfigRuleArn"])["Tags"]
    assert tags == [{"Key": "team", "Value": "security"}]


def test_a_rule_can_be_changed_and_deleted(config: ConfigServiceClient) -> None:
    config.put_config_rule(ConfigRule=rule())
    (before,) = config.describe_config_rules()["ConfigRules"]
    config.put_config_rule(ConfigRule=rule("rule other { resourceName exists }"))
    assert "rule other" in config.get_custom_rule_policy(ConfigRuleName="roles-are-named")["PolicyText"]
    (after,) = config.describe_config_rules()["ConfigRules"]
    assert after["ConfigRuleArn"] == before["ConfigRuleArn"]
    config.delete_config_rule(ConfigRuleName="roles-are-named")
    with pytest.raises(config.exceptions.NoSuchConfigRuleException):
        config.get_custom_rule_policy(ConfigRuleName="roles-are-named")


def test_managed_rules_are_still_moto_s(config: ConfigServiceClient) -> None:
    managed: ConfigRuleTypeDef = {
        "ConfigRuleName": "mfa",
        "Source": {"Owner": "AWS", "SourceIdentifier": "IAM_USER_MFA_ENABLED"},
    }
    config.put_config_rule(ConfigRule=managed)
    (described,) = config.describe_config_rules()["ConfigRules"]
    assert described["Source"] == managed["Source"]
    assert "PolicyText" not in config.get_custom_rule_policy(ConfigRuleName="mfa")


@pytest.mark.parametrize(
    ("text", "message"),
    [("", "with a PolicyText is required"), ("x" * 10_001, "length less than or equal to 10000")],
    ids=["no policy", "too long"],
)
def test_a_rule_without_a_usable_policy_is_refused(config: ConfigServiceClient, text: str, message: str) -> None:
    with pytest.raises(ClientError, match=message):
        config.put_config_rule(ConfigRule=rule(text))


def test_remediation(config: ConfigServiceClient) -> None:
    config.put_config_rule(ConfigRule=rule())
    assert config.put_remediation_configurations(RemediationConfigurations=[REMEDIATION])["FailedBatches"] == []
    (kept,) = config.describe_remediation_configurations(ConfigRuleNames=["roles-are-named", "another"])[
        "RemediationConfigurations"
    ]
    arn = kept.pop("Arn")
    assert ":remediation-configuration/roles-are-named/" in arn
    assert kept == REMEDIATION
    config.put_remediation_configurations(RemediationConfigurations=[{**REMEDIATION, "Automatic": False}])
    (changed,) = config.describe_remediation_configurations(ConfigRuleNames=["roles-are-named"])[
        "RemediationConfigurations"
    ]
    assert (changed["Automatic"], changed["Arn"]) == (False, arn)


def test_a_rule_in_use_is_not_deleted(config: ConfigServiceClient) -> None:
    config.put_config_rule(ConfigRule=rule())
    config.put_remediation_configurations(RemediationConfigurations=[REMEDIATION])
    with pytest.raises(config.exceptions.ResourceInUseException):
        config.delete_config_rule(ConfigRuleName="roles-are-named")
    config.delete_remediation_configuration(ConfigRuleName="roles-are-named")
    with pytest.raises(config.exceptions.NoSuchRemediationConfigurationException):
        config.delete_remediation_configuration(ConfigRuleName="roles-are-named")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"ConfigRuleName": "missing"}, "'missing' provided in the request is invalid"),
        ({"Parameters": {}}, "needs the parameter AutomationAssumeRole"),
        ({"Parameters": {f"p{n}": {"StaticValue": {"Values": ["x"]}} for n in range(26)}}, "less than or equal to 25"),
    ],
)
def test_what_cannot_remediate_is_refused(
    config: ConfigServiceClient, change: RemediationConfigurationTypeDef, message: str
) -> None:
    config.put_config_rule(ConfigRule=rule())
    with pytest.raises(ClientError, match=message):
        config.put_remediation_configurations(RemediationConfigurations=[{**REMEDIATION, **change}])
