"""What a run needs: each thing that is missing is refused, all at once, before anything starts."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from session_manager_fleet.errors import AccessError, ExitCode, FleetError, InputError
from session_manager_fleet.run import prerequisites
from session_manager_fleet.run.prerequisites import Outcome, Prerequisite, examine, refuse_missing
from session_manager_fleet.terraform.provider_search import ProviderSource

Source = Callable[[ProviderSource], None]


@pytest.fixture
def source(monkeypatch: pytest.MonkeyPatch) -> Source:
    """Let the search for the provider end with this."""

    def find(found: ProviderSource) -> None:
        monkeypatch.setattr(prerequisites, "provider_source", lambda _: found)

    find(ProviderSource("registry.terraform.io"))
    return find


def check(tmp_path: Path, name: str, environment: dict[str, str] | None = None, regions: int = 2) -> Outcome:
    """Check one prerequisite of a machine with `runs` in a folder that does not exist."""
    needed = prerequisites.of_machine(environment or {}, tmp_path / "no" / "runs", regions=regions)
    (outcome,) = examine(one for one in needed if one.name == name)
    return outcome


@pytest.mark.parametrize(("unpacked", "needed"), [(True, 256), (False, 256 + 3 * 800)])
def test_a_full_disk(
    tmp_path: Path, source: Source, monkeypatch: pytest.MonkeyPatch, unpacked: bool, needed: int
) -> None:
    source(ProviderSource("somewhere", is_unpacked=unpacked))

    def with_free(mebibytes: int) -> Outcome:
        monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=mebibytes * 1024**2))
        return check(tmp_path, "disk", regions=3)

    full = with_free(needed - 1)
    assert isinstance(full.error, InputError)
    assert f"{tmp_path} has {needed - 1} MiB free and the run needs up to {needed} MiB" in str(full.error)
    assert with_free(needed).error is None


@pytest.mark.parametrize(
    ("name", "message"),
    [("x" * 120, "has .* characters; Terraform's providers need"), ("absent", "is no folder: unset TMPDIR")],
)
@pytest.mark.usefixtures("source")
def test_a_temporary_folder_that_cannot_serve(tmp_path: Path, name: str, message: str) -> None:
    folder = tmp_path / name
    if name != "absent":
        folder.mkdir()

    assert check(tmp_path, "temporary_folder", {"TMPDIR": "/tmp"}).error is None  # noqa: S108 - the cure
    with pytest.raises(InputError, match=message):
        refuse_missing([check(tmp_path, "temporary_folder", {"TMPDIR": str(folder)})])


def test_a_provider_that_cannot_be_installed(tmp_path: Path, source: Source) -> None:
    assert check(tmp_path, "provider").found == "hashicorp/aws: registry.terraform.io"
    source(ProviderSource("not found", problem="Terraform cannot install it."))

    assert str(check(tmp_path, "provider").error) == "Terraform cannot install it."


@pytest.mark.usefixtures("source")
def test_a_cluster_needs_no_provider_here(tmp_path: Path) -> None:
    names = [one.name for one in prerequisites.of_machine({}, tmp_path, runs_terraform=False)]

    assert names == ["python", "terraform", "disk"]


def _fails(error: FleetError) -> Callable[[], str]:
    def check() -> str:
        raise error

    return check


def test_what_needs_something_missing_is_not_checked() -> None:
    wrong = AccessError("no credentials")
    needed = [
        Prerequisite("credentials", _fails(wrong)),
        Prerequisite("state_bucket", lambda: "there", after="credentials"),
        Prerequisite("disk", lambda: "enough"),
    ]

    assert examine(needed) == [Outcome("credentials", error=wrong), Outcome("disk", "enough")]


def test_all_that_is_missing_is_refused_at_once() -> None:
    first, second, third = InputError("no terraform"), AccessError("no role"), AccessError("no bucket")

    refuse_missing([Outcome("disk", "enough")])
    with pytest.raises(AccessError, match=r"^no role$"):
        refuse_missing([Outcome("role", error=second)])
    with pytest.raises(AccessError, match=r"^no role\nno bucket$"):
        refuse_missing([Outcome("role", error=second)], third)
    with pytest.raises(InputError, match=r"^no terraform\nno role$") as caught:
        refuse_missing([Outcome("terraform", error=first), Outcome("role", error=second)])
    assert caught.value.exit_code is ExitCode.INVALID_INPUT
