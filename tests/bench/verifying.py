"""Measure `rollout.py verify` for thousands of accounts, all checks, beside a plan of the same target.

One account of the emulated organization is rolled out to, with a log archive, a managed node and a session. Its answers
to `verify` are recorded, and a stand-in for AWS gives them for all accounts, each with its own id: what is measured is
the command as a user runs it, with all of its calls over HTTP. The emulator is measured while its answers are recorded.
"""

import json
import os
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent
from typing import Any
from unittest.mock import patch

import psutil
from operations import prepared, unchanged
from organization import ROLLOUT, Measurement, measure
from plan_parts import children_cpu, own_cpu
from replay import account_id, recorded, replaying
from rich.console import Console
from rich.table import Table

from aws_sandbox import Sandbox, default_organization
from session_manager_fleet.accounts.matching import Matcher
from session_manager_fleet.cli.app import run
from session_manager_fleet.cli.skip_clean import verify_candidates
from session_manager_fleet.demo.nodes import add_nodes, open_sessions
from session_manager_fleet.run.operation import Operation
from session_manager_fleet.run.results import TargetResult
from session_manager_fleet.targets.inventory import Inventory
from session_manager_fleet.targets.model import Selection, TargetList

ACCOUNTS = int(os.environ.get("VERIFIED_ACCOUNTS", "2000"))
LIMIT_CPU, LIMIT_MB, LIMIT_OF_PLAN = 0.15, 400, 1 / 20
_ROUNDS = 3
_ORGANIZATION = default_organization()
_IDS = {account.name: account.id for account in _ORGANIZATION.accounts}
_MEMBER, _ARCHIVE = "Webshop", "LogArchive"
_HOME = _ORGANIZATION.home_region
# Exit codes of `verify` that say that all checks ran.
_RAN = {0, 2}


def _settings(accounts: str) -> str:
    """Return organization.yaml with this source of the accounts."""
    return dedent(f"""\
        schema_version: 1
        organization:
          id: {_ORGANIZATION.id}
          home_region: {_HOME}
          regions: [{_HOME}]
          deployment_role: {{name: {_ORGANIZATION.deployment_role}}}
          log_archive_account: {_ARCHIVE}
          accounts: {accounts}
        log_archive: {{}}
        """)


@dataclass(frozen=True)
class Recorded:
    """What one account has shown.

    Attributes:
        recording: Its answers.
        checks: Its checks, each with its outcome.
        emulator: Processor seconds that the emulator took for them.
        plan: Processor seconds of a plan without changes of the same target.
        skipped: Those in which `plan --skip-clean` verifies and compares it, and does not plan it.
    """

    recording: Mapping[str, Any]
    checks: Mapping[str, str]
    emulator: float
    plan: float
    skipped: float


def record(folder: Path, console: Console) -> Recorded:
    """Roll out to an account, plan it, and record its answers to `verify`."""
    with Sandbox.start(_ORGANIZATION, folder / "sandbox", enforce_iam=True) as sandbox, _acting(sandbox, folder):
        config, results = folder / "organization.yaml", folder / "results.json"
        config.write_text(_settings("{source: organizations}"), encoding="utf-8")
        for name in (_ARCHIVE, _MEMBER):
            _must(run(["-c", str(config), "apply", "--account", name, "--yes"]), {0})
        inventory = Inventory.load(config)
        archive, member = (inventory.select(_only(name)) for name in (_ARCHIVE, _MEMBER))
        # Before there is a node, none of whose logs has arrived, which verify would find.
        _give_policy(sandbox)
        with prepared(inventory, member, folder, console, workers=1) as operation:
            plan = min(children_cpu(lambda: unchanged(operation.plan(member.targets))) for _ in range(_ROUNDS))
            skipped = min(_skip_clean(operation, member, console) for _ in range(_ROUNDS))
        open_sessions(sandbox, add_nodes(sandbox, [*member.targets, *archive.targets]))
        command = ["-c", str(config), "verify", "--account", _MEMBER, "--format", "json", "--output", str(results)]
        _must(run(command), _RAN)  # what is done once a run is not counted
        emulator = psutil.Process(sandbox.pid)
        before = _cpu(emulator)
        with recorded(_IDS[_MEMBER]) as recording:
            _must(run(command), _RAN)
        seconds = _cpu(emulator) - before
        return Recorded(recording, _outcomes(results)[_IDS[_MEMBER]], seconds, plan, skipped)


def _give_policy(sandbox: Sandbox) -> None:
    """Attach the instance policy to the role of instances, which verify misses it on."""
    policy = f"arn:aws:iam::{_IDS[_MEMBER]}:policy/SessionManagerLogPolicy"
    sandbox.session(_IDS[_MEMBER], _HOME).client("iam").attach_role_policy(RoleName="app-server", PolicyArn=policy)
    sandbox.wait_until_idle()


def _skip_clean(operation: Operation, member: TargetList, console: Console) -> float:
    """Return the processor seconds in which `plan --skip-clean` verifies and compares a target, unplanned."""
    results: list[TargetResult] = []
    own = 0.0

    def skip() -> None:
        verify_candidates(operation, member.targets, console, quiet=True)
        results.extend(operation.plan(member.targets))

    def measured() -> None:
        nonlocal own
        own = own_cpu(skip)

    children = children_cpu(measured)
    if not all(result.skipped_plan for result in results):
        sys.exit(f"The target was not skipped ({operation.why_planned}); the figures would mean nothing.")
    return own + children


@contextmanager
def _acting(sandbox: Sandbox, folder: Path) -> Iterator[None]:
    before = Path.cwd()
    os.chdir(folder)
    try:
        with patch.dict(os.environ, sandbox.environment()):
            yield
    finally:
        os.chdir(before)


def _only(name: str) -> Selection:
    return Selection(include=Matcher(accounts=[name]))


def _must(code: int, allowed: set[int]) -> None:
    if code not in allowed:
        sys.exit(f"The command ended with code {code}; the figures would mean nothing.")


def _cpu(process: psutil.Process) -> float:
    times = process.cpu_times()
    return times.user + times.system


def _outcomes(results: Path) -> dict[str, dict[str, str]]:
    """Return the outcomes of all checks by account."""
    targets = json.loads(results.read_text(encoding="utf-8"))["targets"]
    return {one["account_id"]: {check["name"]: check["verdict"] for check in one["checks"]} for one in targets}


def verify_all(count: int, one: Recorded, folder: Path) -> tuple[Measurement, float]:
    """Verify as many accounts, all like the recorded one; return what it took, and the CPU-s of the stand-in."""
    ids = [_IDS[_MEMBER], *(account_id(number) for number in range(1, count))]
    accounts = [
        {
            "id": _ORGANIZATION.management_account_id,
            "name": "Management",
            "email": "m@example.com",
            "role": "management",
        },
        {"id": _IDS[_ARCHIVE], "name": _ARCHIVE, "email": "a@example.com", "ou": "Security"},
        *({"id": each, "name": f"account-{each}", "email": f"{each}@example.com", "ou": "Workloads"} for each in ids),
    ]
    (folder / "accounts.yaml").write_text(json.dumps({"accounts": accounts}), encoding="utf-8")
    config, results = folder / "organization.yaml", folder / "results.json"
    config.write_text(_settings("{source: file, path: accounts.yaml}"), encoding="utf-8")
    command = [sys.executable, str(ROLLOUT), "-c", str(config), "verify", "--ou", "Workloads", "--format", "json"]
    command += ["--output", str(results)]
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    keys = dict.fromkeys(("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"), "testing")
    with replaying(one.recording) as (endpoint_url, stand_in):
        environment = {**inherited, **keys, "AWS_ENDPOINT_URL": endpoint_url, "AWS_REGION": _HOME}
        measured = measure(command, environment, folder, _RAN)
        answered = _cpu(stand_in)
    outcomes = _outcomes(results)
    other = {pair for checks in outcomes.values() for pair in checks.items() ^ one.checks.items()}
    if sorted(outcomes) != sorted(ids) or other:
        sys.exit(f"{len(outcomes)} accounts were verified, not all like the recorded one ({other}): no figures.")
    return measured, answered


def bench_verifying(console: Console, table: Table) -> None:
    """Hold `verify` against its limits, and beside a plan; the emulator's share is a row of its own."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        one = record(folder, console)
        measured, answered = verify_all(ACCOUNTS, one, folder)
    each, what = measured.cpu / ACCOUNTS, f"verify {ACCOUNTS} accounts, {len(one.checks)} checks"
    for name, value, limit, form in (
        (f"{what}, CPU-s per target", each, LIMIT_CPU, ".3f"),
        (f"{what}, MB", measured.memory, LIMIT_MB, ".0f"),
    ):
        table.add_row(name, f"{value:{form}}", f"{limit} (limit)", f"{value / limit:.2f}")
    table.add_row(
        "the same (baseline: a no-change plan of the target)",
        f"{each:.3f}",
        f"{one.plan:.2f}",
        f"{each / one.plan:.3f} (goal {LIMIT_OF_PLAN:.2f})",
    )
    table.add_row(
        "plan --skip-clean of a clean target, one alone (baseline: terraform's part of its plan)",
        f"{one.skipped:.2f}",
        f"{one.plan:.2f}",
        f"{one.skipped / one.plan:.3f}",
    )
    table.add_row("  the emulator's share for one target, CPU-s", f"{one.emulator:.3f}", "", "")
    table.add_row(f"  its stand-in for {ACCOUNTS} accounts, CPU-s per target", f"{answered / ACCOUNTS:.3f}", "", "")


if __name__ == "__main__":
    rows = Table("what", "measured", "baseline", "ratio")
    bench_verifying(Console(), rows)
    Console().print(rows)
