"""What a function of the emulator can do on this machine: nothing that its caller does not need."""

import ctypes
import json
import os
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3
import pytest

from aws_sandbox import Sandbox
from aws_sandbox.function_confinement import _CREATE_RULESET
from aws_sandbox.function_process import is_readable_by_all, unprivileged_user

# Version of Landlock; 0 where the kernel has none.
LANDLOCK = 0
if sys.platform == "linux":
    LANDLOCK = max(0, ctypes.CDLL(None).syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), 1))

# Does what the event asks for, one after another, and tells what was refused.
HANDLER = """
import os, resource, signal, socket, subprocess, tempfile
from pathlib import Path

def handle(event, context):
    def connect(port):
        socket.create_connection(("127.0.0.1", port), timeout=5).close()

    def listen():
        socket.create_server(("127.0.0.1", 0)).close()

    actions = {
        "read": lambda path: Path(path).read_bytes(),
        "list": os.listdir,
        "write": lambda path: Path(path).write_text("from the function"),
        "connect": connect,
        "listen": lambda _: listen(),
        "signal": lambda pid: os.kill(pid, signal.SIGCONT),
        "remove": os.unlink,
        "run": lambda command: subprocess.run(command, check=True, capture_output=True),
    }
    outcomes = []
    for name, argument in event:
        try:
            actions[name](argument)
            outcomes.append("")
        except OSError as error:
            outcomes.append(type(error).__name__)
    with tempfile.NamedTemporaryFile("w") as file:
        file.write("temporary files are possible")
        place = file.name
    return {
        "outcomes": outcomes,
        "user": os.getuid(),
        "core": resource.getrlimit(resource.RLIMIT_CORE)[0],
        "folder": os.getcwd(),
        "temporary": place,
        "environment": sorted(name for name in os.environ if not name.startswith(("AWS_", "LC_"))),
    }
"""


def invoke(member: boto3.Session, name: str, event: object) -> dict[str, Any]:
    answer = member.client("lambda").invoke(FunctionName=name, Payload=json.dumps(event))
    result: dict[str, Any] = json.loads(answer["Payload"].read())
    assert "FunctionError" not in answer, result
    return result


@pytest.mark.skipif(not LANDLOCK, reason="the kernel has no Landlock")
def test_a_function_has_its_folder_and_its_emulator_and_nothing_else(
    sandbox: Sandbox, member: boto3.Session, make_function: Callable[..., str], tmp_path: Path
) -> None:
    secret = tmp_path / "credentials"
    secret.write_text("[default]\n")
    secret.chmod(0o644)
    name = make_function(HANDLER, Timeout=30)
    own = int(sandbox.endpoint_url.rpartition(":")[2])
    with socket.create_server(("127.0.0.1", 0)) as other:
        refused = [
            *(
                ["read", str(secret)],
                ["list", str(tmp_path)],
                ["write", str(tmp_path / "new")],
                ["remove", str(secret)],
            ),
            *(["read", "/etc/passwd"], ["read", "/etc/shadow"], ["list", str(Path.home())]),
            *(["read", f"/proc/{os.getpid()}/environ"], ["read", "/proc/self/environ"], ["list", "/proc"]),
            *(["write", str(Path(sys.prefix, "new"))], ["list", str(sandbox.folder)]),
            *([["connect", other.getsockname()[1]], ["listen", 0]] if LANDLOCK >= 4 else []),
            *([["signal", os.getpid()]] if LANDLOCK >= 6 else []),
        ]
        allowed = [["write", "file"], ["connect", own], ["run", ["true"]]]

        result = invoke(member, name, [*refused, *allowed])

    told = dict(zip(map(str, refused), result["outcomes"], strict=False))
    assert set(told.values()) <= {"PermissionError"}, told
    assert result["outcomes"][len(refused) :] == [""] * len(allowed)
    assert secret.exists()
    assert not (tmp_path / "new").exists()


def test_a_function_leaves_nothing_behind(
    member: boto3.Session, make_function: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET_OF_THE_CALLER", "x")
    result = invoke(member, make_function(HANDLER, Timeout=30), [["write", "left"]])

    assert result["core"] == 0
    assert Path(result["temporary"]).parent == Path(result["folder"])
    assert not Path(result["folder"]).exists()
    assert set(result["environment"]) <= {"HOME", "LANG", "PATH", "TMPDIR", "TZ", "_HANDLER"}
    expected = unprivileged_user()
    assert (result["user"] != 0) if expected else (result["user"] == os.getuid())


@pytest.mark.parametrize(("mode", "readable"), [(0o755, True), (0o700, False), (0o711, True)])
def test_another_user_needs_the_way_to_python(tmp_path: Path, mode: int, readable: bool) -> None:
    folders = [tmp_path, *tmp_path.parents]
    reachable = all(folder.stat().st_mode & 0o001 for folder in folders)
    python = tmp_path / "bin" / "python"
    python.parent.mkdir()
    python.write_text("")
    python.parent.chmod(mode)
    python.chmod(0o755)

    assert is_readable_by_all(python) is (readable and reachable)
    assert not is_readable_by_all(tmp_path / "missing")
