"""Judge whether a session was logged, from what was read."""

import datetime
from collections.abc import Sequence
from dataclasses import dataclass

from session_manager_fleet.verify.logs import age_text
from session_manager_fleet.verify.sessions.documents import Document, Place
from session_manager_fleet.verify.sessions.history import DEFAULT_DOCUMENT, LONGEST, Started
from session_manager_fleet.verify.sessions.model import Cause, Kind, LogState

# Logs are made and uploaded after the end, see docs/sessions.md.
ARRIVAL = datetime.timedelta(minutes=15)
_TUNNELS = {Kind.PORT: "port forwarding", Kind.SSH: "SSH"}


@dataclass(frozen=True)
class Trace:
    """Logs of a session in one place.

    Attributes:
        place: The place.
        logs: The log of the session there, as `s3://bucket/key`.
        failure: What the agent left there instead, because it could not make the log; or an empty text.
        missing: Whether the bucket or log group does not exist.
        problem: Why it could not be read; or an empty text.
    """

    place: Place
    logs: tuple[str, ...] = ()
    failure: str = ""
    missing: bool = False
    problem: str = ""


@dataclass(frozen=True)
class Node:
    """Facts about a node.

    Attributes:
        managed: Whether Systems Manager has it now.
        windows: Whether it runs Windows.
        role_without_policy: Its role, if that lacks the instance policy.
    """

    managed: bool = True
    windows: bool = False
    role_without_policy: str = ""


@dataclass(frozen=True)
class Judgement:
    """The state of the log of a session, with the cause, what was found and what to do."""

    state: LogState
    evidence: str
    cause: Cause | None = None
    fix: str = ""
    logs: tuple[str, ...] = ()


def judge(
    session: Started,
    document: Document,
    traces: Sequence[Trace],
    node: Node,
    now: datetime.datetime,
    arrival: datetime.timedelta = ARRIVAL,
) -> Judgement:
    """Judge whether a session was logged.

    Args:
        session: The session.
        document: Its document.
        traces: What it left in each place.
        node: Its node.
        now: The time.
        arrival: How long a log may take to arrive after the end of a session.
    """
    logs = tuple(log for trace in traces for log in trace.logs)
    if logs:
        return Judgement(LogState.LOGGED, f"Its log is {' and '.join(logs)}.", logs=logs)
    return (
        _from_document(session, document)
        or _from_traces(session, document, traces)
        or _from_time(session, now, arrival)
        or _why(session, traces, node)
    )


def _from_document(session: Started, document: Document) -> Judgement | None:
    if session.failed:
        return Judgement(LogState.NOT_STARTED, f"It failed to start. {session.details}".rstrip())
    if document.kind not in _TUNNELS:
        return None
    return _not_logged(
        Cause.DOCUMENT,
        f"{session.document} is a tunnel ({_TUNNELS[document.kind]}), of which Session Manager logs nothing.",
        "Deny it with guardrails.deny.port_forwarding and guardrails.deny.ssh.",
    )


def _from_traces(session: Started, document: Document, traces: Sequence[Trace]) -> Judgement | None:
    if problems := [trace.problem for trace in traces if trace.problem]:
        return Judgement(LogState.NOT_CHECKED, " ".join(problems), fix="Allow the role to read it.")
    if not traces:
        return _without_destination(session, document)
    if failures := [trace.failure for trace in traces if trace.failure]:
        return _not_logged(
            Cause.NO_SCRIPT,
            f"The agent could not make the log and left {failures[0]} instead: the node lacks `script`.",
            f"Install the package that has `script` (util-linux, bsdutils) on {session.node}.",
        )
    return None


def _from_time(session: Started, now: datetime.datetime, arrival: datetime.timedelta) -> Judgement | None:
    if not session.active and now - (session.ended_at or session.started_at + LONGEST) >= arrival:
        return None
    return Judgement(LogState.NOT_YET, _waiting(session, now))


def _not_logged(cause: Cause, evidence: str, fix: str) -> Judgement:
    return Judgement(LogState.NOT_LOGGED, evidence, cause, fix)


def _without_destination(session: Started, document: Document) -> Judgement:
    if not document.exists:
        text = f"{session.document} no longer exists, so it is not known where it logged."
        return _not_logged(Cause.DOCUMENT, text, "Deny other documents with guardrails.deny.other_documents.")
    if session.document == DEFAULT_DOCUMENT:
        text = f"{session.document} names neither a bucket nor a log group."
        return _not_logged(Cause.NO_DESTINATION, text, "Run verify on this target, and apply what it finds.")
    text = f"{session.document} names neither a bucket nor a log group of its own."
    return _not_logged(Cause.DOCUMENT, text, "Deny other documents with guardrails.deny.other_documents.")


def _waiting(session: Started, now: datetime.datetime) -> str:
    if session.active:
        return "It is active: its log is written at its end, unless it is streamed."
    if session.ended_at is None:
        return "Systems Manager does not say whether it has ended."
    seconds = max(0, int((now - session.ended_at).total_seconds()))
    return f"It ended {age_text(seconds)} ago, and its log may still arrive."


def _why(session: Started, traces: Sequence[Trace], node: Node) -> Judgement:
    """Return why the log of an ended session is nowhere."""
    places = " and ".join(str(trace.place) for trace in traces)
    nowhere = f"There is no log of it in {places}"
    missing = [str(trace.place) for trace in traces if trace.missing]
    if len(missing) == len(traces):
        return _not_logged(
            Cause.NO_DESTINATION,
            f"Nothing can arrive: {' and '.join(missing)} does not exist.",
            "Run verify on this target, and apply what it finds.",
        )
    if node.role_without_policy:
        return _not_logged(
            Cause.NO_PERMISSION,
            f"{nowhere}, and the role {node.role_without_policy} of {session.node} lacks the instance policy.",
            "Run verify --check roles on this target, and attach the policy.",
        )
    if not node.managed:
        return _not_logged(
            Cause.NODE_GONE,
            f"{nowhere}, and {session.node} is gone: a node that ends within a session takes its log along.",
            "Stream logs to CloudWatch (preferences.cloudwatch.streaming_enabled).",
        )
    if node.windows:
        return _not_logged(
            Cause.UNKNOWN, f"{nowhere}.", f"Read the log of the SSM agent on {session.node} at the end of the session."
        )
    return _not_logged(
        Cause.NO_SCRIPT,
        f"{nowhere}, although its role has the instance policy: the node may lack `script`.",
        f"On {session.node}, run `command -v script`, and read /var/log/amazon/ssm/errors.log.",
    )
