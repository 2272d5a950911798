"""Commands in messages, ready to be pasted into the shell from which this program was started."""

import os
import shlex
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

PROGRAM = "session-manager-fleet"
CONFIG = Path("organization.yaml")
CONFIG_VARIABLE = "SESSION_MANAGER_CONFIG"
RUNS = Path("runs")
_NAMED_ACCOUNTS = 5


@dataclass
class _Call:
    """How this process was called: the words that start the program, and the options that name its files."""

    program: tuple[str, ...] = (PROGRAM,)
    files: tuple[str, ...] = ()


_call = _Call()


def remember_program(original: Sequence[str], arguments: Sequence[str]) -> None:
    """Remember how the program was started.

    Args:
        original: `sys.orig_argv`, with the interpreter and its options.
        arguments: `sys.argv`.
    """
    program = Path(arguments[0])
    if program.suffix != ".py" and program.is_file() and os.access(program, os.X_OK):
        on_path = shutil.which(program.name)
        _call.program = (program.name if on_path and program.samefile(on_path) else arguments[0],)
    else:
        _call.program = tuple(original[: len(original) - len(arguments[1:])])


def remember_files(config: Path, read_from: Path | None) -> None:
    """Remember the files of this call, so that the next command reads the same ones."""
    default = config == CONFIG and CONFIG_VARIABLE not in os.environ
    options = [] if default else ["-c", str(config)]
    if read_from is not None:
        options += ["--read-from", str(read_from)]
    _call.files = tuple(options)


def command(*words: str) -> str:
    """Return the line to type for a command, as `python scripts/rollout.py -c my.yaml apply RUN`."""
    return shlex.join((*_call.program, *_call.files, *words))


def selection_of(accounts: Iterable[str]) -> list[str]:
    """Return the options that select accounts by their ids; all of them if there are many."""
    distinct = dict.fromkeys(accounts)
    if len(distinct) > _NAMED_ACCOUNTS:
        return ["--all"]
    return [word for account in distinct for word in ("--account", account)]


def run_command(name: str, run: Path, *words: str) -> str:
    """Return the line to type for a command on a run.

    Args:
        name: The command, such as `resume`.
        run: Folder of the run.
        words: Further words of the command.
    """
    return command(name, reference_of(run), *words)


def reference_of(run: Path) -> str:
    """Return a run as commands take it: its id in the default folder of runs, else its path."""
    return run.name if run.resolve().parent == RUNS.resolve() else os.path.relpath(run)
