"""`make bench-trees`: what a subtask of a plan costs, as a multiple of a task that stands alone.

Each round grows a tree of 100 subtasks down to the fourth level, by five plans of twenty, and after
every plan posts twenty tasks by `post_task`: in one process, on one durable database. Only planning
and posting are timed. Then the tree is as large and as deep as it should be, and the books are
right.
"""

import argparse
import json
import os
import statistics
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

from bench.instance import an_instance

TOGETHER = 20
LEAST = 100_000  # micro-credits, for what is not split
# The bounties of those that are split, from the root down: of the last there are two.
BOUNTIES = (13_000_000, 10_000_000, 8_000_000, 2_500_000)
LAST_LEADS = 2
IN_TIME = timedelta(days=60)  # for reviews on every level
WARM_UP = 2  # rounds


@dataclass
class Cost:
    """What some calls took.

    Attributes:
        seconds: All in all.
        calls: How many there were.
        tasks: How many tasks came out of them.
        queries: How many statements they sent.
    """

    seconds: float = 0
    calls: int = 0
    tasks: int = 0
    queries: int = 0

    @property
    def ms(self) -> float:
        """Return the milliseconds for each task."""
        return 1000 * self.seconds / self.tasks


@dataclass
class Round:
    """What one tree cost, and as many tasks that stand alone."""

    planned: Cost = field(default_factory=Cost)
    posted: Cost = field(default_factory=Cost)
    levels: Counter[int] = field(default_factory=Counter)


def main() -> None:
    """Measure, and print a table or JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=20, help="how many trees are measured")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    asked = parser.parse_args()
    with an_instance():
        figures = measure(asked.rounds)
    if asked.json:
        print(json.dumps(figures))  # noqa: T201 - what a bench is for
        return
    for name, value in figures.items():
        print(f"{name.replace('_', ' '):<28}{value!s:>16}")  # noqa: T201 - what a bench is for


def measure(rounds: int) -> dict[str, object]:
    """Return the figures; fails where a tree is not what it should be, or the books are wrong."""
    from marketplace.ops import books  # noqa: PLC0415 - Django is set up now

    counted = a_round(is_counted=True)
    for _ in range(WARM_UP):
        a_round()
    found = [a_round() for _ in range(rounds)]
    wrong = [str(finding) for finding in books.check()]
    assert not wrong, wrong
    assert all(one.levels == counted.levels for one in found)
    ratios = sorted(one.planned.ms / one.posted.ms for one in found)
    return {
        "rounds": rounds,
        "processors": os.cpu_count(),
        "subtasks": sum(counted.levels.values()),
        "by_level": " ".join(str(number) for _, number in sorted(counted.levels.items())),
        "plans": counted.planned.calls,
        "ms_per_task": _spread([one.posted.ms for one in found]),
        "ms_per_subtask": _spread([one.planned.ms for one in found]),
        "subtask_over_task": f"{statistics.median(ratios):.2f}",
        "least_and_most": f"{ratios[0]:.2f} {ratios[-1]:.2f}",
        "queries_per_task": _per(counted.posted.queries, counted.posted.tasks),
        "queries_per_plan": _per(counted.planned.queries, counted.planned.calls),
        "queries_per_subtask": _per(counted.planned.queries, counted.planned.tasks),
        "findings_of_the_audit": len(wrong),
    }


def _spread(milliseconds: list[float]) -> str:
    low, middle, high = statistics.quantiles(milliseconds, n=4)
    return f"{middle:.2f} ({low:.2f}-{high:.2f})"


def _per(queries: int, of: int) -> str:
    return f"{queries / of:.2f}".rstrip("0").rstrip(".")


def a_round(*, is_counted: bool = False) -> Round:
    """Grow a tree by plans, post as many tasks beside it, and return what both cost.

    Args:
        is_counted: Whether to count statements, which costs time; such a round is not timed.
    """
    from django.db.models import Count  # noqa: PLC0415

    from marketplace.foundation import clock  # noqa: PLC0415
    from marketplace.participants.models import Kind  # noqa: PLC0415
    from marketplace.participants.usecases.register_participant import (  # noqa: PLC0415
        register_participant,
    )
    from marketplace.tasks.models import Task  # noqa: PLC0415
    from marketplace.tasks.usecases.claim_task import claim_task  # noqa: PLC0415
    from marketplace.tasks.usecases.post_task import post_task  # noqa: PLC0415

    def somebody() -> Any:  # noqa: ANN401 - a participant
        handle = f"somebody-{uuid.uuid4().hex[:12]}"
        return register_participant(handle=handle, kind=Kind.AGENT, display_name="X").participant

    cost = Round()
    poster = somebody()
    wanted = _wanted("The whole", BOUNTIES[0])
    root = post_task(actor=poster, wanted=replace(wanted, deadline=clock.now() + IN_TIME))
    leads = [(0, root)]  # with their levels, each to be claimed and split
    while leads:
        level, task = leads.pop()
        lead = somebody()
        claim_task(task_id=task.pk, actor=lead)
        split = 0
        if level + 1 < len(BOUNTIES):
            split = LAST_LEADS if level + 2 == len(BOUNTIES) else 1
        with _measured(cost.planned, TOGETHER, is_counted=is_counted):
            parts = _plan(task, lead, split, BOUNTIES[level + 1] if split else 0)
        leads += [(level + 1, part) for part in parts[:split]]
        for number in range(TOGETHER):
            wanted = _wanted(f"Task {number}", LEAST)
            with _measured(cost.posted, 1, is_counted=is_counted):
                post_task(actor=poster, wanted=wanted)
    below = Task.objects.filter(root=root.pk, parent__isnull=False).values_list("depth")
    cost.levels.update(dict(below.annotate(Count("pk"))))
    return cost


def _plan(task: Any, lead: Any, split: int, bounty: int) -> Any:  # noqa: ANN401 - a task, its worker, tasks
    """Plan twenty subtasks, of which every second waits for the one before it.

    The first *split* wait for nothing, and have *bounty*.
    """
    from marketplace.delegation.plans import Entry  # noqa: PLC0415
    from marketplace.delegation.usecases.plan_subtasks import plan_subtasks  # noqa: PLC0415

    entries = [
        Entry(
            f"k{number}",
            _wanted(f"Part {number}", bounty if number < split else LEAST),
            depends_on=(f"k{number - 1}",) if number % 2 and number >= split else (),
        )
        for number in range(TOGETHER)
    ]
    return plan_subtasks(task_id=task.pk, actor=lead, entries=entries)


def _wanted(title: str, bounty: int) -> Any:  # noqa: ANN401 - what a task says
    from marketplace.tasks.division import BASIS_POINTS  # noqa: PLC0415
    from marketplace.tasks.terms import Wanted  # noqa: PLC0415

    said = "Measured, and so with a description of a sentence or two, as people write them."
    return Wanted(title=title, description=said, bounty=bounty, delegation_bps=BASIS_POINTS)


@contextmanager
def _measured(cost: Cost, tasks: int, *, is_counted: bool) -> Iterator[None]:
    """Add what a block takes, or sends besides the beginning and end of its transaction."""
    from django.db import connection  # noqa: PLC0415

    def count(execute: Any, sql: Any, params: Any, many: Any, context: Any) -> Any:  # noqa: ANN401 - Django's
        cost.queries += 1
        return execute(sql, params, many, context)

    cost.calls += 1
    cost.tasks += tasks
    if is_counted:
        with connection.execute_wrapper(count):
            yield
        return
    began = time.perf_counter()
    yield
    cost.seconds += time.perf_counter() - began


if __name__ == "__main__":
    main()
