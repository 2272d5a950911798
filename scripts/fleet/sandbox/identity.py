"""Who may act: moto gives any access key an account and lets every role be assumed, also one that does not exist.

Here an unknown access key is refused, and a role is assumed only where it exists, in an active account, with a trust
policy that allows the caller.
"""

from __future__ import annotations

import fnmatch
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from moto.iam.exceptions import NotFoundException
from moto.iam.models import Role, iam_backends
from moto.sts.models import sts_backends

from fleet.sandbox.call import AwsError, Call
from fleet.sandbox.organizations import Organizations


@dataclass(frozen=True)
class Principal:
    """Who calls.

    Attributes:
        account_id: The account the credentials belong to.
        arn: The user, or the session of an assumed role (`arn:aws:sts::…:assumed-role/Name/Session`).
        role_arn: The role behind an assumed role session, else empty.
    """

    account_id: str
    arn: str
    role_arn: str = ""


class Credentials(NamedTuple):
    """Temporary credentials of a role."""

    access_key_id: str
    secret_access_key: str
    session_token: str


class Identity:
    """Access keys, roles and who trusts whom in the organization with the given id."""

    def __init__(self, organizations: Organizations, organization_id: str) -> None:
        self._organizations = organizations
        self._organization_id = organization_id
        self._accounts: dict[str, str] = {}

    def account_of(self, access_key: str) -> str:
        """Return the account that an access key belongs to, or an empty string for an unknown key."""
        if access_key not in self._accounts:
            for account_id, partitions in list(iam_backends.items()):
                if access_key in partitions["aws"].access_keys:
                    self._accounts[access_key] = account_id
        return self._accounts.get(access_key, "")

    def check(self, call: Call) -> None:
        """Refuse AssumeRole when the role is missing, its account inactive, or the caller not trusted.

        Raises:
            AwsError: AccessDenied with AWS's words, which do not tell the three apart.
        """
        if (call.service, call.operation) != ("sts", "AssumeRole"):
            return
        principal = self._principal(call)
        role_arn = str(call.parameters["RoleArn"])
        account_id = role_arn.split(":")[4] if role_arn.count(":") >= 5 else ""  # noqa: PLR2004
        role = _role(account_id, role_arn)
        context = {
            "aws:PrincipalAccount": principal.account_id,
            "aws:PrincipalArn": principal.role_arn or principal.arn,
            "aws:PrincipalOrgID": self._organization_id,
            **({"sts:ExternalId": call.parameters["ExternalId"]} if "ExternalId" in call.parameters else {}),
        }
        names = {
            "*",
            principal.account_id,
            f"arn:aws:iam::{principal.account_id}:root",
            principal.arn,
            principal.role_arn,
        }
        if not (
            role and self._organizations.is_active(account_id) and trusts(_trust_policy(role), "AWS", names, context)
        ):
            raise AwsError(
                "AccessDenied",
                f"User: {principal.arn} is not authorized to perform: sts:AssumeRole on resource: {role_arn}",
            )

    def function_credentials(self, role_arn: str, function_arn: str, session_name: str) -> Credentials:
        """Return credentials of a function's role, as Lambda obtains them from STS.

        Raises:
            AwsError: The role is missing or does not trust Lambda.
        """
        _, _, _, region, account_id, *_ = function_arn.split(":")
        role = _role(account_id, role_arn)
        context = {"aws:SourceAccount": account_id, "aws:SourceArn": function_arn}
        if not role or not trusts(_trust_policy(role), "Service", {"lambda.amazonaws.com"}, context):
            raise AwsError("AccessDeniedException", "The role defined for the function cannot be assumed by Lambda.")
        session = sts_backends[account_id]["aws"].assume_role(
            region_name=region,
            role_session_name=session_name,
            role_arn=role_arn,
            policy="",
            duration=3600,
            external_id="",
        )
        return Credentials(session.access_key_id, session.secret_access_key, session.session_token)

    def _principal(self, call: Call) -> Principal:
        backend = sts_backends[call.account_id]["aws"]
        session = backend.get_assumed_role_from_access_key(call.access_key)
        _, arn, _ = backend.get_caller_identity(call.access_key, call.region)
        return Principal(call.account_id, arn, session.role_arn if session else "")


def _role(account_id: str, role_arn: str) -> Role | None:
    if account_id not in iam_backends:
        return None
    try:
        return iam_backends[account_id]["aws"].get_role_by_arn(role_arn)
    except NotFoundException:
        return None


def _trust_policy(role: Role) -> Mapping[str, Any]:
    policy: dict[str, Any] = json.loads(role.assume_role_policy_document)
    return policy


def trusts(policy: Mapping[str, Any], kind: str, names: set[str], context: Mapping[str, str]) -> bool:
    """Tell whether a trust policy lets a principal assume the role.

    Args:
        policy: The trust policy; a condition operator that is not known here never matches.
        kind: `AWS` or `Service`.
        names: Every name under which a policy may mean the principal.
        context: Values of condition keys.
    """
    effects = {
        statement["Effect"]
        for statement in _many(policy["Statement"])
        if any(fnmatch.fnmatchcase("sts:AssumeRole", action) for action in _many(statement.get("Action", [])))
        and names & _principals(statement.get("Principal", {}), kind)
        and _conditions_met(statement.get("Condition", {}), context)
    }
    return effects == {"Allow"}


def _principals(principal: str | Mapping[str, Any], kind: str) -> set[str]:
    return {principal} if isinstance(principal, str) else set(_many(principal.get(kind, [])))


def _conditions_met(conditions: Mapping[str, Mapping[str, Any]], context: Mapping[str, str]) -> bool:
    values = {key.lower(): value for key, value in context.items()}
    return all(
        _matches(operator, [str(w) for w in _many(wanted)], values.get(key.lower()))
        for operator, keys in conditions.items()
        for key, wanted in keys.items()
    )


def _matches(operator: str, wanted: Sequence[str], value: str | None) -> bool:
    if value is None:
        return operator.endswith("IfExists")
    match operator.removesuffix("IfExists"):
        case "StringEquals":
            return value in wanted
        case "StringLike" | "ArnLike" | "ArnEquals":
            return any(fnmatch.fnmatchcase(value, pattern) for pattern in wanted)
        case _:
            return False


def _many(value: object) -> list[Any]:
    return value if isinstance(value, list) else [value]
