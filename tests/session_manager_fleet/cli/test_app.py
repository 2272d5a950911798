"""The command line: what is refused, what is printed, what is written, and the exit code of each."""

from __future__ import annotations

import csv
import datetime
import io
import json
import os
import re
import shlex
import signal
import stat
import subprocess
import sys
import tempfile
import threading
import time
import unicodedata
from collections.abc import Sequence
from pathlib import Path

import boto3
import pytest

from session_manager_fleet.cli import app, options
from session_manager_fleet.cli.commands import exceptions, explain, render
from tests.session_manager_fleet.cli.conftest import Command, Outcome, last_run, trace

SCRIPTS = Path(__file__).parents[3] / "scripts"
WORKLOADS = ["--ou", "Workloads/**"]


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def snapshot(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def refused(outcome: Outcome, *messages: str) -> None:
    """Exit code 64, and on standard error one message that says all this."""
    assert (outcome.code, outcome.out) == (64, "")
    assert outcome.err.count("Error:") == 1
    assert "Traceback" not in outcome.err
    for message in messages:
        assert message in outcome.err


def test_a_reader_that_has_enough_is_no_failure() -> None:
    command = [sys.executable, str(SCRIPTS / "rollout.py"), "schema"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout
        assert process.stderr
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait() == 0


# --- Refusals ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("verb", ["targets", "render", "plan", "apply"])
@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        (
            "organization.yaml",
            "waves:",
            "wave:",
            'organization.yaml:8 (wave): Unknown key "wave" (did you mean "waves"?).',
        ),
        (
            "organization.yaml",
            "us-east-1",
            "us-east-9",
            'organization.yaml:5 (organization.regions[1]): "us-east-9" is',
        ),
        ("organization.yaml", "[Dev]", "[Deb]", "organization.yaml:8 (waves[0].match.accounts[0]): No account matches"),
        (
            "organization.yaml",
            "accounts: [Dev]",
            "ou: Workload/**",
            'organization.yaml:8 (waves[0].match.ou[0]): No organizational unit matches "Workload/**" (did you mean',
        ),
        ("organization.yaml", "waves: [", "waves: [[", "organization.yaml:9: This is not valid YAML"),
        ("organization.yaml", "accounts.yaml", "absent.yaml", "absent.yaml: The file does not exist."),
        ("organization.yaml", "source: file", "source: lza", "Landing Zone Accelerator folder does not exist."),
        ("accounts.yaml", "111122223333", "11112222333", 'accounts.yaml:3 (accounts[1].id): "11112222333" is not an'),
        (
            "accounts.yaml",
            "222233334444",
            "111122223333",
            "accounts.yaml:4 (accounts[2].id): Account 111122223333 is listed twice, first on line 3.",
        ),
        ("accounts.yaml", "name: Dev", 'name: "Dev', "accounts.yaml:6: This is not valid YAML"),
    ],
    ids=["key", "region", "name", "unit", "YAML", "missing file", "folder", "account id", "duplicate", "accounts YAML"],
)
def test_bad_files_are_refused_with_file_and_line_before_anything_is_touched(
    command: Command, project: Path, verb: str, file: str, old: str, new: str, message: str
) -> None:
    edit(project / file, old, new)
    before = snapshot(project)

    refused(command(verb, "--all"), message)

    assert snapshot(project) == before


def test_a_folder_of_the_accelerator_without_ids_is_refused(command: Command, project: Path) -> None:
    folder = project / "lza"
    folder.mkdir()
    (folder / "accounts-config.yaml").write_text(
        "mandatoryAccounts:\n  - {name: Management, email: m@example.com, organizationalUnit: Root}\n"
    )
    (folder / "organization-config.yaml").write_text("organizationalUnits: []\n")
    (folder / "global-config.yaml").write_text("homeRegion: eu-west-1\nenabledRegions: [eu-west-1]\n")
    edit(project / "organization.yaml", "{source: file, path: accounts.yaml}", "{source: lza, path: lza}")

    refused(
        command("targets", "--all"),
        "lza/accounts-config.yaml:1: Account ids are missing, and the Organizations API cannot be read.",
        '"Management" (m@example.com) has no id: add it to "accountIds"',
    )


def test_a_missing_settings_file_is_named(command: Command, project: Path) -> None:
    refused(command("-c", "elsewhere.yaml", "targets", "--all"), "elsewhere.yaml: The file does not exist.")
    (project / "organization.yaml").unlink()
    refused(command("targets", "--all"), "organization.yaml: The file does not exist.")


@pytest.mark.parametrize("verb", ["render", "plan", "apply"])
@pytest.mark.parametrize("selection", [[], ["--exclude", "Dev"], ["--shard", "1/1"]])
def test_without_a_selection_nothing_is_done(
    command: Command, project: Path, verb: str, selection: Sequence[str]
) -> None:
    before = snapshot(project)

    outcome = command(verb, *selection)

    count = 4 if selection[:1] == ["--exclude"] else 6
    assert outcome.code == 64
    assert f"No targets selected. Use --account, --ou, … or --all (these {count} targets)." in outcome.err
    assert "Payments" in outcome.err + outcome.out
    assert snapshot(project) == before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["targets", "--al"], "--al"),
        (["target", "--all"], "target"),
        (["targets", "--all", "surplus"], "surplus"),
        (["targets", "--account"], "--account"),
        (
            ["targets", "--all", "--format", "xml"],
            '--format: Unknown format "xml"; use table, json, csv or github-matrix.',
        ),
        (["targets", "--all", "--shards", "3"], "--shards: Use a number from 1 to 256, with --format github-matrix."),
        (["targets", "--all", "--format", "github-matrix", "--shards", "257"], "from 1 to 256"),
        (["targets", "--all", "--format", "github-matrix", "--shards", "0"], "from 1 to 256"),
        (
            ["targets", "--all", "--format", "github-matrix", "--shard", "1/2"],
            "--shard: Cannot be combined with --format",
        ),
        (["targets", "--all", "--exclude", "role=audit"], "name one in organization.audit_account."),
        (["explain", "Deb"], 'ACCOUNT: No account has the id or name "Deb" (did you mean "Dev"?).'),
        (["explain", "Dev", "eu-west-2"], 'REGION: The organization does not use the region "eu-west-2"'),
        (["explain", "Dev", "--format", "csv"], '--format: Unknown format "csv"; use table or json.'),
        (["exceptions", "--format", "xml"], '--format: Unknown format "xml"; use table, json or csv.'),
        (["targets", "--account", "Dev,Payments"], "Repeat --account to select several."),
        (["targets", "--region", "eu-west-1,us-east-1"], "Repeat --region to select several."),
        (
            ["targets", "--ou", "Workloads"],
            '--ou "Workloads" selects only accounts directly in it; use --ou "Workloads/**" for all below it, too.',
        ),
        (
            ["schema", "--of", "journal"],
            '--of: There is no schema of "journal"; use organization, summary, verification, sessions.',
        ),
        (["render", "--all", "--templates", "absent"], "absent: The template terraform.tfvars.j2 does not exist."),
        (["render", "--all", "--prune", "--check"], "--prune: Cannot be combined with --check"),
        (["--read-from", "absent.json", "targets", "--all"], "absent.json: The file does not exist."),
        (["targets", "--account", "Deb"], '--account: No account matches "Deb" (did you mean "Dev"?).'),
        (["targets", "--account", "999900001111"], '--account: No account has the id "999900001111"'),
        (
            ["targets", "--ou", "Workload"],
            '--ou: No organizational unit matches "Workload" (did you mean "Workloads"?).',
        ),
        (["targets", "--region", "eu-north-1"], '--region: The organization does not use the region "eu-north-1"'),
        (["targets", "--tag", "data"], '--tag: "data" is not a tag; write KEY=VALUE.'),
        (["targets", "--tag", "data=public"], "No target matches the selection"),
        (["targets", "--account", "Old"], "No target matches the selection"),
        (["targets", "--all", "--exclude", "*"], "No target matches the selection"),
        (["targets", "--all", "--exclude", "Deb"], '--exclude: No account matches "Deb"'),
        (["targets", "--wave", "canari"], '--wave: There is no wave "canari" (did you mean "canary"?)'),
        (["targets", "--all", "--shard", "3/2"], '--shard: "3/2" is not a shard'),
        (["render", "--prune", "--account", "Dev"], "--prune: Stale files can be identified only with --all"),
        (["render", "--all", "--prune", "--account", "Dev"], "--prune: Stale files can be identified only with --all"),
        (["render", "--all", "--prune", "--exclude", "Dev"], "--prune: Stale files can be identified only with --all"),
        (["apply", "--all"], "--yes: Cannot ask for confirmation"),
        (["apply", "20270101T000000Z-abcd"], "There is no run here; run ids are the names of the folders in --runs."),
        (["apply", "20270101T000000Z-abcd", "--all"], "RUN: A run already has its targets"),
    ],
)
def test_bad_arguments_are_refused(
    command: Command, project: Path, monkeypatch: pytest.MonkeyPatch, arguments: Sequence[str], message: str
) -> None:
    monkeypatch.setattr(sys, "stdin", (project / "accounts.yaml").open())
    before = snapshot(project)

    outcome = command(*arguments)

    assert outcome.code == 64
    assert outcome.err.count("Error:") == 1
    assert message in outcome.err
    assert "Traceback" not in outcome.err
    assert snapshot(project) == before


@pytest.mark.parametrize("verb", ["plan", "apply"])
def test_an_expired_exception_stops_plans_and_applies(command: Command, project: Path, verb: str) -> None:
    with (project / "organization.yaml").open("a") as file:
        file.write("exceptions: [{match: {accounts: [Dev]}, owner: dev, reason: tests, expires: 2020-01-01}]\n")

    outcome = command(verb, "--all")

    assert outcome.code == 64
    assert "organization.yaml:9 (exceptions[0].expires): The exception of dev expired on 2020-01-01" in outcome.err
    assert not (project / "runs").exists()


def test_settings_that_do_not_fit_together_are_told_before_anything_starts(command: Command, project: Path) -> None:
    with (project / "organization.yaml").open("a") as file:
        file.write("defaults: {preferences: {max_session_duration: 10}}\n")

    outcome = command("render", "--all")

    assert outcome.code == 64
    assert (
        "organization.yaml:9 (defaults.preferences.max_session_duration): For 222233334444 (Dev) in eu-west-1: max_"
        in outcome.err
    )
    assert outcome.err.count("must be greater") == 1
    assert not (project / "accounts").exists()


@pytest.mark.parametrize("workers", ["0", "-1", "many", "1.5", ""])
def test_a_number_of_workers_is_a_number(command: Command, project: Path, workers: str) -> None:
    outcome = command("plan", "--all", f"--workers={workers}")

    assert outcome.code == 64
    assert f'--workers: "{workers}" is neither a number of workers nor "auto".' in outcome.err
    assert not list(project.glob("runs/*/*.log"))


def test_without_arguments_the_help_is_shown(command: Command) -> None:
    outcome = command()

    assert outcome.code == 64
    assert "render" in outcome.out + outcome.err


def test_the_version_short_help_and_completion_are_there(command: Command) -> None:
    assert re.fullmatch(r"session-manager-fleet \d+\.\d+\.\d+\n", command("--version").out)
    assert "--show-completion" in command("-h").out
    assert command("plan", "-h").out == command("plan", "--help").out


def test_help_is_no_error(command: Command) -> None:
    assert command("--help").code == 0
    outcome = command("plan", "--help")
    assert outcome.code == 0
    for option in ("--account", "--ou", "--tag", "--region", "--exclude", "--wave", "--shard", "--all", "--workers"):
        assert option in outcome.out


# --- Targets -----------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("project")
def test_targets_as_json(command: Command) -> None:
    outcome = command("targets", *WORKLOADS, "--format", "json")

    assert outcome.code == 0
    printed = json.loads(outcome.out)
    assert printed["skipped"] == [
        {"account_id": "333344445555", "account_name": "Old", "reason": "the account is suspended"}
    ]
    assert [(entry["wave"], entry["workspace"]) for entry in printed["targets"]] == [
        ("canary", "222233334444"),
        ("canary", "222233334444-us-east-1"),
        ("rest", "111122223333"),
        ("rest", "111122223333-us-east-1"),
    ]
    assert printed["targets"][3] == {
        "account_id": "111122223333",
        "account_name": "Payments",
        "account_role": "",
        "ou": "Workloads/Prod",
        "tags": {"data": "restricted"},
        "region": "us-east-1",
        "home": False,
        "wave": "rest",
        "workspace": "111122223333-us-east-1",
    }


@pytest.mark.parametrize(
    ("selection", "accounts"),
    [
        (["--all"], ["222233334444", "100000000001", "111122223333"]),
        (["--account", "Dev", "--account", "100000000001"], ["222233334444", "100000000001"]),
        (["--tag", "data=restricted"], ["111122223333"]),
        (["--wave", "rest"], ["100000000001", "111122223333"]),
        ([*WORKLOADS, "--exclude", "tag=data=restricted"], ["222233334444"]),
        (["--all", "--region", "us-east-1", "--exclude", "ou=Root"], ["222233334444", "111122223333"]),
        (["--all", "--exclude", "role=management"], ["222233334444", "111122223333"]),
    ],
)
@pytest.mark.usefixtures("project")
def test_selections_on_the_command_line(command: Command, selection: Sequence[str], accounts: Sequence[str]) -> None:
    outcome = command("targets", *selection, "--format", "json")

    listed = [entry["account_id"] for entry in json.loads(outcome.out)["targets"]]
    assert list(dict.fromkeys(listed)) == accounts


@pytest.mark.usefixtures("project")
def test_shards_cover_everything_once(command: Command) -> None:
    parts = [
        [
            entry["workspace"]
            for entry in json.loads(command("targets", "--all", "--shard", f"{index}/3", "--format", "json").out)[
                "targets"
            ]
        ]
        for index in (1, 2, 3)
    ]

    everything = json.loads(command("targets", "--all", "--format", "json").out)["targets"]
    assert sorted(name for part in parts for name in part) == sorted(entry["workspace"] for entry in everything)


@pytest.mark.usefixtures("project")
def test_targets_as_csv(command: Command) -> None:
    outcome = command("targets", *WORKLOADS, "--region", "us-east-1", "--format", "csv")

    assert outcome.code == 0
    assert list(csv.reader(io.StringIO(outcome.out))) == [
        ["account_id", "account_name", "account_role", "ou", "region", "home", "wave", "workspace"],
        ["222233334444", "Dev", "", "Workloads/NonProd", "us-east-1", "false", "canary", "222233334444-us-east-1"],
        ["111122223333", "Payments", "", "Workloads/Prod", "us-east-1", "false", "rest", "111122223333-us-east-1"],
    ]
    assert "Skipped 333344445555" in outcome.err


@pytest.mark.parametrize("arguments", [[], ["--shards", "2"], ["--shards", "256"]])
@pytest.mark.usefixtures("project")
def test_a_matrix_has_a_job_for_each_shard_that_holds_targets(command: Command, arguments: Sequence[str]) -> None:
    outcome = command("targets", "--all", "--format", "github-matrix", *arguments)

    assert outcome.code == 0
    assert outcome.out.count("\n") == 1
    jobs = json.loads(outcome.out)["include"]
    parts = [
        json.loads(command("targets", "--all", "--shard", job["shard"], "--format", "json").out)["targets"]
        for job in jobs
    ]
    assert [len(part) for part in parts] == [job["targets"] for job in jobs]
    assert all(parts)
    everything = json.loads(command("targets", "--all", "--format", "json").out)["targets"]
    assert sorted(entry["workspace"] for part in parts for entry in part) == sorted(
        entry["workspace"] for entry in everything
    )
    assert all(re.fullmatch(r"shard-\d+-of-\d+", job["name"]) for job in jobs)


@pytest.mark.usefixtures("project")
def test_targets_as_a_table(command: Command) -> None:
    outcome = command("targets", *WORKLOADS)

    assert outcome.code == 0
    assert "4 targets" in outcome.out
    assert "Skipped 333344445555 Old: the account is suspended." in outcome.err
    assert "Skipped" not in outcome.out


HOSTILE = "\x1b]0;owned\x07\x1b[31mred\u202e\x9b2J"


@pytest.mark.parametrize(
    "arguments",
    [
        ["discover"],
        ["explain", "222233334444"],
        ["explain", HOSTILE[:-1]],
        ["exceptions"],
        ["targets", "--all"],
        ["render", "--all", "--check"],
        ["plan", "--all"],
    ],
)
def test_no_name_does_anything_to_the_terminal(command: Command, project: Path, arguments: Sequence[str]) -> None:
    accounts = [{"id": "222233334444", "name": HOSTILE, "ou": f"Dev {HOSTILE}"}]
    (project / "accounts.yaml").write_text(json.dumps({"accounts": accounts}), encoding="utf-8")
    exception = {"match": {}, "owner": HOSTILE, "reason": HOSTILE, "set": {"tags": {HOSTILE: HOSTILE}}}
    edit(project / "organization.yaml", "[Dev]", "['*']")
    with (project / "organization.yaml").open("a", encoding="utf-8") as file:
        file.write(f"exceptions: [{json.dumps(exception)[:-1]}, expires: 2020-01-01}}]\n")
    present = project / "accounts" / "222233334444" / "eu-west-1.tfvars"
    present.parent.mkdir(parents=True)
    present.write_text(HOSTILE, encoding="utf-8")

    outcome = command(*arguments)

    printed = outcome.out + outcome.err
    assert "\\x1b" in printed
    assert not {letter for letter in printed if letter != "\n" and unicodedata.category(letter) in {"Cc", "Cf"}}


@pytest.mark.usefixtures("project")
def test_a_saved_discovery_stands_for_the_accounts(command: Command, project: Path) -> None:
    listed = command("discover")
    assert "4 accounts" in listed.out
    assert "the account is suspended" in listed.out
    before = command("targets", "--all", "--format", "json")

    saved = command("discover", "--output", "organization.json")
    (project / "accounts.yaml").unlink()

    assert (listed.code, saved.code) == (0, 0)
    assert stat.S_IMODE((project / "organization.json").stat().st_mode) == 0o600
    assert command("targets", "--all").code == 64
    assert command("--read-from", "organization.json", "targets", "--all", "--format", "json") == before


def test_the_log_archive_account_can_be_named_and_left_out(command: Command, project: Path) -> None:
    edit(project / "organization.yaml", "  accounts:", "  log_archive_account: Dev\n  accounts:")

    outcome = command("targets", "--all", "--exclude", "role=log-archive", "--format", "json")

    assert outcome.code == 0
    assert {entry["account_name"] for entry in json.loads(outcome.out)["targets"]} == {"Management", "Payments"}


# --- Describing --------------------------------------------------------------------------------------------------

REGISTER = """\
exceptions:
  - {match: {accounts: [Dev]}, skip: [preferences], owner: dev, reason: its own document, expires: 2027-03-20}
  - {match: {accounts: [Payments]}, set: {tags: {a: b}}, owner: pay, reason: test, expires: 2027-02-01}
"""


@pytest.fixture
def with_register(project: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The project with two exceptions, on the first of March."""
    with (project / "organization.yaml").open("a") as file:
        file.write(REGISTER)
    for module in (options, exceptions, explain):
        monkeypatch.setattr(module, "today", lambda: datetime.date(2027, 3, 1))
    return project


@pytest.mark.usefixtures("with_register")
def test_the_register_is_listed(command: Command) -> None:
    table = command("exceptions")
    printed = json.loads(command("exceptions", "--format", "json").out)["exceptions"]

    assert table.code == 0
    assert "2 exceptions, 1 expired" in table.out
    assert table.out.index("pay") < table.out.index("dev")
    assert "222233334444/eu-west-1, 222233334444/us-east-1" in table.out
    assert [(entry["owner"], entry["days_left"]) for entry in printed] == [("pay", -28), ("dev", 19)]


@pytest.mark.usefixtures("with_register")
def test_exceptions_that_end_are_warned_of_on_standard_error(command: Command) -> None:
    outcome = command("targets", "--all", "--format", "json")

    assert outcome.code == 0
    json.loads(outcome.out)
    warnings = [line for line in outcome.err.splitlines() if line.startswith("Warning: ")]
    advice = "remove it, or have it renewed."
    assert warnings == [
        f"Warning: organization.yaml:{line} (exceptions[{index}].expires): The exception of {what}: {advice}"
        for index, (line, what) in enumerate(
            [(10, "dev expires on 2027-03-20, in 19 days"), (11, "pay expired on 2027-02-01")]
        )
    ]


@pytest.mark.usefixtures("with_register")
def test_an_account_is_explained(command: Command) -> None:
    table = command("explain", "Dev")
    printed = json.loads(command("explain", "222233334444", "us-east-1", "--format", "json").out)

    assert table.code == 0
    assert "222233334444 Dev, Workloads/NonProd" in table.out
    assert "eu-west-1 (home): wave canary, workspace 222233334444\n" in table.out
    assert "us-east-1: wave canary, workspace 222233334444-us-east-1\n" in table.out
    assert table.out.count("preferences.enabled") == 1
    assert re.search(r"preferences\.enabled +│ false +│ exceptions\[0\] of dev +│ organization\.yaml:10", table.out)
    assert "the exception of dev skips preferences; it expires on 2027-03-20, in 19 days." in table.out
    assert (printed["account_name"], printed["skip_reason"]) == ("Dev", None)
    [target] = printed["targets"]
    assert (target["region"], target["home"], target["workspace"]) == ("us-east-1", False, "222233334444-us-east-1")
    assert target["values"][0] == {
        "key": "preferences.enabled",
        "value": False,
        "layer": "exceptions[0]",
        "where": "organization.yaml:10",
        "owner": "dev",
        "unset_by": None,
        "placed_by": None,
    }
    assert [entry["owner"] for entry in target["exceptions"]] == ["dev"]


@pytest.mark.usefixtures("project")
def test_why_an_account_is_skipped_is_explained(command: Command) -> None:
    assert "This account has no targets: the account is suspended." in command("explain", "Old").out
    assert json.loads(command("explain", "Old", "--format", "json").out)["skip_reason"] == "the account is suspended"


def test_schemas_need_no_organization(command: Command) -> None:
    printed = json.loads(command("schema").out)

    assert printed["title"] == "organization.yaml"
    assert "exceptions" in printed["properties"]
    assert "targets" in json.loads(command("schema", "--of", "summary").out)["properties"]


# --- Rendering ---------------------------------------------------------------------------------------------------


def test_rendering_twice_gives_equal_bytes(command: Command, project: Path) -> None:
    first = command("render", "--all")
    files = snapshot(project / "accounts")
    second = command("render", "--all")

    assert (first.code, second.code) == (0, 0)
    assert "6 files in accounts, 6 written" in first.out
    assert "6 files in accounts, 0 written" in second.out
    assert snapshot(project / "accounts") == files
    assert sorted(files) == [
        f"{account}/{region}.tfvars"
        for account in ("100000000001", "111122223333", "222233334444")
        for region in ("eu-west-1", "us-east-1")
    ]
    assert b"deployment_role = null" in files["100000000001/eu-west-1.tfvars"]
    for path in (project / "accounts").rglob("*.tfvars"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_check_shows_the_difference_and_writes_nothing(command: Command, project: Path) -> None:
    command("render", "--all")
    assert command("render", "--all", "--check").code == 0
    edit(
        project / "accounts" / "222233334444" / "eu-west-1.tfvars",
        "idle_session_timeout = 20",
        "idle_session_timeout = 1",
    )
    before = snapshot(project)

    outcome = command("render", "--all", "--check")

    assert outcome.code == 2
    assert "-  idle_session_timeout = 1\n+  idle_session_timeout = 20\n" in outcome.out
    assert "1 of 6 files differ" in outcome.out
    assert snapshot(project) == before


def test_a_check_of_nothing_written_yet_shows_everything(command: Command, project: Path) -> None:
    outcome = command("render", "--account", "Dev", "--check", "--output", "elsewhere")

    assert outcome.code == 2
    assert "2 of 2 files differ" in outcome.out
    assert not (project / "elsewhere").exists()


def test_files_of_targets_that_are_gone_are_pruned_on_request(command: Command, project: Path) -> None:
    command("render", "--all")
    edit(project / "accounts.yaml", "name: Dev, ou: Workloads/NonProd", "name: Dev, state: CLOSED")
    gone = project / "accounts" / "222233334444" / "eu-west-1.tfvars"

    kept = command("render", "--all")
    assert kept.code == 0
    assert kept.out.count("Stale (remove with --prune): accounts/222233334444/") == 2
    assert gone.exists()
    assert command("render", "--all", "--check").code == 2

    pruned = command("render", "--all", "--prune")
    assert pruned.out.count("Removed: accounts/222233334444/") == 2
    assert not gone.exists()
    assert command("render", "--all", "--check").code == 0


def test_files_are_pruned_when_no_target_is_left(command: Command, project: Path) -> None:
    command("render", "--all")
    (project / "accounts.yaml").write_text(
        "accounts: [{id: 333344445555, name: Dev, state: SUSPENDED}]\n", encoding="utf-8"
    )

    listed, pruned = command("render", "--all"), command("render", "--all", "--prune")

    assert (listed.code, listed.out.count("Stale (remove with --prune): accounts/")) == (0, 6)
    assert (pruned.code, pruned.out.count("Removed: accounts/")) == (0, 6)
    assert not list((project / "accounts").iterdir())
    assert "No target matches the selection" in command("plan", "--all").err


@pytest.mark.parametrize(
    "selection", [["--account", "Dev"], ["--all", "--account", "Dev"], ["--all", "--wave", "canary"]]
)
def test_a_part_of_the_targets_leaves_the_files_of_the_others_alone(
    command: Command, project: Path, selection: Sequence[str]
) -> None:
    command("render", "--all")
    before = snapshot(project)

    outcome = command("render", *selection)

    assert "2 files in accounts, 0 written" in outcome.out
    assert "Stale" not in outcome.out
    assert snapshot(project) == before


def test_a_folder_that_cannot_be_written_is_told_in_one_sentence(command: Command, project: Path) -> None:
    (project / "taken").write_text("a file\n")

    outcome = command("render", "--all", "--output", "taken")

    assert outcome.code == 1
    # The skipped account, no access to retry tokens, the error, and what comes next.
    assert outcome.err.count("\n") == 4
    assert "taken" in outcome.err
    assert "Traceback" not in outcome.err


# --- Planning and applying ---------------------------------------------------------------------------------------


def test_a_plan_is_shown_once_saved_and_applied_from_its_run(command: Command, ready: Path) -> None:
    planned = command("plan", "--all")

    assert planned.code == 2
    assert "1 to create, in 6 targets" in planned.out
    assert planned.out.count("+ a.b") == 1
    folder, summary = last_run(ready)
    assert (summary["command"], summary["exit_code"], summary["totals"]["changes"]) == ("plan", 2, 6)
    assert f"Run {folder.name}: runs/{folder.name}/summary.json" in planned.out
    private = [path for path in folder.rglob("*") if path.is_file()]
    assert len(private) > 6 * 4
    assert {stat.S_IMODE(path.stat().st_mode) for path in private} == {0o600}

    applied = command("apply", folder.name)
    assert applied.code == 0
    assert sorted(trace(ready, "apply")) == sorted(trace(ready, "plan"))
    assert last_run(ready)[1]["totals"]["applied"] == 6

    again = command("apply", str(folder))
    assert again.code == 0
    assert "nothing to apply" in again.out
    assert command("plan", "--all").code == 0


def test_an_apply_plans_first_and_goes_wave_by_wave(command: Command, ready: Path) -> None:
    outcome = command("apply", "--all", "--yes", "--workers", "1")

    assert outcome.code == 0
    assert trace(ready, "apply") == [
        "222233334444",
        "222233334444-us-east-1",
        "100000000001",
        "100000000001-us-east-1",
        "111122223333",
        "111122223333-us-east-1",
    ]
    assert last_run(ready)[1]["totals"] == {
        "targets": 6,
        "no_changes": 0,
        "changes": 0,
        "applied": 6,
        "failed": 0,
        "not_started": 0,
        "unfinished": 0,
        "skipped": 0,
    }


def test_a_target_that_fails_is_reported_and_the_others_go_on(command: Command, ready: Path) -> None:
    edit(ready / "organization.yaml", "[Dev]}}]", "[Dev]}}, {name: everyone, max_failures: 1}]")
    (ready / "fail-apply-111122223333").touch()

    outcome = command("apply", "--all", "--yes")

    assert outcome.code == 1
    assert "111122223333 Payments eu-west-1: apply: terraform failed" in outcome.out
    assert "denied (a.b)" in outcome.out
    assert "1 failed" in outcome.out
    assert len(trace(ready, "apply")) == 6
    log = last_run(ready)[0] / "111122223333" / "eu-west-1" / "terraform.log"
    assert str(log) in re.sub(r"\s+", "", outcome.out)


def test_a_failed_wave_stops_and_the_next_one_is_not_started(command: Command, ready: Path) -> None:
    (ready / "fail-apply-222233334444").touch()

    outcome = command("apply", "--all", "--yes")

    assert outcome.code == 1
    assert trace(ready, "apply") == ["222233334444"]
    assert "5 not started: 1 of 2 targets failed in the wave canary." in outcome.out


def test_a_failed_plan_is_not_applied(command: Command, ready: Path) -> None:
    edit(ready / "organization.yaml", "[Dev]}}]", "[Dev]}}, {name: everyone, max_failures: 1}]")
    (ready / "fail-plan-111122223333").touch()

    outcome = command("apply", "--all", "--yes")

    assert outcome.code == 1
    assert "111122223333" not in trace(ready, "apply")
    assert len(trace(ready, "apply")) == 5


def test_a_tampered_plan_is_refused(command: Command, ready: Path) -> None:
    edit(ready / "organization.yaml", "[Dev]}}]", "[Dev]}, max_failures: 1}]")
    command("plan", "--account", "Dev")
    folder, _ = last_run(ready)
    (folder / "222233334444" / "eu-west-1" / "tfplan").write_text("something else\n")

    outcome = command("apply", folder.name)

    assert outcome.code == 1
    assert "was changed after the plan was made. Plan again." in " ".join(outcome.out.split())
    assert trace(ready, "apply") == ["222233334444-us-east-1"]


def test_a_run_is_resumed_once_a_state_that_could_not_be_saved_is_pushed(command: Command, ready: Path) -> None:
    fails = ready / "fail-apply-222233334444"
    fails.touch()
    command("apply", "--account", "Dev", "--yes")
    folder, _ = last_run(ready)
    kept = folder / "222233334444" / "eu-west-1" / "errored.tfstate"
    kept.write_text("{}")
    fails.unlink()

    refused = command("resume", folder.name, "--yes")

    assert refused.code == 1
    assert "222233334444 Dev eu-west-1: plan: refused" in refused.out
    told = re.sub(r"\s+", "", refused.out)
    assert f"keptin{kept}." in told
    assert f"TF_WORKSPACE=222233334444terraformstatepush{kept}" in told
    assert trace(ready, "plan").count("222233334444") == 1

    kept.unlink()
    assert command("resume", folder.name, "--yes").code == 0
    assert trace(ready, "apply").count("222233334444") == 2


def test_ctrl_c_lets_finish_what_runs_and_starts_nothing_more(command: Command, ready: Path) -> None:
    hold = ready / "hold"
    hold.touch()

    def interrupt() -> None:
        deadline = time.monotonic() + 20
        while not trace(ready, "plan") and time.monotonic() < deadline:
            time.sleep(0.02)
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.2)
        hold.unlink()

    thread = threading.Thread(target=interrupt)
    thread.start()
    outcome = command("apply", "--all", "--yes", "--workers", "1")
    thread.join()

    assert outcome.code == 130
    assert "Stopping after the running targets." in outcome.out
    _, summary = last_run(ready)
    assert (summary["exit_code"], summary["totals"]["changes"], summary["totals"]["not_started"]) == (130, 1, 5)
    assert trace(ready, "apply") == []


def test_a_missing_state_bucket_is_told_before_any_target_is_touched(command: Command, ready: Path) -> None:
    boto3.client("s3", region_name="us-east-1").delete_bucket(Bucket="session-manager-state-123456789012")

    outcome = command("plan", "--all")

    assert outcome.code == 64
    assert "The state bucket session-manager-state-123456789012 does not exist in account 123456789012" in outcome.err
    assert trace(ready, "plan") == []


# --- Other endings -----------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("project")
def test_a_bug_looks_like_a_bug(command: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("boom")

    monkeypatch.setattr(render, "render_files", broken)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))

    outcome = command("render", "--all")

    assert outcome.code == 3
    assert "This is a bug." in outcome.err
    assert "Traceback" not in outcome.err
    [path] = tmp_path.glob("rollout-crash-*.log")
    assert str(path) in outcome.err
    assert "ZeroDivisionError: boom" in path.read_text()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


class Closed(io.StringIO):
    """Standard output whose reader has gone."""

    def write(self, _text: str) -> int:
        raise BrokenPipeError

    def flush(self) -> None:
        raise BrokenPipeError


@pytest.mark.usefixtures("project")
def test_a_reader_that_closes_the_pipe_changes_no_exit_code(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """As `render --all --check | head -1` under `pipefail`."""
    with monkeypatch.context() as patched:
        patched.setattr(sys, "stdout", Closed())
        assert app.run(["render", "--all", "--check"]) == 2
    assert command("render", "--all", "--check").code == 2


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.usefixtures("project")
def test_a_signal_outside_a_run_ends_the_command(
    command: Command, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    monkeypatch.setattr(render, "render_files", lambda *_, **__: signal.raise_signal(number))

    outcome = command("render", "--all")

    assert outcome.code == 130
    assert outcome.err.endswith("Interrupted.\nNext, to start again: session-manager-fleet render --all\n")
    assert "Traceback" not in outcome.err
    assert "bug" not in outcome.err


def script(name: str, *arguments: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(SCRIPTS / name), *arguments],
        cwd=folder,
        env={"PATH": os.environ["PATH"], "AWS_EC2_METADATA_DISABLED": "true", **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_the_short_script_says_which_files_it_reads(project: Path) -> None:
    done = script("render_tfvars.py", "--help", folder=project)

    assert done.returncode == 0
    for option in ("-c", "--config", "--read-from", "--all", "--prune", "--check"):
        assert option in done.stdout


def test_without_credentials_one_sentence_says_so(project: Path) -> None:
    edit(project / "organization.yaml", "{source: file, path: accounts.yaml}", "{source: organizations}")

    done = script("rollout.py", "targets", "--all", folder=project, HOME=str(project))

    assert done.returncode == 1
    assert done.stdout == ""
    error, following = done.stderr.splitlines()
    assert error == (
        "Error: Cannot describe the organization: no usable AWS credentials (Unable to locate credentials); "
        "set AWS_PROFILE or sign in."
    )
    assert following == f"Next, once this is corrected: {sys.executable} {SCRIPTS / 'rollout.py'} targets --all"


def test_without_arguments_help_is_all(project: Path) -> None:
    done = script("rollout.py", folder=project)

    assert done.returncode == 64
    assert "Usage: rollout.py [OPTIONS] COMMAND [ARGS]..." in done.stdout
    assert done.stderr == ""


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
@pytest.mark.parametrize("name", ["rollout.py", "render_tfvars.py"])
def test_letters_that_an_encoding_lacks_are_spelled_out(project: Path, encoding: str, name: str) -> None:
    edit(project / "accounts.yaml", "name: Old", "name: Old → Ω")
    edit(project / "accounts.yaml", "name: Payments", "name: New → Ω")
    verb = ["targets"] if name == "rollout.py" else []

    done = script(name, *verb, "--all", folder=project, HOME=str(project), PYTHONIOENCODING=encoding)

    assert done.returncode == 0, done.stderr
    assert r"Old \u2192 \u03a9" in done.stderr
    assert (r"New \u2192 \u03a9" in done.stdout) is (name == "rollout.py")


@pytest.mark.parametrize("environment", [{"AWS_PROFILE": "nobody"}, {"AWS_CONFIG_FILE": "accounts.yaml"}])
def test_who_asks_aws_for_nothing_needs_no_usable_configuration(project: Path, environment: dict[str, str]) -> None:
    done = script("rollout.py", "render", "--all", folder=project, HOME=str(project), **environment)

    assert (done.returncode, done.stderr.count("\n")) == (0, 2)
    assert "Warning: Retry tokens of failed updates are not rendered, unlike in plan: " in done.stderr

    edit(project / "organization.yaml", "{source: file, path: accounts.yaml}", "{source: organizations}")
    done = script("rollout.py", "targets", "--all", folder=project, HOME=str(project), **environment)

    assert (done.returncode, done.stderr.count("\n")) == (1, 2)
    assert done.stderr.startswith("Error: Cannot use the AWS credentials: ")


@pytest.mark.parametrize("name", ["rollout.py", "render_tfvars.py"])
def test_a_python_without_the_packages_says_what_to_type(tmp_path: Path, name: str) -> None:
    # Without its site-packages, an interpreter is like any that the project was not installed for.
    bare = [sys.executable, "-S", str(SCRIPTS / name), "--account", "A B"]

    done = subprocess.run(bare, check=False, cwd=tmp_path, env={}, capture_output=True, text=True)

    assert (done.returncode, done.stdout) == (64, "")
    error, following = done.stderr.splitlines()
    assert error.startswith("Error: This Python cannot run it (the Python package ")
    environment = SCRIPTS.parent / ".venv" / "bin" / "python"
    words = shlex.split(following)
    assert words[:5] == ["Next:", "make", "-C", str(SCRIPTS.parent), "venv"]
    assert words[5:] == ["&&", str(environment), str(SCRIPTS / name), "--account", "A B"]


@pytest.mark.parametrize(
    "options",
    [
        ["-c", "mine.yaml", "--all"],
        ["--config=mine.yaml", "--all"],
        ["--all", "-cmine.yaml"],
        ["--read-from", "saved.json", "--all", "--config", "mine.yaml"],
        ["--all", "-c", "mine.yaml", "--read-from=saved.json"],
    ],
)
def test_the_short_script_renders(command: Command, project: Path, options: Sequence[str]) -> None:
    command("discover", "--output", "saved.json")
    (project / "organization.yaml").rename(project / "mine.yaml")

    done = script("render_tfvars.py", *options, "--output", "short", folder=project)

    assert (done.returncode, done.stderr.count("\n")) == (0, 2)
    command("-c", "mine.yaml", "render", "--all", "--output", "long")
    assert snapshot(project / "short") == snapshot(project / "long") != {}


def test_targets_are_refused_before_the_log_archive_they_need(command: Command, ready: Path) -> None:
    edit(ready / "organization.yaml", "  accounts:", "  log_archive_account: Dev\n  accounts:")
    with (ready / "organization.yaml").open("a") as file:
        file.write("log_archive: {}\n")

    outcome = command("plan", "--account", "Payments", "--region", "eu-west-1")

    assert outcome.code == 64
    assert (
        "111122223333 (Payments) logs to the log archive in 222233334444 (Dev), which is not applied yet" in outcome.err
    )
    assert "its bucket and its key do not exist" in outcome.err
    assert outcome.err.endswith("\nNext: session-manager-fleet apply --wave foundation\n")
    assert trace(ready, "plan") == []
    # Another shard of the same selection may hold it; so may the selection itself.
    for selection in (["--account", "Payments", "--account", "Dev"], ["--all", "--shard", "1/2"]):
        assert command("plan", *selection).code == 2

    def hold(*addresses: str) -> None:
        held = [address.split(".") for address in addresses]
        resources = [{"module": "module.log_archive[0]", "type": kind, "name": name} for kind, name in held]
        boto3.client("s3", region_name="us-east-1").put_object(
            Bucket="session-manager-state-123456789012",
            Key="session-manager/eu-west-1/222233334444/terraform.tfstate",
            Body=json.dumps({"resources": resources}).encode(),
        )

    # An apply that failed halfway leaves a bucket without its policy, or without its key.
    hold("aws_s3_bucket.this", "aws_kms_alias.bucket")
    assert "its bucket does not exist" in command("plan", "--account", "Payments").err
    hold("aws_s3_bucket.this", "aws_s3_bucket_policy.this")
    assert "its key does not exist" in command("plan", "--account", "Payments").err
    hold("aws_s3_bucket_policy.this", "aws_kms_alias.bucket")
    assert command("plan", "--account", "Payments").code == 2


def test_only_what_the_log_archive_creates_is_waited_for(command: Command, ready: Path) -> None:
    edit(ready / "organization.yaml", "  accounts:", "  log_archive_account: Dev\n  accounts:")
    key = "arn:aws:kms:eu-west-1:222233334444:key/00000000-0000-0000-0000-000000000000"
    with (ready / "organization.yaml").open("a") as file:
        file.write("guardrails: {attach_to: [r-abcd]}\n")
    # The role that applies is exempt from the guardrails, and the members set what these only protect.
    assert command("plan", "--account", "Payments", "--region", "eu-west-1").code == 2

    with (ready / "organization.yaml").open("a") as file:
        file.write(f"log_archive: {{existing_bucket_name: ours, bucket_key: {{kms_key_arn: '{key}'}}}}\n")
    assert command("plan", "--account", "Payments", "--region", "eu-west-1").code == 2
