"""`/tasks` and the calls about one task."""

import io
from datetime import timedelta
from typing import Any

import pytest

from credits import amounts
from marketplace.foundation import clock
from marketplace.participants.models import Kind
from tests.api.caller import (
    Caller,
    a_visitor,
    as_caller,
    at_most_queries,
    invalid,
    nothing_changes,
    ok,
    problem,
    somebody,
)
from tests.builders.assets import a_skill
from tests.builders.people import a_person, an_agent_of
from tests.builders.work import (
    ANSWER,
    a_claimed_task,
    a_submitted_delivery,
    a_task,
    an_accepted_delivery,
    an_exact_check,
    available,
    held,
)

pytestmark = pytest.mark.django_db

TASK = {"title": "Sort this", "description": "By price.", "bounty": "5"}
AUTOMATIC = {"acceptance": "automatic"}
CONTRACT = {
    "id",
    "title",
    "description",
    "state",
    "mode",
    "bounty",
    "poster",
    "worker",
    "parent",
    "depends_on",
    "tags",
    "deadline",
    "claim_expires_at",
    "review_due_at",
    "acceptance",
    "verification",
    "requirements",
    "attachments",
    "terms_version",
    "available_bounty",
    "permitted_actions",
    "created_at",
}


def test_posting_answers_with_the_task_and_its_bounty_is_in_escrow() -> None:
    ada = somebody()

    answer = ada.post("/tasks", TASK)

    task = ok(answer, 201)
    assert task.keys() >= CONTRACT
    assert task["state"] == "open"
    assert (task["bounty"], task["available_bounty"]) == ("5", "5")
    assert (task["poster"], task["worker"], task["parent"]) == (ada.handle, None, None)
    assert task["permitted_actions"] == ["cancel", "edit", "raise"]
    assert task["created_at"].endswith("Z")
    assert answer.headers["Location"] == f"/api/v1/tasks/{task['id']}"
    assert answer.headers["ETag"] == '"1"'
    position = {"available": "95", "escrowed": "5", "total": "100", "pending": "0"}
    assert ok(ada.get("/credits")) == position


def test_everything_that_is_posted_is_shown_again() -> None:
    ada = somebody()
    file = ok(ada.upload("/files", {"file": io.BytesIO(b"a;b")}), 201)
    deadline = (clock.now() + timedelta(days=2)).replace(microsecond=0)
    asked = TASK | {
        "tags": ["csv", "prices"],
        "requirements": ["In euro.", "One row each."],
        "attachments": [file["id"]],
        "deadline": deadline.isoformat().replace("+00:00", "Z"),
        "lease_seconds": 600,
        "review_window_seconds": 1200,
        "acceptance": "manual",
        "mode": "claim",
    }

    task = ok(ada.post("/tasks", asked), 201)

    assert {name: task[name] for name in asked.keys() & CONTRACT - {"attachments"}} == {
        name: asked[name] for name in asked.keys() & CONTRACT - {"attachments"}
    }
    assert task["attachments"] == [file]
    assert task["terms"]["lease_seconds"] == 600
    assert task["terms"]["review_window_seconds"] == 1200


def test_whole_json_numbers_are_credits() -> None:
    assert ok(somebody().post("/tasks", TASK | {"bounty": 3}), 201)["bounty"] == "3"


def test_a_file_attached_twice_is_attached_once() -> None:
    ada = somebody()
    file = ok(ada.upload("/files", {"file": io.BytesIO(b"x")}), 201)

    task = ok(ada.post("/tasks", TASK | {"attachments": [file["id"], file["id"]]}), 201)

    assert task["attachments"] == [file]


def test_somebody_elses_file_cannot_be_attached() -> None:
    file = ok(somebody().upload("/files", {"file": io.BytesIO(b"x")}), 201)
    ada = somebody()

    with nothing_changes():
        answer = ada.post("/tasks", TASK | {"attachments": [file["id"]]})

    invalid(answer, "/attachments/0", "unknown_file")


def test_a_dry_run_of_posting_shows_the_split_and_writes_nothing() -> None:
    ada = somebody()

    with nothing_changes():
        answer = ada.post("/tasks?dry_run=true", TASK)

    shown = ok(answer)
    assert (shown["dry_run"], shown["escrow"], shown["task"]["bounty"]) == (True, "5", "5")
    assert shown["settlement"]["fee"] == "0.25"
    assert shown["settlement"]["workers"] == [{"participant": None, "amount": "4.75"}]
    problem(ada.get(f"/tasks/{shown['task']['id']}"), 404, "not_found")


def test_a_dry_run_refuses_what_the_real_call_would_refuse() -> None:
    ada = somebody()

    with nothing_changes():
        answer = ada.post("/tasks?dry_run=true", TASK | {"bounty": "101"})

    problem(answer, 402, "insufficient_credits")


def test_automatic_acceptance_needs_a_check_that_refuses_nothing_delivered() -> None:
    ada = somebody()
    passes_all = {"name": "any", "type": "json_schema", "config": {"schema": True}}

    with nothing_changes():
        answer = ada.post(
            "/tasks", TASK | {"acceptance": "automatic", "verification": [passes_all]}
        )

    invalid(answer, "/acceptance", "checks_cannot_decide")


def test_automatic_acceptance_is_posted_with_a_check_that_can_decide() -> None:
    check = {"name": "totals", "type": "exact", "config": {"expected": ANSWER}}

    answer = somebody().post("/tasks", TASK | AUTOMATIC | {"verification": [check]})

    assert ok(answer, 201)["acceptance"] == "automatic"


@pytest.mark.parametrize(
    ("check", "pointer", "code"),
    [
        ({"name": "x", "type": "exact", "config": {}}, "/config/expected", "required"),
        ({"name": "", "type": "exact", "config": {"expected": 1}}, "/name", "invalid"),
        ({"name": "x", "type": "sandbox"}, "/type", "unknown_check_type"),
        (
            {"name": "x", "type": "exact", "config": {"expected": 1, "normalise": [["trim"]]}},
            "/config/normalise",
            "unknown_normalisation",
        ),
        (
            {"name": "x", "type": "json_schema", "config": {"schema": {"$ref": "http://a/b"}}},
            "/config/schema/$ref",
            "remote_reference",
        ),
        (
            {"name": "x", "type": "json_schema", "config": {"schema": {"type": "thing"}}},
            "/config/schema/type",
            "invalid_schema",
        ),
    ],
)
def test_a_check_that_cannot_decide_is_refused_where_it_is_wrong(
    check: dict[str, Any], pointer: str, code: str
) -> None:
    ada = somebody()

    with nothing_changes():
        answer = ada.post("/tasks", TASK | {"verification": [check]})

    invalid(answer, f"/verification/0{pointer}", code)


def test_a_visitor_reads_a_task_and_may_do_nothing() -> None:
    task = a_task()

    shown = ok(a_visitor().get(f"/tasks/{task.public_id}"))

    assert shown["permitted_actions"] == []
    assert shown["state"] == "open"


def test_an_expected_answer_is_shown_to_its_poster_only_until_the_task_has_ended() -> None:
    ada, bo, eve = somebody(), somebody(), somebody()
    delivery = a_submitted_delivery(
        ada.participant, bo.participant, verification=[an_exact_check(required=False)]
    )
    path = f"/tasks/{delivery.task.public_id}"

    def expected_shown(caller: Caller) -> bool:
        return "expected" in ok(caller.get(path))["verification"][0]["config"]

    before = [expected_shown(one) for one in (ada, bo, eve, a_visitor())]
    listed = ok(bo.get("/tasks", poster=ada.handle))["results"][0]["verification"][0]["config"]
    ok(ada.post(f"/deliveries/{delivery.public_id}/accept"))

    assert before == [True, False, False, False]
    assert "expected" not in listed
    assert expected_shown(eve)


# --- Browsing -------------------------------------------------------------------------------------


def test_tasks_are_filtered_by_each_parameter() -> None:
    ada, word = somebody(Kind.HUMAN), "quokka"
    mine = a_task(ada.participant, title=f"{word} one", tags=["zebra"], bounty=7 * amounts.MICRO)
    other = a_claimed_task(ada.participant, title="another", bounty=2 * amounts.MICRO)
    assert other.worker is not None
    poster = {"poster": ada.handle}

    def found(**query: str) -> set[str]:
        return {task["id"] for task in ok(ada.get("/tasks", **(poster | query)))["results"]}

    assert found() == {mine.public_id, other.public_id}
    assert found(state="open") == {mine.public_id}
    assert found(state="claimed") == {other.public_id}
    assert found(tag="zebra") == {mine.public_id}
    assert found(mode="claim") == found()
    assert found(mode="bid") == set()
    assert found(kind="human") == found()
    assert found(kind="agent") == set()
    assert found(q=word) == {mine.public_id}
    assert found(min_bounty="2.000001") == {mine.public_id}
    assert found(worker=other.worker.handle) == {other.public_id}
    assert found(parent=mine.public_id) == set()


@pytest.mark.parametrize(
    ("ordering", "expected"),
    [
        ("bounty", [1, 2, 3]),
        ("-bounty", [3, 2, 1]),
        ("created_at", [2, 3, 1]),
        ("-created_at", [1, 3, 2]),
        ("deadline", [3, 1, 2]),
        ("-deadline", [2, 1, 3]),
    ],
)
def test_tasks_are_ordered_as_asked(ordering: str, expected: list[int]) -> None:
    ada = somebody()
    now = clock.now()
    for bounty, days in ((2, 3), (3, 1), (1, 2)):
        deadline = now + timedelta(days=days)
        a_task(ada.participant, bounty=bounty * amounts.MICRO, deadline=deadline)

    listed = ok(ada.get("/tasks", poster=ada.handle, ordering=ordering))["results"]

    assert [int(task["bounty"]) for task in listed] == expected


def test_for_me_lists_open_tasks_of_others_and_those_that_fit_first() -> None:
    cy = somebody()
    ok(cy.patch("/me", {"capabilities": ["marmot", "csv"]}, If_Match="*"))
    plain = a_task(tags=["wombat"])
    fits = a_task(tags=["marmot"])
    taken = a_claimed_task(tags=["marmot"])
    own = a_task(cy.participant, tags=["marmot"])

    listed = [task["id"] for task in ok(cy.get("/tasks", **{"for": "me"}, limit=100))["results"]]

    assert listed.index(fits.public_id) < listed.index(plain.public_id)
    assert {taken.public_id, own.public_id}.isdisjoint(listed)


def test_for_me_needs_somebody() -> None:
    problem(a_visitor().get("/tasks", **{"for": "me"}), 401, "not_authenticated")


@pytest.mark.parametrize(
    ("query", "pointer", "code"),
    [
        ({"colour": "red"}, "?colour", "unknown_field"),
        ({"state": "done"}, "?state", "invalid_choice"),
        ({"limit": "0"}, "?limit", "min_value"),
        ({"limit": "101"}, "?limit", "max_value"),
        ({"limit": "ten"}, "?limit", "invalid"),
        ({"min_bounty": "0.5.1"}, "?min_bounty", "not_a_decimal"),
        ({"ordering": "poster"}, "?ordering", "invalid_choice"),
        ({"parent": "file_x"}, "?parent", "wrong_id_type"),
        ({"format": "csv"}, "?format", "unknown_field"),
        ({"limit": ["1", "2"]}, "?limit", "duplicate"),
    ],
)
def test_a_query_that_is_not_understood_is_refused(
    query: dict[str, Any], pointer: str, code: str
) -> None:
    invalid(a_visitor().get("/tasks", **query), pointer, code)


# --- Editing --------------------------------------------------------------------------------------


def test_an_edit_follows_the_etag_and_the_escrow_follows_the_bounty() -> None:
    ada = somebody()
    task = a_task(ada.participant, bounty=5 * amounts.MICRO)
    path = f"/tasks/{task.public_id}"
    tag = ada.get(path).headers["ETag"]

    answer = ada.patch(path, {"bounty": "8", "title": "Better"}, If_Match=tag)

    edited = ok(answer)
    assert (edited["bounty"], edited["title"], edited["terms_version"]) == ("8", "Better", 2)
    assert answer.headers["ETag"] == '"2"' != tag
    assert held(task) == 8 * amounts.MICRO
    ok(ada.patch(path, {"bounty": "0.01"}, If_Match='"2"'))
    assert held(task) == 10_000
    assert available(ada.participant) == 100 * amounts.MICRO - 10_000


@pytest.mark.parametrize(
    ("headers", "status", "code"),
    [
        ({}, 428, "if_match_required"),
        ({"If_Match": '"7"'}, 412, "version_mismatch"),
        ({"If_Match": "1"}, 412, "version_mismatch"),
    ],
)
def test_an_edit_that_does_not_know_what_it_edits_is_refused(
    headers: dict[str, str], status: int, code: str
) -> None:
    ada = somebody()
    task = a_task(ada.participant)

    with nothing_changes():
        answer = ada.patch(f"/tasks/{task.public_id}", {"title": "x"}, **headers)

    problem(answer, status, code)


def test_a_stranger_cannot_edit() -> None:
    task, eve = a_task(), somebody()

    with nothing_changes():
        answer = eve.patch(f"/tasks/{task.public_id}", {"title": "x"}, If_Match="*")

    problem(answer, 403, "not_permitted")


def test_terms_freeze_when_somebody_holds_the_task() -> None:
    ada = somebody()
    task = a_claimed_task(ada.participant)

    with nothing_changes():
        answer = ada.patch(f"/tasks/{task.public_id}", {"title": "x"}, If_Match="*")

    assert problem(answer, 409, "illegal_transition")["state"] == "claimed"


def test_what_is_frozen_at_posting_is_no_field_of_an_edit() -> None:
    ada = somebody()
    task = a_task(ada.participant)

    answer = ada.patch(f"/tasks/{task.public_id}", {"verification": []}, If_Match="*")

    invalid(answer, "/verification", "unknown_field")


# --- Claiming and what follows --------------------------------------------------------------------


def test_a_claim_answers_with_the_task_and_assets_that_may_help() -> None:
    skill = a_skill(name=None)
    bo = somebody()
    task = a_task(title=f"Use {skill.asset.name.replace('-', ' ')}")

    claimed = ok(bo.post(f"/tasks/{task.public_id}/claim", {"note": "Mine.", "terms_version": 1}))

    assert claimed.keys() >= CONTRACT
    assert (claimed["state"], claimed["worker"]) == ("claimed", bo.handle)
    assert claimed["permitted_actions"] == [
        "abandon",
        "add_subtasks",
        "heartbeat",
        "submit",
    ]
    assert skill.asset.reference in {one["asset"] for one in claimed["related_assets"]}


def test_a_claim_on_terms_that_changed_is_refused() -> None:
    ada, bo = somebody(), somebody()
    task = a_task(ada.participant)
    ok(ada.patch(f"/tasks/{task.public_id}", {"title": "Otherwise"}, If_Match="*"))

    with nothing_changes():
        answer = bo.post(f"/tasks/{task.public_id}/claim", {"terms_version": 1})

    assert problem(answer, 409, "terms_changed")["terms_version"] == 2


def test_a_fourth_claim_is_refused() -> None:
    bo = somebody()
    for _ in range(3):
        a_claimed_task(worker=bo.participant)
    task = a_task()

    with nothing_changes():
        answer = bo.post(f"/tasks/{task.public_id}/claim")

    document = problem(answer, 409, "claim_cap_reached")
    assert (document["cap"], document["whose"]) == (3, "participant")


def test_a_heartbeat_moves_the_lease() -> None:
    bo = somebody()
    task = a_claimed_task(worker=bo.participant)
    clock.advance(timedelta(minutes=1))

    moved = ok(bo.post(f"/tasks/{task.public_id}/heartbeat"))

    assert task.claim_expires_at is not None
    assert moved["claim_expires_at"] > task.claim_expires_at.isoformat()


def test_giving_a_task_back_opens_it_again() -> None:
    bo = somebody()
    task = a_claimed_task(worker=bo.participant)

    given_back = ok(bo.post(f"/tasks/{task.public_id}/abandon", {"reason": "Too hard."}))

    assert (given_back["state"], given_back["worker"]) == ("open", None)


def test_cancelling_an_open_task_refunds_all_of_it() -> None:
    ada = somebody()
    task = a_task(ada.participant)

    cancelled = ok(ada.post(f"/tasks/{task.public_id}/cancel"))

    assert (cancelled["state"], cancelled["available_bounty"]) == ("cancelled", "0")
    assert available(ada.participant) == 100 * amounts.MICRO


# --- Settlements ----------------------------------------------------------------------------------

SETTLEMENT = {
    "final",
    "bounty",
    "workers",
    "fee",
    "royalties",
    "subtasks",
    "compensation",
    "panel",
    "reviews",
    "refund",
    "chain",
}


def parts_of(settlement: dict[str, Any]) -> int:
    """Add up the parts of a settlement, in micro-credits."""
    listed = [*settlement["workers"], *settlement["royalties"], *settlement["subtasks"]]
    said = [settlement[name] for name in ("fee", "compensation", "panel", "reviews", "refund")]
    return sum(amounts.parse(part) for part in [*said, *(one["amount"] for one in listed)])


def test_a_settlement_is_projected_until_it_is_final_and_adds_up_both_times() -> None:
    ada, bo = somebody(), somebody()
    delivery = a_submitted_delivery(ada.participant, bo.participant, bounty=3_333_333)
    path = f"/tasks/{delivery.task.public_id}/settlement"

    projected = ok(bo.get(path))
    final = ok(ada.post(f"/deliveries/{delivery.public_id}/accept"))

    assert projected.keys() == final.keys() == SETTLEMENT
    assert (projected["final"], final["final"]) == (False, True)
    assert projected | {"final": True} == final == ok(bo.get(path))
    assert final["workers"] == [{"participant": bo.handle, "amount": "3.166666"}]
    assert final["fee"] == "0.166667"
    assert parts_of(final) == parts_of(projected) == 3_333_333


def test_a_refund_is_a_settlement() -> None:
    ada = somebody()
    task = a_task(ada.participant)
    ok(ada.post(f"/tasks/{task.public_id}/cancel"))

    settlement = ok(ada.get(f"/tasks/{task.public_id}/settlement"))

    assert (settlement["refund"], settlement["workers"], settlement["fee"]) == ("10", [], "0")
    assert parts_of(settlement) == task.bounty


def test_who_works_for_a_partys_operator_reads_the_settlement_as_the_operator() -> None:
    person = a_person()
    delivery = an_accepted_delivery(worker=an_agent_of(person))

    assert ok(as_caller(person).get(f"/tasks/{delivery.task.public_id}/settlement"))["final"]


def test_a_settlement_does_not_exist_for_a_stranger() -> None:
    delivery, eve = an_accepted_delivery(), somebody()

    answer = eve.get(f"/tasks/{delivery.task.public_id}/settlement")

    problem(answer, 404, "not_found")


def test_one_task_takes_few_queries() -> None:
    bo = somebody()
    task = a_claimed_task(worker=bo.participant)

    with at_most_queries(6):
        ok(bo.get(f"/tasks/{task.public_id}"))
