"""`schema`: print JSON Schemas."""

from typing import Annotated

import typer

from session_manager_fleet.cli.output import write_json
from session_manager_fleet.errors import ExitCode, InputError
from session_manager_fleet.run import summary
from session_manager_fleet.settings import settings_schema
from session_manager_fleet.verify import report_schema, verification_schema

_SCHEMAS = {
    "organization": settings_schema,
    "summary": summary.schema,
    "verification": verification_schema,
    "sessions": report_schema,
}


def schema(
    of: Annotated[
        str, typer.Option(metavar="organization|summary|verification|sessions", help="Described file.")
    ] = "organization",
) -> int:
    """Print the JSON Schema of organization.yaml, for editors, or of the result of a run or a command."""
    if of not in _SCHEMAS:
        message = f'There is no schema of "{of}"; use {", ".join(_SCHEMAS)}.'
        raise InputError(message, "--of")
    write_json(_SCHEMAS[of]())
    return ExitCode.DONE
