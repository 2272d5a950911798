"""What a run needs: each thing that is missing is refused, all at once, before anything starts."""

from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
from moto import mock_aws

from session_manager_fleet.accounts.model import Account
from session_manager_fleet.errors import AccessError, ExitCode, FleetError, InputError
from session_manager_fleet.run import prerequisites
from session_manager_fleet.run.prerequisites import (
    Outcome,
    Prerequisite,
    RoleError,
    confirmed_organization,
    examine,
    is_tolerated,
    refuse_missing,
)
from session_manager_fleet.settings import Settings, Tolerance
from session_manager_fleet.targets import Inventory, Target
from session_manager_fleet.terraform import RootModule
from session_manager_fleet.terraform.provider_search import ProviderSource

HOME = "eu-west-1"
Source = Callable[[ProviderSource], None]


@pytest.fixture
def source(monkeypatch: pytest.MonkeyPatch) -> Source:
    """Let the search for the provider end with this."""

    def find(found: ProviderSource) -> None:
        monkeypatch.setattr(prerequisites, "provider_source", lambda _: found)

    find(ProviderSource("registry.terraform.io"))
    return find


def check(tmp_path: Path, name: str, environment: dict[str, str] | None = None) -> Outcome:
    """Check one prerequisite of a machine with `runs` in a folder that does not exist."""
    needed = prerequisites.of_machine(environment or {}, tmp_path / "no" / "runs")
    (outcome,) = examine(one for one in needed if one.name == name)
    return outcome


@pytest.mark.parametrize(("unpacked", "needed"), [(True, 256), (False, 256 + 800)])
def test_a_full_disk(
    tmp_path: Path, source: Source, monkeypatch: pytest.MonkeyPatch, unpacked: bool, needed: int
) -> None:
    source(ProviderSource("somewhere", is_unpacked=unpacked))

    def with_free(mebibytes: int) -> Outcome:
        monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=mebibytes * 1024**2))
        return check(tmp_path, "disk")

    full = with_free(needed - 1)
    assert isinstance(full.error, InputError)
    assert f"{tmp_path} has {needed - 1} MiB free and the run needs up to {needed} MiB" in str(full.error)
    assert with_free(needed).error is None


@pytest.mark.parametrize(
    ("name", "message"),
    [("x" * 120, "has .* characters; Terraform's providers need"), ("absent", "is no folder: unset TMPDIR")],
)
@pytest.mark.usefixtures("source")
def test_a_temporary_folder_that_cannot_serve(tmp_path: Path, name: str, message: str) -> None:
    folder = tmp_path / name
    if name != "absent":
        folder.mkdir()

    assert check(tmp_path, "temporary_folder", {"TMPDIR": "/tmp"}).error is None  # noqa: S108 - the cure
    with pytest.raises(InputError, match=message):
        refuse_missing([check(tmp_path, "temporary_folder", {"TMPDIR": str(folder)})])


def test_a_provider_that_cannot_be_installed(tmp_path: Path, source: Source) -> None:
    assert check(tmp_path, "provider").found == "hashicorp/aws: registry.terraform.io"
    source(ProviderSource("not found", problem="Terraform cannot install it."))

    assert str(check(tmp_path, "provider").error) == "Terraform cannot install it."


@pytest.mark.usefixtures("source")
def test_a_cluster_needs_no_provider_here(tmp_path: Path) -> None:
    names = [one.name for one in prerequisites.of_machine({}, tmp_path, runs_terraform=False)]

    assert names == ["python", "terraform", "root_module", "disk"]


def test_all_accounts_without_the_role_are_named_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    accounts = [Account(f"{number:012}", f"Account {number}") for number in range(1, 31)]
    lacking = {account.id for account in accounts[5:30]}

    def session(account: Account, *_: object) -> None:
        if account.id in lacking:
            code = "AccessDenied" if account.id != f"{6:012}" else "ExpiredToken"
            raise AccessError(f"Cannot assume arn:aws:iam::{account.id}:role/Rollout: {code}.")

    monkeypatch.setattr(prerequisites, "account_session", session)
    role = SimpleNamespace(name="Rollout", is_assumed_in=lambda _: True)
    settings = SimpleNamespace(organization=SimpleNamespace(roles=SimpleNamespace(read=None, reader=role)))
    inventory = cast(Inventory, SimpleNamespace(settings=settings, home_region="eu-west-1"))
    targets = [Target(account, "eu-west-1", "eu-west-1", "canary") for account in accounts]
    (needed,) = (one for one in prerequisites.of_organization(inventory, targets) if one.name == "role")

    (refused,) = examine([needed])
    lacking.remove(f"{6:012}")
    lacking.difference_update(f"{number:012}" for number in range(9, 31))
    (two,) = examine([needed])
    lacking.clear()
    (fine,) = examine([needed])

    lines = str(refused.error).splitlines()
    assert lines[0] == "Cannot assume arn:aws:iam::000000000006:role/Rollout: ExpiredToken."
    assert lines[1].startswith("Cannot assume arn:aws:iam::ACCOUNT:role/Rollout: AccessDenied. In 24 of 30 accounts: ")
    assert "000000000007 Account 7, " in lines[1]
    assert "000000000026 Account 26 and 4 more. Create the role" in lines[1]
    assert isinstance(two.error, RoleError)
    assert two.error.next_options == ("--exclude", "000000000007", "--exclude", "000000000008")
    assert fine.found == "Rollout can be assumed in 30 accounts"


@pytest.mark.parametrize(
    ("lacking", "waves", "in_all", "expected"),
    [
        (1, {}, None, True),  # a plan
        (4, {}, None, False),  # no account can be entered
        (1, {}, Tolerance(0), False),
        (1, {}, Tolerance(1), True),
        (1, {"canary": Tolerance(0)}, None, False),
        (1, {"canary": Tolerance(50, percent=True)}, None, True),
        (3, {"canary": Tolerance(2), "rest": Tolerance(0)}, None, False),
    ],
)
def test_a_run_goes_on_without_as_many_accounts_as_it_tolerates(
    lacking: int, waves: dict[str, Tolerance], in_all: Tolerance | None, expected: bool
) -> None:
    accounts = [Account(f"{number:012}", f"Account {number}") for number in range(4)]
    targets = [
        Target(account, "eu-west-1", "eu-west-1", "canary" if number < 2 else "rest")
        for number, account in enumerate(accounts)
    ]
    error = RoleError("No way in.", [account.id for account in accounts[:lacking]])

    assert is_tolerated(error, targets, waves, in_all) is expected


def _fails(error: FleetError) -> Callable[[], str]:
    def check() -> str:
        raise error

    return check


def test_what_needs_something_missing_is_not_checked() -> None:
    wrong = AccessError("no credentials")
    needed = [
        Prerequisite("credentials", _fails(wrong)),
        Prerequisite("state_bucket", lambda: "there", after="credentials"),
        Prerequisite("disk", lambda: "enough"),
    ]

    assert examine(needed) == [Outcome("credentials", error=wrong), Outcome("disk", "enough")]


def test_all_that_is_missing_is_refused_at_once() -> None:
    first, second, third = InputError("no terraform"), AccessError("no role"), AccessError("no bucket")

    refuse_missing([Outcome("disk", "enough")])
    with pytest.raises(AccessError, match=r"^no role$"):
        refuse_missing([Outcome("role", error=second)])
    with pytest.raises(AccessError, match=r"^no role\nno bucket$"):
        refuse_missing([Outcome("role", error=second)], third)
    with pytest.raises(InputError, match=r"^no terraform\nno role$") as caught:
        refuse_missing([Outcome("terraform", error=first), Outcome("role", error=second)])
    assert caught.value.exit_code is ExitCode.INVALID_INPUT


# --- The root module ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        "evil.tf.json",
        "evil.auto.tfvars",
        "evil.auto.tfvars.json",
        "terraform.tfvars",
        "terraform.tfvars.json",
        "x.tofu",
    ],
)
def test_a_file_that_terraform_reads_unasked_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "main.tf").touch()
    (tmp_path / "other.tfvars").touch()
    assert prerequisites._root_module(RootModule(tmp_path)) == str(tmp_path)
    (tmp_path / name).touch()

    with pytest.raises(InputError, match="without a word in settings and reviews") as refused:
        prerequisites._root_module(RootModule(tmp_path))

    assert str(tmp_path / name) in str(refused.value)


# --- The organization of the credentials -------------------------------------------------------------------------


@pytest.fixture
def aws(credentials: None) -> Iterator[None]:  # noqa: ARG001 - for the clients
    with mock_aws():
        yield


def inventory_of(make_settings: Callable[[str], Settings], state: str = "") -> Inventory:
    settings = make_settings("")
    named = settings.organization.state.model_copy(update={"bucket": state or None})
    organization = settings.organization.model_copy(update={"state": named})
    changed = SimpleNamespace(organization=organization, document=settings.document)
    return cast("Inventory", SimpleNamespace(settings=changed, home_region=HOME))


@pytest.mark.usefixtures("aws")
def test_credentials_of_this_organization_are_confirmed(
    make_settings: Callable[[str], Settings], create_organization: Callable[[str], None]
) -> None:
    create_organization("o-exampleorgid")

    assert confirmed_organization(inventory_of(make_settings)) == "organization o-exampleorgid"


@pytest.mark.usefixtures("aws")
def test_credentials_of_another_organization_are_refused_whatever_lists_the_accounts(
    make_settings: Callable[[str], Settings], create_organization: Callable[[str], None]
) -> None:
    create_organization("o-anotherorgid")

    with pytest.raises(InputError, match="in the organization o-anotherorgid, and not o-exampleorgid") as refused:
        confirmed_organization(inventory_of(make_settings, "some-bucket"))

    assert "organization.yaml:3" in str(refused.value)


@pytest.mark.usefixtures("aws")
def test_an_account_without_an_organization_is_refused(make_settings: Callable[[str], Settings]) -> None:
    with pytest.raises(AccessError, match="AWSOrganizationsNotInUse"):
        confirmed_organization(inventory_of(make_settings))


@pytest.mark.usefixtures("aws")
def test_where_the_organization_may_not_be_asked_the_bucket_must_be_named(
    make_settings: Callable[[str], Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prerequisites, "organization_of", lambda *_: None)

    with pytest.raises(InputError, match=r"name the state bucket in organization\.state\.bucket"):
        confirmed_organization(inventory_of(make_settings))
    assert "account 123456789012" in confirmed_organization(inventory_of(make_settings, "some-bucket"))
