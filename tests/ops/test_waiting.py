"""What waits for staff stands on one page, and nobody else reads it."""

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from marketplace.participants.usecases.appeal_freeze import appeal_freeze
from tests.builders.disputes import FOR_POSTER, a_decided_dispute, appealed, judges
from tests.builders.people import a_person
from tests.builders.staff import a_case, a_freeze, somebody_of_staff
from tests.delivery.test_review import CANNOT_RUN, with_staff
from tests.web.reading import links_of, signed_in, text_of

pytestmark = pytest.mark.django_db


def wait() -> set[str]:
    """Let one of each kind wait, and return what the page leads to."""
    delivery = with_staff(CANNOT_RUN)
    judges()
    dispute = a_decided_dispute(*[FOR_POSTER] * 3)
    appealed(dispute, dispute.task.worker or a_person())
    case, freeze = a_case(a_person().handle), a_freeze(a_person())
    appeal_freeze(freeze_id=freeze.pk, actor=freeze.participant, text="It was not me.")
    return {
        f"/disputes/{dispute.public_id}",
        f"/tasks/{delivery.task.public_id}",
        f"/admin/moderation/case/{case.pk}/change/",
        f"/admin/participants/freeze/{freeze.pk}/change/",
    }


def test_staff_see_what_waits_and_what_others_wrote_about_it() -> None:
    expected = wait()

    page = signed_in(somebody_of_staff()).get("/ops/")

    assert expected <= set(links_of(page))
    for text in ("It is nothing but an advertisement.", "They missed the point.", "It was not me."):
        assert text in text_of(page)


def test_nobody_else_sees_it() -> None:
    for client in (Client(), signed_in(a_person())):
        assert client.get("/ops/").status_code == 404


def test_it_makes_as_many_queries_however_much_waits() -> None:
    staff = signed_in(somebody_of_staff())

    def queries() -> int:
        with CaptureQueriesContext(connection) as made:
            assert staff.get("/ops/").status_code == 200
        return len(made)

    wait()
    before = queries()
    wait()

    assert queries() == before <= 16
