"""Rendered variables are read back as what they were rendered from."""

import unicodedata
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from session_manager_fleet.errors import InputError
from session_manager_fleet.hcl import hcl
from session_manager_fleet.targets.tfvars_values import values_of

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
HOSTILE = st.sampled_from(
    ["${x}", "$${x}", "%{if}", "$$$${", "\\n", "\\", '"', "\n", "<<EOT\nx\nEOT", "\x1b", "\U0001f600", ""]
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**9), 10**9) | TEXT | HOSTILE,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT | HOSTILE, inner, max_size=3),
    max_leaves=8,
)


def normalized(value: Any) -> Any:  # noqa: ANN401 - any JSON
    if isinstance(value, str):
        return unicodedata.normalize("NFC", value)
    if isinstance(value, list):
        return [normalized(item) for item in value]
    if isinstance(value, dict):
        return {normalized(name): normalized(item) for name, item in value.items()}
    return value


@settings(max_examples=60, deadline=None)
@given(VALUES)
def test_what_was_rendered_is_read_back(value: Any) -> None:  # noqa: ANN401
    assert values_of(f"# comment\n\nx = {hcl(value)}\n") == {"x": normalized(value)}


def test_heredocs_of_a_template_are_read_as_by_terraform() -> None:
    text = 'a = <<EOT\nline \\n "q" $${x}\n\nEOT\nb = <<-EOT\n    two\n      three\n  EOT\n'

    assert values_of(text) == {"a": 'line \\n "q" ${x}\n\n', "b": "two\n  three\n"}


def test_what_is_not_hcl_is_refused() -> None:
    with pytest.raises(InputError, match="not HCL"):
        values_of("a = {{{")
