"""The guardrails: what they refuse, what each switch denies, and the example as it stands."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from aws_sandbox import Sandbox

if TYPE_CHECKING:
    from tests.modules.conftest import Terraform

pytestmark = pytest.mark.terraform

DEPLOYMENT = "arn:aws:iam::*:role/AWSControlTowerExecution"
SETTING = "/ssm/documents/console/public-sharing-permission"


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
    "function": {"KeepAsDeployed": {"lambda"}},
    "drift_repair": {"KeepAsDeployed": {"cloudwatch", "events", "sqs"}},
    "config_rule": {"KeepAsDeployed": {"config", "ssm"}, "KeepConfigRule": {"config"}},
    "instance_policy": {"KeepAsDeployed": {"iam"}},
    "exempt_roles": {"KeepAsDeployed": {"iam"}},
}
NOTHING = dict.fromkeys(SWITCHES, False)
MANY = f'exempt_role_arns = [for n in range(12) : "{DEPLOYMENT}-${{n}}"]'

# Arguments, and what the message must say: one broken rule each. Terraform checks rules over one value first, and those
# over several values only when no other is broken.
REFUSED = {
    "one value": [
        ("exempt_role_arns = []", "The exempt_role_arns must name at least the deployment role"),
        ('exempt_role_arns = ["arn:aws:iam::*:role/*"]', "The exempt_role_arns must be ARNs of roles"),
        ('exempt_role_arns = ["arn:aws:iam::*:role/team/*"]', "The exempt_role_arns must be ARNs of roles"),
        ('exempt_role_arns = ["arn:aws:iam::12345:role/deploy"]', "The exempt_role_arns must be ARNs of roles"),
        ('exempt_role_arns = ["arn:aws:iam::*:user/admin"]', "The exempt_role_arns must be ARNs of roles"),
        ('exempt_role_arns = ["*"]', "The exempt_role_arns must be ARNs of roles"),
        ('unlogged_session_role_arns = ["support"]', "The unlogged_session_role_arns must be ARNs of roles"),
        ('attach_to = ["Workloads"]', "The attach_to must be ids of a root"),
        ('attach_to = ["ou-abcd"]', "The attach_to must be ids of a root"),
        ('attach_to = ["12345"]', "The attach_to must be ids of a root"),
        ('boundary = { name = "two words" }', "The boundary.name must have 1 to 128"),
        ('boundary = { path = "team" }', "The boundary.path must begin and end with a slash"),
        ('config_rule_tag = { key = "" }', "The config_rule_tag must have a key"),
        (
            'log_archive = { bucket_name = "with.dots" }',
            "The log_archive.bucket_name must be a bucket's name without dots",
        ),
        (
            'log_archive = { bucket_name = "logs", key_prefix = "logs/" }',
            "The log_archive.key_prefix must be letters, digits",
        ),
        (
            'log_archive = { bucket_name = "logs", key_aliases = ["x"] }',
            "The log_archive.key_aliases must begin with alias/",
        ),
        ('name = "a:b"', "The name must have 1 to 128"),
        ('names = { function = "session-*" }', "The names must have letters, digits or characters of"),
        (
            'names = { data_key_alias = "data" }',
            "The names.data_key_alias and names.logs_key_alias must begin with alias/",
        ),
        ('names = { data_key_parameter = "key" }', "The names.data_key_parameter must begin with a slash"),
        ('names = { policy_path = "team" }', "The names.policy_path must begin and end with a slash"),
        ('other_session_documents = ["a/b"]', "The other_session_documents must be names of documents"),
        (f"deny = {hcl(NOTHING)}", "The deny must leave at least one statement on"),
    ],
    "several values": [
        (
            'other_session_documents = ["team"]\ndeny = { other_documents = false }',
            "The other_session_documents have no effect unless deny.other_documents is true",
        ),
        (f'attach_to = ["r-abcd"]\n{MANY}', "and AWS Organizations takes 5120: exempt fewer roles"),
        (MANY, "and AWS Organizations takes 5120: exempt fewer roles"),
        (f"boundary = {{ enabled = true }}\n{MANY}", "and IAM takes 6144: exempt fewer roles"),
    ],
}


def call(name: str, arguments: str) -> str:
    """A module call, with the deployment role exempt unless the arguments say otherwise."""
    exempt = "" if "exempt_role_arns" in arguments else f'exempt_role_arns = ["{DEPLOYMENT}"]\n'
    return f'module "{name}" {{\nsource = "./modules/guardrails"\n{exempt}{arguments}\n}}\n'


@pytest.mark.parametrize("cases", REFUSED.values(), ids=REFUSED)
def test_the_plan_refuses_bad_input_with_the_rule_that_it_breaks(
    caller: Terraform, cases: list[tuple[str, str]]
) -> None:
    calls = [call(f"case_{number}", arguments) for number, (arguments, _) in enumerate(cases)]
    (caller.folder / "main.tf").write_text("".join(calls), encoding="utf-8")
    caller.succeed("init", "-input=false")

    errors = caller.refusals()

    missing = [case for case in cases if not any(case[1] in error for error in errors)]
    assert missing == []
    assert len(errors) == len(cases), "one error for each case"


def test_each_switch_makes_its_statements_and_no_others(caller: Terraform) -> None:
    calls = []
    for switch in SWITCHES:
        deny = f"deny = {hcl({**NOTHING, switch: True})}"
        calls.append(call(switch, deny) + f'output "{switch}" {{\nvalue = module.{switch}.scp_json\n}}\n')
    (caller.folder / "main.tf").write_text("".join(calls), encoding="utf-8")
    caller.succeed("init", "-input=false")
    caller.succeed("plan", "-input=false", "-out=plan")

    outputs = json.loads(caller.succeed("show", "-json", "plan"))["planned_values"]["outputs"]

    made = {
        switch: {statement["Sid"]: services(statement) for statement in statements(output["value"])}
        for switch, output in outputs.items()
    }
    assert made == SWITCHES
    assert resources(outputs["ssh"]["value"]) == {"arn:aws:ssm:*:*:document/AWS-StartSSHSession"}
    assert resources(outputs["preferences"]["value"]) == {
        "arn:aws:ssm:*:*:document/SSM-SessionManagerRunShell",
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
    organizations, ssm = session.client("organizations"), session.client("ssm")
    (root,) = organizations.list_roots()["Roots"]

    outputs = applied("guardrails", management, attach_to=[root["Id"]])

    attached = organizations.list_policies_for_target(TargetId=root["Id"], Filter="SERVICE_CONTROL_POLICY")["Policies"]
    assert outputs["policy_id"] in {policy["Id"] for policy in attached}
    content = organizations.describe_policy(PolicyId=outputs["policy_id"])["Policy"]["Content"]
    assert content == outputs["scp_json"]
    assert len(content) == outputs["scp_length"] <= 5120
    assert all(statement["Effect"] == "Deny" for statement in statements(content))
    assert ssm.get_service_setting(SettingId=SETTING)["ServiceSetting"]["SettingValue"] == "Disable"


def test_an_scp_that_is_attached_to_nothing_is_printed_only(caller: Terraform) -> None:
    (caller.folder / "main.tf").write_text(call("alone", "block_public_sharing = false"), encoding="utf-8")
    caller.succeed("init", "-input=false")
    caller.succeed("plan", "-input=false", "-out=plan")

    plan = json.loads(caller.succeed("show", "-json", "plan"))

    assert [change for change in plan.get("resource_changes", []) if change["mode"] == "managed"] == []
