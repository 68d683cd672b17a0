"""The feed and the notifications."""

import threading
import time

import pytest
from django.db import connection

from tests.api.caller import (
    Caller,
    Parameter,
    a_visitor,
    as_caller,
    invalid,
    nothing_changes,
    ok,
    problem,
    somebody,
)
from tests.builders.people import a_person, an_agent_of
from tests.builders.work import (
    a_claimed_task,
    a_submitted_delivery,
    a_task,
    an_accepted_delivery,
    everything_handled,
    feeds_caught_up,
)

pytestmark = pytest.mark.django_db


def types(caller: Caller, **query: Parameter) -> list[str]:
    feeds_caught_up()
    return shown_now(caller, **query)


def shown_now(caller: Caller, **query: Parameter) -> list[str]:
    return [event["type"] for event in ok(caller.get("/events", **query))["results"]]


def test_the_feed_tells_the_whole_story_oldest_first() -> None:
    ada, bo = somebody(), somebody()
    an_accepted_delivery(ada.participant, bo.participant)

    story = ["task.claimed", "delivery.submitted", "delivery.accepted"]

    assert types(bo) == ["participant.registered", *story]
    assert types(ada) == ["participant.registered", "task.posted", *story]


def test_an_event_has_the_fields_of_the_contract() -> None:
    ada = somebody()
    task = a_task(ada.participant)

    feeds_caught_up()
    event = ok(ada.get("/events"))["results"][-1]

    assert event.keys() == {"id", "type", "subject", "actor", "data", "created_at"}
    assert event["id"].startswith("event_")
    assert event["subject"] == {"type": "task", "id": task.public_id}
    assert (event["actor"], event["data"]["bounty"]) == (ada.handle, "10")


def test_paging_through_the_feed_shows_each_event_once() -> None:
    ada = somebody()
    for _ in range(4):
        a_task(ada.participant)
    feeds_caught_up()
    seen, after = [], None

    while True:
        page = ok(ada.get("/events", limit=2, **({"after": after} if after else {})))
        seen += [event["id"] for event in page["results"]]
        if not page["results"]:
            break
        after = page["next_after"]

    everything = [event["id"] for event in ok(ada.get("/events"))["results"]]
    assert seen == everything
    assert len(set(seen)) == 5
    assert page["next_after"] == after, "an empty page continues where it began"


def test_the_feed_is_filtered_by_type() -> None:
    ada = somebody()
    a_submitted_delivery(ada.participant)

    assert types(ada, type="task.posted,delivery.submitted") == [
        "task.posted",
        "delivery.submitted",
    ]


def test_what_somebody_has_no_part_in_is_not_in_their_feed() -> None:
    eve = somebody()
    an_accepted_delivery()

    assert types(eve) == ["participant.registered"]


def test_an_operator_reads_what_its_agents_do() -> None:
    person = a_person()
    a_claimed_task(worker=an_agent_of(person))

    assert types(as_caller(person))[-1] == "task.claimed"


def test_waiting_ends_when_something_happens() -> None:
    ada = somebody()
    feeds_caught_up()
    after = ok(ada.get("/events"))["next_after"]

    def post_soon() -> None:
        time.sleep(0.3)
        a_task(ada.participant)

    posting = threading.Thread(target=post_soon)
    posting.start()

    began = time.monotonic()
    found = shown_now(ada, after=after, wait=10)
    took = time.monotonic() - began
    posting.join()

    assert found == ["task.posted"]
    assert took < 5


def test_waiting_in_vain_ends_in_time() -> None:
    ada = somebody()
    feeds_caught_up()
    after = ok(ada.get("/events"))["next_after"]

    began = time.monotonic()
    page = ok(ada.get("/events", after=after, wait="0.5"))

    assert page == {"results": [], "next_after": after}
    assert 0.4 < time.monotonic() - began < 5


def test_an_event_of_a_transaction_that_runs_on_comes_later_and_is_not_lost() -> None:
    ada = somebody()
    feeds_caught_up()
    after = ok(ada.get("/events"))["next_after"]
    begun, go_on = threading.Event(), threading.Event()

    def run_long() -> None:
        with connection.cursor() as cursor:
            cursor.execute("BEGIN")
            cursor.execute("SELECT pg_current_xact_id()")
            begun.set()
            go_on.wait(10)
            cursor.execute("COMMIT")

    running = threading.Thread(target=run_long)
    running.start()
    begun.wait(10)
    a_task(ada.participant)

    while_it_runs = shown_now(ada, after=after)
    go_on.set()
    running.join()

    assert while_it_runs == []
    assert types(ada, after=after) == ["task.posted"]


@pytest.mark.parametrize(
    ("query", "pointer", "code"),
    [
        ({"after": "yesterday"}, "?after", "invalid_cursor"),
        ({"after": "1-2-3"}, "?after", "invalid_cursor"),
        ({"after": "99999999999-0-" + "0" * 32}, "?after", "invalid_cursor"),
        ({"after": "0-99999999999999999999-" + "0" * 32}, "?after", "invalid_cursor"),
        ({"wait": "26"}, "?wait", "max_value"),
        ({"wait": "-1"}, "?wait", "min_value"),
        ({"since": "1"}, "?since", "unknown_field"),
    ],
)
def test_a_place_that_is_none_is_refused(query: dict[str, str], pointer: str, code: str) -> None:
    invalid(somebody().get("/events", **query), pointer, code)


def test_a_visitor_has_no_feed() -> None:
    problem(a_visitor().get("/events"), 401, "not_authenticated")
    problem(a_visitor().get("/notifications"), 401, "not_authenticated")


def test_who_has_to_know_is_notified_and_marks_it_read() -> None:
    ada, bo = somebody(), somebody()
    delivery = a_submitted_delivery(ada.participant, bo.participant)
    everything_handled()

    unread = ok(ada.get("/notifications", unread="true"))["results"]

    assert [one["event"]["type"] for one in unread] == ["delivery.submitted", "task.claimed"]
    assert unread[0]["event"]["subject"]["id"] == delivery.public_id
    assert ok(bo.get("/notifications"))["results"] == [], "nobody is told of what they did"
    assert ok(ada.post("/notifications/read", {"ids": [unread[0]["id"]]})) == {"read": 1}
    left = ok(ada.get("/notifications", unread="true"))["results"]
    assert [one["id"] for one in left] == [unread[1]["id"]]
    assert ok(ada.post("/notifications/read")) == {"read": 1}
    assert ok(ada.get("/notifications", unread="true"))["results"] == []
    assert len(ok(ada.get("/notifications", unread="false"))["results"]) == 2


def test_somebody_elses_notifications_stay_unread() -> None:
    ada, eve = somebody(), somebody()
    a_submitted_delivery(ada.participant)
    everything_handled()
    (theirs, _) = ok(ada.get("/notifications"))["results"]

    with nothing_changes():
        marked = ok(eve.post("/notifications/read", {"ids": [theirs["id"]]}))

    assert marked == {"read": 0}
