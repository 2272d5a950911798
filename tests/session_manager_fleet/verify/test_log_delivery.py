"""Where CloudWatch Logs sends session logs on, and what it masks, as `verify` sees it."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from session_manager_fleet.accounts.model import Account
from session_manager_fleet.settings import TargetSettings
from session_manager_fleet.targets import Target
from session_manager_fleet.verify.log_delivery import data_protection, expected_protection, subscription
from session_manager_fleet.verify.model import PLAN_AND_APPLY
from session_manager_fleet.verify.reading import Reader

ACCOUNT, REGION, GROUP = "111122223333", "eu-west-1", "session-logs"
TARGET = Target(Account(ACCOUNT, "member"), REGION, REGION)
DESTINATION = f"arn:aws:logs:{REGION}:444455556666:destination:central"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/session-manager-preferences-logs-{REGION}"
FILTER = {
    "filterName": "session-manager",
    "destinationArn": DESTINATION,
    "roleArn": ROLE,
    "filterPattern": "",
    "distribution": "ByLogStream",
}


class Group(Reader):
    """An account with one log group, its subscription filters and its data protection policy."""

    def __init__(
        self, *filters: Mapping[str, str], policy: object = None, kind: str | None = "STANDARD", exists: bool = True
    ) -> None:
        self._known: dict[Any, Any] = {}
        self._calls: list[str] = []
        self.filters, self.policy, self.exists = filters, policy, exists
        self.group = {"logGroupName": GROUP, **({"logGroupClass": kind} if kind else {})}

    def pages(self, service: str, region: str, method: str, key: str, **arguments: Any) -> Iterator[Any]:  # noqa: ANN401
        assert (service, region) == ("logs", REGION)
        if method == "describe_log_groups":
            return iter([self.group] if self.exists else [])
        assert (method, key, arguments) == (
            "describe_subscription_filters",
            "subscriptionFilters",
            {"logGroupName": GROUP},
        )
        assert self.group.get("logGroupClass", "STANDARD") == "STANDARD", "AWS refuses to describe them"
        return iter(self.filters)

    def call(self, service: str, region: str, method: str, **arguments: Any) -> Any:  # noqa: ANN401
        assert (service, region, method) == ("logs", REGION, "get_data_protection_policy")
        assert arguments == {"logGroupIdentifier": GROUP}
        return {"policyDocument": json.dumps(self.policy)} if self.policy else {}


def settings(**cloudwatch: object) -> TargetSettings:
    return TargetSettings.model_validate({"preferences": {"cloudwatch": {"log_group_name": GROUP, **cloudwatch}}})


SENT = settings(subscription={"destination_arn": DESTINATION})
MASKED = settings(data_protection={"identifiers": ["EmailAddress"], "custom_identifiers": {"Badge": "B-[0-9]{6}"}})


def test_a_subscription_as_configured() -> None:
    check = subscription(Group(FILTER), TARGET, SENT, GROUP)
    assert (check.verdict, check.message) == ("ok", f"{GROUP} sends its events to {DESTINATION}.")


def test_a_function_is_sent_to_without_a_role() -> None:
    arn = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:siem"
    found = {**{key: value for key, value in FILTER.items() if key != "roleArn"}, "destinationArn": arn}
    assert subscription(Group(found), TARGET, settings(subscription={"destination_arn": arn}), GROUP).verdict == "ok"


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"destinationArn": "arn:aws:kinesis:x"}, f"destinationArn is arn:aws:kinesis:x, expected {DESTINATION}"),
        ({"filterPattern": "nothing"}, "filterPattern is nothing, expected none"),
        ({"roleArn": "arn:aws:iam::1:role/x"}, f"roleArn is arn:aws:iam::1:role/x, expected {ROLE}"),
        ({"distribution": "Random"}, "distribution is Random, expected ByLogStream"),
    ],
)
def test_a_subscription_that_somebody_changed(change: dict[str, str], problem: str) -> None:
    check = subscription(Group({**FILTER, **change}), TARGET, SENT, GROUP)
    assert (check.verdict, check.fix) == ("finding", PLAN_AND_APPLY)
    assert problem in check.message


def test_a_subscription_that_is_gone_and_one_of_somebody() -> None:
    other = {**FILTER, "filterName": "copy", "destinationArn": "arn:aws:logs:eu-west-1:999988887777:destination:x"}
    check = subscription(Group(other), TARGET, SENT, GROUP)
    assert check.verdict == "finding"
    assert check.message.endswith(f"Other subscription filters: copy to {other['destinationArn']}.")
    check = subscription(Group(other), TARGET, settings(), GROUP)
    assert check.verdict == "not_needed"
    assert "copy to" in check.message


def test_a_group_of_another_class_sends_nothing_on() -> None:
    rare = settings(log_group_class="INFREQUENT_ACCESS")
    check = subscription(Group(kind="INFREQUENT_ACCESS"), TARGET, rare, GROUP)
    assert (check.verdict, check.message) == (
        "not_needed",
        "Log groups of the class INFREQUENT_ACCESS send nothing on.",
    )
    # Regions without classes name none.
    assert subscription(Group(FILTER, kind=None), TARGET, SENT, GROUP).verdict == "ok"


def test_a_missing_group_is_the_finding_of_another_check() -> None:
    for check in (subscription, data_protection):
        assert check(Group(exists=False), TARGET, settings(data_protection={}), GROUP).verdict == "not_needed"
        assert check(Group(exists=False), TARGET, settings(data_protection={}), "").verdict == "not_needed"


def test_masking_as_configured_and_masking_that_somebody_changed() -> None:
    policy = expected_protection(MASKED, "aws")
    assert policy is not None
    check = data_protection(Group(policy=policy), TARGET, MASKED, GROUP)
    assert (check.verdict, check.message) == ("ok", f"{GROUP} masks 7 kinds of data.")

    less = json.loads(json.dumps(policy).replace("EmailAddress", "Name"))
    check = data_protection(Group(policy=less), TARGET, MASKED, GROUP)
    assert (check.verdict, check.command) == ("finding", ("apply",))
    # Terraform's provider sees no difference, as tests/e2e/test_terraform_is_the_oracle.py found.
    assert f"aws logs delete-data-protection-policy --region {REGION} --log-group-identifier {GROUP}" in check.fix
    assert (
        check.message == f"The data protection policy of {GROUP} is not as configured: it does not mask EmailAddress."
    )
    check = data_protection(Group(), TARGET, MASKED, GROUP)
    assert check.message == f"The log group {GROUP} has no data protection policy, so nothing is masked."
    assert data_protection(Group(), TARGET, settings(), GROUP).verdict == "not_needed"
