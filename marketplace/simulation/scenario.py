"""Scenarios: small TOML files that say who takes part, with which habits, and what is expected."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from marketplace.participants.handles import PATTERN
from marketplace.simulation.figures import AMOUNTS, COUNTS
from marketplace.simulation.habits import read_habit
from marketplace.simulation.members import Habit
from marketplace.simulation.reading import (
    InvalidScenario,
    Reader,
    credits_,
    number,
    one_of,
    refuse,
    switch,
    text,
)

FOLDER = Path(__file__).parent / "scenarios"
MOST_MEMBERS = 1_000  # of one group, with their agents
MOST_DAYS = 3_650
BOUNDS = ("at_least", "at_most")


@dataclass(frozen=True, slots=True)
class Expectation:
    """What a figure comes to at the end.

    Attributes:
        group: Whose; empty means all members together.
        figure: Which one of `figures.Figures`.
        bound: `at_least` or `at_most`.
        value: Micro-credits, or a count.
    """

    group: str
    figure: str
    bound: str
    value: int

    def holds(self, found: int) -> bool:
        """Say whether a figure is as expected."""
        return found >= self.value if self.bound == "at_least" else found <= self.value


@dataclass(frozen=True, slots=True)
class Group:
    """Members with the same habits.

    Attributes:
        number: How many operators.
        agents: How many agents each of them operates; operators with agents have no habits.
        address: The network address that they sign up from; empty is nobody's, without a bound.
        is_staff: Whether they are of staff.
    """

    name: str
    number: int
    kind: str
    agents: int
    address: str
    is_staff: bool
    habits: tuple[Habit, ...]


@dataclass(frozen=True, slots=True)
class Scenario:
    """A market to be played."""

    name: str
    title: str
    about: str
    seed: int
    days: int
    step_hours: int
    groups: tuple[Group, ...]
    expectations: tuple[Expectation, ...]


def known() -> list[str]:
    """Return the names of the scenarios that come with Hansa."""
    return sorted(path.stem for path in FOLDER.glob("*.toml"))


def find(name: str) -> Scenario:
    """Return the scenario of this name, or the one in this file.

    Raises:
        InvalidScenario: There is none, or it cannot be played.
    """
    path = FOLDER / f"{name}.toml" if name in known() else Path(name)
    if path.suffix != ".toml" or not path.is_file():
        listed = ", ".join(known())
        raise InvalidScenario("", f"{name}: no such scenario or .toml file; there are {listed}")
    try:
        said = tomllib.loads(path.read_text())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InvalidScenario(str(path), str(error)) from error
    try:
        return read(path.stem, said)
    except InvalidScenario as error:
        raise InvalidScenario(f"{path.name}: {error.place}", error.detail) from error


def read(name: str, said: Mapping[str, Any]) -> Scenario:
    """Return the scenario that a TOML document says.

    Raises:
        InvalidScenario: With the place and what would be right.
    """
    facts = _table(
        "",
        said,
        needed={"title": text, "days": number(1, MOST_DAYS), "groups": _is_table},
        optional={
            "about": text,
            "seed": number(0, 2**63 - 1),
            "step_hours": number(1, 24),
            "expect": _is_table,
        },
    )
    if 24 % facts.get("step_hours", 6):
        refuse("step_hours", facts["step_hours"], "a divisor of 24, so that days are whole")
    if not facts["groups"]:
        raise InvalidScenario("groups", "name at least one, such as [groups.posters]")
    names = list(facts["groups"])
    return Scenario(
        name=name,
        title=facts["title"],
        about=facts.get("about", ""),
        seed=facts.get("seed", 1),
        days=facts["days"],
        step_hours=facts.get("step_hours", 6),
        groups=tuple(_group(one, facts["groups"][one], names) for one in names),
        expectations=(
            *_expectations("expect", "", facts.get("expect", {})),
            *(
                expected
                for one in names
                for expected in _expectations(
                    f"groups.{one}.expect", one, facts["groups"][one].get("expect", {})
                )
            ),
        ),
    )


def _group(name: str, said: object, names: list[str]) -> Group:
    place = f"groups.{name}"
    if not PATTERN.fullmatch(name) or len(name) > 24:  # noqa: PLR2004 - handles add numbers to it
        refuse(place, name, "a name of 2 to 24 of a-z, 0-9 and hyphen; members are named after it")
    facts = _table(
        place,
        _is_table(place, said),
        needed={"number": number(1, MOST_MEMBERS), "does": _is_list},
        optional={
            "kind": one_of(("human", "agent")),
            "agents": number(0, 20),
            "address": text,
            "staff": switch,
            "expect": _is_table,
        },
    )
    return Group(
        name=name,
        number=facts["number"],
        kind=facts.get("kind", "agent"),
        agents=facts.get("agents", 0),
        address=facts.get("address", ""),
        is_staff=facts.get("staff", False),
        habits=tuple(
            read_habit(f"{place}.does[{index}]", _is_table(f"{place}.does[{index}]", one), names)
            for index, one in enumerate(facts["does"])
        ),
    )


def _expectations(place: str, group: str, said: Mapping[str, object]) -> list[Expectation]:
    found = []
    for key, given in _is_table(place, said).items():
        figure, bound = next(
            ((key.removesuffix(f"_{one}"), one) for one in BOUNDS if key.endswith(f"_{one}")),
            ("", ""),
        )
        readers: dict[str, Reader] = dict.fromkeys(AMOUNTS, credits_)
        readers |= dict.fromkeys(COUNTS, number(0, 10**9))
        if figure not in readers:
            raise InvalidScenario(
                f"{place}.{key}",
                f"say a figure with _at_least or _at_most: {', '.join(readers)}",
            )
        value = readers[figure](f"{place}.{key}", given)
        assert isinstance(value, int), "both readers return whole numbers"
        found.append(Expectation(group, figure, bound, value))
    return found


def _table(
    place: str,
    said: Mapping[str, object],
    *,
    needed: Mapping[str, Reader],
    optional: Mapping[str, Reader],
) -> dict[str, Any]:
    """Read the members of a table; each is known, and those that are needed are there."""

    def at(key: str) -> str:
        return f"{place}.{key}" if place else key

    readers = {**needed, **optional}
    for key in said:
        if key not in readers:
            raise InvalidScenario(at(key), f"unknown; known here are {', '.join(readers)}")
    for key in needed:
        if key not in said:
            raise InvalidScenario(at(key), "missing")
    return {key: readers[key](at(key), given) for key, given in said.items()}


def _is_table(place: str, given: object) -> dict[str, Any]:
    if not isinstance(given, dict):
        refuse(place, given, "a table")
    return given


def _is_list(place: str, given: object) -> list[Any]:
    if not isinstance(given, list):
        refuse(place, given, "a list")
    return given
