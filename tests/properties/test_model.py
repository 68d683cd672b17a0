"""The product against a plain model of the rules: state, money and standing, after every move.

`HANSA_MARKET_EXAMPLES` says how many random lives of 40 steps are compared; 6 unless it says
otherwise. Many are dealt to several tests, which may run beside each other. In 300 lives chance
takes nearly every edge of the tables; `test_edges.py` takes all of them.
"""

import os
from collections.abc import Callable, Sequence
from datetime import timedelta
from random import Random
from typing import TypeVar

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    rule,
    run_state_machine_as_test,
)
from pytest_django import DjangoDbBlocker

from marketplace.foundation import clock
from tests.model.driver import Driver
from tests.model.edges import Taken
from tests.model.things import ENDED, MICRO, Bid, Delivery, Dispute, Person, Task

pytestmark = pytest.mark.django_db

EXAMPLES = int(os.environ.get("HANSA_MARKET_EXAMPLES", "6"))
STEPS_OF_AN_EXAMPLE = 40
MANY_EXAMPLES = 100
SHARDS = 4 if EXAMPLES >= MANY_EXAMPLES else 1

T = TypeVar("T")
Move = Callable[[Task], None]

# Spans in seconds that no sum of others comes near, so that no two limits of a task coincide.
LEASES = (3_701, 86_413)
DEADLINES = (90_817, 7 * 86_400 + 997)
REVIEWS = (3_833, 3 * 86_400 + 503)
BOUNTIES = (1, 10_000, 10_007, 999_999, MICRO, 3 * MICRO, 7_654_321, 15 * MICRO, 30 * MICRO)
SHARES = (0, 1, 3_333, 5_000, 7_501, 10_000)
VERDICTS = ("passed", "passed", "failed", "error")
MODES = ("claim", "bid", "contest", "direct")
STATES = ("open", "offered", "claimed", "submitted", "disputed", "accepted")
SEEDS = st.integers(0, 2**64 - 1)

taken = Taken()


class Lives(RuleBasedStateMachine):
    """Random moves of four people; most are ones that somebody could make now.

    Hypothesis draws what each move is decided by: its own integers are mostly small ones.
    """

    @initialize(seed=SEEDS)
    def begin(self, seed: int) -> None:
        self.first, self.drawn = seed, 0
        self._draw(seed)
        self.driver = Driver()
        for mode in MODES:
            self._post(self.chance.choice(self.people[:3]), mode, self.chance.choice(BOUNTIES[2:8]))

    def _draw(self, seed: int) -> None:
        """Take the dice for one step; Hypothesis likes to draw the same number twice."""
        self.drawn += 1
        self.chance = Random(f"{self.first} {self.drawn} {seed}")  # noqa: S311 - a test's dice

    @property
    def people(self) -> Sequence[Person]:
        return self.driver.people

    @property
    def tasks(self) -> list[Task]:
        return self.driver.model.tasks

    # --- Rules ------------------------------------------------------------------------------------

    @rule(seed=SEEDS)
    def sensible(self, seed: int) -> None:
        """Do what is next for some task, mostly by whose move it is."""
        self._draw(seed)
        running = [one for one in self.tasks if one.state not in ENDED]
        if not running:
            self.post()
            return
        task = self.chance.choice(running)
        self.chance.choice(self._next_moves(task))(task)

    @rule(seed=SEEDS)
    def sensible_again(self, seed: int) -> None:
        """Most moves are of this kind."""
        self.sensible(seed)

    @rule(seed=SEEDS)
    def something(self, seed: int) -> None:
        """Do anything with any task; or post, block, wait, count, let nobody judge."""
        self._draw(seed)
        if self._is(0.4):
            moves = [move for state in STATES for move in self._moves_in(state)]
            self.chance.choice(moves)(self.chance.choice(self.tasks))
        else:
            beside = (self.block, self.wait, self.count_standing, self.who_may_judge)
            self.chance.choice((self.post, self.post, self.post, *beside))()

    # --- What is next -----------------------------------------------------------------------------

    def _next_moves(self, task: Task) -> list[Move]:
        moves = self._moves_in(task.state)
        if task.state == "open":
            taking: dict[str, list[Move]] = {
                "bid": [*([self.bid] * 3), *([self.select] * 3 if task.bids else ())],
                "contest": [*([self.deliver] * 5), self.limit],
            }
            moves += taking.get(task.mode, [self.claim] * 5)
        if task.resubmit_by is not None or (task.reviewed and not task.contest):
            moves += [self.dispute] * 3
        if _pending(task):
            moves += [self.check] * 6
        if task.reviewed and any(one.verdict == "error" for one in task.deliveries):
            moves += [self.limit] * 12  # until staff are asked, if nobody decides before
        if task.staff_until is not None:
            moves += [self.decide_as_staff] * 12
        if task.dispute is not None:
            judging: dict[str, list[Move]] = {
                "voting": [self.vote] * 8,
                "decided": [self.appeal] * 3,
                "administrator": [self.judge] * 4,
                "appealed": [self.judge] * 6,
            }
            moves += judging.get(task.dispute.state, [])
        return moves

    def _moves_in(self, state: str) -> list[Move]:
        rising: list[Move] = [self.raise_bounty, self.raise_deadline]
        of: dict[str, list[Move]] = {
            "open": [self.edit, self.cancel, self.limit, *rising, self.counter, self.withdraw_bid],
            "offered": [self.claim, self.claim, self.claim, self.decline, self.cancel, self.limit],
            "claimed": [
                *([self.deliver] * 4),
                *(self.use, self.use, self.heartbeat, self.abandon, self.cancel, self.limit),
                *rising,
            ],
            "submitted": [self.decide, self.decide, self.decide, self.limit, self.limit, *rising],
            "disputed": [self.submit_evidence, *([self.limit] * 3)],
        }
        return of.get(state, [self.decide])

    def _is(self, often: float) -> bool:
        return self.chance.random() < often

    def _mostly(self, usual: T, other: T) -> T:
        return other if self._is(0.15) else usual

    def _who(self, right: Person | None) -> Person:
        """Return mostly whose move it is."""
        if right is None or self._is(0.1):
            return self.chance.choice(self.people)
        return right

    def _taker(self, task: Task) -> Person:
        others = [one for one in self.people if one.operator != task.poster.operator]
        return self._who(self.chance.choice(others))

    # --- Moves ------------------------------------------------------------------------------------

    def post(self) -> None:
        """Post a task."""
        mode = self.chance.choice(MODES)
        self._post(self.chance.choice(self.people), mode, self.chance.choice(BOUNTIES))

    def _post(self, poster: Person, mode: str, bounty: int) -> None:
        chance, now, contest = self.chance, clock.now(), mode == "contest"
        checked, wants = contest or self._is(0.5), chance.randrange(12)
        task = Task(
            None,
            poster,
            mode,
            bounty,
            now,
            now + timedelta(seconds=chance.choice(DEADLINES)),
            chance.choice(LEASES),
            chance.choice(REVIEWS),
            automatic=checked and not contest and self._is(0.6),
            checked=checked,
            on_decline=chance.choice(("open", "cancel")),
            runner_up=chance.choice((0, 2_500)) if contest else 0,
            kind="human" if wants == 0 else None,
            min_standing=MICRO if wants == 1 else None,
        )
        self.driver.post(task, self._taker(task) if mode == "direct" else None)

    def claim(self, task: Task) -> None:
        """Claim, or take an offer."""
        read = self.chance.choice((task.version, task.version - 1, task.version + 1))
        who = self._who(task.offered_to or self._taker(task))
        self.driver.claim(task, who, self._mostly(None, read))

    def decline(self, task: Task) -> None:
        """Decline an offer."""
        self.driver.decline(task, self._who(task.offered_to))

    def heartbeat(self, task: Task) -> None:
        """Renew a lease."""
        self.driver.heartbeat(task, self._who(task.worker))

    def abandon(self, task: Task) -> None:
        """Give a task back."""
        self.driver.abandon(task, self._who(task.worker))

    def use(self, task: Task) -> None:
        """Use the asset."""
        self.driver.use(task, self._who(task.worker))

    def deliver(self, task: Task) -> None:
        """Deliver, or enter a contest."""
        self.driver.deliver(task, self._who(self._taker(task) if task.contest else task.worker))

    def check(self, task: Task) -> None:
        """Let a check end."""
        if _pending(task):
            delivery = self.chance.choice(_pending(task))
            self.driver.check(task, delivery, self.chance.choice(VERDICTS))

    def decide(self, task: Task) -> None:
        """Accept or reject."""
        if task.deliveries:
            delivery = self._mostly(task.deliveries[-1], self.chance.choice(task.deliveries))
            self.driver.decide(task, delivery, self._who(task.poster), accepts=self._is(0.4))

    def decide_as_staff(self, task: Task) -> None:
        """Decide where a check could not run."""
        if task.deliveries:
            self.driver.decide_as_staff(task, task.deliveries[-1], accepts=self._is(0.5))

    def cancel(self, task: Task) -> None:
        """Cancel, give notice, or cancel at once."""
        self.driver.cancel(task, self._who(task.poster), at_once=self._is(0.3))

    def edit(self, task: Task) -> None:
        """Change the bounty."""
        self.driver.edit(task, self._who(task.poster), self.chance.choice(BOUNTIES))

    def raise_bounty(self, task: Task) -> None:
        """Raise the bounty, or try to lower it."""
        by = self.chance.choice((-1, 0, 1, 999_999, MICRO))
        self.driver.raise_bounty(task, self._who(task.poster), task.bounty + by)

    def raise_deadline(self, task: Task) -> None:
        """Move the deadline, or try to move it back."""
        days = self.chance.choice((-1, 1, 2, 80))
        self.driver.raise_deadline(task, self._who(task.poster), timedelta(days=days))

    def bid(self, task: Task) -> None:
        """Bid."""
        amount = task.bounty * self.chance.choice((1, 3, 9, 10, 12)) // 10
        read = self._mostly(task.version, task.version - 1)
        self.driver.bid(task, self._taker(task), amount, read)

    def _bid_on(self, task: Task) -> Bid | None:
        live = [one for one in task.bids if one.state == "open"]
        bids = live or [bid for one in self.tasks for bid in one.bids]
        return self.chance.choice(bids) if bids else None

    def counter(self, task: Task) -> None:
        """Counter a bid."""
        bid = self._bid_on(task)
        if bid is not None:
            amount = bid.task.bounty * self.chance.choice((1, 4, 10, 11)) // 10
            side = self.chance.choice((bid.bidder, bid.task.poster))
            self.driver.counter(bid, self._who(side), amount)

    def select(self, task: Task) -> None:
        """Select a bid."""
        bid = self._bid_on(task)
        if bid is not None:
            read = self._mostly(bid.amount, bid.amount + 1)
            self.driver.select(bid, self._who(bid.task.poster), read)

    def withdraw_bid(self, task: Task) -> None:
        """Take a bid back."""
        bid = self._bid_on(task)
        if bid is not None:
            self.driver.withdraw_bid(bid, self._who(bid.bidder))

    def dispute(self, task: Task) -> None:
        """Dispute."""
        side = task.worker if task.state == "claimed" else task.poster
        self.driver.dispute(task, self._who(side))

    def _side(self, dispute: Dispute) -> Person:
        return self._who(self.chance.choice((dispute.task.worker, dispute.task.poster)))

    def submit_evidence(self, task: Task) -> None:
        """Hand something in."""
        if task.dispute is not None:
            self.driver.submit_evidence(task.dispute, self._side(task.dispute))

    def vote(self, task: Task) -> None:
        """Let up to three seats vote; some abstain, and some try to vote twice."""
        dispute = task.dispute
        if dispute is None:
            return
        for _ in range(self.chance.choice((1, 3, 3, 3))):
            seats = dispute.in_state("open") or dispute.in_state("voted")
            if not seats:
                return
            seat = self.chance.choice(seats)
            if self._is(0.2):
                self.driver.vote(dispute, seat)
            elif dispute.claim is None:
                pick = self.chance.choice(task.standing_entries())
                self.driver.vote(dispute, seat, pick=pick)
            else:
                self.driver.vote(dispute, seat, share=self.chance.choice(SHARES))

    def appeal(self, task: Task) -> None:
        """Appeal."""
        if task.dispute is not None:
            self.driver.appeal(task.dispute, self._side(task.dispute))

    def judge(self, task: Task) -> None:
        """Decide as an administrator."""
        if task.dispute is not None:
            staff, share = self.chance.randrange(2), self.chance.choice((0, *SHARES))
            self.driver.judge(task.dispute, staff, share)

    # --- Time, and the rest -----------------------------------------------------------------------

    def limit(self, task: Task) -> None:
        """Let the next limit of a task pass; seldom before anybody sweeps."""
        self.driver.until_next_limit(task, sweeps=not self._is(0.2))

    def wait(self) -> None:
        """Let some time pass."""
        self.driver.wait(timedelta(minutes=self.chance.choice((7, 65, 65))))

    def block(self) -> None:
        """Block somebody; the next time, end that."""
        blocks = sorted(self.driver.model.blocks)
        if blocks:
            by_id = {one.id: one for one in self.people}
            who, other = (by_id[one] for one in blocks[0])
        else:
            who, other = self.chance.choices(self.people, k=2)
        self.driver.block(who, other)

    def count_standing(self) -> None:
        """Let what has become final count."""
        self.driver.count_standing()

    def who_may_judge(self) -> None:
        """Let there be nobody who may judge, or somebody again."""
        self.driver.model.panel_seatable = self._is(0.7)

    def teardown(self) -> None:
        if hasattr(self, "driver"):
            taken.add(self.driver)
            self.driver.finish()


def _pending(task: Task) -> list[Delivery]:
    return [one for one in task.deliveries if one.verdict == "pending"]


@pytest.mark.parametrize("shard", range(SHARDS), ids=str)
def test_the_product_does_what_the_model_says(
    shard: int,
    own_database: None,
    django_db_blocker: DjangoDbBlocker,
    capsys: pytest.CaptureFixture[str],
) -> None:
    taken.clear()
    with django_db_blocker.unblock():
        run_state_machine_as_test(
            Lives,
            settings=settings(
                max_examples=EXAMPLES // SHARDS,
                stateful_step_count=STEPS_OF_AN_EXAMPLE,
                deadline=None,
                phases=(Phase.explicit, Phase.reuse, Phase.generate),  # shrinking takes minutes
                suppress_health_check=list(HealthCheck),
            ),
        )

    with capsys.disabled():
        print(f"\n{taken.told()}")  # noqa: T201 - the figures of a large run
    assert not taken.illegal()
