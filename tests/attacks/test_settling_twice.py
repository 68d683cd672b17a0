"""Being paid twice: accepting twice, accepting against the clock, reopening what was refunded."""

from collections.abc import Callable
from datetime import timedelta
from functools import partial

import pytest

from credits import amounts, escrow
from credits.errors import LedgerError
from marketplace.delivery.models import Delivery
from marketplace.delivery.usecases.accept_delivery import accept_delivery
from marketplace.delivery.usecases.reject_delivery import reject_delivery
from marketplace.delivery.usecases.submit_delivery import Work, submit_delivery
from marketplace.disputes.usecases.open_dispute import open_dispute
from marketplace.foundation import clock
from marketplace.foundation.transactions import run_in_transaction
from marketplace.tasks import deadlines
from marketplace.tasks.models import Settlement, Task
from marketplace.tasks.states import IllegalTransition, NotPermitted
from marketplace.tasks.usecases.abandon_task import abandon_task
from marketplace.tasks.usecases.cancel_task import cancel_task
from marketplace.tasks.usecases.claim_task import claim_task
from marketplace.tasks.usecases.edit_task import edit_task
from marketplace.tasks.usecases.heartbeat import heartbeat
from marketplace.tasks.usecases.raise_task import raise_task
from tests.builders.at_once import together
from tests.builders.gains import wealth
from tests.builders.people import a_person, an_agent
from tests.builders.work import (
    BOUNTY,
    a_claimed_task,
    a_submitted_delivery,
    again,
    an_accepted_delivery,
    available,
    held,
)

pytestmark = pytest.mark.django_db

MICRO = amounts.MICRO
GRANT = 100 * MICRO
WAGES = BOUNTY * 95 // 100
REFUSED = (IllegalTransition, NotPermitted, Delivery.DoesNotExist)


def moves(task: Task, delivery: Delivery | None, actor: object) -> list[Callable[[], object]]:
    """Return everything that one might try on a task that has ended."""
    who = {"actor": actor}
    tried: list[Callable[..., object]] = [
        partial(claim_task, task_id=task.pk),
        partial(heartbeat, task_id=task.pk),
        partial(abandon_task, task_id=task.pk),
        partial(cancel_task, task_id=task.pk),
        partial(cancel_task, task_id=task.pk, at_once=True),
        partial(raise_task, task_id=task.pk, bounty=2 * BOUNTY),
        partial(submit_delivery, task_id=task.pk, work=Work(summary="Again.")),
        partial(open_dispute, task_id=task.pk, reason="Again."),
        partial(edit_task, task_id=task.pk, changes={"bounty": MICRO}, read_version=lambda _: True),
    ]
    if delivery is not None:
        tried.append(partial(accept_delivery, delivery_id=delivery.pk))
        tried.append(partial(reject_delivery, delivery_id=delivery.pk, reason="No."))
    return [partial(one, **who) for one in tried]


@pytest.mark.parametrize("how", ["accepted", "refunded", "cancelled at once", "expired"])
def test_what_has_ended_is_never_opened_or_paid_again(how: str) -> None:
    poster, worker = a_person(), an_agent()
    delivery = None
    if how == "accepted":
        delivery = an_accepted_delivery(poster, worker)
        task = delivery.task
    else:
        task = a_claimed_task(poster, worker)
        if how == "expired":
            clock.advance(timedelta(days=8))
            run_in_transaction(partial(deadlines.apply_passed, task.pk))
        elif how == "refunded":
            abandon_task(task_id=task.pk, actor=worker)
            cancel_task(task_id=task.pk, actor=poster)
        else:
            cancel_task(task_id=task.pk, actor=poster, at_once=True)
    before = (wealth(poster), wealth(worker))

    for actor in (poster, worker, an_agent()):
        for move in moves(task, delivery, actor):
            with pytest.raises(REFUSED):
                move()

    assert again(task).is_ended
    assert (wealth(poster), wealth(worker)) == before
    with pytest.raises(LedgerError):  # nor past the rules, by the ledger itself
        run_in_transaction(
            lambda: escrow.settle(
                work=task.public_id,
                parts={worker.wallet_account: MICRO},  # type: ignore[dict-item] # an account's id
                kind="settle",
                memo="Again",
                subject=task.public_id,
            )
        )


def test_accepting_twice_at_once_pays_once() -> None:
    poster, worker = a_person(), an_agent()
    delivery = a_submitted_delivery(poster, worker)

    outcomes = together([partial(accept_delivery, delivery_id=delivery.pk, actor=poster)] * 8)

    assert sum(isinstance(one, Settlement) for one in outcomes) == 1
    assert (available(worker), available(poster)) == (GRANT + WAGES, GRANT - BOUNTY)


@pytest.mark.parametrize("rival", ["reject", "dispute", "cancel"])
def test_against_the_end_of_the_review_a_poster_takes_nothing_back(rival: str) -> None:
    poster, worker = a_person(), an_agent()
    delivery = a_submitted_delivery(poster, worker)
    clock.advance(timedelta(hours=73))
    attempts: dict[str, Callable[[], object]] = {
        "reject": partial(reject_delivery, delivery_id=delivery.pk, actor=poster, reason="No."),
        "dispute": partial(open_dispute, task_id=delivery.task_id, actor=poster, reason="No."),
        "cancel": partial(cancel_task, task_id=delivery.task_id, actor=poster),
    }

    together([attempts[rival], partial(deadlines.sweep, limit=1000), attempts[rival]])

    assert available(worker) == GRANT + WAGES
    assert available(poster) == GRANT - BOUNTY
    assert held(delivery.task) == 0


@pytest.mark.parametrize("round_", range(4))
def test_disputing_against_accepting_has_one_effect(round_: int) -> None:
    poster, worker = a_person(), an_agent()
    delivery = a_submitted_delivery(poster, worker)
    works: list[Callable[[], object]] = [
        partial(accept_delivery, delivery_id=delivery.pk, actor=poster),
        partial(open_dispute, task_id=delivery.task_id, actor=poster, reason="No."),
    ]

    outcomes = together(works if round_ % 2 else works[::-1])

    assert sum(isinstance(one, IllegalTransition) for one in outcomes) == 1
    accepted = again(delivery.task).is_ended
    assert held(delivery.task) == (0 if accepted else BOUNTY)
    assert available(worker) == GRANT + (WAGES if accepted else 0)
