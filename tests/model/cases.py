"""What people decide: about deliveries, and in disputes."""

from datetime import datetime
from uuid import UUID

from tests.model.market import ADMINISTRATOR, DEPOSIT, LEAST_DEPOSIT
from tests.model.moves import Moves, roles_of
from tests.model.things import Delivery, Dispute, Person, Refused, Seat, Task, up

MOST_EVIDENCE = 10


class Cases(Moves):
    """The whole market."""

    # --- Deliveries -------------------------------------------------------------------------------

    def _see(self, task: Task, delivery: Delivery, who: Person) -> None:
        worker = delivery.claim.worker
        sides = {worker.id, worker.operator}
        if not (task.contest and task.state == "open"):
            sides |= {task.poster.id, task.poster.operator}
        if who.id not in sides:
            raise Refused("DoesNotExist")

    def accept(self, task: Task, delivery: Delivery, who: Person, at: datetime) -> None:
        """Accept a delivery, or an entry, as the poster."""
        self._see(task, delivery, who)
        self.current(task, at)
        role = self._require(task, "accept", roles_of(task, who), at)
        if delivery.state != "submitted":
            raise Refused("IllegalTransition")
        if not task.contest:
            self.pay_for(task, delivery, "accept", role, at)
            return
        if delivery.verdict in ("pending", "failed"):
            rule = "checks_running" if delivery.verdict == "pending" else "entry_failed"
            raise Refused(f"NotNow {rule}")
        self.award(task, delivery, ("accept", role), at)

    def reject(self, task: Task, delivery: Delivery, who: Person, at: datetime) -> None:
        """Reject a delivery as the poster."""
        self._see(task, delivery, who)
        self.current(task, at)
        role = self._require(task, "reject", roles_of(task, who), at)
        if delivery.state != "submitted":
            raise Refused("IllegalTransition")
        self.turn_down(task, delivery, "reject", role, at)

    def decide_as_staff(
        self, task: Task, delivery: Delivery, at: datetime, *, accepts: bool
    ) -> None:
        """Decide about a delivery whose check could not run."""
        self.current(task, at)
        verb = "accept_by_staff" if accepts else "reject_by_staff"
        role = self._require(task, verb, {"staff"}, at)
        if delivery.state != "submitted":
            raise Refused("IllegalTransition")
        if accepts:
            self.pay_for(task, delivery, verb, role, at)
        else:
            self.turn_down(task, delivery, verb, role, at)

    # --- Disputes ---------------------------------------------------------------------------------

    def dispute(self, task: Task, who: Person, at: datetime) -> Dispute:
        """Dispute a delivery under review as its poster, or a rejection as the worker."""
        self.current(task, at)
        roles = roles_of(task, who)
        role = self._require(task, "dispute", roles, at)
        deposit = max(up(task.cost, DEPOSIT), LEAST_DEPOSIT)
        altogether = task.bounty + deposit if role == "poster" else deposit
        self.spend(who, deposit, altogether, at)
        if role == "poster":
            delivery = task.under_review()
        else:
            delivery = [one for one in task.deliveries if one.claim is task.claim][-1]
        self.go(task, "dispute", role, "disputed")
        return self.open_case(task, delivery, role, at, (who, deposit))

    def _sides(self, dispute: Dispute) -> set[UUID]:
        """Return who sees a dispute besides its panel and staff."""
        workers = [one.worker for one in dispute.task.claims]
        if dispute.claim is not None:
            workers = [dispute.claim.worker]
        people = [dispute.task.poster, *workers]
        return {one.id for one in people} | {one.operator for one in people}

    def submit_evidence(self, dispute: Dispute, who: Person, at: datetime) -> None:
        """Hand something in."""
        self._come_in(dispute, who, at)
        self._as_party(dispute, who, "evidence")
        if dispute.evidence.get(who.id, 0) >= MOST_EVIDENCE:
            raise Refused("NotInThisState evidence_exhausted")
        dispute.evidence[who.id] = dispute.evidence.get(who.id, 0) + 1
        self.step(dispute, "submit_evidence", "party")

    def appeal(self, dispute: Dispute, who: Person, at: datetime) -> None:
        """Appeal against an outcome."""
        self._come_in(dispute, who, at)
        self._as_party(dispute, who, "decided")
        if dispute.decided == (0 if who.id == dispute.task.poster.id else 10_000):
            raise Refused("NotInThisState nothing_to_gain")
        self.step(dispute, "appeal", "party", "appealed")
        dispute.due = at + ADMINISTRATOR

    def _come_in(self, dispute: Dispute, who: Person, at: datetime) -> None:
        if who.id not in self._sides(dispute):
            raise Refused("DoesNotExist")
        self.current(dispute.task, at)

    def _as_party(self, dispute: Dispute, who: Person, state: str) -> None:
        if dispute.state != state:
            raise Refused("NotInThisState")
        claim = dispute.claim
        if claim is None or who.id not in (dispute.task.poster.id, claim.worker.id):
            raise Refused("NotPermitted")

    def decide(self, dispute: Dispute, staff: UUID, share: int, at: datetime) -> None:
        """Decide as an administrator: in place of a panel, or about an appeal."""
        self.current(dispute.task, at)
        if dispute.state not in ("administrator", "appealed"):
            raise Refused("NotInThisState")
        if dispute.administrator == staff:
            raise Refused("NotInThisState own_decision")
        if dispute.state == "administrator":
            dispute.administrator = staff
            self.step(dispute, "decide", "staff", "decided")
            self.outcome(dispute, share, at)
        else:
            dispute.decided = share
            self.settle_dispute(dispute, at, by_staff=True)

    def vote(
        self,
        seat: Seat,
        dispute: Dispute,
        at: datetime,
        *,
        share: int | None = None,
        pick: Delivery | None = None,
    ) -> None:
        """Vote on a seat; without a share or a pick it abstains."""
        if seat.state in ("open", "voted"):
            self.current(dispute.task, at)
        if seat.state not in ("open", "voted"):  # whoever lost the seat sees nothing any more
            raise Refused("DoesNotExist")
        if dispute.state != "voting":
            raise Refused("NotInThisState")
        if seat.state == "voted":
            raise Refused("NotInThisState voted_already")
        self.step(dispute, "vote", "panelist")
        seat.share, seat.pick = share, pick
        seat.state = "abstained" if share is None and pick is None else "voted"
        if not dispute.in_state("open"):
            self.close_round(dispute, at)
