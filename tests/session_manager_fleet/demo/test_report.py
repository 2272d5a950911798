"""The terminal output of the demo, whatever names and errors contain."""

import io

import pytest

from session_manager_fleet.accounts.model import Account
from session_manager_fleet.demo.preferences import LivePreferences
from session_manager_fleet.demo.report import print_live
from session_manager_fleet.reports import terminal
from session_manager_fleet.targets.model import Target


def shown(name: str, live: LivePreferences | str) -> str:
    console = terminal.make_console()
    console.file, console.width = io.StringIO(), 200
    print_live(console, [(Target(Account("111122223333", name), "eu-west-1", "eu-west-1"), live)])
    return console.file.getvalue()


def test_live_preferences_are_shown() -> None:
    text = shown("Payments", LivePreferences("2", "3", {"idleSessionTimeout": "20", "maxSessionDuration": "60"}))

    assert "idle 20, max 60" in text
    assert "none" in text


@pytest.mark.parametrize(
    "name", ["[/bold]", "[red]Prod", "a\\", "[link=https://example.com]x[/link]", ":warning:", "["]
)
def test_names_are_shown_as_they_are(name: str) -> None:
    assert f"Cannot {name}" in shown(name, f"Cannot {name}")


def test_names_cannot_steer_the_terminal() -> None:
    text = shown("\x1b[2J\u202eevil\rgone", "\x1b[2J\u202eevil\rgone")

    assert not {"\x1b", "\r", "\u202e"} & set(text)
    assert text.count("\\x1b[2J\\u202eevil\\rgone") == 2
