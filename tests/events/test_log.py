"""The log, its outbox and what becomes of them."""

from datetime import timedelta

import pytest
from django.core.management import call_command
from django.db import IntegrityError, connection, transaction

from marketplace.events import consumers, feed
from marketplace.events.log import Subject, record
from marketplace.events.models import Event, Notification, OutboxMessage
from marketplace.events.relay import relay_once
from marketplace.foundation import clock
from marketplace.foundation.ids import new_id
from marketplace.participants.models import Participant
from tests.builders.people import a_handle, a_person
from tests.builders.work import everything_handled, feeds_caught_up
from tests.owner import as_owner

pytestmark = pytest.mark.django_db


def told(*notified: Participant, actor: Participant | None = None) -> Event:
    """Record that something happened, and return the event."""
    subject = Subject("test", a_handle("event"))
    with transaction.atomic():
        record(
            "test.happened",
            subject=subject,
            actor=actor.pk if actor else None,
            readers=[*(one.pk for one in notified), None],
            notified=[*(one.pk for one in notified), None],
            data={"n": 1},
        )
    return Event.objects.get(subject_id=subject.id)


def feed_of(person: Participant) -> list[str]:
    feeds_caught_up()
    events = feed.read(person.pk, after=feed.Position(), types=["test.happened"], limit=100)
    return [event.subject_id for event in events]


def test_an_event_is_in_the_feeds_of_its_readers_and_of_nobody_else() -> None:
    ada, bo, eve = a_person(), a_person(), a_person()

    event = told(ada, bo)

    assert feed_of(ada) == feed_of(bo) == [event.subject_id]
    assert feed_of(eve) == []


def test_an_event_belongs_to_the_transaction_of_what_happened() -> None:
    ada = a_person()

    with pytest.raises(AssertionError, match="belongs to the transaction"):
        record("test.happened", subject=Subject("test", "x"), actor=None, readers=[ada.pk])
    with transaction.atomic():
        record("test.happened", subject=Subject("test", "x"), actor=None, readers=[ada.pk])
        transaction.set_rollback(True)

    assert feed_of(ada) == []


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE events_event SET type = 'test.other' WHERE id = %s",
        "DELETE FROM events_event WHERE id = %s",
    ],
)
def test_what_happened_is_not_edited(sql: str) -> None:
    event = told(a_person())

    with (
        as_owner(),
        pytest.raises(IntegrityError, match="append-only"),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute(sql, [event.pk])


def test_who_has_to_know_is_notified_once_and_who_did_it_is_not() -> None:
    ada, bo = a_person(), a_person()
    event = told(ada, bo, actor=bo)

    everything_handled()
    consumers.consume(event.pk)

    notified = Notification.objects.filter(event=event).values_list("participant", flat=True)
    assert list(notified) == [ada.pk]


def test_an_event_that_a_consumer_cannot_deal_with_stays_until_it_can(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ada = a_person()
    event = told(ada)

    def fail(_: Event) -> None:
        raise RuntimeError("not today")

    with monkeypatch.context() as broken:
        broken.setattr(consumers, "_consumers", [*consumers._consumers, fail])  # noqa: SLF001
        with pytest.raises(RuntimeError):
            consumers.consume(event.pk)
    assert OutboxMessage.objects.filter(pk=event.pk).exists()
    assert not Notification.objects.filter(participant=ada).exists()

    assert consumers.consume(event.pk)
    assert Notification.objects.filter(participant=ada).count() == 1
    assert not consumers.consume(event.pk), "a second time there is nothing left to do"


def test_an_event_nothing_came_of_is_handed_out_again_later_and_later() -> None:
    everything_handled()
    event = told(a_person())
    handed: list[object] = []

    for minutes in (0, 0, 0.6, 0, 1.1):
        clock.advance(timedelta(minutes=minutes))
        relay_once(handed.append)

    # At once, after half a minute, after another whole one; never in between.
    assert handed.count(event.pk) == 3
    assert OutboxMessage.objects.get(pk=event.pk).attempts == 3


def test_the_relay_command_hands_out_what_is_due_and_the_jobs_consume_it() -> None:
    ada = a_person()
    event = told(ada)

    waiting = OutboxMessage.objects.filter(pk=event.pk)
    call_command("relay", once=True, verbosity=0)

    assert not waiting.exists()
    assert Notification.objects.filter(participant=ada).count() == 1


def test_an_unknown_event_is_no_error() -> None:
    assert not consumers.consume(new_id())


@pytest.mark.parametrize(
    "text",
    ["", "1", "1-2", "a-b-c", "-1-0-" + "0" * 32, "0-0-xyz", "0-0-" + "0" * 31, "2147483648-0-0"],
)
def test_a_position_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(feed.InvalidCursor):
        feed.Position.parse(text)


def test_a_position_is_read_as_it_was_written() -> None:
    position = feed.Position(1, 2**63, new_id())

    assert feed.Position.parse(str(position)) == position
