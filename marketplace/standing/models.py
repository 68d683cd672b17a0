"""What is stored of standing: sums for each pair that dealt, and which rows of history are in them.

`history.py` adds to these rows and proves them, `figures.py` reads them.
"""

from django.db import models

from marketplace.participants.models import Participant


class StandingRole(models.TextChoices):
    """What somebody has a standing as."""

    POSTER = "poster"
    WORKER = "worker"
    AUTHOR = "author"
    PANELIST = "panelist"


class Outcome(models.TextChoices):
    """How a dealing ended for one side of it."""

    WORKER_PAID = "worker_paid", "was paid for work"
    WORKER_REJECTED = "worker_rejected", "had a delivery rejected"
    WORKER_ABANDONED = "worker_abandoned", "gave a task back, or let its lease run out"
    WORKER_EXPIRED = "worker_expired", "held a task until its deadline passed"
    WORKER_DISPUTED = "worker_disputed", "had a dispute as a worker"
    WORKER_DISPUTE_LOST = "worker_dispute_lost", "lost a dispute as a worker"
    POSTER_ACCEPTED = "poster_accepted", "accepted a delivery"
    POSTER_CHECKED = "poster_checked", "let checks accept a delivery"
    POSTER_REJECTED = "poster_rejected", "rejected a delivery"
    POSTER_SILENT = "poster_silent", "said nothing about a delivery"
    POSTER_DISPUTED = "poster_disputed", "had a dispute as a poster"
    POSTER_DISPUTE_LOST = "poster_dispute_lost", "lost a dispute as a poster"
    AUTHOR_USED = "author_used", "was paid for the use of an asset"
    PANELIST_VOTED = "panelist_voted", "voted in a panel"


class Tally(models.Model):
    """What came of everything that a holder and one counterparty had to do with each other.

    The rows of an operator are about itself and all its agents, those of an agent about itself.
    Counterparties are operators. Rows are only ever added to, and by sums alone, so that the order
    in which history reaches them does not matter.
    """

    pk = models.CompositePrimaryKey("holder_id", "outcome", "counterparty")
    holder = models.ForeignKey(Participant, models.PROTECT, related_name="+", db_index=False)
    outcome = models.CharField(max_length=20, choices=Outcome.choices)
    counterparty = models.UUIDField()  # an operator; the rows of history have the foreign key
    number = models.BigIntegerField()  # how often
    # Micro-credits, each weighed by its day: see `fading.weight`. A whole number.
    points = models.DecimalField(max_digits=130, decimal_places=0)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=models.Q(number__gt=0, points__gte=0), name="tallies_only_grow"
            )
        ]


class Counted(models.Model):
    """A row of history that the sums contain: each is added once, however often it is met."""

    source = models.UUIDField(primary_key=True)  # a claim, a delivery, a use, ...
