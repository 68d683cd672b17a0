"""Tasks and claims. States change by `Task.advance` alone, which asks the table in `states.py`."""

import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import ClassVar

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex
from django.contrib.postgres.search import SearchVector, SearchVectorField
from django.db import models

from marketplace.events.log import Subject
from marketplace.files.models import File
from marketplace.foundation import clock
from marketplace.foundation.batching import write
from marketplace.foundation.clock import MarketNow
from marketplace.foundation.ids import encode, new_id
from marketplace.foundation.rows import save_rows
from marketplace.participants.models import Kind, Participant
from marketplace.reuse.models import Earning
from marketplace.tasks.eligibility import Eligibility
from marketplace.tasks.states import ENDED, Role, TaskState, next_state

# Whoever writes a task of a tree holds the lock of its root, which is taken first. The clock is
# read by the outer query, which runs when the inner ones hold the locks: a caller that waited for a
# rival sees the time after the wait. One SELECT … FOR UPDATE would read it before.
LOCK = """
WITH root AS MATERIALIZED (
    SELECT id FROM tasks_task WHERE id = (SELECT root FROM tasks_task WHERE id = %(task)s)
    FOR NO KEY UPDATE
), locked AS MATERIALIZED (
    SELECT * FROM tasks_task WHERE id = %(task)s AND root = (SELECT id FROM root) FOR NO KEY UPDATE
)
SELECT locked.*, market_now() AS locked_at FROM locked
"""


# States in which somebody holds the task, or was paid for it.
HELD = [TaskState.CLAIMED, TaskState.SUBMITTED, TaskState.DISPUTED, TaskState.ACCEPTED]


class Mode(models.TextChoices):
    """How somebody gets the task."""

    CLAIM = "claim", "first come, first served"
    BID = "bid", "the poster picks a proposal"
    CONTEST = "contest", "many deliver, one is accepted"
    DIRECT = "direct", "offered to one participant"


class Source(models.TextChoices):
    """Whose money a subtask is paid from."""

    ESCROW = "escrow", "the escrow of its parent"
    WALLET = "wallet", "the wallet of the lead"


class OnDecline(models.TextChoices):
    """What becomes of a task whose offer was declined, or not taken in time."""

    OPEN = "open", "it is open again"
    CANCEL = "cancel", "it is cancelled and refunded"


class Acceptance(models.TextChoices):
    """Who decides on a delivery when its required checks have ended."""

    MANUAL = "manual", "the poster"
    AUTOMATIC = "automatic", "the checks"


# Tasks that somebody else has locked are somebody else's business. Texts stay where they are. Those
# of a tree are not among them, for their root would have to be locked before. The clock is a scalar
# of its own, for a volatile function beside a column would be called for every row that runs.
LOCK_DUE = """
WITH locked AS MATERIALIZED (
    SELECT {columns} FROM tasks_task
    WHERE due_at <= (SELECT market_now()) AND parent_id IS NULL AND children = 0
    ORDER BY due_at LIMIT %s FOR NO KEY UPDATE SKIP LOCKED
)
SELECT locked.*, market_now() AS locked_at FROM locked
"""
TEXTS = ("description", "verification", "search")


# Tasks that do not stand alone.
IN_TREE = models.Q(parent__isnull=False) | models.Q(children__gt=0)


class TaskManager(models.Manager["Task"]):
    """Lookups, and the locks that rivals contend for."""

    def lock(self, task_id: uuid.UUID) -> tuple["Task", datetime]:
        """Lock a task and return it with the market's time, read after the lock.

        Locks: the root of its tree, then the task; after operators and before deliveries and
        accounts. Round trips: one.

        Raises:
            Task.DoesNotExist: No such task.
        """
        for task in self.raw(LOCK, {"task": task_id}):
            return task, task.locked_at
        raise self.model.DoesNotExist

    def lock_due(self, limit: int) -> tuple[list["Task"], datetime]:
        """Lock tasks whose next limit has passed, the longest overdue first, and return the time.

        Tasks of trees are left out: see `due_in_trees`.

        Locks: up to *limit* tasks that nobody else has locked; it waits for none. Round trips: one,
        and one more where none is due.
        """
        fields = self.model._meta.concrete_fields  # noqa: SLF001 - documented by Django
        columns = ", ".join(str(field.column) for field in fields if field.name not in TEXTS)
        due = list(self.raw(LOCK_DUE.format(columns=columns), [limit]))
        return due, due[0].locked_at if due else clock.now()

    def due_in_trees(self, limit: int) -> list[uuid.UUID]:
        """Return tasks of trees whose next limit has passed, unlocked. Round trips: two."""
        due = self.filter(IN_TREE, due_at__lte=clock.now())
        return list(due.order_by("due_at").values_list("pk", flat=True)[:limit])


class Task(models.Model):
    """Something that is wanted, with its bounty in an escrow of its own."""

    id = models.UUIDField(primary_key=True, default=new_id)
    # Every row of a tree carries its root, so that a tree can live on one shard.
    root = models.UUIDField()
    # Of a subtask: what it is a part of, who planned it and under which name. Its poster is the
    # lead, or whoever acts in the lead's place.
    parent = models.ForeignKey("self", models.PROTECT, null=True, related_name="subtasks")
    lead = models.ForeignKey(Participant, models.PROTECT, null=True, related_name="+")
    lead_claim = models.ForeignKey("Claim", models.PROTECT, null=True, related_name="+")
    key = models.CharField(max_length=64, blank=True, default="")
    depth = models.PositiveSmallIntegerField(default=0)
    source = models.CharField(max_length=6, choices=Source.choices, blank=True, default="")
    # The task whose escrow its money lay in first: its own, or that of an ancestor.
    funding_root = models.UUIDField()
    # Who posted that ancestor, and so may dispute what the subtask earned.
    funder = models.ForeignKey(Participant, models.PROTECT, null=True, related_name="+")
    # Operators of all ancestors' posters and leads; none of them takes it or judges it (rule 7).
    barred = ArrayField(models.UUIDField(), default=list)
    # Of a task with subtasks: what its worker may pay them out of its escrow, as a share of the
    # bounty; what they have of it, less what came back; how many there ever were; and how many it
    # waits for.
    delegation_bps = models.PositiveIntegerField(default=0)
    delegated = models.BigIntegerField(default=0)  # micro-credits
    # Of a subtask that an escrow pays: what the claim that holds the parent bears of what it has.
    charged = models.BigIntegerField(default=0)  # micro-credits
    children = models.PositiveIntegerField(default=0)
    unsettled_children = models.PositiveIntegerField(default=0)
    poster = models.ForeignKey(Participant, models.PROTECT, related_name="posted")
    poster_operator = models.ForeignKey(Participant, models.PROTECT, related_name="+")
    title = models.CharField(max_length=200)
    description = models.TextField(max_length=50_000)
    tags = ArrayField(models.CharField(max_length=50), default=list)
    requirements = ArrayField(models.CharField(max_length=1000), default=list)
    mode = models.CharField(max_length=8, choices=Mode.choices, default=Mode.CLAIM)
    state = models.CharField(max_length=12, choices=TaskState.choices, default=TaskState.OPEN)
    acceptance = models.CharField(
        max_length=12, choices=Acceptance.choices, default=Acceptance.MANUAL
    )
    verification = models.JSONField(default=list)  # checks, as `verification.checks` reads them
    bounty = models.BigIntegerField()  # micro-credits
    # What takes the bounty's place while a selected bid holds the task (rule 3); null otherwise.
    price = models.BigIntegerField(null=True)
    created_at = models.DateTimeField(db_default=MarketNow())
    ended_at = models.DateTimeField(null=True)

    # The terms: rules of the market as they stood when the task was posted.
    terms_version = models.PositiveIntegerField(default=1)  # rises with every change
    # The oldest version that a claim or a bid may still answer: raises leave it, edits move it.
    terms_valid_from = models.PositiveIntegerField(default=1)
    fee_bps = models.PositiveIntegerField()
    lease_seconds = models.PositiveIntegerField()
    review_window_seconds = models.PositiveIntegerField()
    resubmission_seconds = models.PositiveIntegerField()
    compensation_bps = models.PositiveIntegerField()
    reuse_cap_bps = models.PositiveIntegerField()
    offer_seconds = models.PositiveIntegerField()
    wages_wait_seconds = models.PositiveIntegerField()  # of a subtask that is paid from an escrow
    dispute_terms = models.JSONField()  # as `dispute_terms.DisputeTerms` reads them
    runner_up_bps = models.PositiveIntegerField(default=0)  # of a contest's bounty
    on_decline = models.CharField(max_length=8, choices=OnDecline.choices, default=OnDecline.OPEN)
    # Who may take it; empty and null ask for nothing.
    eligible_kind = models.CharField(max_length=8, choices=Kind.choices, blank=True, default="")
    eligible_standing = models.PositiveBigIntegerField(null=True)
    eligible_capabilities = ArrayField(models.CharField(max_length=64), default=list)

    # Whom a blocked task will be offered to.
    assignee = models.ForeignKey(Participant, models.PROTECT, null=True, related_name="+")
    # Who was offered it, and on which bid.
    offered_to = models.ForeignKey(Participant, models.PROTECT, null=True, related_name="+")
    selected_bid = models.ForeignKey("Bid", models.PROTECT, null=True, related_name="+")
    entries = models.PositiveIntegerField(default=0)  # of a contest
    # Who holds it.
    worker = models.ForeignKey(Participant, models.PROTECT, null=True, related_name="claimed")
    worker_operator = models.ForeignKey(Participant, models.PROTECT, null=True, related_name="+")
    claim = models.ForeignKey("Claim", models.PROTECT, null=True, related_name="+")

    # Limits of time; `due_at` is the next one, which the sweeper looks for.
    deadline = models.DateTimeField()
    offered_until = models.DateTimeField(null=True)
    claim_expires_at = models.DateTimeField(null=True)
    resubmit_by = models.DateTimeField(null=True)
    notice_ends_at = models.DateTimeField(null=True)
    remind_at = models.DateTimeField(null=True)
    review_due_at = models.DateTimeField(null=True)
    with_staff_until = models.DateTimeField(null=True)
    dispute_due_at = models.DateTimeField(null=True)  # the next limit of its dispute
    due_at = models.DateTimeField(null=True)
    # Until when what it earned from its parent's escrow waits; null where nothing does (rule 15).
    wages_wait_until = models.DateTimeField(null=True)
    # Since when its limits stand still, for a dispute runs below it.
    stands_since = models.DateTimeField(null=True)
    # What a task that is closing ends as, and how its worker's claim does.
    closing_as = models.CharField(max_length=12, choices=TaskState.choices, blank=True, default="")
    closing_claim_as = models.CharField(max_length=12, blank=True, default="")
    closing_compensated = models.BooleanField(default=False)

    attachments = models.ManyToManyField(File, through="TaskAttachment")
    # Title and description as lexemes, generated by PostgreSQL.
    search = models.GeneratedField(
        expression=SearchVector("title", weight="A", config="simple")
        + SearchVector("description", weight="B", config="simple"),
        output_field=SearchVectorField(),
        db_persist=True,
    )

    # Read with the lock; absent otherwise.
    locked_at: datetime
    # The tree that it was loaded with (`lineage.load`).
    tree: "Mapping[uuid.UUID, Task] | None" = None

    objects: ClassVar[TaskManager] = TaskManager()

    class Meta:
        constraints = [
            models.CheckConstraint(condition=models.Q(bounty__gt=0), name="bounty_is_positive"),
            # A claim is held exactly while somebody works, awaits review, or was paid for it. A
            # contest has no holder before one of its entries is accepted.
            models.CheckConstraint(
                condition=models.Q(
                    state__in=HELD,
                    worker__isnull=False,
                    worker_operator__isnull=False,
                    claim__isnull=False,
                )
                | models.Q(state=TaskState.CLOSING)
                | models.Q(
                    ~models.Q(state__in=HELD) | models.Q(mode=Mode.CONTEST),
                    worker=None,
                    worker_operator=None,
                    claim=None,
                ),
                name="claimed_tasks_have_a_worker",
            ),
            models.CheckConstraint(
                condition=models.Q(
                    state=TaskState.OFFERED, offered_to__isnull=False, offered_until__isnull=False
                )
                | models.Q(~models.Q(state=TaskState.OFFERED), offered_to=None, offered_until=None),
                name="offered_tasks_say_to_whom",
            ),
            models.CheckConstraint(
                condition=models.Q(selected_bid=None, price=None)
                | models.Q(selected_bid__isnull=False, price__gt=0, price__lte=models.F("bounty")),
                name="a_selected_bid_names_the_price",
            ),
            models.CheckConstraint(
                condition=models.Q(state__in=sorted(ENDED), ended_at__isnull=False, due_at=None)
                # What a subtask earned is disputed after it has ended.
                | models.Q(
                    state=TaskState.ACCEPTED, ended_at__isnull=False, dispute_due_at__isnull=False
                )
                | models.Q(~models.Q(state__in=sorted(ENDED)), ended_at=None),
                name="ended_tasks_are_never_due",
            ),
            # While a dispute runs, its limit is the only one. One over what a subtask earned leaves
            # it accepted.
            models.CheckConstraint(
                condition=models.Q(
                    state=TaskState.DISPUTED,
                    dispute_due_at__isnull=False,
                    due_at=models.F("dispute_due_at"),
                )
                | models.Q(
                    state=TaskState.ACCEPTED,
                    source=Source.ESCROW,
                    dispute_due_at__isnull=False,
                    due_at=models.F("dispute_due_at"),
                )
                | models.Q(~models.Q(state=TaskState.DISPUTED), dispute_due_at=None),
                name="disputed_tasks_wait_for_their_dispute",
            ),
            # Rule 7: nobody works for their own operator.
            models.CheckConstraint(
                condition=models.Q(worker_operator=None)
                | ~models.Q(worker_operator=models.F("poster_operator")),
                name="nobody_works_for_themselves",
            ),
            # Ids rise with depth, so that ascending ids are an order from the root down.
            models.CheckConstraint(
                condition=models.Q(
                    parent=None, lead=None, lead_claim=None, depth=0, source="", key=""
                )
                | (
                    models.Q(
                        parent__isnull=False,
                        parent__lt=models.F("id"),
                        lead__isnull=False,
                        lead_claim__isnull=False,
                        depth__gt=0,
                        source__in=Source.values,
                    )
                    & ~models.Q(key="")
                ),
                name="subtasks_say_where_they_come_from",
            ),
            models.UniqueConstraint(
                fields=["parent", "key"],
                condition=models.Q(parent__isnull=False),
                name="siblings_have_different_keys",
            ),
            models.CheckConstraint(
                condition=models.Q(delegated__gte=0, delegated__lte=models.F("bounty")),
                name="delegated_is_part_of_the_bounty",
            ),
            models.CheckConstraint(
                condition=models.Q(charged=0) | models.Q(source=Source.ESCROW, charged__gt=0),
                name="only_what_an_escrow_pays_is_charged",
            ),
            models.CheckConstraint(
                condition=models.Q(
                    state=TaskState.CLOSING,
                    closing_as__in=[TaskState.CANCELLED, TaskState.EXPIRED],
                    due_at=None,
                )
                | models.Q(~models.Q(state=TaskState.CLOSING), closing_as=""),
                name="closing_tasks_say_for_what",
            ),
        ]
        indexes = [
            models.Index(
                fields=["due_at"], condition=models.Q(due_at__isnull=False), name="task_due"
            ),
            models.Index(
                fields=["due_at"],
                condition=models.Q(IN_TREE, due_at__isnull=False),
                name="task_of_tree_due",
            ),
            models.Index(fields=["state", "-id"], name="task_by_state"),
            GinIndex(fields=["search"], name="task_search"),
            GinIndex(fields=["tags"], name="task_by_tag"),
            models.Index(fields=["poster", "-id"], name="task_by_poster"),
            models.Index(fields=["worker", "-id"], name="task_by_worker"),
            models.Index(fields=["worker_operator", "state"], name="task_held_by_operator"),
            models.Index(
                fields=["wages_wait_until"],
                condition=models.Q(wages_wait_until__isnull=False),
                name="task_wages_waiting",
            ),
            models.Index(
                fields=["root", "id"],
                condition=models.Q(parent__isnull=False),
                name="task_of_tree",
            ),
        ]

    def __str__(self) -> str:
        return self.public_id

    @property
    def public_id(self) -> str:
        """Return the id that the API shows; also the reference of the task's escrow."""
        return encode("task", self.id)

    @property
    def subject(self) -> Subject:
        """Return what events about this task name."""
        return Subject("task", self.public_id)

    @property
    def parties(self) -> tuple[uuid.UUID | None, ...]:
        """Return who reads this task's events: both sides and their operators."""
        return (
            self.poster_id,
            self.poster_operator_id,
            self.worker_id,
            self.worker_operator_id,
            self.offered_to_id,
        )

    @property
    def above(self) -> frozenset[uuid.UUID]:
        """Return the operators who posted it, or posted or led above it: none takes it (rule 7)."""
        return frozenset((self.poster_operator_id, *self.barred))

    @property
    def recused(self) -> frozenset[uuid.UUID]:
        """Return the operators with a side in it: none judges, or decides as staff (rule 7).

        In a contest they are also those who entered, which is not written here.
        """
        working = () if self.worker_operator_id is None else (self.worker_operator_id,)
        return self.above.union(working)

    @property
    def priced(self) -> int:
        """Return what the work costs: the selected bid's amount, or else the bounty (rule 3)."""
        return self.bounty if self.price is None else self.price

    @property
    def held(self) -> int:
        """Return what the escrow of a task that has not ended holds: subtasks have the rest."""
        return self.bounty - self.delegated

    @property
    def payable(self) -> int:
        """Return what is left of the price for whoever holds the task, and for what it owes."""
        if self.price is None:
            return self.held
        return self.price - (self.claim.delegated if self.delegated and self.claim else 0)

    @property
    def is_subtask(self) -> bool:
        """Say whether it is a part of another task."""
        return self.parent_id is not None

    @property
    def is_paid_from_escrow(self) -> bool:
        """Say whether its money came out of its parent's escrow, and flows back there."""
        return self.source == Source.ESCROW

    def own_time(self, at: datetime) -> datetime:
        """Return the time by which its limits run; it stands while a dispute runs below it."""
        return at if self.stands_since is None else self.stands_since

    @property
    def eligibility(self) -> Eligibility:
        """Return what the poster asks of whoever takes the task."""
        return Eligibility(
            Kind(self.eligible_kind) if self.eligible_kind else None,
            self.eligible_standing,
            self.eligible_capabilities,
        )

    @property
    def is_contest(self) -> bool:
        """Say whether many deliver and one is accepted."""
        return self.mode == Mode.CONTEST

    @property
    def is_ended(self) -> bool:
        """Say whether the task has had its ending."""
        return self.state in ENDED

    def roles_of(self, participant: Participant | None) -> frozenset[Role]:
        """Return what *participant* is to this task; None is a visitor without a name."""
        if participant is None:
            return frozenset()
        roles = set()
        if participant.pk == self.poster_id:
            roles.add(Role.POSTER)
        if participant.pk == self.funder_id:
            roles.add(Role.FUNDER)
        if participant.pk == self.worker_id:
            roles.add(Role.WORKER)
        if participant.pk == self.offered_to_id:
            roles.add(Role.OFFEREE)
        if participant.operator_key not in self.above:
            roles.add(Role.ANYONE)
        return frozenset(roles)

    def advance(self, verb: str, *, roles: frozenset[Role], at: datetime) -> None:
        """Do *verb* if the table lets somebody with *roles* do it now.

        Sets the state and, at an ending, `ended_at`; the caller sets what else changes and saves.

        Raises:
            IllegalTransition: Not in this state.
            NotPermitted: Somebody else's move.
        """
        self.state = next_state(TaskState(self.state), verb, roles)
        if self.is_ended and self.ended_at is None:
            self.ended_at = at

    def require_reading(self) -> None:
        """Let what was read of the terms before bind nobody."""
        self.terms_version += 1
        self.terms_valid_from = self.terms_version

    def offer(self, to: Participant, *, at: datetime) -> None:
        """Let the task wait for *to*'s answer, up to the deadline."""
        self.offered_to = to
        until = self.own_time(at) + timedelta(seconds=self.offer_seconds)
        self.offered_until = min(until, self.deadline)

    def end_offer(self) -> None:
        """Forget to whom the task was offered, and until when."""
        self.offered_to = self.offered_until = None

    def take_claim(self, claim: "Claim", *, at: datetime) -> None:
        """Let *claim* hold the task."""
        self.claim = claim
        self.worker = claim.worker
        self.worker_operator_id = claim.operator_id
        self.renew_lease(at=at)

    def win_contest(self, entry: "Claim") -> None:
        """Let a contest that has ended name whose entry was accepted."""
        self.claim = entry
        self.worker = entry.worker
        self.worker_operator_id = entry.operator_id

    def renew_lease(self, *, at: datetime) -> None:
        """Let the lease run from now, up to the deadline."""
        self.claim_expires_at = self.one_lease_from(at)

    def one_lease_from(self, at: datetime) -> datetime:
        """Return when a lease that begins now ends, by the time of the task, up to the deadline."""
        return min(self.own_time(at) + timedelta(seconds=self.lease_seconds), self.deadline)

    def drop_claim(self) -> None:
        """Take the task from whoever holds it, with the price and every limit that were theirs."""
        self.claim = self.worker = None
        self.worker_operator = None
        self.selected_bid = self.price = None
        self.stop_limits()

    def stop_limits(self) -> None:
        """Forget every limit that runs for whoever holds it."""
        self.claim_expires_at = self.resubmit_by = self.notice_ends_at = None
        self.stop_review()

    def stop_review(self) -> None:
        """Forget the limits of a review that is over."""
        self.remind_at = self.review_due_at = self.with_staff_until = None


# What any transition may have changed besides the state; saved together, so no place forgets one.
TRANSITION_FIELDS = (
    "state",
    "poster",
    "poster_operator",
    "terms_version",
    "terms_valid_from",
    "delegated",
    "unsettled_children",
    "wages_wait_until",
    "ended_at",
    "price",
    "selected_bid",
    "offered_to",
    "offered_until",
    "entries",
    "worker",
    "worker_operator",
    "claim",
    "claim_expires_at",
    "resubmit_by",
    "notice_ends_at",
    "remind_at",
    "review_due_at",
    "with_staff_until",
    "dispute_due_at",
    "deadline",
    "due_at",
    "stands_since",
    "closing_as",
    "closing_claim_as",
    "closing_compensated",
)


class TaskAttachment(models.Model):
    """A file that explains the task; everybody who sees the task may read it."""

    task = models.ForeignKey(Task, models.PROTECT, related_name="attached")
    file = models.ForeignKey(File, models.PROTECT, related_name="+")
    position = models.PositiveIntegerField()

    class Meta:
        ordering = ["position"]
        constraints = [
            models.UniqueConstraint(fields=["task", "file"], name="attached_once_to_a_task")
        ]


class ClaimEnding(models.TextChoices):
    """How a claim ended."""

    ACCEPTED = "accepted"
    ABANDONED = "abandoned"
    EXPIRED = "expired"
    CANCELLED = "cancelled"
    LOST = "lost"  # a dispute gave its worker nothing
    # Of entries to contests: paid the second's part, or an equal share; or not chosen.
    RUNNER_UP = "runner_up"
    SHARED = "shared"
    UNCHOSEN = "unchosen"


class Claim(models.Model):
    """One participant's hold on a task, kept after it ended: standing is counted from these.

    An entry to a contest is one as well, beside those of others.
    """

    id = models.UUIDField(primary_key=True, default=new_id)
    task = models.ForeignKey(Task, models.PROTECT, related_name="claims")
    worker = models.ForeignKey(Participant, models.PROTECT, related_name="claims")
    operator = models.ForeignKey(Participant, models.PROTECT, related_name="+")
    note = models.CharField(max_length=1000, blank=True, default="")
    created_at = models.DateTimeField(db_default=MarketNow())
    ended_at = models.DateTimeField(null=True)
    ending = models.CharField(max_length=12, choices=ClaimEnding.choices, null=True)  # noqa: DJ001 - null while it is held
    # The operator of whoever was the poster when it ended, for a subtask may change hands later.
    # Null where the task ended with it, or stood alone: then the task says it.
    poster_operator = models.ForeignKey(Participant, models.PROTECT, null=True, related_name="+")
    rejections = models.PositiveIntegerField(default=0)
    is_entry = models.BooleanField(default=False)
    # What went to subtasks out of the escrow while it ran, less what came back of that: the sum of
    # what they are charged with. Micro-credits.
    delegated = models.BigIntegerField(default=0)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["task"],
                condition=models.Q(ended_at=None, is_entry=False),
                name="one_live_claim_per_task",
            ),
            # Rule 12: one entry for each operator.
            models.UniqueConstraint(
                fields=["task", "operator"],
                condition=models.Q(is_entry=True),
                name="one_entry_per_operator",
            ),
            models.CheckConstraint(
                condition=models.Q(ended_at=None, ending=None)
                | models.Q(ended_at__isnull=False, ending__isnull=False),
                name="ended_claims_say_how",
            ),
            models.CheckConstraint(
                condition=models.Q(delegated__gte=0), name="claims_bear_what_they_delegated"
            ),
        ]
        indexes = [
            models.Index(fields=["worker", "ending"], name="claim_by_worker"),
            # Panels are drawn from these: read from the index alone, and sorted by it.
            models.Index(
                fields=["operator", "worker"],
                include=["ended_at"],
                condition=models.Q(ending=ClaimEnding.ACCEPTED),
                name="claim_accepted",
            ),
        ]

    # What its bound uses owe, read with those of others (`uses.owed_by_each`); absent otherwise.
    owed: "list[Earning] | None" = None

    def end(self, ending: ClaimEnding, *, poster: uuid.UUID, at: datetime) -> None:
        """Record how and when the claim ended, and which operator's task it was then."""
        self.ending, self.ended_at, self.poster_operator_id = ending, at, poster
        write(_save_ends, self)


def _save_ends(claims: Sequence[Claim]) -> None:
    save_rows(claims, ["ending", "ended_at", "poster_operator"])


class BidState(models.TextChoices):
    """What became of a bid."""

    OPEN = "open", "may be selected"
    SELECTED = "selected", "the task is offered to its bidder"
    TAKEN = "taken", "its bidder has the task"
    DECLINED = "declined", "its bidder declined the offer"
    LAPSED = "lapsed", "its bidder did not answer the offer in time"
    WITHDRAWN = "withdrawn", "taken back"
    ENDED = "ended", "its claim, or the task, has ended"


LIVE_BIDS = (BidState.OPEN, BidState.SELECTED, BidState.TAKEN)


class Bid(models.Model):
    """A proposal to do a task for an amount; what was agreed last stands in it."""

    id = models.UUIDField(primary_key=True, default=new_id)
    task = models.ForeignKey(Task, models.PROTECT, related_name="bids")
    bidder = models.ForeignKey(Participant, models.PROTECT, related_name="bids")
    operator = models.ForeignKey(Participant, models.PROTECT, related_name="+")
    proposal = models.TextField(max_length=10_000)
    amount = models.BigIntegerField()  # micro-credits; the latest word of either side
    eta = models.DateTimeField(null=True)  # when the bidder expects to deliver
    terms_version = models.PositiveIntegerField()  # of the task's terms that it answers
    state = models.CharField(max_length=10, choices=BidState.choices, default=BidState.OPEN)
    created_at = models.DateTimeField(db_default=MarketNow())

    class Meta:
        constraints = [
            models.CheckConstraint(condition=models.Q(amount__gt=0), name="bid_is_positive"),
            models.UniqueConstraint(
                fields=["task", "operator"],
                condition=models.Q(state__in=LIVE_BIDS),
                name="one_live_bid_per_operator",
            ),
        ]
        indexes = [models.Index(fields=["task", "-id"], name="bid_of_task")]

    @property
    def public_id(self) -> str:
        """Return the id that the API shows."""
        return encode("bid", self.id)

    @property
    def subject(self) -> Subject:
        """Return what events about this bid name."""
        return Subject("bid", self.public_id)


class CounterOffer(models.Model):
    """Another amount for a bid, from either side."""

    bid = models.ForeignKey(Bid, models.PROTECT, related_name="counters")
    number = models.PositiveIntegerField()
    by = models.ForeignKey(Participant, models.PROTECT, related_name="+")
    amount = models.BigIntegerField()  # micro-credits
    eta = models.DateTimeField(null=True)
    note = models.CharField(max_length=1000, blank=True, default="")
    created_at = models.DateTimeField(db_default=MarketNow())

    class Meta:
        ordering = ["number"]
        constraints = [
            models.UniqueConstraint(fields=["bid", "number"], name="counters_are_numbered"),
            models.CheckConstraint(condition=models.Q(amount__gt=0), name="counter_is_positive"),
        ]


class Settlement(models.Model):
    """How a task's escrow was divided. Micro-credits; the parts add up to the bounty."""

    task = models.OneToOneField(Task, models.PROTECT, primary_key=True, related_name="settlement")
    bounty = models.BigIntegerField()
    fee = models.BigIntegerField(default=0)
    royalties = models.BigIntegerField(default=0)
    compensation = models.BigIntegerField(default=0)
    refund = models.BigIntegerField(default=0)
    wages = models.BigIntegerField(default=0)  # what the workers received together, after the fee
    panel = models.BigIntegerField(default=0)  # what the panel of a dispute received together
    subtasks = models.BigIntegerField(default=0)  # what left for subtasks, less what came back
    # Who held the task, or won the contest; a contest that was shared has neither.
    worker = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+"
    )
    claim = models.ForeignKey(Claim, models.PROTECT, null=True, related_name="+")
    settled_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=models.Q(
                    bounty=models.F("fee")
                    + models.F("royalties")
                    + models.F("compensation")
                    + models.F("refund")
                    + models.F("wages")
                    + models.F("panel")
                    + models.F("subtasks")
                ),
                name="settlement_adds_up",
            ),
        ]


class SettlementPayment(models.Model):
    """What one worker was paid when a task ended, in micro-credits."""

    settlement = models.ForeignKey(Settlement, models.PROTECT, related_name="payments")
    claim = models.OneToOneField(Claim, models.PROTECT, related_name="payment")
    worker = models.ForeignKey(Participant, models.PROTECT, related_name="+")
    gross = models.BigIntegerField()
    fee = models.BigIntegerField()

    class Meta:
        ordering = ["pk"]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(gross__gt=0, fee__gte=0, fee__lte=models.F("gross")),
                name="payments_are_positive",
            ),
        ]

    @property
    def amount(self) -> int:
        """Return what the worker received, after the fee; where it waits, what waits."""
        return self.gross - self.fee
