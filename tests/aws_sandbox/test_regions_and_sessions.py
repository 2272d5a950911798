"""Opt-in regions, STS endpoints and the ends of sessions, as AWS refuses them."""

from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from aws_sandbox import Sandbox, SandboxAccount, SandboxOrganization

HOME, OPT_IN = "eu-west-1", "ap-south-2"
MANAGEMENT, MEMBER, WITHOUT = "318407395516", "740281937465", "740281937466"
ORGANIZATION = SandboxOrganization(
    id="o-regions12345",
    management_account_id=MANAGEMENT,
    accounts=(
        SandboxAccount(MANAGEMENT, "Management", "management@example.com", "", disabled_regions=(OPT_IN,)),
        SandboxAccount(MEMBER, "Member", "member@example.com", "", sts_inactive_regions=("us-east-2",)),
        SandboxAccount(WITHOUT, "Without", "without@example.com", "", disabled_regions=(OPT_IN,)),
    ),
    organizational_units=(),
    home_region=HOME,
    regions=(HOME, OPT_IN),
)


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    with Sandbox.start(ORGANIZATION, tmp_path_factory.mktemp("regions")) as running:
        yield running


@pytest.fixture
def management(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> boto3.Session:
    for name, value in sandbox.environment().items():
        monkeypatch.setenv(name, value)
    return boto3.Session()


def client_of(session: boto3.Session, service: str, region: str = HOME) -> Any:  # noqa: ANN401 - one type a service
    return session.client(service, region_name=region)  # type: ignore[call-overload]


def refused(call: Callable[[], object]) -> str:
    with pytest.raises(ClientError) as error:
        call()
    return error.value.response["Error"]["Code"]


def assume(session: boto3.Session, account: str, region: str = HOME, seconds: int | None = None) -> boto3.Session:
    asked: Any = {} if seconds is None else {"DurationSeconds": seconds}
    client = session.client("sts", region_name=region, config=Config(parameter_validation=False))
    answer = client.assume_role(RoleArn=ORGANIZATION.role_arn(account), RoleSessionName="test", **asked)
    credentials = answer["Credentials"]
    return boto3.Session(credentials["AccessKeyId"], credentials["SecretAccessKey"], credentials["SessionToken"], HOME)


def test_an_sts_endpoint_accepts_only_callers_whose_account_has_enabled_its_region(management: boto3.Session) -> None:
    assert refused(lambda: assume(management, MEMBER, OPT_IN)) == "InvalidClientTokenId"

    member = assume(management, MEMBER)
    assert member.client("ssm", region_name=OPT_IN).describe_parameters()["Parameters"] == []


def test_sts_that_the_account_of_the_role_has_deactivated(management: boto3.Session) -> None:
    assert refused(lambda: assume(management, MEMBER, "us-east-2")) == "RegionDisabledException"
    assert assume(management, WITHOUT, "us-east-2")


@pytest.mark.parametrize(
    ("service", "operation", "code"),
    [
        ("ssm", "describe_parameters", "UnrecognizedClientException"),
        ("iam", "list_roles", ""),
        ("ec2", "describe_vpcs", "AuthFailure"),
        ("logs", "describe_log_groups", "UnrecognizedClientException"),
    ],
)
def test_calls_in_a_region_that_the_member_has_not_enabled(
    management: boto3.Session, service: str, operation: str, code: str
) -> None:
    client = client_of(assume(management, WITHOUT), service, OPT_IN)

    if code:
        assert refused(getattr(client, operation)) == code
    else:  # a global service, which is signed for us-east-1
        getattr(client, operation)()


def test_the_status_of_regions(management: boto3.Session) -> None:
    account = management.client("account", region_name="us-east-1")

    def by_account(account_id: str | None) -> dict[str, str]:
        asked: Any = {"AccountId": account_id} if account_id else {}
        pages = account.get_paginator("list_regions").paginate(**asked)
        return {region["RegionName"]: region["RegionOptStatus"] for page in pages for region in page["Regions"]}

    def in_account(account_id: str) -> dict[str, str]:
        regions = assume(management, account_id).client("ec2").describe_regions(AllRegions=True)["Regions"]
        return {region["RegionName"]: region["OptInStatus"] for region in regions}

    assert [by_account(each)[OPT_IN] for each in (None, MEMBER, WITHOUT)] == ["DISABLED", "ENABLED", "DISABLED"]
    assert by_account(MEMBER)[HOME] == "ENABLED_BY_DEFAULT"
    assert [in_account(each)[OPT_IN] for each in (MEMBER, WITHOUT)] == ["opted-in", "not-opted-in"]
    assert in_account(MEMBER)["me-south-1"] == "not-opted-in"
    assert OPT_IN not in [
        region["RegionName"] for region in assume(management, WITHOUT).client("ec2").describe_regions()["Regions"]
    ]
    member = assume(management, MEMBER).client("account", region_name="us-east-1")
    assert refused(lambda: member.list_regions(AccountId=WITHOUT)) == "AccessDeniedException"


@pytest.mark.parametrize("seconds", [899, 43201])
def test_sessions_outside_the_limits(management: boto3.Session, seconds: int) -> None:
    assert refused(lambda: assume(management, MEMBER, seconds=seconds)) == "ValidationError"


def test_a_session_over_what_the_role_allows_and_over_an_hour_by_chaining(management: boto3.Session) -> None:
    iam = assume(management, MANAGEMENT).client("iam")
    iam.update_role(RoleName=ORGANIZATION.deployment_role, MaxSessionDuration=7200)
    chained = assume(management, MANAGEMENT)

    assert refused(lambda: assume(management, MEMBER, seconds=7200)) == "ValidationError"
    assert assume(management, MANAGEMENT, seconds=7200)
    with pytest.raises(ClientError, match="1 hour session limit for roles assumed by role chaining"):
        assume(chained, MANAGEMENT, seconds=3601)
    assert assume(chained, MANAGEMENT, seconds=3600)


@pytest.mark.parametrize(
    ("service", "operation", "code"),
    [
        ("sts", "get_caller_identity", "ExpiredToken"),
        ("ssm", "describe_parameters", "ExpiredTokenException"),
        ("s3", "list_buckets", "ExpiredToken"),
        ("ec2", "describe_vpcs", "RequestExpired"),
    ],
)
def test_credentials_of_a_session_that_has_ended(
    sandbox: Sandbox, management: boto3.Session, service: str, operation: str, code: str
) -> None:
    member = assume(management, MEMBER)
    credentials = member.get_credentials()
    assert credentials is not None
    client = client_of(member, service)
    getattr(client, operation)()

    sandbox.expire_credentials(credentials.access_key)

    assert refused(getattr(client, operation)) == code
