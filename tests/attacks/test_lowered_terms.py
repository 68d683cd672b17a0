"""Lowering terms after others have answered them: under bids, in contests, by raising."""

from datetime import timedelta

import pytest

from credits import amounts
from marketplace.tasks.permissions import NotNow
from marketplace.tasks.states import IllegalTransition
from marketplace.tasks.terms import InvalidTerms, TermsChanged
from marketplace.tasks.usecases.claim_task import claim_task
from marketplace.tasks.usecases.counter_bid import counter_bid
from marketplace.tasks.usecases.decline_task import decline_task
from marketplace.tasks.usecases.edit_task import edit_task
from marketplace.tasks.usecases.place_bid import place_bid
from marketplace.tasks.usecases.raise_task import raise_task
from marketplace.tasks.usecases.select_bid import select_bid
from tests.builders.gains import wealth
from tests.builders.people import a_person, an_agent
from tests.builders.work import (
    BOUNTY,
    a_bid,
    a_contest,
    a_selected_bid,
    a_task,
    again,
    an_entry,
    available,
    closed,
    deliver,
    held,
    time_passes,
)

pytestmark = pytest.mark.django_db

MICRO = amounts.MICRO
GRANT = 100 * MICRO
LOWER = (
    {"bounty": MICRO},
    {"requirements": ["And all of it by hand."]},
    {"description": "Something much larger."},
)


def edit(task_id: object, poster: object, changes: dict[str, object]) -> None:
    edit_task(task_id=task_id, actor=poster, changes=changes, read_version=lambda _: True)  # type: ignore[arg-type]


@pytest.mark.parametrize("lower", LOWER, ids=lambda one: next(iter(one)))
def test_a_bid_on_terms_that_were_lowered_binds_nobody(lower: dict[str, object]) -> None:
    poster, bidder = a_person(), an_agent()
    task = a_task(poster, mode="bid")
    bid = a_bid(task, bidder, amount=4 * MICRO)
    edit(task.pk, poster, lower)

    with pytest.raises(TermsChanged):
        select_bid(bid_id=bid.pk, actor=poster)
    with pytest.raises(TermsChanged):
        counter_bid(bid_id=bid.pk, actor=poster, amount=2 * MICRO)
    with pytest.raises(TermsChanged):  # nor may a bid answer what its bidder read before
        place_bid(task_id=task.pk, actor=an_agent(), proposal="x", terms_version=1)

    assert wealth(bidder) == GRANT


def test_terms_are_not_lowered_between_a_selection_and_its_answer() -> None:
    poster, bidder = a_person(), an_agent()
    bid = a_selected_bid(poster, bidder, amount=4 * MICRO)

    for lower in LOWER:
        with pytest.raises(IllegalTransition):
            edit(bid.task_id, poster, dict(lower))
    with pytest.raises(IllegalTransition):
        counter_bid(bid_id=bid.pk, actor=poster, amount=MICRO)
    claim_task(task_id=bid.task_id, actor=bidder)
    time_passes(deliver(again(bid.task)).task, hours=73)

    assert available(bidder) == GRANT + 4 * MICRO * 95 // 100
    assert available(poster) == GRANT - 4 * MICRO


def test_a_counter_offer_that_lowers_the_price_binds_only_who_takes_it() -> None:
    poster, bidder = a_person(), an_agent()
    task = a_task(poster, mode="bid")
    bid = a_bid(task, bidder, amount=4 * MICRO)
    counter_bid(bid_id=bid.pk, actor=poster, amount=MICRO)
    select_bid(bid_id=bid.pk, actor=poster)

    decline_task(task_id=task.pk, actor=bidder)

    assert wealth(bidder) == GRANT
    assert held(task) == BOUNTY


@pytest.mark.parametrize("lower", LOWER, ids=lambda one: next(iter(one)))
def test_the_terms_of_a_contest_are_not_lowered_once_somebody_has_entered(
    lower: dict[str, object],
) -> None:
    poster, entrant = a_person(), an_agent()
    contest = a_contest(poster, runner_up_bps=2_000)
    an_entry(contest, entrant)

    with pytest.raises(NotNow):
        edit(contest.pk, poster, lower)
    for less in (MICRO, BOUNTY):
        with pytest.raises(InvalidTerms):
            raise_task(task_id=contest.pk, actor=poster, bounty=less)
    with pytest.raises(InvalidTerms):  # an earlier deadline, before others can enter
        raise_task(task_id=contest.pk, actor=poster, deadline=contest.deadline - timedelta(hours=1))

    task = closed(contest)
    for _ in range(12):
        task = time_passes(task, days=4)
    assert task.is_ended
    assert available(poster) == GRANT - BOUNTY
    assert available(entrant) == GRANT + BOUNTY * 95 // 100
