import pytest

from marketplace.foundation.environment import Declared, Environment, InvalidSetting


def test_an_absent_variable_takes_its_default() -> None:
    env = Environment({})

    values = (
        env.text("A", "x", "…"),
        env.words("B", "x, y,,", "…"),
        env.number("C", 5, "…"),
        env.number_or_off("D", 6, "…", most=9),
        env.switch("E", default=True, meaning="…"),
    )

    assert values == ("x", ["x", "y"], 5, 6, True)


def test_a_given_variable_is_read_as_its_kind() -> None:
    env = Environment({"A": "", "B": " a ,b", "C": "7", "D": "off", "E": "off"})

    values = (
        env.text("A", "x", "…"),
        env.words("B", "x", "…"),
        env.number("C", 5, "…", most=7),
        env.number_or_off("D", 6, "…", most=9),
        env.switch("E", default=True, meaning="…"),
    )

    assert values == ("", ["a", "b"], 7, None, False)


@pytest.mark.parametrize("given", ["", "seven", "1.5", "-1", "11"])
def test_a_number_that_is_none_or_out_of_bounds_is_refused(given: str) -> None:
    env = Environment({"C": given})

    with pytest.raises(InvalidSetting, match="C="):
        env.number("C", 5, "…", least=0, most=10)


@pytest.mark.parametrize("given", ["", "yes", "true", "1", "ON", "of"])
def test_a_typo_never_counts_as_off(given: str) -> None:
    env = Environment({"E": given})

    with pytest.raises(InvalidSetting, match="say on or off"):
        env.switch("E", default=True, meaning="…")


def test_every_reading_is_declared() -> None:
    env = Environment({"C": "7"})

    env.number("C", 5, "How many.", least=1, most=10)

    assert env.declared == [Declared("C", "1 to 10", "5", "How many.")]
