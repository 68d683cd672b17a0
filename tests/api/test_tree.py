"""`GET /tasks/{id}/tree`, and the price chain in `GET /tasks/{id}/settlement`."""

from datetime import timedelta
from typing import Any

import pytest

from credits import amounts
from marketplace.api.trees import EXAMPLE
from marketplace.foundation import clock, ids
from marketplace.tasks.models import Mode, Source, Task
from marketplace.tasks.usecases.abandon_task import abandon_task
from marketplace.tasks.usecases.cancel_task import cancel_task
from marketplace.tasks.usecases.claim_task import claim_task
from marketplace.tasks.usecases.select_bid import select_bid
from tests.api.caller import (
    Caller,
    Json,
    a_visitor,
    as_caller,
    at_most_queries,
    ok,
    problem,
    somebody,
)
from tests.api.test_openapi import fits, the_document, validator
from tests.api.test_tasks import parts_of
from tests.builders.people import an_agent
from tests.builders.staff import hide, somebody_of_staff
from tests.builders.trees import ALL, a_task_to_split, an_entry, done, held, now, split
from tests.builders.work import a_bid, a_task, an_accepted_delivery, deliver

MICRO = amounts.MICRO

pytestmark = pytest.mark.django_db


def tree_of(task: Task, caller: Caller) -> Json:
    path = f"/tasks/{task.public_id}/tree"
    answer = caller.get(path)
    fits("GET", path, answer)
    return ok(answer)


def settlement_of(task: Task, caller: Caller) -> Json:
    path = f"/tasks/{task.public_id}/settlement"
    answer = caller.get(path)
    fits("GET", path, answer)
    return ok(answer)


# --- The tree -------------------------------------------------------------------------------------


def test_a_tree_says_of_each_task_where_it_stands_and_what_it_waits_for() -> None:
    task = a_task_to_split()
    first, second = split(
        task, an_entry("a", bounty=2 * MICRO), an_entry("b", bounty=3 * MICRO, depends_on=("a",))
    )
    done(first)

    tree = tree_of(task, a_visitor())

    assert tree["root"] == task.public_id
    whole, a, b = tree["tasks"]
    assert (whole["depth"], whole["parent"], whole["key"], whole["source"]) == (0, None, "", None)
    assert (whole["bounty"], whole["escrow"], whole["delegated"]) == ("10", "5", "5")
    assert (a["parent"], a["depth"], a["key"], a["state"]) == (task.public_id, 1, "a", "accepted")
    assert (a["escrow"], a["source"], a["wages_wait_until"] is None) == ("0", "escrow", False)
    assert (b["state"], b["escrow"], b["depends_on"]) == ("open", "3", [first.public_id])
    assert tree["critical_path"] == [second.public_id, task.public_id]
    assert [one["on_critical_path"] for one in tree["tasks"]] == [True, False, True]
    assert tree["progress"] == {
        "tasks": 3,
        "accepted": 1,
        "running": 2,
        "failed": 0,
        "bounty_accepted": "2",
        "share": "0.2",
    }


def test_the_example_in_the_document_is_such_a_tree() -> None:
    operation = the_document()["paths"]["/api/v1/tasks/{task_id}/tree"]["get"]
    (media,) = operation["responses"]["200"]["content"].values()

    assert list(validator(media["schema"]).iter_errors(EXAMPLE)) == []
    assert EXAMPLE in [one["value"] for one in media["examples"].values()]


def a_full_tree() -> Task:
    """Return a task with the hundred subtasks that a tree may have: 20, and 20 below four each."""
    task = a_task_to_split()
    parts = [an_entry(f"part-{n}", bounty=MICRO // 4, delegation_bps=ALL) for n in range(20)]
    for part in split(task, *parts)[:4]:
        split(
            held(part),
            an_entry("first", bounty=MICRO // 100),
            *(an_entry(f"then-{n}", bounty=MICRO // 100, depends_on=("first",)) for n in range(19)),
        )
    return task


def test_a_tree_of_a_hundred_takes_as_many_queries_as_one_of_one() -> None:
    task, alone, bo = a_full_tree(), a_task(), somebody()

    for one, size in ((task, 101), (alone, 1)):
        with at_most_queries(3):
            answer = bo.get(f"/tasks/{one.public_id}/tree")
        assert len(ok(answer)["tasks"]) == size


def test_a_tree_and_its_tasks_say_alike_who_works_and_for_how_much_to_whom_it_concerns() -> None:
    task, bidder = a_task_to_split(), an_agent()
    (part,) = split(task, an_entry(bounty=3 * MICRO, mode=Mode.BID))
    bid = a_bid(part, bidder, amount=2 * MICRO)
    assert task.worker is not None
    select_bid(bid_id=bid.pk, actor=task.worker)
    claim_task(task_id=part.pk, actor=bidder)
    public = {"worker": bidder.handle, "lead": task.worker.handle, "bounty": "3"}

    for caller in (
        as_caller(task.poster),
        as_caller(task.worker),
        as_caller(bidder),
        as_caller(somebody_of_staff()),
    ):
        shown = tree_of(task, caller)["tasks"][1]
        assert shown.items() >= (public | {"agreed_amount": "2"}).items()
    for caller in (somebody(), a_visitor()):
        alone = ok(caller.get(f"/tasks/{part.public_id}"))
        for shown in (tree_of(task, caller)["tasks"][1], alone):
            assert shown.items() >= (public | {"agreed_amount": None}).items()


def test_a_hidden_subtask_keeps_its_place_without_its_text() -> None:
    task = a_task_to_split()
    part, _ = split(task, an_entry("a"), an_entry("b", depends_on=("a",)))
    hide(part)

    _, a, b = tree_of(task, somebody())["tasks"]

    assert (a["id"], a["title"], a["key"], a["hidden"]) == (part.public_id, "", "", True)
    assert (a["lead"], a["worker"], b["lead"]) == (None, None, task.worker and task.worker.handle)
    assert (b["depends_on"], b["hidden"]) == ([part.public_id], False)


def test_a_tree_is_not_there_for_what_is_no_task() -> None:
    problem(a_visitor().get(f"/tasks/{ids.encode('task', ids.new_id())}/tree"), 404, "not_found")
    problem(a_visitor().get(f"/tasks/{ids.encode('bid', ids.new_id())}/tree"), 404, "wrong_id_type")


# --- The settlement, and its chain ----------------------------------------------------------------


def adds_up(settlement: Json) -> bool:
    """Say whether the parts of a settlement, and of every chain in it, are the bounties."""
    chain = settlement["chain"]
    groups = [] if chain is None else [chain, *chain["wallet_paid"]]
    parts = [(parts_of(settlement), settlement["bounty"])]
    parts += [(total(group["total"]), group["bounty"]) for group in groups]
    parts += [
        (total(link, besides=("task", "parent", "bounty")), link["bounty"])
        for group in groups
        for link in group["tasks"]
    ]
    return all(amounts.format(added) == bounty for added, bounty in parts)


def total(said: dict[str, Any], *, besides: tuple[str, ...] = ()) -> int:
    return sum(amounts.parse(amount) for name, amount in said.items() if name not in besides)


def test_a_projected_settlement_names_what_subtasks_have_of_the_escrow() -> None:
    task = a_task_to_split()
    kept, dropped = split(task, an_entry("a"), an_entry("b", bounty=2 * MICRO))
    assert task.worker is not None
    cancel_task(task_id=dropped.pk, actor=task.worker)

    shown = settlement_of(task, as_caller(task.poster))

    assert shown["subtasks"] == [{"task": kept.public_id, "amount": "1"}]
    assert (shown["workers"][0]["amount"], shown["fee"], shown["refund"]) == ("8.55", "0.45", "0")
    assert adds_up(shown)


def test_a_final_settlement_names_them_too_and_is_what_accepting_answers() -> None:
    task = a_task_to_split()
    (part,) = split(task, an_entry(bounty=4 * MICRO))
    done(part)
    ada = as_caller(task.poster)
    delivery = deliver(now(task))

    answered = ok(ada.post(f"/deliveries/{delivery.public_id}/accept"))

    assert answered == settlement_of(task, ada)
    assert answered["subtasks"] == [{"task": part.public_id, "amount": "4"}]
    assert adds_up(answered)
    assert answered["chain"]["total"] == {
        "wages": "9.5",
        "waiting": "0",
        "fee": "0.5",
        "royalties": "0",
        "compensation": "0",
        "panel": "0",
        "held": "0",
        "refund": "0",
    }


def test_the_chain_reaches_all_levels_and_has_beside_it_what_wallets_paid() -> None:
    task, lead = a_task_to_split(), an_agent()
    a, own = split(
        task,
        an_entry("a", bounty=4 * MICRO, delegation_bps=ALL),
        an_entry("own", source=Source.WALLET),
    )
    b, c = split(held(a, lead), an_entry("b", bounty=2 * MICRO), an_entry("c"))
    done(b)
    done(own)
    cancel_task(task_id=c.pk, actor=lead)

    shown = settlement_of(task, as_caller(task.poster))

    assert adds_up(shown)
    chain = shown["chain"]
    assert [link["task"] for link in chain["tasks"]] == [one.public_id for one in (task, a, b, c)]
    assert chain["bounty"] == "10"
    assert chain["total"] | {"waiting": "1.9", "fee": "0.1", "held": "8"} == chain["total"]
    assert chain["tasks"][3]["refund"] == "1"
    (beside,) = chain["wallet_paid"]
    assert [link["task"] for link in beside["tasks"]] == [own.public_id]
    assert (beside["bounty"], beside["total"]["wages"]) == ("1", "0.95")


def test_a_task_that_was_given_back_and_cancelled_is_found_to_the_micro_credit() -> None:
    task = a_task_to_split(bounty=3_333_333)
    first, second = split(task, an_entry("a", bounty=1_111_111), an_entry("b", bounty=777_777))
    done(first)
    assert task.worker is not None
    abandon_task(task_id=task.pk, actor=task.worker)
    cancel_task(task_id=task.pk, actor=task.poster)

    shown = settlement_of(task, as_caller(task.poster))

    assert adds_up(shown)
    assert (shown["final"], shown["refund"]) == (True, "2.222222")
    assert second.key == "b"


def test_a_task_without_subtasks_has_no_chain() -> None:
    delivery = an_accepted_delivery()

    assert settlement_of(delivery.task, as_caller(delivery.worker))["chain"] is None


def test_the_chain_is_for_those_above_and_for_the_lead() -> None:
    task = a_task_to_split(deadline=clock.now() + timedelta(days=60))
    middle, worker = an_agent(), an_agent()
    (a,) = split(task, an_entry("a", bounty=4 * MICRO, delegation_bps=ALL))
    (b,) = split(held(a, middle), an_entry("b", delegation_bps=ALL))
    (c,) = split(held(b, worker), an_entry("c", bounty=MICRO // 2))
    assert task.worker is not None
    ada, lead = as_caller(task.poster), as_caller(task.worker)
    cy, dee = as_caller(middle), as_caller(worker)

    for caller in (ada, lead, cy, dee, as_caller(somebody_of_staff())):
        shown = settlement_of(b, caller)
        assert [link["task"] for link in shown["chain"]["tasks"]] == [b.public_id, c.public_id]
        assert adds_up(shown)
    for caller in (cy, dee, somebody()):
        problem(caller.get(f"/tasks/{task.public_id}/settlement"), 404, "not_found")
    problem(dee.get(f"/tasks/{a.public_id}/settlement"), 404, "not_found")
    assert settlement_of(c, ada)["chain"] is None


def test_a_settlement_of_a_tree_takes_few_queries_whatever_its_size() -> None:
    task = a_full_tree()
    ada = as_caller(task.poster)

    with at_most_queries(7):
        shown = ok(ada.get(f"/tasks/{task.public_id}/settlement"))

    assert len(shown["chain"]["tasks"]) == 101
    assert adds_up(shown)
