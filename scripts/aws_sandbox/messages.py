"""Messages from AWS services to SQS queues and SNS topics.

moto stores them and delivers them to subscribers, but has no call to send one without a request, and its long polling
would hold the call lock.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import NamedTuple

from moto.sns.models import sns_backends
from moto.sqs.models import Queue, sqs_backends

from aws_sandbox.lock import CallLock
from aws_sandbox.policies import Document


class Attribute(NamedTuple):
    """A message attribute: its type, `String` or `Number`, and its value."""

    type: str
    value: str


def send(arn: str, body: str, attributes: Mapping[str, Attribute] | None = None) -> None:
    """Send a message to a queue, or publish it to a topic.

    Raises:
        ServiceException: The queue or topic does not exist.
        NotImplementedError: The ARN is of another service.
    """
    service, region, account_id, name = _parts(arn)
    given = attributes or {}
    if service == "sqs":
        sqs_backends[account_id][region].send_message(
            name,
            body,
            message_attributes={
                key: {"DataType": attribute.type, "StringValue": attribute.value} for key, attribute in given.items()
            },
        )
    elif service == "sns":
        sns_backends[account_id][region].publish(
            body,
            arn=arn,
            message_attributes={
                key: {"Type": attribute.type, "Value": attribute.value} for key, attribute in given.items()
            },
        )
    else:
        raise NotImplementedError(f"The sandbox cannot send messages to {arn}.")


def policy_of(arn: str) -> list[Document]:
    """Return the policy of a queue or topic; empty if it has none.

    Raises:
        ServiceException: The queue or topic does not exist.
    """
    service, region, account_id, name = _parts(arn)
    if service == "sqs":
        policy = sqs_backends[account_id][region].get_queue(name).policy
    else:
        policy = sns_backends[account_id][region].get_topic(arn).policy
    return [json.loads(policy)] if policy else []


def release_while_waiting(lock: CallLock) -> None:
    """Release the call lock during long polling of SQS."""
    wait = Queue.wait_for_messages

    def wait_for_messages(queue: Queue, timeout: int) -> None:
        with lock.released():
            wait(queue, timeout)

    Queue.wait_for_messages = wait_for_messages  # type: ignore[assignment, method-assign]


def _parts(arn: str) -> tuple[str, str, str, str]:
    _, _, service, region, account_id, name, *_ = arn.split(":")
    return service, region, account_id, name
