"""The runs of shards become one run; what does not belong together, or is missing, is told."""

import json
import stat
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from session_manager_fleet.accounts.model import Account
from session_manager_fleet.changes.change_set import ChangeSet, PlanOutcome, ResourceChange
from session_manager_fleet.cli.app import run as command
from session_manager_fleet.errors import InputError
from session_manager_fleet.reports.formats import REPORTS
from session_manager_fleet.run import merge as merging
from session_manager_fleet.run.folder import RunFolder
from session_manager_fleet.run.journal import Beginning
from session_manager_fleet.run.merge import Part, merge, missing, read_parts
from session_manager_fleet.run.results import Failure, Status, Step, TargetKey, TargetResult
from session_manager_fleet.run.summary import Summary
from session_manager_fleet.targets.model import Shard, Target

HOME = "eu-west-1"
COUNT = 3
CHANGES = ChangeSet((ResourceChange("create", "a.b"),))
TARGETS = [
    Target(Account(f"{number:012}", f"account {number}"), HOME, HOME, "canary" if number % 5 == 0 else "rest")
    for number in range(1, 31)
]


def part_of(number: int, count: int = COUNT) -> list[Target]:
    return [target for target in TARGETS if Shard(number, count).holds(target.account.id)]


def planned(target: Target) -> TargetResult:
    outcome = PlanOutcome(changed=True, add=1)
    return TargetResult.build(target, Status.CHANGES, Step.PLAN, outcome, CHANGES, plan_sha256="ab" * 32)


def failed(target: Target) -> TargetResult:
    return TargetResult.build(target, Status.FAILED, Step.PLAN, failure=Failure("terraform", "It failed."))


def make_shard(
    folder: Path,
    number: int,
    results: Sequence[TargetResult] | None = None,
    **differences: Any,  # noqa: ANN401
) -> RunFolder:
    """Make the run of a shard; every target has a plan, and permissions are lost."""
    run = RunFolder.create(folder / f"shard-{number}")
    beginning = Beginning(
        command="plan",
        organization_id="o-exampleorgid",
        configuration_sha256="ef" * 32,
        shard=f"{number}/{COUNT}",
        shards=tuple(range(1, COUNT + 1)),
        tolerances={"canary": 0, "rest": "10%"},
        targets=tuple(TargetKey.of(target) for target in part_of(number)),
    )
    run.begin(beginning.model_copy(update=differences))
    for result in [planned(target) for target in part_of(number)] if results is None else results:
        plan = run.target_folder(result.target) / "tfplan"
        plan.write_text(f"plan of {result.key}")
        plan.chmod(0o644)
        run.finished(result)
    run.end(2)
    return run


@pytest.fixture
def shards(tmp_path: Path) -> list[Path]:
    return [make_shard(tmp_path, number).path for number in (3, 1, 2)]


def test_all_shards_become_one_run(shards: list[Path], tmp_path: Path) -> None:
    parts = read_parts(shards)
    run = merge(parts, tmp_path / "runs")

    state = run.read()
    assert missing(parts) == ()
    assert {result.target for result in state.results} == set(TARGETS)
    assert [result.wave for result in state.results] == ["canary"] * 6 + ["rest"] * 24
    assert all(result == planned(result.target) for result in state.results)
    assert (state.beginning.command, state.beginning.shard) == ("plan", None)
    plan = run.target_folder(TARGETS[0]) / "tfplan"
    assert plan.read_text() == f"plan of {TARGETS[0].key}"
    assert stat.S_IMODE(plan.stat().st_mode) == 0o600
    [group] = run.summarize(state).change_sets
    assert len(group.targets) == 30


def test_the_runs_of_shards_are_made_private(shards: list[Path], tmp_path: Path) -> None:
    for path in shards:
        path.chmod(0o755)

    merge(read_parts(shards), tmp_path / "runs")

    for path in shards:
        assert {stat.S_IMODE(each.stat().st_mode) & 0o077 for each in (path, *path.rglob("*"))} == {0}


@pytest.mark.parametrize("level", ["file", "folder of the region", "folder of the account", "journal", "shard"])
def test_a_link_in_a_shard_is_refused_at_every_level(shards: list[Path], tmp_path: Path, level: str) -> None:
    secret = tmp_path / "secret"
    (secret / HOME).mkdir(parents=True)
    (secret / HOME / "credentials").write_text("secret")
    folder = shards[1] / part_of(1)[0].account.id
    if level == "file":
        (folder / HOME / "terraform.log").symlink_to(secret / HOME / "credentials")
    else:
        replaced = {
            "folder of the region": folder / HOME,
            "folder of the account": folder,
            "journal": shards[1] / "journal.jsonl",
            "shard": shards[1],
        }[level]
        replaced.rename(tmp_path / "moved")
        replaced.symlink_to(tmp_path / "moved" if level in {"journal", "shard"} else secret)

    with pytest.raises(InputError, match="This is a link, which "):
        read_parts(shards)

    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("what", "value"),
    [
        ("account_id", ".."),
        ("account_id", "../payload"),
        ("account_id", "../../../../../secretdir"),
        ("account_id", "/etc"),
        ("account_id", "111122223333\n"),
        ("region", "REVIEWED"),
        ("region", "../../../esc/a/x"),
        ("region", "eu-west-1/"),
        ("home_region", "/etc"),
        ("wave", "evil name/.."),
        ("account_role", "\u001b[31m"),
    ],
)
def test_a_target_with_another_name_than_targets_have_damages_the_journal(
    shards: list[Path], tmp_path: Path, what: str, value: str
) -> None:
    """Ids of a shard become folders of the merged run."""
    reviewed = tmp_path / "runs" / "REVIEWED" / "journal.jsonl"
    reviewed.parent.mkdir(parents=True)
    reviewed.write_text("reviewed")
    journal = shards[1] / "journal.jsonl"
    lines = journal.read_text().splitlines()
    first = json.loads(lines[0])
    first["targets"][0][what] = value
    journal.write_text("\n".join([json.dumps(first), *lines[1:]]) + "\n")

    assert command(["merge", *map(str, shards), "--runs", str(tmp_path / "runs")]) == 64

    assert reviewed.read_text() == "reviewed"
    assert [path.name for path in (tmp_path / "runs").iterdir()] == ["REVIEWED"]
    with pytest.raises(InputError) as caught:
        read_parts(shards)
    assert caught.value.problems[0].location == f"{journal}:1"
    assert caught.value.problems[0].message == f"The journal is damaged (targets.0.{what} is not valid); plan again."


def test_a_part_of_which_no_account_exists_is_not_missing(tmp_path: Path) -> None:
    paths = [make_shard(tmp_path, number, shards=(1, 3)).path for number in (1, 3)]

    assert missing(read_parts(paths)) == ()


@pytest.mark.parametrize(
    ("difference", "message"),
    [
        ({"configuration_sha256": "00" * 32}, "The organization.yaml differs from that of the run in "),
        ({"organization_id": "o-anotherorgid"}, "The organization differs from that of the run in "),
        ({"command": "apply"}, "The command differs from that of the run in "),
        ({"selection": ("--region eu-west-1",)}, "The selection of targets differs from that of the run in "),
        ({"wave": "canary"}, "The wave differs from that of the run in "),
        ({"shard": "2/4"}, "The number of shards differs from that of the run in "),
        ({"shard": None}, "This is not the run of a shard"),
        ({"shard": "1/3"}, "Duplicate shard 1/3"),
    ],
)
def test_what_does_not_belong_together_is_refused(tmp_path: Path, difference: dict[str, Any], message: str) -> None:
    paths = [make_shard(tmp_path, 1).path, make_shard(tmp_path, 2, **difference).path]

    with pytest.raises(InputError, match=message) as caught:
        read_parts(paths)

    assert caught.value.problems[0].location == str(paths[1])


def test_an_apply_of_a_shard_counts_with_its_own_targets(tmp_path: Path) -> None:
    """Every shard applies its part of a copy of the same merged run."""
    everything = tuple(TargetKey.of(target) for target in TARGETS)
    paths = []
    for number in range(1, COUNT + 1):
        run = RunFolder.create(tmp_path / str(number))
        whole = {"shard": None, "shards": (), "targets": everything}
        first = Beginning(
            command="plan", organization_id="o-exampleorgid", configuration_sha256="ef" * 32, tolerances={"canary": 0}
        )
        run.begin(first.model_copy(update=whole))
        for target in TARGETS:
            run.finished(planned(target))
        applying = {"command": "apply", "shard": f"{number}/{COUNT}", "shards": (1, 2, 3), "wave": "rest"}
        run.begin(first.model_copy(update=applying))
        for target in part_of(number):
            if target.wave == "rest":
                run.finished(TargetResult.build(target, Status.APPLIED, Step.APPLY))
        run.end(0)
        paths.append(run.path)

    merged = merge(read_parts(paths), tmp_path / "runs").read()

    assert len(merged.results) == 24
    assert {result.status for result in merged.results} == {Status.APPLIED}
    assert merged.results[0].change_set == CHANGES


def test_tolerance_counts_over_all_shards() -> None:
    beginning = Beginning(
        command="plan",
        organization_id="o-exampleorgid",
        configuration_sha256="ef" * 32,
        tolerances={"canary": 0, "rest": "10%"},
    )
    rest = [target for target in TARGETS if target.wave == "rest"]
    canary = [target for target in TARGETS if target.wave == "canary"]

    def verdict(*results: TargetResult) -> list[str]:
        changed = {result.target for result in results}
        others = [planned(target) for target in TARGETS if target not in changed]
        return merging.exceeded_tolerances([*results, *others], beginning)

    assert verdict(failed(rest[0]), failed(rest[1])) == []
    assert verdict(*(failed(target) for target in rest[:3])) == [
        "3 of 24 targets of the wave rest failed (tolerated: 10%)"
    ]
    assert verdict(failed(canary[0])) == ["1 of 6 targets of the wave canary failed (tolerated: 0)"]
    undone = replace(planned(rest[0]), status=Status.UNFINISHED)
    assert verdict(undone) == ["1 of 24 targets of the wave rest are not done"]


# --- The command -------------------------------------------------------------------------------------------------


def merge_command(tmp_path: Path, *arguments: str | Path) -> int:
    return command(["merge", *map(str, arguments), "--runs", str(tmp_path / "runs")])


def test_the_exit_code_is_that_of_the_whole(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    paths = [make_shard(tmp_path, number).path for number in (1, 2)]
    broken = [target for target in part_of(3) if target.wave == "rest"][:2]
    results = [failed(target) if target in broken else planned(target) for target in part_of(3)]

    bad = make_shard(tmp_path, 3, results).path
    good = make_shard(tmp_path, 3).path

    assert merge_command(tmp_path, *paths, good) == 2
    assert merge_command(tmp_path, *paths, bad) == 1
    assert merge_command(tmp_path, *paths, bad, "--within-tolerance") == 2
    capsys.readouterr()


def test_a_missing_shard_is_a_failure(shards: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert merge_command(tmp_path, *shards[:2], "--within-tolerance") == 1

    output = " ".join(capsys.readouterr().out.split())
    assert "Shard 2/3 is missing." in output
    assert "2 of 3 shards" in output


def test_a_shard_that_never_began_is_missing_and_the_others_are_merged(
    shards: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    dead = RunFolder.create(tmp_path / "dead").path
    (dead / "init-eu-west-1.log").touch()
    for journal in (None, ""):
        if journal is not None:
            (dead / "journal.jsonl").write_text(journal)

        assert merge_command(tmp_path, shards[0], dead, shards[1]) == 1

        output = " ".join(capsys.readouterr().out.split())
        assert "Shard 2/3 is missing." in output
        assert "2 of 3 shards" in output
    assert merge_command(tmp_path, dead) == 64


def test_a_missing_shard_stays_a_failure_in_all_that_is_told_of_the_run(
    shards: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert merge_command(tmp_path, *shards[:2]) == 1
    [run] = (tmp_path / "runs").glob("2*")

    assert command(["resume", run.name, "--runs", str(run.parent)]) == 1
    assert "Shard 2/3 is missing from this run." in capsys.readouterr().out
    assert command(["apply", run.name, "--runs", str(run.parent), "--yes"]) == 64
    assert "Shard 2/3 is missing from this run. Plan it, and merge" in capsys.readouterr().err

    summary = Summary.read(run / "summary.json")
    assert (summary.exit_code, summary.missing_shards) == (1, ("2/3",))
    for name, report in REPORTS.items():
        text = report(summary)
        assert ("shard 2/3" if name == "junit" else "2/3") in text
    assert 'errors="1"' in REPORTS["junit"](summary)


def test_a_run_that_is_not_there_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert merge_command(tmp_path, tmp_path / "nothing") == 64
    assert "There is no run here" in capsys.readouterr().err


def test_a_part_knows_its_shard(shards: list[Path]) -> None:
    assert Part.read(shards[0]).shard == Shard(3, 3)
