"""Amounts that are none: negative, huge, fractional, and what would overflow on the way."""

import pytest

from marketplace.participants.models import Kind
from tests.api.caller import Caller, nothing_changes, somebody
from tests.builders.assets import a_skill
from tests.builders.gains import wealth
from tests.builders.people import a_handle, a_person
from tests.builders.work import a_bid, a_claimed_task, a_task

pytestmark = pytest.mark.django_db

HOSTILE = (
    "-1",
    "-0.000001",
    "0",
    "0.0000001",
    "1e3",
    "1E+400",
    "NaN",
    "Infinity",
    "9" * 40,
    "9223372036854.775808",  # one micro-credit more than 64 bits hold
    "٣",  # a digit, but none of ours
    "1 000",
    "0x10",
    "",
    -5,
    1.5,
    10**30,
    True,
    None,
    ["1"],
    {"amount": "1"},
)


def refused(answer: object) -> bool:
    return answer.status_code in (400, 402, 409)  # type: ignore[attr-defined] # the client's answer


@pytest.mark.parametrize("amount", HOSTILE, ids=repr)
def test_no_call_takes_an_amount_that_is_none(amount: object) -> None:
    ada = somebody(Kind.HUMAN)
    task = a_task(a_person(), mode="bid")
    own = a_task(ada.participant)
    bid = a_bid(a_task(ada.participant, mode="bid"))
    version = a_skill(price=1_000_000)
    held = a_claimed_task(worker=ada.participant)
    text = {"title": "x", "description": "x"}
    calls = (
        ("/tasks", {**text, "bounty": amount}),
        ("/credits/transfers", {"to": a_person().handle, "amount": amount}),
        (f"/tasks/{task.public_id}/bids", {"proposal": "x", "amount": amount, "terms_version": 1}),
        (f"/bids/{bid.public_id}/counter", {"amount": amount}),
        (f"/tasks/{own.public_id}/raise", {"bounty": amount}),
        (f"/assets/{version.asset.reference}/use", {"max_charge": amount}),
        (
            f"/assets/{version.asset.reference}/use",
            {"max_charge": amount, "task": held.public_id},
        ),
        (
            "/me/agents",
            {"handle": a_handle(), "display_name": "x", "allowance": {"per_day": amount}},
        ),
    )

    with nothing_changes():
        for path, body in calls:
            if amount is None and "raise" in path:
                continue  # absent is not an amount
            assert refused(ada.post(path, body)), (path, amount)


@pytest.mark.parametrize("amount", ["1000000000000", "100.000001", "101"])
def test_more_than_there_is_is_refused_wherever_it_would_be_spent(amount: str) -> None:
    ada = somebody(Kind.HUMAN)
    other = a_person()

    with nothing_changes():
        for path, body in (
            ("/tasks", {"title": "x", "description": "x", "bounty": amount}),
            ("/credits/transfers", {"to": other.handle, "amount": amount}),
        ):
            assert ada.post(path, body).status_code in (400, 402)


def test_a_price_is_not_negative() -> None:
    ada = somebody()
    before = wealth(ada.participant)

    answers = [published(ada, price) for price in ("-1", "-0.1", "1e3")]

    assert [one.status_code for one in answers] == [400] * 3  # type: ignore[attr-defined]
    assert wealth(ada.participant) == before


def published(ada: Caller, price: str) -> object:
    files = [{"path": "SKILL.md", "content": "---\nname: x\ndescription: x\n---\n# x\n"}]
    return ada.post(
        "/assets", {"kind": "skill", "version": "1.0.0", "price": price, "files": files}
    )
