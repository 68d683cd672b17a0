"""The log under writers that commit out of order, and the outbox under processes that die."""

import os
import random
import signal
import subprocess
import sys
import threading
import time
from functools import partial

import pytest
from django.conf import settings
from django.db import connection, transaction

from marketplace.events import consumers, feed, relay
from marketplace.events.log import Subject, record
from marketplace.events.models import Event, Notification, OutboxMessage
from tests.builders.at_once import together
from tests.builders.people import a_person
from tests.builders.work import a_task, everything_handled

pytestmark = pytest.mark.django_db
WRITERS = 8
EACH = 12


def write_slowly(reader: object, writer: int) -> None:
    order = random.Random(writer)  # noqa: S311 - only to spread the commits
    for number in range(EACH):
        with transaction.atomic():
            record(
                "test.written",
                subject=Subject("test", f"{writer}-{number}"),
                actor=None,
                readers=[reader],  # type: ignore[list-item]
            )
            time.sleep(order.random() * 0.02)  # later writers commit before earlier ones


def test_a_reader_who_pages_while_eight_writers_commit_out_of_order_misses_nothing() -> None:
    reader = a_person().pk
    seen: list[str] = []
    writing = threading.Event()
    writing.set()

    def read() -> None:
        position = feed.Position()
        last_look = False
        while True:
            page = feed.read(reader, after=position, types=["test.written"], limit=7)
            seen.extend(event.subject_id for event in page)
            if page:
                position = page[-1].position
            elif last_look:
                return
            else:
                last_look = not writing.is_set() and not _someone_is_writing()
                time.sleep(0.002)

    def write_all() -> None:
        together([partial(write_slowly, reader, writer) for writer in range(WRITERS)])
        writing.clear()

    together([read, write_all])

    assert len(seen) == len(set(seen)) == WRITERS * EACH


def _someone_is_writing() -> bool:
    """Say whether a transaction of any database here still hides what is committed."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_snapshot_xmin(pg_current_snapshot()) <= max(xid) FROM events_event"
        )
        return bool(cursor.fetchone()[0])


def test_an_event_that_is_handed_out_to_many_is_consumed_once() -> None:
    poster = a_person()
    task = a_task(poster)
    event = Event.objects.get(type="task.posted", subject_id=task.public_id)

    outcomes = together([partial(consumers.consume, event.pk)] * 6)

    assert sorted(map(bool, outcomes)) == [False] * 5 + [True]
    assert not OutboxMessage.objects.filter(pk=event.pk).exists()


DIES = """
import os, signal, sys
import django
django.setup()
from django.db import connection
connection.settings_dict.update(zip(("NAME", "HOST", "PORT", "USER"), sys.argv[1:5]))
from marketplace.participants.models import Participant
from marketplace.tasks.terms import Wanted
from marketplace.tasks.usecases.post_task import post_task
for number in range(10):
    poster = Participant.objects.get(handle=sys.argv[5])
    wanted = Wanted(title=f"{sys.argv[5]} {number}", description="-", bounty=1_000_000)
    print(post_task(actor=poster, wanted=wanted).public_id, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_a_process_committed_before_it_was_killed_is_consumed_all_the_same() -> None:
    poster = a_person()
    facts = connection.settings_dict

    died = subprocess.run(
        [
            *(sys.executable, "-c", DIES, facts["NAME"], facts["HOST"], facts["PORT"]),
            *(facts["USER"], poster.handle),
        ],
        env=os.environ | {"DJANGO_SETTINGS_MODULE": "tests.settings"},
        cwd=settings.BASE_DIR,
        capture_output=True,
        text=True,
        check=False,
    )

    assert died.returncode == -signal.SIGKILL, died.stderr
    tasks = died.stdout.split()
    waiting = OutboxMessage.objects.filter(event__subject_id__in=tasks)
    assert waiting.count() == len(tasks) == 10
    everything_handled()
    assert waiting.count() == 0


def test_a_relay_that_dies_between_marking_and_sending_only_delays_an_event() -> None:
    everything_handled()  # what other tests of this module left could fill the batch
    person = a_person()
    with transaction.atomic():
        record(
            "test.told",
            subject=Subject("test", person.handle),
            actor=None,
            readers=[person.pk],
            notified=[person.pk],
        )

    def die(_: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        relay.relay_once(die)
    told = Notification.objects.filter(participant=person)
    assert not told.exists()
    message = OutboxMessage.objects.get(event__subject_id=person.handle, event__type="test.told")
    assert message.attempts == 1
    OutboxMessage.objects.filter(pk=message.pk).update(due_at=message.created_at)  # 30 s later
    everything_handled()

    assert told.count() == 1


def test_two_relays_hand_out_each_event_once() -> None:
    everything_handled()
    poster = a_person()
    for _ in range(5):
        a_task(poster, bounty=1_000_000)
    handed: list[object] = []

    together([partial(relay.relay_once, handed.append)] * 4)

    mine = set(OutboxMessage.objects.filter(event__actor=poster).values_list("event_id", flat=True))
    assert len([event for event in handed if event in mine]) == len(mine) >= 5
