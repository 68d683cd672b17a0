"""Uses that belong to a claim: owed, and paid when it is accepted, or released."""

from datetime import timedelta

import pytest

from assets.models import Version
from credits import amounts, ledger
from marketplace.events.models import Event
from marketplace.foundation import clock
from marketplace.participants.models import Participant
from marketplace.reuse.earnings import release_due
from marketplace.reuse.jobs import release_due_earnings
from marketplace.reuse.models import Earning, Use
from marketplace.reuse.prices import cost_for
from marketplace.reuse.uses import (
    MaxChargeRequired,
    PriceChanged,
    ReuseCapExceeded,
    Used,
)
from marketplace.standing.figures import standing_of
from marketplace.standing.models import StandingRole
from marketplace.tasks.models import Settlement, Task
from marketplace.tasks.usecases.abandon_task import abandon_task
from marketplace.tasks.usecases.claim_task import claim_task
from marketplace.tasks.usecases.use_asset import use_asset
from tests.builders.assets import a_skill
from tests.builders.people import a_person, an_agent, an_agent_of
from tests.builders.work import (
    BOUNTY,
    a_claimed_task,
    available,
    deliver,
    everything_handled,
    held,
    time_passes,
)

pytestmark = pytest.mark.django_db

MICRO = amounts.MICRO
GRANT = 100 * MICRO


def use(actor: Participant, version: Version, task: Task | None = None) -> Used:
    owner, name = version.asset.reference.split("/")
    return use_asset(
        actor=actor,
        owner=owner,
        name=name,
        task_id=task.pk if task is not None else None,
        max_charge=100 * MICRO,
    )


def waiting(author: Participant) -> int:
    return ledger.held_by(author.operator_key, "pending")


def accepted(task: Task) -> Settlement:
    """Deliver, let the poster be silent, and return the settlement."""
    time_passes(deliver(task).task, hours=73)
    return Settlement.objects.get(task=task)


def test_a_bound_use_is_paid_out_of_what_the_worker_earns() -> None:
    bo, author = an_agent(), a_person()
    task = a_claimed_task(worker=bo)

    used = use(bo, a_skill(author, price=MICRO), task)
    assert (used.charged, used.owed) == (0, MICRO)
    assert (available(bo), waiting(author)) == (GRANT, 0)
    settlement = accepted(task)

    # The fee is a twentieth of the worker's gross, not of what the authors receive.
    assert (settlement.royalties, settlement.fee, settlement.wages) == (MICRO, 450_000, 8_550_000)
    assert available(bo) == GRANT + 8_550_000
    assert waiting(author) == MICRO
    assert held(task) == 0
    assert used.use.earnings.get().amount == MICRO


def test_what_a_use_costs_goes_up_through_the_graph_to_every_author() -> None:
    """The example of the design: A requires B and C, and both require D."""
    alice, bob, carol, dave = (a_person() for _ in range(4))
    d = a_skill(dave)
    b, c = a_skill(bob, dependencies=[d]), a_skill(carol, dependencies=[d])
    a = a_skill(alice, price=100_000, dependencies=[b, c])
    bo = an_agent()
    task = a_claimed_task(worker=bo)

    use(bo, a, task)
    accepted(task)

    earned = [waiting(author) for author in (alice, bob, carol, dave)]
    assert earned == [80_000, 9_000, 9_000, 2_000]
    everything_handled()
    stands = standing_of([dave.pk, bo.pk], StandingRole.AUTHOR, at=clock.now())
    assert (stands[dave.pk].number, stands[bo.pk].number) == (1, 0)


def test_a_worker_who_owns_a_part_pays_itself_nothing() -> None:
    bo = an_agent()
    own = a_skill(bo)
    above = a_skill(a_person(), price=MICRO, dependencies=[own])

    cost = cost_for(bo.operator_key, above)

    assert (cost.price, cost.due) == (MICRO, 900_000)


def test_all_bound_uses_are_paid_whether_the_delivery_names_them_or_not() -> None:
    bo, authors = an_agent(), [a_person(), a_person()]
    task = a_claimed_task(worker=bo)
    for author in authors:
        use(bo, a_skill(author), task)

    settlement = accepted(task)

    assert settlement.royalties == 200_000
    assert [waiting(author) for author in authors] == [100_000, 100_000]


def test_an_author_of_two_assets_is_paid_for_both_in_one_leg() -> None:
    bo, author = an_agent(), a_person()
    task = a_claimed_task(worker=bo)
    for _ in range(2):
        use(bo, a_skill(author), task)

    accepted(task)

    (line,) = ledger.statement(ledger.AccountId(author.earnings_account), limit=10)
    assert line.amount == 200_000


def test_using_it_again_for_the_same_task_owes_nothing_more() -> None:
    bo, skill = an_agent(), a_skill()
    task = a_claimed_task(worker=bo)

    first, second = use(bo, skill, task), use(bo, skill, task)

    assert (first.owed, second.owed) == (100_000, 0)
    assert first.use == second.use
    assert accepted(task).royalties == 100_000


def test_another_task_owes_it_again() -> None:
    bo, skill = an_agent(), a_skill()

    owed = [use(bo, skill, a_claimed_task(worker=bo)).owed for _ in range(2)]

    assert owed == [100_000, 100_000]


def test_bound_uses_stay_within_a_fifth_of_the_bounty() -> None:
    bo = an_agent()
    task = a_claimed_task(worker=bo)
    use(bo, a_skill(price=BOUNTY // 5 - 1), task)

    with pytest.raises(ReuseCapExceeded) as refusal:
        use(bo, a_skill(price=2), task)

    assert (refusal.value.cap, refusal.value.bound) == (BOUNTY // 5, BOUNTY // 5 - 1)
    use(bo, a_skill(price=1), task)


@pytest.mark.parametrize(
    ("most", "error"), [(None, MaxChargeRequired), (99_999, PriceChanged), (0, PriceChanged)]
)
def test_nothing_is_bound_without_consent(most: int | None, error: type[Exception]) -> None:
    bo, skill = an_agent(), a_skill()
    task = a_claimed_task(worker=bo)
    owner, name = skill.asset.reference.split("/")

    with pytest.raises(error):
        use_asset(actor=bo, owner=owner, name=name, task_id=task.pk, max_charge=most)

    assert not Use.objects.filter(operator=bo).exists()


def test_a_free_asset_needs_no_consent() -> None:
    bo, skill = an_agent(), a_skill(price=0)
    owner, name = skill.asset.reference.split("/")

    used = use_asset(actor=bo, owner=owner, name=name)

    assert (used.charged, used.use.state) == (0, "free")


def test_leaving_a_claim_releases_its_uses_unpaid() -> None:
    bo, author = an_agent(), a_person()
    task = a_claimed_task(worker=bo)
    used = use(bo, a_skill(author), task)

    abandon_task(task_id=task.pk, actor=bo)

    used.use.refresh_from_db()
    assert used.use.state == "released"
    cy = an_agent()
    assert accepted(claim_task(task_id=task.pk, actor=cy)).royalties == 0
    assert waiting(author) == 0


def test_who_claims_again_binds_again() -> None:
    bo, skill = an_agent(), a_skill()
    task = a_claimed_task(worker=bo)
    use(bo, skill, task)
    abandon_task(task_id=task.pk, actor=bo)
    again = claim_task(task_id=task.pk, actor=bo)

    assert use(bo, skill, again).owed == 100_000
    assert accepted(again).royalties == 100_000


@pytest.mark.parametrize("span", [{"hours": 25}, {"days": 8}], ids=["lease", "deadline"])
def test_time_releases_uses_too(span: dict[str, float]) -> None:
    bo, author = an_agent(), a_person()
    task = a_claimed_task(worker=bo)
    used = use(bo, a_skill(author), task)

    time_passes(task, **span)

    used.use.refresh_from_db()
    assert (used.use.state, waiting(author)) == ("released", 0)


# --- Earnings -------------------------------------------------------------------------------------


def test_earnings_of_an_agent_reach_its_operators_wallet_after_a_week() -> None:
    person, buyer = a_person(), a_person()
    agents = [an_agent_of(person), an_agent_of(person)]
    for agent in agents:
        use(buyer, a_skill(agent, price=MICRO))
    assert waiting(person) == 2 * MICRO

    clock.advance(timedelta(days=6, hours=23))
    release_due_earnings()
    assert waiting(person) == 2 * MICRO
    clock.advance(timedelta(hours=2))
    release_due_earnings()
    release_due_earnings()

    assert (waiting(person), available(person)) == (0, GRANT + 2 * MICRO)
    assert Event.objects.filter(type="earnings.released", subject_id=person.handle).count() == 1


def test_a_release_takes_only_what_is_due() -> None:
    author, buyer = a_person(), a_person()
    use(buyer, a_skill(author, price=MICRO))
    clock.advance(timedelta(days=4))
    use(buyer, a_skill(author, price=2 * MICRO))
    clock.advance(timedelta(days=4))

    release_due()

    assert (waiting(author), available(author)) == (2 * MICRO, GRANT + MICRO)
    assert not Earning.objects.filter(author=author, paid_at=None, amount=MICRO).exists()
