"""The edges of the product's tables of states, and which of them the model's moves took."""

from collections import Counter
from collections.abc import Collection

from marketplace.disputes.states import STEPS
from marketplace.tasks.bids import BID_TRANSITIONS
from marketplace.tasks.states import TRANSITIONS, Role, TaskState, Transition
from tests.model.driver import Driver

Edge = tuple[str, str, str, str]  # verb, source, target, and whose move it is


def edge_of(row: Transition) -> Edge:
    """Return a row of the table of tasks."""
    return (row.verb, row.source.value, row.target.value, row.role.value)


def is_of_trees(row: Transition) -> bool:
    """Say whether only a task with a parent, or with subtasks, takes an edge."""
    return (
        row.role in (Role.TREE, Role.FUNDER)
        or row.source in (TaskState.BLOCKED, TaskState.CLOSING)
        or row.verb == "delegate"
    )


# The model's tasks stand alone; `tests/properties/test_tree_edges.py` takes the edges of trees.
TABLE = {edge_of(row) for row in TRANSITIONS if not is_of_trees(row)}
TABLE_OF_TREES = {edge_of(row) for row in TRANSITIONS if is_of_trees(row)}
TABLE_OF_DISPUTES = {
    (row.verb, row.source.value, row.target.value, row.part.value) for row in STEPS
}
TABLE_OF_BIDS = {
    (row.verb, row.source.value, row.target.value, row.role.value) for row in BID_TRANSITIONS
}


class Taken:
    """Which edges were taken so far, and which moves were made and refused."""

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Forget everything."""
        self.edges: Counter[Edge] = Counter()
        self.steps: Counter[Edge] = Counter()
        self.of_bids: Counter[Edge] = Counter()
        self.moves: Counter[str] = Counter()

    def add(self, driver: Driver) -> None:
        """Add what a driver's moves took."""
        self.edges += driver.model.edges
        self.steps += driver.model.steps
        self.of_bids += driver.model.bid_edges
        self.moves += driver.moves

    def all(self) -> set[Edge]:
        """Return every edge that was taken; those of the three tables have different names."""
        return self.edges.keys() | self.steps.keys() | self.of_bids.keys()

    @staticmethod
    def untaken(by: Collection[Edge]) -> set[Edge]:
        """Return the edges of the tables that are not among *by*."""
        return (TABLE | TABLE_OF_DISPUTES | TABLE_OF_BIDS) - set(by)

    def illegal(self) -> set[Edge]:
        """Return edges that were taken and that no table has."""
        return (
            (self.edges.keys() - TABLE)
            | (self.steps.keys() - TABLE_OF_DISPUTES)
            | (self.of_bids.keys() - TABLE_OF_BIDS)
        )

    def told(self) -> str:
        """Return the figures in words."""
        tables = (self.edges, TABLE), (self.steps, TABLE_OF_DISPUTES), (self.of_bids, TABLE_OF_BIDS)
        edges = ", ".join(f"{len(taken)} of {len(table)}" for taken, table in tables)
        moves = sum(self.moves.values())
        return f"{moves} moves; edges of tasks, disputes and bids taken: {edges}"
