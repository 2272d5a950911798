from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING

import boto3
import pytest
from botocore.exceptions import ClientError

from aws_sandbox import Sandbox

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


def test_a_shared_document_is_listed_and_read_by_its_arn(
    sandbox: Sandbox, member: boto3.Session, ssm: SSMClient
) -> None:
    account = member.client("sts").get_caller_identity()["Account"]
    other = sandbox.session(sandbox.organization.members[2].id, "eu-west-1")
    theirs, mine = other.client("ssm"), other.client("sts").get_caller_identity()["Account"]
    arn = f"arn:aws:ssm:eu-west-1:{account}:document/{NAME}"

    def listed(client: SSMClient, owner: str) -> list[tuple[str, str]]:
        filters = [{"Key": "DocumentType", "Values": ["Session"]}, {"Key": "Owner", "Values": [owner]}]
        pages = client.get_paginator("list_documents").paginate(Filters=filters)  # type: ignore[arg-type]
        return [(each["Name"], each["Owner"]) for page in pages for each in page["DocumentIdentifiers"]]

    assert (NAME, account) in listed(ssm, "Self")
    assert (arn, account) not in listed(theirs, "Private")
    with pytest.raises(theirs.exceptions.InvalidDocument):
        theirs.get_document(Name=arn)
    ssm.modify_document_permission(Name=NAME, PermissionType="Share", AccountIdsToAdd=[mine])
    assert (arn, account) in listed(theirs, "Private")
    assert theirs.get_document(Name=arn)["Content"] == content(1)
    assert listed(ssm, "Private") == []
    ssm.modify_document_permission(Name=NAME, PermissionType="Share", AccountIdsToRemove=[mine])
