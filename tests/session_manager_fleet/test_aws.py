"""Sessions: what they are given reaches their clients, and many of them cost little."""

import datetime
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3
import botocore.exceptions
import botocore.loaders
import pytest

from session_manager_fleet import aws
from session_manager_fleet.accounts.model import MANAGEMENT, Account
from session_manager_fleet.aws import (
    SCP_DENIES,
    endpoint_overrides,
    is_opt_in,
    new_session,
    partitions,
    translated_errors,
    validity,
)
from session_manager_fleet.cli.app import run as command
from session_manager_fleet.errors import AccessError, InputError
from session_manager_fleet.settings import load_settings
from session_manager_fleet.settings.roles import AccountRole
from session_manager_fleet.targets.session import account_session

ROLE = "arn:aws:iam::111122223333:role/Deploy"
KEYS = {"aws_access_key_id": "AKIAEXAMPLE", "aws_secret_access_key": "secret", "aws_session_token": "token"}


def test_a_session_has_the_region_and_the_credentials_that_it_is_given() -> None:
    session = new_session("eu-west-1", **KEYS)
    credentials = session.get_credentials()

    assert session.client("ssm").meta.region_name == "eu-west-1"
    assert credentials is not None
    assert credentials.get_frozen_credentials() == ("AKIAEXAMPLE", "secret", "token", None)


@pytest.mark.usefixtures("credentials")
def test_a_session_without_credentials_has_those_of_the_environment() -> None:
    credentials = new_session().get_credentials()

    assert credentials is not None
    assert credentials.access_key == "testing"


def test_many_sessions_read_the_descriptions_of_services_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("botocore.session.create_loader", botocore.loaders.create_loader)

    def seconds(session: boto3.Session) -> float:
        begun = time.process_time()
        session.client("ssm")
        return time.process_time() - begun

    new_session("eu-west-1", **KEYS).client("ssm")
    before = aws._LOADER.search_paths

    shared = min(seconds(new_session("eu-west-1", **KEYS)) for _ in range(3))
    alone = min(seconds(boto3.Session("id", "secret", region_name="eu-west-1")) for _ in range(3))

    assert shared < alone / 2
    assert aws._LOADER.search_paths == before


def test_a_profile_that_does_not_exist_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "nobody")

    with pytest.raises(AccessError, match=r"Cannot use the AWS credentials for account 1.*nobody"):
        account_session(Account("1", "Management", role=MANAGEMENT), "eu-west-1", "eu-west-1", AccountRole(name="r"))


def test_a_file_of_the_aws_configuration_that_cannot_be_used_is_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("AWS_ROLE_ARN", "arn:aws:iam::111122223333:role/Deploy")
    monkeypatch.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", str(tmp_path / "no-token"))
    said = r"^Cannot use the AWS credentials for account 1: .*No such file or directory.*no-token"
    with pytest.raises(AccessError, match=said):
        account_session(Account("1", "Member"), "eu-west-1", "eu-west-1", AccountRole(name="Deploy"))

    (tmp_path / "config").write_text("no section", encoding="utf-8")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    with pytest.raises(AccessError, match=r"^Cannot use the AWS credentials for account 1: Unable to parse config"):
        account_session(Account("1", "Member"), "eu-west-1", "eu-west-1", AccountRole(name="Deploy"))


def test_the_partitions_are_known_whatever_the_aws_configuration_is(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "config").write_text("no section", encoding="utf-8")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_PROFILE", "nobody")

    known = partitions.__wrapped__()

    assert (known["eu-west-1"], known["cn-north-1"], known["us-gov-west-1"]) == ("aws", "aws-cn", "aws-us-gov")


@pytest.mark.parametrize(
    ("code", "message", "place", "said"),
    [
        ("InvalidClientTokenId", "x", {"Region": "eu-west-1"}, "check AWS_PROFILE or the access key"),
        ("InvalidClientTokenId", "x", {"Region": "me-central-1"}, "or the region me-central-1 is not enabled in their"),
        ("AuthFailure", "x", {"Region": "me-central-1", "RoleArn": ROLE}, "me-central-1: the region is not enabled in"),
        ("UnrecognizedClientException", "x", {"Region": "ap-south-2", "RoleArn": ROLE}, "--region-name ap-south-2"),
        ("RegionDisabledException", "STS is not activated.", {"Region": "eu-west-1"}, "Activate STS for the region in"),
        (
            "AccessDenied",
            f"No, {SCP_DENIES}.",
            {"Region": "us-east-1"},
            "policy. A service control policy denies this in",
        ),
    ],
)
def test_a_refusal_says_what_to_do(code: str, message: str, place: dict[str, str], said: str) -> None:
    response: Any = {"Error": {"Code": code, "Message": message, **place}}

    with pytest.raises(AccessError) as refused, translated_errors("look"):
        raise botocore.exceptions.ClientError(response, "Look")

    assert str(refused.value).startswith(f"Cannot look: {code}. ")
    assert said in str(refused.value)


@pytest.mark.parametrize(
    ("region", "opt_in"),
    [("eu-west-1", False), ("ap-south-2", True), ("af-south-1", True), ("cn-north-1", False), ("nowhere-1", False)],
)
def test_opt_in_regions(region: str, opt_in: bool) -> None:
    assert is_opt_in(region) is opt_in


@pytest.mark.usefixtures("credentials")
def test_the_end_of_the_credentials_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    assert validity().ends is None

    monkeypatch.setenv("AWS_CREDENTIAL_EXPIRATION", "2099-03-31T16:30:00+02:00")
    assert validity().ends == datetime.datetime(2099, 3, 31, 14, 30, tzinfo=datetime.UTC)
    assert str(validity()) == "valid until 14:30 UTC"

    monkeypatch.setenv("AWS_CREDENTIAL_EXPIRATION", "soon")
    with pytest.raises(AccessError, match="AWS_CREDENTIAL_EXPIRATION"):
        validity()


def test_credentials_of_a_profile_with_a_process_are_renewed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    answer = {"Version": 1, "AccessKeyId": "a", "SecretAccessKey": "b", "Expiration": "2099-01-01T00:00:00Z"}
    (tmp_path / "answer.json").write_text(json.dumps(answer), encoding="utf-8")
    (tmp_path / "config").write_text(
        f"[profile p]\ncredential_process = cat {tmp_path}/answer.json\n", encoding="utf-8"
    )
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_PROFILE", "p")
    monkeypatch.delenv("AWS_ACCESS_KEY_ID", raising=False)

    assert validity().renewed
    assert str(validity()) == "renewed automatically (custom-process)"


def test_places_that_are_called_instead_of_aws_are_named_without_credentials(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert endpoint_overrides({}) == []
    url = {"AWS_ENDPOINT_URL": "http://user:secret@127.0.0.1:1", "AWS_ENDPOINT_URL_STS": "http://[::1]:2", "AWS_X": "x"}
    assert endpoint_overrides(url) == [
        "http://127.0.0.1:1 (AWS_ENDPOINT_URL)",
        "http://[::1]:2 (AWS_ENDPOINT_URL_STS)",
    ]
    assert endpoint_overrides({**url, "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true"}) == []
    config = tmp_path / "config"
    config.write_text("[default]\nendpoint_url = https://proxy.example\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    assert endpoint_overrides({}) == ["https://proxy.example (endpoint_url of the AWS profile)"]


def test_a_command_says_in_one_line_that_it_calls_something_else(
    settings_file: Callable[[str], Path], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    config = settings_file("")
    (config.parent / "accounts.yaml").write_text("accounts: [{id: 111122223333, name: Payments}]")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:18099")

    assert command(["-c", str(config), "targets"]) == 0

    assert capsys.readouterr().err == (
        "Warning: AWS is called at http://127.0.0.1:18099 (AWS_ENDPOINT_URL) instead of its own endpoints, with your "
        "credentials.\n"
    )


@pytest.mark.parametrize(
    "change",
    [
        ("AWSControlTowerExecution", "a/../b"),
        ("AWSControlTowerExecution", "../../../../x"),
        ("AWSControlTowerExecution", "./x"),
        ("accounts.yaml}", "accounts.yaml}\n  state: {key_prefix: a//b}"),
        ("accounts.yaml}", "accounts.yaml}\n  state: {key_prefix: a/}"),
        ("accounts.yaml}", "accounts.yaml}\n  state: {key_prefix: /a}"),
        ("accounts.yaml}", "accounts.yaml}\n  state: {key_prefix: a/../b}"),
    ],
)
def test_names_that_become_paths_in_aws_have_no_empty_parts_and_no_dots(
    settings_file: Callable[[str], Path], change: tuple[str, str]
) -> None:
    config = settings_file("")
    config.write_text(config.read_text().replace(*change))

    with pytest.raises(InputError, match=r"write (the name of a role|a prefix without a slash)"):
        load_settings(config)
