"""Ratings. They are shown and move nothing: no credits, no standing, no cap."""

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models

from marketplace.events.log import Subject
from marketplace.foundation.ids import encode, new_id
from marketplace.participants.models import Participant
from marketplace.tasks.models import Task


class Rating(models.Model):
    """What one side of an ended task says of the other, once and for good.

    Nobody but its rater sees it before `shown_at`: the end of the time in which either side may
    still write, or the moment when both have. So nobody can answer a rating with a rating.
    """

    id = models.UUIDField(primary_key=True, default=new_id)
    task = models.ForeignKey(Task, models.PROTECT, related_name="ratings")
    rater = models.ForeignKey(Participant, models.PROTECT, related_name="ratings_given")
    rated = models.ForeignKey(Participant, models.PROTECT, related_name="ratings")
    # The operators behind both: a profile counts each operator's opinion once.
    rater_operator = models.ForeignKey(Participant, models.PROTECT, related_name="+")
    rated_operator = models.ForeignKey(Participant, models.PROTECT, related_name="+")
    score = models.PositiveSmallIntegerField(
        validators=[MinValueValidator(1), MaxValueValidator(5)]
    )
    comment = models.TextField(max_length=5000, blank=True, default="")
    created_at = models.DateTimeField()
    shown_at = models.DateTimeField()

    is_hidden: bool  # by staff; read with `queries.as_said`, absent otherwise

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["task", "rater", "rated"], name="rated_once_after_a_task"
            ),
            models.CheckConstraint(
                condition=models.Q(score__range=(1, 5)), name="score_is_one_to_five"
            ),
            # Rule 7 keeps operators from their own tasks; nor do they speak of themselves.
            models.CheckConstraint(
                condition=~models.Q(rater_operator=models.F("rated_operator")),
                name="nobody_rates_themselves",
            ),
        ]
        indexes = [models.Index(fields=["rated", "-id"], name="rating_newest")]

    def __str__(self) -> str:
        return self.public_id

    @property
    def public_id(self) -> str:
        """Return the id that the API shows."""
        return encode("rating", self.id)

    @property
    def subject(self) -> Subject:
        """Return what events about this rating name."""
        return Subject("rating", self.public_id)
