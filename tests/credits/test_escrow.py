from collections.abc import Callable
from functools import partial
from uuid import UUID, uuid4

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from credits import escrow
from credits.errors import (
    AccountClosed,
    EscrowEmpty,
    EscrowMismatch,
    InsufficientCredits,
    InvalidLegs,
    InvalidText,
    ReferenceReused,
    UnknownAccount,
)
from credits.ledger import (
    FEES,
    MAX_LEGS,
    AccountId,
    Leg,
    Posted,
    balance,
    balances,
    entries_of,
    held_by,
    statement,
)
from tests.credits.cast import a_wallet, unique

pytestmark = pytest.mark.usefixtures("db")


def in_savepoint(call: Callable[..., Posted]) -> Callable[..., Posted]:
    def called(**arguments: object) -> Posted:
        with transaction.atomic():
            return call(**arguments)

    return called


settle = in_savepoint(escrow.settle)
refund = in_savepoint(escrow.refund)
withdraw = in_savepoint(escrow.withdraw)
allocate = in_savepoint(escrow.allocate)


def fund(work: str, source: AccountId, amount: int, owner: UUID | None = None) -> Posted:
    with transaction.atomic():
        return escrow.fund(
            work=work, owner=owner, source=source, amount=amount, reference=unique("fund")
        )


def funded_work(amount: int = 100) -> str:
    work = unique("task")
    fund(work, a_wallet(amount), amount)
    return work


def test_funding_moves_credits_from_the_source_into_the_works_escrow() -> None:
    ada, owner, work = a_wallet(100), uuid4(), unique("task")

    fund(work, ada, 60, owner)
    fund(work, ada, 15, owner)

    assert escrow.held(work) == 75
    assert balance(ada) == 25
    assert held_by(owner, "escrow") == 75


def test_funding_a_work_is_one_round_trip_also_when_it_opens_the_escrow() -> None:
    ada = a_wallet(10)

    with transaction.atomic(), CaptureQueriesContext(connection) as queries:
        escrow.fund(work=unique("task"), owner=None, source=ada, amount=1, reference=unique("fund"))

    assert len(queries) == 1


def test_funding_more_than_the_source_has_opens_no_escrow() -> None:
    ada, work = a_wallet(10), unique("task")

    with pytest.raises(InsufficientCredits) as refusal:
        fund(work, ada, 11)

    assert refusal.value.available == 10
    assert escrow.find(work) is None
    assert escrow.held(work) == 0


def test_settling_pays_every_part_and_leaves_the_escrow_at_zero_and_closed() -> None:
    work, bo, cy, fees = funded_work(100), a_wallet(), a_wallet(), balance(FEES)

    made = settle(work=work, parts={bo: 70, cy: 25, FEES: 5}, subject=work)

    held = escrow.find(work)
    assert held is not None
    assert balances([bo, cy, FEES, held]) == {bo: 70, cy: 25, FEES: fees + 5, held: 0}
    assert min(entries_of(made.id), key=lambda leg: leg.amount) == Leg(held, -100)
    assert statement(bo, limit=1)[0].subject == work
    with pytest.raises(AccountClosed):
        fund(work, a_wallet(5), 5)


@pytest.mark.parametrize("amount", [99, 101])
def test_the_parts_of_a_settlement_are_exactly_what_is_held(amount: int) -> None:
    work, bo = funded_work(100), a_wallet()

    with pytest.raises(EscrowMismatch) as refusal:
        settle(work=work, parts={bo: amount})

    assert (refusal.value.work, refusal.value.held, refusal.value.parts) == (work, 100, amount)
    assert escrow.held(work) == 100


def test_a_work_ends_once_whatever_the_end() -> None:
    settled, refunded, bo = funded_work(10), funded_work(10), a_wallet()
    settle(work=settled, parts={bo: 10})
    refund(work=refunded, to=bo)

    ends = [
        partial(refund, work=settled, to=bo),
        partial(settle, work=settled, parts={bo: 9}),
        partial(settle, work=refunded, parts={bo: 10}),
        partial(refund, work=refunded, to=a_wallet()),
    ]
    for end in ends:
        with pytest.raises(EscrowEmpty) as refusal:
            end()
        assert refusal.value.work in {settled, refunded}
    assert balance(bo) == 20


def test_the_same_end_again_returns_the_first() -> None:
    settled, refunded, bo, cy = funded_work(10), funded_work(10), a_wallet(), a_wallet()
    first = settle(work=settled, parts={bo: 4, cy: 6})
    other = refund(work=refunded, to=bo)

    assert settle(work=settled, parts={cy: 6, bo: 4}) == Posted(id=first.id, replayed=True)
    assert refund(work=refunded, to=bo) == Posted(id=other.id, replayed=True)


@pytest.mark.parametrize(
    "call",
    [
        lambda work, to: settle(work=work, parts={to: 1}),
        lambda work, to: refund(work=work, to=to),
        lambda work, to: withdraw(work=work, to=to, amount=1, reference=unique("w")),
        lambda work, _: allocate(
            work=work, child=unique("c"), owner=None, amount=1, reference=unique("a")
        ),
    ],
)
def test_nothing_leaves_an_escrow_that_was_never_funded(
    call: Callable[[str, AccountId], Posted],
) -> None:
    work = unique("task")

    with pytest.raises(EscrowEmpty) as refusal:
        call(work, a_wallet())

    assert refusal.value.work == work


def test_an_escrow_that_gave_everything_to_children_has_nothing_to_settle() -> None:
    work, child = funded_work(10), unique("task")
    allocate(work=work, child=child, owner=None, amount=10, reference=unique("allocate"))

    ends = [
        partial(refund, work=work, to=a_wallet()),
        partial(settle, work=work, parts={a_wallet(): 1}),
    ]
    for end in ends:
        with pytest.raises(EscrowEmpty):
            end()


def test_a_parent_allocates_what_it_holds_and_takes_back_what_is_left() -> None:
    work, child, owner = funded_work(100), unique("task"), uuid4()
    parent = escrow.find(work)
    assert parent is not None

    allocate(work=work, child=child, owner=owner, amount=40, reference=unique("allocate"))
    assert (escrow.held(work), escrow.held(child), held_by(owner, "escrow")) == (60, 40, 40)
    refund(work=child, to=parent)

    assert (escrow.held(work), escrow.held(child)) == (100, 0)


def test_a_parent_cannot_allocate_more_than_it_holds() -> None:
    work, child = funded_work(10), unique("task")

    with pytest.raises(InsufficientCredits) as refusal:
        allocate(work=work, child=child, owner=None, amount=11, reference=unique("allocate"))

    assert refusal.value.available == 10
    assert escrow.find(child) is None


def test_a_part_can_be_withdrawn_while_the_work_goes_on() -> None:
    work, ada = funded_work(10), a_wallet()

    withdraw(work=work, to=ada, amount=3, reference=unique("withdraw"))

    assert (escrow.held(work), balance(ada)) == (7, 3)
    with pytest.raises(InsufficientCredits):
        withdraw(work=work, to=ada, amount=8, reference=unique("withdraw"))


def test_every_call_repeated_returns_the_first_and_changed_is_refused() -> None:
    ada, work, child, owner = a_wallet(100), unique("task"), unique("task"), uuid4()
    calls: list[tuple[Callable[..., Posted], dict[str, object]]] = [
        (in_savepoint(escrow.fund), {"work": work, "owner": owner, "source": ada}),
        (allocate, {"work": work, "child": child, "owner": owner}),
        (withdraw, {"work": work, "to": ada}),
    ]
    for call, arguments in calls:
        reference = unique("same")
        amount = 50 if "source" in arguments else 5

        first = call(**arguments, amount=amount, reference=reference)

        assert call(**arguments, amount=amount, reference=reference) == Posted(
            id=first.id, replayed=True
        )
        with pytest.raises(ReferenceReused):
            call(**arguments, amount=amount - 1, reference=reference)
    assert (escrow.held(work), escrow.held(child), balance(ada)) == (40, 5, 55)


@pytest.mark.parametrize(
    ("parts", "code"),
    [
        ([], "too_few_legs"),
        ([0], "zero_amount"),
        ([-5, 15], "negative_amount"),
        ([0.5], "not_an_integer"),
        ([True], "not_an_integer"),
        ([1] * MAX_LEGS, "too_many_legs"),
        ([10**18, 10**18], "amount_too_large"),
    ],
)
def test_bad_parts_are_named(parts: list[int], code: str) -> None:
    work = funded_work(10)

    with pytest.raises(InvalidLegs) as refusal:
        settle(work=work, parts={AccountId(5_000 + at): part for at, part in enumerate(parts)})

    assert refusal.value.code == code
    assert escrow.held(work) == 10


@pytest.mark.parametrize("amount", [0, -1, 1.5, True, 10**19])
def test_an_escrow_is_funded_with_positive_amounts(amount: int) -> None:
    with pytest.raises(InvalidLegs):
        fund(unique("task"), a_wallet(10), amount)


@pytest.mark.parametrize("work", ["", "x" * 197, "nul\0"])
def test_a_work_that_cannot_be_a_reference_is_refused(work: str) -> None:
    with pytest.raises(InvalidText) as refusal:
        fund(work, a_wallet(10), 1)

    assert refusal.value.field == "work"


def test_an_escrow_pays_accounts_that_exist_and_never_itself() -> None:
    work, ada = funded_work(10), a_wallet(10)
    held = escrow.find(work)
    assert held is not None

    with pytest.raises(UnknownAccount):
        settle(work=work, parts={AccountId(2**62): 10})
    calls = [
        partial(settle, work=work, parts={held: 5, ada: 5}),
        partial(refund, work=work, to=held),
        partial(withdraw, work=work, to=held, amount=1, reference=unique("w")),
        partial(fund, work, held, 1),
        partial(allocate, work=work, child=work, owner=None, amount=1, reference=unique("a")),
    ]
    for call in calls:
        with pytest.raises(InvalidLegs) as refusal:
            call()
        assert (refusal.value.code, refusal.value.account) == ("account_twice", held)
