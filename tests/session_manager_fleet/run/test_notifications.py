"""Notifications: what is sent where, and that the URL of a webhook goes nowhere else."""

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto import mock_aws
from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.sns.models import sns_backends

from session_manager_fleet.errors import InputError
from session_manager_fleet.run.notifications import Message, send
from session_manager_fleet.settings import Notifications, load_settings

MESSAGE = Message("verify failed", "two findings\n", "two findings &lt;!channel&gt;")
SECRET = "T0PSECRET"


class _Webhook(HTTPServer):
    received: list[dict[str, Any]]
    status = 200


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        server = self.server
        assert isinstance(server, _Webhook)
        body = self.rfile.read(int(self.headers["Content-Length"]))
        server.received.append({"path": self.path, "type": self.headers["Content-Type"], **json.loads(body)})
        self.send_response(server.status)
        if server.status == 302:
            self.send_header("Location", f"http://127.0.0.1:{server.server_port}/elsewhere")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def webhook() -> Iterator[_Webhook]:
    server = _Webhook(("127.0.0.1", 0), _Handler)
    server.received = []
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def errors(settings: dict[str, Any], folder: Path, **environment: str) -> list[str]:
    return [str(error) for error in send(Notifications.model_validate(settings), folder, MESSAGE, environment)]


def url(webhook: _Webhook) -> str:
    return f"http://127.0.0.1:{webhook.server_port}/services/{SECRET}?x=1"


def test_a_webhook_gets_slacks_json_at_a_url_from_the_environment(webhook: _Webhook, tmp_path: Path) -> None:
    assert errors({"webhook": {"url_variable": "HOOK"}}, tmp_path, HOOK=url(webhook)) == []
    assert webhook.received == [
        {
            "path": f"/services/{SECRET}?x=1",
            "type": "application/json; charset=utf-8",
            "text": "two findings &lt;!channel&gt;",
        }
    ]


def test_the_url_may_be_in_a_private_file(webhook: _Webhook, tmp_path: Path) -> None:
    path = tmp_path / "webhook"
    path.write_text(url(webhook) + "\n")
    settings = {"webhook": {"url_file": "webhook"}}
    path.chmod(0o644)
    (problem,) = errors(settings, tmp_path)
    assert f"chmod 600 {path}" in problem
    path.chmod(0o600)
    assert errors(settings, tmp_path) == []
    assert len(webhook.received) == 1


@pytest.mark.parametrize("status", [302, 404, 500])
def test_a_refusal_tells_the_status_and_no_redirect_is_followed(webhook: _Webhook, tmp_path: Path, status: int) -> None:
    webhook.status = status
    (problem,) = errors({"webhook": {"url_variable": "HOOK"}}, tmp_path, HOOK=url(webhook))
    assert problem == f"Not notified: the webhook answered with status {status}."
    assert len(webhook.received) == 1


@pytest.mark.parametrize(
    "value",
    [
        "",
        SECRET,
        f"http://example.com/{SECRET}",
        f"https://user:{SECRET}@example.com/",
        f"file:///{SECRET}",
        f"https://127.0.0.1:1/{SECRET}",
        f"http://127.0.0.1:99999/{SECRET}",
        f"http://127.0.0.1:1/{SECRET} x\r\nHost: y",
    ],
)
def test_no_error_repeats_the_url(tmp_path: Path, value: str) -> None:
    (problem,) = errors({"webhook": {"url_variable": "HOOK"}}, tmp_path, HOOK=value)
    assert SECRET not in problem
    assert problem.startswith("Not notified: the ")


def test_a_topic_gets_the_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    with mock_aws():
        topic = boto3.client("sns", region_name="eu-west-1").create_topic(Name="runs")["TopicArn"]
        assert errors({"sns_topic_arn": topic}, tmp_path) == []
        backend = sns_backends[DEFAULT_ACCOUNT_ID]["eu-west-1"]
        assert [entry[1:3] for entry in backend.topics[topic].sent_notifications] == [
            ("two findings\n", "verify failed")
        ]
        (problem,) = errors({"sns_topic_arn": topic + "-absent"}, tmp_path)
    assert "sns:Publish" in problem


def test_one_receiver_that_fails_keeps_no_other_from_it(webhook: _Webhook, tmp_path: Path) -> None:
    topic = "arn:aws:sns:eu-west-1:111122223333:runs"
    with mock_aws():
        problems = errors({"sns_topic_arn": topic, "webhook": {"url_variable": "HOOK"}}, tmp_path, HOOK=url(webhook))
    assert (len(problems), len(webhook.received)) == (1, 1)


@pytest.mark.parametrize(
    "webhook",
    [
        f'"https://hooks.example.com/{SECRET}"',
        f'{{url: "https://hooks.example.com/{SECRET}"}}',
        f'{{url_variable: "https://hooks.example.com/{SECRET}"}}',
        f'{{url_file: "https://hooks.example.com/{SECRET}"}}',
        "{url_variable: A, url_file: b}",
        "{}",
    ],
)
def test_a_url_in_the_settings_is_refused_and_not_repeated(settings_file: Callable[[str], Path], webhook: str) -> None:
    with pytest.raises(InputError) as refused:
        load_settings(settings_file(f"notifications: {{webhook: {webhook}}}\n"))
    assert "notifications.webhook" in str(refused.value)
    assert SECRET not in str(refused.value)
