"""What races must not do: stop each other in a deadlock."""

from collections.abc import Iterator

import pytest

from tests import deadlocks


@pytest.fixture(autouse=True)
def _only_deadlocks_on_purpose(
    request: pytest.FixtureRequest, own_database: None
) -> Iterator[None]:
    """Fail a test in which PostgreSQL had to end a deadlock that the test did not provoke."""
    marker = request.node.get_closest_marker("provokes_a_deadlock")
    with deadlocks.counted() as found:
        yield
    assert found.number == (1 if marker is not None else 0)
