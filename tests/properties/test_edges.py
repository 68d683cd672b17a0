"""Short lives that together take every edge of the tables, compared with the model at each move."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from marketplace.foundation import clock
from tests.model.driver import Driver
from tests.model.edges import Taken
from tests.model.things import MICRO, Dispute, Task

pytestmark = pytest.mark.django_db

MANUAL = {"lease": 86_413, "review": 3_833}
SOON, LATER = 90_817, 7 * 86_400 + 997
taken = Taken()


def posted(driver: Driver, mode: str = "claim", *, seconds: int = LATER, **said: Any) -> Task:  # noqa: ANN401 - fields of a task
    now = clock.now()
    poster, to, _, _ = driver.people
    deadline = now + timedelta(seconds=seconds)
    task = Task(None, poster, mode, 5 * MICRO, now, deadline, **(MANUAL | said))
    driver.post(task, to if mode == "direct" else None)
    return task


def held(driver: Driver, **said: Any) -> Task:  # noqa: ANN401 - fields of a task
    task = posted(driver, **said)
    driver.claim(task, driver.people[1], None)
    return task


def delivered(driver: Driver, verdict: str | None = None, **said: Any) -> Task:  # noqa: ANN401 - fields of a task
    task = held(driver, checked=verdict is not None, **said)
    driver.deliver(task, driver.people[1])
    if verdict is not None:
        driver.check(task, task.deliveries[-1], verdict)
    return task


def entered(driver: Driver, *verdicts: str) -> Task:
    task = posted(driver, "contest", seconds=SOON, checked=True, runner_up=2_500)
    for who, verdict in zip(driver.people[1:], verdicts, strict=False):
        driver.deliver(task, who)
        driver.check(task, task.deliveries[-1], verdict)
    return task


def until(driver: Driver, task: Task, state: str) -> None:
    """Let one limit after the other pass until a task, or its dispute, is in a state."""
    for _ in range(20):
        if state in (task.state, task.dispute.state if task.dispute is not None else ""):
            return
        driver.until_next_limit(task)
    raise AssertionError(f"{state} is not reached: {task.state}")


def disputed(driver: Driver, *, by_poster: bool = False) -> Dispute:
    ada, bo, _, _ = driver.people
    task = delivered(driver)
    if not by_poster:
        driver.decide(task, task.deliveries[-1], ada, accepts=False)
    driver.dispute(task, ada if by_poster else bo)
    assert task.dispute is not None
    return task.dispute


def voted(driver: Driver, dispute: Dispute, *shares: int | None) -> None:
    for share in shares:
        (seat, *_) = dispute.in_state("open")
        entry = dispute.task.deliveries[0] if dispute.claim is None else None
        if entry is not None and share is not None:
            driver.vote(dispute, seat, pick=entry)
        else:
            driver.vote(dispute, seat, share=share)


def work(driver: Driver) -> None:
    ada, bo, _, _ = driver.people
    task = posted(driver)
    driver.edit(task, ada, 4 * MICRO)
    driver.raise_bounty(task, ada, 5 * MICRO)
    driver.claim(task, bo, None)
    driver.heartbeat(task, bo)
    driver.use(task, bo)
    driver.raise_bounty(task, ada, 6 * MICRO)
    driver.deliver(task, bo)
    driver.raise_deadline(task, ada, timedelta(days=2))
    driver.decide(task, task.deliveries[-1], ada, accepts=False)
    driver.deliver(task, bo)
    driver.decide(task, task.deliveries[-1], ada, accepts=True)


def cancelling(driver: Driver) -> None:
    ada, bo, _, _ = driver.people
    driver.cancel(posted(driver), ada, at_once=False)
    driver.cancel(held(driver), ada, at_once=True)
    noticed = held(driver)
    driver.cancel(noticed, ada, at_once=False)
    driver.abandon(noticed, bo)
    noticed = held(driver)
    driver.cancel(noticed, ada, at_once=False)
    until(driver, noticed, "cancelled")
    driver.cancel(posted(driver, "direct"), ada, at_once=False)


def time_passing(driver: Driver) -> None:
    _, bo, _, _ = driver.people
    task = held(driver)
    driver.abandon(task, bo)
    driver.claim(task, bo, None)
    until(driver, task, "open")
    until(driver, task, "expired")
    task = posted(driver, seconds=SOON)
    driver.wait(timedelta(hours=2))
    driver.claim(task, bo, None)
    until(driver, task, "expired")
    until(driver, delivered(driver), "accepted")


def offers(driver: Driver) -> None:
    _, bo, _, _ = driver.people
    for on_decline in ("open", "cancel"):
        driver.decline(posted(driver, "direct", on_decline=on_decline), bo)
        driver.until_next_limit(posted(driver, "direct", on_decline=on_decline))
    driver.claim(posted(driver, "direct"), bo, None)


def bids(driver: Driver) -> None:
    ada, bo, cy, _ = driver.people
    task = posted(driver, "bid")
    driver.bid(task, bo, 3 * MICRO, 1)
    driver.bid(task, cy, 3 * MICRO, 1)
    driver.counter(task.bids[0], ada, 2 * MICRO)
    driver.counter(task.bids[0], bo, 4 * MICRO)
    driver.withdraw_bid(task.bids[1], cy)
    driver.select(task.bids[0], ada, 4 * MICRO)
    driver.decline(task, bo)
    driver.bid(task, bo, 3 * MICRO, 1)
    driver.select(task.bids[2], ada, 3 * MICRO)
    until(driver, task, "open")
    driver.bid(task, bo, 2 * MICRO, 1)
    driver.select(task.bids[3], ada, 2 * MICRO)
    driver.claim(task, bo, 1)
    driver.deliver(task, bo)
    driver.decide(task, task.deliveries[-1], ada, accepts=True)


def checks(driver: Driver) -> None:
    delivered(driver, "passed", automatic=True)
    delivered(driver, "failed", automatic=True)
    for accepts in (True, False):
        task = delivered(driver, "error", automatic=True)
        while task.staff_until is None:
            driver.until_next_limit(task)
        driver.decide_as_staff(task, task.deliveries[-1], accepts=accepts)
    until(driver, delivered(driver, "error", automatic=True), "accepted")
    task = delivered(driver, "failed")
    until(driver, task, "claimed")


def contests(driver: Driver) -> None:
    ada, _, _, _ = driver.people
    failed = entered(driver, "failed")
    until(driver, failed, "expired")
    chosen = entered(driver, "passed", "passed")
    until(driver, chosen, "submitted")
    driver.decide(chosen, chosen.deliveries[1], ada, accepts=True)
    picked = entered(driver, "passed", "passed")
    until(driver, picked, "voting")
    assert picked.dispute is not None
    voted(driver, picked.dispute, 1, 1, None)
    voted(driver, picked.dispute, 1)
    until(driver, entered(driver, "passed", "error"), "accepted")
    driver.model.panel_seatable = False
    until(driver, entered(driver, "passed", "passed"), "accepted")


def panels(driver: Driver) -> None:
    ada, bo, _, _ = driver.people
    for shares, by_poster in (((10_000, 7_501, 0), True), ((0, 0, 3_333), False)):
        dispute = disputed(driver, by_poster=by_poster)
        driver.submit_evidence(dispute, ada)
        driver.submit_evidence(dispute, bo)
        until(driver, dispute.task, "voting")
        voted(driver, dispute, *shares)
        until(driver, dispute.task, "settled")
    dispute = disputed(driver)
    until(driver, dispute.task, "voting")
    voted(driver, dispute, 5_000)
    until(driver, dispute.task, "administrator")
    until(driver, dispute.task, "decided")
    driver.appeal(dispute, bo)
    until(driver, dispute.task, "settled")


def administrators(driver: Driver) -> None:
    _, bo, _, _ = driver.people
    driver.model.panel_seatable = False
    for last in (0, 10_000):
        dispute = disputed(driver)
        until(driver, dispute.task, "administrator")
        driver.judge(dispute, 0, 3_333)
        driver.appeal(dispute, bo)
        driver.judge(dispute, 0, last)
        driver.judge(dispute, 1, last)


LIVES = (
    *(work, cancelling, time_passing, offers, bids, checks, contests, panels),
    administrators,
)


def lived(life: Callable[[Driver], None]) -> Driver:
    driver = Driver()
    life(driver)
    driver.finish()
    return driver


def test_short_lives_take_every_edge_as_the_model_says() -> None:
    for life in LIVES:
        taken.add(lived(life))

    assert not taken.illegal()
    assert not taken.untaken(taken.all())
