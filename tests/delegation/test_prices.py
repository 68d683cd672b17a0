"""What was agreed with one worker is neither cut nor paid twice by what subtasks cost (rule 13)."""

from datetime import timedelta
from functools import partial

import pytest

from credits import amounts
from marketplace.participants.models import Participant
from marketplace.tasks import bids, permissions
from marketplace.tasks.models import Bid, Mode, Task
from marketplace.tasks.queries import viewer
from marketplace.tasks.sources import EscrowExhausted
from marketplace.tasks.states import TaskState
from marketplace.tasks.terms import InvalidTerms, TermsChanged
from marketplace.tasks.usecases.cancel_task import cancel_task
from marketplace.tasks.usecases.claim_task import claim_task
from marketplace.tasks.usecases.edit_task import edit_task
from marketplace.tasks.usecases.raise_task import raise_task
from marketplace.tasks.usecases.select_bid import select_bid
from tests.builders.people import a_person, an_agent, an_agent_of
from tests.builders.trees import (
    ALL,
    a_task_to_split,
    accepted,
    an_entry,
    done,
    held,
    in_escrow,
    lead_of,
    left,
    now,
    split,
)
from tests.builders.work import BOUNTY, a_bid, a_task, gained

pytestmark = pytest.mark.django_db

MICRO = amounts.MICRO


def offered_to(asking: Participant, task: Task) -> list[str]:
    return permissions.permitted_actions(now(task), viewer(asking))


def taken_on_a_bid(task: Task, worker: Participant, amount: int) -> Task:
    poster = now(task).poster
    select_bid(bid_id=a_bid(now(task), worker, amount=amount).pk, actor=poster)
    return claim_task(task_id=task.pk, actor=worker)


def after_an_earlier_lead(poster: Participant | None = None) -> tuple[Task, Task]:
    """Return a task that takes bids, and its part of 3 credits whose lead has left."""
    task = a_task(poster, mode=Mode.BID, delegation_bps=ALL)
    (part,) = split(taken_on_a_bid(task, an_agent(), BOUNTY), an_entry(bounty=3 * MICRO))
    return left(task), now(part)


def test_a_raise_of_a_part_takes_nothing_from_a_price_that_is_offered() -> None:
    task, part = after_an_earlier_lead()
    bid = a_bid(now(task), an_agent(), amount=7 * MICRO)
    select_bid(bid_id=bid.pk, actor=task.poster)

    with pytest.raises(EscrowExhausted) as refused:
        raise_task(task_id=part.pk, actor=task.poster, bounty=5 * MICRO)

    assert refused.value.available == 0
    assert now(task).payable == 7 * MICRO


def test_what_an_offered_price_leaves_may_go_to_a_part() -> None:
    task, part = after_an_earlier_lead()
    worker = an_agent()
    select_bid(bid_id=a_bid(now(task), worker, amount=5 * MICRO).pk, actor=task.poster)

    raise_task(task_id=part.pk, actor=task.poster, bounty=5 * MICRO)
    claim_task(task_id=task.pk, actor=worker)
    done(now(part))

    assert gained(worker, partial(accepted, now(task))) == 5 * MICRO * 95 // 100


def test_a_bid_above_what_parts_left_meanwhile_is_not_selected() -> None:
    task, part = after_an_earlier_lead()
    bid = a_bid(now(task), an_agent(), amount=7 * MICRO)
    raise_task(task_id=part.pk, actor=task.poster, bounty=5 * MICRO)

    with pytest.raises(InvalidTerms) as refused:
        select_bid(bid_id=bid.pk, actor=task.poster)

    assert (refused.value.field, refused.value.code) == ("amount", "above_bounty")
    again = Bid.objects.select_related("task").get(pk=bid.pk)
    assert "select" not in bids.permitted_actions(again, viewer(task.poster))


def test_who_read_a_task_before_a_part_was_raised_reads_it_again() -> None:
    task = a_task_to_split()
    (part,) = split(task, an_entry(bounty=3 * MICRO))
    read = left(task).terms_version

    raise_task(task_id=part.pk, actor=task.poster, bounty=9 * MICRO)

    with pytest.raises(TermsChanged):
        claim_task(task_id=task.pk, actor=an_agent(), terms_version=read)


def test_what_comes_back_of_an_earlier_leads_part_is_the_posters() -> None:
    task, part = after_an_earlier_lead()
    poster, worker = task.poster, an_agent()
    taken_on_a_bid(task, worker, 7 * MICRO)
    cancel_task(task_id=part.pk, actor=worker)

    (own,) = split(now(task), an_entry("own", bounty=3 * MICRO))
    done(own)

    paid = {"worker": 0}
    back = gained(poster, lambda: paid.update(worker=gained(worker, partial(accepted, now(task)))))
    assert paid["worker"] == 4 * MICRO * 95 // 100
    assert back == 3 * MICRO


def test_what_comes_back_of_a_part_that_its_lead_raised_is_the_leads_as_far_as_they_raised_it() -> (
    None
):
    task, part = after_an_earlier_lead()
    worker = an_agent()
    taken_on_a_bid(task, worker, 7 * MICRO)
    raise_task(task_id=part.pk, actor=worker, bounty=5 * MICRO)
    borne = now(task).payable

    cancel_task(task_id=part.pk, actor=worker)

    assert (borne, now(task).payable) == (5 * MICRO, 7 * MICRO)
    assert in_escrow(task) == BOUNTY


def test_what_comes_back_of_a_part_of_a_former_lead_is_not_the_next_leads() -> None:
    task, part = after_an_earlier_lead()
    taken_on_a_bid(task, an_agent(), 6 * MICRO)
    raise_task(task_id=part.pk, actor=lead_of(now(task)), bounty=4 * MICRO)
    left(task)

    taken_on_a_bid(task, an_agent(), 6 * MICRO)
    cancel_task(task_id=part.pk, actor=lead_of(now(task)))

    assert now(task).payable == 6 * MICRO


def test_without_a_price_the_next_lead_has_the_bounty_less_what_parts_cost_in_the_end() -> None:
    task = a_task_to_split()
    (part,) = split(task, an_entry(bounty=3 * MICRO))
    left(task)
    worker = an_agent()
    taken = held(now(task), worker).payable
    cancel_task(task_id=part.pk, actor=worker)

    paid = gained(worker, partial(accepted, now(task)))

    assert (taken, paid) == (7 * MICRO, BOUNTY * 95 // 100)


def test_a_poster_who_cancels_at_once_leaves_what_is_compensated_alone() -> None:
    task, worker = a_task_to_split(), an_agent()
    lead, poster = lead_of(task), task.poster
    (part,) = split(task)
    held(part, worker)
    cancel_task(task_id=task.pk, actor=poster, at_once=True)

    with pytest.raises(EscrowExhausted):
        raise_task(task_id=part.pk, actor=poster, bounty=BOUNTY)
    compensated = gained(lead, partial(accepted, now(part)))

    assert now(task).state == TaskState.CANCELLED
    assert compensated == 9 * MICRO // 10


def test_a_bid_without_an_amount_asks_for_what_parts_have_left() -> None:
    task, _ = after_an_earlier_lead()

    assert a_bid(now(task), amount=None).amount == BOUNTY - 3 * MICRO


# --- Limits of time -------------------------------------------------------------------------------


def test_a_deadline_leaves_the_parts_that_run_their_time() -> None:
    task = a_task_to_split()
    (part,) = split(task)
    left(task)

    with pytest.raises(InvalidTerms) as refused:
        edit_task(
            task_id=task.pk,
            actor=task.poster,
            read_version=lambda version: version > 0,
            changes={"deadline": now(part).deadline + timedelta(minutes=6)},
        )

    assert (refused.value.field, refused.value.code) == ("deadline", "before_subtasks")


# --- Who takes what is split ----------------------------------------------------------------------


def test_nobody_is_offered_a_task_on_a_part_of_which_they_work() -> None:
    task, operator = a_task_to_split(), a_person()
    (part,) = split(task)
    held(part, an_agent_of(operator))
    left(task)

    assert "claim" not in offered_to(an_agent_of(operator), task)
    assert "claim" in offered_to(an_agent(), task)
