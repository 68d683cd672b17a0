"""Audits that have run."""

from django.db import models
from django.db.models.functions import Now

from credits.audit import Mark


class AuditRun(models.Model):
    """One audit: what it found, and how far it came. Times are the database's, not the market's.

    `findings` are objects with the members of `credits.audit.Finding`. The mark is where an audit
    of what is new begins if this one found nothing.
    """

    is_full = models.BooleanField()
    asked_by = models.CharField(max_length=200)  # a handle, or what runs by itself
    started_at = models.DateTimeField()
    ended_at = models.DateTimeField(db_default=Now())
    findings = models.JSONField(default=list)
    # The turn of the switch by which staff resumed money in spite of these findings.
    accepted_by_turn = models.BigIntegerField(null=True)

    mark_epoch = models.IntegerField()
    mark_xid = models.CharField(max_length=20)
    mark_seal = models.BigIntegerField()
    mark_seal_hash = models.CharField(max_length=64, blank=True)

    class Meta:
        indexes = [
            # The last audit that found nothing, and the last full one.
            models.Index(
                fields=["-id"], condition=models.Q(findings=[]), name="audit_that_found_nothing"
            ),
            models.Index(fields=["is_full", "-id"], name="audit_by_kind"),
        ]

    def __str__(self) -> str:
        return f"audit {self.pk}"

    @property
    def mark(self) -> Mark:
        """Return how far it came."""
        return Mark(
            epoch=self.mark_epoch,
            xid=self.mark_xid,
            at=self.started_at,
            seal=self.mark_seal,
            seal_hash=self.mark_seal_hash,
        )

    @property
    def money_findings(self) -> list[dict[str, str]]:
        """Return the findings for which credits may not move."""
        return [finding for finding in self.findings if finding["is_of_money"]]

    @property
    def seconds(self) -> float:
        """Return how long it took."""
        return (self.ended_at - self.started_at).total_seconds()
