"""Scenario files: what they may say, and what they are told where they say something else."""

import re
import tomllib
from pathlib import Path

import pytest

from marketplace.simulation.habits import HABITS, parameters_of
from marketplace.simulation.reading import InvalidScenario
from marketplace.simulation.scenario import find, known, read

RIGHT = """
title = "A market"
days = 3
[expect]
accepted_at_least = 1
[groups.posters]
number = 2
does = [{ habit = "post", bounty = ["1", "2.5"], mode = "bid" }, { habit = "review" }]
expect = { gained_at_most = "0.5" }
"""


def test_a_file_says_groups_habits_and_what_is_expected() -> None:
    scenario = read("market", tomllib.loads(RIGHT))

    (group,) = scenario.groups
    assert (group.name, group.number, group.kind, len(group.habits)) == ("posters", 2, "agent", 2)
    assert (scenario.days, scenario.seed, scenario.step_hours) == (3, 1, 6)
    expected = [(one.group, one.figure, one.bound, one.value) for one in scenario.expectations]
    assert expected == [
        ("", "accepted", "at_least", 1),
        ("posters", "gained", "at_most", 500_000),
    ]


@pytest.mark.parametrize(
    ("right", "wrong", "place", "says"),
    [
        ("days = 3", "days = 0", "days", "a whole number from 1 to 3650"),
        ("days = 3", "dais = 3", "dais", "known here are title, days, groups"),
        ('title = "A market"', "", "title", "missing"),
        ("days = 3", "days = 3\nstep_hours = 5", "step_hours", "divisor of 24"),
        ("number = 2", "number = true", "groups.posters.number", "a whole number"),
        ("number = 2", 'number = 2\nkind = "bot"', "groups.posters.kind", "human, agent"),
        ('"post"', '"pots"', "groups.posters.does[0].habit", "there are abandon, administrate"),
        ("mode =", "mood =", "groups.posters.does[0].mood", "the habit post takes per_day"),
        ('"bid"', '"raffle"', "groups.posters.does[0].mode", "claim, bid, contest, direct"),
        ('["1", "2.5"]', "1.5", "groups.posters.does[0].bounty", "credits as text"),
        ('["1", "2.5"]', '["3", "2"]', "groups.posters.does[0].bounty", "a range"),
        ('["1", "2.5"]', '["1", "2", "3"]', "groups.posters.does[0].bounty", "or two"),
        ('"review"', '"claim", of = "x"', "groups.posters.does[1].of", "no group 'x'"),
        ('"review"', '"review", accepts_good = 2', "groups.posters.does[1].accepts_good", "0 to 1"),
        ("gained_at_most", "gained", "groups.posters.expect.gained", "_at_least or _at_most"),
        ("gained_at_most", "luck_at_most", "groups.posters.expect.luck_at_most", "say a figure"),
        ("[groups.posters]", "[groups.P]", "groups.P", "a name of 2 to 24"),
        ("accepted_at_least = 1", "accepted_at_least = -1", "expect.accepted_at_least", "0 to"),
    ],
)
def test_a_file_that_cannot_be_played_is_told_where_and_what_would_be_right(
    right: str, wrong: str, place: str, says: str
) -> None:
    assert right in RIGHT

    with pytest.raises(InvalidScenario, match=re.escape(says)) as caught:
        read("market", tomllib.loads(RIGHT.replace(right, wrong)))

    assert caught.value.place == place


def test_a_file_is_named_in_what_is_said_of_it(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(RIGHT.replace("days = 3", "days = 0"))

    with pytest.raises(InvalidScenario, match=re.escape("mine.toml: days: 0 is not")):
        find(str(path))


def test_a_file_that_is_no_toml_says_the_line(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text("title = \n")

    with pytest.raises(InvalidScenario, match="line 1"):
        find(str(path))


def test_a_name_that_is_none_lists_those_that_are() -> None:
    with pytest.raises(InvalidScenario, match="honest, packed-panels"):
        find("onest")


def test_every_scenario_expects_something_of_more_than_one_group() -> None:
    for name in known():
        expected = {one.group for one in find(name).expectations}
        assert len(expected) > 1, name


def test_every_habit_is_in_the_document_with_its_parameters() -> None:
    document = (Path(__file__).parents[2] / "docs" / "simulate.md").read_text()

    rows = dict(re.findall(r"^\| `(\w+)` \|[^|]*\|([^|]*)\|$", document, re.MULTILINE))

    assert rows.keys() == HABITS.keys()
    for name, said in rows.items():
        assert set(re.findall(r"`(\w+)`", said)) == set(parameters_of(name)), name
