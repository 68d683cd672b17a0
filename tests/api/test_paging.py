"""Lists: by keyset, so that nothing is skipped or shown twice, and in few queries."""

import base64
import json
import uuid
from collections.abc import Callable

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from credits import amounts
from marketplace.participants.models import Kind
from tests.api.caller import Answer, Caller, a_visitor, ok, problem, somebody
from tests.builders.assets import a_skill, an_asset_name
from tests.builders.people import a_person, an_agent_of
from tests.builders.staff import a_freeze
from tests.builders.work import (
    a_claimed_task,
    a_task,
    an_accepted_delivery,
    deliver,
    everything_handled,
    feeds_caught_up,
    rejected,
)

pytestmark = pytest.mark.django_db

MOST_QUERIES = 6
AN_ID = str(uuid.UUID(int=7))

Listing = tuple[Caller, str, dict[str, str], Callable[[], object]]
"""Who lists, where, with which query, and what adds one more row."""


def tasks() -> Listing:
    ada = somebody()

    def add() -> None:
        file = {"title": "x", "description": "x", "bounty": "0.01"}
        ok(ada.post("/tasks", file), 201)

    return ada, "/tasks", {"poster": ada.handle}, add


def tasks_by_bounty() -> Listing:
    ada, _, query, add = tasks()
    return ada, "/tasks", query | {"ordering": "-bounty"}, add


def tasks_by_deadline() -> Listing:
    ada, _, query, add = tasks()
    return ada, "/tasks", query | {"ordering": "deadline"}, add


def tasks_found() -> Listing:
    word, ada = f"wombat{uuid.uuid4().hex}", somebody()
    texts = iter(range(10**6))

    def add() -> None:
        a_task(ada.participant, title=f"{word} {word * (next(texts) % 2)}", bounty=10_000)

    return ada, "/tasks", {"q": word}, add


def participants() -> Listing:
    word = f"quokka{uuid.uuid4().hex[:10]}"
    body = {"kind": "agent", "display_name": word}
    count = iter(range(10**6))

    def add() -> None:
        handle = f"{word}-{next(count)}"
        ok(a_visitor().post("/participants", body | {"handle": handle}), 201)

    return a_visitor(), "/participants", {"q": word}, add


def agents() -> Listing:
    ada = somebody(Kind.HUMAN)
    return ada, "/me/agents", {}, lambda: an_agent_of(ada.participant)


def keys() -> Listing:
    ada = somebody()
    return ada, "/me/keys", {"limit": "100"}, lambda: ok(ada.post("/me/keys", {"name": "x"}), 201)


def statement() -> Listing:
    ada, bo = somebody(), somebody()
    body = {"to": bo.handle, "amount": "0.01"}
    return ada, "/credits/statement", {}, lambda: ok(ada.post("/credits/transfers", body), 201)


def earnings() -> Listing:
    author = somebody()
    skill = a_skill(author.participant)

    def add() -> None:
        ok(somebody().post(f"/assets/{skill.asset.reference}/use", {"max_charge": "0.1"}))

    return author, "/credits/statement", {"account": "pending"}, add


def notifications() -> Listing:
    ada = somebody()

    def add() -> None:
        a_claimed_task(ada.participant, bounty=10_000)
        everything_handled()

    return ada, "/notifications", {}, add


def feed() -> Listing:
    ada = somebody()

    def add() -> None:
        a_task(ada.participant, bounty=10_000)
        feeds_caught_up()

    return ada, "/events", {}, add


def assets() -> Listing:
    owner = a_person()
    return a_visitor(), "/assets", {"owner": owner.handle}, lambda: a_skill(owner)


def assets_found() -> Listing:
    word, owner = f"numbat{uuid.uuid4().hex[:8]}", a_person()
    query = {"q": word}
    return a_visitor(), "/assets", query, lambda: a_skill(owner, name=an_asset_name(word))


def messages() -> Listing:
    ada = somebody()
    task = a_claimed_task(ada.participant)
    path = f"/tasks/{task.public_id}/messages"
    body = {"body": "x"}
    return ada, path, {}, lambda: ok(ada.post(path, body), 201)


def reports() -> Listing:
    eve = somebody()

    def add() -> None:
        body = {"subject": a_person().handle, "reason": "spam"}
        ok(eve.post("/reports", body), 201)

    return eve, "/reports", {}, add


def blocks() -> Listing:
    ada = somebody()
    path = f"/tasks/{a_task(ada.participant).public_id}/block"
    return (
        *(ada, "/me/blocks", {}),
        lambda: ok(ada.post(path, {"handle": a_person().handle})),
    )


def freezes() -> Listing:
    ada = somebody(Kind.HUMAN)
    return ada, "/me/freezes", {}, lambda: a_freeze(an_agent_of(ada.participant))


LISTS = [
    messages,
    reports,
    blocks,
    freezes,
    tasks,
    tasks_by_bounty,
    tasks_by_deadline,
    tasks_found,
    participants,
    agents,
    keys,
    statement,
    earnings,
    notifications,
    feed,
    assets,
    assets_found,
]


@pytest.mark.parametrize("listing", LISTS)
def test_a_list_takes_few_queries_whatever_the_page_size(listing: Callable[[], Listing]) -> None:
    caller, path, query, add = listing()

    def measured(rows: int) -> int:
        with CaptureQueriesContext(connection) as captured:
            page = ok(caller.get(path, **(query | {"limit": "100"})))
        assert len(page["results"]) >= rows
        return len(captured)

    for _ in range(2):
        add()
    few = measured(2)
    for _ in range(10):
        add()
    many = measured(12)

    assert few == many <= MOST_QUERIES


def test_deliveries_take_few_queries_whatever_the_page_size() -> None:
    ada = somebody()
    task = a_claimed_task(ada.participant, bounty=amounts.MICRO)
    path = f"/tasks/{task.public_id}/deliveries"
    counts = []
    for _ in range(3):
        delivery = deliver(task)
        with CaptureQueriesContext(connection) as captured:
            ok(ada.get(path))
        counts.append(len(captured))
        if len(counts) < 3:
            rejected(delivery)

    assert counts[0] == counts[2] <= MOST_QUERIES + 2  # what each brings: files, checks, ratings


KEYSETS = [one for one in LISTS if one is not feed]


@pytest.mark.parametrize("listing", KEYSETS)
def test_paging_neither_skips_nor_repeats_while_rows_arrive(
    listing: Callable[[], Listing],
) -> None:
    caller, path, query, add = listing()
    for _ in range(5):
        add()
    before = [row_id(one) for one in page_of(caller, path, query, limit=100)["results"]]
    seen: list[str] = []
    cursor = None
    while True:
        page = page_of(caller, path, query, limit=2, cursor=cursor)
        seen += [row_id(one) for one in page["results"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
        add()  # somebody writes while somebody else reads

        assert len(seen) < 50, "the reader falls behind for ever"

    assert len(seen) == len(set(seen))
    assert [one for one in seen if one in set(before)] == before


def page_of(
    caller: Caller, path: str, query: dict[str, str], *, limit: int, cursor: str | None = None
) -> Answer:
    more = {"limit": str(limit)} | ({"cursor": cursor} if cursor else {})
    return ok(caller.get(path, **(query | more)))


def row_id(row: dict[str, str]) -> str:
    return row.get("id") or row.get("asset") or row["handle"]


@pytest.mark.parametrize(
    "values",
    [
        None,
        [],
        ["x"],
        [None, None],
        [True, "x"],
        [1, 2, 3],
        {"a": 1},
        [2**63, AN_ID],
        ["yesterday", AN_ID],
        ["2026-01-01", AN_ID],
        ["\0", AN_ID],
    ],
    ids=str,
)
@pytest.mark.parametrize("ordering", ["-bounty", "deadline"])
def test_a_cursor_of_ones_own_making_is_refused(values: object, ordering: str) -> None:
    cursor = base64.urlsafe_b64encode(json.dumps(values).encode()).decode()

    answer = a_visitor().get("/tasks", ordering=ordering, cursor=cursor)

    problem(answer, 400, "invalid_cursor")


@pytest.mark.parametrize("cursor", ["x", "%%%", "\u00e4", "e30", "bnVsbA", "W10"])
@pytest.mark.parametrize("path", ["/tasks", "/assets", "/participants"])
def test_a_cursor_that_is_none_is_refused(path: str, cursor: str) -> None:
    problem(a_visitor().get(path, cursor=cursor), 400, "invalid_cursor")


def test_a_list_that_is_empty_says_so() -> None:
    page = ok(a_visitor().get("/tasks", poster="nobody-has-this"))

    assert page == {"results": [], "next_cursor": None}


def test_twenty_rows_come_unless_more_are_asked_for() -> None:
    caller, path, query, add = tasks()
    for _ in range(21):
        add()

    assert len(ok(caller.get(path, **query))["results"]) == 20
    assert len(ok(caller.get(path, **(query | {"limit": "21"})))["results"]) == 21


def test_settled_tasks_are_listed_in_as_few_queries() -> None:
    ada = somebody()
    for _ in range(3):
        an_accepted_delivery(ada.participant, bounty=amounts.MICRO)

    with CaptureQueriesContext(connection) as captured:
        ok(ada.get("/tasks", poster=ada.handle))

    assert len(captured) <= MOST_QUERIES
