"""Options that the commands share, and the selection of targets."""

import datetime
import functools
import inspect
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape

from session_manager_fleet.accounts import Matcher, ou_matches
from session_manager_fleet.aws import endpoint_overrides
from session_manager_fleet.cli import hints
from session_manager_fleet.errors import InputError
from session_manager_fleet.reports import counted, terminal, visible
from session_manager_fleet.targets import (
    Inventory,
    Selection,
    Shard,
    TargetList,
    exceptions as register,
    parse_tag,
    without_disabled_regions,
)
from session_manager_fleet.terraform import BINARY_VARIABLE

AccountOption = Annotated[
    list[str] | None,
    typer.Option("--account", metavar="ID|NAME-GLOB", help="Select accounts by id or name; can be repeated."),
]
OuOption = Annotated[
    list[str] | None,
    typer.Option(
        "--ou",
        metavar="PATH-GLOB",
        help="Select organizational units; Workloads/Prod/** includes nested ones; can be repeated.",
    ),
]
TagOption = Annotated[
    list[str] | None,
    typer.Option(
        "--tag", metavar="KEY=VALUE", help="Select accounts with this tag; can be repeated, then all must match."
    ),
]
RegionOption = Annotated[
    list[str] | None, typer.Option("--region", metavar="REGION", help="Select regions; can be repeated.")
]
ExcludeOption = Annotated[
    list[str] | None,
    typer.Option(
        "--exclude",
        metavar="ID|NAME-GLOB|ACCOUNT/REGION|ou=GLOB|tag=K=V|region=R|role=ROLE",
        help="Exclude accounts, regions or single targets from the selection; can be repeated.",
    ),
]
WaveOption = Annotated[str | None, typer.Option("--wave", metavar="NAME", help="Select one wave.")]
ShardOption = Annotated[str | None, typer.Option("--shard", metavar="I/N", help="Select part I of N of the accounts.")]
AllOption = Annotated[bool, typer.Option("--all", help="Select all targets.")]
WorkersOption = Annotated[
    str, typer.Option("--workers", metavar="N|auto", help="Number of parallel targets; auto adapts to this machine.")
]
RunsOption = Annotated[
    Path, typer.Option("--runs", metavar="FOLDER", file_okay=False, help="Folder of the run folders.")
]
YesOption = Annotated[bool, typer.Option("--yes", help="Apply without confirmation.")]
ConfigOption = Annotated[
    Path | None,
    typer.Option("-c", "--config", metavar="FILE", help="File with the organization; also before the command."),
]
ReadFromOption = Annotated[
    Path | None,
    typer.Option("--read-from", metavar="FILE", help="Read the accounts from this file; also before the command."),
]
TerraformBinaryOption = Annotated[
    str | None,
    typer.Option(
        "--terraform-binary",
        metavar="FILE",
        help=f"Program to run, of Terraform or OpenTofu; also before the command. [env var: {BINARY_VARIABLE}]",
    ),
]
LzaOption = Annotated[
    Path | None,
    typer.Option("--lza", metavar="FOLDER", help="Emulate the organization of this Landing Zone Accelerator folder."),
]

RUNS = hints.RUNS
_UNITS = {"m": "minutes", "h": "hours", "d": "days"}
_LONGEST_SHOWN = 40


@dataclass(frozen=True)
class Source:
    """Files to read, from the options before or after the command.

    Attributes:
        config: organization.yaml.
        read_from: Saved accounts to use instead of the configured source.
        emulated: The command itself set the endpoints, of the emulated organization.
        terraform_binary: Program to run instead of the `terraform` of the PATH.
    """

    config: Path
    read_from: Path | None = None
    emulated: bool = False
    terraform_binary: str | None = None


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
    given = {"--account": account, "--ou": ou, "--tag": tag, "--region": region, "--exclude": exclude}
    given |= {"--wave": [wave] if wave else [], "--shard": [shard] if shard else []}
    words = [word for option, values in given.items() for value in values or [] for word in (option, value)]
    hints.remember_selection([*words, *(["--all"] if everything else [])])
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
            raise InputError(f'The tag "{key}" is given with two values; an account has only one.', "--tag")
    return tags


def with_options(name: str, build: Callable[..., object]) -> Callable[[Callable[..., int]], Callable[..., int]]:
    """Return a decorator that adds the options of a function to a command.

    Args:
        name: Parameter of the command that receives the function's result, if it has one of this name.
        build: The function; its parameters become options.
    """
    options = inspect.signature(build, eval_str=True).parameters

    def decorate(command: Callable[..., int]) -> Callable[..., int]:
        own = inspect.signature(command, eval_str=True).parameters

        @functools.wraps(command)
        def decorated(**arguments: Any) -> int:  # noqa: ANN401 - the arguments of any command
            chosen = {option: arguments.pop(option) for option in options}
            built = {name: build(**chosen)}
            return command(**(built if name in own else {}), **arguments)

        merged = [*(parameter for parameter in own.values() if parameter.name != name), *options.values()]
        keywords = [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in merged]
        decorated.__signature__ = inspect.Signature(keywords)  # type: ignore[attr-defined]
        decorated.__annotations__ = {parameter.name: parameter.annotation for parameter in keywords}
        return decorated

    return decorate


selecting = with_options("selection", _selection)


def _files(
    context: typer.Context,
    config: ConfigOption = None,
    read_from: ReadFromOption = None,
    terraform_binary: TerraformBinaryOption = None,
) -> typer.Context:
    """Store the files named after a command, instead of those named before it."""
    source: Source = context.obj
    return store_files(
        context,
        Source(
            config or source.config,
            read_from or source.read_from,
            terraform_binary=terraform_binary or source.terraform_binary,
        ),
    )


def store_files(context: typer.Context, source: Source) -> typer.Context:
    """Store the files of a call, for its command and for the commands that it advises."""
    if source.terraform_binary:
        os.environ[BINARY_VARIABLE] = source.terraform_binary
    hints.remember_files(source.config, source.read_from, source.terraform_binary)
    context.obj = source
    return context


with_files = with_options("context", _files)


def parse_age(text: str, option: str) -> datetime.timedelta:
    """Return an age written as `90m`, `12h` or `7d`.

    Raises:
        InputError: The text has another form.
    """
    match = re.fullmatch(r"([1-9][0-9]{0,5})([mhd])", text)
    if match is None:
        raise InputError(f'"{text}" is not an age; use for example 90m, 12h or 7d.', option)
    return datetime.timedelta(**{_UNITS[match[2]]: int(match[1])})


def today() -> datetime.date:
    """Return the date that decides whether exceptions have expired."""
    return datetime.datetime.now(datetime.UTC).date()


def load_inventory(source: Source, *, with_tags: bool = False, refuse_expired: bool = False) -> Inventory:
    """Load the inventory, and print warnings to standard error.

    Args:
        source: Files to read.
        with_tags: Read account tags even if the settings do not need them.
        refuse_expired: Refuse expired exceptions instead of warning.

    Raises:
        InputError: The settings or the source of the accounts are invalid, or an exception has expired.
        AccessError: The Organizations API is not accessible.
    """
    errors = terminal.make_console(stderr=True)
    if not source.emulated and (places := endpoint_overrides(os.environ)):
        note = f"AWS is called at {', '.join(places)} instead of its own endpoints, with your credentials."
        errors.print(f"[yellow]Warning:[/yellow] {escape(visible(note))}", soft_wrap=True)
    try:
        inventory = Inventory.load(source.config, with_tags=with_tags, read_from=source.read_from)
    except InputError as error:
        if not source.config.exists():
            error.next_command = ("init",)
        raise
    if refuse_expired:
        register.refuse_expired(inventory.settings, today())
    for warning in warnings_of(inventory):
        errors.print(f"[yellow]Warning:[/yellow] {escape(visible(warning))}", soft_wrap=True)
    return inventory


def warnings_of(inventory: Inventory) -> list[str]:
    """Return the warnings of the account source, the settings and the exception register."""
    settings = inventory.settings
    problems = settings.warnings(inventory.organization, inventory.home_region, inventory.regions)
    return [*inventory.organization.warnings, *map(str, [*problems, *register.soon_over(settings, today())])]


def load(
    source: Source,
    selection: Selection,
    console: Console,
    *,
    refuse_expired: bool = False,
    empty_when_whole: bool = False,
    ask_regions: bool = False,
) -> tuple[Inventory, TargetList]:
    """Load the inventory and select targets.

    Args:
        source: Files to read.
        selection: Targets to select.
        console: Where to print skipped accounts.
        refuse_expired: Refuse expired exceptions instead of warning.
        empty_when_whole: Accept --all for an organization without targets.
        ask_regions: Skip opt-in regions that an account has not enabled, as the account itself says.

    Raises:
        InputError: No selection was given, the selection is empty, or an exception has expired.
    """
    inventory = load_inventory(source, with_tags=selection.uses_tags, refuse_expired=refuse_expired)
    targets = inventory.select(selection)
    if not selection.given:
        terminal.print_targets(console, targets.targets)
        these = counted(len(targets.targets), "target")
        message = f"No targets selected. Use --account, --ou, … or --all (these {these})."
        raise InputError(message, next_options=["--all"])
    if ask_regions:
        targets = without_disabled_regions(inventory, targets)
    terminal.print_skipped(console, targets.skipped)
    if not targets.targets and selection.shard is None and not (empty_when_whole and selection.whole):
        message = "No target matches the selection; check --account, --ou, --tag, --region and --exclude."
        raise InputError(message + _units_below(inventory, selection), next_command=["targets"])
    inventory.check_settings(targets)
    return inventory, targets


def _units_below(inventory: Inventory, selection: Selection) -> str:
    """Return a sentence about a selected unit whose accounts are all in units below it, or an empty text."""
    for unit in selection.include.ous:
        below = f"{unit.rstrip('/')}/**"
        if any(ou_matches(below, account.ou) for account in inventory.organization.accounts):
            return f' --ou "{unit}" selects only accounts directly in it; use --ou "{below}" for all below it, too.'
    return ""


def parse_workers(text: str) -> int | None:
    """Return the number of workers, or None for as many as this machine supports.

    Raises:
        InputError: The text is neither a number nor "auto".
    """
    if text == "auto":
        return None
    if not re.fullmatch(r"0*[1-9][0-9]{0,5}", text):
        raise InputError(f'"{text[:_LONGEST_SHOWN]}" is neither a number of workers nor "auto".', "--workers")
    return int(text)
