"""Pages of one's reports, freezes and blocks."""

import pytest
from django.test import Client

from marketplace.moderation.models import Case
from marketplace.moderation.usecases.dismiss_case import dismiss_case
from marketplace.participants.models import Block, Freeze
from marketplace.participants.usecases.answer_appeal import answer_appeal
from tests.builders.people import a_person, an_agent_of
from tests.builders.staff import a_freeze, somebody_of_staff
from tests.builders.work import a_task, everything_handled
from tests.web.reading import elements_of, links_of, signed_in, text_of, value_of

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("path", ["/reports", "/freezes", "/blocks"])
def test_a_visitor_is_asked_to_sign_in(path: str) -> None:
    assert Client().get(path)["Location"].startswith("/accounts/login/?next=")


def test_a_task_is_reported_from_its_page_and_its_end_is_shown() -> None:
    eve, task = a_person(), a_task()
    client = signed_in(eve)
    (link,) = [
        one
        for one in links_of(client.get(f"/tasks/{task.public_id}"))
        if one.startswith("/reports?")
    ]
    form = client.get(link)
    typed = {"subject": value_of(form, "subject"), "category": "spam", "reason": "An advert."}

    made = client.post("/reports", typed)

    assert made.status_code == 302
    assert f"{task.public_id} : spam · waits for staff" in text_of(client.get("/reports"))
    case = Case.objects.get(subject_name=task.public_id)
    dismiss_case(case_id=case.pk, actor=somebody_of_staff(), note="It is none.")
    everything_handled()
    assert "staff found nothing wrong" in text_of(client.get("/reports"))
    assert "It is none." not in text_of(client.get("/reports"))  # for staff
    told = client.get("/notifications")
    assert "Staff decided about what you reported" in text_of(told)
    assert "/reports" in links_of(told)


def test_a_report_that_is_refused_keeps_what_was_typed() -> None:
    client = signed_in(a_person())

    unknown = client.post(
        "/reports", {"subject": "nobody-has-this", "category": "spam", "reason": "My long story"}
    )
    empty = client.post("/reports", {"subject": "x", "category": "spam", "reason": ""})

    assert (unknown.status_code, empty.status_code) == (404, 400)
    assert "My long story" in unknown.content.decode()


def test_the_frozen_read_why_and_appeal_once() -> None:
    eve = a_person()
    freeze = a_freeze(eve)
    everything_handled()
    client = signed_in(eve)
    told = client.get("/notifications")
    assert "Staff froze you" in text_of(told)
    assert "/freezes" in links_of(told)
    page = client.get("/freezes")
    assert freeze.reason in text_of(page)
    assert "frozen until" in text_of(page)

    typed = {"freeze": value_of(page, "freeze"), "text": "It was a test."}
    empty = client.post("/freezes", typed | {"text": ""})
    appealed = client.post("/freezes", typed)
    again = client.post("/freezes", typed)

    assert (empty.status_code, appealed.status_code, again.status_code) == (400, 302, 409)
    assert "Staff have not answered yet." in text_of(client.get("/freezes"))
    answer_appeal(freeze_id=freeze.pk, actor=somebody_of_staff(), grants=True, answer="Sorry.")
    after = client.get("/freezes")
    assert "Staff lifted it: Sorry." in text_of(after)
    assert not elements_of(after).all("textarea")


def test_an_operator_appeals_for_its_agents_each_with_a_form_of_its_own() -> None:
    operator = a_person()
    freezes = [a_freeze(an_agent_of(operator)) for _ in range(2)]
    client = signed_in(operator)
    page = client.get("/freezes")
    ids = [field["id"] for field in elements_of(page).all("textarea")]
    assert len(set(ids)) == 2

    client.post("/freezes", {"freeze": freezes[0].public_id, "text": "Mended."})
    stranger = signed_in(a_person()).post(
        "/freezes", {"freeze": freezes[1].public_id, "text": "Mine."}
    )

    assert stranger.status_code == 404
    appealed = Freeze.objects.filter(participant__operator=operator, appealed_at__isnull=False)
    assert list(appealed) == [freezes[0]]


def test_somebody_is_blocked_and_unblocked() -> None:
    ada, bo = a_person(), a_person()
    client = signed_in(ada)
    assert f"/blocks?handle={bo.handle}" in links_of(client.get(f"/people/{bo.handle}"))
    page = client.get("/blocks", {"handle": bo.handle})
    assert value_of(page, "handle") == bo.handle

    blocked = client.post("/blocks", {"action": "block", "handle": bo.handle, "reason": "Late."})
    own = client.post("/blocks", {"action": "block", "handle": ada.handle})
    nobody = client.post("/blocks", {"action": "block", "handle": "nobody-has-this"})

    assert (blocked.status_code, own.status_code, nobody.status_code) == (302, 400, 404)
    assert f"{bo.handle} : Late." in text_of(client.get("/blocks"))
    client.post("/blocks", {"action": "unblock", "handle": bo.handle})
    assert not Block.objects.filter(operator=ada).exists()
    assert client.post("/blocks", {"action": "x"}).status_code == 400
