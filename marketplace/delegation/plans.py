"""A plan: the subtasks that a lead describes at once, and what is wrong with them.

Pure checks; `usecases.plan_subtasks` asks what depends on the task that is split.
"""

import re
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter

from marketplace.foundation import ids
from marketplace.tasks.models import Mode, Source, Task
from marketplace.tasks.states import ENDED, TaskState
from marketplace.tasks.terms import InvalidTerms, Wanted, check_bounty, check_mode

KEY = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}\Z")


@dataclass(frozen=True, slots=True)
class Entry:
    """One subtask as its lead describes it.

    Attributes:
        key: Its name among its siblings.
        wanted: What it says, as any task.
        depends_on: What it waits for: keys of the plan or of earlier siblings, or ids of these.
        source: Whose money pays it.
    """

    key: str
    wanted: Wanted
    depends_on: Sequence[str] = ()
    source: Source = Source.ESCROW


@contextmanager
def about(place: int) -> Iterator[None]:
    """Let what is wrong with one entry say which one it is.

    Raises:
        InvalidTerms: As inside, of the field `subtasks/{place}/…`.
    """
    try:
        yield
    except InvalidTerms as error:
        raise InvalidTerms(
            field=f"subtasks/{place}/{error.field}", code=error.code, detail=str(error)
        ) from error


def check_entries(entries: Sequence[Entry]) -> None:
    """Check what can be checked without knowing the task.

    Raises:
        InvalidTerms: No entries, a key twice or malformed, a bounty or mode that no task has, a
            contest that waits, a part for a second out of an escrow.
    """
    if not entries:
        raise InvalidTerms(field="subtasks", code="required", detail="Send at least one subtask.")
    seen: set[str] = set()
    for place, entry in enumerate(entries):
        with about(place):
            if not KEY.match(entry.key):
                raise InvalidTerms(
                    field="key",
                    code="invalid",
                    detail="A key has 1 to 64 of a-z, 0-9, hyphen and underscore.",
                )
            if entry.key in seen:
                raise InvalidTerms(
                    field="key", code="duplicate", detail="Another entry has this key."
                )
            seen.add(entry.key)
            check_bounty(entry.wanted.bounty)
            check_mode(entry.wanted)
            check_waiting(entry.wanted.mode, entry.depends_on)
            _check_runner_up(entry)


def check_waiting(mode: str, depends_on: Sequence[str]) -> None:
    """Check that a task of some mode may wait for others.

    Whoever enters a contest does not hold it, and so reads none of the deliveries that it would
    build on (rule 9).

    Raises:
        InvalidTerms: It may not.
    """
    if mode == Mode.CONTEST and depends_on:
        raise InvalidTerms(
            field="depends_on",
            code="wrong_mode",
            detail="A contest waits for nothing: those who enter would not be shown what it builds"
            " on. Choose another mode, or plan the contest later with the inputs in its text.",
        )


def _check_runner_up(entry: Entry) -> None:
    """Refuse a second who is paid from an escrow: whose money it is can dispute the first alone."""
    if entry.source == Source.ESCROW and entry.wanted.runner_up_bps:
        raise InvalidTerms(
            field="runner_up_share",
            code="paid_from_escrow",
            detail="A contest that is paid from an escrow pays one entry: leave the share for a"
            " second out, or let your wallet pay the subtask.",
        )


def in_order(
    entries: Sequence[Entry], siblings: Sequence[Task]
) -> list[tuple[int, list[str | uuid.UUID]]]:
    """Return the entries so that each comes after what it waits for.

    Args:
        entries: With keys that differ.
        siblings: The subtasks that the task has already.

    Returns:
        For each entry its place in the plan, and what it waits for: a key of the plan, or the id
        of a sibling.

    Raises:
        InvalidTerms: A key is taken; a dependency is unknown, on itself, named twice, part of a
            cycle, or on a sibling that has failed.
    """
    by_key = {task.key: task for task in siblings}
    places = {entry.key: place for place, entry in enumerate(entries)}
    found: list[list[str | uuid.UUID]] = []
    for place, entry in enumerate(entries):
        if entry.key in by_key:
            raise InvalidTerms(
                field=f"subtasks/{place}/key",
                code="duplicate",
                detail="An earlier subtask has this key.",
            )
        found.append(_predecessors(place, entry, places, by_key))
    waits = {
        place: [places[key] for key in keys if isinstance(key, str)]
        for place, keys in enumerate(found)
    }
    try:
        order = list(TopologicalSorter(waits).static_order())
    except CycleError as error:
        cycle = error.args[1]
        names = " → ".join(entries[place].key for place in reversed(cycle))
        raise InvalidTerms(
            field=f"subtasks/{min(cycle)}/depends_on",
            code="cycle",
            detail=f"These wait for each other: {names}.",
        ) from None
    return [(place, found[place]) for place in order]


def _predecessors(
    place: int, entry: Entry, places: Mapping[str, int], siblings: Mapping[str, Task]
) -> list[str | uuid.UUID]:
    by_id = {task.public_id: task for task in siblings.values()}
    found: list[str | uuid.UUID] = []
    for index, name in enumerate(entry.depends_on):
        where = f"subtasks/{place}/depends_on/{index}"
        if name == entry.key:
            raise InvalidTerms(
                field=where, code="self_dependency", detail="A subtask cannot wait for itself."
            )
        sibling = siblings.get(name) or by_id.get(name)
        if name not in places and sibling is None:
            raise InvalidTerms(
                field=where,
                code="unknown_key",
                detail="Name the key of another entry, or of a sibling that stands already.",
            )
        if sibling is not None and sibling.state in ENDED - {TaskState.ACCEPTED}:
            raise InvalidTerms(
                field=where,
                code="predecessor_ended",
                detail=f"It is {sibling.state}: nothing will come out of it.",
            )
        one = name if sibling is None else sibling.pk
        if one in found:
            raise InvalidTerms(field=where, code="duplicate", detail="It is named twice.")
        found.append(one)
    return found


def new_ids(parent: uuid.UUID, siblings: Sequence[Task], number: int) -> list[uuid.UUID]:
    """Return ids for new subtasks that rise, above those of the parent and of all siblings."""
    last = max([parent, *(task.pk for task in siblings)])
    made = []
    for _ in range(number):
        last = ids.new_id(after=last)
        made.append(last)
    return made
