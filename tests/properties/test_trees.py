"""Random lives of trees: after every move the rows agree, and at the end every credit is found.

`HANSA_TREE_EXAMPLES` says how many trees live; 4 unless it says otherwise.
"""

import os
from collections import Counter
from random import Random

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from pytest_django import DjangoDbBlocker

from marketplace.tasks.models import Task
from tests.builders.recounts import wrong_at_the_end, wrong_now
from tests.builders.tree_lives import SPANS, Life

pytestmark = pytest.mark.django_db

EXAMPLES = int(os.environ.get("HANSA_TREE_EXAMPLES", "4"))
MOVES = 45

MANY = 300  # trees, among which everything happens
# What may become of a task, and is to happen on top, in between and below.
OUTCOMES = {"accept", "reject", "abandon", "cancel", "dispute", "dispute_earnings"}
ENDS = {
    f"{place} {state}"
    for place in ("root", "node", "leaf")
    for state in ("accepted", "cancelled", "expired")
}

made: Counter[str] = Counter()
ends: Counter[str] = Counter()


def a_tree_lives(chance: Random) -> None:
    life = Life.begun(chance)
    said = [f"root {life.root}"]
    for _ in range(MOVES):
        moves = life.moves()
        if not moves:
            break
        name, move = chance.choice(moves)
        if chance.random() < 0.1:
            span = chance.choice(SPANS)
            name, move = f"wait {span}", lambda span=span: life.wait(span)  # type: ignore[misc]
        life.make(name, move)
        said.append(name)
        assert wrong_now(life.root) == [], said
    life.end()
    assert wrong_at_the_end(life.root, life.people, life.wealth) == [], said
    made.update(life.made)
    made["trees"] += 1
    tasks = Task.objects.filter(root=life.root).values_list("depth", "children", "state")
    for depth, children, state in tasks:
        made["tasks"] += 1
        ends[f"{'root' if not depth else 'node' if children else 'leaf'} {state}"] += 1


def test_every_credit_of_a_tree_is_found_whatever_anybody_does(
    own_database: None,
    django_db_blocker: DjangoDbBlocker,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with django_db_blocker.unblock():
        settings(
            max_examples=EXAMPLES,
            deadline=None,
            phases=(Phase.explicit, Phase.reuse, Phase.generate),  # shrinking takes minutes
            suppress_health_check=list(HealthCheck),
        )(given(st.randoms(use_true_random=True))(a_tree_lives))()

    with capsys.disabled():
        print(f"\n{dict(sorted((made + ends).items()))}")  # noqa: T201 - the figures of a large run
    if EXAMPLES >= MANY:
        assert OUTCOMES - made.keys() == set()
        assert ENDS - ends.keys() == set()
