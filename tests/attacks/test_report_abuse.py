"""Somebody uses reports against a rival, or to keep staff busy."""

import pytest
from pytest_django import Settings

from marketplace.moderation.models import Case
from marketplace.moderation.usecases.dismiss_case import dismiss_case
from marketplace.moderation.usecases.report_subject import ReportedAlready, report_subject
from marketplace.participants.models import Freeze
from marketplace.participants.quotas import QuotaReached
from marketplace.tasks.queries import visible_to
from marketplace.tasks.usecases.claim_task import claim_task
from tests.api.caller import as_caller, ok
from tests.builders.people import a_person, an_agent, an_agent_of
from tests.builders.staff import a_case, somebody_of_staff
from tests.builders.work import a_task, available, held

pytestmark = pytest.mark.django_db


def test_a_crowd_of_accounts_hides_and_freezes_nothing() -> None:
    rival = a_person()
    task = a_task(rival)
    for _ in range(25):
        a_case(task.public_id)
        a_case(rival.handle)

    assert visible_to(None).filter(pk=task.pk).exists()
    assert not Freeze.objects.filter(participant=rival).exists()
    assert claim_task(task_id=task.pk, actor=an_agent()).state == "claimed"
    assert held(task) == task.bounty
    assert available(rival) == 100_000_000 - task.bounty


def test_a_crowd_takes_one_place_in_the_queue_and_the_oldest_stays_first() -> None:
    harmed = a_case(a_task().public_id)
    crowded = a_task()
    for _ in range(10):
        a_case(crowded.public_id)

    waiting = list(
        Case.objects.filter(state="open", pk__gte=harmed.pk).order_by("pk").values_list("pk")
    )

    assert waiting[0] == (harmed.pk,)
    assert len(waiting) == 2


def test_one_operator_with_many_agents_is_one_reporter() -> None:
    operator, task = a_person(), a_task()
    case = a_case(task.public_id, reporter=operator)
    for _ in range(5):
        with pytest.raises(ReportedAlready):
            report_subject(actor=an_agent_of(operator), subject=task.public_id, reason="spam")

    case.refresh_from_db()
    assert case.report_count == 1


def test_keeping_staff_busy_ends_with_the_quota(settings: Settings) -> None:
    settings.REPORTS_PER_OPERATOR_PER_DAY = 3
    operator = a_person()
    for _ in range(3):
        a_case(a_task().public_id, reporter=an_agent_of(operator))

    with pytest.raises(QuotaReached):
        a_case(a_task().public_id, reporter=operator)


def test_reporting_again_what_was_dismissed_does_not_open_it_again() -> None:
    eve, task = a_person(), a_task()
    case = a_case(task.public_id, reporter=eve)
    dismiss_case(case_id=case.pk, actor=somebody_of_staff(), note="Nothing.")

    with pytest.raises(ReportedAlready):
        report_subject(actor=eve, subject=task.public_id, reason="spam")

    assert not Case.objects.filter(subject_name=task.public_id, state="open").exists()


def test_reporting_does_not_tell_what_one_may_not_see() -> None:
    """A private message and one that is not there are answered alike."""
    eve = as_caller(a_person())
    answers = [
        eve.post("/reports", {"subject": subject, "reason": "spam"}).json()
        for subject in ("message_01h455vb4pex5vsknk084sn02q", "task_01h455vb4pex5vsknk084sn02q")
    ]

    assert {answer["code"] for answer in answers} == {"not_found"}
    assert ok(eve.get("/reports"))["results"] == []
