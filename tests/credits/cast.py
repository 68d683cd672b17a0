"""Who plays in the ledger's tests, and how they meet. Everything has fresh, unique names."""

import time
from collections.abc import Callable
from functools import partial
from uuid import UUID, uuid4

from django.db import connection, transaction

from credits.ledger import ISSUANCE, AccountId, Leg, Posted, open_account, post
from tests.builders.at_once import together
from tests.owner import as_owner


def unique(stem: str) -> str:
    return f"{stem}:{uuid4()}"


def a_wallet(holding: int = 0) -> AccountId:
    with transaction.atomic():
        wallet = open_account(kind="wallet", owner=uuid4())
        if holding:
            give(wallet, holding)
    return wallet


def a_derived_account(owner: UUID | None = None) -> AccountId:
    """Return a derived account of the test's own; the product has two, which all tests share."""
    with as_owner(), connection.cursor() as cursor:
        cursor.execute(
            # Derived accounts have the ids below 1000, and the two of the product are taken.
            "INSERT INTO credits_account (id, kind, owner, mode, floor)"
            " VALUES (%s, 'sink', %s, 'derived', NULL) RETURNING id",
            [-(uuid4().int >> 66), owner or uuid4()],
        )
        return AccountId(cursor.fetchone()[0])


def give(account: AccountId, amount: int) -> Posted:
    return posting(Leg(ISSUANCE, -amount), Leg(account, amount), kind="grant")


def posting(*legs: Leg, reference: str | None = None, kind: str = "transfer") -> Posted:
    """Post in a savepoint, so that a refusal leaves the test's transaction usable."""
    with transaction.atomic():
        return post(reference=reference or unique("posting"), kind=kind, legs=legs)


def pay(source: AccountId, target: AccountId, amount: int) -> Posted:
    return posting(Leg(source, -amount), Leg(target, amount))


def wait_until_somebody_waits(seconds: float = 5, *, sessions: int = 1) -> None:
    """Return when so many sessions of this database wait for a lock."""
    give_up_at = time.monotonic() + seconds
    while time.monotonic() < give_up_at:
        # The application sees no more than its own sessions.
        with as_owner(), connection.cursor() as cursor:
            # A transaction looks at one snapshot of the sessions until told otherwise.
            cursor.execute("SELECT pg_stat_clear_snapshot()")
            cursor.execute(
                "SELECT count(*) FROM pg_stat_activity"
                " WHERE datname = current_database() AND wait_event_type = 'Lock'"
            )
            if cursor.fetchone()[0] >= sessions:
                return
        time.sleep(0.01)
    raise TimeoutError("nobody waited for a lock")


def wait_until_settled(seconds: float = 30) -> None:
    """Return when every transaction that runs now has ended, those of other databases included.

    Called outside a transaction. What was committed before is then below the xid horizon.
    """
    give_up_at = time.monotonic() + seconds
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_snapshot_xmax(pg_current_snapshot())::text")
        (end,) = cursor.fetchone()
        while time.monotonic() < give_up_at:
            cursor.execute("SELECT pg_snapshot_xmin(pg_current_snapshot()) >= %s::xid8", [end])
            if cursor.fetchone() == (True,):
                return
            time.sleep(0.01)
    raise TimeoutError("somebody held the xid horizon all the time")


def run_together(*calls: Callable[[], object]) -> list[object]:
    """Run *calls* at once, each in a thread and a transaction; return results or exceptions."""
    return together([partial(in_a_transaction, call) for call in calls])


def in_a_transaction(call: Callable[[], object]) -> object:
    with transaction.atomic():
        return call()
