"""What the ledger's bench starts from: wallets with credits, and a table of any length."""

import os
import subprocess
import sys

import psycopg

from bench.engine import Engine
from bench.ledger_works import ACCOUNTS, OVERDRAFT, SHARE
from credits.round_trip import new_id

ROWS_AT_A_TIME = 10_000
NO_DIGEST = "00" * 32


def make_books(engine: Engine, database: str) -> None:
    """Migrate a database of this name and open the wallets in it, each with plenty of credits."""
    engine.postgres.ensure_database(database)
    subprocess.run(
        [sys.executable, "manage.py", "migrate", "--verbosity=0"],
        env={**os.environ, **environment(engine, database)},
        check=True,
    )
    with psycopg.connect(engine.url(database)) as connection:
        connection.execute(
            "SELECT credits_open_account('wallet', gen_random_uuid(), '', -%s)"
            " FROM generate_series(1, %s)",
            [OVERDRAFT, ACCOUNTS],
        )
        connection.commit()
        connection.autocommit = True
        connection.execute("VACUUM ANALYZE")


def environment(engine: Engine, database: str) -> dict[str, str]:
    """Return what tells the product's settings to use a database of the engine."""
    return {
        "DJANGO_SETTINGS_MODULE": "marketplace.settings",
        "DATABASE_URL": engine.postgres.application_url(database),
        "HANSA_DATABASE_OWNER_URL": engine.url(database),
        "HANSA_DATA": str(engine.folder),
        "HANSA_SECRET_KEY": "of-a-bench",
    }


def first_wallet(engine: Engine, database: str) -> int:
    """Return the lowest id of the wallets, which follow one another."""
    with psycopg.connect(engine.url(database)) as connection:
        row = connection.execute(
            "SELECT min(id), count(*), max(id) FROM credits_account WHERE kind = 'wallet'"
        ).fetchone()
    assert row is not None
    assert row[1] == ACCOUNTS
    assert row[2] == row[0] + ACCOUNTS - 1
    return int(row[0])


def fund_escrows(
    engine: Engine, database: str, prefix: str, *, clients: int, each: int, amount: int
) -> None:
    """Fund the escrows `PREFIX:CLIENT:NUMBER`, numbers from 1, out of all wallets in turn."""
    first = first_wallet(engine, database)
    with psycopg.connect(engine.url(database)) as connection:
        connection.execute(
            "SELECT credits_fund(uuidv7(), 'fund:' || work, 'fund', sha256(''), '', '',"
            " work, NULL, %s + (number * %s + client) %% %s, %s)"
            " FROM generate_series(0, %s - 1) AS client, generate_series(1, %s) AS number,"
            " LATERAL (SELECT %s || ':' || client || ':' || number AS work) AS named",
            [first, clients, ACCOUNTS, amount, clients, each, prefix],
        )


def fill(engine: Engine, database: str, entries: int) -> None:
    """Bring the table of entries to *entries* rows by COPY, as so many transfers would have.

    In each round every wallet pays its neighbour and is paid by the other one, so that balances and
    numbers are known beforehand. Triggers do not run meanwhile; `manage.py audit` finds nothing.
    """
    first = first_wallet(engine, database)
    with psycopg.connect(engine.url(database)) as connection:
        connection.execute("SET LOCAL session_replication_role = replica")
        held = connection.execute("SELECT count(*) FROM credits_entry").fetchone()
        assert held is not None
        missing = (entries - held[0]) // 2
        numbers = [0] * ACCOUNTS
        while missing > 0:
            ring = min(ACCOUNTS, missing)
            _copy_round(connection, first, numbers[:ring])
            numbers[:ring] = [number + 2 for number in numbers[:ring]]
            missing -= ring
        connection.execute(
            "UPDATE credits_account SET seq = filled.seq, posted_at = newest.created_at"
            " FROM unnest(%s::bigint[], %s::bigint[]) AS filled (id, seq)"
            " JOIN credits_entry AS newest"
            " ON newest.account_id = filled.id AND newest.seq = filled.seq"
            " WHERE credits_account.id = filled.id",
            [list(range(first, first + ACCOUNTS)), numbers],
        )
    with psycopg.connect(engine.url(database), autocommit=True) as connection:
        connection.execute("VACUUM ANALYZE")


def _copy_round(connection: psycopg.Connection, first: int, numbers: list[int]) -> None:
    """Let wallet *first* + i, which has numbers[i] entries, pay the next one of the ring."""
    ring = len(numbers)
    made = [new_id() for _ in range(ring)]
    with connection.cursor().copy(
        "COPY credits_posting (id, kind, reference, digest, epoch) FROM STDIN"
    ) as copy:
        for begin in range(0, ring, ROWS_AT_A_TIME):
            copy.write(
                "".join(
                    f"{one}\ttransfer\ttransfer:{one}\t\\\\x{NO_DIGEST}\t1\n"
                    for one in made[begin : begin + ROWS_AT_A_TIME]
                )
            )
    with connection.cursor().copy(
        "COPY credits_entry (posting_id, account_id, amount, seq, balance_after, epoch) FROM STDIN"
    ) as copy:
        for begin in range(0, ring, ROWS_AT_A_TIME):
            copy.write(
                "".join(
                    f"{made[place - 1]}\t{first + place}\t{SHARE}\t{seq + 1}\t{SHARE}\t1\n"
                    f"{made[place]}\t{first + place}\t-{SHARE}\t{seq + 2}\t0\t1\n"
                    for place, seq in enumerate(numbers[begin : begin + ROWS_AT_A_TIME], begin)
                )
            )
