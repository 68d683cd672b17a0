"""The audit: silent while the books are right, and naming whatever somebody corrupts by hand."""

import io
import json
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from django.core.management import CommandError, call_command
from django.db import connection, transaction
from hypothesis import given
from hypothesis import strategies as st

from credits import audit
from marketplace.foundation import ids
from marketplace.ops import books
from marketplace.tasks.models import Task
from marketplace.tasks.usecases.use_asset import use_asset
from tests.builders.assets import a_skill
from tests.builders.people import a_person
from tests.builders.work import a_claimed_task, a_task, an_accepted_delivery

pytestmark = pytest.mark.django_db


@contextmanager
def corrupted(statement: str, *arguments: uuid.UUID) -> Iterator[None]:
    """Change rows past every trigger, as a superuser could, and take it back afterwards."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")
        cursor.execute(statement, arguments)
        assert cursor.rowcount > 0
        yield
        transaction.set_rollback(True)


def a_life() -> Task:
    """Return an ended task; beside it there is a running one, and an earning that waits."""
    version = a_skill(price=1_000_000)
    owner, name = version.asset.reference.split("/")
    use_asset(actor=a_person(), owner=owner, name=name, max_charge=1_000_000)
    return an_accepted_delivery().task


CORRUPTIONS = {
    "ended_tasks_hold_nothing": (
        "UPDATE credits_account SET closed_at = NULL WHERE reference = typeid('task', %s)"
    ),
    "running_tasks_hold_their_bounty": (
        "UPDATE credits_account SET balance = balance - 1 WHERE reference = typeid('task', %s)"
    ),
    "escrows_have_a_task": (
        "UPDATE credits_account SET reference = 'task_none' WHERE reference = typeid('task', %s)"
    ),
    "ended_tasks_are_settled": "DELETE FROM tasks_settlement WHERE task_id = %s",
    "fees_are_what_settlements_say": (
        "UPDATE tasks_settlement SET fee = fee + 1, wages = wages - 1 WHERE task_id = %s"
    ),
    "waiting_earnings_are_pending": (
        "UPDATE reuse_earning SET amount = amount + 1"
        " WHERE due_at IS NOT NULL AND %s::uuid IS NOT NULL"
    ),
    "claims_are_held_by_their_task": (
        "UPDATE tasks_claim SET ended_at = NULL, ending = NULL WHERE task_id = %s"
    ),
}


@pytest.mark.parametrize("invariant", CORRUPTIONS)
def test_the_audit_names_what_somebody_corrupts(
    invariant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Tests of the ledger leave more escrows without tasks here than an audit would list.
    monkeypatch.setattr(audit, "MAX_FINDINGS", 1_000_000)
    task = a_claimed_task() if invariant.startswith("running") else a_life()
    before = books.check()

    with corrupted(CORRUPTIONS[invariant], task.pk):
        found = [one.invariant for one in books.check() if one not in before]

    assert invariant in found


def test_every_invariant_of_the_market_has_a_corruption() -> None:
    assert {one.name for one in audit.read(books.INVARIANTS[1])} == set(CORRUPTIONS)


def test_the_command_says_that_the_books_are_balanced_or_what_is_wrong(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    task = a_task()
    monkeypatch.setattr(books, "INVARIANTS", (audit.INVARIANTS,))

    said = io.StringIO()
    call_command("audit", json=True, stdout=said)
    plain = io.StringIO()
    call_command("audit", stdout=plain)
    told = io.StringIO()
    with (
        corrupted(
            "UPDATE credits_account SET balance = balance + 7 WHERE reference = typeid('task', %s)",
            task.pk,
        ),
        pytest.raises(CommandError, match="the books are wrong"),
    ):
        call_command("audit", json=True, stdout=told)

    assert json.loads(said.getvalue())["balanced"] is True
    assert "The books are balanced" in plain.getvalue()
    wrong = json.loads(told.getvalue())
    assert wrong["balanced"] is False
    assert "balances_are_what_entries_say" in {one["invariant"] for one in wrong["findings"]}


@given(st.uuids())
def test_ids_read_the_same_in_sql_and_in_python(value: uuid.UUID) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT typeid('task', %s)", [value])
        (said,) = cursor.fetchone()

    assert said == ids.encode("task", value)
    assert ids.decode("task", said) == value
