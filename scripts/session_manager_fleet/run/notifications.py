"""Tell people about a run: publish a message to an SNS topic, and post it to a webhook.

The URL of a webhook is a secret, as it is enough to post. It comes from the environment or a file, goes nowhere else,
and no error repeats it.
"""

import http.client
import json
import os
import ssl
import stat
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from session_manager_fleet.aws import CLIENT_CONFIG, new_session, translated_errors
from session_manager_fleet.errors import FleetError
from session_manager_fleet.files import read_regular
from session_manager_fleet.settings import Notifications, Webhook

_SECONDS = 15
# https://docs.aws.amazon.com/sns/latest/api/API_Publish.html
_SUBJECT, _MESSAGE = 100, 200_000
_LOCAL = {"127.0.0.1", "localhost", "::1"}


class NotificationError(FleetError):
    """A notification could not be sent."""


@dataclass(frozen=True)
class Message:
    """A message about a run.

    Attributes:
        subject: One line of plain text.
        text: The lines of plain text.
        slack: The same, with everything foreign escaped for Slack.
    """

    subject: str
    text: str
    slack: str


def send(
    settings: Notifications, folder: Path, message: Message, environment: Mapping[str, str] = os.environ
) -> Iterator[NotificationError]:
    """Send a message to all receivers, and yield the error of each that did not get it.

    Args:
        settings: The receivers.
        folder: Folder of organization.yaml.
        message: The message.
        environment: The caller's environment.
    """
    receivers: list[Callable[[], None]] = []
    if topic := settings.sns_topic_arn:
        receivers.append(lambda: _publish(topic, message))
    if webhook := settings.webhook:
        receivers.append(lambda: _post(_url(webhook, folder, environment), message))
    for receiver in receivers:
        try:
            receiver()
        except FleetError as error:
            yield NotificationError(f"Not notified: {error}")


def _publish(topic: str, message: Message) -> None:
    """Publish to an SNS topic, with the credentials of the caller."""
    region = topic.split(":")[3]
    subject = message.subject.encode("ascii", "replace").decode()[:_SUBJECT]
    with translated_errors(f"publish to the topic {topic} (sns:Publish)"):
        client = new_session(region).client("sns", region_name=region, config=CLIENT_CONFIG)
        client.publish(TopicArn=topic, Subject=subject, Message=message.text[:_MESSAGE])


def _url(webhook: Webhook, folder: Path, environment: Mapping[str, str]) -> str:
    """Return the URL of a webhook.

    Raises:
        NotificationError: It is not where it should be, or others can read its file.
    """
    if webhook.url_variable is not None:
        url = environment.get(webhook.url_variable, "")
        if not url:
            raise NotificationError(f"the variable {webhook.url_variable} with the URL of the webhook is not set.")
        return url.strip()
    path = folder / (webhook.url_file or "")
    try:
        if stat.S_IMODE(path.stat().st_mode) & 0o077:
            raise NotificationError(f"others can read {path}, which holds a secret; run `chmod 600 {path}`.")
        return read_regular(path, megabytes=1, follow_links=True).decode(errors="replace").strip()
    except OSError as error:
        raise NotificationError(f"the file {path} with the URL of the webhook: {error.strerror or error}.") from error


def _post(url: str, message: Message) -> None:
    """Post to a webhook; redirects are not followed, because they would send the message elsewhere.

    Raises:
        NotificationError: The URL is not one, or the webhook did not accept the message.
    """
    parts = urlsplit(url)
    host = parts.hostname or ""
    if (
        parts.scheme not in {"http", "https"}
        or not host
        or parts.username
        or (parts.scheme == "http" and host not in _LOCAL)
    ):
        raise NotificationError("the URL of the webhook must begin with https:// and name a host.")
    body = json.dumps({"text": message.slack}).encode()
    target = f"{parts.path or '/'}{f'?{parts.query}' if parts.query else ''}"
    try:
        connection = _connection(parts.scheme, host, parts.port)
        try:
            connection.request("POST", target, body, {"Content-Type": "application/json; charset=utf-8"})
            status = connection.getresponse().status
        finally:
            connection.close()
    except (OSError, ValueError, http.client.HTTPException) as error:
        # The text of such an error may repeat the URL.
        raise NotificationError(f"the webhook cannot be reached ({type(error).__name__}).") from None
    if status >= http.client.MULTIPLE_CHOICES:
        raise NotificationError(f"the webhook answered with status {status}.")


def _connection(scheme: str, host: str, port: int | None) -> http.client.HTTPConnection:
    """Return a connection, through the proxy of the environment if there is one for the host."""
    if scheme == "http":
        return http.client.HTTPConnection(host, port, timeout=_SECONDS)
    context = ssl.create_default_context()
    if bundle := os.environ.get("AWS_CA_BUNDLE"):
        context.load_verify_locations(bundle)
    proxy = urlsplit(getproxies().get("https", ""))
    if not proxy.hostname or proxy_bypass(host):
        return http.client.HTTPSConnection(host, port, timeout=_SECONDS, context=context)
    connection = http.client.HTTPSConnection(proxy.hostname, proxy.port, timeout=_SECONDS, context=context)
    connection.set_tunnel(host, port)
    return connection
