"""Each example for the rollout: applied, with an empty second plan, and destroyed; and that no example is left out."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from aws_sandbox import Sandbox, default_organization
from session_manager_fleet.terraform.processes import MARKER
from tests.e2e.conftest import PROJECT, Finished, run_command

EXAMPLES = PROJECT / "examples"
# Targets that show what the example is about.
TARGETS = {
    "central_logging": ("--account", "LogArchive"),
    "control_tower": ("--account", "Management", "--account", "Webshop", "--region", "eu-west-1"),
    "lza_organization": ("--account", "Audit", "--region", "eu-west-1"),
}
# The demo applies it.
BY_THE_DEMO = {"organization"}


@pytest.fixture(scope="module")
def command(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Finished]]:
    """Run rollout.py in an organization of its own, whose accounts no other test has configured."""
    folder = tmp_path_factory.mktemp("examples")
    with Sandbox.start(default_organization(), tmp_path_factory.mktemp("sandbox")) as sandbox:
        kept = {name: value for name, value in os.environ.items() if name != MARKER and not name.startswith("AWS_")}
        environment = {**kept, **sandbox.environment()}

        def run(example: str, *arguments: str) -> Finished:
            config = str(EXAMPLES / example / "organization.yaml")
            return run_command(["-c", config, *arguments], folder, environment)

        yield run


@pytest.mark.terraform
@pytest.mark.slow
@pytest.mark.parametrize("example", TARGETS)
def test_an_example_is_applied_and_destroyed(command: Callable[..., Finished], example: str) -> None:
    selected = TARGETS[example]
    applied = command(example, "apply", *selected, "--yes")
    assert applied.code == 0, applied.output
    assert applied.summary["totals"]["applied"] == applied.summary["totals"]["targets"]
    planned = command(example, "plan", *selected)
    assert planned.code == 0, planned.output
    destroyed = command(example, "destroy", *selected, "--yes", "--allow-destroy")
    assert destroyed.code == 0, destroyed.output


def test_every_example_is_listed_and_tested() -> None:
    index = (EXAMPLES / "README.md").read_text(encoding="utf-8")
    folders = sorted(path for path in EXAMPLES.iterdir() if path.is_dir())
    assert [path.name for path in folders if f"]({path.name})" not in index] == []
    settings = {path.name for path in folders if (path / "organization.yaml").exists()}
    assert settings == TARGETS.keys() | BY_THE_DEMO
    # Pipelines are files; tests/workflows checks what they run.
    roots = {path.name for path in folders if (path / "main.tf").exists()}
    pipelines = {"organization_github", "organization_gitlab"}
    assert {path.name for path in folders} == settings | roots | pipelines
    tests = "\n".join(path.read_text(encoding="utf-8") for path in sorted(Path(__file__).parents[1].rglob("test_*.py")))
    assert [name for name in sorted(roots) if f'"{name}"' not in tests and f"example_{name}(" not in tests] == []
