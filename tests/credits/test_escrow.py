from collections.abc import Callable
from functools import partial
from typing import TypeVar
from uuid import UUID, uuid4

import pytest
from django.core.management import call_command
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
    UnbalancedLegs,
    UnknownAccount,
)
from credits.ledger import (
    FEES,
    MAX_LEGS,
    AccountId,
    Leg,
    NewPosting,
    Posted,
    balance,
    balances,
    entries_of,
    held_by,
    post_many,
    statement,
)
from tests.credits.cast import a_wallet, unique
from tests.owner import as_owner

pytestmark = pytest.mark.usefixtures("db")


T = TypeVar("T")


def in_savepoint(call: Callable[..., T]) -> Callable[..., T]:
    def called(**arguments: object) -> T:
        with transaction.atomic():
            return call(**arguments)

    return called


settle = in_savepoint(escrow.settle)
settle_many = in_savepoint(escrow.settle_many)
fund_many = in_savepoint(escrow.fund_many)
allocate_many = in_savepoint(escrow.allocate_many)
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

    assert made is not None
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

    ends: list[Callable[..., object]] = [
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

    assert first is not None
    assert settle(work=settled, parts={cy: 6, bo: 4}) == Posted(id=first.id, replayed=True)
    assert refund(work=refunded, to=bo) == Posted(id=other.id, replayed=True)


@pytest.mark.parametrize(
    "call",
    [
        lambda work, to: settle(work=work, parts={to: 1}),
        lambda work, _: settle(work=work, parts={}),
        lambda work, to: settle_many(ends=[escrow.End(work, {to: 1})]),
        lambda work, to: refund(work=work, to=to),
        lambda work, to: withdraw(work=work, to=to, amount=1, reference=unique("w")),
        lambda work, _: allocate(
            work=work, child=unique("c"), owner=None, amount=1, reference=unique("a")
        ),
        lambda work, _: allocate_many(
            work=work, children={unique("c"): 1}, owner=None, reference=unique("a")
        ),
    ],
)
def test_nothing_leaves_an_escrow_that_was_never_funded(
    call: Callable[[str, AccountId], object],
) -> None:
    work = unique("task")

    with pytest.raises(EscrowEmpty) as refusal:
        call(work, a_wallet())

    assert refusal.value.work == work


def test_an_escrow_that_gave_everything_to_children_has_nothing_to_settle() -> None:
    work, child = funded_work(10), unique("task")
    allocate(work=work, child=child, owner=None, amount=10, reference=unique("allocate"))

    ends: list[Callable[..., object]] = [
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


# --- Many at once ---------------------------------------------------------------------------------


def test_many_works_are_funded_by_one_posting_in_one_round_trip() -> None:
    ada, owner, known = a_wallet(100), uuid4(), funded_work(1)
    works = {unique("task"): amount for amount in (10, 20, 30)} | {known: 5}

    with transaction.atomic(), CaptureQueriesContext(connection) as queries:
        made = escrow.fund_many(works=works, owner=owner, source=ada, reference=unique("fund"))

    assert len(queries) == 1
    assert {work: escrow.held(work) for work in works} == works | {known: 6}
    assert (balance(ada), held_by(owner, "escrow")) == (35, 60)
    assert sorted(leg.amount for leg in entries_of(made.id)) == [-65, 5, 10, 20, 30]


def test_as_many_works_are_funded_as_a_posting_has_legs() -> None:
    work, children = funded_work(MAX_LEGS), [unique("task") for _ in range(MAX_LEGS)]

    allocate_many(
        work=work, children=dict.fromkeys(children[1:], 1), owner=None, reference=unique("a")
    )
    with pytest.raises(InvalidLegs) as refusal:
        allocate_many(
            work=work, children=dict.fromkeys(children, 1), owner=None, reference=unique("a")
        )

    assert refusal.value.code == "too_many_legs"
    assert [escrow.held(one) for one in (work, *children)] == [1, 0, *[1] * (MAX_LEGS - 1)]


def test_of_many_works_none_is_funded_when_one_cannot_be() -> None:
    ada, ended, fresh, work = a_wallet(100), funded_work(1), unique("task"), funded_work(10)
    settle(work=ended, parts={a_wallet(): 1})
    paying = escrow.find(work)
    calls: list[tuple[Callable[..., object], type[Exception]]] = [
        (
            partial(fund_many, works={fresh: 1, ended: 1}, source=ada, reference=unique("f")),
            AccountClosed,
        ),
        (
            partial(fund_many, works={fresh: 60, work: 41}, source=ada, reference=unique("f")),
            InsufficientCredits,
        ),
        (
            partial(fund_many, works={fresh: 1, work: 1}, source=paying, reference=unique("f")),
            InvalidLegs,
        ),
        (
            partial(allocate_many, work=work, children={fresh: 1, ended: 1}, reference=unique("a")),
            AccountClosed,
        ),
        (
            partial(allocate_many, work=ended, children={fresh: 1}, reference=unique("a")),
            AccountClosed,
        ),
        (
            partial(allocate_many, work=work, children={fresh: 11}, reference=unique("a")),
            InsufficientCredits,
        ),
        (
            partial(allocate_many, work=work, children={work: 1, fresh: 1}, reference=unique("a")),
            InvalidLegs,
        ),
    ]
    for call, refused in calls:
        with pytest.raises(refused):
            call(owner=None)
        assert (escrow.find(fresh), escrow.held(work), balance(ada)) == (None, 10, 100)


def test_an_escrow_that_gave_everything_away_ends_without_a_posting() -> None:
    work, child = funded_work(10), unique("task")
    allocate(work=work, child=child, owner=None, amount=10, reference=unique("allocate"))
    held = escrow.find(work)
    assert held is not None

    with transaction.atomic(), CaptureQueriesContext(connection) as queries:
        assert escrow.settle(work=work, parts={}) is None

    assert len(queries) == 1
    assert [line.amount for line in statement(held, limit=5)] == [-10, 10]
    ends: list[Callable[..., object]] = [
        partial(settle, work=work, parts={}),
        partial(settle, work=work, parts={a_wallet(): 1}),
        partial(refund, work=work, to=a_wallet()),
        partial(settle_many, ends=[escrow.End(work, {})]),
    ]
    for end in ends:
        with pytest.raises(EscrowEmpty):
            end()
    with pytest.raises(AccountClosed):
        refund(work=child, to=held)


def test_an_escrow_that_holds_something_does_not_end_without_parts() -> None:
    work = funded_work(10)

    ends: list[Callable[..., object]] = [
        partial(settle, work=work, parts={}),
        partial(settle_many, ends=[escrow.End(work, {})]),
    ]
    for end in ends:
        with pytest.raises(EscrowMismatch) as refusal:
            end()
        assert (refusal.value.held, refusal.value.parts) == (10, 0)

    assert settle(work=work, parts={a_wallet(): 10}) is not None


def test_many_ends_are_one_round_trip_with_postings_beside_them() -> None:
    paid, spent, ada, bo = funded_work(10), funded_work(5), a_wallet(7), a_wallet()
    withdraw(work=spent, to=ada, amount=5, reference=unique("withdraw"))
    beside = NewPosting(unique("beside"), "transfer", [Leg(ada, -12), Leg(bo, 12)])
    ends = [escrow.End(spent, {}), escrow.End(paid, {bo: 10})]

    with transaction.atomic(), CaptureQueriesContext(connection) as queries:
        closed, settled, moved = escrow.settle_many(ends, [beside])

    assert len(queries) == 1
    assert closed is None
    assert settled is not None
    assert moved is not None
    assert [line.posting_id for line in statement(bo, limit=5)] == [moved.id, settled.id]
    assert balances([ada, bo]) == {ada: 0, bo: 22}
    for work in (paid, spent):
        with pytest.raises(AccountClosed):
            fund(work, a_wallet(1), 1)


def test_an_end_again_is_the_first_whichever_call_makes_it() -> None:
    one, other, bo = funded_work(10), funded_work(10), a_wallet()
    settled = settle(work=one, parts={bo: 10})
    (ended,) = settle_many(ends=[escrow.End(other, {bo: 10})])
    assert settled is not None
    assert ended is not None

    again = settle_many(ends=[escrow.End(work, {bo: 10}) for work in (other, one, other)])

    assert again == [Posted(made.id, replayed=True) for made in (ended, settled, ended)]
    assert settle(work=other, parts={bo: 10}) == Posted(ended.id, replayed=True)
    assert balance(bo) == 20


def test_of_many_ends_none_happens_when_one_cannot() -> None:
    work, other, bo = funded_work(10), funded_work(10), a_wallet()
    ended = funded_work(1)
    settle(work=ended, parts={bo: 1})
    known = escrow.find(other)
    assert known is not None
    wrong: list[tuple[list[escrow.End], list[NewPosting], type[Exception]]] = [
        ([escrow.End(other, {bo: 9})], [], EscrowMismatch),
        ([escrow.End(other, {bo: 11})], [], EscrowMismatch),
        ([escrow.End(other, {})], [], EscrowMismatch),
        ([escrow.End(ended, {bo: 2})], [], EscrowEmpty),
        ([escrow.End(ended, {})], [], EscrowEmpty),
        ([escrow.End(work, {})], [], EscrowEmpty),
        ([escrow.End(other, {known: 10})], [], InvalidLegs),
        ([], [NewPosting(unique("p"), "k", [Leg(known, -9), Leg(bo, 10)])], UnbalancedLegs),
        ([], [NewPosting(unique("p"), "k", [Leg(known, -11), Leg(bo, 11)])], InsufficientCredits),
    ]
    for ends, beside, refused in wrong:
        with pytest.raises(refused):
            settle_many(ends=[escrow.End(work, {bo: 10}), *ends], beside=beside)
        assert (escrow.held(work), escrow.held(other), balance(bo)) == (10, 10, 1)


def test_a_tree_ends_in_one_call_from_its_leaves() -> None:
    root, child, leaf, ada = funded_work(10), unique("task"), unique("task"), a_wallet()
    allocate(work=root, child=child, owner=None, amount=10, reference=unique("a"))
    allocate(work=child, child=leaf, owner=None, amount=4, reference=unique("a"))
    root_escrow, child_escrow = escrow.find(root), escrow.find(child)
    assert root_escrow is not None
    assert child_escrow is not None

    upwards = [
        escrow.End(leaf, {child_escrow: 4}),
        escrow.End(child, {root_escrow: 10}),
        escrow.End(root, {ada: 10}),
    ]
    # The other way round, each would end before it has what it pays.
    with pytest.raises((EscrowEmpty, EscrowMismatch)):
        settle_many(ends=upwards[::-1])
    settle_many(ends=upwards)

    assert balances([ada, root_escrow, child_escrow]) == {ada: 10, root_escrow: 0, child_escrow: 0}


def test_nothing_is_posted_to_an_escrow_after_its_end_in_the_same_call() -> None:
    work, ada = funded_work(10), a_wallet(10)
    held = escrow.find(work)
    assert held is not None
    beside = [
        NewPosting(unique("there"), "transfer", [Leg(ada, -1), Leg(held, 1)]),
        NewPosting(unique("back"), "transfer", [Leg(ada, 1), Leg(held, -1)]),
    ]

    with pytest.raises(AccountClosed) as refusal:
        settle_many(ends=[escrow.End(work, {ada: 10})], beside=beside)

    assert refusal.value.account == held
    assert escrow.held(work) == 10


def test_what_an_end_leaves_is_not_taken_by_a_later_posting_of_the_same_call() -> None:
    work, ada = funded_work(10), a_wallet()
    held = escrow.find(work)
    assert held is not None
    rest = NewPosting(unique("rest"), "transfer", [Leg(held, -6), Leg(ada, 6)])

    with pytest.raises(EscrowMismatch) as refusal:
        settle_many(ends=[escrow.End(work, {ada: 4})], beside=[rest])

    assert (refusal.value.held, refusal.value.parts) == (10, 4)


# --- Requests again, and requests that cannot be --------------------------------------------------


def test_a_part_can_be_withdrawn_while_the_work_goes_on() -> None:
    work, ada = funded_work(10), a_wallet()

    withdraw(work=work, to=ada, amount=3, reference=unique("withdraw"))

    assert (escrow.held(work), balance(ada)) == (7, 3)
    with pytest.raises(InsufficientCredits):
        withdraw(work=work, to=ada, amount=8, reference=unique("withdraw"))


@pytest.mark.parametrize("call", ["fund_many", "allocate_many"])
def test_many_repeated_are_the_first_in_any_order_and_changed_are_refused(call: str) -> None:
    ada, one, other, reference = a_wallet(20), unique("task"), unique("task"), unique("same")
    if call == "fund_many":
        make = partial(fund_many, owner=None, source=ada, reference=reference)
        named = "works"
    else:
        work = funded_work(20)
        make = partial(allocate_many, work=work, owner=None, reference=reference)
        named = "children"

    first = make(**{named: {one: 3, other: 4}})

    assert make(**{named: {other: 4, one: 3}}) == Posted(first.id, replayed=True)
    for changed in ({one: 4, other: 3}, {one: 3}, {one: 3, other: 4, unique("task"): 1}):
        with pytest.raises(ReferenceReused):
            make(**{named: changed})
    assert (escrow.held(one), escrow.held(other)) == (3, 4)


@pytest.mark.parametrize(
    ("works", "code"),
    [
        ({}, "too_few_legs"),
        ({"a": 0}, "zero_amount"),
        ({"a": 1, "b": -1}, "negative_amount"),
        ({"a": True}, "not_an_integer"),
        ({"a": 1.0}, "not_an_integer"),
        ({"a": 10**18, "b": 1}, "amount_too_large"),
    ],
)
def test_bad_amounts_for_many_works_are_named(works: dict[str, int], code: str) -> None:
    work = funded_work(10)
    calls: list[Callable[..., object]] = [
        partial(fund_many, works=works, source=a_wallet(10)),
        partial(allocate_many, work=work, children=works),
    ]

    for call in calls:
        with pytest.raises(InvalidLegs) as refusal:
            call(owner=None, reference=unique("bad"))
        assert refusal.value.code == code


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
    ada = a_wallet(10)
    calls: list[Callable[..., object]] = [
        partial(fund, work, ada, 1),
        partial(
            fund_many, works={"fine": 1, work: 1}, owner=None, source=ada, reference=unique("f")
        ),
        partial(settle_many, ends=[escrow.End(work, {})]),
    ]
    for call in calls:
        with pytest.raises(InvalidText) as refusal:
            call()
        assert refusal.value.field == "work"


def test_an_escrow_pays_accounts_that_exist_and_never_itself() -> None:
    work, ada = funded_work(10), a_wallet(10)
    held = escrow.find(work)
    assert held is not None

    with pytest.raises(UnknownAccount):
        settle(work=work, parts={AccountId(2**62): 10})
    calls: list[Callable[..., object]] = [
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


# --- The migration --------------------------------------------------------------------------------


def functions() -> dict[str, str]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT oid::regprocedure::text, pg_get_functiondef(oid) FROM pg_proc"
            " WHERE pronamespace = 'public'::regnamespace AND starts_with(proname, 'credits_')"
        )
        return dict(cursor.fetchall())


def test_the_calls_for_many_go_and_come_and_batches_are_posted_without_them() -> None:
    ada, bo = a_wallet(10), a_wallet()
    new = NewPosting(unique("old"), "transfer", [Leg(ada, -4), Leg(bo, 4)])
    with as_owner(), transaction.atomic():
        before = functions()
        call_command("migrate", "credits", "0007", verbosity=0)
        gone = before.keys() - functions().keys()

        post_many([new])
        assert balance(bo) == 4
        call_command("migrate", "credits", verbosity=0)

        assert {one.partition("(")[0] for one in gone} == {
            "credits_escrows_of",
            "credits_fund_many",
            "credits_allocate_many",
            "credits_settle_many",
            "credits_post_many",  # the one that ends escrows
            "credits_leg",  # later migrations'
            "credits_refuse_writer",
        }
        assert functions() == before
        transaction.set_rollback(True)
