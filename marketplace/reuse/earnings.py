"""What authors earn: it waits in their pending account, then moves to their wallet (assets.md)."""

import uuid
from collections.abc import Iterable
from datetime import datetime, timedelta
from functools import partial

from django.conf import settings
from django.db.models import Q

from credits import amounts, ledger
from credits.errors import MoneyReadOnly
from marketplace.events.log import Subject, record
from marketplace.foundation import clock
from marketplace.foundation.ids import encode
from marketplace.foundation.transactions import run_in_transaction
from marketplace.participants.models import Participant, operator_key_of
from marketplace.reuse.models import Earning

BATCH = 500


def payee(author: Participant) -> ledger.AccountId:
    """Return the account that receives what *author* earns: pending, or at once the wallet."""
    if settings.EARNINGS_WAIT_SECONDS:
        return ledger.AccountId(author.earnings_account)
    return ledger.AccountId(author.wallet_account)


def due_from(at: datetime) -> datetime:
    """Return when something that is earned now reaches the wallet."""
    return at + timedelta(seconds=settings.EARNINGS_WAIT_SECONDS)


def mark_earned(earnings: Iterable[Earning], *, at: datetime) -> None:
    """Start the wait of earnings whose use is paid."""
    ids = [earning.pk for earning in earnings]
    paid_at = None if settings.EARNINGS_WAIT_SECONDS else at
    Earning.objects.filter(pk__in=ids).update(due_at=due_from(at), paid_at=paid_at)


def release_due(*, limit: int = BATCH) -> int:
    """Move earnings whose wait is over into their authors' wallets and return how many.

    One posting for each operator, each in a transaction of its own. Rows that another worker holds
    are skipped.
    """
    due = (
        Earning.objects.filter(paid_at=None, due_at__lte=clock.now())
        .annotate(operator=operator_key_of("author"))
        .values_list("operator", flat=True)
        .distinct()[:limit]
    )
    released = 0
    for operator in list(due):
        try:
            released += run_in_transaction(partial(_release_of, operator))
        except MoneyReadOnly:
            break  # what is due stays due: the clock stands until money moves again
    return released


def _release_of(operator: uuid.UUID) -> int:
    """Release what is due to one operator. Locks: the earnings, then two accounts."""
    now = clock.now()
    due = list(
        Earning.objects.select_for_update(skip_locked=True, of=("self",))
        .select_related("author__operator")
        .filter(Q(author=operator) | Q(author__operator=operator), paid_at=None, due_at__lte=now)
        .order_by("pk")[:BATCH]
    )
    if due:
        _release(due)
        Earning.objects.filter(pk__in=[earning.pk for earning in due]).update(paid_at=now)
    return len(due)


def _release(earnings: list[Earning]) -> None:
    author = earnings[0].author
    amount = sum(earning.amount for earning in earnings)
    ledger.post(
        reference=f"earned:{encode('earning', earnings[0].pk)}",
        kind="earning",
        legs=[
            ledger.Leg(ledger.AccountId(author.earnings_account), -amount),
            ledger.Leg(ledger.AccountId(author.wallet_account), amount),
        ],
        memo=f"{len(earnings)} earning{'s' * (len(earnings) != 1)} of assets, after the wait",
        subject=author.paying.handle,
    )
    record(
        "earnings.released",
        subject=Subject("participant", author.paying.handle),
        actor=None,
        readers=[author.operator_key, *(earning.author_id for earning in earnings)],
        data={"amount": amounts.format(amount), "earnings": len(earnings)},
    )
