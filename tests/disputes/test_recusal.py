"""Whoever has a side in a task, or stands above it, neither judges nor decides (rule 7)."""

from datetime import timedelta

import pytest
from pytest_django import Settings

from credits import amounts
from marketplace.delivery.usecases.decide_as_staff import decide_as_staff
from marketplace.disputes import panels
from marketplace.disputes.models import Dispute, Outcome, SeatState
from marketplace.disputes.permissions import permitted_actions
from marketplace.disputes.queries import as_shown, asked_to_judge
from marketplace.disputes.states import DisputeState
from marketplace.disputes.usecases.open_dispute import open_dispute
from marketplace.foundation import clock
from marketplace.participants.models import Participant
from marketplace.tasks.models import Task
from marketplace.tasks.queries import viewer
from marketplace.tasks.states import NotPermitted, TaskState
from marketplace.tasks.usecases.abandon_task import abandon_task
from tests.builders.disputes import (
    EVIDENCE,
    FOR_WORKER,
    VOTES,
    after,
    before_a_panel,
    decided_by,
    judges,
    open_seats,
)
from tests.builders.people import an_agent_of
from tests.builders.staff import somebody_of_staff
from tests.builders.trees import ALL, a_task_to_split, an_entry, done, held, lead_of, now, split
from tests.builders.work import again, deliver, time_passes
from tests.delivery.test_review import CANNOT_RUN, checks_ended

pytestmark = pytest.mark.django_db

MICRO = amounts.MICRO
LONG, DAY = timedelta(days=60), 86_400


def a_part_that_a_former_lead_accepted() -> tuple[Task, Task]:
    """Return a task that nobody leads, and an accepted part of it whose earnings wait."""
    judges()
    task = a_task_to_split(deadline=clock.now() + LONG)
    (part,) = split(task)
    done(part)
    abandon_task(task_id=task.pk, actor=lead_of(task))
    return now(task), now(part)


def disputed(part: Task, task: Task) -> Dispute:
    return open_dispute(task_id=part.pk, actor=task.poster, reason="Nothing was done.")


def offered_in(dispute: Dispute, somebody: Participant) -> list[str]:
    shown = as_shown(Dispute.objects.filter(pk=dispute.pk)).get()
    return permitted_actions(shown, viewer(somebody))


def drawn_for(part: Task) -> list[str]:
    assert part.claim is not None
    claims = {part.claim.pk: part.claim.operator_id}
    return panels.draw(part, claims=claims, opened_at=clock.now()).order


def test_whoever_came_to_lead_above_is_not_drawn_to_judge_what_was_earned_before(
    settings: Settings,
) -> None:
    settings.RECUSAL_SECONDS = 0  # so that having dealt with a side recuses nobody
    task, part = a_part_that_a_former_lead_accepted()
    judge = judges()[0]
    before = drawn_for(part)

    held(task, judge)
    abandon_task(task_id=task.pk, actor=judge)

    assert judge.handle in before
    assert judge.handle not in drawn_for(now(part))


def test_a_panelist_who_leads_above_by_now_does_not_vote_and_another_is_drawn() -> None:
    task, part = a_part_that_a_former_lead_accepted()
    dispute = before_a_panel(disputed(part, task))
    seats = open_seats(dispute)
    panelist, others = seats[0].panelist, seats[1:]
    before = offered_in(dispute, panelist), dispute in asked_to_judge(panelist)

    held(task, panelist)

    with pytest.raises(NotPermitted, match="a side in"):
        FOR_WORKER(seats[0])
    assert before == (["vote"], True)
    assert (offered_in(dispute, panelist), dispute in asked_to_judge(panelist)) == ([], False)
    for seat in others:
        FOR_WORKER(seat)
    voting = after(dispute, VOTES)
    seats[0].refresh_from_db()
    assert (voting.state, seats[0].state) == (DisputeState.VOTING, SeatState.LAPSED)
    assert panelist not in [seat.panelist for seat in open_seats(voting)]


def test_staff_who_lead_above_do_not_decide_what_was_earned_below(settings: Settings) -> None:
    settings.PANELIST_ACCEPTED_TASKS = 10**6
    task, part = a_part_that_a_former_lead_accepted()
    lead, other = somebody_of_staff(), somebody_of_staff()
    dispute = after(disputed(part, task), EVIDENCE)
    before = offered_in(dispute, lead)

    held(task, an_agent_of(lead))

    assert (dispute.state, before) == (DisputeState.ADMINISTRATOR, ["decide"])
    with pytest.raises(NotPermitted, match="a side in"):
        decided_by(lead, dispute, Outcome.REJECT)
    assert offered_in(dispute, lead) == []
    assert decided_by(other, dispute, Outcome.REJECT).state == DisputeState.DECIDED


def test_staff_who_posted_or_lead_above_do_not_decide_about_a_delivery_below() -> None:
    poster, lead = somebody_of_staff(), somebody_of_staff()
    # Leases that last until staff have been asked.
    lasting = clock.now() + LONG
    task = a_task_to_split(poster, an_agent_of(lead), deadline=lasting, lease_seconds=59 * DAY)
    (middle,) = split(task, an_entry(bounty=3 * MICRO, delegation_bps=ALL, lease_seconds=40 * DAY))
    soon = clock.now() + timedelta(days=20)
    (part,) = split(held(middle), an_entry(deadline=soon, verification=[CANNOT_RUN]))
    delivery = checks_ended(deliver(held(part)))
    time_passes(part, hours=73)
    assert again(part).with_staff_until is not None

    for somebody in (poster, lead):
        with pytest.raises(NotPermitted, match="own cause"):
            decide_as_staff(delivery_id=delivery.pk, actor=somebody, accepts=False, reason="No.")
    decide_as_staff(
        delivery_id=delivery.pk, actor=somebody_of_staff(), accepts=True, reason="I read it."
    )

    assert again(part).state == TaskState.ACCEPTED
