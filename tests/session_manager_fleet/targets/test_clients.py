"""Clients that several threads and accounts share: each call is signed for the account that is read."""

import re
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.compat import HTTPHeaders
from botocore.credentials import Credentials

from session_manager_fleet.aws import translated_errors
from session_manager_fleet.errors import AccessError
from session_manager_fleet.targets import Identity, Reader, SharedClients

HOME = "eu-west-1"


class Answer(AWSResponse):
    """An answer without a connection."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__("https://ssm.eu-west-1.amazonaws.com", status, HTTPHeaders(), None)
        self._content = text.encode()


def signed_by(request: AWSPreparedRequest) -> str:
    authorization: Any = request.headers["Authorization"]
    text = authorization.decode() if isinstance(authorization, bytes) else str(authorization)
    match = re.search(r"Credential=(\w+)/", text)
    assert match
    return match[1]


def answered(clients: SharedClients, answer: Any) -> SharedClients:  # noqa: ANN401 - a function of a request
    """Let clients answer without a connection."""
    made = clients._made

    def make(service: str, region: str) -> Any:  # noqa: ANN401 - a client
        client = made(service, region)
        client.meta.events.register("before-send", lambda request, **_: answer(request))
        return client

    clients._made = make  # type: ignore[method-assign]
    return clients


def reader(clients: SharedClients, name: str) -> Reader:
    return Reader(Identity(Credentials(name, "secret"), f"arn:of:{name}"), clients)


def own_key(request: AWSPreparedRequest) -> Answer:
    return Answer(200, f'{{"Parameters": [{{"Value": "{signed_by(request)}"}}]}}')


def value_of(answer: Mapping[str, Any]) -> str:
    return str(answer["Parameters"][0]["Value"])


def test_threads_act_for_their_own_accounts_with_one_client() -> None:
    clients = answered(SharedClients(), own_key)

    def work(number: int) -> set[str]:
        mine = reader(clients, f"KEY{number}")
        return {value_of(mine.call("ssm", HOME, "get_parameters", Names=["x"])) for _ in range(20)}

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(work, range(8))) == [{f"KEY{number}"} for number in range(8)]
    assert len(clients._clients) == 1


def test_each_page_is_signed_for_its_reader_when_another_one_reads_meanwhile() -> None:
    keys: list[str] = []

    def page(request: AWSPreparedRequest) -> Answer:
        keys.append(signed_by(request))
        more = f', "NextToken": "{len(keys)}"' if len(keys) < 6 else ""
        return Answer(200, f'{{"Parameters": [{{"Name": "{len(keys)}"}}]{more}}}')

    clients = answered(SharedClients(), page)
    one, other = reader(clients, "ONE"), reader(clients, "OTHER")
    names = []
    for each in one.pages("ssm", HOME, "describe_parameters", "Parameters"):
        names.append(each["Name"])
        other.call("ssm", HOME, "get_parameters", Names=["x"])

    assert keys == ["ONE", "OTHER"] * 4
    assert names == ["1", "3", "5", "7"]


def test_calls_are_evidence_of_the_reader_that_makes_them() -> None:
    clients = answered(SharedClients(), own_key)
    one, other = reader(clients, "ONE"), reader(clients, "OTHER")
    with one.evidence() as ones, other.evidence() as others:
        one.call("ssm", HOME, "get_parameters", Names=["x"])
        other.call("ssm", HOME, "get_parameters", Names=["y"])

    assert ones == ["ssm:GetParameters Names=x (eu-west-1)"]
    assert others == ["ssm:GetParameters Names=y (eu-west-1)"]


def test_errors_name_the_role_that_was_refused() -> None:
    def refuse(_: AWSPreparedRequest) -> Answer:
        return Answer(400, '{"__type": "UnrecognizedClientException", "message": "no"}')

    clients = answered(SharedClients(), refuse)
    reader(clients, "ONE").client("ssm", HOME)
    refused = pytest.raises(AccessError, match="has just given these credentials of arn:of:OTHER")
    with refused, translated_errors("read"):
        reader(clients, "OTHER").call("ssm", HOME, "get_parameters", Names=["x"])


def test_throttling_of_one_account_does_not_slow_down_the_others() -> None:
    client = SharedClients().client("ssm", HOME, Identity(Credentials("ONE", "secret")), lambda *_: None)
    assert client.meta.config.retries["mode"] == "standard"


def test_what_botocore_asks_once_a_client_is_that_of_each_account() -> None:
    clients = SharedClients()
    accounts = [Identity(Credentials("A", "secret", account_id=name)) for name in ("1", "2")]
    client = clients.client("dynamodb", HOME, accounts[0], lambda *_: None)
    deferred = clients._session.get_credentials().get_deferred_property("account_id")  # type: ignore[union-attr]
    for account in accounts:
        assert clients.client("dynamodb", HOME, account, lambda *_: None) is client
        assert deferred() == account.credentials.account_id  # type: ignore[union-attr]
