"""Read the sessions of many targets, and look for the log of each."""

import datetime
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import groupby
from typing import Any

from botocore.exceptions import ClientError

from session_manager_fleet.aws import translated_errors
from session_manager_fleet.errors import AccessError
from session_manager_fleet.preferences import expected_preferences, read_nodes, registered_nodes
from session_manager_fleet.settings import TargetSettings
from session_manager_fleet.targets import Inventory, Reader, Target, error_code
from session_manager_fleet.terraform import permissions
from session_manager_fleet.verify.instance_policy import policy_arn
from session_manager_fleet.verify.logs import log_location
from session_manager_fleet.verify.roles import roles_with
from session_manager_fleet.verify.sessions.documents import Document, Place, places_of, read_document
from session_manager_fleet.verify.sessions.history import DEFAULT_DOCUMENT, Started, read_history
from session_manager_fleet.verify.sessions.judge import ARRIVAL, Judgement, Node, Trace, judge
from session_manager_fleet.verify.sessions.model import Kind, LogState, Session, TargetSessions

# What reading sessions needs; their documents may be anyone's. No log is read.
SESSIONS = (
    permissions.WITHOUT_RESOURCES.allow(
        "cloudtrail:LookupEvents",
        "ec2:DescribeInstances",
        "ssm:DescribeActivations",
        "ssm:DescribeInstanceInformation",
        "ssm:DescribeSessions",
    ),
    permissions.SESSION_DOCUMENTS.allow("ssm:GetDocument"),
    permissions.LOG_GROUPS.allow("logs:DescribeLogStreams"),
    permissions.BUCKETS.allow("s3:ListBucket"),
    permissions.INSTANCE_POLICY.allow("iam:ListEntitiesForPolicy"),
    permissions.NODE_ROLES.allow("iam:GetInstanceProfile"),
    permissions.DEFAULT_ROLE.allow("ssm:GetServiceSetting"),
)
# Threads mostly wait for AWS, so there may be many more than processors.
_WORKERS = 16
_UNKNOWN = Document(Kind.UNKNOWN)


class SessionAudit:
    """Reads the sessions of targets of an organization.

    Args:
        inventory: The organization and its settings.
        since: Sessions that began before are left out.
        arrival: How long a log may take to arrive after the end of a session.
    """

    def __init__(self, inventory: Inventory, since: datetime.datetime, arrival: datetime.timedelta = ARRIVAL) -> None:
        self._inventory = inventory
        self._since = since
        self._arrival = arrival

    def read(
        self,
        targets: Sequence[Target],
        finished: Callable[[TargetSessions], None],
        *,
        stop: threading.Event,
        session_id: str = "",
    ) -> list[TargetSessions]:
        """Return the sessions of targets, or the one with an id.

        Args:
            targets: In any order; the regions of an account share one session.
            finished: Called with each result, one at a time.
            stop: Once set, no further account is read; the targets of those are missing from the results.
            session_id: The only session to look for; all if it is empty.
        """
        results: dict[Target, TargetSessions] = {}
        lock = threading.Lock()

        def work(chain: list[Target]) -> None:
            if stop.is_set():
                return
            for one in self._account(chain, session_id):
                with lock:
                    results[one.target] = one
                    finished(one)

        by_account = sorted(targets, key=lambda target: target.account.id)
        chains = [list(chain) for _, chain in groupby(by_account, key=lambda target: target.account.id)]
        with ThreadPoolExecutor(_WORKERS, thread_name_prefix="sessions") as pool:
            for future in [pool.submit(work, chain) for chain in chains]:
                future.result()
        return [results[target] for target in targets if target in results]

    def _account(self, targets: list[Target], session_id: str) -> list[TargetSessions]:
        try:
            reader = Reader(self._inventory.session(targets[0].account, targets[0].region))
        except AccessError as error:
            return [TargetSessions(target, problems=(str(error),)) for target in targets]
        return [
            _OfTarget(self._inventory, target, reader, self._arrival).read(self._since, session_id)
            for target in targets
        ]


class _OfTarget:
    """Reads the sessions of one target."""

    def __init__(self, inventory: Inventory, target: Target, reader: Reader, arrival: datetime.timedelta) -> None:
        self._inventory, self._target, self._reader, self._arrival = inventory, target, reader, arrival
        self._values: TargetSettings = inventory.settings.effective(target.account, target.region).values
        self._of_bucket: Reader | None = None

    def read(self, since: datetime.datetime, session_id: str) -> TargetSessions:
        """Return the sessions, the latest first."""
        history = read_history(self._reader, self._target.region, since, session_id)
        latest_first = sorted(history.sessions.values(), key=lambda each: each.started_at, reverse=True)
        return TargetSessions(self._target, tuple(self._session(each) for each in latest_first), history.problems)

    def _session(self, started: Started) -> Session:
        document, judgement = self._judged(started)
        return Session(
            session_id=started.session_id,
            account_id=self._target.account.id,
            account_name=self._target.account.name,
            region=self._target.region,
            node=started.node,
            user=started.user,
            source_address=started.source_address,
            document=started.document,
            kind=document.kind,
            reason=started.reason,
            started_at=started.started_at,
            ended_at=started.ended_at,
            active=started.active,
            in_cloudtrail=started.in_cloudtrail,
            state=judgement.state,
            cause=judgement.cause,
            evidence=judgement.evidence,
            fix=judgement.fix,
            logs=judgement.logs,
        )

    def _judged(self, started: Started) -> tuple[Document, Judgement]:
        document = _UNKNOWN
        try:
            with translated_errors(f"look for the log of {started.session_id}"):
                document = read_document(self._reader, self._target.region, started.document)
                traces = [self._trace(started.session_id, place) for place in self._places(started, document)]
                node = self._node(started.node)
        except AccessError as error:
            return document, Judgement(LogState.NOT_CHECKED, str(error), fix="Allow the role to read it.")
        now = datetime.datetime.now(datetime.UTC)
        return document, judge(started, document, traces, node, now, self._arrival)

    def _places(self, started: Started, document: Document) -> tuple[Place, ...]:
        """Return where to look: what the document names now, and what the settings want, unless it is another one."""
        configured: tuple[Place, ...] = ()
        if started.document == DEFAULT_DOCUMENT and document.places and self._values.preferences.enabled:
            configured = places_of(expected_preferences(self._target, self._values, None)["preferences"])
        return tuple(dict.fromkeys((*document.places, *configured)))

    def _trace(self, session_id: str, place: Place) -> Trace:
        try:
            with translated_errors(f"look for the log of {session_id} in {place}"):
                return self._in_bucket(session_id, place) if place.bucket else self._in_group(session_id, place)
        except AccessError as error:
            return Trace(place, problem=str(error))

    def _in_bucket(self, session_id: str, place: Place) -> Trace:
        """Look for `<session id>.log`, and for the errors that the agent leaves if it cannot make the log.

        The agent marks the session as failed then, and its output handler uploads `stderr` below the session's id
        (amazon-ssm-agent, agent/session/shell/shell.go, finishLogging; bottlerocket#1958).
        """
        reader, region = self._bucket_reader(place.bucket)
        wanted = place.key(session_id)
        try:
            objects = reader.pages("s3", region, "list_objects_v2", "Contents", Bucket=place.bucket, Prefix=wanted)
            keys = [entry["Key"] for entry in objects]
        except ClientError as error:
            if error_code(error) != "NoSuchBucket":
                raise
            return Trace(place, missing=True)
        logs = tuple(f"s3://{place.bucket}/{key}" for key in keys if key == f"{wanted}.log")
        errors = [key for key in keys if key.startswith(f"{wanted}/") and key.endswith("/stderr")]
        return Trace(place, logs, failure=f"s3://{place.bucket}/{errors[0]}" if errors else "")

    def _bucket_reader(self, bucket: str) -> tuple[Reader, str]:
        """Return what reads a bucket, and its region: that of the archive is read in the archive's account."""
        if not self._values.preferences.s3.enabled:
            return self._reader, self._target.region
        location = log_location(self._inventory, self._target)
        if bucket != location.bucket or location.account is self._target.account:
            return self._reader, self._target.region
        if self._of_bucket is None:
            self._of_bucket = Reader(self._inventory.session(location.account, location.region))
        return self._of_bucket, location.region

    def _in_group(self, session_id: str, place: Place) -> Trace:
        """Look for the stream of a session, which has its id for a name, or begins with it."""
        where = {"logGroupName": place.group, "logStreamNamePrefix": session_id}
        found = self._reader.find("logs", self._target.region, "describe_log_streams", **where)
        if found is None:
            return Trace(place, missing=True)
        # The agent makes the stream first; one without events holds nothing.
        streams = [each["logStreamName"] for each in found["logStreams"] if _has_events(each)]
        return Trace(place, tuple(f"{place.group}:{name}" for name in streams))

    def _node(self, node: str) -> Node:
        nodes = {each["InstanceId"]: each for each in registered_nodes(self._reader, self._target.region)}
        if node not in nodes:
            return Node(managed=False)
        windows = nodes[node].get("PlatformType") == "Windows"
        if not self._values.instance_policy.enabled and not self._values.config_rule.enabled:
            return Node(windows=windows)
        reader, target = self._reader, self._target
        role = next((each.role for each in read_nodes(reader, target).all if each.id == node), "")
        having = roles_with(reader, target.home_region, policy_arn(target, self._values)) or ()
        return Node(windows=windows, role_without_policy=role if role and role not in having else "")


def _has_events(stream: Mapping[str, Any]) -> bool:
    return bool(stream.get("lastEventTimestamp") or stream.get("lastIngestionTime"))
