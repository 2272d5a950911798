"""Measure `rollout.py verify --all` for thousands of accounts, all checks; the emulator is another process."""

import json
import logging
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from textwrap import dedent
from typing import Any
from unittest.mock import patch

import boto3
from moto.organizations.models import organizations_backends
from moto.server import ThreadedMotoServer
from moto.ssm.responses import SimpleSystemManagerResponse
from organization import MANAGEMENT_ACCOUNT_ID, REGIONS, ROLLOUT, Measurement, answer_as_the_sandbox, organization_of
from plan_parts import own_cpu
from rich.table import Table

from aws_sandbox.organizations import Organizations

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.live_drift_repair import create_drift_repair

ACCOUNTS = int(os.environ.get("VERIFIED_ACCOUNTS", "2000"))
LIMIT_CPU, LIMIT_MB = 0.15, 400
HOME = REGIONS[0]
_ANSWERS = {
    "describe_instance_information": '{"InstanceInformationList": []}',
    "get_service_setting": '{"ServiceSetting": {"SettingValue": "$None"}}',
}
# Like `organization._LAUNCHER`, but the command's findings are no failure.
_LAUNCHER = """
import json, resource, subprocess, sys, time
begun = time.monotonic()
code = subprocess.run(sys.argv[2:], stdout=open(sys.argv[1], "w")).returncode
usage = resource.getrusage(resource.RUSAGE_CHILDREN)
print(json.dumps([code, time.monotonic() - begun, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024]))
"""


def roll_out() -> None:
    """Make what an apply leaves, once: the emulator takes all accounts for one, so every target finds it."""
    session = boto3.Session(region_name=HOME)

    def client(service: str) -> Any:  # noqa: ANN401 - one type for each service
        return session.client(service)  # type: ignore[call-overload]

    kms, ssm = client("kms"), client("ssm")
    key = kms.create_key()["KeyMetadata"]["Arn"]
    kms.enable_key_rotation(KeyId=key)
    for name in ("data", "logs"):
        kms.create_alias(AliasName=f"alias/session-manager/{name}", TargetKeyId=key)
    client("logs").create_log_group(logGroupName="ssm-sessionmanager-logs", kmsKeyId=key)
    for name in ("session-data-key", "applied-preferences"):
        ssm.put_parameter(Name=f"/session-manager/{name}", Value="x", Type="String")
    content = {"schemaVersion": "1.0", "sessionType": "Standard_Stream", "inputs": {"kmsKeyId": key}}
    ssm.create_document(Name="SSM-SessionManagerRunShell", Content=json.dumps(content), DocumentType="Session")
    create_drift_repair(client, MANAGEMENT_ACCOUNT_ID, HOME)


def verify_all(count: int, endpoint_url: str) -> Measurement:
    """Verify all targets of an organization of this size."""
    organizations_backends.reset()
    Organizations(organization_of(count))
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    credentials = dict.fromkeys(("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"), "testing")
    environment = {**inherited, **credentials, "AWS_ENDPOINT_URL": endpoint_url}
    with patch.dict(os.environ, environment):
        roll_out()
    with tempfile.TemporaryDirectory() as scratch:
        config, results = Path(scratch) / "organization.yaml", Path(scratch) / "results.json"
        config.write_text(
            dedent(f"""\
                schema_version: 1
                organization:
                  id: o-exampleorgid
                  home_region: {HOME}
                  regions: [{HOME}]
                  deployment_role: {{name: AWSControlTowerExecution}}
                """),
            encoding="utf-8",
        )
        command = [sys.executable, str(ROLLOUT), "-c", str(config), "verify", "--all", "--format", "json"]
        launcher = [sys.executable, "-c", _LAUNCHER, str(results), *command]
        ended = subprocess.run(launcher, env=environment, stdout=subprocess.PIPE, check=True).stdout
        code, wall, cpu, memory = json.loads(ended)
        targets = json.loads(results.read_text())["targets"] if results.stat().st_size else []
        refused = {check["message"] for one in targets for check in one["checks"] if check["verdict"] == "not_checked"}
        if len(targets) != count or refused or any(one["failure"] for one in targets):
            sys.exit(f"Not every target was verified (exit code {code}, {refused}): the figures would mean nothing.")
    return Measurement(wall, cpu, memory)


def bench_verifying(table: Table, plan_cpu: float | None = None) -> None:
    """Hold `verify` against its limits, and beside a plan; the emulator's share is a row of its own."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    answer_as_the_sandbox()
    # moto lacks it; the sandbox adds it for accounts of its own.
    for name, text in _ANSWERS.items():
        setattr(SimpleSystemManagerResponse, name, lambda _, text=text: text)
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    measured: list[Measurement] = []
    try:
        host, port = server.get_host_and_port()
        # See `organization.bench_organization`.
        with patch.dict(os.environ, MOTO_ACCOUNT_ID=MANAGEMENT_ACCOUNT_ID):
            emulator = own_cpu(lambda: measured.append(verify_all(ACCOUNTS, f"http://{host}:{port}")))
    finally:
        server.stop()
    (one,) = measured
    each, what = one.cpu / ACCOUNTS, f"verify {ACCOUNTS} accounts, all checks"
    table.add_row(f"{what}, CPU-s per target", f"{each:.3f}", f"{LIMIT_CPU} (limit)", f"{each / LIMIT_CPU:.2f}")
    table.add_row(f"{what}, MB", f"{one.memory:.0f}", f"{LIMIT_MB} (limit)", f"{one.memory / LIMIT_MB:.2f}")
    table.add_row("  the emulator's share, CPU-s per target", f"{emulator / ACCOUNTS:.3f}", "", "")
    if plan_cpu is not None:
        table.add_row(
            "verify of a target, CPU-s", f"{each:.3f}", f"{plan_cpu:.2f} (the plan)", f"{each / plan_cpu:.3f}"
        )


if __name__ == "__main__":
    from rich.console import Console

    rows = Table("what", "measured", "baseline", "ratio")
    bench_verifying(rows)
    Console().print(rows)
