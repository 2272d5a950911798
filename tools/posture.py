#!/usr/bin/env python3
"""Let Prowler judge what a rollout creates in emulated accounts: `make posture`.

A failure about a resource of ours is fixed, or stands in tools/posture.yaml with its reason. Ours are the resources of
the Terraform states; all other failures are about the accounts as they were before.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from textwrap import dedent
from typing import Any

import yaml

REPOSITORY = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(REPOSITORY / "scripts"))

from aws_sandbox import Sandbox, default_organization  # noqa: E402
from session_manager_fleet.cli.app import run  # noqa: E402
from session_manager_fleet.preferences import STORED_PARAMETER  # noqa: E402

PROWLER = REPOSITORY / ".venv-prowler" / "bin" / "prowler"
ACCEPTED = Path(__file__).with_suffix(".yaml")
SERVICES = ("ssm", "kms", "cloudwatch", "awslambda", "sqs", "eventbridge", "config", "iam", "s3")
# Prowler's exit code for failed checks.
_FINDINGS = 3
# Resources whose attribute `arn` is that of what they call.
_WITH_ANOTHER_ARN = {"aws_cloudwatch_event_target"}
# What the function writes is in no state.
_WRITTEN = dict.fromkeys(
    (":document/SSM-SessionManagerRunShell", f":parameter{STORED_PARAMETER}"),
    "module.preferences.aws_lambda_invocation.this",
)
_INDEX = re.compile(r"\[[^]]*\]")
# The account with the defaults, which also holds the log archive, and the one with the settings that cure failures.
DEFAULTS, CURED = "LogArchive", "Webshop"
ORGANIZATION = default_organization()
IDS = {account.name: account.id for account in ORGANIZATION.accounts if account.name in {DEFAULTS, CURED}}
HOME = ORGANIZATION.home_region
SETTINGS = f"""\
    schema_version: 1
    organization:
      id: {ORGANIZATION.id}
      home_region: {HOME}
      regions: [{HOME}]
      deployment_role: {{name: {ORGANIZATION.deployment_role}}}
      log_archive_account: {DEFAULTS}
    log_archive: {{}}
    defaults: {{preferences: {{block_public_sharing: true}}}}
    overrides:
      - match: {{accounts: [{CURED}]}}
        set:
          preferences:
            cloudwatch: {{retention_in_days: 365}}
            function: {{log_retention_in_days: 365}}
            drift_repair: {{notify_topic_arn: "arn:aws:sns:{HOME}:{IDS[CURED]}:session-manager"}}
"""


@dataclass(frozen=True, order=True)
class Failure:
    """A check of Prowler that a resource fails.

    Attributes:
        check: Name of the check.
        resource: Address of the resource, without indexes.
        account: Name of the account.
    """

    check: str
    resource: str
    account: str


@dataclass(frozen=True)
class Accepted:
    """A failure that stays.

    Attributes:
        check: Name of the check.
        resource: Address of the resource, without indexes.
        reason: Why the default stays.
        cured_by: Setting with which the resource passes; empty if there is none.
    """

    check: str
    resource: str
    reason: str
    cured_by: str = ""

    def covers(self, failure: Failure) -> bool:
        """Tell whether it is about a failure."""
        same = failure.check == self.check and self.resource == failure.resource
        return same and not (self.cured_by and failure.account == CURED)


def accepted() -> list[Accepted]:
    """Return the list of failures that stay."""
    return [Accepted(**entry) for entry in yaml.safe_load(ACCEPTED.read_text(encoding="utf-8"))]


def resources_of(state: Mapping[str, Any]) -> dict[str, str]:
    """Return the addresses, without indexes, of the resources of a state by their ARNs."""
    found: dict[str, str] = {}
    for resource in state["resources"]:
        if resource["mode"] != "managed" or resource["type"] in _WITH_ANOTHER_ARN:
            continue
        parts = (resource.get("module", ""), resource["type"], resource["name"])
        address = _INDEX.sub("", ".".join(part for part in parts if part))
        arns = {instance["attributes"].get("arn") for instance in resource["instances"]}
        found |= dict.fromkeys(arns - {None, ""}, address)
    return found


def owner(arn: str, resources: Mapping[str, str]) -> str | None:
    """Return the address of the resource that Prowler names, or None if it is not ours."""
    for suffix, address in _WRITTEN.items():
        if arn.endswith(suffix):
            return address
    # Prowler names an Automation document as a document, and a log group with a star for its streams.
    named = arn.replace(":document/", ":automation-definition/").removesuffix(":*")
    return resources.get(named)


def failures(findings: Iterable[Mapping[str, Any]], resources: Mapping[str, str], account: str) -> Iterator[Failure]:
    """Yield the failures about resources of ours in Prowler's OCSF, also those that Prowler's own list mutes.

    Raises:
        ValueError: A failure names no ARN, so that nothing says whose it is.
    """
    for finding in findings:
        if finding["status_code"] != "FAIL":
            continue
        check = finding["metadata"]["event_code"]
        for resource in finding["resources"]:
            if not resource["uid"].startswith("arn:"):
                raise ValueError(f"{check} fails for {resource['uid']!r}, which is not an ARN.")
            if address := owner(resource["uid"], resources):
                yield Failure(check, address, account)


def judge(found: Iterable[Failure], listed: Sequence[Accepted]) -> list[str]:
    """Return what is wrong: failures that are not listed, and entries that no failure needs."""
    failed = sorted(set(found))
    wrong = [
        f"Fix it, or list it in tools/posture.yaml: {one.check}: {one.resource} (in {one.account})"
        for one in failed
        if not any(each.covers(one) for each in listed)
    ]
    unused = [each for each in listed if not any(each.covers(one) for one in failed)]
    return wrong + [f"Take it out of tools/posture.yaml: {one.check}: {one.resource}" for one in unused]


def trimmed(finding: Mapping[str, Any]) -> dict[str, Any]:
    """Return what this program reads of a finding."""
    return {
        "metadata": {"event_code": finding["metadata"]["event_code"]},
        "status_code": finding["status_code"],
        "resources": [{"uid": one["uid"]} for one in finding["resources"]],
    }


def sample_of(resources: Mapping[str, str], findings: Mapping[str, Sequence[Mapping[str, Any]]]) -> str:
    """Return what Prowler found as JSON, a line for each finding, for the tests."""
    accounts = (
        f'"{account}": [\n' + ",\n".join(json.dumps(one) for one in found) + "\n]"
        for account, found in findings.items()
    )
    return (
        f'{{"resources": {json.dumps(resources, indent=1, sort_keys=True)},\n"findings": {{{", ".join(accounts)}}}}}\n'
    )


def prowl(sandbox: Sandbox, folder: Path, account: str) -> list[dict[str, Any]]:
    """Run Prowler's checks in an account, and return its findings."""
    credentials = sandbox.session(IDS[account], HOME).get_credentials()
    assert credentials is not None  # noqa: S101 - the sandbox gave them
    frozen = credentials.get_frozen_credentials()
    environment = {
        **os.environ,
        "AWS_ACCESS_KEY_ID": str(frozen.access_key),
        "AWS_SECRET_ACCESS_KEY": str(frozen.secret_key),
        "AWS_SESSION_TOKEN": frozen.token or "",
    }
    command = [str(PROWLER), "aws", "--services", *SERVICES, "--region", HOME, "--output-formats", "json-ocsf"]
    command += ["--output-directory", str(folder), "--output-filename", account, "--no-banner", "--no-color"]
    ended = subprocess.run(command, env=environment, cwd=folder, check=False, capture_output=True, text=True)
    if ended.returncode not in {0, _FINDINGS}:
        sys.exit(f"Prowler ended with code {ended.returncode} in {account}:\n{ended.stdout}{ended.stderr}")
    found: list[dict[str, Any]] = json.loads((folder / f"{account}.ocsf.json").read_text(encoding="utf-8"))
    return found


def states(sandbox: Sandbox) -> dict[str, str]:
    """Return the addresses of all resources that the rollout created, by what AWS calls them."""
    s3 = sandbox.session(ORGANIZATION.management_account_id, HOME).client("s3")
    keys = [each["Key"] for each in s3.list_objects_v2(Bucket=sandbox.state_bucket)["Contents"]]
    found: dict[str, str] = {}
    for key in keys:
        if key.endswith(".tfstate"):
            found |= resources_of(json.load(s3.get_object(Bucket=sandbox.state_bucket, Key=key)["Body"]))
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Roll out, let Prowler judge, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sample", type=Path, help="write what Prowler found to this file, for the tests")
    sample = parser.parse_args(arguments).sample
    sample = sample and sample.resolve()
    if not PROWLER.exists():
        sys.exit("Prowler is not installed: run `make posture`, which installs it.")
    with tempfile.TemporaryDirectory() as scratch, Sandbox.start(ORGANIZATION, Path(scratch) / "sandbox") as sandbox:
        folder = Path(scratch)
        config = folder / "organization.yaml"
        config.write_text(dedent(SETTINGS), encoding="utf-8")
        os.environ.update(sandbox.environment())
        os.chdir(folder)
        selected = [word for name in IDS for word in ("--account", name)]
        if code := run(["-c", str(config), "apply", *selected, "--yes"]):
            sys.exit(f"The rollout ended with code {code}.")
        resources = states(sandbox)
        with ThreadPoolExecutor() as pool:
            findings = dict(zip(IDS, pool.map(partial(prowl, sandbox, folder), IDS), strict=True))
        os.chdir(REPOSITORY)
    kept = {name: [trimmed(one) for one in found] for name, found in findings.items()}
    if sample:
        sample.write_text(sample_of(resources, kept), encoding="utf-8")
    failed = sorted({one for name, found in kept.items() for one in failures(found, resources, name)})
    statuses = [one["status_code"] for found in kept.values() for one in found]
    ours = sum(1 for name, found in kept.items() for _ in failures(found, resources, name))
    sys.stdout.write(
        f"Prowler: {len(statuses)} findings in {len(kept)} accounts, {statuses.count('PASS')} pass, "
        f"{statuses.count('FAIL')} fail: {statuses.count('FAIL') - ours} about the accounts as they were, "
        f"{ours} about resources of ours:\n"
    )
    sys.stdout.writelines(f"  {one.check}: {one.resource} (in {one.account})\n" for one in failed)
    wrong = judge(failed, accepted())
    sys.stderr.writelines(f"{line}\n" for line in wrong)
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
