"""A stranger finds nothing that is not public: 404, as if it did not exist, whatever is sent."""

import re

import pytest

from marketplace.files.models import File
from marketplace.foundation import clock
from marketplace.moderation import hiding
from marketplace.tasks.models import Mode, Task
from tests.api.caller import Answer, Caller, Json, nothing_changes, ok, somebody
from tests.api.test_openapi import operations
from tests.builders.disputes import a_posters_dispute
from tests.builders.staff import a_freeze, somebody_of_staff
from tests.builders.talk import a_file
from tests.builders.work import a_bid, a_submitted_delivery, a_task

pytestmark = pytest.mark.django_db

# What strangers may read or do; the rest of what has a name in its path is private.
PUBLIC = ("/assets/", "/participants/", "/tasks/{task_id}", "/me/blocks/")
PRIVATE_OF_A_TASK = {("get", "/tasks/{task_id}/settlement")}
BODIES: dict[str, Json] = {
    "abandon": {},
    "accept": {},
    "appeal": {"reason": "x"},
    "bids": {"proposal": "x", "terms_version": 1},
    "block": {"handle": "nobody"},
    "cancel": {},
    "claim": {},
    "counter": {"amount": "1"},
    "decline": {},
    "deliveries": {"summary": "x"},
    "disputes": {"reason": "x"},
    "evidence": {"text": "x"},
    "heartbeat": {},
    "subtasks": {"subtasks": [{"key": "a", "title": "A", "description": "A.", "bounty": "1"}]},
    "messages": {"body": "x", "public": True},
    "raise": {"bounty": "11"},
    "rating": {"score": 1},
    "read": {},
    "reject": {"reason": "x"},
    "select": {},
    "/freezes/{freeze_id}/appeal": {"text": "x"},
    "votes": {"outcome": "reject", "rationale": "x"},
}


def named() -> list[tuple[str, str]]:
    """Return every call about something that its path names."""
    return [(method, path) for method, path, _ in operations() if "{" in path]


def private() -> list[tuple[str, str]]:
    return [
        (method, path)
        for method, path in named()
        if not path.startswith(PUBLIC) or (method, path) in PRIVATE_OF_A_TASK
    ]


def what_ada_has(ada: Caller) -> dict[str, str]:
    delivery = a_submitted_delivery(ada.participant)
    file: File = a_file(ada.participant)
    return {
        "bid_id": a_bid(a_task(ada.participant, mode=Mode.BID)).public_id,
        "delivery_id": delivery.public_id,
        "dispute_id": a_posters_dispute(ada.participant).public_id,
        "entry_id": ok(ada.get("/credits/statement"))["results"][0]["id"],
        "file_id": file.public_id,
        "freeze_id": a_freeze(ada.participant).public_id,
        "key_id": ok(ada.get("/me/keys"))["results"][0]["id"],
        "task_id": delivery.task.public_id,
    }


def send(caller: Caller, method: str, path: str, names: dict[str, str]) -> Answer:
    at = re.sub(r"\{(\w+)\}", lambda part: names[part[1]], path)
    if method == "post":
        verb = path.rpartition("/")[2]
        return caller.post(at, BODIES.get(path, BODIES.get(verb)))
    if method == "patch":
        return caller.patch(at, {"title": "x"}, If_Match="*")
    return caller.delete(at) if method == "delete" else caller.get(at)


def test_what_is_private_does_not_exist_for_a_stranger() -> None:
    ada, eve = somebody(), somebody()
    names = what_ada_has(ada)

    with nothing_changes():
        answers = {call: send(eve, *call, names) for call in private()}

    assert others_than_404(answers) == {}


def test_a_task_that_staff_hide_does_not_exist_for_a_stranger() -> None:
    eve, staff = somebody(), somebody_of_staff()
    tasks = [a_task(), a_submitted_delivery().task]
    for task in tasks:
        hide(task, staff)

    about_a_task = [(method, path) for method, path in named() if path.startswith("/tasks/")]

    for task in tasks:
        with nothing_changes():
            names = {"task_id": task.public_id}
            answers = {call: send(eve, *call, names) for call in about_a_task}

        assert others_than_404(answers) == {}


def others_than_404(answers: dict[tuple[str, str], Answer]) -> dict[tuple[str, str], Json]:
    return {
        call: answer.json()
        for call, answer in answers.items()
        if (answer.status_code, answer.json()["code"]) != (404, "not_found")
    }


def hide(task: Task, staff: object) -> None:
    hiding.hide(
        "task",
        str(task.pk),
        task.public_id,
        actor=staff,  # type: ignore[arg-type]
        reason="Spam.",
        at=clock.now(),
    )
