"""What the commands share: options, the selection of targets, and how both are read."""

from __future__ import annotations

import datetime
import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape

from session_manager_fleet.accounts import Matcher
from session_manager_fleet.errors import InputError
from session_manager_fleet.reports import terminal, visible
from session_manager_fleet.targets import Inventory, Selection, Shard, TargetList, parse_tag
from session_manager_fleet.targets import exceptions as register

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
        metavar="ID|NAME-GLOB|ou=GLOB|tag=K=V|region=R|role=ROLE",
        help="What to leave out, whatever else is selected.",
    ),
]
WaveOption = Annotated[str | None, typer.Option("--wave", metavar="NAME", help="Only this wave.")]
ShardOption = Annotated[str | None, typer.Option("--shard", metavar="I/N", help="Part I of N of the accounts.")]
AllOption = Annotated[bool, typer.Option("--all", help="Everything; nothing is selected by default.")]
WorkersOption = Annotated[
    str, typer.Option("--workers", metavar="N|auto", help="Targets at once; auto measures this machine.")
]
RunsOption = Annotated[
    Path, typer.Option("--runs", metavar="FOLDER", file_okay=False, help="Where the folders of runs are kept.")
]
YesOption = Annotated[bool, typer.Option("--yes", help="Apply without asking.")]
LzaOption = Annotated[
    Path | None,
    typer.Option("--lza", metavar="FOLDER", help="Emulate the organization of this Landing Zone Accelerator folder."),
]

RUNS = Path("runs")


@dataclass(frozen=True)
class Source:
    """What the options before the command say about where everything is read from.

    Attributes:
        config: organization.yaml.
        read_from: A saved discovery to use in place of the source of the accounts.
    """

    config: Path
    read_from: Path | None = None


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


def giving(name: str, build: Callable[..., object]) -> Callable[[Callable[..., int]], Callable[..., int]]:
    """Give commands the options of a function, and what it makes of them as one of their parameters."""
    options = inspect.signature(build, eval_str=True).parameters

    def decorate(command: Callable[..., int]) -> Callable[..., int]:
        own = inspect.signature(command, eval_str=True).parameters

        @functools.wraps(command)
        def with_options(**arguments: Any) -> int:  # noqa: ANN401 - whatever the command takes
            chosen = {option: arguments.pop(option) for option in options}
            return command(**{name: build(**chosen)}, **arguments)

        merged = [*(parameter for parameter in own.values() if parameter.name != name), *options.values()]
        keywords = [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in merged]
        with_options.__signature__ = inspect.Signature(keywords)  # type: ignore[attr-defined]
        with_options.__annotations__ = {parameter.name: parameter.annotation for parameter in keywords}
        return with_options

    return decorate


selecting = giving("selection", _selection)


def today() -> datetime.date:
    """Return the day by which exceptions expire: the command line's only look at the calendar."""
    return datetime.datetime.now(datetime.UTC).date()


def load_context(source: Source, *, with_tags: bool = False, refuse_expired: bool = False) -> Inventory:
    """Load the context, and warn on standard error of what is allowed, but worth knowing.

    Args:
        source: Where from.
        with_tags: Ask for account tags even if the settings do not need them.
        refuse_expired: Go no further with an exception whose last day is over, instead of warning of it.

    Raises:
        InputError: The settings or the source of the accounts are invalid, or an exception has expired.
        AccessError: The Organizations API could not be asked.
    """
    context = Inventory.load(source.config, with_tags=with_tags, read_from=source.read_from)
    if refuse_expired:
        register.refuse_expired(context.settings, today())
    errors = terminal.make_console(stderr=True)
    for warning in warnings_of(context):
        errors.print(f"[yellow]Warning:[/yellow] {escape(visible(warning))}", soft_wrap=True)
    return context


def warnings_of(context: Inventory) -> list[str]:
    """Return what the source of the accounts, the settings and the exception register say that is worth knowing."""
    settings = context.settings
    problems = settings.warnings(context.organization, context.home_region, context.regions)
    return [*context.organization.warnings, *map(str, [*problems, *register.soon_over(settings, today())])]


def load(
    source: Source,
    selection: Selection,
    console: Console,
    *,
    refuse_expired: bool = False,
    empty_when_whole: bool = False,
) -> tuple[Inventory, TargetList]:
    """Load the context and select targets.

    Args:
        source: Where from.
        selection: Which targets are meant.
        console: Where to tell which accounts are left out.
        refuse_expired: Go no further with an exception whose last day is over, instead of warning of it.
        empty_when_whole: Whether an organization without any target is something to work on.

    Raises:
        InputError: Nothing was selected explicitly, the selection is empty, or an exception has expired.
    """
    uses_tags = bool(selection.include.tags) or any(text.startswith("tag=") for text in selection.exclude)
    context = load_context(source, with_tags=uses_tags, refuse_expired=refuse_expired)
    targets = context.select(selection)
    if not selection.given:
        terminal.print_targets(console, targets.targets)
        count = len(targets.targets)
        raise InputError(f"Say which targets are meant, or --all for these {count}; nothing was done.")
    terminal.print_skipped(console, targets.skipped)
    if not targets.targets and selection.shard is None and not (empty_when_whole and selection.whole):
        raise InputError("The selection matches no target: accounts, regions and exclusions leave nothing over.")
    context.check_settings(targets)
    return context, targets


def parse_workers(text: str) -> int | None:
    """Return the number of workers, or None for as many as this machine can carry.

    Raises:
        InputError: The text is neither a number nor "auto".
    """
    if text == "auto":
        return None
    if not text.isdecimal() or int(text) < 1:
        raise InputError(f'"{text}" is neither a number of workers nor "auto".', "--workers")
    return int(text)
