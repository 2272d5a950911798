"""Clients that serve all accounts: making them is most of the cost of reading an account, in time and in memory."""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, cast

import boto3
from botocore.config import Config
from botocore.credentials import Credentials

from session_manager_fleet.aws import CLIENT_CONFIG, session_with

Note = Callable[[str, str, str, Mapping[str, Any]], None]

# Threads that read at the same time: each has a connection of its own.
READING_THREADS = 16
# Adaptive retries would slow down all accounts when AWS throttles one.
_CONFIG = CLIENT_CONFIG.merge(
    Config(retries={"mode": "standard", "max_attempts": 10}, max_pool_connections=READING_THREADS)
)


@dataclass(frozen=True)
class Identity:
    """As whom an account is read.

    Attributes:
        credentials: For the account; None with clients of one session only.
        role_arn: Its role, for errors; empty for the caller's own credentials.
    """

    credentials: Credentials | None = None
    role_arn: str = ""


class _Acting(threading.local):
    """As whom a thread makes its next call, and who is told of it."""

    identity: Identity
    note: Note


class _Current:
    """Stands for the credentials with which the thread acts that signs a call."""

    method = "switching"

    def __init__(self, acting: _Acting) -> None:
        self._acting = acting

    def get_deferred_property(self, property_name: str) -> Callable[[], Any]:
        """Return what gives a property at the time of a call; botocore asks once a client."""
        return lambda: getattr(self, property_name, None)

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - of whatever the credentials have
        return getattr(self._acting.identity.credentials, name)


class SharedClients:
    """Clients by service and region, which several threads and accounts use.

    A thread asks for a client before each call, so that the call is signed for the account that it reads.

    Args:
        only: The one session that all calls are made with; by default each call has the identity that it is asked for.
    """

    def __init__(self, only: boto3.Session | None = None) -> None:
        self._acting = _Acting()
        current = cast("Credentials", _Current(self._acting))
        self._config = CLIENT_CONFIG if only else _CONFIG
        self._session = only or session_with(current, lambda: self._acting.identity.role_arn)
        self._clients: dict[tuple[str, str], Any] = {}
        # Sessions may not be used by two threads at once; clients may.
        self._lock = threading.Lock()

    def client(self, service: str, region: str, identity: Identity, note: Note) -> Any:  # noqa: ANN401 - one type for each service
        """Return the client for a service in a region.

        Args:
            service: Name of the service.
            region: The region.
            identity: As whom this thread calls, until it asks for a client again.
            note: Receives service, operation, region and parameters of every call until then.
        """
        self._acting.identity, self._acting.note = identity, note
        with self._lock:
            if (service, region) not in self._clients:
                self._clients[service, region] = self._made(service, region)
            return self._clients[service, region]

    def _made(self, service: str, region: str) -> Any:  # noqa: ANN401 - one type for each service
        client: Any = self._session.client(service, region_name=region, config=self._config)  # type: ignore[call-overload]

        def note(params: Mapping[str, Any], model: Any, **_: Any) -> None:  # noqa: ANN401 - as botocore has it
            self._acting.note(service, model.name, region, params)

        client.meta.events.register("before-parameter-build", note)
        return client
