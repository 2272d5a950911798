"""Join the runs of all shards to one run that can be shown, applied and resumed like any other."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from session_manager_fleet.errors import InputError
from session_manager_fleet.run.journal import Beginning, RunFolder, RunState
from session_manager_fleet.run.results import Status, TargetResult
from session_manager_fleet.settings import Tolerance
from session_manager_fleet.targets import Shard

T = TypeVar("T")


@dataclass(frozen=True)
class Part:
    """The run of one shard.

    Attributes:
        folder: Where it is.
        state: Where it stands.
        shard: Which part of the accounts it had.
    """

    folder: RunFolder
    state: RunState
    shard: Shard

    @classmethod
    def read(cls, path: Path) -> Part:
        """Read the run of a shard.

        Raises:
            InputError: It is no run, or not that of a shard.
        """
        folder = RunFolder(path.resolve())
        state = folder.read()
        if state.beginning.shard is None:
            raise InputError("This run is not that of a shard; make it with --shard I/N.", str(path))
        return cls(folder, state, Shard.parse(state.beginning.shard))

    @property
    def results(self) -> list[TargetResult]:
        """What became of the targets of this part; an apply of a shard leaves the others in the run as they are."""
        return self.state.scope


def read_parts(paths: Sequence[Path]) -> list[Part]:
    """Read the runs of shards that belong together; of a folder without a journal no run ever began.

    Raises:
        InputError: They do not belong together, or none is there.
    """
    there = [path for path in paths if RunFolder(path).begun or not path.is_dir()]
    parts = [Part.read(path) for path in there or paths]
    first = parts[0]
    seen: dict[int, Part] = {}
    for part in parts:
        what = _difference(first, part)
        if what:
            raise InputError(f"Its {what} is not that of {first.folder.path}.", str(part.folder.path))
        other = seen.setdefault(part.shard.index, part)
        if other is not part:
            message = f"This is shard {part.state.beginning.shard} again; {other.folder.path} is it already."
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
        "number of shards": one.shard.count != other.shard.count,
    }
    return next((what for what, differs in differences.items() if differs), "")


def missing(parts: Sequence[Part]) -> tuple[str, ...]:
    """Return the shards that hold targets and whose runs are not there, as `2/5`."""
    there = {part.shard.index for part in parts}
    wanted = {number for part in parts for number in part.state.beginning.shards}
    return tuple(f"{number}/{parts[0].shard.count}" for number in sorted(wanted - there))


def merge(parts: Sequence[Part], runs: Path) -> RunFolder:
    """Make a run of the runs of all shards, with their plans and logs, and return its folder; it is not ended yet.

    Args:
        parts: What `read_parts` has read.
        runs: Folder of the runs.

    Raises:
        JournalError: The folder of the run cannot be written, or that of a shard not be made private.
    """
    for part in parts:
        part.folder.tighten()
    first = parts[0].state.beginning
    run = RunFolder.create(runs)
    rank = {name: number for number, name in enumerate(first.tolerances)}
    results = [result for part in parts for result in part.results]
    results.sort(key=lambda result: rank.get(result.target.wave, len(rank)))
    keys = {key.target.key: key for part in parts for key in part.state.beginning.targets}
    run.begin(
        Beginning(
            command=first.command,
            organization_id=first.organization_id,
            configuration_sha256=first.configuration_sha256,
            selection=first.selection,
            tolerances=first.tolerances,
            targets=tuple(keys[result.target.key] for result in results),
            skipped=_distinct(entry for part in parts for entry in part.state.beginning.skipped),
            exceptions=_distinct(entry for part in parts for entry in part.state.beginning.exceptions),
            warnings=_distinct(text for part in parts for text in part.state.beginning.warnings),
            missing_shards=missing(parts),
        )
    )
    for part in parts:
        for result in part.results:
            with run.writing():
                _copy(part.folder.path / result.target.key, run.target_folder(result.target))
            run.finished(result)
    return run


def _copy(source: Path, folder: Path) -> None:
    """Copy the files of a target; what came through the storage of a CI system has lost its permissions."""
    for path in source.iterdir() if source.is_dir() else ():
        if path.is_file() and not path.is_symlink():
            copy = folder / path.name
            copy.touch(mode=0o600)
            shutil.copyfile(path, copy)


def _distinct(entries: Iterable[T]) -> tuple[T, ...]:
    found: list[T] = []
    for entry in entries:
        if entry not in found:
            found.append(entry)
    return tuple(found)


def intolerable(results: Sequence[TargetResult], beginning: Beginning) -> list[str]:
    """Return why the failures are more than is tolerated, wave by wave; nothing where they are not.

    What has not been done at all is never tolerated.
    """
    sentences = []
    for name in dict.fromkeys(result.target.wave for result in results):
        wave = [result for result in results if result.target.wave == name]
        failures = sum(result.status is Status.FAILED for result in wave)
        undone = sum(result.status in {Status.UNFINISHED, Status.NOT_STARTED} for result in wave)
        tolerated = Tolerance.parse(beginning.tolerances.get(name, 0))
        if undone:
            sentences.append(f"{undone} of {len(wave)} targets of the wave {name} are not done")
        if tolerated.exceeded_by(failures, len(wave)):
            sentences.append(f"{failures} of {len(wave)} targets of the wave {name} failed, {tolerated} are tolerated")
    return sentences
