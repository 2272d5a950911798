"""Read what a plan creates and changes, and the account in which it does."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import boto3
from botocore.exceptions import ClientError

from session_manager_fleet.aws import CLIENT_CONFIG


@dataclass(frozen=True)
class Planned:
    """A resource that a plan creates or changes.

    Attributes:
        before: Attributes now; empty for a new resource.
        after: Attributes then, without those that are known only after the apply.
        is_new: Whether the resource is created, also in place of another.
        replaces: Whether it is created in place of another.
    """

    before: Mapping[str, Any]
    after: Mapping[str, Any]
    is_new: bool
    replaces: bool


class Place:
    """The account and region of a target, to be asked only when a plan needs it.

    Args:
        account_id: The account.
        region: Region of the target.
        open_session: Returns a session in the account.
    """

    def __init__(self, account_id: str, region: str, open_session: Callable[[], boto3.Session]) -> None:
        self.account_id = account_id
        self.region = region
        self._open_session = open_session
        self._clients: dict[str, Any] = {}

    @cached_property
    def session(self) -> boto3.Session:
        """The session in the account, opened at its first use."""
        return self._open_session()

    def ask(self, service: str, operation: str, **parameters: Any) -> dict[str, Any]:  # noqa: ANN401 - of any operation
        """Return the answer of an operation, as `describe_key`.

        Raises:
            ClientError: AWS refuses the call.
        """
        answer: dict[str, Any] = getattr(self.client(service), operation)(**parameters)
        return answer

    def client(self, service: str) -> Any:  # noqa: ANN401 - one type for each service
        """Return the client for a service in the region, which is made at its first use."""
        if service not in self._clients:
            self._clients[service] = self.session.client(service, region_name=self.region, config=CLIENT_CONFIG)  # type: ignore[call-overload]
        return self._clients[service]

    def pages(self, service: str, operation: str, key: str, **parameters: Any) -> Iterator[Any]:  # noqa: ANN401
        """Yield the entries of all pages of an operation.

        Raises:
            ClientError: AWS refuses the call.
        """
        token: dict[str, str] = {}
        while True:
            answer = self.ask(service, operation, **parameters, **token)
            yield from answer[key]
            # Organizations names its token NextToken, IAM Marker.
            following = {name: answer[name] for name in ("NextToken", "Marker") if answer.get(name)}
            if not following:
                return
            token = following


def planned(plan: Mapping[str, Any], resource_type: str) -> Iterator[Planned]:
    """Yield the resources of a type that a plan, as `terraform show -json` gives it, creates, replaces or changes."""
    for item in plan.get("resource_changes", []):
        change = item["change"]
        actions = set(change["actions"])
        if (
            item.get("mode", "managed") == "managed"
            and item.get("type") == resource_type
            and actions & {"create", "update"}
        ):
            yield Planned(
                before=change.get("before") or {},
                after=change["after"] or {},
                is_new="create" in actions,
                replaces="delete" in actions,
            )


def code_of(error: ClientError) -> str:
    """Return AWS's code of an error."""
    return str(error.response.get("Error", {}).get("Code", ""))
