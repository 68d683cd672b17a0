"""Disputes, what both sides hand in, the seats of the panel, and what was decided."""

import hashlib
import uuid
from datetime import datetime

from django.contrib.postgres.fields import ArrayField
from django.db import models

from marketplace.delivery.models import Delivery
from marketplace.disputes.states import DisputeState, Part, next_state
from marketplace.events.log import Subject
from marketplace.files.models import File
from marketplace.foundation.clock import MarketNow
from marketplace.foundation.ids import encode, new_id
from marketplace.participants.models import Participant
from marketplace.tasks.division import BASIS_POINTS
from marketplace.tasks.models import Claim, Task

SEATS = 3
MOST_REDRAWS = 2


class Cause(models.TextChoices):
    """Why a panel judges."""

    POSTER = "poster", "the poster disputes a delivery"
    WORKER = "worker", "the worker disputes a rejection"
    FUNDER = "funder", "who funded a subtask disputes what it earned"
    CHECKS = "checks", "a check could not run on a task that checks accept"
    SILENCE = "silence", "the poster of a contest stayed silent"


class Outcome(models.TextChoices):
    """What a vote or a decision says."""

    ACCEPT = "accept", "the worker is paid in full"
    REJECT = "reject", "the poster is refunded"
    SPLIT = "split", "the worker is paid a share"
    ABSTAIN = "abstain", "no opinion; another is drawn for the seat"


class Dispute(models.Model):
    """A case that a panel judges: about one delivery, or about the entries of a silent contest."""

    id = models.UUIDField(primary_key=True, default=new_id)
    # A dispute ends its task, or is over what it earned and nobody judged: so there is one.
    task = models.OneToOneField(Task, models.PROTECT, related_name="dispute")
    claim = models.ForeignKey(Claim, models.PROTECT, null=True, related_name="+")
    delivery = models.ForeignKey(Delivery, models.PROTECT, null=True, related_name="disputes")
    cause = models.CharField(max_length=8, choices=Cause.choices)
    opener = models.ForeignKey(Participant, models.PROTECT, null=True, related_name="+")
    reason = models.TextField(max_length=5000, blank=True, default="")
    deposit = models.BigIntegerField(default=0)  # micro-credits, in an escrow of the dispute's own
    state = models.CharField(max_length=13, choices=DisputeState.choices)
    opened_at = models.DateTimeField(db_default=MarketNow())
    # When the state it is in passes; kept in the task's `dispute_due_at` for the sweeper.
    due_at = models.DateTimeField(null=True)

    # The draw: the pool of handles, and the seed that orders it (see `draw.py`).
    pool = ArrayField(models.CharField(max_length=39), default=list)
    seed = models.BinaryField(max_length=32, null=True)
    redraws = models.PositiveSmallIntegerField(default=0)

    appellant = models.ForeignKey(Participant, models.PROTECT, null=True, related_name="+")
    appeal_reason = models.TextField(max_length=5000, blank=True, default="")
    settled_at = models.DateTimeField(null=True)
    # What the worker was given in the end, in basis points; null until then, and for a contest.
    share_bps = models.PositiveIntegerField(null=True)

    class Meta:
        constraints = [
            # Whoever opens a dispute deposits; where nobody does, nothing is deposited.
            models.CheckConstraint(
                condition=models.Q(
                    cause__in=[Cause.POSTER, Cause.WORKER, Cause.FUNDER],
                    opener__isnull=False,
                    deposit__gt=0,
                )
                | models.Q(cause__in=[Cause.CHECKS, Cause.SILENCE], opener=None, deposit=0),
                name="openers_deposit",
            ),
            # A contest has many deliveries and no claim; anything else has one of each.
            models.CheckConstraint(
                condition=models.Q(cause=Cause.SILENCE, delivery=None, claim=None)
                | (
                    ~models.Q(cause=Cause.SILENCE)
                    & models.Q(delivery__isnull=False, claim__isnull=False)
                ),
                name="disputes_are_about_a_delivery",
            ),
            models.CheckConstraint(
                condition=models.Q(
                    state=DisputeState.SETTLED, settled_at__isnull=False, due_at=None
                )
                | (
                    ~models.Q(state=DisputeState.SETTLED)
                    & models.Q(settled_at=None, due_at__isnull=False)
                ),
                name="settled_disputes_are_never_due",
            ),
        ]
        indexes = [models.Index(fields=["state", "-id"], name="dispute_by_state")]

    def __str__(self) -> str:
        return self.public_id

    @property
    def public_id(self) -> str:
        """Return the id that the API shows; also the reference of the deposit's escrow."""
        return encode("dispute", self.id)

    @property
    def subject(self) -> Subject:
        """Return what events about this dispute name."""
        return Subject("dispute", self.public_id)

    @property
    def is_contest(self) -> bool:
        """Say whether a panel picks one of several entries, rather than judging one delivery."""
        return self.cause == Cause.SILENCE

    @property
    def is_about_earnings(self) -> bool:
        """Say whether it is over what an accepted subtask earned, and not over its escrow."""
        return self.cause == Cause.FUNDER

    @property
    def poster_side(self) -> tuple[uuid.UUID, uuid.UUID]:
        """Return who is on the other side from the worker, with their operator.

        That is the poster; about earnings, whoever funded the subtask.
        """
        if self.is_about_earnings:
            assert self.opener is not None, "the constraint openers_deposit"
            return self.opener.pk, self.opener.operator_key
        return self.task.poster_id, self.task.poster_operator_id

    @property
    def is_settled(self) -> bool:
        """Say whether it is over."""
        return self.state == DisputeState.SETTLED

    @property
    def seed_digest(self) -> str | None:
        """Return the SHA-256 of the seed, in hexadecimal; it binds the draw before it is shown."""
        return None if self.seed is None else hashlib.sha256(bytes(self.seed)).hexdigest()

    def advance(self, verb: str, parts: frozenset[Part], due_at: datetime | None = None) -> None:
        """Do *verb* if the table lets somebody who is *parts* do it now; the caller saves.

        Args:
            verb: What is done.
            parts: What who does it is to the dispute.
            due_at: When the state that it leads to passes; None leaves the limit as it is.

        Raises:
            NotInThisState, NotPermitted: See `states.next_state`.
        """
        self.state = next_state(DisputeState(self.state), verb, parts)
        if due_at is not None:
            self.due_at = due_at


class Evidence(models.Model):
    """What one side hands in; it never changes (a trigger says so)."""

    id = models.UUIDField(primary_key=True, default=new_id)
    dispute = models.ForeignKey(Dispute, models.PROTECT, related_name="evidence")
    author = models.ForeignKey(Participant, models.PROTECT, related_name="+")
    text = models.TextField(max_length=10_000)
    files = models.ManyToManyField(File, through="EvidenceFile")
    created_at = models.DateTimeField(db_default=MarketNow())

    class Meta:
        ordering = ["id"]


class EvidenceFile(models.Model):
    """A file of some evidence, in its place."""

    evidence = models.ForeignKey(Evidence, models.PROTECT, related_name="attached")
    file = models.ForeignKey(File, models.PROTECT, related_name="+")
    position = models.PositiveIntegerField()

    class Meta:
        ordering = ["position"]
        constraints = [models.UniqueConstraint(fields=["evidence", "file"], name="handed_in_once")]


class SeatState(models.TextChoices):
    """What became of a seat."""

    OPEN = "open", "has not answered"
    VOTED = "voted", "has voted"
    ABSTAINED = "abstained", "had no opinion"
    LAPSED = "lapsed", "stayed silent"


LIVE = (SeatState.OPEN, SeatState.VOTED)


class Seat(models.Model):
    """One panelist's place on a panel, and the vote; once answered it never changes."""

    id = models.UUIDField(primary_key=True, default=new_id)
    dispute = models.ForeignKey(Dispute, models.PROTECT, related_name="seats")
    position = models.PositiveSmallIntegerField()  # 1 to SEATS
    redraw = models.PositiveSmallIntegerField()  # 0 for those drawn first
    panelist = models.ForeignKey(Participant, models.PROTECT, related_name="seats")
    operator = models.ForeignKey(Participant, models.PROTECT, related_name="+")
    state = models.CharField(max_length=9, choices=SeatState.choices, default=SeatState.OPEN)
    seated_at = models.DateTimeField(db_default=MarketNow())
    ended_at = models.DateTimeField(null=True)  # when it voted, abstained or lapsed
    share_bps = models.PositiveIntegerField(null=True)  # of what the vote gives the worker
    pick = models.ForeignKey(Delivery, models.PROTECT, null=True, related_name="+")
    rationale = models.TextField(max_length=5000, blank=True, default="")
    fee = models.BigIntegerField(default=0)  # micro-credits that the vote was paid

    class Meta:
        ordering = ["redraw", "position"]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(position__range=(1, SEATS)), name="seats_are_numbered"
            ),
            # One at a time on each seat, and nobody twice on a panel.
            models.UniqueConstraint(
                fields=["dispute", "position"],
                condition=models.Q(state__in=LIVE),
                name="one_panelist_per_seat",
            ),
            models.UniqueConstraint(
                fields=["dispute", "operator"], name="one_seat_per_operator_and_panel"
            ),
            models.CheckConstraint(
                condition=models.Q(state=SeatState.OPEN, ended_at=None)
                | (~models.Q(state=SeatState.OPEN) & models.Q(ended_at__isnull=False)),
                name="ended_seats_say_when",
            ),
            # A vote is a share, or in a contest an entry, and only votes are.
            models.CheckConstraint(
                condition=models.Q(
                    state=SeatState.VOTED, share_bps__range=(0, BASIS_POINTS), pick=None
                )
                | models.Q(state=SeatState.VOTED, share_bps=None, pick__isnull=False)
                | (~models.Q(state=SeatState.VOTED) & models.Q(share_bps=None, pick=None)),
                name="votes_are_a_share_or_a_pick",
            ),
        ]
        indexes = [models.Index(fields=["panelist", "state"], name="seat_by_panelist")]

    @property
    def outcome(self) -> Outcome | None:
        """Return what the seat said; None where it has not, or was silent."""
        if self.state == SeatState.ABSTAINED:
            return Outcome.ABSTAIN
        if self.state != SeatState.VOTED:
            return None
        return Outcome.ACCEPT if self.share_bps is None else outcome_of(self.share_bps)


class DecidedBy(models.TextChoices):
    """Who decided."""

    PANEL = "panel", "the panel"
    ADMINISTRATOR = "administrator", "an administrator"
    DEFAULT = "default", "the checks, for nobody else did"


class Decision(models.Model):
    """What was decided about a dispute, or about an appeal against that; it never changes."""

    id = models.UUIDField(primary_key=True, default=new_id)
    dispute = models.ForeignKey(Dispute, models.PROTECT, related_name="decisions")
    on_appeal = models.BooleanField()
    decided_by = models.CharField(max_length=13, choices=DecidedBy.choices)
    administrator = models.ForeignKey(Participant, models.PROTECT, null=True, related_name="+")
    share_bps = models.PositiveIntegerField()  # of what the worker is given
    rationale = models.TextField(max_length=5000, blank=True, default="")
    decided_at = models.DateTimeField(db_default=MarketNow())

    class Meta:
        ordering = ["on_appeal"]
        constraints = [
            models.UniqueConstraint(
                fields=["dispute", "on_appeal"], name="decided_once_and_once_on_appeal"
            ),
            models.CheckConstraint(
                condition=models.Q(share_bps__range=(0, BASIS_POINTS)), name="share_is_a_share"
            ),
            models.CheckConstraint(
                condition=models.Q(decided_by=DecidedBy.ADMINISTRATOR, administrator__isnull=False)
                | (~models.Q(decided_by=DecidedBy.ADMINISTRATOR) & models.Q(administrator=None)),
                name="administrators_have_a_name",
            ),
            models.CheckConstraint(
                condition=models.Q(on_appeal=False) | models.Q(decided_by=DecidedBy.ADMINISTRATOR),
                name="appeals_are_for_administrators",
            ),
        ]

    @property
    def outcome(self) -> Outcome:
        """Return what was decided, in a word."""
        return outcome_of(self.share_bps)


def outcome_of(share_bps: int) -> Outcome:
    """Return the outcome that a share means."""
    if share_bps == BASIS_POINTS:
        return Outcome.ACCEPT
    return Outcome.SPLIT if share_bps else Outcome.REJECT
