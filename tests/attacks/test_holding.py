"""Holding what one does not work on: claims, empty heartbeats, uses that are left unpaid."""

from datetime import timedelta
from functools import partial

import pytest

from credits import amounts
from marketplace.delivery.usecases.accept_delivery import accept_delivery
from marketplace.foundation import clock
from marketplace.reuse.uses import ReleasedUsesUnpaid
from marketplace.standing.figures import records_of, standing_of
from marketplace.standing.models import Outcome, StandingRole
from marketplace.tasks.caps import ClaimCapReached
from marketplace.tasks.models import ClaimEnding, Settlement, Task
from marketplace.tasks.permissions import NotNow
from marketplace.tasks.states import TaskState
from marketplace.tasks.usecases.abandon_task import abandon_task
from marketplace.tasks.usecases.cancel_task import cancel_task
from marketplace.tasks.usecases.claim_task import claim_task
from marketplace.tasks.usecases.heartbeat import heartbeat
from marketplace.tasks.usecases.use_asset import use_asset
from tests.builders.assets import a_skill
from tests.builders.at_once import together
from tests.builders.gains import gain, wealth
from tests.builders.people import a_person, an_agent, an_agent_of
from tests.builders.work import (
    BOUNTY,
    a_claimed_task,
    a_rejected_delivery,
    a_submitted_delivery,
    a_task,
    again,
    available,
    everything_handled,
    held,
    swept,
    time_passes,
)

pytestmark = pytest.mark.django_db

MICRO = amounts.MICRO


def test_claims_that_are_only_held_fall_back_and_count_against_who_held_them() -> None:
    poster, squatter = a_person(), an_agent()
    tasks = [a_task(poster, bounty=MICRO, lease_seconds=300) for _ in range(4)]

    def hold() -> None:
        for task in tasks[:3]:
            claim_task(task_id=task.pk, actor=squatter)
        with pytest.raises(ClaimCapReached):
            claim_task(task_id=tasks[3].pk, actor=squatter)
        clock.advance(timedelta(seconds=301))

    assert gain([squatter], hold) == 0

    assert [swept(task).state for task in tasks[:3]] == [TaskState.OPEN] * 3
    assert [held(task) for task in tasks] == [MICRO] * 4
    everything_handled()
    found = records_of([squatter.pk], at=clock.now())[squatter.pk]
    assert found.outcomes[Outcome.WORKER_ABANDONED].number == 3


def test_many_agents_hold_no_more_than_their_operators_cap() -> None:
    poster, operator = a_person(), a_person()
    agents = [an_agent_of(operator) for _ in range(5)]
    claimed = 0
    for nth in range(15):
        try:
            claim_task(task_id=a_task(poster, bounty=MICRO).pk, actor=agents[nth % 5])
            claimed += 1
        except ClaimCapReached:
            continue

    assert claimed == 10


def test_empty_heartbeats_hold_a_task_to_its_deadline_and_pay_nothing() -> None:
    poster, squatter = a_person(), an_agent()
    task = a_claimed_task(poster, squatter, lease_seconds=86_400)

    def beat() -> None:
        for _ in range(7):
            clock.advance(timedelta(hours=23))
            heartbeat(task_id=task.pk, actor=squatter)
        time_passes(task, hours=8)

    assert gain([squatter], beat) == 0

    assert again(task).state == TaskState.EXPIRED
    assert available(poster) == 100 * MICRO
    everything_handled()
    found = records_of([squatter.pk], at=clock.now())[squatter.pk]
    assert found.outcomes[Outcome.WORKER_EXPIRED].number == 1


def test_a_poster_need_not_wait_for_somebody_who_only_beats() -> None:
    poster, squatter = a_person(), an_agent()
    task = a_claimed_task(poster, squatter, lease_seconds=3600)
    cancel_task(task_id=task.pk, actor=poster)

    with pytest.raises(NotNow):
        heartbeat(task_id=task.pk, actor=squatter)
    assert time_passes(task, hours=1).state == TaskState.CANCELLED

    assert (wealth(poster), wealth(squatter)) == (100 * MICRO, 100 * MICRO)


def test_a_rejected_worker_who_stays_silent_gets_nothing_and_loses_the_task() -> None:
    poster, worker = a_person(), an_agent()
    delivery = a_rejected_delivery(poster, worker)

    task = time_passes(delivery.task, hours=48, seconds=1)

    assert task.state == TaskState.OPEN
    assert delivery.task.claim is not None
    assert held(task) == BOUNTY
    assert task.claims.get().ending == ClaimEnding.ABANDONED
    assert wealth(worker) == 100 * MICRO


def test_who_leaves_claims_with_unpaid_uses_pays_before_it_may_bind_another() -> None:
    author, reader = a_person(), an_agent()
    skills = [a_skill(author, price=MICRO) for _ in range(4)]

    def read_and_leave() -> None:
        for skill in skills[:3]:
            owner, name = skill.asset.reference.split("/")
            task = a_claimed_task(worker=reader)
            use_asset(actor=reader, owner=owner, name=name, task_id=task.pk, max_charge=MICRO)
            abandon_task(task_id=task.pk, actor=reader)

    assert gain([reader], read_and_leave) == 0

    owner, name = skills[3].asset.reference.split("/")
    task = a_claimed_task(worker=reader)
    with pytest.raises(ReleasedUsesUnpaid):
        use_asset(actor=reader, owner=owner, name=name, task_id=task.pk, max_charge=MICRO)


def test_claims_at_once_while_the_cap_rises_never_pass_what_the_cap_has_risen_to() -> None:
    operator = a_person()
    agents = [an_agent_of(operator) for _ in range(5)]
    waiting = [a_submitted_delivery(a_person(), agent) for agent in agents[:3]]
    tasks = [a_task(bounty=MICRO) for _ in range(20)]
    claims = [
        partial(claim_task, task_id=task.pk, actor=agents[nth % 5])
        for nth, task in enumerate(tasks)
    ]
    accepts = [
        partial(accept_delivery, delivery_id=one.pk, actor=one.task.poster) for one in waiting
    ]

    outcomes = together([*claims, *accepts, everything_handled, everything_handled])

    everything_handled()
    refused = [one for one in outcomes if isinstance(one, ClaimCapReached)]
    held_now = Task.objects.filter(worker_operator=operator, state=TaskState.CLAIMED)
    (figure,) = standing_of([operator.pk], StandingRole.WORKER, at=clock.now()).values()
    cap = 10 + figure.points // (10 * MICRO)
    assert figure.points > 10 * MICRO  # it did rise
    assert 10 <= held_now.count() <= cap
    assert held_now.count() + len(refused) == 20
    assert all(isinstance(one, Settlement) for one in outcomes[20:23])
