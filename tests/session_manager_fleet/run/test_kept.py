"""Variables of targets that have left the settings: those of the last run that applied them, and of no other target."""

import stat
from pathlib import Path

import pytest

from session_manager_fleet.accounts.model import Account
from session_manager_fleet.errors import InputError
from session_manager_fleet.run.folder import RunFolder
from session_manager_fleet.run.journal import Beginning
from session_manager_fleet.run.kept import KeptTarget, kept_in
from session_manager_fleet.run.results import Status, Step, TargetKey, TargetResult
from session_manager_fleet.targets.model import Target
from session_manager_fleet.terraform.stray_states import StrayState

ACCOUNT, HOME, OTHER = Account("111122223333", "Payments"), "eu-west-1", "us-east-1"
STATE = StrayState(
    ACCOUNT.id, HOME, is_home=True, key=f"session-manager/{HOME}/{ACCOUNT.id}/terraform.tfstate", resources=3
)


def variables(home: str = HOME, account: str = ACCOUNT.id, region: str = HOME, note: str = "") -> str:
    return f'# {note}\naccount_id = "{account}"\nregion = "{region}"\nhome_region = "{home}"\n'


def make_run(runs: Path, run_id: str, status: Status, text: str) -> RunFolder:
    target = Target(ACCOUNT, HOME, HOME)
    run = RunFolder(runs / run_id)
    run.path.mkdir(parents=True)
    run.begin(
        Beginning(
            command="apply",
            organization_id="o-exampleorgid",
            configuration_sha256="0" * 64,
            targets=(TargetKey.of(target),),
        )
    )
    run.finished(TargetResult.build(target, status, Step.APPLY))
    (run.target_folder(target) / "terraform.tfvars").write_text(text)
    return run


def test_the_variables_of_the_last_run_that_applied_the_target(tmp_path: Path) -> None:
    make_run(tmp_path, "20261101T000000Z-0001", Status.APPLIED, variables(note="first"))
    make_run(tmp_path, "20261102T000000Z-0002", Status.NO_CHANGES, variables(note="second"))
    make_run(tmp_path, "20261103T000000Z-0003", Status.FAILED, variables(note="failed"))
    make_run(tmp_path, "20261104T000000Z-0004", Status.APPLIED, variables(home=OTHER, note="another home region"))
    damaged = make_run(tmp_path, "20261105T000000Z-0005", Status.APPLIED, variables(note="damaged"))
    (damaged.path / "journal.jsonl").write_text("{}\n")

    kept = KeptTarget.find(STATE, ACCOUNT, tmp_path)

    assert kept.variables == variables(note="second")
    assert kept.target == Target(ACCOUNT, HOME, HOME)
    run = RunFolder.create(tmp_path / "runs")
    assert kept_in(run, kept.target) is None
    kept.copy_to(run)
    assert kept_in(run, kept.target) == kept.variables
    [copy] = run.path.glob("*/*/kept.tfvars")
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    copy.unlink()
    copy.symlink_to(kept.source)
    with pytest.raises(InputError, match="cannot be read"):
        kept_in(run, kept.target)


def test_without_such_a_run_the_variables_have_to_be_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=rf"has applied {ACCOUNT.id}/{HOME}: name the folder .*--variables"):
        KeptTarget.find(STATE, ACCOUNT, tmp_path)


@pytest.mark.parametrize(
    "text",
    [
        variables(account="444455556666"),
        variables(region=OTHER),
        variables(home=OTHER),
        f'account_id = "{ACCOUNT.id}"\nregion = "{HOME}"\n',
        "account_id = ",
        "\0",
    ],
)
def test_variables_of_another_target_are_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "terraform.tfvars"
    path.write_text(text)

    with pytest.raises(InputError):
        KeptTarget.read(STATE, ACCOUNT, path)
    with pytest.raises(InputError, match="cannot be read"):
        KeptTarget.read(STATE, ACCOUNT, tmp_path / "none")
