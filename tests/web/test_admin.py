"""The admin shows everything to staff and lets nobody change anything."""

import pytest
from django.contrib import admin
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from credits.models import Posting
from marketplace.participants.models import Participant
from tests.builders.assets import a_skill
from tests.builders.people import a_person
from tests.builders.work import an_accepted_delivery, an_exact_check, checked
from tests.web.reading import elements_of, signed_in

pytestmark = pytest.mark.django_db

MODELS = sorted(admin.site._registry, key=lambda model: model._meta.label)  # noqa: SLF001
SHOWN = {
    "participants.Participant",
    "tasks.Task",
    "delivery.Delivery",
    "delivery.CheckRun",
    "events.Event",
    "events.Notification",
    "assets.Asset",
    "assets.Version",
    "reuse.Use",
    "reuse.Earning",
    "credits.Account",
    "credits.Posting",
}


def staff() -> Client:
    person = a_person()
    person.is_staff = True
    person.save(update_fields=["is_staff"])
    return signed_in(person)


def a_busy_market() -> None:
    """Make at least one row of everything that the admin shows."""
    skill = a_skill(dependencies=[a_skill()])
    signed_in(a_person()).post(
        f"/assets/{skill.asset.reference}", {"version": skill.number, "max_charge": "0.1"}
    )
    checked(an_accepted_delivery(verification=[an_exact_check()]))


def test_everything_is_shown_and_nothing_else() -> None:
    assert {model._meta.label for model in MODELS} == SHOWN  # noqa: SLF001


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model._meta.label)  # noqa: SLF001
def test_staff_find_and_read_rows_and_can_change_none(model: type) -> None:
    a_busy_market()
    client = staff()
    name = f"admin:{model._meta.app_label}_{model._meta.model_name}"  # type: ignore[attr-defined] # noqa: SLF001
    row = model.objects.order_by("-pk").first()  # type: ignore[attr-defined]
    page = reverse(f"{name}_change", args=[row.pk])

    with CaptureQueriesContext(connection) as made:
        listed = client.get(reverse(f"{name}_changelist"))
    searched = client.get(reverse(f"{name}_changelist"), {"q": "x'\"%"})
    shown = client.get(page)

    assert [one.status_code for one in (listed, searched, shown)] == [200, 200, 200]
    assert len(made) <= 8, [query["sql"] for query in made]
    assert client.get(reverse(f"{name}_add")).status_code == 403
    assert client.post(page, {"state": "accepted"}).status_code == 403
    assert client.post(reverse(f"{name}_delete", args=[row.pk])).status_code == 403
    for answer in (listed, shown):
        elements = elements_of(answer)
        assert not [i for i in elements.all("input") if i.get("name") == "_save"]
        assert "unsafe" not in answer["Content-Security-Policy"]
        for tag, attributes, _ in elements.found:
            assert tag != "style"
            assert tag != "script" or "src" in attributes
            assert not any(one == "style" or one.startswith("on") for one in attributes)


def test_a_posting_shows_its_entries_with_their_owners() -> None:
    delivery = an_accepted_delivery()
    posting = Posting.objects.get(reference=f"end:{delivery.task.public_id}")

    html = staff().get(reverse("admin:credits_posting_change", args=[posting.pk])).content.decode()

    assert "<td>9.5</td>" in html
    assert "<td>-10</td>" in html
    assert f"<td>{delivery.worker.handle}</td>" in html


def test_an_account_shows_its_newest_entries() -> None:
    ada = a_person()

    for account in (ada.wallet, 1):  # one that stores its balance, one that derives it
        page = staff().get(reverse("admin:credits_account_change", args=[account]))
        assert "grant grant:" in page.content.decode()


def test_no_hash_of_a_password_is_shown() -> None:
    ada = a_person(password="correct horse battery")

    page = staff().get(reverse("admin:participants_participant_change", args=[ada.pk]))

    assert ada.handle in page.content.decode()
    assert ada.password not in page.content.decode()
    assert "md5" not in page.content.decode()


def test_whoever_is_no_staff_stays_outside() -> None:
    visitor = Client().get("/admin/")
    asked = Client().get(visitor["Location"])

    assert visitor.status_code == 302
    assert asked["Location"].startswith("/accounts/login/?next=")
    assert signed_in(a_person()).get("/admin/tasks/task/").status_code in (302, 403)
    assert signed_in(a_person()).get("/admin/login/").status_code == 403


def test_whoever_has_left_the_staff_is_outside_again() -> None:
    client = staff()
    Participant.objects.filter(pk=client.session["_auth_user_id"]).update(is_staff=False)

    assert client.get("/admin/").status_code == 302
