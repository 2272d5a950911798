"""docs/troubleshooting.md and docs/runbooks.md, executed as they stand, in one emulated organization.

The runbooks come first: the first of them rolls out the account that all other commands are about.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator

import pytest

from aws_sandbox import Sandbox, default_organization
from session_manager_fleet.verify import CHECKS, Cause
from tests.e2e.clone import PROJECT
from tests.e2e.on_call import Shell

pytestmark = pytest.mark.terraform

REGION = "eu-west-1"
RUNBOOKS = (PROJECT / "docs" / "runbooks.md").read_text(encoding="utf-8")
TROUBLESHOOTING = (PROJECT / "docs" / "troubleshooting.md").read_text(encoding="utf-8")
# Findings, changes or a missing prerequisite are no failure of the command itself.
_MAY_FIND = re.compile(r"rollout (verify|sessions|doctor|plan|states)\b")
# Not about AWS or this program, or about a file that the reader has.
_OF_THE_READER = {"chmod 600 FILE"}
# It asks for confirmation, and leaves nothing for the other commands.
_LAST = 'rollout destroy --account "$ACCOUNT" --allow-destroy'


def blocks(page: str) -> list[str]:
    """The shell blocks of a page, each without the indentation of its list."""
    found = re.findall(r"^( *)```sh\n(.*?)^ *```$", page, flags=re.DOTALL | re.MULTILINE)
    return [re.sub(rf"(?m)^{indentation}", "", block) for indentation, block in found]


def commands_in(page: str) -> list[str]:
    """The commands in the text and in the tables of a page."""
    prose = re.sub(r"```.*?```", "", page, flags=re.DOTALL)
    return [found for found in re.findall(r"`((?:rollout|aws) [^`]+)`", prose) if "…" not in found]


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    folder = tmp_path_factory.mktemp("on-call")
    organization = default_organization()
    with pytest.MonkeyPatch.context() as patch, Sandbox.start(organization, folder / "sandbox") as sandbox:
        for name in [name for name in os.environ if name.startswith("AWS_")]:
            patch.delenv(name)
        for name, value in sandbox.environment().items():
            patch.setenv(name, value)
        account = organization.members[0].id
        config = folder / "organization.yaml"
        config.write_text(settings(organization.id, organization.deployment_role))
        instance = (
            sandbox.session(account, REGION)
            .client("ec2")
            .run_instances(ImageId="ami-12345678", MinCount=1, MaxCount=1, IamInstanceProfile={"Name": "app-server"})
        )
        node = instance["Instances"][0]["InstanceId"]
        variables = {"ACCOUNT": account, "REGION": REGION, "NODE": node, "PROFILE": "account"}
        yield Shell(folder, config, variables, {"account": sandbox.session(account, REGION)})


def settings(organization: str, role: str) -> str:
    return f"""\
schema_version: 1
organization:
  id: {organization}
  home_region: {REGION}
  regions: [{REGION}]
  deployment_role: {{name: {role}}}
defaults:
  preferences: {{lockout: warn}} # the emulated instance has no endpoints
  config_rule: {{enabled: false}}
"""


def check(shell: Shell, script: str) -> str:
    code, output = shell.run(f"set -e\n{script}")
    assert code in ({0, 2} if _MAY_FIND.search(script) else {0}), f"{script}\n{output}"
    return output


@pytest.mark.slow
def test_every_command_of_the_pages_works(shell: Shell) -> None:
    done: set[str] = set()
    outputs: dict[str, str] = {}
    for page in (RUNBOOKS, TROUBLESHOOTING):
        for script in [*blocks(page), *commands_in(page)]:
            # A block stops at a command that finds something.
            for command in [script] if re.search(r"(?m)^[A-Z]+=", script) else script.splitlines():
                line = re.sub(r" +#.*$", "", command).strip()
                if line and line not in {*done, *_OF_THE_READER, _LAST}:
                    done.add(line)
                    outputs[line] = check(shell, line)
            finished = sorted(path.parent.name for path in shell.folder.glob("runs/*/summary.json"))
            shell.variables["RUN"] = finished[-1] if finished else ""

    assert len(done) > 35
    assert "1 target: 1 applied" in outputs['rollout apply "$(ls runs | tail -n 1)" --yes']
    unlogged = outputs['rollout sessions --account "$ACCOUNT" --since 24h --state not_logged']
    assert "BreakGlass-Shell" in unlogged
    assert "INC-42: session key disabled" in unlogged
    assert _LAST in commands_in(RUNBOOKS)
    assert "1 target: 1 applied" in check(shell, f"{_LAST} --yes")


def test_the_pages_name_only_checks_and_causes_that_there_are() -> None:
    named = {name for page in (RUNBOOKS, TROUBLESHOOTING) for name in re.findall(r"--check (\w+)", page)}
    assert named <= {check.info.id for check in CHECKS}
    causes = set(re.findall(r"not_logged \(([a-z ]+)\)", TROUBLESHOOTING))
    assert causes == {cause.value.replace("_", " ") for cause in Cause} - {"node gone", "unknown"}
