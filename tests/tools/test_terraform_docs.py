"""The tables in the READMEs of the modules, and that the root gives the defaults of its modules."""

import re
from pathlib import Path

import pytest

from session_manager_fleet.errors import InputError
from tools import terraform_docs as module_docs

VARIABLES = """
variable "b" {
  description = "Second, with a | in it."
  type        = object({ name = optional(string, "x"), list = optional(list(string), ["*"]) })
  default     = { name = "y" }

  validation {
    condition     = can(regex("^[a-z]$", var.b.name))
    error_message = "The b.name must be a letter."
  }
}

variable "a" {
  description = "First."
  type        = string
}
"""
OUTPUTS = 'output "arn" {\n  description = "The ARN."\n  value       = one(x[*].arn)\n}\n'
VERSIONS = """
terraform {
  required_version = ">= 1.11"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.84.0"
    }
  }
}
"""
MAIN = 'resource "aws_kms_key" "this" {}\n\ndata "aws_region" "current" {}\n'
README = f"# Module\n\n{module_docs.BEGIN}\nold\n{module_docs.END}\n\nAfter.\n"


@pytest.fixture
def module(tmp_path: Path) -> Path:
    folder = tmp_path / "example"
    folder.mkdir()
    (folder / "variables.tf").write_text(VARIABLES, encoding="utf-8")
    (folder / "outputs.tf").write_text(OUTPUTS, encoding="utf-8")
    (folder / "versions.tf").write_text(VERSIONS, encoding="utf-8")
    (folder / "main.tf").write_text(MAIN, encoding="utf-8")
    (folder / "README.md").write_text(README, encoding="utf-8")
    return folder


def test_the_readmes_of_the_modules_are_current() -> None:
    assert list(module_docs.stale()) == []


def test_tables_stand_between_the_markers(module: Path) -> None:
    assert module_docs.current(module / "README.md") == (
        f"# Module\n\n{module_docs.BEGIN}\n"
        "## Requirements\n\n"
        "| Name | Version |\n"
        "| --- | --- |\n"
        "| `terraform` | `>= 1.11` |\n"
        "| `aws` | `>= 5.84.0` |\n"
        "\n## Providers\n\n"
        "- `aws`: the caller's, not configured here\n"
        "\n## Resources\n\n"
        "- `aws_kms_key.this`\n"
        "\n## Inputs\n\n"
        "| Name | Description | Type | Default |\n"
        "| --- | --- | --- | --- |\n"
        "| `a` | First. | `string` | required |\n"
        "| `b` | Second, with a \\| in it. "
        "| <pre>object({<br>"
        '  name = optional(string, "x")<br>  list = optional(list(string), ["*"])<br>})</pre> | `{ name = "y" }` |\n'
        "\n## Outputs\n\n"
        "| Name | Description |\n"
        "| --- | --- |\n"
        "| `arn` | The ARN. |\n"
        f"{module_docs.END}\n\nAfter.\n"
    )


def test_a_changed_variable_makes_the_readme_stale(module: Path) -> None:
    readme = module / "README.md"
    readme.write_text(module_docs.current(readme), encoding="utf-8")
    assert module_docs.stale(module.parent) == {}

    (module / "variables.tf").write_text(VARIABLES.replace("First.", "The first."), encoding="utf-8")

    assert list(module_docs.stale(module.parent)) == [readme]


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        ("README.md", "# Module\n", "lacks the markers"),
        ("variables.tf", 'variable "a" {\n  type = string\n}\n', "variable a lacks its description"),
        ("variables.tf", 'variable "a" {\n  description = "A."\n}\n', "variable a lacks its type"),
        ("outputs.tf", 'output "arn" {\n  value = 1\n}\n', "output arn lacks its description"),
        ("outputs.tf", "output {{\n", "not HCL"),
    ],
)
def test_what_cannot_be_documented_is_refused(module: Path, file: str, text: str, message: str) -> None:
    (module / file).write_text(text, encoding="utf-8")

    with pytest.raises(InputError, match=message) as error:
        module_docs.stale(module.parent)
    assert str(module / file) in str(error.value)


@pytest.mark.parametrize("file", ["README.md", "variables.tf", "outputs.tf", "versions.tf"])
def test_a_missing_file_is_refused(module: Path, file: str) -> None:
    (module / file).unlink()

    with pytest.raises(InputError, match="A module needs"):
        module_docs.stale(module.parent)


def test_an_object_within_an_object_has_lines_of_its_own() -> None:
    text = "object({a = optional(list(object({b = string, c = number})), []), d = bool})"

    assert module_docs._lines(text) == [
        "object({",
        "  a = optional(list(object({",
        "    b = string",
        "    c = number",
        "  })), [])",
        "  d = bool",
        "})",
    ]


def attributes(type_text: str) -> dict[str, str]:
    """The scalar attributes of an object type with what stands in `optional(...)`, by their path."""
    path: list[str] = []
    found = {}
    for opened, name, content, closed in re.findall(
        r"(?:(\w+) = optional\(object\(\{)|(?:(\w+) = optional\(((?:[^()]|\([^()]*\))*)\))|(\}\))", type_text
    ):
        if opened:
            path.append(opened)
        elif closed:
            path[-1:] = []
        else:
            found[".".join([*path, name])] = content
    return found


def test_the_root_gives_the_defaults_of_its_modules() -> None:
    root = {item.name: item for item in module_docs.read_interface(module_docs.REPOSITORY).inputs}
    given = {name: attributes(item.type) for name, item in root.items()}

    for module in ("preferences", "config_rule"):
        for item in module_docs.read_interface(module_docs.MODULES / module).inputs:
            own = given[{"names": "names", "nodes": "instance_policy"}.get(item.name, module)]
            prefix = "" if item.name == "names" else f"{item.name}."
            for name, content in attributes(item.type).items():
                # The root's null means its own name; to adopt a group, the rollout sets a variable of its own.
                if name not in {"log_group_name", "adopt_log_group"}:
                    assert own[prefix + name] == content, f"{module}: {prefix}{name}"
            if item.name in own:
                assert own[item.name] == f"{item.type}, {item.default}", f"{module}: {item.name}"


@pytest.mark.parametrize("readme", sorted(module_docs.MODULES.glob("*/README.md")), ids=lambda path: path.parent.name)
def test_a_module_says_where_it_is_what_it_needs_costs_and_leaves(readme: Path) -> None:
    text = readme.read_text(encoding="utf-8")
    (part,) = re.findall(r"^## In your configuration\n\n(.*?)\n\n<!-- BEGIN", text, re.DOTALL | re.MULTILINE)
    rows = dict(re.findall(r"^\| ([A-Z][^|]*) \| (.*) \|$", part, re.MULTILINE))
    assert rows.keys() == {
        "Source",
        "Permissions of the caller",
        "Cost",
        "What destroy leaves",
        "Tests without an account",
    }
    assert f"//modules/{readme.parent.name}?ref=v" in rows["Source"]
    assert re.findall(r"`[a-z0-9]+:[A-Z*]\w+\*?`", rows["Permissions of the caller"])
    # Anchors of other sections exist.
    anchors = {
        re.sub(r"[^a-z0-9 -]", "", heading.lower()).replace(" ", "-")
        for heading in re.findall(r"^##+ (.*)$", text, re.M)
    }
    assert set(re.findall(r"\]\(#([^)]*)\)", part)) <= anchors


# What an output may be about, and then an attribute of it: one rule for all modules.
NOUNS = re.compile(
    r"(auditor_policy|automation_document|automation_role|boundary|bucket|bucket_key|bucket_policy|ci_role|destination|document|endpoint|"
    r"failures_queue|function|function_role|key_policy|log_group|logs_key|member_role|operator_policy|policy|role|rule|scp|"
    r"security_group|session_key|session_key_parameter)"
    r"(_arns?|_ids?|_input|_json|_length|_names?|_statements_json|_url)?|policies|preferences|s3|settings"
)


@pytest.mark.parametrize(
    "folder", sorted(path.parent for path in module_docs.MODULES.glob("*/outputs.tf")), ids=lambda p: p.name
)
def test_outputs_are_named_by_resource_and_attribute_in_alphabetical_order(folder: Path) -> None:
    names = re.findall(r'^output "(\w+)"', (folder / "outputs.tf").read_text(encoding="utf-8"), re.MULTILINE)
    assert [name for name in names if not NOUNS.fullmatch(name)] == []
    assert names == sorted(names)
