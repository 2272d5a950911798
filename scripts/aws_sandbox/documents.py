"""Versions of SSM documents, and documents that other accounts share.

moto does not support `$DEFAULT` and ListDocumentVersions, and after the deletion of the latest version it sorts the
remaining version numbers as text (9 after 10). It neither lists nor shows documents of other accounts.
"""

from __future__ import annotations

from typing import Any

from moto.ssm import models
from moto.ssm.models import Document, Documents, ssm_backends

from aws_sandbox.call import AwsError, Call
from aws_sandbox.pages import page

# https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_ListDocumentVersions.html
_PAGE_SIZE = 50


class VersionedDocuments(Documents):
    """moto's versions of a document."""

    def find(
        self, document_version: str | None = None, version_name: str | None = None, strict: bool = True
    ) -> Document:
        """Return a version; by default the default version."""
        return super().find(None if document_version == "$DEFAULT" else document_version, version_name, strict)

    def delete(self, *versions: str) -> None:
        """Delete versions."""
        super().delete(*versions)
        if self.versions:
            self.latest_version = max(self.versions, key=int)


def install() -> None:
    """Replace moto's class for document versions."""
    models.Documents = VersionedDocuments  # type: ignore[misc]


def list_document_versions(call: Call) -> dict[str, Any]:
    """Answer ListDocumentVersions, newest first."""
    documents = ssm_backends[call.account_id][call.region]._get_documents(call.parameters["Name"])  # noqa: SLF001
    newest_first = sorted(documents.versions.values(), key=lambda each: int(each.document_version), reverse=True)
    entries = [
        {
            "Name": each.name,
            "DocumentVersion": each.document_version,
            "VersionName": each.version_name,
            "CreatedDate": each.created_date,
            "IsDefaultVersion": each.document_version == documents.default_version,
            "DocumentFormat": each.document_format,
            "Status": each.status,
        }
        for each in newest_first
    ]
    size = int(call.parameters.get("MaxResults") or _PAGE_SIZE)
    return page("DocumentVersions", entries, call.parameters.get("NextToken"), size)


def list_documents(call: Call) -> dict[str, Any]:
    """Answer ListDocuments: those of the account, or with the owner `Private` those shared with it, by their ARNs.

    Emulated accounts have no documents of AWS; public ones are not listed.
    """
    filters = {each["Key"]: each["Values"] for each in call.parameters.get("Filters") or ()}
    (owner,) = filters.get("Owner") or ("Self",)
    found = []
    for account_id, regions in ssm_backends.items():
        for name, documents in sorted(regions[call.region]._documents.items()):  # noqa: SLF001
            own, shared = account_id == call.account_id, call.account_id in documents.permissions
            if not (own if owner == "Self" else shared and not own and owner == "Private"):
                continue
            each = documents.get_default_version()
            if each.document_type not in filters.get("DocumentType", [each.document_type]):
                continue
            if not any(name.startswith(prefix) for prefix in filters.get("Name", [""])):
                continue
            entry = each.list_describe(tags=regions[call.region]._get_documents_tags(name))  # noqa: SLF001
            found.append(entry if own else {**entry, "Name": _arn(account_id, call.region, name)})
    size = int(call.parameters.get("MaxResults") or _PAGE_SIZE)
    return page("DocumentIdentifiers", found, call.parameters.get("NextToken"), size)


def get_document(call: Call) -> dict[str, Any]:
    """Answer GetDocument; a shared document is asked for by its ARN.

    Raises:
        AwsError: The document does not exist, or is not shared with the account.
    """
    asked = call.parameters
    owner, name = call.account_id, asked["Name"]
    if name.startswith("arn:"):
        owner, name = name.split(":")[4], name.rpartition("/")[2]
    backend = ssm_backends[owner][call.region]
    if owner != call.account_id:
        documents = backend._documents.get(name)  # noqa: SLF001
        if documents is None or not {"all", call.account_id} & set(documents.permissions):
            raise AwsError("InvalidDocument", f"Document with name {name} does not exist.")
    version, label = asked.get("DocumentVersion"), asked.get("VersionName")
    found = backend.get_document(name, version, label, asked.get("DocumentFormat") or "JSON")  # type: ignore[arg-type]
    return {**found, "Name": asked["Name"]}


def _arn(account_id: str, region: str, name: str) -> str:
    return f"arn:aws:ssm:{region}:{account_id}:document/{name}"
