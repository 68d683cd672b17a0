"""Rivals on one task: real threads, real commits."""

from collections import Counter
from datetime import timedelta
from functools import partial

import pytest

from marketplace.delivery.usecases.accept_delivery import accept_delivery
from marketplace.delivery.usecases.conclude_checks import conclude_checks
from marketplace.delivery.usecases.reject_delivery import reject_delivery
from marketplace.foundation import clock
from marketplace.tasks import deadlines
from marketplace.tasks.caps import ClaimCapReached
from marketplace.tasks.models import Claim, Settlement, Task
from marketplace.tasks.states import IllegalTransition, TaskState
from marketplace.tasks.usecases.abandon_task import abandon_task
from marketplace.tasks.usecases.cancel_task import cancel_task
from marketplace.tasks.usecases.claim_task import claim_task
from marketplace.tasks.usecases.edit_task import edit_task
from tests.builders.at_once import together
from tests.builders.people import a_person, an_agent, an_agent_of
from tests.builders.work import (
    BOUNTY,
    a_claimed_task,
    a_submitted_delivery,
    a_task,
    again,
    an_exact_check,
    available,
    everything_handled,
    held,
)

pytestmark = pytest.mark.django_db
MICRO = 1_000_000


def kinds(outcomes: list[object]) -> Counter[str]:
    return Counter(type(outcome).__name__ for outcome in outcomes)


def test_of_twenty_simultaneous_claims_one_wins() -> None:
    task = a_task()
    agents = [an_agent() for _ in range(20)]

    outcomes = together([partial(claim_task, task_id=task.pk, actor=one) for one in agents])

    assert kinds(outcomes) == {"Task": 1, "IllegalTransition": 19}
    assert Claim.objects.filter(task=task).count() == 1
    assert again(task).worker in agents


def test_twenty_simultaneous_accepts_settle_once() -> None:
    poster, worker = a_person(), an_agent()
    delivery = a_submitted_delivery(poster, worker)
    accept = partial(accept_delivery, delivery_id=delivery.pk, actor=poster)

    outcomes = together([accept] * 20)

    assert kinds(outcomes) == {"Settlement": 1, "IllegalTransition": 19}
    assert held(delivery.task) == 0
    assert available(worker) == 100 * MICRO + BOUNTY * 95 // 100
    assert available(poster) == 100 * MICRO - BOUNTY


@pytest.mark.parametrize("round_", range(5))
def test_accepting_against_rejecting_has_one_outcome(round_: int) -> None:
    poster = a_person()
    delivery = a_submitted_delivery(poster)

    outcomes = together(
        [
            partial(accept_delivery, delivery_id=delivery.pk, actor=poster),
            partial(reject_delivery, delivery_id=delivery.pk, actor=poster, reason="No."),
        ]
    )

    assert kinds(outcomes)["IllegalTransition"] == 1
    task = again(delivery.task)
    accepted = task.state == TaskState.ACCEPTED
    assert held(task) == (0 if accepted else BOUNTY)
    assert Settlement.objects.filter(task=task).exists() == accepted


def test_accepting_against_the_end_of_the_review_settles_once() -> None:
    poster, worker = a_person(), an_agent()
    delivery = a_submitted_delivery(poster, worker)
    clock.advance(timedelta(hours=73))

    outcomes = together(
        [
            partial(accept_delivery, delivery_id=delivery.pk, actor=poster),
            partial(deadlines.sweep, limit=1000),
            partial(deadlines.sweep, limit=1000),
        ]
    )

    assert "IllegalTransition" in kinds(outcomes)  # silence had accepted it before the poster
    assert again(delivery.task).state == TaskState.ACCEPTED
    assert available(worker) == 100 * MICRO + BOUNTY * 95 // 100


def test_checks_that_decide_at_once_decide_once() -> None:
    worker = an_agent()
    delivery = a_submitted_delivery(
        worker=worker, acceptance="automatic", verification=[an_exact_check()]
    )
    everything_handled()
    again_ = a_submitted_delivery(
        worker=worker, acceptance="automatic", verification=[an_exact_check()]
    )
    again_.checks.update(state="passed", ended_at=clock.now())

    outcomes = together([partial(conclude_checks, delivery_id=again_.pk)] * 8)

    assert sorted(str(outcome) for outcome in outcomes) == ["False"] * 7 + ["True"]
    assert again(delivery.task).state == again(again_.task).state == TaskState.ACCEPTED
    assert available(worker) == 100 * MICRO + 2 * (BOUNTY * 95 // 100)


def test_the_cap_on_claims_holds_against_twenty_claims_at_once() -> None:
    tasks = [a_task(bounty=MICRO) for _ in range(20)]
    agent = an_agent()

    outcomes = together([partial(claim_task, task_id=task.pk, actor=agent) for task in tasks])

    assert kinds(outcomes) == {"Task": 3, "ClaimCapReached": 17}
    assert all(
        outcome.whose == "participant"
        for outcome in outcomes
        if isinstance(outcome, ClaimCapReached)
    )


def test_the_operators_cap_holds_over_all_of_its_agents() -> None:
    operator = a_person()
    agents = [an_agent_of(operator) for _ in range(5)]
    tasks = [a_task(bounty=MICRO) for _ in range(20)]

    outcomes = together(
        [
            partial(claim_task, task_id=task.pk, actor=agents[index % 5])
            for index, task in enumerate(tasks)
        ]
    )

    assert kinds(outcomes)["Task"] == 10
    assert Task.objects.filter(worker_operator=operator, state=TaskState.CLAIMED).count() == 10


@pytest.mark.parametrize("round_", range(5))
def test_cancelling_against_claiming_leaves_one_of_the_two(round_: int) -> None:
    poster, agent = a_person(), an_agent()
    task = a_task(poster)

    together(
        [
            partial(cancel_task, task_id=task.pk, actor=poster),
            partial(claim_task, task_id=task.pk, actor=agent),
        ]
    )

    task = again(task)
    if task.state == TaskState.CANCELLED:
        assert held(task) == 0
        assert available(poster) == 100 * MICRO
    else:  # claimed first: the poster's cancel became notice
        assert task.state == TaskState.CLAIMED
        assert task.notice_ends_at is not None
        assert held(task) == BOUNTY


def test_lowering_the_bounty_against_a_claim_never_changes_what_was_claimed() -> None:
    for _ in range(5):
        poster, agent = a_person(), an_agent()
        task = a_task(poster)

        outcomes = together(
            [
                partial(
                    edit_task,
                    task_id=task.pk,
                    actor=poster,
                    changes={"bounty": MICRO},
                    read_version=lambda version: version == 1,
                ),
                partial(claim_task, task_id=task.pk, actor=agent, terms_version=1),
            ]
        )

        assert kinds(outcomes)["Task"] == 1  # the edit, or the claim of the old terms; never both
        task = again(task)
        assert held(task) == task.bounty
        assert (task.state == TaskState.CLAIMED) == (task.bounty == BOUNTY)


def test_abandoning_against_the_end_of_the_lease_ends_the_claim_once() -> None:
    agent = an_agent()
    task = a_claimed_task(worker=agent, lease_seconds=300)
    clock.advance(timedelta(seconds=301))

    outcomes = together(
        [
            partial(abandon_task, task_id=task.pk, actor=agent),
            partial(deadlines.sweep, limit=1000),
            partial(deadlines.sweep, limit=1000),
        ]
    )

    assert any(not isinstance(outcome, (Task, int)) for outcome in outcomes)  # not the worker's now
    assert again(task).state == TaskState.OPEN
    assert Claim.objects.get(task=task).ending == "abandoned"


def test_losing_a_race_says_where_the_task_stands() -> None:
    task = a_claimed_task()

    with pytest.raises(IllegalTransition) as refusal:
        claim_task(task_id=task.pk, actor=an_agent())

    assert refusal.value.state == "claimed"
