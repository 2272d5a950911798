import contextlib
import http.client
import json
import os
import signal
import stat
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import boto3
import psutil
import pytest
from botocore.awsrequest import AWSPreparedRequest
from botocore.exceptions import ClientError

from aws_sandbox import Sandbox, SandboxAccount, SandboxError, SandboxOrganization, default_organization

SMALL = SandboxOrganization(
    id="o-smallexample",
    management_account_id="218407395516",
    accounts=(SandboxAccount("218407395516", "Management", "management@example.com", ""),),
    organizational_units=(),
    home_region="us-east-1",
    regions=("us-east-1",),
    deployment_role="delivery/Deployer",
)


def gone(pid: int) -> bool:
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def wait_until_gone(pids: list[int], seconds: float = 10.0) -> list[int]:
    deadline = time.monotonic() + seconds
    while (left := [pid for pid in pids if not gone(pid)]) and time.monotonic() < deadline:
        time.sleep(0.05)
    return left


def test_two_at_once_and_a_folder_that_is_used_again(sandbox: Sandbox, tmp_path: Path) -> None:
    killed = Sandbox.start(replace(SMALL, name="Killed"), tmp_path / "other")
    assert killed.endpoint_url != sandbox.endpoint_url
    assert sandbox.session(sandbox.organization.management_account_id, "eu-west-1").client("iam").list_roles()["Roles"]
    os.kill(killed.pid, signal.SIGKILL)
    with Sandbox.start(SMALL, tmp_path / "other") as other:
        session = other.session("218407395516", "us-east-1")
        arn = session.client("sts").get_caller_identity()["Arn"]
        assert arn == "arn:aws:sts::218407395516:assumed-role/Deployer/sandbox", "the role has a path"
        [bucket] = session.client("s3").list_buckets()["Buckets"]
        assert bucket["Name"] == "session-manager-state-218407395516"
        other.stop()
    for stopped in (killed, other):
        stopped.stop()
        assert gone(stopped.pid)


def test_files_are_private(sandbox: Sandbox) -> None:
    assert stat.S_IMODE(sandbox.folder.stat().st_mode) == 0o700
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in sandbox.folder.iterdir() if path.is_file()}
    assert {"server.log", "aws-config", "aws-credentials"} <= set(modes)
    assert set(modes.values()) == {0o600}


def test_no_secret_in_the_log(sandbox: Sandbox) -> None:
    environment = sandbox.environment()
    log = (sandbox.folder / "server.log").read_text()
    assert environment["AWS_SECRET_ACCESS_KEY"] not in log
    assert environment["AWS_ACCESS_KEY_ID"] not in log


def test_environment_is_enough_for_the_aws_sdk(sandbox: Sandbox) -> None:
    code = "import boto3, json; print(json.dumps(boto3.client('sts').get_caller_identity()['Arn']))"
    polluted = {
        **os.environ,
        "AWS_PROFILE": "another-profile",
        "AWS_SESSION_TOKEN": "stale",
        "HTTP_PROXY": "http://127.0.0.1:9",
        "http_proxy": "http://127.0.0.1:9",
        **sandbox.environment(),
    }
    answer = subprocess.run([sys.executable, "-c", code], env=polluted, capture_output=True, text=True, check=True)
    assert json.loads(answer.stdout) == "arn:aws:iam::380917246553:user/sandbox-administrator"


def test_session_ignores_the_endpoint_of_the_environment(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_PROFILE", "another-profile")
    session = sandbox.session("902764185309", "us-east-1")
    assert session.region_name == "us-east-1"
    assert session.client("sts").get_caller_identity()["Account"] == "902764185309"
    assert session.resource("iam").Role("app-server").arn == "arn:aws:iam::902764185309:role/app-server"


def test_unknown_credentials_are_refused(sandbox: Sandbox) -> None:
    for service, call, code in (
        ("sts", "get_caller_identity", "InvalidClientTokenId"),
        ("ssm", "list_documents", "UnrecognizedClientException"),
        ("s3", "list_buckets", "InvalidAccessKeyId"),
    ):
        client = boto3.client(
            service,  # type: ignore[call-overload]
            endpoint_url=sandbox.endpoint_url,
            region_name="eu-west-1",
            aws_access_key_id="AKIA" + "A" * 16,
            aws_secret_access_key="of another account",
        )
        with pytest.raises(ClientError) as refused:
            getattr(client, call)()
        assert refused.value.response["Error"]["Code"] == code


def test_what_is_not_emulated_says_so_at_once(sandbox: Sandbox) -> None:
    config = sandbox.session("902764185309", "eu-west-1").client("config")
    started = time.monotonic()
    with pytest.raises(ClientError, match="does not emulate config:DescribePendingAggregationRequests"):
        config.describe_pending_aggregation_requests()
    assert time.monotonic() - started < 5


def test_a_failed_start_shows_the_log_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "werkzeug").mkdir()
    (tmp_path / "werkzeug/__init__.py").write_text("raise ImportError('a broken installation')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with pytest.raises(SandboxError, match=r"ended with code 1[\s\S]*ImportError: a broken installation"):
        Sandbox.start(SMALL, tmp_path / "sandbox")
    assert wait_until_gone([child.pid for child in psutil.Process().children() if "aws_sandbox" in str(child)]) == []


PARENT = """
import io, sys, time, zipfile
from pathlib import Path
import psutil
sys.path.insert(0, sys.argv[2])
from aws_sandbox import Sandbox, default_organization
sandbox = Sandbox.start(default_organization(), Path(sys.argv[1]))
member = sandbox.session("902764185309", "eu-west-1")
source = "import time, subprocess, sys\\n" \\
    "def handle(event, context):\\n" \\
    "    subprocess.run([sys.executable, '-c', 'import time; time.sleep(600)'])\\n"
content = io.BytesIO()
with zipfile.ZipFile(content, "w") as archive:
    archive.writestr("app.py", source)
role = member.client("iam").get_role(RoleName="report-function")["Role"]["Arn"]
member.client("lambda").create_function(FunctionName="slow", Role=role, Runtime="python3.13", Handler="app.handle",
    Timeout=900, Code={"ZipFile": content.getvalue()})
member.client("lambda").invoke(FunctionName="slow", InvocationType="Event", Payload="{}")
# A function may write nowhere but in its own folder: its processes are found from the server.
while True:
    below = psutil.Process(sandbox.pid).children(recursive=True)
    if any("time.sleep(600)" in " ".join(process.cmdline()) for process in below):
        break
    time.sleep(0.02)
print(sandbox.pid, *(process.pid for process in below), flush=True)
time.sleep(600)
"""


@pytest.mark.parametrize("killed", ["parent", "server"])
def test_no_function_outlives_its_server_or_the_process_that_started_it(tmp_path: Path, killed: str) -> None:
    library = str(Path(__file__).parents[2] / "scripts")
    with subprocess.Popen(
        [sys.executable, "-c", PARENT, str(tmp_path), library], stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        # The server, the function, and a process that the function started.
        server, *others = (int(pid) for pid in parent.stdout.readline().split())
        assert len(others) >= 2
        os.kill(parent.pid if killed == "parent" else server, signal.SIGKILL)
        left = wait_until_gone([server, *others] if killed == "parent" else others)
        parent.kill()
    assert left == []


def test_memory_and_start_are_modest(tmp_path: Path) -> None:
    started = time.monotonic()
    with Sandbox.start(default_organization(), tmp_path) as running:
        seconds = time.monotonic() - started
        megabytes = psutil.Process(running.pid).memory_info().rss / 2**20
    assert megabytes < 400
    assert seconds < 30


def test_connections_stay_open(sandbox: Sandbox) -> None:
    connection = http.client.HTTPConnection(sandbox.endpoint_url.removeprefix("http://"), timeout=10)
    with contextlib.closing(connection):
        for _ in range(2):
            connection.request("GET", "/")
            response = connection.getresponse()
            assert response.status == 403, "not signed"
            assert json.loads(response.read())["__type"] == "MissingAuthenticationToken"
            assert not response.will_close


def test_a_repeated_invocation_is_answered_again_and_not_done_again(member: boto3.Session) -> None:
    ssm = member.client("ssm")
    kept: list[str] = []

    def same_invocation(request: AWSPreparedRequest, **_: object) -> None:
        kept.append(request.headers["amz-sdk-invocation-id"])
        request.headers["amz-sdk-invocation-id"] = kept[0]

    ssm.meta.events.register("before-send.ssm.PutParameter", same_invocation)
    first = ssm.put_parameter(Name="/repeated", Value="once", Type="String")
    again = ssm.put_parameter(Name="/repeated", Value="once", Type="String")
    assert (first["Version"], again["Version"]) == (1, 1)
    ssm.delete_parameter(Name="/repeated")
