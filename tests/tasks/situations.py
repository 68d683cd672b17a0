"""Tasks in every situation that the product can bring them into, and every move that there is."""

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from marketplace.delegation.usecases.plan_subtasks import plan_subtasks
from marketplace.delivery.models import Delivery
from marketplace.delivery.usecases.accept_delivery import accept_delivery
from marketplace.delivery.usecases.reject_delivery import reject_delivery
from marketplace.delivery.usecases.submit_delivery import Work, submit_delivery
from marketplace.disputes.usecases.open_dispute import open_dispute
from marketplace.foundation import clock
from marketplace.participants.models import Participant
from marketplace.tasks.models import Mode, OnDecline, Source, Task
from marketplace.tasks.states import IllegalTransition
from marketplace.tasks.usecases.abandon_task import abandon_task
from marketplace.tasks.usecases.cancel_task import cancel_task
from marketplace.tasks.usecases.claim_task import claim_task
from marketplace.tasks.usecases.decline_task import decline_task
from marketplace.tasks.usecases.edit_task import edit_task
from marketplace.tasks.usecases.heartbeat import heartbeat
from marketplace.tasks.usecases.place_bid import place_bid
from marketplace.tasks.usecases.raise_task import raise_task
from marketplace.tasks.usecases.use_asset import use_asset
from tests.builders.disputes import a_posters_dispute, disputed
from tests.builders.people import a_person, an_agent, an_agent_of
from tests.builders.trees import a_task_to_split, done, split
from tests.builders.trees import an_entry as part_entry
from tests.builders.work import (
    a_bid,
    a_claimed_task,
    a_contest,
    a_rejected_delivery,
    a_selected_bid,
    a_submitted_delivery,
    a_task,
    a_task_held_on_a_bid,
    again,
    an_accepted_delivery,
    an_entry,
    an_offered_task,
    closed,
    deliver,
    rejected,
    swept,
)


@dataclass(frozen=True, slots=True)
class Cast:
    """Who is there: Ada posts, Bo works, the agent Cy works for Ada, Eve is a stranger."""

    ada: Participant
    bo: Participant
    cy: Participant
    eve: Participant

    def everybody(self) -> dict[str, Participant]:
        return {"ada": self.ada, "bo": self.bo, "cy": self.cy, "eve": self.eve}


def a_cast() -> Cast:
    ada = a_person()
    return Cast(ada, an_agent(), an_agent_of(ada), an_agent())


def _open(cast: Cast) -> Task:
    return a_task(cast.ada)


def _claimed(cast: Cast) -> Task:
    return a_claimed_task(cast.ada, cast.bo)


def _submitted(cast: Cast) -> Task:
    return a_submitted_delivery(cast.ada, cast.bo).task


def _rejected(cast: Cast) -> Task:
    return a_rejected_delivery(cast.ada, cast.bo).task


def _rejected_twice_and_delivered(cast: Cast) -> Task:
    task = _rejected(cast)
    rejected(deliver(task))
    return deliver(task).task


def _under_notice(cast: Cast) -> Task:
    return cancel_task(task_id=_claimed(cast).pk, actor=cast.ada)


def _delivered_under_notice(cast: Cast) -> Task:
    return deliver(_under_notice(cast)).task


def _rejected_under_notice(cast: Cast) -> Task:
    return rejected(deliver(_under_notice(cast))).task


def _disputed(cast: Cast) -> Task:
    return again(disputed(a_rejected_delivery(cast.ada, cast.bo)).task)


def _disputed_by_its_poster(cast: Cast) -> Task:
    return again(a_posters_dispute(cast.ada, cast.bo).task)


def _accepted(cast: Cast) -> Task:
    return an_accepted_delivery(cast.ada, cast.bo).task


def _cancelled(cast: Cast) -> Task:
    return cancel_task(task_id=_open(cast).pk, actor=cast.ada)


def _expired(cast: Cast) -> Task:
    task = a_task(cast.ada, deadline=clock.now() + timedelta(minutes=6))
    clock.advance(timedelta(minutes=7))
    return swept(task)


def _bidding(cast: Cast) -> Task:
    task = a_task(cast.ada, mode=Mode.BID)
    a_bid(task, cast.bo)
    return task


def _selected(cast: Cast) -> Task:
    return a_selected_bid(cast.ada, cast.bo).task


def _held_on_a_bid(cast: Cast) -> Task:
    return a_task_held_on_a_bid(cast.ada, cast.bo)


def _offered(cast: Cast) -> Task:
    return an_offered_task(cast.ada, cast.bo)


def _offered_for_good(cast: Cast) -> Task:
    return an_offered_task(cast.ada, cast.bo, on_decline=OnDecline.CANCEL)


def _declined(cast: Cast) -> Task:
    return decline_task(task_id=_offered(cast).pk, actor=cast.bo)


def _contest(cast: Cast) -> Task:
    return a_contest(cast.ada)


def _entered(cast: Cast) -> Task:
    return again(an_entry(_contest(cast), cast.bo).task)


def _closed(cast: Cast) -> Task:
    return closed(_entered(cast))


def _closed_with_a_failure(cast: Cast) -> Task:
    task = _entered(cast)
    an_entry(task, cast.eve, result={"totals": None})  # the latest, which cannot be accepted
    return closed(again(task))


# --- Tasks that are split: Ada posts the whole, Bo leads, Eve works on a part ---------------------


def _split(cast: Cast) -> Task:
    part = _part(cast)
    assert part.parent is not None
    return again(part.parent)


def _part(cast: Cast) -> Task:
    lasting = clock.now() + timedelta(days=60)  # so that parts of parts have time
    (part,) = split(a_task_to_split(cast.ada, cast.bo, deadline=lasting))
    return part


def _part_that_waits(cast: Cast) -> Task:
    whole = a_task_to_split(cast.ada, cast.bo)
    return split(whole, part_entry("a"), part_entry("b", depends_on=("a",)))[1]


def _part_held(cast: Cast) -> Task:
    return claim_task(task_id=_part(cast).pk, actor=cast.eve)


def _part_accepted(cast: Cast) -> Task:
    return done(_part(cast), cast.eve)


def _closing(cast: Cast) -> Task:
    part = _part_held(cast)
    assert part.parent_id is not None
    return cancel_task(task_id=part.parent_id, actor=cast.ada, at_once=True)


SITUATIONS: dict[str, Callable[[Cast], Task]] = {
    "open": _open,
    "claimed": _claimed,
    "submitted": _submitted,
    "rejected": _rejected,
    "rejected twice and delivered": _rejected_twice_and_delivered,
    "under notice": _under_notice,
    "delivered under notice": _delivered_under_notice,
    "rejected under notice": _rejected_under_notice,
    "takes bids": _bidding,
    "bid selected": _selected,
    "held on a bid": _held_on_a_bid,
    "offered": _offered,
    "offered for good": _offered_for_good,
    "declined": _declined,
    "contest": _contest,
    "entered": _entered,
    "closed": _closed,
    "closed with a failure": _closed_with_a_failure,
    "disputed": _disputed,
    "disputed by its poster": _disputed_by_its_poster,
    "accepted": _accepted,
    "cancelled": _cancelled,
    "expired": _expired,
    "split": _split,
    "a part": _part,
    "a part that waits": _part_that_waits,
    "a part, held": _part_held,
    "a part, accepted": _part_accepted,
    "closing": _closing,
}


def _latest(task: Task) -> uuid.UUID:
    latest = Delivery.objects.filter(task=task).order_by("-number").first()
    return latest.pk if latest is not None else uuid.uuid4()


def _cancel_at_once(task: Task, actor: Participant) -> object:
    """Cancel at once; where nobody holds the task there is nothing to do at once."""
    if again(task).claim_id is None:
        raise IllegalTransition(verb="cancel_at_once", state=task.state)
    return cancel_task(task_id=task.pk, actor=actor, at_once=True)


Move = Callable[[Task, Participant], object]
# By the name that the API has for the action.
MOVES: dict[str, Move] = {
    "claim": lambda task, actor: claim_task(task_id=task.pk, actor=actor),
    "edit": lambda task, actor: edit_task(
        task_id=task.pk, actor=actor, changes={"title": "x"}, read_version=lambda _: True
    ),
    "cancel": lambda task, actor: cancel_task(task_id=task.pk, actor=actor),
    "cancel_at_once": _cancel_at_once,
    "heartbeat": lambda task, actor: heartbeat(task_id=task.pk, actor=actor),
    "bid": lambda task, actor: place_bid(
        task_id=task.pk, actor=actor, proposal="x", terms_version=again(task).terms_version
    ),
    "raise": lambda task, actor: raise_task(
        task_id=task.pk, actor=actor, bounty=again(task).bounty + 1
    ),
    "decline": lambda task, actor: decline_task(task_id=task.pk, actor=actor),
    "abandon": lambda task, actor: abandon_task(task_id=task.pk, actor=actor),
    "submit": lambda task, actor: submit_delivery(
        task_id=task.pk, actor=actor, work=Work(summary="x")
    ),
    "add_subtasks": lambda task, actor: plan_subtasks(
        task_id=task.pk, actor=actor, entries=[part_entry("new", source=Source.WALLET)]
    ),
    "dispute": lambda task, actor: open_dispute(task_id=task.pk, actor=actor, reason="No."),
    "accept": lambda task, actor: accept_delivery(delivery_id=_latest(task), actor=actor),
    "reject": lambda task, actor: reject_delivery(
        delivery_id=_latest(task), actor=actor, reason="No."
    ),
}


def use_for(task: Task, actor: Participant, owner: str, name: str) -> object:
    """Use a free asset for the task."""
    return use_asset(actor=actor, owner=owner, name=name, task_id=task.pk)


def now(task: Task) -> Task:
    """Return the task as it stands, with what a viewer's questions read."""
    return Task.objects.select_related("claim").get(pk=again(task).pk)
