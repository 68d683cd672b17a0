"""Who may write to whom about a task.

Before anybody holds a task, questions about it and their answers are public: every worker reads the
same. Once two sides have a deal, or one has made an offer, what they write is theirs alone; in a
contest nobody reads what another entrant writes.
"""

from dataclasses import dataclass

from django.db.models import QuerySet

from marketplace.participants import dealings
from marketplace.participants.models import Participant
from marketplace.tasks.models import LIVE_BIDS, Bid, Claim, Mode, Task
from marketplace.tasks.states import TaskState

MOST_OFFERED = 100  # counterparts that are listed; any other can still be named


class NobodyToWriteTo(Exception):
    """There is nobody on the other side of a task now, or the actor has no part in it.

    Attributes:
        state: Where the task stands.
    """

    def __init__(self, *, state: str) -> None:
        super().__init__(f"you can write to nobody about this task while it is {state}")
        self.state = state


class NoSuchCounterpart(Exception):
    """The poster names somebody who has no part in the task, or does not say whom of several."""


@dataclass(frozen=True, slots=True)
class Audience:
    """Who will read a message.

    Attributes:
        counterpart: Who is on the other side from the poster; None for everybody.
        is_question: Whether its author has no part in the task.
    """

    counterpart: Participant | None
    is_question: bool = False


def counterparts(task: Task) -> QuerySet[Participant]:
    """Return who takes part in a task besides its poster: who holds it, bids for it or entered."""
    several = _several(task)
    if several is not None:
        return several
    holders = [key for key in (task.worker_id, task.offered_to_id) if key is not None]
    return Participant.objects.filter(pk__in=holders)


def _several(task: Task) -> QuerySet[Participant] | None:
    """Return who takes part where that can be many; None where it is whoever holds the task."""
    if task.mode == Mode.BID and task.state in (TaskState.OPEN, TaskState.OFFERED):
        bids = Bid.objects.filter(task=task, state__in=LIVE_BIDS)
        return Participant.objects.filter(pk__in=bids.values("bidder"))
    if task.mode == Mode.CONTEST and not task.is_ended:
        entries = Claim.objects.filter(task=task, is_entry=True, ended_at=None)
        return Participant.objects.filter(pk__in=entries.values("worker"))
    return None


def audience_of(task: Task, actor: Participant, *, to: str | None, public: bool) -> Audience:
    """Return who is to read what *actor* writes about a task that it may see.

    Args:
        task: Locked, so that nobody takes it meanwhile.
        actor: Who writes.
        to: For the poster: the handle of whom, where several take part.
        public: Whether everybody is to read it, where the actor could also write to one.

    Raises:
        NobodyToWriteTo: There is nobody, now or for the actor.
        NoSuchCounterpart: *to* names nobody who takes part, or is needed.
        Frozen, Blocked, PosterFrozen: It would be about a new dealing.
    """
    if actor.pk == task.poster_id:
        if public and to is None:
            return _to_everybody(task, actor)
        return _from_poster(task, actor, to=to, public=public)
    if to is not None:
        raise NoSuchCounterpart("Only the poster chooses whom to write to; leave it out.")
    if actor.operator_key == task.poster_operator_id:
        raise NobodyToWriteTo(state=task.state)
    takes_part = counterparts(task).filter(pk=actor.pk).exists()
    if takes_part and not public:
        if not _is_bound(task):
            dealings.require_dealing(actor, task.poster_id, task.poster_operator_id)
        return Audience(actor)
    if task.state != TaskState.OPEN:
        raise NobodyToWriteTo(state=task.state)
    dealings.require_dealing(actor, task.poster_id, task.poster_operator_id)
    return Audience(None, is_question=not takes_part)


def _from_poster(task: Task, actor: Participant, *, to: str | None, public: bool) -> Audience:
    if public:
        raise NoSuchCounterpart("A public message has everybody for its readers; leave this out.")
    found = counterparts(task).select_related("operator")
    holder = task.worker_id or task.offered_to_id
    if to is not None:
        other = found.filter(handle=to).first()
        if other is None:
            raise NoSuchCounterpart("Nobody of this handle takes part in the task.")
    elif holder is not None:
        other = found.get(pk=holder)
    elif task.state == TaskState.OPEN:
        return _to_everybody(task, actor)
    elif found.exists():
        raise NoSuchCounterpart("Several take part in the task: say to whom.")
    else:
        raise NobodyToWriteTo(state=task.state)
    if not _is_bound(task):
        dealings.require_free(actor)
    return Audience(other)


def _to_everybody(task: Task, actor: Participant) -> Audience:
    if task.state != TaskState.OPEN:
        raise NobodyToWriteTo(state=task.state)
    dealings.require_free(actor)
    return Audience(None)


def _is_bound(task: Task) -> bool:
    """Say whether writing belongs to a dealing that runs: a claim, an offer, an entry."""
    return task.state != TaskState.OPEN or task.mode == Mode.CONTEST


def choices_of(task: Task, actor: Participant | None) -> tuple[bool, list[str]]:
    """Return whom *actor* may write to now: whether to everybody, and the handles of others.

    It says what the state of the task allows; a freeze, a block or a quota refuses all the same.

    Args:
        task: With its poster, its worker and whoever it is offered to.
        actor: Who looks; None is a visitor without a name.

    Round trips: at most one.
    """
    if actor is None or (
        actor.pk != task.poster_id and actor.operator_key == task.poster_operator_id
    ):
        return False, []
    is_open = task.state == TaskState.OPEN
    several = _several(task)
    holder = task.worker or task.offered_to
    if actor.pk == task.poster_id:
        if several is None:
            return is_open, [holder.handle] if holder else []
        handles = several.order_by("handle").values_list("handle", flat=True)
        return is_open, list(handles[:MOST_OFFERED])
    if several is None:
        takes_part = holder is not None and holder.pk == actor.pk
    else:
        takes_part = several.filter(pk=actor.pk).exists()
    return is_open, [task.poster.handle] if takes_part else []
