"""Listing what somebody may take: exactly the tasks that they are offered to take."""

from collections.abc import Callable
from typing import Any

import pytest
from django.conf import LazySettings
from django.db import connection
from django.test.utils import CaptureQueriesContext

from credits import amounts
from marketplace.foundation import clock
from marketplace.moderation import hiding
from marketplace.participants.models import Kind, Participant
from marketplace.participants.usecases.block_participant import block_participant
from marketplace.participants.usecases.edit_profile import edit_profile
from marketplace.tasks.eligibility import Eligibility
from marketplace.tasks.models import Task
from marketplace.tasks.permissions import permitted_actions
from marketplace.tasks.queries import as_shown, ranked_for, viewer
from marketplace.tasks.usecases.decline_task import decline_task
from tests.api.caller import as_caller, ok
from tests.builders.people import a_person, an_agent, an_agent_of
from tests.builders.staff import a_freeze, somebody_of_staff
from tests.builders.work import (
    a_bid,
    a_claimed_task,
    a_contest,
    a_selected_bid,
    a_task,
    an_accepted_delivery,
    an_entry,
    an_offered_task,
    everything_handled,
)

pytestmark = pytest.mark.django_db

TAKING = {"claim", "bid", "submit"}


def tasks_of_every_kind(poster: Participant, looking: Participant) -> list[Task]:
    """Post what some may take and others may not, with what *looking* has done about some."""
    said: list[Eligibility] = [
        Eligibility(kind=Kind.HUMAN),
        Eligibility(kind=Kind.AGENT),
        Eligibility(min_standing=0),
        Eligibility(min_standing=amounts.MICRO),
        Eligibility(min_standing=10**9 * amounts.MICRO),
        Eligibility(capabilities=["csv"]),
        Eligibility(capabilities=["csv", "welding"]),
    ]
    small: dict[str, Any] = {"bounty": 100_000}
    tasks = [a_task(poster, eligibility=one, **small) for one in said]
    tasks += [a_task(poster, mode="bid", **small), a_contest(poster, **small)]
    bid_on, entered = a_task(poster, mode="bid", **small), a_contest(poster, **small)
    a_bid(bid_on, looking, amount=50_000)
    an_entry(entered, looking)
    offeree = an_agent()
    declined = an_offered_task(poster, offeree, **small)
    decline_task(task_id=declined.pk, actor=offeree)
    offered_to_others = an_offered_task(poster, **small)
    tasks += [bid_on, entered, declined, offered_to_others, a_claimed_task(poster, **small)]
    return [*tasks, a_selected_bid(poster).task]


def fitting(looking: Participant, poster: Participant) -> set[object]:
    found = ranked_for(looking, Task.objects.filter(poster=poster))
    return {task.pk for task in found}


def offered(looking: Participant, poster: Participant) -> set[object]:
    tasks = as_shown(Task.objects.filter(poster=poster, state="open"))
    seeing = viewer(looking)
    return {task.pk for task in tasks if TAKING & set(permitted_actions(task, seeing))}


def skilled(person: Participant) -> Participant:
    return edit_profile(
        actor=person, changes={"capabilities": ["csv"]}, read_version=lambda _: True
    )


def experienced() -> Participant:
    worker = an_agent()
    an_accepted_delivery(worker=worker)
    everything_handled()
    return worker


@pytest.mark.parametrize(
    "somebody",
    [a_person, an_agent, lambda: skilled(an_agent()), experienced],
    ids=["a person", "an agent", "somebody skilled", "somebody experienced"],
)
def test_what_is_listed_for_somebody_is_exactly_what_they_are_offered_to_take(
    somebody: Callable[[], Participant],
) -> None:
    poster, looking = a_person(), somebody()
    tasks_of_every_kind(poster, looking)

    assert fitting(looking, poster) == offered(looking, poster) != set()


def test_nothing_is_listed_between_the_deadline_and_the_sweeper() -> None:
    poster, looking = a_person(), a_person()
    task = a_task(poster)
    clock.advance(task.deadline - clock.now())

    assert fitting(looking, poster) == offered(looking, poster) == set()


def test_an_operators_own_tasks_fit_none_of_its_agents() -> None:
    poster = a_person()
    a_task(poster)

    assert fitting(an_agent_of(poster), poster) == set()


def test_a_block_a_freeze_and_staff_keep_tasks_from_the_list() -> None:
    blocking, frozen, hidden, looking = a_person(), a_person(), a_person(), an_agent()
    for poster in (blocking, frozen, hidden):
        a_task(poster)
        assert len(fitting(looking, poster)) == 1
    block_participant(actor=blocking, handle=looking.handle)
    a_freeze(frozen)
    task = Task.objects.get(poster=hidden)
    at, actor = clock.now(), somebody_of_staff()
    hiding.hide("task", str(task.pk), task.public_id, actor=actor, reason="Spam.", at=at)

    for poster in (blocking, frozen, hidden):
        assert fitting(looking, poster) == set()


def test_the_frozen_are_shown_nothing_to_take() -> None:
    poster, looking = a_person(), an_agent()
    a_task(poster)
    a_freeze(looking)

    assert fitting(looking, poster) == offered(looking, poster) == set()


def test_who_holds_as_much_as_it_may_is_shown_what_it_may_bid_for_and_enter() -> None:
    poster, looking = a_person(), an_agent()
    for _ in range(3):
        a_claimed_task(worker=looking)
    a_task(poster)
    others = {a_task(poster, mode="bid").pk, a_contest(poster).pk}

    assert fitting(looking, poster) == offered(looking, poster) == others


def test_a_full_contest_is_not_listed(settings: LazySettings) -> None:
    settings.ENTRIES_PER_CONTEST = 1
    poster, looking = a_person(), an_agent()
    an_entry(a_contest(poster))

    assert fitting(looking, poster) == offered(looking, poster) == set()


def test_the_list_makes_as_many_queries_for_six_as_for_one_and_begins_with_shared_tags() -> None:
    poster, caller = a_person(), as_caller(skilled(an_agent()))

    def queries() -> int:
        with CaptureQueriesContext(connection) as made:
            ok(caller.get(f"/tasks?for=me&poster={poster.handle}"))
        return len(made)

    a_task(poster, tags=["wood"])
    of_one = queries()
    for _ in range(4):
        a_task(poster, tags=["garden"])
    best = a_task(poster, tags=["csv"])

    assert queries() == of_one <= 12
    listed = ok(caller.get(f"/tasks?for=me&poster={poster.handle}"))["results"]
    assert listed[0]["id"] == best.public_id
    assert all("claim" in task["permitted_actions"] for task in listed)
