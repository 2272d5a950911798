"""The workflows: what they may do, what they use, and that failed jobs can be repeated."""

import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml
from moto.server import ThreadedMotoServer

PROJECT = Path(__file__).resolve().parents[2]
GITHUB = PROJECT / ".github"
WORKFLOWS = sorted((GITHUB / "workflows").glob("*.yml"))
ACTIONS = re.compile(r"uses: (?P<action>[\w-]+/[\w-]+)(?:/[\w-]+)?@(?P<commit>\S+) # (?P<tag>\S+)$", re.MULTILINE)
PROGRAMS = Path(sys.executable).parent


def workflow(name: str) -> dict[str, Any]:
    """The content, with the key `on` as YAML 1.1 reads it: true."""
    content: dict[str, Any] = yaml.safe_load((GITHUB / "workflows" / name).read_text(encoding="utf-8"))
    return content


def test_every_action_is_pinned_to_the_commit_of_its_row_in_the_documentation() -> None:
    page = (PROJECT / "docs" / "ci.md").read_text(encoding="utf-8")
    documented = set(re.findall(r"^\| ([\w-]+/[\w-]+) \| (v[\d.]+) \| `([0-9a-f]{40})` \|$", page, re.MULTILINE))
    used = set()
    for file in sorted(GITHUB.rglob("*.yml")):
        text = file.read_text(encoding="utf-8")
        found = [(one["action"], one["tag"], one["commit"]) for one in ACTIONS.finditer(text)]
        assert len(found) == len(re.findall(r"uses: (?!\./)", text)), file
        used.update(found)
    assert used == documented


@pytest.mark.parametrize("file", WORKFLOWS, ids=lambda file: file.stem)
def test_permissions_are_given_to_jobs_and_only_as_needed(file: Path) -> None:
    content = workflow(file.name)
    assert content["permissions"] == {"contents": "read"}
    assert content["concurrency"]["group"]
    for name, job in content["jobs"].items():
        text = yaml.safe_dump(job)
        uses_roles = any(
            name in text
            for name in ("./.github/actions/rollout", "attest-build-provenance", "configure-aws-credentials")
        )
        assert ("id-token" in job.get("permissions", {})) == uses_roles, name
        assert job["timeout-minutes"], name
        # In the shell, only as variables: otherwise the name of a branch or an input could run commands.
        assert not any("${{" in step.get("run", "") for step in job["steps"]), name


def test_pull_requests_get_the_role_that_reads_only() -> None:
    for file in WORKFLOWS:
        text = file.read_text(encoding="utf-8")
        if "pull_request" in text or "schedule" in text:
            assert "ROLLOUT_APPLY_ROLE" not in text, file


def test_what_changes_an_organization_runs_once_at_a_time_and_in_an_environment() -> None:
    groups = {workflow(name)["concurrency"]["group"] for name in ("rollout-apply.yml", "rollout-resume.yml")}
    assert groups == {"rollout-${{ inputs.settings }}"}
    for name in ("rollout-apply.yml", "rollout-resume.yml"):
        assert workflow(name)["concurrency"]["cancel-in-progress"] is False
        for job in workflow(name)["jobs"].values():
            assert str(job["environment"]).startswith("rollout-")


def test_zizmor_and_the_schema_find_planted_defects(tmp_path: Path) -> None:
    """The gate itself: `make lint-workflows` runs both on the real files."""
    folder = tmp_path / ".github" / "workflows"
    folder.mkdir(parents=True)
    text = (GITHUB / "workflows" / "rollout-apply.yml").read_text(encoding="utf-8")
    planted = folder / "planted.yml"
    per_job = "    permissions:\n      contents: read\n      id-token: write\n"
    for_all = text.replace(per_job, "").replace("permissions:\n", "permissions:\n  id-token: write\n", 1)
    planted.write_text(for_all, encoding="utf-8")
    command = [str(PROGRAMS / "zizmor"), "--offline", "--quiet", "--no-progress", str(folder)]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    assert found.returncode != 0
    assert "excessive-permissions" in found.stdout
    assert "planted.yml" in found.stdout
    planted.write_text(text.replace("timeout-minutes", "timeout_minutes"), encoding="utf-8")
    schema = [str(PROGRAMS / "check-jsonschema"), "--builtin-schema", "vendor.github-workflows", str(planted)]
    refused = subprocess.run(schema, capture_output=True, text=True, check=False)
    assert refused.returncode != 0
    assert "planted.yml" in refused.stdout


AWS = """#!/usr/bin/env bash
# aws s3 cp|sync [options] FROM TO: folders instead of a bucket. As the AWS CLI, it takes an empty source for done.
args=()
for arg in "$@"; do
  case "$arg" in
    --exclude) skip=1;;
    --*) ;;
    *) if [ -n "$skip" ]; then skip=; else args+=("${arg/s3:\\/\\//$STORE/}"); fi;;
  esac
done
from=${args[2]}; to=${args[3]}
[ -d "$from" ] || exit 0
mkdir -p "$to" && cp -R "$from/." "$to/"
"""

ROLLOUT = """#!/usr/bin/env bash
# python scripts/rollout.py …: keeps a journal of the run; the first attempt fails.
echo "$*" >>"$STORE/calls"
case "$*" in
  *" apply "*)
    grep -q "done $ATTEMPT_BEFORE" "runs/$RUN/journal.jsonl" 2>/dev/null && known=yes
    echo "done $ATTEMPT" >>"runs/$RUN/journal.jsonl"
    [ "$ATTEMPT" = 2 ] && [ -z "$known" ] && { echo "the first attempt is forgotten" >&2; exit 3; }
    [ "$ATTEMPT" = 1 ] && exit 1; exit 0;;
  *) exit 0;;
esac
"""


@pytest.mark.parametrize("job", ["canary", "everyone"])
def test_a_repeated_job_continues_where_the_first_attempt_ended(tmp_path: Path, job: str) -> None:
    """GitHub keeps the number of the workflow run and counts the attempt on "Re-run failed jobs"."""
    content = workflow("rollout-apply.yml")
    assert "run_attempt" not in content["env"]["RUNS"]
    programs, store = tmp_path / "bin", tmp_path / "store"
    programs.mkdir()
    for name, text in (("aws", AWS), ("python", ROLLOUT)):
        (programs / name).write_text(text, encoding="utf-8")
        (programs / name).chmod(0o755)
    before = {"canary": "merged/20260101T000000Z-abcd", "everyone": "canary/20260101T000000Z-abcd"}[job]
    (store / "runs" / "1" / before).mkdir(parents=True)
    (store / "runs" / "1" / before / "journal.jsonl").write_text("planned\n", encoding="utf-8")
    codes = []
    for attempt in (1, 2):
        machine = tmp_path / f"machine{attempt}"
        machine.mkdir()
        environment = {
            "PATH": f"{programs}:{os.environ['PATH']}",
            "STORE": str(store),
            "RUNS": "s3://runs/1",
            "RUN": "20260101T000000Z-abcd",
            "DIGEST": "0" * 64,
            "CONFIG": "organization.yaml",
            "FIRST_WAVES": "foundation",
            "SHARD": "1/2",
            "NAME": "shard-1",
            "ATTEMPT": str(attempt),
            "ATTEMPT_BEFORE": str(attempt - 1),
            "GITHUB_STEP_SUMMARY": str(machine / "summary"),
        }
        steps = [step for step in content["jobs"][job]["steps"] if "run" in step]
        assert [step.get("if") for step in steps] == [None, "always()"]
        for step in steps:
            done = subprocess.run(
                ["bash", "-eo", "pipefail", "-c", step["run"]],
                cwd=machine,
                env=environment,
                capture_output=True,
                text=True,
                check=False,
            )
            assert "forgotten" not in done.stderr
            codes.append(done.returncode)
    # A shard with failed targets ends well: the report judges over all shards.
    assert codes == ([1, 0, 0, 0] if job == "canary" else [0, 0, 0, 0])
    assert f"--digest {'0' * 64}" in (store / "calls").read_text(encoding="utf-8")


class _TokenService(BaseHTTPRequestHandler):
    """GitHub's token service: a token for the audience, for a caller with the secret of the job."""

    def do_GET(self) -> None:
        allowed = (
            self.headers["Authorization"] == "Bearer secret-of-the-job" and "audience=sts.amazonaws.com" in self.path
        )
        self.send_response(200 if allowed else 401)
        self.end_headers()
        self.wfile.write(json.dumps({"value": "eyJ0.token"} if allowed else {}).encode())

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def services() -> Iterator[dict[str, str]]:
    tokens = ThreadingHTTPServer(("127.0.0.1", 0), _TokenService)
    threading.Thread(target=tokens.serve_forever, daemon=True).start()
    sts = ThreadedMotoServer(port=0, verbose=False)
    sts.start()
    yield {
        "ACTIONS_ID_TOKEN_REQUEST_URL": f"http://127.0.0.1:{tokens.server_port}/?api-version=2.0",
        "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "secret-of-the-job",
        "AWS_ENDPOINT_URL_STS": "http://{}:{}".format(*sts.get_host_and_port()),
    }
    sts.stop()
    tokens.shutdown()


def credentials(environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    script = GITHUB / "actions" / "rollout" / "credentials.py"
    role = "arn:aws:iam::111122223333:role/session-manager-plan"
    return subprocess.run(
        [sys.executable, str(script), "--role", role, "--region", "eu-west-1"],
        env={"PATH": os.environ["PATH"], "GITHUB_RUN_ID": "7", **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_job_gets_credentials_in_the_form_of_a_credential_process(services: dict[str, str]) -> None:
    printed = json.loads(credentials(services).stdout)
    assert printed["Version"] == 1
    assert printed.keys() == {"Version", "AccessKeyId", "SecretAccessKey", "SessionToken", "Expiration"}
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d.*\+00:00", printed["Expiration"])


def test_a_job_without_the_permission_is_told_to_ask_for_it(services: dict[str, str]) -> None:
    refused = credentials({"AWS_ENDPOINT_URL_STS": services["AWS_ENDPOINT_URL_STS"]})
    assert refused.returncode == 1
    assert refused.stderr == "This job gets no identity token: give it `permissions: id-token: write`.\n"
