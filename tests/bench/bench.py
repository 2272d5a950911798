#!/usr/bin/env python3
"""Measure what the design rests on: `make bench`.

Every figure is printed beside a baseline of the same run, since machines differ; processor seconds are steadier than
wall seconds. The emulated organization is the only AWS here.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psutil
import pytest
import scheduling
from moto import mock_aws
from operations import prepared, unchanged
from organization import bench_organization
from plan_parts import Probe, children_cpu, least_of, own_cpu
from rich.console import Console
from rich.table import Table
from verifying import bench_verifying

from session_manager_fleet.accounts.matching import Matcher
from session_manager_fleet.accounts.model import Account, Organization
from session_manager_fleet.demo.session import sandboxed
from session_manager_fleet.reports.terminal import make_console
from session_manager_fleet.run.executors.capacity import available_cores
from session_manager_fleet.run.folder import RunFolder
from session_manager_fleet.run.saved_plan import VARIABLES
from session_manager_fleet.settings import Settings, load_settings
from session_manager_fleet.targets import model
from session_manager_fleet.targets.inventory import Inventory
from session_manager_fleet.targets.model import Selection, TargetList, select_targets
from session_manager_fleet.targets.tfvars import TfvarsRenderer
from session_manager_fleet.terraform import root_module
from session_manager_fleet.terraform.backend import StateBackend
from session_manager_fleet.terraform.installation import child_environment, find_terraform
from session_preferences.aws import Budget, boto_clients, caller
from session_preferences.reconcile import reconcile
from session_preferences.request import parse_event
from tools import lambda_package

_ROUNDS = 5
_ACCOUNTS = 5000
_EXAMPLE = Path(__file__).resolve().parents[1] / "e2e" / "organization.yaml"


def naive_plan(context: Inventory, selected: TargetList, run: RunFolder, folder: Path) -> None:
    """Plan the way a shell loop does: init, workspace select, plan and show for every target."""
    binary = find_terraform()
    states = StateBackend.find(context.settings.organization, context.home_region)
    for number, target in enumerate(selected.targets):
        data = folder / str(number)
        environment = {**child_environment(os.environ, folder), "TF_DATA_DIR": str(data)}
        backend = states.configuration(target.region)
        plan = str(folder / f"{number}.tfplan")
        for arguments in (
            ["init", "-no-color", *(f"-backend-config={key}={value}" for key, value in backend.items())],
            ["workspace", "select", target.workspace],
            ["plan", "-no-color", f"-var-file={run.target_folder(target) / VARIABLES}", f"-out={plan}"],
            ["show", "-json", plan],
        ):
            _run([binary, *arguments], environment)


def _run(command: list[str], environment: Mapping[str, str], folder: Path = root_module.ROOT_MODULE.path) -> None:
    subprocess.run(command, cwd=folder, env=dict(environment), stdout=subprocess.DEVNULL, check=True)


def bench_plans(console: Console, table: Table) -> None:
    """Compare planning unchanged targets with a naive loop, and weigh the emulator."""
    with tempfile.TemporaryDirectory() as scratch, sandboxed(None, Path(scratch), console.print):
        servers = psutil.Process().children(recursive=True)
        context = Inventory.load(_EXAMPLE)
        selected = context.select(Selection(include=Matcher(accounts=["Webshop"])))
        runs = Path(scratch)
        with prepared(context, selected, runs, console) as operation:
            operation.finish(operation.apply(operation.plan(selected.targets)))
        # One at a time, as the baselines: two processes on the two threads of one core slow each other down.
        with prepared(context, selected, runs, console, workers=1) as check:
            count = len(selected.targets)
            naive = Path(scratch) / "naive"
            naive.mkdir()
            states = StateBackend.find(context.settings.organization, context.home_region)
            probe = Probe(Path(scratch) / "parts", states.configuration(context.home_region))
            plans, naives, ours, parts = [], [], [], []
            for _ in range(_ROUNDS):
                begun = time.process_time()
                plans.append(children_cpu(lambda: unchanged(check.plan(selected.targets))) / count)
                ours.append((time.process_time() - begun) / count)
                naives.append(children_cpu(lambda: naive_plan(context, selected, check.run, naive)) / count)
                parts.append(probe.measure())
        mine, baseline, least = min(plans), min(naives), least_of(parts)
        what = "no-change plan, CPU-s per target"
        table.add_row(f"{what} (baseline: naive loop)", f"{mine:.2f}", f"{baseline:.2f}", ratio(mine, baseline))
        table.add_row(
            f"{what} (baseline: one data source)", f"{mine:.2f}", f"{least.least:.2f}", ratio(mine, least.least)
        )
        for part, seconds in least.rows(mine, min(ours)):
            table.add_row(f"  {part}", f"{seconds:.2f}", f"{mine:.2f} (the plan)", ratio(seconds, mine))
        everything = context.select(model.EVERYTHING)
        with prepared(context, everything, runs, console) as whole:
            begun = time.perf_counter()
            processors = children_cpu(lambda: whole.plan(everything.targets))
            wall, ideal = time.perf_counter() - begun, processors / available_cores()
        count = len(everything.targets)
        table.add_row(
            f"wall of {count} plans, s (baseline: CPU-s ÷ cores)", f"{wall:.1f}", f"{ideal:.1f}", ratio(wall, ideal)
        )
        memory = sum(process.memory_info().rss for process in servers if process.is_running()) / 1024**2
        table.add_row("emulated organization, MB", f"{memory:.0f}", "600 (limit)", ratio(memory, 600))


def bench_function(table: Table) -> None:
    """Count the calls of a run that finds nothing to do, and weigh what a cold start loads."""
    with mock_aws(), pytest.MonkeyPatch.context() as environment:
        environment.setenv("AWS_ACCESS_KEY_ID", "testing")
        environment.setenv("AWS_SECRET_ACCESS_KEY", "testing")
        environment.delenv("AWS_ENDPOINT_URL", raising=False)
        clients = boto_clients("eu-west-1")
        clients("logs").create_log_group(logGroupName="logs")
        budget = Budget(60)
        calls: list[str] = []
        inner = caller(clients, budget)

        def counted(service: str, operation: str, **arguments: object) -> dict[str, Any]:
            calls.append(operation)
            return inner(service, operation, **arguments)

        event = {"preferences": {"cloudWatchLogGroupName": "logs"}, "tf": {"action": "create"}}
        reconcile(parse_event(event), counted, budget, "eu-west-1")
        calls.clear()
        reconcile(parse_event({"action": "reconcile"}), counted, budget, "eu-west-1")
    table.add_row("unchanged reconcile, API calls", str(len(calls)), "4 (limit)", ratio(len(calls), 4))

    importing = "import sys; sys.path.insert(0, sys.argv[1]); import session_preferences.handler"
    package = str(lambda_package.PACKAGE)
    mine = min(children_cpu(lambda: _python(importing, package)) for _ in range(_ROUNDS))
    bare = min(children_cpu(lambda: _python("pass", package)) for _ in range(_ROUNDS))
    boto = min(children_cpu(lambda: _python("import boto3", package)) for _ in range(_ROUNDS))
    table.add_row(
        "import of the handler, ms (baseline: of boto3)",
        f"{(mine - bare) * 1000:.0f}",
        f"{(boto - bare) * 1000:.0f}",
        ratio(mine - bare, boto - bare),
    )
    size = lambda_package.PACKAGE.stat().st_size
    table.add_row("Lambda package, bytes", str(size), "100000 (limit)", ratio(size, 100_000))


def _python(code: str, *arguments: str) -> None:
    subprocess.run([sys.executable, "-c", code, *arguments], check=True)


def bench_rendering(table: Table) -> None:
    """Compare selecting and rendering thousands of targets with rendering each on its own."""
    units = ("Workloads/Prod", "Workloads/NonProd", "Security")
    accounts = tuple(
        Account(
            f"{number:012d}",
            f"Account {number}",
            ou=units[number % 3],
            tags={"data": "restricted"} if number % 5 == 0 else {},
        )
        for number in range(1, _ACCOUNTS + 1)
    )
    organization = Organization("o-sandbox1234", accounts, (*units, "Workloads"))
    settings = Settings.of(load_settings(_EXAMPLE), organization, "eu-west-1")
    roles = settings.organization.roles
    regions = settings.organization.regions or []

    def everything() -> None:
        selected = select_targets(
            organization,
            home_region="eu-west-1",
            regions=regions,
            waves=settings.waves,
            selection=Selection(everything=True),
        )
        renderer = TfvarsRenderer("organization.yaml")
        for target in selected.targets:
            renderer.render(target, settings.effective(target.account, target.region), roles)

    def naively() -> None:
        selected = select_targets(
            organization,
            home_region="eu-west-1",
            regions=regions,
            waves=settings.waves,
            selection=Selection(include=Matcher(accounts=[account.id for account in accounts[:50]])),
        )
        for target in selected.targets:
            fresh = Settings.of(load_settings(_EXAMPLE), organization, "eu-west-1")
            TfvarsRenderer("organization.yaml").render(target, fresh.effective(target.account, target.region), roles)

    count = _ACCOUNTS * len(regions)
    mine = own_cpu(everything) / count * 1000
    baseline = own_cpu(naively) / (50 * len(regions)) * 1000
    table.add_row(
        f"select and render {count} targets, ms each", f"{mine:.2f}", f"{baseline:.2f}", ratio(mine, baseline)
    )


def bench_scheduling(table: Table) -> None:
    """Weigh the orchestration of thousands of targets, with a stand-in for terraform."""
    for what, value, comparison in scheduling.rows(scheduling.measured()):
        table.add_row(what, f"{value:.1f}", comparison, "")


def ratio(value: float, baseline: float) -> str:
    """Return how much of the baseline a value is."""
    return f"{value / baseline:.2f}"


def main() -> None:
    """Run all benchmarks and print one table."""
    console = make_console()
    table = Table("what", "measured", "baseline", "ratio", title="Benchmarks")
    bench_function(table)
    bench_rendering(table)
    bench_organization(table)
    bench_scheduling(table)
    bench_plans(console, table)
    bench_verifying(console, table)
    console.print(table)


if __name__ == "__main__":
    main()
