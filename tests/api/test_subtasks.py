"""`/tasks/{id}/subtasks`, and what tasks and deliveries say of their trees."""

from datetime import timedelta
from typing import Any

import pytest

from credits import amounts
from marketplace.delivery.verification import runs
from marketplace.foundation import clock
from marketplace.tasks.models import Mode, Source, Task
from marketplace.tasks.usecases.abandon_task import abandon_task
from marketplace.tasks.usecases.cancel_task import cancel_task
from marketplace.tasks.usecases.select_bid import select_bid
from tests.api.caller import (
    Answer,
    Caller,
    Json,
    a_visitor,
    as_caller,
    at_most_queries,
    invalid,
    nothing_changes,
    ok,
    problem,
    somebody,
)
from tests.builders.assets import a_skill, a_step, a_workflow
from tests.builders.people import a_person, an_agent, an_agent_of
from tests.builders.staff import hide
from tests.builders.trees import (
    a_task_to_split,
    accepted,
    an_entry,
    done,
    held,
    lead_of,
    now,
    split,
)
from tests.builders.work import a_bid, a_contest, a_task, an_exact_check, deliver, feeds_caught_up

pytestmark = pytest.mark.django_db

LEAST = amounts.MICRO // 100
PART = {"key": "a", "title": "Part a", "description": "A part.", "bounty": "1"}
CONTEST = {
    "mode": "contest",
    "verification": [{"name": "x", "type": "exact", "config": {"expected": 1}}],
}


def part(**said: Json) -> dict[str, Any]:
    return PART | said


def test_a_plan_becomes_subtasks_with_their_place_in_the_tree() -> None:
    task = a_task_to_split()
    lead = as_caller(lead_of(task))

    body = ok(
        lead.post(
            f"/tasks/{task.public_id}/subtasks",
            {"subtasks": [part(), part(key="b", depends_on=["a"], source="wallet", bounty="2")]},
        ),
        201,
    )

    first, second = body["subtasks"]
    assert body["available_bounty"] == "9"
    assert (first["parent"], first["root"]) == (task.public_id, task.public_id)
    assert (first["state"], second["state"]) == ("open", "blocked")
    assert second["depends_on"] == [first["id"]]
    assert (first["source"], second["source"], first["lead"]) == ("escrow", "wallet", lead.handle)
    listed = ok(lead.get("/tasks", parent=task.public_id))["results"]
    assert {one["id"] for one in listed} == {first["id"], second["id"]}
    assert ok(lead.get(f"/tasks/{task.public_id}"))["available_bounty"] == "9"


def test_a_plan_of_twenty_needs_as_many_queries_as_one_of_two() -> None:
    few, many = a_task_to_split(), a_task_to_split()

    with at_most_queries(45):
        ok(
            as_caller(lead_of(few)).post(
                f"/tasks/{few.public_id}/subtasks",
                {"subtasks": [part(key=f"k{n}", bounty="0.1") for n in range(2)]},
            ),
            201,
        )
    with at_most_queries(45):
        ok(
            as_caller(lead_of(many)).post(
                f"/tasks/{many.public_id}/subtasks",
                {"subtasks": [part(key=f"k{n}", bounty="0.1") for n in range(20)]},
            ),
            201,
        )


def test_a_repeated_plan_has_one_effect() -> None:
    task = a_task_to_split()
    lead, plan = as_caller(lead_of(task)), {"subtasks": [part()]}

    first = lead.post(f"/tasks/{task.public_id}/subtasks", plan, once="plan-1")
    again = lead.post(f"/tasks/{task.public_id}/subtasks", plan, once="plan-1")

    assert (first.content, again["Idempotent-Replayed"]) == (again.content, "true")
    assert Task.objects.filter(parent=task).count() == 1


BAD_PLANS: list[tuple[list[dict[str, Any]], str, str]] = [
    ([], "/subtasks", "required"),
    ([part(bounty="0")], "/subtasks/0/bounty", "out_of_bounds"),
    ([part(bounty="0.1234567")], "/subtasks/0/bounty", "too_many_places"),
    ([part(), part(key="b", bounty=0.5)], "/subtasks/1/bounty", "fractional_number"),
    ([part(), part()], "/subtasks/1/key", "duplicate"),
    ([part(key="Not a key")], "/subtasks/0/key", "invalid"),
    ([part(depends_on=["a"])], "/subtasks/0/depends_on/0", "self_dependency"),
    ([part(depends_on=["z"])], "/subtasks/0/depends_on/0", "unknown_key"),
    ([part(key="b", depends_on=["a", "a"]), part()], "/subtasks/0/depends_on/1", "duplicate"),
    ([part(depends_on=["b"]), part(key="b", depends_on=["a"])], "/subtasks/0/depends_on", "cycle"),
    (
        [part(mode="direct", assignee="nobody-has-this")],
        "/subtasks/0/assignee",
        "unknown_participant",
    ),
    ([part(mode="direct")], "/subtasks/0/assignee", "required"),
    (
        [part(), part(key="b", depends_on=["a"], mode="contest", verification=[an_exact_check()])],
        "/subtasks/1/depends_on",
        "wrong_mode",
    ),
    ([part(deadline="2020-01-01T00:00:00Z")], "/subtasks/0/deadline", "out_of_bounds"),
    (
        [part(verification=[{"name": "x", "type": "magic"}])],
        "/subtasks/0/verification/0/type",
        "unknown_check_type",
    ),
    (
        [part(), part(key="b", **CONTEST, runner_up_share="0.2")],
        "/subtasks/1/runner_up_share",
        "paid_from_escrow",
    ),
    ([part(nonsense=1)], "/subtasks/0/nonsense", "unknown_field"),
    ([part(source="friend")], "/subtasks/0/source", "invalid_choice"),
    ([part(key=f"k{n}", bounty="0.1") for n in range(21)], "/subtasks", "max_length"),
]


@pytest.mark.parametrize(
    ("plan", "pointer", "code"), BAD_PLANS, ids=[f"{where} {code}" for _, where, code in BAD_PLANS]
)
def test_what_is_wrong_with_a_plan_is_said_with_its_place(
    plan: list[dict[str, Any]], pointer: str, code: str
) -> None:
    task = a_task_to_split()
    lead = as_caller(lead_of(task))

    with nothing_changes():
        answer = lead.post(f"/tasks/{task.public_id}/subtasks", {"subtasks": plan})

    invalid(answer, pointer, code)


def test_a_deadline_has_to_fit_into_the_parents() -> None:
    task = a_task_to_split(deadline=clock.now() + timedelta(days=10))
    latest = task.deadline - timedelta(hours=48 + 72)
    late = (latest + timedelta(seconds=1)).isoformat()
    lead = as_caller(lead_of(task))

    with nothing_changes():
        answer = lead.post(f"/tasks/{task.public_id}/subtasks", {"subtasks": [part(deadline=late)]})
    (by_default,) = split(task)

    invalid(answer, "/subtasks/0/deadline", "after_parent")
    assert by_default.deadline == latest


def test_budgets_over_the_grant_point_at_the_first_that_passes_it() -> None:
    task = a_task_to_split(delegation_bps=2000)
    lead = as_caller(lead_of(task))

    with nothing_changes():
        answer = lead.post(
            f"/tasks/{task.public_id}/subtasks",
            {"subtasks": [part(bounty="1.5"), part(key="b", bounty="0.6"), part(key="c")]},
        )

    body = problem(answer, 409, "escrow_exhausted")
    assert (body["required"], body["available"], body["limit"]) == ("3.1", "2", "2")
    assert body["errors"][0]["pointer"] == "/subtasks/1/bounty"


def test_budgets_over_the_leads_wallet_point_at_the_first_that_passes_it() -> None:
    task = a_task_to_split()
    lead = as_caller(lead_of(task))

    with nothing_changes():
        answer = lead.post(
            f"/tasks/{task.public_id}/subtasks",
            {
                "subtasks": [
                    part(source="wallet", bounty="60"),
                    part(key="b", source="wallet", bounty="60"),
                ]
            },
        )

    body = problem(answer, 402, "insufficient_credits")
    assert body["errors"][0]["pointer"] == "/subtasks/1/bounty"


def test_only_its_worker_splits_a_task() -> None:
    task, stranger = a_task_to_split(), somebody()
    plan = {"subtasks": [part()]}

    poster = as_caller(task.poster)
    for caller in (stranger, poster):
        with nothing_changes():
            answer = caller.post(f"/tasks/{task.public_id}/subtasks", plan)
        problem(answer, 403, "not_permitted")
    problem(
        stranger.post("/tasks/task_01h455vb4pex5vsknk084sn02q/subtasks", plan), 404, "not_found"
    )


def test_a_task_has_no_more_subtasks_than_it_may() -> None:
    task = a_task_to_split()
    split(task, *(an_entry(f"k{n}", bounty=LEAST) for n in range(19)))
    lead = as_caller(lead_of(task))

    with nothing_changes():
        answer = lead.post(
            f"/tasks/{task.public_id}/subtasks", {"subtasks": [part(), part(key="b")]}
        )

    invalid(answer, "/subtasks/1", "too_many_subtasks")


def test_nothing_of_a_strangers_plan_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    task, hidden = a_task_to_split(), a_task_to_split()
    hide(hidden)
    workflow = a_workflow(a_step("first", share="1"))
    automatic = part(acceptance="automatic", verification=[an_exact_check()])
    plans: list[Json] = [
        {"subtasks": [automatic] * 20},
        {"workflow": workflow.reference, "budget": "4"},
        {"subtasks": "what is wrong with it is not said either"},
    ]
    tried: list[object] = []
    monkeypatch.setattr(runs, "can_decide", tried.append)
    stranger, poster, former = somebody(), as_caller(task.poster), as_caller(lead_of(task))

    for plan in plans:
        for caller in (stranger, poster):
            with at_most_queries(6):
                answer = caller.post(f"/tasks/{task.public_id}/subtasks", plan)
            problem(answer, 403, "not_permitted")
        problem(stranger.post(f"/tasks/{hidden.public_id}/subtasks", plan), 404, "not_found")
    abandon_task(task_id=task.pk, actor=lead_of(task))
    for plan in plans:
        answer = former.post(f"/tasks/{task.public_id}/subtasks", plan)
        assert answer.status_code in (403, 409)

    assert tried == []


def test_a_plan_that_was_carried_out_is_answered_as_before_when_its_lead_is_gone() -> None:
    task = a_task_to_split()
    lead, plan = as_caller(lead_of(task)), {"subtasks": [part()]}
    first = lead.post(f"/tasks/{task.public_id}/subtasks", plan, once="plan-2")
    abandon_task(task_id=task.pk, actor=lead_of(task))

    again = lead.post(f"/tasks/{task.public_id}/subtasks", plan, once="plan-2")

    assert (ok(first, 201), again["Idempotent-Replayed"]) == (ok(again, 201), "true")


@pytest.mark.parametrize("state", ["open", "contest", "submitted", "accepted", "cancelled"])
def test_a_task_that_nobody_holds_is_not_split(state: str) -> None:
    held_task = a_task_to_split()
    lead = as_caller(lead_of(held_task))
    task = held_task
    match state:
        case "open":
            abandon_task(task_id=task.pk, actor=lead_of(task))
        case "contest":
            task = a_contest(lead.participant)
        case "submitted":
            deliver(task)
        case "accepted":
            accepted(task)
        case "cancelled":
            cancel_task(task_id=task.pk, actor=task.poster, at_once=True)

    with nothing_changes():
        answer = lead.post(f"/tasks/{task.public_id}/subtasks", {"subtasks": [part()]})

    assert answer.status_code in (403, 409), answer.content


@pytest.mark.parametrize("who", ["the poster", "an agent of the poster", "an agent of the lead"])
def test_nobody_above_is_hired(who: str) -> None:
    poster, lead = a_person(), a_person()
    task = a_task_to_split(poster, lead)
    hired = {
        "the poster": poster,
        "an agent of the poster": an_agent_of(poster),
        "an agent of the lead": an_agent_of(lead),
    }[who]
    leading = as_caller(lead)

    with nothing_changes():
        answer = leading.post(
            f"/tasks/{task.public_id}/subtasks",
            {"subtasks": [part(mode="direct", assignee=hired.handle)]},
        )
    (open_part,) = split(task)
    claimed = as_caller(hired).post(f"/tasks/{open_part.public_id}/claim")

    invalid(answer, "/subtasks/0/assignee", "own_operator" if "lead" in who else "barred")
    problem(claimed, 403, "own_task")


def test_a_dependency_stays_among_siblings() -> None:
    task, other = a_task_to_split(), a_task_to_split()
    (elsewhere,) = split(other)
    strange, lead = a_task(), as_caller(lead_of(task))

    for name in (elsewhere.public_id, strange.public_id, task.public_id):
        with nothing_changes():
            answer = lead.post(
                f"/tasks/{task.public_id}/subtasks", {"subtasks": [part(depends_on=[name])]}
            )
        invalid(answer, "/subtasks/0/depends_on/0", "unknown_key")


def test_more_can_be_planned_later_and_depend_on_what_stands() -> None:
    task = a_task_to_split()
    (first,) = split(task)

    body = ok(
        as_caller(lead_of(task)).post(
            f"/tasks/{task.public_id}/subtasks",
            {
                "subtasks": [
                    part(key="b", depends_on=["a"]),
                    part(key="c", depends_on=[first.public_id, "b"]),
                ]
            },
        ),
        201,
    )

    assert [one["state"] for one in body["subtasks"]] == ["blocked", "blocked"]
    assert len(body["subtasks"][1]["depends_on"]) == 2


def test_a_blocked_subtask_opens_by_itself_and_receives_what_it_waited_for() -> None:
    task, worker = a_task_to_split(), an_agent()
    first, second = split(task, an_entry("a"), an_entry("b", depends_on=("a",)))

    done(first)

    took = as_caller(lead_of(held(now(second), worker)))
    body = ok(took.get(f"/tasks/{second.public_id}"))
    assert body["state"] == "claimed"
    (received,) = body["inputs"]
    assert received["task"] == first.public_id
    delivered = ok(took.get(f"/deliveries/{received['delivery']}"))
    assert delivered["result"] == {"totals": {"rows": 300}}
    stranger = ok(somebody().get(f"/tasks/{second.public_id}"))
    assert stranger["inputs"][0]["delivery"] is None


def test_a_failed_predecessor_takes_what_waits_for_it_along_and_tells_the_lead() -> None:
    task = a_task_to_split()
    lead = as_caller(lead_of(task))
    first, second, third = split(
        task,
        an_entry("a"),
        an_entry("b", depends_on=("a",)),
        an_entry("c", depends_on=("b",)),
    )

    ok(lead.post(f"/tasks/{first.public_id}/cancel"))

    assert {now(one).state for one in (second, third)} == {"cancelled"}
    feeds_caught_up()
    told = [
        event
        for event in ok(lead.get("/events", limit=100))["results"]
        if event["data"].get("because") == "predecessor_failed"
    ]
    assert {event["subject"]["id"] for event in told} == {second.public_id, third.public_id}
    assert ok(lead.get(f"/tasks/{task.public_id}"))["available_bounty"] == "10"


def test_a_parent_waits_for_its_subtasks_and_its_delivery_lists_them() -> None:
    task = a_task_to_split()
    (first,) = split(task)
    lead, poster = as_caller(lead_of(task)), as_caller(task.poster)

    early = lead.post(f"/tasks/{task.public_id}/deliveries", {"summary": "Done."})
    done(first)
    delivery = ok(lead.post(f"/tasks/{task.public_id}/deliveries", {"summary": "Done."}), 201)

    problem(early, 409, "subtasks_unsettled")
    (listed,) = ok(poster.get(f"/deliveries/{delivery['id']}"))["subtasks"]
    assert (listed["task"], listed["key"], listed["bounty"]) == (first.public_id, "a", "1")
    assert ok(poster.get(f"/deliveries/{listed['delivery']}"))["summary"] == "Done."


def test_the_poster_sees_what_a_leads_wallet_paid_when_the_whole_is_accepted() -> None:
    task = a_task_to_split()
    (first,) = split(task, an_entry(source=Source.WALLET))
    done(first)
    poster = as_caller(task.poster)
    delivery = first.deliveries.get()

    before = poster.get(f"/deliveries/{delivery.public_id}")
    accepted(now(task))

    problem(before, 404, "not_found")
    ok(poster.get(f"/deliveries/{delivery.public_id}"))


def test_the_next_worker_receives_what_the_escrow_paid() -> None:
    task, next_lead = a_task_to_split(), an_agent()
    first, own = split(task, an_entry("a"), an_entry("b", source=Source.WALLET))
    done(first)
    done(own)
    abandon_task(task_id=task.pk, actor=lead_of(task))

    lead = as_caller(lead_of(held(now(task), next_lead)))

    (received,) = ok(lead.get(f"/tasks/{task.public_id}"))["inputs"]
    assert received["task"] == first.public_id
    ok(lead.get(f"/deliveries/{received['delivery']}"))
    problem(lead.get(f"/deliveries/{own.deliveries.get().public_id}"), 404, "not_found")


def test_a_part_that_staff_hide_keeps_its_place_among_inputs_without_its_words() -> None:
    task, worker = a_task_to_split(), an_agent()
    part, follower = split(task, an_entry("a"), an_entry("b", depends_on=("a",)))
    done(part)
    held(now(follower), worker)
    hide(part)
    words = {"key": "", "title": "", "hidden": True, "worker": None}

    def shown(caller: Caller) -> dict[str, Any]:
        (one,) = ok(caller.get(f"/tasks/{follower.public_id}"))["inputs"]
        return dict(one)

    for caller in (somebody(), a_visitor()):
        assert shown(caller).items() >= (words | {"delivery": None}).items()
    # Whoever builds on it receives what was delivered all the same.
    building = shown(as_caller(worker))
    assert building.items() >= words.items()
    ok(as_caller(worker).get(f"/deliveries/{building['delivery']}"))
    for caller in (as_caller(task.poster), as_caller(lead_of(task))):
        assert (shown(caller)["title"], shown(caller)["hidden"]) == ("Part a", False)


def test_a_delivery_does_not_tell_the_words_of_a_part_that_staff_hide() -> None:
    task = a_task_to_split()
    part, own = split(task, an_entry("a"), an_entry("b", source=Source.WALLET))
    done(part)
    done(own)
    delivery = deliver(now(task))
    hide(part)
    hide(own)

    told = {
        caller.handle: [
            (one["key"], one["title"], one["hidden"])
            for one in ok(caller.get(f"/deliveries/{delivery.public_id}"))["subtasks"]
        ]
        for caller in (as_caller(lead_of(task)), as_caller(task.poster))
    }

    first, second, blank = ("a", "Part a", False), ("b", "Part b", False), ("", "", True)
    assert told == {lead_of(task).handle: [first, second], task.poster.handle: [first, blank]}


def test_whose_money_pays_a_part_sees_it_when_staff_hide_it() -> None:
    operator = a_person()
    poster = an_agent_of(operator)
    task = a_task_to_split(poster)
    part, own = split(task, an_entry("a"), an_entry("b", source=Source.WALLET))
    hide(part)
    hide(own)

    for payer in (as_caller(poster), as_caller(operator)):
        ok(payer.get(f"/tasks/{part.public_id}"))
        ok(payer.get(f"/tasks/{part.public_id}/settlement"))
        problem(payer.get(f"/tasks/{own.public_id}"), 404, "not_found")
    problem(somebody().get(f"/tasks/{part.public_id}"), 404, "not_found")


def test_a_bid_without_an_amount_asks_for_what_is_left_of_the_bounty() -> None:
    poster, bidder = a_person(), somebody()
    task = a_task(poster, mode=Mode.BID, delegation_bps=10_000)
    first = a_bid(task, amount=8 * amounts.MICRO)
    select_bid(bid_id=first.pk, actor=poster)
    split(held(task, first.bidder), an_entry(bounty=3 * amounts.MICRO))
    abandon_task(task_id=task.pk, actor=first.bidder)
    terms = ok(bidder.get(f"/tasks/{task.public_id}"))

    bid = ok(
        bidder.post(
            f"/tasks/{task.public_id}/bids",
            {"proposal": "So.", "terms_version": terms["terms_version"]},
        ),
        201,
    )

    assert (bid["amount"], terms["available_bounty"], terms["bounty"]) == ("7", "7", "10")


def test_a_subtask_may_have_checks_and_be_split_again() -> None:
    task = a_task_to_split(deadline=clock.now() + timedelta(days=60))
    (first,) = split(
        task,
        an_entry(bounty=4 * amounts.MICRO, verification=[an_exact_check()], delegation_bps=5000),
    )
    lead = held(now(first))

    (deeper,) = split(lead, an_entry(bounty=2 * amounts.MICRO))

    assert (deeper.depth, deeper.funding_root, deeper.funder) == (2, task.pk, task.poster)
    limit = ok(as_caller(lead_of(lead)).get(f"/tasks/{first.public_id}"))
    assert (limit["delegation_limit"], limit["available_bounty"]) == ("0.5", "2")


def test_a_tree_is_no_deeper_than_it_may_be() -> None:
    task = a_task_to_split(deadline=clock.now() + timedelta(days=60))
    for _ in range(4):
        (deeper,) = split(task, an_entry(delegation_bps=10_000))
        task = held(now(deeper))

    answer = as_caller(lead_of(task)).post(
        f"/tasks/{task.public_id}/subtasks", {"subtasks": [part(bounty="0.1")]}
    )

    problem(answer, 409, "too_deep")


def test_a_workflow_becomes_a_plan_whose_steps_share_the_budget() -> None:
    workflow = a_workflow(
        a_step("first", share="0.25"), a_step("then", share="0.75", depends_on=["first"])
    )
    task = a_task_to_split()
    lead = as_caller(lead_of(task))

    body = ok(
        lead.post(
            f"/tasks/{task.public_id}/subtasks", {"workflow": workflow.reference, "budget": "4"}
        ),
        201,
    )

    made = [(one["key"], one["bounty"], one["state"]) for one in body["subtasks"]]
    assert made == [("first", "1", "open"), ("then", "3", "blocked")]


def test_a_second_is_paid_by_the_leads_wallet_alone() -> None:
    workflow = a_workflow(a_step("best", share="1", **CONTEST, runner_up_share="0.2"))
    task = a_task_to_split()
    lead, steps = as_caller(lead_of(task)), {"workflow": workflow.reference, "budget": "4"}
    path = f"/tasks/{task.public_id}/subtasks"

    with nothing_changes():
        invalid(lead.post(path, steps), "/subtasks/0/runner_up_share", "paid_from_escrow")
    body = ok(lead.post(path, steps | {"source": "wallet"}), 201)

    assert body["subtasks"][0]["runner_up_share"] == "0.2"


def test_a_lead_who_may_not_read_a_workflow_plans_nothing_by_it() -> None:
    workflow = a_workflow(a_step("first", share="1"), price=amounts.MICRO)
    task = a_task_to_split()
    lead = as_caller(lead_of(task))
    skill = a_skill(price=0)

    def plan(reference: str) -> Answer:
        return lead.post(
            f"/tasks/{task.public_id}/subtasks", {"workflow": reference, "budget": "4"}
        )

    with nothing_changes():
        problem(plan(workflow.reference), 403, "files_not_used")
        invalid(plan(skill.reference), "/workflow", "not_a_workflow")
        problem(plan("nobody/nothing@1.0.0"), 404, "unknown_asset")


@pytest.mark.parametrize(
    ("body", "pointer", "code"),
    [
        ({}, "/subtasks", "required"),
        ({"subtasks": [PART], "workflow": "a1/b@1.0.0", "budget": "1"}, "/subtasks", "required"),
        ({"workflow": "a1/b@1.0.0"}, "/budget", "required"),
        ({"subtasks": [PART], "budget": "1"}, "/budget", "without_workflow"),
        ({"workflow": "nonsense", "budget": "1"}, "/workflow", "invalid"),
    ],
)
def test_a_plan_is_either_subtasks_or_a_workflow(
    body: dict[str, Any], pointer: str, code: str
) -> None:
    task = a_task_to_split()
    lead = as_caller(lead_of(task))

    with nothing_changes():
        answer = lead.post(f"/tasks/{task.public_id}/subtasks", body)

    invalid(answer, pointer, code)
