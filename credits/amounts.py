"""Amounts between the outside and the ledger: decimal strings there, whole micro-credits here."""

import re

MICRO = 1_000_000
"""Micro-credits in a credit."""

PLACES = 6
"""Decimal places of a credit that a micro-credit can tell apart."""

MAX_AMOUNT = 10**12 * MICRO
"""The most that a posting moves and that an account holds, in micro-credits: 10**12 credits.

A bigint ends at 9.2 times that, so the sum of a balance and an amount, or of the legs of a posting
in any order, cannot overflow in the database.
"""

# ASCII digits only: int() would also read the digits of other scripts.
_DECIMAL = re.compile(r"([0-9]+)(?:\.([0-9]+))?")
# Longer texts are refused unread; int() of a megabyte takes its time.
_MAX_TEXT = 40


class MalformedAmount(ValueError):
    """An amount from outside cannot be read.

    Attributes:
        code: `not_a_decimal`, `too_many_places`, `negative`, `too_large` or `fractional_number`.
        detail: One sentence for whoever sent it.
    """

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail


class FractionalNumber(MalformedAmount):
    """A JSON number with a point or an exponent: it may have lost digits before it came here."""

    def __init__(self) -> None:
        super().__init__(
            "fractional_number", 'Send a fractional amount as a string, such as "0.1".'
        )


def parse(given: object) -> int:
    """Return the micro-credits that *given* means: `"0.1"` is 100,000, and 25 is 25,000,000.

    Args:
        given: A decimal string with at most 6 places, without sign or exponent; or a whole number
            of credits.

    Raises:
        FractionalNumber: A float, also a whole one.
        MalformedAmount: Anything else that is not an amount from 0 to `MAX_AMOUNT`.
    """
    if isinstance(given, float):
        raise FractionalNumber
    if isinstance(given, int) and not isinstance(given, bool):
        return _bounded(given, 0)
    match = (
        _DECIMAL.fullmatch(given) if isinstance(given, str) and len(given) <= _MAX_TEXT else None
    )
    if match is None:
        raise MalformedAmount(
            "not_a_decimal", 'An amount is a decimal string, such as "25" or "0.1".'
        )
    whole, fraction = match[1], match[2] or ""
    if len(fraction) > PLACES:
        raise MalformedAmount("too_many_places", f"An amount has at most {PLACES} decimal places.")
    return _bounded(int(whole), int(fraction.ljust(PLACES, "0")))


def _bounded(whole: int, micro: int) -> int:
    if whole < 0:
        raise MalformedAmount("negative", "An amount is not negative.")
    # Compared before it is multiplied: a JSON integer may have any number of digits.
    if whole > MAX_AMOUNT // MICRO or whole * MICRO + micro > MAX_AMOUNT:
        raise MalformedAmount("too_large", f"An amount is at most {MAX_AMOUNT // MICRO} credits.")
    return whole * MICRO + micro


def format(micro: int) -> str:  # noqa: A001 - the inverse of parse, called as amounts.format
    """Return *micro* in credits as the shortest decimal string: `"25"`, `"0.1"`, `"-0.1"`.

    `parse(format(micro)) == micro` for every amount from 0 to `MAX_AMOUNT`.
    """
    whole, fraction = divmod(abs(micro), MICRO)
    places = f".{fraction:0{PLACES}d}".rstrip("0").rstrip(".")
    return f"{'-' if micro < 0 else ''}{whole}{places}"
