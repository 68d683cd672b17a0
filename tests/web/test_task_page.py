"""The page of a task: who sees what, and what each button does."""

import json

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from marketplace.delivery.models import Delivery
from marketplace.participants.models import Participant
from marketplace.tasks.models import Task
from tests.builders.people import a_person
from tests.builders.work import (
    ANSWER,
    a_claimed_task,
    a_rejected_delivery,
    a_submitted_delivery,
    a_task,
    again,
    an_accepted_delivery,
    an_exact_check,
    available,
    deliver,
    everything_handled,
)
from tests.web.reading import (
    Answer,
    Typed,
    download,
    elements_of,
    links_of,
    next_link_of,
    signed_in,
    text_of,
    value_of,
)

pytestmark = pytest.mark.django_db


def page_of(task: Task, reader: Participant | None = None) -> Answer:
    client = signed_in(reader) if reader else Client()
    return client.get(f"/tasks/{task.public_id}")


def move(task: Task, actor: Participant, action: str, **typed: Typed) -> Answer:
    return signed_in(actor).post(f"/tasks/{task.public_id}", {"action": action, **typed})


def offered(answer: Answer) -> set[str]:
    return {
        str(field["value"])
        for field in elements_of(answer).all("input")
        if field.get("name") == "action"
    }


# --- Who sees what --------------------------------------------------------------------------------


def test_everybody_sees_the_task_and_its_terms() -> None:
    task = a_task(requirements=["All rows"], verification=[an_exact_check()])

    said = text_of(page_of(task))

    for expected in ("Normalise this price list", "10 credits", "All rows", "totals: exact", "5 %"):
        assert expected in said


def test_the_answer_of_a_check_is_shown_to_its_poster_alone_until_the_task_has_ended() -> None:
    delivery = a_submitted_delivery(verification=[an_exact_check(expected={"secret": "42"})])
    task = delivery.task

    assert '"secret"' in text_of(page_of(task, task.poster))
    assert '"secret"' not in text_of(page_of(task, delivery.worker))
    assert '"secret"' not in text_of(page_of(task))

    move(task, task.poster, "accept", delivery=delivery.public_id)
    assert '"secret"' in text_of(page_of(task))


def test_both_sides_see_the_thread_and_a_stranger_sees_none_of_it() -> None:
    delivery = a_submitted_delivery(work={"summary": "Done with great care."})
    task = delivery.task

    for reader in (task.poster, delivery.worker):
        assert "Done with great care." in text_of(page_of(task, reader))
    for stranger in (a_person(), None):
        assert "Done with great care." not in text_of(page_of(task, stranger))
        assert "Settlement" not in text_of(page_of(task, stranger))


def test_everybody_is_offered_their_own_moves_and_no_others() -> None:
    open_task = a_task()
    held = a_claimed_task()
    delivery = a_submitted_delivery()
    assert held.worker is not None

    assert offered(page_of(open_task, open_task.poster)) == {"cancel", "raise"}
    assert offered(page_of(open_task, a_person())) == {"claim"}
    assert offered(page_of(open_task)) == set()
    assert offered(page_of(held, held.poster)) == {"give_notice", "cancel_at_once", "raise"}
    assert offered(page_of(held, held.worker)) == {"submit", "heartbeat", "abandon"}
    assert offered(page_of(held, a_person())) == set()
    assert offered(page_of(delivery.task, delivery.task.poster)) == {
        "accept",
        "reject",
        "dispute",
        "raise",
    }
    assert offered(page_of(delivery.task, delivery.worker)) == set()


def test_a_visitor_who_sends_a_move_is_asked_to_sign_in() -> None:
    task = a_task()

    answer = Client().post(f"/tasks/{task.public_id}", {"action": "claim"})

    assert answer["Location"].startswith("/accounts/login/?next=/tasks/")
    assert again(task).state == "open"


# --- What moves do --------------------------------------------------------------------------------


def test_claiming_delivering_and_accepting_settle_the_task() -> None:
    ada, bo = a_person(), a_person()
    task = a_task(ada, verification=[an_exact_check()])

    claimed = move(task, bo, "claim", note="On it", terms_version="1")
    delivered = move(
        task,
        bo,
        "submit",
        summary="300 rows.",
        result=json.dumps(ANSWER),
        uploads=[SimpleUploadedFile("rows.csv", b"a;b"), SimpleUploadedFile("log.txt", b"ok")],
    )
    delivery = Delivery.objects.get(task=task)
    assert "pending" in text_of(page_of(task, ada))
    everything_handled()
    thread = page_of(task, ada)
    accepted = move(
        task, ada, "accept", delivery=delivery.public_id, rating="5", comment="Well done."
    )

    assert [one.status_code for one in (claimed, delivered, accepted)] == [302, 302, 302]
    assert "totals passed" in text_of(thread)
    assert again(task).state == "accepted"
    assert (available(ada), available(bo)) == (90_000_000, 109_500_000)
    ended = text_of(page_of(task, bo))
    assert f"rated {bo.handle}" not in ended  # hidden until bo has rated ada as well
    move(task, bo, "rate", delivery=delivery.public_id, score="4", comment="Quick to pay.")
    rated = text_of(page_of(task, ada))
    assert f"Worker {bo.handle} 9.5" in ended
    assert "Fee of the market 0.5" in ended
    assert f"{ada.handle} rated {bo.handle} 5 of 5" in rated
    assert f"{bo.handle} rated {ada.handle} 4 of 5" in rated
    assert "Quick to pay." in rated
    assert "In escrow now 0 credits" in ended


def test_delivered_files_can_be_had_from_the_page_and_not_by_strangers() -> None:
    ada, bo = a_person(), a_person()
    task = a_claimed_task(ada, bo)
    move(task, bo, "submit", summary="x", uploads=[SimpleUploadedFile("rows.csv", b"a;b")])

    file, archive, *others = [
        link for link in links_of(page_of(task, ada)) if link.startswith("/api/v1/")
    ]

    assert others == []
    assert download(signed_in(ada), file) == download(signed_in(bo), file) == b"a;b"
    assert download(signed_in(ada), archive).startswith(b"PK")
    for link in (file, archive):
        assert signed_in(a_person()).get(link).status_code == 404


def test_a_rejection_needs_a_reason_and_the_requirement_that_it_rests_on() -> None:
    delivery = a_submitted_delivery(requirements=["All rows", "In euro"])
    task, ada = delivery.task, delivery.task.poster
    about = {"delivery": delivery.public_id}

    without_reason = move(task, ada, "reject", requirement="1", **about)
    without_requirement = move(task, ada, "reject", reason="In dollars.", **about)
    rejected = move(task, ada, "reject", reason="In dollars.", requirement="1", **about)

    assert without_reason.status_code == without_requirement.status_code == 400
    assert "Name the requirement" in text_of(without_requirement)
    assert "In dollars." in without_requirement.content.decode()
    assert rejected.status_code == 302
    assert "In dollars." in text_of(page_of(task, delivery.worker))
    assert again(task).state == "claimed"


def test_a_task_is_abandoned_and_its_lease_renewed_by_its_worker() -> None:
    task = a_claimed_task()
    assert task.worker is not None

    renewed = move(task, task.worker, "heartbeat")
    abandoned = move(task, task.worker, "abandon", reason="Too hard")

    assert renewed.status_code == abandoned.status_code == 302
    assert again(task).state == "open"


def test_cancelling_is_free_while_open_and_costs_notice_or_compensation_while_held() -> None:
    open_task, noticed, at_once = a_task(), a_claimed_task(), a_claimed_task()
    assert at_once.worker is not None

    move(open_task, open_task.poster, "cancel")
    move(noticed, noticed.poster, "give_notice")
    page = page_of(at_once, at_once.poster)
    move(at_once, at_once.poster, "cancel_at_once")

    assert again(open_task).state == "cancelled"
    assert again(noticed).state == "claimed"
    assert again(noticed).notice_ends_at is not None
    assert "10 % of what the work costs: 1 credit" in text_of(page)
    assert again(at_once).state == "cancelled"
    assert available(at_once.worker) == 101_000_000


# --- What is refused ------------------------------------------------------------------------------


def test_whoever_is_second_is_told_and_sees_the_task_as_it_stands() -> None:
    task = a_claimed_task()

    answer = move(task, a_person(), "claim")

    assert answer.status_code == 409
    assert "Not in this state" in text_of(answer)
    assert "/problems/illegal_transition" in links_of(answer)


def test_nobody_takes_their_own_task() -> None:
    task = a_task()

    answer = move(task, task.poster, "claim")

    assert answer.status_code == 403
    assert "Nobody takes work of their own operator" in text_of(answer)


def test_a_stranger_decides_nothing() -> None:
    delivery = a_submitted_delivery()

    answer = move(delivery.task, a_person(), "accept", delivery=delivery.public_id)

    assert answer.status_code == 404
    assert again(delivery.task).state == "submitted"


def test_terms_that_changed_since_they_were_read_are_not_claimed() -> None:
    task = a_task()

    answer = move(task, a_person(), "claim", terms_version="7")

    assert answer.status_code == 409
    assert "The terms changed since you read them" in text_of(answer)


def test_a_delivery_that_is_refused_keeps_what_was_typed() -> None:
    task = a_claimed_task()
    assert task.worker is not None

    not_json = move(task, task.worker, "submit", summary="My long story", result="{")
    move(task, task.worker, "abandon")
    too_late = move(task, task.worker, "submit", summary="My long story")

    assert not_json.status_code == 400
    assert "not JSON" in text_of(not_json)
    assert too_late.status_code in (403, 409)
    for answer in (not_json, too_late):
        assert "My long story" in answer.content.decode()
    assert not Delivery.objects.filter(task=task).exists()


@pytest.mark.parametrize("wrong", ["", "nope", "task_01h455vb4pex5vsknk084sn02q"])
def test_an_acceptance_of_something_else_is_no_server_error(wrong: str) -> None:
    delivery = a_submitted_delivery()

    answer = move(delivery.task, delivery.task.poster, "accept", delivery=wrong)

    assert answer.status_code in (400, 404)
    assert again(delivery.task).state == "submitted"


def test_accepting_twice_pays_once_and_says_so() -> None:
    delivery = a_submitted_delivery()
    task, ada = delivery.task, delivery.task.poster
    client = signed_in(ada)
    token = value_of(client.get(f"/tasks/{task.public_id}"), "once")
    typed = {"action": "accept", "delivery": delivery.public_id}

    answers = [
        client.post(f"/tasks/{task.public_id}", typed | {"once": once})
        for once in (token, token, "another")
    ]

    # The second click of one form is led on; a decision made again is refused.
    assert [answer.status_code for answer in answers] == [302, 302, 409]
    assert available(delivery.worker) == 109_500_000


def test_a_thread_is_paged_the_newest_delivery_first() -> None:
    first = a_rejected_delivery()
    deliver(Task.objects.select_related("worker").get(pk=first.task_id))
    client, path = signed_in(first.task.poster), f"/tasks/{first.task.public_id}"

    newest = client.get(path, {"limit": "1"})
    following = next_link_of(newest)
    assert following is not None
    earlier = client.get(f"{path}{following}")

    assert "Delivery 2" in text_of(newest)
    assert "Delivery 1" not in text_of(newest)
    assert "Delivery 1" in text_of(earlier)
    assert next_link_of(earlier) is None
    assert client.get(path, {"cursor": "nope"}).status_code == 400


def test_the_settlement_is_shown_before_it_happens() -> None:
    said = text_of(page_of(a_submitted_delivery().task, None))
    assert "Settlement" not in said

    delivery = a_submitted_delivery()
    projected = text_of(page_of(delivery.task, delivery.worker))
    assert "if the task were accepted now" in projected
    assert f"Worker {delivery.worker.handle} 9.5" in projected

    done = an_accepted_delivery()
    assert "How the escrow was divided" in text_of(page_of(done.task, done.task.poster))
