"""Render the variables of a target as tfvars, with every value quoted as terraform requires."""

import json
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jinja2
from jinja2.sandbox import SandboxedEnvironment

from session_manager_fleet.errors import InputError
from session_manager_fleet.hcl import hcl
from session_manager_fleet.settings import EffectiveSettings, Roles
from session_manager_fleet.targets.model import Target
from session_manager_fleet.targets.variables import variables_of
from session_manager_fleet.yaml_source import read_text, refuse_links_out

TEMPLATE = "terraform.tfvars.j2"
# First words of the built-in template. Files that start with them are generated and may be overwritten.
HEADER = "# Rendered from "


class TfvarsRenderer:
    """Render targets with a Jinja2 template, the built-in one or the user's own.

    A template gets `source` (name of the settings file), `target` (`account`, `region`, `home_region`, `wave`,
    `workspace`) and `variables` (the root module's, by name), and the filters `hcl` and `comment`. It is run in
    Jinja2's sandbox. The user's own template can include the built-in one as `built-in/terraform.tfvars.j2`; its
    author is responsible for a result that terraform can read.

    Args:
        source: Name of the settings file for the header of the rendered file.
        templates: Folder with the user's own templates; None for the built-in one.

    Raises:
        InputError: The user's template is missing or malformed.
    """

    def __init__(self, source: str, templates: Path | None = None) -> None:
        self._source = source
        self._templates = templates
        self._written: dict[int, tuple[Mapping[str, Any], str]] = {}
        built_in = jinja2.PackageLoader("session_manager_fleet.targets", "templates")
        own = [_OwnTemplates(templates), jinja2.PrefixLoader({"built-in": built_in})] if templates else []
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

    def render(self, target: Target, settings: EffectiveSettings, roles: Roles) -> str:
        """Return the text of a target's tfvars; the result is deterministic.

        Raises:
            InputError: The user's template fails for this target.
        """
        with self._template_errors():
            return self._template.render(
                source=self._source, target=target, variables=variables_of(target, settings, roles)
            )

    def _hcl(self, value: Any) -> str:  # noqa: ANN401 - a template may pass any value
        """Write a value as HCL; the text of an object that targets share is cached."""
        if isinstance(value, jinja2.Undefined):
            return str(value)  # raises an error with the misspelled name
        if not isinstance(value, Mapping):
            return hcl(value)
        # The object is kept with its text, so that its id cannot be reused.
        if id(value) not in self._written:
            self._written[id(value)] = (value, hcl(value))
        return self._written[id(value)][1]

    @contextmanager
    def _template_errors(self) -> Iterator[None]:
        """Translate errors of the user's own template; the built-in one fails only because of a bug."""
        if self._templates is None:
            yield
            return
        try:
            yield
        except InputError:
            raise
        except jinja2.TemplateNotFound as error:
            raise InputError(f"The template {error.name} does not exist.", str(self._templates)) from error
        except jinja2.TemplateSyntaxError as error:
            raise InputError(
                f"The template is invalid: {error.message}.", f"{error.filename}:{error.lineno}"
            ) from error
        except Exception as error:  # a template can raise anything
            lines = [frame for frame in traceback.extract_tb(error.__traceback__) if _is_below(frame, self._templates)]
            where = f"{lines[-1].filename}:{lines[-1].lineno}" if lines else str(self._templates)
            raise InputError(f"The template fails: {error}.", where) from error


class _OwnTemplates(jinja2.BaseLoader):
    """Load the user's templates: regular files in one folder, which no link leads out of."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def get_source(self, environment: jinja2.Environment, template: str) -> tuple[str, str, Callable[[], bool]]:  # noqa: ARG002
        """Return the text of a template, its path, and that it stays as it is.

        Raises:
            jinja2.TemplateNotFound: There is no such file.
            InputError: It is elsewhere, too large, or no regular file.
        """
        path = self._folder.joinpath(*jinja2.loaders.split_template_path(template))
        if not path.exists():
            raise jinja2.TemplateNotFound(template)
        refuse_links_out(path, self._folder)
        return read_text(path), str(path), lambda: True


def _is_below(frame: traceback.FrameSummary, folder: Path) -> bool:
    return Path(frame.filename).is_relative_to(folder)
