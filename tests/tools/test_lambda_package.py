"""The committed package: its bytes follow from the sources, and it is what runs."""

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto.server import ThreadedMotoServer

from tools import lambda_package

SCRIPT = lambda_package.REPOSITORY / "scripts" / "package_lambda.py"

# What Lambda does: the package first on the path, the handler by its name, the event as JSON.
RUN = """
import json, logging, sys

class Fields(logging.Formatter):
    # As Lambda's own formatter with the log format JSON: a field for each extra.

    def format(self, record):
        known = vars(logging.makeLogRecord({}))
        return json.dumps({**{k: v for k, v in vars(record).items() if k not in known}, "message": record.getMessage()})

handler = logging.StreamHandler()
handler.setFormatter(Fields())
logging.basicConfig(level=logging.INFO, handlers=[handler])
sys.path.insert(0, sys.argv[1])
from session_preferences import handler
assert handler.__file__.startswith(sys.argv[1]), handler.__file__

class Context:
    invoked_function_arn = "arn:aws:lambda:eu-west-1:123456789012:function:session-manager-preferences"
    get_remaining_time_in_millis = staticmethod(lambda: 300_000)

for line in sys.stdin:
    try:
        print(json.dumps({"result": handler.lambda_handler(json.loads(line), Context())}))
    except Exception as error:
        print(json.dumps({"error": type(error).__name__, "message": str(error)}))
"""


def test_the_committed_package_is_current() -> None:
    assert lambda_package.is_current(), "run python scripts/package_lambda.py"


def test_the_package_is_stored_sorted_and_without_traces_of_the_machine(tmp_path: Path) -> None:
    source = tmp_path / "some_package"
    (source / "__pycache__").mkdir(parents=True)
    (source / "b.py").write_text("B = 1\n")
    (source / "a.py").write_text('"""About."""\n\nA = 1  # one\n')
    (source / "notes.txt").write_text("no")
    (source / "__pycache__" / "a.pyc").write_text("no")
    first = lambda_package.build(source)
    (source / "a.py").chmod(0o600)
    os.utime(source / "b.py", (0, 0))
    assert lambda_package.build(source) == first

    package = tmp_path / "package.zip"
    assert not lambda_package.is_current(source, package)
    lambda_package.write(source, package)
    assert package.read_bytes() == first
    assert [path.name for path in tmp_path.iterdir() if path.suffix == ".new"] == []
    with zipfile.ZipFile(package) as entries:
        assert entries.namelist() == ["some_package/a.py", "some_package/b.py"]
        assert entries.read("some_package/a.py") == b'"""About."""\n\nA = 1  # one\n'
        assert {(e.compress_type, e.date_time, e.external_attr >> 16) for e in entries.infolist()} == {
            (zipfile.ZIP_STORED, (1980, 1, 1, 0, 0, 0), 0o100644)
        }
    (source / "a.py").write_text("A = 2\n")
    assert not lambda_package.is_current(source, package)


def test_the_entries_are_the_source_files_byte_for_byte() -> None:
    source = lambda_package.SOURCE
    files = {str(path.relative_to(source.parent)): path.read_bytes() for path in source.rglob("*.py")}
    with zipfile.ZipFile(lambda_package.PACKAGE) as entries:
        assert {name: entries.read(name) for name in entries.namelist()} == files


def test_the_package_stays_small() -> None:
    assert lambda_package.PACKAGE.stat().st_size <= 100_000


def test_a_folder_without_sources_is_not_packaged(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="holds no Python file"):
        lambda_package.build(tmp_path)


def test_the_script_checks_and_says_what_to_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    repository = tmp_path / "repository"
    for file in ("scripts/package_lambda.py", "tools/__init__.py", "tools/lambda_package.py"):
        target = repository / file
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes((lambda_package.REPOSITORY / file).read_bytes())
    (repository / "lambda_src/session_preferences").mkdir(parents=True)
    (repository / "lambda_src/session_preferences/handler.py").write_text("X = 1\n")
    (repository / "modules/preferences").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)

    def script(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, str(repository / "scripts/package_lambda.py"), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)

    stale = script("--check")
    assert (stale.returncode, stale.stdout) == (1, "")
    assert stale.stderr == (
        "modules/preferences/lambda.zip does not match lambda_src: "
        "run python scripts/package_lambda.py and commit it.\n"
    )
    assert script().returncode == 0
    assert script("--check").returncode == 0


def run(*lines: str, **environment: str) -> list[dict[str, Any]]:
    done = subprocess.run(
        [sys.executable, "-I", "-c", RUN, str(lambda_package.PACKAGE)],
        input="\n".join(lines),
        env={"PATH": os.environ["PATH"], **environment},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    (Path(environment.get("LOG", os.devnull))).write_text(done.stderr)
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_refusing_bad_input_needs_no_boto3() -> None:
    code = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from session_preferences.handler import lambda_handler\n"
        "from session_preferences.errors import InvalidEventError\n"
        "try: lambda_handler({'action': 'reconcile', 'colour': 'red'})\n"
        "except InvalidEventError: print(sorted({'boto3', 'botocore'} & set(sys.modules)))\n"
    )
    command = [sys.executable, "-I", "-c", code, str(lambda_package.PACKAGE)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == "[]\n"


def test_the_package_adopts_repairs_and_gives_back(tmp_path: Path) -> None:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    try:
        host, port = server.get_host_and_port()
        environment = {
            "AWS_ENDPOINT_URL": f"http://{host}:{port}",
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing",
            "AWS_REGION": "eu-west-1",
            "LOG": str(tmp_path / "log"),
        }
        session = boto3.Session("testing", "testing", region_name="eu-west-1")
        ssm = session.client("ssm", endpoint_url=environment["AWS_ENDPOINT_URL"])
        name, theirs = "SSM-SessionManagerRunShell", '{"schemaVersion":"1.0","inputs":{"idleSessionTimeout":"45"}}'
        ssm.create_document(Name=name, Content=theirs, DocumentType="Session")
        session.client("logs", endpoint_url=environment["AWS_ENDPOINT_URL"]).create_log_group(logGroupName="logs")
        wanted = {"preferences": {"cloudWatchLogGroupName": "logs", "shellProfile": {"linux": "export TOKEN=hunter2"}}}
        events: list[dict[str, object]] = [
            {**wanted, "tf": {"action": "create", "prev_input": None}},
            {"action": "reconcile"},
            {"preferences": {"idleSessionTimeout": 0}, "action": "diff"},
            {**wanted, "tf": {"action": "delete", "prev_input": wanted}},
        ]
        created, again, refused, restored = run(*map(json.dumps, events), **environment)
        content = ssm.get_document(Name=name)["Content"]
    finally:
        server.stop()

    assert list(created["result"]) == ["document", "outcome", "default_version", "latest_version", "changes"]
    assert created["result"]["outcome"] == "updated"
    assert {"path": "inputs.idleSessionTimeout", "from": "45", "to": "20"} in created["result"]["changes"]
    assert again["result"] == {
        "document": name,
        "outcome": "unchanged",
        "default_version": "2",
        "latest_version": "2",
        "changes": [],
    }
    assert refused["error"] == "InvalidPreferencesError"
    assert refused["message"].startswith("account 123456789012 eu-west-1: The preferences are refused")
    assert restored["result"]["outcome"] == "restored"
    assert content == theirs

    log = (tmp_path / "log").read_text()
    lines = [json.loads(line) for line in log.splitlines() if line.startswith("{")]
    assert [line["event"] for line in lines] == ["create", "reconcile", "failed", "delete"]
    assert [line["account"] for line in lines] == ["123456789012"] * 4
    assert lines[0]["message"] == f"{name} updated"
    assert (lines[0]["outcome"], lines[0]["default_version"], lines[0]["latest_version"]) == ("updated", "2", "2")
    assert "inputs.shellProfile.linux" in lines[0]["paths"]
    assert "inputs.shellProfile.linux" in lines[0]["changes"]
    assert 'inputs.idleSessionTimeout ("45" to "20")' in lines[0]["changes"]
    assert lines[2]["error"] == "InvalidPreferencesError"
    assert "hunter2" not in log
