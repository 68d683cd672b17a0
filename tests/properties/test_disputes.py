"""Random disputes through the real use cases: every credit of escrow, deposit and fees is found."""

from dataclasses import dataclass
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pytest_django import DjangoDbBlocker

from credits import ledger
from marketplace.disputes.models import Cause, Dispute, Outcome, Seat, SeatState
from marketplace.disputes.states import DisputeState
from marketplace.disputes.usecases.open_dispute import open_dispute
from marketplace.ops import books
from marketplace.participants.models import Participant
from marketplace.tasks.division import (
    BASIS_POINTS,
    divide_judged,
    equal_parts,
    share_down,
    share_up,
)
from marketplace.tasks.models import Settlement
from marketplace.tasks.usecases.use_asset import use_asset
from tests.builders.assets import a_skill
from tests.builders.disputes import (
    EVIDENCE,
    Vote,
    a_vote,
    after,
    appealed,
    as_it_stands,
    decided_by,
    deposited,
    disputed,
    judges,
    open_seats,
)
from tests.builders.people import a_person, an_agent
from tests.builders.staff import somebody_of_staff
from tests.builders.work import a_claimed_task, again, deliver, held, rejected
from tests.properties.test_market import is_about_a_market

pytestmark = pytest.mark.django_db

MICRO = 1_000_000
SHARES = st.one_of(st.sampled_from((0, BASIS_POINTS)), st.integers(1, BASIS_POINTS - 1))
SILENT, ABSTAINS = "silent", "abstains"


# --- The division alone ---------------------------------------------------------------------------


@given(
    held=st.integers(1, 10**18),
    data=st.data(),
    share=SHARES,
    panel_bps=st.integers(0, 2_000),
    fee_bps=st.integers(0, BASIS_POINTS - 1),
)
def test_a_judged_escrow_is_divided_exactly(
    held: int, data: st.DataObject, share: int, panel_bps: int, fee_bps: int
) -> None:
    price, owed = data.draw(st.integers(1, held)), data.draw(st.integers(0, held))

    parts = divide_judged(
        held,
        price=price,
        royalties=owed,
        worker_share_bps=share,
        panel_bps=panel_bps,
        fee_bps=fee_bps,
    )

    worker = parts.wages + parts.fee + parts.royalties
    assert parts.panel + worker + parts.refund == held
    assert parts.panel == share_up(price, panel_bps)
    assert worker == share_down(price - parts.panel, share)
    assert parts.royalties == min(owed, worker), "reuse out of the worker's part, at most that"
    assert parts.refund >= held - price, "what a bid left over always comes back"


@given(st.integers(0, 10**18), st.integers(1, 3))
def test_panelists_have_equal_parts(amount: int, voters: int) -> None:
    parts = equal_parts(amount, voters)

    assert sum(parts) == amount
    assert max(parts) - min(parts) <= 1


# --- Whole disputes -------------------------------------------------------------------------------


@dataclass(frozen=True)
class Plan:
    """What happens in a dispute: who opens it, what each seat says, and who decides in the end."""

    bounty: int
    price: int  # of the asset that the worker uses
    by_poster: bool
    seats: list[int | str]  # up to nine: a share, or silence, or no opinion
    administrator: int | None
    appeal: int | None


PLANS = st.builds(
    Plan,
    bounty=st.integers(10_000, 20 * MICRO),
    price=st.sampled_from((0, 7, 99_999, MICRO)),
    by_poster=st.booleans(),
    seats=st.lists(st.one_of(SHARES, st.sampled_from((SILENT, ABSTAINS))), min_size=9, max_size=9),
    administrator=st.one_of(st.none(), SHARES),
    appeal=st.one_of(st.none(), SHARES),
)


def outcome_for(share: int) -> tuple[Outcome, int | None]:
    if share in (0, BASIS_POINTS):
        return (Outcome.ACCEPT if share else Outcome.REJECT), None
    return Outcome.SPLIT, share


def vote_for(said: int | str) -> Vote | None:
    if said == SILENT:
        return None
    return a_vote(Outcome.ABSTAIN) if said == ABSTAINS else a_vote(*outcome_for(int(said)))


@dataclass
class Case:
    """A dispute with everybody whose credits it moves."""

    plan: Plan
    poster: Participant
    worker: Participant
    author: Participant
    dispute: Dispute
    opening: int


def opened(plan: Plan) -> Case:
    poster, worker, author = a_person(), an_agent(), a_person()
    opening = sum(map(wealth, (poster, worker, author)))
    task = a_claimed_task(poster, worker, bounty=plan.bounty)
    if plan.price * 5 <= plan.bounty:  # what the terms let a claim owe for reuse
        owner, name = a_skill(author, price=plan.price).asset.reference.split("/")
        use_asset(actor=worker, owner=owner, name=name, task_id=task.pk, max_charge=MICRO)
    delivery = deliver(again(task))
    if plan.by_poster:
        dispute = open_dispute(task_id=task.pk, actor=poster, reason="x")
    else:
        dispute = disputed(rejected(delivery))
    return Case(plan, poster, worker, author, dispute, opening)


def judged(case: Case) -> Dispute:
    """Let the panel, an administrator and an appeal decide as planned."""
    said = iter(case.plan.seats)
    dispute = after(case.dispute, EVIDENCE)
    while dispute.state == DisputeState.VOTING:
        for seat, word in zip(open_seats(dispute), said, strict=False):
            vote = vote_for(word)
            if vote is not None:
                vote(seat)
        dispute = as_it_stands(dispute)
        if open_seats(dispute) and dispute.state == DisputeState.VOTING:
            dispute = after(dispute, timedelta(hours=72))
    if dispute.state == DisputeState.ADMINISTRATOR:
        if case.plan.administrator is None:
            dispute = after(dispute, timedelta(days=7))
        else:
            decision = outcome_for(case.plan.administrator)
            dispute = decided_by(somebody_of_staff(), dispute, *decision)
    return dispute


def wealth(participant: Participant) -> int:
    return sum(ledger.position(participant.operator_key).values())


def everything_is_accounted_for(plan: Plan) -> None:
    case = opened(plan)
    assert held(case.dispute.task) == plan.bounty
    deposit = max(share_up(plan.bounty, 500), 300_000)
    assert deposited(case.dispute) == deposit
    dispute = judged(case)
    assert dispute.state == DisputeState.DECIDED
    decided = dispute.decisions.get().share_bps
    loser = case.worker if decided < BASIS_POINTS else case.poster
    if plan.appeal is not None:
        dispute = appealed(dispute, loser)
        decided = plan.appeal
    panel = {seat.panelist: wealth(seat.panelist) for seat in dispute.seats.all()}
    if plan.appeal is None:
        dispute = after(dispute, timedelta(hours=48))
    else:
        dispute = decided_by(somebody_of_staff(), dispute, *outcome_for(plan.appeal))

    # Who got what.
    settlement = Settlement.objects.get(task=dispute.task)
    voted = list(Seat.objects.filter(dispute=dispute, state=SeatState.VOTED))
    assert dispute.share_bps == decided
    assert settlement.panel == (share_up(plan.bounty, 500) if voted else 0)
    assert bool(settlement.fee) <= (not voted)
    gains = {panelist: wealth(panelist) - before for panelist, before in panel.items()}
    assert gains == {seat.panelist: seat.fee for seat in dispute.seats.select_related("panelist")}
    assert sum(seat.fee for seat in voted) == settlement.panel
    part = share_down(plan.bounty - settlement.panel, decided)
    assert settlement.wages + settlement.fee + settlement.royalties == part
    nothing = decided == (BASIS_POINTS if plan.by_poster else 0)
    opener, other = (case.poster, case.worker) if plan.by_poster else (case.worker, case.poster)
    forfeited = {opener.pk: -deposit, other.pk: deposit} if nothing else {}
    assert wealth(case.poster) == (
        100 * MICRO - plan.bounty + settlement.refund + forfeited.get(case.poster.pk, 0)
    )
    assert wealth(case.worker) == (
        100 * MICRO + settlement.wages + forfeited.get(case.worker.pk, 0)
    )

    # And nothing is left anywhere.
    assert held(dispute.task) == deposited(dispute) == 0
    closing = sum(map(wealth, (case.poster, case.worker, case.author)))
    assert closing + settlement.panel + settlement.fee == case.opening
    assert wealth(case.author) - 100 * MICRO == settlement.royalties


def test_every_credit_of_a_dispute_is_found_whatever_anybody_says(
    own_database: None, django_db_blocker: DjangoDbBlocker
) -> None:
    with django_db_blocker.unblock():
        judges()
        check = settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))(
            given(PLANS)(everything_is_accounted_for)
        )
        check()

        assert [one for one in books.check() if is_about_a_market(one)] == []
        assert not Dispute.objects.filter(cause=Cause.SILENCE, delivery__isnull=False).exists()
