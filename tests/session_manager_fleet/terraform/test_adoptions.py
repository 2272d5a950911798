"""What targets use as it exists is remembered beside the states, as long as the settings say so."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from moto import mock_aws

from session_manager_fleet.aws import new_session
from session_manager_fleet.settings import EffectiveSettings, TargetSettings
from session_manager_fleet.terraform.adoptions import (
    Adoption,
    adoptable_kinds,
    read_adoptions,
    store_adoptions,
    with_adoptions,
)
from session_manager_fleet.terraform.backend import StateBackend

BACKEND = StateBackend("states", "us-east-1", "session-manager")
KEY = "arn:aws:kms:eu-west-1:111122223333:key/0f5f5b5c-cb57-4552-8153-0f5f5b5ccb57"
TARGET, OTHER = "111122223333/eu-west-1", "111122223333/eu-west-10"
GROUP = Adoption("log_group", "/sessions/ab#1")
LOGS = Adoption("logs_key", "alias/session-manager/logs", KEY)
DATA = Adoption("session_key", "alias/session-manager/data", KEY)
SHARING = Adoption("public_sharing", "arn:aws:ssm:eu-west-1:111122223333:servicesetting/ssm/x")


@pytest.fixture
def bucket(credentials: None) -> Iterator[Any]:  # noqa: ARG001 - in the environment
    with mock_aws():
        s3 = new_session("us-east-1").client("s3")
        s3.create_bucket(Bucket=BACKEND.bucket)
        yield s3


def test_adoptions_are_remembered_by_target(bucket: Any) -> None:  # noqa: ANN401
    assert read_adoptions(BACKEND) == {}
    store_adoptions(BACKEND, TARGET, [GROUP, LOGS, DATA, SHARING])
    store_adoptions(BACKEND, OTHER, [LOGS])
    bucket.put_object(Bucket=BACKEND.bucket, Key="session-manager/adopted/another/object", Body=b"")

    remembered = read_adoptions(BACKEND)

    assert {target: set(found) for target, found in remembered.items()} == {
        TARGET: {GROUP, LOGS, DATA, SHARING},
        OTHER: {LOGS},
    }
    kept = replace(GROUP, key_arn=KEY, retention_in_days=30)
    store_adoptions(BACKEND, TARGET, [kept])
    assert read_adoptions(BACKEND)[TARGET] == (kept,)
    store_adoptions(BACKEND, TARGET, [GROUP])
    store_adoptions(BACKEND, OTHER, [])
    assert read_adoptions(BACKEND) == {TARGET: (GROUP,)}


def effective(**preferences: Any) -> EffectiveSettings:  # noqa: ANN401
    values = TargetSettings.model_validate(
        {"preferences": {"block_public_sharing": True, **preferences}, "names": {"log_group": GROUP.name}}
    )
    return EffectiveSettings(values, {}, frozenset())


ALL = (GROUP, LOGS, DATA, SHARING)
ADOPT = {"existing": "adopt"}


def test_the_settings_use_what_is_adopted() -> None:
    organization = "o-exampleorgid"
    before = effective(cloudwatch=ADOPT, session_key={**ADOPT, "organization_id": organization})

    after, used = with_adoptions(before, ALL)

    preferences = after.variables["preferences"]
    assert used == ALL
    assert preferences["cloudwatch"]["create_log_group"] is False
    assert preferences["cloudwatch"]["kms_key_arn"] == preferences["session_key"]["kms_key_arn"] == KEY
    assert "organization_id" not in preferences["session_key"]
    assert preferences["block_public_sharing"] is False
    assert "existing" not in {*preferences["cloudwatch"], *preferences["session_key"]}
    assert adoptable_kinds(before) == ("log_group", "logs_key", "session_key", "public_sharing")


OTHER_KEY = KEY.replace("0f5f", "1f5f")
CHANGE = {"existing_retention": "change", "existing_key": "change"}


@pytest.mark.parametrize(
    ("cloudwatch", "group", "adopts", "days", "key"),
    [
        ({}, ("key", 30), False, 90, None),
        ({"existing_retention": "change"}, ("key", 30), True, 90, KEY),
        ({"existing_key": "change"}, ("key", 30), True, 30, None),
        ({"existing_key": "change"}, ("", 0), True, 0, None),
        ({**CHANGE, "retention_in_days": 7}, ("key", 0), True, 7, None),
        ({**CHANGE, "kms_key_arn": OTHER_KEY}, ("key", 30), True, 90, OTHER_KEY),
        ({"existing_retention": "change", "kms_key_arn": OTHER_KEY}, ("key", 30), True, 90, KEY),
        # Refused as it is: the agent would refuse every session.
        ({"existing_retention": "change"}, ("", 30), False, 90, None),
        ({"existing_retention": "change", "encryption_enabled": False}, ("", 30), True, 90, None),
        ({"existing_retention": "change", "encryption_enabled": False}, ("key", 30), True, 90, KEY),
    ],
)
def test_an_adopted_log_group_is_changed_as_the_settings_say(
    cloudwatch: dict[str, Any], group: tuple[str, int], adopts: bool, days: int, key: str | None
) -> None:
    adoption = replace(GROUP, key_arn=KEY if group[0] else "", retention_in_days=group[1])

    after, used = with_adoptions(effective(cloudwatch={**ADOPT, **cloudwatch}), [adoption])

    rendered = after.variables["preferences"]["cloudwatch"]
    assert used == (adoption,)
    assert after.variables.get("adopt_log_group", False) is adopts
    assert (rendered["create_log_group"], rendered["retention_in_days"]) == (False, days)
    assert rendered.get("kms_key_arn") == key


@pytest.mark.parametrize(
    "preferences",
    [
        {},
        {"cloudwatch": {**ADOPT, "log_group_name": "another", "kms_key_arn": KEY}},
        {"cloudwatch": {**ADOPT, "create_log_group": False, "kms_key_arn": KEY}},
        {"session_key": {**ADOPT, "kms_key_arn": KEY}},
    ],
    ids=["refuse", "another name", "existing group", "existing key"],
)
def test_what_the_settings_do_not_ask_for_is_forgotten(preferences: dict[str, Any]) -> None:
    before = effective(block_public_sharing=False, **preferences)

    assert with_adoptions(before, ALL) == (before, ())
