"""Rendered variables: every value survives the way through terraform, in terraform's own format."""

import json
import os
import shutil
import subprocess
import unicodedata
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, Phase, example, given, settings, strategies as st

from session_manager_fleet.accounts.model import MANAGEMENT, Account, Organization
from session_manager_fleet.errors import InputError
from session_manager_fleet.hcl import hcl, quote
from session_manager_fleet.settings.layers import EffectiveSettings, Settings
from session_manager_fleet.settings.parsed import load_settings
from session_manager_fleet.settings.roles import AccountRole, Roles
from session_manager_fleet.settings.target import NOT_RENDERED, TargetSettings
from session_manager_fleet.targets.model import Target
from session_manager_fleet.targets.tfvars import TfvarsRenderer
from session_manager_fleet.targets.tfvars_files import renderer_of
from session_manager_fleet.targets.variables import variables_of

ROOT = Path(__file__).parents[3]
ROLE = AccountRole(name="Deploy")
ROLES = Roles(ROLE)
HOME = "eu-west-1"
PLAIN = EffectiveSettings(TargetSettings(), {}, frozenset())

# Terraform normalizes text to NFC, and so does this; what else could go wrong is drawn more often than by chance.
TROUBLE = ["${", "%{", "$", "%", "{", "}", '"', "\\", "\n", "\r", "\t", "\x1b", "\x7f", "\u2028", "\ufeff", "~", "EOT"]
LETTERS = st.characters(exclude_categories=["Cs"])
TEXTS = st.lists(st.sampled_from(TROUBLE) | st.text(LETTERS, max_size=5), max_size=8).map(
    lambda parts: unicodedata.normalize("NFC", "".join(parts))
)
# Words that HCL reads as something else where they are not quoted.
KEYWORDS = ["for", "in", "if", "else", "endif", "endfor", "null", "true", "false"]
KEYS = st.sampled_from(KEYWORDS) | TEXTS
SCALARS = st.none() | st.booleans() | st.integers(-(10**12), 10**12) | TEXTS
VALUES: st.SearchStrategy[Any] = st.recursive(
    SCALARS | st.lists(SCALARS, max_size=3),
    lambda inner: st.dictionaries(KEYS, inner, max_size=5),
    max_leaves=12,
)
# Each example is a run of terraform with many values: few examples, and no time for making them smaller.
ONE_RUN_EACH = settings(
    max_examples=8,
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.large_base_example],
)


def target(name: str = "Payments", role: str = "", region: str = HOME) -> Target:
    return Target(Account("111122223333", name, role=role), region, HOME)


def terraform(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    if shutil.which("terraform") is None:
        pytest.fail("Terraform is needed on the PATH.")
    environment = {"PATH": os.environ["PATH"], "CHECKPOINT_DISABLE": "1", "TF_WORKSPACE": "111122223333"}
    return subprocess.run(
        ["terraform", *arguments], cwd=folder, env=environment, capture_output=True, text=True, timeout=60, check=False
    )


def read_back(folder: Path, variables: str) -> dict[str, Any]:
    """Return the outputs of a configuration for rendered variables."""
    (folder / "terraform.tfvars").write_text(variables, encoding="utf-8")
    done = terraform(folder, "apply", "-auto-approve", "-input=false", "-no-color")
    assert done.returncode == 0, done.stdout + done.stderr
    state = folder / "terraform.tfstate.d" / "111122223333" / "terraform.tfstate"
    outputs = json.loads(state.read_text(encoding="utf-8"))["outputs"]
    return {name: output["value"] for name, output in outputs.items()}


def assert_formatted(folder: Path, text: str) -> None:
    path = folder / "checked.tfvars"
    path.write_text(text, encoding="utf-8")
    done = terraform(folder, "fmt", "-check", "-diff", str(path))
    assert (done.returncode, done.stdout) == (0, ""), done.stdout + done.stderr


@pytest.fixture(scope="module")
def echo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A configuration that needs no provider and gives its variables back."""
    folder = tmp_path_factory.mktemp("echo")
    (folder / "main.tf").write_text(
        "".join(
            f'variable "{name}" {{\n  type = {kind}\n}}\n\noutput "{name}" {{\n  value = var.{name}\n}}\n\n'
            for name, kind in {"texts": "list(string)", "tags": "map(string)"}.items()
        ),
        encoding="utf-8",
    )
    return folder


@ONE_RUN_EACH
@given(
    st.lists(TEXTS, min_size=20, max_size=60),
    st.dictionaries(KEYS, TEXTS, min_size=5, max_size=20),
)
@example(
    ["${a}", "$${a}", "$$${a}", "$", "$$", "${", "%{if}", "%%{if}", "$%{", "%${", "$\\{", '\\"', '"', "\\${", "~{"]
    + [
        f"{start}{letter}{end}"
        for start in ("", "$", "%")
        for letter in "\n\r\t\x01\x7f\u200b\u2028é日"
        for end in "{a"
    ],
    {"a": "b", "with blank": "", "é": "x", "${a}": "${b}", "": "empty", '"': "quote", "a.b:c/d=e+f-g@h": "aws"},
)
@example(KEYWORDS, dict.fromkeys(KEYWORDS, "keyword"))
def test_any_text_survives_as_value_and_as_key(echo: Path, texts: list[str], tags: dict[str, str]) -> None:
    outputs = read_back(echo, f"texts = {hcl(texts)}\ntags  = {hcl(tags)}\n")

    assert outputs["texts"] == texts
    assert outputs["tags"] == tags


@given(TEXTS)
def test_a_literal_is_one_line_without_template_or_control_character(text: str) -> None:
    literal = quote(text)

    assert literal[1:-1].isprintable()
    assert quote(text, ascii_only=True).isascii()


@ONE_RUN_EACH
@given(st.dictionaries(st.from_regex(r"[a-z_][a-z0-9_-]{0,12}", fullmatch=True), VALUES, min_size=2, max_size=8))
def test_rendered_values_are_formatted_as_terraform_fmt_does(echo: Path, variables: Mapping[str, Any]) -> None:
    assert_formatted(echo, "\n\n".join(f"{name} = {hcl(value)}" for name, value in variables.items()) + "\n")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "null"),
        (True, "true"),
        (False, "false"),
        (20, "20"),
        ("plain", '"plain"'),
        ("Größe 日本", '"Größe 日本"'),
        ("${a}", '"$${a}"'),
        ("%{a}", '"%%{a}"'),
        ("100%", '"100%"'),
        ("a\nb", '"a\\nb"'),
        ("\x1b[31m", '"\\U0000001b[31m"'),
        ([], "[]"),
        (["a", 1, [True]], '["a", 1, [true]]'),
        ({}, "{}"),
        (
            {"a": 1, "long": {"b": []}, "c": 2, "dd": 3},
            "{\n  a = 1\n  long = {\n    b = []\n  }\n  c  = 2\n  dd = 3\n}",
        ),
        ({"for": 1, "format": 2}, '{\n  "for"  = 1\n  format = 2\n}'),
        ({"a b": 1, "c-d": 2, "1e": 3}, '{\n  "a b" = 1\n  c-d   = 2\n  "1e"  = 3\n}'),
    ],
)
def test_hcl(value: object, text: str) -> None:
    assert hcl(value) == text


@pytest.mark.parametrize("value", [object(), {1, 2}, ["a", object()], {"a": {"b": object()}}])
def test_what_has_no_hcl_form_is_refused(value: object) -> None:
    with pytest.raises(TypeError, match="has no HCL form"):
        hcl(value)


# --- Targets -----------------------------------------------------------------------------------------------------


def test_the_root_module_reads_back_what_was_set(tmp_path: Path, make_settings: Callable[[str], Settings]) -> None:
    given_settings = make_settings("""
        defaults:
          preferences:
            s3: {enabled: true, bucket_name: logs-of-all, key_prefix: ""}
            shell_profile: {linux: "cd \\"${HOME}\\"\\nexec bash # 100% $${x} %{y}\\t\\e", windows: 'C:\\x'}
            function: {reserved_concurrent_executions: 2}
            idle_session_timeout: 7
          instance_policy: {attach_to_roles: [web, worker]}
          config_rule: {enabled: false}
          tags: {"cost centre": "é ${x}", Owner: ""}
        """)
    effective = given_settings.effective(Account("111122223333", "Payments"), "us-east-1")
    shutil.copy(ROOT / "variables.tf", tmp_path)
    names = ("account_id", "region", "home_region", "deployment_role", *TargetSettings.model_fields)
    (tmp_path / "outputs.tf").write_text(
        "".join(f'output "{name}" {{\n  value = var.{name}\n}}\n' for name in names), encoding="utf-8"
    )

    home = target(region=HOME)
    outputs = read_back(tmp_path, TfvarsRenderer("organization.yaml").render(home, effective, ROLES))

    assert outputs == {
        "account_id": "111122223333",
        "region": HOME,
        "home_region": HOME,
        "deployment_role": ROLE.model_dump(exclude={"in_management_account"}),
        **effective.values.model_dump(exclude=NOT_RENDERED),
    }


@pytest.fixture(scope="module")
def root_variables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The root module's variables, which it gives back."""
    folder = tmp_path_factory.mktemp("root")
    shutil.copy(ROOT / "variables.tf", folder)
    (folder / "outputs.tf").write_text(
        "".join(f'output "{name}" {{\n  value = var.{name}\n}}\n' for name in ("tags", "preferences")), encoding="utf-8"
    )
    return folder


@ONE_RUN_EACH
@given(TEXTS, st.dictionaries(KEYS, TEXTS, min_size=5, max_size=40), TEXTS, TEXTS)
def test_what_stands_in_the_settings_arrives_whatever_the_account_is_called(
    root_variables: Path, name: str, tags: dict[str, str], linux: str, windows: str
) -> None:
    written = {
        "schema_version": 1,
        "organization": {
            "id": "o-exampleorgid",
            "home_region": HOME,
            "regions": [HOME],
            "deployment_role": {"name": "Deploy"},
        },
        "defaults": {"tags": tags, "preferences": {"shell_profile": {"linux": linux, "windows": windows}}},
    }
    path = root_variables / "organization.yaml"
    path.write_text(yaml.safe_dump(written), encoding="utf-8")
    account = Account("111122223333", name)
    loaded = Settings.of(load_settings(path), Organization.of(None, [account], []), HOME)

    rendered = renderer_of(loaded).render(Target(account, HOME, HOME), loaded.effective(account, HOME), ROLES)

    outputs = read_back(root_variables, rendered)
    assert outputs["tags"] == tags
    assert outputs["preferences"]["shell_profile"] == {"linux": linux, "windows": windows}


def test_a_rendered_file_is_formatted(tmp_path: Path, make_settings: Callable[[str], Settings]) -> None:
    effective = make_settings("""
        defaults:
          preferences: {shell_profile: {linux: "a\\nb"}}
          tags: {a: b, "cost centre": c, Größe: d, managed-by: e, "1st": f, "${x}": g}
        """).effective(Account("111122223333", "Payments"), HOME)

    assert_formatted(tmp_path, TfvarsRenderer("organization.yaml").render(target(), effective, ROLES))


def test_equal_settings_give_equal_bytes(make_settings: Callable[[str], Settings]) -> None:
    first = make_settings("defaults: {tags: {a: b, c: d}, preferences: {adopt: merge}}").effective(
        target().account, HOME
    )
    second = make_settings("defaults: {preferences: {adopt: merge}, tags: {c: d, a: b}}").effective(
        target().account, HOME
    )

    rendered = {
        TfvarsRenderer("organization.yaml").render(target(), effective, ROLES) for effective in (first, second, first)
    }

    assert len(rendered) == 1


@settings(deadline=None)
@given(TEXTS)
def test_a_hostile_account_name_stays_within_its_comment(name: str) -> None:
    renderer = TfvarsRenderer("organization.yaml")

    lines = renderer.render(target(name), PLAIN, ROLES).splitlines()

    assert lines[1:] == renderer.render(target("plain"), PLAIN, ROLES).splitlines()[1:]
    assert lines[0].startswith("# Rendered from organization.yaml for account 111122223333 ")


def test_nothing_of_the_machine_and_no_time_is_rendered(tmp_path: Path) -> None:
    text = TfvarsRenderer("organization.yaml").render(target(), PLAIN, ROLES)

    assert str(tmp_path.parent) not in text
    assert str(ROOT) not in text
    assert "null" not in text


def test_skipped_components_are_switched_off(make_settings: Callable[[str], Settings]) -> None:
    effective = make_settings("""
        exceptions:
          - {match: {}, skip: [preferences, config_rule], owner: a, reason: b, expires: 2027-01-01}
        """).effective(target().account, HOME)

    variables = variables_of(target(), effective, ROLES)

    assert not variables["preferences"]["enabled"]
    assert not variables["config_rule"]["enabled"]
    assert variables["instance_policy"]["enabled"]


# --- The user's own templates ------------------------------------------------------------------------------------


@pytest.fixture
def own(tmp_path: Path) -> Callable[[str], TfvarsRenderer]:
    """Make a renderer with a template of the user."""

    def make(template: str) -> TfvarsRenderer:
        folder = tmp_path / "templates"
        folder.mkdir()
        (folder / "terraform.tfvars.j2").write_text(template, encoding="utf-8")
        return TfvarsRenderer("organization.yaml", folder)

    return make


def test_a_template_of_ones_own_may_extend_the_built_in_one(own: Callable[[str], TfvarsRenderer]) -> None:
    built_in = TfvarsRenderer("organization.yaml").render(target(), PLAIN, ROLES)
    renderer = own('{% include "built-in/terraform.tfvars.j2" %}\n\ncost_centre = {{ target.account.ou | hcl }}\n')

    assert renderer.render(target(), PLAIN, ROLES) == f'{built_in}\ncost_centre = "Root"\n'


@pytest.mark.parametrize(
    ("template", "line", "message"),
    [
        ("a = 1\n{% if %}\n", 2, "The template is invalid: Expected an expression"),
        ("a = 1\n\nb = {{ acount | hcl }}\n", 3, "The template fails: 'acount' is undefined."),
        ("{{ target.account.nam }}", 1, "has no attribute 'nam'"),
        ("a = 1\nb = {{ target | hcl }}\n", 2, "The template fails: Target has no HCL form."),
        ("\n{{ 1 // 0 }}", 2, "The template fails: integer division or modulo by zero."),
        ("{{ ''.__class__.__mro__ }}", 1, "is unsafe"),
        ('{% include "elsewhere.j2" %}', None, "The template elsewhere.j2 does not exist."),
        ('{% include "../../secret.j2" %}', None, "The template ../../secret.j2 does not exist."),
    ],
)
def test_what_is_wrong_with_a_template_is_reported_with_its_line(
    own: Callable[[str], TfvarsRenderer], tmp_path: Path, template: str, line: int | None, message: str
) -> None:
    (tmp_path / "secret.j2").write_text("secret", encoding="utf-8")

    with pytest.raises(InputError) as caught:
        own(template).render(target(), PLAIN, ROLES)

    [problem] = caught.value.problems
    place = tmp_path / "templates"
    assert problem.location == (f"{place}/terraform.tfvars.j2:{line}" if line else str(place))
    assert message in problem.message


def test_a_folder_without_the_template_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"The template terraform\.tfvars\.j2 does not exist\."):
        TfvarsRenderer("organization.yaml", tmp_path)


# --- How the account is entered ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("account_role", "in_management_account", "uses_role"),
    [("", False, True), ("log-archive", False, True), (MANAGEMENT, False, False), (MANAGEMENT, True, True)],
)
def test_the_management_account_is_entered_without_the_role(
    account_role: str, in_management_account: bool, uses_role: bool
) -> None:
    role = AccountRole(name="Deploy", external_id="secret-handshake", in_management_account=in_management_account)

    variables = variables_of(target(role=account_role), PLAIN, Roles(role))

    expected = {
        "name": "Deploy",
        "external_id": "secret-handshake",
        "session_name": ROLE.session_name,
        "duration": "1h",
    }
    assert variables["deployment_role"] == (expected if uses_role else None)


def test_an_external_id_that_is_not_set_is_left_out() -> None:
    assert "external_id" not in variables_of(target(), PLAIN, ROLES)["deployment_role"]
