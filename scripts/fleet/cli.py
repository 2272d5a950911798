"""The command line: arguments in, exit code out."""

from __future__ import annotations

import functools
import inspect
import json
import os
import signal
import sys
import tempfile
import traceback
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Annotated, Any, NoReturn

import typer
from rich.console import Console
from rich.markup import escape
from typer.exceptions import TyperException

from fleet import operations
from fleet.context import Context
from fleet.errors import ExitCode, FleetError, InputError
from fleet.journal import RunFolder, Status, TargetResult
from fleet.matching import Matcher
from fleet.operations import Operation
from fleet.plans import group_equal
from fleet.reports import terminal
from fleet.targets import Selection, Shard, TargetList, parse_tag

app = typer.Typer(
    name="rollout.py",
    help="Secure AWS Systems Manager Session Manager in every account and region of an AWS Organization.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

AccountOption = Annotated[
    list[str] | None, typer.Option("--account", metavar="ID|NAME-GLOB", help="Accounts by id or name.")
]
OuOption = Annotated[
    list[str] | None,
    typer.Option("--ou", metavar="PATH-GLOB", help="Organizational units, as Workloads/Prod/** (with all below)."),
]
TagOption = Annotated[
    list[str] | None,
    typer.Option("--tag", metavar="KEY=VALUE", help="Tags that accounts must have, all of them."),
]
RegionOption = Annotated[list[str] | None, typer.Option("--region", metavar="REGION", help="Regions.")]
ExcludeOption = Annotated[
    list[str] | None,
    typer.Option(
        "--exclude",
        metavar="ID|NAME-GLOB|ou=GLOB|tag=K=V|region=R",
        help="What to leave out, whatever else is selected.",
    ),
]
WaveOption = Annotated[str | None, typer.Option("--wave", metavar="NAME", help="Only this wave.")]
ShardOption = Annotated[str | None, typer.Option("--shard", metavar="I/N", help="Part I of N of the accounts.")]
AllOption = Annotated[bool, typer.Option("--all", help="Everything; nothing is selected by default.")]
WorkersOption = Annotated[
    str, typer.Option("--workers", metavar="N|auto", help="Targets at once; auto measures this machine.")
]
RunsOption = Annotated[Path, typer.Option("--runs", metavar="FOLDER", help="Where the folders of runs are kept.")]
YesOption = Annotated[bool, typer.Option("--yes", help="Apply without asking.")]
LzaOption = Annotated[
    Path | None,
    typer.Option("--lza", metavar="FOLDER", help="Emulate the organization of this Landing Zone Accelerator folder."),
]

_RUNS = Path("runs")


@app.callback()
def common(
    context: typer.Context,
    config: Annotated[
        Path, typer.Option("-c", "--config", metavar="FILE", help="The organization and its settings.")
    ] = Path("organization.yaml"),
) -> None:
    """Hold what all commands share."""
    context.obj = config


def _selection(
    account: AccountOption = None,
    ou: OuOption = None,
    tag: TagOption = None,
    region: RegionOption = None,
    exclude: ExcludeOption = None,
    wave: WaveOption = None,
    shard: ShardOption = None,
    everything: AllOption = False,
) -> Selection:
    return Selection(
        include=Matcher(accounts=account or [], ous=ou or [], tags=_tags(tag or []), regions=region or []),
        exclude=exclude or [],
        wave=wave,
        shard=Shard.parse(shard) if shard else None,
        everything=everything,
    )


def _tags(texts: list[str]) -> dict[str, str]:
    tags: dict[str, str] = {}
    for text in texts:
        key, value = parse_tag(text)
        if tags.setdefault(key, value) != value:
            raise InputError(f'No account has two values of the tag "{key}".', "--tag")
    return tags


def _selecting(command: Callable[..., int]) -> Callable[..., int]:
    """Give a command the options of `_selection` in place of its parameter `selection`."""
    options = inspect.signature(_selection, eval_str=True).parameters
    own = inspect.signature(command, eval_str=True).parameters

    @functools.wraps(command)
    def with_options(**arguments: Any) -> int:  # noqa: ANN401 - whatever the command takes
        chosen = {name: arguments.pop(name) for name in options}
        return command(selection=_selection(**chosen), **arguments)

    merged = [*(parameter for name, parameter in own.items() if name != "selection"), *options.values()]
    keywords = [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in merged]
    with_options.__signature__ = inspect.Signature(keywords)  # type: ignore[attr-defined]
    with_options.__annotations__ = {parameter.name: parameter.annotation for parameter in keywords}
    return with_options


def _load(path: Path, selection: Selection, console: Console) -> tuple[Context, TargetList]:
    """Load the context and select targets.

    Raises:
        InputError: Nothing was selected explicitly, or the selection is empty.
    """
    uses_tags = bool(selection.include.tags) or any(text.startswith("tag=") for text in selection.exclude)
    context = Context.load(path, with_tags=uses_tags)
    targets = context.select(selection)
    if not selection.given:
        terminal.print_targets(console, targets.targets)
        count = len(targets.targets)
        raise InputError(f"Say which targets are meant, or --all for these {count}; nothing was done.")
    terminal.print_skipped(console, targets.skipped)
    if not targets.targets and selection.shard is None:
        raise InputError("The selection matches no target: accounts, regions and exclusions leave nothing over.")
    context.check_settings(targets)
    return context, targets


def _workers(text: str) -> int | None:
    if text == "auto":
        return None
    if not text.isdecimal() or int(text) < 1:
        raise InputError(f'"{text}" is neither a number of workers nor "auto".', "--workers")
    return int(text)


@app.command()
@_selecting
def targets(
    context: typer.Context,
    selection: Selection,
    output: Annotated[str, typer.Option("--format", metavar="table|json", help="How to print them.")] = "table",
) -> int:
    """List the targets, in the order of work."""
    if output not in {"table", "json"}:
        raise InputError(f'Unknown format "{output}"; use table or json.', "--format")
    console, errors = terminal.make_console(), terminal.make_console(stderr=True)
    _, selected = _load(context.obj, selection, errors)
    if output == "json":
        listed = [
            {
                "account_id": target.account.id,
                "account_name": target.account.name,
                "ou": target.account.ou,
                "tags": dict(target.account.tags),
                "region": target.region,
                "home": target.is_home,
                "wave": target.wave,
                "workspace": target.workspace,
            }
            for target in selected.targets
        ]
        skipped = [
            {"account_id": entry.account.id, "account_name": entry.account.name, "reason": entry.reason}
            for entry in selected.skipped
        ]
        sys.stdout.write(json.dumps({"targets": listed, "skipped": skipped}, indent=2) + "\n")
    else:
        terminal.print_targets(console, selected.targets)
        console.print(f"{len(selected.targets)} targets")
    return ExitCode.DONE


@app.command()
@_selecting
def render(
    context: typer.Context,
    selection: Selection,
    folder: Annotated[Path, typer.Option("--output", metavar="FOLDER", help="Where to write.")] = Path("accounts"),
    check: Annotated[bool, typer.Option("--check", help="Write nothing; show what differs, exit 2 if so.")] = False,
    prune: Annotated[bool, typer.Option("--prune", help="With --all: remove files of targets that are gone.")] = False,
) -> int:
    """Render tfvars for every target: FOLDER/<account>/<region>.tfvars."""
    console, errors = terminal.make_console(), terminal.make_console(stderr=True)
    if prune and not selection.whole:
        raise InputError("What is stale can be told only with --all, and nothing else.", "--prune")
    loaded, selected = _load(context.obj, selection, errors)
    files = operations.render(loaded, selected, folder, find_stale=selection.whole)
    differing = [file for file in files if file.differs]
    if check:
        for file in differing:
            sys.stdout.write(file.diff())
        console.print(f"{len(differing)} of {len(files)} files differ")
        return ExitCode.CHANGES_PENDING if differing else ExitCode.DONE
    operations.write_rendered(files, prune=prune)
    stale = [file.path for file in files if file.stale]
    for path in stale:
        console.print(f"{'Removed' if prune else 'Stale, remove with --prune'}: {escape(str(path))}")
    written = sum(file.differs and not file.stale for file in files)
    console.print(f"{len(files) - len(stale)} files in {escape(str(folder))}, {written} written")
    return ExitCode.DONE


@app.command()
@_selecting
def plan(
    context: typer.Context,
    selection: Selection,
    workers: WorkersOption = "auto",
    runs: RunsOption = _RUNS,
) -> int:
    """Plan every target and show equal change sets once; nothing is changed."""
    console = terminal.make_console()
    loaded, selected = _load(context.obj, selection, console)
    operations.refuse_expired_exceptions(loaded)
    operation = _prepare(loaded, selected, runs, workers, console)
    results = _plan_and_show(operation, selected, console)
    return _finish(operation, "plan", results, selected, console)


@app.command()
@_selecting
def apply(
    context: typer.Context,
    selection: Selection,
    run: Annotated[
        str | None,
        typer.Argument(metavar="RUN", help="Apply the plans of this run; without it, plan first and ask."),
    ] = None,
    workers: WorkersOption = "auto",
    runs: RunsOption = _RUNS,
    yes: YesOption = False,
) -> int:
    """Apply saved plans: those of a run, or of a plan that is made and shown first."""
    console = terminal.make_console()
    if run is not None:
        if selection.given or selection.exclude or selection.shard:
            raise InputError("The targets are those of the run; leave the selection away.", "RUN")
        return _apply_run(context.obj, run, runs, workers, console)
    loaded, selected = _load(context.obj, selection, console)
    operations.refuse_expired_exceptions(loaded)
    if not yes and not sys.stdin.isatty():
        raise InputError("Nobody is there to be asked: use --yes, or plan first and apply that run.", "--yes")
    operation = _prepare(loaded, selected, runs, workers, console)
    planned = _plan_and_show(operation, selected, console)
    pending = operations.with_changes(planned)
    if pending and not operation.stop.is_set() and (yes or typer.confirm(f"Apply to {len(pending)} targets?")):
        planned = _apply(operation, planned, console)
    return _finish(operation, "apply", planned, selected, console)


def _apply_run(config: Path, run: str, runs: Path, workers: str, console: Console) -> int:
    folder = Path(run) if Path(run).is_dir() else runs / run
    saved = RunFolder(folder).saved_targets()
    pending = [entry for entry in saved if entry.status is Status.CHANGES]
    if not pending:
        console.print("This run holds nothing to apply.")
        return ExitCode.DONE
    loaded = Context.load(config)
    operations.refuse_expired_exceptions(loaded)
    regions = [entry.target.region for entry in pending]
    observer = terminal.TerminalProgress(console)
    operation = Operation.prepare(loaded, RunFolder(folder.resolve()), regions, observer, _workers(workers))
    with operation.interruptible(console.print):
        results = operation.apply(saved)
    code = operations.exit_code(results, interrupted=operation.stop.is_set())
    summary = operation.run.amend_summary(command="apply", exit_code=code, results=results)
    return _show_results(operation, results, code, summary, console)


def _prepare(context: Context, selected: TargetList, runs: Path, workers: str, console: Console) -> Operation:
    run = RunFolder.create(runs.resolve())
    regions = [target.region for target in selected.targets]
    return Operation.prepare(context, run, regions, terminal.TerminalProgress(console), _workers(workers))


def _plan_and_show(operation: Operation, selected: TargetList, console: Console) -> list[TargetResult]:
    with operation.interruptible(console.print):
        results = operation.plan(selected)
    groups = group_equal((result.target, result.change_set) for result in results if result.change_set)
    terminal.print_change_groups(console, groups)
    return results


def _apply(operation: Operation, planned: list[TargetResult], console: Console) -> list[TargetResult]:
    with operation.interruptible(console.print):
        applied = operation.apply(planned)
    return operations.merge_results(planned, applied)


def _finish(
    operation: Operation, command: str, results: list[TargetResult], selected: TargetList, console: Console
) -> int:
    code = operations.exit_code(results, interrupted=operation.stop.is_set())
    summary = operation.run.write_summary(command=command, exit_code=code, results=results, skipped=selected.skipped)
    return _show_results(operation, results, code, summary, console)


def _show_results(
    operation: Operation, results: list[TargetResult], code: ExitCode, summary: Path, console: Console
) -> int:
    console.print()
    terminal.print_results(console, results)
    console.print(f"Run {operation.run.run_id}: {escape(os.path.relpath(summary))}")
    return code


@app.command()
def demo(
    lza: LzaOption = None,
    workers: WorkersOption = "auto",
    runs: RunsOption = _RUNS,
) -> int:
    """Show the whole job on an emulated organization on this machine; no AWS account is needed."""
    from fleet.sandbox.session import sandboxed  # noqa: PLC0415 - the emulator is an extra, and slow to import

    console = terminal.make_console()
    with sandboxed(lza, runs.resolve(), console.print) as sandbox:
        console.print(f"[bold]1. Discover[/bold] {escape(sandbox.organization.name)}")
        loaded, selected = _load(sandbox.config, Selection(everything=True), console)
        terminal.print_targets(console, selected.targets)
        console.print("\n[bold]2. Plan[/bold]")
        operation = _prepare(loaded, selected, runs, workers, console)
        results = _plan_and_show(operation, selected, console)
        if not operation.stop.is_set():
            console.print("\n[bold]3. Apply[/bold]")
            results = _apply(operation, results, console)
        code = _finish(operation, "demo", results, selected, console)
        if code != ExitCode.DONE:
            return code
        console.print("\n[bold]4. Plan again[/bold]")
        check = _prepare(loaded, selected, runs, workers, console)
        code = _finish(check, "plan", _plan_and_show(check, selected, console), selected, console)
        console.print("\n[bold]5. Read back[/bold]")
        live = operations.live_preferences(loaded, selected.targets)
        terminal.print_live(console, live)
        console.print("\n[bold]6. Remediate[/bold] the roles of instances that lack the policy")
        roles = operations.remediate_roles(loaded, selected.targets, sandbox.sandbox.wait_until_idle)
        terminal.print_remediations(console, roles)
        broken = any(isinstance(row, str) for _, row in live) or not all(role.compliant for role in roles)
        if code == ExitCode.CHANGES_PENDING or broken:
            console.print("[bold red]The organization is not as it was applied.[/bold red]")
            return ExitCode.TARGET_FAILED
        return code


@app.command()
def sandbox(lza: LzaOption = None, runs: RunsOption = _RUNS) -> int:
    """Keep an emulated organization running, and print the environment to use it with."""
    from fleet.sandbox.session import sandboxed  # noqa: PLC0415 - the emulator is an extra, and slow to import

    console = terminal.make_console()
    with sandboxed(lza, runs.resolve(), console.print) as running:
        sys.stdout.write(running.shell_environment())
        sys.stdout.flush()
        console.print(f"\nIn another terminal: [bold]source {escape(os.path.relpath(running.environment_file))}[/bold]")
        console.print(
            f"Then for example: python scripts/rollout.py -c {escape(os.path.relpath(running.config))} plan --all"
        )
        console.print("Ctrl-C stops the organization.")
        signal.pause()
    return ExitCode.DONE


def _raise_interrupt(_number: int, _frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt


def run(arguments: list[str]) -> int:
    """Run a command and return its exit code; every expected error has been told in words."""
    errors = terminal.make_console(stderr=True)
    try:
        with operations.handled_signals(_raise_interrupt):
            return int(app(args=arguments, prog_name="rollout.py", standalone_mode=False) or ExitCode.DONE)
    except FleetError as error:
        errors.print(f"[bold red]Error:[/bold red] {escape(str(error))}", soft_wrap=True)
        for diagnostic in getattr(error, "diagnostics", ()):
            errors.print(f"  {escape(diagnostic)}", soft_wrap=True)
        return error.exit_code
    except TyperException as error:
        errors.print(f"[bold red]Error:[/bold red] {escape(error.format_message())}", soft_wrap=True)
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


def main() -> NoReturn:
    """Run the command line of this process."""
    sys.exit(run(sys.argv[1:]))
