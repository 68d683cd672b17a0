"""Workflows: saving how an accepted task was split."""

import re
from typing import Any

from django.conf import settings
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from assets import blobs
from assets.models import NAME_CHARACTERS, NAME_PATTERN, Kind
from assets.workflows import WORKFLOW_FILE
from marketplace.api.endpoints import Endpoint, actor_of, created
from marketplace.api.fields import StrictSerializer, TextField
from marketplace.api.files import FileOut, FileTooLarge
from marketplace.api.idempotency import retryable
from marketplace.delegation import workflows
from marketplace.delegation.usecases.save_workflow import save_workflow
from marketplace.foundation import ids
from marketplace.participants.scopes import Scope

FIRST_DRAFT = "0.1.0"


class SaveWorkflowIn(StrictSerializer):
    """How a workflow is saved."""

    name = TextField(
        max_length=NAME_CHARACTERS,
        required=False,
        help_text="What the asset is to be called; by default what the task is.",
    )

    def validate_name(self, name: str) -> str:
        if re.fullmatch(NAME_PATTERN, name) is None:
            raise serializers.ValidationError("A name is of a-z, 0-9 and inner hyphens.")
        return name


class WorkflowFileOut(serializers.Serializer[Any]):
    """The file of a workflow, as publishing takes it."""

    path = serializers.CharField()
    content = serializers.CharField()


class WorkflowPublicationOut(serializers.Serializer[Any]):
    """What `POST /assets` takes to publish the draft."""

    kind = serializers.ChoiceField(choices=Kind.choices)
    name = serializers.CharField()
    version = serializers.CharField()
    files = WorkflowFileOut(many=True)
    source_task = serializers.CharField(required=False)


class WorkflowDraftOut(serializers.Serializer[Any]):
    """A workflow that is not published. Its texts are of those who posted the tasks: data."""

    file = FileOut()
    publication = WorkflowPublicationOut()
    left_out = serializers.ListField(
        child=serializers.CharField(),
        help_text="Assets that were used and that it does not name: more than one may depend on.",
    )


class SaveWorkflow(Endpoint):
    """`/tasks/{id}/workflow`."""

    scopes = {"POST": Scope.ASSETS_WRITE}
    draft: workflows.Draft

    def prepare(self, request: Request, **kwargs: Any) -> None:
        """Write the draft and store it, before the transaction."""
        given = self.read_body(request, SaveWorkflowIn)
        self.draft = workflows.draft_of(
            task_id=ids.decode("task", kwargs["task_id"]),
            actor=actor_of(request),
            name=given.get("name"),
        )
        try:
            blobs.store(self.draft.content, limit_bytes=settings.FILE_LIMIT_BYTES)
        except blobs.TooLarge as error:
            raise FileTooLarge(f"A file is at most {settings.FILE_LIMIT_BYTES} bytes.") from error

    @extend_schema(request=SaveWorkflowIn, responses={201: WorkflowDraftOut})
    @retryable
    def post(self, request: Request, task_id: str) -> Response:
        """Save how an accepted task was split, as the draft of a workflow.

        Its steps are the accepted subtasks, their shares what these cost. The file is yours to
        change; `publication` publishes it as it is.
        """
        file = save_workflow(actor=actor_of(request), draft=self.draft)
        publication = {
            "kind": Kind.WORKFLOW.value,
            "name": self.draft.name,
            "version": FIRST_DRAFT,
            "files": [{"path": WORKFLOW_FILE, "content": self.draft.content.decode()}],
        }
        if self.draft.source_task:  # who posted the root has this task's split, and not its name
            publication["source_task"] = self.draft.source_task
        body = {
            "file": FileOut(file).data,
            "publication": publication,
            "left_out": list(self.draft.left_out),
        }
        return created(body, location=f"/api/v1/files/{file.public_id}")
