"""How an answer is put into one form before it is compared; the poster declares which steps."""

import hmac
import json
import unicodedata
from collections.abc import Callable, Sequence

NORMALISATIONS: dict[str, Callable[[str], str]] = {
    "trim": str.strip,
    "casefold": str.casefold,
    "collapse_whitespace": lambda text: " ".join(text.split()),
    "unicode_nfc": lambda text: unicodedata.normalize("NFC", text),
}


def normalised(value: object, steps: Sequence[str]) -> object:
    """Return *value* with every text in it, keys included, put through *steps*."""
    if isinstance(value, str):
        for step in steps:
            value = NORMALISATIONS[step](value)
        return value
    if isinstance(value, list):
        return [normalised(item, steps) for item in value]
    if isinstance(value, dict):
        return {str(normalised(key, steps)): normalised(item, steps) for key, item in value.items()}
    return value


def equal(expected: object, given: object, steps: Sequence[str]) -> bool:
    """Say whether two JSON values are equal after normalisation; 1 and 1.0 are, 1 and "1" are not.

    Compares in constant time, so that the time says nothing about how near an answer is.
    """
    return hmac.compare_digest(_canonical(expected, steps), _canonical(given, steps))


def _canonical(value: object, steps: Sequence[str]) -> bytes:
    text = json.dumps(_whole(normalised(value, steps)), sort_keys=True, separators=(",", ":"))
    return text.encode()


def _whole(value: object) -> object:
    """Return *value* with whole floats as integers: JSON knows one kind of number."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, list):
        return [_whole(item) for item in value]
    if isinstance(value, dict):
        return {key: _whole(item) for key, item in value.items()}
    return value
