"""The command line: arguments in, exit code out."""

import io
import os
import sys
import tempfile
import traceback
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from types import FrameType
from typing import Annotated, NoReturn

import typer
from rich.console import Console
from rich.markup import escape
from typer.exceptions import TyperException

from session_manager_fleet.cli import hints
from session_manager_fleet.cli.commands.apply import apply
from session_manager_fleet.cli.commands.demo import demo
from session_manager_fleet.cli.commands.destroy import destroy
from session_manager_fleet.cli.commands.discover import discover
from session_manager_fleet.cli.commands.doctor import doctor
from session_manager_fleet.cli.commands.exceptions import exceptions
from session_manager_fleet.cli.commands.explain import explain
from session_manager_fleet.cli.commands.init import init
from session_manager_fleet.cli.commands.merge import merge
from session_manager_fleet.cli.commands.plan import plan
from session_manager_fleet.cli.commands.render import render
from session_manager_fleet.cli.commands.report import report
from session_manager_fleet.cli.commands.resume import resume
from session_manager_fleet.cli.commands.sandbox import sandbox
from session_manager_fleet.cli.commands.schema import schema
from session_manager_fleet.cli.commands.sessions import sessions
from session_manager_fleet.cli.commands.states import states
from session_manager_fleet.cli.commands.targets import targets
from session_manager_fleet.cli.commands.unlock import unlock
from session_manager_fleet.cli.commands.verify import verify
from session_manager_fleet.cli.help_texts import Command, Group
from session_manager_fleet.cli.options import Source, TerraformBinaryOption, store_files, with_files, with_options
from session_manager_fleet.errors import ExitCode, FleetError, InputError
from session_manager_fleet.reports import PROGRAM, terminal, visible_lines
from session_manager_fleet.run import signals

SCRIPT = "rollout.py"
# A line of an error may quote a value of any length.
_LONGEST_LINE = 2_000


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"{PROGRAM} {version(PROGRAM)}")
        raise typer.Exit


app = typer.Typer(
    name=SCRIPT,
    cls=Group,
    help="Secure AWS Systems Manager Session Manager in every account and region of an AWS Organization.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
)


@app.callback()
def common(
    context: typer.Context,
    config: Annotated[
        Path,
        typer.Option(
            "-c",
            "--config",
            metavar="FILE",
            envvar=hints.CONFIG_VARIABLE,
            help="File with the organization and its settings.",
        ),
    ] = hints.CONFIG,
    read_from: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Read the accounts from this file, written by `discover --output`."),
    ] = None,
    terraform_binary: TerraformBinaryOption = None,
    _version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> typer.Context:
    """Store the options that all commands share."""
    return store_files(context, Source(config, read_from, terraform_binary=terraform_binary))


for command in (
    init,
    doctor,
    discover,
    targets,
    explain,
    exceptions,
    schema,
    render,
    plan,
    apply,
    resume,
    destroy,
    merge,
    report,
    verify,
    sessions,
    states,
    unlock,
    demo,
    sandbox,
):
    app.command(cls=Command)(with_files(command))

# Locations of errors in arguments without an option.
_ARGUMENTS = {"RUN", "DIR", "STATE"}
# Locations of errors in what selects targets.
_SELECTION = {"--account", "--ou", "--region", "--exclude", "--wave", "ACCOUNT", "REGION"}
_NAMES = {command.callback.__name__ for command in app.registered_commands if command.callback}


def _raise_interrupt(_number: int, _frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt


def _execute(program: typer.Typer, arguments: list[str], name: str) -> int:
    try:
        code = program(args=arguments, prog_name=name, standalone_mode=False) or ExitCode.DONE
    except (BrokenPipeError, SystemExit):
        # The reader closed the pipe, as `| head` does; Typer raises SystemExit only then.
        terminal.discard_output(sys.stdout)
        return ExitCode.DONE
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        # What the command found does not depend on who reads all of it.
        terminal.discard_output(sys.stdout)
    if code == ExitCode.INTERRUPTED and not isinstance(code, ExitCode):
        # Typer returns a plain 130 for Ctrl-C. A command that handled Ctrl-C itself returns an ExitCode.
        raise KeyboardInterrupt
    return int(code)


def run(arguments: list[str], program: typer.Typer = app, name: str = SCRIPT) -> int:
    """Run a command and return its exit code; expected errors are printed as messages, not as tracebacks."""
    errors = terminal.make_console(stderr=True)
    hints.remember_call(arguments)
    try:
        with signals.handled_signals(_raise_interrupt):
            return _execute(program, arguments, name)
    except FleetError as error:
        errors.print(f"[bold red]Error:[/bold red] {_shown(error, longest=_LONGEST_LINE)}", soft_wrap=True)
        for diagnostic in getattr(error, "diagnostics", ()):
            errors.print(f"  {_shown(diagnostic)}", soft_wrap=True)
        _print_next(errors, error)
        return error.exit_code
    except TyperException as error:
        # Empty when Typer has printed the help for a call without arguments.
        if message := error.format_message():
            errors.print(f"[bold red]Error:[/bold red] {_shown(message, longest=_LONGEST_LINE)}", soft_wrap=True)
            hints.print_next(errors, "for the options", hints.help_of(_NAMES))
        return ExitCode.INVALID_INPUT
    except (KeyboardInterrupt, typer.Abort):
        errors.print("Interrupted.")
        hints.print_next(errors, "to start again", hints.again())
        return ExitCode.INTERRUPTED
    except OSError as error:
        errors.print(f"[bold red]Error:[/bold red] {_shown(error, longest=_LONGEST_LINE)}", soft_wrap=True)
        hints.print_next(errors, "once this is corrected", hints.again())
        return ExitCode.TARGET_FAILED
    except Exception:  # noqa: BLE001 - a bug must not look like a result
        handle, path = tempfile.mkstemp(prefix="rollout-crash-", suffix=".log")
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(traceback.format_exc())
        errors.print(f"[bold red]This is a bug.[/bold red] Please report it with {path}.", soft_wrap=True)
        return ExitCode.INTERNAL_ERROR


def _print_next(errors: Console, error: FleetError) -> None:
    """Print the command that follows an error: the one it names, the help of wrong options, or the same one again."""
    location = error.problems[0].location if isinstance(error, InputError) and error.problems else ""
    if error.next_command:
        hints.print_next(errors, "", hints.command(*error.next_command))
    elif error.next_options:
        hints.print_next(errors, "with the options that are missing", hints.again(*error.next_options))
    elif location in _SELECTION:
        hints.print_next(errors, "to see what can be selected", hints.command("targets"))
    elif location.startswith("--") or location in _ARGUMENTS:
        hints.print_next(errors, "for the options", hints.help_of(_NAMES))
    else:
        hints.print_next(errors, "once this is corrected", hints.again())


def _shown(text: object, longest: int = sys.maxsize) -> str:
    lines = visible_lines(str(text))
    return escape("\n".join(line if len(line) <= longest else f"{line[:longest]}…" for line in lines))


def run_alone(command: Callable[..., int], arguments: list[str], name: str) -> int:
    """Run a program that consists of one command, which also has the options that stand before commands elsewhere."""
    program = typer.Typer(
        add_completion=False,
        context_settings={"help_option_names": ["-h", "--help"]},
        pretty_exceptions_enable=False,
    )
    program.command(cls=Command)(with_options("context", common)(command))
    hints.remember_program(sys.orig_argv, sys.argv, SCRIPT)
    _accept_all_letters()
    return run(arguments, program, name)


def _accept_all_letters() -> None:
    """Escape characters that the encoding of standard output or error lacks: a name must not end a rollout."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def main() -> NoReturn:
    """Run the command line of this process."""
    _accept_all_letters()
    hints.remember_program(sys.orig_argv, sys.argv)
    sys.exit(run(sys.argv[1:], name=Path(sys.argv[0]).name))
