"""One account's APIs, read-only."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import boto3

from session_manager_fleet.aws import CLIENT_CONFIG


class Reader:
    """Calls the APIs of one account; not for several threads.

    Args:
        session: In the account.
    """

    def __init__(self, session: boto3.Session) -> None:
        self.session = session
        self._clients: dict[tuple[str, str], Any] = {}

    def call(self, service: str, region: str, method: str, **arguments: Any) -> Mapping[str, Any]:  # noqa: ANN401
        """Return the answer to one call.

        Raises:
            botocore.exceptions.ClientError: AWS refuses it.
        """
        answer: Mapping[str, Any] = getattr(self._client(service, region), method)(**arguments)
        return answer

    def pages(self, service: str, region: str, method: str, key: str, **arguments: Any) -> Iterator[Any]:  # noqa: ANN401
        """Yield the entries of all pages."""
        for page in self._client(service, region).get_paginator(method).paginate(**arguments):
            yield from page.get(key, [])

    def _client(self, service: str, region: str) -> Any:  # noqa: ANN401 - one kind for each service
        if (service, region) not in self._clients:
            client = self.session.client(service, region_name=region, config=CLIENT_CONFIG)  # type: ignore[call-overload]
            self._clients[service, region] = client
        return self._clients[service, region]
