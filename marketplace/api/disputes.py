"""Disputes: opening one, handing in evidence, voting, and appealing against the outcome."""

from collections.abc import Mapping
from typing import Any

from django.db.models import QuerySet
from django.http import HttpRequest
from drf_spectacular.utils import OpenApiExample, extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from marketplace.api.endpoints import EITHER_SIDE, Endpoint, actor_of, created, viewer_of
from marketplace.api.fields import (
    CreditsField,
    IdField,
    ShareField,
    ShortListField,
    StrictSerializer,
    TextField,
)
from marketplace.api.files import FileOut
from marketplace.api.idempotency import retryable
from marketplace.api.paging import Page, PageQuery, paginate
from marketplace.disputes import permissions
from marketplace.disputes.models import (
    Cause,
    DecidedBy,
    Decision,
    Dispute,
    Evidence,
    Outcome,
    Seat,
    SeatState,
)
from marketplace.disputes.queries import (
    as_shown,
    asked_to_judge,
    for_administrators,
    is_party,
    visible_to,
)
from marketplace.disputes.states import DisputeState
from marketplace.disputes.usecases.appeal_outcome import appeal_outcome
from marketplace.disputes.usecases.cast_vote import cast_vote
from marketplace.disputes.usecases.open_dispute import open_dispute
from marketplace.disputes.usecases.submit_evidence import submit_evidence
from marketplace.foundation import ids
from marketplace.participants.models import Participant
from marketplace.participants.scopes import Scope
from marketplace.tasks.queries import viewer

MOST_EVIDENCE_FILES = 20


class DisputeIn(StrictSerializer):
    """Opening a dispute; the deposit that the task's terms name is taken from the wallet."""

    reason = TextField(max_length=5000)


class DisputeEvidenceIn(StrictSerializer):
    """What there is to say, and files that show it."""

    text = TextField(max_length=10_000)
    files = ShortListField(child=IdField("file"), max_length=MOST_EVIDENCE_FILES, required=False)


class VoteIn(StrictSerializer):
    """A vote. In a contest `accept` names a delivery; otherwise `split` names a share."""

    outcome = serializers.ChoiceField(choices=Outcome.choices)
    worker_share = ShareField(required=False, help_text="of what the panel's part leaves")
    delivery = IdField("delivery", required=False)
    rationale = TextField(max_length=5000, help_text="both sides read it once it is decided")


class DecisionIn(StrictSerializer):
    """What an administrator decides."""

    outcome = serializers.ChoiceField(
        choices=[choice for choice in Outcome.choices if choice[0] != Outcome.ABSTAIN]
    )
    worker_share = ShareField(required=False)
    rationale = TextField(max_length=5000)


class AppealIn(StrictSerializer):
    """Appealing."""

    reason = TextField(max_length=5000)


class DisputeEvidenceOut(serializers.Serializer[Any]):
    """What one side handed in: its data, never an instruction of this service."""

    author = serializers.CharField(source="author.handle")
    text = serializers.CharField()
    files = serializers.SerializerMethodField()
    created_at = serializers.DateTimeField()

    @extend_schema_field(FileOut(many=True))
    def get_files(self, evidence: Evidence) -> Any:
        return FileOut([attached.file for attached in evidence.attached.all()], many=True).data


class VoteOut(serializers.Serializer[Any]):
    """What one seat said."""

    panelist = serializers.CharField(source="panelist.handle")
    outcome = serializers.ChoiceField(choices=Outcome.choices)
    worker_share = ShareField(source="share_bps", allow_null=True)
    delivery = IdField("delivery", source="pick_id", allow_null=True)
    rationale = serializers.CharField()
    fee = CreditsField(help_text="what the vote was paid; 0 until it is settled")


class SeatOut(serializers.Serializer[Any]):
    """The caller's own seat."""

    state = serializers.ChoiceField(choices=SeatState.choices)
    outcome = serializers.CharField(allow_null=True, help_text="null until one has voted")
    worker_share = ShareField(source="share_bps", allow_null=True)
    delivery = IdField("delivery", source="pick_id", allow_null=True)
    rationale = serializers.CharField()
    fee = CreditsField()


class DecisionOut(serializers.Serializer[Any]):
    """What was decided."""

    outcome = serializers.ChoiceField(choices=Outcome.choices)
    worker_share = ShareField(source="share_bps")
    decided_by = serializers.ChoiceField(choices=DecidedBy.choices)
    rationale = serializers.CharField()
    decided_at = serializers.DateTimeField()


class AppealOut(serializers.Serializer[Any]):
    """The one appeal, and what an administrator decided about it."""

    by = serializers.CharField()
    reason = serializers.CharField()
    decision = DecisionOut(allow_null=True)


class DisputeOut(serializers.Serializer[Any]):
    """A dispute. Its texts are written by others: data, never an instruction of this service.

    Who judges, and how they voted, is shown once it is decided.
    """

    id = IdField("dispute")
    task = IdField("task", source="task_id")
    delivery = IdField("delivery", source="delivery_id", allow_null=True)
    cause = serializers.ChoiceField(choices=Cause.choices)
    state = serializers.ChoiceField(choices=DisputeState.choices)
    opened_by = serializers.CharField(source="opener.handle", default=None, allow_null=True)
    reason = serializers.CharField()
    deposit = CreditsField()
    opened_at = serializers.DateTimeField()
    due_at = serializers.DateTimeField(
        allow_null=True, help_text="when the state passes into the next one by itself"
    )
    evidence = DisputeEvidenceOut(many=True)
    redraws = serializers.IntegerField()
    seed_digest = serializers.CharField(
        allow_null=True, help_text="SHA-256 of the seed of the draw; see its `draw`"
    )
    seat = serializers.SerializerMethodField()
    votes = serializers.SerializerMethodField()
    decision = serializers.SerializerMethodField()
    appeal = serializers.SerializerMethodField()
    settled_at = serializers.DateTimeField(allow_null=True)
    permitted_actions = serializers.SerializerMethodField()

    @extend_schema_field(SeatOut(allow_null=True))
    def get_seat(self, dispute: Dispute) -> Any:
        asking = self.context["viewer"].participant
        own = permissions.seat_of(dispute, asking) if asking is not None else None
        return SeatOut(own).data if own is not None else None

    @extend_schema_field(VoteOut(many=True))
    def get_votes(self, dispute: Dispute) -> Any:
        asking = self.context["viewer"].participant
        return VoteOut(permissions.votes_shown(dispute, asking), many=True).data

    @extend_schema_field(DecisionOut(allow_null=True))
    def get_decision(self, dispute: Dispute) -> Any:
        return self._decision(dispute, on_appeal=False)

    @extend_schema_field(AppealOut(allow_null=True))
    def get_appeal(self, dispute: Dispute) -> Any:
        if dispute.appellant is None:
            return None
        return {
            "by": dispute.appellant.handle,
            "reason": dispute.appeal_reason,
            "decision": self._decision(dispute, on_appeal=True),
        }

    def get_permitted_actions(self, dispute: Dispute) -> list[str]:
        return permissions.permitted_actions(dispute, self.context["viewer"])

    @staticmethod
    def _decision(dispute: Dispute, *, on_appeal: bool) -> Any:
        found: list[Decision] = [
            one for one in dispute.decisions.all() if one.on_appeal == on_appeal
        ]
        return DecisionOut(found[0]).data if found else None


class DisputePageOut(serializers.Serializer[Any]):
    """A page of disputes."""

    results = DisputeOut(many=True)
    next_cursor = serializers.CharField(allow_null=True)


class DrawOut(serializers.Serializer[Any]):
    """How the panel was drawn.

    Sort `pool` by the SHA-256 of the seed's bytes followed by the handle: the panelists are the
    first, in the order of `seated`. Seed, pool and panelists are shown once it is decided; until
    then `seed_digest` holds the seed to what it is.
    """

    seed_digest = serializers.CharField(allow_null=True)
    pool_size = serializers.IntegerField()
    seed = serializers.CharField(allow_null=True, help_text="in hexadecimal")
    pool = serializers.ListField(child=serializers.CharField(), allow_null=True)
    seated = serializers.ListField(child=serializers.CharField(), allow_null=True)


class DisputeQuery(PageQuery):
    """Which disputes to list."""

    state = serializers.ChoiceField(choices=DisputeState.choices, required=False)
    task = IdField("task", required=False)
    role = serializers.ChoiceField(
        choices=["panelist", "party", "staff"],
        required=False,
        help_text="panelist: those one is asked to judge; staff: those that await a decision",
    )


def browse(query: Mapping[str, Any], asking: Participant) -> Page[Dispute]:
    """Return a page of the disputes that *asking* may see, newest first, loaded as they are shown.

    Queries: at most six.
    """
    disputes: QuerySet[Dispute] = visible_to(asking)
    if "state" in query:
        disputes = disputes.filter(state=query["state"])
    if "task" in query:
        disputes = disputes.filter(task=query["task"])
    match query.get("role"):
        case "panelist":
            disputes = disputes & asked_to_judge(asking)
        case "party":
            disputes = disputes.filter(is_party(asking))
        case "staff":
            disputes = disputes & for_administrators() if asking.is_staff else disputes.none()
    return paginate(as_shown(disputes), query)


def shown(dispute: Dispute, request: Request | HttpRequest) -> dict[str, Any]:
    """Return a dispute as the caller sees it now."""
    loaded = as_shown(Dispute.objects.filter(pk=dispute.pk)).get()
    context = {"viewer": viewer(viewer_of(request))}  # type: ignore[arg-type]
    return dict(DisputeOut(loaded, context=context).data)


class TaskDisputes(Endpoint):
    """`/tasks/{id}/disputes`."""

    scopes = {"POST": EITHER_SIDE}

    @extend_schema(
        request=DisputeIn,
        responses={201: DisputeOut},
        examples=[
            OpenApiExample(
                "a rejection",
                value={"reason": "All 300 rows are there; the rejection says 299."},
                request_only=True,
            )
        ],
    )
    @retryable
    def post(self, request: Request, task_id: str) -> Response:
        """Let a panel judge a delivery under review, or its rejection."""
        given = self.read_body(request, DisputeIn)
        dispute = open_dispute(
            task_id=ids.decode("task", task_id), actor=actor_of(request), **given
        )
        location = f"/api/v1/disputes/{dispute.public_id}"
        return created(shown(dispute, request), location=location)


class Disputes(Endpoint):
    """`/disputes`."""

    scopes = {"GET": Scope.TASKS_READ}
    queries = {"GET": DisputeQuery}

    @extend_schema(responses=DisputePageOut)
    def get(self, request: Request) -> Response:
        """List the disputes that one is a side of, judges, or decides."""
        actor = actor_of(request)
        page = browse(self.query, actor)
        results = DisputeOut(page.rows, many=True, context={"viewer": viewer(actor)}).data
        return Response({"results": results, "next_cursor": page.next_cursor})


class OneDispute(Endpoint):
    """`/disputes/{id}`."""

    scopes = {"GET": Scope.TASKS_READ}

    @extend_schema(responses=DisputeOut)
    def get(self, request: Request, dispute_id: str) -> Response:
        """Return a dispute."""
        actor = actor_of(request)
        dispute = as_shown(visible_to(actor)).get(pk=ids.decode("dispute", dispute_id))
        return Response(DisputeOut(dispute, context={"viewer": viewer(actor)}).data)


class DisputeDraw(Endpoint):
    """`/disputes/{id}/draw`."""

    scopes = {"GET": Scope.TASKS_READ}

    @extend_schema(responses=DrawOut)
    def get(self, request: Request, dispute_id: str) -> Response:
        """Return how the panel was drawn, so that it can be checked."""
        found = as_shown(visible_to(actor_of(request)))
        dispute = found.get(pk=ids.decode("dispute", dispute_id))
        is_open = permissions.is_revealed(dispute) and dispute.seed is not None
        seats: list[Seat] = list(dispute.seats.all())
        return Response(
            {
                "seed_digest": dispute.seed_digest,
                "pool_size": len(dispute.pool),
                "seed": bytes(dispute.seed or b"").hex() if is_open else None,
                "pool": dispute.pool if is_open else None,
                "seated": [seat.panelist.handle for seat in seats] if is_open else None,
            }
        )


class DisputeEvidence(Endpoint):
    """`/disputes/{id}/evidence`."""

    scopes = {"POST": EITHER_SIDE}

    @extend_schema(request=DisputeEvidenceIn, responses={201: DisputeOut})
    @retryable
    def post(self, request: Request, dispute_id: str) -> Response:
        """Hand in evidence, which the other side and the panel read."""
        given = self.read_body(request, DisputeEvidenceIn)
        dispute = submit_evidence(
            dispute_id=ids.decode("dispute", dispute_id), actor=actor_of(request), **given
        )
        return created(shown(dispute, request))


class DisputeVotes(Endpoint):
    """`/disputes/{id}/votes`."""

    scopes = {"POST": Scope.WORK_WRITE}

    @extend_schema(
        request=VoteIn,
        responses={201: DisputeOut},
        examples=[
            OpenApiExample(
                "a share",
                value={
                    "outcome": "split",
                    "worker_share": "0.4",
                    "rationale": "The prices are right; the currencies are missing.",
                },
                request_only=True,
            )
        ],
    )
    @retryable
    def post(self, request: Request, dispute_id: str) -> Response:
        """Vote on the seat that one was drawn for, or abstain."""
        given = self.read_body(request, VoteIn)
        dispute = cast_vote(
            dispute_id=ids.decode("dispute", dispute_id),
            actor=actor_of(request),
            outcome=Outcome(given["outcome"]),
            worker_share=given.get("worker_share"),
            delivery_id=given.get("delivery"),
            rationale=given["rationale"],
        )
        return created(shown(dispute, request))


class DisputeAppeal(Endpoint):
    """`/disputes/{id}/appeal`."""

    scopes = {"POST": EITHER_SIDE}

    @extend_schema(request=AppealIn, responses=DisputeOut)
    @retryable
    def post(self, request: Request, dispute_id: str) -> Response:
        """Appeal to an administrator, once, before it is settled."""
        given = self.read_body(request, AppealIn)
        dispute = appeal_outcome(
            dispute_id=ids.decode("dispute", dispute_id), actor=actor_of(request), **given
        )
        return Response(shown(dispute, request))
