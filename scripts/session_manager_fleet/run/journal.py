"""The journal of a run: append-only events, and the state of the run that they add up to."""

import datetime
import fcntl
import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self

import pydantic
from pydantic import BaseModel, ConfigDict, JsonValue

from session_manager_fleet.changes import ChangeSet
from session_manager_fleet.errors import InputError
from session_manager_fleet.files import MEGABYTE, open_private, open_regular
from session_manager_fleet.run.results import (
    CallerArn,
    CommandName,
    OrganizationId,
    Sha256,
    ShardName,
    Status,
    Step,
    TargetKey,
    TargetResult,
    WaveName,
)
from session_manager_fleet.run.reviewed_plan import ReviewedPlan, digest_of
from session_manager_fleet.settings import Component, ToleranceField
from session_manager_fleet.targets import PolicyException, Shard, SkippedAccount

SCHEMA_VERSION = 1

CHANGE_SET = pydantic.TypeAdapter(ChangeSet)
RESULT = pydantic.TypeAdapter(TargetResult)
_VERSIONS = 1000
_FIELD = re.compile(r"[a-z_]{1,30}[0-9]{0,3}")
_LONGEST_REASON = 80
_NEVER_STARTED = "the run ended before"
# The first line names all targets: 100,000 of them need 25 MiB.
_LONGEST_LINE = 64 * MEGABYTE


class Beginning(BaseModel):
    """Intent of a command on a run; that of the first command of a run names the targets."""

    model_config = ConfigDict(frozen=True, defer_build=True)

    command: CommandName
    """`plan`, `apply`, `destroy`, `demo` or `merge`; `resume` continues the one before."""
    organization_id: OrganizationId
    """As `o-exampleorgid`."""
    configuration_sha256: Sha256
    """SHA-256 digest of organization.yaml."""
    caller: CallerArn = ""
    """ARN of the caller whose credentials the command uses; empty if it was not recorded."""
    shard: ShardName | None = None
    """Shard of the run, as `2/5`."""
    shards: tuple[int, ...] = ()
    """Numbers of the shards that hold any target."""
    wave: WaveName | None = None
    """The only wave of the command."""
    selection: tuple[str, ...] = ()
    """Options that select the targets, except for the shard, as `--region eu-west-1`."""
    components: tuple[Component, ...] = ()
    """Components that the plans are limited to; empty for all."""
    tolerances: Mapping[WaveName, ToleranceField] = {}
    """Tolerance of each wave, in the order of the waves."""
    targets: tuple[TargetKey, ...] = ()
    """In the order of work."""
    skipped: tuple[SkippedAccount, ...] = ()
    """Accounts of which no target was made."""
    exceptions: tuple[PolicyException, ...] = ()
    """Exceptions that apply."""
    warnings: tuple[str, ...] = ()
    """Sentences about problems that stop nothing."""
    missing_shards: tuple[ShardName, ...] = ()
    """Shards, as `2/5`, that hold targets and whose runs were missing in the merge."""

    def covers(self, target: TargetKey) -> bool:
        """Tell whether the command works on a target of the run."""
        shard = Shard.parse(self.shard) if self.shard else None
        return self.wave in {None, target.wave} and (shard is None or shard.holds(target.account_id))


@dataclass
class RunState:
    """State of a run according to its journal.

    Attributes:
        first: The first beginning.
        beginning: The same, updated by the last command on the run.
        started_at: When the run began.
        finished_at: When its last command ended; None while it is at work, and if it died.
        exit_code: Exit code of that command.
        torn_lines: Number of incomplete lines in the journal.
    """

    first: Beginning
    beginning: Beginning
    started_at: datetime.datetime
    finished_at: datetime.datetime | None = None
    exit_code: int | None = None
    torn_lines: int = 0
    _results: dict[str, TargetResult] = field(default_factory=dict)
    _change_sets: dict[str, ChangeSet] = field(default_factory=dict)
    _apply_started: set[str] = field(default_factory=set)
    _reviewed: dict[str, ReviewedPlan] = field(default_factory=dict)
    _being_applied: set[str] = field(default_factory=set)

    @property
    def results(self) -> list[TargetResult]:
        """Result of every target, in the order of work."""
        return list(self._results.values())

    @property
    def scope(self) -> list[TargetResult]:
        """Results of the targets that the last command works on."""
        return [result for result in self.results if self.beginning.covers(result)]

    @property
    def change_sets(self) -> list[ChangeSet]:
        """Every change set of the run."""
        return list(self._change_sets.values())

    @property
    def digest(self) -> str:
        """Digest of the saved plans that were reviewed; the same before and after they are applied."""
        return digest_of(self._reviewed)

    @property
    def indeterminate(self) -> set[str]:
        """Keys of the targets whose apply was started and did not succeed, so that it may be partial."""
        return {key for key in self._apply_started if self._results[key].status is not Status.APPLIED}

    @property
    def warnings(self) -> Iterator[str]:
        """Sentences about problems that stop nothing."""
        yield from self.beginning.warnings
        for shard in self.beginning.missing_shards:
            yield f"Shard {shard} is missing."
        if self.torn_lines:
            lines = "1 incomplete line" if self.torn_lines == 1 else f"{self.torn_lines} incomplete lines"
            yield f"The journal holds {lines}, left by a crash or a full disk; these events count as not done."

    @classmethod
    def replay(cls, events: Iterator[Mapping[str, Any] | None]) -> Self:
        """Return the state of a run.

        Args:
            events: The events of its journal, None for an incomplete line.

        Raises:
            StopIteration, LookupError, TypeError, ValueError: The journal is damaged.
        """
        first = next(events)
        if first is None:
            raise ValueError("its first line is incomplete")
        beginning = Beginning.model_validate(first)
        state = cls(beginning, beginning, datetime.datetime.fromisoformat(first["at"]))
        for key in beginning.targets:
            state._results[key.key] = TargetResult.build(
                key.target, Status.NOT_STARTED, Step.PLAN, reason=_NEVER_STARTED
            )
        for event in events:
            if event is None:
                state.torn_lines += 1
            else:
                state._apply(event)
        return state

    def _apply(self, event: Mapping[str, Any]) -> None:
        kind = event["event"]
        if kind == "begin":
            now = Beginning.model_validate(event)
            kept = {"command", "caller", "configuration_sha256", "shard", "shards", "wave"}
            self.beginning = self.beginning.model_copy(update={name: getattr(now, name) for name in kept})
            self.finished_at, self.exit_code = None, None
            self._being_applied.clear()
        elif kind == "change_set":
            change_set = CHANGE_SET.validate_python(event["change_set"])
            if change_set.fingerprint != event["fingerprint"]:
                raise ValueError("a change set does not have its fingerprint")
            self._change_sets[change_set.fingerprint] = change_set
        elif kind == "started":
            key, step = event["target"], Step(event["step"])
            if step is Step.APPLY:
                self._apply_started.add(key)
                self._being_applied.add(key)
            self._results[key] = replace(
                self._results[key], status=Status.UNFINISHED, step=step, failure=None, reason=None
            )
        elif kind == "finished":
            result = RESULT.validate_python(event["result"])
            planned = self._results[result.key]
            # Between two attempts of an apply, the rest of the reviewed changes is planned: nothing new to review.
            if result.step is Step.PLAN and result.key not in self._being_applied:
                self._reviewed.pop(result.key, None)
                if result.plan_sha256:
                    self._reviewed[result.key] = ReviewedPlan.of(result)
            result = replace(result, change_set=self._change_sets.get(result.fingerprint or ""))
            follows = result.step is not Step.PLAN
            self._results[result.key] = result.after_plan(planned) if follows else result.after_detaching(planned)
        elif kind == "end":
            self.finished_at, self.exit_code = datetime.datetime.fromisoformat(event["at"]), event["exit_code"]


def append(path: Path, event: str, details: Mapping[str, JsonValue]) -> None:
    """Append an event to a journal, completely or not at all; it is on the disk when this returns.

    Raises:
        OSError: The disk is full, or another error of the file system.
    """
    at = datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds")
    entry = {"schema_version": SCHEMA_VERSION, "at": at, "event": event, **details}
    line = (json.dumps(entry, separators=(",", ":")) + "\n").encode()
    handle = open_private(path, os.O_RDWR | os.O_APPEND)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        size = os.fstat(handle).st_size
        if size and os.pread(handle, 1, size - 1) != b"\n":
            # Keep an incomplete last line, left by a crash, apart from this event.
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


def load(path: Path) -> RunState:
    """Return the state of a run according to its journal; the last line may still be being written.

    Raises:
        InputError: The journal is damaged, with the line; nothing of its content is repeated.
        OSError: It cannot be read, or is a link or not a regular file.
    """
    number = 0

    def events() -> Iterator[Mapping[str, Any] | None]:
        nonlocal number
        with open_regular(path) as file:
            while line := file.readline(_LONGEST_LINE + 1):
                number += 1
                if len(line) > _LONGEST_LINE:
                    raise ValueError("the line is too long")
                if not line.endswith(b"\n"):
                    return
                yield _event(line)

    try:
        return RunState.replay(events())
    except (StopIteration, LookupError, TypeError, ValueError, OverflowError, RecursionError) as error:
        message = f"The journal is damaged ({_what_is_wrong(error)}); plan again."
        raise InputError(message, f"{path}:{number or 1}") from error


def _event(line: bytes) -> Mapping[str, Any] | None:
    """Return the event of a line, or None for an incomplete one.

    Raises:
        LookupError, TypeError, ValueError, RecursionError: The line is something else.
    """
    try:
        event: Mapping[str, Any] = json.loads(line)
    except (json.JSONDecodeError, UnicodeDecodeError):
        # Left by a crash or a full disk. Its event was not acted on: events are on the disk before the run goes on.
        return None
    version = event["schema_version"]
    if version != SCHEMA_VERSION:
        shown = f"schema version {version}" if isinstance(version, int) and abs(version) < _VERSIONS else "the version"
        raise ValueError(f"{shown}; {SCHEMA_VERSION} is supported")
    return event


def _what_is_wrong(error: Exception) -> str:
    """Return what is wrong with an event, without its values: they may be anything."""
    if isinstance(error, pydantic.ValidationError):
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        fields = [str(part) for part in first["loc"] if isinstance(part, int) or _FIELD.fullmatch(part)]
        return f"{'.'.join(fields) or error.title} is not valid"
    if isinstance(error, LookupError):
        return "it names a target or a key that is not there"
    if isinstance(error, ValueError) and error.args and not isinstance(error, UnicodeError):
        return str(error)[:_LONGEST_REASON]
    return "the event has another form"
