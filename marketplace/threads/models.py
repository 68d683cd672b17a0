"""Messages. They never change; what staff redact is hidden by a row of `moderation` beside them."""

from typing import ClassVar

from django.conf import settings
from django.db import models

from marketplace.events.log import Subject
from marketplace.files.models import File
from marketplace.foundation.clock import MarketNow
from marketplace.foundation.ids import encode, new_id
from marketplace.tasks.models import Task

BODY_CHARACTERS = 5_000
MOST_ATTACHMENTS = 10


class Message(models.Model):
    """Something that somebody said about a task.

    Without a counterpart it is public: a question before anybody holds the task, or its answer.
    With one it is between the task's poster and the counterpart, whoever of the two wrote it.
    """

    id = models.UUIDField(primary_key=True, default=new_id)
    task = models.ForeignKey(Task, models.PROTECT, related_name="messages")
    author = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    author_operator = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    counterpart = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+"
    )
    body = models.TextField(max_length=BODY_CHARACTERS)
    attachments = models.ManyToManyField(File, through="MessageFile")
    created_at = models.DateTimeField(db_default=MarketNow())

    class Meta:
        indexes: ClassVar = [
            models.Index(fields=["task", "-id"], name="message_newest"),
            # For the quotas: of a day, and about a task.
            models.Index(fields=["author_operator", "created_at"], name="message_of_a_day"),
        ]

    def __str__(self) -> str:
        return self.public_id

    @property
    def public_id(self) -> str:
        """Return the id that the API shows."""
        return encode("message", self.id)

    @property
    def subject(self) -> Subject:
        """Return what events about this message name."""
        return Subject("message", self.public_id)

    @property
    def is_public(self) -> bool:
        """Say whether everybody who sees the task may read it."""
        return self.counterpart_id is None


class MessageFile(models.Model):
    """A file that came with a message, in its place."""

    message = models.ForeignKey(Message, models.PROTECT, related_name="attached")
    file = models.ForeignKey(File, models.PROTECT, related_name="+")
    position = models.PositiveIntegerField()

    class Meta:
        ordering: ClassVar = ["position"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["message", "file"], name="attached_once_to_a_message")
        ]
