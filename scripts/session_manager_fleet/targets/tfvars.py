"""Render the variables of a target as tfvars, in terraform's own format and safe for every value."""

from __future__ import annotations

import json
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jinja2
from jinja2.sandbox import SandboxedEnvironment

from session_manager_fleet.errors import InputError
from session_manager_fleet.hcl import hcl
from session_manager_fleet.targets.variables import variables_of

if TYPE_CHECKING:
    from session_manager_fleet.settings import DeploymentRole, EffectiveSettings
    from session_manager_fleet.targets.model import Target

TEMPLATE = "terraform.tfvars.j2"
# The first words of the built-in template: what begins with them is nobody's own.
HEADER = "# Rendered from "


class TfvarsRenderer:
    """Renders targets with a Jinja2 template, the built-in one or the user's own.

    A template gets `source` (name of the settings file), `target` (`account`, `region`, `home_region`, `wave`,
    `workspace`) and `variables` (the root module's, by name), and the filters `hcl` and `comment`. It is run in
    Jinja2's sandbox. A template of one's own can include the built-in one as `built-in/terraform.tfvars.j2`; that its
    result is what terraform understands is up to its author.

    Args:
        source: Name of the settings file, as the header of the rendered file tells it.
        templates: Folder with the user's own templates; None for the built-in one.

    Raises:
        InputError: The user's template is missing or malformed.
    """

    def __init__(self, source: str, templates: Path | None = None) -> None:
        self._source = source
        self._templates = templates
        self._written: dict[int, tuple[Mapping[str, Any], str]] = {}
        built_in = jinja2.PackageLoader("session_manager_fleet.targets", "templates")
        own = [jinja2.FileSystemLoader(templates), jinja2.PrefixLoader({"built-in": built_in})] if templates else []
        environment = SandboxedEnvironment(
            loader=jinja2.ChoiceLoader(own) if own else built_in,
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            keep_trailing_newline=True,
            autoescape=False,  # HCL is not HTML; the filter `hcl` quotes every value
        )
        environment.filters["hcl"] = self._hcl
        # JSON's ASCII form keeps a hostile account name within its comment line.
        environment.filters["comment"] = json.dumps
        with self._template_errors():
            self._template = environment.get_template(TEMPLATE)

    def render(self, target: Target, settings: EffectiveSettings, role: DeploymentRole) -> str:
        """Return the text of a target's tfvars; equal input gives equal bytes.

        Raises:
            InputError: The user's template fails for this target.
        """
        with self._template_errors():
            return self._template.render(
                source=self._source, target=target, variables=variables_of(target, settings, role)
            )

    def _hcl(self, value: Any) -> str:  # noqa: ANN401 - whatever a template names
        """Write a value; an object that many targets have in common is written once."""
        if isinstance(value, jinja2.Undefined):
            return str(value)  # raises an error that names what is misspelled
        if not isinstance(value, Mapping):
            return hcl(value)
        # The object is kept beside its text, so that no other can get its identity.
        if id(value) not in self._written:
            self._written[id(value)] = (value, hcl(value))
        return self._written[id(value)][1]

    @contextmanager
    def _template_errors(self) -> Iterator[None]:
        """Say what is wrong with the user's own template, and where; the built-in one fails only by a bug."""
        if self._templates is None:
            yield
            return
        try:
            yield
        except jinja2.TemplateNotFound as error:
            raise InputError(f"The template {error.name} does not exist.", str(self._templates)) from error
        except jinja2.TemplateSyntaxError as error:
            raise InputError(
                f"This is no valid template: {error.message}.", f"{error.filename}:{error.lineno}"
            ) from error
        except Exception as error:  # a template can raise anything
            lines = [frame for frame in traceback.extract_tb(error.__traceback__) if _is_below(frame, self._templates)]
            where = f"{lines[-1].filename}:{lines[-1].lineno}" if lines else str(self._templates)
            raise InputError(f"The template fails: {error}.", where) from error


def _is_below(frame: traceback.FrameSummary, folder: Path) -> bool:
    return Path(frame.filename).is_relative_to(folder)
