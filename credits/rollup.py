"""Folds the entries of derived accounts, so that their balances stay short sums.

A derived account (issuance, fees) is never locked by postings; its balance is its last fold and the
entries above it, exact in every snapshot, whether a roll-up ran or not. A roll-up cuts below the
xid horizon: the oldest transaction that still runs holds it back, and a later one goes on there.
"""

from django.db import connection

from credits.errors import ledger_errors

MAX_FOLD_ENTRIES = 10_000
"""Entries of one fold, besides the rest of the transaction that the last one belongs to."""


def roll_up(*, least: int = 1) -> int:
    """Fold what is settled of every derived account; return how many entries that were.

    Safe to run at any time, twice at once, and to kill: a fold is there whole or not at all.

    Args:
        least: Accounts with fewer settled entries since their last fold are left alone.

    Transaction: one for each fold, unless the caller has one. Locks: the derived account, which no
    posting locks; an account that is being folded just now is passed over. Round trips: one for
    each derived account and fold.

    Raises:
        MoneyReadOnly: Nothing is written to the ledger just now.
    """
    with connection.cursor() as cursor:
        # Only accounts with ids below 1000 are derived.
        cursor.execute("SELECT id FROM credits_account WHERE id < 1000 ORDER BY id")
        accounts = [account for (account,) in cursor.fetchall()]
    return sum(_roll_up(account, least) for account in accounts)


def _roll_up(account: int, least: int) -> int:
    total = 0
    folded: int
    while True:
        with ledger_errors(), connection.cursor() as cursor:
            cursor.execute("SELECT credits_roll_up(%s, %s, %s)", [account, least, MAX_FOLD_ENTRIES])
            (folded,) = cursor.fetchone()
        total += folded
        # What settles meanwhile is for the next run; a busy market would keep this one for ever.
        if folded < MAX_FOLD_ENTRIES:
            return total
