"""YAML with line numbers: every value knows its line, and nothing in a file ends in a traceback."""

import contextlib
import datetime
from pathlib import Path
from textwrap import dedent

import pytest
from hypothesis import given, strategies as st

from session_manager_fleet.errors import InputError
from session_manager_fleet.yaml_source import YamlDocument, format_key_path, nearest, parse_yaml, read_yaml

PATH = Path("settings.yaml")


def parse(text: str) -> YamlDocument:
    return parse_yaml(dedent(text), PATH)


def refusal(text: str) -> str:
    with pytest.raises(InputError) as caught:
        parse(text)
    return str(caught.value)


def test_every_key_and_item_knows_its_line() -> None:
    document = parse("""\
        # a comment
        organization:
          regions:
            - eu-west-1

            - us-east-1
        overrides: [{set: {idle: 10}}]
        """)

    assert document.data == {
        "organization": {"regions": ["eu-west-1", "us-east-1"]},
        "overrides": [{"set": {"idle": 10}}],
    }
    assert document.line(("organization",)) == 2
    assert document.line(("organization", "regions", 0)) == 4
    assert document.line(("organization", "regions", 1)) == 6
    assert document.where(("overrides", 0, "set", "idle")) == "settings.yaml:7 (overrides[0].set.idle)"


def test_a_missing_key_stands_where_it_should_have_been() -> None:
    document = parse("""\
        first: 1
        organization:
          id: o-1
        """)

    assert document.where(("organization", "state", "bucket")) == "settings.yaml:2 (organization.state.bucket)"
    assert document.where(("nothing",)) == "settings.yaml:1 (nothing)"
    assert document.where() == "settings.yaml:1"


def test_scalars_have_the_types_of_yaml() -> None:
    document = parse("""\
        text: plain
        number: 20
        octal: 017
        truth: yes
        nothing: ~
        day: 2027-03-31
        block: |
          two
          lines
        """)

    assert document.data == {
        "text": "plain",
        "number": 20,
        "octal": 0o17,
        "truth": True,
        "nothing": None,
        "day": datetime.date(2027, 3, 31),
        "block": "two\nlines\n",
    }


@pytest.mark.parametrize("account_id", ["111122223333", "012345670123", "000000000000"])
def test_an_account_id_is_text_with_all_its_digits(account_id: str) -> None:
    document = parse(f"""\
        {account_id}: [{account_id}, "{account_id}"]
        """)

    assert document.data == {account_id: [account_id, account_id]}


@pytest.mark.parametrize("number", ["11112222333", "1111222233334"])
def test_other_numbers_stay_numbers(number: str) -> None:
    assert parse(f"id: {number}").data == {"id": int(number)}


def test_anchors_and_merges_keep_the_line_of_what_they_repeat() -> None:
    document = parse("""\
        base: &base
          idle: 20
          max: 60
        home: &home eu-west-1
        prod:
          <<: *base
          idle: 10
        regions: [*home]
        """)

    assert document.data["prod"] == {"idle": 10, "max": 60}
    assert document.data["regions"] == ["eu-west-1"]
    assert document.line(("prod", "idle")) == 7
    assert document.line(("prod", "max")) == 3


def test_one_anchor_may_be_merged_many_times() -> None:
    document = parse("""\
        base: &base {idle: 20}
        all: [{<<: *base}, {<<: *base, idle: 5}, {<<: [*base, {max: 60}]}]
        again: *base
        """)

    assert document.data["all"] == [{"idle": 20}, {"idle": 5}, {"idle": 20, "max": 60}]
    assert document.data["again"] == {"idle": 20}


def test_a_repeated_key_names_both_lines() -> None:
    message = refusal("""\
        preferences:
          idle: 10
          max: 60
          idle: 20
        """)

    assert message == ('settings.yaml:4 (preferences.idle): Duplicate key "idle", first on line 2.')


def test_all_repeated_keys_are_told_at_once() -> None:
    message = refusal("""\
        a: 1
        a: 2
        b: {c: 1, c: 2}
        """)

    assert message.count("Duplicate key") == 2


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a: [1, 2\nb: 3\n", 2),
        ("a: 1\n  b: 2\n", 2),
        ("a: 1\nb: \tc: 3\n\t- d\n", 2),
        ("a: *nowhere\n", 1),
        ("a: 1\n---\nb: 2\n", 2),
        ('a: "unfinished\n', 2),
        ("a: &x\nb: %no\n", 2),
        ("a: 1\nb: {<<: 3}\n", 2),
    ],
)
def test_broken_yaml_is_told_with_its_line(text: str, line: int) -> None:
    with pytest.raises(InputError) as caught:
        parse_yaml(text, PATH)

    assert f"settings.yaml:{line}" in str(caught.value)
    assert "This is not valid YAML" in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "a: !!python/name:os.system",
        "a: !unknown x",
        "a: !!int twelve",
        "a: 2027-02-31",
        'a: "\\ud800"',
        '"\\udfff": a',
        "{[a, b]: c}",
        "? {a: b}\n: c",
        "a: \x00",
        "a: \x07",
    ],
)
def test_values_and_keys_that_cannot_be_read_are_refused(text: str) -> None:
    with pytest.raises(InputError, match=r"^settings\.yaml"):
        parse_yaml(text, PATH)


def test_a_tag_on_a_list_runs_nothing(tmp_path: Path) -> None:
    trace = tmp_path / "trace"

    document = parse(f"a: !!python/object/apply:os.mkdir [{trace}]")

    assert document.data == {"a": [str(trace)]}
    assert not trace.exists()


def test_a_mapping_that_is_merged_into_itself_adds_nothing() -> None:
    assert parse("a: &a {<<: *a, b: 1}").data == {"a": {"b": 1}}


@pytest.mark.parametrize(
    "text",
    [
        "a: &a [*a]",
        "a: &a {b: *a}",
        "a: &a [*a, *a, *a, *a]",
        "[" * 200 + "]" * 200,
        "[" * 1_000,
    ],
)
def test_endless_and_deep_values_are_refused(text: str) -> None:
    assert "nested too deeply" in refusal(text)


BOMBS = {
    "lists": "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
    + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 9)),
    "mappings": "a0: &a0 {k: v}\n"
    + "".join(f"a{n}: &a{n} {{{', '.join(f'k{twin}: *a{n - 1}' for twin in range(10))}}}\n" for n in range(1, 9)),
}


@pytest.mark.parametrize("text", BOMBS.values(), ids=BOMBS)
def test_aliases_that_stand_for_billions_of_values_are_refused(text: str) -> None:
    assert "Aliases repeat more than 100,000 values; write the" in refusal(text)


def test_merges_of_merges_stay_as_small_as_their_keys() -> None:
    merges = "".join(f"a{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * 10)}]}}\n" for n in range(1, 30))

    assert parse("a0: &a0 {k: v}\n" + merges).data["a29"] == {"k": "v"}


# --- Included files ----------------------------------------------------------------------------------------------


def test_included_files_keep_their_own_lines(tmp_path: Path) -> None:
    (tmp_path / "main.yaml").write_text("a: 1\nb: !include parts/b.yaml\nc: [!include parts/empty.yaml, 3]\n")
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts" / "b.yaml").write_text("# a list\n- x\n- y: {z: !include ../last.yaml}\n")
    (tmp_path / "parts" / "empty.yaml").write_text("")
    (tmp_path / "last.yaml").write_text("{deep: true}")

    document = read_yaml(tmp_path / "main.yaml", include_below=tmp_path)

    assert document.data == {"a": 1, "b": ["x", {"y": {"z": {"deep": True}}}], "c": [None, 3]}
    assert document.where(("a",)) == f"{tmp_path}/main.yaml:1 (a)"
    assert document.where(("b",)) == f"{tmp_path}/parts/b.yaml:2 (b)"
    assert document.where(("b", 1, "y")) == f"{tmp_path}/parts/b.yaml:3 (b[1].y)"
    assert document.where(("b", 1, "y", "z", "deep")) == f"{tmp_path}/last.yaml:1 (b[1].y.z.deep)"
    assert document.where(("c", 1)) == f"{tmp_path}/main.yaml:3 (c[1])"


def test_the_problems_of_an_included_file_name_it(tmp_path: Path) -> None:
    main = tmp_path / "main.yaml"
    main.write_text("a: !include b.yaml\n")
    (tmp_path / "b.yaml").write_text("x: 1\nx: 2\n")
    with pytest.raises(InputError) as caught:
        read_yaml(main, include_below=tmp_path)
    assert str(caught.value).startswith(f"{tmp_path}/b.yaml:2 (a.x): Duplicate key")

    (tmp_path / "b.yaml").write_text("x: 1\ny: [")
    with pytest.raises(InputError, match=r"b\.yaml:2: This is not valid YAML"):
        read_yaml(main, include_below=tmp_path)


def test_nothing_is_included_unless_the_caller_wants_it(tmp_path: Path) -> None:
    (tmp_path / "main.yaml").write_text("a: !include main.yaml\n")

    with pytest.raises(InputError, match=r"main\.yaml:1 \(a\): The value cannot be read"):
        read_yaml(tmp_path / "main.yaml")


def test_files_that_include_each_other_end(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("b: !include b.yaml\n")
    (tmp_path / "b.yaml").write_text("a: !include a.yaml\n")

    with pytest.raises(InputError, match=r'b\.yaml:1 \(b\.a\): The included file "a\.yaml" includes itself'):
        read_yaml(tmp_path / "a.yaml", include_below=tmp_path)


def test_files_that_are_included_again_and_again_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("session_manager_fleet.yaml_source._MAX_INCLUDED", 100)
    for number in range(9):
        (tmp_path / f"{number}.yaml").write_text(f"[{', '.join([f'!include {number + 1}.yaml'] * 10)}]")
    (tmp_path / "9.yaml").write_text("x")

    with pytest.raises(InputError, match=r"\.yaml: More than 100 files are included"):
        read_yaml(tmp_path / "0.yaml", include_below=tmp_path)


def test_text_is_prepared_before_it_is_parsed(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("a: {{x}}\nb: !include b.yaml")
    (tmp_path / "b.yaml").write_text("[{{x}}]")

    document = read_yaml(
        tmp_path / "a.yaml", include_below=tmp_path, prepare=lambda text, path: text.replace("{{x}}", path.stem)
    )

    assert document.data == {"a": "a", "b": ["b"]}


@pytest.mark.parametrize(("text", "data"), [("", None), ("# only a comment\n", None), ("[]", []), ("plain", "plain")])
def test_a_file_may_hold_anything(text: str, data: object) -> None:
    assert parse(text).data == data


@given(st.text())
def test_no_text_whatever_ends_in_anything_but_a_document_or_a_refusal(text: str) -> None:
    with contextlib.suppress(InputError):
        assert parse_yaml(text, PATH).path == PATH


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        read_yaml(tmp_path / "absent.yaml")

    assert str(caught.value) == f"{tmp_path / 'absent.yaml'}: The file does not exist."


@pytest.mark.parametrize(("content", "line"), [(b"a: \xff\xfe", 1), (b"\x80", 1), (b"a: 1\nb: \xe4\n", 2)])
def test_a_file_that_is_not_utf_8_is_refused(tmp_path: Path, content: bytes, line: int) -> None:
    path = tmp_path / "latin.yaml"
    path.write_bytes(content)

    with pytest.raises(InputError, match=f"latin.yaml:{line}: This line is not UTF-8"):
        read_yaml(path)


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        read_yaml(tmp_path)


@pytest.mark.parametrize(
    ("key_path", "text"),
    [((), ""), (("a",), "a"), (("a", 0, "b", 1, 2), "a[0].b[1][2]"), (("tags", "a.b"), "tags.a.b")],
)
def test_key_paths_are_written_as_people_write_them(key_path: tuple[str | int, ...], text: str) -> None:
    assert format_key_path(key_path) == text


def test_only_a_near_word_is_offered() -> None:
    assert nearest("idle_timeout", ["idle_session_timeout", "adopt"]) == ' (did you mean "idle_session_timeout"?)'
    assert nearest("zzz", ["idle_session_timeout", "adopt"]) == ""
    assert nearest("zzz", []) == ""
