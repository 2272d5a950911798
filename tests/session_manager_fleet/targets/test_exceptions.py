"""The exception register: days left, the targets of each entry, and what is refused or warned of."""

import datetime
import json
from collections.abc import Callable

import pytest

from session_manager_fleet.accounts.model import Organization
from session_manager_fleet.errors import InputError
from session_manager_fleet.settings.layers import Settings
from session_manager_fleet.targets.exceptions import refuse_expired, register, soon_over
from session_manager_fleet.targets.model import Selection, select_targets

TODAY = datetime.date(2027, 3, 1)
HOME, OTHER = "eu-west-1", "us-east-1"

REGISTER = """\
exceptions:
  - match: {ou: "Workloads/**"}
    skip: [config_rule, preferences]
    owner: payments
    reason: migration
    expires: 2027-04-01
  - match: {accounts: [Management], regions: [us-east-1]}
    set:
      preferences: {idle_session_timeout: 5, cloudwatch: {retention_in_days: 30}}
      tags: {env: null}
    owner: platform
    reason: audit
    expires: 2027-03-31
  - {match: {}, owner: everybody, reason: pilot, expires: 2027-02-28}
  - {match: {tags: {nobody: has}}, owner: later, reason: tests, expires: 2027-03-01}
"""


@pytest.fixture
def settings(make_settings: Callable[[str], Settings]) -> Settings:
    return make_settings(REGISTER)


def test_entries_are_listed_with_days_left_and_targets_the_next_to_expire_first(
    settings: Settings, organization: Organization
) -> None:
    targets = select_targets(
        organization,
        home_region=HOME,
        regions=[HOME, OTHER],
        waves=settings.waves,
        selection=Selection(everything=True),
    ).targets

    entries = register(settings, targets, TODAY)

    assert [(entry.owner, entry.days_left, entry.expired) for entry in entries] == [
        ("everybody", -1, True),
        ("later", 0, False),
        ("platform", 30, False),
        ("payments", 31, False),
    ]
    everybody, later, platform, payments = entries
    assert len(everybody.targets) == len(targets)
    assert later.targets == ()
    assert payments.targets == tuple(
        f"{account}/{r}" for account in (111122223333, 222233334444) for r in (HOME, OTHER)
    )
    assert payments.skip == ("config_rule", "preferences")
    assert json.loads(json.dumps(platform.as_dict())) == {
        "owner": "platform",
        "reason": "audit",
        "expires": "2027-03-31",
        "days_left": 30,
        "expired": False,
        "targets": ["100000000001/us-east-1"],
        "skip": [],
        "set": ["preferences.idle_session_timeout", "preferences.cloudwatch.retention_in_days", "tags.env"],
        "where": f"{settings.document.path}:14 (exceptions[1])",
    }


def test_what_is_over_is_refused_and_only_that(settings: Settings) -> None:
    with pytest.raises(InputError) as caught:
        refuse_expired(settings, TODAY)

    [problem] = caught.value.problems
    assert problem.location.endswith("organization.yaml:21 (exceptions[2].expires)")
    assert problem.message == "The exception of everybody expired on 2027-02-28: remove it, or have it renewed."


def test_the_last_day_counts(make_settings: Callable[[str], Settings]) -> None:
    settings = make_settings("exceptions: [{match: {}, owner: a, reason: b, expires: 2027-03-31}]")

    refuse_expired(settings, datetime.date(2027, 3, 31))
    with pytest.raises(InputError):
        refuse_expired(settings, datetime.date(2027, 4, 1))


def test_what_ends_within_thirty_days_is_worth_a_warning(settings: Settings) -> None:
    assert [problem.message for problem in soon_over(settings, TODAY)] == [
        "The exception of platform expires on 2027-03-31, in 30 days: remove it, or have it renewed.",
        "The exception of everybody expired on 2027-02-28: remove it, or have it renewed.",
        "The exception of later expires on 2027-03-01, in 0 days: remove it, or have it renewed.",
    ]
