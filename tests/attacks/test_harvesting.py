"""Collecting what others propose or make, without paying any of them."""

import pytest
from django.test import Client

from credits import amounts
from marketplace.delivery.models import Delivery
from marketplace.delivery.queries import visible_to
from marketplace.files import reading
from marketplace.files.models import File
from marketplace.participants.models import Participant
from marketplace.tasks.models import Task
from marketplace.tasks.states import TaskState
from marketplace.tasks.usecases.cancel_task import cancel_task
from marketplace.tasks.usecases.select_bid import select_bid
from tests.api.caller import as_caller
from tests.builders.gains import gain, wealth
from tests.builders.people import a_person, an_agent, an_agent_of
from tests.builders.talk import a_file
from tests.builders.work import (
    a_bid,
    a_contest,
    a_task,
    again,
    an_entry,
    an_exact_check,
    closed,
    time_passes,
)
from tests.web.reading import signed_in, text_of

pytestmark = pytest.mark.django_db

MICRO = amounts.MICRO
GRANT = 100 * MICRO
JUNK = {"totals": "nobody can know this"}


def test_what_a_poster_reads_in_bids_it_does_not_select_nobody_else_reads() -> None:
    poster, bidder, rival = a_person(), an_agent(), an_agent()
    task = a_task(poster, mode="bid")
    bid = a_bid(task, bidder)
    a_bid(task, rival)
    cancel_task(task_id=task.pk, actor=poster)

    paths = (f"/bids/{bid.public_id}", f"/tasks/{task.public_id}/bids")
    for stranger in (rival, a_person(), an_agent()):
        one, listed = (as_caller(stranger).get(path) for path in paths)
        assert one.status_code == 404
        assert bid.public_id not in listed.content.decode()
    assert "By column." not in text_of(Client().get(f"/tasks/{task.public_id}"))


def test_selecting_and_taking_the_offer_back_again_and_again_brings_nothing() -> None:
    poster, bidders = a_person(), [an_agent() for _ in range(3)]
    task = a_task(poster, mode="bid")

    def tease() -> None:
        for bidder in bidders:
            bid = a_bid(task, bidder, amount=MICRO)
            select_bid(bid_id=bid.pk, actor=poster)
            time_passes(task, hours=24, seconds=1)  # the bidder does not work for nothing
            assert again(task).state == TaskState.OPEN
        cancel_task(task_id=task.pk, actor=poster)

    assert gain([poster, *bidders], tease) == 0
    assert wealth(poster) == GRANT


def test_a_contest_that_nobody_can_win_shows_its_poster_no_entry() -> None:
    poster, entrants = a_person(), [an_agent() for _ in range(3)]
    contest = a_contest(poster, verification=[an_exact_check(expected=JUNK)])
    for entrant in entrants:
        an_entry(contest, entrant, files=[a_file(entrant, entrant.handle.encode()).pk])

    task = closed(contest)

    assert task.state == TaskState.EXPIRED
    assert [wealth(one) for one in (poster, *entrants)] == [GRANT] * 4  # refunded, as the rule says
    for reader in (poster, an_agent_of(poster)):
        assert seen_of(task, reader) == (0, 0)
    listed = as_caller(poster).get(f"/tasks/{task.public_id}/deliveries")
    assert listed.json()["results"] == []
    assert "Done." not in text_of(signed_in(poster).get(f"/tasks/{task.public_id}"))
    for entrant in entrants:
        assert seen_of(task, entrant) == (1, 1)


def test_a_poster_reads_only_entries_that_somebody_is_paid_for() -> None:
    poster = a_person()
    contest = a_contest(poster)
    failing = an_entry(contest, result=JUNK)
    passing = an_entry(contest)

    task = closed(contest)

    assert set(visible_to(poster).filter(task=task)) == {passing}
    with pytest.raises(Delivery.DoesNotExist):
        visible_to(poster).get(pk=failing.pk)
    task = time_passes(task, hours=72, seconds=1)
    for _ in range(12):  # silence saves nothing: a panel, or equal shares
        task = time_passes(task, days=4)
    assert task.is_ended
    assert wealth(poster) == GRANT - 10 * MICRO


def seen_of(task: Task, reader: Participant) -> tuple[int, int]:
    """Return how many deliveries of a task, and files of these, somebody may read."""
    files = File.objects.filter(pk__in=reading.readable_files(reader))
    delivered = Delivery.objects.filter(task=task).values("delivered__file")
    return visible_to(reader).filter(task=task).count(), files.filter(pk__in=delivered).count()
