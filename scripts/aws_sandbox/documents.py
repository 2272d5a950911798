"""Versions of SSM documents.

moto does not support `$DEFAULT` and ListDocumentVersions, and after the deletion of the latest version it sorts the
remaining version numbers as text (9 after 10).
"""

from __future__ import annotations

from typing import Any

from moto.ssm import models
from moto.ssm.models import Document, Documents, ssm_backends

from aws_sandbox.call import Call
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
