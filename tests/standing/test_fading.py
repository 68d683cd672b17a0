"""The arithmetic of fading: exact, in whole numbers, in any order."""

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pytest_django import Settings

from marketplace.standing import fading

DAYS = st.dates(fading.LANDMARK, date(2080, 1, 1))


@given(DAYS)
def test_after_a_half_life_a_micro_credit_weighs_exactly_twice_as_much(day: date) -> None:
    assert fading.weight(day + timedelta(days=90)) == 2 * fading.weight(day)


@given(DAYS, st.integers(1, 89))
def test_between_two_half_lives_weights_are_the_powers_they_should_be(day: date, days: int) -> None:
    ratio = fading.weight(day + timedelta(days=days)) / fading.weight(day)

    assert ratio == pytest.approx(2 ** (days / 90), rel=1e-9)


def test_the_half_life_is_a_setting(settings: Settings) -> None:
    settings.STANDING_HALF_LIFE_DAYS = 7
    day = date(2026, 3, 1)

    assert fading.weight(day + timedelta(days=7)) == 2 * fading.weight(day)


def test_nothing_is_older_than_the_landmark() -> None:
    with pytest.raises(AssertionError):
        fading.weight(fading.LANDMARK - timedelta(days=1))
