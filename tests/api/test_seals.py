"""Seals and proofs over HTTP."""

import base64
import json
import subprocess
import sys
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings

from credits import amounts
from marketplace.foundation import clock
from marketplace.ops.jobs import roll_up_derived_accounts, seal_the_books
from marketplace.participants.scopes import Scope
from marketplace.reuse.jobs import release_due_earnings
from tests.api.caller import (
    Caller,
    Parameter,
    a_visitor,
    as_caller,
    at_most_queries,
    invalid,
    ok,
    problem,
    somebody,
)
from tests.api.test_openapi import Checking
from tests.builders.assets import a_skill
from tests.builders.people import a_person, an_agent_of
from tests.builders.work import feeds_caught_up
from tests.credits.books import seal_everything

pytestmark = pytest.mark.django_db


def test_a_line_is_proven_to_be_in_a_public_block_and_verified_offline(tmp_path: Path) -> None:
    ada, eve = somebody(), somebody()
    (line,) = ok(ada.get("/credits/statement"))["results"]
    path = f"/credits/statement/{line['id']}/proof"
    feeds_caught_up()  # every older transaction has ended: the line is settled
    seal_the_books()
    roll_up_derived_accounts()

    proof = ok(ada.get(path))
    number = proof["seal"]["number"]
    public: list[dict[str, Any]] = []
    cursor: str | None = None
    while cursor is not None or not public:
        page = ok(
            a_visitor().get("/credits/seals", limit="100", **({"cursor": cursor} if cursor else {}))
        )
        public += page["results"]
        cursor = page["next_cursor"]
    saved = tmp_path / "proof.json"
    saved.write_text(json.dumps(proof))
    verifier = settings.BASE_DIR / "credits" / "verifier.py"
    verified = subprocess.run(
        [sys.executable, "-I", verifier, saved], capture_output=True, text=True, check=False
    )

    assert proof["seal"] == next(one for one in public if one["number"] == number)
    assert [one["number"] for one in public] == list(range(1, len(public) + 1))
    assert verified.returncode == 0, verified.stdout + verified.stderr
    problem(eve.get(path), 404, "not_found")
    problem(as_caller(a_person(), Scope.TASKS_READ).get(path), 403, "insufficient_scope")


def test_a_line_that_is_not_sealed_yet_says_so() -> None:
    seal_the_books()
    ada = somebody()
    (line,) = ok(ada.get("/credits/statement"))["results"]

    problem(ada.get(f"/credits/statement/{line['id']}/proof"), 409, "not_sealed_yet")


# --- The public list ------------------------------------------------------------------------------


@pytest.fixture
def last() -> int:
    """Return the number of the newest of at least six blocks."""
    for _ in range(6):
        a_person()
        seal_everything()
    (newest,) = ok(a_visitor().get("/credits/seals", ordering="-number", limit=1))["results"]
    return int(newest["number"])


def numbers(**query: Parameter) -> list[int]:
    return [one["number"] for one in ok(a_visitor().get("/credits/seals", **query))["results"]]


def test_blocks_are_chosen_by_number_and_ordered_either_way(last: int) -> None:
    assert numbers(limit=2) == [1, 2]
    assert numbers(limit=2, ordering="-number") == [last, last - 1]
    assert numbers(first=last - 1) == [last - 1, last]
    assert numbers(first=last - 2, last=last - 1, ordering="-number") == [last - 1, last - 2]
    assert numbers(first=last + 1) == numbers(first=2, last=1) == []


@pytest.mark.parametrize("ordering", ["number", "-number"])
def test_paging_neither_skips_nor_repeats_while_blocks_arrive(last: int, ordering: str) -> None:
    query: dict[str, Any] = {"first": last - 4, "limit": 2, "ordering": ordering}
    seen: list[int] = []
    while True:
        page = ok(a_visitor().get("/credits/seals", **query))
        seen += [one["number"] for one in page["results"]]
        if page["next_cursor"] is None:
            break
        query["cursor"] = page["next_cursor"]
        if len(seen) < 4:
            a_person()
            seal_everything()

    before = list(range(last - 4, last + 1))
    if ordering == "-number":
        assert seen == before[::-1]
    else:
        assert seen == list(range(last - 4, last + 2)), "the one that came meanwhile is the last"


def test_the_list_of_blocks_is_the_same_for_everybody_and_cheap(last: int) -> None:
    ada = somebody()
    query = {"first": str(last - 2), "limit": "3"}
    ok(ada.get("/credits/seals", **query))

    with at_most_queries(1):
        seen = a_visitor().get("/credits/seals", **query)
    with at_most_queries(3):
        seen_with_a_key = ada.get("/credits/seals", **query)

    assert ok(seen) == ok(seen_with_a_key)
    assert seen.headers["Cache-Control"] == "public, max-age=60"
    assert "Set-Cookie" not in seen.headers


def test_whoever_has_a_key_that_does_not_work_is_told(last: int) -> None:
    answer = Caller("hsa_not-a-key").get("/credits/seals")

    problem(answer, 401, "authentication_failed")
    assert answer.headers["Cache-Control"] == "private, no-cache"


@pytest.mark.parametrize(
    ("query", "pointer", "code"),
    [
        ({"limit": "0"}, "?limit", "min_value"),
        ({"limit": "101"}, "?limit", "max_value"),
        ({"first": "0"}, "?first", "min_value"),
        ({"last": str(10**15 + 1)}, "?last", "max_value"),
        ({"first": "x"}, "?first", "invalid"),
        ({"ordering": "hash"}, "?ordering", "invalid_choice"),
        ({"colour": "red"}, "?colour", "unknown_field"),
    ],
)
def test_a_query_that_is_not_valid_names_its_parameter(
    query: dict[str, str], pointer: str, code: str
) -> None:
    invalid(a_visitor().get("/credits/seals", **query), pointer, code)


@pytest.mark.parametrize("value", ["x", 1.5, None, True, 2**63, [1]])
def test_a_cursor_of_ones_own_making_is_refused(value: object) -> None:
    cursor = base64.urlsafe_b64encode(json.dumps([value]).encode()).decode()

    problem(a_visitor().get("/credits/seals", cursor=cursor), 400, "invalid_cursor")


# --- Whose proof it is ----------------------------------------------------------------------------


def test_lines_of_the_wallet_and_of_earnings_have_ids_and_proofs_of_their_own() -> None:
    author, user = somebody(), somebody()
    skill = a_skill(author.participant)
    ok(user.post(f"/assets/{skill.asset.reference}/use", {"max_charge": "0.1"}))
    clock.advance(timedelta(days=8))
    release_due_earnings()  # one posting with a line in each
    seal_everything()

    released, grant = ok(author.get("/credits/statement"))["results"]
    given, earned = ok(author.get("/credits/statement", account="pending"))["results"]
    leaves = {
        line["id"]: json.loads(ok(author.get(f"/credits/statement/{line['id']}/proof"))["leaf"])
        for line in (released, grant, given, earned)
    }

    assert released["posting"] == given["posting"]
    assert len(leaves) == 4
    for line in (released, grant, given, earned):
        leaf = leaves[line["id"]]
        assert (leaf["kind"], leaf["memo"]) == (line["kind"], line["memo"])
        assert int(leaf["amount"]) == amounts.MICRO * Decimal(line["amount"])
        assert int(leaf["balance_after"]) == amounts.MICRO * Decimal(line["balance_after"])


def test_nobody_gets_a_proof_of_a_line_that_is_not_theirs() -> None:
    ada, bo, eve = somebody(), somebody(), somebody()
    ok(ada.post("/credits/transfers", {"to": bo.handle, "amount": "1"}), 201)
    line = ok(ada.get("/credits/statement"))["results"][0]["id"]
    path = f"/credits/statement/{line}/proof"
    seal_everything()

    refused = problem(eve.get(path), 404, "not_found")
    theirs = json.loads(ok(bo.get(path))["leaf"])

    assert refused["detail"] == "No such thing, or not yours to see."
    assert theirs["account"] == str(bo.participant.wallet), "the payee's own side of the posting"
    problem(a_visitor().get(path), 401, "not_authenticated")
    problem(ada.get(path.replace("entry_", "pending_entry_")), 404, "not_found")
    for wrong in (line.replace("entry_", "task_"), "nope", line[:-1], f"entry_{line}"):
        problem(ada.get(f"/credits/statement/{wrong}/proof"), 404, "wrong_id_type")


def test_an_agent_gets_proofs_of_its_operators_lines() -> None:
    person = a_person()
    agent = as_caller(an_agent_of(person))
    seal_everything()
    (line,) = ok(agent.get("/credits/statement"))["results"]

    proof = ok(agent.get(f"/credits/statement/{line['id']}/proof"))

    assert json.loads(proof["leaf"])["account"] == str(person.wallet)


def test_a_proof_takes_few_queries_and_is_for_its_reader_alone() -> None:
    ada = somebody()
    (line,) = ok(ada.get("/credits/statement"))["results"]
    seal_everything()

    with at_most_queries(9):
        answer = ada.get(f"/credits/statement/{line['id']}/proof")

    assert ok(answer)["seal"]["number"] >= 1
    assert answer.headers["Cache-Control"] == "private, no-cache"


def test_a_block_that_was_changed_is_told_and_logged(monkeypatch: pytest.MonkeyPatch) -> None:
    ada = somebody()
    (line,) = ok(ada.get("/credits/statement"))["results"]
    seal_everything()
    logged: list[dict[str, Any]] = []
    monkeypatch.setattr(
        "marketplace.api.problems.log.error", lambda *_, **facts: logged.append(facts)
    )
    monkeypatch.setattr("credits.verifier.root", lambda _hashes: b"\0" * 32)

    answer = ada.get(f"/credits/statement/{line['id']}/proof")

    told = problem(answer, 500, "seal_broken")
    assert [one["request_id"] for one in logged] == [told["request_id"]]


def test_what_is_answered_is_what_the_document_says(last: int) -> None:
    ada = Checking(somebody())
    seal_everything()
    (line,) = ada("GET", "/credits/statement")["results"]

    ada("GET", f"/credits/statement/{line['id']}/proof")
    ada("GET", f"/credits/seals?first={last}&ordering=-number")
