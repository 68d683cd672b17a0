"""Registration, profiles, keys and agents."""

from datetime import timedelta

import pytest

from marketplace.foundation import clock
from marketplace.participants.models import Kind
from tests.api.caller import (
    Caller,
    Json,
    a_visitor,
    as_caller,
    invalid,
    nothing_changes,
    ok,
    problem,
    somebody,
)
from tests.builders.people import a_handle, a_person, an_agent_of
from tests.builders.work import (
    a_rejected_delivery,
    a_task,
    an_accepted_delivery,
    everything_handled,
    time_passes,
)

pytestmark = pytest.mark.django_db

NOTHING = {"standing": "0", "counterparties": 0, "settled": 0}
REPUTATION = {
    "score": 0.0,
    "accepted": 0,
    "rejected": 0,
    "abandoned": 0,
    "expired": 0,
    "disputes_lost": 0,
    "reused": 0,
    "roles": dict.fromkeys(("poster", "worker", "author", "panelist"), NOTHING),
    "as_poster": {
        "accepted": 0,
        "rejected": 0,
        "silent": 0,
        "checked": 0,
        "workers": 0,
        "disputes": 0,
        "disputes_lost": 0,
        "acceptance_rate": None,
        "rejection_rate": None,
        "silence_rate": None,
        "lost_dispute_rate": None,
    },
    "ratings": {"average": None, "raters": 0, "number": 0},
}


def a_registration(**more: object) -> dict[str, object]:
    return {"handle": a_handle(), "kind": "agent", "display_name": "Cy"} | more


def test_anybody_registers_and_gets_a_key_and_the_grant() -> None:
    asked = a_registration(bio="I sort.", capabilities=["csv"])

    answer = a_visitor().post("/participants", asked)

    registered = ok(answer, 201)
    assert {name: registered[name] for name in asked} == asked
    assert registered["credits"] == {"available": "100", "escrowed": "0"}
    assert registered["reputation"] == REPUTATION
    assert answer.headers["Location"] == f"/api/v1/participants/{asked['handle']}"
    cy = Caller(registered["api_key"])
    assert ok(cy.get("/me"))["handle"] == asked["handle"]
    (line,) = ok(cy.get("/credits/statement"))["results"]
    assert (line["kind"], line["amount"]) == ("grant", "100")


@pytest.mark.parametrize(
    ("field", "value", "code"),
    [
        ("handle", "x", "min_length"),
        ("handle", "x" * 40, "max_length"),
        ("handle", "Ada", "invalid_handle"),
        ("handle", "-ada", "invalid_handle"),
        ("handle", "ada\n", "invalid_handle"),
        ("handle", "\u0430da", "invalid_handle"),  # a Cyrillic a
        ("handle", "admin", "reserved_handle"),
        ("handle", 5, "invalid"),
        ("kind", "robot", "invalid_choice"),
        ("display_name", "", "blank"),
        ("capabilities", ["x"] * 31, "max_length"),
        ("bio", "x" * 2001, "max_length"),
    ],
)
def test_a_registration_that_is_not_one_is_refused(field: str, value: object, code: str) -> None:
    with nothing_changes():
        answer = a_visitor().post("/participants", a_registration(**{field: value}))

    invalid(answer, f"/{field}", code)


def test_a_handle_is_given_once() -> None:
    taken = somebody().handle

    with nothing_changes():
        answer = a_visitor().post("/participants", a_registration(handle=taken))

    assert problem(answer, 409, "handle_taken")["handle"] == taken


def test_a_public_profile_says_nothing_of_the_wallet() -> None:
    ada = somebody(Kind.HUMAN)

    profile = ok(a_visitor().get(f"/participants/{ada.handle}"))

    assert profile.keys() == {
        "handle",
        "kind",
        "display_name",
        "bio",
        "capabilities",
        "operator",
        "joined_at",
        "reputation",
    }


def test_nobody_is_a_404() -> None:
    problem(a_visitor().get("/participants/nobody-has-this"), 404, "not_found")


def test_people_are_found_by_words_kind_and_capability() -> None:
    word = a_handle("quokka")
    found = Caller(
        ok(a_visitor().post("/participants", a_registration(capabilities=[word])), 201)["api_key"]
    )
    me = ok(found.get("/me"))
    ok(found.patch("/me", {"bio": f"Likes {word}s."}, If_Match="*"))

    def handles(**query: str) -> list[str]:
        return [one["handle"] for one in ok(a_visitor().get("/participants", **query))["results"]]

    assert handles(q=f"{word}s") == handles(capability=word) == [me["handle"]]
    assert handles(q=me["handle"].upper()) == [me["handle"]]
    assert handles(capability=word, kind="human") == []


def test_reputation_counts_how_claims_ended() -> None:
    bo = somebody()
    rejected = a_rejected_delivery(worker=bo.participant)
    time_passes(rejected.task, hours=48, seconds=1)
    an_accepted_delivery(worker=bo.participant)
    task = a_task()
    ok(bo.post(f"/tasks/{task.public_id}/claim"))
    ok(bo.post(f"/tasks/{task.public_id}/abandon"))

    everything_handled()

    reputation = ok(a_visitor().get(f"/participants/{bo.handle}"))["reputation"]

    assert reputation == REPUTATION | {
        "score": 6.67,
        "accepted": 1,
        "rejected": 1,
        "abandoned": 2,
        "roles": REPUTATION["roles"]  # type: ignore[operator] # a dict of dicts
        | {"worker": {"standing": "6.666666", "counterparties": 1, "settled": 1}},
    }


# --- Oneself --------------------------------------------------------------------------------------


def test_a_profile_is_edited_by_its_etag() -> None:
    ada = somebody()
    tag = ada.get("/me").headers["ETag"]

    answer = ada.patch("/me", {"display_name": "Ada L.", "capabilities": ["maths"]}, If_Match=tag)

    edited = ok(answer)
    assert (edited["display_name"], edited["capabilities"]) == ("Ada L.", ["maths"])
    assert answer.headers["ETag"] != tag
    with nothing_changes():
        late = ada.patch("/me", {"bio": "Late."}, If_Match=tag)
        blind = ada.patch("/me", {"bio": "Blind."})
    problem(late, 412, "version_mismatch")
    problem(blind, 428, "if_match_required")


@pytest.mark.parametrize("field", ["handle", "kind", "is_staff", "operator"])
def test_what_one_is_cannot_be_edited(field: str) -> None:
    ada = somebody()

    with nothing_changes():
        answer = ada.patch("/me", {field: "x"}, If_Match="*")

    invalid(answer, f"/{field}", "unknown_field")


def test_a_visitor_is_nobody() -> None:
    problem(a_visitor().get("/me"), 401, "not_authenticated")


# --- Keys -----------------------------------------------------------------------------------------


def test_a_key_is_shown_once_and_does_what_it_was_made_for() -> None:
    ada = somebody()

    made = ok(ada.post("/me/keys", {"name": "reader", "scopes": ["credits:read"]}), 201)

    assert made["api_key"].startswith("hsa_")
    assert made["hint"] == made["api_key"][:12]
    listed = ok(ada.get("/me/keys"))["results"]
    assert [key["name"] for key in listed] == ["reader", "first key"]
    assert "api_key" not in listed[0]
    ok(Caller(made["api_key"]).get("/credits"))


def test_a_key_without_every_scope_cannot_get_at_one_that_has_more() -> None:
    ada = somebody()
    retried = {"name": "full"}
    full = ok(ada.post("/me/keys", retried, once="lost-reply"), 201)
    small = ok(ada.post("/me/keys", {"name": "small", "scopes": ["tasks:read"]}), 201)
    caller = Caller(small["api_key"])

    with nothing_changes():
        answers = [
            caller.post("/me/keys", {"name": "large"}),
            caller.post("/me/keys", retried, once="lost-reply"),
            caller.delete(f"/me/keys/{full['id']}"),
            caller.post("/me/agents", {"handle": a_handle(), "display_name": "Mine"}),
        ]

    for answer in answers:
        problem(answer, 403, "insufficient_scope")


@pytest.mark.parametrize(
    ("body", "pointer", "code"),
    [
        ({"name": "x", "scopes": ["everything"]}, "/scopes/0", "invalid_choice"),
        ({"name": "x", "scopes": []}, "/scopes", "min_length"),
        ({"name": "x", "expires_at": "soon"}, "/expires_at", "invalid"),
        ({}, "/name", "required"),
    ],
)
def test_a_key_that_is_not_one_is_refused(body: Json, pointer: str, code: str) -> None:
    ada = somebody()

    with nothing_changes():
        answer = ada.post("/me/keys", body)

    invalid(answer, pointer, code)


def test_a_revoked_key_opens_nothing() -> None:
    ada = somebody()
    made = ok(ada.post("/me/keys", {"name": "lost"}), 201)

    assert ada.delete(f"/me/keys/{made['id']}").status_code == 204
    assert ada.delete(f"/me/keys/{made['id']}").status_code == 204

    problem(Caller(made["api_key"]).get("/me"), 401, "authentication_failed")
    assert made["id"] not in {key["id"] for key in ok(ada.get("/me/keys"))["results"]}


def test_an_expired_key_opens_nothing() -> None:
    ada = somebody()
    ends = clock.now() + timedelta(hours=1)
    made = ok(ada.post("/me/keys", {"name": "short", "expires_at": ends.isoformat()}), 201)
    ok(Caller(made["api_key"]).get("/me"))

    clock.advance(timedelta(hours=1, seconds=1))

    problem(Caller(made["api_key"]).get("/me"), 401, "authentication_failed")


def test_somebody_elses_key_does_not_exist() -> None:
    key = ok(somebody().get("/me/keys"))["results"][0]["id"]
    eve = somebody()

    with nothing_changes():
        answer = eve.delete(f"/me/keys/{key}")

    problem(answer, 404, "not_found")


# --- Agents ---------------------------------------------------------------------------------------


def test_an_operator_adds_an_agent_that_uses_its_wallet() -> None:
    ada = somebody(Kind.HUMAN)
    asked = {
        "handle": a_handle(),
        "display_name": "Cy",
        "allowance": {"per_task": "5", "per_day": "8"},
    }

    added = ok(ada.post("/me/agents", asked), 201)

    assert (added["operator"], added["kind"]) == (ada.handle, "agent")
    cy = Caller(added["api_key"])
    assert ok(cy.get("/me"))["allowance"] == asked["allowance"]
    assert ok(cy.get("/credits"))["available"] == "100"
    body = {"title": "x", "description": "x", "bounty": "5"}
    ok(cy.post("/tasks", body), 201)
    assert ok(ada.get("/credits"))["available"] == "95"
    assert [one["handle"] for one in ok(ada.get("/me/agents"))["results"]] == [asked["handle"]]


@pytest.mark.parametrize(("bounty", "per", "allowance"), [("5.1", "task", "5"), ("4", "day", "8")])
def test_an_agent_spends_within_its_allowance(bounty: str, per: str, allowance: str) -> None:
    agent = an_agent_of(a_person(), allowance_per_task=5_000_000, allowance_per_day=8_000_000)
    cy = as_caller(agent)
    body = {"title": "x", "description": "x"}
    ok(cy.post("/tasks", body | {"bounty": "5"}), 201)

    with nothing_changes():
        answer = cy.post("/tasks", body | {"bounty": bounty})

    document = problem(answer, 402, "allowance_exceeded")
    assert (document["per"], document["allowance"]) == (per, allowance)
    assert document["required"] == bounty


def test_an_agent_cannot_operate_agents() -> None:
    cy = as_caller(an_agent_of(a_person()))

    with nothing_changes():
        answer = cy.post("/me/agents", {"handle": a_handle(), "display_name": "x"})

    problem(answer, 403, "not_an_operator")
