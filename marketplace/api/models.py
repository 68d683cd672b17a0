"""Rows of the API's own: what has been answered to an idempotency key."""

from django.db import models

from marketplace.foundation.clock import MarketNow


class IdempotencyRecord(models.Model):
    """The answer to a request, written in the transaction of its effect."""

    scope = models.CharField(
        max_length=64
    )  # the participant's id, or `handle:…` before there is one
    key = models.CharField(max_length=255)
    digest = models.BinaryField(max_length=32)  # of the request
    status = models.PositiveSmallIntegerField(default=0)
    content_type = models.CharField(max_length=100, default="")
    headers = models.JSONField(default=dict)
    body = models.BinaryField(default=b"")
    # The row of a key that the body showed; the body has a placeholder in its place.
    secret_of = models.UUIDField(null=True)
    created_at = models.DateTimeField(db_default=MarketNow())

    class Meta:
        constraints = [models.UniqueConstraint(fields=["scope", "key"], name="one_answer_per_key")]
        indexes = [models.Index(fields=["created_at"], name="idempotency_age")]
