"""What random lives must not do: stop each other in a deadlock."""

from collections.abc import Iterator

import pytest

from tests import deadlocks


@pytest.fixture(autouse=True)
def _no_deadlocks(own_database: None) -> Iterator[None]:
    """Fail a test in which PostgreSQL had to end a deadlock."""
    with deadlocks.counted() as found:
        yield
    assert found.number == 0
