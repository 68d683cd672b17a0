"""Who is drawn, who is recused, and that the draw can be checked and not foreseen."""

import hashlib
import uuid
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pytest_django import Settings

from marketplace.disputes.draw import new_seed, order_of, pool_for
from marketplace.disputes.models import Dispute
from marketplace.foundation import clock
from marketplace.participants.models import Participant
from marketplace.participants.usecases.freeze_participant import freeze_participant
from marketplace.participants.usecases.transfer_credits import transfer_credits
from marketplace.tasks.models import Task
from marketplace.tasks.usecases.use_asset import use_asset
from tests.builders.assets import a_skill
from tests.builders.disputes import a_dispute, before_a_panel, judges
from tests.builders.people import a_person, an_agent, an_agent_of
from tests.builders.staff import somebody_of_staff
from tests.builders.work import a_claimed_task, an_accepted_delivery, time_passes

MICRO = 1_000_000
HANDLES = st.lists(st.from_regex(r"\A[a-z0-9][a-z0-9-]{0,20}[a-z0-9]\Z"), unique=True, max_size=30)
SEEDS = st.binary(min_size=32, max_size=32)


def pool(*sides: Participant, claims: tuple[uuid.UUID, ...] = ()) -> list[str]:
    return pool_for(sides=[one.operator_key for one in sides], claims=claims, opened_at=clock.now())


def experienced(worker: Participant | None = None, poster: Participant | None = None) -> Task:
    """Return a task that *worker* was accepted for."""
    return an_accepted_delivery(poster, worker).task


# --- The order ------------------------------------------------------------------------------------


@given(HANDLES, SEEDS)
def test_the_order_has_everybody_once_and_depends_on_nothing_else(
    handles: list[str], seed: bytes
) -> None:
    drawn = order_of(handles, seed)

    assert sorted(drawn) == sorted(handles)
    assert order_of(list(reversed(handles)), seed) == drawn


@given(HANDLES, SEEDS)
def test_leaving_somebody_out_moves_nobody_else(handles: list[str], seed: bytes) -> None:
    for absent in handles[:3]:
        without = [one for one in order_of(handles, seed) if one != absent]
        assert order_of([one for one in handles if one != absent], seed) == without


def test_everybody_is_first_about_as_often() -> None:
    handles = [f"judge-{number}" for number in range(10)]
    seeds = [hashlib.sha256(bytes([a, b])).digest() for a in range(20) for b in range(100)]

    first = [order_of(handles, seed)[0] for seed in seeds]

    for handle in handles:  # 200 expected of 2000; six standard deviations either way
        assert 120 < first.count(handle) < 280


@pytest.mark.django_db
def test_seeds_are_new_and_long() -> None:
    seeds = {new_seed() for _ in range(50)}

    assert len(seeds) == 50
    assert {len(seed) for seed in seeds} == {32}


# --- Who may be drawn -----------------------------------------------------------------------------


@pytest.mark.django_db
def test_only_those_whose_work_was_accepted_are_drawn() -> None:
    bo, newcomer = an_agent(), an_agent()
    experienced(bo)
    a_claimed_task(worker=newcomer)

    drawn = pool(a_person(), a_person())

    assert bo.handle in drawn
    assert newcomer.handle not in drawn


@pytest.mark.django_db
def test_the_sides_and_their_agents_do_not_judge() -> None:
    ada, bo = a_person(), an_agent()
    agent = an_agent_of(ada)
    for worker in (ada, agent, bo):
        experienced(worker)

    drawn = pool(ada, bo)

    assert not {ada.handle, agent.handle, bo.handle} & set(drawn)


@pytest.mark.django_db
def test_recent_counterparties_of_a_side_do_not_judge() -> None:
    ada, bo = a_person(), an_agent()
    worked_for_ada, posted_for_bo, holds_adas = an_agent(), a_person(), an_agent()
    everybody = [worked_for_ada, posted_for_bo, holds_adas]
    for one in everybody:
        experienced(one)
    assert {one.handle for one in everybody} <= set(pool(ada, bo))

    experienced(worked_for_ada, ada)
    experienced(bo, posted_for_bo)
    a_claimed_task(ada, holds_adas)

    assert not {one.handle for one in everybody} & set(pool(ada, bo))


@pytest.mark.django_db
def test_who_moved_credits_with_a_side_does_not_judge() -> None:
    ada, bo, paid, payer = a_person(), an_agent(), an_agent(), a_person()
    for one in (paid, payer):
        experienced(one)
    transfer_credits(actor=ada, to=paid.handle, amount=1)
    transfer_credits(actor=payer, to=bo.handle, amount=1)

    drawn = pool(ada, bo)

    assert not {paid.handle, payer.handle} & set(drawn)


@pytest.mark.django_db
def test_who_is_owed_for_reuse_by_the_claim_does_not_judge() -> None:
    author = a_person()
    experienced(author)
    task, skill = a_claimed_task(), a_skill(author)
    owner, name = skill.asset.reference.split("/")
    assert task.worker is not None
    use_asset(actor=task.worker, owner=owner, name=name, task_id=task.pk, max_charge=MICRO)
    assert task.claim_id is not None

    assert author.handle in pool(a_person())
    assert author.handle not in pool(a_person(), claims=(task.claim_id,))


@pytest.mark.django_db
def test_dealings_of_long_ago_recuse_nobody() -> None:
    ada, bo = a_person(), an_agent()
    task = experienced(bo, ada)
    assert bo.handle not in pool(ada)

    time_passes(task, days=91)

    assert bo.handle in pool(ada)


@pytest.mark.django_db
def test_an_operator_is_drawn_once_however_many_agents_it_has() -> None:
    operator = a_person()
    agents = [an_agent_of(operator) for _ in range(3)]
    for agent in [*agents, agents[1]]:
        experienced(agent)

    drawn = set(pool(a_person())) & {operator.handle, *(one.handle for one in agents)}

    assert drawn == {agents[1].handle}, "the one with most accepted work"


@pytest.mark.django_db
def test_who_administers_or_is_frozen_or_gone_is_not_drawn() -> None:
    staff, frozen, gone = a_person(), an_agent(), an_agent()
    agent = an_agent_of(frozen_operator := a_person())
    for one in (staff, frozen, gone, agent):
        experienced(one)
    Participant.objects.filter(pk=staff.pk).update(is_staff=True)
    Participant.objects.filter(pk=gone.pk).update(is_active=False)
    for one in (frozen, frozen_operator):
        freeze_participant(
            participant_id=one.pk,
            actor=somebody_of_staff(),
            reason="Spam.",
            ends_at=clock.now() + timedelta(days=1),
        )

    drawn = pool(a_person())

    assert not {one.handle for one in (staff, frozen, gone, agent)} & set(drawn)


@pytest.mark.django_db
def test_the_setting_asks_for_more_accepted_work(settings: Settings) -> None:
    settings.PANELIST_ACCEPTED_TASKS = 2
    once, twice = an_agent(), an_agent()
    for worker in (once, twice, twice):
        experienced(worker)

    drawn = pool(a_person())

    assert once.handle not in drawn
    assert twice.handle in drawn


@pytest.mark.django_db
def test_work_that_is_accepted_after_a_dispute_began_makes_nobody_eligible() -> None:
    late = an_agent()
    dispute = a_dispute()
    experienced(late)

    dispute = before_a_panel(dispute)

    assert late.handle not in dispute.pool
    assert judges()[-1].handle in dispute.pool


@pytest.mark.django_db
def test_a_draw_is_recorded_so_that_it_can_be_checked() -> None:
    dispute = before_a_panel()

    seated = [seat.panelist.handle for seat in dispute.seats.select_related("panelist")]

    assert dispute.seed is not None
    assert seated == order_of(dispute.pool, bytes(dispute.seed))[:3]
    assert Dispute.objects.get(pk=dispute.pk).seed_digest == (
        hashlib.sha256(bytes(dispute.seed)).hexdigest()
    )
