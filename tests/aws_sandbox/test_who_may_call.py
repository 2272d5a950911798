"""Only who holds a secret of the emulator may use it: not another user of the machine, nor a web page."""

import http.client
import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import boto3
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.exceptions import ClientError

from aws_sandbox import Sandbox

BODY = json.dumps({"MaxResults": 10})


def ask(
    sandbox: Sandbox, method: str, path: str, body: str = "", headers: Mapping[str, str] | None = None
) -> tuple[int, str]:
    connection = http.client.HTTPConnection(sandbox.endpoint_url.removeprefix("http://"), timeout=10)
    connection.request(method, path, body, dict(headers or {}))
    response = connection.getresponse()
    answer = response.status, response.read().decode()
    connection.close()
    return answer


def signed(sandbox: Sandbox, path: str = "/", signed_at: datetime | None = None) -> dict[str, str]:
    """Return the headers of a valid request, signed now or at another time."""
    session = sandbox.session(sandbox.organization.management_account_id, "eu-west-1")
    credentials = session.get_credentials()
    assert credentials is not None
    frozen = credentials.get_frozen_credentials()
    request = AWSRequest(
        "POST",
        sandbox.endpoint_url + path,
        {
            "Host": sandbox.endpoint_url.removeprefix("http://"),
            "X-Amz-Target": "AmazonSSM.DescribeParameters",
            "Content-Type": "application/x-amz-json-1.1",
        },
        BODY,
    )
    with pytest.MonkeyPatch.context() as clock:
        if signed_at:
            clock.setattr("botocore.auth.get_current_datetime", lambda: signed_at)
        SigV4Auth(frozen, "ssm", "eu-west-1").add_auth(request)
    return dict(request.headers.items())


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("path", ["/moto-api/data.json", "/moto-api/reset", "/moto-api/seed?a=42", "/moto-api/"])
def test_the_administration_of_moto_does_not_exist(sandbox: Sandbox, method: str, path: str) -> None:
    assert ask(sandbox, method, path, headers={"Origin": "https://evil.example"})[0] == 404
    assert ask(sandbox, "POST", path, BODY, signed(sandbox, path))[0] == 404


@pytest.mark.parametrize("headers", [{}, {"X-Sandbox-Token": ""}, {"X-Sandbox-Token": "ü".encode().decode("latin-1")}])
@pytest.mark.parametrize(("method", "name"), [("POST", "faults"), ("DELETE", "faults"), ("POST", "instance")])
def test_operations_on_the_emulator_demand_its_token(
    sandbox: Sandbox, method: str, name: str, headers: dict[str, str]
) -> None:
    status, answer = ask(sandbox, method, f"/sandbox/{name}", "{}", headers)

    assert status == 403
    assert "X-Sandbox-Token is not the token of this sandbox" in answer


@pytest.mark.parametrize("host", ["evil.example:1234", "localhost", "169.254.169.254", ""])
@pytest.mark.parametrize("path", ["/", "/moto-api/data.json", "/sandbox/faults"])
def test_a_page_that_was_led_here_by_its_own_name_gets_no_answer(sandbox: Sandbox, host: str, path: str) -> None:
    headers = {**signed(sandbox), "Host": host}

    status, answer = ask(sandbox, "POST", path, BODY, headers)

    assert (status, "answers at 127.0.0.1" in answer) == (403, True)


def wrong(sandbox: Sandbox, secret: str | None = None, token: str | None = None) -> boto3.Session:
    credentials = sandbox.session(sandbox.organization.management_account_id, "eu-west-1").get_credentials()
    assert credentials is not None
    frozen = credentials.get_frozen_credentials()
    return boto3.Session(frozen.access_key, secret or frozen.secret_key, frozen.token if token is None else token)


@pytest.mark.parametrize(
    ("service", "operation", "code"),
    [
        ("sts", "get_caller_identity", "SignatureDoesNotMatch"),
        ("iam", "list_roles", "SignatureDoesNotMatch"),
        ("s3", "list_buckets", "SignatureDoesNotMatch"),
        ("ssm", "list_documents", "InvalidSignatureException"),
        ("lambda", "list_functions", "InvalidSignatureException"),
    ],
)
def test_the_id_of_an_access_key_is_no_credential(sandbox: Sandbox, service: str, operation: str, code: str) -> None:
    session = wrong(sandbox, secret="wrong")
    client = session.client(service, "eu-west-1", endpoint_url=sandbox.endpoint_url)  # type: ignore[call-overload]

    with pytest.raises(ClientError) as refused:
        getattr(client, operation)()

    assert refused.value.response["Error"]["Code"] == code


@pytest.mark.parametrize("token", ["", "of-another-session"])
def test_the_key_of_a_session_needs_the_token_of_the_session(sandbox: Sandbox, token: str) -> None:
    client = wrong(sandbox, token=token).client("sts", "eu-west-1", endpoint_url=sandbox.endpoint_url)

    with pytest.raises(ClientError) as refused:
        client.get_caller_identity()

    assert refused.value.response["Error"]["Code"] == "InvalidClientTokenId"


def test_a_request_is_taken_as_it_was_signed_only(sandbox: Sandbox) -> None:
    headers = signed(sandbox)
    assert ask(sandbox, "POST", "/", BODY, headers)[0] == 200

    other_body = ask(sandbox, "POST", "/", json.dumps({"MaxResults": 11}), headers)
    other_operation = ask(sandbox, "POST", "/", BODY, {**headers, "X-Amz-Target": "AmazonSSM.DeleteDocument"})
    other_path = ask(sandbox, "POST", "/a?b=c", BODY, headers)
    hash_of_another = ask(sandbox, "POST", "/", BODY, {**headers, "X-Amz-Content-SHA256": "0" * 64})
    no_time = ask(sandbox, "POST", "/", BODY, {**headers, "X-Amz-Date": "soon"})

    for status, answer in (other_body, other_operation, other_path, hash_of_another, no_time):
        assert (status, "InvalidSignatureException" in answer) == (400, True), answer


def test_a_signature_is_valid_for_a_quarter_of_an_hour(sandbox: Sandbox) -> None:
    headers = signed(sandbox, signed_at=datetime.now(UTC) - timedelta(minutes=16))

    status, answer = ask(sandbox, "POST", "/", BODY, headers)

    assert (status, "Signature expired" in answer) == (400, True), answer


def test_credentials_in_an_address_are_none(sandbox: Sandbox) -> None:
    key = signed(sandbox)["Authorization"].split("Credential=")[1].split(",")[0]

    status, answer = ask(sandbox, "GET", f"/?Action=GetCallerIdentity&Version=2011-06-15&X-Amz-Credential={key}")

    assert (status, "MissingAuthenticationToken" in answer) == (403, True)


@pytest.mark.parametrize("length", [-1, 2**40])
def test_a_body_that_fills_the_memory_is_not_read(sandbox: Sandbox, length: int) -> None:
    status, answer = ask(sandbox, "POST", "/", headers={"Content-Length": str(length)})

    assert (status, "too large" in answer) == (413, True)
