"""Files of priced versions: opened by what was paid, and by nothing cheaper."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from assets.models import Version
from credits import ledger
from marketplace.foundation import clock
from marketplace.participants.models import Participant
from marketplace.reuse.earnings import release_due
from marketplace.reuse.prices import FilesNotUsed, require_files
from marketplace.reuse.uses import PriceChanged, ReleasedUsesUnpaid, Used
from marketplace.tasks.usecases.abandon_task import abandon_task
from marketplace.tasks.usecases.use_asset import use_asset
from tests.builders.assets import a_skill, an_asset_name
from tests.builders.people import a_person, an_agent
from tests.builders.work import a_claimed_task, available, gained

pytestmark = pytest.mark.django_db
MICRO = 1_000_000


def use(
    actor: Participant, version: Version, *, task: object = None, most: int = 100 * MICRO
) -> Used:
    owner, name = version.asset.reference.split("/")
    return use_asset(
        actor=actor,
        owner=owner,
        name=name,
        version=version.number,
        task_id=task,  # type: ignore[arg-type]
        max_charge=most,
    )


def opens(actor: Participant | None, version: Version) -> bool:
    try:
        require_files(actor, version)
    except FilesNotUsed:
        return False
    return True


def test_a_priced_version_is_read_by_its_owner_and_by_those_who_use_it() -> None:
    version, buyer = a_skill(price=MICRO), a_person()

    assert not opens(buyer, version)
    assert not opens(None, version)
    assert opens(version.asset.owner, version)
    assert gained(buyer, lambda: use(buyer, version)) == -MICRO
    assert opens(buyer, version)
    assert opens(None, a_skill(price=0))


def test_using_it_again_on_the_same_day_costs_nothing_and_the_next_day_its_price() -> None:
    version, buyer = a_skill(price=MICRO), a_person()

    use(buyer, version)
    assert gained(buyer, lambda: use(buyer, version)) == 0
    clock.advance(timedelta(days=1))
    assert gained(buyer, lambda: use(buyer, version)) == -MICRO


@pytest.mark.parametrize("cheap", [0, 1])
def test_a_cheap_version_does_not_bring_the_dear_one_along(cheap: int) -> None:
    owner, buyer, name = a_person(), a_person(), an_asset_name()
    first = a_skill(owner, price=cheap, name=name, version="1.0.0")
    second = a_skill(owner, price=5 * MICRO, name=name, version="2.0.0")

    use(buyer, first)
    assert not opens(buyer, second)
    with pytest.raises(PriceChanged):
        use(buyer, second, most=MICRO)
    assert gained(buyer, lambda: use(buyer, second)) == -(5 * MICRO - cheap)  # paid once together
    assert opens(buyer, second)


def test_a_wrapper_that_costs_less_does_not_open_what_it_rests_on() -> None:
    dear = a_skill(price=5 * MICRO)
    buyer = a_person()
    own = a_skill(buyer, price=0, dependencies=[dear])
    cheap = a_skill(price=10, dependencies=[dear])
    fair = a_skill(price=5 * MICRO, dependencies=[dear])

    use(buyer, own)
    use(buyer, cheap)
    assert not opens(buyer, dear)
    use(buyer, fair)
    assert opens(buyer, dear)


def test_uses_that_were_released_unpaid_open_nothing_and_three_of_them_must_be_paid() -> None:
    agent = an_agent()
    assets = [a_skill(price=MICRO // 10) for _ in range(4)]
    for version in assets[:3]:
        task = a_claimed_task(worker=agent)
        use(agent, version, task=task.pk)
        assert opens(agent, version)
        abandon_task(task_id=task.pk, actor=agent)
        assert not opens(agent, version)
    task = a_claimed_task(worker=agent)

    with pytest.raises(ReleasedUsesUnpaid) as refusal:
        use(agent, assets[3], task=task.pk)
    assert refusal.value.released == 3
    use(agent, assets[0])  # pays one from the wallet
    assert use(agent, assets[3], task=task.pk).owed == MICRO // 10


def test_nothing_moves_between_accounts_of_one_operator() -> None:
    author, basis = a_person(), a_person()
    foundation = a_skill(basis, price=MICRO)
    version = a_skill(author, price=MICRO, dependencies=[foundation])

    assert gained(author, lambda: use(author, version)) == 0
    # Basis earns a tenth of it, and so pays the other nine.
    assert gained(basis, lambda: use(basis, version)) == -(MICRO * 9 // 10)


def test_what_an_asset_earns_waits_a_week_and_then_reaches_the_wallet() -> None:
    author, basis, buyer = a_person(), a_person(), a_person()
    version = a_skill(author, price=MICRO, dependencies=[a_skill(basis, price=0)])
    pending: Callable[[Participant], int] = lambda who: ledger.held_by(who.pk, "pending")  # noqa: E731

    use(buyer, version)
    release_due()
    assert (pending(author), pending(basis)) == (MICRO * 9 // 10, MICRO // 10)
    assert available(author) == 100 * MICRO
    clock.advance(timedelta(days=7, seconds=1))
    release_due()

    assert (pending(author), pending(basis)) == (0, 0)
    assert available(author) == 100 * MICRO + MICRO * 9 // 10
    assert available(basis) == 100 * MICRO + MICRO // 10
    release_due()
    assert available(author) == 100 * MICRO + MICRO * 9 // 10
