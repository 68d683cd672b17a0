"""The course of a dispute, from its opening to the money."""

import pytest
from django.db.models import Sum
from pytest_django import Settings

from marketplace.delivery.models import Delivery, DeliveryState
from marketplace.disputes.models import Decision, Outcome, Seat, SeatState
from marketplace.disputes.states import DisputeState
from marketplace.disputes.usecases.open_dispute import open_dispute
from marketplace.participants.models import Participant
from marketplace.reuse.models import Earning, Use, UseState
from marketplace.tasks.models import Claim, ClaimEnding, Settlement
from marketplace.tasks.states import TaskState
from marketplace.tasks.usecases.use_asset import use_asset
from tests.builders.assets import a_skill
from tests.builders.disputes import (
    ABSTAIN,
    ADMINISTRATOR,
    APPEAL,
    EVIDENCE,
    FOR_POSTER,
    FOR_WORKER,
    REDRAW,
    VOTES,
    a_decided_dispute,
    a_dispute,
    a_posters_dispute,
    a_settled_dispute,
    after,
    appealed,
    before_a_panel,
    decided_by,
    deposited,
    disputed,
    judges,
    open_seats,
    split,
    voted,
)
from tests.builders.people import a_person, an_agent
from tests.builders.staff import somebody_of_staff
from tests.builders.work import (
    BOUNTY,
    a_claimed_task,
    a_task_held_on_a_bid,
    again,
    available,
    deliver,
    held,
    rejected,
)

pytestmark = pytest.mark.django_db

MICRO = 1_000_000
GRANT = 100 * MICRO
DEPOSIT = BOUNTY // 20
FEE = BOUNTY // 20


@pytest.fixture
def ada() -> Participant:
    return a_person()


@pytest.fixture
def bo() -> Participant:
    return an_agent()


def test_opening_freezes_the_escrow_and_stops_every_other_clock(
    ada: Participant, bo: Participant
) -> None:
    dispute = a_dispute(ada, bo)

    task = again(dispute.task)
    assert task.state == TaskState.DISPUTED
    assert held(task) == BOUNTY
    assert deposited(dispute) == DEPOSIT
    assert available(bo) == GRANT - DEPOSIT
    assert task.due_at == task.dispute_due_at == dispute.due_at
    assert (task.resubmit_by, task.claim_expires_at, task.review_due_at) == (None, None, None)
    assert again(after(dispute, EVIDENCE).task).state == TaskState.DISPUTED


def test_a_panel_for_the_worker_pays_the_worker_less_the_panels_part(
    ada: Participant, bo: Participant
) -> None:
    dispute = a_decided_dispute(dispute=a_dispute(ada, bo))
    assert held(dispute.task) == BOUNTY, "nothing is paid while it may be appealed against"

    dispute = after(dispute, APPEAL)

    assert dispute.state == DisputeState.SETTLED
    assert again(dispute.task).state == TaskState.ACCEPTED
    assert available(bo) == GRANT + BOUNTY - FEE
    assert available(ada) == GRANT - BOUNTY
    settlement = Settlement.objects.get(task=dispute.task)
    assert (settlement.panel, settlement.fee, settlement.refund) == (FEE, 0, 0)
    assert Delivery.objects.get(task=dispute.task).state == DeliveryState.ACCEPTED
    assert Claim.objects.get(task=dispute.task).ending == ClaimEnding.ACCEPTED


def test_a_panel_for_the_poster_refunds_and_the_opener_loses_the_deposit(
    ada: Participant, bo: Participant
) -> None:
    dispute = after(a_decided_dispute(*[FOR_POSTER] * 3, dispute=a_dispute(ada, bo)), APPEAL)

    assert again(dispute.task).state == TaskState.CANCELLED
    assert available(bo) == GRANT - DEPOSIT
    assert available(ada) == GRANT - FEE + DEPOSIT
    assert deposited(dispute) == 0
    assert Delivery.objects.get(task=dispute.task).state == DeliveryState.REJECTED
    assert Claim.objects.get(task=dispute.task).ending == ClaimEnding.LOST


def test_a_poster_who_loses_all_pays_the_deposit_to_the_worker(
    ada: Participant, bo: Participant
) -> None:
    dispute = after(a_decided_dispute(dispute=a_posters_dispute(ada, bo)), APPEAL)

    assert again(dispute.task).state == TaskState.ACCEPTED
    assert available(bo) == GRANT + BOUNTY - FEE + DEPOSIT
    assert available(ada) == GRANT - BOUNTY - DEPOSIT


def test_the_median_decides_and_a_deposit_comes_back_to_who_gets_something(
    ada: Participant, bo: Participant
) -> None:
    dispute = a_dispute(ada, bo)

    dispute = after(
        a_decided_dispute(FOR_POSTER, split(2_500), FOR_WORKER, dispute=dispute), APPEAL
    )

    left = BOUNTY - FEE
    assert dispute.share_bps == 2_500
    assert available(bo) == GRANT + left // 4
    assert available(ada) == GRANT - BOUNTY + left * 3 // 4


def test_panelists_are_paid_for_voting_and_not_for_agreeing(ada: Participant) -> None:
    dispute = before_a_panel(a_dispute(ada))
    before = {seat.position: available(seat.panelist) for seat in open_seats(dispute)}
    seats = open_seats(dispute)

    after(voted(dispute, FOR_WORKER, FOR_POSTER, FOR_WORKER), APPEAL)

    gained = [available(seat.panelist) - before[seat.position] for seat in seats]
    assert sum(gained) == FEE
    assert max(gained) - min(gained) <= 1
    assert gained == [seat.fee for seat in Seat.objects.filter(dispute=dispute)]


def test_silent_and_abstaining_seats_are_drawn_again_and_get_nothing() -> None:
    dispute = before_a_panel()
    voted(dispute, FOR_WORKER, ABSTAIN)

    dispute = after(dispute, VOTES)

    assert dispute.redraws == 1
    assert [seat.position for seat in open_seats(dispute)] == [2, 3]
    dispute = after(voted(dispute, FOR_WORKER, FOR_WORKER), APPEAL)
    assert dispute.state == DisputeState.SETTLED
    fees = {seat.state: seat.fee for seat in Seat.objects.filter(dispute=dispute)}
    assert fees[SeatState.LAPSED] == fees[SeatState.ABSTAINED] == 0
    assert Seat.objects.filter(dispute=dispute, fee__gt=0).count() == 3


def test_seats_that_all_answer_are_drawn_again_at_once() -> None:
    dispute = voted(before_a_panel(), FOR_WORKER, FOR_WORKER, ABSTAIN)

    assert dispute.redraws == 1
    assert len(open_seats(dispute)) == 1


def test_after_two_redraws_somebody_of_staff_decides(ada: Participant, bo: Participant) -> None:
    dispute = before_a_panel(a_dispute(ada, bo))
    voted(dispute, FOR_WORKER)
    dispute = after(after(after(dispute, VOTES), REDRAW), REDRAW)
    assert dispute.state == DisputeState.ADMINISTRATOR

    dispute = decided_by(somebody_of_staff(), dispute, Outcome.SPLIT, 5_000)

    assert dispute.state == DisputeState.DECIDED
    after(dispute, APPEAL)
    settlement = Settlement.objects.get(task=dispute.task)
    assert settlement.panel == FEE, "the one who voted is paid"
    assert settlement.wages == (BOUNTY - FEE) // 2


def test_without_three_to_seat_somebody_of_staff_decides(settings: Settings) -> None:
    settings.PANELIST_ACCEPTED_TASKS = 10**6

    dispute = after(a_dispute(), EVIDENCE)

    assert dispute.state == DisputeState.ADMINISTRATOR
    assert not Seat.objects.filter(dispute=dispute).exists()


def test_without_a_panel_the_market_has_its_fee(
    settings: Settings, ada: Participant, bo: Participant
) -> None:
    settings.PANELIST_ACCEPTED_TASKS = 10**6
    dispute = after(a_dispute(ada, bo), EVIDENCE)

    after(decided_by(somebody_of_staff(), dispute, Outcome.ACCEPT), APPEAL)

    settlement = Settlement.objects.get(task=dispute.task)
    assert (settlement.panel, settlement.fee) == (0, FEE)
    assert available(bo) == GRANT + BOUNTY - FEE


def test_where_nobody_decides_and_no_check_was_proven_it_is_half_each(
    settings: Settings, ada: Participant, bo: Participant
) -> None:
    settings.PANELIST_ACCEPTED_TASKS = 10**6

    dispute = after(after(a_dispute(ada, bo), EVIDENCE), ADMINISTRATOR)

    assert dispute.state == DisputeState.DECIDED
    assert Decision.objects.get(dispute=dispute).decided_by == "default"
    after(dispute, APPEAL)
    assert available(ada) == GRANT - BOUNTY // 2


def test_an_appeal_replaces_the_outcome_and_settles_at_once(
    ada: Participant, bo: Participant
) -> None:
    dispute = a_decided_dispute(*[FOR_POSTER] * 3, dispute=a_dispute(ada, bo))
    dispute = appealed(dispute, bo)

    dispute = decided_by(somebody_of_staff(), dispute, Outcome.ACCEPT)

    assert dispute.state == DisputeState.SETTLED
    assert available(bo) == GRANT + BOUNTY - FEE
    assert [one.share_bps for one in Decision.objects.filter(dispute=dispute)] == [0, 10_000]


def test_an_appeal_that_no_administrator_decides_leaves_the_outcome(
    ada: Participant, bo: Participant
) -> None:
    dispute = appealed(a_decided_dispute(*[FOR_POSTER] * 3, dispute=a_dispute(ada, bo)), bo)

    dispute = after(dispute, ADMINISTRATOR)

    assert dispute.state == DisputeState.SETTLED
    assert again(dispute.task).state == TaskState.CANCELLED


def test_a_dispute_about_work_on_a_bid_is_about_the_amount_that_was_agreed(
    ada: Participant, bo: Participant
) -> None:
    judges()
    agreed = 4 * MICRO
    task = a_task_held_on_a_bid(ada, bo, amount=agreed)
    deliver(task)
    dispute = open_dispute(task_id=task.pk, actor=ada, reason="Half of it.")
    assert dispute.deposit == 300_000, "of 4 credits 5 % are less than the least"

    a_settled_dispute(*[split(5_000)] * 3, dispute=dispute)

    panel = agreed // 20
    settlement = Settlement.objects.get(task=task)
    assert settlement.panel == panel
    assert settlement.wages == (agreed - panel) // 2
    assert settlement.refund == BOUNTY - agreed + (agreed - panel) // 2
    assert held(task) == 0


def test_reuse_that_the_workers_part_cannot_pay_is_paid_in_proportion(
    ada: Participant, bo: Participant
) -> None:
    task = a_claimed_task(ada, bo)
    skills = [a_skill(price=price) for price in (MICRO, MICRO // 2, MICRO // 4)]
    for skill in skills:
        owner, name = skill.asset.reference.split("/")
        use_asset(actor=bo, owner=owner, name=name, task_id=task.pk, max_charge=MICRO)
    dispute = disputed(rejected(deliver(task)))

    a_settled_dispute(*[split(1_000)] * 3, dispute=dispute)

    part = (BOUNTY - FEE) // 10
    settlement = Settlement.objects.get(task=task)
    assert (settlement.royalties, settlement.wages) == (part, 0)
    earned = [
        Earning.objects.filter(version=skill).aggregate(total=Sum("amount"))["total"]
        for skill in skills
    ]
    assert sum(earned) == part
    for amount, share in zip(earned, (4, 2, 1), strict=True):
        assert abs(amount - part * share / 7) < 1
    assert not Use.objects.filter(claim=dispute.claim_id).exclude(state=UseState.PAID).exists()


def test_reuse_is_released_unpaid_where_the_worker_gets_nothing(bo: Participant) -> None:
    task = a_claimed_task(worker=bo)
    owner, name = a_skill(price=MICRO).asset.reference.split("/")
    use_asset(actor=bo, owner=owner, name=name, task_id=task.pk, max_charge=MICRO)
    dispute = disputed(rejected(deliver(task)))

    a_settled_dispute(*[FOR_POSTER] * 3, dispute=dispute)

    assert Settlement.objects.get(task=task).royalties == 0
    assert Use.objects.get(claim=dispute.claim_id).state == UseState.RELEASED
