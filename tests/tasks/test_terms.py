"""What a task is posted, claimed and edited under."""

import uuid

import pytest
from django.db import IntegrityError, connection, transaction
from pytest_django import Settings

from credits import amounts
from credits.errors import InsufficientCredits
from marketplace.events.models import Event
from marketplace.participants.allowances import AllowanceExceeded
from marketplace.participants.usecases.edit_profile import StaleVersion
from marketplace.tasks.models import Settlement, Task
from marketplace.tasks.terms import InvalidTerms, TermsChanged
from marketplace.tasks.usecases.claim_task import claim_task
from marketplace.tasks.usecases.edit_task import edit_task
from tests.builders.people import a_person, an_agent, an_agent_of
from tests.builders.work import (
    a_submitted_delivery,
    a_task,
    again,
    available,
    held,
    time_passes,
)

pytestmark = pytest.mark.django_db

GRANT = 100 * amounts.MICRO


def test_rules_that_change_later_bind_only_tasks_that_are_posted_later(settings: Settings) -> None:
    bo, cy = an_agent(), an_agent()
    old = a_submitted_delivery(worker=bo)
    settings.FEE_BPS = 2000

    new = a_submitted_delivery(worker=cy)
    for delivery in (old, new):
        time_passes(delivery.task, hours=73)

    assert (available(bo), available(cy)) == (GRANT + 9_500_000, GRANT + 8_000_000)


@pytest.mark.parametrize(
    ("bounty", "fee", "wages"),
    [
        (10_000, 500, 9_500),
        (10_001, 501, 9_500),
        (3_333_333, 166_667, 3_166_666),
        (100 * amounts.MICRO, 5 * amounts.MICRO, 95 * amounts.MICRO),
    ],
)
def test_the_fee_is_a_twentieth_rounded_up_and_the_worker_gets_the_rest(
    bounty: int, fee: int, wages: int
) -> None:
    delivery = a_submitted_delivery(bounty=bounty)
    time_passes(delivery.task, hours=73)

    settlement = Settlement.objects.get(task=delivery.task)

    assert (settlement.fee, settlement.wages, settlement.bounty) == (fee, wages, bounty)


def test_a_task_is_in_escrow_with_its_event_or_there_is_none() -> None:
    ada = a_person()
    task = a_task(ada, bounty=GRANT)
    assert (held(task), available(ada)) == (GRANT, 0)
    assert Event.objects.filter(subject_id=task.public_id, type="task.posted").count() == 1

    with pytest.raises(InsufficientCredits):
        a_task(ada, bounty=10_000)

    assert Task.objects.filter(poster=ada).count() == 1


def test_tags_that_stand_twice_are_kept_once_in_their_order() -> None:
    assert a_task(tags=["b", "a", "b"]).tags == ["b", "a"]


def test_an_agent_posts_from_its_operators_wallet_within_its_allowance() -> None:
    ada = a_person()
    cy = an_agent_of(ada, allowance_per_task=3 * amounts.MICRO)

    task = a_task(cy, bounty=3 * amounts.MICRO)

    assert (task.poster, task.poster_operator) == (cy, ada)
    assert available(ada) == GRANT - 3 * amounts.MICRO
    with pytest.raises(AllowanceExceeded):
        a_task(cy, bounty=3 * amounts.MICRO + 1)


def test_raising_a_bounty_counts_against_the_allowance_and_lowering_it_gives_nothing_back() -> None:
    cy = an_agent_of(a_person(), allowance_per_day=5 * amounts.MICRO)
    task = a_task(cy, bounty=4 * amounts.MICRO)

    def edit(bounty: int) -> Task:
        return edit_task(
            task_id=task.pk, actor=cy, changes={"bounty": bounty}, read_version=lambda _: True
        )

    with pytest.raises(AllowanceExceeded):
        edit(5 * amounts.MICRO + 1)
    assert (again(task).bounty, held(task)) == (4 * amounts.MICRO, 4 * amounts.MICRO)
    edit(5 * amounts.MICRO)
    edit(1 * amounts.MICRO)
    with pytest.raises(AllowanceExceeded):
        edit(2 * amounts.MICRO)


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"bounty": 9_999}, InvalidTerms),
        ({"bounty": GRANT + 1}, InsufficientCredits),
    ],
)
def test_an_edit_that_is_refused_changes_neither_the_task_nor_its_escrow(
    changes: dict[str, int], error: type[Exception]
) -> None:
    task = a_task()

    with pytest.raises(error):
        edit_task(task_id=task.pk, actor=task.poster, changes=changes, read_version=lambda _: True)

    assert again(task).terms_version == 1
    assert held(task) == again(task).bounty == task.bounty


def test_an_edit_of_what_was_not_read_is_refused() -> None:
    task = a_task()

    with pytest.raises(StaleVersion):
        edit_task(
            task_id=task.pk, actor=task.poster, changes={"title": "x"}, read_version=lambda _: False
        )


def test_a_claim_that_read_the_terms_of_before_an_edit_is_refused() -> None:
    task, bo = a_task(), an_agent()
    edit_task(
        task_id=task.pk, actor=task.poster, changes={"title": "x"}, read_version=lambda _: True
    )

    with pytest.raises(TermsChanged) as refusal:
        claim_task(task_id=task.pk, actor=bo, terms_version=1)

    assert refusal.value.terms_version == 2
    assert claim_task(task_id=task.pk, actor=bo, terms_version=2).worker == bo


# --- What the database refuses by itself ----------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("state = 'accepted'", "a task does not go from open to accepted"),
        ("state = 'disputed'", "a task does not go from open to disputed"),
        ("bounty = 0", "bounty_is_positive"),
        ("ended_at = now()", "ended_tasks_are_never_due"),
        ("state = 'expired'", "ended_tasks_are_never_due"),
        ("state = 'claimed'", "claimed_tasks_have_a_worker"),
    ],
)
def test_the_database_keeps_what_must_never_be_false(change: str, message: str) -> None:
    task = a_task()

    with pytest.raises(IntegrityError, match=message), transaction.atomic():
        run(f"UPDATE tasks_task SET {change} WHERE id = %s", task.pk)  # noqa: S608 - the example


def test_the_database_lets_nobody_work_for_themselves() -> None:
    task = a_task()
    claimed = claim_task(task_id=task.pk, actor=an_agent())

    with pytest.raises(IntegrityError, match="nobody_works_for_themselves"), transaction.atomic():
        run(
            "UPDATE tasks_task SET worker_operator_id = poster_operator_id WHERE id = %s",
            claimed.pk,
        )


def run(sql: str, task_id: uuid.UUID) -> None:
    with connection.cursor() as cursor:
        cursor.execute(sql, [task_id])
