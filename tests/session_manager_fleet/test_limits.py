"""Input of any size, depth and shape is read or refused in seconds, with a sentence and never as a bug."""

import datetime
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings, strategies

from session_manager_fleet.accounts import Account
from session_manager_fleet.accounts.lza_replacements import Replacements
from session_manager_fleet.accounts.matching import ou_matches
from session_manager_fleet.accounts.snapshot import from_saved
from session_manager_fleet.cli.app import run as command
from session_manager_fleet.errors import InputError
from session_manager_fleet.run.journal import load
from session_manager_fleet.run.order import _held
from session_manager_fleet.run.summary import Summary
from session_manager_fleet.targets import Target
from session_manager_fleet.terraform.output import StateLockedError, failure, redactor
from session_manager_fleet.terraform.state_locks import _parse
from session_manager_fleet.yaml_source import parse_yaml

DIGITS = "9" * 6_000
NOW = datetime.datetime(2026, 11, 26, tzinfo=datetime.UTC)


@pytest.fixture(autouse=True)
def _in_time() -> Iterator[None]:
    """CPU time, as the machine may be busy; each of these took from 14 seconds to for ever."""
    begun = time.process_time()
    yield
    assert time.process_time() - begun < 8


@pytest.mark.parametrize(
    "text",
    [
        f"a: 0x{'F' * 6_000}",
        f"a: {DIGITS}",
        f"a: 1.{DIGITS}",
        "a: 1" + ":59" * 100_000,
        "a: 0b" + "1" * 20_000,
        "a: 0" + "7" * 20_000,
    ],
)
def test_numbers_have_few_digits(text: str) -> None:
    with pytest.raises(InputError, match="too long for a number"):
        parse_yaml(text, Path("organization.yaml"))


@pytest.mark.parametrize(
    "value",
    [*(f"!!{tag} {text}" for tag in ("timestamp", "bool", "int", "float") for text in ("x", "''")), r'"\U00110000"'],
)
def test_a_value_that_is_not_what_its_tag_says_is_refused(value: str) -> None:
    with pytest.raises(InputError, match=r"organization\.yaml.*(cannot be read|not valid YAML)"):
        parse_yaml(f"a: {value}", Path("organization.yaml"))


@pytest.mark.parametrize(
    "text",
    [
        "a: &a {" + ", ".join(f"k{number}: 1" for number in range(3_000)) + "}\nb: {<<: [" + "*a, " * 2_000 + "*a]}",
        "a: &a {b: 1}\nb: {<<: [" + "*a, " * 60_000 + "*a]}",
        "[" * 2_000,
        "{a: " * 5_000,
        "\n".join(f"{' ' * depth}a:" for depth in range(3_000)),
    ],
)
def test_yaml_that_repeats_or_nests_too_much_is_refused(text: str) -> None:
    with pytest.raises(InputError, match=r"repeat more than|nested too deeply|not valid YAML"):
        parse_yaml(text, Path("organization.yaml"))


@pytest.mark.parametrize("name", ["organization.yaml", "accounts.yaml", "accounts.csv"])
def test_files_have_a_largest_size(
    tmp_path: Path, settings_file: Callable[[str], Path], capsys: pytest.CaptureFixture[str], name: str
) -> None:
    config = settings_file("")
    config.write_text(config.read_text().replace("accounts.yaml", name.replace("organization", "accounts")))
    with (tmp_path / name).open("ab") as file:
        file.truncate(2**33)

    assert command(["-c", str(config), "targets"]) == 64

    assert f"{name}: The file cannot be read: it is larger than 4 MiB." in capsys.readouterr().err


@pytest.mark.parametrize(
    "words",
    [
        ("targets", "--shard", f"1/{DIGITS}"),
        ("targets", "--shard", f"{DIGITS}/{DIGITS}"),
        ("plan", "--all", "--workers", DIGITS),
        ("plan", "--all", "--max-failures", DIGITS),
        ("plan", "--all", "--max-failures", f"{DIGITS}%"),
        ("apply", "--all", "--yes", "--max-plan-age", f"{DIGITS}h"),
        ("plan", "--all", "--timeout", DIGITS),
        ("targets", "--format", "github-matrix", "--shards", DIGITS),
        ("targets", "--account", "*" * 100_000),
        ("targets", "--account", "[" * 5_000),
        ("targets", "--ou", "**/" * 100_000 + "x"),
        ("targets", "--tag", "a=" + "b" * 100_000),
        ("targets", "--region", "e" * 100_000),
        ("verify", "--all", "--max-log-age", f"{DIGITS}d"),
        ("report", "r" * 5_000),
        ("explain", "x" * 100_000),
    ],
)
def test_options_are_refused_whatever_their_length(
    tmp_path: Path,
    settings_file: Callable[[str], Path],
    capsys: pytest.CaptureFixture[str],
    words: tuple[str, ...],
) -> None:
    config = settings_file("")
    (tmp_path / "accounts.yaml").write_text("accounts: [{id: 111122223333, name: Payments, ou: a/b}]")

    assert command(["-c", str(config), *words]) == 64

    assert len(capsys.readouterr().err) < 10_000


def test_unit_globs_take_no_exponential_time() -> None:
    assert not ou_matches("**/" * 14 + "zzz", "/".join("a" * 30))
    assert not ou_matches("*a" * 14 + "b", "a" * 128)
    assert ou_matches("**/" * 14 + "*a" * 14, "/".join(["a" * 128] * 30))


@settings(max_examples=300, deadline=None)
@given(
    strategies.lists(
        strategies.sampled_from(["**", "*", "?", "a", "b", "a*", "*b", "a?b", "."]), min_size=1, max_size=6
    ),
    strategies.lists(strategies.sampled_from(["a", "b", "ab", "aab", "."]), min_size=1, max_size=5),
)
def test_unit_globs_match_as_they_are_documented(glob: list[str], path: list[str]) -> None:
    assert ou_matches("/".join(glob), "/".join(path)) == _by_definition(tuple(glob), tuple(path))


def _by_definition(glob: tuple[str, ...], path: tuple[str, ...]) -> bool:
    if not glob:
        return not path
    if glob[0] == "**":
        return any(_by_definition(glob[1:], path[count:]) for count in range(len(path) + 1))
    return bool(path) and _letters(glob[0], path[0]) and _by_definition(glob[1:], path[1:])


def _letters(glob: str, text: str) -> bool:
    if not glob:
        return not text
    if glob[0] == "*":
        return any(_letters(glob[1:], text[count:]) for count in range(len(text) + 1))
    return bool(text) and glob[0] in {"?", text[0]} and _letters(glob[1:], text[1:])


def test_placeholders_take_no_cubic_time() -> None:
    text = "{{" + " " * 50_000 + "\n{{ a }} {{{\tb }}}"

    assert Replacements({"a": "1", "b": "2"}).prepare(text, Path("x")) == text.split("\n", maxsplit=1)[0] + "\n1 2"


def test_json_may_be_as_deep_as_it_likes(tmp_path: Path) -> None:
    path = tmp_path / "file.json"
    for text in ("[" * 200_000, '{"a":' * 200_000, f'{{"schema_version": {DIGITS}}}', '{"schema_version": 1e999}'):
        path.write_text(f"{text}\n")
        for read in (load, Summary.read, from_saved):
            with pytest.raises(InputError):
                read(path)


# --- What terraform says about foreign objects --------------------------------------------------------------------


@pytest.mark.parametrize("created", ["", "0001-01-01 00:00:00 +0000 UTC"])
def test_a_lock_that_terraform_did_not_write_is_called_a_lock(created: str) -> None:
    """As for a lock object that holds `{}`."""
    text = f"Error acquiring the state lock: Lock Info: ID: Path: Operation: Who: Version: Created: {created} Info:"
    error = failure("plan", 1, [" ".join(text.split())], Path("log"))

    assert isinstance(error, StateLockedError)
    assert f"The state is locked by unknown since {created or 'unknown'} (unknown)." in str(error)


def test_a_short_external_id_is_hidden_only_where_it_is_one() -> None:
    hide = redactor({}, ["eu"])

    assert hide("Error in eu-west-1: neutral") == "Error in eu-west-1: neutral"
    for text in ("external_id = eu", 'external_id = "eu"', r"{\"external_id\":\"eu\"}", "ExternalId=eu&x=1"):
        assert hide(text).count("(hidden)") == 1
    assert json.loads(redactor({}, ["longer-than-that"])('{"a": "longer-than-that eu"}')) == {"a": "(hidden) eu"}


@pytest.mark.parametrize(
    "value", ["a\\0b", "a\\nb", "x" * 5_000, "/".join(["x" * 200] * 40)], ids=["zero", "line", "name", "path"]
)
@pytest.mark.parametrize("key", ["accounts: {source: file, path", "accounts: {source: lza, path", "templates"])
def test_paths_that_no_system_takes_are_refused(
    settings_file: Callable[[str], Path], capsys: pytest.CaptureFixture[str], key: str, value: str
) -> None:
    config = settings_file("")
    text = config.read_text()
    if key == "templates":
        config.write_text(f'{text}rendering: {{templates: "{value}"}}\n')
    else:
        config.write_text(text.replace("accounts: {source: file, path: accounts.yaml", f'{key}: "{value}"'))

    assert command(["-c", str(config), "render"]) == 64
    assert "Error: " in capsys.readouterr().err


@pytest.mark.parametrize("name", ["x" * 5_000, "a\\0b"], ids=["long", "zero"])
def test_names_of_included_files_that_no_system_takes_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError):
        parse_yaml(f'a: !include "{name}"', tmp_path / "main.yaml", include_below=tmp_path)


def test_objects_in_the_state_bucket_may_nest_as_deep_as_they_like() -> None:
    deep = b"[" * 200_000

    assert not _parse(Target(Account("111122223333", "a"), "eu-west-1", "eu-west-1"), deep, NOW).is_terraforms
    with pytest.raises(InputError, match="s3://bucket/key: This is no Terraform state"):
        _held(deep, "s3://bucket/key")
