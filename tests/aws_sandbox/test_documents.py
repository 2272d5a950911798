from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING

import boto3
import pytest
from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from mypy_boto3_ssm import SSMClient

NAME = "Versions"


def content(number: int) -> str:
    inputs = {"idleSessionTimeout": str(number)}
    return json.dumps({"schemaVersion": "1.0", "sessionType": "Standard_Stream", "inputs": inputs})


@pytest.fixture
def ssm(member: boto3.Session) -> Iterator[SSMClient]:
    client = member.client("ssm")
    client.create_document(Name=NAME, DocumentType="Session", Content=content(1))
    yield client
    client.delete_document(Name=NAME)


def update(ssm: SSMClient, number: int) -> None:
    ssm.update_document(Name=NAME, Content=content(number), DocumentVersion="$LATEST")


def test_default_and_latest(ssm: SSMClient) -> None:
    update(ssm, 2)
    for version, number in (("$DEFAULT", 1), ("$LATEST", 2), ("1", 1)):
        assert ssm.get_document(Name=NAME, DocumentVersion=version)["Content"] == content(number)
        described = ssm.describe_document(Name=NAME, DocumentVersion=version)["Document"]
        assert described["DocumentVersion"] == str(number)
        assert (described["DefaultVersion"], described["LatestVersion"]) == ("1", "2")
    assert ssm.get_document(Name=NAME)["Content"] == content(1)
    with pytest.raises(ClientError, match="failed to satisfy constraint"):
        ssm.update_document_default_version(Name=NAME, DocumentVersion="$LATEST")


def test_versions_are_numbers(ssm: SSMClient) -> None:
    for number in range(2, 12):
        update(ssm, number)
    ssm.delete_document(Name=NAME, DocumentVersion="11")
    assert ssm.describe_document(Name=NAME)["Document"]["LatestVersion"] == "10"


def test_listing_pages(ssm: SSMClient) -> None:
    for number in range(2, 8):
        update(ssm, number)
    ssm.update_document_default_version(Name=NAME, DocumentVersion="3")
    first = ssm.list_document_versions(Name=NAME, MaxResults=5)
    second = ssm.list_document_versions(Name=NAME, MaxResults=5, NextToken=first["NextToken"])
    assert "NextToken" not in second
    versions = [*first["DocumentVersions"], *second["DocumentVersions"]]
    assert [version["DocumentVersion"] for version in versions] == ["7", "6", "5", "4", "3", "2", "1"]
    assert [version["DocumentVersion"] for version in versions if version["IsDefaultVersion"]] == ["3"]
    assert versions[0]["CreatedDate"]
    with pytest.raises(ssm.exceptions.InvalidDocument):
        ssm.list_document_versions(Name="Missing")


@pytest.mark.parametrize("accounts", [["all"], ["111122223333", "444455556666"]])
def test_sharing(ssm: SSMClient, accounts: list[str]) -> None:
    def shared_with() -> list[str]:
        return ssm.describe_document_permission(Name=NAME, PermissionType="Share")["AccountIds"]

    assert shared_with() == []
    ssm.modify_document_permission(Name=NAME, PermissionType="Share", AccountIdsToAdd=accounts)
    assert sorted(shared_with()) == accounts
    with pytest.raises(ssm.exceptions.InvalidDocumentOperation):
        ssm.delete_document(Name=NAME)
    ssm.modify_document_permission(Name=NAME, PermissionType="Share", AccountIdsToRemove=accounts)
    assert shared_with() == []
