"""The same request under the same key has one effect and one answer."""

import io
import json
import threading
from datetime import timedelta
from typing import Any

import pytest

from marketplace.api import idempotency
from marketplace.api.models import IdempotencyRecord
from marketplace.foundation import clock
from tests.api.caller import (
    Answer,
    Caller,
    a_visitor,
    nothing_changes,
    ok,
    problem,
    somebody,
)
from tests.builders.people import a_handle
from tests.builders.work import a_submitted_delivery, a_task, available

pytestmark = pytest.mark.django_db

TASK = {"title": "Sort this", "description": "By price.", "bounty": "5"}
REPLAYED = "Idempotent-Replayed"


def same_answer(first: Answer, second: Answer) -> bool:
    kept = ("Location", "ETag", "Content-Type")
    return (first.status_code, first.content, [first.headers.get(name) for name in kept]) == (
        second.status_code,
        second.content,
        [second.headers.get(name) for name in kept],
    )


def test_the_same_request_again_gets_the_first_answer_byte_for_byte() -> None:
    ada = somebody()
    first = ada.post("/tasks", TASK, once="post-1")

    with nothing_changes():
        second = ada.post("/tasks", TASK, once="post-1")

    ok(first, 201)
    assert same_answer(first, second)
    assert REPLAYED not in first.headers
    assert second.headers[REPLAYED] == "true"
    assert available(ada.participant) == 95_000_000


def test_an_answer_is_kept_although_the_thing_has_changed_since() -> None:
    ada = somebody()
    first = ada.post("/tasks", TASK, once="post-1")
    ok(ada.post(f"/tasks/{first.json()['id']}/cancel"))

    assert same_answer(first, ada.post("/tasks", TASK, once="post-1"))


def test_another_request_under_the_same_key_is_refused() -> None:
    ada = somebody()
    ok(ada.post("/tasks", TASK, once="post-1"), 201)

    with nothing_changes():
        answers = [
            ada.post("/tasks", TASK | {"bounty": "6"}, once="post-1"),
            ada.post("/me/keys", {"name": "x"}, once="post-1"),
        ]

    for answer in answers:
        problem(answer, 422, "idempotency_key_reused")


def test_the_order_of_members_and_the_blanks_between_them_mean_nothing() -> None:
    ada = somebody()
    first = ada.send("POST", "/tasks", json.dumps(TASK).encode(), Idempotency_Key="k")
    turned = json.dumps(dict(reversed(TASK.items())), indent=4).encode()

    second = ada.send("POST", "/tasks", turned, Idempotency_Key="k")

    assert same_answer(first, second)


def a_form(boundary: str, content: bytes = b"a;b") -> dict[str, Any]:
    part = f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="a.csv"\r\n'
    body = part.encode() + b"Content-Type: text/csv\r\n\r\n" + content
    return {
        "body": body + f"\r\n--{boundary}--\r\n".encode(),
        "content_type": f"multipart/form-data; boundary={boundary}",
    }


def test_the_boundary_of_a_form_means_nothing_and_its_content_does() -> None:
    ada = somebody()
    first = ada.send("POST", "/files", **a_form("one"), Idempotency_Key="k")

    second = ada.send("POST", "/files", **a_form("another"), Idempotency_Key="k")
    other = ada.send("POST", "/files", **a_form("one", b"c;d"), Idempotency_Key="k")

    ok(first, 201)
    assert same_answer(first, second)
    problem(other, 422, "idempotency_key_reused")


def test_a_bundle_is_published_once() -> None:
    ada = somebody()
    form = {"bundle": io.BytesIO(b"no archive"), "name": "x"}

    problem(ada.upload("/assets", form, once="k"), 400, "validation_error")

    assert not IdempotencyRecord.objects.filter(scope=str(ada.participant.pk)).exists()


def test_keys_are_each_participants_own() -> None:
    ada, bo = somebody(), somebody()

    first, second = (one.post("/tasks", TASK, once="the-same") for one in (ada, bo))

    assert ok(first, 201)["id"] != ok(second, 201)["id"]


def test_a_request_that_failed_leaves_no_key() -> None:
    ada, bo = somebody(), somebody()
    task = a_task(bo.participant)
    path = f"/tasks/{task.public_id}/claim"

    with nothing_changes():
        refused = ada.post("/tasks", TASK | {"bounty": "101"}, once="k")
        malformed = ada.send("POST", "/tasks", b"{", Idempotency_Key="k")

    problem(refused, 402, "insufficient_credits")
    problem(malformed, 400, "malformed_json")
    ok(ada.post(path, once="k"))


def test_a_dry_run_leaves_no_key() -> None:
    ada = somebody()

    with nothing_changes():
        ok(ada.post("/tasks?dry_run=true", TASK, once="k"))

    first = ada.post("/tasks", TASK, once="k")
    assert REPLAYED not in first.headers
    ok(first, 201)


@pytest.mark.parametrize("key", ["", '""', "x" * 256, "a\x7fb", "a\u00ad"])
def test_a_key_that_is_none_is_refused(key: str) -> None:
    ada = somebody()

    with nothing_changes():
        answer = ada.send("POST", "/tasks", b"{}", Idempotency_Key=key)

    problem(answer, 400, "invalid_idempotency_key")


def test_two_at_once_have_one_effect_and_one_answer() -> None:
    ada = somebody()
    answers: list[Answer] = []
    start = threading.Barrier(2)

    def post() -> None:
        caller = Caller(ada.key, ada.participant)
        start.wait(10)
        answers.append(caller.post("/tasks", TASK, once="k"))

    threads = [threading.Thread(target=post) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert same_answer(*answers)
    assert sorted(REPLAYED in answer.headers for answer in answers) == [False, True]
    assert available(ada.participant) == 95_000_000


def test_accepting_again_answers_with_the_settlement_again() -> None:
    ada = somebody()
    delivery = a_submitted_delivery(ada.participant)
    path = f"/deliveries/{delivery.public_id}/accept"

    first, second = ada.post(path, once="k"), ada.post(path, once="k")

    assert same_answer(first, second)
    assert ok(first)["final"] is True
    problem(ada.post(path, once="another"), 409, "illegal_transition")


# --- Replies that show a secret -------------------------------------------------------------------


def test_a_lost_reply_to_a_registration_can_be_had_again_for_a_day() -> None:
    asked = {"handle": a_handle(), "kind": "agent", "display_name": "Cy"}
    first = a_visitor().post("/participants", asked, once="k")
    key = ok(first, 201)["api_key"]
    clock.advance(timedelta(hours=23, minutes=59))

    with nothing_changes():
        second = a_visitor().post("/participants", asked, once="k")

    assert same_answer(first, second)
    ok(Caller(key).get("/me"))
    clock.advance(timedelta(minutes=2))
    problem(a_visitor().post("/participants", asked, once="k"), 409, "reply_expired")


def test_a_shown_key_is_stored_nowhere() -> None:
    ada = somebody()
    shown = ok(ada.post("/me/keys", {"name": "x"}, once="k"), 201)["api_key"]

    record = IdempotencyRecord.objects.get(scope=str(ada.participant.pk), key="k")

    assert shown.encode() not in bytes(record.body)
    assert ok(ada.post("/me/keys", {"name": "x"}, once="k"), 201)["api_key"] == shown


def test_somebody_elses_registration_does_not_give_its_key_away() -> None:
    asked = {"handle": a_handle(), "kind": "agent", "display_name": "Cy"}
    ok(a_visitor().post("/participants", asked, once="theirs"), 201)

    problem(a_visitor().post("/participants", asked, once="guess"), 409, "handle_taken")
    problem(a_visitor().post("/participants", asked), 409, "handle_taken")
    other = a_visitor().post("/participants", asked | {"bio": "x"}, once="theirs")
    problem(other, 422, "idempotency_key_reused")


def test_old_records_are_purged_and_young_ones_kept() -> None:
    ada = somebody()
    ok(ada.post("/tasks", TASK, once="old"), 201)
    clock.advance(idempotency.KEPT_FOR + timedelta(seconds=1))
    ok(ada.post("/tasks", TASK, once="young"), 201)

    idempotency.purge()

    kept = IdempotencyRecord.objects.filter(scope=str(ada.participant.pk))
    assert [record.key for record in kept] == ["young"]
