"""SimulatePrincipalPolicy of IAM, which moto lacks.

As AWS's simulator, it knows the service control policies without those that have conditions, and no resource policies:
https://docs.aws.amazon.com/IAM/latest/UserGuide/access_policies_testing-policies.html.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from aws_sandbox.call import AwsError, Call
from aws_sandbox.identity import Identity, boundary_of, find_role
from aws_sandbox.organizations import Organizations
from aws_sandbox.policies import Document, Request, effects


class Simulator:
    """Simulates the policies of roles.

    Args:
        identity: Knows the policies of roles.
        organizations: Knows the service control policies.
    """

    def __init__(self, identity: Identity, organizations: Organizations) -> None:
        self._identity = identity
        self._organizations = organizations

    def operations(self) -> dict[tuple[str, str], Any]:
        """Return the operations by service and name."""
        return {("iam", "SimulatePrincipalPolicy"): self.simulate}

    def simulate(self, call: Call) -> dict[str, Any]:
        """Answer SimulatePrincipalPolicy for a role.

        Raises:
            AwsError: There is no such role.
        """
        asked = call.parameters
        role = find_role(asked["PolicySourceArn"])
        if role is None:
            raise AwsError("NoSuchEntity", f"The role with ARN {asked['PolicySourceArn']} cannot be found.")
        own = [*self._identity.policies_of(role.arn), *map(json.loads, asked.get("PolicyInputList") or [])]
        levels = [
            [policy for policy in level if not _has_conditions(policy)]
            for level in self._organizations.control_policies(call.account_id)
        ]
        limits = boundary_of(role)
        entries = asked.get("ContextEntries") or []
        context = {entry["ContextKeyName"]: _values(entry) for entry in entries}
        results = [
            _result(Request(action, resource, context), own, limits, levels)
            for action in asked["ActionNames"]
            for resource in asked.get("ResourceArns") or ["*"]
        ]
        return {"EvaluationResults": results, "IsTruncated": False}


def _values(entry: Mapping[str, Any]) -> str | list[str]:
    """Return the values of a context key; a key that is no list has one."""
    values = list(entry["ContextKeyValues"])
    return values if entry["ContextKeyType"].endswith("List") else str(values[0])


def _result(
    request: Request, own: Sequence[Document], limits: Sequence[Document], levels: Sequence[Sequence[Document]]
) -> dict[str, Any]:
    of_role = effects(own, request)
    in_organization = all(effects(level, request) == {"Allow"} for level in levels)
    within = not limits or effects(limits, request) == {"Allow"}
    denied = any("Deny" in effects(policies, request) for policies in (own, limits, *levels))
    allowed = of_role == {"Allow"} and in_organization and within
    return {
        "EvalActionName": request.action,
        "EvalResourceName": request.resource,
        "EvalDecision": "allowed" if allowed else "explicitDeny" if denied else "implicitDeny",
        "MatchedStatements": [],
        "MissingContextValues": [],
        **({"OrganizationsDecisionDetail": {"AllowedByOrganizations": in_organization}} if levels else {}),
        **({"PermissionsBoundaryDecisionDetail": {"AllowedByPermissionsBoundary": within}} if limits else {}),
    }


def _has_conditions(policy: Document) -> bool:
    statements = policy["Statement"] if isinstance(policy["Statement"], list) else [policy["Statement"]]
    return any("Condition" in statement for statement in statements)
