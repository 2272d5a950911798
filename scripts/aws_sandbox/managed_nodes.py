"""Managed nodes and activations of Systems Manager, which moto lacks.

Managed nodes are running EC2 instances with an instance profile; those without one where Default Host Management is on;
and hybrid nodes that were registered with an activation. See
https://docs.aws.amazon.com/systems-manager/latest/userguide/fleet-manager-managed-nodes.html.
"""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from moto.ec2.models import ec2_backends
from moto.iam.models import Role, iam_backends

from aws_sandbox.call import AwsError, Call
from aws_sandbox.identity import Credentials, Identity
from aws_sandbox.pages import page
from aws_sandbox.policies import Principal, Request, allows
from aws_sandbox.service_settings import DEFAULT_ROLE, ServiceSettings

# https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_DescribeInstanceInformation.html
_PAGE_SIZE = 50
_AGENT_VERSION = "3.3.987.0"
_SYSTEMS_MANAGER = "ssm.amazonaws.com"
_DAY = 24 * 60 * 60.0


class Place(NamedTuple):
    """An account and a region."""

    account_id: str
    region: str


@dataclass
class Activation:
    """An activation, with which nodes outside EC2 are registered.

    Attributes:
        id: Its id.
        code: Its secret code.
        role: The role of the nodes, as it was given: a name, or path and name.
        limit: How many nodes it registers.
        nodes: Ids of the nodes.
    """

    id: str
    code: str
    role: str
    limit: int
    created: float
    nodes: list[str] = field(default_factory=list)

    def describe(self) -> dict[str, Any]:
        """Return the activation as DescribeActivations does."""
        return {
            "ActivationId": self.id,
            "IamRole": self.role,
            "RegistrationLimit": self.limit,
            "RegistrationsCount": len(self.nodes),
            "ExpirationDate": self.created + _DAY,
            "Expired": False,
            "CreatedDate": self.created,
        }


class ManagedNodes:
    """The managed nodes of all accounts and regions.

    Args:
        identity: Gives the credentials of roles.
        settings: Service settings, with the role of Default Host Management.
    """

    def __init__(self, identity: Identity, settings: ServiceSettings) -> None:
        self._identity = identity
        self._settings = settings
        self._activations: dict[Place, dict[str, Activation]] = {}
        self._versions: dict[str, str] = {}

    def operations(self) -> dict[tuple[str, str], Any]:
        """Return the operations by service and name."""
        return {
            ("ssm", "CreateActivation"): self.create_activation,
            ("ssm", "DeleteActivation"): self.delete_activation,
            ("ssm", "DeregisterManagedInstance"): self.deregister,
            ("ssm", "DescribeActivations"): self.describe_activations,
            ("ssm", "DescribeInstanceInformation"): self.describe_instance_information,
        }

    def create_activation(self, call: Call) -> dict[str, Any]:
        """Answer CreateActivation.

        Raises:
            AwsError: The role does not exist, or Systems Manager may not assume it.
        """
        asked = call.parameters
        role = _find_role(call.account_id, asked["IamRole"])
        place = Place(call.account_id, call.region)
        request = Request(
            "sts:AssumeRole",
            context={"aws:SourceAccount": place.account_id, "aws:SourceArn": _any_node(place)},
            principal=Principal("Service", frozenset({_SYSTEMS_MANAGER})),
        )
        if "/" in asked["IamRole"]:
            raise AwsError(
                "ValidationException", f"Value '{asked['IamRole']}' at 'iamRole' failed to satisfy constraint"
            )
        if role is None or not allows([json.loads(role.assume_role_policy_document)], request):
            message = f"Nonexistent role or missing ssm service principal in trust policy: {asked['IamRole']}"
            raise AwsError("ValidationException", message)
        made = Activation(
            _uuid(), secrets.token_urlsafe(15), asked["IamRole"], int(asked.get("RegistrationLimit") or 1), time.time()
        )
        self._activations.setdefault(place, {})[made.id] = made
        return {"ActivationId": made.id, "ActivationCode": made.code}

    def delete_activation(self, call: Call) -> dict[str, Any]:
        """Answer DeleteActivation; registered nodes stay.

        Raises:
            AwsError: There is no such activation.
        """
        activations = self._activations.get(Place(call.account_id, call.region), {})
        if (found := activations.get(call.parameters["ActivationId"])) is None:
            raise AwsError("InvalidActivation", "The activation is not valid.")
        found.limit = 0
        if not found.nodes:
            del activations[found.id]
        return {}

    def deregister(self, call: Call) -> dict[str, Any]:
        """Answer DeregisterManagedInstance.

        Raises:
            AwsError: There is no such node outside EC2.
        """
        node = call.parameters["InstanceId"]
        for activation in self._activations.get(Place(call.account_id, call.region), {}).values():
            if node in activation.nodes:
                activation.nodes.remove(node)
                return {}
        raise AwsError("InvalidInstanceId", f"The node {node} is not registered.")

    def describe_activations(self, call: Call) -> dict[str, Any]:
        """Answer DescribeActivations; filters are ignored."""
        activations = self._activations.get(Place(call.account_id, call.region), {}).values()
        there = [activation.describe() for activation in activations if activation.limit]
        size = int(call.parameters.get("MaxResults") or _PAGE_SIZE)
        return page("ActivationList", there, call.parameters.get("NextToken"), size)

    def describe_instance_information(self, call: Call) -> dict[str, Any]:
        """Answer DescribeInstanceInformation; filters are ignored."""
        nodes = [
            {"PingStatus": "Online", "PlatformType": "Linux", "AgentVersion": self._version(node["InstanceId"]), **node}
            for node in self._nodes(Place(call.account_id, call.region))
        ]
        size = int(call.parameters.get("MaxResults") or _PAGE_SIZE)
        return page("InstanceInformationList", nodes, call.parameters.get("NextToken"), size)

    def _version(self, node: str) -> str:
        return self._versions.get(node, _AGENT_VERSION)

    def _nodes(self, place: Place) -> Iterator[dict[str, Any]]:
        default = self._settings.value(place.account_id, place.region, DEFAULT_ROLE)
        managed = {} if default.startswith("$") else {"IamRole": default}
        for reservation in ec2_backends[place.account_id][place.region].all_reservations():
            for instance in reservation.instances:
                if instance.state == "running" and (instance.iam_instance_profile or managed):
                    yield {
                        "InstanceId": instance.id,
                        "ResourceType": "EC2Instance",
                        "IPAddress": instance.private_ip,
                        **({} if instance.iam_instance_profile else managed),
                    }
        for activation in self._activations.get(place, {}).values():
            for node in activation.nodes:
                yield {
                    "InstanceId": node,
                    "ResourceType": "ManagedInstance",
                    "ActivationId": activation.id,
                    "IamRole": activation.role,
                }

    def register(self, question: dict[str, Any]) -> str:
        """Register a node outside EC2, as its agent does with the id and the code of an activation; return its id.

        Raises:
            KeyError: There is no such activation, or it registers no more nodes.
        """
        place = Place(question["account"], question["region"])
        activation = self._activations.get(place, {})[question["activation_id"]]
        if activation.code != question["activation_code"] or len(activation.nodes) >= activation.limit:
            raise KeyError(activation.id)
        activation.nodes.append(f"mi-{secrets.token_hex(8)}0")
        return activation.nodes[-1]

    def set_version(self, question: dict[str, Any]) -> None:
        """Give the agent of a node another version."""
        self._versions[question["node"]] = question["version"]

    def credentials(self, question: dict[str, Any]) -> Credentials | None:
        """Return the credentials of a node; None if it has no role, or the role cannot be assumed.

        EC2 assumes the role of an instance profile, Systems Manager the others.
        """
        place, node = Place(question["account"], question["region"]), question["node"]
        found = next((each for each in self._nodes(place) if each["InstanceId"] == node), {})
        if "IamRole" in found:
            role, service = _find_role(place.account_id, found["IamRole"]), _SYSTEMS_MANAGER
        else:
            role, service = _role_of_profile(place, node), "ec2.amazonaws.com"
        if not found or role is None:
            return None
        return self._identity.service_credentials(role.arn, service, _any_node(place), node)


def _any_node(place: Place) -> str:
    return f"arn:aws:ssm:{place.region}:{place.account_id}:managed-instance/mi-0123456789abcdef0"


def _find_role(account_id: str, path: str) -> Role | None:
    """Return a role by its name, or by its path and name; None if there is none."""
    name = path.rpartition("/")[2]
    roles = iam_backends[account_id]["aws"].roles.values()
    return next((role for role in roles if role.name == name), None)


def _role_of_profile(place: Place, node: str) -> Role | None:
    """Return the role in the instance profile of an instance; None without one."""
    association = ec2_backends[place.account_id][place.region].iam_instance_profile_associations.get(node)
    roles: list[Role] = association.iam_instance_profile.roles if association else []
    return next(iter(roles), None)


def _uuid() -> str:
    text = secrets.token_hex(16)
    return "-".join([text[:8], text[8:12], text[12:16], text[16:20], text[20:]])
