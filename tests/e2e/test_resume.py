"""A rollout that is killed again and again ends where an undisturbed one does, and does nothing twice."""

import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from aws_sandbox import Sandbox, SandboxAccount, SandboxOrganization, default_organization
from session_manager_fleet.terraform import ROOT_MODULE
from session_manager_fleet.terraform.processes import MARKER
from tests.saved_plans import save_plan

PROJECT = Path(__file__).resolve().parents[2]
EXAMPLE = Path(__file__).with_name("organization.yaml")
DOCUMENT = "SSM-SessionManagerRunShell"
CHANCE = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]+(?:Z|\+[0-9:]+)?"
    # Ids of keys and the like, of roles and policies.
    r"|mrk-[0-9a-f]{32}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|\bA[A-Z]{3}[A-Z0-9]{16,17}\b"
    # Who calls, of which every sandbox makes a name up.
    r'|(?<="user_id": ")[^"]+'
    # Digests of what holds such ids: of policies and of calls.
    r'|(?<=")[0-9]{6,10}(?=")|(?<=_)[0-9a-f]{32}(?=")'
)
# After each kill, something is left to do.
ACCOUNTS, KILLS = 9, 10
# In the accounts behind the first one is something else than in all others.
MODELS = ("LogArchive", "Management", "Payments", "Webshop", "Legacy")

# A terraform whose resources are lines of a file. Like the real one it locks its state, refuses a stale plan, and saves
# what it has done so far when it is interrupted. It notes when it is asked to apply where there is nothing to do.
STAND_IN = """#!@PYTHON@ -S
import hashlib, json, os, shutil, signal, subprocess, sys, time, zipfile
from pathlib import Path

RESOURCES = 4
states = Path("@STATES@")
verb, workspace = sys.argv[1], os.environ.get("TF_WORKSPACE", "")
state, lock = states / workspace, states / f"{workspace}.lock"


def note(text):
    with (states / "notes").open("a") as file:
        file.write(f"{text} {workspace}\\n")


def resources():
    return state.read_text().splitlines() if state.is_file() else []


def planned_for(plan):
    with zipfile.ZipFile(plan) as archive:
        return archive.read("resources").decode().splitlines()


def variables(plan):
    # Read once for each text, by the project's own reader.
    file = plan.parent / "terraform.tfvars"
    known = states.parent / f"values-{hashlib.sha256(file.read_bytes()).hexdigest()}"
    if not known.exists():
        read = "import json, sys; from pathlib import Path; from session_manager_fleet.targets import values_of; "
        read += "print(json.dumps(values_of(Path(sys.argv[1]).read_text())))"
        answer = subprocess.run(["@PYTHON@", "-c", read, str(file)], stdout=subprocess.PIPE, check=True).stdout
        known.with_suffix(f".{os.getpid()}").write_bytes(answer)
        known.with_suffix(f".{os.getpid()}").replace(known)
    return {name: {"value": value} for name, value in json.loads(known.read_text()).items()}


if verb == "version":
    print('{"terraform_version": "1.11.4"}')
elif verb == "show":
    change = {"actions": ["create"], "before": None, "after": {"tags": {}}}
    left = range(len(planned_for(sys.argv[-1])), RESOURCES)
    changes = [{"address": f"a.b[{n}]", "type": "a", "change": change} for n in left]
    print(json.dumps({"variables": variables(Path(sys.argv[-1])), "resource_changes": changes}))
elif verb in ("plan", "apply"):
    interrupted = []
    signal.signal(signal.SIGINT, lambda *_: interrupted.append(1))
    for _ in range(600):
        try:
            lock.mkdir()
            break
        except FileExistsError:
            time.sleep(0.05)
    else:
        sys.exit("Error acquiring the state lock")
    done, code = resources(), 0
    if verb == "plan":
        [out] = [argument[5:] for argument in sys.argv if argument.startswith("-out=")]
        shutil.copyfile(states.parent / "configuration.zip", out)
        with zipfile.ZipFile(out, "a") as archive:
            archive.writestr("resources", "".join(f"{line}\\n" for line in done))
        code = 2 if len(done) < RESOURCES else 0
    else:
        if planned_for(sys.argv[-1]) != done:
            note("stale")
            code = 1
        elif len(done) == RESOURCES:
            note("needless")
        while not code and len(done) < RESOURCES:
            time.sleep(0.15)
            done.append(f"resource {len(done)}")
            note("create")
            state.write_text("".join(f"{line}\\n" for line in done))
            code = 1 if interrupted else 0
    lock.rmdir()
    sys.exit(code)
"""


@dataclass
class Killable:
    """Starts rollout.py, and kills it at a moment of an apply."""

    folder: Path
    config: Path
    environment: dict[str, str]
    random: random.Random
    delay: float
    kills: int = 0

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        return subprocess.run(
            self._command(arguments),
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )

    def kill(self, run_id: str, *arguments: str, step: str = "apply") -> None:
        """Start a command and kill it a while after it has begun with a step of a target; it may be faster."""
        before = self.begun(run_id, step)
        with subprocess.Popen(
            self._command(arguments),
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        ) as process:
            while process.poll() is None and self.begun(run_id, step) == before:
                time.sleep(0.02)
            time.sleep(self.random.uniform(0, self.delay))
            if process.poll() is None:
                process.send_signal(signal.SIGKILL)
                self.kills += 1

    def begun(self, run_id: str, step: str) -> int:
        """How many plans or applies the journal of a run has seen begin."""
        journal = self.folder / "runs" / run_id / "journal.jsonl"
        return journal.read_text().count(f'"step":"{step}","attempt"') if journal.exists() else 0

    @property
    def last_run(self) -> str:
        """Id of the run that was begun last."""
        return max(path.name for path in (self.folder / "runs").iterdir() if path.name[0] != ".")

    def summary(self, run_id: str) -> dict[str, Any]:
        content: dict[str, Any] = json.loads((self.folder / "runs" / run_id / "summary.json").read_text())
        return content

    def _command(self, arguments: tuple[str, ...]) -> list[str]:
        return [sys.executable, str(PROJECT / "scripts" / "rollout.py"), "-c", str(self.config), *arguments]


def commands_of(sandbox: Sandbox, folder: Path, path: str = "", delay: float = 1.0) -> Killable:
    """Commands over all accounts and regions of a sandbox, with as little in each target as possible."""
    settings = yaml.safe_load(EXAMPLE.read_text())
    settings = {key: settings[key] for key in ("schema_version", "organization")}
    settings["organization"]["regions"] = list(sandbox.organization.regions)
    settings["defaults"] = {
        "preferences": {"drift_repair": {"enabled": False}},
        "config_rule": {"enabled": False},
        # One account has a policy of that name already.
        "instance_policy": {"enabled": False},
    }
    folder.mkdir(exist_ok=True)
    config = folder / "organization.yaml"
    config.write_text(yaml.safe_dump(settings))
    environment = {name: value for name, value in os.environ.items() if name != MARKER and not name.startswith("AWS_")}
    environment.update(sandbox.environment())
    if path:
        # A script that stands in for terraform writes no document.
        settings["defaults"]["preferences"] = {"enabled": False}
        config.write_text(yaml.safe_dump(settings))
        environment["PATH"] = f"{path}:{environment['PATH']}"
    return Killable(folder, config, environment, random.Random(7), delay)  # noqa: S311 - moments, no secrets


@pytest.mark.slow
def test_ten_kills_of_an_apply_with_a_stand_in(sandbox: Sandbox, tmp_path: Path) -> None:
    states = tmp_path / "states"
    states.mkdir()
    binary = tmp_path / "bin" / "terraform"
    binary.parent.mkdir()
    binary.write_text(STAND_IN.replace("@PYTHON@", sys.executable).replace("@STATES@", str(states)))
    binary.chmod(0o755)
    save_plan(tmp_path / "configuration.zip", ROOT_MODULE.path)
    commands = commands_of(sandbox, tmp_path, str(binary.parent))

    while commands.kills < KILLS:
        for path in states.iterdir():
            path.unlink()
        planned = commands.run("plan", "--all", "--workers", "4", "--quiet")
        assert planned.returncode == 2, planned.stdout + planned.stderr
        run_id = commands.last_run
        targets = commands.summary(run_id)["totals"]["targets"]
        assert targets >= ACCOUNTS

        commands.kill(run_id, "apply", run_id, "--workers", "3")
        while commands.kills < KILLS and commands.begun(run_id, "apply") and "end" not in last_event(tmp_path, run_id):
            commands.kill(run_id, "resume", run_id, "--yes", "--workers", "3")
        finished = commands.run("resume", run_id, "--yes", "--workers", "4")

        assert finished.returncode == 0, finished.stdout + finished.stderr
        totals = commands.summary(run_id)["totals"]
        assert totals["applied"] + totals["no_changes"] == targets
        notes = (states / "notes").read_text().splitlines()
        assert [line for line in notes if line.startswith(("needless", "stale"))] == []
        assert len(notes) == 4 * targets
        assert list(states.glob("*.lock")) == []
        assert list((tmp_path / "runs" / ".active").glob("*.json")) == []


@pytest.mark.terraform
@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_ten_kills_of_an_apply(tmp_path: Path) -> None:
    organization = one_region()
    with (
        Sandbox.start(organization, tmp_path / "killed-sandbox") as killed,
        Sandbox.start(organization, tmp_path / "undisturbed-sandbox") as undisturbed,
    ):
        commands = commands_of(killed, tmp_path / "killed", delay=2.0)
        reference = commands_of(undisturbed, tmp_path / "undisturbed")
        with ThreadPoolExecutor() as pool:
            selection = [argument for name in MODELS for argument in ("--account", name)]
            other = pool.submit(reference.run, "apply", *selection, "--yes", "--quiet")
            run_id = kill_ten_times(commands)
            ended = other.result()
        assert ended.returncode == 0, ended.stdout + ended.stderr

        assert commands.kills == KILLS
        done: set[str] = set()
        for event in map(json.loads, (commands.folder / "runs" / run_id / "journal.jsonl").read_text().splitlines()):
            if event["event"] == "started":
                assert event["target"] not in done
            elif event["event"] == "finished" and event["result"]["status"] in {"applied", "no_changes"}:
                done.add(event["target"])
        assert len(done) == ACCOUNTS
        state = killed.session(killed.organization.management_account_id, killed.organization.home_region).client("s3")
        keys = {entry["Key"] for entry in state.list_objects_v2(Bucket=killed.state_bucket)["Contents"]}
        assert not any(key.endswith(".tflock") for key in keys)
        models = {account.name: account for account in undisturbed.organization.accounts if account.name in MODELS}
        for account in killed.organization.active_accounts:
            model = models.get(account.name, models[MODELS[0]])
            assert end_state(killed, account) == end_state(undisturbed, model), account.name


def kill_ten_times(commands: Killable) -> str:
    """Apply to all targets, one after another, so that something is left to do after every kill."""
    planned = commands.run("plan", "--all", "--quiet")
    assert planned.returncode == 2, planned.stdout + planned.stderr
    run_id = commands.last_run
    assert commands.summary(run_id)["totals"]["changes"] == ACCOUNTS
    commands.kill(run_id, "apply", run_id, "--workers", "1")
    while commands.kills < KILLS and last_event(commands.folder, run_id) != "end":
        # An interrupted target is planned first; kill there too.
        step = commands.random.choice(["plan", "apply"])
        commands.kill(run_id, "resume", run_id, "--yes", "--workers", "1", step=step)
    finished = commands.run("resume", run_id, "--yes")
    assert finished.returncode == 0, finished.stdout + finished.stderr
    return run_id


def one_region() -> SandboxOrganization:
    """Nine accounts in one region: terraform is initialized once after each kill."""
    whole = default_organization()
    active = whole.active_accounts
    more = [
        replace(active[1], id=f"9{number:011}", name=f"Plain{number}", email=f"plain{number}@example.com", tags={})
        for number in range(1, ACCOUNTS - len(active) + 1)
    ]
    # The last accounts hold the seed data.
    return replace(whole, accounts=(active[0], *more, *active[1:]), regions=(whole.home_region,))


def end_state(sandbox: Sandbox, account: SandboxAccount) -> object:
    """Return the state and the live resources of an account, without what differs in any two runs."""
    region = sandbox.organization.home_region
    s3 = sandbox.session(sandbox.organization.management_account_id, region).client("s3")
    key = f"session-manager/{region}/{account.id}/terraform.tfstate"
    state = json.loads(s3.get_object(Bucket=sandbox.state_bucket, Key=key)["Body"].read())
    session = sandbox.session(account.id, region)
    ssm, kms, iam = session.client("ssm"), session.client("kms"), session.client("iam")
    keys = [kms.describe_key(KeyId=key["KeyId"])["KeyMetadata"] for key in kms.list_keys()["Keys"]]
    versions = ssm.list_document_versions(Name=DOCUMENT)["DocumentVersions"]
    functions = session.client("lambda").list_functions()["Functions"]
    found = {
        "state": {**state, "serial": 0, "lineage": ""},
        "document": sorted(
            (each["DocumentVersion"], each["IsDefaultVersion"], document_of(ssm, each["DocumentVersion"]))
            for each in versions
        ),
        "keys": sorted((key["KeyManager"], key["KeyState"], key["Description"]) for key in keys),
        "aliases": sorted(alias["AliasName"] for alias in kms.list_aliases()["Aliases"]),
        "parameters": sorted(entry["Name"] for entry in ssm.describe_parameters()["Parameters"]),
        "groups": sorted(entry["logGroupName"] for entry in session.client("logs").describe_log_groups()["logGroups"]),
        "functions": sorted((entry["FunctionName"], entry["CodeSha256"]) for entry in functions),
        "roles": sorted(role["RoleName"] for role in iam.list_roles()["Roles"]),
        "policies": sorted(policy["Arn"] for policy in iam.list_policies(Scope="Local")["Policies"]),
    }
    return without_chance(found, account)


def document_of(ssm: Any, version: str) -> str:  # noqa: ANN401 - boto3's client
    return str(ssm.get_document(Name=DOCUMENT, DocumentVersion=version)["Content"])


def without_chance(found: object, account: SandboxAccount) -> object:
    """Leave out ids, times, the account, and the order of lists: terraform itself sorts not all of them."""
    text = CHANCE.sub("<chance>", json.dumps(found).replace(account.id, "<account>"))
    return in_order(json.loads(text))


def in_order(value: Any) -> Any:  # noqa: ANN401 - any JSON
    if isinstance(value, list):
        return sorted((in_order(item) for item in value), key=json.dumps)
    return {key: in_order(value[key]) for key in sorted(value)} if isinstance(value, dict) else value


def last_event(folder: Path, run_id: str) -> str:
    """The kind of the last event in the journal of a run; empty where a kill tore it."""
    line = (folder / "runs" / run_id / "journal.jsonl").read_text().splitlines()[-1]
    return str(json.loads(line)["event"]) if line.endswith("}") else ""
