"""Open a session on a managed node of the emulated organization, as the SSM agent does.

From amazon-ssm-agent: `sessionplugin.go` (the key), and `shell.go` (what is checked before the shell, and uploaded
after it). What fails before the shell refuses the session; what fails after it loses the log, and the user learns
nothing of it.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import boto3
from botocore.exceptions import ClientError

from aws_sandbox.emulator import Sandbox
from aws_sandbox.model import SandboxError
from session_manager_fleet.demo.agent import upload_log

_DOCUMENT = "SSM-SessionManagerRunShell"
_SESSION = "demo-0123456789abcdef0"
_LOG = "$ whoami\nssm-user\n"
# https://docs.aws.amazon.com/systems-manager/latest/userguide/session-manager-prerequisites.html
_SESSIONS, _ENCRYPTED_SESSIONS = (2, 3, 68, 0), (2, 3, 539, 0)


class _RefusedError(Exception):
    """The session does not start."""


@dataclass(frozen=True)
class NodeSession:
    """A session on a node.

    Attributes:
        node: Id of the node.
        refusal: Why it did not start; empty if it did.
        logged: Where its log arrived.
        lost: Where it did not, and why.
    """

    node: str
    refusal: str = ""
    logged: tuple[str, ...] = ()
    lost: tuple[str, ...] = field(default=())

    @property
    def is_good(self) -> bool:
        """Whether the session started and is logged."""
        return not self.refusal and bool(self.logged) and not self.lost


def open_session(sandbox: Sandbox, account_id: str, region: str, node: str) -> NodeSession:
    """Open a session on a node, type a command, end it, and return what became of it."""
    caller = sandbox.session(account_id, region)
    try:
        agent = sandbox.node_session(account_id, region, node)
        inputs = _inputs(caller)
        network = _Network.of(caller, node)
        _start(caller, agent, inputs, network, node)
    except (_RefusedError, SandboxError) as error:
        return NodeSession(node, refusal=str(error))
    return _upload(agent, inputs, network, node)


def _inputs(caller: boto3.Session) -> Mapping[str, Any]:
    """Return the preferences that the service hands to the agent: the default version of the document."""
    try:
        content = caller.client("ssm").get_document(Name=_DOCUMENT)["Content"]
    except ClientError as error:
        if error.response["Error"]["Code"] != "InvalidDocument":
            raise
        return {}
    inputs: Mapping[str, Any] = json.loads(content)["inputs"]
    return inputs


def _start(
    caller: boto3.Session, agent: boto3.Session, inputs: Mapping[str, Any], network: "_Network", node: str
) -> None:
    """Do what the agent does before the shell.

    Raises:
        _RefusedError: The session does not start.
    """
    network.demand("ssm", "ssmmessages")
    pages = caller.client("ssm").get_paginator("describe_instance_information").paginate()
    nodes = {each["InstanceId"]: each for page in pages for each in page["InstanceInformationList"]}
    if node not in nodes:
        raise _RefusedError(f"{node} is not connected")
    key, version = inputs.get("kmsKeyId"), tuple(map(int, nodes[node]["AgentVersion"].split(".")))
    if version < (_ENCRYPTED_SESSIONS if key else _SESSIONS):
        raise _RefusedError(f"the agent is too old: {nodes[node]['AgentVersion']}")
    if key:
        network.demand("kms")
        context = {"aws:ssm:SessionId": _SESSION, "aws:ssm:TargetId": node}
        data_key = caller.client("kms").generate_data_key(KeyId=key, NumberOfBytes=64, EncryptionContext=context)
        kms = agent.client("kms")
        _refused(lambda: kms.decrypt(CiphertextBlob=data_key["CiphertextBlob"], EncryptionContext=context))
    if inputs.get("cloudWatchEncryptionEnabled") is True and inputs.get("cloudWatchLogGroupName"):
        network.demand("logs")
        group = _refused(lambda: _log_group(agent, inputs["cloudWatchLogGroupName"]))
        if not group.get("kmsKeyId"):
            raise _RefusedError("encryption is not set up on the selected CloudWatch Logs log group")
    if inputs.get("s3EncryptionEnabled") is True and inputs.get("s3BucketName"):
        network.demand("s3")
        s3 = agent.client("s3")
        _refused(lambda: s3.get_bucket_encryption(Bucket=inputs["s3BucketName"]))


def _log_group(agent: boto3.Session, name: str) -> Mapping[str, Any]:
    pages = agent.client("logs").get_paginator("describe_log_groups").paginate(logGroupNamePrefix=name)
    return next((group for page in pages for group in page["logGroups"] if group["logGroupName"] == name), {})


def _refused(call: Callable[[], Any]) -> Any:  # noqa: ANN401 - of any call
    try:
        return call()
    except ClientError as error:
        raise _RefusedError(str(error)) from error


def _upload(agent: boto3.Session, inputs: Mapping[str, Any], network: "_Network", node: str) -> NodeSession:
    logged, lost = [], []
    bucket, group = inputs.get("s3BucketName"), inputs.get("cloudWatchLogGroupName")
    uploads: dict[str, tuple[str, Callable[[], object]]] = {}
    if bucket:
        key = "/".join(filter(None, [inputs.get("s3KeyPrefix"), f"{_SESSION}-{node}.log"]))
        uploads[f"S3 {bucket}"] = ("s3", lambda: upload_log(agent, bucket, key, _LOG))
    if group:
        uploads[f"CloudWatch {group}"] = ("logs", lambda: _put_events(agent, group, f"{_SESSION}-{node}"))
    for destination, (service, upload) in uploads.items():
        try:
            network.demand(service)
            upload()
        except (_RefusedError, ClientError) as error:
            lost.append(f"{destination}: {error}")
        else:
            logged.append(destination)
    return NodeSession(node, logged=tuple(logged), lost=tuple(lost))


def _put_events(agent: boto3.Session, group: str, stream: str) -> None:
    logs = agent.client("logs")
    if not logs.describe_log_streams(logGroupName=group, logStreamNamePrefix=stream)["logStreams"]:
        logs.create_log_stream(logGroupName=group, logStreamName=stream)
    logs.put_log_events(
        logGroupName=group, logStreamName=stream, logEvents=[{"timestamp": 1_790_000_000_000, "message": _LOG}]
    )


@dataclass(frozen=True)
class _Network:
    """Reach of the network of a node: everything, or the services of the endpoints in its VPC."""

    everything: bool
    services: frozenset[str] = frozenset()

    @classmethod
    def of(cls, caller: boto3.Session, node: str) -> "_Network":
        """Return the network of a node; one outside EC2 has a way of its own."""
        if node.startswith("mi-"):
            return cls(everything=True)
        ec2 = caller.client("ec2")
        instance: Any = ec2.describe_instances(InstanceIds=[node])["Reservations"][0]["Instances"][0]
        here: Any = [{"Name": "vpc-id", "Values": [instance["VpcId"]]}]
        tables = ec2.describe_route_tables(Filters=here)["RouteTables"]
        if any(route.get("DestinationCidrBlock") == "0.0.0.0/0" for table in tables for route in table["Routes"]):
            return cls(everything=True)
        endpoints = ec2.describe_vpc_endpoints(Filters=here)["VpcEndpoints"]
        open_ = [each["ServiceName"].rpartition(".")[2] for each in endpoints if each["State"].lower() == "available"]
        return cls(everything=False, services=frozenset(open_))

    def demand(self, *services: str) -> None:
        """Refuse what the node cannot reach.

        Raises:
            _RefusedError: There is no way to one of the services.
        """
        if missing := [service for service in services if not self.everything and service not in self.services]:
            raise _RefusedError(f"no way to {', '.join(missing)}")
