#!/usr/bin/env python3
"""Measure what the orchestration itself costs: thousands of targets with a stand-in for the terraform executable.

A part of `make bench`; on its own it prints its figures and fails where they are beyond the limits.
"""

import json
import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from session_manager_fleet.accounts.model import Account, Organization
from session_manager_fleet.reports.formats import REPORTS
from session_manager_fleet.run.executors.capacity import Capacity, available_cores
from session_manager_fleet.run.executors.threads import local_workers
from session_manager_fleet.run.folder import RunFolder
from session_manager_fleet.run.job_description import Job, JobSettings
from session_manager_fleet.run.journal import Beginning
from session_manager_fleet.run.options import RunOptions
from session_manager_fleet.run.results import Status, Step, TargetKey, TargetResult
from session_manager_fleet.run.reviewed_plan import ReviewedPlan
from session_manager_fleet.run.saved_plan import Toolchain
from session_manager_fleet.run.scheduler import Scheduler
from session_manager_fleet.settings import Settings, load_settings
from session_manager_fleet.targets.model import Target
from session_manager_fleet.targets.tfvars_files import renderer_of
from session_manager_fleet.terraform.backend import StateBackend
from session_manager_fleet.terraform.command import Terraform
from session_manager_fleet.terraform.installation import child_environment
from session_manager_fleet.terraform.root_module import RootModule

TARGETS = 5000
NAIVE_TARGETS = 200
HOME = "eu-west-1"
LIMIT_SECONDS, LIMIT_MEGABYTES, LIMIT_CPU_MILLISECONDS = 60.0, 300.0, 5.0
_SETTINGS = Path(__file__).resolve().parents[1] / "e2e" / "organization.yaml"

# Every tenth workspace has changes; terraform itself takes no time at all here.
_STAND_IN = """#!/bin/sh
case "$1" in
version) echo '{{"terraform_version": "1.11.4"}}' ;;
show) read -r plan <'{folder}/plan.json'; echo "$plan" ;;
plan)
  echo '{{"@level": "info", "@message": "Plan", "type": "version"}}'
  for argument; do case "$argument" in -out=*) echo plan >"${{argument#-out=}}" ;; esac; done
  case "$TF_WORKSPACE" in *0) exit 2 ;; esac
esac
"""


@dataclass(frozen=True)
class Measured:
    """What a run over all targets took.

    Attributes:
        seconds: Wall time, with the journal, the summary and all reports.
        cpu_milliseconds: Processor time of this process for each target, without that of its children.
        megabytes: The most memory that this process had.
        naive_milliseconds: Wall time of a naive loop for each target.
        milliseconds: Wall time of this project for each target, without the reports.
    """

    seconds: float
    cpu_milliseconds: float
    megabytes: float
    naive_milliseconds: float
    milliseconds: float


class _Silent:
    """An observer that does nothing."""

    def begin(self, step: Step, targets: int) -> None: ...
    def started(self, target: Target, step: Step) -> None: ...
    def finished(self, result: TargetResult) -> None: ...
    def end(self) -> None: ...


def _stand_in(folder: Path) -> Path:
    change = {"actions": ["create"], "before": None, "after": {"tags": {"a": "b"}, "policy": "{}"}}
    plan = {"resource_changes": [{"address": f"a.b[{n}]", "type": "a", "change": change} for n in range(20)]}
    (folder / "plan.json").write_text(json.dumps(plan) + "\n")
    binary = folder / "terraform"
    binary.write_text(_STAND_IN.format(folder=folder))
    binary.chmod(0o755)
    return binary


def _targets(count: int) -> list[Target]:
    return [Target(Account(f"{number:012d}", f"Account {number}"), HOME, HOME) for number in range(1, count + 1)]


def naive_loop(binary: Path, folder: Path, targets: list[Target]) -> float:
    """Do init, workspace select and plan for one target after another, and return the seconds for each."""
    begun = time.monotonic()
    for target in targets:
        environment = {"PATH": os.environ["PATH"], "TF_WORKSPACE": target.workspace}
        plan = f"-out={folder / 'naive.plan'}"
        for arguments in (["init"], ["workspace", "select", target.workspace], ["plan", plan]):
            subprocess.run([str(binary), *arguments], env=environment, stdout=subprocess.DEVNULL, check=False)
    return (time.monotonic() - begun) / len(targets)


def measure(targets: list[Target], folder: Path) -> Measured:
    """Plan all targets, keep the journal, and render every report."""
    binary = _stand_in(folder)
    naive = naive_loop(binary, folder, targets[:NAIVE_TARGETS])
    settings = Settings.of(load_settings(_SETTINGS), Organization.of(None, [], []), "eu-west-1")
    renderer, roles = renderer_of(settings), settings.organization.roles
    tools = Toolchain("1.11.4", "5.100.0", "0.1.0", "")
    backend = StateBackend("session-manager-state-123456789012", "eu-west-1", "session-manager")
    job_settings = JobSettings(tools, roles, backend)
    (folder / "root").mkdir()
    terraform = Terraform(
        binary=str(binary),
        root=RootModule(folder / "root"),
        data_folder=folder / ".terraform",
        environment=child_environment({"PATH": os.environ["PATH"]}, folder),
    )

    def job(step: Step, target: Target, planned: TargetResult | None, *, again: bool) -> Job:
        reviewed = ReviewedPlan.of(planned) if planned else None
        text = renderer.render(target, settings.effective(target.account, target.region), roles)
        return Job(step, target, text, job_settings, reviewed, verify=again)

    begun, begun_cpu = time.monotonic(), time.process_time()
    run = RunFolder.create(folder / "runs")
    keys = tuple(TargetKey.of(target) for target in targets)
    run.begin(Beginning(command="plan", organization_id="o-sandbox1234", configuration_sha256="0" * 64, targets=keys))
    workers = available_cores() * 2
    with local_workers(run, {HOME: terraform}, workers) as opened:
        results = Scheduler(
            run=run,
            workers=opened,
            make_job=job,
            observer=_Silent(),
            stop=threading.Event(),
            capacity=Capacity(workers, workers),
            options=RunOptions(),
        ).plan(targets)
    planned = time.monotonic()
    assert sum(result.status is Status.CHANGES for result in results) == len(targets) // 10, results[9].failure
    run.end(2)
    summary = run.write_summary()
    for report in REPORTS.values():
        report(summary)
    return Measured(
        seconds=time.monotonic() - begun,
        cpu_milliseconds=(time.process_time() - begun_cpu) / len(targets) * 1000,
        megabytes=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        naive_milliseconds=naive * 1000,
        milliseconds=(planned - begun) / len(targets) * 1000,
    )


def measured() -> Measured:
    """Measure in a process of its own, so that its memory is that of a run and nothing else.

    A process counts the memory of the one that started it, so a small one starts it.
    """
    launcher = [sys.executable, "-c", "import subprocess, sys; subprocess.run(sys.argv[1:], check=True)"]
    finished = subprocess.run([*launcher, sys.executable, __file__, "--json"], stdout=subprocess.PIPE, check=True)
    return Measured(**json.loads(finished.stdout))


def main() -> None:
    """Measure, and print figures for people or for another process."""
    with tempfile.TemporaryDirectory() as folder:
        figures = measure(_targets(TARGETS), Path(folder))
    if "--json" in sys.argv:
        json.dump(asdict(figures), sys.stdout)
        return
    for what, value, limit in rows(figures):
        sys.stdout.write(f"{what}: {value:.1f} ({limit})\n")
    beyond = (
        figures.seconds > LIMIT_SECONDS
        or figures.megabytes > LIMIT_MEGABYTES
        or figures.cpu_milliseconds > LIMIT_CPU_MILLISECONDS
    )
    sys.exit(1 if beyond else 0)


def rows(figures: Measured) -> list[tuple[str, float, str]]:
    """Return what was measured, its value, and what to compare it with."""
    return [
        (f"{TARGETS} targets planned, journaled and reported, s", figures.seconds, f"limit {LIMIT_SECONDS:.0f}"),
        ("  memory, MB", figures.megabytes, f"limit {LIMIT_MEGABYTES:.0f}"),
        ("  CPU of the orchestration, ms per target", figures.cpu_milliseconds, f"limit {LIMIT_CPU_MILLISECONDS:.0f}"),
        ("  wall time, ms per target", figures.milliseconds, f"naive loop {figures.naive_milliseconds:.1f}"),
    ]


if __name__ == "__main__":
    main()
