"""The terraform executable on this machine, and the environment that it runs in."""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from session_manager_fleet.errors import InputError
from session_manager_fleet.files import write_private
from session_manager_fleet.hcl import quote
from session_manager_fleet.terraform.provider_search import (
    CACHE_VARIABLE,
    CONFIGURATION_VARIABLE,
    MIRROR_VARIABLE,
    ProviderSource,
    find_provider,
)
from session_manager_fleet.terraform.root_module import ROOT_MODULE

# Of Terraform, for the lock files of the S3 backend, and of OpenTofu, for `terraform.applying`.
MINIMUM_VERSION = (1, 11)

BINARY_VARIABLE = "TERRAFORM"
_OPENTOFU = "OpenTofu "

# What would change terraform's meaning; all else is the caller's, as helpers of credentials, proxies and version
# managers read what no list can name.
# TF_*: other arguments, values, folders, workspaces, tags and providers, and logs with secrets.
# TERRAFORM_CONFIG: an old name of TF_CLI_CONFIG_FILE. GOGC, GOMEMLIMIT: the run measures the memory that there is.
# SESSION_MANAGER_FLEET_*: marks of the process that started this one.
_KEPT_BACK = re.compile(r"TF_.*|TERRAFORM_CONFIG|GOGC|GOMEMLIMIT|SESSION_MANAGER_FLEET_.*")
# Of TF_*, only how providers are fetched (from where, how patiently, and with which credentials), and how OpenTofu
# encrypts states and plans.
_PASSED_ON = re.compile(
    rf"{CACHE_VARIABLE}|TF_TOKEN_.+|TF_REGISTRY_(DISCOVERY_RETRY|CLIENT_TIMEOUT)|TF_PROVIDER_DOWNLOAD_RETRY|TF_ENCRYPTION"
)

# Children run in another folder than the caller.
_PATHS = re.compile(
    r"AWS_(CONFIG_FILE|SHARED_CREDENTIALS_FILE|CA_BUNDLE|WEB_IDENTITY_TOKEN_FILE|CONTAINER_AUTHORIZATION_TOKEN_FILE)"
    r"|AWS_DATA_PATH|SSL_CERT_(FILE|DIR)|(REQUESTS|CURL)_CA_BUNDLE|VAULT_CACERT|GNUPGHOME|HOME|TMPDIR|PATH"
    rf"|XDG_[A-Z]+_(HOME|DIRS)|{CONFIGURATION_VARIABLE}|{MIRROR_VARIABLE}|{CACHE_VARIABLE}"
)
_LISTS = re.compile(r"AWS_DATA_PATH|SSL_CERT_DIR|PATH|XDG_[A-Z]+_DIRS")
_WRAPPER = "terraform-bin"
_SAID_LINES = 5

# The provider writes all its traces as JSON and terraform parses them, only to drop them: a twentieth of a plan's
# processor time. Each of its libraries has its own level (terraform-plugin-log, "Managing log output").
_UNLOGGED = dict.fromkeys(
    (
        "TF_LOG_PROVIDER_AWS",
        "TF_LOG_SDK",
        "TF_LOG_SDK_FRAMEWORK",
        "TF_LOG_SDK_HELPER_SCHEMA",
        "TF_LOG_SDK_MUX",
        "TF_LOG_SDK_PROTO",
    ),
    "OFF",
)


def find_terraform() -> str:
    """Return the path of a terraform executable that is new enough: the one that TERRAFORM names, or that of the PATH.

    Raises:
        InputError: There is none, or it is too old.
    """
    minimum = ".".join(str(part) for part in MINIMUM_VERSION)
    named = os.environ.get(BINARY_VARIABLE)
    binary = shutil.which(named or "terraform")
    if binary is None and named:
        raise InputError(f"There is no program {named}: name Terraform or OpenTofu, or unset it.", BINARY_VARIABLE)
    if binary is None:
        tofu = f" To use OpenTofu, set {BINARY_VARIABLE}=tofu." if shutil.which("tofu") else ""
        raise InputError(
            f"Terraform {minimum} or newer is needed, and no terraform is on the PATH: install it first.{tofu}"
        )
    binary = os.path.abspath(binary)  # noqa: PTH100 - a link keeps its name, by which shims know what they are for
    version = terraform_version(binary)
    match = re.match(r"(\d+)\.(\d+)", version.removeprefix(_OPENTOFU))
    if match is None or (int(match[1]), int(match[2])) < MINIMUM_VERSION:
        product = _OPENTOFU.strip() if is_opentofu(version) else "Terraform"
        raise InputError(f"{product} {minimum} or newer is needed; {binary} is {version.removeprefix(_OPENTOFU)}.")
    return binary


def is_opentofu(version: str) -> bool:
    """Return whether a version is one of OpenTofu."""
    return version.startswith(_OPENTOFU)


def same_product(version: str, other: str) -> str:
    """Return a bare version as one of the product that another version is of."""
    return f"{_OPENTOFU}{version}" if is_opentofu(other) else version


def product_and_version(version: str) -> str:
    """Return a version with the product's name before it."""
    return version if is_opentofu(version) else f"Terraform {version}"


def terraform_version(binary: str, folder: Path = ROOT_MODULE.path) -> str:
    """Return the version of a terraform executable, as `1.11.4`, or as `OpenTofu 1.11.4`.

    Args:
        binary: Path of the executable, which may be the shim of a version manager.
        folder: Folder in which it makes plans; version managers choose by folder and environment.

    Raises:
        InputError: It does not answer as terraform would.
    """
    try:
        answer = json.loads(_version_of(binary, folder, "-json").stdout)
        version = str(answer["terraform_version"])
        # OpenTofu gives its own version under this name. Only Terraform says whether it is outdated.
        tofu = "terraform_outdated" not in answer and _version_of(binary, folder, check=False).stdout.startswith(
            _OPENTOFU.encode()
        )
    except (OSError, subprocess.SubprocessError, ValueError, KeyError, TypeError) as error:
        message = f"{binary} does not answer as terraform would: {error}{_said(error)}"
        # hashicorp/setup-terraform puts a script in terraform's place, which alters its output and exit codes.
        if Path(binary).with_name(_WRAPPER).exists():
            message = (
                f"{binary} is the wrapper of hashicorp/setup-terraform, which alters terraform's output and exit "
                "codes: set `terraform_wrapper: false` in that step."
            )
        raise InputError(message) from error
    return f"{_OPENTOFU}{version}" if tofu else version


def _version_of(binary: str, folder: Path, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[bytes]:
    command, environment = [binary, "version", *arguments], _base_environment(os.environ)
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, check=check, timeout=60)


def _said(error: Exception) -> str:
    """Return the last lines of what a command wrote to its standard error, as `: text`; empty for nothing."""
    text = error.stderr if isinstance(error, subprocess.CalledProcessError) else b""
    lines = text.decode("utf-8", "replace").split("\n")[-_SAID_LINES:]
    said = " ".join(" ".join(lines).split())
    return f": {said}" if said else ""


def version_pin(version: str) -> dict[str, str]:
    """Return the variables by which version managers run a version in every folder: applies run in others than plans.

    They are those of tfenv and tenv, asdf and mise; see https://asdf-vm.com/manage/versions.html and
    https://mise.jdx.dev/configuration/environment-variables.html.
    """
    tool, own = ("OPENTOFU", "TOFUENV_TOFU") if is_opentofu(version) else ("TERRAFORM", "TFENV_TERRAFORM")
    names = (own, f"ASDF_{tool}", f"MISE_{tool}")
    return dict.fromkeys((f"{name}_VERSION" for name in names), version.removeprefix(_OPENTOFU))


def child_environment(
    environment: Mapping[str, str],
    folder: Path,
    go_runtime: Mapping[str, str] | None = None,
    cache: Path | None = None,
) -> dict[str, str]:
    """Return the environment for terraform in a run, with the provider that is found on this machine if need be.

    Args:
        environment: The caller's environment.
        folder: Private folder for the generated command line configuration.
        go_runtime: Variables of Go's runtime, as GOGC; None for its defaults.
        cache: Private folder that keeps the package for all data folders, where the caller has no such folder; it is
            created. None for none.

    Raises:
        InputError: TF_PLUGIN_MIRROR names a directory that does not hold the provider, or TF_PLUGIN_CACHE_DIR one that
            cannot be created.
    """
    environment = _with_absolute_paths(environment)
    child = {**_base_environment(environment), **_UNLOGGED, **(go_runtime or {})}
    source = provider_source(environment)
    if source.mirror:
        path = folder / "terraform.tfrc"
        mirror = quote(str(source.mirror))
        write_private(path, f"provider_installation {{\n  filesystem_mirror {{\n    path = {mirror}\n  }}\n}}\n")
        child[CONFIGURATION_VARIABLE] = str(path)
    elif source.configuration:
        child[CONFIGURATION_VARIABLE] = str(source.configuration)
    if source.mirror and Path(child.get(CACHE_VARIABLE, "")).resolve() == source.mirror:
        child.pop(CACHE_VARIABLE, None)  # terraform would install from the folder into itself
    # Terraform links to an unpacked package anyway.
    if cache and not source.is_unpacked and not source.has_cache and not child.get(CACHE_VARIABLE):
        child[CACHE_VARIABLE] = str(cache)
    _create_cache(child.get(CACHE_VARIABLE))
    return child


def _create_cache(named: str | None) -> None:
    """Create the folder in which terraform keeps providers, without which it would not start."""
    if named:
        try:
            Path(named).mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            message = f"Cannot create the folder {named} ({error.strerror}): correct or unset the variable."
            raise InputError(message, CACHE_VARIABLE) from error


def provider_source(environment: Mapping[str, str]) -> ProviderSource:
    """Return where Terraform gets the provider of the root module from.

    Raises:
        InputError: TF_PLUGIN_MIRROR names a directory that does not hold the provider.
    """
    return find_provider(_with_absolute_paths(environment), ROOT_MODULE.provider_version, ROOT_MODULE.path)


def _base_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of every terraform process: the caller's, without what changes terraform's meaning."""
    passed_on = {
        name: value
        for name, value in _with_absolute_paths(environment).items()
        if _PASSED_ON.fullmatch(name) or not _KEPT_BACK.fullmatch(name)
    }
    return {**passed_on, "TF_IN_AUTOMATION": "1", "TF_INPUT": "0", "CHECKPOINT_DISABLE": "1"}


def _with_absolute_paths(environment: Mapping[str, str]) -> dict[str, str]:
    """Return an environment whose paths mean the same in every folder."""
    return {
        name: _absolute(name, value) if value and _PATHS.fullmatch(name) else value
        for name, value in environment.items()
    }


def _absolute(name: str, value: str) -> str:
    if _LISTS.fullmatch(name):
        return os.pathsep.join(str(Path.cwd() / part) for part in value.split(os.pathsep))
    # As botocore reads them; Go does not know the home folder's sign.
    return str(Path.cwd() / Path(value).expanduser())
