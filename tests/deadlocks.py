"""Deadlocks that PostgreSQL counted while some tests ran: there are to be none."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import psycopg
from django.db import connections

GONE_SECONDS = 5


@dataclass
class Deadlocks:
    """How many deadlocks there were, known when the block has ended."""

    number: int | None = None


@contextmanager
def counted() -> Iterator[Deadlocks]:
    """Count the deadlocks of this process's database inside the block.

    Sessions report what they saw at the latest when they end, so both ends of the block wait until
    nobody else is connected; what an earlier test provoked is not counted.
    """
    connections.close_all()
    name = str(connections["default"].settings_dict["NAME"])
    with psycopg.connect(os.environ["HANSA_TEST_SERVER"], autocommit=True) as session:
        before = _read(session, name)
        deadlocks = Deadlocks()
        yield deadlocks
        connections.close_all()
        deadlocks.number = _read(session, name) - before


def _read(session: "psycopg.Connection[tuple[int]]", name: str) -> int:
    give_up_at = time.monotonic() + GONE_SECONDS
    connected = "SELECT count(*) FROM pg_stat_activity WHERE datname = %s"
    while _number(session, connected, name) and time.monotonic() < give_up_at:
        time.sleep(0.02)
    session.execute("SELECT pg_stat_clear_snapshot()")
    return _number(session, "SELECT deadlocks FROM pg_stat_database WHERE datname = %s", name)


def _number(session: "psycopg.Connection[tuple[int]]", query: str, name: str) -> int:
    row = session.execute(query, [name]).fetchone()
    assert row is not None, "the database exists"
    return int(row[0])
