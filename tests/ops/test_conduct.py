"""What staff decide about people and reports in the admin."""

from datetime import timedelta

import pytest
from django.db.models import Model
from django.test import Client
from django.urls import reverse

from marketplace.foundation import clock
from marketplace.moderation import hiding
from marketplace.moderation.models import Case, CaseState, Hiding
from marketplace.participants.models import Freeze, Participant
from marketplace.participants.usecases.appeal_freeze import appeal_freeze
from marketplace.tasks.queries import visible_to
from marketplace.threads.queries import redactions_of
from tests.builders.people import a_person, an_agent_of
from tests.builders.staff import a_case, a_freeze, somebody_of_staff
from tests.builders.talk import say
from tests.builders.work import a_claimed_task, a_task
from tests.web.reading import Answer, signed_in

pytestmark = pytest.mark.django_db


def act(staff: Participant, row: Model, action: str, **typed: str) -> Answer:
    """Tick *row* in its list and run an action on it."""
    meta = row._meta  # noqa: SLF001 - Django's own
    path = reverse(f"admin:{meta.app_label}_{meta.model_name}_changelist")
    body = {"action": action, "_selected_action": str(row.pk)} | typed
    answer: Answer = signed_in(staff).post(path, body, follow=True)
    assert answer.status_code == 200
    return answer


def test_staff_dismiss_a_case_and_say_why() -> None:
    staff, task = somebody_of_staff(), a_task()
    case = a_case(task.public_id)

    without = act(staff, case, "dismiss")
    assert "say why" in without.content.decode()
    act(staff, case, "dismiss", why="Nothing wrong with it.")

    case.refresh_from_db()
    assert (case.state, case.decided_by, case.note) == (
        CaseState.DISMISSED,
        staff,
        "Nothing wrong with it.",
    )


def test_staff_hide_and_freeze_from_the_queue() -> None:
    staff, task = somebody_of_staff(), a_task()
    case = a_case(task.public_id)

    without = act(staff, case, "hide_and_freeze", why="Spam.")
    assert "for how many days" in without.content.decode()
    assert visible_to(None).filter(pk=task.pk).exists()
    act(staff, case, "hide_and_freeze", why="Spam.", days="3")

    assert not visible_to(None).filter(pk=task.pk).exists()
    freeze = Freeze.objects.get(participant=task.poster)
    assert (freeze.decided_by, freeze.reason) == (staff, "Spam.")
    assert timedelta(days=2) < freeze.ends_at - clock.now() <= timedelta(days=3)
    case.refresh_from_db()
    assert (case.state, case.freeze) == (CaseState.UPHELD, freeze)


def test_what_was_decided_is_not_decided_again() -> None:
    staff, case = somebody_of_staff(), a_case(a_task().public_id)
    act(staff, case, "hide", why="Spam.")

    again = act(somebody_of_staff(), case, "dismiss", why="No.")

    assert "this case is decided" in again.content.decode()
    case.refresh_from_db()
    assert case.decided_by == staff


def test_staff_do_not_decide_in_their_own_cause() -> None:
    staff = somebody_of_staff()
    case = a_case(a_task(staff).public_id)

    answer = act(staff, case, "dismiss", why="It is mine.")

    assert "own cause" in answer.content.decode()
    assert Case.objects.get(pk=case.pk).state == CaseState.OPEN


def test_the_queue_shows_the_oldest_first_and_what_it_says_as_text() -> None:
    hostile = a_task(description="<script>alert(1)</script>")
    first = a_case(hostile.public_id)
    crowded = a_task()
    for _ in range(3):
        a_case(crowded.public_id)

    page = signed_in(somebody_of_staff()).get(
        reverse("admin:moderation_case_changelist"), {"state__exact": "open", "p": "0"}
    )

    html = page.content.decode()
    assert "<script>alert(1)" not in html
    shown = list(page.context["cl"].queryset.values_list("pk", flat=True))
    assert shown.index(first.pk) < shown.index(Case.objects.get(subject_name=crowded.public_id).pk)


def test_staff_freeze_a_participant_or_its_operator() -> None:
    staff, operator = somebody_of_staff(), a_person()
    agent = an_agent_of(operator)

    act(staff, agent, "freeze", why="Spam.", days="2", of_operator="on")
    act(staff, agent, "freeze", why="Spam.", days="9999")

    assert Freeze.objects.filter(participant=operator).count() == 1
    assert not Freeze.objects.filter(participant=agent).exists()  # longer than a freeze may be


def test_staff_answer_appeals_from_their_queue() -> None:
    staff = somebody_of_staff()
    bo, cy = a_person(), a_person()
    granted, refused = a_freeze(bo), a_freeze(cy)
    appeal_freeze(freeze_id=granted.pk, actor=bo, text="It was a test.")
    appeal_freeze(freeze_id=refused.pk, actor=cy, text="Why not?")
    queue = signed_in(staff).get(
        reverse("admin:participants_freeze_changelist"), {"appeal": "waiting"}
    )
    assert {granted.pk, refused.pk} <= set(
        queue.context["cl"].queryset.values_list("pk", flat=True)
    )

    act(staff, granted, "grant", why="So it was.")
    act(staff, refused, "let_stand", why="Therefore.")

    granted.refresh_from_db()
    refused.refresh_from_db()
    assert (granted.is_appeal_granted, granted.answer) == (True, "So it was.")
    assert (refused.is_appeal_granted, refused.answered_by) == (False, staff)
    act(staff, refused, "lift")
    refused.refresh_from_db()
    assert refused.lifted_at is not None


def test_staff_redact_a_message_and_show_what_was_hidden_by_mistake() -> None:
    staff, task = somebody_of_staff(), a_claimed_task()
    message = say(task, task.poster)

    act(staff, message, "redact", why="A stolen list.")
    assert redactions_of([message])
    hidden = Hiding.objects.get(subject_key=str(message.pk))
    act(staff, hidden, "show")

    assert not hiding.hidings_of("message", [message.pk])


def test_whoever_is_no_staff_decides_nothing() -> None:
    case, eve = a_case(a_task().public_id), a_person()
    path = reverse("admin:moderation_case_changelist")
    body = {"action": "dismiss", "_selected_action": str(case.pk), "why": "Mine."}

    for client in (signed_in(eve), Client()):
        assert client.post(path, body).status_code in (302, 403)

    assert Case.objects.get(pk=case.pk).state == CaseState.OPEN
