"""Saved plans: applied exactly as they were made, or not at all."""

from __future__ import annotations

import datetime
import json
import stat
from collections.abc import Callable
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

import pytest

from session_manager_fleet import files
from session_manager_fleet.run import saved_plan as bundles
from session_manager_fleet.run.saved_plan import Origin, PlanConstraints, SavedPlanError, Toolchain, check, seal
from session_manager_fleet.terraform.root_module import ROOT_MODULE, RootModule

NOW = datetime.datetime(2026, 11, 21, 12, 0, tzinfo=datetime.UTC)
TOOLS = Toolchain(terraform_version="1.11.4", provider_version="5.100.0", project_version="0.1.0", root_sha256="0" * 64)
ORIGIN = Origin(
    account_id="111122223333",
    region="eu-west-1",
    workspace="111122223333",
    backend="s3://states/session-manager in eu-west-1",
    tools=TOOLS,
)
VARIABLES = 'account_id = "111122223333"\n'
LOCK = """\
provider "registry.terraform.io/hashicorp/aws" {
  version     = "5.100.0"
  constraints = ">= 5.90.0"
}
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    (root / "modules" / "preferences").mkdir(parents=True)
    (root / "main.tf").write_text("module {}\n")
    (root / ".terraform.lock.hcl").write_text(LOCK)
    (root / "modules" / "preferences" / "main.tf").write_text("resource {}\n")
    (root / "modules" / "preferences" / "lambda.zip").write_bytes(b"zip")
    return root


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of a target with a plan, not yet sealed."""
    folder = tmp_path / "target"
    folder.mkdir()
    (folder / "tfplan").write_bytes(b"plan")
    (folder / "plan.json").write_text("{}")
    (folder / "terraform.tfvars").write_text(VARIABLES)
    return folder


Sealed = Callable[..., PlanConstraints]


@pytest.fixture
def sealed(folder: Path, root: Path) -> Sealed:
    """Seal the folder and return demands that it fulfils."""

    def sealed(*protected: str) -> PlanConstraints:
        sha256 = seal(folder, RootModule(root), ORIGIN, protected=protected, created_at=NOW)
        return PlanConstraints(
            sha256=sha256,
            origin=ORIGIN,
            variables=VARIABLES,
            now=NOW + datetime.timedelta(hours=1),
            max_age=datetime.timedelta(hours=24),
            allow_destroy=False,
        )

    return sealed


def test_an_untouched_bundle_is_accepted(folder: Path, sealed: Sealed) -> None:
    check(folder, sealed())


def test_a_bundle_holds_the_lock_file_and_is_private(folder: Path, sealed: Sealed) -> None:
    sealed()

    assert (folder / "terraform.lock.hcl").read_text() == LOCK
    for name in ("bundle.json", "terraform.lock.hcl"):
        assert stat.S_IMODE((folder / name).stat().st_mode) == 0o600


@pytest.mark.parametrize("name", bundles.FILES)
def test_a_changed_file_is_refused(folder: Path, sealed: Sealed, name: str) -> None:
    demands = sealed()
    with (folder / name).open("a") as file:
        file.write("x")

    with pytest.raises(SavedPlanError, match=rf"{name} was changed after the plan was made; plan again"):
        check(folder, demands)


@pytest.mark.parametrize("name", [*bundles.FILES, bundles.SEAL])
def test_a_missing_file_is_refused(folder: Path, sealed: Sealed, name: str) -> None:
    demands = sealed()
    (folder / name).unlink()

    with pytest.raises(SavedPlanError, match=rf"{name} is missing; plan again"):
        check(folder, demands)


def test_a_forged_seal_is_refused(folder: Path, sealed: Sealed, root: Path) -> None:
    demands = sealed("aws_kms_key.this")
    seal(folder, RootModule(root), ORIGIN, protected=[], created_at=NOW)

    with pytest.raises(SavedPlanError, match="is not the one that was made"):
        check(folder, demands)


@pytest.mark.parametrize(
    "name", [field.name for field in (*fields(Origin), *fields(Toolchain)) if field.name != "tools"]
)
def test_whatever_has_changed_since_is_refused(folder: Path, sealed: Sealed, name: str) -> None:
    demands, other = sealed(), {name: "other"}
    origin = replace(ORIGIN, **other) if hasattr(ORIGIN, name) else replace(ORIGIN, tools=replace(TOOLS, **other))  # type: ignore[arg-type]

    with pytest.raises(SavedPlanError, match=rf"{bundles._MEANING[name]} has changed.*; plan again"):
        check(folder, replace(demands, origin=origin))


def test_a_foreign_account_is_named(folder: Path, sealed: Sealed) -> None:
    with pytest.raises(SavedPlanError, match=r"the account has changed \(111122223333 then, 222233334444 now\)"):
        check(folder, replace(sealed(), origin=replace(ORIGIN, account_id="222233334444")))


def test_other_settings_are_refused(folder: Path, sealed: Sealed) -> None:
    with pytest.raises(SavedPlanError, match="The settings render other variables"):
        check(folder, replace(sealed(), variables=VARIABLES + "# new\n"))


@pytest.mark.parametrize(
    ("age", "accepted"),
    [
        (datetime.timedelta(hours=24), True),
        (datetime.timedelta(hours=24, seconds=1), False),
        (datetime.timedelta(minutes=-5), True),
        (datetime.timedelta(minutes=-6), False),
    ],
)
def test_the_age_of_a_plan_has_a_limit(folder: Path, sealed: Sealed, age: datetime.timedelta, accepted: bool) -> None:
    demands = replace(sealed(), now=NOW + age)

    if accepted:
        check(folder, demands)
    else:
        with pytest.raises(SavedPlanError, match=r"The plan is (24 hours old, and 24 hours are allowed|of the future)"):
            check(folder, demands)


def test_keys_logs_and_buckets_are_destroyed_only_if_that_is_meant(folder: Path, sealed: Sealed) -> None:
    demands = sealed("module.preferences[0].aws_kms_key.logs[0]")

    with pytest.raises(
        SavedPlanError, match=r"deletes or replaces module.preferences\[0\].aws_kms_key.logs\[0\].*--allow-"
    ):
        check(folder, demands)
    check(folder, replace(demands, allow_destroy=True))


@pytest.mark.parametrize("content", [b"\xff\xfe junk", b"", b"{}"])
def test_a_seal_that_was_overwritten_is_refused(folder: Path, sealed: Sealed, content: bytes) -> None:
    demands = sealed()
    (folder / "bundle.json").write_bytes(content)

    with pytest.raises(SavedPlanError, match="is not the one that was made; plan again"):
        check(folder, demands)


@pytest.mark.parametrize("name", [*bundles.FILES, bundles.SEAL])
def test_a_folder_in_place_of_a_file_is_refused(folder: Path, sealed: Sealed, name: str) -> None:
    demands = sealed()
    (folder / name).unlink()
    (folder / name).mkdir()

    with pytest.raises(SavedPlanError, match=rf"{name} is no file; plan again"):
        check(folder, demands)


def altered(name: str, value: object) -> Callable[[dict[str, Any]], object]:
    return lambda content: content.update({name: value})


@pytest.mark.parametrize(
    ("alter", "told"),
    [
        (lambda content: content.pop("schema_version"), "cannot be read"),
        (lambda content: content.pop("created_at"), "cannot be read"),
        (lambda content: content.pop("protected"), "cannot be read"),
        (lambda content: content["origin"].pop("backend"), "cannot be read"),
        (altered("origin", []), "cannot be read"),
        (altered("created_at", "2026-11-21T12:00:00"), "cannot be read"),
        (altered("files", {"tfplan": 1}), "cannot be read"),
        (altered("files", {}), "names other files than a plan has"),
    ],
)
def test_a_seal_that_is_none_is_refused(
    folder: Path, sealed: Sealed, alter: Callable[[dict[str, Any]], object], told: str
) -> None:
    """Where its digest was changed with it."""
    demands = sealed()
    content = json.loads((folder / "bundle.json").read_text())
    alter(content)
    (folder / "bundle.json").write_text(json.dumps(content))

    with pytest.raises(SavedPlanError, match=rf"{told}.*plan again"):
        check(folder, replace(demands, sha256=files.sha256_of(folder / "bundle.json")))


@pytest.mark.parametrize("text", [b"\xff", b"1", b"[]", b"{"])
def test_a_seal_that_is_no_json_object_is_refused(folder: Path, sealed: Sealed, text: bytes) -> None:
    demands = sealed()
    (folder / "bundle.json").write_bytes(text)

    with pytest.raises(SavedPlanError, match="cannot be read; plan again"):
        check(folder, replace(demands, sha256=files.sha256_of(folder / "bundle.json")))


def test_another_schema_is_refused(folder: Path, sealed: Sealed) -> None:
    demands = sealed()
    text = json.dumps({**json.loads((folder / "bundle.json").read_text()), "schema_version": 2})
    (folder / "bundle.json").write_text(text)

    with pytest.raises(SavedPlanError, match="another version of this project"):
        check(folder, replace(demands, sha256=files.sha256_of_text(text)))


def test_a_root_module_without_a_lock_file_can_be_sealed(folder: Path, root: Path, sealed: Sealed) -> None:
    (root / ".terraform.lock.hcl").unlink()

    check(folder, sealed())


def test_the_tools_of_this_project_are_found() -> None:
    tools = Toolchain.of(ROOT_MODULE, "1.11.4")

    assert tools.terraform_version == "1.11.4"
    assert all(asdict(tools).values())
