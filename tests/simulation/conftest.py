"""Simulations begin with a market in which nothing has happened."""

from collections.abc import Iterator

import pytest
from pytest_django import DjangoDbBlocker

from tests.conftest import NewDatabase


@pytest.fixture
def own_database(new_database: NewDatabase, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """Give each test a database of its own, with a clock of its own."""
    with new_database(), django_db_blocker.unblock():
        yield
