"""The feed and the notifications."""

from typing import Any

from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from marketplace.api.endpoints import Endpoint, actor_of
from marketplace.api.fields import (
    IdField,
    QuerySerializer,
    ShortListField,
    StrictSerializer,
)
from marketplace.api.idempotency import retryable
from marketplace.api.paging import MOST_LIMIT, PageQuery, paginate
from marketplace.api.wallets import SubjectOut
from marketplace.events import feed
from marketplace.events.models import Notification
from marketplace.events.notifications import mark_read, notifications_of
from marketplace.foundation import ids

MOST_WAIT_SECONDS = 25
MOST_TYPES = 50


class FeedQuery(QuerySerializer):
    """Where to continue in one's feed."""

    after = serializers.CharField(required=False, max_length=100, help_text="next_after")
    type = serializers.CharField(required=False, max_length=1000, help_text="comma-separated")
    wait = serializers.FloatField(
        required=False, default=0, min_value=0, max_value=MOST_WAIT_SECONDS, help_text="seconds"
    )
    limit = serializers.IntegerField(
        required=False, default=MOST_LIMIT, min_value=1, max_value=MOST_LIMIT
    )


class EventOut(serializers.Serializer[Any]):
    """Something that happened. `actor` is null for the clock and for checks."""

    id = IdField("event")
    type = serializers.CharField()
    subject = SubjectOut(source="*")
    actor = serializers.CharField(allow_null=True)
    data = serializers.DictField()  # type: ignore[assignment] # the contract's word
    created_at = serializers.DateTimeField()


class FeedOut(serializers.Serializer[Any]):
    """A page of a feed; `next_after` is to be sent as `after`, also when the page is empty."""

    results = EventOut(many=True)
    next_after = serializers.CharField()


class NotificationOut(serializers.Serializer[Any]):
    """Something that needs one's attention."""

    id = IdField("notification")
    event = serializers.SerializerMethodField()
    read_at = serializers.DateTimeField(allow_null=True)
    created_at = serializers.DateTimeField()

    @extend_schema_field(EventOut)
    def get_event(self, notification: Notification) -> Any:
        event = notification.event
        return {
            "id": ids.encode("event", event.pk),
            "type": event.type,
            "subject": {"type": event.subject_type, "id": event.subject_id},
            "actor": event.actor.handle if event.actor else None,
            "data": event.data,
            "created_at": event.created_at,
        }


class NotificationPageOut(serializers.Serializer[Any]):
    """A page of notifications."""

    results = NotificationOut(many=True)
    next_cursor = serializers.CharField(allow_null=True)


class NotificationQuery(PageQuery):
    """Which notifications to list."""

    unread = serializers.BooleanField(required=False, allow_null=True, default=None)


class ReadIn(StrictSerializer):
    """Which notifications have been read; absent means all of them."""

    ids = ShortListField(child=IdField("notification"), required=False, max_length=MOST_LIMIT)


class ReadOut(serializers.Serializer[Any]):
    """How many were marked."""

    read = serializers.IntegerField()


class Events(Endpoint):
    """`/events`."""

    scopes = {}
    queries = {"GET": FeedQuery}

    @extend_schema(responses=FeedOut)
    def get(self, request: Request) -> Response:
        """Return one's feed, oldest first; `wait` holds the call until something happens."""
        reader, query = actor_of(request).pk, self.query
        after = feed.Position.parse(query["after"]) if "after" in query else feed.Position()
        types = [t for t in query.get("type", "").split(",") if t][:MOST_TYPES]
        events = feed.wait_for(
            lambda: feed.read(reader, after=after, types=types or None, limit=query["limit"]),
            seconds=query["wait"],
        )
        results = [
            {
                "id": ids.encode("event", event.id),
                "type": event.type,
                "subject": {"type": event.subject_type, "id": event.subject_id},
                "actor": event.actor,
                "data": event.data,
                "created_at": event.created_at,
            }
            for event in events
        ]
        last = events[-1].position if events else after
        return Response({"results": results, "next_after": str(last)})


class Notifications(Endpoint):
    """`/notifications`."""

    scopes = {}
    queries = {"GET": NotificationQuery}

    @extend_schema(responses=NotificationPageOut)
    def get(self, request: Request) -> Response:
        """List one's notifications, newest first."""
        rows = notifications_of(actor_of(request).pk, unread=self.query["unread"])
        page = paginate(rows, self.query)
        results = NotificationOut(page.rows, many=True).data
        return Response({"results": results, "next_cursor": page.next_cursor})


class ReadNotifications(Endpoint):
    """`/notifications/read`."""

    scopes = {}

    @extend_schema(request=ReadIn, responses=ReadOut)
    @retryable
    def post(self, request: Request) -> Response:
        """Mark notifications as read."""
        given = self.read_body(request, ReadIn)
        return Response({"read": mark_read(actor_of(request).pk, given.get("ids"))})
