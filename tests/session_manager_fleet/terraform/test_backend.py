"""The state bucket: found in the caller's account only, one key prefix for each region."""

from collections.abc import Iterator

import boto3
import pytest
from botocore.stub import Stubber
from moto import mock_aws

from session_manager_fleet.accounts.model import Account
from session_manager_fleet.errors import AccessError, InputError
from session_manager_fleet.settings.schema import OrganizationSettings
from session_manager_fleet.targets.model import Target
from session_manager_fleet.terraform.backend import StateBackend

HOME, OTHER = "eu-west-1", "us-east-1"
KEY = "arn:aws:kms:us-east-1:123456789012:key/1234abcd"


ROLE = "arn:aws:iam::444455556666:role/teams/session-manager-states"


def settings(**state: object) -> OrganizationSettings:
    return OrganizationSettings.model_validate(
        {
            "id": "o-exampleorgid",
            "home_region": HOME,
            "regions": [HOME, OTHER],
            "deployment_role": {"name": "AWSControlTowerExecution"},
            "state": state,
        }
    )


@pytest.fixture
def aws(credentials: None) -> Iterator[None]:  # noqa: ARG001 - for the clients
    with mock_aws():
        yield


@pytest.mark.usefixtures("aws")
def test_the_state_bucket_of_the_callers_account() -> None:
    boto3.client("s3", region_name=OTHER).create_bucket(Bucket="session-manager-state-123456789012")

    found = StateBackend.find(settings(), HOME)

    assert found == StateBackend("session-manager-state-123456789012", HOME, "session-manager")
    assert found.address == "s3://session-manager-state-123456789012/session-manager in eu-west-1"


@pytest.mark.usefixtures("aws")
def test_a_named_state_bucket_with_a_key() -> None:
    boto3.client("s3", region_name=OTHER).create_bucket(Bucket="states-of-all")

    found = StateBackend.find(settings(bucket="states-of-all", region=OTHER, kms_key_arn=KEY, key_prefix="a/b"), HOME)

    assert found == StateBackend("states-of-all", OTHER, "a/b", KEY)
    assert found.address == f"s3://states-of-all/a/b in us-east-1, encrypted with {KEY}"


@pytest.mark.usefixtures("aws")
def test_a_missing_state_bucket_is_reported_with_what_to_do() -> None:
    with pytest.raises(
        InputError, match=r"The state bucket session-manager-state-123456789012 does not exist .* create it"
    ):
        StateBackend.find(settings(), HOME)


@pytest.mark.usefixtures("aws")
def test_the_state_bucket_of_another_account_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    s3 = boto3.client("s3", region_name=HOME)
    make_client = boto3.Session.client

    def client(session: boto3.Session, service: str, **options: object) -> object:
        return s3 if service == "s3" else make_client(session, service, **options)  # type: ignore[call-overload]

    monkeypatch.setattr(boto3.Session, "client", client)
    with Stubber(s3) as stubber:
        owner = {"Bucket": "states-of-all", "ExpectedBucketOwner": "123456789012"}
        asked = {**owner, "Prefix": "session-manager/", "MaxKeys": 1}
        stubber.add_client_error("list_objects_v2", "AccessDenied", "Access Denied", 403, expected_params=asked)

        with pytest.raises(AccessError) as caught:
            StateBackend.find(settings(bucket="states-of-all"), HOME)

    assert (
        str(caught.value)
        == "Cannot use the state bucket states-of-all as account 123456789012: AccessDenied. Access Denied."
    )


@pytest.mark.usefixtures("aws")
def test_the_states_of_another_account_are_entered_by_a_role_of_their_own() -> None:
    """By Python and by Terraform alike."""
    name = "session-manager-state-444455556666"
    role = {"arn": ROLE, "external_id": "an-id"}
    with pytest.raises(InputError, match=f"The state bucket {name} does not exist in account 444455556666"):
        StateBackend.find(settings(role=role), HOME)
    sts = boto3.client("sts", region_name=HOME)
    assumed = sts.assume_role(RoleArn=ROLE, RoleSessionName="test")["Credentials"]
    owner = boto3.Session(assumed["AccessKeyId"], assumed["SecretAccessKey"], assumed["SessionToken"])
    owner.client("s3", region_name=OTHER).create_bucket(Bucket=name)
    backend = StateBackend.find(settings(role=role), HOME)

    assert backend.bucket == name
    backend.check_writable()
    assert backend.configuration(HOME)["assume_role"] == (
        f'{{role_arn = "{ROLE}", session_name = "session-manager-rollout", external_id = "an-id"}}'
    )
    assert "assume_role" not in StateBackend("states", HOME, "a/b").configuration(HOME)


@pytest.mark.parametrize("arn", ["session-manager-states", "arn:aws:iam::444455556666:user/states", ""])
def test_the_role_of_the_states_is_an_arn(arn: str) -> None:
    with pytest.raises(ValueError, match="arn"):
        settings(role={"arn": arn})


def test_each_region_has_its_own_prefix() -> None:
    backend = StateBackend("states", HOME, "a/b")
    shared = {"bucket": "states", "region": HOME, "key": "terraform.tfstate"}
    locked = {"use_lockfile": "true", "encrypt": "true"}

    assert backend.configuration(HOME) == {**shared, **locked, "workspace_key_prefix": "a/b/eu-west-1"}
    assert backend.configuration(OTHER) == {**shared, **locked, "workspace_key_prefix": "a/b/us-east-1"}
    assert StateBackend("states", HOME, "a/b", KEY).configuration(OTHER)["kms_key_id"] == KEY


def test_the_state_of_a_target_is_below_the_prefix_of_its_region() -> None:
    target = Target(Account("111122223333", "Payments"), OTHER, HOME)

    key = StateBackend("states", HOME, "a/b").state_key(target)

    assert key == "a/b/us-east-1/111122223333-us-east-1/terraform.tfstate"
