"""Four sweepers, one of them killed: every overdue task has its transition, and has it once."""

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from datetime import timedelta
from urllib.parse import quote

import pytest
from django.db import connection

from marketplace.events.models import Event
from marketplace.foundation import clock
from marketplace.tasks import deadlines
from marketplace.tasks.models import Settlement, Task
from marketplace.tasks.states import TaskState
from tests.builders.people import a_person, an_agent
from tests.builders.work import (
    a_claimed_task,
    a_submitted_delivery,
    a_task,
    again,
    an_offered_task,
    available,
)

pytestmark = pytest.mark.django_db

MICRO = 1_000_000
GRANT = 100 * MICRO


def a_sweeper() -> "subprocess.Popen[str]":
    facts = connection.settings_dict
    host, user, name = (quote(str(facts[key]), safe="") for key in ("HOST", "USER", "NAME"))
    password = f":{quote(str(facts['PASSWORD']), safe='')}" if facts["PASSWORD"] else ""
    url = f"postgresql://{user}{password}@/{name}?host={host}&port={facts['PORT'] or 5432}"
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.concurrency.sweeper"],
        env={**os.environ, "DATABASE_URL": url},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def start(process: "subprocess.Popen[str]") -> None:
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()


def told_of(tasks: list[Task]) -> Counter[tuple[str, str]]:
    ids = [task.public_id for task in tasks]
    events = Event.objects.filter(actor=None, subject_id__in=ids)
    return Counter(events.values_list("type", "subject_id"))


def test_with_four_sweepers_and_one_killed_every_overdue_task_changes_once() -> None:
    ada, workers = a_person(), [an_agent() for _ in range(20)]
    soon = clock.now() + timedelta(days=1)
    opened = [a_task(ada, bounty=MICRO // 10, deadline=soon) for _ in range(250)]
    leased = [a_claimed_task(ada, one, bounty=MICRO // 10) for one in workers]
    offered = [an_offered_task(ada, one, bounty=MICRO // 10) for one in workers]
    delivered = [a_submitted_delivery(ada, one, bounty=MICRO).task for one in workers]
    tasks = [*opened, *leased, *offered, *delivered]
    sweepers = [a_sweeper() for _ in range(4)]
    clock.advance(timedelta(days=4))

    for one in sweepers:
        start(one)
    time.sleep(0.05)  # it may have begun or not: either is a moment to die
    sweepers[0].send_signal(signal.SIGKILL)
    for one in sweepers:
        one.communicate()
    while deadlines.sweep():
        pass

    assert {again(task).state for task in opened} == {TaskState.EXPIRED}
    assert {again(task).state for task in (*leased, *offered)} == {TaskState.OPEN}
    assert {again(task).state for task in delivered} == {TaskState.ACCEPTED}
    assert set(told_of(tasks).values()) == {1}
    assert Settlement.objects.filter(task__in=tasks).count() == len(opened) + len(delivered)
    assert [available(one) - GRANT for one in workers] == [MICRO * 95 // 100] * 20
    assert available(ada) == GRANT - (40 * MICRO // 10) - 20 * MICRO


def test_one_task_that_fails_does_not_keep_the_others_waiting(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    soon = clock.now() + timedelta(minutes=6)
    broken, *others = [a_task(deadline=soon) for _ in range(5)]
    clock.advance(timedelta(minutes=7))
    expire = deadlines._handlers[deadlines.Limit.EXPIRE]  # noqa: SLF001 - the registry itself

    def fail_one(tasks: "list[Task]", at: object) -> None:
        assert broken not in tasks, "this one is broken"
        expire(tasks, at)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setitem(deadlines._handlers, deadlines.Limit.EXPIRE, fail_one)  # noqa: SLF001
        while deadlines.sweep():
            pass

    assert {again(task).state for task in others} == {TaskState.EXPIRED}
    assert again(broken).state == TaskState.OPEN
    while deadlines.sweep():
        pass
    assert again(broken).state == TaskState.EXPIRED
