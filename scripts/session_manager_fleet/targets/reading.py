"""Read the APIs of one account: absent things as None, pages as one list, shared reads once."""

from collections.abc import Callable, Hashable, Iterator, Mapping
from typing import Any, TypeVar, cast

import boto3
from botocore.exceptions import ClientError

from session_manager_fleet.aws import CLIENT_CONFIG, partitions
from session_manager_fleet.targets.model import Target

_Read = TypeVar("_Read")
# Codes of services that do not have what a call is about.
_ABSENT = {
    *("ResourceNotFoundException", "NotFoundException", "ParameterNotFound"),
    *("AWS.SimpleQueueService.NonExistentQueue", "QueueDoesNotExist"),
    *("NoSuchEntity", "NoSuchConfigRuleException", "InvalidDocument", "ServiceSettingNotFound"),
}


class Reader:
    """Calls the APIs of one account; not thread-safe.

    Args:
        session: With credentials for the account.
    """

    def __init__(self, session: boto3.Session) -> None:
        self.session = session
        self._clients: dict[tuple[str, str], Any] = {}
        self._known: dict[Hashable, Any] = {}

    def call(self, service: str, region: str, method: str, **arguments: Any) -> Mapping[str, Any]:  # noqa: ANN401
        """Return the response to one call.

        Raises:
            botocore.exceptions.ClientError: AWS refuses the call.
        """
        answer: Mapping[str, Any] = getattr(self._client(service, region), method)(**arguments)
        return answer

    def find(self, service: str, region: str, method: str, **arguments: Any) -> Mapping[str, Any] | None:  # noqa: ANN401
        """Return the response to one call, or None if what it is about does not exist.

        Raises:
            botocore.exceptions.ClientError: AWS refuses the call.
        """
        try:
            return self.call(service, region, method, **arguments)
        except ClientError as error:
            if error_code(error) not in _ABSENT:
                raise
        return None

    def pages(self, service: str, region: str, method: str, key: str, **arguments: Any) -> Iterator[Any]:  # noqa: ANN401
        """Yield the entries of all pages."""
        for page in self._client(service, region).get_paginator(method).paginate(**arguments):
            yield from page.get(key, [])

    def once(self, what: Hashable, read: Callable[[], _Read]) -> _Read:
        """Return what checks share: it is read by the first of them."""
        if what not in self._known:
            self._known[what] = read()
        return cast("_Read", self._known[what])

    def _client(self, service: str, region: str) -> Any:  # noqa: ANN401 - one type for each service
        if (service, region) not in self._clients:
            client = self.session.client(service, region_name=region, config=CLIENT_CONFIG)  # type: ignore[call-overload]
            self._clients[service, region] = client
        return self._clients[service, region]


def setting_arn(target: Target, setting: str) -> str:
    """Return the ARN of a service setting of Systems Manager, which is named by its path."""
    region = target.region
    return f"arn:{partitions()[region]}:ssm:{region}:{target.account.id}:servicesetting{setting}"


def error_code(error: ClientError) -> str:
    """Return AWS's code of an error."""
    return error.response["Error"]["Code"]
