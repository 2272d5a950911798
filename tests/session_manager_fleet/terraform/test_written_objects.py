"""Objects that are written beside the states: each bears Terraform's encryption, and can be written before an apply."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from moto import mock_aws

from session_manager_fleet.aws import new_session
from session_manager_fleet.errors import AccessError
from session_manager_fleet.terraform.adoptions import Adoption, store_adoptions
from session_manager_fleet.terraform.backend import StateBackend
from session_manager_fleet.terraform.retry_tokens import mark_apply, read_revisions, store_retry_token, unmark_apply

BACKEND = StateBackend("states", "us-east-1", "session-manager")
KEY = "111122223333/eu-west-1"
ARN = "arn:aws:kms:us-east-1:111122223333:key/11111111-2222-4333-8444-555555555555"
ENCRYPTION = {"ServerSideEncryption", "SSEKMSKeyId"}


@pytest.fixture
def s3(credentials: None) -> Iterator[Any]:  # noqa: ARG001 - in the environment
    with mock_aws():
        yield new_session("us-east-1").client("s3")


def test_what_cannot_be_written_is_known_before_an_apply(s3: Any) -> None:  # noqa: ANN401
    with pytest.raises(AccessError, match=r"Cannot write session-manager/revisions/writable in the state"):
        BACKEND.check_writable()
    with pytest.raises(AccessError, match=rf"Cannot store session-manager/revisions/{KEY}/applying in the state"):
        mark_apply(BACKEND, KEY)

    s3.create_bucket(Bucket=BACKEND.bucket)
    BACKEND.check_writable()
    assert read_revisions(BACKEND) == ({}, set())


def test_the_mark_of_an_apply_is_read_with_the_tokens_and_removed(s3: Any) -> None:  # noqa: ANN401
    s3.create_bucket(Bucket=BACKEND.bucket)
    mark_apply(BACKEND, KEY)
    store_retry_token(BACKEND, KEY, 4, "apply failed")

    assert read_revisions(BACKEND) == ({KEY: 4}, {KEY})
    assert read_revisions(BACKEND, "444455556666/eu-west-1") == ({}, set())
    unmark_apply(BACKEND, KEY)
    assert read_revisions(BACKEND) == ({KEY: 4}, set())


def test_a_mark_that_may_not_be_removed_stays(s3: Any, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: ANN401
    s3.create_bucket(Bucket=BACKEND.bucket)
    mark_apply(BACKEND, KEY)
    with monkeypatch.context() as context:
        context.setattr(s3, "delete_object", lambda **_: s3.get_object(Bucket="elsewhere", Key="none"))
        context.setattr(StateBackend, "client", lambda _: s3)
        unmark_apply(BACKEND, KEY)

    assert read_revisions(BACKEND) == ({}, {KEY})


@pytest.mark.parametrize(
    ("key", "header"),
    [
        ("", {"ServerSideEncryption": "AES256"}),
        (ARN, {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": ARN}),
    ],
    ids=["default", "a key"],
)
def test_every_object_bears_the_encryption_header_that_terraform_sends(
    monkeypatch: pytest.MonkeyPatch,
    s3: Any,  # noqa: ANN401
    key: str,
    header: dict[str, str],
) -> None:
    """Policies of buckets refuse objects without it."""
    backend, written = replace(BACKEND, kms_key_arn=key), []
    s3.create_bucket(Bucket=backend.bucket)

    def note(params: dict[str, Any], **_: object) -> None:
        written.append({name: value for name, value in params.items() if name in ENCRYPTION})

    s3.meta.events.register("provide-client-params.s3.PutObject", note)
    monkeypatch.setattr(StateBackend, "client", lambda _: s3)

    backend.check_writable()
    mark_apply(backend, KEY)
    store_retry_token(backend, KEY, 1, "apply failed")
    store_adoptions(backend, KEY, [Adoption("log_group", "/aws/ssm/session-logs")])

    assert written == [header] * 4
