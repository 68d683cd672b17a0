"""`python -m bench.ledger`: the ledger's speed, as multiples of pgbench's in the same run."""

import argparse
import importlib.util
import os
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median

import psycopg

from bench import ledger_data, ledger_works
from bench.crew import Crew, crew
from bench.engine import WARM_UP, Engine, running_engine
from bench.ledger_works import ACCOUNTS, PAYEES, SHARE
from bench.report import Row, table, write_json, write_svg
from credits.ledger import FEES, SELECT_BALANCE

RESULTS = Path(__file__).parent / "results"
BOOKS, GROWN, HORDAK, PGLEDGER = "books", "grown", "hordak", "pgledger"
FEW_ENTRIES = 10_000
PROCESSES = 4
CLIENTS = 8
MOST_SETTLEMENTS_PER_SECOND = 700
"""Of one client of pgbench; so many escrows are prepared for each second."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """A row of the result before it is measured: *work* against *against*, both measured."""

    label: str
    work: str
    clients: int
    unit: str
    against: str
    floor: float | None = None


COMPARISONS = [
    Comparison("posting, Python", "posting", 4, "postings/s", "TPC-B/4", 0.75),
    Comparison("settlement into 12, Python", "settlement", 4, "ends/s", "TPC-B/4", 0.42),
    Comparison("post_many of 100, Python", "post_many", 4, "postings/s", "TPC-B/4", 5),
    Comparison("settlement into 12 with fee", "settle_fee", 8, "ends/s", "TPC-B/8", 0.72),
    Comparison("settlement with fee", "settle_fee", 8, "ends/s", "without fee", 0.9),
    Comparison("balance", "balance_sql", 8, "reads/s", "select-only/8", 0.35),
    Comparison("balance, Python", "balance", 8, "reads/s", "select-only/8"),
    Comparison("settlement into 12, Python", "settlement", 4, "ends/s", "hordak", 5),
    Comparison("settlement into 12", "settle_4", 4, "ends/s", "pgledger", 2.5),
    Comparison("statement's first page, Python", "statement", 1, "pages/s", "SELECT 1", 1 / 3),
    Comparison("posting, many entries", "posting_grown", 4, "postings/s", "posting", 0.8),
    Comparison("settlement, many entries", "settlement_grown", 4, "ends/s", "settlement", 0.8),
    Comparison("post_many, many entries", "post_many_grown", 4, "postings/s", "post_many", 0.8),
    Comparison("first page, many entries", "statement_grown", 1, "pages/s", "SELECT 1", 1 / 3),
]  # fmt: skip

# A round. What is compared stands together, for what else the machine does changes within seconds.
IN_ORDER = (
    "without fee", "settle_fee", "TPC-B/8",
    "balance", "select-only/8", "balance_sql",
    "statement_grown", "SELECT 1", "statement",
    "post_many_grown", "post_many", "posting_grown", "posting", "TPC-B/4",
    "settlement", "settlement_grown", "hordak", "settle_4", "pgledger",
)  # fmt: skip


def main() -> int:
    """Measure, print, write the results; the status is 1 where a ratio is under its floor."""
    options = _options()
    rounds, seconds = (4, 1.0) if options.quick else (7, 2.0)
    with ExitStack() as stack:
        engine = stack.enter_context(running_engine())
        measures = _prepare(stack, engine, options, seconds)
        measured = _measure(engine, measures, rounds)
    rows = _rows(measured)
    name = "ledger" if options.scale is None else f"ledger-{options.scale}"
    if options.quick:
        name += "-quick"  # so rough that it must not stand where the whole bench wrote
    write_json(rows, RESULTS / f"{name}.json")
    write_svg(
        rows, RESULTS / f"{name}.svg", title="The ledger, as multiples of what stands beside it"
    )
    sys.stdout.write(table(rows) + "\n")
    return 0 if all(row.ok for row in rows) else 1


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.ledger", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="four short rounds, under 3 minutes")
    parser.add_argument("--scale", type=int, metavar="ENTRIES", help="also with so many entries")
    parser.add_argument(
        "--pgledger", nargs="+", type=Path, metavar="SQL", help="also pgledger: its files, in order"
    )
    return parser.parse_args()


Measure = Callable[[int], float]
"""Measures one round, given its number; returns how often per second."""


def _prepare(
    stack: ExitStack, engine: Engine, options: argparse.Namespace, seconds: float
) -> dict[str, Measure]:
    """Make what is measured; return the measurements in the order of a round."""
    _say("making the databases")
    engine.make_tpcb()
    ledger_data.make_books(engine, BOOKS)
    ledger_data.fill(engine, BOOKS, FEW_ENTRIES)
    books = _crew(stack, engine, BOOKS, CLIENTS)
    measures: dict[str, Measure] = {
        "TPC-B/4": lambda _: engine.tpcb(clients=PROCESSES, seconds=seconds),
        "TPC-B/8": lambda _: engine.tpcb(clients=CLIENTS, seconds=seconds),
        "select-only/8": lambda _: engine.select_only(clients=CLIENTS, seconds=seconds),
        "balance_sql": partial(_balance, engine, seconds),
        "settle_fee": partial(_settle, engine, seconds, CLIENTS, fee=True),
        "without fee": partial(_settle, engine, seconds, CLIENTS, fee=False),
    }
    for work, processes in [
        ("posting", PROCESSES),
        ("settlement", PROCESSES),
        ("post_many", PROCESSES),
        ("balance", CLIENTS),
        ("statement", 1),
        ("select_1", 1),
    ]:
        name = "SELECT 1" if work == "select_1" else work
        measures[name] = partial(_rate, books, work, processes, seconds)
    if importlib.util.find_spec("hordak"):
        measures["hordak"] = _prepare_hordak(stack, engine, seconds)
    else:
        _say("django-hordak is not installed here and is left out (make bench-ledger installs it)")
    if options.pgledger:
        measures["settle_4"] = partial(_settle, engine, seconds, PROCESSES, fee=False)
        measures["pgledger"] = _prepare_pgledger(engine, options.pgledger, seconds)
    if options.scale is not None:
        _say(f"filling a table with {options.scale:,} entries")
        ledger_data.make_books(engine, GROWN)
        ledger_data.fill(engine, GROWN, options.scale)
        grown = _crew(stack, engine, GROWN, PROCESSES)
        for work in ("posting", "settlement", "post_many"):
            measures[f"{work}_grown"] = partial(_rate, grown, work, PROCESSES, seconds)
        measures["statement_grown"] = partial(_rate, grown, "statement", 1, seconds)
    return {name: measures[name] for name in sorted(measures, key=IN_ORDER.index)}


def _measure(engine: Engine, measures: dict[str, Measure], rounds: int) -> dict[str, list[float]]:
    """Measure everything once per round, each after a checkpoint and none beside another."""
    measured = defaultdict(list)
    begun = time.monotonic()
    for number in range(rounds):
        # To and fro: what one leaves behind must not always meet the same one.
        order = list(measures.items())[:: 1 if number % 2 == 0 else -1]
        for place, (name, measure) in enumerate(order):
            done = number * len(measures) + place
            left = (
                (time.monotonic() - begun) / done * (rounds * len(measures) - done) if done else 0
            )
            _say(
                f"round {number + 1} of {rounds}: {name}" + (f", {left:.0f} s left" if left else "")
            )
            engine.checkpoint()
            measured[name].append(measure(number))
    if sys.stderr.isatty():
        sys.stderr.write("\r\033[K")
    return measured


def _rows(measured: dict[str, list[float]]) -> list[Row]:
    rows = [
        Row(
            work=name,
            clients=int(name.rpartition("/")[2]),
            median=median(measured[name]),
            unit="transactions/s",
            against=name,
            ratio=1.0,
            floor=None,
        )
        for name in ("TPC-B/4", "TPC-B/8", "select-only/8")
    ]
    for one in COMPARISONS:
        if one.work not in measured or one.against not in measured:
            continue
        pairs = zip(measured[one.work], measured[one.against], strict=True)
        rows.append(
            Row(
                work=one.label,
                clients=one.clients,
                median=median(measured[one.work]),
                unit=one.unit,
                against=one.against,
                # Of one round, because what else the machine does changes between rounds.
                ratio=median(ours / theirs for ours, theirs in pairs),
                floor=one.floor,
            )
        )
    return rows


def _crew(stack: ExitStack, engine: Engine, database: str, size: int) -> Crew:
    environment = ledger_data.environment(engine, database)
    return stack.enter_context(crew(size, works=ledger_works.__name__, environment=environment))


def _rate(books: Crew, work: str, processes: int, seconds: float, _: int) -> float:
    return books.rate(work, processes=processes, seconds=seconds)


# --- What pgbench runs ----------------------------------------------------------------------------


def _balance(engine: Engine, seconds: float, _: int) -> float:
    first = ledger_data.first_wallet(engine, BOOKS)
    script = (
        f"\\set account random({first}, {first + ACCOUNTS - 1})\n{SELECT_BALANCE % ':account'};\n"
    )
    return engine.run_script(BOOKS, script, clients=CLIENTS, seconds=seconds)


def _settle(engine: Engine, seconds: float, clients: int, number: int, *, fee: bool) -> float:
    """End escrows that were funded before, each into 12 distinct wallets."""
    prefix = f"{'fee' if fee else 'plain'}-{clients}-{number}"
    ledger_data.fund_escrows(
        engine,
        BOOKS,
        prefix,
        clients=clients,
        each=round(MOST_SETTLEMENTS_PER_SECOND * (WARM_UP + seconds)),
        amount=(PAYEES + fee) * SHARE,
    )
    engine.checkpoint()
    first, part = ledger_data.first_wallet(engine, BOOKS), ACCOUNTS // PAYEES
    chosen = "".join(
        f"\\set to{place} {first + place * part} + random(0, {part - 1})\n"
        for place in range(PAYEES)
    )
    # In ascending order, as Python gives them.
    payees = ([str(FEES)] if fee else []) + [f":to{place}" for place in range(PAYEES)]
    shares = [str(SHARE)] * len(payees)
    work = f"'{prefix}:' || :client_id || ':' || :n"
    script = (
        f"\\set n :n + 1\n{chosen}SELECT credits_settle(uuidv7(), 'end:' || {work},"
        f" 'settle', sha256(''), '', '', {work}, ARRAY[{', '.join(payees)}]::bigint[],"
        f" ARRAY[{', '.join(shares)}]::bigint[]);\n"
    )
    return engine.run_script(BOOKS, script, clients=clients, seconds=seconds, variables={"n": 0})


# --- What stands beside us ------------------------------------------------------------------------


def _prepare_hordak(stack: ExitStack, engine: Engine, seconds: float) -> Measure:
    _say("making django-hordak's database")
    engine.postgres.ensure_database(HORDAK)
    environment = {
        "DJANGO_SETTINGS_MODULE": "bench.hordak_settings",
        "DATABASE_URL": engine.url(HORDAK),
    }
    subprocess.run(
        [sys.executable, "-m", "django", "migrate", "--verbosity=0"],
        env={**os.environ, **environment},
        check=True,
    )
    hordak = stack.enter_context(
        crew(PROCESSES, works="bench.hordak_works", environment=environment)
    )
    hordak.rate("prepare", processes=1, seconds=0)
    return partial(_rate, hordak, "settlement", PROCESSES, seconds)


def _prepare_pgledger(engine: Engine, files: Sequence[Path], seconds: float) -> Measure:
    """Load pgledger; a settlement is its transfers from one account to twelve in one call."""
    _say("making pgledger's database")
    engine.postgres.ensure_database(PGLEDGER)
    with psycopg.connect(engine.url(PGLEDGER)) as connection:
        for file in files:
            connection.execute(file.read_bytes())
        connection.execute(
            "CREATE TABLE wallet AS SELECT number,"
            " (pgledger_create_account('wallet ' || number, 'EUR')).id AS account"
            " FROM generate_series(0, 9999) AS number"
        )
        connection.execute("CREATE UNIQUE INDEX ON wallet (number) INCLUDE (account)")
        connection.execute("GRANT ALL ON ALL TABLES IN SCHEMA public TO PUBLIC")
        connection.commit()
        connection.autocommit = True
        connection.execute("VACUUM ANALYZE")
    part = 10_000 // (PAYEES + 1)
    chosen = "".join(
        f"\\set a{place} {place * part} + random(0, {part - 1})\n" for place in range(PAYEES + 1)
    )
    transfers = ", ".join(
        f"((SELECT account FROM wallet WHERE number = :a0),"
        f" (SELECT account FROM wallet WHERE number = :a{place}), 1)::transfer_request"
        for place in range(1, PAYEES + 1)
    )
    script = f"{chosen}SELECT count(*) FROM pgledger_create_transfers({transfers});\n"
    return lambda _: engine.run_script(PGLEDGER, script, clients=PROCESSES, seconds=seconds)


def _say(text: str) -> None:
    end, start = ("", "\r\033[K") if sys.stderr.isatty() else ("\n", "")
    sys.stderr.write(f"{start}{text}{end}")
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main())
