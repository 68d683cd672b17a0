"""Tasks and deliveries in the states that tests begin from, reached as the product reaches them."""

import time
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any, TypeAlias

from django.db import connection

from credits import amounts, escrow
from marketplace.api.wallets import position_of
from marketplace.delivery.models import Delivery
from marketplace.delivery.usecases.accept_delivery import accept_delivery
from marketplace.delivery.usecases.reject_delivery import reject_delivery
from marketplace.delivery.usecases.submit_delivery import Work, submit_delivery
from marketplace.delivery.verification import checks
from marketplace.delivery.verification.jobs import sweep_unfinished_checks
from marketplace.events.consumers import consume
from marketplace.events.relay import relay_once
from marketplace.foundation import clock
from marketplace.foundation.transactions import run_in_transaction
from marketplace.participants.models import Participant
from marketplace.tasks import deadlines
from marketplace.tasks.models import Bid, Mode, Task
from marketplace.tasks.terms import Wanted
from marketplace.tasks.usecases.claim_task import claim_task
from marketplace.tasks.usecases.place_bid import place_bid
from marketplace.tasks.usecases.post_task import post_task
from marketplace.tasks.usecases.select_bid import select_bid
from tests.builders.people import a_person, an_agent

Said: TypeAlias = Any  # fields of `Wanted` or `Work`, which check themselves

BOUNTY = 10 * amounts.MICRO
ANSWER = {"totals": {"rows": 300}}


def everything_handled() -> None:
    """Let the relay and the workers finish everything that happened so far; jobs run in line."""
    while relay_once(consume):
        pass


def feeds_caught_up() -> None:
    """Wait until every event so far can be read.

    A feed stops below the oldest transaction that runs anywhere on the server, and the databases of
    other test processes are on it too.
    """
    give_up_at = time.monotonic() + 20
    while time.monotonic() < give_up_at:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT pg_snapshot_xmin(pg_current_snapshot()) > max(xid) FROM events_event"
            )
            if cursor.fetchone()[0] is not False:
                return
        time.sleep(0.01)
    raise TimeoutError("a transaction runs for ever")


def an_exact_check(
    name: str = "totals", *, expected: object = None, required: bool = True, **config: object
) -> dict[str, object]:
    """Return a check that `ANSWER` passes, unless another answer is expected."""
    config |= {"expected": ANSWER if expected is None else expected}
    return _parsed({"name": name, "type": "exact", "required": required, "config": config})


def a_schema_check(schema: object, name: str = "shape", **config: object) -> dict[str, object]:
    """Return a check by JSON Schema."""
    return _parsed({"name": name, "type": "json_schema", "config": {"schema": schema, **config}})


def a_check_that_never_ends(name: str = "endless") -> dict[str, object]:
    """Return a check whose regular expression takes longer than anybody waits for `SLOW_ANSWER`."""
    return a_schema_check({"properties": {"text": {"pattern": "^(a+)+$"}}}, name)


SLOW_ANSWER = {"text": "a" * 60 + "!"}


def _parsed(check: dict[str, object]) -> dict[str, object]:
    (parsed,) = checks.parse([check])
    return parsed.as_json()


def a_task(poster: Participant | None = None, **wanted: Said) -> Task:
    """Return an open task with a bounty of 10 credits; *wanted* are fields of `Wanted`."""
    says: dict[str, Any] = {
        "title": "Normalise this price list",
        "description": "In euro.",
        "bounty": BOUNTY,
    }
    return post_task(actor=poster or a_person(), wanted=Wanted(**(says | wanted)))


def a_claimed_task(
    poster: Participant | None = None, worker: Participant | None = None, **wanted: Said
) -> Task:
    """Return a task that an agent, or *worker*, holds."""
    task = a_task(poster, **wanted)
    return claim_task(task_id=task.pk, actor=worker or an_agent())


def deliver(task: Task, **work: Said) -> Delivery:
    """Deliver `ANSWER`, or *work*, as whoever holds the task."""
    assert task.worker is not None
    done: dict[str, Any] = {"summary": "Done.", "result": ANSWER} | work
    return submit_delivery(task_id=task.pk, actor=task.worker, work=Work(**done))


def a_submitted_delivery(
    poster: Participant | None = None,
    worker: Participant | None = None,
    *,
    work: dict[str, Any] | None = None,
    **wanted: Said,
) -> Delivery:
    """Return a delivery of `ANSWER`, or of *work*, that awaits its checks and its review."""
    return deliver(a_claimed_task(poster, worker, **wanted), **(work or {}))


def a_rejected_delivery(
    poster: Participant | None = None, worker: Participant | None = None, **wanted: Said
) -> Delivery:
    """Return a delivery that its poster rejected."""
    return rejected(a_submitted_delivery(poster, worker, **wanted))


def rejected(delivery: Delivery) -> Delivery:
    """Reject a delivery as its poster."""
    return reject_delivery(delivery_id=delivery.pk, actor=delivery.task.poster, reason="No.")


def an_accepted_delivery(
    poster: Participant | None = None, worker: Participant | None = None, **wanted: Said
) -> Delivery:
    """Return a delivery that its poster accepted; its task is settled."""
    delivery = a_submitted_delivery(poster, worker, **wanted)
    accept_delivery(delivery_id=delivery.pk, actor=delivery.task.poster)
    return Delivery.objects.select_related("task").get(pk=delivery.pk)


# --- Bids, offers and contests --------------------------------------------------------------------


def a_bid(
    task: Task | None = None,
    bidder: Participant | None = None,
    *,
    amount: int | None = 4 * amounts.MICRO,
) -> Bid:
    """Return an open bid on *task*, or on a new one that takes bids."""
    task = task or a_task(mode=Mode.BID)
    return place_bid(
        task_id=task.pk,
        actor=bidder or an_agent(),
        proposal="By column.",
        amount=amount,
        terms_version=task.terms_version,
    )


def a_selected_bid(
    poster: Participant | None = None,
    bidder: Participant | None = None,
    *,
    amount: int = 4 * amounts.MICRO,
    **wanted: Said,
) -> Bid:
    """Return a bid to whose bidder the task is offered."""
    task = a_task(poster, mode=Mode.BID, **wanted)
    bid = a_bid(task, bidder, amount=amount)
    return select_bid(bid_id=bid.pk, actor=task.poster)


def a_task_held_on_a_bid(
    poster: Participant | None = None,
    bidder: Participant | None = None,
    *,
    amount: int = 4 * amounts.MICRO,
    **wanted: Said,
) -> Task:
    """Return a task whose bidder took the offer."""
    bid = a_selected_bid(poster, bidder, amount=amount, **wanted)
    return claim_task(task_id=bid.task_id, actor=bid.bidder)


def an_offered_task(
    poster: Participant | None = None, to: Participant | None = None, **wanted: Said
) -> Task:
    """Return a task that is offered to an agent, or to *to*."""
    to = to or an_agent()
    return a_task(poster, mode=Mode.DIRECT, assignee=to.handle, **wanted)


def a_contest(poster: Participant | None = None, **wanted: Said) -> Task:
    """Return an open contest that `ANSWER` passes."""
    wanted = {"verification": [an_exact_check()]} | wanted
    return a_task(poster, mode=Mode.CONTEST, **wanted)


def an_entry(task: Task, worker: Participant | None = None, **work: Said) -> Delivery:
    """Enter a contest with `ANSWER`, or with *work*, and let its checks run."""
    done: dict[str, Any] = {"summary": "Done.", "result": ANSWER} | work
    entry = submit_delivery(task_id=task.pk, actor=worker or an_agent(), work=Work(**done))
    everything_handled()
    return entry


def closed(task: Task) -> Task:
    """Let the deadline of a contest pass."""
    clock.advance(max(timedelta(0), task.deadline - clock.now()) + timedelta(seconds=1))
    return swept(task)


def again(task: Task) -> Task:
    """Return the task as it stands now."""
    return Task.objects.get(pk=task.pk)


def time_passes(task: Task, **span: float) -> Task:
    """Let time pass, do what is due on *task* as the sweeper does, and return it as it stands.

    The clock is every test's of this module and goes forward only: whoever needs a span builds
    what it is about first and says nothing of other tests' tasks.
    """
    clock.advance(timedelta(**span))
    return swept(task)


def swept(task: Task) -> Task:
    """Do what is due on *task* and return it as it stands."""
    while run_in_transaction(partial(deadlines.apply_passed, task.pk)):
        pass
    return again(task)


def checked(delivery: Delivery) -> Delivery:
    """Let the checks of a delivery end, those too that are tried again, and act on them."""
    everything_handled()
    for _ in range(3):
        if not delivery.checks.filter(state="pending").exists():
            break
        clock.advance(timedelta(seconds=60))  # longer than any pause between two attempts
        sweep_unfinished_checks()
    return Delivery.objects.select_related("task").get(pk=delivery.pk)


def held(task: Task) -> int:
    """Return what the escrow of a task holds, in micro-credits."""
    return escrow.held(task.public_id)


def available(participant: Participant) -> int:
    """Return what a participant's wallet can spend, in micro-credits."""
    return position_of(participant)["available"]


def gained(participant: Participant, by: Callable[[], object]) -> int:
    """Return by how much doing something changed a wallet, in micro-credits."""
    before = available(participant)
    by()
    return available(participant) - before
