"""Check that the service control policy of modules/guardrails is enabled, attached, and denies what is configured."""

import json
from collections.abc import Mapping
from typing import Any

from session_manager_fleet.aws import partitions
from session_manager_fleet.settings import TargetSettings
from session_manager_fleet.targets import Target
from session_manager_fleet.terraform import permissions
from session_manager_fleet.verify.checks import Place, TargetCheck
from session_manager_fleet.verify.guardrail_statements import expected_statements, judge_statements
from session_manager_fleet.verify.model import Check, CheckInfo, Severity, finding, not_needed, ok
from session_manager_fleet.verify.reading import Reader

_SCP = "SERVICE_CONTROL_POLICY"


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
    problems += judge_statements(
        json.loads(content)["Statement"], expected_statements(wanted, values, partitions()[region])
    )
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


class Guardrails(TargetCheck):
    """Check the service control policy."""

    info = CheckInfo(
        id="guardrails",
        severity=Severity.CRITICAL,
        what="service control policies are enabled, the policy exists, is attached to all of `attach_to`, is not "
        "longer than `scp_length_limit`, and has exactly the statements that `deny` asks for: with their actions, "
        "resources, conditions, and the roles that each exempts",
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
