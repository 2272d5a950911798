"""The command line: arguments in, exit code out."""

from __future__ import annotations

import io
import os
import sys
import tempfile
import traceback
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Annotated, NoReturn

import typer
from rich.markup import escape
from typer.exceptions import TyperException

from session_manager_fleet.cli.commands import demo as emulated
from session_manager_fleet.cli.commands import describe as describing
from session_manager_fleet.cli.commands import list_and_render as listing
from session_manager_fleet.cli.commands import merge as merging
from session_manager_fleet.cli.commands import report as reporting
from session_manager_fleet.cli.commands import rollout as rolling
from session_manager_fleet.cli.commands import unlock as recovering
from session_manager_fleet.cli.commands import verify as verifying
from session_manager_fleet.cli.options import Source, giving
from session_manager_fleet.errors import ExitCode, FleetError
from session_manager_fleet.reports import terminal, visible_lines
from session_manager_fleet.run import signals

app = typer.Typer(
    name="rollout.py",
    help="Secure AWS Systems Manager Session Manager in every account and region of an AWS Organization.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


@app.callback()
def common(
    context: typer.Context,
    config: Annotated[
        Path, typer.Option("-c", "--config", metavar="FILE", help="The organization and its settings.")
    ] = Path("organization.yaml"),
    read_from: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Take the accounts from this file, which `discover --output` has written."),
    ] = None,
) -> typer.Context:
    """Hold what all commands share."""
    context.obj = Source(config, read_from)
    return context


for command in (
    listing.discover,
    listing.targets,
    describing.explain,
    describing.exceptions,
    describing.schema,
    listing.render,
    rolling.plan,
    rolling.apply,
    rolling.resume,
    rolling.destroy,
    merging.merge,
    reporting.report,
    verifying.verify,
    recovering.unlock,
    emulated.demo,
    emulated.sandbox,
):
    app.command()(command)


def _raise_interrupt(_number: int, _frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt


def _carry_out(program: typer.Typer, arguments: list[str], name: str) -> int:
    try:
        code = program(args=arguments, prog_name=name, standalone_mode=False) or ExitCode.DONE
        sys.stdout.flush()
    except (BrokenPipeError, SystemExit):
        # Whoever reads has enough, as `head` does. Typer exits by itself for this reason only.
        terminal.discard_output(sys.stdout)
        return ExitCode.DONE
    if code == ExitCode.INTERRUPTED and not isinstance(code, ExitCode):
        # That is what Typer makes of Ctrl-C. A command that ends so has said why, and returns an ExitCode.
        raise KeyboardInterrupt
    return int(code)


def run(arguments: list[str], program: typer.Typer = app, name: str = "rollout.py") -> int:
    """Run a command and return its exit code; every expected error has been told in words."""
    errors = terminal.make_console(stderr=True)
    try:
        with signals.handled_signals(_raise_interrupt):
            return _carry_out(program, arguments, name)
    except FleetError as error:
        errors.print(f"[bold red]Error:[/bold red] {_shown(error)}", soft_wrap=True)
        for diagnostic in getattr(error, "diagnostics", ()):
            errors.print(f"  {_shown(diagnostic)}", soft_wrap=True)
        return error.exit_code
    except TyperException as error:
        # Without arguments help was all that there is to say.
        if message := error.format_message():
            errors.print(f"[bold red]Error:[/bold red] {escape(message)}", soft_wrap=True)
        return ExitCode.INVALID_INPUT
    except (KeyboardInterrupt, typer.Abort):
        errors.print("Interrupted.")
        return ExitCode.INTERRUPTED
    except OSError as error:
        errors.print(f"[bold red]Error:[/bold red] {escape(str(error))}", soft_wrap=True)
        return ExitCode.TARGET_FAILED
    except Exception:  # noqa: BLE001 - the last resort: a bug must not look like a result
        handle, path = tempfile.mkstemp(prefix="rollout-crash-", suffix=".log")
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(traceback.format_exc())
        errors.print(f"[bold red]This is a bug.[/bold red] Please report it with {path}.", soft_wrap=True)
        return ExitCode.INTERNAL_ERROR


def _shown(text: object) -> str:
    return escape("\n".join(visible_lines(str(text))))


def run_alone(command: Callable[..., int], arguments: list[str], name: str) -> int:
    """Run a program that is one command; what stands before commands elsewhere is among its own options."""
    program = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    program.command()(giving("context", common)(command))
    _accept_all_letters()
    return run(arguments, program, name)


def _accept_all_letters() -> None:
    """Let standard output and errors spell out what their encoding lacks: a name must not end a rollout."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def main() -> NoReturn:
    """Run the command line of this process."""
    _accept_all_letters()
    sys.exit(run(sys.argv[1:]))
