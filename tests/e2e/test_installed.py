"""The command as pipx or uv installs it: from a wheel, outside a checkout, with the root module inside."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

from aws_sandbox import Sandbox
from session_manager_fleet.terraform import ROOT_MODULE, RootModule
from session_manager_fleet.terraform.processes import MARKER
from tests.e2e.clone import copy_project

EXAMPLE = Path(__file__).with_name("organization.yaml")


def python(*arguments: str, folder: Path) -> None:
    done = subprocess.run([sys.executable, *arguments], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel from what a clone holds, so that nothing is written into the checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    copy_project(folder / "project")
    offline = ["--quiet", "--no-index", "--no-deps", "--no-build-isolation"]
    python("-m", "pip", "wheel", *offline, "--wheel-dir", ".", "./project", folder=folder)
    [path] = folder.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def environment(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A new environment with the wheel; its dependencies are those of this environment, without the checkout."""
    folder = tmp_path_factory.mktemp("installed") / "venv"
    python("-m", "venv", "--without-pip", str(folder), folder=folder.parent)
    [packages] = folder.glob("lib/python*/site-packages")
    # A .pth file adds the folder, but not what the .pth files in it add: the checkout of the editable installation.
    (packages / "dependencies.pth").write_text(sysconfig.get_path("purelib"), encoding="utf-8")
    install = ["install", "--quiet", "--no-index", "--no-deps", str(wheel)]
    python("-m", "pip", "--python", str(folder / "bin" / "python"), *install, folder=folder.parent)
    return folder


def test_the_wheel_holds_what_the_command_needs_and_no_tests_or_tools(wheel: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        archive.extractall(tmp_path)

    assert {name.partition("/")[0] for name in names} == {
        "aws_sandbox",
        "session_manager_fleet",
        "session_manager_fleet-0.2.0.dist-info",
        "session_preferences",
    }
    assert [name for name in names if "test" in name.lower() or ".terraform/" in name] == []
    root = RootModule(tmp_path / "session_manager_fleet" / "root")
    assert root.digest() == ROOT_MODULE.digest()
    assert (root.path / "examples" / "organization" / "organization.yaml").is_file()
    metadata = (tmp_path / "session_manager_fleet-0.2.0.dist-info" / "METADATA").read_text(encoding="utf-8")
    needs_moto = [line for line in metadata.splitlines() if line.startswith("Requires-Dist: moto")]
    assert needs_moto
    assert all("extra ==" in line for line in needs_moto)


@pytest.mark.terraform
def test_the_installed_command_plans(environment: Path, sandbox: Sandbox, tmp_path: Path) -> None:
    command = environment / "bin" / "session-manager-fleet"
    variables = {name: value for name, value in os.environ.items() if name != MARKER and not name.startswith("AWS_")}

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(command), *arguments],
            cwd=tmp_path,
            env={**variables, **sandbox.environment()},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )

    assert run("--version").stdout == "session-manager-fleet 0.2.0\n"
    [package] = environment.glob("lib/python*/site-packages/session_manager_fleet")
    before = sorted((package / "root").rglob("*"))
    planned = run("-c", str(EXAMPLE), "plan", "--account", "Webshop", "--region", "us-east-1")

    # Other tests apply to the same organization: nothing may be left to change.
    assert planned.returncode in {0, 2}, planned.stdout + planned.stderr
    assert "1 target: 1 " in planned.stdout
    assert sorted((package / "root").rglob("*")) == before
