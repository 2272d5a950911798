"""Read the managed nodes of a region, each with the role that it works with."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from botocore.exceptions import ClientError

from session_manager_fleet.preferences.nodes.demands import Demands
from session_manager_fleet.preferences.nodes.model import Node, NodeKind, Nodes
from session_manager_fleet.settings import TargetSettings
from session_manager_fleet.targets import Reader, Target, error_code, setting_arn

# https://docs.aws.amazon.com/systems-manager/latest/userguide/fleet-manager-default-host-management-configuration.html
_DEFAULT_ROLE: Final = "/ssm/managed-instance/default-ec2-instance-management-role"
_EC2 = "EC2Instance"
# A filter of EC2 takes 200 values.
_INSTANCES_PER_CALL = 200


def read_nodes(reader: Reader, target: Target) -> Nodes:
    """Read the managed nodes of a target's region.

    Systems Manager tells the role of hybrid nodes and of instances under its host management, and EC2 the instance
    profile of the others. The role of Default Host Management is that of every instance without one, now or later.

    Raises:
        botocore.exceptions.ClientError: AWS refuses a call.
    """
    return reader.once(("nodes", target.region), lambda: _read(reader, target))


def _read(reader: Reader, target: Target) -> Nodes:
    region = target.region
    default = _default_role(reader, target)
    activations = list(reader.pages("ssm", region, "describe_activations", "ActivationList"))
    roles = {each["ActivationId"]: _name(each.get("IamRole", "")) for each in activations}
    registered = registered_nodes(reader, region)
    instances = {each["InstanceId"]: each for each in managed_instances(reader, region)}
    nodes = []
    for each in registered:
        if each.get("ResourceType") != _EC2:
            role = _name(each.get("IamRole", "")) or roles.get(each.get("ActivationId", ""), "")
            nodes.append(Node(each["InstanceId"], NodeKind.HYBRID, role, each.get("AgentVersion", "")))
        # Systems Manager lists terminated instances for some days.
        elif (instance := instances.get(each["InstanceId"])) and instance["State"]["Name"] != "terminated":
            nodes.append(_instance(reader, target, each, instance, default))
    still_used = sorted(
        {roles[each["ActivationId"]] for each in activations if not each.get("Expired") and _has_room(each)}
    )
    return Nodes(tuple(nodes), default, tuple(filter(None, still_used)))


def registered_nodes(reader: Reader, region: str) -> list[Mapping[str, Any]]:
    """Return the nodes that are registered with Systems Manager in a region, as it describes them.

    Raises:
        botocore.exceptions.ClientError: AWS refuses the call.
    """
    wanted = ("ssm", region, "describe_instance_information", "InstanceInformationList")
    return reader.once(wanted, lambda: list(reader.pages(*wanted)))


def managed_instances(reader: Reader, region: str) -> list[Mapping[str, Any]]:
    """Return the registered EC2 instances of a region, as EC2 describes them.

    Raises:
        botocore.exceptions.ClientError: AWS refuses a call.
    """
    ids = [node["InstanceId"] for node in registered_nodes(reader, region) if node.get("ResourceType") == _EC2]
    return reader.once(("instances", region), lambda: list(_described(reader, region, ids)))


def _instance(
    reader: Reader, target: Target, registered: Mapping[str, Any], instance: Mapping[str, Any], default: str
) -> Node:
    """Return an instance with the role of host management, that of its profile, or the default one."""
    profile = instance.get("IamInstanceProfile")
    role, kind = _name(registered.get("IamRole", "")), NodeKind.DEFAULT_HOST_MANAGEMENT
    if not role and profile:
        role, kind = _role_of_profile(reader, target.home_region, profile["Arn"]), NodeKind.INSTANCE_PROFILE
    elif role and role != default and profile:
        kind = NodeKind.INSTANCE_PROFILE
    version = registered.get("AgentVersion", "")
    return Node(registered["InstanceId"], kind, role or ("" if profile else default), version, instance)


def _has_room(activation: Mapping[str, Any]) -> bool:
    """Tell whether more nodes can be registered with an activation."""
    return int(activation.get("RegistrationsCount", 0)) < int(activation.get("RegistrationLimit", 1))


def _described(reader: Reader, region: str, instances: Sequence[str]) -> Iterator[Mapping[str, Any]]:
    """Yield the descriptions of instances. A filter ignores terminated ones, while InstanceIds would fail on them."""
    for start in range(0, len(instances), _INSTANCES_PER_CALL):
        some = [{"Name": "instance-id", "Values": list(instances[start : start + _INSTANCES_PER_CALL])}]
        for reservation in reader.pages("ec2", region, "describe_instances", "Reservations", Filters=some):
            yield from reservation["Instances"]


def _default_role(reader: Reader, target: Target) -> str:
    """Return the name of the role of Default Host Management; empty if it is off or the region does not have it."""
    region = target.region
    found = reader.find("ssm", region, "get_service_setting", SettingId=setting_arn(target, _DEFAULT_ROLE)) or {}
    value = found.get("ServiceSetting", {}).get("SettingValue", "")
    return "" if value.startswith("$") else _name(value)


def _role_of_profile(reader: Reader, home: str, profile: str) -> str:
    """Return the name of the role in an instance profile; empty if it has none, or does not exist."""

    def read() -> str:
        found = reader.find("iam", home, "get_instance_profile", InstanceProfileName=_name(profile))
        return next((role["RoleName"] for role in found["InstanceProfile"]["Roles"]), "") if found else ""

    return reader.once(("profile", profile), read)


def read_role(reader: Reader, home: str, name: str) -> Mapping[str, Any] | None:
    """Return a role as GetRole does; None if it does not exist.

    Raises:
        botocore.exceptions.ClientError: AWS refuses the call.
    """

    def read() -> Mapping[str, Any] | None:
        found = reader.find("iam", home, "get_role", RoleName=name)
        return found["Role"] if found else None

    return reader.once(("role", name), read)


def read_demands(reader: Reader, target: Target, preferences: Mapping[str, Any], values: TargetSettings) -> Demands:
    """Return the demands of a document, with the aliases of a key that exists: policies may allow it by these.

    Raises:
        botocore.exceptions.ClientError: AWS refuses the call, for another reason than missing permissions.
    """
    key = str(preferences.get("kmsKeyId") or "")
    aliases = _aliases(reader, target, key) if f":{target.account.id}:key/" in key else ()
    return Demands.of(preferences, target, values, aliases)


def _aliases(reader: Reader, target: Target, key: str) -> tuple[str, ...]:
    def read() -> tuple[str, ...]:
        try:
            found = reader.pages("kms", target.region, "list_aliases", "Aliases", KeyId=key)
            return tuple(each["AliasName"] for each in found)
        except ClientError as error:
            if error_code(error) not in {"AccessDeniedException", "NotFoundException"}:
                raise
        return ()

    return reader.once(("aliases", key), read)


def _name(path: str) -> str:
    """Return the name of a role or profile, without a path or ARN in front."""
    return path.rpartition("/")[2]
