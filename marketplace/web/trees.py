"""The page of a tree: a drawing of a task and all below it, and a table of the same.

The drawing is SVG that the server writes, without a style or a script of its own. A column for each
level, a row for each task that begins none: a task stands beside its first subtask, so the eye
follows a branch to the right and the siblings down. What waits for what is drawn to the right of
siblings, in lanes that do not meet.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any
from uuid import UUID

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.shortcuts import render

from marketplace.delegation.trees import Node, Tree, progress_of, tree_of
from marketplace.foundation import ids
from marketplace.tasks.states import TaskState
from marketplace.web.pages import page, viewer_of

# In CSS pixels.
WIDTH, HEIGHT = 216, 46  # of a task
ROW = HEIGHT + 12
MARGIN = 4
LANE = 9  # between two lanes
TRUNK = 22  # room for the line from which those to the subtasks branch off
ASIDE = 9  # above the middle of a task's side ends what it waited for, below begins what waits
HEAD = 7  # an arrow's

# What a state looks like besides its word and its colour: strokes in a square of 14.
SYMBOLS: Mapping[str, str] = {
    TaskState.CHECKING: "M2 7h2M6 7h2M10 7h2",
    TaskState.BLOCKED: "M4.5 2v10M9.5 2v10",
    TaskState.OPEN: "M7 2a5 5 0 1 0 .1 0z",
    TaskState.OFFERED: "M7 2a5 5 0 1 0 .1 0zM7 7h.1",
    TaskState.CLAIMED: "M7 2a5 5 0 1 0 .1 0zM7 2v10M9.5 3v8",
    TaskState.SUBMITTED: "M7 1.5L12.5 7L7 12.5L1.5 7z",
    TaskState.DISPUTED: "M7 1.5L13 12.5H1zM7 6v3M7 11h.1",
    TaskState.CLOSING: "M2.5 2.5h9v9h-9z",
    TaskState.ACCEPTED: "M2 7.5L5.5 11L12 3",
    TaskState.CANCELLED: "M3 3l8 8M11 3l-8 8",
    TaskState.EXPIRED: "M3 3l8 8M11 3l-8 8",
}


@dataclass(frozen=True, slots=True)
class Box:
    """A task in the drawing.

    Attributes:
        node: The task.
        x, y: Its upper left corner.
        symbol: What its state looks like.
        is_critical: Whether the end of the whole waits for it longest.
        waits_for: What it waits for, as tables name it.
    """

    node: Node
    x: int
    y: int
    symbol: str
    is_critical: bool
    waits_for: Sequence[Node]

    @property
    def right(self) -> int:
        """Return where its right side is."""
        return self.x + WIDTH

    @property
    def middle(self) -> int:
        """Return the height at which its sides are met."""
        return self.y + HEIGHT // 2


@dataclass(frozen=True, slots=True)
class Line:
    """A line in the drawing, from one task to some.

    Attributes:
        kind: `part` leads to subtasks, `waits` to what waits for a task.
        path: Where it runs.
        heads: Where it ends in arrows.
        is_critical: Whether it is a step of the critical path.
    """

    kind: str
    path: str
    heads: str = ""
    is_critical: bool = False


@dataclass(frozen=True, slots=True)
class Drawing:
    """A tree with everything where it is drawn; the critical path lies above other lines."""

    width: int
    height: int
    boxes: Sequence[Box]
    lines: Sequence[Line]


def draw(tree: Tree) -> Drawing:
    """Lay out a tree. Complexity: linear in its tasks, and in siblings times their dependencies."""
    nodes = {node.task.pk: node for node in tree.nodes}
    rows, columns = _rows(tree), {pk: node.task.depth for pk, node in nodes.items()}
    lanes = _lanes(tree, rows)
    lefts, right = _lefts(columns, lanes)
    path = tree.critical_path
    boxes = {
        pk: Box(
            node,
            x=lefts[columns[pk]],
            y=MARGIN + rows[pk] * ROW,
            symbol=SYMBOLS[node.task.state],
            is_critical=pk in path,
            waits_for=[nodes[one] for one in node.waits_for if one in nodes],
        )
        for pk, node in nodes.items()
    }
    return Drawing(
        width=right + MARGIN,
        height=max(rows.values()) * ROW + HEIGHT + 2 * MARGIN,
        boxes=list(boxes.values()),
        lines=_lines(boxes, lanes, path),
    )


def _lines(
    boxes: Mapping[UUID, Box], lanes: Mapping[UUID, int], path: Sequence[UUID]
) -> list[Line]:
    subtasks: dict[Any, list[Box]] = {}
    followers: dict[UUID, list[Box]] = {}
    for box in boxes.values():
        subtasks.setdefault(box.node.task.parent_id, []).append(box)
        for waited in box.waits_for:
            followers.setdefault(waited.task.pk, []).append(box)
    lines = [_parts(boxes[pk], some) for pk, some in subtasks.items() if pk in boxes]
    lines += [_waits(boxes[pk], some, lanes[pk]) for pk, some in followers.items()]
    for before, after in pairwise(path):
        one, other = boxes[before], boxes[after]
        is_part = one.node.task.parent_id == after
        step = _parts(other, [one]) if is_part else _waits(one, [other], lanes[before])
        lines.append(replace(step, is_critical=True))
    return lines


def _parts(parent: Box, parts: Sequence[Box]) -> Line:
    trunk = parts[0].x - TRUNK
    ends = "".join(f"M{trunk} {part.middle}H{part.x}" for part in parts)
    return Line("part", f"M{parent.right} {parent.middle}H{trunk}V{parts[-1].middle}{ends}")


def _waits(waited: Box, followers: Sequence[Box], lane: int) -> Line:
    at = waited.right + HEAD + (lane + 1) * LANE
    ends = [follower.middle - ASIDE for follower in followers]
    start = f"M{waited.right} {waited.middle + ASIDE}H{at}V{ends[-1]}"
    return Line(
        "waits",
        start + "".join(f"M{at} {end}H{waited.right + HEAD}" for end in ends),
        "".join(f"M{waited.right} {end}l{HEAD} -4v8z" for end in ends),
    )


def _rows(tree: Tree) -> dict[UUID, int]:
    """Return the row of each task: a first subtask shares its parent's, any other begins one."""
    rows: dict[UUID, int] = {}
    row, before = -1, None
    for node in tree.nodes:
        row += before is None or node.task.parent_id != before
        rows[node.task.pk] = row
        before = node.task.pk
    return rows


def _lanes(tree: Tree, rows: Mapping[UUID, int]) -> dict[UUID, int]:
    """Return in which lane runs what waits for a task; lanes of a column never meet.

    The lane beside the tasks is 0. Short ones are nearest.
    """
    reach: dict[UUID, list[int]] = {}
    depth = {node.task.pk: node.task.depth for node in tree.nodes}
    for node in tree.nodes:
        for waited in node.waits_for:
            if waited in rows:
                span = reach.setdefault(waited, [rows[waited], rows[waited]])
                span[:] = [min(span[0], rows[node.task.pk]), max(span[1], rows[node.task.pk])]
    lanes: dict[UUID, int] = {}
    taken: dict[tuple[int, int], list[tuple[int, int]]] = {}
    for pk, (first, last) in sorted(reach.items(), key=lambda one: one[1][1] - one[1][0]):
        lane = 0
        while any(first < end and start < last for start, end in taken.get((depth[pk], lane), ())):
            lane += 1
        taken.setdefault((depth[pk], lane), []).append((first, last))
        lanes[pk] = lane
    return lanes


def _lefts(columns: Mapping[UUID, int], lanes: Mapping[UUID, int]) -> tuple[Mapping[int, int], int]:
    """Return where each column begins, and where the last ends with its lanes."""
    lefts, x, end = {}, MARGIN, 0
    for column in range(min(columns.values()), max(columns.values()) + 1):
        lefts[column] = x
        number = max((lane + 1 for pk, lane in lanes.items() if columns[pk] == column), default=0)
        end = x + WIDTH + (number * LANE + HEAD if number else 0)
        x = end + 2 * TRUNK
    return lefts, end


# What the parts of a chain are called, in the order of its columns.
COLUMNS: Mapping[str, str] = {
    "wages": "Workers",
    "waiting": "Waits for workers",
    "royalties": "Authors",
    "fee": "Fee",
    "compensation": "Compensation",
    "panel": "Panels",
    "held": "In escrow",
    "subtasks": "Subtasks",
    "refund": "Unused",
    "returned": "Taken back",
}


@dataclass(frozen=True, slots=True)
class ChainRow:
    """One task of a price chain; what is nothing is left blank."""

    task: str
    title: str
    is_linked: bool
    level: int
    amounts: Sequence[str]
    bounty: str


@dataclass(frozen=True, slots=True)
class ChainTable:
    """A price chain as a table; columns of nothing are left out."""

    caption: str
    headings: Sequence[str]
    rows: Sequence[ChainRow]
    total: Sequence[str]
    bounty: str


def title_in(tree: Tree | None, task: str) -> str:
    """Return the title of a task of a tree by its id, where the reader may see it."""
    node = _by_public_id(tree).get(task)
    return node.task.title if node is not None and node.is_seen else "a task that staff hide"


def _by_public_id(tree: Tree | None) -> Mapping[str, Node]:
    return {} if tree is None else {node.task.public_id: node for node in tree.nodes}


def chain_tables(chain: Mapping[str, Any] | None, tree: Tree | None) -> list[ChainTable]:
    """Return the price chain of a settlement, as the API has it, in tables: one for each bounty."""
    if chain is None:
        return []
    own = _chain_table(chain, tree, "Out of the bounty, in credits")
    return [
        own,
        *(_chain_table(one, tree, "Out of a lead's wallet") for one in chain["wallet_paid"]),
    ]


def _chain_table(chain: Mapping[str, Any], tree: Tree | None, caption: str) -> ChainTable:
    nodes = _by_public_id(tree)
    links = [*chain["tasks"], chain["total"]]
    shown = [name for name in COLUMNS if any(link.get(name, "0") != "0" for link in links)]

    def amounts_of(link: Mapping[str, str]) -> list[str]:
        return ["" if link.get(name, "0") == "0" else link[name] for name in shown]

    rows = []
    for link in chain["tasks"]:
        node = nodes.get(link["task"])  # none where it was planned a moment ago
        rows.append(
            ChainRow(
                task=link["task"],
                title=title_in(tree, link["task"]),
                is_linked=node is not None and node.is_seen,
                level=0 if node is None else node.task.depth,
                amounts=amounts_of(link),
                bounty=link["bounty"],
            )
        )
    headings = [COLUMNS[name] for name in shown]
    return ChainTable(caption, headings, rows, amounts_of(chain["total"]), chain["bounty"])


@page
def show(request: HttpRequest, task_id: str) -> HttpResponseBase:
    """Show a task and all below it."""
    tree = tree_of(ids.decode("task", task_id), viewer_of(request))
    drawing = draw(tree)
    by_id = {box.node.task.pk: box for box in drawing.boxes}
    context: dict[str, Any] = {
        "tree": tree,
        "task": tree.top.task,
        "drawing": drawing,
        "before": [by_id[one] for one in tree.critical_path[:-1]],
        "progress": progress_of([node.task for node in tree.nodes]),
        "width": WIDTH,
        "height": HEIGHT,
        "frame": (WIDTH - 4, HEIGHT - 4),
    }
    return render(request, "web/tree.html", context)
