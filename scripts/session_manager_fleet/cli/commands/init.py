"""`init`: write a first organization.yaml, and create the state bucket when asked."""

import json
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape

from session_manager_fleet.accounts import (
    Account,
    AwsDirectory,
    Organization,
    deployment_role,
    from_lza,
    from_organizations,
)
from session_manager_fleet.aws import assume_role, new_session, role_arn, translated_errors
from session_manager_fleet.cli import hints
from session_manager_fleet.cli.output import write_json
from session_manager_fleet.errors import AccessError, ExitCode, InputError
from session_manager_fleet.files import write_private
from session_manager_fleet.reports import counted, terminal
from session_manager_fleet.settings import CONTROL_TOWER_ROLE, ORGANIZATIONS_ROLE, Draft, log_archive_of, region_problem
from session_manager_fleet.terraform import StateBucket
from session_manager_fleet.verify import READ

_KEY_PREFIX = "session-manager"


def init(
    context: typer.Context,
    region: Annotated[
        list[str] | None,
        typer.Option(
            "--region",
            metavar="REGION",
            help="Regions to configure, the home region first; can be repeated; by default that of the credentials.",
        ),
    ] = None,
    lza: Annotated[
        Path | None,
        typer.Option("--lza", metavar="FOLDER", help="Read the accounts from this Landing Zone Accelerator folder."),
    ] = None,
    role: Annotated[
        str | None,
        typer.Option("--role", metavar="NAME", help="Role to assume in every account; by default one that works."),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", metavar="FILE", help="File to write; by default that of -c.")
    ] = None,
    state_bucket: Annotated[
        bool, typer.Option("--state-bucket", help="Also create the bucket of the states in the caller's account.")
    ] = False,
    policies: Annotated[
        Path | None,
        typer.Option(
            "--policies", metavar="FOLDER", help="Write the policies of the roles that plan, apply and read states."
        ),
    ] = None,
) -> int:
    """Write a first organization.yaml from what is there; existing files are never overwritten."""
    path = output or context.obj.config
    names = ("plan", "apply", "read-states", "read-role", "deployment-role")
    _refuse_existing([path, *((policies / f"{name}.json" for name in names) if policies else ())])
    console = terminal.make_console(stderr=state_bucket and policies is None)
    organization, regions, root_id = _discover(region or [], lza)
    role = role or (deployment_role(lza) if lza else _usable_role(organization, regions[0], console))
    bucket = StateBucket.of_caller(regions[0]) if state_bucket or policies else None
    if bucket is not None and state_bucket:
        created = bucket.create()
        console.print(f"State bucket {bucket.name}: {'created' if created else 'exists, left unchanged'}")
    relative = os.path.relpath(lza, path.parent) if lza else ""
    name = bucket.name if bucket else ""
    _write_new(path, Draft(organization, regions[0], regions, role, name, relative, root_id).text())
    console.print(f"{escape(str(path))}: {counted(len(organization.accounts), 'account')}, role {escape(role)}")
    if bucket is not None:
        _show_policies(bucket.role_policies(organization.id or "", role, _KEY_PREFIX, READ), policies, console)
    hints.remember_files(path, None)
    hints.print_next(console, "once you have read the file", hints.command("targets"))
    return ExitCode.DONE


def _refuse_existing(paths: list[Path]) -> None:
    for path in paths:
        if path.exists():
            raise InputError("The file exists and is not overwritten; use --output for another.", str(path))


def _discover(regions: list[str], lza: Path | None) -> tuple[Organization, list[str], str]:
    """Return the organization, the regions with the home region first, and the id of the root.

    Raises:
        InputError: The home region is not known, or a region does not exist.
        AccessError: The Organizations API cannot be used.
    """
    with translated_errors("use the AWS credentials"):
        session = new_session()
    home = regions[0] if regions else session.region_name
    read = from_lza(lza, AwsDirectory(home)) if lza else None
    if read is not None and not regions:
        home = read.home_region or home
        regions = [*([home] if home else []), *(region for region in read.regions if region != home)]
    if not home:
        raise InputError("The credentials name no region; name the home region.", "--region")
    regions = list(dict.fromkeys(regions or [home]))
    if problems := [problem for region in regions if (problem := region_problem(region))]:
        raise InputError(f"{problems[0]}.", "--region")
    with translated_errors("describe the organization"):
        client = session.client("organizations", region_name=home)
        root_id = client.list_roots()["Roots"][0]["Id"]
        organization_id = client.describe_organization()["Organization"]["Id"]
    if read is None:
        return from_organizations(session, home, with_tags=False), regions, root_id
    return replace(read, id=organization_id), regions, root_id


def _usable_role(organization: Organization, region: str, console: Console) -> str:
    """Return the first of the usual roles that can be assumed in a member account."""
    members = [account for account in organization.accounts if not account.skip_reason and not account.role]
    archive = log_archive_of(organization)
    account = archive or next(iter(members), None)
    candidates = (CONTROL_TOWER_ROLE, ORGANIZATIONS_ROLE)
    for name in candidates if account else ():
        if account and _can_assume(account, name, region):
            return name
    chosen = CONTROL_TOWER_ROLE if archive else ORGANIZATIONS_ROLE
    console.print(f"[yellow]Warning:[/yellow] Neither {' nor '.join(candidates)} can be assumed; {chosen} is written.")
    return chosen


def _can_assume(account: Account, name: str, region: str) -> bool:
    try:
        with translated_errors("use the AWS credentials"):
            session = new_session(region)
        arn = role_arn(account.id, name, region)
        assume_role(session, arn, region, sts_region=region, session_name="session-manager-init")
    except AccessError:
        return False
    return True


def _show_policies(policies: Mapping[str, dict[str, Any]], folder: Path | None, console: Console) -> None:
    if folder is None:
        write_json(policies)
        return
    for name, policy in policies.items():
        _write_new(folder / f"{name}.json", json.dumps(policy, indent=2) + "\n")
    console.print(f"Policies of the roles that plan, apply and read states: {escape(str(folder))}")


def _write_new(path: Path, text: str) -> None:
    """Write a file that must not exist, readable by its owner."""
    _refuse_existing([path])
    write_private(path, text)
