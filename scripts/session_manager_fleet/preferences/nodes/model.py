"""Managed nodes and the roles that they work with."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class NodeKind(StrEnum):
    """Where a node has its role from."""

    INSTANCE_PROFILE = "instance_profile"
    DEFAULT_HOST_MANAGEMENT = "default_host_management"
    # Servers and virtual machines with an activation, also of services such as SageMaker: their ids begin with mi-.
    HYBRID = "hybrid"


@dataclass(frozen=True)
class Node:
    """A node that is registered with Systems Manager.

    Attributes:
        id: `i-…` or `mi-…`.
        kind: Where it has its role from.
        role: Name of the role; empty if it has none any more.
        agent_version: Version of its agent, as `3.3.987.0`; empty if it is unknown.
        instance: The description by EC2; empty for a hybrid node.
    """

    id: str
    kind: NodeKind
    role: str
    agent_version: str = ""
    instance: Mapping[str, Any] = field(default_factory=dict, compare=False, repr=False)


@dataclass(frozen=True)
class Nodes:
    """The managed nodes of a region, and the roles that nodes registered later would work with.

    Attributes:
        all: The nodes.
        default_role: Name of the role of Default Host Management; empty if that is off.
        activation_roles: Names of the roles of the activations that are not used up.
    """

    all: tuple[Node, ...] = ()
    default_role: str = ""
    activation_roles: tuple[str, ...] = ()

    def by_role(self) -> dict[str, list[Node]]:
        """Return the nodes by the names of their roles, and none for the roles of nodes to come, in order of names."""
        found: dict[str, list[Node]] = {name: [] for name in (self.default_role, *self.activation_roles) if name}
        for node in self.all:
            if node.role:
                found.setdefault(node.role, []).append(node)
        return dict(sorted(found.items()))

    def kind_of(self, role: str) -> NodeKind:
        """Return the kind of the nodes, also of those to come, that work with a role."""
        if of_nodes := next((node.kind for node in self.all if node.role == role), None):
            return of_nodes
        return NodeKind.DEFAULT_HOST_MANAGEMENT if role == self.default_role else NodeKind.HYBRID
