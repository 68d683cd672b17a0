"""The price chain of a tree: every micro-credit of a bounty, and where it went (rule 16)."""

from random import Random

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from credits import amounts
from marketplace.delegation.price_chain import Books, Chain, Link, books_of
from marketplace.foundation.ids import new_id
from marketplace.tasks.models import Source, Task
from marketplace.tasks.usecases.abandon_task import abandon_task
from marketplace.tasks.usecases.cancel_task import cancel_task
from tests.builders.tree_lives import SPANS, Life
from tests.builders.trees import (
    a_task_to_split,
    accepted,
    an_entry,
    done,
    held,
    in_escrow,
    now,
    split,
)
from tests.builders.work import BOUNTY
from tests.delegation.books_kept import a_kept_tree

MICRO = amounts.MICRO


def a_link(bounty: int, **parts: int) -> Link:
    return Link(new_id(), None, is_paid_from_escrow=False, bounty=bounty, **parts)  # type: ignore[arg-type] # parts are amounts


def test_a_link_whose_parts_do_not_add_up_is_refused() -> None:
    with pytest.raises(AssertionError):
        a_link(10, wages=9)


def test_a_chain_that_lost_a_micro_credit_is_refused() -> None:
    with pytest.raises(AssertionError):
        Chain([a_link(10, wages=9, held=1), a_link(1, fee=1)], refund=0)


@given(st.data())
def test_every_bounty_of_any_tree_is_found_again_to_the_micro_credit(data: st.DataObject) -> None:
    kept = data.draw(a_kept_tree())

    chains = Books(kept.links()).chains

    assert {chain.links[0].task: chain.total for chain in chains} == kept.totals()


@given(st.data())
def test_what_each_subtask_took_adds_up_to_what_left_its_parents_escrow(
    data: st.DataObject,
) -> None:
    kept = data.draw(a_kept_tree())

    books = Books(kept.links())

    for link in kept.links():
        took = books.paid_to_subtasks(link.task)
        assert sum(took.values()) == link.subtasks
        assert all(amount >= 0 for amount in took.values())


@given(st.data())
def test_the_chain_below_any_task_adds_up_to_its_own_bounty(data: st.DataObject) -> None:
    kept = data.draw(a_kept_tree())

    for link in kept.links():
        below = kept.links(below=link.task)
        chain = Books(below).chains[0]
        assert sum(chain.total.values()) == chain.bounty == link.bounty


# --- As the market records it ---------------------------------------------------------------------


def total_of(task: Task) -> dict[str, int]:
    """Return the parts of a task's chain that are not zero."""
    total = books_of(task)[1].chains[0].total
    return {name: amount for name, amount in total.items() if amount}


@pytest.mark.django_db
def test_what_runs_is_held_in_escrows_wherever_they_are() -> None:
    task = a_task_to_split()
    (part,) = split(task, an_entry("a", bounty=4 * MICRO, delegation_bps=10_000))
    split(held(part), an_entry("b", bounty=3 * MICRO))

    assert total_of(task) == {"held": BOUNTY}
    assert in_escrow(task) == 6 * MICRO


@pytest.mark.django_db
def test_an_accepted_subtasks_wages_wait_and_then_are_wages() -> None:
    task = a_task_to_split()
    (part,) = split(task, an_entry(bounty=2 * MICRO))
    done(part)

    waits = total_of(task)
    accepted(now(task))

    assert waits == {"waiting": 1_900_000, "fee": 100_000, "held": 8 * MICRO}
    assert total_of(task) == {"wages": 9_500_000, "fee": 500_000}


@pytest.mark.django_db
def test_what_a_subtask_did_not_use_is_in_its_parents_escrow_and_counted_once() -> None:
    task = a_task_to_split()
    kept, dropped = split(task, an_entry("a"), an_entry("b", bounty=5 * MICRO))
    assert task.worker is not None
    cancel_task(task_id=dropped.pk, actor=task.worker)

    _, books = books_of(task)

    assert total_of(task) == {"held": BOUNTY}
    assert books.paid_to_subtasks(task.pk) == {kept.pk: MICRO, dropped.pk: 0}


@pytest.mark.django_db
def test_what_a_wallet_pays_is_a_chain_of_its_own() -> None:
    task = a_task_to_split()
    escrow, wallet = split(task, an_entry("a"), an_entry("b", source=Source.WALLET))
    done(wallet)

    own, beside = books_of(task)[1].chains

    assert [link.task for link in own.links] == [task.pk, escrow.pk]
    assert [link.task for link in beside.links] == [wallet.pk]
    assert (own.bounty, beside.bounty) == (BOUNTY, MICRO)
    assert (beside.total["wages"], beside.total["waiting"]) == (950_000, 0)


@pytest.mark.django_db
def test_a_tree_that_ends_with_its_root_is_all_paid_or_returned() -> None:
    task = a_task_to_split()
    first, _ = split(task, an_entry("a"), an_entry("b", bounty=2 * MICRO))
    done(first)
    assert task.worker is not None
    abandon_task(task_id=task.pk, actor=task.worker)
    cancel_task(task_id=task.pk, actor=task.poster)

    assert total_of(task) == {"waiting": 950_000, "fee": 50_000, "refund": 9 * MICRO}


@pytest.mark.django_db
def test_the_chain_of_a_subtask_is_that_of_its_own_bounty() -> None:
    task = a_task_to_split()
    (part,) = split(task, an_entry("a", bounty=4 * MICRO, delegation_bps=10_000))
    (below,) = split(held(part), an_entry("b", bounty=3 * MICRO))
    done(below)

    assert total_of(part) == {"waiting": 2_850_000, "fee": 150_000, "held": MICRO}


def wrong_in_the_books_of(root: Task) -> list[str]:
    """Return what the chains of a tree say that its escrows do not; they add up, or assert."""
    tasks = {task.pk: task for task in Task.objects.filter(root=root.pk)}
    wrong = []
    for task in tasks.values():
        _, books = books_of(task)
        for chain in books.chains:
            in_escrows = sum(in_escrow(tasks[link.task]) for link in chain.links)
            if chain.total["held"] != in_escrows:
                wrong.append(f"{task}: {chain.total} and {in_escrows} in escrows")
        if sum(books.paid_to_subtasks(task.pk).values()) != task.delegated:
            wrong.append(f"{task}: {books.paid_to_subtasks(task.pk)} and not {task.delegated}")
    return wrong


@pytest.mark.django_db
@settings(
    max_examples=2,
    deadline=None,
    phases=(Phase.explicit, Phase.reuse, Phase.generate),  # shrinking takes minutes
    suppress_health_check=list(HealthCheck),
)
@given(st.randoms(use_true_random=True))
def test_the_chains_of_a_tree_agree_with_its_escrows_whatever_anybody_does(chance: Random) -> None:
    life = Life.begun(chance)
    root = Task.objects.get(pk=life.root)
    for number in range(40):
        moves = life.moves()
        if not moves:
            break
        life.make(*chance.choice(moves))
        if number % 8 == 0:
            life.wait(chance.choice(SPANS))
        assert wrong_in_the_books_of(root) == [], life.made

    life.end()

    assert wrong_in_the_books_of(root) == [], life.made
