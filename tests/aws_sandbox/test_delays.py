"""What is switched on is followed late, as AWS does."""

import pytest

from aws_sandbox.delays import Delayed


class World:
    """A place whose content changes, and a clock."""

    def __init__(self, seconds: float) -> None:
        self.content, self.now = "first", 0.0
        self.delayed = Delayed[str, str](seconds, lambda _: self.content, lambda: self.now)

    def change(self, content: str) -> None:
        self.delayed.remember("account")
        self.content = content

    def seen_at(self, now: float) -> str:
        self.now = now
        return self.delayed.seen("account")


def test_without_a_delay_changes_are_seen_at_once() -> None:
    world = World(0)
    world.change("second")
    assert world.seen_at(0) == "second"


def test_each_change_is_seen_after_the_delay() -> None:
    world = World(10)
    world.change("second")
    world.now = 4
    world.change("third")
    assert [world.seen_at(now) for now in (4, 9.9, 10, 13.9, 14)] == ["first", "first", "second", "second", "third"]


@pytest.mark.parametrize("changes", [1, 5])
def test_changes_of_other_places_are_their_own(changes: int) -> None:
    world = World(10)
    for number in range(changes):
        world.change(str(number))
    assert world.delayed.seen("elsewhere") == str(changes - 1)
