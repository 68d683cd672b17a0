"""The audit of the market: it names what somebody corrupts, keeps it, and tells whoever asks."""

import io
import json
import uuid
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection, transaction
from hypothesis import given
from hypothesis import strategies as st

from credits import audit
from credits.audit import Mark
from marketplace.foundation import ids
from marketplace.ops import books, jobs
from marketplace.ops.models import AuditRun
from marketplace.tasks.models import Task
from marketplace.tasks.usecases.use_asset import use_asset
from tests.builders.assets import a_skill
from tests.builders.at_once import together
from tests.builders.disputes import a_settled_dispute
from tests.builders.people import a_person
from tests.builders.trees import a_task_to_split, split
from tests.builders.work import a_claimed_task, a_task, an_accepted_delivery
from tests.credits.books import seal_everything
from tests.owner import as_owner

pytestmark = pytest.mark.django_db


ANY = uuid.UUID(int=0)


@contextmanager
def corrupted(statement: str, *arguments: uuid.UUID | int) -> Iterator[None]:
    """Change rows past every trigger, as a superuser could, and take it back afterwards."""
    with as_owner(), transaction.atomic(), connection.cursor() as cursor:
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
    "disputed_tasks_have_a_dispute": (
        "UPDATE disputes_dispute SET state = 'decided', settled_at = NULL, due_at = now()"
        " WHERE task_id = %s"
    ),
    "deposits_are_held_until_settled": (
        "UPDATE credits_account SET closed_at = NULL WHERE reference ="
        " (SELECT typeid('dispute', id) FROM disputes_dispute WHERE task_id = %s)"
    ),
    "panels_are_paid_for_their_votes": (
        "UPDATE disputes_seat SET fee = fee + 1 FROM disputes_dispute"
        " WHERE disputes_dispute.id = dispute_id AND task_id = %s"
    ),
    "wallets_are_their_owners": (
        "UPDATE credits_account SET owner = gen_random_uuid() WHERE id ="
        " (SELECT wallet FROM participants_participant JOIN tasks_task ON poster_id ="
        " participants_participant.id WHERE tasks_task.id = %s)"
    ),
    "delegated_is_what_subtasks_have": (
        "UPDATE tasks_task SET delegated = delegated + 1 WHERE id = %s"
    ),
    "delegated_is_within_the_grant": "UPDATE tasks_task SET delegation_bps = 1 WHERE id = %s",
    "charged_is_what_the_claim_delegated": (
        "UPDATE tasks_task SET charged = charged + 1 WHERE parent_id = %s"
    ),
    "subtasks_are_counted": (
        "UPDATE tasks_task SET unsettled_children = unsettled_children + 1 WHERE id = %s"
    ),
    "subtasks_are_below_their_parent": (
        "UPDATE tasks_task SET depth = depth + 1 WHERE parent_id = %s"
    ),
    "clock_stands_while_money_does": (
        "UPDATE market_clock SET stands_at = market_now() WHERE %s::uuid IS NOT NULL"
    ),
}
# The rest of what an audit of what is new leaves to a full one.
ONLY_IN_FULL = {"escrows_have_a_task"}


@pytest.mark.parametrize("invariant", CORRUPTIONS)
def test_the_audit_names_what_somebody_corrupts(invariant: str) -> None:
    mark = audit.examine().mark
    if invariant.startswith(("disputed", "deposits", "panels")):
        task = a_settled_dispute().task
    elif invariant.startswith(("delegated", "charged", "subtasks")):
        task = a_task_to_split()
        split(task)
    else:
        task = a_claimed_task() if invariant.startswith("running") else a_life()
    before = books.check()

    with corrupted(CORRUPTIONS[invariant], task.pk):
        found = {one.invariant for one in books.check() if one not in before}
        of_what_is_new = audit.examine(books.INVARIANTS, since=mark).findings
        found_new = {one.invariant for one in of_what_is_new if one not in before}

    assert invariant in found
    assert (invariant in found_new) == (invariant not in ONLY_IN_FULL)


def test_every_invariant_of_the_market_has_a_corruption() -> None:
    invariants = audit.read(books.INVARIANTS[1])

    assert {one.name for one in invariants} == set(CORRUPTIONS)
    assert {one.name for one in invariants if one.only_in_full} == ONLY_IN_FULL
    assert [one.name for one in invariants if not one.is_of_money] == [
        "subtasks_are_counted",
        "subtasks_are_below_their_parent",
        "claims_are_held_by_their_task",
        "disputed_tasks_have_a_dispute",
    ]


def test_an_audit_of_what_is_new_sees_tasks_that_ended_lately_by_a_clock_that_is_behind(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(audit, "MAX_FINDINGS", 1_000_000)
    mark = audit.examine().mark
    with as_owner(), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("UPDATE market_clock SET \"offset\" = interval '-3 days'")
        delivery = an_accepted_delivery()
        with corrupted(CORRUPTIONS["ended_tasks_hold_nothing"], delivery.task_id):
            found = audit.examine(books.INVARIANTS, since=mark).findings
        transaction.set_rollback(True)

    assert f"task {delivery.task.public_id}" in {
        one.subject for one in found if one.invariant == "ended_tasks_hold_nothing"
    }


# --- Audits that are kept -------------------------------------------------------------------------


@pytest.fixture
def _ledger_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave the market's invariants out: tests of the ledger leave escrows without tasks."""
    monkeypatch.setattr(books, "INVARIANTS", (audit.INVARIANTS,))


def audited(**options: object) -> AuditRun:
    asked: dict[str, Any] = {"is_full": True, "asked_by": "a test"} | options
    return books.audit_books(**asked).run


def wrong_balance_of(task: Task) -> AbstractContextManager[None]:
    return corrupted(
        "UPDATE credits_account SET balance = balance + 7 WHERE reference = typeid('task', %s)",
        task.pk,
    )


@pytest.mark.usefixtures("_ledger_only")
def test_an_audit_is_kept_with_what_it_found_and_how_far_it_came() -> None:
    task = a_task()

    right = audited()
    with wrong_balance_of(task):
        wrong = audited(may_stop=False)

    assert (right.is_full, right.asked_by, right.findings) == (True, "a test", [])
    assert AuditRun.objects.get(pk=right.pk).mark == right.mark
    assert right.ended_at > right.started_at
    assert {one["invariant"] for one in wrong.findings} == {
        "accounts_stand_where_their_entries_end",
        "supply_is_what_was_issued",
    }
    assert wrong.money_findings == wrong.findings


@pytest.mark.usefixtures("_ledger_only")
def test_an_audit_of_what_is_new_begins_where_the_last_one_that_found_nothing_ended(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    task = a_task()
    right = audited()
    with wrong_balance_of(task):
        audited(may_stop=False)
    asked: list[object] = []
    examine = audit.examine

    def listen(
        *paths: Sequence[Path], since: Mark | None, progress: audit.Progress | None
    ) -> audit.Report:
        asked.append(since)
        return examine(*paths, since=since, progress=progress)

    monkeypatch.setattr(audit, "examine", listen)

    new = audited(is_full=False)

    assert asked == [right.mark]
    assert (new.is_full, new.findings) == (False, [])


@pytest.mark.usefixtures("_ledger_only")
def test_where_no_audit_has_found_nothing_everything_is_new() -> None:
    with transaction.atomic():
        AuditRun.objects.all().delete()
        run = audited(is_full=False)
        transaction.set_rollback(True)

    assert run.is_full


@pytest.mark.usefixtures("_ledger_only")
def test_what_was_sealed_is_hashed_again_and_blocks_that_were_seen_are_missed() -> None:
    a_task()
    seal_everything()
    mark = audited().mark
    with corrupted("UPDATE credits_posting SET memo = 'another' WHERE %s::uuid IS NOT NULL", ANY):
        changed = audited(may_stop=False)
    with corrupted("DELETE FROM credits_seal WHERE number = %s", mark.seal):
        cut = audited(may_stop=False, is_full=False)

    assert "sealed_entries_never_change" in {one["invariant"] for one in changed.money_findings}
    assert [one["subject"] for one in cut.money_findings] == [f"seal {mark.seal}"]


@pytest.mark.usefixtures("_ledger_only")
def test_one_audit_runs_at_a_time() -> None:
    with audit.snapshot(), books.alone():
        (refusal,) = together([audited])

    assert isinstance(refusal, books.AuditRuns)
    assert audited().findings == []


@pytest.mark.usefixtures("_ledger_only")
def test_the_jobs_audit_and_give_way_to_an_audit_that_runs() -> None:
    jobs.audit_everything()
    jobs.audit_what_is_new()
    with audit.snapshot(), books.alone():
        (gave_way,) = together([jobs.audit_everything])

    new, full = AuditRun.objects.order_by("-pk")[:2]
    assert (full.is_full, full.asked_by) == (True, "the nightly job")
    assert (new.is_full, new.asked_by) == (False, "the hourly job")
    assert gave_way is None


# --- The command ----------------------------------------------------------------------------------


@pytest.mark.usefixtures("_ledger_only")
def test_the_command_says_that_the_books_are_balanced_or_what_is_wrong() -> None:
    task = a_task()

    said, plain, new, told = (io.StringIO() for _ in range(4))
    call_command("audit", json=True, stdout=said)
    call_command("audit", stdout=plain)
    call_command("audit", "--incremental", json=True, stdout=new)
    with (
        wrong_balance_of(task),
        pytest.raises(CommandError, match="the books are wrong") as refused,
    ):
        call_command("audit", "--no-switch", json=True, stdout=told)

    assert json.loads(said.getvalue())["balanced"] is True
    assert json.loads(said.getvalue())["full"] is True
    assert "The books are balanced" in plain.getvalue()
    assert json.loads(new.getvalue())["full"] is False
    assert refused.value.returncode == 1
    wrong = json.loads(told.getvalue())
    assert wrong["balanced"] is False
    assert wrong["has_stopped_money"] is False
    assert "accounts_stand_where_their_entries_end" in {
        one["invariant"] for one in wrong["findings"]
    }


@pytest.mark.usefixtures("_ledger_only")
def test_the_command_ends_with_another_status_where_nobody_knows() -> None:
    def command() -> None:
        call_command("audit", stdout=io.StringIO())

    with audit.snapshot(), books.alone():
        (refusal,) = together([command])

    assert isinstance(refusal, CommandError)
    assert refusal.returncode == 2


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.usefixtures("_ledger_only")
def test_a_terminal_is_shown_how_far_it_is_and_a_pipe_is_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("marketplace.ops.management.commands.audit.ProgressBar.SECONDS_BETWEEN", 0)
    shown, piped = Terminal(), io.StringIO()

    call_command("audit", stdout=io.StringIO(), stderr=shown)
    call_command("audit", stdout=io.StringIO(), stderr=piped)

    assert "postings_balance" in shown.getvalue()
    assert shown.getvalue().endswith("\r" + " " * 110 + "\r")
    assert piped.getvalue() == ""


@given(st.uuids())
def test_ids_read_the_same_in_sql_and_in_python(value: uuid.UUID) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT typeid('task', %s)", [value])
        (said,) = cursor.fetchone()

    assert said == ids.encode("task", value)
    assert ids.decode("task", said) == value
