from collections.abc import Iterator
from dataclasses import replace

import boto3
import pytest
from botocore.exceptions import ClientError

from aws_sandbox import Sandbox, SandboxAccount, default_organization


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """More accounts and units than fit on a page; suspended ones, which get no seed data."""
    default = default_organization()
    retired = tuple(
        SandboxAccount(str(500000000000 + n), f"Retired{n}", f"r{n}@example.com", "Suspended", status="SUSPENDED")
        for n in range(45)
    )
    units = tuple(f"Sandbox/Team{n:02}" for n in range(23))
    organization = replace(
        default,
        accounts=(default.accounts[0], *retired),
        organizational_units=(*default.organizational_units, *units),
    )
    with Sandbox.start(organization, tmp_path_factory.mktemp("large")) as running:
        yield running


@pytest.fixture
def management(sandbox: Sandbox) -> boto3.Session:
    return sandbox.session(sandbox.organization.management_account_id, "eu-west-1")


def test_accounts_are_the_given_ones(sandbox: Sandbox, management: boto3.Session) -> None:
    organizations = management.client("organizations")
    described = organizations.describe_organization()["Organization"]
    assert described["Id"] == "o-sandbox1234"
    assert described["MasterAccountId"] == sandbox.organization.management_account_id
    listed = {account["Id"]: account for account in organizations.list_accounts()["Accounts"]}
    assert set(listed) == {account.id for account in sandbox.organization.accounts}
    for account in sandbox.organization.accounts:
        assert listed[account.id]["Name"] == account.name
        assert listed[account.id]["Email"] == account.email
        assert listed[account.id]["Status"] == listed[account.id]["State"] == account.status
        tags = organizations.list_tags_for_resource(ResourceId=account.id)["Tags"]
        assert {tag["Key"]: tag["Value"] for tag in tags} == account.tags


def paths_of_accounts(session: boto3.Session) -> dict[str, str]:
    """Walk down from the root, as clients do."""
    organizations = session.client("organizations")
    (root,) = organizations.list_roots()["Roots"]
    found: dict[str, str] = {}
    waiting = [(root["Id"], "")]
    while waiting:
        parent, path = waiting.pop()
        for page in organizations.get_paginator("list_accounts_for_parent").paginate(ParentId=parent):
            found |= {account["Id"]: path for account in page["Accounts"]}
        for units in organizations.get_paginator("list_organizational_units_for_parent").paginate(ParentId=parent):
            waiting += [(unit["Id"], f"{path}/{unit['Name']}".strip("/")) for unit in units["OrganizationalUnits"]]
    return found


def test_accounts_are_in_their_units(sandbox: Sandbox, management: boto3.Session) -> None:
    assert paths_of_accounts(management) == {account.id: account.ou for account in sandbox.organization.accounts}


def test_everything_comes_in_pages_of_twenty(large: Sandbox) -> None:
    session = large.session(large.organization.management_account_id, "eu-west-1")
    organizations = session.client("organizations")
    pages = list(organizations.get_paginator("list_accounts").paginate())
    assert [len(page["Accounts"]) for page in pages] == [20, 20, 6]
    listed = [account["Id"] for page in pages for account in page["Accounts"]]
    assert sorted(listed) == sorted(account.id for account in large.organization.accounts)

    suspended = large.organization.unit_id("Suspended")
    by_parent = list(organizations.get_paginator("list_accounts_for_parent").paginate(ParentId=suspended))
    assert [len(page["Accounts"]) for page in by_parent] == [20, 20, 5]
    children = list(organizations.get_paginator("list_children").paginate(ParentId=suspended, ChildType="ACCOUNT"))
    assert [len(page["Children"]) for page in children] == [20, 20, 5]
    assert len({child["Id"] for page in children for child in page["Children"]}) == 45

    sandbox_unit = large.organization.unit_id("Sandbox")
    units = list(organizations.get_paginator("list_organizational_units_for_parent").paginate(ParentId=sandbox_unit))
    assert [len(page["OrganizationalUnits"]) for page in units] == [20, 3]


def test_larger_pages_are_refused(management: boto3.Session) -> None:
    with pytest.raises(ClientError) as refused:
        management.client("organizations").list_accounts(MaxResults=21)
    assert refused.value.response["Error"]["Code"] == "InvalidInputException"


def test_member_accounts_may_not_list_the_organization(member: boto3.Session) -> None:
    organizations = member.client("organizations")
    assert organizations.describe_organization()["Organization"]["Id"] == "o-sandbox1234"
    with pytest.raises(ClientError) as refused:
        organizations.list_accounts()
    assert refused.value.response["Error"]["Code"] == "AccessDeniedException"
