"""Session logs that are sent on: the destination in a central account, and the log group of a member."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import boto3
import pytest

from aws_sandbox import Sandbox
from session_manager_fleet.accounts import Account
from session_manager_fleet.hcl import hcl
from session_manager_fleet.settings import TargetSettings
from session_manager_fleet.targets import Target
from session_manager_fleet.verify.log_delivery import data_protection, expected_protection, subscription
from session_manager_fleet.verify.model import PLAN_AND_APPLY, Check
from session_manager_fleet.verify.reading import Reader

if TYPE_CHECKING:
    from tests.modules.conftest import Terraform

pytestmark = pytest.mark.terraform

REGION, GROUP = "eu-west-1", "ssm-sessionmanager-logs"
CLOUDWATCH: dict[str, Any] = {
    "data_protection": {
        "identifiers": ["EmailAddress"],
        "custom_identifiers": {"Badge": "B-[0-9]{6}"},
        "findings_destination": {"log_group_name": "/aws/vendedlogs/findings"},
    },
}


@pytest.mark.slow
def test_a_member_sends_its_masked_logs_to_the_central_account(
    sandbox: Sandbox,
    applied: Callable[..., dict[str, Any]],
    in_account: Callable[[str], Terraform],
    caller: Terraform,
) -> None:
    account, central = (sandbox.organization.members[number].id for number in (3, 4))
    arn = applied("log_destination", central, organization_id=sandbox.organization.id)["destination_arn"]
    assert arn == f"arn:aws:logs:{REGION}:{central}:destination:session-manager-logs"
    values = TargetSettings.model_validate(
        {
            "preferences": {
                "cloudwatch": {**CLOUDWATCH, "subscription": {"destination_arn": arn, "filter_pattern": "sudo"}}
            }
        }
    )
    target, member = Target(Account(account, "member"), REGION, REGION), sandbox.session(account, REGION)
    there = replace(in_account(account), folder=caller.folder)
    cloudwatch = values.preferences.cloudwatch.model_dump(exclude={"existing", "log_group_name"}, exclude_none=True)
    call = f'module "preferences" {{\nsource = "./modules/preferences"\ncloudwatch = {hcl(cloudwatch)}\n}}\n'
    (there.folder / "main.tf").write_text(call, encoding="utf-8")
    there.init()
    there.apply()

    try:
        _judge_and_break(there, member, target, values)
    finally:
        there.destroy()


def _judge_and_break(there: Terraform, member: boto3.Session, target: Target, values: TargetSettings) -> None:
    logs = member.client("logs")

    def checks() -> list[Check]:
        return [check(Reader(member), target, values, GROUP) for check in (subscription, data_protection)]

    assert [check.verdict for check in checks()] == ["ok", "ok"], checks()
    document = logs.get_data_protection_policy(logGroupIdentifier=GROUP)["policyDocument"]
    assert json.loads(document) == expected_protection(values, "aws")

    # Each cure is what `fix` says: the plan sees it, and the apply puts it back.
    arn = f"arn:aws:lambda:{REGION}:{target.account.id}:function:session-manager-preferences"
    logs.delete_subscription_filter(logGroupName=GROUP, filterName="session-manager")
    logs.put_subscription_filter(logGroupName=GROUP, filterName="copy", filterPattern="", destinationArn=arn)
    logs.delete_data_protection_policy(logGroupIdentifier=GROUP)
    sent, masked = checks()
    assert (sent.verdict, sent.fix) == ("finding", PLAN_AND_APPLY)
    assert sent.message.endswith(f"so nothing is sent on. Other subscription filters: copy to {arn}.")
    assert (masked.verdict, masked.fix) == ("finding", PLAN_AND_APPLY)
    there.apply()
    assert [check.verdict for check in checks()] == ["ok", "ok"], checks()

    # What this version of the provider does not know holds up a destroy, as the module's README says.
    logs.put_log_group_deletion_protection(logGroupIdentifier=GROUP, deletionProtectionEnabled=True)
    (error,) = there.refusals(
        "destroy", "-auto-approve", "-target=module.preferences.aws_cloudwatch_log_group.sessions"
    )
    assert "Disable deletion protection first" in error
    logs.put_log_group_deletion_protection(logGroupIdentifier=GROUP, deletionProtectionEnabled=False)
