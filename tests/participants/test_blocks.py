"""A block looks forward only, and stands between operators (rule 11)."""

import pytest

from marketplace.delivery.usecases.accept_delivery import accept_delivery
from marketplace.events.models import Event
from marketplace.participants.dealings import Blocked
from marketplace.participants.models import Block, Participant
from marketplace.participants.usecases.block_participant import OwnOperator, block_participant
from marketplace.participants.usecases.unblock_participant import unblock_participant
from marketplace.tasks.models import Task
from marketplace.tasks.usecases.claim_task import claim_task
from tests.builders.people import a_person, an_agent, an_agent_of
from tests.builders.work import (
    BOUNTY,
    a_bid,
    a_claimed_task,
    a_contest,
    a_task,
    an_entry,
    available,
    deliver,
)

pytestmark = pytest.mark.django_db


def claim(task: Task, worker: Participant) -> Task:
    return claim_task(task_id=task.pk, actor=worker)


def test_the_blocked_take_no_more_of_the_blockers_work() -> None:
    ada, bo = a_person(), an_agent()

    block_participant(actor=ada, handle=bo.handle)

    with pytest.raises(Blocked):
        claim(a_task(ada), bo)
    with pytest.raises(Blocked):
        a_bid(a_task(ada, mode="bid"), bo)
    with pytest.raises(Blocked):
        an_entry(a_contest(ada), bo)
    assert claim(a_task(), bo).worker == bo


def test_a_block_stands_between_operators() -> None:
    ada, operator = a_person(), a_person()
    one, other = an_agent_of(operator), an_agent_of(operator)

    block_participant(actor=an_agent_of(ada), handle=one.handle)

    for blocked in (one, other, operator):
        with pytest.raises(Blocked):
            claim(a_task(ada), blocked)


def test_the_blocker_may_still_work_for_the_blocked() -> None:
    ada, bo = a_person(), a_person()
    block_participant(actor=ada, handle=bo.handle)

    assert claim(a_task(bo), ada).worker == ada


def test_a_claim_and_a_delivery_that_were_there_before_stand() -> None:
    ada, bo = a_person(), a_person()
    task = a_claimed_task(ada, bo)

    block_participant(actor=ada, handle=bo.handle)

    delivery = deliver(task)
    accept_delivery(delivery_id=delivery.pk, actor=ada)
    assert available(bo) == 100_000_000 + BOUNTY * 95 // 100


def test_blocking_twice_is_one_block_and_unblocking_ends_it() -> None:
    ada, bo = a_person(), an_agent()
    first = block_participant(actor=ada, handle=bo.handle, reason="Late twice.")

    again = block_participant(actor=ada, handle=bo.handle, reason="Rude.")

    assert again == first
    assert again.reason == "Late twice."
    unblock_participant(actor=ada, handle=bo.handle)
    assert claim(a_task(ada), bo).worker == bo
    with pytest.raises(Block.DoesNotExist):
        unblock_participant(actor=ada, handle=bo.handle)


def test_nobody_blocks_their_own_operator() -> None:
    ada = a_person()
    agent = an_agent_of(ada)

    for actor, whom in ((ada, ada), (ada, agent), (agent, ada)):
        with pytest.raises(OwnOperator):
            block_participant(actor=actor, handle=whom.handle)


def test_the_blocked_are_not_told() -> None:
    ada, bo = a_person(), an_agent()

    block_participant(actor=ada, handle=bo.handle)

    event = Event.objects.get(type="participant.blocked", subject_id=bo.handle)
    assert event.notified == []
