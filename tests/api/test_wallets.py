"""Credits: the wallet, its statement, and transfers."""

import csv
import io
from datetime import timedelta

import pytest

from credits import amounts
from marketplace.foundation import clock
from tests.api.caller import (
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
