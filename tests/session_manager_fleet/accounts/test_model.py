"""The Organizations API: discovery, and roles of accounts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import boto3
import botocore.awsrequest
import pytest
from botocore.compat import HTTPHeaders
from moto import mock_aws

from session_manager_fleet.accounts.model import (
    AUDIT,
    LOG_ARCHIVE,
    MANAGEMENT,
    Account,
    Organization,
    find_account,
    with_role,
)
from session_manager_fleet.accounts.organizations_api import from_organizations
from session_manager_fleet.errors import AccessError, InputError

if TYPE_CHECKING:
    from mypy_boto3_organizations import OrganizationsClient

REGION = "eu-west-1"


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


def test_units_that_look_like_others_are_refused_with_their_ids(api: OrganizationsClient, root: str) -> None:
    nested = make_unit(api, make_unit(api, root, "A"), "B")
    slash = make_unit(api, root, "A/B")
    like_the_root = make_unit(api, root, "Root")
    make_unit(api, root, "C/D")

    with pytest.raises(InputError) as caught:
        discover()

    messages = [problem.message for problem in caught.value.problems]
    assert {message.split('"')[1]: set(message.split(" both ")[0].split(" and ")) for message in messages} == {
        "A/B": {nested, slash},
        "Root": {root, like_the_root},
    }


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


@pytest.mark.usefixtures("credentials")
def test_an_account_without_an_organization_is_told_in_one_sentence() -> None:
    with mock_aws(), pytest.raises(AccessError, match=r"^Cannot describe the organization: AWSOrganizationsNotInUse"):
        discover()


def test_without_credentials_nothing_is_asked() -> None:
    with pytest.raises(AccessError, match=r"^Cannot describe the organization: no usable AWS credentials"):
        discover()


def test_an_unknown_profile_is_told_in_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    session = boto3.Session()
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "only half")

    with pytest.raises(AccessError, match=r"^Cannot describe the organization: no usable AWS credentials \(Partial"):
        from_organizations(session, REGION, with_tags=False)


# --- Calls: how many, and what AWS may do to them ----------------------------------------------------------------

Hook = Callable[..., Any]


@pytest.fixture
def hook(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, Hook], None]:
    """Register an event handler on every Organizations client that is made."""
    hooks: list[tuple[str, Hook]] = []
    make_client = boto3.Session.client

    def client(session: boto3.Session, *arguments: str, **options: object) -> object:
        made = make_client(session, *arguments, **options)  # type: ignore[call-overload]
        for event, handler in hooks:
            made.meta.events.register(event, handler)
        return made

    monkeypatch.setattr(boto3.Session, "client", client)
    return lambda event, handler: hooks.append((event, handler))


def test_the_state_of_an_account_comes_before_its_retired_status(
    api: OrganizationsClient, root: str, hook: Callable[[str, Hook], None]
) -> None:
    answers = {
        "both": {"State": "SUSPENDED", "Status": "ACTIVE"},
        "old": {"Status": "SUSPENDED"},
        "new": {"State": "PENDING_CLOSURE"},
        "neither": {},
    }
    for name in answers:
        make_account(api, name, root)

    def answer(parsed: dict[str, list[dict[str, str]]], **_: object) -> None:
        for account in parsed["Accounts"]:
            account.pop("State", None)
            account.pop("Status", None)
            account.update(answers.get(account["Name"], {}))

    hook("after-call.organizations.ListAccounts", answer)

    assert {account.name: account.state for account in discover().accounts if account.name in answers} == {
        "both": "SUSPENDED",
        "old": "SUSPENDED",
        "new": "PENDING_CLOSURE",
        "neither": "ACTIVE",
    }


def test_no_call_is_made_per_account(api: OrganizationsClient, root: str, hook: Callable[[str, Hook], None]) -> None:
    unit = make_unit(api, root, "Workloads")
    for number in range(5):
        make_account(api, f"account-{number}", unit)
    calls: Counter[str] = Counter()
    hook("before-call.organizations", lambda model, **_: calls.update([model.name]))

    discover()

    assert calls == {
        "DescribeOrganization": 1,
        "ListAccounts": 1,
        "ListRoots": 1,
        "ListOrganizationalUnitsForParent": 2,
        "ListAccountsForParent": 2,
    }


def refusal(code: str) -> botocore.awsrequest.AWSResponse:
    """What AWS answers to a call that it does not want to serve."""

    class Body:
        def stream(self) -> Iterator[bytes]:
            yield f'{{"__type": "{code}", "message": "Not now"}}'.encode()

    return botocore.awsrequest.AWSResponse("https://organizations", 400, HTTPHeaders(), Body())


@pytest.fixture
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let botocore neither sleep before it repeats a call nor keep to the rate that it thinks right."""
    monkeypatch.setattr("time.sleep", lambda _: None)
    monkeypatch.setattr("botocore.retries.bucket.TokenBucket.acquire", lambda *_, **__: True)


@pytest.mark.usefixtures("no_waiting")
def test_throttled_calls_are_repeated(api: OrganizationsClient, root: str, hook: Callable[[str, Hook], None]) -> None:
    account_id = make_account(api, "throttled", root)
    calls: Counter[str] = Counter()

    def throttle(event_name: str, **_: object) -> botocore.awsrequest.AWSResponse | None:
        calls[event_name] += 1
        return refusal("TooManyRequestsException") if calls[event_name] % 4 else None

    hook("before-send.organizations", throttle)

    assert account_id in {account.id for account in discover().accounts}
    assert set(calls.values()) == {4}


@pytest.mark.usefixtures("no_waiting", "api")
def test_throttling_without_end_is_told_in_one_sentence(hook: Callable[[str, Hook], None]) -> None:
    hook("before-send.organizations.ListAccounts", lambda **_: refusal("TooManyRequestsException"))

    with pytest.raises(
        AccessError, match=r"^Cannot list the accounts of the organization: TooManyRequestsException\. Not now\.$"
    ):
        discover()


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("ExpiredTokenException", "ExpiredTokenException. The AWS credentials have expired; sign in again."),
        ("UnrecognizedClientException", "UnrecognizedClientException. AWS does not accept these credentials"),
        ("AccessDeniedException", "AccessDeniedException. Not now."),
    ],
)
@pytest.mark.usefixtures("api")
def test_refused_calls_are_told_in_one_sentence(hook: Callable[[str, Hook], None], code: str, message: str) -> None:
    hook("before-send.organizations.ListRoots", lambda **_: refusal(code))

    with pytest.raises(AccessError) as caught:
        discover()

    assert str(caught.value).startswith(f"Cannot list the accounts of the organization: {message}")


def test_pages_without_entries_are_followed_to_the_next(
    api: OrganizationsClient, root: str, hook: Callable[[str, Hook], None]
) -> None:
    ids = {make_account(api, f"account-{number}", make_unit(api, root, f"unit-{number}")) for number in range(3)}
    held: dict[str, dict[str, Any]] = {}

    def hold_back(parsed: dict[str, Any], model: Any, **_: object) -> None:  # noqa: ANN401 - a botocore model
        """Deliver every first page late: first a page that holds nothing but a token, then the same page again."""
        key = next((key for key in ("Accounts", "OrganizationalUnits", "Roots") if key in parsed), "")
        if not key or len(held) > 50:
            return
        if model.name in held:
            parsed[key].extend(entry for entry in held.pop(model.name)[key] if entry not in parsed[key])
        else:
            held[model.name] = dict(parsed)
            del parsed[key]
            parsed["NextToken"] = f"token-{model.name}"

    def forget_token(params: dict[str, Any], **_: object) -> None:
        if str(params.get("NextToken", "")).startswith("token-"):
            del params["NextToken"]

    hook("after-call.organizations", hold_back)
    hook("provide-client-params.organizations", forget_token)

    assert ids < {account.id for account in discover().accounts}


@pytest.mark.usefixtures("api")
def test_a_token_that_comes_again_and_again_ends_in_one_sentence(hook: Callable[[str, Hook], None]) -> None:
    def always_more(parsed: dict[str, Any], **_: object) -> None:
        parsed["NextToken"] = "again"

    hook("after-call.organizations.ListAccounts", always_more)
    hook("provide-client-params.organizations", lambda params, **_: params.pop("NextToken", None) and None)

    with pytest.raises(AccessError, match=r"^Cannot list the accounts of the organization: .*same next token"):
        discover()


def test_an_account_that_is_moved_during_the_walk_is_not_lost_silently(
    api: OrganizationsClient, root: str, hook: Callable[[str, Hook], None]
) -> None:
    account_id = make_account(api, "moving", root)
    closed_id = make_account(api, "closed", root)
    api.close_account(AccountId=closed_id)

    def miss(parsed: dict[str, list[dict[str, str]]], **_: object) -> None:
        parsed["Accounts"] = [entry for entry in parsed["Accounts"] if entry["Id"] not in {account_id, closed_id}]

    hook("after-call.organizations.ListAccountsForParent", miss)

    with pytest.raises(
        AccessError, match=f"moved while the organization was read: {account_id}. Run the command again.$"
    ):
        discover()


# --- Roles -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("named", ["Log Archive", "444455556666"])
def test_a_role_is_given_to_one_account(organization: Organization, named: str) -> None:
    changed = with_role(organization, AUDIT, "payments-dev")
    assert {account.role: account.name for account in changed.accounts if account.role} == {
        MANAGEMENT: "Management",
        AUDIT: "payments-dev",
        LOG_ARCHIVE: "Log Archive",
    }
    assert with_role(organization, LOG_ARCHIVE, named) == organization

    moved = with_role(organization, LOG_ARCHIVE, "payments-dev")
    assert [account.name for account in moved.accounts if account.role == LOG_ARCHIVE] == ["payments-dev"]


@pytest.mark.parametrize("state", ["SUSPENDED", "CLOSED", "PENDING_CLOSURE"])
def test_a_closed_account_makes_no_name_ambiguous(organization: Organization, state: str) -> None:
    twin = Account("000055556666", "Log Archive", state=state)
    organization = Organization.of(None, [*organization.accounts, twin], [])

    assert find_account(organization, "Log Archive").id == "444455556666"
    assert find_account(organization, twin.id) == twin


@pytest.mark.parametrize(
    ("named", "message"),
    [
        ("Log-Archive", 'here: No account has the id or name "Log-Archive" (did you mean "Log Archive"?).'),
        ("999999999999", 'here: No account has the id "999999999999".'),
        ("Management", 'here: The account "Management" already has the role "management".'),
        ("twin", 'here: Several accounts have the name "twin": 555566667777 (Root), 666677778888 (Root); give the id.'),
    ],
)
def test_roles_that_cannot_be_given(organization: Organization, named: str, message: str) -> None:
    twins = [Account("555566667777", "twin"), Account("666677778888", "twin")]
    organization = Organization.of(None, [*organization.accounts, *twins], [])

    with pytest.raises(InputError) as caught:
        with_role(organization, LOG_ARCHIVE, named, "here")

    assert str(caught.value) == message
