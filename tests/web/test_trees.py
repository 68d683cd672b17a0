"""The page of a tree, its drawing, and the price chain on the page of a task."""

import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from itertools import combinations

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from credits import amounts
from marketplace.delegation.trees import tree_of
from marketplace.participants.models import Participant
from marketplace.tasks.models import Source, Task
from marketplace.tasks.states import TaskState
from marketplace.tasks.usecases.cancel_task import cancel_task
from marketplace.web.trees import HEIGHT, SYMBOLS, WIDTH, Box, Drawing, draw
from tests.builders.people import a_person, an_agent
from tests.builders.staff import hide
from tests.builders.trees import ALL, a_task_to_split, an_entry, done, held, split
from tests.builders.work import a_task
from tests.web.reading import Answer, elements_of, links_of, signed_in, text_of

MICRO = amounts.MICRO

pytestmark = pytest.mark.django_db


def page_of(task: Task, reader: Participant | None = None) -> Answer:
    client = Client() if reader is None else signed_in(reader)
    return client.get(f"/tasks/{task.public_id}/tree")


def drawing_of(task: Task) -> Drawing:
    return draw(tree_of(task.pk, None))


def a_wide_tree() -> Task:
    """Return a task of three levels in which siblings wait for each other across others."""
    task = a_task_to_split()
    a, b, *_ = split(
        task,
        an_entry("a", bounty=2 * MICRO, delegation_bps=ALL),
        an_entry("b", bounty=2 * MICRO, delegation_bps=ALL),
        an_entry("c", depends_on=("a", "b")),
        an_entry("d", depends_on=("a",)),
        an_entry("e", depends_on=("c", "d"), source=Source.WALLET),
    )
    small = MICRO // 10
    for part in (a, b):
        split(
            held(part),
            an_entry("x", bounty=small),
            an_entry("y", bounty=small),
            an_entry("z", bounty=small, depends_on=("x",)),
        )
    return task


# --- The drawing ----------------------------------------------------------------------------------


def test_no_two_tasks_are_drawn_over_each_other() -> None:
    drawing = drawing_of(a_wide_tree())

    assert len(drawing.boxes) == 12
    for one, other in combinations(drawing.boxes, 2):
        assert abs(one.x - other.x) >= WIDTH or abs(one.y - other.y) >= HEIGHT
    assert max(box.right for box in drawing.boxes) <= drawing.width
    assert max(box.y + HEIGHT for box in drawing.boxes) <= drawing.height


def verticals(path: str) -> Iterator[tuple[int, int, int]]:
    """Return where a path runs up or down: how far right, from where, to where."""
    x = y = 0
    for verb, numbers in re.findall(r"([MHV])([-\d ]+)", path):
        at = [int(number) for number in numbers.split()]
        if verb == "M":
            x, y = at
        elif verb == "H":
            (x,) = at
        else:
            yield x, min(y, at[0]), max(y, at[0])
            (y,) = at


def test_lines_of_what_waits_never_run_over_each_other_or_a_task() -> None:
    drawing = drawing_of(a_wide_tree())
    lanes = [
        list(verticals(line.path))
        for line in drawing.lines
        if line.kind == "waits" and not line.is_critical
    ]

    assert len(lanes) == 6
    for one, other in combinations(lanes, 2):
        for x, top, bottom in one:
            assert all(x != at or bottom < start or end < top for at, start, end in other)
    for x, _, _ in (run for lane in lanes for run in lane):
        assert all(not box.x <= x <= box.right for box in drawing.boxes)


def test_each_task_but_the_first_is_led_to_from_its_parent() -> None:
    drawing = drawing_of(a_wide_tree())
    by_id = {box.node.task.pk: box for box in drawing.boxes}
    parts = [line.path for line in drawing.lines if line.kind == "part" and not line.is_critical]

    for box in drawing.boxes[1:]:
        parent = by_id[box.node.task.parent_id or box.node.task.pk]
        start, end = f"M{parent.right} {parent.middle}H", f" {box.middle}H{box.x}"
        assert any(path.startswith(start) and f"{end}M" in f"{path}M" for path in parts)


def test_the_steps_of_the_critical_path_are_drawn_and_lie_on_top() -> None:
    drawing = drawing_of(a_wide_tree())
    critical = [line.is_critical for line in drawing.lines]

    assert sum(critical) == sum(box.is_critical for box in drawing.boxes) - 1 >= 2
    assert critical == sorted(critical)


def test_every_state_has_a_shape_and_the_failed_ones_share_one() -> None:
    shapes = [SYMBOLS[state] for state in TaskState]

    assert len(set(shapes)) == len(shapes) - 1
    assert SYMBOLS[TaskState.CANCELLED] == SYMBOLS[TaskState.EXPIRED]


def test_a_task_that_stands_alone_is_one_box() -> None:
    drawing = drawing_of(a_task())

    assert (len(drawing.boxes), drawing.lines) == (1, [])


# --- The page -------------------------------------------------------------------------------------


def svg_of(answer: Answer) -> ET.Element:
    html = answer.content.decode()
    end = html.rindex("</svg>") + len("</svg>")
    return ET.fromstring(html[html.index("<svg") : end])  # noqa: S314 - our own page


def test_the_drawing_has_a_title_and_a_link_with_a_name_for_each_task() -> None:
    task = a_wide_tree()

    svg = svg_of(page_of(task))

    assert svg.find("title") is not None
    assert svg.find("desc") is not None
    links = svg.findall("a")
    assert len(links) == 12
    assert links[0].get("href") == f"/tasks/{task.public_id}"
    names = [str(link.get("aria-label")) for link in links]
    assert names[0] == f"{task.title}: claimed, 10 credits, on the critical path"
    assert "Part c: blocked, 1 credit, waits for 2" in " ".join(names)


def test_the_table_says_what_the_drawing_says() -> None:
    task = a_wide_tree()

    answer = page_of(task, task.poster)

    rows = re.findall(r"<tr>(.*?)</tr>", answer.content.decode(), re.DOTALL)[1:]
    said = [" ".join(re.sub(r"<[^>]+>", " ", row).split()) for row in rows]
    assert len(said) == 12
    assert said[0].startswith(f"{task.title} claimed {task.worker and task.worker.handle} 10 4 yes")
    (e,) = [row for row in said if row.startswith("Part e")]
    assert re.match("Part e e blocked nobody 1 a lead's wallet 1 (c , d|d , c) ", e)


def test_everybody_reads_who_works_on_what_staff_do_not_hide() -> None:
    task, worker = a_wide_tree(), an_agent()
    (hidden,) = split(task, an_entry("hidden"))
    held(hidden, worker)
    hide(hidden)
    assert task.worker is not None

    for reader in (task.poster, a_person(), None):
        assert task.worker.handle in text_of(page_of(task, reader))
    assert worker.handle in text_of(page_of(task, task.poster))
    assert worker.handle not in text_of(page_of(task))


def test_a_hidden_task_is_drawn_without_its_title_and_without_a_link() -> None:
    task = a_task_to_split()
    one, _ = split(task, an_entry("a", title="Buy my pills"), an_entry("b", depends_on=("a",)))
    hide(one)

    answer = page_of(task, a_person())

    assert "Buy my pills" not in answer.content.decode()
    assert "a task that staff hide" in text_of(answer)
    assert f"/tasks/{one.public_id}" not in links_of(answer)


def test_the_page_of_a_part_leads_up_to_the_whole() -> None:
    task = a_task_to_split()
    (part,) = split(task)

    assert f"/tasks/{task.public_id}/tree" in links_of(page_of(part))


def test_the_page_of_a_task_leads_to_its_tree() -> None:
    task = a_task_to_split()
    (part,) = split(task)

    for one in (task, part):
        links = links_of(Client().get(f"/tasks/{one.public_id}"))
        assert any(link.endswith("/tree") for link in links) == (one == task)
        assert f"/tasks/{task.public_id}" in links or one == task


def test_a_tree_takes_as_many_queries_for_twelve_tasks_as_for_one() -> None:
    reader = signed_in(a_person())

    def queries(task: Task) -> int:
        with CaptureQueriesContext(connection) as made:
            assert reader.get(f"/tasks/{task.public_id}/tree").status_code == 200
        return len(made)

    assert queries(a_wide_tree()) == queries(a_task()) <= 12


def test_a_drawing_has_no_style_of_its_own() -> None:
    for tag, attributes, _ in elements_of(page_of(a_wide_tree())).found:
        assert tag not in ("style", "script")
        assert not {"style", "fill", "stroke"} & attributes.keys()


# --- The price chain ------------------------------------------------------------------------------


def chain_of(task: Task, reader: Participant) -> str:
    said = text_of(signed_in(reader).get(f"/tasks/{task.public_id}"))
    return said.partition("The price chain")[2].partition("Questions and messages")[0]


def test_the_poster_reads_the_price_chain_of_the_whole_tree() -> None:
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

    said = chain_of(task, task.poster)

    headings = "Task Waits for workers Fee In escrow Subtasks Unused Bounty"
    assert headings in said
    assert "Part b 1.9 0.1 2" in said
    assert "Part c 1 1" in said
    assert "Together 1.9 0.1 8 10" in said
    assert "Out of a lead's wallet Task Workers Fee Bounty Part own 0.95 0.05 1" in said


def test_the_settlement_names_what_subtasks_have() -> None:
    task = a_task_to_split()
    split(task, an_entry("a", title="Read the scans", bounty=3 * MICRO))

    said = text_of(signed_in(task.poster).get(f"/tasks/{task.public_id}"))

    assert "Subtask: Read the scans 3 " in said


def test_a_worker_below_reads_no_price_chain_of_what_is_above() -> None:
    task, worker = a_task_to_split(), an_agent()
    (part,) = split(task)
    held(part, worker)

    assert chain_of(task, worker) == ""
    assert chain_of(part, worker) == ""


def boxes_by_key(drawing: Drawing) -> dict[str, Box]:
    return {box.node.task.key: box for box in drawing.boxes}


def test_what_waits_stands_below_what_it_waits_for() -> None:
    boxes = boxes_by_key(drawing_of(a_wide_tree()))

    assert boxes["a"].x == boxes["c"].x
    assert max(boxes["a"].y, boxes["b"].y) < boxes["c"].y < boxes["e"].y
