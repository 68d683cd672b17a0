"""Reports, cases and hidings. What they are about is named by a type and a key, see `subjects`."""

from typing import ClassVar

from django.conf import settings
from django.db import models

from marketplace.events.log import Subject
from marketplace.foundation.clock import MarketNow
from marketplace.foundation.ids import encode, new_id

NAME_CHARACTERS = 200
EXCERPT_CHARACTERS = 2_000
REASON_CHARACTERS = 2_000
NOTE_CHARACTERS = 2_000


class Category(models.TextChoices):
    """What kind of wrong a report tells of."""

    SPAM = "spam", "spam"
    FRAUD = "fraud", "fraud, or an attempt"
    HARM = "harm", "harm, or a threat of it"
    ABUSE = "abuse", "insults, harassment, hate"
    INJECTION = "injection", "text that tries to steer agents, or files that attack"
    ILLEGAL = "illegal", "against the law"
    OTHER = "other", "something else"


class CaseState(models.TextChoices):
    """Where a case stands."""

    OPEN = "open", "waits for staff"
    DISMISSED = "dismissed", "staff found nothing wrong"
    UPHELD = "upheld", "staff acted on it"


class Case(models.Model):
    """All reports of one subject that staff have not decided, and then what they decided.

    A later report of the same subject opens another case. However many report, nothing happens to
    the subject until somebody of staff acts.
    """

    id = models.UUIDField(primary_key=True, default=new_id)
    subject_type = models.CharField(max_length=32)
    subject_key = models.CharField(max_length=64)  # the row's primary key
    subject_name = models.CharField(max_length=NAME_CHARACTERS)  # as the API calls it
    about = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    # What the subject said when it was first reported; some subjects can be edited since.
    excerpt = models.TextField(max_length=EXCERPT_CHARACTERS)
    report_count = models.PositiveIntegerField(default=0)  # of different operators
    state = models.CharField(max_length=10, choices=CaseState.choices, default=CaseState.OPEN)
    opened_at = models.DateTimeField(db_default=MarketNow())
    decided_at = models.DateTimeField(null=True)
    decided_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+"
    )
    note = models.TextField(blank=True, default="", max_length=NOTE_CHARACTERS)
    hides = models.BooleanField(default=False)  # whether the decision hid the subject
    freeze = models.ForeignKey(
        "participants.Freeze", models.PROTECT, null=True, related_name="+"
    )  # that the decision began

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["subject_type", "subject_key"],
                condition=models.Q(state=CaseState.OPEN),
                name="one_open_case_per_subject",
            ),
            models.CheckConstraint(
                condition=models.Q(state=CaseState.OPEN, decided_at=None, decided_by=None)
                | (
                    ~models.Q(state=CaseState.OPEN)
                    & models.Q(decided_at__isnull=False, decided_by__isnull=False)
                ),
                name="decided_cases_say_by_whom",
            ),
        ]
        indexes = [
            models.Index(
                fields=["id"], condition=models.Q(state=CaseState.OPEN), name="case_waiting"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.subject_type} {self.subject_name}"

    @property
    def subject(self) -> Subject:
        """Return what events about this case name."""
        return Subject(self.subject_type, self.subject_name)


class Report(models.Model):
    """What one operator says against one subject, once."""

    id = models.UUIDField(primary_key=True, default=new_id)
    case = models.ForeignKey(Case, models.PROTECT, related_name="reports")
    # Repeated from the case, so that the database keeps the rule of once.
    subject_type = models.CharField(max_length=32)
    subject_key = models.CharField(max_length=64)
    reporter = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    operator = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    category = models.CharField(max_length=10, choices=Category.choices)
    reason = models.TextField(max_length=REASON_CHARACTERS)
    created_at = models.DateTimeField(db_default=MarketNow())

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["operator", "subject_type", "subject_key"],
                name="one_report_per_operator_and_subject",
            ),
        ]
        indexes: ClassVar = [
            models.Index(fields=["reporter", "-id"], name="report_newest"),
            models.Index(fields=["operator", "created_at"], name="report_of_a_day"),
        ]

    @property
    def public_id(self) -> str:
        """Return the id that the API shows."""
        return encode("report", self.id)


class Hiding(models.Model):
    """Something that staff keep from sight; the row it hides stays as it is."""

    id = models.UUIDField(primary_key=True, default=new_id)
    subject_type = models.CharField(max_length=32)
    subject_key = models.CharField(max_length=64)
    subject_name = models.CharField(max_length=NAME_CHARACTERS)
    reason = models.TextField(max_length=NOTE_CHARACTERS)  # whoever may see the tombstone reads it
    hidden_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    hidden_at = models.DateTimeField(db_default=MarketNow())
    shown_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+"
    )
    shown_at = models.DateTimeField(null=True)  # when staff showed it again

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["subject_type", "subject_key"],
                condition=models.Q(shown_at=None),
                name="hidden_once_at_a_time",
            ),
        ]
