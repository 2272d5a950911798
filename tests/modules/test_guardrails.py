"""The guardrails: what they refuse, what each switch denies, and the example as it stands."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from aws_sandbox import Sandbox
from session_manager_fleet.settings import TargetSettings
from session_manager_fleet.settings.foundation import Denials, Guardrails
from session_manager_fleet.verify.guardrail_statements import expected_statements, judge_statements

if TYPE_CHECKING:
    from tests.modules.conftest import Terraform

pytestmark = pytest.mark.terraform

DEPLOYMENT = "arn:aws:iam::*:role/AWSControlTowerExecution"


def hcl(switches: dict[str, bool]) -> str:
    """An object as HCL writes it."""
    return json.dumps(switches).replace(":", " =")


# Switch of `deny`, and what is denied when it is the only one: statements, and the services of their calls.
SWITCHES = {
    "preferences": {"KeepAsDeployed": {"ssm"}},
    "public_sharing": {"KeepAsDeployed": {"ssm"}},
    "ssh": {"NoUnloggedSessions": {"ssm"}},
    "port_forwarding": {"NoUnloggedSessions": {"ssm"}},
    "other_documents": {"NoOtherSessionDocuments": {"ssm"}, "NoForeignSessionDocuments": {"ssm"}},
    "keys": {"KeepAsDeployed": {"kms"}, "KeepKeys": {"kms"}},
    "log_groups": {"KeepAsDeployed": {"logs"}},
    "subscription_filters": {"KeepAsDeployed": {"logs"}},
    "account_log_policies": {"KeepAccountSettings": {"logs"}},
    "function": {"KeepAsDeployed": {"lambda"}},
    "drift_repair": {"KeepAsDeployed": {"cloudwatch", "events", "sqs"}},
    "cloudtrail": {"KeepAsDeployed": {"cloudtrail"}},
    "config_rule": {"KeepAsDeployed": {"config", "ssm"}, "KeepConfigRule": {"config"}},
    "config_recorder": {"KeepAsDeployed": {"config"}},
    "remediation_exceptions": {"KeepAccountSettings": {"config"}},
    "instance_policy": {"KeepAsDeployed": {"iam"}},
    "exempt_roles": {"KeepAsDeployed": {"iam"}},
}
NOTHING = dict.fromkeys(SWITCHES, False)


SHARED = {"bucket_name": "shared-ap", "key_prefix": "sessions"}

# The log archive and two more exempt roles.
LARGE = f"""
log_archive = {{
  bucket_name = "example-session-logs"
  key_aliases = ["alias/session-manager/log-archive", "alias/session-manager/organization-data"]
}}
exempt_role_arns = ["{DEPLOYMENT}", "arn:aws:iam::*:role/break-glass", "arn:aws:iam::*:role/landing-zone-*"]
"""


def call(name: str, arguments: str) -> str:
    """A module call, with the deployment role exempt unless the arguments say otherwise."""
    exempt = "" if "exempt_role_arns" in arguments else f'exempt_role_arns = ["{DEPLOYMENT}"]\n'
    return f'module "{name}" {{\nsource = "./modules/guardrails"\n{exempt}{arguments}\n}}\n'


def test_each_switch_makes_its_statements_and_no_others(caller: Terraform) -> None:
    calls = []
    for switch in SWITCHES:
        deny = f"deny = {hcl({**NOTHING, switch: True})}"
        calls.append(call(switch, deny) + f'output "{switch}" {{\nvalue = module.{switch}.scp_json\n}}\n')
    (caller.folder / "main.tf").write_text("".join(calls), encoding="utf-8")
    caller.init()
    outputs = caller.plan().outputs

    made = {
        switch: {statement["Sid"]: services(statement) for statement in statements(output)}
        for switch, output in outputs.items()
    }
    assert made == SWITCHES
    for switch, output in outputs.items():
        wanted = Guardrails(exempt_role_arns=[DEPLOYMENT], deny=Denials(**{**NOTHING, switch: True})).model_dump()
        expected = expected_statements(wanted, TargetSettings(), "aws")
        assert {each["Sid"] for each in expected} == set(SWITCHES[switch]), "verify expects other statements"
        assert list(judge_statements(statements(output), expected)) == []
    assert resources(outputs["ssh"]) == {"arn:aws:ssm:*:*:document/AWS-StartSSHSession"}
    assert resources(outputs["preferences"]) == {
        "arn:aws:ssm:*:*:document/SSM-SessionManagerRunShell",
        "arn:aws:ssm:*:*:parameter/session-manager/applied-preferences*",
        "arn:aws:ssm:*:*:parameter/session-manager/original-document",
        "arn:aws:ssm:*:*:parameter/session-manager/session-data-key",
    }


def services(statement: dict[str, Any]) -> set[str]:
    actions = statement["Action"]
    return {action.partition(":")[0] for action in (actions if isinstance(actions, list) else [actions])}


def resources(document: str) -> set[str]:
    (statement,) = statements(document)
    found = statement["Resource"]
    return set(found if isinstance(found, list) else [found])


def statements(document: str) -> list[dict[str, Any]]:
    found = json.loads(document)["Statement"]
    return found if isinstance(found, list) else [found]


def test_guardrails(applied: Callable[..., dict[str, Any]], sandbox: Sandbox) -> None:
    management = sandbox.organization.management_account_id
    session = sandbox.session(management, sandbox.organization.home_region)
    organizations = session.client("organizations")
    (root,) = organizations.list_roots()["Roots"]

    outputs = applied("guardrails", management, attach_to=[root["Id"]])

    attached = organizations.list_policies_for_target(TargetId=root["Id"], Filter="SERVICE_CONTROL_POLICY")["Policies"]
    assert outputs["scp_id"] in {policy["Id"] for policy in attached}
    content = organizations.describe_policy(PolicyId=outputs["scp_id"])["Policy"]["Content"]
    assert content == outputs["scp_json"]
    assert len(content) == outputs["scp_length"] <= 10_240
    assert all(statement["Effect"] == "Deny" for statement in statements(content))


def test_a_longer_scp_than_the_organization_accepts_is_refused_with_what_to_switch_off(caller: Terraform) -> None:
    arguments = f"scp_length_limit = 5120\n{LARGE}"
    (caller.folder / "main.tf").write_text(call("alone", arguments), encoding="utf-8")
    caller.init()

    (message,) = caller.refusals()

    assert "and scp_length_limit is 5120: exempt fewer roles" in message
    assert re.search(
        r"The longest, with their approximate lengths: \w+ \(\d{3}\), \w+ \(\d{3}\), \w+ \(\d{3}\)\.", message
    )
    assert "drift_repair (" in message


def test_what_is_attached_to_nothing_is_printed_only_and_fits(caller: Terraform) -> None:
    """Into an organization whose limit is not raised, and into a boundary with everything on."""
    off = ("subscription_filters", "account_log_policies", "cloudtrail", "config_recorder", "remediation_exceptions")
    limited = f"scp_length_limit = 5120\n{LARGE}\ndeny = {hcl(dict.fromkeys(off, False))}"
    named = f"""deny = {hcl({**NOTHING, "other_documents": True})}
      logged_session_documents = ["Team-Shell"]
      log_archive = {{
        bucket_name   = "logs"
        other_buckets = [{{ bucket_name = "logs-us" }}, {{ bucket_name = "shared-ap", key_prefix = "sessions" }}]
      }}"""
    calls = (
        call("named", named)
        + call("alone", "")
        + call("limited", limited)
        + call("bounding", "boundary = { enabled = true }")
    )
    outputs = (
        'output "limited" {\nvalue = module.limited.scp_length\n}\n'
        'output "boundary" {\nvalue = length(module.bounding.boundary_json)\n}\n'
        'output "named" {\nvalue = module.named.scp_json\n}\n'
    )
    (caller.folder / "main.tf").write_text(calls + outputs, encoding="utf-8")
    caller.init()
    plan = caller.plan()

    made = {change["module_address"] for change in plan["resource_changes"] if change["mode"] == "managed"}
    assert made == {"module.bounding"}, "a boundary is a policy of this account"
    assert 4000 < plan.outputs["limited"] <= 5120
    assert plan.outputs["boundary"] <= 6144
    archive = {"bucket_name": "logs", "other_buckets": [{"bucket_name": "logs-us"}, SHARED]}
    deny = Denials(**{**NOTHING, "other_documents": True})
    settings = Guardrails(exempt_role_arns=[DEPLOYMENT], deny=deny, logged_session_documents=["Team-Shell"])
    expected = expected_statements({**settings.model_dump(), "log_archive": archive}, TargetSettings(), "aws")
    assert list(judge_statements(statements(plan.outputs["named"]), expected)) == []
    kept = next(each for each in statements(plan.outputs["named"]) if each["Sid"] == "KeepAsDeployed")
    assert sorted(kept["Resource"]) == [
        *("arn:aws:s3:::logs", "arn:aws:s3:::logs-us", "arn:aws:s3:::logs-us/*", "arn:aws:s3:::logs/*"),
        *("arn:aws:s3:::shared-ap/sessions/*", "arn:aws:ssm:*:*:document/Team-Shell"),
    ]
