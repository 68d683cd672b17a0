"""Bids: a price is agreed before the work, and what is agreed is what is paid."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from credits import amounts
from marketplace.events.models import Event
from marketplace.foundation import clock
from marketplace.participants.models import Participant
from marketplace.tasks import bids
from marketplace.tasks.bids import BidChanged, CountersExhausted, LiveBidExists
from marketplace.tasks.models import Bid, Mode, Settlement, Task
from marketplace.tasks.permissions import NotNow, OwnTask
from marketplace.tasks.queries import viewer
from marketplace.tasks.states import IllegalTransition, NotPermitted, TaskState
from marketplace.tasks.terms import InvalidTerms, TermsChanged
from marketplace.tasks.usecases.abandon_task import abandon_task
from marketplace.tasks.usecases.cancel_task import cancel_task
from marketplace.tasks.usecases.claim_task import claim_task
from marketplace.tasks.usecases.counter_bid import counter_bid
from marketplace.tasks.usecases.decline_task import decline_task
from marketplace.tasks.usecases.edit_task import edit_task
from marketplace.tasks.usecases.raise_task import raise_task
from marketplace.tasks.usecases.select_bid import select_bid
from marketplace.tasks.usecases.use_asset import use_asset
from marketplace.tasks.usecases.withdraw_bid import withdraw_bid
from tests.builders.assets import a_skill
from tests.builders.people import a_person, an_agent, an_agent_of
from tests.builders.work import (
    BOUNTY,
    a_bid,
    a_selected_bid,
    a_task,
    a_task_held_on_a_bid,
    again,
    available,
    deliver,
    held,
    time_passes,
)

pytestmark = pytest.mark.django_db

MICRO = amounts.MICRO
GRANT = 100 * MICRO


def as_it_is(bid: Bid) -> Bid:
    return Bid.objects.select_related("task", "bidder").get(pk=bid.pk)


def edited(task: Task) -> Task:
    return edit_task(
        task_id=task.pk,
        actor=task.poster,
        changes={"description": "In dollars."},
        read_version=lambda _: True,
    )


# --- From a bid to its payment --------------------------------------------------------------------


def test_the_bid_is_what_is_paid_and_the_rest_of_the_bounty_is_refunded() -> None:
    ada, bo = a_person(), an_agent()
    bid = a_selected_bid(ada, bo, amount=4 * MICRO)
    assert again(bid.task).state == TaskState.OFFERED
    assert held(bid.task) == BOUNTY

    task = claim_task(task_id=bid.task_id, actor=bo)
    delivery = deliver(task)
    time_passes(delivery.task, hours=73)

    settlement = Settlement.objects.get(task=task)
    assert (settlement.bounty, settlement.wages, settlement.fee) == (BOUNTY, 3_800_000, 200_000)
    assert settlement.refund == 6 * MICRO
    assert (available(bo), available(ada)) == (GRANT + 3_800_000, GRANT - 4 * MICRO)
    assert as_it_is(bid).state == "ended"


def test_cancelling_at_once_compensates_out_of_the_bid() -> None:
    ada, bo = a_person(), an_agent()
    task = a_task_held_on_a_bid(ada, bo, amount=4 * MICRO)

    cancel_task(task_id=task.pk, actor=ada, at_once=True)

    assert (available(bo), available(ada)) == (GRANT + 400_000, GRANT - 400_000)


def test_reuse_is_capped_by_the_bid() -> None:
    bo, skill = an_agent(), a_skill(price=MICRO)
    task = a_task_held_on_a_bid(None, bo, amount=4 * MICRO)
    owner, name = skill.asset.reference.split("/")

    with pytest.raises(Exception, match="passes the cap of 800000"):
        use_asset(actor=bo, owner=owner, name=name, task_id=task.pk, max_charge=MICRO)


def test_the_price_holds_until_the_claim_ends() -> None:
    bo, cy = an_agent(), an_agent()
    task = a_task_held_on_a_bid(None, bo, amount=4 * MICRO)
    assert (again(task).priced, again(task).bounty) == (4 * MICRO, BOUNTY)
    other = Bid.objects.get(task=task)

    abandon_task(task_id=task.pk, actor=bo)

    assert (again(task).state, again(task).priced) == (TaskState.OPEN, BOUNTY)
    assert as_it_is(other).state == "ended"
    second = a_bid(again(task), cy, amount=5 * MICRO)
    select_bid(bid_id=second.pk, actor=task.poster)
    assert again(task).priced == 5 * MICRO


def test_raising_the_bounty_raises_the_price_of_whoever_works_by_as_much() -> None:
    ada, bo = a_person(), an_agent()
    task = a_task_held_on_a_bid(ada, bo, amount=4 * MICRO)

    raised = raise_task(task_id=task.pk, actor=ada, bounty=BOUNTY + MICRO)

    assert (raised.bounty, raised.priced, held(task)) == (BOUNTY + MICRO, 5 * MICRO, BOUNTY + MICRO)


# --- Dealing about it -----------------------------------------------------------------------------


def test_a_selection_offers_the_latest_word_of_either_side() -> None:
    ada, bo = a_person(), an_agent()
    bid = a_bid(a_task(ada, mode=Mode.BID), bo, amount=8 * MICRO)

    counter_bid(bid_id=bid.pk, actor=ada, amount=4 * MICRO, note="Half.")
    counter_bid(bid_id=bid.pk, actor=bo, amount=6 * MICRO)
    select_bid(bid_id=bid.pk, actor=ada)

    assert again(bid.task).priced == 6 * MICRO
    assert [one.amount for one in bid.counters.all()] == [4 * MICRO, 6 * MICRO]


def test_a_poster_may_offer_its_own_counter_and_the_bidder_need_not_take_it() -> None:
    ada, bo = a_person(), an_agent()
    bid = a_bid(a_task(ada, mode=Mode.BID), bo, amount=8 * MICRO)
    counter_bid(bid_id=bid.pk, actor=ada, amount=MICRO)
    select_bid(bid_id=bid.pk, actor=ada)

    declined = decline_task(task_id=bid.task_id, actor=bo, reason="Too little.")

    assert (declined.state, declined.priced) == (TaskState.OPEN, BOUNTY)
    assert as_it_is(bid).state == "declined"


def test_a_selection_of_another_amount_than_was_read_is_refused() -> None:
    bid = a_bid(amount=4 * MICRO)
    counter_bid(bid_id=bid.pk, actor=bid.bidder, amount=9 * MICRO)

    with pytest.raises(BidChanged) as refusal:
        select_bid(bid_id=bid.pk, actor=bid.task.poster, amount=4 * MICRO)

    assert refusal.value.amount == 9 * MICRO
    assert again(bid.task).state == TaskState.OPEN


def test_counters_come_to_an_end() -> None:
    bid = a_bid()
    for _ in range(bids.MOST_COUNTERS):
        counter_bid(bid_id=bid.pk, actor=bid.bidder, amount=MICRO)

    with pytest.raises(CountersExhausted):
        counter_bid(bid_id=bid.pk, actor=bid.task.poster, amount=MICRO)


@pytest.mark.parametrize("amount", [BOUNTY + 1, 9_999])
def test_a_bid_lies_between_the_least_bounty_and_the_tasks(amount: int) -> None:
    bid = a_bid(amount=None)
    assert bid.amount == BOUNTY

    with pytest.raises(InvalidTerms):
        a_bid(a_task(mode=Mode.BID), amount=amount)
    with pytest.raises(InvalidTerms):
        counter_bid(bid_id=bid.pk, actor=bid.bidder, amount=amount)


def test_an_operator_has_one_live_bid_on_a_task() -> None:
    operator, task = a_person(), a_task(mode=Mode.BID)
    first = a_bid(task, an_agent_of(operator))

    with pytest.raises(LiveBidExists) as refusal:
        a_bid(task, an_agent_of(operator))

    assert refusal.value.bid == first.public_id
    withdraw_bid(bid_id=first.pk, actor=first.bidder)
    assert a_bid(task, operator).state == "open"


def test_nobody_bids_on_work_of_their_own_operator() -> None:
    ada = a_person()
    task = a_task(ada, mode=Mode.BID)

    for own in (ada, an_agent_of(ada)):
        with pytest.raises(OwnTask):
            a_bid(task, own)


# --- Terms that change ----------------------------------------------------------------------------


def test_a_bid_on_terms_that_were_edited_since_is_refused() -> None:
    task = a_task(mode=Mode.BID)
    stale = Task.objects.get(pk=task.pk)
    edited(task)

    with pytest.raises(TermsChanged) as refusal:
        a_bid(stale)

    assert refusal.value.terms_version == 2


def test_a_bid_that_an_edit_made_stale_is_not_selected_until_its_bidder_answers_it() -> None:
    bid = a_bid(amount=4 * MICRO)
    ada = bid.task.poster
    edited(bid.task)

    dealings: list[Callable[[], object]] = [
        lambda: select_bid(bid_id=bid.pk, actor=ada),
        lambda: counter_bid(bid_id=bid.pk, actor=ada, amount=MICRO),
        lambda: counter_bid(bid_id=bid.pk, actor=bid.bidder, amount=MICRO),
        lambda: counter_bid(bid_id=bid.pk, actor=bid.bidder, amount=MICRO, terms_version=1),
    ]
    for dealing in dealings:
        with pytest.raises(TermsChanged):
            dealing()
    counter_bid(bid_id=bid.pk, actor=bid.bidder, amount=5 * MICRO, terms_version=2)

    select_bid(bid_id=bid.pk, actor=ada)
    assert again(bid.task).priced == 5 * MICRO


def test_a_raise_takes_nothing_from_a_bid_and_so_leaves_it_standing() -> None:
    bid = a_bid(amount=4 * MICRO)
    raise_task(task_id=bid.task_id, actor=bid.task.poster, bounty=BOUNTY + MICRO)

    select_bid(bid_id=bid.pk, actor=bid.task.poster)

    assert again(bid.task).priced == 4 * MICRO


def test_the_terms_are_frozen_while_somebody_is_offered_the_task() -> None:
    bid = a_selected_bid()

    with pytest.raises(IllegalTransition):
        edited(again(bid.task))


# --- Offers that come to nothing ------------------------------------------------------------------


def test_an_offer_that_nobody_answers_lapses_and_the_task_is_open_again() -> None:
    bid = a_selected_bid()

    assert time_passes(bid.task, hours=23).state == TaskState.OFFERED
    task = time_passes(bid.task, hours=2)

    assert (task.state, task.priced) == (TaskState.OPEN, BOUNTY)
    assert as_it_is(bid).state == "lapsed"
    with pytest.raises(NotNow, match="claim is not possible") as refusal:
        claim_task(task_id=task.pk, actor=bid.bidder)
    assert refusal.value.rule == "wrong_mode"


def test_or_it_is_cancelled_where_its_poster_chose_that() -> None:
    ada = a_person()
    bid = a_selected_bid(ada, on_decline="cancel")

    task = time_passes(bid.task, hours=25)

    assert (task.state, available(ada)) == (TaskState.CANCELLED, GRANT)
    assert as_it_is(bid).state == "lapsed"


def test_an_offer_ends_with_the_deadline_and_the_task_with_it() -> None:
    ada = a_person()
    bid = a_selected_bid(ada, deadline=clock.now() + timedelta(minutes=10))

    task = time_passes(bid.task, minutes=11)

    assert (task.state, available(ada)) == (TaskState.EXPIRED, GRANT)


def test_bids_end_with_their_task() -> None:
    bid = a_bid()
    other = a_bid(bid.task)

    cancel_task(task_id=bid.task_id, actor=bid.task.poster)

    assert as_it_is(bid).state == as_it_is(other).state == "ended"


def test_a_task_that_takes_bids_is_not_claimed_without_one() -> None:
    task = a_task(mode=Mode.BID)

    with pytest.raises(NotNow) as refusal:
        claim_task(task_id=task.pk, actor=an_agent())

    assert (refusal.value.rule, refusal.value.state) == ("wrong_mode", "open")


def test_and_a_task_that_takes_none_is_not_bid_for() -> None:
    with pytest.raises(NotNow) as refusal:
        a_bid(a_task())

    assert refusal.value.rule == "wrong_mode"


# --- Whose move it is -----------------------------------------------------------------------------

Move = Callable[[Bid, Participant], object]
MOVES: dict[str, Move] = {
    "counter": lambda bid, actor: counter_bid(bid_id=bid.pk, actor=actor, amount=MICRO),
    "select": lambda bid, actor: select_bid(bid_id=bid.pk, actor=actor),
    "withdraw": lambda bid, actor: withdraw_bid(bid_id=bid.pk, actor=actor),
}


def _stale() -> Bid:
    bid = a_bid()
    edited(bid.task)
    return bid


def _waiting() -> Bid:
    bid = a_bid()
    taken = a_bid(bid.task)
    select_bid(bid_id=taken.pk, actor=bid.task.poster)
    claim_task(task_id=bid.task_id, actor=taken.bidder)
    return bid


def _withdrawn() -> Bid:
    bid = a_bid()
    return withdraw_bid(bid_id=bid.pk, actor=bid.bidder)


def _ended() -> Bid:
    bid = a_bid()
    cancel_task(task_id=bid.task_id, actor=bid.task.poster)
    return bid


SITUATIONS: dict[str, tuple[Callable[[], Bid], dict[str, set[str]]]] = {
    "open": (a_bid, {"ada": {"counter", "select"}, "bo": {"counter", "withdraw"}}),
    "stale": (_stale, {"bo": {"counter", "withdraw"}}),
    "selected": (a_selected_bid, {}),
    "waiting while another works": (_waiting, {"bo": {"withdraw"}}),
    "withdrawn": (_withdrawn, {}),
    "ended": (_ended, {}),
}


@pytest.mark.parametrize("situation", SITUATIONS)
def test_what_is_offered_about_a_bid_is_what_works(situation: str) -> None:
    build, expected = SITUATIONS[situation]
    bid = as_it_is(build())
    cast = {"ada": bid.task.poster, "bo": bid.bidder}

    offered = {name: set(bids.permitted_actions(bid, viewer(one))) for name, one in cast.items()}

    assert {name: verbs for name, verbs in offered.items() if verbs} == expected
    for name, one in cast.items():
        for verb in MOVES.keys() - offered[name]:
            if (situation, name, verb) == ("stale", "ada", "select"):
                continue  # refused with the new terms, above
            with pytest.raises((IllegalTransition, NotPermitted, TermsChanged)):
                MOVES[verb](bid, one)


@pytest.mark.parametrize("verb", MOVES)
def test_a_bid_does_not_exist_for_others_than_its_two_sides(verb: str) -> None:
    bid = a_bid()
    another_bidder = a_bid(bid.task).bidder

    for stranger in (a_person(), another_bidder):
        with pytest.raises(Bid.DoesNotExist):
            MOVES[verb](bid, stranger)


def test_an_overdue_task_offers_nothing_about_its_bids() -> None:
    bid = a_bid(a_task(mode=Mode.BID, deadline=clock.now() + timedelta(minutes=6)))
    clock.advance(timedelta(minutes=7))

    assert bids.permitted_actions(as_it_is(bid), viewer(bid.bidder)) == []


def test_whoever_is_concerned_reads_of_it() -> None:
    bid = a_selected_bid()

    placed = Event.objects.get(subject_id=bid.public_id, type="bid.placed")
    offered = Event.objects.get(subject_id=bid.task.public_id, type="task.offered")

    assert placed.notified == [bid.task.poster_id]
    assert offered.notified == [bid.bidder_id]
    assert offered.data["amount"] == "4"
