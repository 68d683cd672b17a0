"""Every two kinds of call on the same accounts, the second while the first has not ended yet."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import product

import pytest
from django.db import connection, transaction

from tests.builders.at_once import Work, a_crew
from tests.credits.calls import (
    FEES,
    ISSUANCE,
    Account,
    Allocate,
    AllocateMany,
    CloseAccount,
    Fund,
    FundMany,
    Made,
    OpenAccount,
    Post,
    PostMany,
    Refund,
    Reverse,
    RollUp,
    Settle,
    SettleMany,
    Withdraw,
    Write,
)
from tests.credits.cast import unique
from tests.credits.compared import Attempt, Books, Done, attempt

pytestmark = pytest.mark.usefixtures("db")

SECONDS = 30
AtOnce = Callable[[Sequence[Work]], list[object]]


class Scene:
    """Two wallets and a work that every call is about.

    Attributes:
        ada: A wallet that holds *amount* for certain.
        bo: A wallet with as much, or an empty one.
        paid: A posting that moved *amount* from Ada to Bo.
        work: Its escrow holds *amount*.
        child: A work without an escrow.
        spent: Its escrow holds nothing any more.
    """

    amount = 10

    def __init__(self, *, has_more: bool) -> None:
        self.books = Books()
        self.pocket, self.work, self.child = unique("pocket"), unique("work"), unique("child")
        self.spent = unique("spent")
        with transaction.atomic():
            self.ada = self.opened(unique("ada"))
            self.bo = self.opened(self.pocket)
            self.ask(ISSUANCE, self.ada, 3 * self.amount)
            self.books.ask(Fund(unique("fund"), self.work, None, self.ada, self.amount))
            self.books.ask(Fund(unique("fund"), self.spent, None, self.ada, 1))
            self.books.ask(Withdraw(unique("withdraw"), self.spent, self.ada, 1))
            self.paid = self.ask(self.ada, self.bo, self.amount)
            if has_more:
                self.ask(ISSUANCE, self.ada, 9 * self.amount)
            else:
                self.ask(self.bo, ISSUANCE, self.amount)

    def opened(self, reference: str) -> Account:
        account = self.books.ask(OpenAccount("wallet", None, reference))
        assert isinstance(account, Account)
        return account

    def ask(self, payer: Account, payee: Account, amount: int) -> Made:
        posted = self.books.ask(Post(unique("scene"), ((payer, -amount), (payee, amount))))
        assert isinstance(posted, tuple)
        assert isinstance(posted[1], Made)
        return posted[1]


def _post(scene: Scene) -> Write:
    legs = ((scene.bo, 5), (FEES, 3), (scene.ada, -8))
    return Post(unique("post"), legs)


def _post_back(scene: Scene) -> Write:
    return Post(unique("post"), ((scene.bo, -6), (scene.ada, 6)))


def _post_many(scene: Scene) -> Write:
    there = Post(unique("many"), ((scene.ada, -7), (scene.bo, 7)))
    back = Post(unique("many"), ((scene.bo, -6), (scene.ada, 5), (FEES, 1)))
    return PostMany((there, back))


def _open_account(scene: Scene) -> Write:
    return OpenAccount("wallet", None, scene.pocket)


def _settle_many(scene: Scene) -> Write:
    ends = (Settle(scene.work, ((scene.bo, scene.amount),)), Settle(scene.spent, ()))
    return SettleMany(ends, (Post(unique("beside"), ((scene.ada, -7), (scene.bo, 7))),))


KINDS: dict[str, Callable[[Scene], Write]] = {
    "post": _post,
    "post back": _post_back,
    "post_many": _post_many,
    "reverse": lambda scene: Reverse(unique("reverse"), scene.paid),
    "open_account": _open_account,
    "close_account": lambda scene: CloseAccount(scene.bo),
    "fund": lambda scene: Fund(unique("fund"), scene.work, None, scene.ada, 8),
    "fund a new work": lambda scene: Fund(unique("fund"), scene.child, None, scene.ada, 8),
    "allocate": lambda scene: Allocate(unique("allocate"), scene.work, scene.child, None, 8),
    "fund_many": lambda scene: FundMany(
        unique("fund"), ((scene.work, 3), (scene.child, 5)), None, scene.ada
    ),
    "allocate_many": lambda scene: AllocateMany(
        unique("allocate"), scene.work, ((scene.child, 4), (unique("work"), 6)), None
    ),
    "withdraw": lambda scene: Withdraw(unique("withdraw"), scene.work, scene.bo, 8),
    "settle": lambda scene: Settle(scene.work, ((scene.bo, scene.amount - 1), (FEES, 1))),
    "settle_many": _settle_many,
    "close an escrow": lambda scene: Settle(scene.work, ()),
    "refund": lambda scene: Refund(scene.work, scene.bo),
    "roll_up": lambda _: RollUp(),
}
POSTING = [name for name in KINDS if name not in ("open_account", "close_account", "roll_up")]


@pytest.fixture(scope="module")
def at_once() -> Iterator[AtOnce]:
    with a_crew(3) as at_once:
        yield at_once


def overlap(at_once: AtOnce, scene: Scene, first: Attempt, second: Attempt) -> None:
    """Begin *second* while *first* is open, which ends when the other waits for it, or is done."""
    is_open, may_end, sessions = threading.Event(), threading.Event(), list[int]()

    def hold() -> None:
        is_open.set()
        may_end.wait(SECONDS)

    def begin() -> Done:
        try:
            return attempt(first, scene.books.names, hold)
        finally:
            is_open.set()

    def follow() -> Done:
        is_open.wait(SECONDS)
        connection.ensure_connection()
        sessions.append(connection.connection.info.backend_pid)
        try:
            return attempt(second, scene.books.names)
        finally:
            may_end.set()

    def watch() -> None:
        is_open.wait(SECONDS)
        while not may_end.is_set() and not (sessions and waits_for_a_lock(sessions[0])):
            time.sleep(0.001)
        may_end.set()

    results = at_once([begin, follow, watch])

    assert results[2] is None, results[2]
    scene.books.explain([first, second], results[:2])


def waits_for_a_lock(session: int) -> bool:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT FROM pg_stat_activity WHERE pid = %s AND wait_event_type = 'Lock'", [session]
        )
        return cursor.fetchone() is not None


@pytest.mark.parametrize(("first", "second"), list(product(KINDS, KINDS)))
def test_of_two_calls_one_comes_first(at_once: AtOnce, first: str, second: str) -> None:
    for commits, has_more in product([True, False], [True, False]):
        scene = Scene(has_more=has_more)
        calls = KINDS[first](scene), KINDS[second](scene)

        overlap(at_once, scene, Attempt(calls[0], commits=commits), Attempt(calls[1]))

        scene.books.ask_for_all_lines()


@pytest.mark.parametrize("kind", POSTING)
def test_a_request_that_comes_again_before_it_is_answered_is_answered_once(
    at_once: AtOnce, kind: str
) -> None:
    for commits, has_more in product([True, False], [True, False]):
        scene = Scene(has_more=has_more)
        call = KINDS[kind](scene)

        overlap(at_once, scene, Attempt(call, commits=commits), Attempt(call))

        scene.books.ask_for_all_lines()
