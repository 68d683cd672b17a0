"""Tasks: posting, browsing, claiming, and giving them back."""

from collections.abc import Collection, Mapping
from typing import Any

from django.conf import settings
from django.contrib.postgres.search import SearchQuery, SearchRank
from django.db.models import Func, IntegerField, QuerySet
from drf_spectacular.utils import OpenApiExample, extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from credits import amounts
from marketplace.api.endpoints import (
    EITHER_SIDE,
    Endpoint,
    actor_of,
    created,
    etag,
    read_version_of,
    viewer_of,
)
from marketplace.api.fields import (
    CREDITS_SCHEMA,
    CreditsField,
    IdField,
    ShareField,
    ShortListField,
    StrictSerializer,
    TextField,
    TruthField,
    WholeNumberField,
)
from marketplace.api.files import FileOut
from marketplace.api.idempotency import retryable
from marketplace.api.paging import NEWEST, Key, Page, PageQuery, moment, paginate, whole
from marketplace.api.settlements import SettlementOut, settlement_body
from marketplace.api.standing import PosterRecordOut, poster_records
from marketplace.delegation.inputs import dependencies_of, inputs_of
from marketplace.delivery.verification import checks, runs
from marketplace.foundation import ids
from marketplace.participants.models import Kind, Participant
from marketplace.participants.scopes import Scope
from marketplace.reuse import browsing
from marketplace.tasks import permissions
from marketplace.tasks.division import divide_accepted
from marketplace.tasks.eligibility import Eligibility
from marketplace.tasks.models import Acceptance, Mode, OnDecline, Task
from marketplace.tasks.queries import (
    as_shown,
    ranked_for,
    viewer,
    visible_to,
)
from marketplace.tasks.states import TaskState
from marketplace.tasks.terms import Wanted
from marketplace.tasks.usecases.abandon_task import abandon_task
from marketplace.tasks.usecases.cancel_task import cancel_task
from marketplace.tasks.usecases.claim_task import claim_task
from marketplace.tasks.usecases.decline_task import decline_task
from marketplace.tasks.usecases.edit_task import edit_task
from marketplace.tasks.usecases.heartbeat import heartbeat
from marketplace.tasks.usecases.post_task import post_task
from marketplace.tasks.usecases.raise_task import raise_task

MOST_TAGS = 20
MOST_REQUIREMENTS = 50
RELATED_ASSETS = 5


class CheckIn(serializers.JSONField):
    """A list of checks; `marketplace.delivery.verification.checks` says what is wrong in one."""

    def to_internal_value(self, data: Any) -> list[checks.Check]:  # type: ignore[override]
        given = super().to_internal_value(data)
        if not isinstance(given, list):
            raise serializers.ValidationError("Send a list of checks.", code="invalid")
        return checks.parse(given)


class EditIn(StrictSerializer):
    """What an open task may be changed to; what is absent stays."""

    title = TextField(max_length=200, required=False)
    description = TextField(max_length=50_000, required=False)
    bounty = CreditsField(required=False)
    tags = ShortListField(child=TextField(max_length=50), max_length=MOST_TAGS, required=False)
    deadline = serializers.DateTimeField(required=False)
    requirements = ShortListField(
        child=TextField(max_length=1000), max_length=MOST_REQUIREMENTS, required=False
    )


class EligibilityIn(StrictSerializer):
    """Whom a task is for; what is absent is not asked for."""

    kind = serializers.ChoiceField(choices=Kind.choices, required=False)
    min_standing = CreditsField(
        required=False, positive=False, help_text="The least standing as a worker, in credits."
    )
    capabilities = ShortListField(
        child=TextField(max_length=64), max_length=MOST_TAGS, required=False
    )

    def to_internal_value(self, data: Any) -> Any:
        return Eligibility(**super().to_internal_value(data))


class TaskIn(EditIn):
    """A task to post."""

    title = TextField(max_length=200)
    description = TextField(max_length=50_000)
    bounty = CreditsField(help_text="Goes into escrow at once; at least 0.01.")
    mode = serializers.ChoiceField(choices=Mode.choices, required=False, default=Mode.CLAIM)
    acceptance = serializers.ChoiceField(
        choices=Acceptance.choices, required=False, default=Acceptance.MANUAL
    )
    verification = CheckIn(required=False)
    attachments = ShortListField(
        child=IdField("file"), max_length=settings.BUNDLE_LIMIT_FILES, required=False
    )
    lease_seconds = WholeNumberField(required=False, max_value=2**31 - 1)
    review_window_seconds = WholeNumberField(required=False, max_value=2**31 - 1)
    assignee = TextField(
        max_length=39, required=False, help_text="To whom a direct task is offered: a handle."
    )
    on_decline = serializers.ChoiceField(choices=OnDecline.choices, required=False)
    eligibility = EligibilityIn(required=False)
    runner_up_share = ShareField(
        required=False, source="runner_up_bps", help_text="A contest's part for a second."
    )
    delegation_limit = ShareField(
        required=False,
        source="delegation_bps",
        help_text="What its worker may pay for subtasks out of the escrow.",
    )


class CheckOut(serializers.Serializer[Any]):
    """A check that deliveries will have to pass."""

    name = serializers.CharField()
    type = serializers.CharField()
    required = serializers.BooleanField()  # type: ignore[assignment] # the contract's word
    config = serializers.DictField()


class DisputeTermsOut(serializers.Serializer[Any]):
    """What a dispute about this task costs, and how long its steps last."""

    deposit_bps = serializers.IntegerField()
    deposit_least = CreditsField()
    panel_fee_bps = serializers.IntegerField()
    evidence_seconds = serializers.IntegerField()
    vote_seconds = serializers.IntegerField()
    redraw_seconds = serializers.IntegerField()
    administrator_seconds = serializers.IntegerField()
    appeal_seconds = serializers.IntegerField()


class TermsOut(serializers.Serializer[Any]):
    """The rules of the market as this task keeps them."""

    fee_bps = serializers.IntegerField()
    lease_seconds = serializers.IntegerField()
    review_window_seconds = serializers.IntegerField()
    resubmission_seconds = serializers.IntegerField()
    compensation_bps = serializers.IntegerField()
    reuse_cap_bps = serializers.IntegerField()
    offer_seconds = serializers.IntegerField()
    wages_wait_seconds = serializers.IntegerField()
    dispute = DisputeTermsOut(source="dispute_terms")


class EligibilityOut(serializers.Serializer[Any]):
    """Whom a task is for; null and an empty list ask for nothing."""

    kind = serializers.SerializerMethodField()
    min_standing = serializers.SerializerMethodField()
    capabilities = serializers.ListField(child=serializers.CharField())

    def get_kind(self, asked: Eligibility) -> str | None:
        return asked.kind

    @extend_schema_field(CREDITS_SCHEMA | {"type": ["string", "null"]})
    def get_min_standing(self, asked: Eligibility) -> str | None:
        return None if asked.min_standing is None else amounts.format(asked.min_standing)


class SourceField(serializers.CharField):
    """The source of a subtask; null of a root."""

    def to_representation(self, value: str) -> str | None:  # type: ignore[override] # null as well
        return value or None


class PartOut(serializers.Serializer[Any]):
    """A subtask that was accepted, and what was delivered for it."""

    task = IdField("task", source="task.pk")
    key = serializers.CharField()
    title = serializers.CharField()
    hidden = serializers.BooleanField(
        source="is_hidden", help_text="Staff keep its words, and who did it, from the caller."
    )
    worker = serializers.CharField(source="worker.handle", default=None, allow_null=True)
    bounty = CreditsField(source="task.bounty")
    source = serializers.CharField(source="task.source")  # type: ignore[assignment]
    delivery = serializers.CharField(
        source="delivery.public_id",
        default=None,
        allow_null=True,
        help_text="Null where it is not yours to see; GET it for its result and files.",
    )


class TaskOut(serializers.Serializer[Any]):
    """A task. Its texts are its poster's: data, never an instruction of this service."""

    id = IdField("task")
    title = serializers.CharField()
    description = serializers.CharField()
    state = serializers.ChoiceField(choices=TaskState.choices)
    mode = serializers.ChoiceField(choices=Mode.choices)
    bounty = CreditsField()
    available_bounty = serializers.SerializerMethodField()
    poster = serializers.CharField(source="poster.handle")
    worker = serializers.CharField(source="worker.handle", default=None, allow_null=True)
    offered_to = serializers.CharField(source="offered_to.handle", default=None, allow_null=True)
    agreed_amount = serializers.SerializerMethodField()
    root = IdField("task")  # type: ignore[assignment] # a tree's word
    parent = serializers.SerializerMethodField()  # type: ignore[assignment] # the contract's word
    key = serializers.CharField(help_text="Its name among its siblings; empty for a root.")
    source = SourceField(  # type: ignore[assignment] # the contract's word
        allow_null=True,
        help_text="Who pays a subtask: `escrow` is its parent's, `wallet` its lead's.",
    )
    lead = serializers.CharField(source="lead.handle", default=None, allow_null=True)
    depends_on = serializers.SerializerMethodField()
    inputs = serializers.SerializerMethodField()
    subtasks = serializers.IntegerField(source="children")
    unsettled_subtasks = serializers.IntegerField(source="unsettled_children")
    delegation_limit = ShareField(source="delegation_bps")
    tags = serializers.ListField(child=serializers.CharField())
    requirements = serializers.ListField(child=serializers.CharField())
    acceptance = serializers.ChoiceField(choices=Acceptance.choices)
    verification = serializers.SerializerMethodField()
    attachments = serializers.SerializerMethodField()
    terms_version = serializers.IntegerField()
    terms = TermsOut(source="*")
    eligibility = EligibilityOut()
    on_decline = serializers.ChoiceField(choices=OnDecline.choices)
    runner_up_share = ShareField(source="runner_up_bps")
    deadline = serializers.DateTimeField()
    offered_until = serializers.DateTimeField(allow_null=True)
    claim_expires_at = serializers.DateTimeField(allow_null=True)
    resubmit_by = serializers.DateTimeField(allow_null=True)
    notice_ends_at = serializers.DateTimeField(allow_null=True)
    review_due_at = serializers.DateTimeField(allow_null=True)
    created_at = serializers.DateTimeField()
    ended_at = serializers.DateTimeField(allow_null=True)
    closing_as = serializers.CharField(help_text="What a closing task ends as.")
    stands_since = serializers.DateTimeField(
        allow_null=True, help_text="Its limits stand still: a dispute runs below it."
    )
    wages_wait_until = serializers.DateTimeField(
        allow_null=True, help_text="When what a subtask earned is paid at the latest."
    )
    poster_record = serializers.SerializerMethodField()
    permitted_actions = serializers.SerializerMethodField()

    def get_available_bounty(self, task: Task) -> str:
        """Return what its escrow holds: the bounty, less what subtasks have of it."""
        return "0" if task.is_ended else amounts.format(task.held)

    @extend_schema_field(CREDITS_SCHEMA | {"type": ["string", "null"]})
    def get_agreed_amount(self, task: Task) -> str | None:
        """Return the amount of the bid that the task is held or offered on, to its two sides."""
        looking = self.context["viewer"].participant
        is_side = looking is not None and (looking.is_staff or looking.pk in task.parties)
        return amounts.format(task.price) if is_side and task.price is not None else None

    def get_parent(self, task: Task) -> str | None:
        return None if task.parent_id is None else ids.encode("task", task.parent_id)

    def get_depends_on(self, task: Task) -> list[str]:
        waited = self.context["dependencies"].get(task.pk, ())
        return [ids.encode("task", one) for one in waited]

    @extend_schema_field(PartOut(many=True))
    def get_inputs(self, task: Task) -> Any:
        """Return the accepted deliveries that it builds on; a page of tasks leaves them out."""
        if self.context.get("brief"):
            return []
        return PartOut(inputs_of(task, self.context["viewer"].participant), many=True).data

    @extend_schema_field(CheckOut(many=True))
    def get_verification(self, task: Task) -> Any:
        if self.context.get("brief"):  # a page of tasks names the checks; the task shows them
            return [{**check, "config": {}} for check in task.verification]
        asking = self.context["viewer"].id
        if task.is_ended or asking == task.poster_id:
            return task.verification
        return checks.without_answers(task.verification)

    @extend_schema_field(FileOut(many=True))
    def get_attachments(self, task: Task) -> Any:
        files = [attached.file for attached in task.attached.all()]
        return FileOut(files, many=True).data

    @extend_schema_field(PosterRecordOut)
    def get_poster_record(self, task: Task) -> Any:
        return self.context["records"][task.poster_operator_id]

    def get_permitted_actions(self, task: Task) -> list[str]:
        return permissions.permitted_actions(task, self.context["viewer"])


def context_of(tasks: Collection[Task], looking: permissions.Viewer) -> dict[str, Any]:
    """Return what `TaskOut` needs to show *tasks* to somebody.

    Queries: one, and one more where subtasks are among them.
    """
    operators = {task.poster_operator_id for task in tasks}
    return {
        "viewer": looking,
        "records": poster_records(operators, at=looking.at),
        "dependencies": dependencies_of(tasks),
    }


class RelatedAssetOut(serializers.Serializer[Any]):
    """An asset that may help."""

    asset = serializers.CharField()
    kind = serializers.CharField()
    description = serializers.CharField()


class ClaimedOut(TaskOut):
    """A task that one has just claimed."""

    related_assets = RelatedAssetOut(many=True)


class TaskPageOut(serializers.Serializer[Any]):
    """A page of tasks."""

    results = TaskOut(many=True)
    next_cursor = serializers.CharField(allow_null=True)


class PostingOut(serializers.Serializer[Any]):
    """What posting would do (`?dry_run=true`)."""

    dry_run = serializers.BooleanField()
    task = TaskOut()
    escrow = CreditsField()
    settlement = SettlementOut()


ORDERINGS: dict[str, tuple[Key, ...]] = {
    "-created_at": NEWEST,
    "created_at": (Key("id", NEWEST[0].read, descending=False),),
    "-bounty": (Key("bounty", whole), *NEWEST),
    "bounty": (Key("bounty", whole, descending=False), *NEWEST),
    "deadline": (Key("deadline", moment, descending=False), *NEWEST),
    "-deadline": (Key("deadline", moment), *NEWEST),
}
BEST = (Key("rank", whole), *NEWEST)
RANK_UNIT = 1_000_000  # ts_rank() is below 1; as millionths a cursor carries it exactly


class TaskQuery(PageQuery):
    """Which tasks to list."""

    state = serializers.ChoiceField(choices=TaskState.choices, required=False)
    tag = serializers.CharField(required=False, max_length=50)
    mode = serializers.ChoiceField(choices=Mode.choices, required=False)
    kind = serializers.ChoiceField(
        choices=Kind.choices, required=False, help_text="what the poster is"
    )
    q = serializers.CharField(required=False, max_length=200)
    min_bounty = CreditsField(required=False, positive=False)
    poster = serializers.CharField(required=False, max_length=39)
    worker = serializers.CharField(required=False, max_length=39)
    parent = IdField("task", required=False)  # type: ignore[assignment] # the contract's word
    ordering = serializers.ChoiceField(choices=sorted(ORDERINGS), required=False)

    def get_fields(self) -> dict[str, serializers.Field[Any, Any, Any, Any]]:
        fields = super().get_fields()
        # `for` is a word of Python's.
        fields["for"] = serializers.ChoiceField(
            choices=["me"],
            required=False,
            help_text="open tasks that the caller may take now, those that fit best first",
        )
        return fields


def _filtered(query: Mapping[str, Any], tasks: QuerySet[Task]) -> QuerySet[Task]:
    columns = {
        "state": "state",
        "mode": "mode",
        "kind": "poster__kind",
        "min_bounty": "bounty__gte",
        "poster": "poster__handle",
        "worker": "worker__handle",
    }
    tasks = tasks.filter(**{columns[name]: query[name] for name in columns if name in query})
    if "tag" in query:
        tasks = tasks.filter(tags__contains=[query["tag"]])
    if "parent" in query:
        tasks = tasks.filter(parent=query["parent"])
    return tasks


def _searched(tasks: QuerySet[Task], words: str) -> QuerySet[Task]:
    found = SearchQuery(words, search_type="websearch", config="simple")
    rank = Func(
        SearchRank("search", found),
        template=f"round(%(expressions)s * {RANK_UNIT})::int",
        output_field=IntegerField(),
    )
    return tasks.filter(search=found).annotate(rank=rank)


def browse(query: Mapping[str, Any], asking: Participant | None) -> Page[Task]:
    """Return a page of tasks, loaded as they are shown.

    Args:
        query: Validated `TaskQuery`; who asks `for` themselves has a name.
        asking: Who looks.
    """
    tasks = _filtered(query, visible_to(asking))
    if "for" in query and asking is not None:
        tasks = ranked_for(asking, tasks)
    if "q" in query:  # what fits the words comes before what fits the caller
        tasks = _searched(tasks, query["q"])
    is_ranked = "ordering" not in query and ("q" in query or "for" in query)
    keys = BEST if is_ranked else ORDERINGS.get(query.get("ordering", ""), NEWEST)
    return paginate(as_shown(tasks.defer("search")), query, keys)


def with_checks(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return a validated `TaskIn` with its checks as tasks store them.

    Slow where the checks are to settle by themselves, for they are run on an empty delivery then:
    call it before a transaction.

    Raises:
        ValidationError: They are to settle, and none fails an empty delivery (rules 12 and 18).
    """
    parsed: list[checks.Check] = given.get("verification", [])
    require_deciding(parsed, acceptance=given["acceptance"], mode=given["mode"])
    return {**given, "verification": [check.as_json() for check in parsed]}


def require_deciding(parsed: list[checks.Check], *, acceptance: str, mode: str) -> None:
    """Check that checks can settle a task, where they are to; slow, as `with_checks` says.

    Raises:
        ValidationError: They cannot.
    """
    has_to_settle = {
        "acceptance": acceptance == Acceptance.AUTOMATIC,
        "verification": mode == Mode.CONTEST,
    }
    asking = next((field for field, asks in has_to_settle.items() if asks), None)
    if asking is not None and not runs.can_decide(parsed):
        said = "A contest" if asking == "verification" else "Automatic acceptance"
        raise serializers.ValidationError(
            {asking: [f"{said} needs a required check that fails an empty delivery."]},
            code="checks_cannot_decide",
        )


class Tasks(Endpoint):
    """`/tasks`."""

    scopes = {"GET": None, "POST": Scope.TASKS_WRITE}
    queries = {"GET": TaskQuery}
    takes_dry_run = True
    given: dict[str, Any]

    @extend_schema(responses=TaskPageOut)
    def get(self, request: Request) -> Response:
        """Browse and search tasks."""
        asking = viewer_of(request) if "for" not in self.query else actor_of(request)
        page = browse(self.query, asking)
        context = context_of(page.rows, viewer(asking)) | {"brief": True}
        results = TaskOut(page.rows, many=True, context=context).data
        return Response({"results": results, "next_cursor": page.next_cursor})

    def prepare(self, request: Request, **kwargs: Any) -> None:
        self.given = with_checks(self.read_body(request, TaskIn))

    @extend_schema(
        request=TaskIn,
        responses={201: TaskOut, 200: PostingOut},
        examples=[
            OpenApiExample(
                "a price list",
                value={
                    "title": "Normalise this price list",
                    "description": "One row per product, prices in euro.",
                    "bounty": "5",
                    "tags": ["csv"],
                    "verification": [
                        {
                            "name": "totals",
                            "type": "exact",
                            "config": {"pointer": "/totals", "expected": {"rows": 300}},
                        }
                    ],
                },
                request_only=True,
            )
        ],
    )
    @retryable
    def post(self, request: Request) -> Response:
        """Post a task; its bounty is in escrow when this answers."""
        actor = actor_of(request)
        task = post_task(actor=actor, wanted=Wanted(**self.given))
        body = shown(task, request)
        if self.is_dry_run:
            projected = divide_accepted(task.bounty, royalties=0, fee_bps=task.fee_bps)
            worker = [{"participant": None, "amount": amounts.format(projected.wages)}]
            return Response(
                {
                    "dry_run": True,
                    "task": body,
                    "escrow": amounts.format(task.bounty),
                    "settlement": settlement_body(
                        task.bounty, fee=projected.fee, workers=worker, final=False
                    ),
                }
            )
        return _tagged(created(body, location=f"/api/v1/tasks/{task.public_id}"), task)


def shown(task: Task, request: Request) -> dict[str, Any]:
    """Return a task as the caller sees it now."""
    loaded = as_shown(Task.objects.filter(pk=task.pk).defer("search")).get()
    return dict(TaskOut(loaded, context=context_of([loaded], viewer(viewer_of(request)))).data)


def _tagged(response: Response, task: Task) -> Response:
    response["ETag"] = etag(task.terms_version)
    return response


class OneTask(Endpoint):
    """`/tasks/{id}`."""

    scopes = {"GET": None, "PATCH": Scope.TASKS_WRITE}

    @extend_schema(responses=TaskOut)
    def get(self, request: Request, task_id: str) -> Response:
        """Return a task, with the ETag of its terms."""
        asking = viewer_of(request)
        tasks = as_shown(visible_to(asking).defer("search"))
        task = tasks.get(pk=ids.decode("task", task_id))
        context = context_of([task], viewer(asking))
        return _tagged(Response(TaskOut(task, context=context).data), task)

    @extend_schema(request=EditIn, responses=TaskOut)
    def patch(self, request: Request, task_id: str) -> Response:
        """Edit a task that nobody has claimed."""
        key = ids.decode("task", task_id)
        matches = read_version_of(request)
        changes = self.read_body(request, EditIn)
        task = edit_task(
            task_id=key, actor=actor_of(request), changes=changes, read_version=matches
        )
        return _tagged(Response(shown(task, request)), task)


class ClaimIn(StrictSerializer):
    """Claiming, or taking what one was offered."""

    note = TextField(max_length=1000, required=False, allow_blank=True)
    terms_version = WholeNumberField(required=False, min_value=1, max_value=2**31 - 1)


class ClaimTask(Endpoint):
    """`/tasks/{id}/claim`."""

    scopes = {"POST": Scope.WORK_WRITE}

    related: list[dict[str, str]]

    def prepare(self, request: Request, **kwargs: Any) -> None:
        """Search before the transaction: nothing slow happens under the task's lock."""
        task = (
            visible_to(actor_of(request)).filter(pk=ids.decode("task", kwargs["task_id"])).first()
        )
        self.related = related_assets(task) if task is not None else []

    @extend_schema(request=ClaimIn, responses=ClaimedOut)
    @retryable
    def post(self, request: Request, task_id: str) -> Response:
        """Claim an open task, or one that one was offered; exactly one claimant wins."""
        given = self.read_body(request, ClaimIn)
        task = claim_task(task_id=ids.decode("task", task_id), actor=actor_of(request), **given)
        return Response(shown(task, request) | {"related_assets": self.related})


def related_assets(task: Task) -> list[dict[str, str]]:
    """Return assets that may help with a task, best first."""
    found = browsing.search(q=" ".join([task.title, *task.tags]))[:RELATED_ASSETS]
    return [
        {
            "asset": f"{asset.owner.handle}/{asset.name}",
            "kind": asset.kind,
            "description": asset.description,
        }
        for asset in found
    ]


class NothingIn(StrictSerializer):
    """A call without a body."""


class Heartbeat(Endpoint):
    """`/tasks/{id}/heartbeat`."""

    scopes = {"POST": Scope.WORK_WRITE}

    @extend_schema(request=None, responses=TaskOut)
    @retryable
    def post(self, request: Request, task_id: str) -> Response:
        """Renew the lease of a task that one works on."""
        self.read_body(request, NothingIn)
        task = heartbeat(task_id=ids.decode("task", task_id), actor=actor_of(request))
        return Response(shown(task, request))


class AbandonIn(StrictSerializer):
    """Giving a task back."""

    reason = TextField(max_length=1000, required=False, allow_blank=True)


class AbandonTask(Endpoint):
    """`/tasks/{id}/abandon`."""

    scopes = {"POST": Scope.WORK_WRITE}

    @extend_schema(request=AbandonIn, responses=TaskOut)
    @retryable
    def post(self, request: Request, task_id: str) -> Response:
        """Give a task back."""
        given = self.read_body(request, AbandonIn)
        task = abandon_task(task_id=ids.decode("task", task_id), actor=actor_of(request), **given)
        return Response(shown(task, request))


class CancelIn(StrictSerializer):
    """Cancelling."""

    at_once = TruthField(required=False, default=False)


class CancelTask(Endpoint):
    """`/tasks/{id}/cancel`."""

    scopes = {"POST": Scope.TASKS_WRITE}

    @extend_schema(request=CancelIn, responses=TaskOut)
    @retryable
    def post(self, request: Request, task_id: str) -> Response:
        """Cancel one's task: refund while open; notice, or compensation, while held."""
        given = self.read_body(request, CancelIn)
        task = cancel_task(task_id=ids.decode("task", task_id), actor=actor_of(request), **given)
        return Response(shown(task, request))


class RaiseIn(StrictSerializer):
    """What rises: the bounty, the deadline, or both."""

    bounty = CreditsField(required=False)
    deadline = serializers.DateTimeField(required=False)


class RaiseTask(Endpoint):
    """`/tasks/{id}/raise`."""

    scopes = {"POST": Scope.TASKS_WRITE}

    @extend_schema(request=RaiseIn, responses=TaskOut)
    @retryable
    def post(self, request: Request, task_id: str) -> Response:
        """Raise the bounty or the deadline of one's task, also while somebody works on it."""
        given = self.read_body(request, RaiseIn)
        task = raise_task(task_id=ids.decode("task", task_id), actor=actor_of(request), **given)
        return _tagged(Response(shown(task, request)), task)


class DeclineTask(Endpoint):
    """`/tasks/{id}/decline`."""

    scopes = {"POST": EITHER_SIDE}

    @extend_schema(request=AbandonIn, responses=TaskOut)
    @retryable
    def post(self, request: Request, task_id: str) -> Response:
        """Decline a task that one was offered."""
        given = self.read_body(request, AbandonIn)
        task = decline_task(task_id=ids.decode("task", task_id), actor=actor_of(request), **given)
        return Response(shown(task, request))
