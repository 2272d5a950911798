"""From an organization and a selection to an ordered list of targets."""

from collections.abc import Callable, Sequence

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from session_manager_fleet.accounts.matching import Matcher
from session_manager_fleet.accounts.model import Account, Organization
from session_manager_fleet.errors import InputError
from session_manager_fleet.settings.layers import Settings
from session_manager_fleet.settings.schema import Match, Wave
from session_manager_fleet.targets.model import (
    Selection,
    Shard,
    SkippedAccount,
    Target,
    TargetList,
    occupied_shards,
    parse_tag,
    select_targets,
)

HOME = "us-east-1"
REGIONS = ("eu-west-1", HOME, "ap-southeast-2")
ALL = Selection(everything=True)
ACCOUNT_IDS = st.integers(0, 10**12 - 1).map(lambda number: f"{number:012}")


def select(organization: Organization, selection: Selection = ALL, waves: Sequence[Wave] = ()) -> TargetList:
    return select_targets(organization, home_region=HOME, regions=REGIONS, waves=waves, selection=selection)


def keys(targets: TargetList) -> list[str]:
    return [target.key for target in targets.targets]


def accounts(targets: TargetList) -> list[str]:
    return list(dict.fromkeys(target.account.name for target in targets.targets))


def test_every_active_account_in_every_region_the_home_region_first(organization: Organization) -> None:
    selected = select(organization)

    assert keys(selected)[:3] == ["100000000001/us-east-1", "100000000001/eu-west-1", "100000000001/ap-southeast-2"]
    assert len(selected.targets) == 4 * 3
    assert accounts(selected) == ["Management", "Payments Prod", "payments-dev", "Log Archive"]


def test_a_suspended_account_is_skipped_with_the_reason(organization: Organization) -> None:
    skipped = select(organization).skipped

    assert skipped == (SkippedAccount("333344445555", "Legacy", "the account is suspended"),)


def test_an_account_that_its_source_ignores_is_skipped_with_the_reason() -> None:
    ignored = Organization(None, (Account("111122223333", "Parked", ignored="its unit is ignored"),), ())

    selected = select(ignored)

    assert selected.targets == ()
    assert [entry.reason for entry in selected.skipped] == ["its unit is ignored"]


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        ("PENDING_CLOSURE", "the account is pending closure"),
        ("PENDING_ACTIVATION", "the account is pending activation"),
        ("CLOSED", "the account is closed"),
    ],
)
def test_only_active_accounts_become_targets(state: str, reason: str) -> None:
    assert Account("111122223333", "a", state=state).skip_reason == reason


def test_an_account_outside_the_selection_is_not_reported_as_skipped(organization: Organization) -> None:
    selected = select(organization, Selection(include=Matcher(accounts=["Management"])))

    assert accounts(selected) == ["Management"]
    assert selected.skipped == ()


@pytest.mark.parametrize(
    ("include", "expected"),
    [
        (Matcher(accounts=["111122223333", "Log*"]), ["Payments Prod", "Log Archive"]),
        (Matcher(ous=["Workloads/**"]), ["Payments Prod", "payments-dev"]),
        (Matcher(ous=["Root"]), ["Management"]),
        (Matcher(tags={"data": "public"}), ["payments-dev"]),
        (Matcher(ous=["Workloads/**"], tags={"data": "restricted"}), ["Payments Prod"]),
        (Matcher(tags={"data": "unknown"}), []),
        (Matcher(regions=[HOME]), ["Management", "Payments Prod", "payments-dev", "Log Archive"]),
    ],
)
def test_selections(organization: Organization, include: Matcher, expected: list[str]) -> None:
    assert accounts(select(organization, Selection(include=include))) == expected


def test_a_region_selects_targets_not_accounts(organization: Organization) -> None:
    selected = select(organization, Selection(include=Matcher(regions=["eu-west-1"], accounts=["Management"])))

    assert keys(selected) == ["100000000001/eu-west-1"]


@pytest.mark.parametrize(
    ("exclusion", "expected"),
    [
        ("111122223333", ["Management", "payments-dev", "Log Archive"]),
        ("*a*", ["Log Archive"]),
        ("ou=Workloads/**", ["Management", "Log Archive"]),
        ("tag=data=public", ["Management", "Payments Prod", "Log Archive"]),
        ("role=management", ["Payments Prod", "payments-dev", "Log Archive"]),
        ("role=log-archive", ["Management", "Payments Prod", "payments-dev"]),
    ],
)
def test_exclusion_wins(organization: Organization, exclusion: str, expected: list[str]) -> None:
    assert accounts(select(organization, Selection(everything=True, exclude=[exclusion]))) == expected


def test_a_region_can_be_excluded(organization: Organization) -> None:
    selected = select(organization, Selection(everything=True, exclude=["region=eu-west-1", "region=ap-southeast-2"]))

    assert {target.region for target in selected.targets} == {HOME}


@pytest.mark.parametrize("account", ["payments-dev", "pay*dev", "222233334444"])
def test_an_account_can_be_excluded_in_a_region(organization: Organization, account: str) -> None:
    selected = select(organization, Selection(everything=True, exclude=[f"{account}/ap-southeast-2"]))

    (dev,) = {target.account.id for target in selected.targets if target.account.name == "payments-dev"}
    assert f"{dev}/ap-southeast-2" not in keys(selected)
    assert f"{dev}/eu-west-1" in keys(selected)
    assert len(selected.targets) == 4 * 3 - 1


def test_a_name_with_a_slash_is_no_account_in_a_region() -> None:
    named = Organization.of(None, [Account("111122223333", "R&D / eu"), Account("222233334444", "a/eu-west-1")], [])

    assert len(select(named, Selection(everything=True, exclude=["R&D / eu"])).targets) == 3
    assert keys(select(named, Selection(everything=True, exclude=["R&D / eu/eu-west-1", "222233334444"]))) == [
        "111122223333/us-east-1",
        "111122223333/ap-southeast-2",
    ]


def test_an_excluded_suspended_account_is_not_mentioned(organization: Organization) -> None:
    assert select(organization, Selection(everything=True, exclude=["Legacy"])).skipped == ()


@pytest.mark.parametrize(
    ("exclusion", "message"),
    [
        ("Nobody", 'No account matches "Nobody".'),
        ("Nobody/eu-west-1", 'No account matches "Nobody".'),
        ("Management/eu-wst-1", 'The organization does not use the region "eu-wst-1"'),
        ("ou=Nowhere/**", 'No organizational unit matches "Nowhere/**".'),
        ("ou=", 'No organizational unit matches "".'),
        ("region=eu-north-1", 'The organization does not use the region "eu-north-1"'),
        ("role=audit", 'No account has the role "audit"; name one in organization.audit_account.'),
        ("role=Audit", 'Unknown role "Audit" (did you mean "audit"?)'),
        ("tag=data=secret", 'No account has the tag "data" with the value "secret".'),
        ("tag=data", '"data" is not a tag; write KEY=VALUE.'),
        ("colour=red", 'No account matches "colour=red".'),
    ],
)
def test_an_exclusion_that_excludes_nothing_is_refused(
    organization: Organization, exclusion: str, message: str
) -> None:
    with pytest.raises(InputError) as caught:
        select(organization, Selection(everything=True, exclude=[exclusion]))

    assert str(caught.value).startswith(f"--exclude: {message}")


def test_all_dead_ends_of_a_selection_are_reported_with_their_options(organization: Organization) -> None:
    include = Matcher(accounts=["Nobody"], ous=["Nowhere"], regions=["eu-north-1"])

    with pytest.raises(InputError) as caught:
        select(organization, Selection(include=include, wave="canari"), [Wave(name="canary")])

    assert [problem.location for problem in caught.value.problems] == ["--ou", "--account", "--region", "--wave"]
    assert 'There is no wave "canari" (did you mean "canary"?); waves: canary.' in str(caught.value)


WAVES = """
    waves:
      - {name: canary, match: {accounts: [payments-dev]}}
      - {name: home, match: {regions: [us-east-1]}}
      - {name: workloads, match: {ou: ["Workloads/**"]}}
    """


def test_waves_come_in_order_and_the_unmatched_last(
    organization: Organization, make_settings: Callable[[str], Settings]
) -> None:
    selected = select(organization, waves=make_settings(WAVES).waves)

    assert [(target.wave, target.account.name, target.region) for target in selected.targets] == [
        ("canary", "payments-dev", "us-east-1"),
        ("canary", "payments-dev", "eu-west-1"),
        ("canary", "payments-dev", "ap-southeast-2"),
        ("home", "Management", "us-east-1"),
        ("home", "Payments Prod", "us-east-1"),
        ("home", "Log Archive", "us-east-1"),
        ("workloads", "Payments Prod", "eu-west-1"),
        ("workloads", "Payments Prod", "ap-southeast-2"),
        ("rest", "Management", "eu-west-1"),
        ("rest", "Management", "ap-southeast-2"),
        ("rest", "Log Archive", "eu-west-1"),
        ("rest", "Log Archive", "ap-southeast-2"),
    ]


@pytest.mark.parametrize(("wave", "count"), [("canary", 3), ("home", 3), ("workloads", 2), ("rest", 4)])
def test_one_wave_can_be_selected(
    organization: Organization, make_settings: Callable[[str], Settings], wave: str, count: int
) -> None:
    selected = select(organization, Selection(wave=wave), make_settings(WAVES).waves)

    assert {target.wave for target in selected.targets} == {wave}
    assert len(selected.targets) == count


def test_the_first_wave_that_matches_takes_a_target(organization: Organization) -> None:
    waves = [Wave(name="first", match=Match(accounts=["Management"])), Wave(name="second")]

    selected = select(organization, waves=waves)

    assert {target.account.name for target in selected.targets if target.wave == "first"} == {"Management"}
    assert not any(target.wave == "rest" for target in selected.targets)


def test_no_target_comes_before_the_home_region_of_its_account(
    organization: Organization, make_settings: Callable[[str], Settings]
) -> None:
    waves = make_settings("""
        waves:
          - {name: elsewhere, match: {regions: [eu-west-1]}}
          - {name: canary, match: {accounts: [payments-dev]}}
          - {name: management, match: {roles: [management]}}
        """).waves

    placed = {(target.account.name, target.region): target.wave for target in select(organization, waves=waves).targets}

    assert placed["payments-dev", HOME] == "canary"
    assert placed["payments-dev", "eu-west-1"] == "canary"
    assert placed["Management", "eu-west-1"] == "management"
    assert placed["Payments Prod", "eu-west-1"] == "rest"
    assert "elsewhere" not in placed.values()


WAVE_CONDITIONS = st.fixed_dictionaries(
    {},
    optional={
        "accounts": st.lists(st.sampled_from(["Payments*", "payments-dev", "Log Archive"]), min_size=1),
        "regions": st.lists(st.sampled_from(REGIONS), min_size=1),
    },
)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(WAVE_CONDITIONS, max_size=4))
def test_the_home_region_is_first_within_an_account_across_all_waves(
    organization: Organization, conditions: list[dict[str, list[str]]]
) -> None:
    waves = [Wave(name=f"wave-{number}", match=Match.model_validate(given)) for number, given in enumerate(conditions)]

    first = {target.account.id: target for target in reversed(select(organization, waves=waves).targets)}

    assert all(target.is_home for target in first.values())


def test_workspace_and_key_of_a_target() -> None:
    account = Account("111122223333", "a")

    home, other = Target(account, HOME, HOME), Target(account, "eu-west-1", HOME)

    assert (home.is_home, home.workspace, home.key) == (True, "111122223333", "111122223333/us-east-1")
    assert (other.is_home, other.workspace, other.key) == (
        False,
        "111122223333-eu-west-1",
        "111122223333/eu-west-1",
    )


@pytest.mark.parametrize(
    ("selection", "given", "whole"),
    [
        (Selection(), False, False),
        (Selection(exclude=["a"]), False, False),
        (Selection(shard=Shard(1, 2)), False, False),
        (Selection(everything=True), True, True),
        (Selection(wave="canary"), True, False),
        (Selection(include=Matcher(tags={"a": "b"})), True, False),
        (Selection(everything=True, exclude=["a"]), True, False),
        (Selection(everything=True, shard=Shard(1, 2)), True, False),
        (Selection(everything=True, wave="canary"), True, False),
        (Selection(everything=True, include=Matcher(accounts=["a"])), True, False),
    ],
)
def test_what_counts_as_a_selection(selection: Selection, given: bool, whole: bool) -> None:
    assert (selection.given, selection.whole) == (given, whole)


@pytest.mark.parametrize(("text", "shard"), [("1/1", Shard(1, 1)), ("2/5", Shard(2, 5)), ("10/10", Shard(10, 10))])
def test_shards_are_read(text: str, shard: Shard) -> None:
    assert Shard.parse(text) == shard


@pytest.mark.parametrize(
    "text", ["", "1", "0/2", "3/2", "1/0", "a/b", "-1/2", "1/2/3", " 1/2", "1/2\n", "01/2", "\u0661/\u0662"]
)
def test_other_shards_are_refused(text: str) -> None:
    with pytest.raises(InputError) as caught:
        Shard.parse(text)

    assert caught.value.problems[0].location == "--shard"


@given(st.sets(ACCOUNT_IDS, max_size=40), st.integers(1, 12))
def test_shards_are_disjoint_and_complete(ids: set[str], count: int) -> None:
    parts = [[account for account in ids if Shard(index, count).holds(account)] for index in range(1, count + 1)]

    assert sorted(account for part in parts for account in part) == sorted(ids)


@settings(deadline=None)
@given(st.sets(ACCOUNT_IDS, min_size=1, max_size=20), st.integers(1, 12))
def test_the_occupied_shards_cover_all_targets_exactly_once(ids: set[str], count: int) -> None:
    organization = Organization(None, tuple(Account(account, "name") for account in sorted(ids)), ())
    everything = select(organization).targets

    occupied = occupied_shards(everything, count)

    parts = {shard: select(organization, Selection(everything=True, shard=shard)).targets for shard in occupied}
    assert {shard: len(part) for shard, part in parts.items()} == occupied
    assert sorted(target.key for part in parts.values() for target in part) == sorted(keys(select(organization)))
    assert [shard.index for shard in occupied] == sorted(shard.index for shard in occupied)


@settings(deadline=None)
@given(st.sets(ACCOUNT_IDS, min_size=1, max_size=20), ACCOUNT_IDS, st.integers(1, 12))
def test_a_new_account_moves_no_other_and_regions_stay_together(ids: set[str], new: str, count: int) -> None:
    def shards(present: set[str]) -> dict[str, int]:
        organization = Organization(None, tuple(Account(account, "name") for account in sorted(present)), ())
        found: dict[str, int] = {}
        for index in range(1, count + 1):
            for target in select(organization, Selection(everything=True, shard=Shard(index, count))).targets:
                assert found.setdefault(target.account.id, index) == index
        return found

    before, after = shards(ids), shards(ids | {new})

    assert before.keys() == ids
    assert {account: after[account] for account in ids} == before


def test_shards_are_of_similar_size() -> None:
    ids = [f"{number:012}" for number in range(111_000_000_000, 111_000_001_000)]

    sizes = [sum(Shard(index, 4).holds(account) for account in ids) for index in range(1, 5)]

    assert min(sizes) > 200


@pytest.mark.parametrize(
    ("text", "tag"), [("a=b", ("a", "b")), ("a=", ("a", "")), ("a=b=c", ("a", "b=c")), ("a b= c ", ("a b", " c "))]
)
def test_tags_are_read(text: str, tag: tuple[str, str]) -> None:
    assert parse_tag(text) == tag


@pytest.mark.parametrize("text", ["", "a", "=b"])
def test_other_tags_are_refused(text: str) -> None:
    with pytest.raises(InputError, match="write KEY=VALUE"):
        parse_tag(text)
