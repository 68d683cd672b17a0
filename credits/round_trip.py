"""The way to the ledger's SQL functions: one statement, one round trip, named errors.

Values are bound by the server and not written into the statement by Python, which is Django's way
and costs a posting a tenth of its time. What comes back is binary: reading times and ids from text
was a quarter of the time of a statement's page. A transaction's BEGIN travels with its first
statement (`credits.pipelined`). Django still sees what it wants to: its errors are those of any
other cursor, and where somebody looks on (the query log, an execute wrapper) a cursor is used.
"""

from collections.abc import Iterable, Sequence
from typing import Any
from uuid import UUID

import psycopg
from django.db import DEFAULT_DB_ALIAS, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from uuid_utils.compat import uuid7

from credits import pipelined
from credits.errors import ledger_errors


def rows(sql: str, arguments: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
    """Return what a statement finds.

    Raises:
        LedgerError: The ledger refused.
    """
    return _execute(_session(), sql, arguments)


def row(sql: str, arguments: Sequence[Any] = ()) -> tuple[Any, ...] | None:
    """Return the first row that a statement finds, if any.

    Raises:
        LedgerError: The ledger refused.
    """
    return next(iter(rows(sql, arguments)), None)


def write(sql: str, arguments: Sequence[Any]) -> Any:  # noqa: ANN401 - what the function returns
    """Return the value of a statement that writes, in the caller's transaction.

    Raises:
        LedgerError: The ledger refused.
    """
    session = _session()
    assert session.in_atomic_block, "a posting belongs to its caller's transaction"
    ((value,),) = _execute(session, sql, arguments)
    return value


def new_id() -> UUID:
    """Return the id of a new posting. Later ones are greater, so indexes grow at their end."""
    return uuid7()


def array(values: Iterable[int | UUID]) -> str:
    """Return numbers or ids as PostgreSQL reads an array; faster than a list that psycopg dumps."""
    return f"{{{','.join(map(str, values))}}}"


def text_array(texts: Sequence[str]) -> str:
    """Return texts as PostgreSQL reads an array; faster than a list that psycopg dumps.

    None of them holds a NUL: the ledger refuses it (`ledger.check_text`), for PostgreSQL has none.
    """
    if not texts:
        return "{}"
    # Escaped all at once: a call for each text is what psycopg's way costs.
    escaped = "\0".join(texts).replace("\\", r"\\").replace('"', r"\"")
    return '{"' + escaped.replace("\0", '","') + '"}'


def bytes_array(values: Sequence[bytes]) -> str:
    """Return bytes as PostgreSQL reads an array; faster than a list that psycopg dumps."""
    return text_array([rf"\x{value.hex()}" for value in values])


def _session() -> BaseDatabaseWrapper:
    # Looked up once for a call: Django's proxy does so for every attribute.
    return connections[DEFAULT_DB_ALIAS]


def _execute(
    session: BaseDatabaseWrapper, sql: str, arguments: Sequence[Any]
) -> list[tuple[Any, ...]]:
    """Run a statement on Django's connection and return its rows."""
    session.ensure_connection()
    raw: psycopg.Connection[Any] = session.connection
    with ledger_errors():
        if session.queries_logged or session.execute_wrappers or not pipelined.can_execute(raw):
            return _by_cursor(session, raw, sql, arguments)
        # What Django's cursor does besides where nobody looks on.
        session.validate_no_broken_transaction()
        with session.wrap_database_errors:
            return pipelined.execute(raw, sql, arguments)


def _by_cursor(
    session: BaseDatabaseWrapper, raw: psycopg.Connection[Any], sql: str, arguments: Sequence[Any]
) -> list[tuple[Any, ...]]:
    cursor: psycopg.Cursor[Any] = psycopg.Cursor(raw)
    cursor.format = psycopg.pq.Format.BINARY
    watch = session.make_debug_cursor if session.queries_logged else session.make_cursor
    watch(cursor).execute(sql, arguments)  # type: ignore[arg-type] # one of psycopg's
    return cursor.fetchall()
