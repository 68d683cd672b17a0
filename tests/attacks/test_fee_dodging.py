"""Dodging the fee: by tiny tasks, by rounding, by endings that pay without one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from credits import amounts
from marketplace.tasks.division import share_up
from marketplace.tasks.models import Settlement
from marketplace.tasks.terms import LEAST_BOUNTY, InvalidTerms
from marketplace.tasks.usecases.cancel_task import cancel_task
from tests.builders.gains import gain
from tests.builders.people import a_person, an_agent
from tests.builders.work import (
    BOUNTY,
    a_claimed_task,
    a_task,
    a_task_held_on_a_bid,
    an_accepted_delivery,
    deliver,
    time_passes,
)

pytestmark = pytest.mark.django_db

MICRO = amounts.MICRO
FEE_BPS = 500


@given(st.lists(st.integers(LEAST_BOUNTY, 10**15), min_size=1, max_size=20))
def test_in_however_many_tasks_work_is_split_the_fee_is_no_smaller(bounties: list[int]) -> None:
    apart = sum(share_up(bounty, FEE_BPS) for bounty in bounties)

    assert apart >= share_up(sum(bounties), FEE_BPS)


@pytest.mark.parametrize("bounty", [10_000, 10_001, 10_019, 999_999])
def test_tiny_tasks_pay_a_fee_that_is_rounded_against_them(bounty: int) -> None:
    poster, worker = a_person(), an_agent()

    lost = -gain([poster, worker], lambda: an_accepted_delivery(poster, worker, bounty=bounty))

    assert lost * 10_000 >= bounty * FEE_BPS
    assert lost > 0


@pytest.mark.parametrize("bounty", [1, 9_999])
def test_no_task_is_too_small_for_a_fee(bounty: int) -> None:
    with pytest.raises(InvalidTerms):
        a_task(bounty=bounty)


def test_a_low_bid_on_a_large_bounty_pays_the_fee_on_what_is_paid() -> None:
    poster, worker = a_person(), an_agent()
    task = a_task_held_on_a_bid(poster, worker, amount=4 * MICRO)

    def settle() -> None:
        time_passes(deliver(task).task, hours=73)

    assert gain([poster, worker], settle) == -(4 * MICRO) // 20


def test_what_a_worker_has_without_a_fee_by_cancelling_is_a_tenth_and_stands_for_nothing() -> None:
    poster, worker = a_person(), an_agent()
    task = a_claimed_task(poster, worker)

    assert (
        gain([poster, worker], lambda: cancel_task(task_id=task.pk, actor=poster, at_once=True))
        == 0
    )

    settlement = Settlement.objects.get(task=task)
    assert (settlement.compensation, settlement.wages) == (BOUNTY // 10, 0)
