"""Who acts for subtasks when a lead goes, and who may not work below it (rules 7 and 15)."""

import pytest

from marketplace.tasks.usecases.abandon_task import abandon_task
from tests.builders.people import a_person, an_agent
from tests.builders.trees import ALL, a_task_to_split, an_entry, held, now, split

pytestmark = pytest.mark.django_db


def test_who_acts_for_a_subtask_that_nobody_leads_acts_for_its_parts_too() -> None:
    poster, first, second = a_person(), an_agent(), an_agent()
    task = a_task_to_split(poster, first)
    (part,) = split(task, an_entry(bounty=3_000_000, delegation_bps=ALL))
    below = held(part)
    (leaf,) = split(below)
    assert below.worker is not None
    abandon_task(task_id=part.pk, actor=below.worker)
    by_lead = now(leaf).poster

    abandon_task(task_id=task.pk, actor=first)
    by_poster = now(leaf).poster
    held(now(task), second)

    assert (by_lead, by_poster, now(leaf).poster) == (first, poster, second)
