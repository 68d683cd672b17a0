"""Messages over HTTP."""

import pytest
from pytest_django import Settings

from marketplace.foundation import ids
from marketplace.moderation.usecases.uphold_case import uphold_case
from marketplace.participants.scopes import Scope
from marketplace.tasks.models import Task
from marketplace.threads.usecases.redact_message import redact_message
from tests.api.caller import (
    Caller,
    Json,
    a_visitor,
    as_caller,
    at_most_queries,
    invalid,
    nothing_changes,
    ok,
    problem,
    somebody,
)
from tests.builders.people import a_person
from tests.builders.staff import a_case, a_freeze, somebody_of_staff
from tests.builders.talk import a_file, say
from tests.builders.work import a_bid, a_claimed_task, a_task, everything_handled

pytestmark = pytest.mark.django_db


def path_of(task: Task) -> str:
    return f"/tasks/{task.public_id}/messages"


def test_a_question_and_its_answer_are_for_everybody() -> None:
    ada, bo = somebody(), somebody()
    task = a_task(ada.participant)

    asked = ok(bo.post(path_of(task), {"body": "With tax?"}), 201)
    answered = ok(ada.post(path_of(task), {"body": "Without."}), 201)
    page = ok(a_visitor().get(path_of(task)))

    assert page["results"] == [answered, asked]
    assert asked | {"id": "", "created_at": ""} == {
        "id": "",
        "task": task.public_id,
        "author": bo.handle,
        "to": None,
        "public": True,
        "body": "With tax?",
        "attachments": [],
        "redacted": None,
        "created_at": "",
    }
    assert page["may_write"] == {"public": False, "to": []}
    assert ok(bo.get(path_of(task)))["may_write"] == {"public": True, "to": []}


def test_two_sides_write_to_each_other_and_a_stranger_sees_nothing_of_it() -> None:
    ada, bo, eve = somebody(), somebody(), somebody()
    task = a_claimed_task(ada.participant, bo.participant)
    file = a_file(bo.participant)

    from_bo = ok(
        bo.post(path_of(task), {"body": "See the rows.", "attachments": [file.public_id]}), 201
    )
    from_ada = ok(ada.post(path_of(task), {"body": "I see."}), 201)

    assert (from_bo["to"], from_ada["to"]) == (ada.handle, bo.handle)
    assert [one["name"] for one in from_bo["attachments"]] == ["rows.csv"]
    for side in (ada, bo):
        assert ok(side.get(path_of(task)))["results"] == [from_ada, from_bo]
    for stranger in (eve, a_visitor()):
        page = ok(stranger.get(path_of(task)))
        assert page["results"] == []
        assert page["may_write"] == {"public": False, "to": []}
    problem(eve.get(f"/files/{file.public_id}"), 404, "not_found")
    assert ok(ada.get(f"/files/{file.public_id}"))["id"] == file.public_id


def test_a_poster_says_to_which_of_several_bidders() -> None:
    ada, bo, cy = somebody(), somebody(), somebody()
    task = a_task(ada.participant, mode="bid")
    for bidder in (bo, cy):
        a_bid(task, bidder.participant)

    sent = ok(ada.post(path_of(task), {"body": "Until when?", "to": bo.handle}), 201)
    with nothing_changes():
        nobody = ada.post(path_of(task), {"body": "x", "to": "nobody"})

    assert (sent["to"], sent["public"]) == (bo.handle, False)
    invalid(nobody, "/to", "no_such_counterpart")
    assert ok(ada.get(path_of(task)))["may_write"] == {
        "public": True,
        "to": sorted([bo.handle, cy.handle]),
    }
    assert ok(bo.get(path_of(task)))["may_write"] == {"public": True, "to": [ada.handle]}
    assert ok(cy.get(path_of(task)))["results"] == []


def test_a_task_that_is_not_there_or_hidden_is_a_404() -> None:
    eve, task = somebody(), a_task()
    case = a_case(task.public_id)
    uphold_case(case_id=case.pk, actor=somebody_of_staff(), note="Spam.", hides=True)
    nowhere = f"/tasks/{ids.encode('task', case.pk)}/messages"

    with nothing_changes():
        for path in (path_of(task), nowhere):
            problem(eve.post(path, {"body": "x"}), 404, "not_found")
            problem(eve.get(path), 404, "not_found")
            problem(eve.post(f"{path}/read"), 404, "not_found")
    ok(as_caller(task.poster).get(path_of(task)))


def test_a_stranger_is_told_when_questions_are_over() -> None:
    task, eve = a_claimed_task(), somebody()

    with nothing_changes():
        answer = eve.post(path_of(task), {"body": "May I?"})

    document = problem(answer, 409, "nobody_to_write_to")
    assert document["state"] == "claimed"


def test_a_visitor_writes_nothing() -> None:
    task = a_task()

    with nothing_changes():
        problem(a_visitor().post(path_of(task), {"body": "x"}), 401, "not_authenticated")


@pytest.mark.parametrize("scope", [Scope.TASKS_WRITE, Scope.WORK_WRITE])
def test_a_key_of_either_side_may_write_and_no_other(scope: Scope) -> None:
    person = a_person()
    task = a_task()

    ok(as_caller(person, scope).post(path_of(task), {"body": "x"}), 201)


def test_a_key_that_only_reads_may_not() -> None:
    task, reading = a_task(), as_caller(a_person(), Scope.TASKS_READ)

    with nothing_changes():
        answer = reading.post(path_of(task), {"body": "x"})

    document = problem(answer, 403, "insufficient_scope")
    assert document["required_scope"] == "tasks:write"


@pytest.mark.parametrize(
    ("body", "pointer", "code"),
    [
        ({}, "/body", "required"),
        ({"body": " "}, "/body", "blank"),
        ({"body": 5}, "/body", "invalid"),
        ({"body": "x" * 5001}, "/body", "max_length"),
        ({"body": "x", "public": "yes"}, "/public", "invalid"),
        ({"body": "x", "to": 5}, "/to", "invalid"),
        ({"body": "x", "attachments": "file_1"}, "/attachments", "not_a_list"),
        ({"body": "x", "attachments": ["file_1"]}, "/attachments/0", "wrong_id_type"),
        (
            {"body": "x", "attachments": ["file_01h455vb4pex5vsknk084sn02q"]},
            "/attachments/0",
            "unknown_file",
        ),
        (
            {"body": "x", "attachments": ["file_01h455vb4pex5vsknk084sn02q"] * 11},
            "/attachments",
            "max_length",
        ),
        ({"body": "x", "subject": "x"}, "/subject", "unknown_field"),
    ],
)
def test_what_is_no_message_is_refused(body: Json, pointer: str, code: str) -> None:
    task, eve = a_task(), somebody()

    with nothing_changes():
        answer = eve.post(path_of(task), body)

    invalid(answer, pointer, code)


def test_a_message_sent_again_with_its_key_is_sent_once() -> None:
    task, bo = a_task(), somebody()

    first = bo.post(path_of(task), {"body": "With tax?"}, once="k")
    again = bo.post(path_of(task), {"body": "With tax?"}, once="k")

    assert ok(again, 201) == ok(first, 201)
    assert len(ok(bo.get(path_of(task)))["results"]) == 1


def test_a_quota_says_when_there_is_room_again(settings: Settings) -> None:
    settings.QUESTIONS_PER_OPERATOR_PER_DAY = 1
    settings.QUESTIONS_PER_OPERATOR_AND_TASK = 1
    eve, task = somebody(), a_task()
    ok(eve.post(path_of(task), {"body": "x"}), 201)

    another = a_task()

    with nothing_changes():
        answer = eve.post(path_of(another), {"body": "x"})

    document = problem(answer, 429, "quota_reached")
    assert (document["what"], document["most"]) == ("questions", 1)
    assert 86_000 < int(answer.headers["Retry-After"]) <= 86_400


def test_a_full_thread_says_so(settings: Settings) -> None:
    settings.MESSAGES_PER_OPERATOR_AND_TASK = 1
    bo = somebody()
    task = a_claimed_task(worker=bo.participant)
    ok(bo.post(path_of(task), {"body": "x"}), 201)

    with nothing_changes():
        answer = bo.post(path_of(task), {"body": "x"})

    assert problem(answer, 409, "thread_full")["most"] == 1


def test_the_frozen_learn_why_until_when_and_how_to_appeal() -> None:
    eve, task = somebody(), a_task()
    freeze = a_freeze(eve.participant)

    with nothing_changes():
        answer = eve.post(path_of(task), {"body": "x"})

    document = problem(answer, 403, "frozen")
    assert document["reason"] == freeze.reason
    assert document["freeze"] == freeze.public_id
    assert document["ends_at"].endswith("Z")
    assert f"/freezes/{freeze.public_id}/appeal" in document["hint"]


def test_of_a_redacted_message_a_tombstone_is_left() -> None:
    ada, bo = somebody(), somebody()
    task = a_claimed_task(ada.participant, bo.participant)
    message = say(task, bo.participant, "A stolen list.", attachments=[a_file(bo.participant).pk])
    redact_message(message_id=message.pk, actor=somebody_of_staff(), reason="Stolen.")

    (shown,) = ok(ada.get(path_of(task)))["results"]

    assert (shown["body"], shown["attachments"]) == ("", [])
    assert shown["redacted"]["reason"] == "Stolen."
    assert shown["author"] == bo.handle


def test_unread_messages_are_counted_until_they_are_read() -> None:
    ada, bo = somebody(), somebody()
    task = a_claimed_task(ada.participant, bo.participant)
    for _ in range(2):
        say(task, bo.participant)
    everything_handled()

    assert ok(ada.get(path_of(task)))["unread"] == 2
    assert ok(ada.get("/notifications", unread="true"))["results"][0]["event"]["type"] == (
        "message.sent"
    )
    assert ok(ada.post(f"{path_of(task)}/read")) == {"read": 2}
    assert ok(ada.get(path_of(task)))["unread"] == 0
    assert ok(bo.get(path_of(task)))["unread"] == 0


def test_a_thread_is_paged_newest_first_in_few_queries() -> None:
    ada, bo = somebody(), somebody()
    task = a_claimed_task(ada.participant, bo.participant)
    for number in range(5):
        say(task, bo.participant, str(number), attachments=[a_file(bo.participant).pk])

    seen = _all_pages(ada, path_of(task))
    with at_most_queries(8):
        ok(ada.get(path_of(task)))

    assert [one["body"] for one in seen] == ["4", "3", "2", "1", "0"]


def _all_pages(caller: Caller, path: str) -> list[Json]:
    seen: list[Json] = []
    cursor: dict[str, str] = {}
    while True:
        page = ok(caller.get(path, limit="2", **cursor))
        seen += page["results"]
        if page["next_cursor"] is None:
            return seen
        cursor = {"cursor": page["next_cursor"]}
