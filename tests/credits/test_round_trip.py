"""The way to the ledger's functions: round trips, values, errors, and connections that end."""

import os
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from uuid import UUID

import psycopg
import pytest
from django.db import (
    Error,
    OperationalError,
    ProgrammingError,
    connection,
    transaction,
)
from django.db.transaction import TransactionManagementError
from django.test.utils import CaptureQueriesContext
from hypothesis import example, given
from hypothesis import strategies as st

from credits import ledger
from credits.errors import InsufficientCredits
from credits.round_trip import array, bytes_array, row, rows, text_array
from tests.credits.cast import a_wallet, pay, unique
from tests.owner import as_owner

pytestmark = pytest.mark.usefixtures("db")

ENDLESS = "SELECT pg_sleep(%s) IS NULL"


def on_a_new_connection() -> psycopg.Connection:
    connection.close()
    connection.ensure_connection()
    raw = connection.connection
    assert isinstance(raw, psycopg.Connection)
    return raw


# --- Round trips ----------------------------------------------------------------------------------


@contextmanager
def round_trips_of(raw: psycopg.Connection, file: Path) -> Iterator[list[str]]:
    """Collect the messages after which the server answers and the client waits."""
    sent: list[str] = []
    with file.open("w") as trace:
        raw.pgconn.trace(trace.fileno())
        try:
            yield sent
        finally:
            raw.pgconn.untrace()
    messages = (line.split("\t") for line in file.read_text().splitlines())
    sent += [kind for _, sender, _, kind, *_ in messages if sender == "F" and kind in WAITED_FOR]


WAITED_FOR = ("Query", "Sync")


def test_a_transaction_begins_with_its_first_posting_and_what_it_is_prepared_as(
    tmp_path: Path,
) -> None:
    ada, bo = a_wallet(100), a_wallet()

    with round_trips_of(on_a_new_connection(), tmp_path / "trace") as sent, transaction.atomic():
        for amount in (1, 2):
            legs = [ledger.Leg(ada, -amount), ledger.Leg(bo, amount)]
            ledger.post(reference=unique("p"), kind="transfer", legs=legs)

    assert sent == ["Sync", "Sync", "Query"], "two postings and the commit"
    assert ledger.balance(bo) == 3


def test_what_reads_outside_a_transaction_begins_none() -> None:
    assert ledger.balance(a_wallet(5)) == 5

    assert connection.connection.pgconn.transaction_status == psycopg.pq.TransactionStatus.IDLE


@pytest.mark.parametrize(("threshold", "known"), [(2, 1), (None, 0)])
def test_statements_are_prepared_once_where_the_connection_prepares(
    threshold: int | None, known: int
) -> None:
    raw = on_a_new_connection()
    raw.prepare_threshold = threshold

    for number in range(3):
        assert row("SELECT %s::bigint + 1", [number]) == (number + 1,)

    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_prepared_statements")
        assert cursor.fetchone() == (known,)


def test_a_transaction_is_isolated_as_the_connection_says() -> None:
    raw = on_a_new_connection()
    raw.isolation_level = psycopg.IsolationLevel.SERIALIZABLE

    with transaction.atomic():
        isolation = row("SELECT current_setting('transaction_isolation')")

    connection.close()
    assert isolation == ("serializable",)


# --- Values ---------------------------------------------------------------------------------------

VALUES = (
    "Grüße \U0001f600",
    "",
    None,
    7,
    -(2**62),
    UUID("01890000-0000-7000-8000-00000000cafe"),
    b"\x00\xff",
    datetime(2026, 11, 23, 12, 30, 0, 123456, tzinfo=UTC),
    ["a", "b,{}"],
    "{1,-2}",
)
CASTS = ["text"] * 3 + ["integer", "bigint", "uuid", "bytea", "timestamptz", "text[]", "bigint[]"]
SELECTED = "SELECT " + ", ".join(f"%s::{cast}" for cast in CASTS)


def test_values_come_back_as_they_went_whether_or_not_somebody_looks_on() -> None:
    unseen = row(SELECTED, VALUES)
    with CaptureQueriesContext(connection) as captured:
        seen = row(SELECTED, VALUES)

    assert unseen == seen == (*VALUES[:-1], [1, -2])
    assert len(captured) == 1


def test_values_and_rows_may_be_larger_than_any_buffer() -> None:
    text = "ä" * 4_000_000

    assert row("SELECT %s::text, %s::text", [text, text]) == (text, text)
    assert len(rows("SELECT repeat('x', 100) FROM generate_series(1, %s)", [50_000])) == 50_000


def test_a_text_that_cannot_be_stored_never_leaves() -> None:
    with pytest.raises(Error, match="NUL"):
        row("SELECT %s::text", ["a\0b"])

    assert row("SELECT %s::text", ["ab"]) == ("ab",)


@given(
    texts=st.lists(st.text(st.characters(exclude_characters="\0", codec="utf-8"))),
    values=st.lists(st.binary()),
    ids=st.lists(st.uuids()),
)
@example(
    texts=["", "NULL", "null", '"', "\\", '\\"', ",", "{}", " a ", '","'], values=[b""], ids=[]
)
def test_arrays_come_back_as_they_went(
    texts: list[str], values: list[bytes], ids: list[UUID]
) -> None:
    sent = [text_array(texts), bytes_array(values), array(ids)]

    assert row("SELECT %s::text[], %s::bytea[], %s::uuid[]", sent) == (texts, values, ids)


# --- Errors ---------------------------------------------------------------------------------------


def test_a_statement_that_failed_when_it_was_new_can_be_asked_again() -> None:
    ada, bo = a_wallet(5), a_wallet()
    on_a_new_connection()

    for _ in range(2):
        with pytest.raises(InsufficientCredits):
            pay(ada, bo, 6)
        with pytest.raises(ProgrammingError, match="does not exist"):
            row("SELECT credits_nothing(%s)", ["x"])
    pay(ada, bo, 5)

    assert ledger.balance(bo) == 5


def test_a_refusal_leaves_the_transaction_before_its_savepoint() -> None:
    ada, bo = a_wallet(5), a_wallet()

    with transaction.atomic():
        pay(ada, bo, 1)
        with pytest.raises(InsufficientCredits):
            pay(ada, bo, 5)
        pay(ada, bo, 2)

    assert ledger.balance(bo) == 3


def test_after_a_refusal_without_a_savepoint_nothing_more_is_asked() -> None:
    ada = a_wallet()
    legs = [ledger.Leg(ada, -1), ledger.Leg(a_wallet(), 1)]

    def refused_and_asked_again() -> None:
        with transaction.atomic():
            try:
                with transaction.atomic(savepoint=False):
                    ledger.post(reference=unique("p"), kind="transfer", legs=legs)
            except InsufficientCredits:
                ledger.balance(ada)

    with pytest.raises(TransactionManagementError):
        refused_and_asked_again()


# --- Connections that end early -------------------------------------------------------------------


def test_a_session_that_the_server_ended_is_said_and_the_next_one_works() -> None:
    wallet = a_wallet(5)
    process = on_a_new_connection().info.backend_pid
    with as_owner(), connection.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s, 5000)", [process])

    with pytest.raises(OperationalError, match=r"terminat|closed"):
        ledger.balance(wallet)

    connection.close_if_unusable_or_obsolete()
    assert ledger.balance(wallet) == 5


class Interrupted(BaseException):
    """As a worker's limit of time interrupts it, anywhere."""


@contextmanager
def interrupted_soon(error: type[BaseException]) -> Iterator[None]:
    def interrupt(number: int, frame: FrameType | None) -> None:
        raise error

    before = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, 0.2)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def test_a_server_that_nobody_understands_is_left() -> None:
    raw = on_a_new_connection()
    ours, theirs = socket.socketpair()
    with ours, theirs:
        os.dup2(ours.fileno(), raw.fileno())
        theirs.sendall(b"T\xff\xff\xff\xff")  # a message of fewer bytes than none

        with interrupted_soon(Interrupted), pytest.raises(OperationalError, match="lost"):
            rows("SELECT 1")

    assert raw.closed


@pytest.mark.parametrize("error", [Interrupted, KeyboardInterrupt])
def test_whoever_is_interrupted_has_done_nothing_and_goes_on(error: type[BaseException]) -> None:
    ada, bo = a_wallet(5), a_wallet()

    def interrupted() -> None:
        with transaction.atomic():
            pay(ada, bo, 1)
            with interrupted_soon(error):
                row(ENDLESS, [30])

    with pytest.raises(error):
        interrupted()

    connection.close_if_unusable_or_obsolete()
    assert (ledger.balance(ada), ledger.balance(bo)) == (5, 0)
    pay(ada, bo, 5)
    assert ledger.balance(bo) == 5
