"""Who may write to whom about a task, who reads it, and that it stays as it was."""

import uuid
from datetime import timedelta

import pytest
from django.db import IntegrityError, connection, transaction
from pytest_django import Settings

from marketplace.events.models import Event
from marketplace.files.attachments import UnknownFile
from marketplace.files.reading import readable_files
from marketplace.foundation import clock
from marketplace.moderation.hiding import HiddenAlready
from marketplace.participants.dealings import Blocked, Frozen, PosterFrozen
from marketplace.participants.models import Participant
from marketplace.participants.quotas import QuotaReached
from marketplace.participants.staff import StaffOnly
from marketplace.participants.usecases.block_participant import block_participant
from marketplace.tasks.models import Task
from marketplace.tasks.usecases.abandon_task import abandon_task
from marketplace.tasks.usecases.claim_task import claim_task
from marketplace.threads.audience import NobodyToWriteTo, NoSuchCounterpart
from marketplace.threads.models import Message
from marketplace.threads.queries import unread_count, visible_to
from marketplace.threads.usecases.read_messages import read_messages
from marketplace.threads.usecases.redact_message import redact_message
from marketplace.threads.usecases.send_message import ThreadFull
from tests.builders.people import a_person, an_agent, an_agent_of
from tests.builders.staff import a_freeze, somebody_of_staff
from tests.builders.talk import a_file, say
from tests.builders.work import (
    a_bid,
    a_claimed_task,
    a_contest,
    a_task,
    an_accepted_delivery,
    an_entry,
    everything_handled,
    time_passes,
)
from tests.owner import as_owner

pytestmark = pytest.mark.django_db


def read_by(reader: Participant | None, task: Task) -> set[str]:
    return set(visible_to(reader).filter(task=task).values_list("body", flat=True))


# --- Who reads what -------------------------------------------------------------------------------


def test_a_question_before_a_claim_and_its_answer_are_public() -> None:
    ada, bo, eve = a_person(), a_person(), a_person()
    task = a_task(ada)
    say(task, bo, "With tax?")
    say(task, ada, "Without.")

    for reader in (ada, bo, eve, None):
        assert read_by(reader, task) == {"With tax?", "Without."}


def test_what_poster_and_worker_write_is_theirs_and_their_operators() -> None:
    ada, operator, eve = a_person(), a_person(), a_person()
    bo = an_agent_of(operator)
    task = a_claimed_task(ada, bo)
    say(task, bo, "The file is broken.")
    say(task, ada, "Here is another one.")

    for reader in (ada, bo, operator, somebody_of_staff()):
        assert read_by(reader, task) == {"The file is broken.", "Here is another one."}
    for stranger in (eve, an_agent_of(eve), an_agent_of(operator), None):
        assert read_by(stranger, task) == set()


def test_the_next_worker_does_not_read_what_was_written_to_the_one_before() -> None:
    ada, bo, cy = a_person(), an_agent(), an_agent()
    task = a_claimed_task(ada, bo)
    say(task, ada, "For Bo alone.")
    abandon_task(task_id=task.pk, actor=bo)
    claim_task(task_id=task.pk, actor=cy)
    say(task, ada, "For Cy alone.")

    assert read_by(cy, task) == {"For Cy alone."}
    assert read_by(bo, task) == {"For Bo alone."}
    assert read_by(ada, task) == {"For Bo alone.", "For Cy alone."}


def test_bidders_write_to_the_poster_and_read_nothing_of_one_another() -> None:
    ada, bo, cy = a_person(), an_agent(), an_agent()
    task = a_task(ada, mode="bid")
    for bidder in (bo, cy):
        a_bid(task, bidder)
    say(task, bo, "I have done ten of these.")
    say(task, ada, "Until when?", to=bo.handle)
    say(task, cy, "I am cheaper.")
    say(task, cy, "Is it one file?", public=True)

    assert read_by(bo, task) == {"I have done ten of these.", "Until when?", "Is it one file?"}
    assert read_by(cy, task) == {"I am cheaper.", "Is it one file?"}
    assert read_by(None, task) == {"Is it one file?"}


def test_entrants_of_a_contest_read_nothing_of_one_another() -> None:
    ada, bo, cy = a_person(), an_agent(), an_agent()
    task = a_contest(ada)
    for entrant in (bo, cy):
        an_entry(task, entrant)
    say(task, bo, "I took the second column.")
    say(task, ada, "Fine.", to=bo.handle)

    assert read_by(cy, task) == set()
    assert read_by(bo, task) == {"I took the second column.", "Fine."}


def test_attachments_are_for_whoever_reads_the_message() -> None:
    ada, bo, eve = a_person(), an_agent(), a_person()
    task = a_claimed_task(ada, bo)
    file = a_file(bo)
    assert not readable_files(ada).filter(pk=file.pk).exists()
    say(task, bo, attachments=[file.pk])

    assert readable_files(ada).filter(pk=file.pk).exists()
    assert not readable_files(eve).filter(pk=file.pk).exists()
    assert not readable_files(None).filter(pk=file.pk).exists()


def test_files_of_a_public_question_are_public() -> None:
    task, eve = a_task(), a_person()
    file = a_file(eve)
    say(task, eve, attachments=[file.pk])

    assert readable_files(None).filter(pk=file.pk).exists()


def test_nobody_attaches_what_is_somebody_elses() -> None:
    task = a_claimed_task()
    assert task.worker is not None
    file = a_file(task.poster)

    with pytest.raises(UnknownFile):
        say(task, task.worker, attachments=[file.pk])

    assert not Message.objects.filter(task=task).exists()


# --- Who writes -----------------------------------------------------------------------------------


def test_a_stranger_asks_only_while_the_task_is_open() -> None:
    task = a_claimed_task()

    with pytest.raises(NobodyToWriteTo) as refusal:
        say(task, a_person())

    assert refusal.value.state == "claimed"


def test_whoever_gave_the_task_back_is_a_stranger_again() -> None:
    bo = an_agent()
    task = a_claimed_task(worker=bo)
    abandon_task(task_id=task.pk, actor=bo)

    asked = say(task, bo)

    assert asked.is_public


def test_others_of_the_posters_operator_only_read() -> None:
    ada = a_person()
    task = a_task(ada)

    with pytest.raises(NobodyToWriteTo):
        say(task, an_agent_of(ada))


def test_only_the_poster_chooses_whom_to_write_to_and_only_who_takes_part() -> None:
    task, eve = a_claimed_task(), a_person()
    assert task.worker is not None

    with pytest.raises(NoSuchCounterpart):
        say(task, task.worker, to=task.poster.handle)
    with pytest.raises(NoSuchCounterpart):
        say(task, task.poster, to=eve.handle)
    with pytest.raises(NoSuchCounterpart):
        say(task, task.poster, to=task.worker.handle, public=True)


def test_a_poster_writes_to_everybody_only_while_nobody_has_the_task() -> None:
    task = a_claimed_task()

    with pytest.raises(NobodyToWriteTo):
        say(task, task.poster, public=True)


def test_both_sides_can_still_write_when_the_work_is_paid_and_nobody_when_it_was_called_off() -> (
    None
):
    paid = an_accepted_delivery()
    say(paid.task, paid.worker, "Thank you.")
    expired = time_passes(a_task(), days=8)

    with pytest.raises(NobodyToWriteTo):
        say(expired, expired.poster)
    with pytest.raises(NobodyToWriteTo):
        say(expired, a_person())


def test_a_message_to_a_worker_whose_lease_has_run_out_is_a_public_one() -> None:
    """What is due happens first: nobody holds the task when the message is sent."""
    task = a_claimed_task(lease_seconds=300)
    clock.advance(timedelta(seconds=301))

    sent = say(task, task.poster)

    assert sent.is_public


def test_the_frozen_and_the_blocked_ask_nothing_and_what_runs_goes_on() -> None:
    ada, bo, eve = a_person(), a_person(), a_person()
    held, task = a_claimed_task(ada, bo), a_task(ada)
    block_participant(actor=ada, handle=eve.handle)
    with pytest.raises(Blocked):
        say(task, eve)
    a_freeze(bo)

    with pytest.raises(Frozen):
        say(task, bo)
    assert say(held, bo).counterpart_id == bo.pk

    a_freeze(ada)
    with pytest.raises(PosterFrozen):
        say(task, a_person())
    with pytest.raises(Frozen):
        say(task, ada)
    assert say(held, ada).counterpart_id == bo.pk


# --- How much -------------------------------------------------------------------------------------


def test_questions_about_one_task_are_few_for_all_agents_of_an_operator(
    settings: Settings,
) -> None:
    settings.QUESTIONS_PER_OPERATOR_AND_TASK = 2
    task, operator = a_task(), a_person()
    say(task, operator)
    say(task, an_agent_of(operator))

    with pytest.raises(ThreadFull):
        say(task, an_agent_of(operator))


def test_questions_of_a_day_are_few_and_there_is_room_again_when_a_day_has_passed(
    settings: Settings,
) -> None:
    settings.QUESTIONS_PER_OPERATOR_PER_DAY = 2
    eve = a_person()
    for _ in range(2):
        say(a_task(), eve)

    with pytest.raises(QuotaReached) as refusal:
        say(a_task(), eve)
    assert 86_000 < refusal.value.retry_after_seconds <= 86_400

    clock.advance(timedelta(days=1, seconds=1))
    say(a_task(), eve)


def test_the_quota_of_questions_does_not_keep_anybody_from_answering_or_working(
    settings: Settings,
) -> None:
    settings.QUESTIONS_PER_OPERATOR_PER_DAY = 1
    bo = a_person()
    held, own = a_claimed_task(worker=bo), a_task(bo)
    say(a_task(), bo)

    say(held, bo)
    say(own, bo, "Without tax.")


def test_messages_have_limits_too(settings: Settings) -> None:
    settings.MESSAGES_PER_OPERATOR_AND_TASK = 3
    settings.MESSAGES_PER_OPERATOR_PER_DAY = 4
    bo = an_agent()
    one, other = a_claimed_task(worker=bo), a_claimed_task(worker=bo)
    for _ in range(3):
        say(one, bo)

    with pytest.raises(ThreadFull):
        say(one, bo)
    say(other, bo)
    with pytest.raises(QuotaReached):
        say(other, bo)


# --- It stays -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE threads_message SET body = 'I never said that' WHERE id = %s",
        "UPDATE threads_message SET counterpart_id = NULL WHERE id = %s",
        "DELETE FROM threads_message WHERE id = %s",
    ],
)
def test_what_was_said_never_changes(sql: str) -> None:
    task = a_claimed_task()
    message = say(task, task.poster)

    with (
        as_owner(),
        pytest.raises(IntegrityError, match="messages never change"),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute(sql, [message.pk])


def test_a_redaction_leaves_a_tombstone_and_takes_the_files() -> None:
    ada, bo, staff = a_person(), an_agent(), somebody_of_staff()
    task = a_claimed_task(ada, bo)
    file = a_file(bo)
    message = say(task, bo, attachments=[file.pk])

    redact_message(message_id=message.pk, actor=staff, reason="A stolen list.")

    assert visible_to(ada).filter(pk=message.pk).exists()
    assert not readable_files(ada).filter(pk=file.pk).exists()
    assert readable_files(staff).filter(pk=file.pk).exists()
    with pytest.raises(HiddenAlready):
        redact_message(message_id=message.pk, actor=staff, reason="Again.")


def test_only_staff_redact_and_never_what_their_own_operator_said() -> None:
    staff = somebody_of_staff()
    task = a_claimed_task(staff)
    message = say(task, staff)

    with pytest.raises(StaffOnly):
        redact_message(message_id=message.pk, actor=a_person(), reason="-")
    with pytest.raises(StaffOnly, match="own cause"):
        redact_message(message_id=message.pk, actor=staff, reason="-")
    with pytest.raises(Message.DoesNotExist):
        redact_message(message_id=uuid.uuid4(), actor=staff, reason="-")


# --- Who is told ----------------------------------------------------------------------------------


def test_the_other_side_is_notified_and_the_body_is_not_in_the_log() -> None:
    ada, bo = a_person(), an_agent()
    task = a_claimed_task(ada, bo)

    message = say(task, bo, "A very private thing.")
    everything_handled()

    event = Event.objects.get(type="message.sent", subject_id=message.public_id)
    assert event.notified == [ada.pk]
    assert "private thing" not in str(event.data)
    assert event.data["task"] == task.public_id
    assert (unread_count(task, ada), unread_count(task, bo)) == (1, 0)


def test_a_public_answer_is_told_to_whoever_asked() -> None:
    ada, bo, cy = a_person(), a_person(), a_person()
    task = a_task(ada)
    say(task, bo)
    say(task, cy)
    say(task, ada, "Without.")
    everything_handled()

    assert unread_count(task, ada) == 2
    assert (unread_count(task, bo), unread_count(task, cy)) == (1, 1)
    assert unread_count(task, a_person()) == 0


def test_reading_marks_what_was_written_about_that_task_alone() -> None:
    ada, bo = a_person(), an_agent()
    one, other = a_claimed_task(ada, bo), a_claimed_task(ada, bo)
    for task in (one, one, other):
        say(task, bo)
    everything_handled()

    assert read_messages(task=one, actor=ada) == 2
    assert (unread_count(one, ada), unread_count(other, ada)) == (0, 1)
    assert read_messages(task=one, actor=ada) == 0
