"""Read the APIs of one account: absent things as None, pages as one list, shared reads once, calls as evidence."""

from collections.abc import Callable, Hashable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar, cast

import boto3
from botocore.exceptions import ClientError

from session_manager_fleet.aws import partitions
from session_manager_fleet.targets.clients import Identity, SharedClients
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
        account: A session with credentials for the account, or the identity with which clients are used that others
            use, too.
        clients: These clients; by default the reader makes its own.
    """

    def __init__(self, account: boto3.Session | Identity, clients: SharedClients | None = None) -> None:
        if isinstance(account, Identity):
            self._identity, self._clients = account, clients or SharedClients()
        else:
            self._identity, self._clients = Identity(), SharedClients(account)
        # With the calls that reading took: they are evidence of every check that uses it.
        self._known: dict[Hashable, tuple[Any, tuple[str, ...]]] = {}
        self._calls: list[str] = []

    def call(self, service: str, region: str, method: str, **arguments: Any) -> Mapping[str, Any]:  # noqa: ANN401
        """Return the response to one call.

        Raises:
            botocore.exceptions.ClientError: AWS refuses the call.
        """
        answer: Mapping[str, Any] = getattr(self.client(service, region), method)(**arguments)
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

    def find_once(self, service: str, region: str, method: str, **arguments: Any) -> Mapping[str, Any] | None:  # noqa: ANN401
        """Return what `find` returns, to all checks that make the same call.

        Raises:
            botocore.exceptions.ClientError: AWS refuses the call.
        """
        call = (service, region, method, repr(sorted(arguments.items())))
        return self.once(call, lambda: self.find(service, region, method, **arguments))

    def pages(self, service: str, region: str, method: str, key: str, **arguments: Any) -> Iterator[Any]:  # noqa: ANN401
        """Yield the entries of all pages."""
        pages = iter(self.client(service, region).get_paginator(method).paginate(**arguments))
        while (page := next(pages, None)) is not None:
            yield from page.get(key, [])
            self.client(service, region)  # another reader may have called meanwhile

    def once(self, what: Hashable, read: Callable[[], _Read]) -> _Read:
        """Return what checks share: it is read by the first of them."""
        if what in self._known:
            value, calls = self._known[what]
            self._calls.extend(calls)
        else:
            before = len(self._calls)
            value = read()
            self._known[what] = value, tuple(self._calls[before:])
        return cast("_Read", value)

    @contextmanager
    def evidence(self) -> Iterator[list[str]]:
        """Yield a list that receives the calls made in the context, also those whose answers were known already."""
        outer, self._calls = self._calls, []
        try:
            yield self._calls
        finally:
            self._calls = outer

    def client(self, service: str, region: str) -> Any:  # noqa: ANN401 - one type for each service
        """Return the client for a service in a region; it acts for this reader until another one asks for a client."""
        return self._clients.client(service, region, self._identity, self._note)

    def _note(self, service: str, operation: str, region: str, parameters: Mapping[str, Any]) -> None:
        # The same call is made again for every further page.
        if (call := _call(service, operation, region, parameters)) not in self._calls:
            self._calls.append(call)


def _call(service: str, operation: str, region: str, parameters: Mapping[str, Any]) -> str:
    """Return a call as evidence, such as `ssm:GetDocument Name=SSM-SessionManagerRunShell (eu-west-1)`."""
    words = [
        f"{name}={value if isinstance(value, str) else ','.join(value)}"
        for name, value in parameters.items()
        if "Token" not in name and (isinstance(value, str) or (value and _are_texts(value)))
    ]
    return " ".join([f"{service}:{operation}", *words, f"({region})"])


def _are_texts(value: object) -> bool:
    return isinstance(value, list | tuple) and all(isinstance(each, str) for each in value)


def setting_arn(target: Target, setting: str) -> str:
    """Return the ARN of a service setting of Systems Manager, which is named by its path."""
    region = target.region
    return f"arn:{partitions()[region]}:ssm:{region}:{target.account.id}:servicesetting{setting}"


def error_code(error: ClientError) -> str:
    """Return AWS's code of an error."""
    return error.response["Error"]["Code"]
