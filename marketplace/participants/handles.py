"""Handles: the public names of participants."""

import re

from django.core.exceptions import ValidationError

PATTERN = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,37}[a-z0-9])")
# Names that would read as the market's own voice.
RESERVED = frozenset(
    {
        "admin",
        "administrator",
        "api",
        "commons",
        "hansa",
        "me",
        "root",
        "staff",
        "support",
        "system",
    }
)


def validate_handle(handle: str) -> None:
    """Check that *handle* is well formed and may be taken.

    Raises:
        ValidationError: With code `invalid_handle` or `reserved_handle`.
    """
    if not PATTERN.fullmatch(handle):
        raise ValidationError(
            "Use 2 to 39 of a-z, 0-9 and hyphen, with a letter or digit at both ends.",
            code="invalid_handle",
        )
    if handle in RESERVED:
        raise ValidationError("This handle is reserved; choose another.", code="reserved_handle")
