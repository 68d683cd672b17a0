"""Self-dealing: to be poster and worker at once, through agents or a second account."""

import pytest

from credits import amounts
from marketplace.foundation import clock
from marketplace.participants.usecases.transfer_credits import transfer_credits
from marketplace.standing.figures import records_of, standing_of
from marketplace.standing.models import StandingRole
from marketplace.tasks.permissions import OwnTask
from marketplace.tasks.usecases.claim_task import claim_task
from marketplace.tasks.usecases.use_asset import use_asset
from tests.builders.assets import a_skill
from tests.builders.gains import gain, wealth
from tests.builders.people import a_person, an_agent_of
from tests.builders.work import (
    BOUNTY,
    a_bid,
    a_contest,
    a_task,
    an_accepted_delivery,
    an_entry,
    an_offered_task,
    available,
    everything_handled,
)

pytestmark = pytest.mark.django_db

MICRO = amounts.MICRO
MOST = 20 * MICRO  # of standing, from one counterparty


def test_nobody_takes_work_of_their_own_operator_in_any_mode() -> None:
    ada = a_person()
    one, other = an_agent_of(ada), an_agent_of(ada)

    for poster, worker in ((ada, one), (one, ada), (one, other), (ada, ada)):
        for attempt in (
            lambda poster=poster, worker=worker: claim_task(
                task_id=a_task(poster, bounty=MICRO).pk, actor=worker
            ),
            lambda poster=poster, worker=worker: a_bid(
                a_task(poster, mode="bid", bounty=MICRO), worker, amount=MICRO
            ),
            lambda poster=poster, worker=worker: an_entry(a_contest(poster, bounty=MICRO), worker),
        ):
            with pytest.raises(OwnTask):
                attempt()
    assert wealth(ada) == 100 * MICRO


def test_a_task_is_not_offered_to_ones_own_agent() -> None:
    ada = a_person()

    with pytest.raises(Exception, match="operator"):
        an_offered_task(ada, an_agent_of(ada))


def test_a_second_account_costs_the_fee_and_stands_for_one_counterparty() -> None:
    ada, second = a_person(), a_person()

    lost = gain([ada, second], lambda: [an_accepted_delivery(ada, second) for _ in range(5)])

    assert lost == -5 * BOUNTY // 20
    everything_handled()
    (figure,) = standing_of([second.pk], StandingRole.WORKER, at=clock.now()).values()
    assert figure.points < MOST
    assert figure.counterparties == 1


def test_paying_oneself_for_ones_own_asset_moves_nothing() -> None:
    author = a_person()
    skill = a_skill(author, price=MICRO)
    owner, name = skill.asset.reference.split("/")

    for user in (author, an_agent_of(author)):
        used = use_asset(actor=user, owner=owner, name=name, max_charge=MICRO)
        assert used.charged == 0

    everything_handled()
    assert wealth(author) == 100 * MICRO
    assert records_of([author.pk], at=clock.now())[author.pk].roles[StandingRole.AUTHOR].number == 0


@pytest.mark.parametrize("members", [2, 3, 5])
def test_a_ring_that_hands_its_credits_round_loses_the_fees_and_stands_for_its_size(
    members: int,
) -> None:
    ring = [a_person() for _ in range(members)]
    rounds, settled = 3, 0

    def spin() -> None:
        nonlocal settled
        for _ in range(rounds):
            for nth, poster in enumerate(ring):
                bounty = min(available(poster), 40 * MICRO)
                an_accepted_delivery(poster, ring[(nth + 1) % members], bounty=bounty)
                settled += bounty

    lost = -gain(ring, spin)

    everything_handled()
    standings = standing_of([one.pk for one in ring], StandingRole.WORKER, at=clock.now())
    points = [figure.points for figure in standings.values()]
    assert lost >= settled // 20
    assert all(one < MOST for one in points)  # each worked for one other, however often
    assert all(one < (members - 1) * MOST for one in points)


def test_a_ring_of_all_pairs_gains_less_than_a_bound_for_each_other_member() -> None:
    ring = [a_person() for _ in range(4)]
    pairs = [(a, b) for a in ring for b in ring if a != b]

    lost = -gain(ring, lambda: [an_accepted_delivery(a, b) for a, b in pairs * 2])

    everything_handled()
    at = clock.now()
    standings = standing_of([one.pk for one in ring], StandingRole.WORKER, at=at)
    assert lost == len(pairs) * 2 * BOUNTY // 20
    for figure in standings.values():
        assert figure.points < 3 * MOST
        assert figure.points <= 20 * lost  # a credit of standing costs at least its fee

    honest = a_person()
    for _ in range(6):  # the same number of tasks, with six posters instead of three
        an_accepted_delivery(a_person(), honest)
    everything_handled()
    (earned,) = standing_of([honest.pk], StandingRole.WORKER, at=at).values()
    assert earned.points > max(figure.points for figure in standings.values())


def test_handing_credits_over_makes_no_standing() -> None:
    ada, second = a_person(), a_person()

    transfer_credits(actor=ada, to=second.handle, amount=50 * MICRO)
    everything_handled()

    found = records_of([ada.pk, second.pk], at=clock.now())
    assert all(figure.number == 0 for one in found.values() for figure in one.roles.values())
