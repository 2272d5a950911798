"""Judge whether a role may do what a session needs: by AWS's simulator, or by reading its policies."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from botocore.exceptions import ClientError

from session_manager_fleet.preferences.nodes.demands import Need
from session_manager_fleet.preferences.nodes.policies import effects
from session_manager_fleet.targets import Reader, error_code

Reason = Literal[
    "missing_policy",
    "explicit_deny",
    "permissions_boundary",
    "service_control_policy",
    "missing_role",
    "no_endpoint",
    "old_agent",
]
_DENIED = {"AccessDenied", "AccessDeniedException"}
_ALLOWED = "allowed"


@dataclass(frozen=True)
class Denial:
    """A need that a role cannot satisfy.

    Attributes:
        need: The need.
        action: The first action that is denied.
        reason: What denies it.
    """

    need: Need
    action: str
    reason: Reason


def judge(reader: Reader, home: str, role: Mapping[str, Any], need: Need, *, granted: bool) -> Denial | None:
    """Return why a role cannot satisfy a need; None if it can.

    AWS's simulator also knows the service control policies, without those that have conditions. Where it may not be
    asked, the role's policies and its permissions boundary are read.

    Args:
        reader: In the account of the role.
        home: Region whose endpoint is asked.
        role: The role, as GetRole returns it.
        need: The need.
        granted: Whether to judge as if the role had the instance policy, which an apply attaches to it.

    Raises:
        botocore.exceptions.ClientError: AWS refuses the simulation and the reading.
    """
    what = ("judged", role["Arn"], need, granted)
    return reader.once(what, lambda: _judge(reader, home, role, need, granted=granted))


def _judge(reader: Reader, home: str, role: Mapping[str, Any], need: Need, *, granted: bool) -> Denial | None:
    more = [_grant(need)] if granted else []
    try:
        return _simulate(reader, home, role["Arn"], need, more)
    except ClientError as error:
        if error_code(error) not in _DENIED:
            raise
    return _read(reader, home, role, need, more)


def _grant(need: Need) -> dict[str, Any]:
    """Return a policy that grants a need, as the instance policy does."""
    statement = {"Effect": "Allow", "Action": list(need.actions), "Resource": list(need.resources)}
    return {"Version": "2012-10-17", "Statement": [statement]}


def _simulate(reader: Reader, home: str, role_arn: str, need: Need, more: list[dict[str, Any]]) -> Denial | None:
    context = [
        {"ContextKeyName": key, "ContextKeyValues": list(values), "ContextKeyType": _type(key)}
        for key, values in need.context
    ]
    found = reader.pages(
        "iam",
        home,
        "simulate_principal_policy",
        "EvaluationResults",
        PolicySourceArn=role_arn,
        ActionNames=list(need.actions),
        ResourceArns=list(need.resources),
        PolicyInputList=[json.dumps(policy) for policy in more],
        ContextEntries=context,
    )
    return next((_denial(need, result) for result in found if result["EvalDecision"] != _ALLOWED), None)


def _denial(need: Need, result: Mapping[str, Any]) -> Denial:
    reason: Reason = "explicit_deny" if result["EvalDecision"] == "explicitDeny" else "missing_policy"
    if result.get("OrganizationsDecisionDetail", {}).get("AllowedByOrganizations") is False:
        reason = "service_control_policy"
    elif result.get("PermissionsBoundaryDecisionDetail", {}).get("AllowedByPermissionsBoundary") is False:
        reason = "permissions_boundary"
    return Denial(need, result["EvalActionName"], reason)


def _type(key: str) -> str:
    return {"kms:ResourceAliases": "stringList", "aws:SecureTransport": "boolean"}.get(key, "string")


def _read(reader: Reader, home: str, role: Mapping[str, Any], need: Need, more: list[dict[str, Any]]) -> Denial | None:
    own = [*_policies(reader, home, role["RoleName"]), *more]
    boundary = role.get("PermissionsBoundary", {}).get("PermissionsBoundaryArn")
    limits = [_managed(reader, home, boundary)] if boundary else []
    principal = {"aws:principalarn": (role["Arn"],), "aws:principalaccount": (role["Arn"].split(":")[4],)}
    context = {**principal, **{key.lower(): values for key, values in need.context}}
    for action in need.actions:
        for resource in need.resources:
            allowed = effects(own, action, resource, context)
            limited = effects(limits, action, resource, context)
            if boundary and limited != {"Allow"} and allowed:
                return Denial(need, action, "permissions_boundary")
            if "Deny" in allowed:
                return Denial(need, action, "explicit_deny")
            if not allowed:
                return Denial(need, action, "missing_policy")
    return None


def _policies(reader: Reader, home: str, name: str) -> list[Mapping[str, Any]]:
    """Return the inline and the attached policies of a role."""

    def read() -> Iterator[Mapping[str, Any]]:
        for inline in reader.pages("iam", home, "list_role_policies", "PolicyNames", RoleName=name):
            answer = reader.call("iam", home, "get_role_policy", RoleName=name, PolicyName=inline)
            yield _document(answer["PolicyDocument"])
        for attached in reader.pages("iam", home, "list_attached_role_policies", "AttachedPolicies", RoleName=name):
            yield _managed(reader, home, attached["PolicyArn"])

    return reader.once(("policies", name), lambda: list(read()))


def _managed(reader: Reader, home: str, arn: str) -> Mapping[str, Any]:
    """Return the default version of a managed policy."""

    def read() -> Mapping[str, Any]:
        version = reader.call("iam", home, "get_policy", PolicyArn=arn)["Policy"]["DefaultVersionId"]
        answer = reader.call("iam", home, "get_policy_version", PolicyArn=arn, VersionId=version)
        return _document(answer["PolicyVersion"]["Document"])

    return reader.once(("managed policy", arn), read)


def _document(document: Any) -> Mapping[str, Any]:  # noqa: ANN401 - botocore decodes it, and leaves what is no JSON as text
    return document if isinstance(document, dict) else json.loads(document)
