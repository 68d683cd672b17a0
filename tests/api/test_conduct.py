"""Reports, freezes and blocks over HTTP."""

import pytest
from pytest_django import Settings

from marketplace.moderation.models import Case
from marketplace.moderation.usecases.dismiss_case import dismiss_case
from marketplace.participants.usecases.answer_appeal import answer_appeal
from tests.api.caller import (
    a_visitor,
    as_caller,
    invalid,
    nothing_changes,
    ok,
    problem,
    somebody,
)
from tests.builders.assets import a_skill
from tests.builders.people import an_agent_of
from tests.builders.staff import a_freeze, somebody_of_staff
from tests.builders.talk import say
from tests.builders.work import a_claimed_task, a_submitted_delivery, a_task

pytestmark = pytest.mark.django_db

TASK = {"title": "Sort this", "description": "By price.", "bounty": "5"}


# --- Reports --------------------------------------------------------------------------------------


def test_a_report_is_made_and_shows_what_became_of_it() -> None:
    eve, task = somebody(), a_task()

    made = ok(
        eve.post(
            "/reports",
            {"subject": task.public_id, "category": "fraud", "reason": "It asks for money first."},
        ),
        201,
    )
    assert made | {"id": "", "created_at": ""} == {
        "id": "",
        "subject": task.public_id,
        "category": "fraud",
        "reason": "It asks for money first.",
        "state": "open",
        "created_at": "",
    }
    case = Case.objects.get(subject_name=task.public_id)
    dismiss_case(case_id=case.pk, actor=somebody_of_staff(), note="-")

    (listed,) = ok(eve.get("/reports"))["results"]
    assert listed == made | {"state": "dismissed"}
    assert ok(somebody().get("/reports"))["results"] == []


@pytest.mark.parametrize(
    ("reason", "category"), [("Spam", "spam"), (" harm ", "harm"), ("It lies.", "other")]
)
def test_a_reason_that_is_a_category_is_one(reason: str, category: str) -> None:
    made = ok(
        somebody().post("/reports", {"subject": a_skill().asset.reference, "reason": reason}), 201
    )

    assert (made["category"], made["reason"]) == (category, reason)


def test_one_reports_a_subject_once() -> None:
    eve, task = somebody(), a_task()
    body = {"subject": task.public_id, "reason": "spam"}
    ok(eve.post("/reports", body), 201)

    with nothing_changes():
        problem(eve.post("/reports", body), 409, "reported_already")


def test_what_one_cannot_see_cannot_be_reported() -> None:
    task, eve = a_claimed_task(), somebody()
    message = say(task, task.poster)

    with nothing_changes():
        for subject in (message.public_id, "task_01h455vb4pex5vsknk084sn02q", "no-such-handle"):
            problem(eve.post("/reports", {"subject": subject, "reason": "spam"}), 404, "not_found")


@pytest.mark.parametrize(
    ("body", "pointer", "code"),
    [
        ({}, "/subject", "required"),
        ({"subject": "x", "reason": ""}, "/reason", "blank"),
        ({"subject": 5, "reason": "x"}, "/subject", "invalid"),
        ({"subject": "x", "reason": "x", "category": "boring"}, "/category", "invalid_choice"),
        ({"subject": "x" * 201, "reason": "x"}, "/subject", "max_length"),
        ({"subject": "x", "reason": "x", "why": "x"}, "/why", "unknown_field"),
    ],
)
def test_what_is_no_report_is_refused(body: dict[str, object], pointer: str, code: str) -> None:
    eve = somebody()

    with nothing_changes():
        answer = eve.post("/reports", body)

    invalid(answer, pointer, code)


def test_nobody_reports_themselves_or_without_a_name() -> None:
    ada = somebody()
    body = {"subject": ada.handle, "reason": "spam"}

    with nothing_changes():
        invalid(ada.post("/reports", body), "/subject", "own_operator")
        problem(a_visitor().post("/reports", body), 401, "not_authenticated")


def test_reports_have_a_quota(settings: Settings) -> None:
    settings.REPORTS_PER_OPERATOR_PER_DAY = 1
    eve, one, other = somebody(), a_task(), a_task()
    ok(eve.post("/reports", {"subject": one.public_id, "reason": "spam"}), 201)

    with nothing_changes():
        answer = eve.post("/reports", {"subject": other.public_id, "reason": "spam"})

    problem(answer, 429, "quota_reached")
    assert int(answer.headers["Retry-After"]) > 0


# --- Freezes --------------------------------------------------------------------------------------


def test_every_new_dealing_of_the_frozen_is_refused_with_the_reason() -> None:
    eve, ada = somebody(), somebody()
    task, skill = a_task(ada.participant), a_skill(ada.participant)
    freeze = a_freeze(eve.participant)
    calls: list[tuple[str, object]] = [
        ("/tasks", TASK),
        (f"/tasks/{task.public_id}/claim", {}),
        (f"/assets/{skill.asset.reference}/use", {"max_charge": "1"}),
        ("/credits/transfers", {"to": ada.handle, "amount": "1"}),
        (f"/tasks/{task.public_id}/messages", {"body": "x"}),
    ]

    with nothing_changes():
        for path, body in calls:
            document = problem(eve.post(path, body), 403, "frozen")
            assert document["reason"] == freeze.reason
            assert document["freeze"] == freeze.public_id


def test_what_the_frozen_may_not_do_is_not_offered_to_them() -> None:
    eve, task = somebody(), a_task()
    path = f"/tasks/{task.public_id}"
    assert "claim" in ok(eve.get(path))["permitted_actions"]

    a_freeze(eve.participant)
    assert ok(eve.get(path))["permitted_actions"] == []

    bo = somebody()
    a_freeze(task.poster)
    assert ok(bo.get(path))["permitted_actions"] == []
    problem(bo.post(f"{path}/claim"), 409, "poster_frozen")
    assert "cancel" in ok(as_caller(task.poster).get(path))["permitted_actions"]


def test_the_frozen_go_on_with_what_they_have_begun() -> None:
    bo = somebody()
    delivery = a_submitted_delivery(worker=bo.participant)
    held = a_claimed_task(worker=bo.participant)
    a_freeze(bo.participant)

    ok(bo.post(f"/tasks/{held.public_id}/heartbeat"))
    ok(bo.post(f"/tasks/{held.public_id}/deliveries", {"summary": "Done."}), 201)
    ok(as_caller(delivery.task.poster).post(f"/deliveries/{delivery.public_id}/accept"))
    assert ok(bo.get("/credits"))["available"] == "109.5"


def test_a_freeze_is_read_appealed_and_answered() -> None:
    eve = somebody()
    freeze = a_freeze(eve.participant)
    (shown,) = ok(eve.get("/me/freezes"))["results"]
    assert (shown["reason"], shown["appeal"], shown["lifted_at"]) == (freeze.reason, None, None)

    appealed = ok(eve.post(f"/freezes/{shown['id']}/appeal", {"text": "It was a test."}))
    assert appealed["appeal"]["text"] == "It was a test."
    assert appealed["appeal"]["granted"] is None
    problem(eve.post(f"/freezes/{shown['id']}/appeal", {"text": "x"}), 409, "appealed_already")

    answer_appeal(freeze_id=freeze.pk, actor=somebody_of_staff(), grants=True, answer="So it was.")
    (lifted,) = ok(eve.get("/me/freezes"))["results"]
    assert (lifted["appeal"]["granted"], lifted["appeal"]["answer"]) == (True, "So it was.")
    ok(eve.post("/tasks", TASK), 201)


def test_an_operator_appeals_for_its_agent_and_strangers_learn_nothing() -> None:
    operator, eve = somebody(), somebody()
    freeze = a_freeze(an_agent_of(operator.participant))
    path = f"/freezes/{freeze.public_id}/appeal"

    with nothing_changes():
        problem(eve.post(path, {"text": "x"}), 404, "not_found")
        problem(eve.post("/freezes/task_1/appeal", {"text": "x"}), 404, "wrong_id_type")
        invalid(operator.post(path, {"text": ""}), "/text", "blank")
    assert ok(eve.get("/me/freezes"))["results"] == []
    assert ok(operator.post(path, {"text": "Mended."}))["appeal"]["text"] == "Mended."


# --- Blocks ---------------------------------------------------------------------------------------


def test_a_poster_blocks_somebody_who_then_takes_nothing_more() -> None:
    ada, bo = somebody(), somebody()
    task, later = a_task(ada.participant), a_task(ada.participant)
    path = f"/tasks/{task.public_id}/block"

    made = ok(ada.post(path, {"handle": bo.handle, "reason": "Late twice."}))
    again = ok(ada.post(path, {"handle": bo.handle}))

    assert made == again
    assert (made["handle"], made["reason"]) == (bo.handle, "Late twice.")
    assert ok(ada.get("/me/blocks"))["results"] == [made]
    assert ok(bo.get("/me/blocks"))["results"] == []
    with nothing_changes():
        problem(bo.post(f"/tasks/{later.public_id}/claim"), 403, "blocked")
    assert ok(bo.get(f"/tasks/{later.public_id}"))["permitted_actions"] == []

    assert ada.delete(f"/me/blocks/{bo.handle}").status_code == 204
    problem(ada.delete(f"/me/blocks/{bo.handle}"), 404, "not_found")
    ok(bo.post(f"/tasks/{later.public_id}/claim"))


def test_only_the_poster_blocks_and_nobody_their_own() -> None:
    ada, bo = somebody(), somebody()
    path = f"/tasks/{a_claimed_task(ada.participant, bo.participant).public_id}/block"

    with nothing_changes():
        problem(bo.post(path, {"handle": ada.handle}), 403, "not_permitted")
        invalid(ada.post(path, {"handle": ada.handle}), "/handle", "own_operator")
        problem(ada.post(path, {"handle": "no-such-handle"}), 404, "not_found")
        invalid(ada.post(path, {}), "/handle", "required")


def test_a_block_leaves_a_claim_that_is_held() -> None:
    ada, bo = somebody(), somebody()
    task = a_claimed_task(ada.participant, bo.participant)

    ok(ada.post(f"/tasks/{task.public_id}/block", {"handle": bo.handle}))

    ok(bo.post(f"/tasks/{task.public_id}/deliveries", {"summary": "Done."}), 201)
