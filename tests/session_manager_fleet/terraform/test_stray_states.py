"""States that no target has."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from moto import mock_aws

from session_manager_fleet.accounts.model import Account
from session_manager_fleet.aws import new_session
from session_manager_fleet.errors import InputError
from session_manager_fleet.targets.model import Target
from session_manager_fleet.terraform.backend import StateBackend
from session_manager_fleet.terraform.stray_states import (
    HeldResource,
    StrayState,
    delete_state,
    find_stored,
    find_stray_states,
    read_resources,
)

HOME, OTHER = "eu-west-1", "us-east-1"
BACKEND = StateBackend("states", "us-east-1", "session-manager")
FULL = json.dumps({"resources": [{"mode": "managed"}, {"mode": "data"}]})
EMPTY = json.dumps({"resources": []})
STAYS, GONE = "111122223333", "444455556666"


@pytest.fixture
def s3(credentials: None) -> Iterator[Any]:  # noqa: ARG001 - in the environment
    with mock_aws():
        client = new_session("us-east-1").client("s3")
        client.create_bucket(Bucket=BACKEND.bucket)
        yield client


def test_an_encrypted_state_counts_as_one_with_resources(s3: Any) -> None:  # noqa: ANN401
    """OpenTofu writes nothing else about its resources."""
    content = json.dumps({"serial": 1, "lineage": "a", "meta": {}, "encrypted_data": "…", "encryption_version": "v0"})
    s3.put_object(Bucket=BACKEND.bucket, Key=f"session-manager/{HOME}/{GONE}/terraform.tfstate", Body=content)

    (state,) = find_stray_states(BACKEND, [])

    assert (state.account_id, state.resources) == (GONE, 1)


def test_states_with_resources_that_no_target_has(s3: Any) -> None:  # noqa: ANN401
    account = Account(STAYS, "Stays")
    targets = [Target(account, HOME, HOME), Target(account, OTHER, HOME)]
    for target in targets:
        s3.put_object(Bucket=BACKEND.bucket, Key=BACKEND.state_key(target), Body=FULL)
    states = {
        f"{HOME}/{GONE}": FULL,
        f"{OTHER}/{GONE}-{OTHER}": EMPTY,
        f"eu-north-1/{STAYS}-eu-north-1": FULL,
        f"{OTHER}/{STAYS}": FULL,
    }
    for place, content in states.items():
        s3.put_object(Bucket=BACKEND.bucket, Key=f"session-manager/{place}/terraform.tfstate", Body=content)
    for name in (f"{HOME}/{GONE}/terraform.tfstate.tflock", f"revisions/{GONE}/{HOME}/1"):
        s3.put_object(Bucket=BACKEND.bucket, Key=f"session-manager/{name}", Body=FULL)

    found = find_stray_states(BACKEND, targets)

    assert [(state.account_id, state.region, state.is_home, state.resources) for state in found] == [
        (STAYS, "eu-north-1", False, 1),
        (STAYS, OTHER, True, 1),
        (GONE, HOME, True, 1),
    ]
    assert found[1].key == f"session-manager/{OTHER}/{STAYS}/terraform.tfstate"


def test_targets_with_resources_in_their_state(s3: Any) -> None:  # noqa: ANN401
    new, destroyed, small, large = (Target(Account(STAYS, "Stays"), f"eu-west-{n}", HOME) for n in range(1, 5))
    for target, content in ((destroyed, EMPTY), (small, FULL), (large, FULL + " " * 5000)):
        s3.put_object(Bucket=BACKEND.bucket, Key=BACKEND.state_key(target), Body=content)

    assert find_stored(BACKEND, [new, destroyed, small, large]) == {small.key, large.key}


STRAY = StrayState(GONE, HOME, is_home=True, key=f"session-manager/{HOME}/{GONE}/terraform.tfstate", resources=2)
HELD = {
    "resources": [
        {
            "module": "module.instance_policy[0]",
            "mode": "managed",
            "type": "aws_iam_policy",
            "name": "this",
            "instances": [{"attributes": {"arn": "arn:aws:iam::444455556666:policy/P", "id": "P", "policy": "secret"}}],
        },
        {
            "mode": "managed",
            "type": "aws_kms_alias",
            "name": "all",
            "instances": [{"index_key": "data", "attributes": {"id": "alias/data"}}, {"index_key": 1}],
        },
        {"mode": "data", "type": "aws_partition", "name": "current", "instances": [{"attributes": {"id": "aws"}}]},
    ]
}


def test_the_resources_of_a_state_have_addresses_and_ids_and_nothing_else(s3: Any) -> None:  # noqa: ANN401
    s3.put_object(Bucket=BACKEND.bucket, Key=STRAY.key, Body=json.dumps(HELD))

    assert read_resources(BACKEND, STRAY) == [
        HeldResource("module.instance_policy[0].aws_iam_policy.this", "arn:aws:iam::444455556666:policy/P"),
        HeldResource('aws_kms_alias.all["data"]', "alias/data"),
        HeldResource("aws_kms_alias.all[1]", ""),
    ]
    for content in ("", "[]", '{"resources": [1]}', '{"resources": [{"mode": "managed"}]}'):
        s3.put_object(Bucket=BACKEND.bucket, Key=STRAY.key, Body=content)
        with pytest.raises(InputError, match="is no state of Terraform"):
            read_resources(BACKEND, STRAY)


def test_a_state_is_deleted_unless_it_is_locked(s3: Any) -> None:  # noqa: ANN401
    lock = f"{STRAY.key}.tflock"
    for key in (STRAY.key, lock):
        s3.put_object(Bucket=BACKEND.bucket, Key=key, Body=json.dumps(HELD))
    with pytest.raises(InputError, match=rf"is locked .*aws s3api delete-object --bucket states --key {lock}"):
        delete_state(BACKEND, STRAY)
    s3.delete_object(Bucket=BACKEND.bucket, Key=lock)

    assert not delete_state(BACKEND, STRAY)
    assert "Contents" not in s3.list_objects_v2(Bucket=BACKEND.bucket)
    s3.put_bucket_versioning(Bucket=BACKEND.bucket, VersioningConfiguration={"Status": "Enabled"})
    s3.put_object(Bucket=BACKEND.bucket, Key=STRAY.key, Body=json.dumps(HELD))
    assert delete_state(BACKEND, STRAY)
