"""Databases for simulations: copies of the run's empty template, each with a clock of its own."""

import itertools
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import psycopg
import pytest
from django.db import DEFAULT_DB_ALIAS, connections
from psycopg import sql
from pytest_django import DjangoDbBlocker

from marketplace.ops.roles import OWNER, give_rights
from tests.conftest import TEMPLATE, WORKER

NewDatabase = Callable[[], AbstractContextManager[None]]

_count = itertools.count(1)


@pytest.fixture
def new_database(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> NewDatabase:
    """Return what lets a block act on an empty database that nobody else has."""

    @contextmanager
    def use_one() -> Iterator[None]:
        name = f"{TEMPLATE}_{WORKER}_simulation_{next(_count)}"
        named = sql.Identifier(name)
        with psycopg.connect(os.environ["HANSA_TEST_SERVER"], autocommit=True) as server:
            server.execute(
                sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(named, sql.Identifier(TEMPLATE))
            )
            try:
                with django_db_blocker.unblock(), _connected_to(name):
                    give_rights()
                    yield
            finally:
                server.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(named))

    return use_one


@pytest.fixture
def own_database(new_database: NewDatabase) -> Iterator[None]:
    """Let the test act on an empty database that nobody else has."""
    with new_database():
        yield


@contextmanager
def _connected_to(name: str) -> Iterator[None]:
    before = {}
    for alias in (OWNER, DEFAULT_DB_ALIAS):
        connections[alias].close()
        before[alias] = connections[alias].settings_dict["NAME"]
        connections[alias].settings_dict["NAME"] = name
    try:
        yield
    finally:
        for alias, named in before.items():
            connections[alias].close()
            connections[alias].settings_dict["NAME"] = named
