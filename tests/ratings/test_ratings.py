"""Ratings both ways: once, unseen until both are in or a week has passed, and moving nothing."""

from datetime import timedelta
from functools import partial

import pytest
from django.db import IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext

from credits import ledger
from marketplace.delivery.models import Delivery
from marketplace.delivery.usecases.accept_delivery import accept_delivery
from marketplace.delivery.usecases.rate_delivery import rate_delivery
from marketplace.foundation import clock
from marketplace.moderation import subjects
from marketplace.participants.models import Participant
from marketplace.ratings.giving import AlreadyRated, RatingClosed
from marketplace.ratings.models import Rating
from marketplace.ratings.queries import Summary, ratings_of, summaries_of
from marketplace.standing.figures import records_of
from marketplace.tasks.states import IllegalTransition, NotPermitted
from tests.builders.at_once import together
from tests.builders.people import a_person, an_agent_of
from tests.builders.work import (
    a_rejected_delivery,
    a_submitted_delivery,
    an_accepted_delivery,
    everything_handled,
    time_passes,
)
from tests.owner import as_owner

pytestmark = pytest.mark.django_db

WEEK = timedelta(days=7)


def rate(delivery: Delivery, actor: Participant, score: int = 4, comment: str = "") -> Rating:
    return rate_delivery(delivery_id=delivery.pk, actor=actor, score=score, comment=comment)


def shown_about(person: Participant) -> list[tuple[int, str]]:
    found = ratings_of(person, at=clock.now()).order_by("pk")
    return [(rating.score, rating.comment) for rating in found]


def summary(person: Participant) -> Summary:
    return summaries_of([person.pk], at=clock.now())[person.pk]


def test_a_rating_is_hidden_until_the_other_side_has_rated_as_well() -> None:
    ada, bo = a_person(), a_person()
    delivery = an_accepted_delivery(ada, bo)

    rate(delivery, ada, 5, "Well done.")

    assert shown_about(bo) == []
    assert summary(bo) == Summary()
    rate(delivery, bo, 2, "Slow.")
    assert shown_about(bo) == [(5, "Well done.")]
    assert shown_about(ada) == [(2, "Slow.")]


def test_a_rating_is_shown_when_a_week_has_passed_without_the_other() -> None:
    ada, bo = a_person(), a_person()
    delivery = an_accepted_delivery(ada, bo)
    clock.advance(timedelta(days=3))
    rate(delivery, bo, 1, "Never again.")

    clock.advance(timedelta(days=3, hours=23))
    assert shown_about(ada) == []
    clock.advance(timedelta(hours=1, seconds=1))
    assert shown_about(ada) == [(1, "Never again.")]


def test_nobody_rates_once_the_other_rating_can_be_read() -> None:
    ada, bo = a_person(), a_person()
    delivery = an_accepted_delivery(ada, bo)
    rate(delivery, bo, 1)
    clock.advance(WEEK)

    with pytest.raises(RatingClosed):
        rate(delivery, ada, 1)


def test_a_rating_is_given_once_and_stays_as_it_is() -> None:
    ada = a_person()
    delivery = an_accepted_delivery(ada)
    rating = rate(delivery, ada, 5)

    with pytest.raises(AlreadyRated):
        rate(delivery, ada, 1)
    with as_owner(), pytest.raises(IntegrityError), transaction.atomic():
        Rating.objects.filter(pk=rating.pk).update(score=1)
    with as_owner(), pytest.raises(IntegrityError), transaction.atomic():
        Rating.objects.filter(pk=rating.pk).delete()


def test_accepting_with_a_rating_rates_the_worker_once() -> None:
    ada, bo = a_person(), a_person()
    delivery = a_submitted_delivery(ada, bo)

    accept_delivery(delivery_id=delivery.pk, actor=ada, rating=3, comment="Fine.")

    assert Delivery.objects.get(pk=delivery.pk).comment == ""  # hidden with the rating
    with pytest.raises(AlreadyRated):
        rate(delivery, ada)
    rate(delivery, bo)
    assert shown_about(bo) == [(3, "Fine.")]


def test_a_task_that_runs_is_not_rated() -> None:
    delivery = a_rejected_delivery()

    with pytest.raises(IllegalTransition):
        rate(delivery, delivery.worker)


def test_a_worker_whose_delivery_was_rejected_may_say_so_when_the_task_has_ended() -> None:
    delivery = a_rejected_delivery()
    assert time_passes(delivery.task, days=8).state == "expired"

    rate(delivery, delivery.worker, 1, "It was what was asked for.")

    clock.advance(WEEK)
    assert shown_about(delivery.task.poster) == [(1, "It was what was asked for.")]


def test_strangers_see_nothing_to_rate_and_operators_leave_it_to_their_agents() -> None:
    operator = a_person()
    delivery = an_accepted_delivery(worker=an_agent_of(operator))

    with pytest.raises(Delivery.DoesNotExist):
        rate(delivery, a_person())
    with pytest.raises(NotPermitted):
        rate(delivery, operator)


@pytest.mark.parametrize("round_", range(3))
def test_two_ratings_at_once_are_both_in(round_: int) -> None:
    ada, bo = a_person(), a_person()
    delivery = an_accepted_delivery(ada, bo)

    outcomes = together([partial(rate, delivery, ada), partial(rate, delivery, bo)])

    assert all(isinstance(one, Rating) for one in outcomes)
    assert len(shown_about(ada)) == len(shown_about(bo)) == 1


def test_of_twenty_ratings_of_one_side_at_once_one_counts() -> None:
    ada = a_person()
    delivery = an_accepted_delivery(ada)

    outcomes = together([partial(rate, delivery, ada, score=n % 5 + 1) for n in range(20)])

    assert sum(isinstance(one, Rating) for one in outcomes) == 1
    assert sum(isinstance(one, AlreadyRated) for one in outcomes) == 19


def test_an_operators_opinion_counts_once_however_often_it_rates() -> None:
    bo, fan, critic = a_person(), a_person(), a_person()
    fans = [fan, an_agent_of(fan)]
    for poster, score in ((fans[0], 5), (fans[1], 5), (fans[1], 5), (critic, 2)):
        delivery = an_accepted_delivery(poster, bo, bounty=1_000_000)
        rate(delivery, poster, score)
        rate(delivery, bo, 3)

    assert summary(bo) == Summary(average=3.5, raters=2, number=4)
    assert summary(fan) == Summary(average=3.0, raters=1, number=3)  # its agent's among them


def test_ratings_move_no_credits_and_no_standing() -> None:
    ada, bo = a_person(), a_person()
    delivery = an_accepted_delivery(ada, bo)
    everything_handled()
    at = clock.now()
    before = (ledger.position(ada.pk), ledger.position(bo.pk), records_of([ada.pk, bo.pk], at=at))

    rate(delivery, ada, 1, "Terrible.")
    rate(delivery, bo, 1, "Terrible.")
    everything_handled()

    after = (ledger.position(ada.pk), ledger.position(bo.pk), records_of([ada.pk, bo.pk], at=at))
    assert after == before


def test_a_rating_can_be_reported_once_it_is_shown_and_what_staff_hide_is_gone() -> None:
    ada, bo, eve = a_person(), a_person(), a_person()
    delivery = an_accepted_delivery(ada, bo)
    rating = rate(delivery, ada, 1, "spam")

    with pytest.raises(subjects.UnknownSubject):
        subjects.find(eve, rating.public_id)
    rate(delivery, bo)
    reportable, found = subjects.find(eve, rating.public_id)
    assert (found.about, found.excerpt) == (ada, "1 of 5. spam")
    with transaction.atomic():
        reportable.keep_from_sight(
            found.key, found.name, actor=a_person(), reason="spam", at=clock.now()
        )

    assert shown_about(bo) == []
    assert summary(bo).number == 0


def test_what_others_say_of_many_is_one_query() -> None:
    people = [an_accepted_delivery().worker.pk for _ in range(3)]
    now = clock.now()

    with CaptureQueriesContext(connection) as made:
        summaries_of(people, at=now)
        records_of(people, at=now)

    assert len(made) == 2
