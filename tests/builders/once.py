"""What is made once for all tests of a module, in the database that is theirs."""

from collections.abc import Callable
from functools import wraps
from typing import TypeVar

from django.db import connection

T = TypeVar("T")


def once(make: Callable[[], T]) -> Callable[[], T]:
    """Let *make* be called once in each database; who asks later gets what it made."""
    made: dict[str, T] = {}

    @wraps(make)
    def made_before() -> T:
        name = connection.settings_dict["NAME"]
        if name not in made:
            made[name] = make()
        return made[name]

    return made_before
