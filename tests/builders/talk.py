"""Messages about tasks."""

import uuid
from collections.abc import Sequence

from assets import blobs
from marketplace.files.models import File
from marketplace.files.usecases.upload_file import upload_file
from marketplace.participants.models import Participant
from marketplace.tasks.models import Task
from marketplace.threads.models import Message
from marketplace.threads.usecases.send_message import send_message


def say(
    task: Task,
    author: Participant,
    body: str = "Are the prices with tax?",
    *,
    to: str | None = None,
    public: bool = False,
    attachments: Sequence[uuid.UUID] = (),
) -> Message:
    """Let *author* write about a task."""
    return send_message(
        task_id=task.pk, actor=author, body=body, to=to, public=public, attachments=attachments
    )


def a_file(uploader: Participant, content: bytes = b"a;b", name: str = "rows.csv") -> File:
    """Return a file of *uploader*'s."""
    blob = blobs.store(content, limit_bytes=1000)
    return upload_file(actor=uploader, name=name, media_type="text/csv", blob=blob)
