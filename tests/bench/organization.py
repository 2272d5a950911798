"""Measure `rollout.py render --all` for thousands of accounts: discovery, settings, targets and rendering together."""

import json
import logging
import os
import subprocess
import sys
import tempfile
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent, indent
from typing import Any
from unittest.mock import patch

from moto.organizations.models import OrganizationsBackend, organizations_backends
from moto.server import ThreadedMotoServer
from rich.table import Table

from aws_sandbox.model import SandboxAccount, SandboxOrganization
from aws_sandbox.organizations import PAGE_SIZE, Organizations

ROLLOUT = Path(__file__).resolve().parents[2] / "scripts" / "rollout.py"
REGIONS = ("eu-west-1", "eu-central-1", "us-east-1", "ap-southeast-2")
SIZES = (1250, 2500, 5000)
LIMIT_SECONDS = 30
LIMIT_MB = 300
TEAMS = 20
# The account whose credentials moto takes all unknown ones for.
MANAGEMENT_ACCOUNT_ID = "123456789012"


@dataclass(frozen=True)
class Measurement:
    """What one command took: wall seconds, processor seconds, and megabytes at its peak."""

    wall: float
    cpu: float
    memory: float


def organization_of(count: int) -> SandboxOrganization:
    """Return an organization in which production and development have an organizational unit for each team."""
    units = [f"Workloads/{stage}/Team{team}" for stage in ("Prod", "NonProd") for team in range(TEAMS)]
    ids = [MANAGEMENT_ACCOUNT_ID, *(f"{number:012d}" for number in range(1, count))]
    accounts = tuple(
        SandboxAccount(account_id, f"account-{number}", f"{number}@example.com", units[number % len(units)])
        for number, account_id in enumerate(ids)
    )
    return SandboxOrganization("o-exampleorgid", ids[0], accounts, tuple(units), REGIONS[0], REGIONS)


def write_settings(folder: Path) -> Path:
    """Write settings with overrides for each team, a register of exceptions, and waves."""
    overrides = "".join(
        f"- {{match: {{ou: 'Workloads/*/Team{team}'}}, set: {{tags: {{team: t{team}}}}}}}\n" for team in range(TEAMS)
    )
    exceptions = "".join(
        f"- {{match: {{accounts: ['{number:012d}']}}, skip: [config_rule], owner: team, reason: test, "
        "expires: 2999-12-31}\n"
        for number in range(1, TEAMS + 1)
    )
    path = folder / "organization.yaml"
    path.write_text(
        dedent(f"""\
            schema_version: 1
            organization:
              id: o-exampleorgid
              home_region: {REGIONS[0]}
              regions: [{", ".join(REGIONS)}]
              deployment_role: {{name: AWSControlTowerExecution}}
            defaults: {{preferences: {{idle_session_timeout: 15}}}}
            waves:
              - {{name: canary, match: {{ou: Workloads/NonProd/Team0}}}}
              - {{name: non-production, match: {{ou: "Workloads/NonProd/**"}}}}
              - {{name: rest}}
            """)
        + f"overrides:\n{indent(overrides, '  ')}exceptions:\n{indent(exceptions, '  ')}",
        encoding="utf-8",
    )
    return path


# A process counts the memory of the one that started it, so a small one starts what is measured.
_LAUNCHER = """
import json, resource, subprocess, sys, time
begun = time.monotonic()
code = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL).returncode
usage = resource.getrusage(resource.RUSAGE_CHILDREN)
print(json.dumps([code, time.monotonic() - begun, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024]))
"""


def measure(
    command: list[str], environment: Mapping[str, str], folder: Path | None = None, allowed: Collection[int] = (0,)
) -> Measurement:
    """Run a command and return what it took; end if its exit code is not allowed, as the figures would mean nothing."""
    launcher = [sys.executable, "-c", _LAUNCHER, *command]
    ended = subprocess.run(launcher, env=environment, cwd=folder, stdout=subprocess.PIPE, check=True).stdout
    code, *measured = json.loads(ended)
    if code not in allowed:
        sys.exit(f"The command ended with code {code}; the figures would mean nothing.")
    return Measurement(*measured)


def answer_as_the_sandbox() -> None:
    """Answer ListAccounts page by page, as the sandbox does: moto describes and sorts all accounts for every page."""

    def list_accounts(
        backend: OrganizationsBackend, max_results: int | None = None, next_token: str | None = None
    ) -> tuple[list[dict[str, Any]], str | None]:
        start = int(next_token or 0)
        end = start + (max_results or PAGE_SIZE)
        accounts = [account.describe() for account in backend.accounts[start:end]]
        return accounts, str(end) if end < len(backend.accounts) else None

    OrganizationsBackend.list_accounts = list_accounts  # type: ignore[method-assign, assignment]


def render_all(count: int, endpoint_url: str) -> Measurement:
    """Render all targets of an organization of this size, from an empty folder."""
    organizations_backends.reset()
    Organizations(organization_of(count))
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    credentials = dict.fromkeys(("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"), "testing")
    environment = {**inherited, **credentials, "AWS_ENDPOINT_URL": endpoint_url}
    with tempfile.TemporaryDirectory() as scratch:
        config, output = write_settings(Path(scratch)), Path(scratch) / "accounts"
        command = [sys.executable, str(ROLLOUT), "-c", str(config), "render", "--all", "--output", str(output)]
        measurement = measure(command, environment)
        if sum(1 for _ in output.glob("*/*.tfvars")) != count * len(REGIONS):
            sys.exit("Not every target was rendered; the figures would mean nothing.")
    return measurement


def bench_organization(table: Table) -> None:
    """Hold the largest organization against its limits, and its cost per account against that of smaller ones."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    answer_as_the_sandbox()
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        # Else moto looks for the access key of every call in all accounts, which takes longer than all the rest.
        with patch.dict(os.environ, MOTO_ACCOUNT_ID=MANAGEMENT_ACCOUNT_ID):
            measured = {count: render_all(count, f"http://{host}:{port}") for count in SIZES}
    finally:
        server.stop()
    largest = measured[SIZES[-1]]
    what = f"discover and render {SIZES[-1]} accounts in {len(REGIONS)} regions"
    for unit, value, limit in (("s", largest.wall, LIMIT_SECONDS), ("MB", largest.memory, LIMIT_MB)):
        table.add_row(f"{what}, {unit}", f"{value:.1f}", f"{limit} (limit)", f"{value / limit:.2f}")
    per_account = {count: measurement.cpu / count * 1000 for count, measurement in measured.items()}
    for count in SIZES[:-1]:
        table.add_row(
            f"the same, CPU-ms per account, beside {count} accounts",
            f"{per_account[SIZES[-1]]:.2f}",
            f"{per_account[count]:.2f}",
            f"{per_account[SIZES[-1]] / per_account[count]:.2f}",
        )


if __name__ == "__main__":
    from rich.console import Console

    rows = Table("what", "measured", "baseline", "ratio")
    bench_organization(rows)
    Console().print(rows)
