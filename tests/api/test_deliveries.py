"""Deliveries: submitting them, reading them, deciding about them."""

import io
import json
import zipfile

import pytest

from credits import amounts
from tests.api.caller import (
    Caller,
    Json,
    a_visitor,
    at_most_queries,
    content,
    invalid,
    nothing_changes,
    ok,
    problem,
    somebody,
)
from tests.builders.work import (
    ANSWER,
    a_claimed_task,
    a_rejected_delivery,
    a_submitted_delivery,
    an_accepted_delivery,
    an_exact_check,
    available,
    deliver,
    everything_handled,
    rejected,
    time_passes,
)

pytestmark = pytest.mark.django_db

CONTRACT = {
    "id",
    "task",
    "number",
    "state",
    "worker",
    "summary",
    "result",
    "files",
    "uses",
    "evidence",
    "usage",
    "checks",
    "permitted_actions",
    "created_at",
}


def upload(caller: Caller, name: str, data: bytes = b"a;b\n1;2\n") -> Json:
    file = io.BytesIO(data)
    file.name = name
    return ok(caller.upload("/files", {"file": file}), 201)


def test_delivering_answers_with_everything_that_was_delivered() -> None:
    bo = somebody()
    task = a_claimed_task(
        worker=bo.participant, requirements=["In euro."], verification=[an_exact_check()]
    )
    file = upload(bo, "prices.csv")
    work = {
        "summary": "Sorted.",
        "result": ANSWER,
        "uses": ["ada/csv@1.0.0"],
        "evidence": [{"requirement": 0, "note": "All of them."}],
        "usage": {"seconds": 1.5, "tokens": 100, "cost": "0.02 USD"},
    }

    answer = bo.post(f"/tasks/{task.public_id}/deliveries", work | {"files": [file["id"]] * 2})

    delivery = ok(answer, 201)
    assert delivery.keys() >= CONTRACT
    assert {name: delivery[name] for name in work} == work
    assert delivery["files"] == [file], "a file that is named twice is delivered once"
    assert (delivery["number"], delivery["state"]) == (1, "submitted")
    (check,) = delivery["checks"]
    assert check.keys() >= {"name", "type", "state", "detail", "duration_ms"}
    assert (check["name"], check["state"]) == ("totals", "pending")
    assert answer.headers["Location"] == f"/api/v1/deliveries/{delivery['id']}"


def test_checks_report_how_they_ended() -> None:
    bo = somebody()
    delivery = a_submitted_delivery(worker=bo.participant, verification=[an_exact_check()])
    everything_handled()

    (check,) = ok(bo.get(f"/deliveries/{delivery.public_id}"))["checks"]

    assert (check["state"], check["detail"]) == ("passed", "The answer is the expected one.")
    assert check["duration_ms"] > 0


def test_a_dry_run_of_delivering_writes_nothing() -> None:
    bo = somebody()
    task = a_claimed_task(worker=bo.participant)

    with nothing_changes():
        answer = bo.post(f"/tasks/{task.public_id}/deliveries?dry_run=true", {"summary": "Done."})

    assert ok(answer)["number"] == 1


@pytest.mark.parametrize(
    ("work", "pointer", "code"),
    [
        ({}, "/summary", "required"),
        ({"summary": "x", "uses": ["Ada/CSV@1"]}, "/uses/0", "invalid"),
        (
            {"summary": "x", "evidence": [{"requirement": 1, "note": "x"}]},
            "/evidence/0/requirement",
            "",
        ),
        ({"summary": "x", "evidence": [{"requirement": 0}]}, "/evidence/0/note", "required"),
        ({"summary": "x", "usage": {"seconds": -1}}, "/usage/seconds", "min_value"),
        ({"summary": "x", "usage": {"hours": 1}}, "/usage/hours", "unknown_field"),
        ({"summary": "x", "files": ["task_x"]}, "/files/0", "wrong_id_type"),
    ],
)
def test_a_delivery_that_is_not_one_is_refused(work: Json, pointer: str, code: str) -> None:
    bo = somebody()
    task = a_claimed_task(worker=bo.participant, requirements=["In euro."])

    with nothing_changes():
        answer = bo.post(f"/tasks/{task.public_id}/deliveries", work)

    invalid(answer, pointer, code or "unknown_requirement")


def test_somebody_elses_file_cannot_be_delivered() -> None:
    bo, file = somebody(), upload(somebody(), "theirs.csv")
    task = a_claimed_task(worker=bo.participant)

    with nothing_changes():
        answer = bo.post(
            f"/tasks/{task.public_id}/deliveries", {"summary": "x", "files": [file["id"]]}
        )

    invalid(answer, "/files/0", "unknown_file")


def test_both_sides_read_a_delivery_and_are_offered_what_they_may_do() -> None:
    ada, bo = somebody(), somebody()
    delivery = a_submitted_delivery(ada.participant, bo.participant)
    path = f"/deliveries/{delivery.public_id}"

    assert ok(ada.get(path))["permitted_actions"] == ["accept", "reject"]
    assert ok(bo.get(path))["permitted_actions"] == []
    problem(somebody().get(path), 404, "not_found")
    problem(a_visitor().get(path), 401, "not_authenticated")


def test_deliveries_are_listed_to_their_parties_newest_first() -> None:
    ada, bo, eve = somebody(), somebody(), somebody()
    first = a_rejected_delivery(ada.participant, bo.participant)
    second = deliver(first.task)
    path = f"/tasks/{first.task.public_id}/deliveries"

    def listed(caller: Caller) -> list[str]:
        return [delivery["id"] for delivery in ok(caller.get(path))["results"]]

    assert listed(ada) == listed(bo) == [second.public_id, first.public_id]
    assert listed(eve) == []


def test_an_archive_holds_what_was_delivered_and_is_the_same_every_time() -> None:
    ada, bo = somebody(), somebody()
    task = a_claimed_task(ada.participant, bo.participant)
    files = [upload(bo, name, name.encode())["id"] for name in ("a.csv", "b.csv")]
    files.append(upload(bo, "A.csv", b"other")["id"])
    delivered = ok(
        bo.post(f"/tasks/{task.public_id}/deliveries", {"summary": "Done.", "files": files}), 201
    )
    path = f"/deliveries/{delivered['id']}/archive"

    answer = ada.get(path, accept="application/zip")
    archive = content(answer)

    assert answer.headers["Content-Disposition"] == f'attachment; filename="{delivered["id"]}.zip"'
    assert answer.headers["Content-Security-Policy"] == "default-src 'none'; sandbox"
    assert archive == content(bo.get(path))
    with zipfile.ZipFile(io.BytesIO(archive)) as unpacked:
        assert sorted(unpacked.namelist()) == [
            "delivery.json",
            "files/1-a.csv",
            "files/2-b.csv",
            "files/3-A.csv",
        ]
        assert json.loads(unpacked.read("delivery.json"))["summary"] == "Done."
        assert unpacked.read("files/3-A.csv") == b"other"


def test_accepting_pays_and_answers_with_the_settlement() -> None:
    ada, bo = somebody(), somebody()
    delivery = a_submitted_delivery(ada.participant, bo.participant)

    settlement = ok(ada.post(f"/deliveries/{delivery.public_id}/accept", {"comment": "Good."}))

    assert settlement["final"] is True
    assert settlement["workers"] == [{"participant": bo.handle, "amount": "9.5"}]
    assert available(bo.participant) == 109_500_000
    shown = ok(bo.get(f"/deliveries/{delivery.public_id}"))
    assert (shown["state"], shown["comment"], shown["ratings"]) == ("accepted", "Good.", [])
    assert shown["permitted_actions"] == ["rate"]


def test_a_dry_run_of_accepting_shows_the_split_and_writes_nothing() -> None:
    ada, bo = somebody(), somebody()
    delivery = a_submitted_delivery(ada.participant, bo.participant)
    path = f"/deliveries/{delivery.public_id}/accept"

    with nothing_changes():
        projected = ok(ada.post(f"{path}?dry_run=true"))

    assert projected["final"] is False
    assert ok(ada.post(path)) == projected | {"final": True}


@pytest.mark.parametrize("rating", [0, 6, "5", 4.5, True])
def test_a_rating_is_one_to_five(rating: object) -> None:
    ada = somebody()
    delivery = a_submitted_delivery(ada.participant)

    with nothing_changes():
        answer = ada.post(f"/deliveries/{delivery.public_id}/accept", {"rating": rating})

    problem(answer, 400, "validation_error")


def test_a_worker_cannot_accept_its_own_delivery() -> None:
    bo = somebody()
    delivery = a_submitted_delivery(worker=bo.participant)

    with nothing_changes():
        answer = bo.post(f"/deliveries/{delivery.public_id}/accept")

    problem(answer, 403, "not_permitted")


def test_rejecting_gives_the_task_back_to_its_worker_with_the_reason() -> None:
    ada, bo = somebody(), somebody()
    delivery = a_submitted_delivery(ada.participant, bo.participant, requirements=["In euro."])

    answer = ada.post(
        f"/deliveries/{delivery.public_id}/reject", {"reason": "In dollars.", "requirement": 0}
    )

    rejected_one = ok(answer)
    assert (rejected_one["state"], rejected_one["reason"]) == ("rejected", "In dollars.")
    task = ok(bo.get(f"/tasks/{delivery.task.public_id}"))
    assert (task["state"], task["worker"]) == ("claimed", bo.handle)
    assert task["permitted_actions"] == ["abandon", "dispute", "submit"]


@pytest.mark.parametrize(
    ("body", "pointer", "code"),
    [
        ({}, "/reason", "required"),
        ({"reason": ""}, "/reason", "blank"),
        ({"reason": "No."}, "/requirement", "required"),
        ({"reason": "No.", "requirement": 1}, "/requirement", "unknown_requirement"),
    ],
)
def test_a_rejection_rests_on_a_reason_and_a_requirement(
    body: Json, pointer: str, code: str
) -> None:
    ada = somebody()
    delivery = a_submitted_delivery(ada.participant, requirements=["In euro."])

    with nothing_changes():
        answer = ada.post(f"/deliveries/{delivery.public_id}/reject", body)

    invalid(answer, pointer, code)


def test_a_third_delivery_cannot_be_rejected_and_is_offered_only_acceptance() -> None:
    ada, bo = somebody(), somebody()
    task = a_claimed_task(ada.participant, bo.participant)
    for _ in range(2):
        rejected(deliver(task))
    third = deliver(task)
    path = f"/deliveries/{third.public_id}"

    with nothing_changes():
        answer = ada.post(f"{path}/reject", {"reason": "No."})

    problem(answer, 409, "rejections_exhausted")
    assert ok(ada.get(path))["permitted_actions"] == ["accept"]
    ok(ada.post(f"{path}/accept"))


def test_a_delivery_that_was_decided_about_is_not_decided_about_again() -> None:
    ada = somebody()
    first = a_rejected_delivery(ada.participant)
    deliver(first.task)

    with nothing_changes():
        answer = ada.post(f"/deliveries/{first.public_id}/accept")

    assert problem(answer, 409, "illegal_transition")["state"] == "rejected"


def test_nothing_is_cancelled_while_the_worker_may_deliver_again() -> None:
    ada = somebody()
    delivery = a_rejected_delivery(ada.participant)
    path = f"/tasks/{delivery.task.public_id}/cancel"

    with nothing_changes():
        answers = [ada.post(path), ada.post(path, {"at_once": True})]

    for answer in answers:
        problem(answer, 409, "resubmission_pending")
    time_passes(delivery.task, hours=48, seconds=1)
    assert ok(ada.post(path))["state"] == "cancelled"


def test_an_abandoned_tasks_next_worker_does_not_see_the_deliveries_before_it() -> None:
    first = a_rejected_delivery()
    cy = somebody()
    time_passes(first.task, hours=48, seconds=1)
    ok(cy.post(f"/tasks/{first.task.public_id}/claim"))

    assert ok(cy.get(f"/tasks/{first.task.public_id}/deliveries"))["results"] == []
    problem(cy.get(f"/deliveries/{first.public_id}"), 404, "not_found")


def test_one_delivery_takes_few_queries() -> None:
    bo = somebody()
    delivery = an_accepted_delivery(worker=bo.participant, bounty=amounts.MICRO)

    with at_most_queries(7):
        ok(bo.get(f"/deliveries/{delivery.public_id}"))
