"""Merge the runs of all shards into one run that can be reported, applied and resumed like any other."""

import os
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self, TypeVar

from session_manager_fleet.errors import InputError
from session_manager_fleet.files import open_private, open_regular
from session_manager_fleet.run.beginnings import refuse_verification
from session_manager_fleet.run.folder import RunFolder, find_run
from session_manager_fleet.run.journal import Beginning, RunState
from session_manager_fleet.run.results import Status, TargetResult
from session_manager_fleet.settings import Tolerance
from session_manager_fleet.targets import Shard

T = TypeVar("T")


@dataclass(frozen=True)
class Part:
    """The run of one shard."""

    folder: RunFolder
    state: RunState
    shard: Shard

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read the run of a shard, and make it private.

        Raises:
            InputError: There is no run, it is not that of a shard, or holds links or files of another user.
            JournalError: Access to it cannot be restricted.
        """
        folder = find_run(str(path), path.parent)
        folder.refuse_if_absent()
        folder.tighten()
        state = folder.read()
        refuse_verification(state, str(path))
        if state.beginning.shard is None:
            raise InputError("This is not the run of a shard: it was made without --shard I/N.", str(path))
        return cls(folder, state, Shard.parse(state.beginning.shard))

    @property
    def results(self) -> list[TargetResult]:
        """Results of the targets of this shard; an apply of one shard of a run leaves the others unchanged."""
        return self.state.scope


def read_parts(paths: Sequence[Path]) -> list[Part]:
    """Read the runs of shards that belong together; folders without a journal are skipped, as no run began there.

    Raises:
        InputError: They do not belong together, or there is none.
    """
    there = [path for path in paths if RunFolder(path).begun or not path.is_dir()]
    parts = [Part.read(path) for path in there or paths]
    first = parts[0]
    seen: dict[int, Part] = {}
    for part in parts:
        if what := _difference(first, part):
            message = (
                f"The {what} differs from that of the run in {first.folder.path}; these runs do not belong together."
            )
            raise InputError(message, str(part.folder.path))
        other = seen.setdefault(part.shard.index, part)
        if other is not part:
            message = f"Duplicate shard {part.state.beginning.shard}: it was already read from {other.folder.path}."
            raise InputError(message, str(part.folder.path))
    return sorted(parts, key=lambda part: part.shard.index)


def _difference(one: Part, other: Part) -> str:
    ours, theirs = one.state.beginning, other.state.beginning
    differences = {
        "command": ours.command != theirs.command,
        "organization": ours.organization_id != theirs.organization_id,
        "organization.yaml": ours.configuration_sha256 != theirs.configuration_sha256,
        "selection of targets": ours.selection != theirs.selection,
        "wave": ours.wave != theirs.wave,
        "components": ours.components != theirs.components,
        "number of shards": one.shard.count != other.shard.count,
    }
    return next((what for what, differs in differences.items() if differs), "")


def missing(parts: Sequence[Part]) -> tuple[str, ...]:
    """Return the shards that hold targets and whose runs are missing, as `2/5`."""
    there = {part.shard.index for part in parts}
    expected = {number for part in parts for number in part.state.beginning.shards}
    return tuple(f"{number}/{parts[0].shard.count}" for number in sorted(expected - there))


def merge(parts: Sequence[Part], runs: Path) -> RunFolder:
    """Create one run from the runs of all shards, with their plans and logs; the caller ends it.

    Raises:
        JournalError: The folder of the run cannot be written.
    """
    first = parts[0].state.beginning
    run = RunFolder.create(runs)
    rank = {name: number for number, name in enumerate(first.tolerances)}
    results = [result for part in parts for result in part.results]
    results.sort(key=lambda result: rank.get(result.wave, len(rank)))
    keys = {key.key: key for part in parts for key in part.state.beginning.targets}
    run.begin(
        Beginning(
            command=first.command,
            organization_id=first.organization_id,
            configuration_sha256=first.configuration_sha256,
            selection=first.selection,
            components=first.components,
            tolerances=first.tolerances,
            targets=tuple(keys[result.key] for result in results),
            skipped=_distinct(entry for part in parts for entry in part.state.beginning.skipped),
            exceptions=_distinct(entry for part in parts for entry in part.state.beginning.exceptions),
            warnings=_distinct(text for part in parts for text in part.state.beginning.warnings),
            missing_shards=missing(parts),
        )
    )
    for part in parts:
        for result in part.results:
            with run.writing():
                _copy(part.folder.path / result.key, run.target_folder(result))
            run.finished(result)
    return run


def _copy(source: Path, folder: Path) -> None:
    """Copy the files of a target as private files: artifacts of a CI system have lost their permissions."""
    for path in source.iterdir() if source.is_dir() else ():
        if path.is_file():
            with open_regular(path) as file, os.fdopen(open_private(folder / path.name, os.O_WRONLY), "wb") as copy:
                shutil.copyfileobj(file, copy)


def _distinct(entries: Iterable[T]) -> tuple[T, ...]:
    found: list[T] = []
    for entry in entries:
        if entry not in found:
            found.append(entry)
    return tuple(found)


def exceeded_tolerances(results: Sequence[TargetResult], beginning: Beginning) -> list[str]:
    """Return a sentence for each wave whose failures exceed its tolerance.

    Targets that are not done are never tolerated.
    """
    sentences = []
    for name in dict.fromkeys(result.wave for result in results):
        wave = [result for result in results if result.wave == name]
        failures = sum(result.status is Status.FAILED for result in wave)
        undone = sum(result.status in {Status.UNFINISHED, Status.NOT_STARTED} for result in wave)
        tolerated = beginning.tolerances.get(name, Tolerance())
        if undone:
            sentences.append(f"{undone} of {len(wave)} targets of the wave {name} are not done")
        if tolerated.exceeded_by(failures, len(wave)):
            sentences.append(f"{failures} of {len(wave)} targets of the wave {name} failed (tolerated: {tolerated})")
    return sentences
