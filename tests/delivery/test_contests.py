"""Contests: sealed entries, of which one is accepted; nobody is left unpaid by silence."""

from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial

import pytest
from pytest_django import Settings

from credits import amounts
from marketplace.delivery import contests
from marketplace.delivery.models import Delivery
from marketplace.delivery.queries import visible_to
from marketplace.delivery.usecases.accept_delivery import accept_delivery
from marketplace.delivery.usecases.conclude_checks import conclude_checks
from marketplace.delivery.usecases.reject_delivery import reject_delivery
from marketplace.delivery.usecases.submit_delivery import AlreadyEntered
from marketplace.events.models import Event
from marketplace.foundation import clock
from marketplace.participants.models import Participant
from marketplace.tasks.models import Claim, Mode, Settlement, Task
from marketplace.tasks.permissions import NotNow, OwnTask
from marketplace.tasks.states import IllegalTransition, TaskState
from marketplace.tasks.terms import InvalidTerms
from marketplace.tasks.usecases.cancel_task import cancel_task
from marketplace.tasks.usecases.claim_task import claim_task
from marketplace.tasks.usecases.edit_task import edit_task
from marketplace.tasks.usecases.raise_task import raise_task
from tests.builders.people import a_person, an_agent, an_agent_of
from tests.builders.work import (
    BOUNTY,
    a_contest,
    a_task,
    again,
    an_entry,
    an_exact_check,
    available,
    closed,
    gained,
    held,
    swept,
    time_passes,
)

pytestmark = pytest.mark.django_db

GRANT = 100 * amounts.MICRO
WRONG = {"totals": {"rows": 7}}


def accept(entry: Delivery, **said: object) -> Settlement:
    return accept_delivery(delivery_id=entry.pk, actor=entry.task.poster, **said)  # type: ignore[arg-type]


def what_became(task: Task) -> list[str]:
    return list(
        Delivery.objects.filter(task=task).order_by("number").values_list("state", flat=True)
    )


def endings(task: Task) -> list[str | None]:
    claims = Claim.objects.filter(task=task, is_entry=True).order_by("created_at")
    return list(claims.values_list("ending", flat=True))


# --- Entering -------------------------------------------------------------------------------------


def test_entries_are_sealed_until_the_deadline_for_the_poster_too() -> None:
    ada, bo, cy, eve = a_person(), an_agent(), an_agent(), a_person()
    task = a_contest(ada)
    first, second = an_entry(task, bo), an_entry(task, cy)

    def seen_by(reader: Participant) -> set[int]:
        return set(visible_to(reader).filter(task=task).values_list("number", flat=True))

    assert [seen_by(one) for one in (ada, bo, cy, eve)] == [set(), {1}, {2}, set()]
    closed(task)
    assert [seen_by(one) for one in (ada, bo, cy, eve)] == [{1, 2}, {1}, {2}, set()]
    told = Event.objects.filter(type="delivery.submitted", subject_id=first.public_id).get()
    assert (told.notified, second.number) == ([], 2)


def test_a_contest_stays_open_to_others_when_somebody_has_entered() -> None:
    task = a_contest()

    for _ in range(3):
        an_entry(task)

    assert (again(task).state, again(task).entries) == (TaskState.OPEN, 3)
    assert held(task) == BOUNTY


def test_there_is_one_entry_for_each_operator() -> None:
    operator, task = a_person(), a_contest()
    an_entry(task, an_agent_of(operator))

    for own in (an_agent_of(operator), operator):
        with pytest.raises(AlreadyEntered):
            an_entry(task, own)


def test_nobody_enters_a_contest_of_their_own_operator() -> None:
    ada = a_person()
    task = a_contest(ada)

    for own in (ada, an_agent_of(ada)):
        with pytest.raises(OwnTask):
            an_entry(task, own)


def test_a_contest_is_not_claimed_and_another_task_is_not_entered() -> None:
    with pytest.raises(NotNow) as refusal:
        claim_task(task_id=a_contest().pk, actor=an_agent())
    assert refusal.value.rule == "wrong_mode"


def test_a_contest_takes_so_many_entries_and_no_more(settings: Settings) -> None:
    settings.ENTRIES_PER_CONTEST = 2
    task = a_contest()
    an_entry(task)
    an_entry(task)

    with pytest.raises(NotNow) as refusal:
        an_entry(task)

    assert refusal.value.rule == "contest_full"


def test_what_a_contest_needs() -> None:
    for said, field in (
        ({"verification": []}, "verification"),
        ({"verification": [an_exact_check(required=False)]}, "verification"),
        ({"acceptance": "automatic"}, "acceptance"),
        ({"runner_up_bps": 5_001}, "runner_up_share"),
    ):
        with pytest.raises(InvalidTerms) as refusal:
            a_contest(**said)
        assert refusal.value.field == field
    with pytest.raises(InvalidTerms):
        a_task(mode=Mode.CLAIM, runner_up_bps=100)


# --- Terms freeze with the first entry ------------------------------------------------------------


def test_a_contest_with_an_entry_is_neither_cancelled_nor_edited_only_raised() -> None:
    ada = a_person()
    task = a_contest(ada)
    an_entry(task)

    edit = partial(edit_task, changes={"bounty": 10_000}, read_version=lambda _: True)
    moves: list[Callable[..., object]] = [cancel_task, edit]
    for frozen in moves:
        with pytest.raises(NotNow) as refusal:
            frozen(task_id=task.pk, actor=ada)
        assert refusal.value.rule == "contest_entered"
    assert raise_task(task_id=task.pk, actor=ada, bounty=BOUNTY + 1).bounty == BOUNTY + 1
    assert held(task) == BOUNTY + 1


def test_a_contest_without_one_is_cancelled_for_nothing_or_expires() -> None:
    ada = a_person()
    task, other = a_contest(ada), a_contest(ada)

    cancel_task(task_id=task.pk, actor=ada)

    assert closed(other).state == TaskState.EXPIRED
    assert available(ada) == GRANT


def test_the_deadline_cannot_be_moved_out_again_and_again_to_keep_entries() -> None:
    ada = a_person()
    task = a_contest(ada)
    an_entry(task)
    raise_task(task_id=task.pk, actor=ada, deadline=task.created_at + timedelta(days=90))
    clock.advance(timedelta(days=89))

    with pytest.raises(InvalidTerms):
        raise_task(task_id=task.pk, actor=ada, deadline=task.created_at + timedelta(days=91))


# --- Choosing -------------------------------------------------------------------------------------


def test_the_poster_accepts_one_and_the_others_are_not_chosen() -> None:
    ada, bo, cy = a_person(), an_agent(), an_agent()
    task = a_contest(ada)
    an_entry(task, bo)
    second = an_entry(task, cy)
    assert closed(task).state == TaskState.SUBMITTED

    settlement = accept(second)

    task = again(task)
    assert (task.state, task.worker, held(task)) == (TaskState.ACCEPTED, cy, 0)
    assert (settlement.wages, settlement.fee) == (9_500_000, 500_000)
    assert (available(bo), available(cy)) == (GRANT, GRANT + 9_500_000)
    assert what_became(task) == ["unchosen", "accepted"]
    assert endings(task) == ["unchosen", "accepted"]
    decided = Event.objects.get(type="task.contest_decided", subject_id=task.public_id)
    assert {bo.pk, cy.pk} <= set(decided.notified)


def test_a_second_has_its_part_and_pays_its_fee() -> None:
    bo, cy, dee = an_agent(), an_agent(), an_agent()
    task = a_contest(runner_up_bps=2_000)
    an_entry(task, bo)
    second, third = an_entry(task, cy), an_entry(task, dee)
    closed(task)

    settlement = accept(third, runner_up=second.pk)

    assert (available(bo), available(cy), available(dee)) == (
        GRANT,
        GRANT + 1_900_000,
        GRANT + 7_600_000,
    )
    assert settlement.fee == 500_000
    assert what_became(task) == ["unchosen", "runner_up", "accepted"]


def test_a_poster_who_names_no_second_gains_nothing_by_that() -> None:
    bo, cy, dee, ada = an_agent(), an_agent(), an_agent(), a_person()
    task, alone = a_contest(ada, runner_up_bps=2_000), a_contest(ada, runner_up_bps=2_000)
    an_entry(task, bo, result=WRONG)
    an_entry(task, cy)
    third = an_entry(task, dee)
    only = an_entry(alone, dee)
    closed(task)
    closed(alone)

    accept(third)  # the earliest other that passed is second
    assert gained(dee, lambda: accept(only)) == 9_500_000  # nobody else is

    assert (available(bo), available(cy)) == (GRANT, GRANT + 1_900_000)
    assert available(ada) == GRANT - 2 * BOUNTY


@pytest.mark.parametrize("named", ["itself", "a failed one", "of another contest", "none reserved"])
def test_only_another_entry_that_may_win_is_second(named: str) -> None:
    task = a_contest(runner_up_bps=0 if named == "none reserved" else 2_000)
    entry, failed, passed = an_entry(task), an_entry(task, result=WRONG), an_entry(task)
    other = an_entry(a_contest())
    closed(task)
    second = {"itself": entry, "a failed one": failed, "of another contest": other}

    with pytest.raises(InvalidTerms) as refusal:
        accept(entry, runner_up=second.get(named, passed).pk)

    assert refusal.value.field == "runner_up"
    assert again(task).state == TaskState.SUBMITTED


def test_an_entry_that_a_check_failed_is_not_accepted_and_none_is_rejected() -> None:
    task = a_contest()
    failed, passed = an_entry(task, result=WRONG), an_entry(task)
    closed(task)

    with pytest.raises(NotNow) as refusal:
        accept(failed)
    assert refusal.value.rule == "entry_failed"
    with pytest.raises(NotNow):
        reject_delivery(delivery_id=passed.pk, actor=task.poster, reason="No.")
    with pytest.raises(Delivery.DoesNotExist):
        accept_delivery(delivery_id=passed.pk, actor=failed.worker)


def test_nothing_is_accepted_before_the_deadline() -> None:
    entry = an_entry(a_contest())

    with pytest.raises(Delivery.DoesNotExist):  # sealed
        accept(entry)


def test_the_review_begins_when_the_checks_of_all_entries_have_ended() -> None:
    task = a_contest()
    an_entry(task)
    late = an_entry(task)
    late.checks.update(state="pending", ended_at=None)
    late.checks_ended_at = None
    late.save(update_fields=["checks_ended_at"])

    task = closed(task)
    assert (task.state, task.review_due_at) == (TaskState.SUBMITTED, None)
    with pytest.raises(NotNow) as refusal:
        accept(late)
    assert refusal.value.rule == "checks_running"
    late.checks.update(state="passed", ended_at=clock.now())
    conclude_checks(delivery_id=late.pk)

    assert again(task).review_due_at is not None


# --- Nobody chooses -------------------------------------------------------------------------------


@pytest.fixture
def no_panel(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let nobody be found who could judge."""
    monkeypatch.setattr(contests, "_panels", [])


def test_a_poster_who_stays_silent_has_all_who_passed_share_equally(no_panel: None) -> None:
    bo, cy, dee, ada = an_agent(), an_agent(), an_agent(), a_person()
    task = a_contest(ada, bounty=10_000_001)
    an_entry(task, bo)
    an_entry(task, cy, result=WRONG)
    an_entry(task, dee)
    task = closed(task)
    assert time_passes(task, hours=37).state == TaskState.SUBMITTED
    assert Event.objects.filter(type="task.review_reminder", subject_id=task.public_id).exists()

    task = time_passes(task, hours=36)

    assert (task.state, task.worker, held(task)) == (TaskState.ACCEPTED, None, 0)
    # 5,000,001 and 5,000,000 before the fee, which is rounded up; the earliest has the remainder.
    assert (available(bo), available(cy), available(dee)) == (
        GRANT + 4_750_000,
        GRANT,
        GRANT + 4_750_000,
    )
    assert Settlement.objects.get(task=task).fee == 250_001 + 250_000
    assert what_became(task) == ["shared", "unchosen", "shared"]
    assert available(ada) == GRANT - 10_000_001


def test_entries_whose_checks_could_not_run_share_where_none_passed(no_panel: None) -> None:
    bo, cy = an_agent(), an_agent()
    task = a_contest()
    unrun = an_entry(task, bo)
    an_entry(task, cy, result=WRONG)
    unrun.checks.update(state="error")

    task = time_passes(closed(task), hours=73)

    assert (task.state, available(bo)) == (TaskState.ACCEPTED, GRANT + 9_500_000)


def test_a_contest_whose_entries_all_failed_is_refunded_at_its_deadline() -> None:
    ada, bo = a_person(), an_agent()
    task = a_contest(ada)
    an_entry(task, bo, result=WRONG)
    an_entry(task, result=WRONG)

    task = closed(task)

    assert (task.state, held(task), available(ada)) == (TaskState.EXPIRED, 0, GRANT)
    assert what_became(task) == endings(task) == ["unchosen", "unchosen"]
    decided = Event.objects.get(type="task.contest_decided", subject_id=task.public_id)
    assert (decided.data["outcome"], bo.pk in decided.notified) == ("failed", True)


@pytest.fixture
def panel(monkeypatch: pytest.MonkeyPatch) -> list[Task]:
    """Let a panel that is always seated take silent contests."""
    seated: list[Task] = []

    def seat(task: Task, at: datetime) -> bool:
        del at
        seated.append(task)
        return True

    monkeypatch.setattr(contests, "_panels", [seat])
    return seated


def test_a_panel_that_can_be_seated_decides_in_the_posters_place(panel: list[Task]) -> None:
    task = a_contest()
    an_entry(task)
    task = closed(task)
    clock.advance(timedelta(hours=73))

    contests.lapse(task, clock.now())

    assert panel == [task]
    assert held(task) == BOUNTY


def test_a_late_acceptance_finds_the_contest_shared(no_panel: None) -> None:
    task = a_contest()
    entry = an_entry(task)
    closed(task)
    clock.advance(timedelta(hours=73))

    with pytest.raises(IllegalTransition):
        accept(entry)

    assert swept(task).state == TaskState.ACCEPTED
