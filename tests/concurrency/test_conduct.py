"""Freezes, blocks, reports and messages against what happens at the same moment."""

from collections import Counter
from datetime import timedelta
from functools import partial

import pytest
from pytest_django import Settings

from marketplace.foundation import clock
from marketplace.moderation.models import Case, CaseState, Report
from marketplace.moderation.usecases.dismiss_case import dismiss_case
from marketplace.moderation.usecases.report_subject import report_subject
from marketplace.moderation.usecases.uphold_case import Freezing, uphold_case
from marketplace.participants.models import Block, Freeze
from marketplace.participants.usecases.answer_appeal import answer_appeal
from marketplace.participants.usecases.appeal_freeze import appeal_freeze
from marketplace.participants.usecases.block_participant import block_participant
from marketplace.participants.usecases.lift_freeze import lift_freeze
from marketplace.tasks.models import Task
from marketplace.tasks.usecases.claim_task import claim_task
from marketplace.threads.models import Message
from tests.builders.at_once import together
from tests.builders.people import a_person, an_agent, an_agent_of
from tests.builders.staff import a_freeze, somebody_of_staff
from tests.builders.talk import say
from tests.builders.work import a_claimed_task, a_task, again

pytestmark = pytest.mark.django_db


def kinds(outcomes: list[object]) -> Counter[str]:
    return Counter(type(outcome).__name__ for outcome in outcomes)


@pytest.mark.parametrize("round_", range(5))
def test_after_a_freeze_no_claim_of_the_frozen_begins(round_: int) -> None:
    """Twenty agents of one operator claim while it is frozen; none begins after the freeze."""
    operator, staff = a_person(), somebody_of_staff()
    agents = [an_agent_of(operator) for _ in range(6)]
    tasks = [a_task() for _ in agents]

    outcomes = together(
        [
            partial(a_freeze, operator, by=staff),
            *(
                partial(claim_task, task_id=task.pk, actor=agent)
                for task, agent in zip(tasks, agents, strict=True)
            ),
        ]
    )

    found = kinds(outcomes)
    assert found["Freeze"] == 1
    assert found["Task"] + found["Frozen"] == len(agents)
    freeze = Freeze.objects.get(participant=operator)
    begun = Task.objects.filter(worker_operator=operator, claim__created_at__gt=freeze.frozen_at)
    assert not begun.exists()


@pytest.mark.parametrize("round_", range(5))
def test_after_a_block_no_claim_of_the_blocked_begins(round_: int) -> None:
    ada, bo = a_person(), an_agent()
    tasks = [a_task(ada) for _ in range(3)]

    outcomes = together(
        [
            partial(block_participant, actor=ada, handle=bo.handle),
            *(partial(claim_task, task_id=task.pk, actor=bo) for task in tasks),
        ]
    )

    found = kinds(outcomes)
    assert found["Block"] == 1
    assert found["Task"] + found["Blocked"] == len(tasks)
    with_bo = Task.objects.filter(poster=ada, worker=bo)
    assert with_bo.count() == found["Task"]  # what was claimed first stands


def test_many_blocks_at_once_are_one() -> None:
    ada, bo = a_person(), an_agent()

    outcomes = together([partial(block_participant, actor=ada, handle=bo.handle)] * 8)

    assert kinds(outcomes) == {"Block": 8}
    assert Block.objects.filter(operator=ada).count() == 1


def test_many_freezes_at_once_are_one() -> None:
    bo = a_person()
    staff = [somebody_of_staff() for _ in range(6)]

    outcomes = together([partial(a_freeze, bo, by=one) for one in staff])

    assert kinds(outcomes) == {"Freeze": 1, "AlreadyFrozen": 5}


def test_an_appeal_is_made_and_answered_once() -> None:
    bo, staff = an_agent(), somebody_of_staff()
    freeze = a_freeze(bo)

    appeals = together([partial(appeal_freeze, freeze_id=freeze.pk, actor=bo, text="x")] * 6)
    answers = together(
        [
            *(
                partial(answer_appeal, freeze_id=freeze.pk, actor=staff, grants=grants, answer="x")
                for grants in (True, False, True, False)
            ),
            partial(lift_freeze, freeze_id=freeze.pk, actor=staff),
        ]
    )

    assert kinds(appeals) == {"Freeze": 1, "AppealedAlready": 5}
    freeze.refresh_from_db()
    assert freeze.answered_at is not None
    done = kinds(answers)
    assert done["Freeze"] + done["NothingToAnswer"] + done["FreezeEnded"] == 5
    assert freeze.lifted_at is not None  # somebody lifted it, by answering or without


def test_reports_at_once_are_one_case_with_every_reporter_in_it() -> None:
    task = a_task()
    reporters = [a_person() for _ in range(10)]

    outcomes = together(
        [
            partial(report_subject, actor=one, subject=task.public_id, reason="spam")
            for one in reporters
        ]
    )

    assert kinds(outcomes) == {"Report": 10}
    case = Case.objects.get(subject_name=task.public_id)
    assert case.report_count == Report.objects.filter(case=case).count() == 10


def test_agents_of_one_operator_report_at_once_and_it_counts_once() -> None:
    task, operator = a_task(), a_person()
    agents = [an_agent_of(operator) for _ in range(8)]

    outcomes = together(
        [
            partial(report_subject, actor=one, subject=task.public_id, reason="spam")
            for one in agents
        ]
    )

    assert kinds(outcomes) == {"Report": 1, "ReportedAlready": 7}
    assert Case.objects.get(subject_name=task.public_id).report_count == 1


@pytest.mark.parametrize("round_", range(3))
def test_staff_who_decide_at_once_decide_once_while_reports_come_in(round_: int) -> None:
    task, bo = a_task(), a_person()
    report = report_subject(actor=bo, subject=task.public_id, reason="spam")
    staff = [somebody_of_staff() for _ in range(4)]
    until = Freezing(ends_at=clock.now() + timedelta(days=2))
    act = partial(uphold_case, case_id=report.case_id, note="-", hides=True, freezing=until)
    dismiss = partial(dismiss_case, case_id=report.case_id, note="-")

    outcomes = together(
        [
            *(partial(act, actor=one) for one in staff[:2]),
            *(partial(dismiss, actor=one) for one in staff[2:]),
            *(
                partial(report_subject, actor=a_person(), subject=task.public_id, reason="spam")
                for _ in range(3)
            ),
        ]
    )

    found = kinds(outcomes)
    assert found["Case"] == 1
    assert found["CaseDecided"] == 3
    decided = Case.objects.get(pk=report.case_id)
    assert decided.state in (CaseState.DISMISSED, CaseState.UPHELD)
    frozen = Freeze.objects.filter(participant=task.poster).count()
    assert frozen == (decided.state == CaseState.UPHELD)
    for case in Case.objects.filter(subject_name=task.public_id):
        assert case.report_count == Report.objects.filter(case=case).count()


def test_quotas_hold_against_many_messages_at_once(settings: Settings) -> None:
    settings.MESSAGES_PER_OPERATOR_AND_TASK = 5
    bo = an_agent()
    task = a_claimed_task(worker=bo)

    outcomes = together([partial(say, task, bo)] * 12)

    assert kinds(outcomes) == {"Message": 5, "ThreadFull": 7}
    assert Message.objects.filter(task=task).count() == 5


@pytest.mark.parametrize("round_", range(3))
def test_a_question_against_a_claim_is_public_or_refused_never_private(round_: int) -> None:
    ada, bo, eve = a_person(), an_agent(), a_person()
    task = a_task(ada)

    outcomes = together(
        [
            partial(claim_task, task_id=task.pk, actor=bo),
            partial(say, task, eve),
            partial(say, task, ada, "To whoever it is for."),
        ]
    )

    assert again(task).worker == bo
    assert kinds(outcomes)["Message"] + kinds(outcomes)["NobodyToWriteTo"] == 2
    from_eve = Message.objects.filter(task=task, author=eve)
    assert all(message.is_public for message in from_eve)
    assert {one.counterpart_id for one in Message.objects.filter(task=task)} <= {None, bo.pk}
