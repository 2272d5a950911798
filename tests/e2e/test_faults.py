"""Injected faults: each ends in the right bucket, with the right exit code, and nothing is left worse than it was.

Where the provider does not matter, a root module without one stands in for the real one: terraform itself, its S3
backend, the emulated AWS and all of the rollout are real, and a step takes a fraction of a second.
"""

import errno
import json
import os
import shutil
import stat
import subprocess
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml

from aws_sandbox import Sandbox
from session_manager_fleet.accounts.model import Account
from session_manager_fleet.preferences.expected import expected_preferences
from session_manager_fleet.run.job import perform
from session_manager_fleet.run.job_description import Job, JobSettings
from session_manager_fleet.run.results import Status, Step, TargetResult
from session_manager_fleet.run.reviewed_plan import ReviewedPlan
from session_manager_fleet.run.saved_plan import Toolchain
from session_manager_fleet.settings.roles import AccountRole, Roles
from session_manager_fleet.settings.target import TargetSettings
from session_manager_fleet.targets.model import Target
from session_manager_fleet.terraform.backend import StateBackend
from session_manager_fleet.terraform.command import Terraform
from session_manager_fleet.terraform.installation import child_environment, find_terraform, terraform_version
from session_manager_fleet.terraform.retry_tokens import read_retry_tokens
from session_manager_fleet.terraform.root_module import ROOT_MODULE, RootModule
from session_preferences.document import build, render
from tests.waiting import wait_for

PROJECT = Path(__file__).resolve().parents[2]
HOME = "eu-west-1"
DOCUMENT = "SSM-SessionManagerRunShell"
TARGET_SETTINGS = {
    "session_key": {"enabled": False},
    "cloudwatch": {"log_group_name": "sessions", "encryption_enabled": False},
}

# Like the real root module it has the configured preferences as an output; an apply changes a resource.
ROOT = """\
terraform {
  backend "s3" {}
}

variable "wanted" {
  type = any
}

variable "preferences" {
  type = any
}

variable "number" {
  type = number
}

resource "terraform_data" "this" {
  input = var.number
}

output "preferences" {
  value = var.wanted
}
"""

pytestmark = pytest.mark.terraform


@dataclass(frozen=True)
class Workshop:
    """A target whose root module needs no provider."""

    sandbox: Sandbox
    settings: JobSettings
    target: Target
    folder: Path
    terraform: Terraform
    data_folder: Path

    @property
    def wanted(self) -> dict[str, Any]:
        """What the settings ask the function for."""
        settings = TargetSettings.model_validate({"preferences": TARGET_SETTINGS})
        return expected_preferences(self.target, settings, None)

    def job(self, step: Step, reviewed: ReviewedPlan | None = None, number: int = 1) -> Job:
        variables = (
            f"wanted = {json.dumps(self.wanted)}\npreferences = {json.dumps(TARGET_SETTINGS)}\nnumber = {number}\n"
        )
        return Job(step, self.target, variables, self.settings, reviewed)

    def plan(self, number: int = 1) -> TargetResult:
        result = perform(self.job(Step.PLAN, number=number), self.folder, self.terraform)
        assert result.status is Status.CHANGES, result.failure
        return result

    def apply(self, planned: TargetResult, number: int = 1) -> TargetResult:
        return perform(
            self.job(Step.APPLY, ReviewedPlan.of(planned), number),
            self.folder,
            self.terraform,
        )

    def write_document(self, **changes: object) -> None:
        ssm = self.sandbox.session(self.target.account.id, HOME).client("ssm")
        text = render(build({**self.wanted["preferences"], **changes}))
        ssm.create_document(Name=DOCUMENT, Content=text, DocumentType="Session", DocumentFormat="JSON")

    @property
    def lock_key(self) -> str:
        return f"faults/{HOME}/{self.target.workspace}/terraform.tfstate.tflock"

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the state lock as another user for the block."""
        s3 = self.sandbox.session(self.sandbox.organization.management_account_id, HOME).client("s3")
        held = {
            "ID": "83c0b8e1-d95e-ac6c-a49a-70ddc3ee8cf1",
            "Operation": "OperationTypeApply",
            "Info": "",
            "Who": "ci@runner-7",
            "Version": "1.11.4",
            "Created": "2026-11-21T20:00:00.123456Z",
            "Path": f"{self.sandbox.state_bucket}/faults/{HOME}/{self.target.workspace}/terraform.tfstate",
        }
        s3.put_object(Bucket=self.sandbox.state_bucket, Key=self.lock_key, Body=json.dumps(held))
        try:
            yield
        finally:
            s3.delete_object(Bucket=self.sandbox.state_bucket, Key=self.lock_key)

    def is_locked(self) -> bool:
        s3 = self.sandbox.session(self.sandbox.organization.management_account_id, HOME).client("s3")
        return bool(s3.list_objects_v2(Bucket=self.sandbox.state_bucket, Prefix=self.lock_key).get("Contents"))


@pytest.fixture
def workshop(sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workshop]:
    for name, value in sandbox.environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("session_preferences.aws.Budget.pause", lambda *_: None)
    account = next(account for account in sandbox.organization.accounts if account.name == "Audit")
    root, data_folder = tmp_path / "root", tmp_path / "data"
    root.mkdir()
    (root / "main.tf").write_text(ROOT)
    # The states of another test must not be met here.
    backend = StateBackend(sandbox.state_bucket, HOME, "faults")
    binary = find_terraform()
    terraform = Terraform(
        binary=binary,
        root=RootModule(root),
        data_folder=data_folder,
        environment=child_environment(os.environ, tmp_path),
        lock_timeout_seconds=1,
    )
    terraform.init(backend.configuration(HOME), tmp_path / "init.log")
    settings = JobSettings(
        tools=Toolchain.of(terraform.root, terraform_version(binary)),
        roles=Roles(AccountRole(name=sandbox.organization.deployment_role)),
        backend=backend,
    )
    folder = tmp_path / "target"
    folder.mkdir(mode=0o700)
    target = Target(Account(account.id, account.name), HOME, HOME)
    yield Workshop(sandbox, settings, target, folder, terraform, data_folder)
    sandbox.clear_faults()
    s3 = sandbox.session(sandbox.organization.management_account_id, HOME).client("s3")
    for entry in s3.list_objects_v2(Bucket=sandbox.state_bucket, Prefix="faults/").get("Contents", []):
        s3.delete_object(Bucket=sandbox.state_bucket, Key=entry["Key"])
    ssm = sandbox.session(account.id, HOME).client("ssm")
    if any(found["Name"] == DOCUMENT for found in ssm.list_documents(Filters=[])["DocumentIdentifiers"]):
        ssm.delete_document(Name=DOCUMENT)


def bucket_of(result: TargetResult) -> str:
    assert result.status is Status.FAILED, result
    assert result.failure is not None
    return result.failure.kind


# --- Terraform itself --------------------------------------------------------------------------------------------


def test_what_was_planned_is_applied_and_read_back(workshop: Workshop) -> None:
    planned = workshop.plan()
    workshop.write_document()

    applied = workshop.apply(planned)

    assert (applied.status, applied.verified) == (Status.APPLIED, True), applied.failure
    assert not workshop.is_locked()


def test_a_state_that_changed_since_the_plan_is_refused(workshop: Workshop, tmp_path: Path) -> None:
    workshop.write_document()
    early = workshop.plan()
    kept = tmp_path / "kept"
    shutil.copytree(workshop.folder, kept)
    assert workshop.apply(workshop.plan()).status is Status.APPLIED

    late = perform(workshop.job(Step.APPLY, ReviewedPlan.of(early)), kept, workshop.terraform)

    assert bucket_of(late) == "input"
    assert late.failure is not None
    assert late.failure.message.startswith("The state has changed since the plan was made; plan again.")


def test_a_tampered_plan_is_refused_before_terraform_sees_it(workshop: Workshop) -> None:
    planned = workshop.plan()
    with (workshop.folder / "tfplan").open("ab") as file:
        file.write(b"x")
    log = (workshop.folder / "terraform.log").read_text()

    assert bucket_of(workshop.apply(planned)) == "input"
    assert (workshop.folder / "terraform.log").read_text() == log


@pytest.mark.parametrize("exists", [True, False])
def test_a_lock_tells_who_holds_it(workshop: Workshop, exists: bool) -> None:
    if exists:
        workshop.plan()
    with workshop.locked():
        result = perform(workshop.job(Step.PLAN), workshop.folder, workshop.terraform)

        assert bucket_of(result) == "terraform"
        assert result.failure is not None
        assert "locked by ci@runner-7 since 2026-11-21 20:00:00" in result.failure.message
        assert workshop.is_locked()


def test_a_terraform_that_the_kernel_kills_is_a_failure(workshop: Workshop, tmp_path: Path) -> None:
    waiting = Terraform(
        binary=find_terraform(),
        root=workshop.terraform.root,
        data_folder=workshop.data_folder,
        environment=child_environment(os.environ, tmp_path),
    )
    # A state that exists is waited for.
    workshop.plan()
    results: list[TargetResult] = []
    thread = threading.Thread(target=lambda: results.append(perform(workshop.job(Step.PLAN), workshop.folder, waiting)))
    with workshop.locked():
        thread.start()
        log = workshop.folder / "terraform.log"
        wait_for(lambda: log.exists() and "Acquiring state lock" in log.read_text())
        for child in psutil.Process().children(recursive=True):
            if child.name() == "terraform":
                child.kill()
        thread.join(30)

    (result,) = results
    assert bucket_of(result) == "terraform"
    assert result.failure is not None
    assert result.failure.diagnostics == ("terraform was ended by signal 9; the kernel does so when memory runs out.",)


def test_a_log_on_a_full_disk_does_not_stop_an_apply(workshop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    workshop.write_document()
    planned = workshop.plan()
    log, write = (workshop.folder / "terraform.log").stat(), os.write
    refused: list[bytes] = []

    def on_a_full_disk(handle: int, content: bytes) -> int:
        if os.path.samestat(os.fstat(handle), log):
            refused.append(content)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(handle, content)

    monkeypatch.setattr(os, "write", on_a_full_disk)

    assert workshop.apply(planned).status is Status.APPLIED
    assert refused


# A resource whose creation takes until the test creates the file `go`.
SLOW = """
resource "terraform_data" "slow" {
  input = terraform.workspace

  provisioner "local-exec" {
    command = "touch {folder}/$TF_WORKSPACE; while [ ! -e {folder}/go ]; do sleep 0.05; done"
  }
}
"""


def test_states_that_cannot_be_saved_are_kept_and_pushed_before_the_run_goes_on(
    workshop: Workshop, tmp_path: Path
) -> None:
    signals, root = tmp_path / "signals", workshop.terraform.root.path
    signals.mkdir()
    (root / "main.tf").write_text(ROOT + SLOW.replace("{folder}", str(signals)))
    other = next(account for account in workshop.sandbox.organization.accounts if account.name == "Webshop")
    (tmp_path / "other").mkdir(mode=0o700)
    target = Target(Account(other.id, other.name), HOME, HOME)
    both = [workshop, replace(workshop, target=target, folder=tmp_path / "other")]
    plans = [one.plan() for one in both]

    with ThreadPoolExecutor() as threads:
        applies = [threads.submit(one.apply, plan) for one, plan in zip(both, plans, strict=True)]
        wait_for(lambda: len(list(signals.iterdir())) == len(both))
        workshop.sandbox.inject_fault("s3", "PutObject", code="AccessDenied", times=-1)
        (signals / "go").touch()
        lost = [apply.result() for apply in applies]
    workshop.sandbox.clear_faults()

    assert not list(root.glob("errored*"))
    for one, result in zip(both, lost, strict=True):
        kept = one.folder / "errored.tfstate"
        assert bucket_of(result) == "terraform"
        assert result.failure is not None
        assert f"It could not save its state, which is kept in {kept}." in result.failure.message
        made = {resource["name"]: resource["instances"] for resource in json.loads(kept.read_text())["resources"]}
        assert made["slow"][0]["attributes"]["output"]["value"] == one.target.workspace
        assert stat.S_IMODE(kept.stat().st_mode) == 0o600
        assert not list(one.folder.glob("apply-*"))
        assert not one.is_locked()

        refused = perform(one.job(Step.PLAN), one.folder, one.terraform)
        assert bucket_of(refused) == "input"
        assert refused.failure is not None
        for command in refused.failure.diagnostics:
            environment = child_environment(os.environ, tmp_path)
            subprocess.run(command, shell=True, cwd=root, env=environment, check=True, capture_output=True)  # noqa: S602 - as a person would

        assert perform(one.job(Step.PLAN), one.folder, one.terraform).status is Status.NO_CHANGES


# --- Reading back ------------------------------------------------------------------------------------------------


def test_a_document_that_changed_after_the_apply_is_a_failed_verification(workshop: Workshop) -> None:
    planned = workshop.plan()
    workshop.write_document(idleSessionTimeout=60)

    result = workshop.apply(planned)

    assert bucket_of(result) == "verification"
    assert result.verified is False
    assert result.failure is not None
    assert result.failure.diagnostics[0] == 'inputs.idleSessionTimeout ("60" to "20")'
    assert read_retry_tokens(workshop.settings.backend) == {workshop.target.key: 1}


def test_throttling_is_waited_out(workshop: Workshop) -> None:
    planned = workshop.plan()
    workshop.write_document()
    account = workshop.target.account.id
    workshop.sandbox.inject_fault("ssm", "DescribeDocument", account=account, code="ThrottlingException", times=4)

    assert workshop.apply(planned).verified is True


def test_credentials_that_expire_before_the_read_back_are_a_matter_of_access(workshop: Workshop) -> None:
    planned = workshop.plan()
    workshop.write_document()
    workshop.sandbox.inject_fault("sts", "AssumeRole", code="ExpiredTokenException", times=-1)

    result = workshop.apply(planned)

    assert bucket_of(result) == "access"
    assert result.failure is not None
    assert "The AWS credentials have expired; sign in again." in result.failure.message
    assert result.failure.diagnostics == ("The next plan writes the preferences again.",)


# --- The real root module, through the command line --------------------------------------------------------------


def settings_file(sandbox: Sandbox, tmp_path: Path, idle_timeout: int = 20, **role: str) -> Path:
    """Settings without what takes long, and without what other accounts must have first."""
    settings = {
        "schema_version": 1,
        "organization": {
            "id": sandbox.organization.id,
            "home_region": HOME,
            "regions": list(sandbox.organization.regions),
            "deployment_role": {"name": sandbox.organization.deployment_role, **role},
        },
        "defaults": {
            "preferences": {
                "idle_session_timeout": idle_timeout,
                "drift_repair": {"enabled": False},
                "shell_profile": {"linux": f"echo profile-canary-{idle_timeout}"},
            },
            "config_rule": {"enabled": False},
        },
    }
    path = tmp_path / "organization.yaml"
    path.write_text(yaml.safe_dump(settings))
    return path


def test_a_provider_that_crashes_is_a_failure_and_leaves_no_lock(workshop: Workshop, tmp_path: Path) -> None:
    real = Terraform(
        binary=find_terraform(),
        root=ROOT_MODULE,
        data_folder=tmp_path / "real",
        environment=child_environment(os.environ, tmp_path),
    )
    real.init(workshop.settings.backend.configuration(HOME), tmp_path / "init.log")
    target = workshop.target
    variables = f'account_id = "{target.account.id}"\nregion = "{HOME}"\nhome_region = "{HOME}"\n'
    variables += f'deployment_role = {{ name = "{workshop.settings.roles.deployment.name}" }}\n'
    job = replace(workshop.job(Step.PLAN), variables=variables)
    results: list[TargetResult] = []
    thread = threading.Thread(target=lambda: results.append(perform(job, workshop.folder, real)))

    thread.start()
    while thread.is_alive():
        for child in psutil.Process().children(recursive=True):
            with suppress(psutil.Error):
                if child.name().startswith("terraform-provi"):
                    child.kill()
        thread.join(0.05)

    (result,) = results
    assert bucket_of(result) == "terraform", result
    assert result.failure is not None
    assert result.failure.diagnostics
    assert not workshop.is_locked()


@contextmanager
def untrusted_role(sandbox: Sandbox, account_id: str) -> Iterator[None]:
    """For a while, the deployment role of an account trusts only an account that does not exist."""
    iam = sandbox.session(account_id, "us-east-1").client("iam")
    role = sandbox.organization.deployment_role
    before = iam.get_role(RoleName=role)["Role"]["AssumeRolePolicyDocument"]
    statement = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": "arn:aws:iam::999999999999:root"}}
    iam.update_assume_role_policy(
        RoleName=role, PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    )
    try:
        yield
    finally:
        iam.update_assume_role_policy(RoleName=role, PolicyDocument=json.dumps(before))


def test_a_target_without_access_is_reported_and_the_others_go_on(
    sandbox: Sandbox, rollout: Callable[..., Any], tmp_path: Path
) -> None:
    audit = next(account.id for account in sandbox.organization.accounts if account.name == "Audit")
    config = settings_file(sandbox, tmp_path)
    with untrusted_role(sandbox, audit):
        finished = rollout("plan", "--account", "Audit", "--account", "Webshop", "--region", HOME, config=config)

    assert finished.code == 1, finished.output
    targets = {entry["account_name"]: entry for entry in finished.summary["targets"]}
    failed, webshop = targets["Audit"], targets["Webshop"]
    assert (failed["status"], failed["step"], failed["region"]) == ("failed", "plan", HOME)
    assert failed["failure"]["kind"] == "access"
    assert any("Cannot assume IAM Role" in text for text in failed["failure"]["diagnostics"])
    assert f"{audit} Audit {HOME}: plan: access denied" in finished.plain
    assert (webshop["status"], webshop["failure"]) == ("changes", None)
    # This account has a document that another tool made.
    preview = {change["path"]: (change["from"], change["to"]) for change in webshop["preview"]}
    assert preview["inputs.s3BucketName"] == ("webshop-session-logs", "")
    assert preview["inputs.kmsKeyId"] == ("", "(known after apply)")
    assert preview["inputs.shellProfile.linux"] == ("(sensitive)", "(sensitive)")
    assert "webshop-session-logs" in finished.plain

    (plan,) = finished.folder.glob(f"runs/*/{webshop['account_id']}/{HOME}/tfplan")
    plan.write_bytes(plan.read_bytes() + b"x")
    applied = rollout("apply", finished.summary["run_id"], config=config)
    assert applied.code == 1
    assert "was changed after the plan was made" in applied.plain


@pytest.mark.slow
def test_a_failed_update_is_made_again_and_everything_can_be_destroyed(
    sandbox: Sandbox, rollout: Callable[..., Any], tmp_path: Path
) -> None:
    account = next(account.id for account in sandbox.organization.accounts if account.name == "Webshop")
    selection = ("--account", "Webshop", "--region", "us-east-1")
    canary = "external-canary-4711"
    config = settings_file(sandbox, tmp_path, external_id=canary)
    session = sandbox.session(account, "us-east-1")
    ssm, logs = session.client("ssm"), session.client("logs")

    def idle_timeout() -> str:
        content = json.loads(ssm.get_document(Name=DOCUMENT, DocumentVersion="$DEFAULT")["Content"])
        return str(content["inputs"]["idleSessionTimeout"])

    applied = rollout("apply", *selection, "--yes", config=config)
    assert applied.code == 0, applied.output
    assert [entry["verified"] for entry in applied.summary["targets"]] == [True]
    assert idle_timeout() == "20"

    # Terraform's next plan would show nothing, though the document was never written.
    settings_file(sandbox, tmp_path, idle_timeout=7, external_id=canary)
    # An error that the function does not wait for, unlike a missing permission.
    sandbox.inject_fault("ssm", "UpdateDocument", account=account, code="InvalidDocumentOperation", times=-1)
    failed = rollout("apply", *selection, "--yes", config=config)
    sandbox.clear_faults()
    assert failed.code == 1, failed.output
    (entry,) = failed.summary["targets"]
    assert (entry["failure"]["kind"], idle_timeout()) == ("terraform", "20")
    assert entry["failure"]["diagnostics"][-1] == "The next plan writes the preferences again."
    [change_set] = failed.summary["change_sets"]
    [call] = [change for change in change_set["changes"] if "aws_lambda_invocation" in change["address"]]
    values = {attribute["path"]: (attribute["before"], attribute["after"]) for attribute in call["attributes"]}
    assert values["jsondecode(input).preferences.shellProfile.linux"] == ("(sensitive)", "(sensitive)")
    assert values["jsondecode(input).preferences.idleSessionTimeout"] == (20, 7)

    planned = rollout("plan", *selection, config=config)
    assert planned.code == 2, planned.output
    repaired = rollout("apply", planned.summary["run_id"], config=config)
    assert repaired.code == 0, repaired.output
    assert [entry["verified"] for entry in repaired.summary["targets"]] == [True]
    assert idle_timeout() == "7"

    assert rollout("destroy", *selection, "--yes", config=config).code == 64
    assert idle_timeout() == "7"
    destroyed = rollout("destroy", *selection, "--yes", "--allow-destroy", config=config)
    assert destroyed.code == 0, destroyed.output
    assert not [found for found in ssm.list_documents()["DocumentIdentifiers"] if found["Name"] == DOCUMENT]
    assert logs.describe_log_groups(logGroupNamePrefix="ssm-sessionmanager-logs")["logGroups"] == []

    for folder, folders, files in os.walk(tmp_path / "runs" / planned.summary["run_id"]):
        # Of a mirror, terraform's data folder holds links to the provider.
        paths = [path for name in (*folders, *files) if not (path := Path(folder, name)).is_symlink()]
        assert {(path, stat.S_IMODE(path.stat().st_mode)) for path in paths} == {
            (path, 0o700 if path.is_dir() else 0o600) for path in paths
        }
    # Only terraform needs it, and nothing is left to apply.
    assert not (tmp_path / "runs" / planned.summary["run_id"] / ".terraform").exists()

    secrets = [canary, "profile-canary", sandbox.environment()["AWS_SECRET_ACCESS_KEY"]]
    # The inputs of terraform, and what it makes of them, hold what is put into them.
    inputs = {"terraform.tfvars", "tfplan", "plan.json"}
    files = [path for path in (tmp_path / "runs").rglob("*") if path.is_file() and path.name not in inputs]
    assert {"journal.jsonl", "summary.json", "terraform.log", "bundle.json"} <= {path.name for path in files}
    texts = [path.read_text(errors="replace") for path in files if ".terraform" not in path.parts]
    texts += [finished.output for finished in (applied, failed, planned, repaired, destroyed)]
    texts += [
        rollout("report", failed.summary["run_id"], "--format", name, config=config).output
        for name in ("table", "json", "csv", "markdown", "junit", "html")
    ]
    assert not [secret for secret in secrets for text in texts if secret in text]
