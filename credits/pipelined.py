"""A statement together with what must come before it, in one round trip.

psycopg sends BEGIN alone before the first statement of a transaction, and PREPARE alone before the
first use of a prepared one, and waits for the answer of each. Here all of it goes to the server at
once, in libpq's pipeline mode (https://www.postgresql.org/docs/current/libpq-pipeline-mode.html).
Values are dumped and loaded by psycopg as ever.
"""

from collections.abc import Generator, Sequence
from contextlib import suppress
from functools import cache
from typing import Any
from weakref import WeakKeyDictionary

from psycopg import Connection, Error, OperationalError
from psycopg.adapt import PyFormat, Transformer
from psycopg.errors import error_from_result
from psycopg.pq import ConnStatus, ExecStatus, Format, PipelineStatus, TransactionStatus
from psycopg.pq.abc import PGconn, PGresult
from psycopg.waiting import Ready, Wait

_Statement = tuple[bytes, tuple[int, ...]]
"""What the server parses: a statement, and the types of its values."""

_prepared: WeakKeyDictionary[Connection[Any], dict[_Statement, bytes]] = WeakKeyDictionary()
"""The names under which each connection has prepared what it was asked before."""

CANCEL_SECONDS = 5.0
"""How long an interrupted caller waits for the server to hear of it."""


def can_execute(connection: Connection[Any]) -> bool:
    """Return whether `execute` does on this connection what a cursor of it would do.

    It begins transactions of the server's own kind alone, and leads its own pipeline.
    """
    return (
        connection.isolation_level is None
        and connection.read_only is None
        and connection.deferrable is None
        and connection.pgconn.pipeline_status == PipelineStatus.OFF
    )


def execute(
    connection: Connection[Any], sql: str, arguments: Sequence[Any]
) -> list[tuple[Any, ...]]:
    """Run a statement and return its rows, which travel in binary.

    Where the connection does not commit by itself and no transaction runs, one begins. Whoever is
    interrupted in it finds the connection closed, and with it everything undone.

    Args:
        connection: One for which `can_execute` is true.
        sql: One statement that returns rows; `%s` stands for each value, and for nothing else.
        arguments: The values.

    Raises:
        psycopg.Error: What the server refused, or the connection was lost.
    """
    values = Transformer(connection)
    parameters = values.dump_sequence(arguments, [PyFormat.AUTO] * len(arguments))
    text, types = statement = _numbered(sql), values.types or ()
    server = connection.pgconn
    begins = not connection.autocommit and server.transaction_status == TransactionStatus.IDLE
    known = _prepared.setdefault(connection, {})
    name = known.get(statement)
    prepares = name is None and connection.prepare_threshold is not None
    try:
        server.enter_pipeline_mode()
        if begins:
            server.send_query_params(b"BEGIN", None)
        if prepares:
            name = b"hansa_%d" % len(known)
            server.send_prepare(name, text, types)
        if name is None:
            server.send_query_params(text, parameters, types, values.formats, Format.BINARY)
        else:
            server.send_query_prepared(name, parameters, values.formats, Format.BINARY)
        server.pipeline_sync()
        results = connection.wait(_answers(server))
        server.exit_pipeline_mode()
    except BaseException:
        # Half an answer cannot be taken up again, and what nobody waits for must hold no locks.
        with suppress(Error):
            if server.transaction_status == TransactionStatus.ACTIVE:
                connection.cancel_safe(timeout=CANCEL_SECONDS)
        connection.close()
        raise
    if name and prepares and results[begins].status == ExecStatus.COMMAND_OK:
        known[statement] = name
    for result in results:
        if result.status == ExecStatus.FATAL_ERROR:
            raise error_from_result(result, encoding=connection.info.encoding)
    values.set_pgresult(results[-1], format=Format.BINARY)
    return values.load_rows(0, results[-1].ntuples, tuple)


def _answers(server: PGconn) -> Generator[Wait, Ready | int, list[PGresult]]:
    """Send what is queued and read the answers up to the end of the pipeline."""
    results: list[PGresult] = []
    while True:
        ready = yield Wait.RW if server.flush() else Wait.R
        if not ready & Ready.R:
            continue
        server.consume_input()
        while not server.is_busy():
            result = server.get_result()
            if result is None:
                # Comes once after each answer, and for ever when there is nobody left to answer.
                if server.status == ConnStatus.BAD:
                    raise OperationalError("the connection is lost")
                continue
            if result.status == ExecStatus.PIPELINE_SYNC:
                return results
            results.append(result)


@cache
def _numbered(sql: str) -> bytes:
    """Write a statement as the server wants it: `$1` for the first value, and so on."""
    first, *others = sql.split("%s")
    return (first + "".join(f"${number}{part}" for number, part in enumerate(others, 1))).encode()
