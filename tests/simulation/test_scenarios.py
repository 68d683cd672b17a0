"""Every scenario that comes with Hansa, played: the books are right and the figures as expected.

HANSA_TEST_SEEDS=5 plays each with its own seed and four others.
"""

import os

import pytest
from django.test import override_settings

from marketplace.simulation.market import play
from marketplace.simulation.report import as_text
from marketplace.simulation.scenario import find, known

SEEDS = range(int(os.environ.get("HANSA_TEST_SEEDS", "1")))


@override_settings(GRANTS_PER_ADDRESS_PER_DAY=10)  # the default; other tests set no bound
@pytest.mark.parametrize("further", SEEDS)
@pytest.mark.parametrize("name", known())
def test_a_scenario_ends_as_its_file_expects(own_database: None, name: str, further: int) -> None:
    scenario = find(name)

    played = play(scenario, seed=scenario.seed + 100 * further)

    assert played.is_right, as_text(played)
    assert len(played.checked) == len(scenario.expectations) > 0
    if os.environ.get("HANSA_TEST_SHOW"):
        print(as_text(played))  # noqa: T201 - asked for
