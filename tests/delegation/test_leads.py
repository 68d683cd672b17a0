"""Who acts for subtasks when a lead goes, and who may not work below it (rules 7 and 15)."""

from functools import partial

import pytest

from credits import amounts
from marketplace.tasks.models import Bid, Mode, OnDecline, Source, Task
from marketplace.tasks.permissions import OwnTask
from marketplace.tasks.states import TaskState
from marketplace.tasks.usecases.cancel_task import cancel_task
from marketplace.tasks.usecases.claim_task import claim_task
from marketplace.tasks.usecases.place_bid import place_bid
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
    left,
    now,
    split,
)
from tests.builders.work import a_bid, a_task, available, gained

pytestmark = pytest.mark.django_db

MICRO = amounts.MICRO


def test_a_lead_acts_as_the_poster_then_the_poster_then_the_next_lead() -> None:
    poster, first, second = a_person(), an_agent(), an_agent()
    task = a_task_to_split(poster, first)
    (part,) = split(task)

    while_led = now(part).poster
    left(task)
    meanwhile = now(part).poster
    held(now(task), second)

    assert [while_led, meanwhile, now(part).poster] == [first, poster, second]


def test_what_a_leads_wallet_pays_stays_the_leads_and_holds_nobody_up() -> None:
    poster, first = a_person(), an_agent()
    task = a_task_to_split(poster, first)
    own, _ = split(task, an_entry("own", source=Source.WALLET), an_entry("b"))

    before = now(task).unsettled_children
    left(task)

    assert (before, now(task).unsettled_children) == (2, 1)
    assert now(own).poster == first


def test_who_acts_for_a_subtask_that_nobody_leads_acts_for_its_parts_too() -> None:
    poster, first, second = a_person(), an_agent(), an_agent()
    task = a_task_to_split(poster, first)
    (part,) = split(task, an_entry(bounty=3 * MICRO, delegation_bps=ALL))
    (leaf,) = split(held(part))
    left(part)

    by_lead = now(leaf).poster
    left(task)
    by_poster = now(leaf).poster
    held(now(task), second)

    assert (by_lead, by_poster, now(leaf).poster) == (first, poster, second)


def test_whoever_works_on_a_part_does_not_lead_the_whole() -> None:
    operator = an_agent()
    task = a_task_to_split()
    (part,) = split(task, an_entry(bounty=3 * MICRO, delegation_bps=ALL))
    (leaf,) = split(held(part))
    held(leaf, operator)
    left(task)

    for one in (operator, an_agent_of(operator)):
        with pytest.raises(OwnTask):
            claim_task(task_id=task.pk, actor=one)


def test_a_new_lead_takes_nothing_below_what_it_leads() -> None:
    task, second = a_task_to_split(), a_person()
    (part,) = split(task, an_entry(bounty=3 * MICRO, delegation_bps=ALL))
    (leaf,) = split(held(part))
    left(task)
    held(now(task), second)
    left(part)

    for one in (part, leaf):
        with pytest.raises(OwnTask):
            claim_task(task_id=one.pk, actor=an_agent_of(second))


def test_a_bid_of_somebody_who_leads_the_whole_by_now_cannot_be_selected() -> None:
    task, bidder = a_task_to_split(), an_agent()
    (part,) = split(task, an_entry(mode=Mode.BID))
    bid = a_bid(part, bidder, amount=MICRO // 2)
    left(task)
    held(now(task), bidder)
    left(task)

    with pytest.raises(OwnTask):
        select_bid(bid_id=bid.pk, actor=now(part).poster)

    assert now(part).state == TaskState.OPEN


@pytest.mark.parametrize(
    ("on_decline", "state"),
    [(OnDecline.OPEN, TaskState.OPEN), (OnDecline.CANCEL, TaskState.CANCELLED)],
)
def test_a_blocked_subtask_is_not_offered_to_who_leads_the_whole_by_now(
    on_decline: OnDecline, state: TaskState
) -> None:
    task, assignee = a_task_to_split(), an_agent()
    waits = an_entry(
        "b",
        depends_on=("a",),
        mode=Mode.DIRECT,
        assignee=assignee.handle,
        on_decline=on_decline,
    )
    first, second = split(task, an_entry("a"), waits)
    left(task)
    held(now(task), assignee)

    done(first)

    assert (now(second).state, now(second).offered_to) == (state, None)


# --- What was agreed with one worker is not paid twice --------------------------------------------


def a_task_taken_over_for_half() -> tuple[Task, Task]:
    """Return a task of 10 credits that a second lead holds for 5, and a part of the first's."""
    task = a_task(mode=Mode.BID, delegation_bps=ALL)

    def taken(amount: int) -> Task:
        bidder = an_agent()
        version = now(task).terms_version
        bid = place_bid(
            task_id=task.pk, actor=bidder, proposal="So.", amount=amount, terms_version=version
        )
        select_bid(bid_id=bid.pk, actor=task.poster)
        return claim_task(task_id=task.pk, actor=bidder)

    (part,) = split(taken(10 * MICRO), an_entry())
    left(task)
    return taken(5 * MICRO), part


def test_raising_what_an_earlier_lead_planned_is_out_of_the_leads_own_price() -> None:
    task, part = a_task_taken_over_for_half()
    lead = now(task).worker
    assert lead is not None
    before = available(now(task).poster)

    raise_task(task_id=part.pk, actor=lead, bounty=4 * MICRO)
    done(now(part))
    earned = gained(lead, partial(accepted, now(task)))

    assert earned == 2 * MICRO * 95 // 100  # 5 less the 3 that the part has more
    assert available(now(task).poster) - before == 4 * MICRO  # of 10, 1 and 5 were agreed to


def test_what_comes_back_of_an_earlier_leads_plan_raises_no_price() -> None:
    task, part = a_task_taken_over_for_half()
    lead = now(task).worker
    assert lead is not None
    held(part)
    left(part)

    cancel_task(task_id=part.pk, actor=lead)
    earned = gained(lead, partial(accepted, now(task)))

    assert earned == 5 * MICRO * 95 // 100
    assert Bid.objects.filter(task=task, state="ended").count() == 2
