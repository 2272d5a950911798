"""Parameters that the models of the services do not allow."""

from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

TRUST = '{"Version": "2012-10-17", "Statement": []}'


@pytest.mark.parametrize(
    ("service", "operation", "parameters", "code", "message"),
    [
        (
            "iam",
            "create_role",
            {"RoleName": "r" * 65, "AssumeRolePolicyDocument": TRUST},
            "ValidationError",
            "at 'roleName' failed to satisfy constraint: Member must have length less than or equal to 64",
        ),
        (
            "iam",
            "create_role",
            {"RoleName": "Rollé", "AssumeRolePolicyDocument": TRUST},
            "ValidationError",
            r"at 'roleName' failed to satisfy constraint: Member must satisfy regular expression pattern: \[",
        ),
        (
            "iam",
            "create_role",
            {"RoleName": "role", "AssumeRolePolicyDocument": TRUST, "Tags": [{"Key": "a;b", "Value": "c"}]},
            "ValidationError",
            "at 'tags.1.member.key' failed to satisfy constraint",
        ),
        (
            "events",
            "put_targets",
            {"Rule": "rule", "Targets": [{"Id": "it", "Arn": "arn:aws:sqs:eu-west-1:1:q", "Input": "i" * 8193}]},
            "ValidationException",
            "at 'targets.1.member.input' failed to satisfy .* length less than or equal to 8192",
        ),
        (
            "logs",
            "create_log_group",
            {"logGroupName": "sessions of all"},
            "InvalidParameterException",
            "1 validation error detected: Value 'sessions of all' at 'logGroupName' failed",
        ),
        (
            "ssm",
            "create_document",
            {"Name": "a b", "Content": "{}", "DocumentType": "Sessions"},
            "ValidationException",
            "2 validation errors detected: .* satisfy enum value set: .*Session,",
        ),
        (
            "ssm",
            "modify_document_permission",
            {"Name": "document", "PermissionType": "Share", "AccountIdsToAdd": [f"{n:012}" for n in range(21)]},
            "ValidationException",
            "at 'accountIdsToAdd' failed to satisfy constraint: Member must have length less than or equal to 20",
        ),
        (
            "kms",
            "create_alias",
            {"AliasName": "alias/session manager", "TargetKeyId": "key"},
            "ValidationException",
            "at 'aliasName' failed to satisfy constraint",
        ),
        (
            "config",
            "describe_config_rules",
            {"ConfigRuleNames": ["rule"] * 26},
            "ValidationException",
            "at 'configRuleNames' failed to satisfy constraint: Member must have length less than or equal to 25",
        ),
        (
            "lambda",
            "get_function",
            {"FunctionName": "my function"},
            "ValidationException",
            "at 'functionName' failed to satisfy constraint",
        ),
    ],
)
def test_what_breaks_a_constraint_is_refused(
    member: boto3.Session, service: str, operation: str, parameters: dict[str, Any], code: str, message: str
) -> None:
    with pytest.raises(ClientError, match=message) as refused:
        getattr(member.client(service), operation)(**parameters)  # type: ignore[call-overload]
    assert refused.value.response["Error"]["Code"] == code


def test_letters_and_spaces_of_any_language_are_fine_in_tags(member: boto3.Session) -> None:
    tags = [{"Key": "Größe\u00a0der Gruppe", "Value": "größer als 10: ja / 日本"}]
    ssm = member.client("ssm")
    ssm.put_parameter(Name="tagged", Value="value", Type="String", Tags=tags)  # type: ignore[arg-type]
    assert ssm.list_tags_for_resource(ResourceType="Parameter", ResourceId="tagged")["TagList"] == tags
    ssm.delete_parameter(Name="tagged")
