"""Standing as it is counted: once, in any order, and as a recount finds it."""

import io
import json
import random
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import partial
from itertools import pairwise

import pytest
from django.core.management import CommandError, call_command
from django.db import connection, transaction
from django.db.models import F
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg import sql

from marketplace.events.models import Event
from marketplace.foundation import clock
from marketplace.foundation.ids import encode, new_id
from marketplace.participants.models import Participant
from marketplace.standing import fading, history
from marketplace.standing.figures import NOTHING, Figure, records_of, standing_of
from marketplace.standing.models import Counted, Outcome, StandingRole, Tally
from tests.builders.at_once import together
from tests.builders.people import a_person, an_agent_of
from tests.builders.work import a_claimed_task, an_accepted_delivery, everything_handled

pytestmark = pytest.mark.django_db

MICRO = 1_000_000
MOST = 20 * MICRO  # what one counterparty adds at the most


# --- Histories that never were --------------------------------------------------------------------


@dataclass(frozen=True)
class Told:
    """A row of history that a test makes up."""

    source: uuid.UUID
    about: uuid.UUID
    holder: int
    outcome: str
    counterparty: int
    value: int
    day: date


# A SELECT as sources have it; the application may make no table of its own to take them from.
TOLD = """
SELECT * FROM jsonb_to_recordset({}::jsonb) AS told (
    source uuid, about uuid, holder uuid, outcome varchar, counterparty uuid, value bigint,
    at timestamptz
)
"""


@contextmanager
def only_history(told: list[Told], people: list[Participant]) -> Iterator[None]:
    """Let these rows be all the history there is, in a transaction that comes to nothing."""
    with transaction.atomic(), connection.cursor() as cursor, pytest.MonkeyPatch.context() as patch:
        cursor.execute("DELETE FROM standing_tally")
        cursor.execute("DELETE FROM standing_counted")
        rows = [
            {
                "source": str(row.source),
                "about": str(row.about),
                "holder": str(people[row.holder].pk),
                "outcome": row.outcome,
                "counterparty": str(people[row.counterparty].operator_key),
                "value": row.value,
                "at": datetime.combine(row.day, time(12), UTC).isoformat(),
            }
            for row in told
        ]
        source = history.Source("told", TOLD.format(sql.quote(json.dumps(rows))))
        patch.setattr(history, "_sources", {"told": source})
        yield
        transaction.set_rollback(True)


def an_event_about(task: uuid.UUID) -> Event:
    return Event(subject_type="task", subject_id=encode("task", task), data={})


def stored() -> dict[tuple[uuid.UUID, str, uuid.UUID], tuple[int, int]]:
    return {
        (row.holder_id, row.outcome, row.counterparty): (row.number, int(row.points))
        for row in Tally.objects.all()
    }


PEOPLE = 6  # four of them operators of their own, two of them agents of the first
FIRST_DAY = date(2024, 1, 1)
TASKS = [new_id() for _ in range(5)]
ROWS = st.lists(
    st.tuples(
        st.integers(0, PEOPLE - 1),
        st.sampled_from(Outcome.values),
        st.integers(0, PEOPLE - 1),
        st.integers(0, 10**18),
        st.integers(0, 1000),
        st.integers(0, 4),
    ),
    max_size=25,
)


@pytest.fixture
def people() -> list[Participant]:
    operators = [a_person() for _ in range(4)]
    return [*operators, an_agent_of(operators[0]), an_agent_of(operators[0])]


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(ROWS, st.randoms(use_true_random=False))
def test_what_is_counted_as_it_happens_in_any_order_is_what_a_recount_finds(
    people: list[Participant],
    drawn: list[tuple[int, str, int, int, int, int]],
    chance: random.Random,
) -> None:
    told = [
        Told(new_id(), TASKS[task], holder, outcome, other, value, FIRST_DAY + timedelta(days))
        for holder, outcome, other, value, days, task in drawn
    ]
    events = [an_event_about(task) for task in TASKS] * 2  # each of them twice
    chance.shuffle(events)

    with only_history(told, people):
        for event in events:
            history.count(event)
        as_it_happened = stored()
        report = history.check()
        history.rebuild()
        recounted = stored()

    assert report.is_right
    assert as_it_happened == recounted == plainly(told, people)


def plainly(
    told: list[Told], people: list[Participant]
) -> dict[tuple[uuid.UUID, str, uuid.UUID], tuple[int, int]]:
    """Return what has to be stored, worked out the plain way."""
    numbers: Counter[tuple[uuid.UUID, str, uuid.UUID]] = Counter()
    points: Counter[tuple[uuid.UUID, str, uuid.UUID]] = Counter()
    for row in told:
        dealer, other = people[row.holder], people[row.counterparty].operator_key
        if dealer.operator_key == other:
            continue
        for holder in {dealer.pk, dealer.operator_key}:
            numbers[holder, row.outcome, other] += 1
            points[holder, row.outcome, other] += row.value * fading.weight(row.day)
    return {key: (numbers[key], points[key]) for key in numbers}


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(ROWS, st.integers(0, 400))
def test_a_standing_is_what_is_left_of_each_counterpartys_dealings_bounded_and_added_up(
    people: list[Participant], drawn: list[tuple[int, str, int, int, int, int]], later: int
) -> None:
    told = [
        Told(
            new_id(), TASKS[task], holder, "worker_paid", other, value, FIRST_DAY + timedelta(days)
        )
        for holder, _, other, value, days, task in drawn
    ]
    today = FIRST_DAY + timedelta(days=1000 + later)
    with only_history(told, people):
        history.rebuild()
        found = standing_of(
            [one.pk for one in people],
            StandingRole.WORKER,
            at=datetime.combine(today, time(1), UTC),
        )

    dealt = plainly(told, people)
    for person in people:
        mine = {key: sums for key, sums in dealt.items() if key[0] == person.pk}
        worth = sum(
            points * MOST // (MOST * fading.weight(today) + points) for _, points in mine.values()
        )
        assert found[person.pk] == Figure(worth, len(mine), sum(n for n, _ in mine.values()))


def rows_of(pairs: list[tuple[int, int]], value: int, *, day: date = FIRST_DAY) -> list[Told]:
    return [
        Told(new_id(), TASKS[0], holder, "worker_paid", other, value, day)
        for holder, other in pairs
    ]


def points_of(told: list[Told], people: list[Participant], *, at: date = FIRST_DAY) -> list[int]:
    with only_history(told, people):
        history.rebuild()
        figures = standing_of(
            [one.pk for one in people],
            StandingRole.WORKER,
            at=datetime.combine(at, time(13), UTC),
        )
    return [figures[one.pk].points for one in people]


def test_half_of_little_has_faded_after_ninety_days_and_all_of_it_in_the_end(
    people: list[Participant],
) -> None:
    told = rows_of([(1, 2)], 1_000)  # so little that its bound does not matter

    def after(days: int) -> int:
        return points_of(told, people, at=FIRST_DAY + timedelta(days=days))[1]

    assert [after(days) for days in (0, 90, 180, 270)] == [999, 499, 249, 124]
    assert after(90 * 20) == 0


def test_the_same_value_with_more_counterparties_stands_for_more() -> None:
    others = [a_person() for _ in range(8)]
    people = [a_person(), *others]

    def standing(counterparties: int) -> int:
        pairs = [(0, 1 + n % counterparties) for n in range(8)]
        return points_of(rows_of(pairs, 5 * MICRO), people)[0]

    one, two, eight = standing(1), standing(2), standing(8)
    assert one == 40 * MOST // 60
    assert one < two < eight == 8 * (5 * MOST // 25)


def test_another_dealing_with_the_same_counterparty_adds_less_than_the_one_before(
    people: list[Participant],
) -> None:
    standings = [points_of(rows_of([(1, 2)] * n, MICRO), people)[1] for n in range(6)]
    added = [later - earlier for earlier, later in pairwise(standings)]

    assert added == sorted(added, reverse=True)
    assert added[0] > added[-1] > 0


@settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.integers(2, 4), st.integers(1, 10**15), st.integers(1, 12))
def test_a_ring_gains_less_than_a_bound_for_each_of_its_other_members(
    people: list[Participant], members: int, value: int, rounds: int
) -> None:
    pairs = [(a, b) for a in range(members) for b in range(members) if a != b] * rounds

    standings = points_of(rows_of(pairs, value), people)

    for standing in standings[:members]:
        assert standing < (members - 1) * MOST
        assert standing < (members - 1) * rounds * value or value == 1
    assert standings[members:4] == [0] * (4 - members)


# --- History as the product makes it --------------------------------------------------------------


def worker_standing(*holders: Participant) -> list[Figure]:
    found = standing_of([one.pk for one in holders], StandingRole.WORKER, at=clock.now())
    return [found[one.pk] for one in holders]


def test_an_operator_stands_for_its_agents_and_they_for_themselves() -> None:
    operator = a_person()
    one, other = an_agent_of(operator), an_agent_of(operator)
    ada = a_person()
    an_accepted_delivery(ada, one)
    an_accepted_delivery(ada, other)
    everything_handled()

    of_operator, of_one, of_other = worker_standing(operator, one, other)

    assert of_one == of_other == Figure(10 * MOST // 30, 1, 1)
    assert of_operator == Figure(20 * MOST // 40, 1, 2)  # one counterparty for them together


def test_who_has_dealt_with_nobody_stands_for_nothing() -> None:
    ada = a_person()

    assert worker_standing(ada) == [NOTHING]
    assert records_of([ada.pk], at=clock.now())[ada.pk].as_poster.acceptance_rate is None


def test_events_of_one_task_that_are_consumed_at_once_are_counted_once() -> None:
    worker = a_person()
    delivery = an_accepted_delivery(worker=worker)
    event = Event(subject_type="delivery", data={"task": delivery.task.public_id})

    def consumed() -> None:
        with transaction.atomic():
            history.count(event)

    outcomes = together([consumed] * 8)

    assert outcomes == [None] * 8
    assert worker_standing(worker)[0].number == 1


def test_pairs_that_deal_with_each_other_both_ways_at_once_do_not_deadlock() -> None:
    ada, bo = a_person(), a_person()
    tasks = [an_accepted_delivery(ada, bo).task for _ in range(4)]
    tasks += [an_accepted_delivery(bo, ada).task for _ in range(4)]

    def count(task: uuid.UUID) -> None:
        with transaction.atomic():
            history.count(an_event_about(task))

    outcomes = together([partial(count, task.pk) for task in tasks])

    assert outcomes == [None] * 8
    assert [figure.number for figure in worker_standing(ada, bo)] == [4, 4]


def test_counting_while_everything_is_recounted_counts_once() -> None:
    worker = a_person()
    tasks = [an_accepted_delivery(worker=worker).task for _ in range(6)]

    def count(task: uuid.UUID) -> None:
        with transaction.atomic():
            history.count(an_event_about(task))

    outcomes = together(
        [*(partial(count, task.pk) for task in tasks), history.rebuild, history.rebuild]
    )

    assert not [one for one in outcomes if isinstance(one, Exception)]
    assert worker_standing(worker)[0].number == 6
    assert history.check().differences == []


@pytest.mark.parametrize(
    "task", ["task_nonsense", 5, None, "", "delivery_01h455vb4pex5vsknk084sn02q"]
)
def test_an_event_that_names_no_task_counts_nothing(task: object) -> None:
    history.count(Event(subject_type="message", subject_id="message_x", data={"task": task}))

    assert history.about(Event(subject_type="asset", subject_id="a/b", data={"task": task})) is None


# --- The command ----------------------------------------------------------------------------------


def said(*arguments: str) -> dict[str, object]:
    out = io.StringIO()
    with suppress(CommandError):
        call_command("standing", *arguments, "--json", stdout=out)
    answer: dict[str, object] = json.loads(out.getvalue())
    return answer


def test_the_command_names_a_figure_that_was_changed_and_rebuilds_it() -> None:
    worker = a_person()
    delivery = an_accepted_delivery(worker=worker)
    everything_handled()
    with transaction.atomic():
        mine = Tally.objects.filter(holder=worker, outcome=Outcome.WORKER_PAID)
        right = mine.get().points
        mine.update(points=F("points") + 1)  # which may have more digits than Python adds

        wrong = said("--check")

        assert wrong["right"] is False
        (difference,) = [one for one in wrong["differences"] if one["holder"] == worker.handle]  # type: ignore[attr-defined]
        assert difference == {
            "holder": worker.handle,
            "outcome": "worker_paid",
            "counterparty": delivery.task.poster.handle,
            "number": 1,
            "points": int(right) + 1,
            "expected_number": 1,
            "expected_points": int(right),
        }
        with pytest.raises(CommandError):
            call_command("standing", "--check", stdout=io.StringIO())
        assert said("--rebuild")["right"] is True
        assert mine.get().points == right
        transaction.set_rollback(True)


def test_the_command_tells_what_is_on_its_way_from_what_was_missed() -> None:
    everything_handled()
    with transaction.atomic():
        a_claimed_task()  # something waits to be consumed, so a recent row may be on its way
        claim = an_accepted_delivery().task.claim_id
        waiting = history.check()
        with connection.cursor() as cursor:
            cursor.execute("DELETE FROM events_outboxmessage")
        missed = history.check()
        Counted.objects.create(source=new_id())
        vanished = history.check()
        transaction.set_rollback(True)

    assert claim is not None
    assert (waiting.missed, waiting.is_right) == (0, True)
    assert waiting.waiting > 0
    assert missed.missed == waiting.waiting
    assert not missed.is_right
    assert vanished.vanished == missed.vanished + 1
