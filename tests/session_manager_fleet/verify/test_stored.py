"""What an apply stored, the keys that it created, and public sharing."""

from collections.abc import Iterator, Mapping
from typing import Any

import boto3
import pytest
from moto import mock_aws

from session_manager_fleet.accounts.model import Account
from session_manager_fleet.preferences import ORIGINAL_PARAMETER, expected_preferences
from session_manager_fleet.settings import TargetSettings
from session_manager_fleet.targets.model import Target
from session_manager_fleet.verify.applied_preferences import applied_preferences
from session_manager_fleet.verify.key_protection import key_protection
from session_manager_fleet.verify.model import PLAN_AND_APPLY, Check
from session_manager_fleet.verify.public_sharing import public_sharing
from session_manager_fleet.verify.reading import Reader
from session_preferences.applied_settings import PARAMETER, AppliedSettings, encode
from session_preferences.request import parse_event
from tests.e2e.keys import logs_key

ACCOUNT, HOME = "123456789012", "eu-west-1"
TARGET = Target(Account(ACCOUNT, "Member"), HOME, HOME)
VALUES = TargetSettings.model_validate({"preferences": {"shell_profile": {"linux": "cd ~"}}})
NAMES, GROUP = VALUES.names, VALUES.names.log_group


class Applied:
    """Keys and parameters as an apply leaves them."""

    def __init__(self) -> None:
        self.reader = Reader(boto3.Session(region_name=HOME))
        self.ssm: Any = boto3.client("ssm", region_name=HOME)
        self.kms: Any = boto3.client("kms", region_name=HOME)
        self.key, self.logs_key = self.create_key(NAMES.data_key_alias), self.create_key(NAMES.logs_key_alias)
        boto3.client("logs", region_name=HOME).create_log_group(logGroupName=GROUP, kmsKeyId=self.logs_key)
        self.put(NAMES.data_key_parameter, self.key.rpartition("/")[2])
        self.put(ORIGINAL_PARAMETER, "{}")
        self.store()

    def create_key(self, alias: str = "") -> str:
        key = logs_key(boto3.Session(), HOME, ACCOUNT)
        self.kms.enable_key_rotation(KeyId=key)
        if alias:
            self.kms.create_alias(AliasName=alias, TargetKeyId=key)
        return key

    def put(self, name: str, value: str) -> None:
        self.ssm.put_parameter(Name=name, Value=value, Type="String", Overwrite=True)

    def store(self, **changes: object) -> None:
        """Store the settings, as the function does."""
        event: dict[str, Any] = {**expected_preferences(TARGET, VALUES, self.key), "tf": {"action": "create"}}
        event["preferences"] = event["preferences"] | changes
        self.put(PARAMETER, encode(AppliedSettings.of(parse_event(event), None)))

    def stored(self, values: TargetSettings = VALUES) -> Check:
        return applied_preferences(self.reader, TARGET, values, self.key)

    def keys(self, values: TargetSettings = VALUES) -> Check:
        return key_protection(self.reader, HOME, values, GROUP)


@pytest.fixture
def applied(credentials: None) -> Iterator[Applied]:  # noqa: ARG001 - in the environment
    with mock_aws():
        yield Applied()


def test_intact(applied: Applied) -> None:
    assert [(check.verdict, check.message) for check in (applied.stored(), applied.keys())] == [
        ("ok", "The stored settings match the configuration."),
        ("ok", f"{NAMES.data_key_alias} and {NAMES.logs_key_alias}: enabled, with rotation."),
    ]


def test_settings_that_would_be_repaired_to(applied: Applied) -> None:
    applied.store(idleSessionTimeout=60, s3BucketName="elsewhere", shellProfile={"linux": "exec secret"})

    check = applied.stored()

    assert check.verdict == "finding"
    assert "others: idleSessionTimeout, s3BucketName, shellProfile." in check.message
    assert "secret" not in check.message
    assert check.fix == PLAN_AND_APPLY
    applied.store()
    assert applied.stored().verdict == "ok"


@pytest.mark.parametrize("value", ["no settings", '{"schema_version": 2}'])
def test_settings_that_are_damaged(applied: Applied, value: str) -> None:
    applied.put(PARAMETER, value)

    check = applied.stored()

    assert check.verdict == "finding"
    assert f"{PARAMETER} differs from the settings" in check.message
    # The function's own words ask for another revision, which each plan sets that finds this.
    assert "the record is damaged" in check.message
    assert "revision" not in check.message
    assert check.fix == PLAN_AND_APPLY


@pytest.mark.parametrize("name", [PARAMETER, ORIGINAL_PARAMETER])
def test_records_without_which_no_drift_is_repaired(applied: Applied, name: str) -> None:
    applied.ssm.delete_parameter(Name=name)

    check = applied.stored()

    assert check.verdict == "finding"
    assert f"{name} does not exist, so no drift is repaired" in check.message
    assert check.fix == PLAN_AND_APPLY


def test_the_parameter_with_the_key_of_the_sessions(applied: Applied) -> None:
    applied.put(NAMES.data_key_parameter, "11111111-2222-4333-8444-555555555555")
    other = applied.stored()
    applied.ssm.delete_parameter(Name=NAMES.data_key_parameter)
    gone = applied.stored()

    assert [(check.verdict, check.fix) for check in (other, gone)] == [("finding", PLAN_AND_APPLY)] * 2
    assert f"holds 11111111-2222-4333-8444-555555555555, but {NAMES.data_key_alias} is the key" in other.message
    assert f"{NAMES.data_key_parameter} does not exist" in gone.message


def test_the_settings_depend_on_the_session_key(applied: Applied) -> None:
    check = applied_preferences(applied.reader, TARGET, VALUES, None)

    assert (check.verdict, check.fix) == ("not_needed", "")


@pytest.mark.parametrize("alias", [NAMES.data_key_alias, NAMES.logs_key_alias])
def test_a_key_that_is_not_rotated_or_has_no_alias(applied: Applied, alias: str) -> None:
    key = applied.kms.describe_key(KeyId=alias)["KeyMetadata"]["Arn"]
    applied.kms.disable_key_rotation(KeyId=key)
    kept = applied.keys()
    applied.kms.delete_alias(AliasName=alias)
    lost = applied.keys()

    assert [(check.verdict, check.fix) for check in (kept, lost)] == [("finding", PLAN_AND_APPLY)] * 2
    assert f"the key of {alias} ({key}) is not rotated" in kept.message
    assert f"{alias} does not exist" in lost.message


def test_an_alias_of_another_key(applied: Applied) -> None:
    another = applied.create_key()
    applied.kms.update_alias(AliasName=NAMES.logs_key_alias, TargetKeyId=another)

    check = applied.keys()

    assert (check.verdict, check.fix) == ("finding", PLAN_AND_APPLY)
    assert f"is the key {another}, but the log group {GROUP} has the key {applied.logs_key}" in check.message


def test_a_key_that_is_going_is_rescued(applied: Applied) -> None:
    applied.kms.schedule_key_deletion(KeyId=applied.key.rpartition("/")[2])

    check = applied.keys()

    assert f"the key of {NAMES.data_key_alias} is PendingDeletion" in check.message
    assert check.fix.startswith(f"Cancel its deletion in account {ACCOUNT}: aws kms cancel-key-deletion ")
    assert check.command == ()


def test_a_key_is_rescued_before_the_apply_that_would_create_another_one(applied: Applied) -> None:
    applied.kms.schedule_key_deletion(KeyId=applied.logs_key.rpartition("/")[2])
    applied.kms.disable_key_rotation(KeyId=applied.key)

    check = applied.keys()

    assert [line.partition(" in account")[0] for line in check.fix.splitlines()] == [
        "Cancel its deletion",
        PLAN_AND_APPLY,
    ]
    assert check.command == ("apply",)


def test_keys_that_were_not_created_are_not_judged(applied: Applied) -> None:
    given = {"session_key": {"kms_key_arn": applied.key}, "cloudwatch": {"kms_key_arn": applied.logs_key}}
    found = {"session_key": {"existing": "adopt"}, "cloudwatch": {"existing": "adopt"}}
    applied.kms.disable_key_rotation(KeyId=applied.key)
    applied.ssm.delete_parameter(Name=NAMES.data_key_parameter)
    for preferences in (given, found):
        values = TargetSettings.model_validate({"preferences": {**VALUES.preferences.model_dump(), **preferences}})
        assert applied.keys(values).verdict == "not_needed"
        assert applied.stored(values).verdict == "ok", applied.stored(values).message


class Setting(Reader):
    """Answers with the value of the service setting."""

    def __init__(self, value: str) -> None:
        self.value = value
        self.asked: dict[str, Any] = {}

    def call(self, service: str, region: str, method: str, **arguments: Any) -> Mapping[str, Any]:  # noqa: ANN401
        self.asked = {"service": service, "region": region, "method": method, **arguments}
        return {"ServiceSetting": {"SettingValue": self.value}}


def test_public_sharing() -> None:
    blocked = TargetSettings.model_validate({"preferences": {"block_public_sharing": True}})
    setting = f"arn:aws:ssm:{HOME}:{ACCOUNT}:servicesetting/ssm/documents/console/public-sharing-permission"
    live = Setting("Enable")

    check = public_sharing(live, TARGET, blocked)

    assert check.verdict == "finding"
    assert check.message.startswith("Documents can be shared publicly")
    command = f"aws ssm update-service-setting --region {HOME} --setting-id {setting} --setting-value Disable"
    assert check.fix.endswith(f": {command}")
    assert live.asked["SettingId"] == setting
    assert public_sharing(Setting("Disable"), TARGET, blocked).verdict == "ok"
    assert public_sharing(Setting("Enable"), TARGET, VALUES).verdict == "not_needed"
    assert check.command == ()
