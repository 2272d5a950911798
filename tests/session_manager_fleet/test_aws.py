"""Sessions: what they are given reaches their clients, and many of them cost little."""

import time
from pathlib import Path

import boto3
import pytest

from session_manager_fleet import aws
from session_manager_fleet.accounts.model import MANAGEMENT, Account
from session_manager_fleet.aws import new_session, partitions
from session_manager_fleet.errors import AccessError
from session_manager_fleet.settings.roles import AccountRole
from session_manager_fleet.targets.session import account_session

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


def test_many_sessions_read_the_descriptions_of_services_once() -> None:
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
    with pytest.raises(AccessError, match=r"^Cannot assume .*Deploy: .*No such file or directory.*no-token"):
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
