"""The folder of a run, `runs/<run id>`: its journal, its summary, and a folder for each target."""

import datetime
import os
import re
import secrets
import shutil
import socket
import stat
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Self

from pydantic import JsonValue

from session_manager_fleet.errors import FleetError, InputError
from session_manager_fleet.files import make_private_folder, open_private, refuse_links, write_private
from session_manager_fleet.run import journal
from session_manager_fleet.run.journal import Beginning, RunState
from session_manager_fleet.run.results import Step, TargetKey, TargetResult
from session_manager_fleet.run.summary import Summary
from session_manager_fleet.targets import Target

JOURNAL = "journal.jsonl"
SUMMARY = "summary.json"


# Links that terraform and an apply make: to the provider of a plugin mirror, to the files of the root module.
_LINKS = (
    re.compile(r"[.]terraform/[^/]+/providers/([^/]+/){4}[^/]+"),
    re.compile(r"[^/]+/[^/]+/apply-[^/]+/(?!errored[.]tfstate)[^/]+"),
)
_PLAIN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_ROOT_USER = 0


class JournalError(FleetError):
    """The folder of a run cannot be written."""


@dataclass
class RunFolder:
    """The folder of a run, private to its owner.

    Attributes:
        path: The folder.
    """

    path: Path
    _written: set[str] = field(default_factory=set)

    @classmethod
    def create(cls, parent: Path) -> Self:
        """Create a folder with a unique name that sorts by time.

        Raises:
            JournalError: The folder cannot be created.
        """
        now = datetime.datetime.now(datetime.UTC)
        run = cls(parent / f"{now:%Y%m%dT%H%M%SZ}-{secrets.token_hex(2)}")
        with run.writing():
            make_private_folder(parent)
            run.path.mkdir(mode=0o700)
        return run

    def discard(self, *, with_logs: bool = False) -> None:
        """Remove the folder of a run that was never begun.

        Args:
            with_logs: Remove it even if it holds a log of terraform, which may explain an error.
        """
        if not self.begun and (with_logs or not any(self.path.glob("*.log"))):
            shutil.rmtree(self.path, ignore_errors=True)

    def tighten(self) -> None:
        """Remove the permissions of everybody but the owner, which a copy may have added.

        Raises:
            InputError: A file or folder is a link, neither file nor folder, or belongs to another user.
            JournalError: The permissions of a file cannot be changed.
        """
        try:
            self._tighten(self.path)
            for folder, folders, files in os.walk(self.path):
                for name in (*folders, *files):
                    self._tighten(Path(folder, name))
        except OSError as error:
            message = f"Cannot restrict access to {error.filename}, which holds configurations ({error.strerror})"
            raise JournalError(f"{message}. Copy the run to a folder you own.") from error

    @property
    def run_id(self) -> str:
        """Id of the run."""
        return self.path.name

    def target_folder(self, target: Target | TargetKey) -> Path:
        """Create the private folder of a target if it is missing, and return it."""
        folder = self.path / target.key
        refuse_links(folder, below=self.path)
        make_private_folder(folder)
        return folder

    def keep(self, target: Target, artifacts: Mapping[str, bytes]) -> None:
        """Write the files that a job made on another machine; logs are continued.

        Raises:
            JournalError: The folder cannot be written, or a name is not that of a file in it.
        """
        if any(not _PLAIN_NAME.fullmatch(name) for name in artifacts):
            raise JournalError(f"The worker of {target.key} returned a file with a path for a name; nothing was kept.")
        for name, content in artifacts.items():
            how = os.O_APPEND if name.endswith(".log") else os.O_TRUNC
            with self.writing():
                path = self.target_folder(target) / name
                with os.fdopen(open_private(path, os.O_WRONLY | how), "wb") as file:
                    file.write(content)

    # --- Writing -----------------------------------------------------------------------------------------------

    def begin(self, beginning: Beginning) -> None:
        """Record that a command begins to work on this run."""
        self._record(
            "begin", host=socket.gethostname(), pid=os.getpid(), **beginning.model_dump(mode="json", by_alias=True)
        )

    def started(self, target: Target, step: Step, attempt: int) -> None:
        """Record that a step of a target starts."""
        self._record("started", target=target.key, step=step.value, attempt=attempt)

    def finished(self, result: TargetResult) -> None:
        """Record the result of a target; a change set is written once and then referred to by its fingerprint."""
        change_set = result.change_set
        if change_set is not None and change_set.fingerprint not in self._written:
            content = journal.CHANGE_SET.dump_python(change_set, mode="json")
            self._record("change_set", fingerprint=change_set.fingerprint, change_set=content)
            self._written.add(change_set.fingerprint)
        entry = journal.RESULT.dump_python(self._with_log(result), mode="json", by_alias=True)
        self._record("finished", target=result.key, result=entry)

    def end(self, exit_code: int) -> None:
        """Record the end of the command."""
        self._record("end", exit_code=int(exit_code))

    def _record(self, event: str, **details: JsonValue) -> None:
        """Append an event to the journal; it is on the disk when this returns.

        Raises:
            JournalError: The journal cannot be written.
        """
        with self.writing():
            journal.append(self.path / JOURNAL, event, details)

    def write_summary(self) -> Summary:
        """Write summary.json from the journal, and return the summary.

        Raises:
            JournalError: The file cannot be written.
        """
        summary = self.summarize(self.read())
        with self.writing():
            write_private(self.path / SUMMARY, summary.to_json())
        return summary

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Turn an error of the file system into one sentence.

        Raises:
            JournalError: The folder cannot be written.
        """
        try:
            yield
        except OSError as error:
            rest = "nothing was started."
            if self.begun:
                rest = "no further target was started, and no result is lost. Free disk space there, then resume."
            message = f"{error.filename or self.path} cannot be written ({error.strerror or error}); {rest}"
            problem = JournalError(message)
            if self.begun:
                problem.next_command = ("resume", str(self.path))
            raise problem from error

    # --- Reading -----------------------------------------------------------------------------------------------

    @property
    def begun(self) -> bool:
        """Whether there is a journal that is not empty."""
        try:
            return (self.path / JOURNAL).stat().st_size > 0
        except (FileNotFoundError, NotADirectoryError):
            return False

    def refuse_if_absent(self) -> None:
        """Refuse a folder without a run.

        Raises:
            InputError: There is no journal.
        """
        if not self.begun:
            message = "There is no run here; run ids are the names of the folders in --runs."
            raise InputError(message, str(self.path))

    def read(self) -> RunState:
        """Return the state of the run, finished or not.

        Raises:
            InputError: There is no such run, or its journal is damaged.
        """
        path = self.path / JOURNAL
        try:
            self.refuse_if_absent()
            return journal.load(path)
        except OSError as error:
            raise InputError(f"The journal cannot be read: {error.strerror or error}.", str(path)) from error

    def summarize(self, state: RunState, results: Sequence[TargetResult] | None = None) -> Summary:
        """Return the summary of the run, or of some of its results.

        Args:
            state: State of the run.
            results: The results to show; None for all.
        """
        beginning = state.beginning
        return Summary.build(
            run_id=self.run_id,
            command=beginning.command,
            started_at=state.started_at,
            finished_at=state.finished_at,
            exit_code=state.exit_code,
            organization_id=beginning.organization_id,
            caller=beginning.caller,
            digest=state.digest,
            targets=[self._with_log(result) for result in (state.results if results is None else results)],
            change_sets=state.change_sets,
            skipped=beginning.skipped,
            exceptions=beginning.exceptions,
            warnings=tuple(state.warnings),
            shard=beginning.shard,
            missing_shards=beginning.missing_shards,
        )

    def _with_log(self, result: TargetResult) -> TargetResult:
        """Name terraform's output for a target, if there is any."""
        log = f"{result.key}/terraform.log"
        return replace(result, log=log if (self.path / log).exists() else None)

    def _tighten(self, path: Path) -> None:
        found = path.lstat()
        if problem := self._problem(path, found):
            message = f"{problem}. Copy what you trust of the run to a folder of your own, without links."
            raise InputError(message, str(path))
        if not stat.S_ISLNK(found.st_mode) and found.st_mode & 0o077:
            path.chmod(stat.S_IMODE(found.st_mode) & 0o700)

    def _problem(self, path: Path, found: os.stat_result) -> str:
        """Return why a command must not work on a file or folder of the run, or an empty text."""
        if found.st_uid not in {os.geteuid(), _ROOT_USER}:
            return "This belongs to another user"
        if stat.S_ISLNK(found.st_mode):
            name = path.relative_to(self.path).as_posix()
            return "" if any(form.fullmatch(name) for form in _LINKS) else "This is a link, which would be followed"
        if not stat.S_ISREG(found.st_mode) and not stat.S_ISDIR(found.st_mode):
            return "This is neither a file nor a folder"
        return ""


def find_run(run: str, runs: Path) -> RunFolder:
    """Return the folder of a run by its id or its path.

    Raises:
        InputError: It is a link.
    """
    try:
        path = Path(run) if Path(run).is_dir() else runs / run
        linked = path.is_symlink()
    except OSError as error:
        raise InputError(f"This cannot be the name of a run: {error.strerror}.", "RUN") from error
    if linked:
        raise InputError(f"This is a link, which is not followed; name the folder itself, {path.resolve()}.", str(path))
    return RunFolder(path.resolve())
