#!/usr/bin/env python3
"""Let Prowler judge what a rollout creates in emulated accounts: `make posture`.

A failure about a resource of ours is fixed, or stands in tools/posture.yaml with its reason.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent
from typing import Any

import yaml

REPOSITORY = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(REPOSITORY / "scripts"))

from aws_sandbox import Sandbox, SandboxAccount, SandboxOrganization  # noqa: E402
from session_manager_fleet.cli.app import run  # noqa: E402

PROWLER = REPOSITORY / ".venv-prowler" / "bin" / "prowler"
ACCEPTED = Path(__file__).with_suffix(".yaml")
SERVICES = ("ssm", "kms", "cloudwatch", "awslambda", "sqs", "eventbridge", "config", "iam", "s3")
# Prowler's exit code for failed checks.
_FINDINGS = 3
# Parts of the names of what a rollout creates; keys are found by their aliases.
NAMES = ("session-manager", "sessionmanager", "Attach-ssm-policy", "iam-ec2-role-has-required-policy")
HOME, MANAGEMENT, MEMBER = "eu-west-1", "518407395516", "840281937465"
ORGANIZATION = SandboxOrganization(
    id="o-posture123456",
    management_account_id=MANAGEMENT,
    accounts=(
        SandboxAccount(MANAGEMENT, "Management", "management@example.com", ""),
        SandboxAccount(MEMBER, "Member", "member@example.com", "Workloads"),
        # The last ones hold what others have left behind.
        SandboxAccount("840281937466", "Second", "second@example.com", "Workloads"),
        SandboxAccount("840281937467", "Third", "third@example.com", "Workloads"),
        SandboxAccount("840281937468", "Fourth", "fourth@example.com", "Workloads"),
    ),
    organizational_units=(),
    home_region=HOME,
    regions=(HOME,),
)
SETTINGS = f"""\
    schema_version: 1
    organization:
      id: {ORGANIZATION.id}
      home_region: {HOME}
      regions: [{HOME}]
      deployment_role: {{name: {ORGANIZATION.deployment_role}}}
      log_archive_account: Member
    log_archive: {{}}
    defaults: {{preferences: {{block_public_sharing: true}}}}
"""


@dataclass(frozen=True, order=True)
class Failure:
    """A check of Prowler that a resource fails."""

    check: str
    resource: str

    def __str__(self) -> str:
        return f"{self.check}: {self.resource}"


@dataclass(frozen=True)
class Accepted:
    """A failure that stays: its check, a part of the name of the resource, and the reason."""

    check: str
    resource: str
    reason: str

    def covers(self, failure: Failure) -> bool:
        """Tell whether it is about a failure."""
        return failure.check == self.check and self.resource in failure.resource


def accepted() -> list[Accepted]:
    """Return the list of failures that stay."""
    return [Accepted(**entry) for entry in yaml.safe_load(ACCEPTED.read_text(encoding="utf-8"))]


def failures(findings: Iterable[Mapping[str, Any]], keys: Mapping[str, str]) -> Iterator[Failure]:
    """Yield the failures about resources of ours in Prowler's OCSF.

    Args:
        findings: Prowler's findings.
        keys: Aliases of our keys by the id of the key, which stand for it.
    """
    for finding in findings:
        if finding.get("status_code") != "FAIL":
            continue
        for resource in finding.get("resources", []):
            name = str(resource.get("uid") or resource.get("name") or "")
            name = next((alias for key, alias in keys.items() if key in name), name)
            if any(part.lower() in name.lower() for part in NAMES):
                yield Failure(finding["metadata"]["event_code"], name)


def judge(found: Iterable[Failure], listed: Iterable[Accepted]) -> list[str]:
    """Return what is wrong: failures that are not listed, and lines that no failure needs."""
    failed, stays = sorted(set(found)), list(listed)
    wrong = [
        f"Fix it, or list it in tools/posture.yaml: {one}" for one in failed if not any(e.covers(one) for e in stays)
    ]
    unused = [each for each in stays if not any(each.covers(one) for one in failed)]
    return wrong + [f"Take it out of tools/posture.yaml: {one.check}: {one.resource}" for one in unused]


def prowl(environment: Mapping[str, str], folder: Path) -> list[dict[str, Any]]:
    """Run Prowler's checks with the credentials of an account, and return its findings."""
    command = [str(PROWLER), "aws", "--services", *SERVICES, "--region", HOME, "--output-formats", "json-ocsf"]
    command += ["--output-directory", str(folder), "--output-filename", "posture", "--no-banner", "--no-color"]
    code = subprocess.run(command, env=dict(environment), cwd=folder, check=False).returncode
    if code not in {0, _FINDINGS}:
        sys.exit(f"Prowler ended with code {code}.")
    found: list[dict[str, Any]] = json.loads((folder / "posture.ocsf.json").read_text(encoding="utf-8"))
    return found


def main() -> int:
    """Roll out, let Prowler judge, and return the exit code."""
    if not PROWLER.exists():
        sys.stderr.write("SKIPPED: the security posture is not judged: run `make posture`, which installs Prowler.\n")
        return 0
    with tempfile.TemporaryDirectory() as scratch, Sandbox.start(ORGANIZATION, Path(scratch) / "sandbox") as sandbox:
        folder = Path(scratch)
        config = folder / "organization.yaml"
        config.write_text(dedent(SETTINGS), encoding="utf-8")
        os.environ.update(sandbox.environment())
        os.chdir(folder)
        if code := run(["-c", str(config), "apply", "--account", "Member", "--yes"]):
            sys.exit(f"The rollout ended with code {code}.")
        session = sandbox.session(MEMBER, HOME)
        credentials = session.get_credentials()
        assert credentials is not None  # noqa: S101 - the sandbox gave them
        frozen = credentials.get_frozen_credentials()
        environment = {
            **os.environ,
            "AWS_ACCESS_KEY_ID": str(frozen.access_key),
            "AWS_SECRET_ACCESS_KEY": str(frozen.secret_key),
            "AWS_SESSION_TOKEN": frozen.token or "",
        }
        aliases = session.client("kms").list_aliases()["Aliases"]
        keys = {each["TargetKeyId"]: each["AliasName"] for each in aliases if "TargetKeyId" in each}
        findings = prowl(environment, folder)
    failed = sorted(set(failures(findings, keys)))
    passed = sum(finding.get("status_code") == "PASS" for finding in findings)
    sys.stdout.write(f"Prowler: {len(findings)} findings, {passed} pass; failures about resources of ours:\n")
    sys.stdout.writelines(f"  {one}\n" for one in failed)
    wrong = judge(failed, accepted())
    sys.stderr.writelines(f"{line}\n" for line in wrong)
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
