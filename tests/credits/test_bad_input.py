"""Requests that no posting could come from: a named error, nothing written, the caller goes on."""

from collections.abc import Callable

import pytest
from django.db import transaction

from credits import escrow, ledger
from credits.errors import LedgerError, UnknownAccount
from credits.ledger import AccountId, Leg, NewPosting
from tests.credits.cast import a_wallet, give, unique

pytestmark = pytest.mark.usefixtures("db")

BEYOND = [AccountId(2**63), AccountId(-(2**63) - 1), AccountId(10**30)]
"""Ids that no bigint holds."""

Call = Callable[[AccountId, AccountId], object]

CALLS: dict[str, Call] = {
    "post": lambda ada, beyond: ledger.post(
        reference=unique("post"), kind="transfer", legs=[Leg(ada, -1), Leg(beyond, 1)]
    ),
    "post_many": lambda ada, beyond: ledger.post_many(
        [NewPosting(unique("many"), "transfer", [Leg(ada, -1), Leg(beyond, 1)])]
    ),
    "close_account": lambda _, beyond: ledger.close_account(beyond),
    "fund": lambda _, beyond: escrow.fund(
        work=unique("work"), owner=None, source=beyond, amount=1, reference=unique("fund")
    ),
    "fund_many": lambda _, beyond: escrow.fund_many(
        works={unique("work"): 1}, owner=None, source=beyond, reference=unique("fund")
    ),
    "withdraw": lambda ada, beyond: escrow.withdraw(
        work=a_funded_work(ada), to=beyond, amount=1, reference=unique("withdraw")
    ),
    "settle": lambda ada, beyond: escrow.settle(work=a_funded_work(ada), parts={beyond: 1}),
    "settle_many": lambda ada, beyond: escrow.settle_many(
        [escrow.End(a_funded_work(ada), {beyond: 1})]
    ),
    "settle_many, beside": lambda ada, beyond: escrow.settle_many(
        [], [NewPosting(unique("beside"), "transfer", [Leg(ada, -1), Leg(beyond, 1)])]
    ),
    "refund": lambda ada, beyond: escrow.refund(work=a_funded_work(ada), to=beyond),
    "balance": lambda _, beyond: ledger.balance(beyond),
    "statement": lambda _, beyond: ledger.statement(beyond, limit=1),
}


def a_funded_work(ada: AccountId) -> str:
    work = unique("work")
    escrow.fund(work=work, owner=None, source=ada, amount=1, reference=unique("fund"))
    return work


@pytest.mark.parametrize("beyond", BEYOND, ids=["above", "below", "far above"])
@pytest.mark.parametrize("call", CALLS)
def test_an_account_that_no_id_can_name_is_unknown(call: str, beyond: AccountId) -> None:
    ada = a_wallet(10)

    with transaction.atomic():
        with pytest.raises(UnknownAccount) as refusal, transaction.atomic():
            CALLS[call](ada, beyond)
        give(ada, 1)

    assert refusal.value.account == beyond
    assert ledger.balance(ada) == 11


def test_an_escrow_is_not_opened_twice_by_hand() -> None:
    ada, work = a_wallet(10), unique("work")
    with transaction.atomic():
        escrow.fund(work=work, owner=None, source=ada, amount=1, reference=unique("fund"))
        escrow.refund(work=work, to=ada)

    with transaction.atomic():
        with pytest.raises((LedgerError, ValueError)), transaction.atomic():
            ledger.open_account(kind="escrow", owner=None, reference=work)
        give(ada, 1)

    assert ledger.balance(ada) == 11
