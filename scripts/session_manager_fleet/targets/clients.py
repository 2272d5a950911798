"""Clients that serve one account after another: making them is most of the cost of reading an account."""

from collections.abc import Callable, Mapping
from typing import Any

import boto3

from session_manager_fleet.aws import CLIENT_CONFIG, switching_session

Note = Callable[[str, str, str, Mapping[str, Any]], None]


class _Current:
    """Stands for the credentials of the session that is entered."""

    method = "switching"

    def __init__(self) -> None:
        self.of: Any = None

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - of whatever the credentials have
        return getattr(self.of, name)


class SharedClients:
    """The clients of one thread, by service and region; not thread-safe.

    The user of a client enters a session before each use.

    Args:
        only: The one session that uses them; by default several do, one after another.
    """

    def __init__(self, only: boto3.Session | None = None) -> None:
        self._credentials = _Current()
        self._role_arn = ""
        self._note: Note | None = None
        self._session = only or switching_session(self._credentials, lambda: self._role_arn)
        self._clients: dict[tuple[str, str], Any] = {}

    def enter(self, session: boto3.Session, role_arn: str, note: Note) -> None:
        """Let all clients act with the credentials of a session, and name its calls.

        Args:
            session: With credentials for the account.
            role_arn: Its role, for errors; empty for the caller's own credentials.
            note: Called with service, operation, region and parameters of every call.
        """
        self._role_arn, self._note = role_arn, note
        if session is not self._session:
            self._credentials.of = session.get_credentials()

    def client(self, service: str, region: str) -> Any:  # noqa: ANN401 - one type for each service
        """Return the client for a service in a region."""
        if (service, region) not in self._clients:
            client: Any = self._session.client(service, region_name=region, config=CLIENT_CONFIG)  # type: ignore[call-overload]

            def note(params: Mapping[str, Any], model: Any, **_: Any) -> None:  # noqa: ANN401 - as botocore has it
                if self._note:
                    self._note(service, model.name, region, params)

            client.meta.events.register("before-parameter-build", note)
            self._clients[service, region] = client
        return self._clients[service, region]
