"""Check the Session documents beside the preferences: whether sessions with them are logged as the organization wants.

The service takes the logging of a session from the document with which it starts, and from no other.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from session_manager_fleet.accounts import MANAGEMENT
from session_manager_fleet.aws import partitions
from session_manager_fleet.preferences import expected_preferences
from session_manager_fleet.settings import Guardrails, TargetSettings
from session_manager_fleet.targets import Target
from session_manager_fleet.terraform import permissions
from session_manager_fleet.verify.checks import Place, TargetCheck
from session_manager_fleet.verify.model import Check, CheckInfo, Problem, Severity, findings, not_needed, ok
from session_manager_fleet.verify.reading import Reader
from session_manager_fleet.verify.sessions import Kind, of_content

_NAME = "session_documents"
_SESSION = {"Key": "DocumentType", "Values": ["Session"]}
# As many documents as a message names.
_NAMED_DOCUMENTS = 20


@dataclass(frozen=True)
class SessionDocument:
    """A document of the type Session.

    Attributes:
        name: Its name, without account.
        owner: Account that owns it.
        kind: Kind of its sessions.
        inputs: Where it logs and more, as the preferences.
        arn: Its ARN if another account shares it; empty for one of the account's own.
    """

    name: str
    owner: str
    kind: Kind
    inputs: Mapping[str, Any]
    arn: str = ""

    def __str__(self) -> str:
        return f"{self.name} of {self.owner}" if self.arn else self.name

    @property
    def destinations(self) -> str:
        """Where it logs, in words."""
        bucket, prefix = self.inputs.get("s3BucketName"), self.inputs.get("s3KeyPrefix")
        places = ["/".join(filter(None, [bucket, prefix])) if bucket else "", self.inputs.get("cloudWatchLogGroupName")]
        return " and ".join(filter(None, places)) or "nowhere"


def session_documents(
    reader: Reader, target: Target, values: TargetSettings, guardrails: Guardrails | None = None
) -> Check:
    """Check every Session document of the account and those shared with it; AWS's own are named.

    Args:
        reader: In the account.
        target: The target.
        values: Its settings.
        guardrails: The service control policy of the organization, or None.
    """
    expected = expected_preferences(target, values, None)["preferences"]
    if not (expected["s3BucketName"] or expected["cloudWatchLogGroupName"]):
        return not_needed(_NAME, "The settings log sessions nowhere.")
    documents = list(read_documents(reader, target, values.names.document))
    denied = denied_documents(documents, guardrails, target)
    problems = [
        Problem(f"{each} {problem}", _fix(reader, target, each))
        for each in documents
        if each not in denied and (problem := judge_document(each, expected))
    ]
    note = _of_aws(guardrails, target)
    if denied:
        note = f" The guardrails deny sessions with {_listed([str(each) for each in denied])}.{note}"
    if problems:
        found = findings(_NAME, "Session documents go around the logging of the organization", problems)
        return Check(found.name, found.verdict, f"{found.message}{note}", found.fix, command=found.command)
    logged = [f"{each} logs to {each.destinations}" for each in documents if each not in denied]
    return ok(_NAME, (f"{_listed(logged)}." if logged else "No other Session document can be used.") + note)


def read_documents(reader: Reader, target: Target, preferences: str) -> Iterator[SessionDocument]:
    """Yield the Session documents that the account owns, but its preferences, and those that others share with it."""
    for owner in ("Self", "Private"):
        filters = [_SESSION, {"Key": "Owner", "Values": [owner]}]
        for each in reader.pages("ssm", target.region, "list_documents", "DocumentIdentifiers", Filters=filters):
            name = each["Name"]
            if owner == "Self" and name == preferences:
                continue
            if owner == "Private" and not name.startswith("arn:"):
                name = f"arn:{partitions()[target.region]}:ssm:{target.region}:{each['Owner']}:document/{name}"
            answer = reader.call("ssm", target.region, "get_document", Name=name, DocumentFormat="JSON")
            content = json.loads(answer["Content"])
            shared = owner == "Private"
            yield SessionDocument(
                name.rpartition("/")[2],
                each.get("Owner", target.account.id),
                of_content(content).kind,
                content.get("inputs") or {},
                name if shared else "",
            )


def judge_document(document: SessionDocument, expected: Mapping[str, Any]) -> str:
    """Return how sessions with a document go around the expected logging, or an empty text.

    Args:
        document: The document.
        expected: The preferences of the target, by the names of the document's inputs.
    """
    if document.kind in {Kind.PORT, Kind.SSH}:
        what = "forwards a port" if document.kind is Kind.PORT else "is for SSH and other protocols of the client"
        return f"{what}, and nothing that goes through is logged"
    inputs = document.inputs
    names = ("s3BucketName", "s3KeyPrefix", "cloudWatchLogGroupName")
    if any("{{" in str(inputs.get(name, "")) for name in names):
        return "lets the user who starts a session choose where it is logged"
    missing = []
    bucket, prefix = expected["s3BucketName"], expected["s3KeyPrefix"]
    if bucket and not (inputs.get("s3BucketName") == bucket and _is_below(inputs.get("s3KeyPrefix") or "", prefix)):
        missing.append(f"{bucket}/{prefix}")
    group = expected["cloudWatchLogGroupName"]
    if group and inputs.get("cloudWatchLogGroupName") != group:
        missing.append(group)
    places = document.destinations
    here = places if places == "nowhere" else f"to {places}"
    return f"logs {here}, not to {' and '.join(missing)}" if missing else ""


def denied_documents(
    documents: Sequence[SessionDocument], guardrails: Guardrails | None, target: Target
) -> list[SessionDocument]:
    """Return the documents with which the guardrails let only exempt roles start sessions in this account."""
    if guardrails is None or not guardrails.deny.other_documents or not _surely_covers(guardrails, target):
        return []
    allowed = {*guardrails.other_session_documents, *guardrails.logged_session_documents}
    return [each for each in documents if each.arn or each.name not in allowed]


def _surely_covers(guardrails: Guardrails, target: Target) -> bool:
    """Tell whether the policy is attached to an account or to the root; it never binds the management account."""
    attached = any(each.startswith("r-") or each == target.account.id for each in guardrails.attach_to)
    return attached and target.account.role != MANAGEMENT


def _of_aws(guardrails: Guardrails | None, target: Target) -> str:
    """Return the sentence about AWS's own documents, which every account has."""
    names = {"AWS-StartSSHSession": "ssh", "AWS-StartPortForwardingSession*": "port_forwarding"}
    covered = guardrails is not None and _surely_covers(guardrails, target)
    open_ones = [
        name for name, switch in names.items() if not (covered and guardrails and getattr(guardrails.deny, switch))
    ]
    if not open_ones:
        return ""
    return f" AWS's own {' and '.join(open_ones)} log nothing, and no guardrails are known to deny them here."


def _fix(reader: Reader, target: Target, document: SessionDocument) -> str:
    """Return the advice for a document: let it log, or take it away."""
    region, account = target.region, target.account.id
    change = (
        "aws ssm modify-document-permission --region {} --name {} --permission-type Share --account-ids-to-remove {}"
    )
    if document.arn:
        command = change.format(region, document.name, account)
        return f"Let {document} log there, or let its owner share it no more, in account {document.owner}: {command}"
    answer = reader.call("ssm", region, "describe_document_permission", Name=document.name, PermissionType="Share")
    commands = [f"aws ssm delete-document --region {region} --name {document.name}"]
    if shared := answer.get("AccountIds"):
        commands.insert(0, change.format(region, document.name, " ".join(shared)))
    return f"Let {document} log there, or delete it: {' && '.join(commands)}"


def _is_below(prefix: str, expected: str) -> bool:
    return f"{prefix.strip('/')}/".startswith(f"{expected}/")


def _listed(names: Sequence[str]) -> str:
    rest = len(names) - _NAMED_DOCUMENTS
    return ", ".join(names[:_NAMED_DOCUMENTS]) + (f" and {rest} more" if rest > 0 else "")


class SessionDocuments(TargetCheck):
    """Check the Session documents beside the preferences."""

    info = CheckInfo(
        id=_NAME,
        severity=Severity.HIGH,
        what="every other [Session document](https://docs.aws.amazon.com/systems-manager/latest/userguide/"
        "session-manager-schema.html) that the account owns or that another shares with it logs to every destination "
        "of the preferences: the bucket below the prefix of the account and region, and the log group. Port "
        "forwarding and SSH are told apart (`properties.type`); neither is logged. Documents that the guardrails deny "
        "are named and no findings; AWS's own are named where no guardrails are known to deny them; what strangers "
        "share with everybody is not listed",
        why="A session is logged as its document says, so another document goes around the preferences.",
        fix="Let the document log, deny it with the guardrails, or delete it.",
        evidence="the Session documents of the account, and those shared with it",
        where="every target with a log destination",
        permissions=(
            permissions.SESSION_DOCUMENTS.allow("ssm:DescribeDocumentPermission", "ssm:GetDocument"),
            permissions.WITHOUT_RESOURCES.allow("ssm:ListDocuments"),
        ),
        controls=("NIST 800-53 AU-12", "NIST 800-53 AC-17"),
    )

    def run(self, place: Place) -> Check:
        """Judge every document."""
        section = place.inventory.settings.file.guardrails
        return session_documents(place.reader, place.target, place.values, section)
