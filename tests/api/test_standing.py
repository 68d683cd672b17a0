"""Standing over the API: rates before a claim, ratings, mailboxes."""

import pytest
from pytest_django import Settings

from marketplace.participants.mailboxes import token_of
from marketplace.participants.models import Confirmation, Kind
from tests.api.caller import (
    Answer,
    Caller,
    a_visitor,
    at_most_queries,
    invalid,
    nothing_changes,
    ok,
    problem,
    somebody,
)
from tests.builders.people import a_handle, a_person
from tests.builders.work import (
    a_rejected_delivery,
    a_submitted_delivery,
    a_task,
    an_accepted_delivery,
    an_exact_check,
    checked,
    everything_handled,
    time_passes,
)

pytestmark = pytest.mark.django_db

MICRO = 1_000_000


def test_a_task_shows_how_its_poster_deals_with_deliveries() -> None:
    ada = a_person()
    silent = a_submitted_delivery(ada, bounty=MICRO)
    time_passes(silent.task, days=4)
    an_accepted_delivery(ada, bounty=MICRO)
    a_rejected_delivery(ada, bounty=2 * MICRO)
    checked(
        a_submitted_delivery(
            ada, bounty=MICRO, acceptance="automatic", verification=[an_exact_check()]
        )
    )
    everything_handled()
    task = a_task(ada, bounty=MICRO)

    record = ok(a_visitor().get(f"/tasks/{task.public_id}"))["poster_record"]

    counts = {"accepted": 1, "rejected": 1, "silent": 1, "checked": 1, "workers": 2}
    assert record == counts | {
        "disputes": 0,
        "disputes_lost": 0,
        # Of 20·1/21 + 20·2/22 + 20·1/21 credits that awaited a decision.
        "acceptance_rate": 0.2558,
        "rejection_rate": 0.4884,
        "silence_rate": 0.2558,
        "lost_dispute_rate": None,
    }
    (listed,) = ok(a_visitor().get("/tasks", poster=ada.handle, state="open"))["results"]
    assert listed["poster_record"] == record
    profile = ok(a_visitor().get(f"/participants/{ada.handle}"))["reputation"]
    assert profile["as_poster"] == record
    assert profile["roles"]["poster"]["settled"] == 2


def test_both_sides_rate_each_other_and_neither_sees_the_other_before() -> None:
    ada, bo = somebody(), somebody()
    delivery = an_accepted_delivery(ada.participant, bo.participant)
    path = f"/deliveries/{delivery.public_id}"

    given = ok(ada.post(f"{path}/rating", {"score": 5, "comment": "Good."}), 201)

    assert (given["rater"], given["rated"], given["score"]) == (ada.handle, bo.handle, 5)
    assert ok(bo.get(path))["ratings"] == []
    seen = ok(ada.get(path))
    assert [one["id"] for one in seen["ratings"]] == [given["id"]]
    assert seen["permitted_actions"] == []
    assert ok(a_visitor().get(f"/participants/{bo.handle}/ratings"))["results"] == []
    ok(bo.post(f"{path}/rating", {"score": 3}), 201)
    assert {one["score"] for one in ok(bo.get(path))["ratings"]} == {5, 3}
    (shown,) = ok(a_visitor().get(f"/participants/{bo.handle}/ratings"))["results"]
    assert (shown["score"], shown["comment"]) == (5, "Good.")
    summary = ok(a_visitor().get(f"/participants/{bo.handle}"))["reputation"]["ratings"]
    assert summary == {"average": 5.0, "raters": 1, "number": 1}


@pytest.mark.parametrize("score", [0, 6, "5", 4.5, True, None])
def test_a_score_is_one_to_five(score: object) -> None:
    ada = somebody()
    delivery = an_accepted_delivery(ada.participant)

    with nothing_changes():
        answer = ada.post(f"/deliveries/{delivery.public_id}/rating", {"score": score})

    problem(answer, 400, "validation_error")


def test_rating_at_the_wrong_moment_is_a_409_that_says_which() -> None:
    ada, eve = somebody(), somebody()
    running = a_submitted_delivery(ada.participant)
    ended = an_accepted_delivery(ada.participant)

    def rate(delivery: str) -> Answer:
        return ada.post(f"/deliveries/{delivery}/rating", {"score": 5})

    problem(rate(running.public_id), 409, "illegal_transition")
    ok(rate(ended.public_id), 201)
    problem(rate(ended.public_id), 409, "already_rated")
    another = an_accepted_delivery(ada.participant)
    time_passes(another.task, days=8)
    problem(rate(another.public_id), 409, "rating_closed")
    stranger = eve.post(f"/deliveries/{ended.public_id}/rating", {"score": 1})
    problem(stranger, 404, "not_found")


def test_a_lost_reply_to_a_rating_is_given_again() -> None:
    ada = somebody()
    path = f"/deliveries/{an_accepted_delivery(ada.participant).public_id}/rating"
    once = a_handle()

    first = ada.post(path, {"score": 5}, once=once)

    assert ok(ada.post(path, {"score": 5}, once=once), 201) == ok(first, 201)


def test_the_ratings_of_nobody_are_a_404() -> None:
    problem(a_visitor().get("/participants/nobody-has-this/ratings"), 404, "not_found")


def test_a_page_of_profiles_takes_few_queries() -> None:
    for _ in range(3):
        an_accepted_delivery()

    with at_most_queries(4):
        ok(a_visitor().get("/participants", limit=50))
    with at_most_queries(2):
        assert ok(a_visitor().get("/participants", q=a_handle("nobody")))["results"] == []


def test_a_mailbox_is_confirmed_by_what_its_mail_carries(settings: Settings) -> None:
    settings.GRANTS_NEED_CONFIRMED_ADDRESS = True
    registered = ok(
        a_visitor().post(
            "/participants", {"handle": a_handle(), "kind": "agent", "display_name": "Cy"}
        ),
        201,
    )
    assert registered["credits"]["available"] == "0"
    cy = Caller(registered["api_key"])
    email = f"{registered['handle']}@example.org"

    asked = ok(cy.post("/me/email", {"email": email}), 202)
    mail = Confirmation.objects.get(email=email)
    confirmed = ok(cy.post("/me/email/confirm", {"token": token_of(mail.pk)}))

    assert asked["email"] == email
    assert confirmed == {"email": email, "granted": "100"}
    assert ok(cy.get("/me"))["email"] == email
    problem(cy.post("/me/email/confirm", {"token": "nonsense"}), 400, "invalid_token")


def test_what_is_no_address_is_refused() -> None:
    ada = somebody(Kind.HUMAN)

    with nothing_changes():
        answer = ada.post("/me/email", {"email": "ada"})

    invalid(answer, "/email", "invalid")
