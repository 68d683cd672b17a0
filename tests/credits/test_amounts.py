import pytest
from hypothesis import given
from hypothesis import strategies as st

from credits import amounts
from credits.amounts import MAX_AMOUNT, MICRO, FractionalNumber, MalformedAmount


@pytest.mark.parametrize(
    ("text", "micro"),
    [
        ("0", 0),
        ("25", 25_000_000),
        ("0.1", 100_000),
        ("0.000001", 1),
        ("1.500000", 1_500_000),
        ("007", 7_000_000),
        ("1000000000000", MAX_AMOUNT),
        (3, 3_000_000),
        (0, 0),
    ],
)
def test_an_amount_is_read_exactly(text: object, micro: int) -> None:
    assert amounts.parse(text) == micro


@pytest.mark.parametrize(
    ("given_value", "code"),
    [
        ("", "not_a_decimal"),
        (" 1", "not_a_decimal"),
        ("1\n", "not_a_decimal"),
        ("1.", "not_a_decimal"),
        (".5", "not_a_decimal"),
        ("-1", "not_a_decimal"),
        ("+1", "not_a_decimal"),
        ("1e3", "not_a_decimal"),
        ("1_000", "not_a_decimal"),
        ("1,5", "not_a_decimal"),
        ("NaN", "not_a_decimal"),
        ("Infinity", "not_a_decimal"),
        ("\u0661", "not_a_decimal"),
        pytest.param("1\0", "not_a_decimal", id="nul"),
        pytest.param("9" * 1_000_000, "not_a_decimal", id="a megabyte"),
        (True, "not_a_decimal"),
        (None, "not_a_decimal"),
        (["1"], "not_a_decimal"),
        ("0.0000001", "too_many_places"),
        (-1, "negative"),
        pytest.param(10**5_000, "too_large", id="a huge number"),
        ("1000000000000.000001", "too_large"),
    ],
)
def test_what_is_no_amount_is_refused_with_its_reason(given_value: object, code: str) -> None:
    with pytest.raises(MalformedAmount) as refusal:
        amounts.parse(given_value)

    assert refusal.value.code == code


@pytest.mark.parametrize("number", [0.1, 25.0, float("nan"), float("inf")])
def test_a_float_is_refused_with_a_hint_to_send_a_string(number: float) -> None:
    with pytest.raises(FractionalNumber, match="as a string"):
        amounts.parse(number)


@pytest.mark.parametrize(
    ("micro", "text"),
    [(25_000_000, "25"), (100_000, "0.1"), (-100_000, "-0.1"), (0, "0"), (1, "0.000001")],
)
def test_an_amount_is_written_in_its_shortest_form(micro: int, text: str) -> None:
    assert amounts.format(micro) == text


@given(st.integers(0, MAX_AMOUNT))
def test_writing_and_reading_an_amount_loses_nothing(micro: int) -> None:
    text = amounts.format(micro)

    assert amounts.parse(text) == micro
    assert amounts.format(-micro) == (f"-{text}" if micro else "0")
    assert "." not in text or not text.endswith("0")


def test_a_credit_is_a_million_micro_credits() -> None:
    assert amounts.parse(1) == MICRO == 1_000_000
