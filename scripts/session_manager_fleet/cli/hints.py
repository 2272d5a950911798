"""Commands in messages, ready to be pasted into the shell from which this program was started."""

import os
import shlex
import shutil
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.text import Text

from session_manager_fleet.reports import PROGRAM, Commands, visible

CONFIG = Path("organization.yaml")
CONFIG_VARIABLE = "SESSION_MANAGER_CONFIG"
RUNS = Path("runs")
_NAMED_ACCOUNTS = 5


@dataclass
class _Call:
    """How this process was called.

    Attributes:
        program: The words that start the program.
        started: The words that started this process, which may be a script for one command.
        arguments: The arguments.
        files: The options that name the files.
        selection: The options that select targets.
    """

    program: tuple[str, ...] = (PROGRAM,)
    started: tuple[str, ...] = (PROGRAM,)
    arguments: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    selection: tuple[str, ...] = ()


_call = _Call()


def remember_program(original: Sequence[str], arguments: Sequence[str], script: str = "") -> None:
    """Remember how the program was started.

    Args:
        original: `sys.orig_argv`, with the interpreter and its options.
        arguments: `sys.argv`.
        script: Name of the script with all commands, if the one that was started has only one.
    """
    program = Path(arguments[0])
    if program.suffix != ".py" and program.is_file() and os.access(program, os.X_OK):
        on_path = shutil.which(program.name)
        _call.started = (program.name if on_path and program.samefile(on_path) else arguments[0],)
    else:
        _call.started = tuple(original[: len(original) - len(arguments[1:])])
    *before, last = _call.started
    _call.program = (*before, str(Path(last).with_name(script))) if script else _call.started


def remember_call(arguments: Sequence[str]) -> None:
    """Remember the arguments of a call, which selects nothing yet and names no files."""
    _call.arguments, _call.files, _call.selection = tuple(arguments), (), ()


def remember_files(config: Path, read_from: Path | None, terraform_binary: str | None = None) -> None:
    """Remember the files of this call, so that the next command uses the same ones."""
    default = config == CONFIG and CONFIG_VARIABLE not in os.environ
    options = [] if default else ["-c", str(config)]
    if read_from is not None:
        options += ["--read-from", str(read_from)]
    if terraform_binary is not None:
        options += ["--terraform-binary", terraform_binary]
    _call.files = tuple(options)


def remember_selection(options: Iterable[str]) -> None:
    """Remember the options that select the targets of this call, so that the next command has the same ones."""
    _call.selection = tuple(options)


def command(*words: str) -> str:
    """Return the line to type for a command, as `python scripts/rollout.py -c my.yaml apply RUN`."""
    return shlex.join((*_call.program, *_call.files, *words))


def on_same_targets(*words: str) -> str:
    """Return the line to type for a command on the targets of this call; on all of them if it selects none."""
    return command(*words, *(_call.selection or ("--all",)))


def again(*options: str, without: str = "") -> str:
    """Return the line of this call once more, with further options and without one of them."""
    return shlex.join((*_call.started, *(word for word in _call.arguments if word != without), *options))


def help_of(commands: Collection[str]) -> str:
    """Return the line to type for the help of this call's command, one of these, or else of the program."""
    name = next((word for word in _call.arguments if word in commands), None)
    return shlex.join((*(_call.program if name else _call.started), *([name] if name else []), "-h"))


def selection_of(accounts: Iterable[str]) -> list[str]:
    """Return the options that select accounts by their ids; all of them if there are many or none."""
    distinct = dict.fromkeys(accounts)
    if not 0 < len(distinct) <= _NAMED_ACCOUNTS:
        return ["--all"]
    return [word for account in distinct for word in ("--account", account)]


def on_run(run: Path) -> Commands:
    """Return the lines to type for commands on a run.

    Args:
        run: Folder of the run.
    """
    return Commands((*_call.program, *_call.files), reference_of(run))


def reference_of(run: Path) -> str:
    """Return a run as commands take it: its id in the default folder of runs, else its path."""
    return run.name if run.resolve().parent == RUNS.resolve() else os.path.relpath(run)


def print_next(console: Console, purpose: str, line: str) -> None:
    """Print what comes next, as the last line of a command.

    Args:
        console: Where to print.
        purpose: What the line is for, as `to apply these plans`; may be empty.
        line: The line to type.
    """
    console.print(Text(f"Next{', ' * bool(purpose)}{purpose}: {visible(line)}"), soft_wrap=True)
