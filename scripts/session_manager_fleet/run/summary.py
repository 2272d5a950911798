"""The summary of a run: the input of every report, and the documented content of `summary.json`."""

import datetime
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Self

import pydantic
from pydantic import BaseModel, ConfigDict, JsonValue
from pydantic_core import PydanticSerializationError

from session_manager_fleet.changes import ChangeSet, ResourceChange
from session_manager_fleet.errors import InputError
from session_manager_fleet.files import read_regular
from session_manager_fleet.run.results import (
    CallerArn,
    CommandName,
    Fingerprint,
    OrganizationId,
    ShardName,
    Status,
    TargetName,
    TargetResult,
)
from session_manager_fleet.settings import schema_of
from session_manager_fleet.targets import PolicyException, SkippedAccount

_LARGEST_MEGABYTES = 512
_LONGEST_NAME = 40


class _Entry(BaseModel):
    """Part of a summary; the description of a field is the text below it."""

    model_config = ConfigDict(frozen=True, defer_build=True)


class ChangeSetEntry(_Entry):
    """A distinct change set and the targets that have it."""

    fingerprint: Fingerprint
    """Equal for change sets that do the same, whatever the account and the region."""
    targets: tuple[TargetName, ...]
    """`account/region` of each target, in the order of work."""
    changes: tuple[ResourceChange, ...]
    """Destructive ones first, then by address."""
    outputs: tuple[str, ...]
    """Names of root outputs that change."""

    @property
    def change_set(self) -> ChangeSet:
        """The change set itself."""
        return ChangeSet(self.changes, self.outputs)


class Totals(_Entry):
    """How many targets there are, and how many have each status."""

    targets: int
    no_changes: int
    changes: int
    applied: int
    failed: int
    not_started: int
    unfinished: int
    skipped: int = 0
    """Targets that have left the organization or its settings since they were planned."""

    @classmethod
    def of(cls, targets: Sequence[TargetResult]) -> Self:
        """Count targets."""
        counts = Counter(entry.status for entry in targets)
        return cls(targets=len(targets), **{status.value: counts[status] for status in Status})


class Summary(_Entry):
    """Summary of a run."""

    model_config = ConfigDict(title="summary.json of a run")

    schema_version: Literal[1] = 1
    """Another number means another layout; fields may be added under the same number."""
    run_id: str
    """Name of the run's folder."""
    command: CommandName
    """Command of the run: `plan`, `apply`, `destroy`, `merge`…"""
    started_at: datetime.datetime
    """When the run began; UTC."""
    finished_at: datetime.datetime | None
    """Null while the run is at work, and if it died."""
    exit_code: int | None
    """Exit code of the process; null like finished_at."""
    organization_id: OrganizationId
    """As `o-exampleorgid`."""
    caller: CallerArn = ""
    """ARN of the caller whose credentials the last command used; empty if it was not recorded."""
    digest: str = ""
    """SHA-256 digest of the saved plans, which `apply --digest` demands; empty if there are none."""
    shard: ShardName | None = None
    """Shard of the run, as `2/5`."""
    missing_shards: tuple[ShardName, ...] = ()
    """Shards, as `2/5`, whose runs were missing in the merge."""
    totals: Totals
    """Number of targets with each status."""
    targets: tuple[TargetResult, ...]
    """In the order of work."""
    skipped: tuple[SkippedAccount, ...]
    """Accounts of which no target was made."""
    change_sets: tuple[ChangeSetEntry, ...]
    """Every distinct change set once: destructive ones first, then those of the most targets."""
    exceptions: tuple[PolicyException, ...] = ()
    """Exceptions of organization.yaml that apply to targets of this run, the soonest to expire first."""
    warnings: tuple[str, ...] = ()
    """Sentences about problems that stop nothing."""

    @classmethod
    def build(cls, *, targets: Iterable[TargetResult], change_sets: Iterable[ChangeSet], **details: Any) -> Self:  # noqa: ANN401
        """Count targets and group them by change set.

        Args:
            targets: One for each target, in the order of work.
            change_sets: The change sets of the fingerprints of the targets; each may come more than once.
            details: The other fields.
        """
        entries = tuple(targets)
        known = {each.fingerprint: each for each in change_sets}
        fields = {"finished_at": None, "exit_code": None, "skipped": (), **details}
        return cls(totals=Totals.of(entries), targets=entries, change_sets=_grouped(entries, known), **fields)

    @property
    def finished(self) -> bool:
        """Whether the run is over."""
        return self.finished_at is not None

    def to_json(self) -> str:
        """Return the content of `summary.json`; unpaired surrogates, which JSON cannot hold, are written as escapes."""
        try:
            return self.model_dump_json(by_alias=True, indent=2, ensure_ascii=True) + "\n"
        except PydanticSerializationError:
            return json.dumps(_spelled_out(self.model_dump(mode="json", by_alias=True)), indent=2) + "\n"

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a `summary.json`.

        Raises:
            InputError: There is no summary, or it is damaged.
        """
        try:
            content = read_regular(path, megabytes=_LARGEST_MEGABYTES)
        except FileNotFoundError:
            raise InputError("This run has no summary: it does not exist, or it was not finished.", str(path)) from None
        except OSError as error:
            raise InputError(f"The summary cannot be read: {error.strerror}.", str(path)) from error
        try:
            summary = cls.model_validate_json(content)
        except pydantic.ValidationError as error:
            raise InputError(_what_is_wrong(error), str(path)) from error
        known = {entry.key for entry in summary.targets}
        if any(not known.issuperset(group.targets) for group in summary.change_sets):
            raise InputError(
                "The summary is damaged (a change set names another target); run the command again.", str(path)
            )
        return summary


def _spelled_out(value: JsonValue) -> JsonValue:
    """Write unpaired surrogates as escapes, in a value and everything inside it."""
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, list):
        return [_spelled_out(item) for item in value]
    if isinstance(value, dict):
        return {str(_spelled_out(key)): _spelled_out(item) for key, item in value.items()}
    return value


def schema() -> dict[str, Any]:
    """Return the JSON Schema of `summary.json`."""
    return schema_of(Summary, "serialization")


def _grouped(targets: Sequence[TargetResult], known: Mapping[str, ChangeSet]) -> tuple[ChangeSetEntry, ...]:
    members: dict[str, list[str]] = {}
    for entry in targets:
        if entry.fingerprint is not None and entry.fingerprint in known:
            members.setdefault(entry.fingerprint, []).append(entry.key)
    entries = [
        ChangeSetEntry(
            fingerprint=fingerprint,
            targets=tuple(keys),
            changes=known[fingerprint].changes,
            outputs=known[fingerprint].outputs,
        )
        for fingerprint, keys in members.items()
    ]
    entries.sort(key=lambda entry: (not entry.change_set.destructive, -len(entry.targets), entry.fingerprint))
    return tuple(entries)


def _what_is_wrong(error: pydantic.ValidationError) -> str:
    first = error.errors(include_url=False)[0]
    where = ".".join(str(part)[:_LONGEST_NAME] for part in first["loc"])
    if where == "schema_version":
        return f"The summary has schema version {repr(first['input'])[:_LONGEST_NAME]}; 1 is supported."
    return f"The summary is damaged ({f'{where}: ' if where else ''}{first['msg']}); run the command again."
