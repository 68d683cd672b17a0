"""Money stands still: nothing moves credits, no limit of time runs, and staff end it."""

import io
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command
from django.db import connection, transaction
from django.test import Client

from credits import audit, ledger, switch
from credits.errors import InvalidText, MoneyReadOnly
from credits.seals import list_seals
from marketplace.delivery.models import Delivery, DeliveryState
from marketplace.delivery.usecases.accept_delivery import accept_delivery
from marketplace.delivery.verification.jobs import sweep_unfinished_checks
from marketplace.events.models import Event
from marketplace.foundation import clock
from marketplace.foundation.transactions import Busy
from marketplace.ops import books, jobs, standstill
from marketplace.ops.models import AuditRun
from marketplace.ops.usecases.resume_money import BooksAreWrong, NotAuditedSince, resume_money
from marketplace.ops.usecases.stop_money import AUDIT, stop_money
from marketplace.participants.models import Participant
from marketplace.reuse import earnings
from marketplace.tasks import deadlines
from marketplace.tasks.models import Task
from marketplace.tasks.states import NotPermitted, TaskState
from marketplace.tasks.usecases.abandon_task import abandon_task
from marketplace.tasks.usecases.claim_task import claim_task
from marketplace.tasks.usecases.heartbeat import heartbeat
from tests.api.caller import ok, problem, somebody
from tests.builders.people import a_person, an_agent
from tests.builders.work import (
    a_claimed_task,
    a_submitted_delivery,
    a_task,
    again,
    an_exact_check,
    deliver,
    everything_handled,
    feeds_caught_up,
    held,
    swept,
)
from tests.owner import as_owner
from tests.web.reading import Answer, signed_in, text_of
from tests.web.test_tasks import FILLED

pytestmark = pytest.mark.usefixtures("db", "_money_moves_again", "_ledger_only")


@pytest.fixture
def _money_moves_again() -> Iterator[None]:
    yield
    with transaction.atomic():
        if switch.resume_writing(reason="The test has ended.", actor="test"):
            clock.go_on()
    AuditRun.objects.update(accepted_by_turn=None)


@pytest.fixture
def _ledger_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave the market's invariants out: tests of the ledger leave escrows without tasks."""
    monkeypatch.setattr(books, "INVARIANTS", (audit.INVARIANTS,))


@pytest.fixture
def ada() -> Participant:
    """Ada of staff."""
    person = a_person()
    person.is_staff = True
    person.save(update_fields=["is_staff"])
    return person


def stop(reason: str = "The books are wrong.") -> None:
    assert stop_money(reason=reason, actor=None)


def resume(ada: Participant) -> None:
    assert resume_money(reason="Looked.", actor=ada, despite_findings=True)


# --- The clock ------------------------------------------------------------------------------------


def test_the_clock_stands_while_money_does_and_goes_on_from_there(ada: Participant) -> None:
    before = clock.now()

    stop()
    stood = [clock.now(), clock.now()]
    clock.advance(timedelta(days=30))  # however long it takes
    stood.append(clock.now())
    shown = clock.stands_at()
    resume(ada)
    after = clock.now()

    assert before <= stood[0]
    assert set(stood) == {shown}
    assert timedelta(0) <= after - stood[0] < timedelta(minutes=5)
    assert clock.stands_at() is None


def test_limits_are_as_far_away_as_before_and_pass_in_their_time(ada: Participant) -> None:
    task = a_claimed_task()
    assert task.claim_expires_at is not None
    left = task.claim_expires_at - clock.now()

    stop()
    clock.advance(timedelta(days=400))
    assert deadlines.passed(again(task), clock.now()) is None
    resume(ada)

    assert left - (task.claim_expires_at - clock.now()) < timedelta(minutes=5)
    assert swept(task).state == TaskState.CLAIMED
    clock.advance(left)
    assert swept(task).state == TaskState.OPEN


def test_a_clock_that_stood_twice_never_runs_back(ada: Participant) -> None:
    seen = [clock.now()]
    for _ in range(2):
        stop()
        seen.append(clock.now())
        resume(ada)
        seen.append(clock.now())

    assert seen == sorted(seen)


def test_a_stop_that_fails_leaves_the_clock_going(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise RuntimeError("the machine is gone")

    monkeypatch.setattr(clock, "stand_still", fail)

    with pytest.raises(RuntimeError):
        stop_money(reason="The books are wrong.", actor=None)

    assert clock.stands_at() is None
    assert switch.standing_stop() is None
    a_task()


# --- What goes on, and what does not --------------------------------------------------------------


def test_what_moves_no_credits_works_at_the_moment_that_the_clock_shows() -> None:
    task, other, worker = a_claimed_task(), a_task(), an_agent()
    assert task.worker is not None
    stop()
    at = clock.now()

    beating = heartbeat(task_id=task.pk, actor=task.worker)
    claimed = claim_task(task_id=other.pk, actor=worker)
    delivery = deliver(task)
    given_up = abandon_task(task_id=other.pk, actor=worker, reason="")

    lease = timedelta(seconds=task.lease_seconds)
    assert beating.claim_expires_at == min(at + lease, task.deadline)
    assert claimed.claim_expires_at == min(at + lease, other.deadline)
    assert delivery.created_at == at
    assert given_up.state == TaskState.OPEN
    assert delivery.state == DeliveryState.SUBMITTED


def test_what_moves_credits_is_refused_whole_over_http_and_done_when_it_is_asked_again(
    ada: Participant,
) -> None:
    poster, worker = somebody(), somebody()
    delivery = a_submitted_delivery(poster.participant, worker.participant)
    calls: list[tuple[str, object]] = [
        ("/tasks", {"title": "t", "description": "d", "bounty": "1"}),
        ("/credits/transfers", {"to": worker.handle, "amount": "1"}),
        (f"/deliveries/{delivery.public_id}/accept", {}),
        ("/participants", {"handle": f"p-{uuid.uuid4().hex[:8]}", "kind": "agent",
                           "display_name": "P"}),
    ]  # fmt: skip
    stop()
    before = everything_of(delivery)

    for path, body in calls:
        answer = poster.post(path, body, once=f"key of {path}")
        problem(answer, 503, "money_read_only")
        assert int(answer.headers["Retry-After"]) >= 1

    assert everything_of(delivery) == before
    assert ok(worker.get("/credits"))["available"] == "100"
    assert ok(worker.get("/credits/statement"))["results"]

    resume(ada)
    for path, body in calls:
        answer = poster.post(path, body, once=f"key of {path}")
        assert answer.status_code in (200, 201)
    assert again(delivery.task).state == TaskState.ACCEPTED


def everything_of(delivery: Delivery) -> list[object]:
    task = Task.objects.get(pk=delivery.task_id)
    return [
        task.state,
        Delivery.objects.get(pk=delivery.pk).state,
        held(task),
        ledger.balance(ledger.AccountId(task.poster.wallet_account)),
        Event.objects.count(),
        Task.objects.count(),
        Participant.objects.count(),
    ]


def test_a_command_on_an_overdue_task_waits_for_the_money_that_its_end_moves(
    ada: Participant,
) -> None:
    task, worker = a_task(deadline=clock.now() + timedelta(minutes=6)), an_agent()
    clock.advance(timedelta(minutes=7))
    stop()

    with pytest.raises(MoneyReadOnly):
        claim_task(task_id=task.pk, actor=worker)

    assert again(task).state == TaskState.OPEN
    resume(ada)
    assert swept(task).state == TaskState.EXPIRED


def test_sweepers_leave_what_is_due_until_credits_move(
    ada: Participant, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    tasks = [a_task(deadline=clock.now() + timedelta(minutes=6)) for _ in range(3)]
    delivery = a_submitted_delivery(acceptance="automatic", verification=[an_exact_check()])
    clock.advance(timedelta(minutes=7))
    stop()
    feeds_caught_up()
    sealed = list_seals(after=0, limit=1000)

    everything_handled()  # the check runs; acting on its verdict waits
    deadlines.sweep()
    earnings.release_due()
    sweep_unfinished_checks()
    jobs.seal_the_books()
    jobs.roll_up_derived_accounts()

    assert {again(task).state for task in tasks} == {TaskState.OPEN}
    assert list_seals(after=0, limit=1000) == sealed
    assert delivery.checks.get().state == "passed"
    assert Delivery.objects.get(pk=delivery.pk).state == DeliveryState.SUBMITTED
    assert "Traceback" not in capsys.readouterr().out + caplog.text

    resume(ada)
    while deadlines.sweep():
        pass
    sweep_unfinished_checks()
    assert {again(task).state for task in tasks} == {TaskState.EXPIRED}
    assert again(delivery.task).state == TaskState.ACCEPTED


# --- Who turns the switch -------------------------------------------------------------------------


def test_staff_stop_money_with_a_reason_and_nobody_else_does(ada: Participant) -> None:
    with pytest.raises(NotPermitted):
        stop_money(reason="I want to.", actor=a_person())
    with pytest.raises(InvalidText):
        stop_money(reason="", actor=ada)

    assert stop_money(reason="Something smells.", actor=ada)
    assert not stop_money(reason="Still does.", actor=ada)

    standing = switch.standing_stop()
    assert standing is not None
    assert (standing.actor, standing.reason) == (ada.handle, "Something smells.")


def test_money_resumes_only_after_a_fresh_full_audit_found_nothing(ada: Participant) -> None:
    stranger = a_person()
    books.audit_books(is_full=True, asked_by="before")
    stop()
    with pytest.raises(NotPermitted):
        resume_money(reason="I want to.", actor=stranger)
    with pytest.raises(NotAuditedSince):
        resume_money(reason="Looked.", actor=ada)
    books.audit_books(is_full=False, asked_by="a test")
    with pytest.raises(NotAuditedSince):
        resume_money(reason="Looked.", actor=ada)

    books.audit_books(is_full=True, asked_by="a test")

    assert resume_money(reason="Looked.", actor=ada)
    assert not resume_money(reason="Looked.", actor=ada)
    (turn,) = switch.history(limit=1)
    assert (turn.stops, turn.actor, turn.reason) == (False, ada.handle, "Looked.")


@contextmanager
def a_wrong_balance(task: Task) -> Iterator[None]:
    """Raise what an escrow holds, for everybody to see, and take it back."""
    change = "UPDATE credits_account SET balance = balance {} 7 WHERE reference = %s"
    _past_every_trigger(change.format("+"), task.public_id)
    try:
        yield
    finally:
        _past_every_trigger(change.format("-"), task.public_id)


def _past_every_trigger(statement: str, *arguments: str) -> None:
    with as_owner(), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")
        cursor.execute(statement, arguments)


def test_an_audit_that_finds_money_wrong_stops_it_until_the_books_are_right(
    ada: Participant,
) -> None:
    task = a_task()
    with a_wrong_balance(task):
        outcome = books.audit_books(is_full=True, asked_by="a test")
        standing = switch.standing_stop()
        again_ = books.audit_books(is_full=True, asked_by="a test")
        with pytest.raises(BooksAreWrong) as refused:
            resume_money(reason="Surely fine.", actor=ada)

    assert outcome.has_stopped_money
    assert not again_.has_stopped_money
    assert refused.value.findings == len(outcome.run.findings) == 2
    assert standing is not None
    assert standing.actor == AUDIT
    assert standing.reason.startswith(f"Audit {outcome.run.pk} found the books wrong: account ")
    assert "(accounts_stand_where_their_entries_end), supply (" in standing.reason
    with pytest.raises(MoneyReadOnly):
        a_task()

    books.audit_books(is_full=True, asked_by="a test")
    assert resume_money(reason="The row is as it was.", actor=ada)
    a_task()


def test_an_audit_that_only_looks_stops_nothing() -> None:
    with a_wrong_balance(a_task()):
        outcome = books.audit_books(is_full=True, asked_by="a test", may_stop=False)

    assert outcome.run.money_findings
    assert not outcome.has_stopped_money
    assert switch.standing_stop() is None


def test_what_is_wrong_with_other_things_than_money_stops_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: object
) -> None:
    assert hasattr(tmp_path, "joinpath")
    own = tmp_path.joinpath("own.sql")
    own.write_text("-- invariant: never\n-- Never.\nSELECT 'x' AS subject, 'y' AS wrong;\n")
    monkeypatch.setattr(books, "INVARIANTS", (own,))

    outcome = books.audit_books(is_full=True, asked_by="a test")

    assert [one["invariant"] for one in outcome.run.findings] == ["never"]
    assert not outcome.has_stopped_money


def test_findings_that_staff_accepted_do_not_stop_money_again_and_others_do(
    ada: Participant,
) -> None:
    known, other = a_task(), a_task()
    with a_wrong_balance(known):
        stopped = books.audit_books(is_full=True, asked_by="a test")
        found = books.audit_books(is_full=True, asked_by="a test").run
        assert resume_money(reason="We know.", actor=ada, despite_findings=True)
        a_task()  # credits move

        known_again = books.audit_books(is_full=True, asked_by="a test")
        with a_wrong_balance(other):
            new = books.audit_books(is_full=True, asked_by="a test")
    books.audit_books(is_full=True, asked_by="a test")
    resume(ada)
    with a_wrong_balance(known):
        back = books.audit_books(is_full=True, asked_by="a test")

    (turn,) = (one for one in switch.history(limit=5) if one.reason == "We know.")
    assert AuditRun.objects.get(pk=found.pk).accepted_by_turn == turn.number
    assert stopped.has_stopped_money
    assert len(known_again.run.findings) == 2
    assert not known_again.has_stopped_money
    assert new.has_stopped_money
    assert back.has_stopped_money  # it was put right in between


def test_a_reason_names_some_findings_and_says_how_many_more_there_are() -> None:
    tasks = [a_task() for _ in range(8)]
    for task in tasks:
        _past_every_trigger(
            "UPDATE credits_account SET balance = balance + 1 WHERE reference = %s", task.public_id
        )
    try:
        books.audit_books(is_full=True, asked_by="a test")
        standing = switch.standing_stop()
    finally:
        for task in tasks:
            _past_every_trigger(
                "UPDATE credits_account SET balance = balance - 1 WHERE reference = %s",
                task.public_id,
            )

    assert standing is not None
    assert standing.reason.count("account ") == 4
    assert standing.reason.endswith(", 5 more.")


# --- Patience -------------------------------------------------------------------------------------


def test_stopping_tries_again_until_whoever_writes_has_ended(ada: Participant) -> None:
    outcome: list[object] = []
    with transaction.atomic():
        ledger.open_account(kind="wallet", owner=uuid.uuid4())
        thread = threading.Thread(
            target=lambda: outcome.append(standstill.begin(reason="Soon.", actor=ada))
        )
        thread.start()
        thread.join(timeout=2.5)  # longer than one try
        assert thread.is_alive()
    thread.join(timeout=30)

    assert outcome == [True]
    assert switch.standing_stop() is not None


def test_stopping_gives_up_in_the_end_and_changes_nothing(
    ada: Participant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(standstill, "PATIENCE_SECONDS", 0)
    outcome: list[object] = []

    def begin() -> None:
        try:
            outcome.append(standstill.begin(reason="Soon.", actor=ada))
        except Busy as busy:
            outcome.append(busy)

    with transaction.atomic():
        ledger.open_account(kind="wallet", owner=uuid.uuid4())
        thread = threading.Thread(target=begin)
        thread.start()
        thread.join(timeout=30)
        assert not thread.is_alive()

    assert [type(one) for one in outcome] == [Busy]
    assert switch.standing_stop() is None


# --- The command ----------------------------------------------------------------------------------


def said_by(*arguments: str) -> str:
    said = io.StringIO()
    call_command("money", *arguments, stdout=said)
    return said.getvalue()


def test_the_command_stops_money_and_lets_it_move_again(ada: Participant) -> None:
    staff = f"--as={ada.handle}"
    assert "Credits move." in said_by("status")

    assert "Money is read-only." in said_by("stop", staff, "--reason=A drill.")
    assert "already" in said_by("stop", staff, "--reason=A drill.")
    status = said_by("status")
    assert "Money is read-only since" in status
    assert f"stopped by {ada.handle}: A drill." in status
    assert "Credits move." in said_by("resume", staff, "--reason=It went well.")
    assert "already" in said_by("resume", staff, "--reason=It went well.")

    assert f"resumed by {ada.handle}: It went well." in said_by("status")
    assert f"full, by {ada.handle}: nothing wrong" in said_by("status")


def test_the_command_resumes_in_spite_of_findings_only_when_told_to(ada: Participant) -> None:
    task, staff = a_task(), f"--as={ada.handle}"
    stop()
    with a_wrong_balance(task):
        with pytest.raises(CommandError, match="2 findings"):
            said_by("resume", staff, "--reason=Surely fine.")
        assert switch.standing_stop() is not None

        said = said_by("resume", staff, "--reason=We know.", "--despite-findings")

    assert "accounts_stand_where_their_entries_end" in said
    assert switch.standing_stop() is None


@pytest.mark.parametrize("action", ["stop", "resume"])
def test_the_command_asks_for_staff_and_a_reason(action: str, ada: Participant) -> None:
    stranger = a_person()
    stop()

    with pytest.raises(CommandError, match="Nobody has this handle"):
        said_by(action, "--as=nobody-at-all", "--reason=Why not.")
    with pytest.raises(CommandError, match="Only staff"):
        said_by(action, f"--as={stranger.handle}", "--reason=Why not.")
    with pytest.raises(CommandError, match="reason"):
        said_by(action, f"--as={ada.handle}")


# --- Pages ----------------------------------------------------------------------------------------


def press(client: Client, action: str, **typed: object) -> Answer:
    return client.post("/ops/books", {"action": action, **typed}, follow=True)


def test_staff_turn_the_switch_on_their_page(ada: Participant) -> None:
    client = signed_in(ada)

    empty = press(client, "stop", reason="")
    stopped = press(client, "stop", reason="Something smells.")
    early = press(client, "resume", reason="Fine.")
    audited = press(client, "audit")
    resumed = press(client, "resume", reason="It was the cheese.")

    assert empty.status_code == early.status_code == 400
    assert f"stopped by {ada.handle}: Something smells." in text_of(stopped)
    assert "run one first" in text_of(early)
    assert "A full audit was asked for." in text_of(audited)
    assert "Credits move." in text_of(resumed)
    assert "It was the cheese." in text_of(resumed)
    assert switch.standing_stop() is None


def test_the_page_shows_what_is_wrong_and_lets_staff_resume_in_spite_of_it(
    ada: Participant,
) -> None:
    client = signed_in(ada)
    with a_wrong_balance(a_task()):
        press(client, "audit")
        shown = client.get("/ops/books")
        press(client, "audit")
        refused = press(client, "resume", reason="Fine.")
        resumed = press(client, "resume", reason="We know.", despite_findings="on")

    assert "its newest entry has" in text_of(shown)
    assert "Money is read-only" in text_of(shown)
    assert refused.status_code == 400
    assert "2 findings" in text_of(refused)
    assert "Credits move." in text_of(resumed)
    assert "(accepted)" in text_of(resumed)


def test_the_page_is_for_staff_alone(ada: Participant) -> None:
    assert Client().get("/ops/books").status_code == 404
    assert signed_in(a_person()).get("/ops/books").status_code == 404
    assert press(signed_in(a_person()), "stop", reason="I want to.").status_code == 404
    assert signed_in(ada).post("/ops/books", {"action": "rob"}).status_code == 400
    assert switch.standing_stop() is None


def test_every_page_says_calmly_that_credits_do_not_move(ada: Participant) -> None:
    person = a_person()
    said = "Credits do not move just now"
    assert said not in Client().get("/").content.decode()

    stop()

    assert said in text_of(Client().get("/"))
    assert said in text_of(signed_in(person).get("/wallet"))
    assert said in text_of(signed_in(person).get("/tasks/new"))
    assert "staff look at the books" in text_of(Client().get("/problems/money_read_only"))
    resume(ada)
    assert said not in Client().get("/").content.decode()


def test_a_form_that_would_move_credits_keeps_what_was_typed_and_says_why() -> None:
    client = signed_in(a_person())
    stop()

    answer = client.post("/tasks/new", FILLED | {"title": "Sort these"})

    assert answer.status_code == 503
    assert "Credits do not move while staff look at the books" in text_of(answer)
    assert "Sort these" in answer.content.decode()


def test_an_acceptance_that_waited_for_money_pays_what_it_would_have_paid(
    ada: Participant,
) -> None:
    delivery = a_submitted_delivery()
    stop()
    with pytest.raises(MoneyReadOnly):
        accept_delivery(delivery_id=delivery.pk, actor=delivery.task.poster)
    resume(ada)

    settlement = accept_delivery(delivery_id=delivery.pk, actor=delivery.task.poster)

    assert settlement.bounty == settlement.wages + settlement.fee
    assert held(delivery.task) == 0


# --- Races ----------------------------------------------------------------------------------------


def test_while_a_market_is_busy_money_stops_between_two_effects(ada: Participant) -> None:
    running = threading.Event()
    running.set()
    made: list[Task] = []
    failed: list[BaseException] = []

    def work() -> None:
        poster = a_person()
        while running.is_set():
            try:
                made.append(a_task(poster, bounty=100_000))
            except MoneyReadOnly:
                continue
            except BaseException as error:  # noqa: BLE001 - the test asserts that there is none
                failed.append(error)
                return

    workers = [threading.Thread(target=work) for _ in range(3)]
    for worker in workers:
        worker.start()
    try:
        for _ in range(3):
            _more_than(made, len(made) + 3)
            assert standstill.begin(reason="The books are wrong.", actor=None)
            stands_at, before = clock.stands_at(), _postings()
            assert [_postings(), clock.stands_at()] == [before, stands_at]
            resume(ada)
    finally:
        running.clear()
        for worker in workers:
            worker.join(timeout=30)

    assert failed == [] or [type(one) for one in failed] == []
    assert {again(task).state for task in made} == {TaskState.OPEN}
    assert {held(task) for task in made} == {100_000}
    assert audit.run() == []


def _postings() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM credits_posting")
        return int(cursor.fetchone()[0])


def _more_than(made: list[Task], number: int) -> None:
    wait_until(lambda: len(made) > number)


def wait_until(holds: Callable[[], bool]) -> None:
    for _ in range(2_000):
        if holds():
            return
        threading.Event().wait(0.01)
    raise TimeoutError
