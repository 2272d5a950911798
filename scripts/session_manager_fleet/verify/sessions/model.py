"""Sessions, and what is known of their logs."""

import datetime
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict

from session_manager_fleet.errors import ExitCode
from session_manager_fleet.settings import schema_of
from session_manager_fleet.targets import Target


class Kind(StrEnum):
    """Kind of a session, according to its document."""

    SHELL = "shell"
    COMMAND = "command"
    PORT = "port"
    SSH = "ssh"
    UNKNOWN = "unknown"


class LogState(StrEnum):
    """Whether a session was logged."""

    LOGGED = "logged"
    NOT_LOGGED = "not_logged"
    NOT_YET = "not_yet"
    # It failed to start, so nothing was done in it.
    NOT_STARTED = "not_started"
    NOT_CHECKED = "not_checked"


class Cause(StrEnum):
    """Why a session was not logged."""

    DOCUMENT = "document"
    NO_DESTINATION = "no_destination"
    NO_PERMISSION = "no_permission"
    NO_SCRIPT = "no_script"
    NODE_GONE = "node_gone"
    UNKNOWN = "unknown"


class _Entry(BaseModel):
    """Part of the result; the description of a field is the text below it."""

    model_config = ConfigDict(frozen=True, defer_build=True)


class Session(_Entry):
    """A session and the state of its log."""

    session_id: str
    """Id, as `jane-0a1b2c3d4e5f60718`."""
    account_id: str
    """Twelve digits."""
    account_name: str
    """As in AWS Organizations; not unique."""
    region: str
    """Region of the node."""
    node: str
    """Id of the managed node."""
    user: str
    """ARN of the caller of StartSession."""
    source_address: str
    """Address from which CloudTrail saw the call; empty if its event was not found."""
    document: str
    """Session document."""
    kind: Kind
    """What the session does, according to its document."""
    reason: str
    """Reason that the user gave."""
    started_at: datetime.datetime
    """When it began; UTC."""
    ended_at: datetime.datetime | None
    """When it ended; null while it is active, and if Systems Manager no longer knows it."""
    active: bool
    """Whether it is active."""
    in_cloudtrail: bool
    """Whether CloudTrail's event history holds its StartSession."""
    state: LogState
    """Whether it was logged."""
    cause: Cause | None
    """Why it was not logged; null for other states."""
    evidence: str
    """What was found, in one sentence."""
    fix: str
    """How later sessions get logged; empty if this one is."""
    logs: tuple[str, ...]
    """Where the log is: `s3://bucket/key`, `log-group:stream`."""


@dataclass(frozen=True)
class TargetSessions:
    """The sessions of a target.

    Attributes:
        target: The target.
        sessions: The latest first.
        problems: What could not be read, a sentence each.
    """

    target: Target
    sessions: tuple[Session, ...] = ()
    problems: tuple[str, ...] = ()


class _Unread(_Entry):
    """A target of which not everything could be read."""

    account_id: str
    account_name: str
    region: str
    problem: str
    """One sentence, with the permission that is missing."""


class SessionReport(_Entry):
    """Result of `sessions`."""

    model_config = ConfigDict(title="Result of sessions")

    schema_version: Literal[1] = 1
    """Another number means another layout; fields may be added under the same number."""
    created_at: datetime.datetime
    """When the sessions were read; UTC."""
    since: datetime.datetime
    """Sessions that began before are left out; UTC."""
    organization_id: str
    """As `o-exampleorgid`."""
    caller: str
    """ARN of the caller; empty if it is not known."""
    totals: dict[str, int]
    """Number of sessions with each state."""
    sessions: tuple[Session, ...]
    """The latest first."""
    not_read: tuple[_Unread, ...]
    """Targets of which not everything could be read."""

    @classmethod
    def build(
        cls,
        found: Sequence[TargetSessions],
        *,
        since: datetime.datetime,
        organization_id: str,
        caller: str = "",
        kinds: Iterable[Kind] = (),
        states: Iterable[LogState] = (),
    ) -> Self:
        """Collect the sessions of all targets that are of one of the kinds and states, or of any."""
        wanted_kinds, wanted_states = set(kinds), set(states)
        chosen = [
            session
            for one in found
            for session in one.sessions
            if (not wanted_kinds or session.kind in wanted_kinds)
            and (not wanted_states or session.state in wanted_states)
        ]
        return cls(
            created_at=datetime.datetime.now(datetime.UTC).replace(microsecond=0),
            since=since,
            organization_id=organization_id,
            caller=caller,
            totals=dict(Counter(session.state.value for session in chosen)),
            sessions=tuple(sorted(chosen, key=lambda session: session.started_at, reverse=True)),
            not_read=tuple(
                _Unread(
                    account_id=one.target.account.id,
                    account_name=one.target.account.name,
                    region=one.target.region,
                    problem=problem,
                )
                for one in found
                for problem in one.problems
            ),
        )

    @property
    def exit_code(self) -> ExitCode:
        """Exit code: targets that could not be read outweigh sessions without a log."""
        states = {session.state for session in self.sessions}
        if self.not_read or LogState.NOT_CHECKED in states:
            return ExitCode.TARGET_FAILED
        return ExitCode.CHANGES_PENDING if LogState.NOT_LOGGED in states else ExitCode.DONE


def report_schema() -> dict[str, Any]:
    """Return the JSON Schema of the result of `sessions`."""
    return schema_of(SessionReport, "serialization")
