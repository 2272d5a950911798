"""Policies of keys: as modules/preferences writes them, and weaker ones."""

from typing import Any

import pytest

from session_manager_fleet.verify.key_policy import judge_policy

ROOT, SERVICE, ORGANIZATION = "arn:aws:iam::123456789012:root", "logs.eu-west-1.amazonaws.com", "o-exampleorgid"
IAM = {"Effect": "Allow", "Principal": {"AWS": ROOT}, "Action": "kms:*", "Resource": "*"}
LOGS = {
    "Effect": "Allow",
    "Principal": {"Service": SERVICE},
    "Action": ["kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:Encrypt*", "kms:Describe*", "kms:Decrypt*"],
    "Condition": {"ArnEquals": {"kms:EncryptionContext:aws:logs:arn": ["arn:aws:logs:eu-west-1:123456789012:*"]}},
}
OF_ORGANIZATION = {
    "Effect": "Allow",
    "Principal": "*",
    "Action": ["kms:Decrypt", "kms:GenerateDataKey"],
    "Condition": {"StringEquals": {"aws:PrincipalOrgID": ORGANIZATION}},
}
WITHOUT_IAM = "does not leave the key to the IAM policies of its account"
WITHOUT_LOGS = f"does not let {SERVICE} encrypt for the log group"


@pytest.mark.parametrize(
    ("statements", "organization", "of_logs", "problems"),
    [
        ([IAM, LOGS], None, True, []),
        ([IAM], None, False, []),
        ([IAM, OF_ORGANIZATION], ORGANIZATION, False, []),
        ([IAM, OF_ORGANIZATION], None, False, ["allows others (AWS:*) kms:Decrypt, kms:GenerateDataKey"]),
        ([IAM, OF_ORGANIZATION], "o-anotherorgid", False, ["allows others (AWS:*) kms:Decrypt, kms:GenerateDataKey"]),
        ([LOGS], None, True, [WITHOUT_IAM]),
        ([IAM | {"Effect": "Deny"}, LOGS], None, True, [WITHOUT_IAM]),
        ([IAM], None, True, [WITHOUT_LOGS]),
        ([IAM, LOGS | {"Condition": {}}], None, True, [WITHOUT_LOGS]),
        ([IAM, LOGS | {"Action": "kms:Describe*"}], None, True, [WITHOUT_LOGS]),
        ([IAM, {**IAM, "Principal": "*"}], None, False, ["allows others (AWS:*) kms:*"]),
        ([IAM, {**IAM, "Principal": {"AWS": ROOT.replace("1234", "9999")}}], None, False, None),
    ],
)
def test_policies(
    statements: list[Any], organization: str | None, *, of_logs: bool, problems: list[str] | None
) -> None:
    found = list(judge_policy({"Statement": statements}, ROOT, organization, SERVICE, of_logs=of_logs))

    if problems is None:
        assert len(found) == 1
        assert found[0].startswith("allows others (AWS:arn:aws:iam::9999")
    else:
        assert found == problems
