"""What the processes of the ledger's bench do: the library's own calls, each in a transaction.

References are made as the market makes them, from ids that rise with time.
"""

import random

from django.db import connection, transaction

from bench.crew import OutOfWork, Step
from credits import escrow, ledger
from credits.round_trip import new_id

ACCOUNTS = 100_000
PAYEES = 12
BATCH = 100
OVERDRAFT = 10**15
"""How far a wallet may be overdrawn, so that nobody needs a grant first."""

SHARE = 1_000
"""What each payee gets, in micro-credits."""

MOST_SETTLEMENTS_PER_SECOND = 1_500
"""Of one process; so many escrows are prepared for each second."""

FUNDED_AT_ONCE = ledger.MAX_LEGS - 1


def wallets() -> list[ledger.AccountId]:
    """Return the accounts that the works choose from."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT id FROM credits_account WHERE kind = 'wallet' ORDER BY id LIMIT %s", [ACCOUNTS]
        )
        return [ledger.AccountId(row[0]) for row in cursor.fetchall()]


def posting(number: int, seconds: float) -> Step:
    """One two-sided posting between two wallets."""
    accounts = wallets()
    dice = random.Random()

    def step() -> int:
        giver, taker = dice.sample(accounts, 2)
        with transaction.atomic():
            ledger.post(
                reference=f"transfer:{new_id()}",
                kind="transfer",
                legs=[ledger.Leg(giver, -SHARE), ledger.Leg(taker, SHARE)],
            )
        return 1

    return step


def post_many(number: int, seconds: float) -> Step:
    """A batch of 100 two-sided postings; counts postings."""
    accounts = wallets()
    dice = random.Random()

    def step() -> int:
        batch = []
        for _ in range(BATCH):
            giver, taker = dice.sample(accounts, 2)
            batch.append(
                ledger.NewPosting(
                    reference=f"transfer:{new_id()}",
                    kind="transfer",
                    legs=[ledger.Leg(giver, -SHARE), ledger.Leg(taker, SHARE)],
                )
            )
        with transaction.atomic():
            ledger.post_many(batch)
        return BATCH

    return step


def settlement(number: int, seconds: float) -> Step:
    """The end of an escrow, paid to 12 wallets."""
    accounts = wallets()
    dice = random.Random()
    works = [f"work:{new_id()}" for _ in range(round(MOST_SETTLEMENTS_PER_SECOND * (seconds + 1)))]
    for first in range(0, len(works), FUNDED_AT_ONCE):
        with transaction.atomic():
            escrow.fund_many(
                works=dict.fromkeys(works[first : first + FUNDED_AT_ONCE], PAYEES * SHARE),
                owner=None,
                source=accounts[number],  # nobody else's, so that no two wait for each other
                reference=f"fund:{works[first]}",
            )

    def step() -> int:
        if not works:
            raise OutOfWork
        payees = dice.sample(accounts, PAYEES)
        with transaction.atomic():
            escrow.settle(work=works.pop(), parts=dict.fromkeys(payees, SHARE))
        return 1

    return step


def balance(number: int, seconds: float) -> Step:
    """What a wallet holds."""
    accounts = wallets()
    dice = random.Random()

    def step() -> int:
        ledger.balance(dice.choice(accounts))
        return 1

    return step


def statement(number: int, seconds: float) -> Step:
    """The first page of a wallet's statement: its 20 newest lines."""
    accounts = wallets()
    dice = random.Random()

    def step() -> int:
        ledger.statement(dice.choice(accounts), limit=20)
        return 1

    return step


def select_1(number: int, seconds: float) -> Step:
    """A round trip that reads nothing."""

    def step() -> int:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
            cursor.fetchone()
        return 1

    return step
