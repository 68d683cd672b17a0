"""Random lives of tasks, driven through the real use cases: the books stay right at every step."""

from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from functools import partial

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from pytest_django import DjangoDbBlocker

from credits import audit, ledger
from marketplace.delivery.models import Delivery, DeliveryState
from marketplace.delivery.usecases.accept_delivery import accept_delivery
from marketplace.delivery.usecases.reject_delivery import reject_delivery
from marketplace.delivery.usecases.submit_delivery import (
    DeliveriesExhausted,
    Work,
    submit_delivery,
)
from marketplace.disputes.models import Dispute, Outcome, Seat, SeatState
from marketplace.disputes.usecases.appeal_outcome import appeal_outcome
from marketplace.disputes.usecases.cast_vote import cast_vote
from marketplace.disputes.usecases.decide_dispute import decide_dispute
from marketplace.disputes.usecases.open_dispute import open_dispute
from marketplace.foundation import clock
from marketplace.ops import books
from marketplace.participants.models import Participant
from marketplace.reuse.uses import ReuseCapExceeded
from marketplace.tasks import deadlines
from marketplace.tasks.caps import ClaimCapReached
from marketplace.tasks.models import Settlement, Task
from marketplace.tasks.states import IllegalTransition, NotPermitted
from marketplace.tasks.usecases.abandon_task import abandon_task
from marketplace.tasks.usecases.cancel_task import cancel_task
from marketplace.tasks.usecases.claim_task import claim_task
from marketplace.tasks.usecases.edit_task import edit_task
from marketplace.tasks.usecases.heartbeat import heartbeat
from marketplace.tasks.usecases.use_asset import use_asset
from tests.builders.assets import a_skill
from tests.builders.disputes import judges
from tests.builders.people import a_person, an_agent
from tests.builders.staff import somebody_of_staff
from tests.builders.work import a_task, again, held, swept

pytestmark = pytest.mark.django_db

MICRO = 1_000_000
# What the rules answer to a move that is not possible now. Anything else is a bug.
REFUSALS = (
    IllegalTransition,
    NotPermitted,
    ClaimCapReached,
    ReuseCapExceeded,
    DeliveriesExhausted,
    Delivery.DoesNotExist,
    Dispute.DoesNotExist,
)


class Market(RuleBasedStateMachine):
    """One poster, two workers, an author and what their asset rests on, and a few tasks."""

    @initialize()
    def people(self) -> None:
        self.poster = a_person()
        self.workers = [an_agent(), an_agent()]
        self.author, self.basis = a_person(), a_person()
        foundation = a_skill(self.basis, price=0)
        self.skill = a_skill(self.author, price=MICRO // 3, dependencies=[foundation])
        self.everybody = [self.poster, *self.workers, self.author, self.basis]
        self.tasks: list[Task] = []
        judges()
        self.staff = somebody_of_staff()

    def _try(self, move: Callable[..., object], **arguments: object) -> None:
        with suppress(*REFUSALS):
            move(**arguments)

    def _one(self, choice: int) -> Task:
        return self.tasks[choice % len(self.tasks)]

    def _who(self, choice: int) -> Participant:
        return self.everybody[choice % len(self.everybody)]

    @precondition(lambda self: len(self.tasks) < 3)
    @rule(bounty=st.integers(10_000, 20 * MICRO))
    def post(self, bounty: int) -> None:
        self.tasks.append(a_task(self.poster, bounty=bounty))

    @precondition(lambda self: self.tasks)
    @rule(
        which=st.integers(0, 5),
        who=st.integers(0, 5),
        verb=st.sampled_from((claim_task, heartbeat, abandon_task, cancel_task)),
    )
    def move(self, which: int, who: int, verb: Callable[..., object]) -> None:
        self._try(verb, task_id=self._one(which).pk, actor=self._who(who))

    @precondition(lambda self: self.tasks)
    @rule(which=st.integers(0, 5))
    def cancel_at_once(self, which: int) -> None:
        self._try(cancel_task, task_id=self._one(which).pk, actor=self.poster, at_once=True)

    @precondition(lambda self: self.tasks)
    @rule(which=st.integers(0, 5), bounty=st.integers(10_000, 20 * MICRO))
    def change_the_bounty(self, which: int, bounty: int) -> None:
        self._try(
            edit_task,
            task_id=self._one(which).pk,
            actor=self.poster,
            changes={"bounty": bounty},
            read_version=lambda _: True,
        )

    @precondition(lambda self: self.tasks)
    @rule(which=st.integers(0, 5), who=st.integers(0, 5))
    def use(self, which: int, who: int) -> None:
        owner, name = self.skill.asset.reference.split("/")
        self._try(
            use_asset,
            actor=self._who(who),
            owner=owner,
            name=name,
            task_id=self._one(which).pk,
            max_charge=MICRO,
        )

    @precondition(lambda self: self.tasks)
    @rule(which=st.integers(0, 5), who=st.integers(0, 5))
    def deliver(self, which: int, who: int) -> None:
        work = Work(summary="Done.")
        self._try(submit_delivery, task_id=self._one(which).pk, actor=self._who(who), work=work)

    @precondition(lambda self: self.tasks)
    @rule(which=st.integers(0, 5), accepts=st.booleans())
    def decide(self, which: int, accepts: bool) -> None:  # noqa: FBT001 - drawn
        delivery = Delivery.objects.filter(
            task=self._one(which), state=DeliveryState.SUBMITTED
        ).first()
        if delivery is not None:
            decide = accept_delivery if accepts else partial(reject_delivery, reason="No.")
            self._try(decide, delivery_id=delivery.pk, actor=self.poster)

    @precondition(lambda self: self.tasks)
    @rule(which=st.integers(0, 5), who=st.integers(0, 5))
    def dispute(self, which: int, who: int) -> None:
        self._try(
            open_dispute, task_id=self._one(which).pk, actor=self._who(who), reason="Judge it."
        )

    @precondition(lambda self: self.tasks)
    @rule(which=st.integers(0, 5), share=st.one_of(st.none(), st.integers(1, 9_999)))
    def judge(self, which: int, share: int | None) -> None:
        seats = Seat.objects.filter(dispute__task=self._one(which), state=SeatState.OPEN)
        for seat in seats.select_related("panelist__operator")[:1]:
            self._try(
                cast_vote,
                dispute_id=seat.dispute_id,
                actor=seat.panelist,
                outcome=Outcome.SPLIT if share else Outcome.REJECT,
                worker_share=share,
                rationale="Fair.",
            )

    @precondition(lambda self: self.tasks)
    @rule(which=st.integers(0, 5), who=st.integers(0, 5), accepts=st.booleans())
    def appeal(self, which: int, who: int, accepts: bool) -> None:  # noqa: FBT001 - drawn
        found = Dispute.objects.filter(task=self._one(which)).first()
        if found is not None:
            self._try(appeal_outcome, dispute_id=found.pk, actor=self._who(who), reason="Again.")
            self._try(
                decide_dispute,
                dispute_id=found.pk,
                actor=self.staff,
                outcome=Outcome.ACCEPT if accepts else Outcome.REJECT,
                rationale="Read.",
            )

    @precondition(lambda self: self.tasks)
    @rule(hours=st.sampled_from((1, 25, 49, 80, 200)))
    def wait(self, hours: int) -> None:
        clock.advance(timedelta(hours=hours))
        for task in self.tasks:
            swept(task)

    @invariant()
    def every_escrow_holds_what_it_should(self) -> None:
        for task in map(again, getattr(self, "tasks", [])):
            assert held(task) == (0 if task.is_ended else task.bounty)
            assert Settlement.objects.filter(task=task).exists() == task.is_ended
            due = [at for at, _ in deadlines.limits_of(task)]
            assert task.due_at == min(due, default=None)
            assert task.is_ended == (task.due_at is None)

    @invariant()
    def nothing_leaves_this_market_but_fees_and_what_panels_are_paid(self) -> None:
        if not getattr(self, "tasks", None):
            return
        positions = [ledger.position(person.pk) for person in self.everybody]
        fees = sum(Settlement.objects.filter(task__in=self.tasks).values_list("fee", flat=True))
        voted = Seat.objects.filter(dispute__task__in=self.tasks)
        panels = sum(voted.exclude(operator__in=self.everybody).values_list("fee", flat=True))
        assert sum(sum(held.values()) for held in positions) + fees + panels == 500 * MICRO


def test_the_books_stay_right_whatever_anybody_does(
    own_database: None, django_db_blocker: DjangoDbBlocker
) -> None:
    with django_db_blocker.unblock():
        run_state_machine_as_test(
            Market,
            settings=settings(
                max_examples=20,
                stateful_step_count=30,
                deadline=None,
                suppress_health_check=list(HealthCheck),
            ),
        )

        assert [one for one in books.check() if is_about_a_market(one)] == []


def is_about_a_market(finding: audit.Finding) -> bool:
    """Say whether a violation is one: tests of the ledger, which share this database, make escrows
    without tasks, earnings without uses, and fees without settlements.
    """
    ledgers_own = {invariant.name for invariant in audit.read(audit.INVARIANTS)}
    return finding.invariant in ledgers_own or finding.subject.startswith("task ")
