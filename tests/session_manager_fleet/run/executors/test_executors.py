"""Where jobs are done: in threads, one after another, and on a real Dask cluster that loses a worker."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
from distributed import Client

from session_manager_fleet.accounts.model import Account
from session_manager_fleet.errors import InputError
from session_manager_fleet.run.executors import threads as executors
from session_manager_fleet.run.executors.base import Site, Workers
from session_manager_fleet.run.executors.capacity import Capacity
from session_manager_fleet.run.executors.choose import dask_address
from session_manager_fleet.run.executors.dask import BegunElsewhereError, _perform_once, dask_workers
from session_manager_fleet.run.executors.remote import unpack_root
from session_manager_fleet.run.executors.threads import SerialExecutor, local_workers
from session_manager_fleet.run.folder import RunFolder
from session_manager_fleet.run.job_description import Job, JobSettings
from session_manager_fleet.run.journal import Beginning
from session_manager_fleet.run.options import THREADS, RunOptions
from session_manager_fleet.run.results import Status, Step, TargetKey, TargetResult
from session_manager_fleet.run.reviewed_plan import ReviewedPlan
from session_manager_fleet.run.saved_plan import FILES, MANIFEST, Toolchain
from session_manager_fleet.run.scheduler import Scheduler
from session_manager_fleet.settings.roles import AccountRole, Roles
from session_manager_fleet.settings.schema import Wave
from session_manager_fleet.settings.tolerance import Tolerance
from session_manager_fleet.targets.model import Target
from session_manager_fleet.terraform.backend import StateBackend
from session_manager_fleet.terraform.root_module import RootModule
from tests.saved_plans import save_plan
from tests.waiting import wait_for

HOME = "eu-west-1"
SCRIPTS = Path(executors.__file__).parents[3]
SITE_TIMEOUT = 60.0


def target(number: int) -> Target:
    return Target(Account(f"{number:012}", f"account {number}"), HOME, HOME)


# --- This process ------------------------------------------------------------------------------------------------


def test_the_serial_executor_needs_no_thread() -> None:
    with SerialExecutor() as executor:
        assert executor.submit(threading.current_thread).result() is threading.main_thread()
        with pytest.raises(ZeroDivisionError):
            executor.submit(lambda: 1 / 0)


@pytest.mark.parametrize(
    ("text", "address"),
    [
        (THREADS, None),
        ("dask://scheduler:8786", "tcp://scheduler:8786"),
        ("dask+tls://10.0.0.1:8786", "tls://10.0.0.1:8786"),
        ("dask://[::1]:8786", "tcp://[::1]:8786"),
    ],
)
def test_executors_by_name(text: str, address: str | None) -> None:
    assert dask_address(text) == address


@pytest.mark.parametrize("text", ["", "processes", "dask://", "dask://host", "tcp://host:1", "dask://host:1/x"])
def test_what_is_no_executor_is_refused(text: str) -> None:
    with pytest.raises(InputError, match=r"Unknown executor .*; use threads, dask://HOST:PORT"):
        dask_address(text)


def test_a_folder_that_cannot_be_made_is_the_targets_failure(tmp_path: Path) -> None:
    run = RunFolder.create(tmp_path)
    (run.path / "000000000001").write_text("in the way")
    with local_workers(run, {}, 1) as workers:
        result = workers.submit(Job(Step.PLAN, target(1), "", job_settings())).result().result

    assert (result.status, result.failure and result.failure.kind) == (Status.FAILED, "machine")


# --- A cluster ---------------------------------------------------------------------------------------------------

# Stands in for terraform: it plans a change, and its apply of the first account lasts until it is killed. Everything
# that it does is noted outside of the folders of workers and runs.
STAND_IN = """
case "$1" in
version) echo '{{"terraform_version": "1.11.4"}}'; exit ;;
init) echo init >>'{trace}/init'; exit ;;
show)
  for argument; do plan=$argument; done
  account=$(grep -ao 'account-[0-9]*' "$plan" | head -n 1)
  sed "s/ACCOUNT/${{account#account-}}/" '{plan_json}'
  exit ;;
esac
echo "$1 $TF_WORKSPACE $$" >>'{trace}/calls'
if [ "$1" = plan ]; then
  for argument; do case "$argument" in -out=*) cp '{trace}'/"$TF_WORKSPACE.zip" "${{argument#-out=}}" ;; esac; done
  exit 2
fi
if [ "$TF_WORKSPACE" = 000000000001 ]; then touch '{trace}/hanging'; sleep 60; fi
"""
PLAN_JSON = """
{"variables": {"account_id": {"value": "ACCOUNT"}, "preferences": {"value": {"enabled": false}}},
 "resource_changes": [{"address": "aws_kms_key.this", "type": "aws_kms_key",
                       "change": {"actions": ["create"], "before": null, "after": {"tags": {}}}}]}
"""


def job_settings(root: Path | None = None) -> JobSettings:
    digest = RootModule(root).digest() if root else ""
    tools = Toolchain("1.11.4", "5.100.0", "0.1.0", digest)
    backend = StateBackend("states", HOME, "session-manager")
    return JobSettings(tools, Roles(AccountRole(name="Deployment")), backend)


@dataclass
class Cluster:
    """A scheduler and two worker processes with one thread each, which share nothing with the run."""

    address: str
    workers: list[subprocess.Popen[bytes]]
    folder: Path
    environment: dict[str, str]

    def calls(self) -> list[list[str]]:
        path = self.folder / "calls"
        return [line.split() for line in path.read_text().splitlines()] if path.exists() else []


@pytest.fixture
def start_cluster(tmp_path: Path, stand_in: Callable[[str], Path]) -> Iterator[Callable[..., Cluster]]:
    processes: list[subprocess.Popen[bytes]] = []
    trace = tmp_path / "trace"
    trace.mkdir()
    (tmp_path / "plan.json").write_text(PLAN_JSON.replace("\n", " ").strip())
    binary = stand_in(STAND_IN.format(trace=trace, plan_json=tmp_path / "plan.json"))
    environment = {
        **os.environ,
        # Workers have credentials of their own.
        **dict.fromkeys(("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"), "testing"),
        "PATH": f"{binary.parent}:{os.environ['PATH']}",
        "PYTHONPATH": str(SCRIPTS),
        "DASK_DISTRIBUTED__WORKER__DAEMON": "False",
    }

    def start(*, allowed_failures: int = 0, workers: int = 2) -> Cluster:
        scheduler_file = tmp_path / "scheduler.json"
        logs = (tmp_path / "dask.log").open("wb")
        dask = [sys.executable, "-m", "dask"]
        settings = {**environment, "DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": str(allowed_failures)}
        common = ["--scheduler-file", str(scheduler_file), "--no-dashboard"]
        scheduler = [*dask, "scheduler", "--host", "127.0.0.1", "--port", "0", *common]
        processes.append(subprocess.Popen(scheduler, env=settings, stdout=logs, stderr=logs))
        # Dask creates the file before it writes it.
        wait_for(lambda: scheduler_file.exists() and scheduler_file.read_text().endswith("}"))
        worker = [*dask, "worker", "--host", "127.0.0.1", "--nthreads", "1", "--no-nanny", *common]
        for number in range(workers):
            folder = tmp_path / f"worker-{number}"
            folder.mkdir()
            command = [*worker, "--local-directory", str(folder)]
            processes.append(subprocess.Popen(command, env=environment, cwd=folder, stdout=logs, stderr=logs))
        address = json.loads(scheduler_file.read_text())["address"]
        return Cluster(address, processes[-workers:] if workers else [], trace, environment)

    yield start
    for process in processes:
        process.kill()
        process.wait()


class Silent:
    """An observer that does nothing."""

    def begin(self, step: Step, targets: int) -> None: ...
    def started(self, target: Target, step: Step) -> None: ...
    def finished(self, result: TargetResult) -> None: ...
    def end(self) -> None: ...


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "root"
    (folder / "modules" / "one").mkdir(parents=True)
    (folder / "main.tf").write_text("# root\n")
    (folder / "modules" / "one" / "main.tf").write_text("# module\n")
    (folder / "modules" / "one" / ".terraform").mkdir()
    (folder / "modules" / "one" / ".terraform" / "junk").write_text("junk\n")
    return folder


@contextmanager
def rollout(run: RunFolder, workers: Workers, root: Path) -> Iterator[Scheduler]:
    def job(step: Step, target: Target, planned: TargetResult | None, *, again: bool) -> Job:
        reviewed = ReviewedPlan.of(planned) if planned else None
        save_plan(run.path.parents[1] / "trace" / f"{target.workspace}.zip", root, {f"account-{target.account.id}": ""})
        variables = f'account_id = "{target.account.id}"\npreferences = {{\n  enabled = false\n}}\n'
        return Job(step, target, variables, job_settings(root), reviewed, verify=again)

    yield Scheduler(
        run=run,
        workers=workers,
        make_job=job,
        observer=Silent(),
        stop=threading.Event(),
        capacity=Capacity(workers.count, workers.count),
        options=RunOptions(),
    )


def test_a_lost_worker_is_reported_and_nothing_is_done_twice(
    tmp_path: Path, start_cluster: Callable[..., Cluster], root: Path
) -> None:
    cluster = start_cluster()
    run = RunFolder.create(tmp_path / "runs")
    targets = [target(number) for number in range(1, 7)]
    keys = tuple(TargetKey.of(each) for each in targets)
    run.begin(
        Beginning(command="apply", organization_id="o-exampleorgid", configuration_sha256="ef" * 32, targets=keys)
    )
    site = Site(RootModule(root).digest(), {HOME: {"bucket": "states"}}, SITE_TIMEOUT)
    wait_for(lambda: workers_of(cluster) == 2)

    with dask_workers(cluster.address, run, site, RootModule(root).pack(), "1.11.4") as workers:
        assert workers.count == 2
        with rollout(run, workers, root) as rolling:
            planned = rolling.plan(targets)
            assert [result.status for result in planned] == [Status.CHANGES] * 6, planned[0].failure
            for each in targets:
                files = {path.name for path in run.target_folder(each).iterdir()}
                assert files >= {*FILES, MANIFEST, "terraform.log"}
            assert len((cluster.folder / "init").read_text().splitlines()) == 2

            killer = threading.Thread(target=kill_the_worker_that_hangs, args=(cluster,))
            killer.start()
            applied = rolling.apply(planned, [Wave(name=targets[0].wave, max_failures=Tolerance(1))])
            killer.join()

    lost, *others = applied
    assert lost.failure is not None
    assert lost.status is Status.FAILED
    assert lost.failure.message.startswith("The worker was lost while applying (KilledWorker)")
    assert [result.status for result in others] == [Status.APPLIED] * 5
    applies = [workspace for verb, workspace, _ in cluster.calls() if verb == "apply"]
    assert sorted(applies) == [each.workspace for each in targets]
    assert not list(tmp_path.glob("worker-*/**/tfplan"))
    assert [result.status for result in run.read().results] == [Status.FAILED, *[Status.APPLIED] * 5]


def test_a_job_that_dask_hands_out_again_is_not_begun_again(
    tmp_path: Path, start_cluster: Callable[..., Cluster], root: Path
) -> None:
    """Dask does so without counting it as a failure when a worker leaves in an orderly way."""
    cluster = start_cluster(workers=1)
    site = Site(RootModule(root).digest(), {HOME: {"bucket": "states"}}, SITE_TIMEOUT)
    wait_for(lambda: workers_of(cluster) == 1)
    job = Job(Step.PLAN, target(2), "", job_settings(root))
    save_plan(cluster.folder / "000000000002.zip", root, {"account-000000000002": ""})

    with (
        dask_workers(cluster.address, RunFolder(tmp_path), site, RootModule(root).pack(), "1.11.4") as workers,
        Client(cluster.address, set_as_default=False) as client,
    ):
        first, second = (
            client.submit(_perform_once, "ticket", site, job, {}, tmp_path, key=key, pure=False)
            for key in ("first", "second")
        )
        outcomes = [future.exception() or future.result().result.status for future in (first, second)]

    assert sorted(map(repr, outcomes)) == [repr(Status.CHANGES), "BegunElsewhereError()"]
    assert issubclass(BegunElsewhereError, workers.lost)
    assert [call[:2] for call in cluster.calls()] == [["plan", "000000000002"]]


def workers_of(cluster: Cluster) -> int:
    with Client(cluster.address, set_as_default=False) as client:
        return len(client.nthreads())


def kill_the_worker_that_hangs(cluster: Cluster) -> None:
    """Kill the worker process whose terraform hangs, as the kernel does when memory runs out."""
    wait_for((cluster.folder / "hanging").exists)
    [pid] = [int(pid) for verb, workspace, pid in cluster.calls() if (verb, workspace) == ("apply", "000000000001")]
    hanging = psutil.Process(pid).ppid()
    [worker] = [worker for worker in cluster.workers if worker.pid == hanging]
    worker.send_signal(signal.SIGKILL)


def test_a_scheduler_that_would_repeat_lost_applies_is_refused(
    tmp_path: Path, start_cluster: Callable[..., Cluster], root: Path
) -> None:
    cluster = start_cluster(allowed_failures=3, workers=0)
    site = Site(RootModule(root).digest(), {}, SITE_TIMEOUT)

    with (
        pytest.raises(InputError, match="allowed-failures=3"),
        dask_workers(cluster.address, RunFolder(tmp_path), site, RootModule(root).pack(), "1.11.4"),
    ):
        pytest.fail("it was accepted")


def test_a_scheduler_that_does_not_answer_is_told(tmp_path: Path, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("session_manager_fleet.run.executors.dask._CONNECT_SECONDS", 1)
    site = Site(RootModule(root).digest(), {}, SITE_TIMEOUT)

    with (
        pytest.raises(InputError, match=r"No Dask scheduler answers at tcp://127\.0\.0\.1:1"),
        dask_workers("tcp://127.0.0.1:1", RunFolder(tmp_path), site, RootModule(root).pack(), "1.11.4"),
    ):
        pytest.fail("it was accepted")


def test_a_root_module_that_was_changed_on_its_way_is_refused(root: Path) -> None:
    archive = RootModule(root).pack()
    (root / "main.tf").write_text("# changed\n")

    with pytest.raises(InputError, match="changed on its way"):
        unpack_root(archive, RootModule(root).digest())


def test_dask_is_imported_only_when_it_is_asked_for() -> None:
    code = "import sys, session_manager_fleet.cli.app; sys.exit('distributed' in sys.modules)"

    subprocess.run([sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": str(SCRIPTS)}, check=True)
