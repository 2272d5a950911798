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
from session_manager_fleet.terraform.provider_search import CONFIGURATION_VARIABLE, ProviderSource, find_provider
from session_manager_fleet.terraform.root_module import ROOT_MODULE

MINIMUM_VERSION = (1, 11)

# Variables that terraform, its S3 backend and the AWS provider read; all others of the caller's stay outside.
_PASSED_ON = re.compile(
    r"PATH|HOME|USER|LOGNAME|TMPDIR|XDG_DATA_(HOME|DIRS)|LANG|LC_[A-Z]+|TZ|AWS_[A-Z0-9_]+|SSL_CERT_(FILE|DIR)"
    r"|(HTTPS?|NO|ALL)_PROXY|(https?|no|all)_proxy"
)

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
    """Return the path of a terraform executable that is new enough.

    Raises:
        InputError: There is none on the PATH, or it is too old.
    """
    minimum = ".".join(str(part) for part in MINIMUM_VERSION)
    binary = shutil.which("terraform")
    if binary is None:
        raise InputError(f"Terraform {minimum} or newer is needed, and no terraform is on the PATH: install it first.")
    version = terraform_version(binary)
    match = re.match(r"(\d+)\.(\d+)", version)
    if match is None or (int(match[1]), int(match[2])) < MINIMUM_VERSION:
        raise InputError(f"Terraform {minimum} or newer is needed; {binary} is {version}.")
    return binary


def terraform_version(binary: str) -> str:
    """Return the version of a terraform executable, as `1.11.4`.

    Raises:
        InputError: It does not answer as terraform would.
    """
    try:
        output = subprocess.run(
            [binary, "version", "-json"],
            env=_base_environment(os.environ),
            capture_output=True,
            check=True,
            timeout=60,
        ).stdout
        return str(json.loads(output)["terraform_version"])
    except (OSError, subprocess.SubprocessError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{binary} does not answer as terraform would: {error}") from error


def child_environment(
    environment: Mapping[str, str], folder: Path, go_runtime: Mapping[str, str] | None = None
) -> dict[str, str]:
    """Return the environment for terraform in a run, with the provider that is found on this machine if need be.

    Args:
        environment: The caller's environment.
        folder: Private folder for the generated command line configuration.
        go_runtime: Variables of Go's runtime, as GOGC; None for its defaults.

    Raises:
        InputError: TF_PLUGIN_MIRROR names a directory that does not hold the provider.
    """
    child = {**_base_environment(environment), **_UNLOGGED, **(go_runtime or {})}
    source = provider_source(environment)
    if source.mirror:
        path = folder / "terraform.tfrc"
        mirror = quote(str(source.mirror))
        write_private(path, f"provider_installation {{\n  filesystem_mirror {{\n    path = {mirror}\n  }}\n}}\n")
        child[CONFIGURATION_VARIABLE] = str(path)
    elif source.configuration:
        child[CONFIGURATION_VARIABLE] = str(source.configuration)
    return child


def provider_source(environment: Mapping[str, str]) -> ProviderSource:
    """Return where Terraform gets the provider of the root module from.

    Raises:
        InputError: TF_PLUGIN_MIRROR names a directory that does not hold the provider.
    """
    return find_provider(environment, ROOT_MODULE.provider_version, ROOT_MODULE.path)


def _base_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of every terraform process, from the list of variables that are passed on."""
    passed_on = {name: value for name, value in environment.items() if _PASSED_ON.fullmatch(name)}
    return {**passed_on, "TF_IN_AUTOMATION": "1", "TF_INPUT": "0", "CHECKPOINT_DISABLE": "1"}
