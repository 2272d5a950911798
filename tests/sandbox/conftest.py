"""Fixtures that several tests of the sandbox share."""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import uuid
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import boto3
import pytest

from fleet.sandbox import Sandbox


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


@pytest.fixture
def terraform_in(tmp_path: Path) -> Callable[..., Callable[..., subprocess.CompletedProcess[str]]]:
    """Initialize a root module in a sandbox and return what runs terraform in it."""
    if shutil.which("terraform") is None:
        pytest.fail("These tests run the real terraform: install Terraform 1.11 or later and put it on PATH.")

    def initialize(
        sandbox: Sandbox, files: Mapping[str, bytes], *arguments: str
    ) -> Callable[..., subprocess.CompletedProcess[str]]:
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(tmp_path),
            "TF_IN_AUTOMATION": "1",
            "CHECKPOINT_DISABLE": "1",
            **sandbox.environment(),
            **plugin_configuration(tmp_path / "cli.tfrc"),
        }
        folder = tmp_path / "root"
        folder.mkdir()
        for name, content in files.items():
            (folder / name).write_bytes(content)

        def run(*command: str, workspace: str = "") -> subprocess.CompletedProcess[str]:
            return subprocess.run(
                ["terraform", *command],
                cwd=folder,
                env={**environment, "TF_WORKSPACE": workspace},
                capture_output=True,
                text=True,
                timeout=300,
                check=False,
            )

        initialized = run("init", "-no-color", *arguments)
        if initialized.returncode:
            pytest.fail(
                "terraform init failed; without access to the registry set TF_PLUGIN_MIRROR to a folder in the "
                f"registry's layout with hashicorp/aws:\n{initialized.stderr}"
            )
        return run

    return initialize


def plugin_configuration(path: Path) -> dict[str, str]:
    """Return the environment that leads terraform to TF_PLUGIN_MIRROR, if there is one."""
    mirror = os.environ.get("TF_PLUGIN_MIRROR")
    if not mirror:
        return {}
    ours = json.dumps("registry.terraform.io/hashicorp/*")
    path.write_text(
        "provider_installation {\n"
        f"  filesystem_mirror {{\n    path = {json.dumps(mirror)}\n    include = [{ours}]\n  }}\n"
        f"  direct {{\n    exclude = [{ours}]\n  }}\n"
        "}\n"
    )
    return {"TF_CLI_CONFIG_FILE": str(path)}
