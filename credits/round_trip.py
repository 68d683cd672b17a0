"""The way to the ledger's SQL functions: one statement, one round trip, named errors.

Values are bound by the server and not written into the statement by Python, which is Django's way
and costs a posting a tenth of its time. What comes back is binary: reading times and ids from text
was a quarter of the time of a statement's page. Django still sees every statement: its errors, its
query log and its execute wrappers are those of any other cursor.
"""

from collections.abc import Iterable, Sequence
from typing import Any
from uuid import UUID

import psycopg
from django.db import connection
from uuid_utils.compat import uuid7

from credits.errors import ledger_errors


def rows(sql: str, arguments: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
    """Return what a statement finds.

    Raises:
        LedgerError: The ledger refused.
    """
    return _execute(sql, arguments).fetchall()


def row(sql: str, arguments: Sequence[Any] = ()) -> tuple[Any, ...] | None:
    """Return the first row that a statement finds, if any.

    Raises:
        LedgerError: The ledger refused.
    """
    return _execute(sql, arguments).fetchone()


def write(sql: str, arguments: Sequence[Any]) -> Any:  # noqa: ANN401 - what the function returns
    """Return the value of a statement that writes, in the caller's transaction.

    Raises:
        LedgerError: The ledger refused.
    """
    assert connection.in_atomic_block, "a posting belongs to its caller's transaction"
    found = row(sql, arguments)
    assert found is not None
    return found[0]


def new_id() -> UUID:
    """Return the id of a new posting. Later ones are greater, so indexes grow at their end."""
    return uuid7()


def array(numbers: Iterable[int]) -> str:
    """Return numbers as PostgreSQL reads an array; much faster than a list that psycopg dumps."""
    return f"{{{','.join(map(str, numbers))}}}"


def _execute(sql: str, arguments: Sequence[Any]) -> psycopg.Cursor[Any]:
    """Run a statement on Django's connection and return the cursor that has its rows."""
    connection.ensure_connection()
    cursor: psycopg.Cursor[Any] = psycopg.Cursor(connection.connection)
    cursor.format = psycopg.pq.Format.BINARY
    with ledger_errors():
        if connection.queries_logged:
            connection.make_debug_cursor(cursor).execute(sql, arguments)  # type: ignore[arg-type] # one of psycopg's
        elif connection.execute_wrappers:
            connection.make_cursor(cursor).execute(sql, arguments)  # type: ignore[arg-type] # as above
        else:
            # What Django's cursor does where nobody looks on, for a tenth of its time.
            connection.validate_no_broken_transaction()
            with connection.wrap_database_errors:
                cursor.execute(sql, arguments)
    return cursor
