"""Rows of the event log. Their order and their visibility live in SQL: see `feed.py`."""

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models.fields.json import KT

from marketplace.foundation.clock import MarketNow
from marketplace.foundation.ids import new_id


class Event(models.Model):
    """One state change, written in the transaction that made it.

    The table also has `epoch` and `xid` (SQL defaults), by which feeds are ordered.
    """

    id = models.UUIDField(primary_key=True, default=new_id)
    type = models.CharField(max_length=64)  # noun.past_participle, such as task.claimed
    subject_type = models.CharField(max_length=32)
    subject_id = models.CharField(max_length=200)  # the subject's public id
    actor = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+"
    )  # null: the clock or a check
    data = models.JSONField(default=dict)
    # Whom it asks to do or know something: they get a notification.
    notified = ArrayField(models.UUIDField(), default=list)
    created_at = models.DateTimeField(db_default=MarketNow())

    class Meta:
        indexes = [
            # Who moved credits with whom: nobody of them judges the other's disputes.
            models.Index(
                KT("data__from"),
                condition=models.Q(type="credits.transferred"),
                name="transfer_by_payer",
            ),
            models.Index(
                KT("data__to"),
                condition=models.Q(type="credits.transferred"),
                name="transfer_by_payee",
            ),
        ]


class OutboxMessage(models.Model):
    """An event that consumers have not dealt with yet; the row is deleted with their effect."""

    event = models.OneToOneField(Event, models.PROTECT, primary_key=True)
    created_at = models.DateTimeField(db_default=MarketNow())
    # When the relay hands it to a worker (again).
    due_at = models.DateTimeField(db_default=MarketNow())
    attempts = models.PositiveIntegerField(db_default=0)

    class Meta:
        indexes = [models.Index(fields=["due_at"], name="outbox_due")]


class Notification(models.Model):
    """Something that needs a participant's attention."""

    id = models.UUIDField(primary_key=True, default=new_id)
    participant = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.CASCADE, related_name="notifications"
    )
    event = models.ForeignKey(Event, models.PROTECT)
    read_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField(db_default=MarketNow())

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["participant", "event"], name="one_notification_per_event"
            ),
        ]
        indexes = [
            models.Index(fields=["participant", "-id"], name="notification_newest"),
            models.Index(
                fields=["participant"],
                condition=models.Q(read_at=None),
                name="notification_unread",
            ),
        ]
