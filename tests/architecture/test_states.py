"""The table of a task's states, and everything that has to say the same."""

import pytest
from django.core.management import call_command
from django.db import connection

from marketplace.delegation import dependencies
from marketplace.delivery import contests, review
from marketplace.disputes import lapses
from marketplace.tasks import deadlines, expiry
from marketplace.tasks.permissions import ACTIONS
from marketplace.tasks.states import ENDED, TRANSITIONS, Role, TaskState


@pytest.mark.django_db
def test_the_database_knows_the_same_transitions() -> None:
    table = {(row.source.value, row.target.value) for row in TRANSITIONS}
    moves = {(source, target) for source, target in table if source != target}

    with connection.cursor() as cursor:
        cursor.execute("SELECT source, target FROM tasks_transition")
        assert set(cursor.fetchall()) == moves


def test_the_diagram_is_what_the_table_says() -> None:
    call_command("document_states", check=True)


def test_a_verb_leads_one_way_from_a_state_for_a_role() -> None:
    keys = [(row.verb, row.source, row.role) for row in TRANSITIONS]

    assert len(keys) == len(set(keys))


def test_no_ended_task_goes_anywhere() -> None:
    assert not [row for row in TRANSITIONS if row.source in ENDED and row.target != row.source]


def test_every_state_that_can_be_reached_has_a_timed_exit_or_is_an_end() -> None:
    reached = {TaskState.OPEN, TaskState.BLOCKED} | {row.target for row in TRANSITIONS}

    for state in reached - ENDED:
        # A closing task waits for its last subtask, which has timed exits of its own.
        role = Role.TREE if state == TaskState.CLOSING else Role.CLOCK
        out = {row.target for row in TRANSITIONS if row.source == state and row.role == role}
        assert out - {state}, f"{state} would last for ever"


def test_every_limit_of_time_has_somebody_who_deals_with_it() -> None:
    # Their import registers them, as the apps do when they are ready.
    assert {expiry, review, contests, dependencies, lapses}
    assert set(deadlines._handlers) == set(deadlines.Limit)  # noqa: SLF001 - the registry itself


def test_every_verb_that_people_have_is_offered_under_a_name() -> None:
    of_people = {
        row.verb
        for row in TRANSITIONS
        if row.role in (Role.POSTER, Role.WORKER, Role.OFFEREE, Role.ANYONE, Role.FUNDER)
    }
    elsewhere = {"accept", "reject", "use_asset", "select"}  # of the delivery, asset and bid

    assert of_people == set(ACTIONS) | elsewhere
