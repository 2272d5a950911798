"""Which accounts and regions a matcher means."""

from dataclasses import replace

import pytest
from hypothesis import given, strategies as st

from session_manager_fleet.accounts.matching import Matcher, account_matches, ou_matches
from session_manager_fleet.accounts.model import Account, Organization, find_account
from session_manager_fleet.errors import InputError

REGIONS = ("eu-west-1", "us-east-1")
SEGMENT = st.text(st.characters(exclude_characters="/*?", exclude_categories=["Cs"]), min_size=1, max_size=8)
PATHS = st.lists(SEGMENT, min_size=1, max_size=5).map("/".join)


@pytest.mark.parametrize(
    ("glob", "path", "matches"),
    [
        ("Workloads", "Workloads", True),
        ("Workloads", "Workloads/Prod", False),
        ("Workloads/Prod", "Workloads/Prod", True),
        ("/Workloads/Prod/", "Workloads/Prod", True),
        ("Workloads/*", "Workloads", False),
        ("Workloads/*", "Workloads/Prod", True),
        ("Workloads/*", "Workloads/Prod/EU", False),
        ("Workloads/**", "Workloads", True),
        ("Workloads/**", "Workloads/Prod", True),
        ("Workloads/**", "Workloads/Prod/EU", True),
        ("Workloads/**", "WorkloadsToo/Prod", False),
        ("**/Prod", "Prod", True),
        ("**/Prod", "Workloads/EU/Prod", True),
        ("**/Prod", "Workloads/EU/Prod/Web", False),
        ("**/Prod", "Workloads/NonProd", False),
        ("**/Prod/**", "Workloads/Prod/EU", True),
        ("**", "Root", True),
        ("*", "Root", True),
        ("Root", "Root", True),
        ("Root", "Workloads", False),
        ("*Prod", "NonProd", True),
        ("Lev?l1", "Level1", True),
        ("Level?", "Level", False),
        ("Level[12]", "Level1", False),
        ("Level[12]", "Level[12]", True),
        ("a.c", "abc", False),
        ("prod", "Prod", False),
        ("", "Workloads", False),
        ("Sand box (old) + 1", "Sand box (old) + 1", True),
    ],
)
def test_ou_globs(glob: str, path: str, matches: bool) -> None:
    assert ou_matches(glob, path) is matches


@given(PATHS)
def test_every_path_matches_itself_and_what_holds_it(path: str) -> None:
    first = path.split("/", maxsplit=1)[0]

    assert ou_matches(path, path)
    assert ou_matches("**", path)
    assert ou_matches(f"{first}/**", path)
    assert ou_matches("/".join("*" for _ in path.split("/")), path)
    assert not ou_matches(f"{path}/*", path)


@pytest.mark.parametrize(
    ("pattern", "matches"),
    [
        ("111122223333", True),
        ("11112222*", False),
        ("Payments Prod", True),
        ("Payments*", True),
        ("payments*", False),
        ("*Prod", True),
        ("Payments", False),
        ("*", True),
    ],
)
def test_accounts_are_meant_by_id_or_name_glob(pattern: str, matches: bool) -> None:
    assert account_matches(pattern, Account("111122223333", "Payments Prod")) is matches


def test_twelve_digits_are_an_id_whatever_an_account_is_called(organization: Organization) -> None:
    hostile = Account("999988887777", "111122223333")
    organization = replace(organization, accounts=(*organization.accounts, hostile))

    assert not account_matches("111122223333", hostile)
    assert account_matches("999988887777", hostile)
    assert find_account(organization, "111122223333").name == "Payments Prod"
    assert find_account(organization, "999988887777") == hostile


def test_a_name_like_an_id_does_not_hide_that_the_id_is_wrong(organization: Organization) -> None:
    organization = replace(organization, accounts=(*organization.accounts, Account("999988887777", "111122223334")))
    message = 'No account has the id "111122223334" (did you mean "111122223333"?).'

    assert [end[2] for end in Matcher(accounts=["111122223334"]).dead_ends(organization, REGIONS)] == [message]
    with pytest.raises(InputError) as caught:
        find_account(organization, "111122223334")
    assert str(caught.value) == message


@pytest.mark.parametrize("name", ["Payments [EU]", "what?", "[", "a*b", "[!a]"])
def test_a_name_with_characters_of_a_glob_means_itself(name: str) -> None:
    assert account_matches(name, Account("111122223333", name))


ACCOUNT = Account("111122223333", "Payments", ou="Workloads/Prod", tags={"data": "restricted", "env": "prod"})


@pytest.mark.parametrize(
    ("matcher", "matches"),
    [
        (Matcher(), True),
        (Matcher(accounts=["Other", "Payments"]), True),
        (Matcher(accounts=["Other"]), False),
        (Matcher(ous=["Security", "Workloads/**"]), True),
        (Matcher(ous=["Security"]), False),
        (Matcher(tags={"data": "restricted"}), True),
        (Matcher(tags={"data": "restricted", "env": "prod"}), True),
        (Matcher(tags={"data": "restricted", "env": "dev"}), False),
        (Matcher(tags={"owner": ""}), False),
        (Matcher(regions=["us-east-1", "eu-west-1"]), True),
        (Matcher(regions=["us-east-1"]), False),
        (Matcher(accounts=["Payments"], ous=["Workloads/**"], tags={"env": "prod"}, regions=["eu-west-1"]), True),
        (Matcher(accounts=["Payments"], ous=["Security"]), False),
        (Matcher(roles=["management"]), False),
        (Matcher(accounts=["Payments"], regions=["us-east-1"]), False),
    ],
)
def test_all_conditions_must_hold_each_by_one_alternative(matcher: Matcher, matches: bool) -> None:
    assert matcher.matches(ACCOUNT, "eu-west-1") is matches


@pytest.mark.parametrize(("roles", "matches"), [(["audit"], False), (["audit", "management"], True)])
def test_roles_are_alternatives(roles: list[str], matches: bool) -> None:
    assert Matcher(roles=roles).matches(Account("100000000001", "Root", role="management"), "eu-west-1") is matches


def test_only_a_matcher_without_conditions_is_empty() -> None:
    assert Matcher().empty
    for matcher in (Matcher(accounts=["a"]), Matcher(ous=["a"]), Matcher(tags={"a": "b"}), Matcher(regions=["a"])):
        assert not matcher.empty
    for matcher in (Matcher(roles=["audit"]), Matcher(regions=["a"], roles=["audit"])):
        assert not matcher.empty


def test_alternatives_that_match_nothing_are_dead_ends_with_the_nearest_name(organization: Organization) -> None:
    matcher = Matcher(
        accounts=["Payments*", "payments-dew", "999988887777"],
        ous=["Workloads/**", "Workloads/Prot"],
        regions=["eu-west-1", "eu-west-2"],
        roles=["management", "audit", "managment"],
    )

    assert list(matcher.dead_ends(organization, REGIONS)) == [
        ("ous", 1, 'No organizational unit matches "Workloads/Prot" (did you mean "Workloads/Prod"?).'),
        ("accounts", 1, 'No account matches "payments-dew" (did you mean "payments-dev"?).'),
        ("accounts", 2, 'No account has the id "999988887777".'),
        ("regions", 1, 'The organization does not use the region "eu-west-2"; it uses eu-west-1, us-east-1.'),
        ("roles", 1, 'No account has the role "audit"; name one in organization.audit_account.'),
        (
            "roles",
            2,
            'Unknown role "managment" (did you mean "management"?); the roles are management, log-archive, audit.',
        ),
    ]


def test_an_account_is_found_by_id_or_name(organization: Organization) -> None:
    assert find_account(organization, "Legacy", "ACCOUNT").id == "333344445555"
    assert find_account(organization, "333344445555", "ACCOUNT").name == "Legacy"


def test_an_account_that_is_not_found_is_told_with_the_nearest_name_or_all_candidates(
    organization: Organization,
) -> None:
    twins = (Account("555566667777", "Twin", ou="A"), Account("666677778888", "Twin", ou="B"))
    ambiguous = replace(organization, accounts=(*organization.accounts, *twins))

    with pytest.raises(
        InputError, match=r'^ACCOUNT: No account has the id or name "legacy" \(did you mean "Legacy"\?\)\.$'
    ):
        find_account(ambiguous, "legacy", "ACCOUNT")
    with pytest.raises(InputError, match=r'the name "Twin": 555566667777 \(A\), 666677778888 \(B\); give the id\.$'):
        find_account(ambiguous, "Twin", "ACCOUNT")


@pytest.mark.parametrize(
    "matcher",
    [
        Matcher(ous=["Empty"]),
        Matcher(ous=["Root"]),
        Matcher(ous=["Workloads/Prod/Old"]),
        Matcher(accounts=["Legacy"]),
        Matcher(tags={"nobody": "has this"}),
    ],
    ids=["unit without accounts", "the root", "unit of an account only", "suspended account", "tags may come later"],
)
def test_what_exists_is_no_dead_end(matcher: Matcher, organization: Organization) -> None:
    assert list(matcher.dead_ends(organization, REGIONS)) == []
