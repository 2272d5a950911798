"""Find the provider hashicorp/aws on this machine, for networks that do not reach the Terraform registry.

Terraform verifies every package against the checksums in the lock file, so a package found here is the one that the
registry would have delivered, or is refused.
"""

import os
import platform
import re
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from session_manager_fleet.errors import InputError

REGISTRY = "registry.terraform.io"
PROVIDER_SOURCE = f"{REGISTRY}/hashicorp/aws"
MIRROR_VARIABLE = "TF_PLUGIN_MIRROR"
CONFIGURATION_VARIABLE = "TF_CLI_CONFIG_FILE"
CACHE_VARIABLE = "TF_PLUGIN_CACHE_DIR"

# Where Terraform itself begins with every provider.
_DISCOVERY = f"https://{REGISTRY}/.well-known/terraform.json"
_PROBE_SECONDS = 2.0

# The search looks at some levels below the usual folders only. Deeper than where mirrors usually lie it gives up after
# a second; the first levels are always looked at, so that a busy machine finds what an idle one finds.
_SEARCH_DEPTH = 4
_USUAL_DEPTH = 2
_SEARCH_SECONDS = 1.0

# Names of platforms in Go's words, as in the folders of a mirror.
_SYSTEMS = {"win32": "windows"}
_MACHINES = {"x86_64": "amd64", "aarch64": "arm64", "i386": "386", "i686": "386", "armv7l": "arm", "armv6l": "arm"}
_MACHINE = platform.machine().lower()
PLATFORM = f"{_SYSTEMS.get(sys.platform, sys.platform)}_{_MACHINES.get(_MACHINE, _MACHINE)}"

# The block that decides how Terraform installs providers; without it, a configuration file leaves that open.
_INSTALLATION = re.compile(r"^\s*provider_installation\b", re.MULTILINE)
_CACHE = re.compile(r"^\s*plugin_cache_dir\b", re.MULTILINE)


@dataclass(frozen=True)
class ProviderSource:
    """Where Terraform gets the provider from.

    Attributes:
        description: Where, in one line.
        mirror: Directory in the registry's layout to install from; None leaves the choice to Terraform.
        configuration: The caller's own CLI configuration file, or None for Terraform's default.
        is_search_result: Whether the mirror was searched for, because the registry cannot be reached.
        is_unpacked: Whether it is known that the package is unpacked; Terraform links to it instead of copying it.
        notes: What is odd, but stops nothing.
        problem: Why the provider cannot be installed and what to do; empty if it can.
    """

    description: str
    mirror: Path | None = None
    configuration: Path | None = None
    is_search_result: bool = False
    is_unpacked: bool = False
    notes: tuple[str, ...] = ()
    problem: str = ""

    @property
    def has_cache(self) -> bool:
        """Whether the caller's configuration names a folder that keeps packages."""
        return self.configuration is not None and _CACHE.search(_text(self.configuration)) is not None


def find_provider(
    environment: Mapping[str, str], version: str, root: Path, *, reachable: Callable[[], bool] | None = None
) -> ProviderSource:
    """Find the provider: what is set, then Terraform's own directories, then the registry, then the usual folders.

    Args:
        environment: The caller's environment.
        version: Version in the lock file; empty for any.
        root: Folder in which terraform runs.
        reachable: Tells whether the registry can be reached; asked only if nothing above it has the provider.

    Raises:
        InputError: TF_PLUGIN_MIRROR names a directory that does not hold the provider.
    """
    if named := environment.get(MIRROR_VARIABLE):
        return _named_mirror(Path(named), version)
    notes: list[str] = []
    configuration = _own_configuration(environment, notes)
    if configuration and _INSTALLATION.search(_text(configuration)):
        return ProviderSource(f"installed as {configuration} says", None, configuration, notes=tuple(notes))
    implied = implied_directories(environment, root)
    for directory in implied:
        if package := _package(directory, version):
            return ProviderSource(
                str(directory), None, configuration, is_unpacked=package.is_unpacked, notes=tuple(notes)
            )
    if (reachable or registry_reachable)():
        return ProviderSource(REGISTRY, None, configuration, notes=tuple(notes))
    others = implied
    for directory in _candidates(environment):
        if package := _package(directory, version):
            return ProviderSource(
                f"{directory}, because {REGISTRY} cannot be reached",
                directory.resolve(),
                is_search_result=True,
                is_unpacked=package.is_unpacked,
                notes=tuple(notes),
            )
        others.append(directory)
    problem = _not_found(version, others)
    return ProviderSource("not found", None, configuration, notes=tuple(notes), problem=problem)


def implied_directories(environment: Mapping[str, str], root: Path) -> list[Path]:
    """Return the directories in which Terraform looks for providers by itself, before it asks the registry.

    See https://developer.hashicorp.com/terraform/cli/config/config-file#implied-local-mirror-directories.
    """
    home = _home(environment)
    directories = [root / "terraform.d" / "plugins"]
    if home:
        directories.append(home / ".terraform.d" / "plugins")
    if sys.platform == "darwin":
        libraries = [*([home] if home else []), Path("/")]
        directories += [folder / "Library/Application Support/io.terraform/plugins" for folder in libraries]
        return directories
    data_home = environment.get("XDG_DATA_HOME")
    if data_home or home:
        directories.append((Path(data_home) if data_home else home / ".local" / "share") / "terraform" / "plugins")  # type: ignore[operator]
    shared = environment.get("XDG_DATA_DIRS") or "/usr/local/share:/usr/share"
    directories += [Path(folder) / "terraform" / "plugins" for folder in shared.split(":") if folder]
    return directories


@cache
def registry_reachable() -> bool:
    """Tell whether the registry answers within two seconds, through the proxy that the environment names.

    The answer is kept for the whole process.
    """
    answers: list[bool] = []

    def ask() -> None:
        try:
            with urllib.request.urlopen(_DISCOVERY, timeout=_PROBE_SECONDS):  # an address of our own
                answers.append(True)
        except (OSError, ValueError):
            answers.append(False)

    # In a thread, because a name server that does not answer exceeds every timeout of a connection.
    asking = threading.Thread(target=ask, daemon=True)
    asking.start()
    asking.join(_PROBE_SECONDS)
    return answers == [True]


def _named_mirror(mirror: Path, version: str) -> ProviderSource:
    if not (mirror / PROVIDER_SOURCE).is_dir():
        message = f"The directory {mirror} does not hold {PROVIDER_SOURCE}; it must have the registry's layout."
        raise InputError(message, MIRROR_VARIABLE)
    package = _package(mirror, version)
    return ProviderSource(
        f"{mirror} ({MIRROR_VARIABLE})",
        mirror.resolve(),
        is_unpacked=package is not None and package.is_unpacked,
        problem="" if package else _not_found(version, [mirror]),
    )


def _own_configuration(environment: Mapping[str, str], notes: list[str]) -> Path | None:
    """Return the caller's CLI configuration file; one that is named and missing is noted."""
    if named := environment.get(CONFIGURATION_VARIABLE):
        if Path(named).is_file():
            return Path(named)
        notes.append(f"{CONFIGURATION_VARIABLE} names {named}, which does not exist; it is ignored.")
    home = _home(environment)
    usual = home / ".terraformrc" if home else None
    return usual if usual and usual.is_file() else None


def _text(configuration: Path) -> str:
    return configuration.read_text(encoding="utf-8", errors="replace")


def _candidates(environment: Mapping[str, str]) -> Iterator[Path]:
    """Yield directories in the registry's layout that Terraform does not look into by itself."""
    home = _home(environment)
    caches = [Path(environment[CACHE_VARIABLE])] if environment.get(CACHE_VARIABLE) else []
    caches += [home / ".terraform.d" / "plugin-cache"] if home else []
    yield from (folder for folder in caches if (folder / PROVIDER_SOURCE).is_dir())
    roots = [Path("/opt"), Path("/usr/local/share"), Path("/usr/share")]
    roots += [home / ".local" / "share"] if home else []
    yield from _mirrors_below(roots)


def _mirrors_below(roots: Sequence[Path], seconds: float = _SEARCH_SECONDS) -> Iterator[Path]:
    """Yield directories that hold the provider in the registry's layout, the ones nearest to the roots first."""
    deadline = time.monotonic() + seconds
    level = list(roots)
    for depth in range(_SEARCH_DEPTH):
        following: list[Path] = []
        for folder in level:
            if depth >= _USUAL_DEPTH and time.monotonic() > deadline:
                return
            if (folder / PROVIDER_SOURCE).is_dir():
                yield folder
            following += _subfolders(folder)
        level = following


def _subfolders(folder: Path) -> list[Path]:
    try:
        with os.scandir(folder) as entries:
            return sorted(Path(entry.path) for entry in entries if entry.is_dir(follow_symlinks=False))
    except OSError:
        return []


@dataclass(frozen=True)
class _Package:
    version: str
    platform: str
    is_unpacked: bool


def _package(directory: Path, version: str) -> _Package | None:
    """Return the package of a version for this machine, or None."""
    fitting = (
        one for one in _packages(directory) if one.platform == PLATFORM and (not version or one.version == version)
    )
    return next(fitting, None)


def _packages(directory: Path) -> Iterator[_Package]:
    """Yield every package of the provider in a directory with the registry's layout."""
    folder = directory / PROVIDER_SOURCE
    for program in folder.glob("*/*/terraform-provider-aws*"):
        yield _Package(program.parts[-3], program.parts[-2], is_unpacked=True)
    for archive in folder.glob("terraform-provider-aws_*.zip"):
        if found := re.fullmatch(r"terraform-provider-aws_([^_]+)_([a-z0-9]+_[a-z0-9]+)\.zip", archive.name):
            yield _Package(found[1], found[2], is_unpacked=False)


def _not_found(version: str, directories: Sequence[Path]) -> str:
    wanted = f"hashicorp/aws {version}".rstrip() + f" for {PLATFORM}"
    others = [
        f"{directory} holds {', '.join(found)}"
        for directory in dict.fromkeys(directories)
        if (found := sorted({f"{package.version} for {package.platform}" for package in _packages(directory)}))
    ]
    seen = f" ({'; '.join(others)})" if others else ""
    return (
        f"Terraform cannot install {wanted}, the version in .terraform.lock.hcl{seen}. Allow access to {REGISTRY}, or "
        "run `terraform providers mirror FOLDER` in the folder of the root module on a machine with access, copy "
        f"FOLDER to this machine and set {MIRROR_VARIABLE}=FOLDER."
    )


def _home(environment: Mapping[str, str]) -> Path | None:
    return Path(environment["HOME"]) if environment.get("HOME") else None
