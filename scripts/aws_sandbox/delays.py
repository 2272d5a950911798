"""Changes that AWS follows late: rights of roles and users, and aliases of keys as conditions. Off unless switched on.

See https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot.html#troubleshoot_general_eventual-consistency and
https://docs.aws.amazon.com/kms/latest/developerguide/alias-authorization.html.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import Any, Generic, NamedTuple, TypeVar

from moto.iam.models import iam_backends
from moto.kms.models import kms_backends

from aws_sandbox.call import Call
from aws_sandbox.model import SandboxDelays

_READS = ("Get", "List", "Simulate", "Generate")
_ALIAS_CHANGES = {"CreateAlias", "UpdateAlias", "DeleteAlias"}

_Place = TypeVar("_Place")
_Seen = TypeVar("_Seen")


class Rights(NamedTuple):
    """Rights of a role or user, and its trust policy.

    Attributes:
        policies: Its inline and attached policies.
        trust: Its trust policy; empty for a user.
    """

    policies: tuple[str, ...]
    trust: str


class Delayed(Generic[_Place, _Seen]):
    """Something that is seen as it was some seconds ago.

    Args:
        seconds: The delay; 0 for none.
        read: Returns what there is at a place now.
        clock: Seconds that never go back.
    """

    def __init__(
        self, seconds: float, read: Callable[[_Place], _Seen], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._seconds = seconds
        self._read = read
        self._clock = clock
        # What there was before each of the last changes, and when they were.
        self._before: dict[_Place, list[tuple[float, _Seen]]] = defaultdict(list)

    def remember(self, place: _Place) -> None:
        """Keep what there is at a place before it changes."""
        if self._seconds:
            self._before[place] = [*self._recent(place), (self._clock(), self._read(place))]

    def seen(self, place: _Place) -> _Seen:
        """Return what is seen at a place."""
        recent = self._recent(place)
        return recent[0][1] if recent else self._read(place)

    def _recent(self, place: _Place) -> list[tuple[float, _Seen]]:
        begin = self._clock() - self._seconds
        return [change for change in self._before.get(place, []) if change[0] > begin]


class Delays:
    """The delays of an organization."""

    def __init__(self, delays: SandboxDelays) -> None:
        self._rights = Delayed(delays.iam_seconds, _rights)
        self._aliases = Delayed(delays.alias_seconds, _aliases)

    def check(self, call: Call) -> None:
        """Keep what a call is about to change."""
        if call.service == "iam" and not call.operation.startswith(_READS):
            self._rights.remember(call.account_id)
        elif call.service == "kms" and call.operation in _ALIAS_CHANGES:
            self._aliases.remember((call.account_id, call.region))

    def rights_of(self, arn: str) -> Rights | None:
        """Return the rights of a role or user as services see them; None if they see no such role or user."""
        parts = arn.split(":")
        account_id = parts[4] if len(parts) > 4 else ""  # noqa: PLR2004
        return self._rights.seen(account_id).get(arn) if account_id in iam_backends else None

    def aliases_of(self, key: Any) -> tuple[str, ...]:  # noqa: ANN401 - moto's key
        """Return the aliases of a key by which requests are authorized."""
        return self._aliases.seen((key.account_id, key.region)).get(key.id, ())


def _rights(account_id: str) -> Mapping[str, Rights]:
    backend = iam_backends[account_id]["aws"]
    owners: tuple[Any, ...] = (*backend.roles.values(), *backend.users.values())
    return {
        owner.arn: Rights(
            (
                *owner.policies.values(),
                *(
                    version.document
                    for policy in owner.managed_policies.values()
                    for version in policy.versions
                    if version.version_id == policy.default_version_id
                ),
            ),
            getattr(owner, "assume_role_policy_document", ""),
        )
        for owner in owners
    }


def _aliases(place: tuple[str, str]) -> Mapping[str, tuple[str, ...]]:
    account_id, region = place
    keys = kms_backends[account_id][region].keys.values()
    return {key.id: tuple(sorted(key.aliases)) for key in keys}
