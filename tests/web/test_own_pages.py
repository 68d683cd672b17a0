"""Notifications, keys and profiles."""

import pytest
from django.test import Client

from marketplace.participants import keys
from marketplace.participants.models import ApiKey
from marketplace.participants.usecases.edit_profile import edit_profile
from tests.builders.people import a_person, an_agent_of, with_key
from tests.builders.work import (
    a_claimed_task,
    an_accepted_delivery,
    everything_handled,
)
from tests.web.reading import signed_in, text_of, value_of

pytestmark = pytest.mark.django_db


# --- Notifications --------------------------------------------------------------------------------


def test_unread_notifications_come_first_and_are_marked_one_by_one_or_all() -> None:
    ada = a_person()
    for title in ("First task", "Second task", "Third task"):
        a_claimed_task(ada, title=title)
    everything_handled()
    client = signed_in(ada)

    page = client.get("/notifications")
    assert page.context["unread"] == 3
    newest = value_of(page, "ids")
    client.post("/notifications", {"ids": newest})

    marked = client.get("/notifications")
    assert [one.about for one in marked.context["told"]] == [
        "Second task",
        "First task",
        "Third task",
    ]
    client.post("/notifications", {"once": value_of(marked, "once")})
    assert client.get("/notifications").context["unread"] == 0


def test_notifications_say_who_did_what_about_which_task() -> None:
    delivery = an_accepted_delivery(title="Name the columns")
    worker = delivery.worker
    everything_handled()

    to_poster = text_of(signed_in(delivery.task.poster).get("/notifications"))
    to_worker = text_of(signed_in(worker).get("/notifications"))

    assert f"{worker.handle} claimed the task: Name the columns" in to_poster
    assert f"{worker.handle} delivered: Name the columns" in to_poster
    assert "accepted a delivery: Name the columns" in to_worker


def test_nobody_marks_what_others_were_told() -> None:
    ada = a_person()
    a_claimed_task(ada)
    everything_handled()
    page = signed_in(ada).get("/notifications")
    one = value_of(page, "ids")

    signed_in(a_person()).post("/notifications", {"ids": one})
    wrong = signed_in(ada).post("/notifications", {"ids": "nope"})

    assert signed_in(ada).get("/notifications").context["unread"] == 1
    assert wrong.status_code == 400


# --- Keys -----------------------------------------------------------------------------------------


def test_a_key_is_shown_once_and_opens_what_it_was_made_for() -> None:
    ada = a_person()
    client = signed_in(ada)

    made = client.post("/keys", {"action": "make", "name": "laptop", "scopes": ["credits:read"]})
    shown = client.get("/keys")
    again = client.get("/keys")

    secret = shown.context["secret"]
    assert made.status_code == 302
    assert shown["Cache-Control"] == "private, no-store"
    assert secret in text_of(shown)
    assert secret not in again.content.decode()
    found = keys.find(secret)
    assert found is not None
    assert (found.participant, found.scopes) == (ada, ["credits:read"])


def test_no_session_ever_holds_a_key() -> None:
    client = signed_in(a_person())

    client.post("/keys", {"action": "make", "name": "laptop", "scopes": ["credits:read"]})

    assert keys.PREFIX not in str(dict(client.session))
    assert keys.PREFIX in text_of(client.get("/keys"))


def test_a_revoked_key_opens_nothing() -> None:
    keyed = with_key()
    key = ApiKey.objects.get(participant=keyed.participant)
    client = signed_in(keyed.participant)
    page = client.get("/keys")
    row = value_of(page, "key")

    answer = client.post("/keys", {"action": "revoke", "key": row})

    assert answer.status_code == 302
    assert keys.find(keyed.key) is None
    assert key.hint not in text_of(client.get("/keys")).replace("Begins with", "")


def test_others_keys_cannot_be_revoked() -> None:
    keyed = with_key()
    page = signed_in(keyed.participant).get("/keys")
    row = value_of(page, "key")

    answer = signed_in(a_person()).post("/keys", {"action": "revoke", "key": row})

    assert answer.status_code == 404
    assert keys.find(keyed.key) is not None


@pytest.mark.parametrize(
    "typed", [{}, {"name": "x", "scopes": ["everything"]}, {"name": "x" * 65, "scopes": []}]
)
def test_a_key_that_is_not_valid_is_not_made(typed: dict[str, object]) -> None:
    ada = a_person()

    answer = signed_in(ada).post("/keys", {"action": "make", **typed})

    assert answer.status_code == 400
    assert not ApiKey.objects.filter(participant=ada).exists()


# --- Profiles -------------------------------------------------------------------------------------


def test_a_profile_shows_what_came_of_somebodys_work() -> None:
    worker = an_accepted_delivery().worker
    everything_handled()
    edit_profile(
        actor=worker,
        changes={"bio": "I *count* rows.", "capabilities": ["csv"]},
        read_version=lambda _: True,
    )

    said = text_of(Client().get(f"/people/{worker.handle}"))

    assert "I count rows." in said
    assert "csv" in said
    assert "Paid 1" in said
    assert "worker 6.666666 1 1" in said  # of 10 credits with one counterparty: 10·20/(10+20)


def test_a_profile_of_an_agent_names_its_operator() -> None:
    ada = a_person()
    agent = an_agent_of(ada)

    assert f"of {ada.handle}" in text_of(Client().get(f"/people/{agent.handle}"))


def test_whoever_is_not_active_has_no_profile() -> None:
    ada = a_person()
    ada.is_active = False
    ada.save(update_fields=["is_active"])

    assert Client().get(f"/people/{ada.handle}").status_code == 404
