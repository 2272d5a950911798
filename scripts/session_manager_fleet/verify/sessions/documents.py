"""Read session documents: what their sessions do, and where they are logged."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from session_manager_fleet.targets import Reader
from session_manager_fleet.verify.sessions.model import Kind

# https://docs.aws.amazon.com/systems-manager/latest/userguide/session-manager-working-with-sessions-start.html
_OF_AWS = {
    "AWS-StartSSHSession": Kind.SSH,
    "AWS-StartPortForwardingSession": Kind.PORT,
    "AWS-StartPortForwardingSessionToRemoteHost": Kind.PORT,
    "AWS-StartPortForwardingSessionToSocket": Kind.PORT,
}
_KINDS = {
    "Standard_Stream": Kind.SHELL,
    "InteractiveCommands": Kind.COMMAND,
    "NonInteractiveCommands": Kind.COMMAND,
}


@dataclass(frozen=True)
class Place:
    """A destination of session logs: a bucket with a prefix, or a log group."""

    bucket: str = ""
    prefix: str = ""
    group: str = ""

    def __str__(self) -> str:
        return f"s3://{self.bucket}/{self.prefix}" if self.bucket else f"the log group {self.group}"

    def key(self, rest: str) -> str:
        """Return a key below the prefix."""
        return f"{self.prefix}/{rest}" if self.prefix else rest


@dataclass(frozen=True)
class Document:
    """A session document.

    Attributes:
        kind: What its sessions do.
        places: Where they are logged.
        exists: Whether it exists now.
    """

    kind: Kind
    places: tuple[Place, ...] = ()
    exists: bool = True


def read_document(reader: Reader, region: str, name: str) -> Document:
    """Return a document, which several sessions read once."""

    def read() -> Document:
        if name in _OF_AWS:
            return Document(_OF_AWS[name])
        found = reader.find("ssm", region, "get_document", Name=name, DocumentFormat="JSON")
        return Document(Kind.UNKNOWN, exists=False) if found is None else of_content(json.loads(found["Content"]))

    return reader.once(("session document", region, name), read)


def of_content(content: Mapping[str, Any]) -> Document:
    """Return what the content of a session document means.

    Of the two tunnels, only local port forwarding names a type (amazon-ssm-agent, agent/session/plugins/port/port.go).
    """
    session_type = content.get("sessionType", "")
    if session_type == "Port":
        local = content.get("properties", {}).get("type") == "LocalPortForwarding"
        return Document(Kind.PORT if local else Kind.SSH)
    return Document(_KINDS.get(session_type, Kind.UNKNOWN), places_of(content.get("inputs") or {}))


def places_of(inputs: Mapping[str, Any]) -> tuple[Place, ...]:
    """Return the destinations in the inputs of a document."""
    places = []
    if bucket := inputs.get("s3BucketName"):
        places.append(Place(bucket=bucket, prefix=str(inputs.get("s3KeyPrefix") or "").strip("/")))
    if group := inputs.get("cloudWatchLogGroupName"):
        places.append(Place(group=group))
    return tuple(places)
