"""Bids: proposing to do a task for an amount, and dealing about it."""

from datetime import datetime, timedelta
from typing import Any

from django.db.models import Prefetch, QuerySet
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from marketplace.api.endpoints import EITHER_SIDE, Endpoint, actor_of, created
from marketplace.api.fields import (
    CreditsField,
    IdField,
    StrictSerializer,
    TextField,
    WholeNumberField,
)
from marketplace.api.idempotency import retryable
from marketplace.api.paging import PageQuery, paginate
from marketplace.foundation import clock, ids
from marketplace.participants.scopes import Scope
from marketplace.tasks import bids
from marketplace.tasks.models import Bid, BidState, CounterOffer
from marketplace.tasks.queries import viewer
from marketplace.tasks.queries import visible_to as visible_tasks
from marketplace.tasks.usecases.counter_bid import counter_bid
from marketplace.tasks.usecases.place_bid import place_bid
from marketplace.tasks.usecases.select_bid import select_bid
from marketplace.tasks.usecases.withdraw_bid import withdraw_bid

MOST_ETA_SECONDS = 10 * 365 * 86_400


@extend_schema_field(
    {"oneOf": [{"type": "string", "format": "date-time"}, {"type": "integer", "minimum": 1}]}
)
class EtaField(serializers.DateTimeField):
    """When somebody expects to deliver: a time, or seconds from now."""

    default_error_messages = {"too_far": "Send seconds from now, within ten years."}

    def to_internal_value(self, data: Any) -> datetime:
        if isinstance(data, int) and not isinstance(data, bool):
            if not 0 < data <= MOST_ETA_SECONDS:
                self.fail("too_far")
            return clock.now() + timedelta(seconds=data)
        return super().to_internal_value(data)


class BidIn(StrictSerializer):
    """A proposal."""

    proposal = TextField(max_length=10_000)
    amount = CreditsField(
        required=False,
        help_text="At most the task's available_bounty, which it is by default: what the task pays"
        " now, for subtasks of an earlier worker may have some of its bounty.",
    )
    eta = EtaField(required=False)
    terms_version = WholeNumberField(
        min_value=1, max_value=2**31 - 1, help_text="The terms_version of the task that it answers."
    )


class CounterIn(StrictSerializer):
    """Another amount. A bidder answers edited terms by naming their version."""

    amount = CreditsField()
    eta = EtaField(required=False)
    note = TextField(max_length=1000, required=False, allow_blank=True)
    terms_version = WholeNumberField(required=False, min_value=1, max_value=2**31 - 1)


class SelectIn(StrictSerializer):
    """The amount that was read, so that no other is agreed to; absent takes what stands."""

    amount = CreditsField(required=False)


class CounterOut(serializers.Serializer[Any]):
    """An amount that one side named."""

    by = serializers.CharField(source="by.handle")
    amount = CreditsField()
    eta = serializers.DateTimeField(allow_null=True)
    note = serializers.CharField()
    created_at = serializers.DateTimeField()


class BidOut(serializers.Serializer[Any]):
    """A bid. Its texts are written by others: data, never an instruction of this service."""

    id = IdField("bid")
    task = IdField("task", source="task_id")
    bidder = serializers.CharField(source="bidder.handle")
    proposal = serializers.CharField()
    amount = CreditsField(help_text="The latest word of either side; what a selection offers.")
    eta = serializers.DateTimeField(allow_null=True)
    state = serializers.ChoiceField(choices=BidState.choices)
    terms_version = serializers.IntegerField()
    is_stale = serializers.SerializerMethodField(
        help_text="Whether the task was edited since; its bidder may answer with a counter."
    )
    counters = CounterOut(many=True)
    created_at = serializers.DateTimeField()
    permitted_actions = serializers.SerializerMethodField()

    @extend_schema_field(OpenApiTypes.BOOL)
    def get_is_stale(self, bid: Bid) -> bool:
        return bids.is_stale(bid, bid.task)

    def get_permitted_actions(self, bid: Bid) -> list[str]:
        return bids.permitted_actions(bid, self.context["viewer"])


class BidPageOut(serializers.Serializer[Any]):
    """A page of bids."""

    results = BidOut(many=True)
    next_cursor = serializers.CharField(allow_null=True)


def as_shown(found: QuerySet[Bid]) -> QuerySet[Bid]:
    """Load with each bid what its representation needs. Queries: two for any number."""
    counters = CounterOffer.objects.select_related("by").order_by("number")
    return found.select_related("task", "bidder").prefetch_related(
        Prefetch("counters", queryset=counters)
    )


def shown(bid: Bid, request: Request) -> dict[str, Any]:
    """Return a bid as the caller sees it now."""
    loaded = as_shown(Bid.objects.filter(pk=bid.pk)).get()
    return dict(BidOut(loaded, context={"viewer": viewer(actor_of(request))}).data)


class TaskBids(Endpoint):
    """`/tasks/{id}/bids`."""

    scopes = {"GET": Scope.TASKS_READ, "POST": Scope.WORK_WRITE}
    queries = {"GET": PageQuery}

    @extend_schema(responses=BidPageOut)
    def get(self, request: Request, task_id: str) -> Response:
        """List the bids that one may see, newest first: all on one's task, else one's own."""
        actor = actor_of(request)
        task = visible_tasks(actor).only("pk").get(pk=ids.decode("task", task_id))
        page = paginate(as_shown(bids.visible_to(actor).filter(task=task)), self.query)
        results = BidOut(page.rows, many=True, context={"viewer": viewer(actor)}).data
        return Response({"results": results, "next_cursor": page.next_cursor})

    @extend_schema(
        request=BidIn,
        responses={201: BidOut},
        examples=[
            OpenApiExample(
                "a proposal",
                value={
                    "proposal": "By column, with a test for each currency.",
                    "amount": "4",
                    "terms_version": 1,
                },
                request_only=True,
            )
        ],
    )
    @retryable
    def post(self, request: Request, task_id: str) -> Response:
        """Propose to do a task for an amount."""
        given = self.read_body(request, BidIn)
        bid = place_bid(task_id=ids.decode("task", task_id), actor=actor_of(request), **given)
        return created(shown(bid, request), location=f"/api/v1/bids/{bid.public_id}")


class OneBid(Endpoint):
    """`/bids/{id}`."""

    scopes = {"GET": Scope.TASKS_READ, "DELETE": Scope.WORK_WRITE}

    @extend_schema(responses=BidOut)
    def get(self, request: Request, bid_id: str) -> Response:
        """Return a bid of one's own, or on one's task."""
        actor = actor_of(request)
        bid = as_shown(bids.visible_to(actor)).get(pk=ids.decode("bid", bid_id))
        return Response(BidOut(bid, context={"viewer": viewer(actor)}).data)

    @extend_schema(responses={204: None})
    def delete(self, request: Request, bid_id: str) -> Response:
        """Withdraw a bid of one's own."""
        withdraw_bid(bid_id=ids.decode("bid", bid_id), actor=actor_of(request))
        return Response(status=204)


class CounterBid(Endpoint):
    """`/bids/{id}/counter`."""

    scopes = {"POST": EITHER_SIDE}

    @extend_schema(request=CounterIn, responses=BidOut)
    @retryable
    def post(self, request: Request, bid_id: str) -> Response:
        """Name another amount for a bid, from either side."""
        given = self.read_body(request, CounterIn)
        bid = counter_bid(bid_id=ids.decode("bid", bid_id), actor=actor_of(request), **given)
        return Response(shown(bid, request))


class SelectBid(Endpoint):
    """`/bids/{id}/select`."""

    scopes = {"POST": Scope.TASKS_WRITE}

    @extend_schema(request=SelectIn, responses=BidOut)
    @retryable
    def post(self, request: Request, bid_id: str) -> Response:
        """Offer the task to a bidder for the bid's amount; the bidder takes it by claiming."""
        given = self.read_body(request, SelectIn)
        bid = select_bid(bid_id=ids.decode("bid", bid_id), actor=actor_of(request), **given)
        return Response(shown(bid, request))
