from __future__ import annotations

import pytest

from fleet.sandbox.identity import trusts

ACCOUNT = "111122223333"
NAMES = {ACCOUNT, f"arn:aws:iam::{ACCOUNT}:root", f"arn:aws:iam::{ACCOUNT}:role/Deployer", "*"}
CONTEXT = {"aws:PrincipalAccount": ACCOUNT, "aws:PrincipalArn": f"arn:aws:iam::{ACCOUNT}:role/Deployer"}


def statement(**changes: object) -> dict[str, object]:
    return {
        "Effect": "Allow",
        "Action": "sts:AssumeRole",
        "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"},
        **changes,
    }


@pytest.mark.parametrize(
    ("statements", "trusted"),
    [
        pytest.param([statement()], True, id="account root"),
        pytest.param(statement(), True, id="single statement"),
        pytest.param([statement(Principal={"AWS": ACCOUNT})], True, id="account id"),
        pytest.param(
            [statement(Principal={"AWS": ["other", f"arn:aws:iam::{ACCOUNT}:role/Deployer"]})], True, id="role"
        ),
        pytest.param([statement(Principal="*")], True, id="everybody"),
        pytest.param([statement(Action=["sts:*"])], True, id="wildcard action"),
        pytest.param([], False, id="nothing"),
        pytest.param([statement(Principal={"AWS": "arn:aws:iam::444455556666:root"})], False, id="other account"),
        pytest.param([statement(Principal={"Service": "ec2.amazonaws.com"})], False, id="service"),
        pytest.param([statement(Action="sts:TagSession")], False, id="other action"),
        pytest.param([statement(), statement(Effect="Deny")], False, id="denied"),
        pytest.param([statement(Condition={"StringEquals": {"sts:ExternalId": "x"}})], False, id="no external id"),
        pytest.param([statement(Condition={"StringEquals": {"AWS:principalaccount": [ACCOUNT]}})], True, id="key case"),
        pytest.param(
            [statement(Condition={"ArnLike": {"aws:PrincipalArn": "arn:aws:iam::*:role/Dep*"}})], True, id="pattern"
        ),
        pytest.param(
            [statement(Condition={"StringEqualsIfExists": {"sts:ExternalId": "x"}})], True, id="absent but optional"
        ),
        pytest.param([statement(Condition={"Bool": {"aws:PrincipalAccount": "true"}})], False, id="unknown operator"),
    ],
)
def test_trust_policy(statements: list[dict[str, object]] | dict[str, object], trusted: bool) -> None:
    assert trusts({"Statement": statements}, "AWS", NAMES, CONTEXT) is trusted


def test_service_principal() -> None:
    policy = {"Statement": [statement(Principal={"Service": "lambda.amazonaws.com"})]}
    assert trusts(policy, "Service", {"lambda.amazonaws.com"}, {})
    assert not trusts(policy, "AWS", NAMES, CONTEXT)
