"""Splitting a task to bring its bounty to friends, to oneself, or past the fee and the authors."""

from datetime import timedelta

import pytest
from pytest_django import Settings

from credits import amounts
from marketplace.delegation.waiting import release_due
from marketplace.delivery.usecases.accept_delivery import accept_delivery
from marketplace.disputes.models import Dispute, Outcome
from marketplace.disputes.usecases.cast_vote import cast_vote
from marketplace.disputes.usecases.open_dispute import open_dispute
from marketplace.foundation import clock
from marketplace.participants.models import Participant
from marketplace.reuse.uses import ReuseCapExceeded
from marketplace.tasks.models import Mode, Settlement, Source, Task
from marketplace.tasks.permissions import NotNow, OwnTask
from marketplace.tasks.sources import EscrowExhausted
from marketplace.tasks.states import IllegalTransition, TaskState
from marketplace.tasks.terms import InvalidTerms
from marketplace.tasks.usecases.abandon_task import abandon_task
from marketplace.tasks.usecases.cancel_task import cancel_task
from marketplace.tasks.usecases.claim_task import claim_task
from marketplace.tasks.usecases.raise_task import raise_task
from marketplace.tasks.usecases.use_asset import use_asset
from tests.builders.assets import a_skill
from tests.builders.disputes import (
    APPEAL,
    FOR_POSTER,
    FOR_WORKER,
    a_settled_dispute,
    after,
    disputed,
    judges,
    open_seats,
)
from tests.builders.gains import gain, wealth
from tests.builders.people import a_person, an_agent, an_agent_of
from tests.builders.trees import (
    ALL,
    HALF,
    a_task_to_split,
    accepted,
    an_entry,
    done,
    held,
    in_escrow,
    lead_of,
    now,
    split,
)
from tests.builders.work import (
    BOUNTY,
    a_bid,
    a_claimed_task,
    an_exact_check,
    available,
    closed,
    deliver,
    rejected,
    time_passes,
)
from tests.builders.work import an_entry as enters

pytestmark = pytest.mark.django_db

MICRO = amounts.MICRO
GRANT = 100 * MICRO
FEE_BPS = 500
PART = 4 * MICRO
WEEK = timedelta(days=7)


@pytest.fixture
def nobody_judges(settings: Settings) -> None:
    """Let no panel be seated."""
    settings.PANELIST_ACCEPTED_TASKS = 10**6


def a_grant(poster: Participant, lead: Participant, delegation_bps: int = ALL) -> Task:
    """Return a task that a lead holds for weeks, and may split."""
    return a_task_to_split(
        poster,
        lead,
        delegation_bps=delegation_bps,
        deadline=clock.now() + timedelta(days=60),
        lease_seconds=30 * 86_400,
    )


def a_part_for(friend: Participant, task: Task, bounty: int = PART) -> Task:
    """Let the lead hire a friend, who takes the part."""
    (part,) = split(
        task,
        an_entry(f"for-{friend.handle}", bounty=bounty, mode=Mode.DIRECT, assignee=friend.handle),
    )
    return claim_task(task_id=part.pk, actor=friend)


def disputed_in_vain_for_friends(part: Task, poster: Participant) -> Dispute:
    """Let the poster of the root dispute what a part earned, and win."""
    judges()
    dispute = open_dispute(task_id=part.pk, actor=poster, reason="There is nothing in it.")
    return a_settled_dispute(*[FOR_POSTER] * 3, dispute=dispute)


def everything_waits_out(task: Task) -> None:
    """Let the week of waiting wages pass."""
    del task
    clock.advance(WEEK + timedelta(seconds=1))
    while release_due():
        pass


# --- Hiring oneself -------------------------------------------------------------------------------


@pytest.mark.parametrize("source", [Source.ESCROW, Source.WALLET])
def test_a_lead_does_not_hire_their_own_operator_in_any_mode(source: Source) -> None:
    operator = a_person()
    lead, other = an_agent_of(operator), an_agent_of(operator)
    task = a_grant(a_person(), lead)
    claimed, bid_for, entered = split(
        task,
        an_entry("claimed", source=source),
        an_entry("bid_for", source=source, mode=Mode.BID),
        an_entry(
            "entered",
            source=source,
            mode=Mode.CONTEST,
            verification=[an_exact_check()],
            deadline=clock.now() + timedelta(days=2),
        ),
    )
    before = wealth(operator)

    for one in (operator, lead, other):
        with pytest.raises(InvalidTerms, match="operator"):
            split(task, an_entry("x", source=source, mode=Mode.DIRECT, assignee=one.handle))
        with pytest.raises(OwnTask):
            claim_task(task_id=claimed.pk, actor=one)
        with pytest.raises(OwnTask):
            a_bid(bid_for, one, amount=MICRO)
        with pytest.raises(OwnTask):
            enters(entered, one)

    assert wealth(operator) == before


@pytest.mark.parametrize("who", ["poster", "lead"])
def test_nobody_above_is_hired_through_a_stranger_two_levels_down(who: str) -> None:
    poster, lead = a_person(), a_person()
    task = a_grant(poster, an_agent_of(lead))
    (part,) = split(task, an_entry(bounty=PART, delegation_bps=ALL))
    part = held(part)
    (deep, bid_for) = split(part, an_entry("deep"), an_entry("bid_for", mode=Mode.BID))
    above = poster if who == "poster" else lead
    before = wealth(poster, lead)

    for one in (above, an_agent_of(above)):
        with pytest.raises(OwnTask):
            claim_task(task_id=deep.pk, actor=one)
        with pytest.raises(OwnTask):
            a_bid(bid_for, one, amount=MICRO)
        with pytest.raises(InvalidTerms):
            split(part, an_entry("asked", mode=Mode.DIRECT, assignee=one.handle))

    assert wealth(poster, lead) == before


def test_whoever_works_below_does_not_become_the_lead_above_by_any_account_of_theirs() -> None:
    poster, operator = a_person(), a_person()
    task = a_grant(poster, an_agent())
    (part,) = split(task, an_entry(bounty=PART, delegation_bps=ALL))
    (deep,) = split(held(part))
    held(deep, an_agent_of(operator))
    abandon_task(task_id=task.pk, actor=lead_of(task))

    for one in (operator, an_agent_of(operator)):
        with pytest.raises(OwnTask):
            claim_task(task_id=task.pk, actor=one)

    assert wealth(operator) == GRANT


def test_who_has_led_a_task_and_left_takes_no_part_that_they_planned() -> None:
    poster, lead = a_person(), a_person()
    task = a_grant(poster, an_agent_of(lead))
    (part,) = split(task, an_entry(bounty=PART))
    abandon_task(task_id=task.pk, actor=lead_of(task))

    for one in (lead, an_agent_of(lead)):
        with pytest.raises(OwnTask):
            claim_task(task_id=part.pk, actor=one)

    assert wealth(lead) == GRANT


# --- Hiring a friend, and walking away ------------------------------------------------------------


def test_no_task_lets_its_worker_delegate_unless_the_poster_says_so() -> None:
    task = a_claimed_task()

    with pytest.raises(EscrowExhausted):
        split(task, an_entry(bounty=10_000))

    assert in_escrow(task) == BOUNTY


def test_a_lead_who_accepts_a_friends_nothing_and_walks_away_brings_the_friend_nothing() -> None:
    poster, lead, friend = a_person(), an_agent(), an_agent()
    task = a_grant(poster, lead)

    def attack() -> None:
        part = accepted(a_part_for(friend, task, bounty=BOUNTY), result={})
        abandon_task(task_id=task.pk, actor=lead)
        assert available(friend) == GRANT  # it waits
        disputed_in_vain_for_friends(part, poster)
        cancel_task(task_id=task.pk, actor=poster)

    assert gain([lead, friend], attack) == 0

    fee = BOUNTY // 20
    panel = (BOUNTY - fee) // 20
    assert wealth(poster) == GRANT - fee - panel  # the judges and the market are paid all the same


def test_a_friend_of_a_friend_deeper_down_waits_for_the_same_poster() -> None:
    poster, lead, friend, third = a_person(), an_agent(), an_agent(), an_agent()
    task = a_grant(poster, lead)

    def attack() -> None:
        (part,) = split(task, an_entry(bounty=BOUNTY, delegation_bps=ALL))
        part = held(part, friend)
        deep = accepted(a_part_for(third, part, bounty=BOUNTY), result={})
        accepted(now(part), result={})
        abandon_task(task_id=task.pk, actor=lead)
        assert available(third) == GRANT
        disputed_in_vain_for_friends(deep, poster)
        cancel_task(task_id=task.pk, actor=poster)

    assert gain([lead, friend, third], attack) == 0


def test_what_nobody_disputes_in_its_week_is_the_friends_and_no_more_than_the_poster_granted() -> (
    None
):
    poster, lead, friend = a_person(), an_agent(), an_agent()
    task = a_grant(poster, lead, delegation_bps=HALF)

    def attack() -> None:
        part = accepted(a_part_for(friend, task, bounty=BOUNTY // 2), result={})
        abandon_task(task_id=task.pk, actor=lead)
        everything_waits_out(part)
        cancel_task(task_id=task.pk, actor=poster)

    assert gain([lead, friend], attack) == BOUNTY // 2 * 95 // 100
    assert wealth(poster) == GRANT - BOUNTY // 2


def test_delegating_everything_and_leaving_again_and_again_passes_the_grant_once() -> None:
    poster = a_person()
    leads, friends = [an_agent() for _ in range(3)], [an_agent() for _ in range(4)]
    task = a_grant(poster, leads[0], delegation_bps=HALF)

    def attack() -> None:
        for lead in leads:
            if now(task).state == TaskState.OPEN:
                held(now(task), lead)
            for friend in friends[:2] if lead is leads[0] else friends[2:]:
                try:
                    a_part_for(friend, now(task), bounty=BOUNTY // 4)
                except EscrowExhausted:
                    continue
            abandon_task(task_id=task.pk, actor=lead)
        parts = Task.objects.filter(parent=task)
        assert sum(part.bounty for part in parts) == BOUNTY // 2
        # The poster acts for the parts now, and looks at what is delivered.
        for part in parts:
            rejected(deliver(now(part), result={}))
        clock.advance(timedelta(hours=48, seconds=1))
        for part in parts:
            cancel_task(task_id=part.pk, actor=poster)
        cancel_task(task_id=task.pk, actor=poster)

    assert gain([*leads, *friends], attack) == 0
    assert wealth(poster) == GRANT


def test_planning_raising_and_cancelling_moves_nothing_out_of_the_escrow() -> None:
    poster, lead, friend = a_person(), an_agent(), an_agent()
    task = a_grant(poster, lead)

    def attack() -> None:
        for number in range(3):
            (part,) = split(task, an_entry(f"k{number}", bounty=PART, delegation_bps=ALL))
            raise_task(task_id=part.pk, actor=lead, bounty=PART + MICRO)
            part = held(part, friend)
            (deep,) = split(part, an_entry(bounty=PART))
            cancel_task(task_id=deep.pk, actor=friend)
            cancel_task(task_id=part.pk, actor=lead)
            abandon_task(task_id=part.pk, actor=friend)
            assert now(part).state == TaskState.CANCELLED

    assert gain([lead, friend], attack) == 0
    assert in_escrow(task) == BOUNTY
    assert now(task).delegated == 0


def test_no_compensation_is_paid_out_of_somebody_elses_escrow() -> None:
    poster, lead, friend = a_person(), an_agent(), an_agent()
    task = a_grant(poster, lead)
    part = a_part_for(friend, task)
    before = wealth(lead, friend)

    with pytest.raises(NotNow):
        cancel_task(task_id=part.pk, actor=lead, at_once=True)

    assert wealth(lead, friend) == before
    assert in_escrow(part) == PART


def test_compensating_a_friend_out_of_ones_own_wallet_brings_the_two_nothing() -> None:
    lead, friend = an_agent(), an_agent()
    task = a_grant(a_person(), lead)

    def attack() -> None:
        (part,) = split(task, an_entry(bounty=PART, source=Source.WALLET))
        held(part, friend)
        cancel_task(task_id=part.pk, actor=lead, at_once=True)

    assert gain([lead, friend], attack) == 0


def test_a_dispute_among_friends_below_does_not_keep_the_poster_in() -> None:
    judges()
    poster, lead, friend = a_person(), an_agent(), an_agent()
    task = a_grant(poster, lead)

    def attack() -> None:
        part = a_part_for(friend, task)
        deliver(part, result={})
        dispute = open_dispute(task_id=part.pk, actor=lead, reason="So that time stands still.")
        cancel_task(task_id=task.pk, actor=poster, at_once=True)
        a_settled_dispute(*[FOR_POSTER] * 3, dispute=dispute)

    panel = PART // 20
    assert gain([lead, friend], attack) == (BOUNTY - panel) // 10  # the compensation of rule 11
    assert now(task).state == TaskState.CANCELLED
    assert wealth(poster) == GRANT - panel - (BOUNTY - panel) // 10


def test_a_lead_who_rejects_a_part_to_deliver_it_as_their_own_waits_and_pays_for_it() -> None:
    judges()
    poster, lead, worker = a_person(), an_agent(), an_agent()
    task = a_grant(poster, lead)
    (part,) = split(task, an_entry(bounty=PART))
    delivery = rejected(deliver(held(part, worker)))

    with pytest.raises(NotNow):
        deliver(task)
    a_settled_dispute(*[FOR_WORKER] * 3, dispute=disputed(delivery))
    accepted(now(task))

    assert wealth(worker) == GRANT + PART * 95 // 100
    assert wealth(lead) == GRANT + (BOUNTY - PART) * 95 // 100


def test_disputing_what_a_part_rightly_earned_costs_the_poster_the_deposit() -> None:
    judges()
    poster, lead, worker = a_person(), an_agent(), an_agent()
    task = a_grant(poster, lead)
    (part,) = split(task, an_entry(bounty=PART))
    done(part, worker)
    wages = PART * 95 // 100

    def attack() -> None:
        dispute = open_dispute(task_id=part.pk, actor=poster, reason="I would rather not pay.")
        a_settled_dispute(*[FOR_WORKER] * 3, dispute=dispute)

    deposit = 3 * MICRO // 10
    assert gain([poster], attack) == -deposit
    assert available(worker) == GRANT + wages - wages // 20 + deposit


# --- Where nobody judges --------------------------------------------------------------------------


@pytest.mark.usefixtures("nobody_judges")
@pytest.mark.parametrize("who", ["lead", "poster"])
def test_where_nobody_judges_a_friends_nothing_half_of_it_is_the_friends(who: str) -> None:
    poster, lead, friend = a_person(), an_agent(), an_agent()
    task = a_grant(poster, lead)

    def attack() -> None:
        part = a_part_for(friend, task)
        delivery = deliver(part, result={})
        if who == "lead":  # the friends' own dispute, which comes to nobody
            open_dispute(task_id=part.pk, actor=lead, reason="See.")
        else:
            accept_delivery(delivery_id=delivery.pk, actor=lead)
            open_dispute(task_id=part.pk, actor=poster, reason="See.")
        for _ in range(4):  # evidence, a panel, an administrator, an appeal
            time_passes(part, days=8)

    # As everywhere: half, of what the fee leaves.
    assert gain([lead, friend], attack) == PART // 2 * 95 // 100


@pytest.mark.usefixtures("nobody_judges")
def test_a_friends_contest_that_no_panel_judges_is_shared_and_nobody_disputes_it() -> None:
    poster, lead = a_person(), an_agent()
    friends = [an_agent(), an_agent()]
    task = a_grant(poster, lead)

    def attack() -> None:
        contest = a_contest_in(task)
        for friend in friends:
            enters(contest, friend)
        contest = closed(contest)
        for _ in range(4):
            contest = time_passes(contest, hours=2)
        assert contest.state == TaskState.ACCEPTED
        with pytest.raises(IllegalTransition):
            open_dispute(task_id=contest.pk, actor=poster, reason="They are friends.")
        everything_waits_out(contest)

    # Open, and bounded by what the poster granted.
    assert gain([lead, *friends], attack) == PART * 95 // 100
    assert now(task).delegated == PART


def test_a_friend_who_wins_a_leads_contest_is_disputed_like_anybody_else() -> None:
    poster, lead, friend = a_person(), an_agent(), an_agent()
    task = a_grant(poster, lead)

    def attack() -> None:
        contest = a_contest_in(task)
        entry = enters(contest, friend)
        closed(contest)
        accept_delivery(delivery_id=entry.pk, actor=lead)
        disputed_in_vain_for_friends(now(contest), poster)
        everything_waits_out(contest)

    assert gain([lead, friend], attack) == 0


def test_a_contest_that_an_escrow_pays_has_no_second_whom_nobody_could_dispute() -> None:
    task = a_grant(a_person(), an_agent())

    with pytest.raises(InvalidTerms):
        a_contest_in(task, runner_up_bps=HALF)

    assert in_escrow(task) == BOUNTY


def test_a_panel_with_only_friends_entries_to_pick_from_pays_one_of_them() -> None:
    judges()
    poster, lead = a_person(), an_agent()
    friends = [an_agent(), an_agent()]
    task = a_grant(poster, lead)

    def attack() -> None:
        contest = a_contest_in(task)
        entry, _ = [enters(contest, friend) for friend in friends]
        closed(contest)
        time_passes(contest, hours=2)
        dispute = Dispute.objects.get(task=contest)
        for seat in open_seats(dispute):
            cast_vote(
                dispute_id=dispute.pk,
                actor=seat.panelist,
                outcome=Outcome.ACCEPT,
                delivery_id=entry.pk,
                rationale="It passes the check.",
            )
        after(dispute, APPEAL)
        assert now(contest).wages_wait_until is None  # strangers have judged it

    # Open, and bounded by what the poster granted.
    assert gain([lead, *friends], attack) == PART * 95 // 100
    assert now(task).delegated == PART


def a_contest_in(task: Task, *, runner_up_bps: int = 0) -> Task:
    """Plan a contest that ends tomorrow, whose check friends know how to pass."""
    (contest,) = split(
        task,
        an_entry(
            "contest",
            bounty=PART,
            mode=Mode.CONTEST,
            verification=[an_exact_check()],
            deadline=clock.now() + timedelta(days=1),
            review_window_seconds=3_600,
            runner_up_bps=runner_up_bps,
        ),
    )
    return contest


# --- Fees and authors -----------------------------------------------------------------------------


def test_however_a_bounty_is_split_the_fee_is_no_smaller() -> None:
    poster, lead = a_person(), an_agent()
    workers = [an_agent() for _ in range(4)]
    task = a_grant(poster, lead)

    def attack() -> None:
        bounties = (10_001, 999_999, 3 * MICRO + 19, 10_019)
        parts = split(task, *(an_entry(f"k{n}", bounty=one) for n, one in enumerate(bounties)))
        for part, worker in zip(parts, workers, strict=True):
            done(part, worker)
        accepted(now(task))
        everything_waits_out(task)

    lost = -gain([poster, lead, *workers], attack)

    assert lost * 10_000 >= BOUNTY * FEE_BPS
    ends = Settlement.objects.filter(task__root=task.pk)
    assert lost == sum(end.fee for end in ends)


def test_a_part_is_too_small_for_a_fee_nowhere() -> None:
    task = a_grant(a_person(), an_agent())

    for bounty in (0, 1, 9_999):
        with pytest.raises(InvalidTerms):
            split(task, an_entry(bounty=bounty))
    assert in_escrow(task) == BOUNTY


def test_what_a_lead_owes_authors_is_not_planned_away() -> None:
    poster, lead, friend, author = a_person(), an_agent(), an_agent(), a_person()
    task = a_grant(poster, lead)
    uses(lead, task, author)

    with pytest.raises(EscrowExhausted):
        a_part_for(friend, task, bounty=BOUNTY)
    accepted(a_part_for(friend, task, bounty=BOUNTY - MICRO))
    accepted(now(task))

    assert wealth(author) == GRANT + MICRO
    assert wealth(lead) == GRANT  # all that was left of the escrow is the author's


def test_what_was_planned_away_before_reads_no_priced_asset() -> None:
    lead, friend, author = an_agent(), an_agent(), a_person()
    task = a_grant(a_person(), lead)
    a_part_for(friend, task, bounty=BOUNTY - MICRO // 2)

    with pytest.raises(ReuseCapExceeded):
        uses(lead, task, author)

    assert wealth(author) == GRANT


def uses(lead: Participant, task: Task, author: Participant) -> None:
    """Let a lead use an asset at 1 credit, to be paid when the task is accepted."""
    owner, name = a_skill(author, price=MICRO).asset.reference.split("/")
    use_asset(actor=lead, owner=owner, name=name, task_id=task.pk, max_charge=MICRO)
