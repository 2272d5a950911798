"""A run on disk: an append-only journal from which everything else can be told, and the folder of every target."""

from __future__ import annotations

import datetime
import fcntl
import json
import os
import secrets
import shutil
import socket
import stat
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pydantic
from pydantic import BaseModel, ConfigDict, JsonValue

from session_manager_fleet.accounts import Account
from session_manager_fleet.changes import AttributeChange, ChangeSet
from session_manager_fleet.errors import FleetError, InputError
from session_manager_fleet.files import write_private
from session_manager_fleet.run.results import Status, Step, TargetResult
from session_manager_fleet.run.summary import SkippedEntry, Summary, TargetEntry
from session_manager_fleet.targets import PolicyException, Shard, Target

SCHEMA_VERSION = 1
JOURNAL = "journal.jsonl"
SUMMARY = "summary.json"

_CHANGE_SET = pydantic.TypeAdapter(ChangeSet)
_NEVER_BEGUN = "the run ended before"


class JournalError(FleetError):
    """The folder of a run cannot be written."""


class TargetKey(BaseModel):
    """A target in the journal."""

    model_config = ConfigDict(frozen=True)

    account_id: str
    account_name: str
    ou: str
    account_role: str
    region: str
    home_region: str
    wave: str

    @classmethod
    def of(cls, target: Target) -> TargetKey:
        """Describe a target."""
        account = target.account
        return cls(
            account_id=account.id,
            account_name=account.name,
            ou=account.ou,
            account_role=account.role,
            region=target.region,
            home_region=target.home_region,
            wave=target.wave,
        )

    @property
    def target(self) -> Target:
        """The target; tags and the address of its account are not kept in a journal."""
        account = Account(id=self.account_id, name=self.account_name, ou=self.ou, role=self.account_role)
        return Target(account, self.region, self.home_region, self.wave)


class Beginning(BaseModel):
    """What a command that works on a run sets out to do; the first of a run says on which targets."""

    model_config = ConfigDict(frozen=True)

    command: str
    """`plan`, `apply`, `destroy`, `demo` or `merge`; `resume` goes on with the one before."""
    organization_id: str
    """As `o-exampleorgid`."""
    configuration_sha256: str
    """Digest of organization.yaml."""
    shard: str | None = None
    """Which part of the accounts this run has, as `2/5`."""
    shards: tuple[int, ...] = ()
    """The numbers of the parts that hold any target."""
    wave: str | None = None
    """The only wave that is worked on."""
    selection: tuple[str, ...] = ()
    """What the targets were narrowed to, but for the shard, as `--region eu-west-1`."""
    tolerances: Mapping[str, int | str] = {}
    """Failed targets that each wave tolerates, in the order of the waves."""
    targets: tuple[TargetKey, ...] = ()
    """In the order of work."""
    skipped: tuple[SkippedEntry, ...] = ()
    """Accounts of which no target was made."""
    exceptions: tuple[PolicyException, ...] = ()
    """Exceptions that apply."""
    warnings: tuple[str, ...] = ()
    """What should be looked after."""
    missing_shards: tuple[str, ...] = ()
    """Parts of the accounts, as `2/5`, that hold targets and whose runs were not there when all were merged."""

    def means(self, target: Target) -> bool:
        """Tell whether the command works on a target of the run."""
        shard = Shard.parse(self.shard) if self.shard else None
        return self.wave in {None, target.wave} and (shard is None or shard.holds(target.account.id))


@dataclass
class RunState:
    """Where a run stands, as its journal tells.

    Attributes:
        first: What the run set out to do.
        beginning: The same, with what the last command that worked on the run set out to do.
        started_at: When the run began.
        finished_at: When its last command ended; None while it goes on, and when it died.
        exit_code: What that command returned.
        torn_lines: How many lines of the journal could not be written to their ends.
        results: What became of every target, in the order of work.
    """

    first: Beginning
    beginning: Beginning
    started_at: datetime.datetime
    finished_at: datetime.datetime | None = None
    exit_code: int | None = None
    torn_lines: int = 0
    _results: dict[str, TargetResult] = field(default_factory=dict)
    _change_sets: dict[str, ChangeSet] = field(default_factory=dict)
    _touched: set[str] = field(default_factory=set)

    @property
    def results(self) -> list[TargetResult]:
        """What became of every target, in the order of work."""
        return list(self._results.values())

    @property
    def scope(self) -> list[TargetResult]:
        """What became of the targets that the last command works on."""
        return [result for result in self.results if self.beginning.means(result.target)]

    @property
    def doubtful(self) -> set[str]:
        """Keys of the targets whose apply was begun and did not succeed."""
        return {key for key in self._touched if self._results[key].status is not Status.APPLIED}

    def summary(self, folder: RunFolder, results: Sequence[TargetResult] | None = None) -> Summary:
        """Return the summary of the run, or of some of its results."""
        shown = self.results if results is None else results
        return Summary.build(
            run_id=folder.run_id,
            command=self.beginning.command,
            started_at=self.started_at,
            finished_at=self.finished_at,
            exit_code=self.exit_code,
            organization_id=self.beginning.organization_id,
            targets=[TargetEntry.of(result, log=folder.relative_log(result.target)) for result in shown],
            change_sets=self._change_sets.values(),
            skipped=self.beginning.skipped,
            exceptions=self.beginning.exceptions,
            warnings=self._warnings(),
            shard=self.beginning.shard,
            missing_shards=self.beginning.missing_shards,
        )

    def _warnings(self) -> Iterator[str]:
        yield from self.beginning.warnings
        for shard in self.beginning.missing_shards:
            yield f"Shard {shard} is missing."
        if self.torn_lines:
            lines = "1 torn line" if self.torn_lines == 1 else f"{self.torn_lines} torn lines"
            yield (
                f"The journal holds {lines}, as a crash or a full disk leaves: what was to be said there counts as not "
                "done."
            )

    @classmethod
    def replay(cls, events: Iterator[Mapping[str, Any] | None]) -> RunState:
        """Tell from its journal where a run stands.

        Args:
            events: What its lines say, None for a torn one.

        Raises:
            StopIteration, LookupError, TypeError, ValueError: The journal is damaged.
        """
        first = next(events)
        if first is None:
            raise ValueError("it does not say what the run set out to do")
        beginning = Beginning.model_validate(first)
        state = cls(beginning, beginning, datetime.datetime.fromisoformat(first["at"]))
        for key in state.beginning.targets:
            state._add(key.target)
        for event in events:
            if event is None:
                state.torn_lines += 1
            else:
                state._take(event)
        return state

    def _add(self, target: Target) -> None:
        self._results[target.key] = TargetResult(target, Status.NOT_STARTED, Step.PLAN, reason=_NEVER_BEGUN)

    def _take(self, event: Mapping[str, Any]) -> None:
        kind = event["event"]
        if kind == "begin":
            now = Beginning.model_validate(event)
            kept = {"command", "configuration_sha256", "shard", "shards", "wave"}
            self.beginning = self.beginning.model_copy(update={name: getattr(now, name) for name in kept})
            self.finished_at, self.exit_code = None, None
        elif kind == "change_set":
            change_set = _CHANGE_SET.validate_python(event["change_set"])
            self._change_sets[event["fingerprint"]] = change_set
        elif kind == "started":
            before = self._results[event["target"]]
            if event["step"] == Step.APPLY:
                self._touched.add(event["target"])
            self._results[event["target"]] = replace(
                before, status=Status.UNFINISHED, step=Step(event["step"]), failure=None, reason=""
            )
        elif kind == "finished":
            entry = TargetEntry.model_validate(event["result"])
            self._results[entry.key] = self._result(entry, self._results[entry.key])
        elif kind == "end":
            self.finished_at, self.exit_code = datetime.datetime.fromisoformat(event["at"]), event["exit_code"]

    def _result(self, entry: TargetEntry, before: TargetResult) -> TargetResult:
        result = TargetResult(
            before.target,
            entry.status,
            entry.step,
            outcome=entry.changes,
            change_set=self._change_sets.get(entry.fingerprint or ""),
            failure=entry.failure,
            reason=entry.reason or "",
            seconds=entry.seconds,
            plan_sha256=entry.plan_sha256 or "",
            attempts=entry.attempts,
            preview=tuple(AttributeChange(each.path, each.before, each.after) for each in entry.preview),
            verified=entry.verified,
        )
        return with_plan(before, result) if entry.step is Step.APPLY else result


def with_plan(planned: TargetResult, applied: TargetResult) -> TargetResult:
    """Return the result of an apply together with what the plan had found."""
    return replace(
        applied,
        outcome=applied.outcome or planned.outcome,
        change_set=applied.change_set or planned.change_set,
        plan_sha256=applied.plan_sha256 or planned.plan_sha256,
        preview=applied.preview or planned.preview,
        seconds=planned.seconds + applied.seconds,
    )


@dataclass
class RunFolder:
    """The folder of a run, `runs/<run id>`, readable by its owner only.

    Attributes:
        path: The folder.
    """

    path: Path
    _told: set[str] = field(default_factory=set)

    @classmethod
    def create(cls, parent: Path) -> RunFolder:
        """Make a folder with a name of its own, which sorts by time.

        Raises:
            JournalError: The disk is full, or the like.
        """
        now = datetime.datetime.now(datetime.UTC)
        run = cls(parent / f"{now:%Y%m%dT%H%M%SZ}-{secrets.token_hex(2)}")
        with run.writing():
            run.path.mkdir(parents=True, mode=0o700)
        return run

    def discard(self, *, with_logs: bool = False) -> None:
        """Remove the folder of a run that was never begun.

        Args:
            with_logs: Also where terraform has left a log, which may tell more about an error.
        """
        if not self.begun and (with_logs or not any(self.path.glob("*.log"))):
            shutil.rmtree(self.path, ignore_errors=True)

    def tighten(self) -> None:
        """Take from everybody but the owner what a copy may have given; links are not followed.

        Raises:
            JournalError: A file belongs to somebody else, or the like.
        """
        try:
            _tighten(self.path)
            for folder, folders, files in os.walk(self.path):
                for name in (*folders, *files):
                    _tighten(Path(folder, name))
        except OSError as error:
            message = f"{error.filename} holds configurations and cannot be made private ({error.strerror})"
            raise JournalError(f"{message}: make a copy of the run that is yours.") from error

    @property
    def run_id(self) -> str:
        """Name of the run."""
        return self.path.name

    def target_folder(self, target: Target) -> Path:
        """Return the private folder of a target, which exists afterwards."""
        folder = self.path / target.key
        folder.parent.mkdir(exist_ok=True, mode=0o700)
        folder.mkdir(exist_ok=True, mode=0o700)
        return folder

    def relative_log(self, target: Target) -> str | None:
        """Return where terraform's output for a target is, if there is any, relative to the folder of the run."""
        log = f"{target.key}/terraform.log"
        return log if (self.path / log).exists() else None

    def keep(self, target: Target, artifacts: Mapping[str, bytes]) -> None:
        """Write what a job made where the folder of the run was out of reach; logs are continued.

        Raises:
            JournalError: The disk is full, or the like.
        """
        for name, content in artifacts.items():
            how = os.O_APPEND if name.endswith(".log") else os.O_TRUNC
            with self.writing():
                path = self.target_folder(target) / name
                with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | how, 0o600), "wb") as file:
                    file.write(content)

    # --- Writing -----------------------------------------------------------------------------------------------

    def begin(self, beginning: Beginning) -> None:
        """Note that a command begins to work on this run."""
        self._record(
            "begin", host=socket.gethostname(), pid=os.getpid(), **beginning.model_dump(mode="json", by_alias=True)
        )

    def started(self, target: Target, step: Step, attempt: int) -> None:
        """Note that a step of a target starts."""
        self._record("started", target=target.key, step=step.value, attempt=attempt)

    def finished(self, result: TargetResult) -> None:
        """Note what became of a target; a change set is told in full when it comes for the first time."""
        change_set = result.change_set
        if change_set is not None and change_set.fingerprint not in self._told:
            content = _CHANGE_SET.dump_python(change_set, mode="json")
            self._record("change_set", fingerprint=change_set.fingerprint, change_set=content)
            self._told.add(change_set.fingerprint)
        entry = TargetEntry.of(result, log=self.relative_log(result.target))
        self._record("finished", target=result.target.key, result=entry.as_dict())

    def end(self, exit_code: int) -> None:
        """Note that the command is over."""
        self._record("end", exit_code=int(exit_code))

    def _record(self, event: str, **details: JsonValue) -> None:
        """Append an event to the journal; it is on the disk when this returns.

        Raises:
            JournalError: The disk is full, or the like.
        """
        at = datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds")
        entry = {"schema_version": SCHEMA_VERSION, "at": at, "event": event, **details}
        with self.writing():
            _append(self.path / JOURNAL, (json.dumps(entry, separators=(",", ":")) + "\n").encode())

    def write_summary(self) -> Summary:
        """Write summary.json as the journal tells, and return it.

        Raises:
            JournalError: The disk is full, or the like.
        """
        summary = self.read().summary(self)
        with self.writing():
            write_private(self.path / SUMMARY, summary.to_json())
        return summary

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Tell what keeps the folder from being written in a sentence.

        Raises:
            JournalError: The disk is full, or the like.
        """
        try:
            yield
        except OSError as error:
            rest = "nothing was started."
            if self.begun:
                rest = (
                    "nothing more was started. Nothing is lost: make room there, then `rollout.py resume "
                    f"{self.run_id}`."
                )
            raise JournalError(
                f"{error.filename or self.path} cannot be written ({error.strerror or error}); {rest}"
            ) from error

    # --- Reading -----------------------------------------------------------------------------------------------

    @property
    def begun(self) -> bool:
        """Whether there is a journal, and anything in it."""
        try:
            return (self.path / JOURNAL).stat().st_size > 0
        except (FileNotFoundError, NotADirectoryError):
            return False

    def refuse_if_absent(self) -> None:
        """Refuse a folder that is not that of a run.

        Raises:
            InputError: There is no journal.
        """
        if not self.begun:
            message = "There is no run here; run ids are the names of the folders in --runs."
            raise InputError(message, str(self.path))

    def read(self) -> RunState:
        """Tell where the run stands, whether it has been finished or not.

        Raises:
            InputError: There is no such run, or its journal cannot be understood.
        """
        path = self.path / JOURNAL
        try:
            self.refuse_if_absent()
            return RunState.replay(_events(path))
        except OSError as error:
            raise InputError(f"The journal cannot be read: {error}.", str(path)) from error
        except (StopIteration, LookupError, TypeError, ValueError) as error:
            raise InputError(f"The journal is damaged ({_first_line(error)}); plan again.", str(path)) from error


def _tighten(path: Path) -> None:
    mode = path.lstat().st_mode
    if not stat.S_ISLNK(mode) and mode & 0o077:
        path.chmod(stat.S_IMODE(mode) & 0o700)


def _append(path: Path, line: bytes) -> None:
    """Append a line to a file, wholly or not at all; it is on the disk when this returns."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        size = os.fstat(handle).st_size
        if size and os.pread(handle, 1, size - 1) != b"\n":
            # What a crash left of the last line keeps a line of its own.
            line = b"\n" + line
        try:
            while line:
                line = line[os.write(handle, line) :]
            os.fsync(handle)
        except OSError:
            os.ftruncate(handle, size)
            raise
    except OSError as error:
        error.filename = error.filename or str(path)
        raise
    finally:
        os.close(handle)


def _events(path: Path) -> Iterator[Mapping[str, Any] | None]:
    """Yield the events of a journal, and None for every torn line; the last line may still be being written."""
    with path.open("rb") as file:
        for line in file:
            if not line.endswith(b"\n"):
                return
            try:
                event = json.loads(line)
            except ValueError:
                # No write of a whole record makes such a line, and nothing was done before its record was on the disk.
                yield None
                continue
            if event["schema_version"] != SCHEMA_VERSION:
                raise ValueError(f"schema version {event['schema_version']}; {SCHEMA_VERSION} is understood")
            yield event


def _first_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]


def find_run(run: str, runs: Path) -> RunFolder:
    """Return the folder of a run by its id or its path."""
    path = Path(run) if Path(run).is_dir() else runs / run
    return RunFolder(path.resolve())
