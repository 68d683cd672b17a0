"""How a use case runs: one transaction, decided under locks, retried where the database says so."""

import random
import time
from collections.abc import Callable
from contextvars import ContextVar
from functools import wraps
from typing import ParamSpec, TypeVar

from django.db import OperationalError, connection, transaction
from psycopg_pool import PoolTimeout

T = TypeVar("T")
P = ParamSpec("P")

# PostgreSQL: serialization_failure, deadlock_detected. Nothing was written; try again.
RETRYABLE = frozenset({"40001", "40P01"})
LOCK_NOT_AVAILABLE = "55P03"
TRIES = 3
# Of a whole tree of tasks, each of which has few.
MOST_DUE_TRANSITIONS = 1000

_running: ContextVar[bool] = ContextVar("hansa_transaction_running", default=False)


class Busy(Exception):
    """The rows that a call needs stayed locked, or deadlocked three times. Nothing was written."""


class Overdue(Exception):
    """A use case met a row whose time has passed.

    The whole transaction is undone, the due transition is committed on its own with its events,
    and the use case runs again against the new state. So a refusal never undoes an expiry.

    Attributes:
        catch_up: Commits the due transition in a transaction of its own.
    """

    def __init__(self, catch_up: Callable[[], object]) -> None:
        super().__init__("the row's time has passed")
        self.catch_up = catch_up


def run_in_transaction(work: Callable[[], T]) -> T:
    """Run *work* in one transaction and commit it; inside a running one, join that.

    Raises:
        Busy: Locked or deadlocked after all tries.
    """
    # Jobs that run in line after a commit are outside of it, though still below its frame.
    if _running.get() and connection.in_atomic_block:
        return work()
    token = _running.set(True)
    try:
        return _run_outermost(work)
    finally:
        _running.reset(token)


def _run_outermost(work: Callable[[], T]) -> T:
    failures = 0
    overdue = 0
    catch_up: Callable[[], object] | None = None
    while True:
        try:
            if catch_up is not None:
                with transaction.atomic():
                    catch_up()
                catch_up = None
            with transaction.atomic():
                return work()
        except Overdue as late:
            # Each catch-up changes the state for good, and few states follow one another by time
            # alone; a row that is overdue again and again is a bug, not a market.
            overdue += 1
            if overdue > MOST_DUE_TRANSITIONS:
                raise RuntimeError("a row stays overdue after its due transitions") from late
            catch_up = late.catch_up
        except OperationalError as error:
            failures += 1
            if is_busy(error):
                raise Busy from error
            if getattr(error.__cause__, "sqlstate", None) not in RETRYABLE:
                raise
            if failures == TRIES:
                raise Busy from error
            time.sleep(random.uniform(0.01, 0.05) * failures)  # noqa: S311 - jitter, not a secret


def is_busy(error: Exception) -> bool:
    """Say whether the database had no time for us: a row stayed locked, or the pool is empty."""
    cause = error.__cause__
    locked = getattr(cause, "sqlstate", None) == LOCK_NOT_AVAILABLE
    return isinstance(error, OperationalError) and (locked or isinstance(cause, PoolTimeout))


def use_case(function: Callable[P, T]) -> Callable[P, T]:
    """Make *function* a use case: one transaction, retried and caught up.

    Inside another use case it joins the transaction that runs, so that an idempotency record, the
    state, the ledger and the events commit together or not at all.
    """

    @wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> T:
        return run_in_transaction(lambda: function(*args, **kwargs))

    return run
