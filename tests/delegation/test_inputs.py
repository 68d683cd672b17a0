"""Who reads what the parts of a task left behind (rules 9, 14 and 15)."""

import pytest

from marketplace.delivery.queries import visible_to
from marketplace.participants.models import Participant
from marketplace.tasks.models import Source, Task
from marketplace.tasks.usecases.abandon_task import abandon_task
from tests.builders.people import an_agent
from tests.builders.trees import (
    a_task_to_split,
    accepted,
    an_entry,
    done,
    held,
    lead_of,
    now,
    split,
)

pytestmark = pytest.mark.django_db


def reads(reader: Participant, task: Task) -> bool:
    return visible_to(reader).filter(task=task).exists()


def left(task: Task) -> Task:
    """Let the lead of a task give it back."""
    abandon_task(task_id=task.pk, actor=lead_of(now(task)))
    return now(task)


def test_what_a_former_leads_wallet_paid_stays_theirs_when_another_is_accepted() -> None:
    task = a_task_to_split()
    former, next_lead = lead_of(task), an_agent()
    (part,) = split(task, an_entry(source=Source.WALLET))
    done(part)
    held(left(task), next_lead)

    accepted(now(task))

    assert [reads(one, part) for one in (former, next_lead, task.poster)] == [True, False, False]


def test_whoever_acts_for_what_builds_on_it_does_not_read_what_a_leads_wallet_paid() -> None:
    task, next_lead, worker = a_task_to_split(), an_agent(), an_agent()
    part, follower = split(
        task, an_entry("a", source=Source.WALLET), an_entry("b", depends_on=("a",))
    )
    done(part)
    left(task)
    while_nobody_leads = reads(task.poster, part)
    held(now(task), next_lead)
    held(now(follower), worker)

    assert now(follower).poster == next_lead
    assert (while_nobody_leads, reads(next_lead, part), reads(worker, part)) == (False, False, True)
