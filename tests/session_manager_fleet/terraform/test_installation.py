"""The terraform executable and its environment: new enough, and nothing of the caller's that changes its meaning."""

import os
import re
import shutil
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from session_manager_fleet.errors import InputError
from session_manager_fleet.terraform.installation import (
    child_environment,
    find_terraform,
    product_and_version,
    terraform_version,
    version_pin,
)
from session_manager_fleet.terraform.provider_search import PLATFORM
from session_manager_fleet.terraform.root_module import ROOT_MODULE

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
    # Read by helpers of credentials and by version managers.
    "VAULT_ADDR": "https://vault",
    "DBUS_SESSION_BUS_ADDRESS": "unix:path=/run/bus",
    "GNUPGHOME": "/home/me/.gnupg",
    "SSH_AUTH_SOCK": "/run/agent",
    "OP_SERVICE_ACCOUNT_TOKEN": "secret",
    "PYTHONPATH": "/elsewhere",
    "TFENV_TERRAFORM_VERSION": "1.11.9",
    "ASDF_TERRAFORM_VERSION": "1.11.9",
    "MISE_DATA_DIR": "/home/me/mise",
    # How providers are fetched.
    "TF_TOKEN_app_terraform_io": "secret",
    "TF_REGISTRY_CLIENT_TIMEOUT": "30",
    # How OpenTofu encrypts states.
    "TF_ENCRYPTION": "key_provider {}",
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
    "TF_PLUGIN_CACHE_MAY_BREAK_DEPENDENCY_LOCK_FILE": "1",
    "TF_AWS_DEFAULT_TAGS_Owner": "me",
    "TF_LOG_PROVIDER": "trace",
    "TERRAFORM_CONFIG": "/other.tfrc",
    "GOGC": "off",
    "GOMEMLIMIT": "1",
    "SESSION_MANAGER_FLEET_SERVICE": "1",
}


def test_the_environment_is_the_callers_without_what_changes_terraforms_meaning(tmp_path: Path) -> None:
    child = child_environment({**PASSED_ON, **KEPT_OUT}, tmp_path)

    unlogged = {name: value for name, value in child.items() if re.fullmatch("TF_LOG_(PROVIDER|SDK)[A-Z_]*", name)}
    assert len(unlogged) == 6
    assert set(unlogged.values()) == {"OFF"}
    assert child == {**PASSED_ON, **unlogged, "TF_IN_AUTOMATION": "1", "TF_INPUT": "0", "CHECKPOINT_DISABLE": "1"}
    assert child_environment(KEPT_OUT, tmp_path, {"GOGC": "800"})["GOGC"] == "800"


@pytest.mark.parametrize(
    "name",
    [
        *("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE", "AWS_CA_BUNDLE", "AWS_WEB_IDENTITY_TOKEN_FILE"),
        *("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "TMPDIR", "XDG_CONFIG_HOME"),
    ],
)
def test_paths_are_those_of_the_callers_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/me")

    assert child_environment({name: "../files/one"}, tmp_path)[name] == f"{tmp_path}/../files/one"
    assert child_environment({name: "/one"}, tmp_path)[name] == "/one"
    assert child_environment({name: "~/one"}, tmp_path)[name] == "/home/me/one"
    assert child_environment({name: ""}, tmp_path)[name] == ""


def test_each_folder_of_a_list_is_that_of_the_caller(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    assert child_environment({"PATH": "bin:/usr/bin:"}, tmp_path)["PATH"] == f"{tmp_path}/bin:/usr/bin:{tmp_path}"


@pytest.mark.parametrize("variable", ["TF_CLI_CONFIG_FILE", "TF_PLUGIN_MIRROR"])
def test_where_the_provider_is_may_be_named_from_the_callers_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mirror" / "registry.terraform.io" / "hashicorp" / "aws").mkdir(parents=True)
    (tmp_path / "ci.tfrc").touch()
    value = {"TF_CLI_CONFIG_FILE": "ci.tfrc", "TF_PLUGIN_MIRROR": "mirror"}[variable]

    configuration = Path(child_environment({variable: value}, tmp_path)["TF_CLI_CONFIG_FILE"])

    assert configuration.is_absolute()
    assert variable == "TF_CLI_CONFIG_FILE" or f'"{tmp_path}/mirror"' in configuration.read_text()


def test_packages_are_kept_in_the_callers_folder_or_else_in_one_for_all_regions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "ci.tfrc").write_text(f'plugin_cache_dir = "{tmp_path}"\n')
    (tmp_path / "file").touch()

    def cache(**environment: str) -> str | None:
        return child_environment(environment, tmp_path, None, tmp_path / "packages").get("TF_PLUGIN_CACHE_DIR")

    assert cache(TF_PLUGIN_CACHE_DIR="own") == str(tmp_path / "own")
    assert (tmp_path / "own").is_dir()
    assert cache(TF_CLI_CONFIG_FILE="ci.tfrc") is None
    package = tmp_path / "own" / "registry.terraform.io" / "hashicorp" / "aws"
    (package / ROOT_MODULE.provider_version / PLATFORM).mkdir(parents=True)
    (package / ROOT_MODULE.provider_version / PLATFORM / "terraform-provider-aws_v").touch()
    assert cache(TF_PLUGIN_CACHE_DIR="own", TF_PLUGIN_MIRROR="own") is None
    assert not (tmp_path / "packages").exists()
    assert cache() == str(tmp_path / "packages")
    assert stat.S_IMODE((tmp_path / "packages").stat().st_mode) == 0o700
    with pytest.raises(InputError, match=r"TF_PLUGIN_CACHE_DIR: Cannot create the folder .*/file"):
        cache(TF_PLUGIN_CACHE_DIR="file")


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


SHIM = """
# As tfenv and asdf: the version is that of the variable, or of the folder that the command runs in.
version=${TFENV_TERRAFORM_VERSION:-$(cat .terraform-version 2>/dev/null)}
[ "$version" ] || { echo 'Version could not be resolved (set by .terraform-version)' >&2; exit 1; }
echo "{\\"terraform_version\\": \\"$version\\"}"
"""


def test_a_version_manager_is_asked_in_the_folder_and_environment_of_the_plans(
    only_on_path: StandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = str(only_on_path(SHIM))
    for name, version in (("caller", "1.11.9"), ("root", "1.11.4")):
        (tmp_path / name).mkdir()
        (tmp_path / name / ".terraform-version").write_text(version)
    monkeypatch.chdir(tmp_path / "caller")

    assert terraform_version(path, tmp_path / "root") == "1.11.4"
    monkeypatch.setenv("TFENV_TERRAFORM_VERSION", "1.12.0")
    assert terraform_version(path, tmp_path / "root") == "1.12.0"
    monkeypatch.delenv("TFENV_TERRAFORM_VERSION")
    with pytest.raises(InputError, match=r"exit status 1.*: Version could not be resolved \(set by"):
        find_terraform()


def test_terraform_is_found_in_a_relative_folder_of_the_path(
    only_on_path: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = only_on_path("""echo '{"terraform_version": "1.11.4"}'\n""")
    monkeypatch.chdir(path.parent.parent)
    monkeypatch.setenv("PATH", f"{path.parent.name}:/usr/bin:/bin")

    assert find_terraform() == str(path)


def test_the_wrapper_of_setup_terraform_is_named(only_on_path: StandIn) -> None:
    path = only_on_path("echo '[command] terraform-bin version -json'\n")
    path.with_name("terraform-bin").touch()

    with pytest.raises(InputError, match=r"wrapper of hashicorp/setup-terraform.*`terraform_wrapper: false`"):
        find_terraform()


# --- OpenTofu, by a stand-in that answers as its source does (internal/command/views/version.go of 1.11) ------------

TOFU = """
case "$*" in
  "version -json") echo '{"terraform_version": "VERSION", "platform": "linux_amd64", "provider_selections": {}}';;
  version) printf 'OpenTofu vVERSION\\non linux_amd64\\n';;
  *) exit 1;;
esac
"""


@pytest.fixture
def tofu(stand_in: StandIn, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """Name a stand-in for OpenTofu of a version."""

    def name(version: str) -> Path:
        path = stand_in(TOFU.replace("VERSION", version))
        monkeypatch.setenv("TERRAFORM", str(path))
        return path

    return name


def test_opentofu_and_terraform_of_one_number_are_told_apart(tofu: Callable[[str], Path]) -> None:
    path = tofu("1.11.4")

    assert find_terraform() == str(path)
    assert terraform_version(str(path)) == "OpenTofu 1.11.4"
    assert product_and_version(terraform_version(str(path))) == "OpenTofu 1.11.4"
    assert product_and_version("1.11.4") == "Terraform 1.11.4"


def test_the_real_terraform_is_none_of_opentofu() -> None:
    binary = shutil.which("terraform")
    assert binary, "Terraform is needed on the PATH."

    assert re.fullmatch(r"\d+\.\d+\.\d+", terraform_version(binary))


def test_an_opentofu_that_is_too_old_is_refused_by_its_name(tofu: Callable[[str], Path]) -> None:
    path = tofu("1.10.6")

    with pytest.raises(InputError) as caught:
        find_terraform()

    assert str(caught.value) == f"OpenTofu 1.11 or newer is needed; {path} is 1.10.6."


def test_a_named_program_may_be_on_the_path_and_must_exist(
    only_on_path: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = only_on_path(TOFU.replace("VERSION", "1.12.0"))
    monkeypatch.setenv("TERRAFORM", path.name)
    assert find_terraform() == str(path)

    monkeypatch.setenv("TERRAFORM", "no-such-program")
    with pytest.raises(InputError) as caught:
        find_terraform()
    expected = "TERRAFORM: There is no program no-such-program: name Terraform or OpenTofu, or unset it."
    assert str(caught.value) == expected


def test_opentofu_on_the_path_is_named_where_terraform_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "tofu").write_text("#!/bin/sh\n")
    (tmp_path / "tofu").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(InputError, match="To use OpenTofu, set TERRAFORM=tofu"):
        find_terraform()


def test_version_managers_get_the_version_of_the_product_by_its_variable() -> None:
    for version, names in (
        ("1.11.4", ("TFENV_TERRAFORM_VERSION", "ASDF_TERRAFORM_VERSION", "MISE_TERRAFORM_VERSION")),
        ("OpenTofu 1.11.4", ("TOFUENV_TOFU_VERSION", "ASDF_OPENTOFU_VERSION", "MISE_OPENTOFU_VERSION")),
    ):
        assert version_pin(version) == dict.fromkeys(names, "1.11.4")


def test_the_encryption_of_states_is_passed_on(tmp_path: Path) -> None:
    """OpenTofu takes its whole configuration, with a passphrase, from the environment; Terraform does not read it."""
    encryption = 'key_provider "pbkdf2" "this" {\n  passphrase = "correct horse battery staple"\n}\n'
    assert child_environment({"TF_ENCRYPTION": encryption}, tmp_path)["TF_ENCRYPTION"] == encryption
