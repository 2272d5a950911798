"""`schema`: print JSON Schemas."""

from typing import Annotated

import typer

from session_manager_fleet.cli.output import write_json
from session_manager_fleet.errors import ExitCode, InputError
from session_manager_fleet.run import summary
from session_manager_fleet.settings import settings_schema

_SCHEMAS = {"organization": settings_schema, "summary": summary.schema}


def schema(
    of: Annotated[str, typer.Option(metavar="organization|summary", help="Described file.")] = "organization",
) -> int:
    """Print the JSON Schema of organization.yaml, for editors, or of a run's summary.json."""
    if of not in _SCHEMAS:
        raise InputError(f'There is no schema of "{of}"; use {" or ".join(_SCHEMAS)}.', "--of")
    write_json(_SCHEMAS[of]())
    return ExitCode.DONE
