"""A real shell for the commands of the on-call pages, with `rollout` and `aws` answered by this process.

Each command of the pages starts Python twice otherwise, which takes longer than what it does.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import boto3
import jmespath  # type: ignore[import-untyped]
from botocore import xform_name
from botocore.exceptions import ClientError

from session_manager_fleet.cli.app import run

# Sends its arguments to the process of the test, and prints the answer.
_CLIENT = """\
import json, os, socket, sys
with socket.socket(socket.AF_UNIX) as connection:
    connection.connect(os.environ["ON_CALL_SOCKET"])
    connection.sendall(json.dumps(sys.argv[1:]).encode())
    connection.shutdown(socket.SHUT_WR)
    code, out, err = json.load(connection.makefile())
sys.stdout.write(out)
sys.stderr.write(err)
sys.exit(code)
"""
_SHELL = """\
rollout() { "$ON_CALL_PYTHON" -I -S "$ON_CALL_CLIENT" rollout "$@"; }
aws() { "$ON_CALL_PYTHON" -I -S "$ON_CALL_CLIENT" aws "$@"; }
"""


class Shell:
    """Runs commands with bash.

    Args:
        folder: Working folder.
        config: organization.yaml.
        variables: Variables of the pages.
        profiles: Sessions of the profiles of the AWS CLI.
    """

    def __init__(
        self, folder: Path, config: Path, variables: Mapping[str, str], profiles: Mapping[str, boto3.Session]
    ) -> None:
        self.folder, self.variables = folder, dict(variables)
        self._config, self._profiles = config, profiles
        self._client = folder / "client.py"
        self._client.write_text(_CLIENT)
        self._socket = folder / "on-call"
        self._environment = {
            **os.environ,
            "ON_CALL_SOCKET": str(self._socket),
            "ON_CALL_CLIENT": str(self._client),
            "ON_CALL_PYTHON": sys.executable,
        }

    def run(self, script: str) -> tuple[int, str]:
        """Run a script, and return its exit code and output."""
        self._socket.unlink(missing_ok=True)
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(str(self._socket))
            server.listen()
            server.settimeout(0.05)
            with subprocess.Popen(
                ["bash", "-c", _SHELL + script],
                cwd=self.folder,
                env={**self._environment, **self.variables},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            ) as shell:
                # In the main thread, because commands handle signals.
                while shell.poll() is None:
                    with contextlib.suppress(TimeoutError):
                        self._answer(server.accept()[0])
                assert shell.stdout is not None
                return shell.returncode, shell.stdout.read()

    def _answer(self, connection: socket.socket) -> None:
        with connection, connection.makefile("rw") as stream:
            program, *arguments = json.load(stream)
            out, err = io.StringIO(), io.StringIO()
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), contextlib.chdir(self.folder):
                code = run(["-c", str(self._config), *arguments]) if program == "rollout" else self._aws(arguments)
            json.dump([int(code), out.getvalue(), err.getvalue()], stream)

    def _aws(self, arguments: Sequence[str]) -> int:
        arguments = list(arguments)
        session = boto3.Session()
        if "--profile" in arguments:
            place = arguments.index("--profile")
            session = self._profiles[arguments[place + 1]]
            del arguments[place : place + 2]
        return aws(session, arguments)


def aws(session: boto3.Session, arguments: Sequence[str]) -> int:
    """Do what the AWS CLI does with these arguments, as far as the pages need it."""
    service, operation, *rest = arguments
    given = dict(zip(rest[::2], rest[1::2], strict=True))
    region, query = given.pop("--region", None), given.pop("--query", "")
    text = given.pop("--output", "json") == "text"
    client: Any = session.client({"s3api": "s3"}.get(service, service), region_name=region)  # type: ignore[call-overload]
    method = operation.replace("-", "_")
    model = client.meta.service_model.operation_model(client.meta.method_to_api_mapping[method])
    members = {f"--{xform_name(name, '-')}": (name, shape) for name, shape in model.input_shape.members.items()}
    parameters = {members[option][0]: _value(value, members[option][1]) for option, value in given.items()}
    try:
        answer = getattr(client, method)(**parameters)
    except ClientError as error:
        sys.stderr.write(f"{error}\n")
        return 254
    answer.pop("ResponseMetadata", None)
    found = jmespath.search(query, answer) if query else answer
    sys.stdout.write(f"{found if text else json.dumps(found, default=str, indent=4)}\n")
    return 0


def _value(text: str, shape: Any) -> object:  # noqa: ANN401 - botocore's shape
    """Return a value that is written as JSON, or in the short form of lists of structures."""
    if shape.type_name == "list" and not text.startswith("["):
        return [dict(pair.split("=", 1) for pair in text.split(","))]
    return text if shape.type_name == "string" else json.loads(text)
