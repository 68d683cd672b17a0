"""The thread of a task on pages: who reads what, who may write, and what the form does."""

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from marketplace.participants.models import Participant
from marketplace.tasks.models import Task
from marketplace.threads.models import Message
from marketplace.threads.usecases.redact_message import redact_message
from tests.builders.people import a_person, an_agent
from tests.builders.staff import a_freeze, somebody_of_staff
from tests.builders.talk import a_file, say
from tests.builders.work import a_bid, a_claimed_task, a_task, everything_handled
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


def thread_of(task: Task) -> str:
    return f"/tasks/{task.public_id}/messages"


def page_of(task: Task, reader: Participant | None = None) -> Answer:
    client = signed_in(reader) if reader else Client()
    return client.get(f"/tasks/{task.public_id}")


def send(task: Task, author: Participant, text: str, **typed: Typed) -> Answer:
    return signed_in(author).post(thread_of(task), {"text": text, "reader": "*"} | typed)


def readers_offered(answer: Answer) -> list[str]:
    elements = elements_of(answer)
    hidden = [
        str(field["value"])
        for field in elements.all("input")
        if field.get("name") == "reader" and field.get("type") == "hidden"
    ]
    return hidden or [
        str(attributes["value"])
        for tag, attributes, around in elements.found
        if tag == "option" and "select" in around
    ]


def test_a_visitor_reads_questions_on_the_page_of_the_task_and_is_asked_to_sign_in() -> None:
    task, eve = a_task(), a_person()
    say(task, eve, "With **tax**?")
    say(task, task.poster, "Without.")

    said = text_of(page_of(task))

    assert "With tax ?" in said
    assert "Without." in said
    assert "for everybody" in said
    assert "to ask a question" in said
    sent = Client().post(thread_of(task), {"text": "x", "reader": "*"})
    assert sent["Location"].startswith("/accounts/login/?next=/tasks/")


def test_a_question_is_asked_and_answered_without_a_script() -> None:
    task, eve = a_task(), a_person()

    asked = send(task, eve, "With tax?")
    answered = send(task, task.poster, "Without.")

    assert (asked.status_code, answered.status_code) == (302, 302)
    assert asked["Location"] == thread_of(task)
    assert Message.objects.filter(task=task, counterpart=None).count() == 2
    assert "Your message is sent." not in text_of(signed_in(eve).get(thread_of(task)))


def test_two_sides_write_with_files_and_a_stranger_sees_none_of_it() -> None:
    ada, bo = a_person(), a_person()
    task = a_claimed_task(ada, bo)
    sent = send(
        task,
        bo,
        "See the rows.",
        reader=ada.handle,
        uploads=[SimpleUploadedFile("rows.csv", b"a;b")],
    )

    assert sent.status_code == 302
    (file,) = [one for one in links_of(page_of(task, ada)) if one.startswith("/api/v1/files")]
    assert download(signed_in(ada), file) == b"a;b"
    assert f"between {ada.handle} and {bo.handle}" in text_of(page_of(task, ada))
    for stranger in (a_person(), None):
        assert "See the rows." not in text_of(page_of(task, stranger))
    assert signed_in(a_person()).get(file).status_code == 404


def test_everybody_is_offered_the_readers_they_may_write_to() -> None:
    ada, bo, cy, eve = a_person(), an_agent(), an_agent(), a_person()
    task = a_task(ada, mode="bid")
    for bidder in (bo, cy):
        a_bid(task, bidder)
    held = a_claimed_task(ada, bo)

    assert readers_offered(signed_in(ada).get(thread_of(task))) == [
        *sorted([bo.handle, cy.handle]),
        "*",
    ]
    assert readers_offered(signed_in(bo).get(thread_of(task))) == [ada.handle, "*"]
    assert readers_offered(signed_in(eve).get(thread_of(task))) == ["*"]
    assert readers_offered(signed_in(ada).get(thread_of(held))) == [bo.handle]
    assert readers_offered(signed_in(eve).get(thread_of(held))) == []


def test_a_bidder_chooses_between_the_poster_and_everybody() -> None:
    ada, bo = a_person(), an_agent()
    task = a_task(ada, mode="bid")
    a_bid(task, bo)

    send(task, bo, "For you alone.", reader=ada.handle)
    send(task, bo, "For all.", reader="*")
    send(task, ada, "For Bo.", reader=bo.handle)

    to = dict(Message.objects.filter(task=task).values_list("body", "counterpart"))
    assert to == {"For you alone.": bo.pk, "For all.": None, "For Bo.": bo.pk}


def test_what_is_refused_keeps_what_was_typed_and_says_why() -> None:
    task, eve = a_task(), a_person()
    empty = send(task, eve, " ")
    nobody = send(task, eve, "My long story", reader="nobody")
    a_freeze(eve)
    frozen = send(task, eve, "My long story")

    assert empty.status_code == nobody.status_code == 400
    assert frozen.status_code == 403
    assert "Staff froze you" in text_of(frozen)
    for answer in (nobody, frozen):
        assert "My long story" in answer.content.decode()
    assert not Message.objects.filter(task=task).exists()


def test_a_form_sent_twice_sends_one_message() -> None:
    task, eve = a_task(), a_person()
    client = signed_in(eve)
    once = value_of(client.get(thread_of(task)), "once")
    typed = {"text": "x", "reader": "*", "once": once}

    answers = [client.post(thread_of(task), typed) for _ in range(2)]

    assert [answer.status_code for answer in answers] == [302, 302]
    assert Message.objects.filter(task=task).count() == 1


def test_a_redacted_message_leaves_a_tombstone() -> None:
    task = a_claimed_task()
    assert task.worker is not None
    message = say(task, task.worker, "Stolen.", attachments=[a_file(task.worker).pk])
    redact_message(message_id=message.pk, actor=somebody_of_staff(), reason="A stolen list.")

    answer = page_of(task, task.poster)

    assert "Staff took this message away: A stolen list." in text_of(answer)
    assert "Stolen." not in text_of(answer)
    assert not [one for one in links_of(answer) if one.startswith("/api/v1/files")]


def test_new_messages_are_counted_and_marked_as_read() -> None:
    ada, bo = a_person(), an_agent()
    task = a_claimed_task(ada, bo)
    for _ in range(2):
        say(task, bo)
    everything_handled()
    client = signed_in(ada)
    assert "2 new messages" in text_of(page_of(task, ada))
    assert f"{bo.handle} wrote about the task" in text_of(client.get("/notifications"))

    read = client.post(thread_of(task), {"read": "1"})

    assert read.status_code == 302
    assert "new message" not in text_of(page_of(task, ada))


def test_a_thread_is_paged_the_newest_message_first() -> None:
    ada, bo = a_person(), an_agent()
    task = a_claimed_task(ada, bo)
    for number in range(7):
        say(task, bo, f"Number {number}.")
    client = signed_in(ada)

    on_task = text_of(page_of(task, ada))
    first = client.get(thread_of(task), {"limit": "4"})
    following = next_link_of(first)
    assert following is not None
    second = client.get(f"{thread_of(task)}{following}")

    assert "Number 6." in on_task
    assert "Number 2." in on_task
    assert "Number 1." not in on_task
    assert "All messages" in on_task
    assert "Number 3." in text_of(first)
    assert "Number 2." not in text_of(first)
    assert "Number 2." in text_of(second)
    assert "Number 0." in text_of(second)
    assert client.get(thread_of(task), {"cursor": "nope"}).status_code == 400


def test_a_thread_that_is_not_there_is_a_404() -> None:
    wrong = thread_of(a_task()).replace("task_0", "task_1")

    assert Client().get(wrong).status_code == 404
    assert signed_in(a_person()).post(wrong, {"read": "1"}).status_code == 404
