"""Check the service control policy of modules/guardrails: that it is enabled, attached, and denies what is configured.

Compared are the ids of its statements and whom they exempt; a plan compares their actions and resources.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from session_manager_fleet.aws import partitions
from session_manager_fleet.settings import TargetSettings
from session_manager_fleet.targets import Target
from session_manager_fleet.terraform import permissions
from session_manager_fleet.verify.checks import Place, TargetCheck
from session_manager_fleet.verify.model import Check, CheckInfo, Severity, finding, not_needed, ok
from session_manager_fleet.verify.reading import Reader

_SCP = "SERVICE_CONTROL_POLICY"
# Statement whose denials name resources, from which the roles of what is deployed are exempt, too.
_NAMED = "KeepAsDeployed"
_ACCOUNT_WIDE = ("account_log_policies", "remediation_exceptions")
# Switches that make statements of their own.
_OF_SESSIONS = ("ssh", "port_forwarding", "other_documents")


def guardrails(reader: Reader, target: Target, values: TargetSettings, wanted: Mapping[str, Any]) -> Check:
    """Check the policy, in the home region of the management account.

    Args:
        reader: In this account.
        target: The target that hosts the policy.
        values: Its settings, which name the resources of every account.
        wanted: The root variable `guardrails`.
    """
    region, name = target.region, wanted["name"]
    if not wanted["attach_to"]:
        return not_needed("guardrails", "guardrails.attach_to is empty: the policy is only an output.")
    root = next(reader.pages("organizations", region, "list_roots", "Roots"))
    if not is_enabled(root):
        fix = f"{enable_command(root)}; then plan and apply this target."
        message = "Service control policies are not enabled in the organization, so none is in force."
        return finding("guardrails", message, fix, ("apply",))
    policies = reader.pages("organizations", region, "list_policies", "Policies", Filter=_SCP)
    policy = next((each["Id"] for each in policies if each["Name"] == name), None)
    if policy is None:
        return finding("guardrails", f'The service control policy "{name}" does not exist.')
    targets = reader.pages("organizations", region, "list_targets_for_policy", "Targets", PolicyId=policy)
    problems = []
    if missing := sorted(set(wanted["attach_to"]) - {each["TargetId"] for each in targets}):
        problems.append(f"it is not attached to {', '.join(missing)}")
    content = reader.call("organizations", region, "describe_policy", PolicyId=policy)["Policy"]["Content"]
    if len(content) > wanted["scp_length_limit"]:
        problems.append(f"it has {len(content)} characters, more than scp_length_limit")
    exempt = expected_exemptions(wanted, values, partitions()[region])
    problems += judge_statements(json.loads(content)["Statement"], exempt)
    if problems:
        return finding(
            "guardrails", f'The service control policy "{name}" is not as configured: {"; ".join(problems)}.'
        )
    return ok("guardrails", f'"{name}" is attached to {", ".join(sorted(wanted["attach_to"]))}.')


def is_enabled(root: Mapping[str, Any]) -> bool:
    """Tell whether service control policies are enabled in the organization with a root."""
    return {"Type": _SCP, "Status": "ENABLED"} in root.get("PolicyTypes", [])


def enable_command(root: Mapping[str, Any]) -> str:
    """Return the advice that enables service control policies."""
    return (
        f"In the management account, run `aws organizations enable-policy-type --root-id {root['Id']} "
        f"--policy-type {_SCP}`"
    )


def expected_exemptions(wanted: Mapping[str, Any], values: TargetSettings, partition: str) -> dict[str, set[str]]:
    """Return the roles that every statement of the policy exempts, by the id of the statement.

    Args:
        wanted: The root variable `guardrails`.
        values: Settings with the names of what is deployed.
        partition: Partition of the ARNs.
    """
    deny, exempt = wanted["deny"], set(wanted["exempt_role_arns"])
    deployed = {
        f"arn:{partition}:iam::*:role/{values.names.automation_document}",
        f"arn:{partition}:iam::*:role/{values.names.function}-*",
    }
    of_sessions = exempt | set(wanted["unlogged_session_role_arns"])
    by_name = {switch for switch, on in deny.items() if on} - {*_ACCOUNT_WIDE, *_OF_SESSIONS}
    other_documents = deny["other_documents"]
    statements = {
        _NAMED: exempt | deployed
        if by_name or wanted.get("log_archive") or wanted.get("logged_session_documents")
        else None,
        "KeepAccountSettings": exempt if any(deny[switch] for switch in _ACCOUNT_WIDE) else None,
        "KeepKeys": exempt if deny["keys"] else None,
        "KeepConfigRule": exempt if deny["config_rule"] else None,
        "NoOtherSessionDocuments": of_sessions if other_documents else None,
        "NoForeignSessionDocuments": of_sessions if other_documents else None,
        "NoUnloggedSessions": of_sessions if not other_documents and (deny["ssh"] or deny["port_forwarding"]) else None,
    }
    return {sid: roles for sid, roles in statements.items() if roles is not None}


def judge_statements(found: object, expected: Mapping[str, set[str]]) -> Iterator[str]:
    """Yield what is wrong with the statements of a policy: denials that lack, and roles that are exempt or not.

    Args:
        found: The statements.
        expected: The roles that each exempts, by the id of the statement.
    """
    statements = {each.get("Sid"): each for each in _many(found) if each["Effect"] == "Deny"}
    if missing := [sid for sid in expected if sid not in statements]:
        yield f"it does not deny {', '.join(missing)}"
    for sid, roles in expected.items():
        if sid not in statements:
            continue
        condition = statements[sid].get("Condition", {}).get("ArnNotLike", {})
        exempt = set(_many(condition.get("aws:PrincipalArn", [])))
        if more := sorted(exempt - roles):
            yield f"{sid} exempts {', '.join(more)}"
        if less := sorted(roles - exempt):
            yield f"{sid} does not exempt {', '.join(less)}"


def _many(value: Any) -> Sequence[Any]:  # noqa: ANN401 - JSON: one or a list
    return value if isinstance(value, list) else [value]


class Guardrails(TargetCheck):
    """Check the service control policy."""

    info = CheckInfo(
        id="guardrails",
        severity=Severity.CRITICAL,
        what="service control policies are enabled, the policy exists and is attached to all of `attach_to`, has every "
        "statement that `deny` asks for, and exempts exactly the configured roles in each. The actions, resources and "
        "other conditions of the statements are not compared: a plan shows them",
        why="Without it, administrators of accounts can change the preferences, or start sessions that are not logged.",
        fix="Plan and apply the home region of the management account.",
        evidence="the root, the policy, its text and its targets",
        where="home region of the management account, with `guardrails`",
        permissions=(
            permissions.GUARDRAILS.allow(
                "organizations:DescribePolicy",
                "organizations:ListPolicies",
                "organizations:ListRoots",
                "organizations:ListTargetsForPolicy",
            ),
        ),
        component="guardrails",
        controls=("NIST 800-53 AC-3", "NIST 800-53 AC-6", "NIST 800-53 CM-5"),
    )

    def applies(self, place: Place) -> bool:
        """Judge the target that hosts the policy."""
        return "guardrails" in place.hosted

    def run(self, place: Place) -> Check:
        """Judge the policy."""
        return guardrails(place.reader, place.target, place.values, place.hosted["guardrails"])
