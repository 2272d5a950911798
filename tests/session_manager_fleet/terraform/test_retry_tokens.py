"""Retry tokens beside the states: stored once, read by one listing, appended to the rendered revision."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
from moto import mock_aws

from session_manager_fleet.accounts.model import Organization
from session_manager_fleet.aws import new_session
from session_manager_fleet.errors import AccessError
from session_manager_fleet.settings.layers import Settings
from session_manager_fleet.terraform.backend import StateBackend
from session_manager_fleet.terraform.retry_tokens import read_retry_tokens, store_retry_token, with_retry_token

BACKEND = StateBackend("session-manager-state-111122223333", "eu-west-1", "session-manager")


@pytest.fixture
def bucket(credentials: None) -> Iterator[str]:  # noqa: ARG001 - they are in the environment
    with mock_aws():
        name = BACKEND.bucket
        new_session("eu-west-1").client("s3").create_bucket(
            Bucket=name, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"}
        )
        yield name


@pytest.mark.usefixtures("bucket")
def test_no_retry_token_is_stored_at_first() -> None:
    assert read_retry_tokens(BACKEND) == {}


def test_the_last_retry_token_is_read_by_the_key_of_its_target(bucket: str) -> None:
    for number in (9, 10, 2):
        store_retry_token(BACKEND, "111122223333/eu-west-1", number, "apply failed")
    store_retry_token(BACKEND, "222233334444/us-east-1", 1, "verification failed")
    s3 = new_session("eu-west-1").client("s3")
    s3.put_object(Bucket=bucket, Key="session-manager/eu-west-1/111122223333/terraform.tfstate")
    s3.put_object(Bucket=bucket, Key="session-manager/revisions/README")

    assert read_retry_tokens(BACKEND) == {"111122223333/eu-west-1": 10, "222233334444/us-east-1": 1}
    assert read_retry_tokens(BACKEND, "222233334444/us-east-1") == {"222233334444/us-east-1": 1}
    assert read_retry_tokens(BACKEND, "333344445555/us-east-1") == {}
    stored = s3.get_object(Bucket=bucket, Key="session-manager/revisions/222233334444/us-east-1/1")
    assert json.load(stored["Body"]) == {"reason": "verification failed"}


def test_all_pages_are_read(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOTO_S3_DEFAULT_MAX_KEYS", "2")
    s3 = new_session("eu-west-1").client("s3")
    for number in range(5):
        s3.put_object(Bucket=bucket, Key=f"{BACKEND.key_prefix}/revisions/{number:012}/eu-west-1/1")

    assert len(read_retry_tokens(BACKEND)) == 5


def test_a_retry_token_is_encrypted_with_the_key_of_the_states(bucket: str) -> None:
    key = "arn:aws:kms:eu-west-1:111122223333:key/11111111-2222-4333-8444-555555555555"

    store_retry_token(replace(BACKEND, kms_key_arn=key), "111122223333/eu-west-1", 1, "apply failed")

    head = (
        new_session("eu-west-1")
        .client("s3")
        .head_object(Bucket=bucket, Key="session-manager/revisions/111122223333/eu-west-1/1")
    )
    assert (head["ServerSideEncryption"], head["SSEKMSKeyId"]) == ("aws:kms", key)


@pytest.mark.usefixtures("credentials")
def test_a_missing_bucket_is_reported() -> None:
    with mock_aws():
        with pytest.raises(
            AccessError, match=r"Cannot list session-manager/revisions/ in the state bucket .*NoSuchBucket"
        ):
            read_retry_tokens(BACKEND)
        with pytest.raises(
            AccessError, match=r"Cannot store session-manager/revisions/1/eu-west-1/1 in .*NoSuchBucket"
        ):
            store_retry_token(BACKEND, "1/eu-west-1", 1, "apply failed")


def test_the_token_is_appended_to_the_revision_of_the_settings(
    organization: Organization, make_settings: Callable[[str], Settings]
) -> None:
    settings = make_settings("defaults: {preferences: {revision: blue}}")
    effective = settings.effective(organization.accounts[1], "eu-west-1")

    assert with_retry_token(effective, 0) is effective
    renewed = with_retry_token(effective, 2)
    assert renewed.values.preferences.revision == "blue+2"
    assert renewed.values.preferences.model_copy(update={"revision": "blue"}) == effective.values.preferences
    assert (renewed.origins, renewed.skipped) == (effective.origins, effective.skipped)
    assert effective.values.preferences.revision == "blue"
