"""Where the provider is found: what is set, Terraform's own directories, the registry, then the usual folders."""

import itertools
import shutil
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest

from session_manager_fleet.errors import InputError, TerraformError
from session_manager_fleet.terraform import (
    ROOT_MODULE,
    RootModule,
    Terraform,
    child_environment,
    find_terraform,
    provider_search as search,
)

VERSION = "5.100.0"
HERE = search.PLATFORM


@pytest.fixture(autouse=True)
def roots(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Search a folder of the test instead of this machine's."""
    folder = tmp_path / "opt"
    mirrors_below = search._mirrors_below

    def below(found: list[Path]) -> Iterator[Path]:
        return mirrors_below([folder, *(root for root in found if root.is_relative_to(tmp_path))])

    monkeypatch.setattr(search, "_mirrors_below", below)
    monkeypatch.setattr(search, "registry_reachable", lambda: False)
    return folder


def package(mirror: Path, version: str = VERSION, platform: str = HERE, *, packed: bool = False) -> Path:
    """Put an empty package of the provider into a mirror."""
    folder = mirror / search.PROVIDER_SOURCE
    path = folder / version / platform / f"terraform-provider-aws_v{version}_x5"
    path = folder / f"terraform-provider-aws_{version}_{platform}.zip" if packed else path
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    return mirror


def find(
    tmp_path: Path, environment: Mapping[str, str] | None = None, *, reachable: bool = False
) -> search.ProviderSource:
    """Search with a home folder of the test's own."""
    folders = {"HOME": str(tmp_path / "home"), "XDG_DATA_DIRS": str(tmp_path / "xdg")}
    return search.find_provider({**folders, **(environment or {})}, VERSION, tmp_path, reachable=lambda: reachable)


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("place", ["opt", "opt/plugins", "opt/terraform/providers/mirror", "home/.local/share/x"])
def test_a_directory_in_the_registrys_layout_is_found_where_the_registry_is_not(
    tmp_path: Path, place: str, packed: bool
) -> None:
    mirror = package(tmp_path / place, packed=packed)

    found = find(tmp_path)

    assert (found.mirror, found.is_search_result, found.problem) == (mirror, True, "")
    assert found.description == f"{mirror}, because registry.terraform.io cannot be reached"


def test_nothing_is_searched_for_when_the_registry_answers(tmp_path: Path) -> None:
    package(tmp_path / "opt")

    assert find(tmp_path, reachable=True) == search.ProviderSource("registry.terraform.io")


def test_the_order_is_variable_configuration_implied_cache_usual_folders(tmp_path: Path) -> None:
    own = tmp_path / "own.tfrc"
    own.write_text("provider_installation {\n  direct {}\n}\n")
    environment = {
        "TF_PLUGIN_MIRROR": str(package(tmp_path / "named")),
        "TF_CLI_CONFIG_FILE": str(own),
        "TF_PLUGIN_CACHE_DIR": str(package(tmp_path / "cache")),
    }
    implied, usual = package(tmp_path / "home/.terraform.d/plugins"), package(tmp_path / "opt/x")

    order = [find(tmp_path, environment)]
    for name in ("TF_PLUGIN_MIRROR", "TF_CLI_CONFIG_FILE"):
        del environment[name]
        order.append(find(tmp_path, environment))
    shutil.rmtree(implied)
    order.append(find(tmp_path, environment))
    del environment["TF_PLUGIN_CACHE_DIR"]
    order.append(find(tmp_path, environment))

    assert [found.description for found in order] == [
        f"{tmp_path / 'named'} (TF_PLUGIN_MIRROR)",
        f"installed as {own} says",
        str(implied),
        f"{tmp_path / 'cache'}, because registry.terraform.io cannot be reached",
        f"{usual}, because registry.terraform.io cannot be reached",
    ]
    assert [found.mirror for found in order] == [tmp_path / "named", None, None, tmp_path / "cache", usual]
    assert order[1].configuration == own


@pytest.mark.parametrize(
    ("place", "variables"),
    [
        ("terraform.d/plugins", {}),
        ("home/.local/share/terraform/plugins", {}),
        ("data/terraform/plugins", {"XDG_DATA_HOME": "data"}),
        ("xdg/terraform/plugins", {}),
        ("b/terraform/plugins", {"XDG_DATA_DIRS": "a:b"}),
    ],
)
@pytest.mark.skipif(sys.platform == "darwin", reason="These are the directories of other systems than macOS.")
def test_terraforms_implied_directories_are_left_to_terraform(
    tmp_path: Path, place: str, variables: dict[str, str]
) -> None:
    mirror = package(tmp_path / place)
    absolute = {name: ":".join(str(tmp_path / part) for part in value.split(":")) for name, value in variables.items()}

    found = find(tmp_path, absolute)

    assert (found.mirror, found.description) == (None, str(mirror))


def test_a_configuration_file_that_does_not_exist_is_said_and_ignored(tmp_path: Path) -> None:
    mirror = package(tmp_path / "opt")

    found = find(tmp_path, {"TF_CLI_CONFIG_FILE": str(tmp_path / "absent.tfrc")})

    assert found.mirror == mirror
    assert found.notes == (
        f"TF_CLI_CONFIG_FILE names {tmp_path / 'absent.tfrc'}, which does not exist; it is ignored.",
    )


def test_a_configuration_file_that_says_nothing_of_providers_decides_nothing(tmp_path: Path) -> None:
    mirror, own = package(tmp_path / "opt"), tmp_path / "home" / ".terraformrc"
    own.parent.mkdir()
    own.write_text("disable_checkpoint = true\n")

    assert find(tmp_path).mirror == mirror
    assert find(tmp_path, reachable=True).configuration == own
    own.write_text("provider_installation {\n}\n")
    assert find(tmp_path).configuration == own


def test_other_versions_and_platforms_are_not_taken_and_are_named(tmp_path: Path) -> None:
    package(tmp_path / "opt" / "old", "5.90.0")
    package(tmp_path / "opt" / "foreign", platform="plan9_mips")

    found = find(tmp_path)

    assert found.mirror is None
    assert found.problem.startswith(
        f"Terraform cannot install hashicorp/aws 5.100.0 for {HERE}, the version in .terraform.lock.hcl ("
    )
    assert f"{tmp_path / 'opt/old'} holds 5.90.0 for {HERE}" in found.problem
    assert f"{tmp_path / 'opt/foreign'} holds 5.100.0 for plan9_mips" in found.problem
    assert "terraform providers mirror FOLDER" in found.problem


def test_a_named_mirror_with_another_version_is_a_problem_and_one_without_the_provider_is_refused(
    tmp_path: Path,
) -> None:
    other = package(tmp_path / "mirror", "5.90.0")

    assert "holds 5.90.0" in find(tmp_path, {"TF_PLUGIN_MIRROR": str(other)}).problem
    with pytest.raises(InputError, match="must have the registry's layout"):
        find(tmp_path, {"TF_PLUGIN_MIRROR": str(tmp_path / "opt")})


@pytest.mark.parametrize("environment", [{"HOME": ""}, {"HOME": "/nonexistent"}])
def test_no_home_folder_is_needed(tmp_path: Path, environment: dict[str, str]) -> None:
    mirror = package(tmp_path / "opt")

    assert find(tmp_path, environment).mirror == mirror


def test_the_search_is_bounded_in_depth_and_time(tmp_path: Path) -> None:
    package(tmp_path / "opt" / "a" / "b" / "c" / "d" / "e")

    assert find(tmp_path).mirror is None
    assert list(search._mirrors_below([tmp_path / "opt"])) == []
    started = time.monotonic()
    assert find(tmp_path).mirror is None
    assert time.monotonic() - started < 2


def test_a_mirror_where_mirrors_usually_lie_is_found_however_busy_the_machine_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    minutes = itertools.count(step=60)
    monkeypatch.setattr(search, "time", SimpleNamespace(monotonic=lambda: next(minutes)))
    package(tmp_path / "opt" / "a" / "deeper")

    assert find(tmp_path).mirror is None
    usual = package(tmp_path / "opt" / "mirror")
    assert find(tmp_path).mirror == usual


@contextmanager
def _answer(seconds: float = 0, error: OSError | None = None) -> Iterator[None]:
    """Answer as the registry does, late or not at all."""
    time.sleep(seconds)
    if error:
        raise error
    yield


@pytest.mark.parametrize(
    ("seconds", "error", "reachable"),
    [(0, None, True), (0, OSError("Name or service not known"), False), (3, None, False)],
)
def test_the_registry_is_reached_when_it_answers_in_time(
    monkeypatch: pytest.MonkeyPatch, seconds: float, error: OSError | None, reachable: bool
) -> None:
    monkeypatch.undo()
    monkeypatch.setattr(search, "_PROBE_SECONDS", 0.2)
    monkeypatch.setattr(urllib.request, "urlopen", lambda *_, **__: _answer(seconds, error))

    started = time.monotonic()

    assert search.registry_reachable.__wrapped__() is reachable
    assert time.monotonic() - started < 2


def test_terraform_refuses_a_package_that_is_not_the_one_of_the_lock_file(
    roots: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mirror = package(roots / "plugins")
    program = next(mirror.rglob("terraform-provider-aws_v*"))
    program.write_text("#!/bin/sh\nexit 1\n")
    program.chmod(0o755)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    folder = tmp_path / "root"
    folder.mkdir()
    for file in ("versions.tf", ".terraform.lock.hcl"):
        shutil.copy(ROOT_MODULE.path / file, folder)
    environment = child_environment({"HOME": str(tmp_path / "home"), "PATH": "/usr/bin:/bin"}, tmp_path)
    terraform = Terraform(
        binary=find_terraform(), root=RootModule(folder), data_folder=tmp_path / "data", environment=environment
    )

    with pytest.raises(TerraformError, match=r"does not have a checksum of \.terraform\.lock\.hcl"):
        terraform.validate(tmp_path / "log")

    # A module has no lock file: that of the root module counts.
    (folder / ".terraform.lock.hcl").unlink()
    with pytest.raises(TerraformError, match=r"does not have a checksum of \.terraform\.lock\.hcl"):
        terraform.validate(tmp_path / "log", ROOT_MODULE.lock_file)


def test_the_provider_of_this_machine_is_installed_with_nothing_set_but_path_and_home(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The real search on this machine, or its registry."""
    monkeypatch.undo()
    binary = find_terraform()
    environment = {"PATH": str(Path(binary).parent), "HOME": str(tmp_path)}
    child = child_environment(environment, tmp_path)
    terraform = Terraform(binary=binary, root=ROOT_MODULE, data_folder=tmp_path / "data", environment=child)

    terraform.validate(tmp_path / "log")
