"""Statements of IAM policies: what each allows, on which resources, and why."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any


@dataclass(frozen=True)
class Names:
    """Names of the resources that the policies allow, by default those of the settings and of variables.tf.

    Attributes:
        partition: Partition of the ARNs.
        account: Id of the account of the role; `*` for any, as a role can act in its own account only.
        policy: Path and name of the instance policy, without the slash in front.
        log_group: Log group of the sessions.
        parameter: Parameter with the id of the session key.
        document: Document with the preferences.
        automation: Automation document, which is also the name of its role.
        function: Lambda function.
        bucket: Buckets of session logs.
        attach_to: Roles that the instance policy may be attached to.
    """

    partition: str = "*"
    account: str = "*"
    policy: str = "SessionManagerLogPolicy"
    log_group: str = "ssm-sessionmanager-logs"
    parameter: str = "session-manager/session-data-key"
    document: str = "SSM-SessionManagerRunShell"
    automation: str = "Attach-ssm-policy-to-instance-profile"
    function: str = "session-manager-preferences"
    bucket: str = "session-manager-logs-*"
    attach_to: str = "*"


@dataclass(frozen=True)
class Permission:
    """One statement of a policy.

    Attributes:
        sid: Id of the statement.
        why: The reason.
        actions: IAM actions.
        resources: ARNs with the fields of `Names` in braces.
        condition: Condition of the statement.
    """

    sid: str
    why: str
    actions: tuple[str, ...]
    resources: tuple[str, ...]
    condition: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Scope:
    """Resources, on which Terraform and each check declare the actions that they need.

    Attributes:
        sid: Id of the statement.
        why: What these resources are.
        resources: ARNs with the fields of `Names` in braces.
    """

    sid: str
    why: str
    resources: tuple[str, ...]

    def allow(self, *actions: str) -> Permission:
        """Return the statement that allows actions on these resources."""
        return Permission(self.sid, self.why, actions, self.resources)


def merged(permissions: Iterable[Permission]) -> tuple[Permission, ...]:
    """Return one statement for each id, with the actions of all, in the order of the first of each."""
    found: dict[str, Permission] = {}
    for one in permissions:
        known = found.setdefault(one.sid, replace(one, actions=()))
        found[one.sid] = replace(known, actions=tuple(sorted({*known.actions, *one.actions})))
    return tuple(found.values())


def policy(permissions: Iterable[Permission], names: Names = Names()) -> dict[str, Any]:
    """Return a policy document."""
    fields = asdict(names)
    return {"Version": "2012-10-17", "Statement": [_statement(one, fields) for one in permissions]}


def _statement(permission: Permission, fields: Mapping[str, str]) -> dict[str, Any]:
    statement: dict[str, Any] = {
        "Sid": permission.sid,
        "Effect": "Allow",
        "Action": sorted(permission.actions),
        "Resource": _named(permission.resources, fields),
    }
    if permission.condition:
        statement["Condition"] = {
            operator: {key: _named(values, fields) for key, values in keys.items()}
            for operator, keys in permission.condition.items()
        }
    return statement


def _named(texts: Sequence[str], fields: Mapping[str, str]) -> list[str]:
    return [text.format_map(fields) for text in texts]
