import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from credits import ledger, round_trip
from credits.amounts import MAX_AMOUNT
from credits.errors import (
    AccountClosed,
    AccountNotEmpty,
    AccountStaysOpen,
    AlreadyReversed,
    BalanceTooLarge,
    InsufficientCredits,
    InvalidLegs,
    InvalidReference,
    InvalidText,
    ReferenceReused,
    UnbalancedLegs,
    UnknownAccount,
    UnknownPosting,
)
from credits.ledger import (
    FEES,
    ISSUANCE,
    MAX_LEGS,
    AccountId,
    Leg,
    NewPosting,
    Posted,
    balance,
    balances,
    close_account,
    open_account,
    post,
    post_many,
    reverse,
    statement,
)
from tests.credits.cast import a_wallet, give, pay, posting, unique

pytestmark = pytest.mark.usefixtures("db")

NOBODY = AccountId(2**62)


def closed_wallet() -> AccountId:
    wallet = a_wallet()
    with transaction.atomic():
        close_account(wallet)
    return wallet


def rooms_of(*accounts: AccountId) -> list[int]:
    """Return how many bytes of room each account still takes on its page."""
    found = round_trip.rows(
        "SELECT octet_length(coalesce(room, '')) FROM unnest(%s::bigint[]) WITH ORDINALITY"
        " AS named (account, place) JOIN credits_account ON id = account ORDER BY place",
        [list(accounts)],
    )
    return [room for (room,) in found]


# --- Posting --------------------------------------------------------------------------------------


def test_a_posting_moves_credits_between_any_number_of_accounts() -> None:
    ada, bo, cy = a_wallet(100), a_wallet(), a_wallet()

    made = posting(Leg(ada, -60), Leg(bo, 25), Leg(cy, 35))

    assert balances([ada, bo, cy]) == {ada: 40, bo: 25, cy: 35}
    assert ledger.entries_of(made.id) == [Leg(ada, -60), Leg(bo, 25), Leg(cy, 35)]


def test_a_posting_is_one_round_trip() -> None:
    ada, bo = a_wallet(10), a_wallet()

    with transaction.atomic(), CaptureQueriesContext(connection) as queries:
        post(reference=unique("one"), kind="transfer", legs=[Leg(ada, -1), Leg(bo, 1)])

    assert len(queries) == 1


def test_credits_received_in_a_transaction_can_be_spent_in_it() -> None:
    ada, bo, cy = a_wallet(5), a_wallet(), a_wallet()

    with transaction.atomic():
        pay(ada, bo, 5)
        pay(bo, cy, 5)

    assert balances([ada, bo, cy]) == {ada: 0, bo: 0, cy: 5}


def test_issuance_and_fees_are_the_sum_of_their_entries() -> None:
    ada = a_wallet(50)
    issued, fees = balance(ISSUANCE), balance(FEES)

    posting(Leg(ISSUANCE, -7), Leg(ada, 4), Leg(FEES, 3))

    assert balance(ISSUANCE) == issued - 7
    assert balance(FEES) == fees + 3


@pytest.mark.parametrize("many", [False, True])
def test_an_account_gives_its_room_back_by_its_first_posting(*, many: bool) -> None:
    ada, bo, cy = a_wallet(5), a_wallet(), a_wallet()
    new = NewPosting(unique("first"), "transfer", [Leg(ada, -1), Leg(bo, 1)])
    assert rooms_of(bo, cy) == [60, 60]

    with transaction.atomic():
        if many:
            post_many([new])
        else:
            post(reference=new.reference, kind=new.kind, legs=new.legs)

    assert rooms_of(ada, bo, cy) == [0, 0, 60]


def test_a_posting_outside_a_transaction_is_a_mistake_of_the_program() -> None:
    with pytest.raises(AssertionError, match="caller's transaction"):
        post(reference=unique("alone"), kind="t", legs=[Leg(ISSUANCE, -1), Leg(FEES, 1)])


def test_nobody_spends_what_they_do_not_have() -> None:
    ada, bo = a_wallet(10), a_wallet()

    with pytest.raises(InsufficientCredits) as refusal:
        pay(ada, bo, 11)

    assert (refusal.value.account, refusal.value.required, refusal.value.available) == (ada, 11, 10)
    assert balances([ada, bo]) == {ada: 10, bo: 0}


def test_an_account_may_be_opened_with_an_overdraft() -> None:
    with transaction.atomic():
        ada = open_account(kind="wallet", owner=uuid4(), floor=-5)
    bo = a_wallet()

    pay(ada, bo, 5)

    with pytest.raises(InsufficientCredits) as refusal:
        pay(ada, bo, 1)
    assert refusal.value.available == 0
    assert balance(ada) == -5


def test_a_refused_posting_leaves_the_transaction_usable_behind_its_savepoint() -> None:
    ada, bo = a_wallet(10), a_wallet()

    with transaction.atomic():
        with pytest.raises(InsufficientCredits):
            pay(ada, bo, 11)
        pay(ada, bo, 3)

    assert balance(bo) == 3


def test_a_reference_of_a_refused_posting_stays_free() -> None:
    ada, bo, reference = a_wallet(1), a_wallet(), unique("again")
    with pytest.raises(InsufficientCredits):
        posting(Leg(ada, -2), Leg(bo, 2), reference=reference)
    give(ada, 1)

    assert not posting(Leg(ada, -2), Leg(bo, 2), reference=reference).replayed


@pytest.mark.parametrize(
    ("amounts", "code"),
    [
        ([0, 0], "zero_amount"),
        ([1.0, -1.0], "not_an_integer"),
        ([0.5, -0.5], "not_an_integer"),
        ([True, -1], "not_an_integer"),
        (["1", "-1"], "not_an_integer"),
        ([MAX_AMOUNT + 1, -MAX_AMOUNT - 1], "amount_too_large"),
        ([10**100, -(10**100)], "amount_too_large"),
        ([MAX_AMOUNT, 1, -MAX_AMOUNT, -1], "amount_too_large"),
        ([], "too_few_legs"),
        ([1], "too_few_legs"),
        ([1] * MAX_LEGS + [-MAX_LEGS], "too_many_legs"),
    ],
)
def test_bad_amounts_are_named_before_the_database_is_asked(amounts: list[int], code: str) -> None:
    legs = [Leg(AccountId(place), amount) for place, amount in enumerate(amounts)]

    with (
        transaction.atomic(),
        CaptureQueriesContext(connection) as queries,
        pytest.raises(InvalidLegs) as refusal,
    ):
        post(reference=unique("bad"), kind="transfer", legs=legs)

    assert refusal.value.code == code
    assert len(queries) == 0


def test_an_account_is_named_once_in_a_posting() -> None:
    ada = a_wallet(10)

    with pytest.raises(InvalidLegs) as refusal:
        posting(Leg(ada, -1), Leg(ada, 1))

    assert (refusal.value.code, refusal.value.account) == ("account_twice", ada)


def test_legs_that_do_not_balance_are_refused() -> None:
    with pytest.raises(UnbalancedLegs) as refusal:
        posting(Leg(ISSUANCE, -3), Leg(FEES, 2))

    assert refusal.value.total == -1


def test_the_greatest_posting_has_as_many_legs_as_the_limit_says() -> None:
    with transaction.atomic():
        wallets = [open_account(kind="wallet", owner=uuid4()) for _ in range(MAX_LEGS - 1)]

    posting(Leg(ISSUANCE, -len(wallets)), *(Leg(wallet, 1) for wallet in wallets))

    assert set(balances(wallets).values()) == {1}


def test_an_unknown_account_is_named() -> None:
    ada = a_wallet(10)

    with pytest.raises(UnknownAccount) as refusal:
        pay(ada, NOBODY, 1)

    assert refusal.value.account == NOBODY


def test_a_closed_account_takes_nothing() -> None:
    ada, bo = a_wallet(10), closed_wallet()

    with pytest.raises(AccountClosed) as refusal:
        pay(ada, bo, 1)

    assert refusal.value.account == bo


def test_nobody_holds_more_than_the_greatest_amount() -> None:
    ada = a_wallet(MAX_AMOUNT)

    with pytest.raises(BalanceTooLarge) as refusal:
        give(ada, 1)

    assert refusal.value.account == ada
    posting(Leg(ada, -MAX_AMOUNT), Leg(ISSUANCE, MAX_AMOUNT))


@pytest.mark.parametrize(
    "reference",
    ["", "x" * 201, "x" * 1_000_000, "nul\0", "half \ud83d"],
    ids=["empty", "long", "a megabyte", "nul", "half a character"],
)
def test_a_reference_that_cannot_be_stored_is_refused(reference: str) -> None:
    with transaction.atomic(), pytest.raises(InvalidReference):
        post(reference=reference, kind="t", legs=[Leg(ISSUANCE, -1), Leg(FEES, 1)])


@pytest.mark.parametrize(
    ("field", "text"),
    [
        ("memo", "x" * 1_001),
        ("memo", "nul\0"),
        ("subject", "x" * 201),
        ("kind", ""),
        ("kind", "x" * 41),
        ("kind", "\0"),
    ],
)
def test_a_text_that_cannot_be_stored_is_refused(field: str, text: str) -> None:
    texts = {"kind": "transfer", "memo": "", "subject": "", field: text}

    with transaction.atomic(), pytest.raises(InvalidText) as refusal:
        post(reference=unique("text"), legs=[Leg(ISSUANCE, -1), Leg(FEES, 1)], **texts)

    assert refusal.value.field == field


def test_texts_of_the_greatest_length_are_stored_as_given() -> None:
    ada = a_wallet()

    with transaction.atomic():
        post(
            reference=unique("ü")[:50] + "€" * 150,
            kind="k" * 40,
            legs=[Leg(ISSUANCE, -1), Leg(ada, 1)],
            memo="\U0001f600" * 1_000,
            subject="ß" * 200,
        )

    (line,) = statement(ada, limit=10)
    assert (line.kind, line.memo, line.subject) == ("k" * 40, "\U0001f600" * 1_000, "ß" * 200)


# --- Repetition -----------------------------------------------------------------------------------


def test_the_same_request_again_returns_the_first_posting_and_writes_nothing() -> None:
    ada, bo, reference = a_wallet(10), a_wallet(), unique("twice")
    first = posting(Leg(ada, -4), Leg(bo, 4), reference=reference)

    again = posting(Leg(bo, 4), Leg(ada, -4), reference=reference)

    assert not first.replayed
    assert again == Posted(id=first.id, replayed=True)
    assert balances([ada, bo]) == {ada: 6, bo: 4}


def test_a_repetition_is_answered_although_the_credits_are_spent_by_now() -> None:
    ada, bo, reference = a_wallet(10), a_wallet(), unique("spent")
    first = posting(Leg(ada, -10), Leg(bo, 10), reference=reference)
    posting(Leg(bo, -10), Leg(ISSUANCE, 10))
    with transaction.atomic():
        close_account(bo)

    assert posting(Leg(ada, -10), Leg(bo, 10), reference=reference) == Posted(first.id, True)  # noqa: FBT003


@pytest.mark.parametrize("differs", ["amount", "kind", "memo", "subject"])
def test_another_request_under_the_same_reference_is_refused(differs: str) -> None:
    ada, bo, reference = a_wallet(10), a_wallet(), unique("other")
    request = {"kind": "transfer", "memo": "m", "subject": "s"}
    with transaction.atomic():
        first = post(reference=reference, legs=[Leg(ada, -4), Leg(bo, 4)], **request)
    amount = 5 if differs == "amount" else 4
    if differs != "amount":
        request[differs] = "else"

    with pytest.raises(ReferenceReused) as refusal, transaction.atomic():
        post(reference=reference, legs=[Leg(ada, -amount), Leg(bo, amount)], **request)

    assert (refusal.value.reference, refusal.value.posting) == (reference, first.id)
    assert balance(bo) == 4


# --- Batches --------------------------------------------------------------------------------------


def transfer(source: AccountId, target: AccountId, amount: int, reference: str = "") -> NewPosting:
    return NewPosting(
        reference=reference or unique("batch"),
        kind="transfer",
        legs=[Leg(source, -amount), Leg(target, amount)],
    )


def batch(*postings: NewPosting) -> list[Posted]:
    with transaction.atomic():
        return post_many(postings)


def test_a_batch_is_as_if_its_postings_came_one_after_the_other() -> None:
    ada, bo, cy = a_wallet(10), a_wallet(), a_wallet()
    fees = balance(FEES)

    made = batch(transfer(ada, bo, 10), transfer(bo, cy, 7), transfer(bo, FEES, 1))

    assert balances([ada, bo, cy, FEES]) == {ada: 0, bo: 2, cy: 7, FEES: fees + 1}
    assert [(line.amount, line.balance_after, line.seq) for line in statement(bo, limit=9)] == [
        (-1, 2, 3),
        (-7, 3, 2),
        (10, 10, 1),
    ]
    assert [line.posting_id for line in statement(bo, limit=9)] == [one.id for one in made][::-1]


def test_a_batch_keeps_every_floor_after_every_posting() -> None:
    ada, bo = a_wallet(10), a_wallet()

    with pytest.raises(InsufficientCredits) as refusal:
        batch(transfer(bo, ada, 3), transfer(ada, bo, 3))

    assert (refusal.value.account, refusal.value.required, refusal.value.available) == (bo, 3, 0)


def test_a_batch_is_all_or_nothing() -> None:
    ada, bo = a_wallet(10), a_wallet()

    with pytest.raises(UnknownAccount):
        batch(transfer(ada, bo, 3), transfer(ada, NOBODY, 3))

    assert balances([ada, bo]) == {ada: 10, bo: 0}


def test_a_batch_replays_what_it_repeats_and_posts_the_rest() -> None:
    ada, bo = a_wallet(10), a_wallet()
    old, new = transfer(ada, bo, 1), transfer(ada, bo, 2)
    (first,) = batch(old)

    again, fresh, twice = batch(old, new, new)

    assert again == Posted(id=first.id, replayed=True)
    assert twice == Posted(id=fresh.id, replayed=True)
    assert not fresh.replayed
    assert balance(bo) == 3


def test_a_batch_and_a_posting_know_each_others_references() -> None:
    ada, bo, reference = a_wallet(10), a_wallet(), unique("either")
    first = posting(Leg(ada, -1), Leg(bo, 1), reference=reference)

    assert batch(transfer(ada, bo, 1, reference)) == [Posted(id=first.id, replayed=True)]
    with pytest.raises(ReferenceReused):
        batch(transfer(ada, bo, 2, reference))


def test_a_batch_has_a_greatest_size_and_may_be_empty() -> None:
    assert batch() == []
    with pytest.raises(InvalidLegs) as refusal:
        batch(*[transfer(ISSUANCE, FEES, 1)] * (ledger.MAX_POSTINGS + 1))
    assert refusal.value.code == "too_many_postings"
    with pytest.raises(InvalidLegs) as refusal:
        batch(transfer(ISSUANCE, FEES, MAX_AMOUNT), transfer(ISSUANCE, FEES, 1))
    assert refusal.value.code == "amount_too_large"


# --- Reversal -------------------------------------------------------------------------------------


def reversing(made: Posted, reference: str = "", memo: str = "") -> Posted:
    with transaction.atomic():
        return reverse(made.id, reference=reference or unique("reversal"), memo=memo)


def test_a_reversal_turns_every_sign_and_says_so() -> None:
    ada, bo = a_wallet(10), a_wallet()
    made = pay(ada, bo, 4)

    taken_back = reversing(made, memo="sent in error")

    assert balances([ada, bo]) == {ada: 10, bo: 0}
    assert ledger.entries_of(taken_back.id) == [Leg(ada, 4), Leg(bo, -4)]
    assert (statement(bo, limit=1)[0].kind, statement(bo, limit=1)[0].memo) == (
        "reversal",
        "sent in error",
    )


def test_a_posting_is_reversed_once() -> None:
    ada, bo = a_wallet(10), a_wallet(10)
    made, reference = pay(ada, bo, 4), unique("once")
    first = reversing(made, reference)

    assert reversing(made, reference) == Posted(id=first.id, replayed=True)
    with pytest.raises(AlreadyReversed):
        reversing(made)


def test_what_has_been_spent_cannot_be_reversed() -> None:
    ada, bo, cy = a_wallet(10), a_wallet(), a_wallet()
    made = pay(ada, bo, 4)
    pay(bo, cy, 1)

    with pytest.raises(InsufficientCredits) as refusal:
        reversing(made)

    assert (refusal.value.account, refusal.value.required, refusal.value.available) == (bo, 4, 3)


def test_an_unknown_posting_cannot_be_reversed_or_shown() -> None:
    nothing = Posted(id=uuid4(), replayed=False)

    with pytest.raises(UnknownPosting) as refusal:
        reversing(nothing)

    assert refusal.value.posting == nothing.id
    with pytest.raises(UnknownPosting):
        ledger.entries_of(nothing.id)


# --- Accounts -------------------------------------------------------------------------------------


@pytest.mark.parametrize("owner", [uuid4(), None])
def test_opening_an_account_again_returns_it(owner: object) -> None:
    reference = unique("pocket")

    def opened(name: str = reference) -> AccountId:
        with transaction.atomic():
            return open_account(kind="wallet", owner=owner, reference=name)  # type: ignore[arg-type]

    assert opened() == opened()
    assert opened() != opened(unique("other"))
    assert ledger.find_account(kind="wallet", owner=owner, reference=reference) == opened()  # type: ignore[arg-type]
    assert ledger.find_account(kind="pending", owner=owner, reference=reference) is None  # type: ignore[arg-type]


def test_an_account_that_was_closed_is_followed_by_a_new_one() -> None:
    owner = uuid4()
    with transaction.atomic():
        first = open_account(kind="wallet", owner=owner)
        close_account(first)
        close_account(first)
        second = open_account(kind="wallet", owner=owner)

    assert second != first
    assert ledger.find_account(kind="wallet", owner=owner) == second


def test_only_an_empty_stored_account_can_be_closed() -> None:
    ada = a_wallet(3)

    with pytest.raises(AccountNotEmpty) as not_empty, transaction.atomic():
        close_account(ada)
    with pytest.raises(UnknownAccount), transaction.atomic():
        close_account(NOBODY)
    with pytest.raises(AccountStaysOpen), transaction.atomic():
        close_account(FEES)

    assert (not_empty.value.account, not_empty.value.balance) == (ada, 3)


@pytest.mark.parametrize("floor", [1, -MAX_AMOUNT - 1])
def test_a_floor_is_zero_or_a_bounded_overdraft(floor: int) -> None:
    with transaction.atomic(), pytest.raises(ValueError, match="floor"):
        open_account(kind="wallet", owner=uuid4(), floor=floor)


def test_the_position_of_an_owner_sums_open_accounts_by_kind() -> None:
    owner = uuid4()
    with transaction.atomic():
        for kind, reference, amount in [
            ("wallet", "", 5),
            ("pending", "a", 2),
            ("pending", "b", 3),
        ]:
            give(open_account(kind=kind, owner=owner, reference=reference), amount)
        close_account(open_account(kind="pending", owner=owner, reference="c"))

    assert ledger.position(owner) == {"wallet": 5, "pending": 5}
    assert ledger.held_by(owner, "pending") == 5
    assert ledger.held_by(owner, "escrow") == 0
    assert ledger.position(uuid4()) == {}


@pytest.mark.parametrize(
    "ask",
    [
        balance,
        lambda account: statement(account, limit=1),
        lambda account: ledger.balance_at(account, datetime.now(UTC)),
    ],
)
def test_reading_an_unknown_account_is_an_error(ask: Callable[[AccountId], object]) -> None:
    with pytest.raises(UnknownAccount):
        ask(NOBODY)


# --- Statements -----------------------------------------------------------------------------------


def test_a_statement_is_newest_first_with_running_balances() -> None:
    ada, bo = a_wallet(10), a_wallet()
    pay(ada, bo, 3)
    pay(bo, ada, 1)

    assert [(line.amount, line.balance_after, line.seq) for line in statement(ada, limit=10)] == [
        (1, 8, 3),
        (-3, 7, 2),
        (10, 10, 1),
    ]


def test_paging_a_statement_neither_skips_nor_repeats_while_lines_arrive() -> None:
    ada = a_wallet()
    for amount in range(1, 8):
        give(ada, amount)
    seen: list[int] = []
    before = None

    while page := statement(ada, limit=2, before=before):
        seen += [line.amount for line in page]
        before = page[-1].seq
        give(ada, 100)

    assert seen == [7, 6, 5, 4, 3, 2, 1]


def test_a_statement_is_one_query_whatever_it_filters() -> None:
    ada = a_wallet(5)
    (line,) = statement(ada, limit=1)

    with CaptureQueriesContext(connection) as queries:
        statement(
            ada,
            limit=5,
            before=9,
            kinds=["grant"],
            since=line.created_at,
            until=line.created_at + timedelta(days=1),
        )

    assert len(queries) == 1


def test_a_statement_filters_by_kind_and_time() -> None:
    ada, bo = a_wallet(10), a_wallet()
    for _ in range(5):
        pay(ada, bo, 1)
    lines = statement(ada, limit=100)
    middle = lines[2].created_at

    assert [line.kind for line in statement(ada, limit=100, kinds=["grant", "x"])] == ["grant"]
    assert statement(ada, limit=100, kinds=[]) == []
    assert statement(ada, limit=100, since=middle) == lines[:3]
    assert statement(ada, limit=100, until=middle) == lines[3:]
    assert statement(ada, limit=100, since=middle, until=lines[0].created_at) == lines[1:3]
    assert statement(ada, limit=100, since=lines[0].created_at + timedelta(seconds=1)) == []


def test_the_balance_at_an_instant_is_what_the_lines_until_then_left() -> None:
    ada, bo = a_wallet(10), a_wallet()
    for _ in range(6):
        pay(ada, bo, 1)
    tick = timedelta(microseconds=1)

    for line in statement(ada, limit=100):
        assert ledger.balance_at(ada, line.created_at) == line.balance_after
        assert ledger.balance_at(ada, line.created_at - tick) == line.balance_after - line.amount


def test_the_balance_of_a_derived_account_at_an_instant_adds_up_to_it() -> None:
    ada = a_wallet(10)
    before = balance(FEES)
    pay(ada, FEES, 2)
    (line, _) = statement(ada, limit=2)
    pay(ada, FEES, 3)

    assert ledger.balance_at(FEES, line.created_at + timedelta(days=1)) == before + 5
    assert ledger.balance_at(FEES, line.created_at - timedelta(days=365)) == 0


def test_a_derived_account_shows_a_line_once_no_older_transaction_runs() -> None:
    ada = a_wallet(10)
    earlier = pay(ada, FEES, 1)
    with transaction.atomic():
        made = pay(ada, FEES, 2)
        # Its own transaction still runs, so what sorts before it may still commit.
        assert made.id not in [line.posting_id for line in statement(FEES, limit=1_000)]

    # Every transaction of the server counts, those of tests beside this one too.
    latest = time.monotonic() + 20
    newest = statement(FEES, limit=2)
    while made.id not in [line.posting_id for line in newest] and time.monotonic() < latest:
        time.sleep(0.02)
        newest = statement(FEES, limit=2)

    assert [line.posting_id for line in newest] == [made.id, earlier.id]
    assert newest[0].balance_after == balance(FEES)
    assert statement(FEES, limit=1, before=newest[0].seq) == newest[1:]
    assert statement(FEES, limit=1, kinds=["nothing"]) == []


@pytest.mark.parametrize("limit", [0, -1, ledger.MAX_LINES + 1])
def test_a_page_has_a_bounded_number_of_lines(limit: int) -> None:
    with pytest.raises(ValueError, match="page"):
        statement(FEES, limit=limit)
