"""Somebody keeps how an accepted task was split, to publish it."""

from django.conf import settings

from assets import blobs
from assets.workflows import WORKFLOW_FILE
from marketplace.delegation.workflows import Draft
from marketplace.files.models import File
from marketplace.files.usecases.upload_file import upload_file
from marketplace.foundation.transactions import use_case
from marketplace.participants.models import Participant


@use_case
def save_workflow(*, actor: Participant, draft: Draft) -> File:
    """Keep the draft of a workflow as a file of the actor's. Nothing is published.

    Args:
        actor: Whose file it becomes.
        draft: From `workflows.draft_of`, which has asked whether the actor may have it. An accepted
            task does not change any more, so that is asked, and the draft best stored, before the
            transaction.
    """
    blob = blobs.store(draft.content, limit_bytes=settings.FILE_LIMIT_BYTES)
    return upload_file(actor=actor, name=WORKFLOW_FILE, media_type="application/json", blob=blob)
