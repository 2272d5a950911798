"""Saved plans: applied exactly as they were made, or not at all."""

import datetime
import json
import stat
from collections.abc import Callable
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

import pytest

from session_manager_fleet import files
from session_manager_fleet.run import saved_plan
from session_manager_fleet.run.saved_plan import (
    Origin,
    PlanConstraints,
    SavedPlanError,
    Toolchain,
    check,
    save_manifest,
)
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
    """A folder of a target with a plan, without a manifest."""
    folder = tmp_path / "target"
    folder.mkdir()
    (folder / "tfplan").write_bytes(b"plan")
    (folder / "plan.json").write_text("{}")
    (folder / "terraform.tfvars").write_text(VARIABLES)
    return folder


Saved = Callable[..., PlanConstraints]


@pytest.fixture
def saved(folder: Path, root: Path) -> Saved:
    """Save the manifest of the folder and return constraints that it meets."""

    def saved(*protected: str) -> PlanConstraints:
        sha256 = save_manifest(folder, RootModule(root), ORIGIN, protected=protected, created_at=NOW)
        return PlanConstraints(
            sha256=sha256,
            origin=ORIGIN,
            variables=(VARIABLES, "other = true\n"),
            now=NOW + datetime.timedelta(hours=1),
            max_age=datetime.timedelta(hours=24),
            allow_destroy=False,
        )

    return saved


def test_an_unchanged_plan_is_accepted(folder: Path, saved: Saved) -> None:
    check(folder, saved())


def test_a_saved_plan_holds_the_lock_file_and_is_private(folder: Path, saved: Saved) -> None:
    saved()

    assert (folder / "terraform.lock.hcl").read_text() == LOCK
    for name in ("bundle.json", "terraform.lock.hcl"):
        assert stat.S_IMODE((folder / name).stat().st_mode) == 0o600


@pytest.mark.parametrize("name", saved_plan.FILES)
def test_a_changed_file_is_refused(folder: Path, saved: Saved, name: str) -> None:
    constraints = saved()
    with (folder / name).open("a") as file:
        file.write("x")

    with pytest.raises(SavedPlanError, match=rf"{name} was changed after the plan was made. Plan again"):
        check(folder, constraints)


@pytest.mark.parametrize("name", [*saved_plan.FILES, saved_plan.MANIFEST])
def test_a_missing_file_is_refused(folder: Path, saved: Saved, name: str) -> None:
    constraints = saved()
    (folder / name).unlink()

    with pytest.raises(SavedPlanError, match=rf"{name} is missing. Plan again"):
        check(folder, constraints)


def test_a_forged_manifest_is_refused(folder: Path, saved: Saved, root: Path) -> None:
    constraints = saved("aws_kms_key.this")
    save_manifest(folder, RootModule(root), ORIGIN, protected=[], created_at=NOW)

    with pytest.raises(SavedPlanError, match="was changed after the plan was made"):
        check(folder, constraints)


@pytest.mark.parametrize(
    "name", [field.name for field in (*fields(Origin), *fields(Toolchain)) if field.name != "tools"]
)
def test_any_change_since_is_refused(folder: Path, saved: Saved, name: str) -> None:
    constraints, other = saved(), {name: "other"}
    origin = replace(ORIGIN, **other) if hasattr(ORIGIN, name) else replace(ORIGIN, tools=replace(TOOLS, **other))  # type: ignore[arg-type]

    with pytest.raises(SavedPlanError, match=rf"{saved_plan._DESCRIPTIONS[name]} has changed since the plan"):
        check(folder, replace(constraints, origin=origin))


def test_a_foreign_account_is_named(folder: Path, saved: Saved) -> None:
    with pytest.raises(SavedPlanError, match=r"The account has changed .*\(111122223333 then, 222233334444 now\)"):
        check(folder, replace(saved(), origin=replace(ORIGIN, account_id="222233334444")))


def test_other_settings_are_refused(folder: Path, saved: Saved) -> None:
    with pytest.raises(SavedPlanError, match="The settings have changed since the plan was made"):
        check(folder, replace(saved(), variables=(VARIABLES + "# new\n",)))


@pytest.mark.parametrize(
    ("age", "accepted"),
    [
        (datetime.timedelta(hours=24), True),
        (datetime.timedelta(hours=24, seconds=1), False),
        (datetime.timedelta(minutes=-5), True),
        (datetime.timedelta(minutes=-6), False),
    ],
)
def test_the_age_of_a_plan_has_a_limit(folder: Path, saved: Saved, age: datetime.timedelta, accepted: bool) -> None:
    constraints = replace(saved(), now=NOW + age)

    if accepted:
        check(folder, constraints)
    else:
        with pytest.raises(SavedPlanError, match=r"is 24 hours old \(maximum 24 hours\)|created in the future"):
            check(folder, constraints)


def test_keys_logs_and_buckets_are_destroyed_only_with_consent(folder: Path, saved: Saved) -> None:
    constraints = saved("module.preferences[0].aws_kms_key.logs[0]")

    with pytest.raises(
        SavedPlanError, match=r"would delete or replace module.preferences\[0\].aws_kms_key.logs\[0\].*--allow-"
    ):
        check(folder, constraints)
    check(folder, replace(constraints, allow_destroy=True))


@pytest.mark.parametrize("content", [b"\xff\xfe junk", b"", b"{}"])
def test_a_manifest_that_was_overwritten_is_refused(folder: Path, saved: Saved, content: bytes) -> None:
    constraints = saved()
    (folder / "bundle.json").write_bytes(content)

    with pytest.raises(SavedPlanError, match="was changed after the plan was made"):
        check(folder, constraints)


@pytest.mark.parametrize("name", [*saved_plan.FILES, saved_plan.MANIFEST])
def test_a_folder_in_place_of_a_file_is_refused(folder: Path, saved: Saved, name: str) -> None:
    constraints = saved()
    (folder / name).unlink()
    (folder / name).mkdir()

    with pytest.raises(SavedPlanError, match=rf"{name} is not a file. Plan again"):
        check(folder, constraints)


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
        (altered("files", {}), "names the wrong files"),
    ],
)
def test_an_invalid_manifest_is_refused(
    folder: Path, saved: Saved, alter: Callable[[dict[str, Any]], object], told: str
) -> None:
    """Where its digest was changed with it."""
    constraints = saved()
    content = json.loads((folder / "bundle.json").read_text())
    alter(content)
    (folder / "bundle.json").write_text(json.dumps(content))

    with pytest.raises(SavedPlanError, match=rf"{told}.*Plan again"):
        check(folder, replace(constraints, sha256=files.sha256_of(folder / "bundle.json")))


@pytest.mark.parametrize("text", [b"\xff", b"1", b"[]", b"{"])
def test_a_manifest_that_is_no_json_object_is_refused(folder: Path, saved: Saved, text: bytes) -> None:
    constraints = saved()
    (folder / "bundle.json").write_bytes(text)

    with pytest.raises(SavedPlanError, match="cannot be read"):
        check(folder, replace(constraints, sha256=files.sha256_of(folder / "bundle.json")))


def test_another_schema_is_refused(folder: Path, saved: Saved) -> None:
    constraints = saved()
    text = json.dumps({**json.loads((folder / "bundle.json").read_text()), "schema_version": 2})
    (folder / "bundle.json").write_text(text)

    with pytest.raises(SavedPlanError, match="another version of this project"):
        check(folder, replace(constraints, sha256=files.sha256_of_text(text)))


def test_a_root_module_without_a_lock_file_can_be_saved(folder: Path, root: Path, saved: Saved) -> None:
    (root / ".terraform.lock.hcl").unlink()

    check(folder, saved())


def test_the_tools_of_this_project_are_found() -> None:
    tools = Toolchain.of(ROOT_MODULE, "1.11.4")

    assert tools.terraform_version == "1.11.4"
    assert all(asdict(tools).values())


def test_the_version_is_that_of_the_terraform_that_made_the_plan() -> None:
    origin = Origin("111122223333", "eu-west-1", "1", "s3://bucket", TOOLS)

    assert origin.made_by({"terraform_version": "1.11.9"}).tools == replace(TOOLS, terraform_version="1.11.9")
    assert origin.made_by({}) == origin
    # OpenTofu writes its own version under the name of Terraform's.
    tofu = replace(origin, tools=replace(TOOLS, terraform_version="OpenTofu 1.11.4"))
    assert tofu.made_by({"terraform_version": "1.11.9"}).tools.terraform_version == "OpenTofu 1.11.9"
