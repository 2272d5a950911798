"""What a person sees of the uploads that the demo tries."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

from session_manager_fleet.reports.text import visible

if TYPE_CHECKING:
    from session_manager_fleet.demo.central_logging import Attempt


def print_attempts(console: Console, attempts: Sequence[Attempt]) -> None:
    """Print who could upload what, and whether that is right."""
    table = Table("who", "log", "answer", title_justify="left")
    for attempt in attempts:
        answer = f"refused: {attempt.refusal}" if attempt.refusal else "stored"
        style = "green" if attempt.as_expected else "bold red"
        table.add_row(visible(attempt.who), visible(attempt.key), Text(answer, style=style))
    console.print(table)
