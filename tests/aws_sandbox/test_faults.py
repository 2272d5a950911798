from collections.abc import Iterator

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from aws_sandbox import Sandbox

PAYMENTS = "902764185309"
WEBSHOP = "158346729082"
ONE_ATTEMPT = Config(retries={"total_max_attempts": 1})


@pytest.fixture
def faults(sandbox: Sandbox) -> Iterator[Sandbox]:
    """The sandbox, with all injected faults gone afterwards."""
    yield sandbox
    sandbox.clear_faults()


def code_of(error: pytest.ExceptionInfo[ClientError]) -> tuple[str, int]:
    response = error.value.response
    return response["Error"]["Code"], response["ResponseMetadata"]["HTTPStatusCode"]


def test_a_denied_call_in_one_account(faults: Sandbox) -> None:
    faults.inject_fault("ssm", "ListDocuments", account=PAYMENTS, code="AccessDeniedException", message="Not you.")
    assert "DocumentIdentifiers" in faults.session(WEBSHOP, "eu-west-1").client("ssm").list_documents()
    ssm = faults.session(PAYMENTS, "eu-west-1").client("ssm", config=ONE_ATTEMPT)
    assert "Parameters" in ssm.describe_parameters()
    with pytest.raises(ClientError, match=r"Not you\.") as refused:
        ssm.list_documents()
    assert code_of(refused) == ("AccessDeniedException", 403)
    assert "DocumentIdentifiers" in ssm.list_documents()


def test_throttling_is_retried_by_clients(faults: Sandbox) -> None:
    faults.inject_fault("kms", "*", code="ThrottlingException", message="Rate exceeded", times=2)
    patient = Config(retries={"mode": "standard", "total_max_attempts": 3})
    answer = faults.session(PAYMENTS, "eu-west-1").client("kms", config=patient).list_keys()
    assert answer["ResponseMetadata"]["RetryAttempts"] == 2


def test_until_cleared(faults: Sandbox) -> None:
    faults.inject_fault("iam", "ListRoles", code="ServiceFailure", times=-1)
    iam = faults.session(PAYMENTS, "eu-west-1").client("iam", config=ONE_ATTEMPT)
    for _ in range(3):
        with pytest.raises(ClientError) as failed:
            iam.list_roles()
        assert code_of(failed) == ("ServiceFailure", 500)
    faults.clear_faults()
    assert iam.list_roles()["Roles"]


@pytest.mark.parametrize(
    ("service", "action", "method", "arguments"),
    [
        ("s3", "PutObject", "put_object", {"Bucket": "session-manager-state-380917246553", "Key": "x"}),
        ("lambda", "GetFunction", "get_function", {"FunctionName": "x"}),
        ("sts", "GetCallerIdentity", "get_caller_identity", {}),
        ("config", "DescribeConfigRules", "describe_config_rules", {}),
        ("logs", "DescribeLogGroups", "describe_log_groups", {}),
    ],
)
def test_in_every_protocol(faults: Sandbox, service: str, action: str, method: str, arguments: dict[str, str]) -> None:
    faults.inject_fault(service, action, code="AccessDenied", message="On purpose.")
    client = faults.session("380917246553", "eu-west-1").client(service, config=ONE_ATTEMPT)  # type: ignore[call-overload]
    with pytest.raises(ClientError, match=r"On purpose\.") as refused:
        getattr(client, method)(**arguments)
    assert code_of(refused) == ("AccessDenied", 403)
