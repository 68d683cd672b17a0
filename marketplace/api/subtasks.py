"""Splitting a task: a whole plan at once, or a workflow that becomes one."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from django.conf import settings
from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from marketplace.api.deliveries import REFERENCE
from marketplace.api.endpoints import Endpoint, actor_of, created
from marketplace.api.fields import CreditsField, ShortListField, StrictSerializer, TextField
from marketplace.api.idempotency import retryable
from marketplace.api.tasks import TaskIn, TaskOut, context_of, require_deciding, with_checks
from marketplace.delegation.plans import Entry
from marketplace.delegation.usecases.plan_subtasks import plan_subtasks, require_lead
from marketplace.delegation.workflows import entries_of, read_workflow
from marketplace.delivery.verification import checks
from marketplace.delivery.verification.checks import InvalidCheck
from marketplace.foundation import ids
from marketplace.participants.models import Participant
from marketplace.participants.scopes import Scope
from marketplace.tasks.models import TEXTS, Source, Task
from marketplace.tasks.queries import as_shown, viewer
from marketplace.tasks.states import IllegalTransition, NotPermitted
from marketplace.tasks.terms import InvalidTerms, Wanted

MOST_DEPENDENCIES = 50


class SubtaskIn(TaskIn):
    """One subtask of a plan: a task, and its place in it."""

    key = TextField(max_length=64, help_text="Its name among its siblings.")
    depends_on = ShortListField(
        child=TextField(max_length=64),
        max_length=MOST_DEPENDENCIES,
        required=False,
        help_text="What it waits for: keys of this plan or of earlier siblings, or their ids.",
    )
    source = serializers.ChoiceField(  # type: ignore[assignment] # the contract's word
        choices=Source.choices,
        required=False,
        default=Source.ESCROW,
        help_text="Who pays: the task's escrow within its delegation_limit, or your wallet.",
    )


class EntriesField(ShortListField):
    """The entries of a plan; what is wrong with a check says of which entry it is."""

    def run_child_validation(self, data: Any) -> Any:
        found = []
        problems = {}
        for place, item in enumerate(data):
            try:
                found.append(self.child.run_validation(item))
            except InvalidCheck as error:
                raise InvalidTerms(
                    field=f"subtasks/{place}/verification{error.pointer}",
                    code=error.code,
                    detail=str(error),
                ) from error
            except serializers.ValidationError as error:
                problems[place] = error.detail
        if problems:
            raise serializers.ValidationError(problems)  # type: ignore[arg-type] # as DRF's own
        return found


class PlanIn(StrictSerializer):
    """A plan: its entries, or a published workflow and what it may cost."""

    subtasks = EntriesField(child=SubtaskIn(), max_length=settings.MOST_SUBTASKS, required=False)
    workflow = serializers.RegexField(
        REFERENCE, max_length=160, required=False, help_text="owner/name@1.0.0"
    )
    budget = CreditsField(required=False, help_text="What the steps of the workflow share.")
    source = serializers.ChoiceField(  # type: ignore[assignment] # the contract's word
        choices=Source.choices, required=False, help_text="Who pays the steps of the workflow."
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if ("subtasks" in attrs) == ("workflow" in attrs):
            raise serializers.ValidationError(
                {"subtasks": ["Send either subtasks, or a workflow and a budget."]},
                code="required",
            )
        for field in ("budget", "source"):
            if field in attrs and "workflow" not in attrs:
                raise serializers.ValidationError(
                    {field: ["It belongs to a workflow; each subtask has its own."]},
                    code="without_workflow",
                )
        if "workflow" in attrs and "budget" not in attrs:
            raise serializers.ValidationError(
                {"budget": ["Say what the workflow may cost."]}, code="required"
            )
        return attrs


class PlanOut(serializers.Serializer[Any]):
    """The subtasks that were created, in the order of the plan."""

    subtasks = TaskOut(many=True)
    available_bounty = CreditsField(help_text="What is left in the escrow of the task.")


def entry_of(given: Mapping[str, Any]) -> Entry:
    """Return one validated `SubtaskIn` as a plan has it; its checks as tasks store them."""
    own = {name: given[name] for name in ("key", "depends_on", "source") if name in given}
    wanted = {name: value for name, value in given.items() if name not in own}
    return Entry(**own, wanted=Wanted(**wanted))


def read_entries(given: Sequence[Mapping[str, Any]]) -> list[Entry]:
    """Return the validated subtasks of a `PlanIn` as a plan has them.

    Slow where checks are to settle by themselves: call it before a transaction.

    Raises:
        ValidationError: They are to settle, and none fails an empty delivery; see `with_checks`.
    """
    entries = []
    for place, subtask in enumerate(given):
        try:
            entries.append(entry_of(with_checks(subtask)))
        except serializers.ValidationError as error:
            raise serializers.ValidationError({"subtasks": {str(place): error.detail}}) from error
    return entries


def read_steps(actor: Participant, workflow: str, *, budget: int, source: Source) -> list[Entry]:
    """Return the steps of a published workflow as the entries of a plan.

    Slow, as `read_entries` is.

    Args:
        actor: Who plans.
        workflow: `owner/name@1.0.0`.
        budget: What the steps share, in micro-credits.
        source: Who pays them.

    Raises:
        NotAWorkflow, UnknownAsset, UnknownVersion, FilesNotUsed: See `read_workflow`.
        InvalidTerms, InvalidWorkflow: See `entries_of`.
        ValidationError: Checks of a step are to settle, and none fails an empty delivery.
    """
    entries = entries_of(read_workflow(actor, workflow), budget=budget)
    for entry in entries:
        wanted = entry.wanted
        parsed = checks.parse(list(wanted.verification))
        try:
            require_deciding(parsed, acceptance=wanted.acceptance, mode=wanted.mode)
        except serializers.ValidationError as error:
            said = f"The checks of its step {entry.key} cannot settle it."
            raise serializers.ValidationError(
                {"workflow": [said]}, code="checks_cannot_decide"
            ) from error
    return [replace(entry, source=source) for entry in entries]


class Subtasks(Endpoint):
    """`/tasks/{id}/subtasks`."""

    scopes = {"POST": Scope.WORK_WRITE}
    entries: list[Entry]
    refused: Exception | None = None

    def prepare(self, request: Request, **kwargs: Any) -> None:
        """Read the plan before the transaction: checks that are to settle are run once.

        Not for somebody who may not split the task; they are told in the transaction, for a plan
        that was carried out is answered as before, whatever the task has become.
        """
        tasks = Task.objects.defer(*TEXTS)
        try:
            require_lead(tasks.get(pk=ids.decode("task", kwargs["task_id"])), actor_of(request))
        except (Task.DoesNotExist, NotPermitted, IllegalTransition) as error:
            self.refused = error
            return
        given = self.read_body(request, PlanIn)
        if "workflow" in given:
            self.entries = read_steps(
                actor_of(request),
                given["workflow"],
                budget=given["budget"],
                source=given.get("source", Source.ESCROW),
            )
        else:
            self.entries = read_entries(given["subtasks"])

    @extend_schema(
        request=PlanIn,
        responses={201: PlanOut},
        examples=[
            OpenApiExample(
                "two parts, one after the other",
                value={
                    "subtasks": [
                        {
                            "key": "collect",
                            "title": "Collect the price lists",
                            "description": "One file for each supplier.",
                            "bounty": "2",
                        },
                        {
                            "key": "merge",
                            "title": "Merge them",
                            "description": "One table, prices in euro.",
                            "bounty": "3",
                            "depends_on": ["collect"],
                        },
                    ]
                },
                request_only=True,
            )
        ],
    )
    @retryable
    def post(self, request: Request, task_id: str) -> Response:
        """Split a task that one works on: all subtasks are created and funded, or none."""
        if self.refused is not None:
            raise self.refused
        actor = actor_of(request)
        key = ids.decode("task", task_id)
        new = plan_subtasks(task_id=key, actor=actor, entries=self.entries)
        made = Task.objects.filter(pk__in=[task.pk for task in new]).defer("search")
        place = {task.pk: place for place, task in enumerate(new)}
        loaded = sorted(as_shown(made), key=lambda task: place[task.pk])
        parent = Task.objects.get(pk=key)
        body = PlanOut(
            {"subtasks": loaded, "available_bounty": parent.held},
            context=context_of(loaded, viewer(actor)) | {"brief": True},
        ).data
        return created(body, location=f"/api/v1/tasks/{task_id}/tree")
