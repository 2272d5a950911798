"""Accounts from a file, from a Landing Zone Accelerator folder and from the Organizations API."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import boto3
import pytest
from moto import mock_aws

from fleet.errors import AccessError, InputError
from fleet.organization import (
    AUDIT,
    LOG_ARCHIVE,
    MANAGEMENT,
    Account,
    Organization,
    from_file,
    from_lza,
    from_organizations,
    lza_deployment_role,
)

if TYPE_CHECKING:
    from mypy_boto3_organizations import OrganizationsClient

Write = Callable[[str, str], Path]
REGION = "eu-west-1"


def problems_of(caught: pytest.ExceptionInfo[InputError], folder: Path) -> list[str]:
    return [str(problem).replace(f"{folder}/", "") for problem in caught.value.problems]


# --- An accounts file --------------------------------------------------------------------------------------------


def test_a_file_of_accounts(write: Write) -> None:
    path = write(
        "accounts.yaml",
        """\
        accounts:
          - {id: 444455556666, name: Logs, ou: Security/, role: log-archive}
          - id: "111122223333"
            name: Payments Prod
            email: payments@example.com
            ou: /Workloads/Prod/EU
            state: suspended
            tags: {data: restricted, "cost centre": "42"}
          - {id: 012345670123, name: Octal}
        """,
    )

    assert from_file(path) == Organization(
        id=None,
        accounts=(
            Account("012345670123", "Octal"),
            Account(
                "111122223333",
                "Payments Prod",
                email="payments@example.com",
                ou="Workloads/Prod/EU",
                state="SUSPENDED",
                tags={"data": "restricted", "cost centre": "42"},
            ),
            Account("444455556666", "Logs", ou="Security", role=LOG_ARCHIVE),
        ),
        organizational_units=("Security", "Workloads", "Workloads/Prod", "Workloads/Prod/EU"),
    )


@pytest.mark.parametrize(
    ("account", "problem"),
    [
        ("{name: a}", '2 (accounts[0].id): "" is not an account id: twelve digits are needed.'),
        ("{id: 1111, name: a}", '2 (accounts[0].id): "1111" is not an account id: twelve digits are needed.'),
        ("{id: 1111-2222-3333, name: a}", '2 (accounts[0].id): "1111-2222-3333" is not an account id'),
        ("{id: '111122223333 ', name: a}", '2 (accounts[0].id): "111122223333 " is not an account id'),
        ('{id: "\u0661\u0661\u0661\u0661222233334444", name: a}', "2 (accounts[0].id): "),
        ('{id: "11112222333\\n", name: a}', "2 (accounts[0].id): "),
        ("{id: [111122223333], name: a}", "2 (accounts[0].id): "),
        ("{id: 111122223333}", "2 (accounts[0].name): The account needs a name."),
        ("{id: 111122223333, name: ''}", "2 (accounts[0].name): The account needs a name."),
        ("{id: 111122223333, name: 5}", '2 (accounts[0].name): "name" must be a string.'),
        ("{id: 111122223333, name: a, email: [b]}", '2 (accounts[0].email): "email" must be a string.'),
        ("{id: 111122223333, name: a, ou: 7}", '2 (accounts[0].ou): "ou" must be a string.'),
        ("{id: 111122223333, name: a, ou: }", '2 (accounts[0].ou): "ou" must be a string.'),
        ("{id: 111122223333, name: a, state: true}", '2 (accounts[0].state): "state" must be a string.'),
        ("{id: 111122223333, name: a, state: ACTIVATED}", '2 (accounts[0].state): Unknown state "ACTIVATED"; use one'),
        ("{id: 111122223333, name: a, role: logs}", '2 (accounts[0].role): Unknown role "logs"; use one of management'),
        ("{id: 111122223333, name: a, role: []}", '2 (accounts[0].role): "role" must be a string.'),
        ("{id: 111122223333, name: a, tags: [b]}", "2 (accounts[0].tags): Tags are a mapping of strings to strings"),
        ("{id: 111122223333, name: a, tags: {b: 1}}", "2 (accounts[0].tags): Tags are a mapping of strings to strings"),
        (
            "{id: 111122223333, nme: a, name: a}",
            '2 (accounts[0].nme): Unknown key "nme" (did you mean "name"?).',
        ),
        ("111122223333", "2 (accounts[0]): An account is a mapping with at least id and name."),
        ("~", "2 (accounts[0]): An account is a mapping with at least id and name."),
    ],
)
def test_refused_accounts(write: Write, account: str, problem: str) -> None:
    path = write("accounts.yaml", f"accounts:\n  - {account}\n")

    with pytest.raises(InputError) as caught:
        from_file(path)

    assert any(line.startswith(f"accounts.yaml:{problem}") for line in problems_of(caught, path.parent))


def test_a_duplicate_account_names_both_lines(write: Write) -> None:
    path = write(
        "accounts.yaml",
        """\
        accounts:
          - {id: 111122223333, name: a}
          - {id: 444455556666, name: b}
          - {id: "111122223333", name: c}
        """,
    )

    with pytest.raises(InputError) as caught:
        from_file(path)

    assert problems_of(caught, path.parent) == [
        "accounts.yaml:4 (accounts[2].id): Account 111122223333 is listed twice, first on line 2."
    ]


def test_all_problems_of_a_file_are_told_at_once(write: Write) -> None:
    path = write("accounts.yaml", "accounts:\n  - {id: 1, name: a}\n  - {id: 2}\nother: 1\n")

    with pytest.raises(InputError) as caught:
        from_file(path)

    assert [problem.split(":")[1].split(" ")[0] for problem in problems_of(caught, path.parent)] == ["2", "3", "3", "4"]


@pytest.mark.parametrize("text", ["", "[]", "accounts:", "accounts: []", "accounts: {a: b}", "acounts: [{id: 1}]", "5"])
def test_a_file_without_accounts_is_refused(write: Write, text: str) -> None:
    with pytest.raises(InputError, match=r'accounts\.yaml:1: The file must hold a list "accounts"'):
        from_file(write("accounts.yaml", text))


# --- Landing Zone Accelerator ------------------------------------------------------------------------------------

ACCOUNTS_CONFIG = """\
mandatoryAccounts:
  - name: Management
    email: Management@example.com
    organizationalUnit: Root
  - name: LogArchive
    email: logs@example.com
    organizationalUnit: Security
  - name: Audit
    email: audit@example.com
    organizationalUnit: Security
workloadAccounts:
  - &web
    name: Web
    email: web@example.com
    organizationalUnit: Workloads/Prod/EU
  - name: Gov
    email: gov@example.com
    organizationalUnit: Workloads
    enableGovCloud: true
  - name: Closed
    email: closed@example.com
    organizationalUnit: Suspended/Old
  - {<<: *web, name: Management, email: other@example.com}
accountIds:
  - {email: management@example.com, accountId: "100000000001"}
  - {email: logs@example.com, accountId: "100000000002"}
  - {email: audit@example.com, accountId: 100000000003}
  - {email: WEB@example.com, accountId: "111122223333"}
  - {email: gov@example.com, accountId: "111122224444"}
  - {email: closed@example.com, accountId: "111122225555"}
  - {email: other@example.com, accountId: "012345670123"}
"""
ORGANIZATION_CONFIG = """\
enable: true
organizationalUnits:
  - name: Security
  - name: "Workloads/Prod/EU "
  - name: Workloads
  - name: Suspended
    ignore: true
  - name: Suspended/Old
  - name: Unused
"""
GLOBAL_CONFIG = """\
homeRegion: &HOME eu-west-1
enabledRegions:
  - *HOME
  - us-east-1
managementAccountAccessRole: AWSControlTowerExecution
"""


@pytest.fixture
def lza(tmp_path: Path) -> Callable[..., Path]:
    """Write a configuration folder; each file may be given with a replacement of some of its text."""

    def write(
        accounts: tuple[str, str] = ("", ""),
        organization: tuple[str, str] = ("", ""),
        global_: tuple[str, str] = ("", ""),
    ) -> Path:
        folder = tmp_path / "aws-accelerator-config"
        folder.mkdir()
        for name, text, (old, new) in (
            ("accounts", ACCOUNTS_CONFIG, accounts),
            ("organization", ORGANIZATION_CONFIG, organization),
            ("global", GLOBAL_CONFIG, global_),
        ):
            assert old in text
            path = folder / f"{name}-config.yaml"
            path.write_text(text.replace(old, new, 1) if old else text, encoding="utf-8")
        return folder

    return write


def test_a_folder_of_the_accelerator(lza: Callable[..., Path]) -> None:
    organization = from_lza(lza())

    assert [(account.id, account.name, account.ou, account.role) for account in organization.accounts] == [
        ("012345670123", "Management", "Workloads/Prod/EU", ""),
        ("100000000001", "Management", "Root", MANAGEMENT),
        ("100000000002", "LogArchive", "Security", LOG_ARCHIVE),
        ("100000000003", "Audit", "Security", AUDIT),
        ("111122223333", "Web", "Workloads/Prod/EU", ""),
        ("111122224444", "Gov", "Workloads", ""),
        ("111122225555", "Closed", "Suspended/Old", ""),
    ]
    assert organization.organizational_units == (
        "Security",
        "Suspended",
        "Suspended/Old",
        "Unused",
        "Workloads",
        "Workloads/Prod",
        "Workloads/Prod/EU",
    )
    assert (organization.id, organization.home_region, organization.regions) == (None, REGION, (REGION, "us-east-1"))


def test_accounts_below_an_ignored_unit_are_kept_and_marked(lza: Callable[..., Path]) -> None:
    marked = {account.name: account.skip_reason for account in from_lza(lza()).accounts if account.skip_reason}

    assert marked == {"Closed": "its organizational unit is ignored by Landing Zone Accelerator"}


def test_the_deployment_role_of_the_accelerator(lza: Callable[..., Path]) -> None:
    assert lza_deployment_role(lza()) == "AWSControlTowerExecution"


def test_a_folder_without_a_deployment_role(lza: Callable[..., Path]) -> None:
    folder = lza(global_=("managementAccountAccessRole: AWSControlTowerExecution", "other: x"))

    with pytest.raises(InputError, match="managementAccountAccessRole"):
        lza_deployment_role(folder)


@pytest.mark.parametrize(
    ("accounts", "problem"),
    [
        (
            ('  - {email: gov@example.com, accountId: "111122224444"}\n', ""),
            '16 (workloadAccounts[1]): "accountIds" has no id for "Gov" (gov@example.com); add it, or use accounts',
        ),
        (
            ('accountId: "111122224444"', "accountId: 11112222444"),
            '29 (accountIds[4]): The entry needs "accountId", as text.',
        ),
        (
            ('accountId: "111122224444"', 'accountId: "1111-2222-4444"'),
            '29 (accountIds[4].accountId): "1111-2222-4444" is not an account id: twelve digits are needed.',
        ),
        (
            ('accountId: "111122224444"', "accountId: 111122223333"),
            "29 (accountIds[4].accountId): Account 111122223333 is listed twice.",
        ),
        (
            ("{email: gov@example.com", "{email: Web@Example.com"),
            "29 (accountIds[4].email): The address Web@Example.com has two account ids.",
        ),
        (
            ("email: gov@example.com", "email: WEB@example.com"),
            "16 (workloadAccounts[1]): The address WEB@example.com is used by two accounts.",
        ),
        (
            ("organizationalUnit: Workloads\n", "organizationalUnit: Workload\n"),
            'The organizational unit "Workload" is not in organization-config.yaml (did you mean "Workloads"?).',
        ),
        (("name: Gov", "nme: Gov"), '16 (workloadAccounts[1]): The entry needs "name", as text.'),
        (
            ("name: Gov\n    email: gov@example.com", "other: Gov"),
            '16 (workloadAccounts[1]): The entry needs "name" and "email", as text.',
        ),
        (("workloadAccounts:\n", "workloadAccounts: [5]\nrest:\n"), "The entry needs"),
        (
            ("mandatoryAccounts:\n", "mandatoryAccounts: none\nrest:\n"),
            '1 (mandatoryAccounts): "mandatoryAccounts" must',
        ),
    ],
)
def test_refused_accelerator_accounts(lza: Callable[..., Path], accounts: tuple[str, str], problem: str) -> None:
    folder = lza(accounts=accounts)

    with pytest.raises(InputError) as caught:
        from_lza(folder)

    assert any(problem in line for line in problems_of(caught, folder))


def test_a_folder_without_ids_tells_every_account(lza: Callable[..., Path]) -> None:
    folder = lza(accounts=("accountIds:", "ids:"))

    with pytest.raises(InputError) as caught:
        from_lza(folder)

    told = problems_of(caught, folder)
    assert len(told) == 7
    assert all(line.startswith("accounts-config.yaml:") and '"accountIds" has no id for' in line for line in told)


@pytest.mark.parametrize(
    ("global_", "problem"),
    [
        (("homeRegion: &HOME eu-west-1", "home: &HOME eu-west-1"), 'The key "homeRegion" is missing.'),
        (("enabledRegions:\n", "regions:\n"), 'The key "enabledRegions" must be a list of regions.'),
        (("  - us-east-1", "  - {a: b}"), 'The key "enabledRegions" must be a list of regions.'),
    ],
)
def test_refused_accelerator_regions(lza: Callable[..., Path], global_: tuple[str, str], problem: str) -> None:
    with pytest.raises(InputError, match=problem):
        from_lza(lza(global_=global_))


@pytest.mark.parametrize("name", ["accounts", "organization", "global"])
@pytest.mark.parametrize("content", [None, "a: [", "[]", "", "x"])
def test_broken_and_missing_accelerator_files(lza: Callable[..., Path], name: str, content: str | None) -> None:
    folder = lza()
    path = folder / f"{name}-config.yaml"
    if content is None:
        path.unlink()
    else:
        path.write_text(content)

    with pytest.raises(InputError, match=rf"{name}-config\.yaml"):
        from_lza(folder)


def test_a_missing_accelerator_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="folder does not exist"):
        from_lza(tmp_path / "absent")


# --- Organizations API -------------------------------------------------------------------------------------------


@pytest.fixture
def api(credentials: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[OrganizationsClient]:  # noqa: ARG001
    monkeypatch.setenv("MOTO_ACCOUNT_ID", "100000000001")
    with mock_aws():
        client = boto3.client("organizations", region_name=REGION)
        client.create_organization(FeatureSet="ALL")
        yield client


def make_unit(api: OrganizationsClient, parent: str, name: str) -> str:
    return api.create_organizational_unit(ParentId=parent, Name=name)["OrganizationalUnit"]["Id"]


def make_account(api: OrganizationsClient, name: str, unit: str, **tags: str) -> str:
    created = api.create_account(
        AccountName=name,
        Email=f"{name}@example.com",
        Tags=[{"Key": key, "Value": value} for key, value in tags.items()],
    )
    account_id = created["CreateAccountStatus"]["AccountId"]
    root = api.list_roots()["Roots"][0]["Id"]
    if unit != root:
        api.move_account(AccountId=account_id, SourceParentId=root, DestinationParentId=unit)
    return account_id


@pytest.fixture
def root(api: OrganizationsClient) -> str:
    return api.list_roots()["Roots"][0]["Id"]


def discover(*, with_tags: bool = False) -> Organization:
    return from_organizations(boto3.Session(), REGION, with_tags=with_tags)


def test_the_organization_is_walked_with_all_its_units(api: OrganizationsClient, root: str) -> None:
    workloads = make_unit(api, root, "Workloads")
    prod = make_unit(api, workloads, "Prod")
    twin = make_unit(api, make_unit(api, root, "Sandbox"), "Prod")
    ids = {
        make_account(api, "direct", root): "Root",
        make_account(api, "workload", workloads): "Workloads",
        make_account(api, "prod", prod): "Workloads/Prod",
        make_account(api, "twin", twin): "Sandbox/Prod",
    }

    organization = discover()

    found = {account.id: account for account in organization.accounts}
    management = api.describe_organization()["Organization"]
    assert organization.id == management["Id"]
    assert {account.id: account.ou for account in organization.accounts} == {
        **ids,
        management["MasterAccountId"]: "Root",
    }
    assert organization.organizational_units == ("Sandbox", "Sandbox/Prod", "Workloads", "Workloads/Prod")
    assert [account.id for account in organization.accounts] == sorted(found)
    assert {account.role for account in organization.accounts if account.id in ids} == {""}
    assert found[management["MasterAccountId"]].role == MANAGEMENT
    assert found[next(iter(ids))].email == "direct@example.com"


def test_all_pages_are_read(api: OrganizationsClient, root: str) -> None:
    units = [make_unit(api, root, f"unit-{number:02}") for number in range(25)]
    accounts = {make_account(api, f"account-{number:02}", units[0]) for number in range(25)}

    organization = discover()

    assert len(organization.organizational_units) == 25
    assert {account.id for account in organization.accounts if account.ou == "unit-00"} == accounts


def test_a_closed_account_is_listed_with_its_state(api: OrganizationsClient, root: str) -> None:
    account_id = make_account(api, "closing", root)
    api.close_account(AccountId=account_id)

    [account] = [account for account in discover(with_tags=True).accounts if account.id == account_id]

    assert account.state != "ACTIVE"
    assert account.skip_reason


def test_tags_are_read_only_when_they_are_needed(api: OrganizationsClient, root: str) -> None:
    account_id = make_account(api, "tagged", root, data="restricted", env="prod")

    without, with_tags = (
        next(account for account in discover(with_tags=wanted).accounts if account.id == account_id)
        for wanted in (False, True)
    )

    assert without.tags == {}
    assert with_tags.tags == {"data": "restricted", "env": "prod"}


def test_the_state_of_an_account_comes_before_its_retired_status(
    api: OrganizationsClient, root: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = {
        "both": {"State": "SUSPENDED", "Status": "ACTIVE"},
        "old": {"Status": "SUSPENDED"},
        "new": {"State": "PENDING_CLOSURE"},
        "neither": {},
    }
    for name in answers:
        make_account(api, name, root)
    make_client = boto3.Session.client

    def answer(parsed: dict[str, list[dict[str, str]]], **_: object) -> None:
        for account in parsed["Accounts"]:
            account.pop("State", None)
            account.pop("Status", None)
            account.update(answers.get(account["Name"], {}))

    def client(session: boto3.Session, *arguments: str, **options: object) -> object:
        made = make_client(session, *arguments, **options)  # type: ignore[call-overload]
        made.meta.events.register("after-call.organizations.ListAccountsForParent", answer)
        return made

    monkeypatch.setattr(boto3.Session, "client", client)

    assert {account.name: account.state for account in discover().accounts if account.name in answers} == {
        "both": "SUSPENDED",
        "old": "SUSPENDED",
        "new": "PENDING_CLOSURE",
        "neither": "ACTIVE",
    }


@pytest.mark.usefixtures("credentials")
def test_an_account_without_an_organization_is_told_in_one_sentence() -> None:
    with mock_aws(), pytest.raises(AccessError, match=r"^Cannot describe the organization: AWSOrganizationsNotInUse"):
        discover()


def test_without_credentials_nothing_is_asked() -> None:
    with pytest.raises(AccessError, match=r"^Cannot describe the organization: no usable AWS credentials"):
        discover()
