"""Runs of earlier versions: their journals, summaries and saved plans mean today what they meant then.

`golden/` was written by the classes of commit 4cadb3f: two shards of a plan, and their merge, which was applied, killed
and resumed. `state.json` holds what that version read in each journal, `summary.schema.json` the schema it exported.
"""

import datetime
import json
import shutil
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from session_manager_fleet.reports.formats import REPORTS
from session_manager_fleet.run.folder import JOURNAL, SUMMARY, RunFolder
from session_manager_fleet.run.merge import merge, read_parts
from session_manager_fleet.run.saved_plan import Origin, PlanConstraints, SavedPlanError, Toolchain, check
from session_manager_fleet.run.summary import Summary, schema

GOLDEN = Path(__file__).parent / "golden"
SHARDS = ["20261124T090000Z-a1b2", "20261124T090005Z-c3d4"]
MERGED = "20261124T090010Z-e5f6"
RUNS = [*SHARDS, MERGED]


def load(path: Path) -> Any:  # noqa: ANN401
    return json.loads(path.read_text(encoding="utf-8"))


@pytest.fixture
def run(tmp_path: Path, request: pytest.FixtureRequest) -> RunFolder:
    return copied(request.param, tmp_path)


def copied(name: str, folder: Path) -> RunFolder:
    """Copy the journal of a golden run beside the logs that its summary names."""
    run = RunFolder(folder / name)
    run.path.mkdir()
    shutil.copy(GOLDEN / name / JOURNAL, run.path)
    for entry in load(GOLDEN / name / SUMMARY)["targets"]:
        if entry["log"]:
            log = run.path / entry["log"]
            log.parent.mkdir(parents=True)
            log.touch()
    return run


@pytest.mark.parametrize("run", RUNS, indirect=True)
def test_a_journal_gives_the_same_summary(run: RunFolder) -> None:
    before = load(GOLDEN / run.run_id / SUMMARY)

    after = json.loads(run.write_summary().to_json())
    # Added since, and derived from what the journal has always held.
    assert bool(after.pop("digest")) == any(entry["plan_sha256"] for entry in before["targets"])

    # The last warning of the merged run, about a torn line, is ours; so only its wording may have changed.
    ours = 1 if run.run_id == MERGED else 0
    warnings, warned = after.pop("warnings"), before.pop("warnings")
    assert warnings[: len(warned) - ours] == warned[: len(warned) - ours]
    assert len(warnings) == len(warned)
    assert without_added(after, before) == before


@pytest.mark.parametrize("run", RUNS, indirect=True)
def test_a_journal_leaves_the_run_in_the_same_state(run: RunFolder) -> None:
    state = run.read()

    assert {
        "indeterminate": sorted(state.indeterminate),
        "scope": [result.key for result in state.scope],
        "torn_lines": state.torn_lines,
        "wave": state.beginning.wave,
        "configuration_sha256": state.beginning.configuration_sha256,
        "tolerances": {wave: tolerance.value for wave, tolerance in state.first.tolerances.items()},
        "plan_sha256s": {result.key: result.plan_sha256 for result in state.results if result.plan_sha256},
    } == load(GOLDEN / run.run_id / "state.json")


@pytest.mark.parametrize("name", RUNS)
def test_a_summary_is_read_and_written_again_as_it_was(name: str) -> None:
    path = GOLDEN / name / SUMMARY

    before, after = load(path), json.loads(Summary.read(path).to_json())

    assert without_added(after, before) == before


@pytest.mark.parametrize("name", RUNS)
def test_every_report_shows_a_summary(name: str) -> None:
    for report in REPORTS.values():
        assert report(Summary.read(GOLDEN / name / SUMMARY))


def test_shards_are_merged_to_the_same_targets(tmp_path: Path) -> None:
    parts = read_parts([copied(name, tmp_path).path for name in SHARDS])

    merged = merge(parts, tmp_path / "merged").write_summary()

    before = [entry for name in SHARDS for entry in load(GOLDEN / name / SUMMARY)["targets"]]
    after = json.loads(merged.to_json())["targets"]
    assert [entry["wave"] for entry in after] == sorted(entry["wave"] for entry in before)
    old, new = ([without_log(entry) for entry in sorted(entries, key=key)] for entries in (before, after))
    assert without_added(new, old) == old


def without_added(after: Any, before: Any) -> Any:  # noqa: ANN401 - any JSON
    """Leave out what was added under the same number of the schema, which is empty in what is older."""
    if isinstance(after, list) and isinstance(before, list) and len(after) == len(before):
        return [without_added(*both) for both in zip(after, before, strict=True)]
    if not isinstance(after, dict) or not isinstance(before, dict):
        return after
    added = after.keys() - before.keys()
    assert not [name for name in added if after[name] not in (None, 0, "", [], {})]
    return {name: without_added(value, before[name]) for name, value in after.items() if name not in added}


def key(entry: dict[str, Any]) -> tuple[str, str]:
    return entry["account_id"], entry["region"]


def without_log(entry: dict[str, Any]) -> dict[str, Any]:
    return {**entry, "log": None}


# --- The schema of summary.json ----------------------------------------------------------------------------------


def shape(node: Any, definitions: dict[str, Any]) -> Any:  # noqa: ANN401
    """Resolve references and leave out the words: names of definitions, titles, descriptions."""
    if isinstance(node, list):
        return [shape(item, definitions) for item in node]
    if not isinstance(node, dict):
        return node
    if "$ref" in node:
        name = node["$ref"].rpartition("/")[2]
        return {} if name == "JsonValue" else shape(definitions[name], definitions)
    return {
        key: {name: shape(item, definitions) for name, item in value.items()}
        if key == "properties"
        else shape(value, definitions)
        for key, value in node.items()
        if key not in {"$defs", "title", "description"}
    }


def test_the_schema_of_summaries_is_the_same() -> None:
    before, after = load(GOLDEN / "summary.schema.json"), schema()
    after["$defs"]["Step"]["enum"].remove("detach")
    after["$defs"]["Status"]["enum"].remove("skipped")

    old, new = shape(before, before["$defs"]), shape(after, after["$defs"])
    assert without_added_properties(new, old) == old


def without_added_properties(after: Any, before: Any) -> Any:  # noqa: ANN401 - any JSON
    """Leave out properties that were added under the same number; none of them may be required of older summaries."""
    if isinstance(after, list) and isinstance(before, list) and len(after) == len(before):
        return [without_added_properties(*both) for both in zip(after, before, strict=True)]
    if not isinstance(after, dict) or not isinstance(before, dict):
        return after
    kept = {name: without_added_properties(value, before.get(name)) for name, value in after.items()}
    if "properties" in kept and "properties" in before:
        kept["properties"] = {name: kept["properties"][name] for name in before["properties"]}
    return kept


@pytest.mark.parametrize("name", RUNS)
def test_old_summaries_fulfil_the_schema(name: str) -> None:
    jsonschema.Draft202012Validator(schema()).validate(load(GOLDEN / name / SUMMARY))


# --- Saved plans -------------------------------------------------------------------------------------------------


def test_a_saved_plan_is_still_exactly_what_was_planned(tmp_path: Path) -> None:
    folder = shutil.copytree(GOLDEN / "saved_plan", tmp_path / "saved_plan")
    tools = Toolchain("1.11.4", "5.100.0", "0.1.0", "ab" * 32)
    constraints = PlanConstraints(
        sha256="9a7cd49c09ab9e37f14b2828cc5143f8a6c9bf3e697358c4aa5df439f18d50ba",
        origin=Origin("111122223333", "eu-west-1", "111122223333", "s3://states/fleet in eu-west-1", tools),
        variables=('region = "eu-west-1"\n',),
        now=datetime.datetime(2026, 11, 24, 10, 0, tzinfo=datetime.UTC),
        max_age=datetime.timedelta(hours=24),
        allow_destroy=True,
    )

    check(folder, constraints)

    (folder / "tfplan").write_bytes(b"another plan")
    with pytest.raises(SavedPlanError):
        check(folder, constraints)
