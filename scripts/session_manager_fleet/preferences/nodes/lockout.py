"""Find the managed nodes that could not start a session, or would not be logged, under a preferences document."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Annotated, Any

from pydantic import Field

from session_manager_fleet.preferences.nodes.demands import Demands, Effect
from session_manager_fleet.preferences.nodes.model import Node, NodeKind
from session_manager_fleet.preferences.nodes.network import enclosed_instances
from session_manager_fleet.preferences.nodes.reading import read_nodes, read_role
from session_manager_fleet.preferences.nodes.rights import Denial, Reason, judge
from session_manager_fleet.targets import Reader, Target

# https://docs.aws.amazon.com/systems-manager/latest/userguide/session-manager-prerequisites.html, and "Turn on KMS key
# encryption of session data" there.
_SESSIONS, _ENCRYPTED_SESSIONS = (2, 3, 68, 0), (2, 3, 539, 0)
# Nodes that a result and a sentence name; the rest is counted.
_NAMED, _SHOWN = 20, 3
# Other services, as EMR or SageMaker, own the roles that they assume.
_OF_NODES = ("ec2.amazonaws.com", "ssm.amazonaws.com")


@dataclass(frozen=True)
class Lockout:
    """Nodes that a document locks out, or leaves without logs, as journals and summaries hold them."""

    role: Annotated[str, Field(description="Name of the nodes' role; empty if they have none.")]
    kind: Annotated[NodeKind, Field(description="Where the nodes have their role from.")]
    nodes: Annotated[tuple[str, ...], Field(description="Ids of the nodes, at most 20 of them.")]
    node_count: Annotated[int, Field(description="Number of the nodes; 0 for a role that no node uses yet.")]
    effect: Annotated[Effect, Field(description="`no_session` (none can start) or `no_log` (it would not be logged).")]
    reason: Annotated[Reason, Field(description="What is in the way.")]
    detail: Annotated[str, Field(description="What the agent cannot do, and what denies it.")]
    assumed_by: Annotated[tuple[str, ...], Field(description="Services that the trust policy of the role names.")] = ()

    def __str__(self) -> str:
        what = "no session can start" if self.effect is Effect.NO_SESSION else "sessions would not be logged"
        others = [service for service in self.assumed_by if not service.startswith(_OF_NODES)]
        of = f", of {', '.join(others)}" if others else ""
        return f"{self.role or 'no role'} ({self.who}{of}): {what}: {self.detail}"

    @property
    def who(self) -> str:
        """The nodes, as `i-1, i-2 and 4 more`, or the kind of those to come."""
        shown = ", ".join(self.nodes[:_SHOWN])
        rest = self.node_count - len(self.nodes[:_SHOWN])
        return f"{shown}{f' and {rest} more' if rest > 0 else ''}" if shown else f"nodes to come, {self.kind.value}"


def find_lockouts(
    reader: Reader, target: Target, demands: Demands, granted: Callable[[Mapping[str, Any]], bool]
) -> list[Lockout]:
    """Find the nodes of a target that do not meet the demands of a document.

    Args:
        reader: In the account of the target.
        target: Account and region of the document.
        demands: Demands of the document.
        granted: Tells whether an apply attaches the instance policy to a role, as GetRole returns it.

    Raises:
        botocore.exceptions.ClientError: AWS refuses a call.
    """
    nodes = read_nodes(reader, target)
    found = [*_without_role([node for node in nodes.all if not node.role])]
    for name, of_role in nodes.by_role().items():
        kind = nodes.kind_of(name)
        role = read_role(reader, target.home_region, name)
        if role is None:
            found.append(_lockout(name, kind, of_role, Effect.NO_SESSION, "missing_role", "the role does not exist"))
        else:
            denials = find_denials(reader, target, role, demands, granted=granted(role))
            by = _assumed_by(role)
            found += [
                replace(_lockout(name, kind, of_role, each.effect, each.reason, each.detail), assumed_by=by)
                for each in denials
            ]
    found += _old(nodes.all, demands)
    found += _enclosed(reader, nodes.all, demands)
    return found


def _assumed_by(role: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the services that may assume a role, as GetRole returns it."""
    policy = role.get("AssumeRolePolicyDocument")
    statements = policy.get("Statement", []) if isinstance(policy, dict) else []
    named: set[str] = set()
    for statement in statements if isinstance(statements, list) else [statements]:
        principal = statement.get("Principal")
        if statement.get("Effect") == "Allow" and isinstance(principal, dict):
            services = principal.get("Service", [])
            named.update([services] if isinstance(services, str) else services)
    return tuple(sorted(named))


@dataclass(frozen=True)
class Denied:
    """Needs of one effect that a role cannot satisfy for one reason.

    Attributes:
        effect: What happens then.
        reason: What denies them.
        detail: Both, as the end of a sentence.
    """

    effect: Effect
    reason: Reason
    detail: str


def find_denials(
    reader: Reader, target: Target, role: Mapping[str, Any], demands: Demands, *, granted: bool = False
) -> list[Denied]:
    """Return the demands that a role, as GetRole returns it, cannot satisfy, those of one effect and reason together.

    Args:
        reader: In the account of the role.
        target: Account and region of the document.
        role: The role.
        demands: Demands of the document.
        granted: Whether to judge as if the role had the instance policy.

    Raises:
        botocore.exceptions.ClientError: AWS refuses a call.
    """
    judged = (judge(reader, target.home_region, role, need, granted=granted) for need in demands.needs)

    def kind(denial: Denial) -> tuple[str, str]:
        return denial.need.effect, denial.reason

    same = (list(each) for _, each in groupby(sorted(filter(None, judged), key=kind), key=kind))
    return [Denied(each[0].need.effect, each[0].reason, _detail(role, each)) for each in same]


def _detail(role: Mapping[str, Any], denials: Sequence[Denial]) -> str:
    why = {
        "missing_policy": "no policy allows",
        "explicit_deny": "a policy of the role denies",
        "permissions_boundary": f"the permissions boundary {_boundary(role)} does not allow",
        "service_control_policy": "a service control policy denies",
    }[denials[0].reason]
    purposes = ", ".join(dict.fromkeys(denial.need.what for denial in denials))
    actions = ", ".join(dict.fromkeys(denial.action for denial in denials))
    return f"it cannot {purposes}: {why} {actions}"


def _boundary(role: Mapping[str, Any]) -> str:
    return str(role.get("PermissionsBoundary", {}).get("PermissionsBoundaryArn", ""))


def _without_role(nodes: Sequence[Node]) -> Iterator[Lockout]:
    if nodes:
        detail = "their instance profile holds no role, or their activation is gone"
        yield _lockout("", nodes[0].kind, nodes, Effect.NO_SESSION, "missing_role", detail)


def _old(nodes: Sequence[Node], demands: Demands) -> Iterator[Lockout]:
    """Yield the nodes whose agent is older than sessions, or their encryption, by role."""
    least = _ENCRYPTED_SESSIONS if demands.key else _SESSIONS
    old = [node for node in nodes if node.role and node.agent_version and _version(node.agent_version) < least]
    for role, same in groupby(sorted(old, key=lambda node: node.role), key=lambda node: node.role):
        of_role = list(same)
        versions = ", ".join(sorted({node.agent_version for node in of_role}))
        purpose = "sessions that are encrypted with a KMS key" if demands.key else "sessions"
        detail = f"the agent is too old ({versions}): {purpose} need {'.'.join(map(str, least))}"
        yield _lockout(role, of_role[0].kind, of_role, Effect.NO_SESSION, "old_agent", detail)


def _version(text: str) -> tuple[int, ...]:
    return tuple(int(part) if part.isdecimal() else 0 for part in text.split("."))


def _enclosed(reader: Reader, nodes: Sequence[Node], demands: Demands) -> Iterator[Lockout]:
    """Yield the nodes that have no endpoint for a service, by VPC and role; hybrid nodes have networks of their own."""
    by_id = {node.id: node for node in nodes if node.instance}
    needed = demands.services
    for closed in enclosed_instances(reader, demands.region, [node.instance for node in by_id.values()]):
        if not (missing := closed.missing(needed)):
            continue
        needs = [need for need in demands.needs if need.service in missing]
        vital = {"ssm", "ssmmessages"}.intersection(missing) or any(n.effect is Effect.NO_SESSION for n in needs)
        effect = Effect.NO_SESSION if vital else Effect.NO_LOG
        detail = f"{closed.vpc} has no route to the internet and no endpoint for {', '.join(missing)}"
        inside = sorted((by_id[each] for each in closed.instances), key=lambda node: node.role)
        for role, same in groupby(inside, key=lambda node: node.role):
            of_role = list(same)
            yield _lockout(role, of_role[0].kind, of_role, effect, "no_endpoint", detail)


def _lockout(role: str, kind: NodeKind, nodes: Sequence[Node], effect: Effect, reason: Reason, detail: str) -> Lockout:
    ids = tuple(node.id for node in nodes[:_NAMED])
    return Lockout(role, kind, ids, len(nodes), effect, reason, detail)
