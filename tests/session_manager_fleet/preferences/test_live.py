"""The live document as a plan compares it, where the alias of its session key is gone."""

from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from moto import mock_aws

from session_manager_fleet.accounts.model import Account
from session_manager_fleet.preferences import ORIGINAL_PARAMETER, STORED_PARAMETER, expected_preferences
from session_manager_fleet.preferences.live import live_differences, wanted_preferences
from session_manager_fleet.settings import TargetSettings
from session_manager_fleet.targets.model import Target
from session_preferences.applied_settings import AppliedSettings, encode
from session_preferences.document import build, render
from session_preferences.request import parse_event

HOME = "eu-west-1"
TARGET, VALUES = Target(Account("123456789012", "Member"), HOME, HOME), TargetSettings()
KEY = f"arn:aws:kms:{HOME}:123456789012:key/11111111-2222-4333-8444-555555555555"


@pytest.fixture
def ssm(credentials: None) -> Iterator[Any]:  # noqa: ARG001 - in the environment
    """What an apply leaves; then the alias of the key was deleted."""
    with mock_aws():
        client: Any = boto3.client("ssm", region_name=HOME)
        event = {**expected_preferences(TARGET, VALUES, KEY), "tf": {"action": "create"}}
        values = {STORED_PARAMETER: encode(AppliedSettings.of(parse_event(event), None)), ORIGINAL_PARAMETER: "{}"}
        for name, value in values.items():
            client.put_parameter(Name=name, Value=value, Type="String")
        text = render(build(event["preferences"]))
        client.create_document(Name=VALUES.names.document, Content=text, DocumentType="Session", DocumentFormat="JSON")
        yield client


def differences() -> list[str]:
    wanted = wanted_preferences(TARGET, VALUES)
    assert wanted is not None
    return live_differences(boto3.Session(region_name=HOME), wanted)


def test_terraform_puts_the_alias_back(ssm: Any) -> None:  # noqa: ANN401, ARG001 - a client
    assert differences() == []


def test_a_document_that_is_gone_too_is_a_difference(ssm: Any) -> None:  # noqa: ANN401 - a client
    """Terraform plans the alias only: without a retry token, it would not call the function."""
    ssm.delete_document(Name=VALUES.names.document)

    assert any(KEY in each for each in differences())


@pytest.mark.parametrize("stored", [None, "damaged"])
def test_without_key_and_settings_it_is_the_settings_that_differ(ssm: Any, stored: str | None) -> None:  # noqa: ANN401 - as above
    if stored is None:
        ssm.delete_parameter(Name=STORED_PARAMETER)
    else:
        ssm.put_parameter(Name=STORED_PARAMETER, Value=stored, Type="String", Overwrite=True)

    (difference,) = differences()
    assert difference.startswith(STORED_PARAMETER)
