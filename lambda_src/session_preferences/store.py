"""Read and write one SSM document: the API with its waiting and its limits, and no decisions."""

from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from .aws import Budget, Call, pages
from .errors import AwsError, UnreadableDocumentError, tolerated

_ABSENT = ("InvalidDocument", "InvalidDocumentVersion")
# A document may have 1,000 versions (Systems Manager quotas); numbers are never used again.
_NEAR_LIMIT = 900
_PRUNED_AT_ONCE = 25
_LOOKS = 5
_ACCOUNTS_PER_CALL = 20


@dataclass(frozen=True)
class Live:
    """The document in SSM: default and latest version, their texts, and who it is shared with ("all": the public)."""

    default_version: str
    latest_version: str
    default_text: str
    latest_text: str
    document_format: str
    shared_with: list[str]


class Store:
    """The document of one name in this account and region. Methods raise AwsError."""

    def __init__(self, call: Call, budget: Budget, name: str) -> None:
        self._aws = call
        self.budget = budget
        self.name = name

    def observe(self, document_format: str = "JSON") -> Live | None:
        """Return the live document, converted by SSM; raise UnreadableDocumentError for other document types."""
        # Between the calls the document may be deleted, or AWS answer from before a write: then look again.
        for attempt in range(_LOOKS):
            with tolerated(*_ABSENT):
                return self._look(document_format)
            self.budget.pause(attempt)
        return self._look(document_format)

    def _look(self, document_format: str) -> Live | None:
        found: dict[str, Any] = {}
        with tolerated(*_ABSENT):
            found = self._settled()
        if not found:
            return None
        if found["DocumentType"] != "Session":
            raise UnreadableDocumentError(
                f"{self.name} is of type {found['DocumentType']}, not Session. Use another name, or remove it."
            )
        default, latest = found["DefaultVersion"], found["LatestVersion"]
        text = self.read(default, document_format)
        return Live(
            default_version=default,
            latest_version=latest,
            default_text=text,
            latest_text=text if default == latest else self.read(latest, document_format),
            document_format=found["DocumentFormat"],
            shared_with=self._list("DescribeDocumentPermission", "AccountIds", PermissionType="Share"),
        )

    def read(self, version: str, document_format: str) -> str:
        """Return the text of one version."""
        return str(self._call("GetDocument", DocumentVersion=version, DocumentFormat=document_format)["Content"])

    def has(self, text: str, version: str, document_format: str) -> bool:
        """Return whether a version exists and has this text."""
        with tolerated(*_ABSENT):
            return self.read(version, document_format) == text
        return False

    def create(self, text: str, document_format: str) -> None:
        """Create the document."""
        self._activated(
            self._call("CreateDocument", Content=text, DocumentType="Session", DocumentFormat=document_format)
        )

    def update(self, text: str, document_format: str, after: str) -> None:
        """Write a version and make it the default; SSM refuses if `after` is no longer the latest version."""
        if int(after) >= _NEAR_LIMIT:
            with suppress(AwsError):  # there may be room enough; else the update itself fails, and says so
                self.prune(_NEAR_LIMIT)
        made = self._call("UpdateDocument", Content=text, DocumentFormat=document_format, DocumentVersion=after)
        self.promote(self._activated(made))

    def promote(self, version: str) -> None:
        """Make a version the default."""
        self._call("UpdateDocumentDefaultVersion", DocumentVersion=version)

    def return_to(self, text: str, document_format: str, latest: str) -> bool:
        """Make the version with this text default and latest, deleting those after it; return whether there is one."""
        for version in map(str, range(int(latest), 0, -1)):
            if self.has(text, version, document_format):
                self.roll_back(version, version, latest)
                return True
        return False

    def roll_back(self, default: str, latest: str, newest: str) -> None:
        """Make a version the default and delete those after `latest`, up to `newest`."""
        self.promote(default)
        for version in range(int(newest), int(latest), -1):
            self._delete(str(version))

    def prune(self, kept: int = 0) -> bool:
        """Delete some of the oldest versions beyond `kept`, never default or latest; return whether there were any.

        A version that cannot be deleted does not keep the others from being deleted.
        """
        listed = self._list("ListDocumentVersions", "DocumentVersions", MaxResults=50)
        listed.sort(key=lambda item: int(item["DocumentVersion"]))
        old = [item["DocumentVersion"] for item in listed[:-1] if not item["IsDefaultVersion"]]
        surplus = min(max(len(listed) - kept, 0), _PRUNED_AT_ONCE)
        refused: list[AwsError] = []
        for version in old[:surplus]:
            try:
                self._delete(version)
            except AwsError as error:
                refused.append(error)
        if refused and len(refused) == surplus:
            raise refused[0]
        return bool(old)

    def share(self, before: Collection[str], after: Collection[str]) -> None:
        """Share the document with the accounts of `after` instead of those of `before`."""
        for key, accounts in (
            ("AccountIdsToRemove", sorted(set(before) - set(after))),
            ("AccountIdsToAdd", sorted(set(after) - set(before))),
        ):
            for start in range(0, len(accounts), _ACCOUNTS_PER_CALL):
                some = {key: accounts[start : start + _ACCOUNTS_PER_CALL]}
                self._call("ModifyDocumentPermission", PermissionType="Share", **some)

    def delete(self) -> None:
        """Delete the document with all its versions, if it is there."""
        with tolerated(*_ABSENT):
            self._call("DeleteDocument")

    def _delete(self, version: str) -> None:
        with tolerated(*_ABSENT):
            self._call("DeleteDocument", DocumentVersion=version)

    def _call(self, operation: str, **arguments: object) -> dict[str, Any]:
        return self._aws("ssm", operation, Name=self.name, **arguments)

    def _list(self, operation: str, items: str, **arguments: object) -> list[Any]:
        return list(pages(self._call, items, "NextToken", operation, **arguments))

    def _settled(self, **version: object) -> dict[str, Any]:
        attempt = 0
        while True:
            found: dict[str, Any] = self._call("DescribeDocument", **version)["Document"]
            if found["Status"] not in {"Creating", "Updating", "Deleting"}:
                return found
            self.budget.pause(attempt)
            attempt += 1

    def _activated(self, made: dict[str, Any]) -> str:
        found = made["DocumentDescription"]
        version = str(found["DocumentVersion"])
        if found["Status"] != "Active":
            found = self._settled(DocumentVersion=version)
        if found["Status"] != "Active":
            reason = found.get("StatusInformation", "SSM gives no reason")
            raise AwsError("Failed", f"SSM could not activate version {version} of {self.name}: {reason}.")
        return version
