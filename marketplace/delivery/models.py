"""Deliveries and the runs of their checks."""

from datetime import datetime

from django.contrib.postgres.fields import ArrayField
from django.db import models

from marketplace.events.log import Subject
from marketplace.files.models import File
from marketplace.foundation.clock import MarketNow
from marketplace.foundation.ids import encode, new_id
from marketplace.participants.models import Participant
from marketplace.tasks.models import Claim, Task


class DeliveryState(models.TextChoices):
    """What became of a delivery."""

    SUBMITTED = "submitted", "awaits its checks and its review"
    ACCEPTED = "accepted", "accepted and paid"
    REJECTED = "rejected", "rejected with a reason"
    # Of entries to contests.
    RUNNER_UP = "runner_up", "second, and paid the second's part"
    SHARED = "shared", "paid an equal share, for nobody chose"
    UNCHOSEN = "unchosen", "another was chosen, or none"


class Delivery(models.Model):
    """One submission for a task. What was delivered never changes (a trigger says so)."""

    id = models.UUIDField(primary_key=True, default=new_id)
    task = models.ForeignKey(Task, models.PROTECT, related_name="deliveries")
    claim = models.ForeignKey(Claim, models.PROTECT, related_name="deliveries")
    worker = models.ForeignKey(Participant, models.PROTECT, related_name="deliveries")
    number = models.PositiveIntegerField()  # counts from 1 within the task
    summary = models.TextField(max_length=10_000)
    result = models.JSONField(null=True)
    uses = ArrayField(models.CharField(max_length=160), default=list)  # owner/name@version
    evidence = models.JSONField(default=list)
    usage = models.JSONField(default=dict)
    files = models.ManyToManyField(File, through="DeliveryFile")
    is_entry = models.BooleanField(default=False)  # to a contest, beside those of others
    created_at = models.DateTimeField(db_default=MarketNow())

    state = models.CharField(
        max_length=10, choices=DeliveryState.choices, default=DeliveryState.SUBMITTED
    )
    checks_ended_at = models.DateTimeField(null=True)  # when the required checks had all ended
    decided_at = models.DateTimeField(null=True)
    reason = models.TextField(max_length=5000, blank=True, default="")
    requirement = models.PositiveIntegerField(null=True)  # index into the task's requirements
    comment = models.TextField(max_length=5000, blank=True, default="")

    # The first decision about it, which a dispute may turn round and never changes: the verb, when,
    # and what the worker stood to be paid, in micro-credits. Standing is counted from these.
    first_decision = models.CharField(max_length=20, blank=True, default="")
    first_decided_at = models.DateTimeField(null=True)
    at_stake = models.BigIntegerField(null=True)
    # Who was the poster then, for a subtask may change hands later; null: whoever the task names.
    decided_for = models.ForeignKey(Participant, models.PROTECT, null=True, related_name="+")

    class Meta:
        verbose_name_plural = "deliveries"
        ordering = ["number"]
        constraints = [
            models.UniqueConstraint(fields=["task", "number"], name="deliveries_are_numbered"),
            models.UniqueConstraint(
                fields=["task"],
                condition=models.Q(state=DeliveryState.ACCEPTED),
                name="one_accepted_delivery_per_task",
            ),
            models.UniqueConstraint(
                fields=["task"],
                condition=models.Q(state=DeliveryState.SUBMITTED, is_entry=False),
                name="one_delivery_under_review_per_task",
            ),
            models.CheckConstraint(
                condition=models.Q(state=DeliveryState.SUBMITTED, decided_at=None)
                | (~models.Q(state=DeliveryState.SUBMITTED) & models.Q(decided_at__isnull=False)),
                name="decided_deliveries_say_when",
            ),
            models.CheckConstraint(
                condition=models.Q(first_decision="", first_decided_at=None, at_stake=None)
                | (
                    ~models.Q(first_decision="")
                    & models.Q(first_decided_at__isnull=False, at_stake__isnull=False)
                ),
                name="first_decisions_are_whole",
            ),
        ]
        indexes = [models.Index(fields=["worker", "state"], name="delivery_by_worker")]

    def __str__(self) -> str:
        return self.public_id

    @property
    def public_id(self) -> str:
        """Return the id that the API shows."""
        return encode("delivery", self.id)

    @property
    def subject(self) -> Subject:
        """Return what events about this delivery name."""
        return Subject("delivery", self.public_id)

    def note_decision(
        self, verb: str, *, task: Task, at_stake: int, at: datetime
    ) -> tuple[str, ...]:
        """Note the first decision about it, and return which fields that sets; none at a second."""
        if self.first_decision:
            return ()
        self.first_decision, self.at_stake, self.first_decided_at = verb, at_stake, at
        self.decided_for_id = task.poster_id
        return ("first_decision", "at_stake", "first_decided_at", "decided_for")


class DeliveryFile(models.Model):
    """A delivered file, in its place."""

    delivery = models.ForeignKey(Delivery, models.PROTECT, related_name="delivered")
    file = models.ForeignKey(File, models.PROTECT, related_name="+")
    position = models.PositiveIntegerField()

    class Meta:
        ordering = ["position"]
        constraints = [models.UniqueConstraint(fields=["delivery", "file"], name="delivered_once")]


class Verdict(models.TextChoices):
    """How a check ended, or that it has not."""

    PENDING = "pending"
    PASSED = "passed"
    FAILED = "failed"
    ERROR = "error"  # the service's fault or the checker's, never the worker's


class CheckRun(models.Model):
    """One check of one delivery: a job with a lease, and in the end its verdict.

    The row is the truth and Celery the nudge. Attempts are counted when a run is taken, so that a
    delivery that kills its checker stops after three; only whoever holds the lease's token may
    write the verdict.
    """

    id = models.UUIDField(primary_key=True, default=new_id)
    delivery = models.ForeignKey(Delivery, models.PROTECT, related_name="checks")
    position = models.PositiveIntegerField()
    name = models.CharField(max_length=100)
    type = models.CharField(max_length=20)
    required = models.BooleanField()
    config = models.JSONField()
    state = models.CharField(max_length=8, choices=Verdict.choices, default=Verdict.PENDING)
    detail = models.TextField(blank=True, default="")
    duration_ms = models.PositiveIntegerField(null=True)
    attempts = models.PositiveIntegerField(default=0)
    lease_token = models.UUIDField(null=True)
    taken_until = models.DateTimeField(null=True)  # nobody else may take it before
    due_at = models.DateTimeField(db_default=MarketNow())  # when the sweep hands it out (again)
    ended_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["position"]
        constraints = [
            models.UniqueConstraint(fields=["delivery", "position"], name="one_run_per_check"),
            models.CheckConstraint(
                condition=models.Q(state=Verdict.PENDING, ended_at=None)
                | (~models.Q(state=Verdict.PENDING) & models.Q(ended_at__isnull=False)),
                name="ended_checks_have_a_verdict",
            ),
        ]
        indexes = [
            models.Index(
                fields=["due_at"], condition=models.Q(state=Verdict.PENDING), name="check_due"
            ),
        ]
