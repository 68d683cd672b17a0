"""What everything that can happen to a task leaves on the records of whom it concerned."""

from datetime import timedelta
from typing import Any

import pytest

from credits import amounts
from marketplace.delivery.usecases.accept_delivery import accept_delivery
from marketplace.delivery.usecases.reject_delivery import reject_delivery
from marketplace.disputes.usecases.open_dispute import open_dispute
from marketplace.foundation import clock
from marketplace.participants.models import Participant
from marketplace.standing import history
from marketplace.standing.figures import Figure, Record, records_of
from marketplace.standing.models import Outcome, StandingRole
from marketplace.tasks.usecases.abandon_task import abandon_task
from marketplace.tasks.usecases.cancel_task import cancel_task
from marketplace.tasks.usecases.claim_task import claim_task
from marketplace.tasks.usecases.use_asset import use_asset
from tests.builders import trees
from tests.builders.assets import a_skill
from tests.builders.disputes import (
    FOR_POSTER,
    FOR_WORKER,
    a_dispute,
    a_posters_dispute,
    a_settled_dispute,
    judges,
    split,
)
from tests.builders.people import a_person, an_agent
from tests.builders.work import (
    BOUNTY,
    a_claimed_task,
    a_contest,
    a_submitted_delivery,
    a_task,
    a_task_held_on_a_bid,
    again,
    an_entry,
    an_exact_check,
    checked,
    closed,
    deliver,
    everything_handled,
    time_passes,
)

pytestmark = pytest.mark.django_db

MICRO = amounts.MICRO
MOST = 20 * MICRO


def record_of(person: Participant) -> Record:
    everything_handled()
    return records_of([person.pk], at=clock.now())[person.pk]


def numbers_of(person: Participant) -> dict[Outcome, int]:
    found = record_of(person).outcomes
    return {outcome: figure.number for outcome, figure in found.items() if figure.number}


def worth(*values: int) -> int:
    """Return what dealings of these values with one counterparty are worth today."""
    return sum(values) * MOST // (MOST + sum(values))


def test_a_worker_stands_for_what_the_poster_paid_before_the_fee() -> None:
    poster, worker = a_person(), an_agent()
    delivery = a_submitted_delivery(poster, worker)
    accept_delivery(delivery_id=delivery.pk, actor=poster)

    assert record_of(worker).roles[StandingRole.WORKER] == Figure(worth(BOUNTY), 1, 1)
    assert record_of(poster).roles[StandingRole.POSTER] == Figure(worth(BOUNTY), 1, 1)


def test_a_bid_stands_for_what_was_bid() -> None:
    poster, worker = a_person(), an_agent()
    task = a_task_held_on_a_bid(poster, worker, amount=4 * MICRO)
    delivery = deliver(again(task))
    accept_delivery(delivery_id=delivery.pk, actor=poster)

    assert record_of(worker).roles[StandingRole.WORKER].points == worth(4 * MICRO)
    assert record_of(poster).roles[StandingRole.POSTER].points == worth(4 * MICRO)


def test_how_claims_end_without_pay_is_counted_and_worth_nothing() -> None:
    poster, worker = a_person(), an_agent()
    given_back = a_claimed_task(poster, worker, bounty=MICRO)
    abandon_task(task_id=given_back.pk, actor=worker)
    called_off = a_claimed_task(poster, worker, bounty=MICRO)
    cancel_task(task_id=called_off.pk, actor=poster, at_once=True)
    late = a_task(poster, bounty=MICRO, deadline=clock.now() + timedelta(hours=1))
    clock.advance(timedelta(seconds=2))  # so that the lease reaches the deadline
    claim_task(task_id=late.pk, actor=worker)
    time_passes(late, hours=1)

    assert numbers_of(worker) == {Outcome.WORKER_ABANDONED: 1, Outcome.WORKER_EXPIRED: 1}
    assert record_of(worker).roles[StandingRole.WORKER].points == 0
    assert numbers_of(poster) == {}


def test_what_checks_reject_is_no_act_of_the_posters() -> None:
    poster, worker = a_person(), an_agent()
    wrong: dict[str, Any] = {"work": {"result": {"totals": 0}}, "verification": [an_exact_check()]}
    checked(a_submitted_delivery(poster, worker, acceptance="automatic", **wrong))

    assert numbers_of(worker) == {Outcome.WORKER_REJECTED: 1}
    assert numbers_of(poster) == {}


def test_what_silence_accepts_is_the_workers_merit_and_not_the_posters() -> None:
    poster, worker = a_person(), an_agent()
    delivery = a_submitted_delivery(poster, worker)
    time_passes(delivery.task, hours=73)

    assert numbers_of(worker) == {Outcome.WORKER_PAID: 1}
    assert numbers_of(poster) == {Outcome.POSTER_SILENT: 1}
    assert record_of(poster).roles[StandingRole.POSTER].points == 0


def test_a_contest_counts_for_those_whom_it_paid() -> None:
    poster, workers = a_person(), [an_agent() for _ in range(3)]
    contest = a_contest(poster, runner_up_bps=1000)
    entries = [an_entry(contest, worker) for worker in workers]
    closed(contest)
    accept_delivery(delivery_id=entries[1].pk, actor=poster, runner_up=entries[0].pk)

    second, winner, unchosen = workers
    assert numbers_of(winner) == numbers_of(second) == {Outcome.WORKER_PAID: 1}
    assert record_of(winner).roles[StandingRole.WORKER].points == worth(9 * MICRO)
    assert record_of(second).roles[StandingRole.WORKER].points == worth(MICRO)
    assert numbers_of(unchosen) == {}
    assert numbers_of(poster) == {Outcome.POSTER_ACCEPTED: 1}


def test_authors_stand_for_paid_uses_at_once_and_by_claims() -> None:
    author, basis, reader, worker = a_person(), a_person(), a_person(), an_agent()
    skill = a_skill(author, price=MICRO, dependencies=[a_skill(basis, price=0)])
    owner, name = skill.asset.reference.split("/")
    use_asset(actor=reader, owner=owner, name=name, max_charge=MICRO)
    task = a_claimed_task(worker=worker)
    use_asset(actor=worker, owner=owner, name=name, task_id=task.pk, max_charge=MICRO)
    assert record_of(author).roles[StandingRole.AUTHOR].number == 1  # the bound one is not paid yet
    accept_delivery(delivery_id=deliver(task).pk, actor=task.poster)
    left = a_claimed_task(worker=worker)
    use_asset(actor=worker, owner=owner, name=name, task_id=left.pk, max_charge=MICRO)
    abandon_task(task_id=left.pk, actor=worker)

    of_author = record_of(author).roles[StandingRole.AUTHOR]
    assert of_author == Figure(2 * worth(9 * MICRO // 10), 2, 2)
    assert record_of(basis).roles[StandingRole.AUTHOR].number == 2


def test_a_dispute_is_lost_by_whoever_was_given_less_than_half() -> None:
    def lost(dispute_votes: tuple[object, ...], by_poster: bool) -> tuple[int, int]:  # noqa: FBT001
        poster, worker = a_person(), an_agent()
        open_ = a_posters_dispute if by_poster else a_dispute
        a_settled_dispute(*dispute_votes, dispute=open_(poster, worker))  # type: ignore[arg-type]
        of_poster, of_worker = record_of(poster), record_of(worker)
        assert of_poster.outcomes[Outcome.POSTER_DISPUTED].number == 1
        assert of_worker.outcomes[Outcome.WORKER_DISPUTED].number == 1
        return (
            of_poster.outcomes[Outcome.POSTER_DISPUTE_LOST].number,
            of_worker.outcomes[Outcome.WORKER_DISPUTE_LOST].number,
        )

    assert lost((FOR_WORKER,) * 3, by_poster=False) == (1, 0)
    assert lost((FOR_POSTER,) * 3, by_poster=True) == (0, 1)
    assert lost((split(5_000),) * 3, by_poster=True) == (0, 0)
    assert lost((split(4_999),) * 3, by_poster=False) == (0, 1)


def test_panelists_stand_for_their_votes_and_workers_for_what_a_panel_gave_them() -> None:
    poster, worker = a_person(), an_agent()
    dispute = a_settled_dispute(*[FOR_WORKER] * 3, dispute=a_dispute(poster, worker))

    everything_handled()
    seats = dispute.seats.filter(state="voted")
    panel = records_of([seat.panelist_id for seat in seats], at=clock.now())
    assert len(panel) == 3
    for record in panel.values():
        figure = record.roles[StandingRole.PANELIST]
        assert figure.number >= 1
        assert figure.points > 0
    paid = record_of(worker).roles[StandingRole.WORKER]
    assert (paid.number, paid.points) == (1, worth(BOUNTY - BOUNTY // 20))
    assert record_of(poster).roles[StandingRole.POSTER].points == 0


def test_what_came_of_a_subtask_stays_with_whoever_was_its_poster_then() -> None:
    poster, lead, worker = a_person(), an_agent(), an_agent()
    whole = trees.a_task_to_split(poster, lead)
    (part,) = trees.split(whole)
    delivery = deliver(trees.held(part, worker))
    reject_delivery(delivery_id=delivery.pk, actor=lead, reason="No.")
    abandon_task(task_id=part.pk, actor=worker)
    trees.left(whole)

    assert numbers_of(lead)[Outcome.POSTER_REJECTED] == 1
    assert Outcome.POSTER_REJECTED not in numbers_of(poster)
    assert numbers_of(worker) == {Outcome.WORKER_REJECTED: 1, Outcome.WORKER_ABANDONED: 1}
    assert not [one for one in history.check().differences if worker.handle == one.holder]


def test_a_dispute_counts_for_whoever_disputed_or_rejected_though_the_lead_changes() -> None:
    for cause in ("poster", "worker"):
        judges()
        poster, lead, worker = a_person(), an_agent(), an_agent()
        whole = trees.a_task_to_split(poster, lead)
        (part,) = trees.split(whole)
        delivery = deliver(trees.held(part, worker))
        if cause == "worker":
            reject_delivery(delivery_id=delivery.pk, actor=lead, reason="No.")
        opener = worker if cause == "worker" else lead
        dispute = open_dispute(task_id=part.pk, actor=opener, reason="Look.")
        trees.left(whole)

        a_settled_dispute(*[FOR_WORKER] * 3, dispute=dispute)

        assert numbers_of(lead)[Outcome.POSTER_DISPUTE_LOST] == 1
        assert Outcome.POSTER_DISPUTED not in numbers_of(poster)


def test_after_all_that_a_recount_finds_the_same() -> None:
    everything_handled()

    report = history.check()

    assert report.differences == []
    assert (report.missed, report.vanished) == (0, 0)
