"""A freeze stops new dealings, takes nothing, and has a reason, an end and an appeal (rule 25)."""

from collections.abc import Callable
from datetime import timedelta
from functools import partial

import pytest

from marketplace.delivery.usecases.accept_delivery import accept_delivery
from marketplace.events.models import Event
from marketplace.foundation import clock
from marketplace.participants import dealings
from marketplace.participants.dealings import Frozen, PosterFrozen
from marketplace.participants.freezes import FreezeEnded, freezes_of
from marketplace.participants.models import Freeze, Participant
from marketplace.participants.staff import StaffOnly
from marketplace.participants.usecases.answer_appeal import NothingToAnswer, answer_appeal
from marketplace.participants.usecases.appeal_freeze import AppealedAlready, appeal_freeze
from marketplace.participants.usecases.freeze_participant import (
    AlreadyFrozen,
    InvalidEnd,
    freeze_participant,
)
from marketplace.participants.usecases.lift_freeze import lift_freeze
from marketplace.participants.usecases.transfer_credits import transfer_credits
from marketplace.tasks.models import Task
from marketplace.tasks.usecases.cancel_task import cancel_task
from marketplace.tasks.usecases.claim_task import claim_task
from marketplace.tasks.usecases.edit_task import edit_task
from marketplace.tasks.usecases.heartbeat import heartbeat
from marketplace.tasks.usecases.select_bid import select_bid
from marketplace.tasks.usecases.use_asset import use_asset
from tests.builders.assets import PRICE, a_skill
from tests.builders.people import a_person, an_agent, an_agent_of
from tests.builders.staff import a_freeze, somebody_of_staff
from tests.builders.work import (
    BOUNTY,
    a_bid,
    a_claimed_task,
    a_contest,
    a_task,
    an_entry,
    an_offered_task,
    available,
    deliver,
    held,
    time_passes,
)

pytestmark = pytest.mark.django_db
MICRO = 1_000_000


def claim(task: Task, worker: Participant) -> Task:
    return claim_task(task_id=task.pk, actor=worker)


# --- What it stops --------------------------------------------------------------------------------


def using(actor: Participant) -> object:
    skill = a_skill()
    return use_asset(
        actor=actor, owner=skill.asset.owner.handle, name=skill.asset.name, max_charge=PRICE
    )


NEW_DEALINGS: dict[str, Callable[[Participant], object]] = {
    "posting": a_task,
    "offering": an_offered_task,
    "claiming": lambda actor: claim(a_task(), actor),
    "bidding": lambda actor: a_bid(bidder=actor),
    "entering a contest": lambda actor: an_entry(a_contest(), actor),
    "publishing": a_skill,
    "using an asset": using,
    "transferring": lambda actor: transfer_credits(actor=actor, to=a_person().handle, amount=1),
}


@pytest.mark.parametrize("dealing", NEW_DEALINGS.values(), ids=NEW_DEALINGS)
def test_the_frozen_enter_into_nothing_new(dealing: Callable[[Participant], object]) -> None:
    bo = a_person()
    freeze = a_freeze(bo)

    with pytest.raises(Frozen) as refusal:
        dealing(bo)

    assert refusal.value.reason == freeze.reason
    assert refusal.value.ends_at == freeze.ends_at
    assert refusal.value.freeze == freeze.public_id
    assert available(bo) == 100 * MICRO


def test_offers_that_were_made_before_are_not_taken_and_terms_not_changed() -> None:
    ada, bo = a_person(), a_person()
    offered, task = an_offered_task(to=bo), a_task(ada)
    bid = a_bid(a_task(ada, mode="bid"))
    a_freeze(bo)
    a_freeze(ada)

    with pytest.raises(Frozen):
        claim(offered, bo)
    with pytest.raises(Frozen):
        select_bid(bid_id=bid.pk, actor=ada)
    with pytest.raises(Frozen):
        edit_task(
            task_id=task.pk,
            actor=ada,
            changes={"title": "Something else"},
            read_version=lambda _: True,
        )


def test_nobody_takes_new_work_of_a_frozen_poster() -> None:
    ada = a_person()
    task = a_task(ada)
    a_freeze(ada)

    with pytest.raises(PosterFrozen):
        claim(task, an_agent())


def test_a_frozen_operator_freezes_its_agents_and_a_frozen_agent_nobody_else() -> None:
    operator, other = a_person(), a_person()
    agent, frozen, beside = an_agent_of(operator), an_agent_of(other), an_agent_of(other)
    a_freeze(operator)
    a_freeze(frozen)

    with pytest.raises(Frozen) as of_operator:
        claim(a_task(), agent)
    with pytest.raises(Frozen) as of_agent:
        claim(a_task(), frozen)

    assert (of_operator.value.whose, of_agent.value.whose) == ("operator", "participant")
    claim(a_task(), beside)
    claim(a_task(), other)


# --- What it leaves -------------------------------------------------------------------------------


def test_what_runs_goes_on_and_is_paid() -> None:
    ada, bo = a_person(), a_person()
    task = a_claimed_task(ada, bo)
    a_freeze(bo)
    a_freeze(ada)

    heartbeat(task_id=task.pk, actor=bo)
    delivery = deliver(task)
    accept_delivery(delivery_id=delivery.pk, actor=ada)

    assert available(bo) == 100 * MICRO + BOUNTY * 95 // 100
    assert available(ada) == 100 * MICRO - BOUNTY


def test_an_open_task_of_the_frozen_keeps_its_escrow_and_can_be_cancelled() -> None:
    ada = a_person()
    task = a_task(ada)
    a_freeze(ada)
    assert held(task) == BOUNTY

    cancel_task(task_id=task.pk, actor=ada)

    assert available(ada) == 100 * MICRO


def test_others_still_pay_the_frozen() -> None:
    bo = a_person()
    a_freeze(bo)

    transfer_credits(actor=a_person(), to=bo.handle, amount=MICRO)

    assert available(bo) == 101 * MICRO


# --- Its end --------------------------------------------------------------------------------------


def test_it_ends_by_itself_when_its_time_has_passed() -> None:
    bo = an_agent()
    a_freeze(bo, hours=2)
    task = a_task()
    with pytest.raises(Frozen):
        claim(task, bo)

    clock.advance(timedelta(hours=2, seconds=1))

    assert claim(task, bo).worker == bo


def test_staff_lift_it_once() -> None:
    bo, staff = an_agent(), somebody_of_staff()
    freeze = a_freeze(bo)

    lift_freeze(freeze_id=freeze.pk, actor=staff)

    claim(a_task(), bo)
    with pytest.raises(FreezeEnded):
        lift_freeze(freeze_id=freeze.pk, actor=staff)


@pytest.mark.parametrize("span", [timedelta(minutes=59), timedelta(days=91), timedelta(days=-1)])
def test_it_lasts_neither_no_time_nor_for_ever(span: timedelta) -> None:
    with pytest.raises(InvalidEnd):
        freeze_participant(
            participant_id=a_person().pk,
            actor=somebody_of_staff(),
            reason="-",
            ends_at=clock.now() + span,
        )


def test_one_freeze_of_a_participant_runs_at_a_time() -> None:
    bo = a_person()
    a_freeze(bo, hours=2)

    with pytest.raises(AlreadyFrozen):
        a_freeze(bo)

    clock.advance(timedelta(hours=2, seconds=1))
    a_freeze(bo)
    assert Freeze.objects.filter(participant=bo).count() == 2


# --- Who decides ----------------------------------------------------------------------------------


def test_only_staff_freeze_and_never_in_their_own_cause() -> None:
    staff = somebody_of_staff()
    for actor, whom in (
        (a_person(), a_person()),
        (staff, staff),
        (staff, an_agent_of(staff)),
    ):
        with pytest.raises(StaffOnly):
            a_freeze(whom, by=actor)


def test_staff_do_not_lift_or_answer_for_themselves() -> None:
    staff = somebody_of_staff()
    freeze = a_freeze(staff)
    appeal_freeze(freeze_id=freeze.pk, actor=staff, text="I am of staff.")

    with pytest.raises(StaffOnly):
        lift_freeze(freeze_id=freeze.pk, actor=staff)
    with pytest.raises(StaffOnly):
        answer_appeal(freeze_id=freeze.pk, actor=staff, grants=True, answer="I am right.")
    with pytest.raises(StaffOnly):
        lift_freeze(freeze_id=freeze.pk, actor=a_person())


# --- The appeal -----------------------------------------------------------------------------------


def test_an_appeal_that_is_granted_lifts_the_freeze() -> None:
    bo, staff = an_agent(), somebody_of_staff()
    freeze = a_freeze(bo)
    appeal_freeze(freeze_id=freeze.pk, actor=bo, text="It was somebody else.")
    with pytest.raises(Frozen):
        claim(a_task(), bo)

    answered = answer_appeal(
        freeze_id=freeze.pk, actor=staff, grants=True, answer="So it was; sorry."
    )

    assert answered.is_appeal_granted
    assert answered.answered_by == staff
    claim(a_task(), bo)
    event = Event.objects.filter(type="freeze.appeal_answered", subject_id=bo.handle).get()
    assert event.notified == [bo.pk]
    assert event.data["granted"] is True


def test_an_appeal_that_is_not_granted_leaves_it_and_is_answered_once() -> None:
    bo, staff = an_agent(), somebody_of_staff()
    freeze = a_freeze(bo)
    with pytest.raises(NothingToAnswer):
        answer_appeal(freeze_id=freeze.pk, actor=staff, grants=True, answer="-")
    appeal_freeze(freeze_id=freeze.pk, actor=bo, text="Why?")

    answered = answer_appeal(freeze_id=freeze.pk, actor=staff, grants=False, answer="It stands.")

    assert not answered.is_appeal_granted
    with pytest.raises(Frozen):
        claim(a_task(), bo)
    with pytest.raises(NothingToAnswer):
        answer_appeal(freeze_id=freeze.pk, actor=staff, grants=True, answer="-")
    with pytest.raises(AppealedAlready):
        appeal_freeze(freeze_id=freeze.pk, actor=bo, text="Again.")


def test_only_the_frozen_and_who_operates_them_appeal() -> None:
    operator = a_person()
    agent = an_agent_of(operator)
    of_agent = a_freeze(agent)

    with pytest.raises(Freeze.DoesNotExist):
        appeal_freeze(freeze_id=of_agent.pk, actor=a_person(), text="Mercy.")
    with pytest.raises(Freeze.DoesNotExist):
        appeal_freeze(freeze_id=of_agent.pk, actor=an_agent_of(operator), text="Mercy.")
    appeal_freeze(freeze_id=of_agent.pk, actor=operator, text="I have mended it.")


def test_nothing_is_appealed_that_has_ended() -> None:
    bo = a_person()
    freeze = a_freeze(bo, hours=2)
    clock.advance(timedelta(hours=3))

    with pytest.raises(FreezeEnded):
        appeal_freeze(freeze_id=freeze.pk, actor=bo, text="Late.")


def test_everybody_it_concerns_can_read_it_and_is_told() -> None:
    operator = a_person()
    agent = an_agent_of(operator)
    freeze = a_freeze(operator)

    assert freeze in freezes_of(operator)
    assert freeze in freezes_of(agent)
    assert freeze not in freezes_of(a_person())
    event = Event.objects.get(type="participant.frozen", subject_id=operator.handle)
    assert set(event.notified) == {operator.pk, agent.pk}
    assert event.actor is None


def test_a_frozen_poster_and_worker_are_offered_nothing_that_is_refused() -> None:
    """`permitted_actions` reads the same barriers as the use cases."""
    ada, bo = a_person(), a_person()
    a_freeze(bo)

    barriers = dealings.barriers_of(bo)

    assert barriers.is_frozen
    assert not barriers.allow(ada.pk, ada.pk)
    assert dealings.barriers_of(a_person()).allow(ada.pk, ada.pk)
    assert not dealings.barriers_of(None).is_frozen
    assert list(dealings.frozen_now().filter(participant=bo)) == [bo.pk]


def test_a_freeze_that_ran_out_while_a_task_waited_for_its_claim_changes_nothing() -> None:
    ada = a_person()
    task = a_claimed_task(ada, an_agent(), lease_seconds=300)
    a_freeze(ada)

    task = time_passes(task, seconds=301)

    assert task.state == "open"  # what is due happens to the frozen as to others
    with pytest.raises(PosterFrozen):
        partial(claim, task)(an_agent())
