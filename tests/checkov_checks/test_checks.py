"""scripts/checkov_checks, run by checkov itself: once over all fixtures, the configuration and a plan.

A fixture is named after its check and its resources after the result: pass_…, fail_… or unknown_… (no result).
The skips of the configuration are taken away first, so that the same run shows which of them are idle.
"""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]
FIXTURES = Path(__file__).parent / "fixtures"
CHECKS = [f"CKV_SMF_{number}" for number in range(1, 8)]
BOILERPLATE = re.compile(
    r"\b(todo|fixme|add reason|not (needed|required|applicable)|false positive|ensure|by design)\b", re.IGNORECASE
)
SKIP = re.compile(r"#checkov:skip=([A-Z0-9_,]+):(.*)")

# Of a plan, checkov reads what is known before it is applied.
UNKNOWN_IN_THE_PLAN = {"pass_key_of_this_configuration"}


def checkov() -> Path:
    """The program of `make prepare`, which worktrees share."""
    common = subprocess.run(
        ["git", "rev-parse", "--path-format=absolute", "--git-common-dir"],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=True,
    )
    for folder in (PROJECT, Path(common.stdout.strip()).parent):
        if (found := folder / ".venv-checkov" / "bin" / "checkov").exists():
            return found
    if os.environ.get("CI"):
        pytest.fail("There is no .venv-checkov: run `make prepare`.")
    pytest.skip("There is no .venv-checkov; `make prepare` makes it.")


def skips() -> list[tuple[Path, int, str, str]]:
    """File, line, check and reason of each skip in the configuration."""
    return [
        (file.relative_to(PROJECT), line, check, found[2])
        for folder in ("modules", "examples")
        for file in sorted((PROJECT / folder).rglob("*.tf"))
        if ".terraform" not in file.parts
        for line, text in enumerate(file.read_text(encoding="utf-8").splitlines(), 1)
        if (found := SKIP.search(text))
        for check in found[1].split(",")
    ]


@pytest.fixture(scope="session")
def results(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, object]]:
    """What checkov says without skips: all custom checks, and the built-in ones that are skipped somewhere."""
    folder = tmp_path_factory.mktemp("checked")
    ignored = shutil.ignore_patterns(".terraform*", "*.zip", "*.md")
    for name in ("modules", "examples"):
        shutil.copytree(PROJECT / name, folder / name, ignore=ignored)
    for file in PROJECT.glob("*.tf"):
        shutil.copy(file, folder)
    for file in folder.rglob("*.tf"):
        file.write_text(SKIP.sub("# no skip", file.read_text(encoding="utf-8")), encoding="utf-8")
    shutil.copytree(FIXTURES, folder / "fixtures")
    wanted = sorted({*CHECKS, *(check for _, _, check, _ in skips())})
    done = subprocess.run(
        [
            checkov(),
            *("--directory", folder, "--framework", "terraform", "terraform_plan", "--output", "json"),
            *("--external-checks-dir", PROJECT / "scripts" / "checkov_checks"),
            *("--skip-download", "--compact", "--check", ",".join(wanted)),
        ],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    assert "external check" not in done.stderr
    reports = json.loads(done.stdout)
    return [
        {**check, "kind": report["check_type"]}
        for report in reports
        for outcome in ("passed_checks", "failed_checks")
        for check in report["results"][outcome]
    ]


def named(kind: str) -> list[tuple[str, str]]:
    return [
        (file.stem, f"{found[1]}.{found[2]}")
        for file in sorted(FIXTURES.glob("CKV_*.tf"))
        for found in re.finditer(rf'"(\w+)" "({kind}_\w+)"', file.read_text(encoding="utf-8"))
    ]


def outcomes(results: list[dict[str, object]], kind: str, file: str) -> dict[tuple[str, str], str]:
    return {
        (str(found["check_id"]), str(found["resource"])): str(found["check_result"]["result"])  # type: ignore[index]
        for found in results
        if found["kind"] == kind and re.search(file, str(found["file_path"]))
    }


@pytest.mark.parametrize(("kind", "result"), [("pass", "PASSED"), ("fail", "FAILED"), ("unknown", None)])
def test_each_check_judges_its_fixtures(results: list[dict[str, object]], kind: str, result: str | None) -> None:
    found = outcomes(results, "terraform", "^/fixtures/")
    expected = named(kind)
    assert kind == "unknown" or {check for check, _ in expected} == set(CHECKS)
    assert {name: found.get(name) for name in expected} == dict.fromkeys(expected, result)


@pytest.mark.parametrize(("kind", "result"), [("pass", "PASSED"), ("fail", "FAILED")])
def test_each_check_judges_the_same_in_a_plan(results: list[dict[str, object]], kind: str, result: str) -> None:
    found = outcomes(results, "terraform_plan", r"plan\.json$")
    # Data sources without unknown values are read before the plan: it holds no block of them.
    expected = [
        (check, name)
        for check, name in named(kind)
        if not name.startswith("aws_iam_policy_document.") and name.partition(".")[2] not in UNKNOWN_IN_THE_PLAN
    ]
    assert {check for check, _ in expected} == set(CHECKS)
    assert {name: found.get(name) for name in expected} == dict.fromkeys(expected, result)


@pytest.mark.parametrize("check", CHECKS)
def test_the_configuration_passes_each_check_or_says_why_not(results: list[dict[str, object]], check: str) -> None:
    failed = {
        str(found["file_path"]).lstrip("/")
        for found in results
        if found["check_id"] == check
        and found["check_result"]["result"] == "FAILED"  # type: ignore[index]
        and not str(found["file_path"]).startswith(("/fixtures/", "fixtures/"))
        and found["kind"] == "terraform"
    }
    assert failed == {str(file) for file, _, skipped, _ in skips() if skipped == check}


def test_no_skip_is_idle(results: list[dict[str, object]]) -> None:
    """Each skipped check runs on the resource that holds the skip, and fails without it."""
    failed = [
        (str(found["check_id"]), str(found["file_path"]), found["file_line_range"])
        for found in results
        if found["check_result"]["result"] == "FAILED"  # type: ignore[index]
    ]
    idle = [
        f"{file}:{line}: {check} does not fail here: remove the skip"
        for file, line, check, _ in skips()
        if not any(
            found == check and path.endswith(f"/{file}") and lines[0] <= line <= lines[1]  # type: ignore[index]
            for found, path, lines in failed
        )
    ]
    assert idle == [], "\n".join(idle)


def test_every_skip_says_why_the_risk_does_not_apply_here() -> None:
    """No boilerplate: a sentence of its own, that is not the check's title and not used for different checks."""
    uses: dict[str, set[str]] = {}
    for file, line, check, reason in skips():
        assert re.fullmatch(r"[A-Z0-9].{30,}\.", reason), f"{file}:{line}: {check}: give the reason in a sentence"
        assert not BOILERPLATE.search(reason), f"{file}:{line}: {check}: {reason}"
        uses.setdefault(reason, set()).add(check)
    assert uses


def test_the_plans_of_a_run_are_checked(tmp_path: Path) -> None:
    """As `make lint-plans` does it, in the folder of the project, whose own settings leave runs/ out."""
    target = tmp_path / "runs" / "20261126T000000Z-abcd" / "111122223333" / "eu-west-1"
    target.mkdir(parents=True)
    shutil.copy(FIXTURES / "plan.json", target)
    recipe = re.search(r"^lint-plans:.*?\n\t(.*)$", (PROJECT / "Makefile").read_text(), re.MULTILINE)
    assert recipe
    assert recipe[1].endswith("--config-file tools/checkov_plans.yaml")
    command = [str(checkov()), "--directory", str(tmp_path / "runs"), "--config-file", "tools/checkov_plans.yaml"]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stderr
    assert "FAILED for resource: aws_lambda_invocation.fail_no_key" in done.stdout
    assert "111122223333/eu-west-1/plan.json" in done.stdout
