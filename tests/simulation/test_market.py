"""Playing: what is the same again, what is refused, what ends a simulation."""

import random
import tomllib
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from celery.schedules import crontab
from django.conf import settings
from django.db import connection

from marketplace.disputes.draw import new_seed, seeds_from
from marketplace.events.models import OutboxMessage
from marketplace.foundation import clock
from marketplace.participants.models import Participant
from marketplace.simulation import jobs
from marketplace.simulation.market import NotEmpty, Played, play
from marketplace.simulation.members import Member, World
from marketplace.simulation.report import as_json, as_text
from marketplace.simulation.scenario import Scenario, read
from marketplace.standing.figures import standing_of
from marketplace.standing.models import StandingRole
from marketplace.tasks.usecases.heartbeat import heartbeat
from tests.builders.people import a_person
from tests.builders.work import a_claimed_task
from tests.conftest import NewDatabase
from tests.owner import as_owner

# Small, and with a panel whose members disagree: who is drawn shows in the figures.
SMALL = """
title = "Small"
days = 13
step_hours = 12
[groups.posters]
number = 2
kind = "human"
does = [{ habit = "post", per_day = 1.5, bounty = ["1", "3"], until_day = 4 }, { habit = "review" }]
[groups.crooks]
number = 1
kind = "human"
does = [{ habit = "post", per_day = 1, bounty = ["2", "4"], from_day = 2, until_day = 5 },
        { habit = "review", accepts_good = 0 }]
[groups.workers]
number = 5
does = [{ habit = "judge", mistakes = 0.5 }, { habit = "claim", of = "posters", willing = 0.8 },
        { habit = "deliver", good = 0.9, after_hours = 6 }]
[groups.victims]
number = 1
does = [{ habit = "claim", of = "crooks" }, { habit = "dispute" }, { habit = "deliver" }]
"""


def small(text: str = SMALL) -> Scenario:
    return read("small", tomllib.loads(text))


def told(played: Played) -> dict[str, object]:
    """Return everything that is told of it but how fast it was."""
    return as_json(replace(played, seconds=0.0))


@pytest.mark.django_db
def test_the_same_seed_comes_to_the_same_figures(new_database: NewDatabase) -> None:
    ends = []
    for _ in range(2):
        with new_database():
            ends.append(told(play(small(), seed=5)))

    assert ends[0] == ends[1]
    assert ends[0]["findings"] == []
    assert ends[0]["moves"]["cast_vote"] >= 3  # type: ignore[index] # a panel has judged


@pytest.mark.django_db
def test_another_seed_comes_to_other_figures(new_database: NewDatabase) -> None:
    ends = []
    for seed in (5, 6):
        with new_database():
            ends.append(told(play(small(), seed=seed, days=3)))

    assert ends[0]["groups"] != ends[1]["groups"]


def test_days_pass_in_the_market_and_limits_of_time_with_them(own_database: None) -> None:
    before = clock.now()

    played = play(small(), days=9)

    assert timedelta(days=9) <= clock.now() - before < timedelta(days=10, minutes=30)
    assert played.everybody.accepted > 0
    assert not OutboxMessage.objects.exists()


def test_what_the_members_have_and_the_fees_are_what_was_granted(own_database: None) -> None:
    played = play(small(), days=9)

    everybody = played.everybody
    assert everybody.granted == 9 * settings.GRANT_CREDITS * 1_000_000
    assert everybody.held + everybody.fees == everybody.granted
    assert everybody.fees > 0


@pytest.mark.django_db
def test_nothing_is_played_where_somebody_is_and_the_clock_stays() -> None:
    a_person()
    before = the_offset()

    with pytest.raises(NotEmpty, match="an empty one of its own"):
        play(small())

    assert the_offset() == before


def the_offset() -> timedelta:
    with connection.cursor() as cursor:
        cursor.execute('SELECT "offset" FROM market_clock')
        (offset,) = cursor.fetchone()
    assert isinstance(offset, timedelta)
    return offset


def with_habit(habit: Callable[[Member], None], text: str = SMALL) -> Scenario:
    scenario = small(text)
    first, *others = scenario.groups
    return replace(scenario, groups=(replace(first, habits=(*first.habits, habit)), *others))


def test_what_the_audit_finds_ends_a_simulation_and_is_told(own_database: None) -> None:
    def corrupt(me: Member) -> None:
        if me.world.day >= 1 and me.handle == "posters-001":
            with as_owner(), connection.cursor() as cursor:
                cursor.execute("SET session_replication_role = replica")
                cursor.execute(
                    "UPDATE credits_account SET balance = balance + 1 WHERE kind = 'wallet'"
                )
                cursor.execute("RESET session_replication_role")

    played = play(with_habit(corrupt))

    assert played.findings
    assert not played.is_right
    assert "WRONG  " in as_text(played)
    assert clock.stands_at() is not None  # the nightly audit stopped money: no more days


def test_a_bug_in_a_move_is_no_refusal(own_database: None) -> None:
    def stumble(me: Member) -> None:
        def broken(*, actor: Participant) -> None:
            raise ZeroDivisionError(actor.handle)

        me.attempt(broken)

    with pytest.raises(ZeroDivisionError):
        play(with_habit(stumble))


@pytest.mark.django_db
def test_what_the_rules_refuse_is_counted_with_its_reason() -> None:
    now = clock.now()
    world = World(random.Random(1), now, now, 0.25)  # noqa: S311 - no secret
    task = a_claimed_task()

    stranger = Member(a_person(), "people", world)
    worker = Member(task.worker, "people", world)  # type: ignore[arg-type] # it is claimed

    assert stranger.attempt(heartbeat, task_id=task.pk) is None
    assert worker.attempt(heartbeat, task_id=task.pk) is not None
    assert world.refused == {"heartbeat: not_permitted": 1}
    assert world.moves == {"heartbeat": 1}


def test_an_expectation_that_does_not_hold_is_told_and_fails(own_database: None) -> None:
    text = SMALL.replace("days = 13", "days = 2").replace(
        "[groups.crooks]", 'expect = { gained_at_least = "1000" }\n[groups.crooks]'
    )

    played = play(small(text))

    assert played.findings == ()
    assert not played.is_right
    assert "NOT AS EXPECTED  posters: gained at least 1000, but it is 0" in as_text(played)


def test_expectations_wait_for_the_days_that_the_file_says(own_database: None) -> None:
    text = SMALL.replace("[groups.posters]", "[expect]\naccepted_at_least = 999\n[groups.posters]")

    played = play(small(text), days=1)

    assert played.checked == ()
    assert "Nothing was checked: the file says what to expect after 13 days" in as_text(played)


def test_agents_act_for_their_operator(own_database: None) -> None:
    text = SMALL.replace("number = 5\n", "number = 5\nagents = 2\n")

    played = play(small(text), days=5)

    workers = played.groups["workers"]
    assert workers.operators == 5
    assert workers.granted == 5 * settings.GRANT_CREDITS * 1_000_000
    assert workers.paid > 0
    agents = Participant.objects.filter(handle__startswith="workers-001-agent-")
    assert agents.count() == 2
    operators = [agent.operator_key for agent in agents]
    assert standing_of(operators, StandingRole.WORKER, at=clock.now())


# --- What time does -------------------------------------------------------------------------------


def at(day: int, hour: int, minute: int = 0) -> datetime:
    return datetime(2030, 1, day, hour, minute, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("schedule", "since", "until", "comes"),
    [
        (crontab(hour=3, minute=0), at(1, 0), at(1, 6), True),
        (crontab(hour=3, minute=0), at(1, 6), at(1, 12), False),
        (crontab(hour=3, minute=0), at(1, 6), at(2, 6), True),
        (crontab(hour=3, minute=0), at(1, 3), at(1, 9), False),  # a second past it
        (crontab(minute=30), at(1, 0, 10), at(1, 0, 20), False),
        (crontab(minute=30), at(1, 0, 20), at(1, 1, 20), True),
        (5, at(1, 0), at(1, 6), True),
        (86_400, at(1, 0), at(1, 6), False),
        (86_400, at(1, 18), at(2, 0), True),
        (86_400, at(2, 0), at(2, 6), False),
    ],
)
def test_a_job_comes_due_when_its_schedule_says_in_the_markets_time(
    schedule: object,
    since: datetime,
    until: datetime,
    comes: bool,  # noqa: FBT001 - a row of the table
) -> None:
    assert jobs.comes_due(schedule, at(1, 0), since, until) is comes


@pytest.mark.django_db
def test_seeds_of_panels_are_given_in_a_simulation_alone() -> None:
    with seeds_from(lambda: b"s" * 32):
        assert new_seed() == b"s" * 32

    assert new_seed() != b"s" * 32
