"""Bids, offers and contests over HTTP, held against the document."""

from typing import Any

import pytest

from marketplace.tasks.models import Task
from tests.api.caller import Caller, a_visitor, at_most_queries, invalid, ok, problem, somebody
from tests.api.test_openapi import Checking
from tests.builders.people import a_handle
from tests.builders.work import ANSWER, closed, everything_handled

pytestmark = pytest.mark.django_db

CHECK = {"name": "rows", "type": "exact", "config": {"expected": ANSWER}}


def posted(caller: Caller, **said: Any) -> Any:  # noqa: ANN401 - JSON
    wanted = {"title": "Sort", "description": "By price.", "bounty": "10"} | said
    return ok(caller.post("/tasks", wanted), 201)


def test_a_bid_from_its_proposal_to_its_payment() -> None:
    ada, bo = somebody(), somebody()
    ask, work = Checking(ada), Checking(bo)
    task = posted(ada, mode="bid")
    path = f"/tasks/{task['id']}"
    assert task["permitted_actions"] == ["cancel", "edit", "raise"]

    bid = work(
        "POST",
        f"{path}/bids",
        {"proposal": "By column.", "amount": "8", "eta": 3600, "terms_version": 1},
        201,
    )
    assert (bid["amount"], bid["permitted_actions"]) == ("8", ["counter", "withdraw"])
    ask("POST", f"/bids/{bid['id']}/counter", {"amount": "6", "note": "Less."})
    work("GET", f"/bids/{bid['id']}")
    assert ask("GET", f"{path}/bids")["results"][0]["permitted_actions"] == ["counter", "select"]
    problem(ada.post(f"/bids/{bid['id']}/select", {"amount": "8"}), 409, "bid_changed")
    assert ask("POST", f"/bids/{bid['id']}/select", {"amount": "6"})["state"] == "selected"
    offered = work("GET", path)
    assert (offered["state"], offered["agreed_amount"]) == ("offered", "6")
    assert ok(a_visitor().get(path))["agreed_amount"] is None
    work("POST", f"{path}/claim")
    delivery = work("POST", f"{path}/deliveries", {"summary": "Done.", "result": {}}, 201)
    settled = ask("POST", f"/deliveries/{delivery['id']}/accept")

    assert settled["workers"] == [{"participant": bid["bidder"], "amount": "5.7"}]
    assert (settled["fee"], settled["refund"], settled["bounty"]) == ("0.3", "4", "10")


def test_what_is_wrong_about_a_bid_is_named() -> None:
    ada, bo, eve = somebody(), somebody(), somebody()
    task = posted(ada, mode="bid")
    path = f"/tasks/{task['id']}/bids"
    good = {"proposal": "x", "terms_version": 1}
    bid = ok(bo.post(path, good), 201)

    invalid(bo.post(path, good | {"amount": "11"}), "/amount", "above_bounty")
    invalid(bo.post(path, {"proposal": "x"}), "/terms_version", "required")
    problem(bo.post(path, good), 409, "bid_exists")
    problem(eve.post(path, good | {"terms_version": 2}), 409, "terms_changed")
    problem(ada.post(path, good), 403, "own_task")
    problem(a_visitor().post(path, good), 401, "not_authenticated")
    for call in (f"/bids/{bid['id']}/counter", f"/bids/{bid['id']}/select"):
        problem(eve.post(call, {"amount": "1"}), 404, "not_found")
    problem(eve.get(f"/bids/{bid['id']}"), 404, "not_found")
    assert ok(eve.get(path))["results"] == []
    problem(bo.post(f"/bids/{bid['id']}/select"), 403, "not_permitted")
    refused = problem(bo.post(f"/tasks/{task['id']}/claim"), 409, "wrong_mode")
    assert refused["state"] == "open"
    assert bo.delete(f"/bids/{bid['id']}").status_code == 204
    gone = problem(bo.delete(f"/bids/{bid['id']}"), 409, "illegal_transition")
    assert gone["state"] == "withdrawn"


def test_a_list_of_bids_makes_as_many_queries_for_five_as_for_one() -> None:
    ada = somebody()
    path = f"/tasks/{posted(ada, mode='bid')['id']}/bids"
    good = {"proposal": "x", "terms_version": 1}
    for _ in range(5):
        bid = ok(somebody().post(path, good), 201)
        ok(ada.post(f"/bids/{bid['id']}/counter", {"amount": "1"}))

    with at_most_queries(12):
        assert len(ok(ada.get(path))["results"]) == 5


def test_a_direct_task_is_offered_and_declined() -> None:
    ada, bo, eve = somebody(), somebody(), somebody()
    assert bo.participant is not None
    said = {"mode": "direct", "assignee": bo.participant.handle}
    task, other = posted(ada, **said), posted(ada, **said, on_decline="cancel")
    assert (task["state"], task["offered_to"]) == ("offered", bo.participant.handle)

    problem(eve.post(f"/tasks/{task['id']}/claim"), 409, "illegal_transition")
    problem(eve.post(f"/tasks/{task['id']}/decline"), 403, "not_permitted")
    declined = Checking(bo)("POST", f"/tasks/{task['id']}/decline", {"reason": "No time."})
    cancelled = Checking(bo)("POST", f"/tasks/{other['id']}/decline")

    assert (declined["state"], cancelled["state"]) == ("open", "cancelled")
    assert ok(ada.get("/credits"))["available"] == "90"
    problem(bo.post(f"/tasks/{task['id']}/decline"), 409, "illegal_transition")
    wanted = {"title": "x", "description": "x", "bounty": "1", "mode": "direct"}
    invalid(ada.post("/tasks", wanted), "/assignee", "required")
    unknown = wanted | {"assignee": a_handle()}
    invalid(ada.post("/tasks", unknown), "/assignee", "unknown_participant")


def test_a_contest_from_its_entries_to_its_winner() -> None:
    ada, bo, cy = somebody(), somebody(), somebody()
    task = posted(ada, mode="contest", verification=[CHECK], runner_up_share="0.2")
    path = f"/tasks/{task['id']}"
    assert task["runner_up_share"] == "0.2"
    work = {"summary": "Done.", "result": ANSWER}
    first = Checking(bo)("POST", f"{path}/deliveries", work, 201)
    second = ok(cy.post(f"{path}/deliveries", work), 201)
    problem(bo.post(f"{path}/deliveries", work), 409, "already_entered")
    problem(ada.get(f"/deliveries/{first['id']}"), 404, "not_found")
    problem(cy.get(f"/deliveries/{first['id']}"), 404, "not_found")
    refused = problem(ada.post(f"{path}/cancel"), 409, "contest_entered")
    assert refused["state"] == "open"
    everything_handled()
    closed(Task.objects.get(poster=ada.participant))

    assert len(ok(ada.get(f"{path}/deliveries"))["results"]) == 2
    settled = Checking(ada)(
        "POST", f"/deliveries/{second['id']}/accept", {"runner_up": first["id"]}
    )

    assert [one["amount"] for one in settled["workers"]] == ["7.6", "1.9"]
    assert (settled["fee"], settled["refund"]) == ("0.5", "0")
    invalid(
        ada.post("/tasks", {"title": "x", "description": "x", "bounty": "1", "mode": "contest"}),
        "/verification",
        "checks_cannot_decide",
    )


def test_whom_a_task_is_for() -> None:
    ada, bo = somebody(), somebody()
    people = posted(ada, eligibility={"kind": "human"})
    able = posted(ada, eligibility={"capabilities": ["csv"], "min_standing": "0"})
    known = posted(ada, eligibility={"min_standing": "5"})
    assert people["eligibility"] == {"kind": "human", "min_standing": None, "capabilities": []}

    for task, asks in ((people, "kind"), (able, "capabilities"), (known, "standing")):
        assert ok(bo.get(f"/tasks/{task['id']}"))["permitted_actions"] == []
        refused = problem(bo.post(f"/tasks/{task['id']}/claim"), 403, "not_eligible")
        assert refused["asks"] == asks
    invalid(
        ada.post(
            "/tasks",
            {"title": "x", "description": "x", "bounty": "1", "eligibility": {"kin": "human"}},
        ),
        "/eligibility/kin",
        "unknown_field",
    )


def test_a_bounty_and_a_deadline_are_raised_and_never_lowered() -> None:
    ada, bo = somebody(), somebody()
    task = posted(ada)
    path = f"/tasks/{task['id']}"
    ok(bo.post(f"{path}/claim"))

    raised = Checking(ada)("POST", f"{path}/raise", {"bounty": "12"})

    assert (raised["bounty"], raised["available_bounty"], raised["terms_version"]) == (
        "12",
        "12",
        2,
    )
    invalid(ada.post(f"{path}/raise", {"bounty": "11"}), "/bounty", "not_higher")
    invalid(ada.post(f"{path}/raise", {"deadline": task["deadline"]}), "/deadline", "not_later")
    invalid(ada.post(f"{path}/raise", {}), "/bounty", "required")
    problem(ada.post(f"{path}/raise", {"bounty": "1000"}), 402, "insufficient_credits")
    problem(bo.post(f"{path}/raise", {"bounty": "13"}), 403, "not_permitted")
