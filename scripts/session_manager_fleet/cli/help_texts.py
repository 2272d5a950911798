"""Help of commands in which flags take no value."""

from typing import Any

from typer.core import TyperCommand, TyperGroup, TyperOption


def _without_values(parameters: list[Any]) -> list[Any]:
    """Remove the type that Typer shows for flags: `--all <bool>` reads as if it took a value."""
    for parameter in parameters:
        if isinstance(parameter, TyperOption) and parameter.is_flag:
            parameter.metavar = ""
    return parameters


class Command(TyperCommand):
    """A command."""

    def get_params(self, ctx: Any) -> list[Any]:  # noqa: ANN401 - Typer's context has no public type
        """Return the parameters, with `--help`."""
        return _without_values(super().get_params(ctx))


class Group(TyperGroup):
    """The program, with its commands."""

    def get_params(self, ctx: Any) -> list[Any]:  # noqa: ANN401 - Typer's context has no public type
        """Return the parameters, with `--help`."""
        return _without_values(super().get_params(ctx))
