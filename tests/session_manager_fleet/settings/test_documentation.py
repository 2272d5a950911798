"""docs/organization.md, executed: its example loads, comes to what the table says, and its commands run."""

import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from session_manager_fleet.cli.app import run
from session_manager_fleet.settings.parsed import load_settings
from session_manager_fleet.targets.inventory import Inventory
from session_manager_fleet.targets.model import Selection

DOCUMENT = (Path(__file__).parents[3] / "docs" / "organization.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", DOCUMENT, flags=re.DOTALL)


def table(heading: str) -> Iterator[dict[str, str]]:
    """Yield the rows of the table whose first column has this heading."""
    found = re.search(rf"^\| {heading} \|.*?(?=\n\n)", DOCUMENT, flags=re.DOTALL | re.MULTILINE)
    assert found, heading
    head, _, *rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in found[0].splitlines()]
    for row in rows:
        yield dict(zip(head, row, strict=True))


@pytest.fixture
def example(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the files of the example, which is the working directory."""
    for text in blocks("yaml"):
        if named := re.match(r"# (\S+\.yaml)\n", text):
            (tmp_path / named[1]).write_text(text, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_example_comes_to_what_the_table_says(example: Path) -> None:
    context = Inventory.load(example / "organization.yaml")
    selected = context.select(Selection(everything=True))
    targets = {(target.account.name, target.region): target for target in selected.targets}
    rows = list(table("account"))

    for row in rows:
        target = targets[row["account"], row["region"]]
        values = context.settings.effective(target.account, target.region).values
        preferences = values.preferences
        assert row == {
            "account": target.account.name,
            "region": target.region,
            "wave": target.wave,
            "idle_session_timeout": str(preferences.idle_session_timeout),
            "max_session_duration": str(preferences.max_session_duration),
            "retention_in_days": str(preferences.cloudwatch.retention_in_days),
            "run_as.default_user": preferences.run_as.default_user,
            "preferences": json.dumps(preferences.enabled),
            "config_rule": json.dumps(values.config_rule.enabled),
            "tags": ", ".join(values.tags),
        }
        assert preferences.cloudwatch.streaming_enabled
    assert {row["account"] for row in rows} == {target.account.name for target in selected.targets}
    assert [entry.account_name for entry in selected.skipped] == ["closed"]
    restricted = context.settings.effective(targets["payments", "eu-west-1"].account, "eu-west-1").values
    assert restricted.instance_policy.regions == ["eu-west-1"]


@pytest.mark.usefixtures("example")
def test_the_commands_run(capsys: pytest.CaptureFixture[str]) -> None:
    [commands] = blocks("sh")
    for line in commands.splitlines():
        program, script, *arguments = shlex.split(line)
        assert (program, script) == ("python", "scripts/rollout.py")
        assert run(arguments) == 0, line
    warnings = [line for line in capsys.readouterr().err.splitlines() if "Warning" in line]
    assert [line for line in warnings if "Retry tokens" not in line] == []  # there are no credentials here


def test_the_refusal_shown_is_the_one_given(example: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = example / "organization.yaml"
    path.write_text(path.read_text().replace("    idle_session_timeout: 20\n", "    idle_timeout: 20\n"))

    assert run(["targets", "--all"]) == 64

    [shown] = re.findall(r"```\n(organization\.yaml:.*?)```", DOCUMENT, flags=re.DOTALL)
    # The line that follows says what to type then.
    assert capsys.readouterr().err.startswith(f"Error: {shown}")


def test_the_template_of_ones_own_renders(example: Path) -> None:
    [setting] = [text for text in blocks("yaml") if text.startswith("rendering:")]
    [template] = re.findall(r"```\n(\{% include.*?)```", DOCUMENT, flags=re.DOTALL)
    (example / "templates").mkdir()
    (example / "templates" / "terraform.tfvars.j2").write_text(template, encoding="utf-8")
    with (example / "organization.yaml").open("a", encoding="utf-8") as file:
        file.write(setting)

    assert run(["render", "--account", "payments"]) == 0

    rendered = (example / "accounts" / "111122223333" / "eu-west-1.tfvars").read_text(encoding="utf-8")
    assert rendered.startswith("# Rendered from organization.yaml for account 111122223333")
    assert rendered.endswith('}\n\ncost_centre = "none"\n')


def test_all_keys_of_the_file_are_in_the_example(example: Path) -> None:
    written = load_settings(example / "organization.yaml").document.data

    assert set(written) == {"schema_version", "organization", "defaults", "overrides", "exceptions", "waves"}
    assert {key for override in written["overrides"] for key in override["match"]} == {
        row["condition"].strip("`") for row in table("condition")
    }
