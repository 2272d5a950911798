import json
from dataclasses import asdict, replace

import pytest

from aws_sandbox import SandboxAccount, SandboxError, SandboxOrganization, SeedData, default_organization


def organization(members: int) -> SandboxOrganization:
    ids = [str(100000000000 + number) for number in range(members + 1)]
    return SandboxOrganization(
        id="o-exampleorg1",
        management_account_id=ids[0],
        accounts=tuple(SandboxAccount(account_id, account_id, f"{account_id}@example.com", "") for account_id in ids),
        organizational_units=(),
        home_region="eu-west-1",
        regions=("eu-west-1",),
    )


def test_default_organization_is_what_the_demo_promises() -> None:
    default = default_organization()
    assert len(default.active_accounts) == 6
    assert [account.name for account in default.accounts if account.status == "SUSPENDED"] == ["Retired"]
    assert {"environment", "data", "team"} <= {key for account in default.accounts for key in account.tags}
    assert any("/" in account.ou for account in default.accounts)
    assert set(default.organizational_units) - {account.ou for account in default.accounts} >= {"Sandbox"}


def test_organization_survives_json() -> None:
    default = default_organization()
    assert SandboxOrganization.from_dict(json.loads(json.dumps(asdict(default)))) == default


def test_parents_of_units_come_first_even_when_left_out() -> None:
    nested = replace(organization(0), organizational_units=("A/B/C", "A/D", "A/B"))
    assert nested.unit_paths() == ("A", "A/B", "A/D", "A/B/C")


def test_unit_ids_are_stable_and_distinct() -> None:
    default = default_organization()
    ids = [default.unit_id(path) for path in default.unit_paths()]
    assert len(set(ids)) == len(ids)
    assert ids == [default_organization().unit_id(path) for path in default.unit_paths()]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"id": "o-short"}, "10 to 32"),
        ({"home_region": "us-east-1"}, "home region us-east-1"),
        ({"management_account_id": "999999999999"}, "management account 999999999999"),
        ({"accounts": organization(1).accounts * 2}, "listed 2 times"),
        ({"accounts": (*organization(0).accounts, SandboxAccount("12", "Short", "", ""))}, "account Short, '12'"),
        ({"accounts": (replace(organization(0).accounts[0], status="CLOSED"),)}, "is CLOSED"),
    ],
)
def test_contradictions_are_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(SandboxError, match=message):
        replace(organization(1), **change)  # type: ignore[arg-type]


@pytest.mark.parametrize("members", [0, 1, 2, 3, 9])
def test_seed_data_finds_accounts_in_any_organization(members: int) -> None:
    data = SeedData.of(organization(members))
    ids = {account.id for account in organization(members).members}
    assert {data.foreign_document, data.moved_default, data.legacy} <= ids | {None}
    assert (data.foreign_document is None) == (members < 1)
    assert (data.moved_default is None) == (members < 2)
    # One document cannot be both.
    assert data.foreign_document is None or data.foreign_document != data.moved_default


def test_seed_data_of_the_default_organization_is_spread() -> None:
    data = SeedData.of(default_organization())
    names = {account.id: account.name for account in default_organization().accounts}
    places = (data.legacy, data.foreign_document, data.moved_default)
    assert [names[str(place)] for place in places] == ["Legacy", "Webshop", "Payments"]
