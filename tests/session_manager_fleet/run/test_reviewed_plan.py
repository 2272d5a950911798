"""The digest of a run, which binds what is applied to what was reviewed."""

import json
import re
import subprocess
from pathlib import Path

import pytest

from session_manager_fleet.accounts.model import Account
from session_manager_fleet.changes import ChangeSet, PlanOutcome, ResourceChange
from session_manager_fleet.errors import InputError
from session_manager_fleet.run.folder import RunFolder
from session_manager_fleet.run.journal import Beginning
from session_manager_fleet.run.results import Status, Step, TargetKey, TargetResult
from session_manager_fleet.run.reviewed_plan import _shown_then, refuse_other_digest
from session_manager_fleet.targets.model import Target

HOME = "eu-west-1"
ONE, OTHER = (Target(Account(number, number), HOME, HOME) for number in ("111122223333", "444455556666"))
CHANGES = ChangeSet((ResourceChange("create", "a.b"),))


def planned(target: Target, sha256: str = "ab" * 32, change_set: ChangeSet = CHANGES) -> TargetResult:
    outcome = PlanOutcome(changed=True, add=1)
    return TargetResult.build(target, Status.CHANGES, Step.PLAN, outcome, change_set, plan_sha256=sha256)


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    folder = RunFolder.create(tmp_path / "runs")
    begin(folder, "plan")
    for result in (planned(ONE), planned(OTHER, "cd" * 32)):
        folder.started(result.target, Step.PLAN, 1)
        folder.finished(result)
    return folder


def begin(folder: RunFolder, command: str) -> None:
    keys = tuple(TargetKey.of(target) for target in (ONE, OTHER))
    folder.begin(
        Beginning(command=command, organization_id="o-exampleorgid", configuration_sha256="0" * 64, targets=keys)
    )


def test_a_run_without_saved_plans_has_no_digest(tmp_path: Path) -> None:
    folder = RunFolder.create(tmp_path / "runs")
    begin(folder, "plan")

    assert folder.read().digest == ""


def test_the_digest_stays_while_the_plans_are_applied(run: RunFolder) -> None:
    digest = run.read().digest
    begin(run, "apply")
    run.started(ONE, Step.APPLY, 1)
    run.finished(TargetResult.build(ONE, Status.FAILED, Step.APPLY))
    # The rest of what was reviewed, after a transient failure.
    run.started(ONE, Step.PLAN, 2)
    run.finished(planned(ONE, "ef" * 32))
    run.started(ONE, Step.APPLY, 2)
    run.finished(TargetResult.build(ONE, Status.APPLIED, Step.APPLY))

    assert len(digest) == 64
    assert run.read().digest == digest == run.write_summary().digest


@pytest.mark.parametrize(
    "other",
    [
        planned(ONE, "ef" * 32),
        planned(ONE, change_set=ChangeSet((ResourceChange("delete", "a.b"),))),
        TargetResult.build(ONE, Status.NO_CHANGES, Step.PLAN),
    ],
)
def test_another_plan_gives_another_digest(run: RunFolder, other: TargetResult) -> None:
    digest = run.read().digest
    begin(run, "resume")
    run.started(ONE, Step.PLAN, 1)
    run.finished(other)

    assert run.read().digest not in {digest, ""}


@pytest.mark.parametrize("found", ["", "ab" * 32, "ü"])
def test_a_run_with_another_digest_is_refused(found: str) -> None:
    refuse_other_digest(found, None)
    refuse_other_digest(found, found)
    with pytest.raises(InputError, match="not the one that was reviewed"):
        refuse_other_digest(found, "cd" * 32)


@pytest.mark.parametrize("content", [b"[" * 200_000, b"\xff", b"", b"9" * 5_000])
def test_a_file_that_holds_no_plan_is_none(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "plan.json").write_bytes(content)

    assert _shown_then(tmp_path / "plan.json") is None


def test_a_digest_may_be_any_argument() -> None:
    with pytest.raises(InputError, match="not the one that was reviewed"):
        refuse_other_digest("ab" * 32, "\udcff\u202e")


def test_a_digest_is_signed_and_verified_as_the_documentation_says(tmp_path: Path) -> None:
    text = (Path(__file__).parents[3] / "docs" / "rollout.md").read_text(encoding="utf-8")
    report, sign, verify = re.findall(
        r"```bash\n(python [^`]*?jq[^`]*?\n)(ssh-keygen[^`]*?\n)(ssh-keygen[^`]*?)```", text
    )[0]
    for name, signs in {"reviewer": True, "somebody": False}.items():
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", name], cwd=tmp_path, check=True)
        if signs:
            key = (tmp_path / f"{name}.pub").read_text()
            (tmp_path / "reviewers").write_text(f"reviewer@example.com {key}")
    (tmp_path / "summary.json").write_text(json.dumps({"digest": "ab" * 32}))

    def shell(lines: str, key: str = "reviewer") -> subprocess.CompletedProcess[str]:
        lines = re.sub("python scripts/rollout.py report RUN --format json", "cat summary.json", lines)
        lines = lines.replace("python scripts/rollout.py", "echo").replace("-f KEY", f"-f {key}")
        lines = lines.replace("-f REVIEWERS -I REVIEWER", "-f reviewers -I reviewer@example.com")
        return subprocess.run(["sh", "-c", lines], cwd=tmp_path, capture_output=True, text=True, check=False)

    assert shell(f"{report}\n{sign}").returncode == 0
    assert shell(verify).stdout.endswith(f"apply RUN --digest {'ab' * 32}\n")

    (tmp_path / "RUN.digest.sig").unlink()
    assert shell(sign, "somebody").returncode == 0
    refused = shell(verify)
    assert refused.returncode != 0
    assert "apply" not in refused.stdout
