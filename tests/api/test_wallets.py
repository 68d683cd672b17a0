"""Credits: the wallet, its statement, and transfers."""

import csv
import io
import re
from datetime import timedelta

import pytest

from credits import amounts
from marketplace.foundation import clock
from tests.api.caller import (
    BASE,
    a_visitor,
    as_caller,
    content,
    invalid,
    nothing_changes,
    ok,
    problem,
    somebody,
)
from tests.builders.assets import a_skill
from tests.builders.people import a_person, an_agent_of
from tests.builders.work import a_task, an_accepted_delivery

pytestmark = pytest.mark.django_db


def test_a_transfer_pays_and_stands_in_both_statements() -> None:
    ada, bo = somebody(), somebody()

    paid = ok(
        ada.post("/credits/transfers", {"to": bo.handle, "amount": "2.5", "memo": "Lunch"}), 201
    )

    assert paid["posting"].startswith("posting_")
    assert (paid["to"], paid["amount"], paid["memo"]) == (bo.handle, "2.5", "Lunch")
    for caller, amount, balance in ((ada, "-2.5", "97.5"), (bo, "2.5", "102.5")):
        line = ok(caller.get("/credits/statement"))["results"][0]
        assert line.keys() == {
            "id",
            "posting",
            "kind",
            "amount",
            "balance_after",
            "subject",
            "memo",
            "created_at",
        }
        assert (line["amount"], line["balance_after"]) == (amount, balance)
        assert (line["kind"], line["memo"]) == ("transfer", "Lunch")
        assert line["posting"] == paid["posting"]
        assert line["subject"] == {"type": "participant", "id": bo.handle}


@pytest.mark.parametrize(
    ("to", "amount", "status", "code"),
    [
        ("nobody-has-this", "1", 404, "not_found"),
        ("", "1", 400, "validation_error"),
        (None, "1", 403, "transfer_refused"),
        ("bo", "101", 402, "insufficient_credits"),
    ],
    ids=["nobody", "blank", "oneself", "too much"],
)
def test_a_transfer_that_is_not_possible_is_refused(
    to: str | None, amount: str, status: int, code: str
) -> None:
    ada, bo = somebody(), somebody()
    payee = {None: ada.handle, "bo": bo.handle}.get(to, to)

    with nothing_changes():
        answer = ada.post("/credits/transfers", {"to": payee, "amount": amount})

    problem(answer, status, code)


def test_an_operated_agent_transfers_nothing() -> None:
    cy, bo = as_caller(an_agent_of(a_person())), somebody()

    with nothing_changes():
        answer = cy.post("/credits/transfers", {"to": bo.handle, "amount": "1"})

    problem(answer, 403, "transfer_refused")


def test_what_assets_earn_waits_and_is_no_part_of_the_total() -> None:
    author, user = somebody(), somebody()
    skill = a_skill(author.participant)
    ok(user.post(f"/assets/{skill.asset.reference}/use", {"max_charge": "0.1"}))

    assert ok(author.get("/credits")) == {
        "available": "100",
        "escrowed": "0",
        "total": "100",
        "pending": "0.1",
    }
    (line,) = ok(author.get("/credits/statement", account="pending"))["results"]
    assert line["amount"] == "0.1"


def test_a_statement_is_filtered_by_kind_and_time() -> None:
    ada, bo = somebody(), somebody()
    ok(ada.post("/credits/transfers", {"to": bo.handle, "amount": "1"}), 201)
    clock.advance(timedelta(hours=1))
    a_task(ada.participant)

    def kinds(**query: str) -> list[str]:
        return [line["kind"] for line in ok(ada.get("/credits/statement", **query))["results"]]

    fund, transfer, grant = ok(ada.get("/credits/statement"))["results"]
    assert kinds() == ["fund", "transfer", "grant"]
    assert kinds(kind="transfer") == ["transfer"]
    assert kinds(since=fund["created_at"]) == ["fund"]
    assert kinds(until=transfer["created_at"]) == ["grant"]
    assert kinds(since=grant["created_at"], until=fund["created_at"]) == ["transfer", "grant"]


def test_a_statement_comes_as_csv_with_the_same_lines() -> None:
    ada, bo = somebody(), somebody()
    ok(
        ada.post("/credits/transfers", {"to": bo.handle, "amount": "1", "memo": "=HYPERLINK(1)"}),
        201,
    )
    lines = ok(ada.get("/credits/statement"))["results"]

    answer = ada.get("/credits/statement", accept="text/csv")

    assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
    rows = list(csv.DictReader(io.StringIO(content(answer).decode())))
    assert rows[0]["memo"] == "'=HYPERLINK(1)", "no spreadsheet takes it for a formula"
    same = ("id", "posting", "kind", "amount", "balance_after", "created_at")
    assert [[row[name] for name in same] for row in rows] == [
        [line[name] for name in same] for line in lines
    ]


@pytest.mark.parametrize("accept", ["text/csv", "application/json"])
def test_the_next_page_is_linked_for_forms_without_room_for_a_cursor(accept: str) -> None:
    ada, bo = somebody(), somebody()
    for n in range(5):
        memo = {"to": bo.handle, "amount": "1", "memo": f"{n}"}
        ok(ada.post("/credits/transfers", memo), 201)
    path, seen = "/credits/statement?kind=transfer&limit=2", ""

    while path:
        answer = ada.client.get(f"{BASE}{path}", headers=ada.headers({"Accept": accept}))
        assert answer.status_code == 200
        seen += "".join(re.findall(r'(?:,|"memo":")(\d)[,"]', content(answer).decode()))
        link = re.fullmatch(r'<(\?[^>]+)>; rel="next"', answer.headers.get("Link", ""))
        path = f"/credits/statement{link[1]}" if link else ""

    assert seen == "43210"


def test_the_edges_of_time_are_instants_like_others() -> None:
    ada = somebody()

    def lines(**query: str) -> int:
        return len(ok(ada.get("/credits/statement", **query))["results"])

    assert lines(since="0001-01-01T00:00:00Z", until="9999-12-31T23:59:59.999999Z") == 1
    assert lines(until="0001-01-01T00:00:00Z") == lines(since="9999-12-31T23:59:59Z") == 0
    assert lines(since="2026-01-01T00:00:00+14:00") == 1
    for beyond in ("0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"):
        invalid(ada.get("/credits/statement", since=beyond), "?since", "overflow")


def test_errors_of_the_csv_are_problem_documents() -> None:
    answer = a_visitor().get("/credits/statement", accept="text/csv")

    problem(answer, 401, "not_authenticated")


def test_a_statement_shows_the_operators_wallet_to_its_agent() -> None:
    person = a_person()
    an_accepted_delivery(worker=an_agent_of(person), bounty=amounts.MICRO)

    line = ok(as_caller(person).get("/credits/statement"))["results"][0]

    assert (line["kind"], line["amount"]) == ("settle", "0.95")


def test_a_cursor_of_another_list_is_refused() -> None:
    ada = somebody()
    a_task(ada.participant)
    a_task(ada.participant)
    cursor = ok(ada.get("/tasks", limit=1))["next_cursor"]

    problem(ada.get("/credits/statement", cursor=cursor), 400, "invalid_cursor")
    invalid(ada.get("/credits/statement", since="yesterday"), "?since", "invalid")
