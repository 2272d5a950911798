"""The terraform executable and its environment: new enough, and nothing of the caller's that it does not need."""

import os
import re
import shutil
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from session_manager_fleet.errors import InputError
from session_manager_fleet.terraform.installation import child_environment, find_terraform

StandIn = Callable[[str], Path]


@pytest.fixture(autouse=True)
def _registry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the registry answer, so that no test depends on this machine's network and providers."""
    monkeypatch.setattr("session_manager_fleet.terraform.provider_search.registry_reachable", lambda: True)


# --- Environment -------------------------------------------------------------------------------------------------

PASSED_ON = {
    "PATH": os.environ["PATH"],
    "HOME": "/home/me",
    "USER": "me",
    "LANG": "C.UTF-8",
    "LC_ALL": "C.UTF-8",
    "TZ": "UTC",
    "TMPDIR": "/tmp",  # noqa: S108 - a value, not a file
    "XDG_DATA_HOME": "/home/me/data",
    "XDG_DATA_DIRS": "/data",
    "AWS_PROFILE": "rollout",
    "AWS_REGION": "eu-west-1",
    "AWS_ACCESS_KEY_ID": "key",
    "AWS_ENDPOINT_URL": "http://127.0.0.1:1",
    "AWS_ENDPOINT_URL_S3": "http://127.0.0.1:2",
    "AWS_CA_BUNDLE": "/etc/ca.pem",
    "SSL_CERT_FILE": "/etc/ca.pem",
    "HTTPS_PROXY": "http://proxy",
    "no_proxy": "localhost",
}
KEPT_OUT = {
    "TF_LOG": "trace",
    "TF_LOG_PATH": "/tmp/log",  # noqa: S108 - a value, not a file
    "TF_VAR_account_id": "999999999999",
    "TF_CLI_ARGS": "-destroy",
    "TF_CLI_ARGS_plan": "-destroy",
    "TF_WORKSPACE": "other",
    "TF_DATA_DIR": "elsewhere",
    "TF_REATTACH_PROVIDERS": "{}",
    "TF_TOKEN_app_terraform_io": "secret",
    "TF_PLUGIN_CACHE_DIR": "/cache",
    "LD_PRELOAD": "/tmp/evil.so",  # noqa: S108 - a value, not a file
    "PYTHONPATH": "/elsewhere",
    "GITHUB_TOKEN": "secret",
    "GOGC": "off",
    "XAWS_PROFILE": "x",
    "AWS_profile": "x",
    "PATHX": "x",
}


def test_the_environment_is_made_from_a_list_of_what_is_passed_on(tmp_path: Path) -> None:
    child = child_environment({**PASSED_ON, **KEPT_OUT}, tmp_path)

    unlogged = {name: value for name, value in child.items() if re.fullmatch("TF_LOG_(PROVIDER|SDK)[A-Z_]*", name)}
    assert len(unlogged) == 6
    assert set(unlogged.values()) == {"OFF"}
    assert child == {**PASSED_ON, **unlogged, "TF_IN_AUTOMATION": "1", "TF_INPUT": "0", "CHECKPOINT_DISABLE": "1"}
    assert child_environment(KEPT_OUT, tmp_path, {"GOGC": "800"})["GOGC"] == "800"


@pytest.mark.parametrize("content", ["absent", "empty", "file"])
def test_a_wrong_plugin_mirror_is_refused(tmp_path: Path, content: str) -> None:
    mirror = tmp_path / "mirror"
    if content == "empty":
        mirror.mkdir()
    elif content == "file":
        mirror.touch()

    with pytest.raises(InputError) as caught:
        child_environment({"TF_PLUGIN_MIRROR": str(mirror)}, tmp_path)

    assert str(caught.value) == (
        f"TF_PLUGIN_MIRROR: The directory {mirror} does not hold registry.terraform.io/hashicorp/aws; it must have the "
        "registry's layout."
    )


def test_a_plugin_mirror_gets_a_private_configuration_that_terraform_understands(tmp_path: Path) -> None:
    mirror = tmp_path / 'a "strange" folder'
    (mirror / "registry.terraform.io" / "hashicorp" / "aws").mkdir(parents=True)

    child = child_environment({**PASSED_ON, "TF_PLUGIN_MIRROR": str(mirror), "TF_CLI_CONFIG_FILE": "/own"}, tmp_path)

    path = Path(child["TF_CLI_CONFIG_FILE"])
    assert path.parent == tmp_path
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    binary = shutil.which("terraform")
    assert binary, "Terraform is needed on the PATH."
    done = subprocess.run([binary, "version"], env=child, capture_output=True, text=True, timeout=60, check=True)
    assert done.stderr == ""
    # Terraform names the mirror when it does not find the provider there.
    (tmp_path / "main.tf").write_text(
        'terraform {\n  required_providers {\n    aws = {\n      source = "hashicorp/aws"\n    }\n  }\n}\n'
    )
    done = subprocess.run(
        [binary, "init", "-no-color"], cwd=tmp_path, env=child, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 1
    assert str(mirror) in " ".join(done.stderr.split())


def test_the_callers_own_command_line_configuration_is_kept_where_it_exists(tmp_path: Path) -> None:
    own = tmp_path / "own.tfrc"
    own.touch()

    assert child_environment({"TF_CLI_CONFIG_FILE": str(own)}, tmp_path)["TF_CLI_CONFIG_FILE"] == str(own)
    assert "TF_CLI_CONFIG_FILE" not in child_environment({"TF_CLI_CONFIG_FILE": str(tmp_path / "absent")}, tmp_path)


# --- The executable ----------------------------------------------------------------------------------------------


@pytest.fixture
def only_on_path(stand_in: StandIn, monkeypatch: pytest.MonkeyPatch) -> StandIn:
    """Put a stand-in on the PATH before everything else."""

    def put(body: str) -> Path:
        path = stand_in(body)
        monkeypatch.setenv("PATH", f"{path.parent}:/usr/bin:/bin")
        return path

    return put


@pytest.mark.parametrize("version", ["1.11.0", "1.11.4", "1.12.0-beta1", "2.0.0"])
def test_a_terraform_that_is_new_enough_is_found(only_on_path: StandIn, version: str) -> None:
    path = only_on_path(f"""[ "$*" = "version -json" ] && echo '{{"terraform_version": "{version}"}}'\n""")

    assert find_terraform() == str(path)


@pytest.mark.parametrize("version", ["1.10.9", "1.9.8", "0.15.5", "new"])
def test_a_terraform_that_is_too_old_is_refused(only_on_path: StandIn, version: str) -> None:
    path = only_on_path(f"""echo '{{"terraform_version": "{version}"}}'\n""")

    with pytest.raises(InputError) as caught:
        find_terraform()

    assert str(caught.value) == f"Terraform 1.11 or newer is needed; {path} is {version}."


@pytest.mark.parametrize("body", ["exit 1\n", "echo hello\n", "echo '{}'\n", "echo '[]'\n", "echo 5\n", "kill -9 $$\n"])
def test_what_does_not_answer_as_terraform_would_is_refused(only_on_path: StandIn, body: str) -> None:
    only_on_path(body)

    with pytest.raises(InputError, match="does not answer as terraform would"):
        find_terraform()


def test_a_missing_terraform_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(InputError, match=r"Terraform 1\.11 or newer is needed, and no terraform is on the PATH"):
        find_terraform()


def test_the_version_is_asked_in_a_clean_environment(only_on_path: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TF_CLI_ARGS", "-broken")
    path = only_on_path("""[ -z "$TF_CLI_ARGS" ] && echo '{"terraform_version": "1.11.4"}'\n""")

    assert find_terraform() == str(path)
