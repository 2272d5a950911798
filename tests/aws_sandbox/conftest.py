"""Fixtures that several tests of the sandbox share."""

from __future__ import annotations

import io
import os
import subprocess
import uuid
import zipfile
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import boto3
import pytest

from aws_sandbox import Sandbox
from session_manager_fleet.run.executors.capacity import COLLECT_LATE
from session_manager_fleet.terraform.installation import child_environment, find_terraform


def package(source: str) -> bytes:
    """Return a zip with `app/handler.py`."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("app/__init__.py", "")
        archive.writestr("app/handler.py", source)
    return content.getvalue()


@pytest.fixture
def make_function(member: boto3.Session) -> Iterator[Callable[..., str]]:
    """Create functions from source; they are deleted afterwards."""
    functions = member.client("lambda")
    role = member.client("iam").get_role(RoleName="report-function")["Role"]["Arn"]
    names: list[str] = []

    def make(source: str, **settings: object) -> str:
        name = f"function-{uuid.uuid4().hex[:8]}"
        request: dict[str, Any] = {
            "FunctionName": name,
            "Role": role,
            "Runtime": "python3.13",
            "Handler": "app.handler.handle",
            "Code": {"ZipFile": package(source)},
            **settings,
        }
        functions.create_function(**request)
        names.append(name)
        return name

    yield make
    for name in names:
        functions.delete_function(FunctionName=name)


@pytest.fixture(scope="session")
def terraform_in(
    tmp_path_factory: pytest.TempPathFactory,
) -> Callable[..., Callable[..., subprocess.CompletedProcess[str]]]:
    """Initialize a root module in a sandbox and return what runs terraform in it."""
    binary = find_terraform()

    def initialize(
        sandbox: Sandbox, files: Mapping[str, bytes], *arguments: str
    ) -> Callable[..., subprocess.CompletedProcess[str]]:
        home, folder = tmp_path_factory.mktemp("home"), tmp_path_factory.mktemp("root")
        environment = child_environment({**os.environ, **sandbox.environment(), "HOME": str(home)}, home, COLLECT_LATE)
        for name, content in files.items():
            (folder / name).write_bytes(content)

        def run(*command: str, workspace: str = "") -> subprocess.CompletedProcess[str]:
            return subprocess.run(
                [binary, *command, "-no-color"],
                cwd=folder,
                env={**environment, "TF_WORKSPACE": workspace},
                capture_output=True,
                text=True,
                timeout=300,
                check=False,
            )

        initialized = run("init", *arguments)
        assert initialized.returncode == 0, initialized.stderr
        return run

    return initialize
