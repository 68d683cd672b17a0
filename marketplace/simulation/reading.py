"""How the values of a scenario file are read, each with an error that says where and what to do."""

from collections.abc import Callable, Collection
from typing import Annotated, NoReturn, TypeAlias

from credits import amounts


class InvalidScenario(Exception):
    """A scenario file says something that cannot be played.

    Attributes:
        place: Where in the file, such as `groups.posters.does[0].bounty`.
        detail: What is wrong there, and what would be right.
    """

    def __init__(self, place: str, detail: str) -> None:
        super().__init__(f"{place}: {detail}" if place else detail)
        self.place = place
        self.detail = detail


Reader: TypeAlias = Callable[[str, object], object]
"""Takes a place and what stands there; returns the value or raises `InvalidScenario`."""


def refuse(place: str, given: object, wanted: str) -> NoReturn:
    """Raise the error that says what was wanted instead."""
    raise InvalidScenario(place, f"{given!r} is not {wanted}")


def number(least: int, most: int) -> Reader:
    """Return a reader of whole numbers within bounds."""

    def read(place: str, given: object) -> int:
        if isinstance(given, bool) or not isinstance(given, int) or not least <= given <= most:
            refuse(place, given, f"a whole number from {least} to {most}")
        return given

    return read


def decimal(least: float, most: float) -> Reader:
    """Return a reader of numbers within bounds."""

    def read(place: str, given: object) -> float:
        if isinstance(given, bool) or not isinstance(given, (int, float)):
            refuse(place, given, f"a number from {least:g} to {most:g}")
        if not least <= given <= most:
            refuse(place, given, f"a number from {least:g} to {most:g}")
        return float(given)

    return read


def text(place: str, given: object) -> str:
    """Read a text that says something."""
    if not isinstance(given, str) or not given.strip():
        refuse(place, given, "a text")
    return given.strip()


def switch(place: str, given: object) -> bool:
    """Read true or false."""
    if not isinstance(given, bool):
        refuse(place, given, "true or false")
    return given


def one_of(words: Collection[str]) -> Reader:
    """Return a reader of one of *words*."""

    def read(place: str, given: object) -> str:
        if not isinstance(given, str) or given not in words:
            refuse(place, given, f"one of {', '.join(words)}")
        return given

    return read


def credits_(place: str, given: object) -> int:
    """Read an amount, written as text, into micro-credits."""
    if isinstance(given, str):
        sign, digits = (-1, given[1:]) if given.startswith("-") else (1, given)
        try:
            return sign * amounts.parse(digits)
        except (amounts.MalformedAmount, amounts.FractionalNumber):
            pass
    refuse(place, given, 'credits as text, such as "2.5"')


LEAST_BOUNTY = 10_000  # micro-credits; the market's own rule says so too


def credits_between(place: str, given: object) -> tuple[int, int]:
    """Read an amount, or the least and the most of what is drawn, into micro-credits."""
    both = given if isinstance(given, list) else [given, given]
    if len(both) != 2:  # noqa: PLR2004 - the least and the most
        refuse(place, given, 'an amount such as "2.5", or two: ["2", "5"]')
    least, most = (credits_(place, one) for one in both)
    if not LEAST_BOUNTY <= least <= most:
        refuse(place, given, "a range from at least 0.01 upwards")
    return least, most


MODES = ("claim", "bid", "contest", "direct")

# What habits take. A chance is drawn each time that the habit comes to it.
Chance = Annotated[float, decimal(0, 1)]
PerDay = Annotated[float, decimal(0, 1000)]
Count = Annotated[int, number(0, 1000)]
Days = Annotated[float, decimal(0.01, 3650)]
Day = Annotated[float, decimal(0, 3650)]
Hours = Annotated[float, decimal(0, 24 * 365)]
Credits = Annotated[int, credits_]
Between = Annotated[tuple[int, int], credits_between]
Switch = Annotated[bool, switch]
ModeName = Annotated[str, one_of(MODES)]
GroupName = Annotated[str, text]
"""The name of a group of the same scenario; empty means everybody."""
