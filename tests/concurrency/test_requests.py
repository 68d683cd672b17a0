"""Requests at the same time: one effect for one intent, and no server error for a lost race."""

import threading
from collections import Counter
from functools import partial

import pytest
from django.db import OperationalError, connection, transaction

from marketplace.foundation.transactions import Busy, run_in_transaction
from marketplace.participants.models import Kind, Participant
from marketplace.participants.usecases.register_participant import (
    HandleTaken,
    Registered,
    register_participant,
)
from tests.api.caller import Answer, Caller, ok, somebody
from tests.builders.at_once import together
from tests.builders.people import a_handle, a_person
from tests.builders.work import a_submitted_delivery, available

pytestmark = pytest.mark.django_db

TASK = {"title": "Sort this", "description": "By price.", "bounty": "5"}


def test_ten_equal_requests_at_once_under_one_key_have_one_effect_and_one_answer() -> None:
    ada = somebody()

    def post() -> Answer:
        return Caller(ada.key, ada.participant).post("/tasks", TASK, once="k")

    answers = together([post] * 10)

    assert len({answer.content for answer in answers}) == 1  # type: ignore[attr-defined]
    replayed = [("Idempotent-Replayed" in answer.headers) for answer in answers]  # type: ignore[attr-defined]
    assert Counter(replayed) == {True: 9, False: 1}
    assert available(ada.participant) == 95_000_000


def test_when_the_first_of_two_fails_the_second_runs() -> None:
    ada, delivery = somebody(), a_submitted_delivery()
    path = f"/tasks/{delivery.task.public_id}/claim"

    def claim() -> Answer:
        return Caller(ada.key, ada.participant).post(path, once="k")

    answers = together([claim] * 4)

    assert [answer.status_code for answer in answers] == [409] * 4  # type: ignore[attr-defined]


def test_twenty_accepts_at_once_over_http_pay_once_and_answer_all() -> None:
    ada = somebody()
    delivery = a_submitted_delivery(ada.participant)
    path = f"/deliveries/{delivery.public_id}/accept"

    def accept() -> Answer:
        return Caller(ada.key, ada.participant).post(path)

    answers = together([accept] * 20)

    statuses = Counter(answer.status_code for answer in answers)  # type: ignore[attr-defined]
    assert statuses == {200: 1, 409: 19}
    assert available(delivery.worker) == 109_500_000


def test_transfers_at_once_never_pay_more_than_there_is() -> None:
    ada, bo = somebody(), somebody()

    def pay() -> Answer:
        body = {"to": bo.handle, "amount": "30"}
        return Caller(ada.key, ada.participant).post("/credits/transfers", body)

    answers = together([pay] * 8)

    statuses = Counter(answer.status_code for answer in answers)  # type: ignore[attr-defined]
    assert statuses == {201: 3, 402: 5}
    assert (available(ada.participant), available(bo.participant)) == (10_000_000, 190_000_000)


def test_payments_back_and_forth_at_once_deadlock_nobody() -> None:
    ada, bo = somebody(), somebody()

    def pay(payer: Caller, payee: Caller) -> Answer:
        body = {"to": payee.handle, "amount": "1"}
        return ok(Caller(payer.key, payer.participant).post("/credits/transfers", body), 201)

    outcomes = together([partial(pay, ada, bo), partial(pay, bo, ada)] * 6)

    assert all(isinstance(outcome, dict) for outcome in outcomes), outcomes
    assert available(ada.participant) == available(bo.participant) == 100_000_000


def test_of_simultaneous_registrations_of_a_handle_one_wins() -> None:
    handle = a_handle()
    register = partial(
        register_participant, handle=handle, kind=Kind.AGENT, display_name="x", key_seed=b"x"
    )

    outcomes = together([register] * 6)

    kinds = Counter(type(outcome) for outcome in outcomes)
    assert kinds == {Registered: 1, HandleTaken: 5}
    assert Participant.objects.filter(handle=handle).count() == 1


# --- How a use case runs --------------------------------------------------------------------------


@pytest.mark.provokes_a_deadlock
def test_a_deadlock_is_tried_again_and_nobody_hears_of_it() -> None:
    one, other = a_person(), a_person()
    start = threading.Barrier(2)
    tries: list[str] = []

    def lock_both(first: Participant, second: Participant) -> str:
        def work() -> str:
            tries.append(first.handle)
            Participant.objects.select_for_update(of=("self",)).get(pk=first.pk)
            if len(tries) <= 2:
                start.wait(10)
            Participant.objects.select_for_update(of=("self",)).get(pk=second.pk)
            return "done"

        return run_in_transaction(work)

    outcomes = together([partial(lock_both, one, other), partial(lock_both, other, one)])

    assert outcomes == ["done", "done"]
    assert len(tries) == 3


def test_a_row_that_stays_locked_is_told_as_busy() -> None:
    person = a_person()
    locked, done = threading.Event(), threading.Event()

    def hold() -> None:
        with transaction.atomic():
            Participant.objects.select_for_update(of=("self",)).get(pk=person.pk)
            locked.set()
            done.wait(10)

    def want() -> None:
        locked.wait(10)

        def work() -> None:
            with connection.cursor() as cursor:
                cursor.execute("SET LOCAL lock_timeout = '100ms'")
            Participant.objects.select_for_update(of=("self",)).get(pk=person.pk)

        try:
            run_in_transaction(work)
        finally:
            done.set()

    _, refusal = sorted(together([hold, want]), key=lambda outcome: outcome is not None)

    assert isinstance(refusal, Busy)


def test_what_no_second_try_can_mend_is_raised_at_once() -> None:
    tries = []

    def work() -> None:
        tries.append(1)
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL statement_timeout = '10ms'")
            cursor.execute("SELECT pg_sleep(1)")

    with pytest.raises(OperationalError):
        run_in_transaction(work)

    assert len(tries) == 1
