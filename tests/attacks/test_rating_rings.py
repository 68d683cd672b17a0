"""Accounts that praise each other."""

import pytest

from credits import amounts
from marketplace.foundation import clock
from marketplace.participants.models import Participant
from marketplace.ratings.queries import summaries_of
from marketplace.standing.figures import standing_of
from marketplace.standing.models import StandingRole
from marketplace.tasks.caps import holdings_of
from tests.builders.gains import gain
from tests.builders.people import a_person
from tests.builders.work import an_accepted_delivery, everything_handled
from tests.ratings.test_ratings import rate

pytestmark = pytest.mark.django_db

LEAST = amounts.MICRO // 100


def ring_of(members: int, score: int) -> tuple[list[Participant], int]:
    """Let each member work for each other for next to nothing, with *score* for everybody."""
    ring = [a_person() for _ in range(members)]

    def praise() -> None:
        for poster in ring:
            for worker in ring:
                if poster != worker:
                    delivery = an_accepted_delivery(poster, worker, bounty=LEAST)
                    rate(delivery, poster, score)
                    rate(delivery, worker, score)

    return ring, gain(ring, praise)


def test_a_ring_of_praise_pays_its_fees_and_has_what_a_ring_of_scorn_has() -> None:
    praised, lost_by_praise = ring_of(4, 5)
    scorned, lost_by_scorn = ring_of(4, 1)
    everything_handled()

    def has(member: Participant) -> tuple[int, object]:
        (worker,) = standing_of([member.pk], StandingRole.WORKER, at=clock.now()).values()
        return worker.number, holdings_of(member).refusal

    assert lost_by_praise == lost_by_scorn == -12 * LEAST // 20
    assert {has(one) for one in praised} == {has(one) for one in scorned} == {(3, None)}


def test_a_ring_is_as_many_opinions_as_it_has_operators_and_says_how_many() -> None:
    ring, _ = ring_of(4, 5)

    for member in ring:
        said = summaries_of([member.pk], at=clock.now())[member.pk]
        assert (said.average, said.raters, said.number) == (5.0, 3, 6)
