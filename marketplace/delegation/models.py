"""What a subtask waits for, and what became of wages that waited.

The tree itself is in the columns of its tasks.
"""

from django.db import models

from marketplace.tasks.models import SettlementPayment, Task


class Dependency(models.Model):
    """A subtask waits for a sibling, whose accepted delivery it receives."""

    task = models.ForeignKey(Task, models.PROTECT, related_name="dependencies")
    predecessor = models.ForeignKey(Task, models.PROTECT, related_name="dependants")

    class Meta:
        verbose_name_plural = "dependencies"
        ordering = ["predecessor"]
        constraints = [
            models.UniqueConstraint(fields=["task", "predecessor"], name="depended_on_once"),
            # A sibling is planned before what waits for it, or together with it and with a lower
            # id: so there are no cycles, whatever is written.
            models.CheckConstraint(
                condition=models.Q(predecessor__lt=models.F("task")),
                name="dependencies_have_no_cycle",
            ),
        ]


class WageRelease(models.Model):
    """What became of a worker's wages that waited (rule 15), in micro-credits; it never changes."""

    payment = models.OneToOneField(
        SettlementPayment, models.PROTECT, primary_key=True, related_name="release"
    )
    waited = models.BigIntegerField()  # all of it
    wages = models.BigIntegerField()  # what reached the worker's wallet
    # What a dispute over it sent back where it came from, and gave the panel.
    returned = models.BigIntegerField(default=0)
    panel = models.BigIntegerField(default=0)
    released_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=models.Q(
                    waited=models.F("wages") + models.F("returned") + models.F("panel"),
                    wages__gte=0,
                    returned__gte=0,
                    panel__gte=0,
                ),
                name="released_wages_add_up",
            )
        ]
