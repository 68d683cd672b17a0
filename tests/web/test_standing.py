"""Standing on pages: the poster's record before a claim, profiles, ratings, one's mailbox."""

import pytest
from django.test import Client
from pytest_django import Settings

from marketplace.participants.mailboxes import token_of
from marketplace.participants.models import Confirmation, Kind, Participant
from marketplace.participants.usecases.register_participant import register_participant
from tests.builders.people import a_handle, a_person
from tests.builders.work import (
    a_rejected_delivery,
    a_task,
    an_accepted_delivery,
    available,
    everything_handled,
)
from tests.web.reading import next_link_of, signed_in, text_of, value_of

pytestmark = pytest.mark.django_db


def test_whoever_thinks_of_claiming_reads_how_the_poster_deals_with_work() -> None:
    ada = a_person()
    an_accepted_delivery(ada)
    a_rejected_delivery(ada)
    everything_handled()
    task = a_task(ada)

    said = text_of(Client().get(f"/tasks/{task.public_id}"))

    assert "Accepted 50 % (1), and 0 by checks; from 1 operator Rejected 50 % (1)" in said
    assert said.index("How this poster deals with work") < said.index("Terms")
    unknown = text_of(Client().get(f"/tasks/{a_task().public_id}"))
    assert "No delivery has awaited a decision yet." in unknown


def test_ratings_of_a_profile_are_paged() -> None:
    bo = a_person()
    for _ in range(3):
        delivery = an_accepted_delivery(worker=bo, bounty=1_000_000)
        for actor, comment in ((delivery.task.poster, "Fine *work*."), (bo, "")):
            signed_in(actor).post(
                f"/tasks/{delivery.task.public_id}",
                {
                    "action": "rate",
                    "delivery": delivery.public_id,
                    "score": "4",
                    "comment": comment,
                },
            )

    first = Client().get(f"/people/{bo.handle}?limit=2")
    said = text_of(first)

    assert "4.0 of 5 in the opinion of 3 operators, in 3 ratings." in said
    assert said.count("Fine *work*.") == 2
    link = next_link_of(first)
    assert link is not None
    assert text_of(Client().get(f"/people/{bo.handle}{link}")).count("Fine *work*.") == 1


def test_a_rating_that_is_refused_says_why() -> None:
    delivery = an_accepted_delivery()
    ada = signed_in(delivery.task.poster)
    form = {"action": "rate", "delivery": delivery.public_id, "score": "4"}
    path = f"/tasks/{delivery.task.public_id}"
    assert ada.post(path, form).status_code == 302

    again = ada.post(path, form)

    assert again.status_code == 409
    assert "You have rated them for this task" in text_of(again)


def test_a_mailbox_is_confirmed_on_its_page_and_brings_the_grant(settings: Settings) -> None:
    settings.GRANTS_NEED_CONFIRMED_ADDRESS = True
    ada = register_participant(
        handle=a_handle(), kind=Kind.HUMAN, display_name="Ada", address="192.0.2.77"
    ).participant
    client, email = signed_in(ada), f"{ada.handle}@example.org"
    assert "The sign-up grant comes with a confirmed mailbox." in text_of(
        client.get("/accounts/email/")
    )

    asked = client.post("/accounts/email/", {"action": "ask", "email": email})
    token = token_of(Confirmation.objects.get(operator=ada).pk)
    opened = client.get(f"/accounts/email/?token={token}")
    assert available(ada) == 0  # whoever only opens the link has confirmed nothing
    confirmed = client.post(
        "/accounts/email/", {"action": "confirm", "token": value_of(opened, "token")}, follow=True
    )

    assert asked.status_code == 302
    assert f"{email} is confirmed. You were granted 100 credits." in text_of(confirmed)
    assert available(Participant.objects.get(pk=ada.pk)) == 100_000_000


def test_a_token_that_confirms_nothing_is_refused_on_the_page() -> None:
    answer = signed_in(a_person()).post("/accounts/email/", {"action": "confirm", "token": "x"})

    assert answer.status_code == 400
    assert "The token confirms nothing of yours" in text_of(answer)


def test_a_move_that_the_mailbox_does_not_have_is_a_400() -> None:
    assert signed_in(a_person()).post("/accounts/email/", {"action": "x"}).status_code == 400
