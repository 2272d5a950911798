"""Authentication: access keys, callers and AssumeRole.

moto accepts any access key and lets every role be assumed, even one that does not exist. Here an unknown access key is
rejected, and AssumeRole requires that the role exists, its account is active and its trust policy allows the caller.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import NamedTuple

from moto.core.utils import utcnow
from moto.iam.exceptions import NotFoundException
from moto.iam.models import Role, iam_backends
from moto.sts.models import AssumedRole, sts_backends

from aws_sandbox.call import AwsError, Call
from aws_sandbox.delays import Delays
from aws_sandbox.organizations import Organizations
from aws_sandbox.policies import Document, Principal, Request, allows
from aws_sandbox.signatures import Secret


@dataclass(frozen=True)
class Caller:
    """The caller of an API operation.

    Attributes:
        account_id: The account the credentials belong to.
        id: Unique id of the user, or of the role and its session (`AROA…:Session`).
        arn: ARN of the user, or of the session of an assumed role (`arn:aws:sts::…:assumed-role/Name/Session`).
        role_arn: ARN of the assumed role; empty for a user.
    """

    account_id: str
    id: str
    arn: str
    role_arn: str = ""

    @property
    def principal_arn(self) -> str:
        """Value of `aws:PrincipalArn`: the user or the role."""
        return self.role_arn or self.arn


class Credentials(NamedTuple):
    """Temporary credentials of a role."""

    access_key_id: str
    secret_access_key: str
    session_token: str


class Identity:
    """Access keys, roles and trust policies of the organization."""

    def __init__(self, organizations: Organizations, organization_id: str, delays: Delays) -> None:
        self._organizations = organizations
        self._organization_id = organization_id
        self._delays = delays
        self._accounts: dict[str, str] = {}
        self._sessions: dict[str, AssumedRole | None] = {}

    def account_of(self, access_key: str) -> str:
        """Return the account of an access key; an empty string if the key is unknown."""
        if access_key not in self._accounts:
            for account_id, partitions in list(iam_backends.items()):
                if access_key in partitions["aws"].access_keys:
                    self._accounts[access_key] = account_id
        return self._accounts.get(access_key, "")

    def secret_of(self, call: Call) -> Secret:
        """Return the secret of the access key of a call.

        Raises:
            AwsError: The access key was deleted.
        """
        key = iam_backends[call.account_id]["aws"].access_keys.get(call.access_key)
        if key is None:
            raise call.unknown_credentials()
        session = self._session(call)
        return Secret(key.secret_access_key, session.session_token if session else "")

    def _session(self, call: Call) -> AssumedRole | None:
        """Return the session of the access key of a call; None for the key of a user."""
        if call.access_key not in self._sessions:
            backend = sts_backends[call.account_id]["aws"]
            self._sessions[call.access_key] = backend.get_assumed_role_from_access_key(call.access_key)
        return self._sessions[call.access_key]

    def check_expiry(self, call: Call) -> None:
        """Reject the credentials of a session that has ended.

        Raises:
            AwsError: The service's error for expired credentials.
        """
        session = self._session(call)
        if session and session.expiration <= utcnow():
            raise call.expired_credentials()

    def expire(self, access_key_id: str) -> None:
        """End the session that an access key belongs to.

        Raises:
            KeyError: There is no such session.
        """
        sessions = [each for backends in list(sts_backends.values()) for each in backends["aws"].assumed_roles]
        by_key = {session.access_key_id: session for session in sessions}
        by_key[access_key_id].expiration = utcnow()

    def caller(self, call: Call) -> Caller:
        """Return the caller of a call."""
        backend = sts_backends[call.account_id]["aws"]
        session = backend.get_assumed_role_from_access_key(call.access_key)
        unique_id, arn, _ = backend.get_caller_identity(call.access_key, call.region)
        return Caller(call.account_id, unique_id, arn, session.role_arn if session else "")

    def policies(self, caller: Caller) -> list[Document]:
        """Return the policies of the caller's user or role."""
        return self.policies_of(caller.principal_arn)

    def policies_of(self, arn: str) -> list[Document]:
        """Return the inline and the attached policies of a role or user as services see them."""
        rights = self._delays.rights_of(arn)
        return [json.loads(policy) for policy in rights.policies] if rights else []

    def trusts(self, role_arn: str, request: Request) -> bool:
        """Return whether the trust policy of a role, as services see it, allows a request to assume it."""
        rights = self._delays.rights_of(role_arn)
        return rights is not None and allows([json.loads(rights.trust)], request)

    def context(self, caller: Caller) -> dict[str, str]:
        """Return the condition keys that describe a caller."""
        known = {"aws:PrincipalAccount": caller.account_id, "aws:PrincipalArn": caller.principal_arn}
        if self._organizations.has(caller.account_id):
            known["aws:PrincipalOrgID"] = self._organization_id
        return known

    def owner_context(self, arn: str) -> dict[str, str]:
        """Return the condition keys that describe the account of a resource; none if its ARN names no account."""
        account_id = arn.split(":")[4] if arn.startswith("arn:") else ""
        if not self._organizations.has(account_id):
            return {}
        return {"aws:ResourceAccount": account_id, "aws:ResourceOrgID": self._organization_id}

    def check(self, call: Call) -> None:
        """Reject AssumeRole when the role is missing, its account inactive, or the caller not trusted.

        Raises:
            AwsError: AccessDenied with AWS's message, which is the same for all three.
        """
        if (call.service, call.operation) != ("sts", "AssumeRole"):
            return
        caller = self.caller(call)
        role_arn = str(call.parameters["RoleArn"])
        account_id = role_arn.split(":")[4] if role_arn.count(":") >= 5 else ""  # noqa: PLR2004
        external_id = {"sts:ExternalId": call.parameters["ExternalId"]} if "ExternalId" in call.parameters else {}
        account = caller.account_id
        request = Request(
            "sts:AssumeRole",
            context={**self.context(caller), **external_id},
            principal=Principal(
                "AWS", frozenset({account, f"arn:aws:iam::{account}:root", caller.arn, caller.principal_arn})
            ),
        )
        if not (self._organizations.is_active(account_id) and self.trusts(role_arn, request)):
            raise AwsError(
                "AccessDenied",
                f"User: {caller.arn} is not authorized to perform: sts:AssumeRole on resource: {role_arn}",
            )

    def service_credentials(
        self, role_arn: str, service: str, source_arn: str, session_name: str
    ) -> Credentials | None:
        """Return credentials of a role for an AWS service that acts for a resource.

        None when the role is missing, belongs to another account or does not trust the service.

        Args:
            role_arn: The role.
            service: `lambda.amazonaws.com`.
            source_arn: ARN of the resource for which the service acts.
            session_name: Name of the session.
        """
        _, _, _, region, account_id, *_ = source_arn.split(":")
        role = find_role(role_arn)
        request = Request(
            "sts:AssumeRole",
            context={"aws:SourceAccount": account_id, "aws:SourceArn": source_arn},
            principal=Principal("Service", frozenset({service})),
        )
        if not role or role.account_id != account_id or not self.trusts(role_arn, request):
            return None
        session = sts_backends[account_id]["aws"].assume_role(
            region_name=region,
            role_session_name=session_name,
            role_arn=role_arn,
            policy="",
            duration=3600,
            external_id="",
        )
        return Credentials(session.access_key_id, session.secret_access_key, session.session_token)

    def instance_credentials(self, role_arn: str, region: str) -> Credentials | None:
        """Return the credentials of an EC2 instance with a role; None if EC2 cannot assume the role."""
        instance = f"arn:aws:ec2:{region}:{role_arn.split(':')[4]}:instance/i-0123456789abcdef0"
        return self.service_credentials(role_arn, "ec2.amazonaws.com", instance, "i-0123456789abcdef0")


def find_role(role_arn: str) -> Role | None:
    """Return a role by its ARN, or None."""
    parts = role_arn.split(":")
    account_id = parts[4] if len(parts) > 4 else ""  # noqa: PLR2004
    if account_id not in iam_backends:
        return None
    try:
        return iam_backends[account_id]["aws"].get_role_by_arn(role_arn)
    except NotFoundException:
        return None


def boundary_of(owner: Role) -> list[Document]:
    """Return the permissions boundary of a role, as a list of one; none without."""
    arn = owner.permissions_boundary_arn
    policies = iam_backends[owner.account_id]["aws"].managed_policies
    found = policies.get(arn) if arn else None
    if found is None:
        return []
    versions = (each.document for each in found.versions if each.version_id == found.default_version_id)
    return [json.loads(document) for document in versions]
