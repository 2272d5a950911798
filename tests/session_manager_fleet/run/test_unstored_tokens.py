"""Retry tokens that could not be stored: no later plan shows "no changes" instead."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from moto import mock_aws

from session_manager_fleet.aws import new_session
from session_manager_fleet.errors import AccessError
from session_manager_fleet.run.unstored_tokens import remember_unstored, with_unstored
from session_manager_fleet.terraform.adoptions import Adoption, store_adoptions
from session_manager_fleet.terraform.backend import StateBackend
from session_manager_fleet.terraform.retry_tokens import read_retry_tokens, store_retry_token

BACKEND = StateBackend("states", "us-east-1", "session-manager")
KEY = "111122223333/eu-west-1"
ARN = "arn:aws:kms:us-east-1:111122223333:key/11111111-2222-4333-8444-555555555555"
ENCRYPTION = {"ServerSideEncryption", "SSEKMSKeyId"}


@pytest.fixture
def runs(credentials: None, tmp_path: Path) -> Iterator[Path]:  # noqa: ARG001 - in the environment
    folder = tmp_path / "20261126T052216Z-572c" / KEY
    folder.mkdir(parents=True)
    remember_unstored(folder)
    with mock_aws():
        yield tmp_path


def test_a_plan_uses_the_token_even_where_it_may_not_store_it(runs: Path) -> None:
    """The bucket does not exist, so nothing can be stored; every plan and its apply find the same number."""
    for _ in range(2):
        assert with_unstored({KEY: 3, "other": 1}, BACKEND, runs) == {KEY: 4, "other": 1}


def test_a_token_is_stored_once_that_is_possible_and_then_forgotten(runs: Path) -> None:
    new_session("us-east-1").client("s3").create_bucket(Bucket=BACKEND.bucket)

    assert with_unstored({}, BACKEND, runs) == {KEY: 1}
    assert read_retry_tokens(BACKEND) == {KEY: 1}
    assert with_unstored({KEY: 1}, BACKEND, runs) == {KEY: 1}


def test_what_cannot_be_written_is_known_before_an_apply(runs: Path) -> None:  # noqa: ARG001 - the emulated account
    with pytest.raises(AccessError, match=r"Cannot write session-manager/revisions/writable in the state"):
        BACKEND.check_writable()

    new_session("us-east-1").client("s3").create_bucket(Bucket=BACKEND.bucket)
    BACKEND.check_writable()
    assert read_retry_tokens(BACKEND) == {}


@pytest.mark.usefixtures("runs")
@pytest.mark.parametrize(
    ("key", "header"),
    [
        ("", {"ServerSideEncryption": "AES256"}),
        (ARN, {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": ARN}),
    ],
    ids=["default", "a key"],
)
def test_every_object_bears_the_encryption_header_that_terraform_sends(
    monkeypatch: pytest.MonkeyPatch, key: str, header: dict[str, str]
) -> None:
    """Policies of buckets refuse objects without it."""
    backend, written = replace(BACKEND, kms_key_arn=key), []
    s3 = new_session("us-east-1").client("s3")
    s3.create_bucket(Bucket=backend.bucket)

    def note(params: dict[str, Any], **_: object) -> None:
        written.append({name: value for name, value in params.items() if name in ENCRYPTION})

    s3.meta.events.register("provide-client-params.s3.PutObject", note)
    monkeypatch.setattr(StateBackend, "client", lambda _: s3)

    backend.check_writable()
    store_retry_token(backend, KEY, 1, "apply failed")
    store_adoptions(backend, KEY, [Adoption("log_group", "/aws/ssm/session-logs")])

    assert written == [header] * 3
