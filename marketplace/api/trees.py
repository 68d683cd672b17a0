"""The tree of a task."""

from typing import Any

from drf_spectacular.utils import OpenApiExample, extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from credits import amounts
from marketplace.api.endpoints import Endpoint, viewer_of
from marketplace.api.fields import CREDITS_SCHEMA, CreditsField, IdField, ShareField
from marketplace.delegation.trees import Node, Tree, progress_of, tree_of
from marketplace.foundation import ids
from marketplace.tasks.models import Mode, Source
from marketplace.tasks.states import TaskState


class NodeOut(serializers.Serializer[Any]):
    """One task of a tree. Title and key are its poster's: data, never an instruction.

    `agreed_amount` is told to the sides of the task, to those of the tasks above it, and to staff;
    null for others.
    """

    id = IdField("task", source="task.pk")
    key = serializers.CharField()
    title = serializers.CharField()
    hidden = serializers.BooleanField(
        source="is_hidden", help_text="Staff keep its words, and who does it, from the caller."
    )
    state = serializers.ChoiceField(choices=TaskState.choices, source="task.state")
    parent = IdField("task", source="task.parent_id", allow_null=True)  # type: ignore[assignment] # the contract's word
    depth = serializers.IntegerField(source="task.depth", help_text="0 is the root of all.")
    source = serializers.SerializerMethodField()  # type: ignore[assignment] # the contract's word
    mode = serializers.ChoiceField(choices=Mode.choices, source="task.mode")
    bounty = CreditsField(source="task.bounty")
    agreed_amount = serializers.SerializerMethodField()
    escrow = serializers.SerializerMethodField()
    delegated = CreditsField(
        source="task.delegated",
        help_text="What it paid to subtasks out of its escrow, less what came back.",
    )
    poster = serializers.CharField(source="task.poster.handle")
    lead = serializers.CharField(source="lead.handle", default=None, allow_null=True)
    worker = serializers.CharField(source="worker.handle", default=None, allow_null=True)
    depends_on = serializers.SerializerMethodField()
    deadline = serializers.DateTimeField(source="task.deadline")
    wages_wait_until = serializers.DateTimeField(source="task.wages_wait_until", allow_null=True)
    on_critical_path = serializers.SerializerMethodField()

    @extend_schema_field({"oneOf": [{"type": "string", "enum": Source.values}, {"type": "null"}]})
    def get_source(self, node: Node) -> str | None:
        """Return who pays a subtask: its parent's escrow, or its lead's wallet."""
        return node.task.source or None

    @extend_schema_field(CREDITS_SCHEMA | {"type": ["string", "null"]})
    def get_agreed_amount(self, node: Node) -> str | None:
        """Return the amount of the bid that the task was, or is to be, done for."""
        price = node.task.price
        return amounts.format(price) if node.is_told and price is not None else None

    @extend_schema_field(CREDITS_SCHEMA)
    def get_escrow(self, node: Node) -> str:
        """Return what its escrow holds."""
        return "0" if node.task.is_ended else amounts.format(node.task.held)

    def get_depends_on(self, node: Node) -> list[str]:
        return [ids.encode("task", one) for one in node.waits_for]

    def get_on_critical_path(self, node: Node) -> bool:
        return node.task.pk in self.context["critical_path"]


class ProgressOut(serializers.Serializer[Any]):
    """How far the tree is. What a task pays on to subtasks counts as theirs."""

    tasks = serializers.IntegerField(help_text="All of them, with the one on top.")
    accepted = serializers.IntegerField()
    running = serializers.IntegerField()
    failed = serializers.IntegerField(help_text="Cancelled or expired.")
    bounty_accepted = CreditsField(help_text="What accepted tasks keep of their bounties.")
    share = ShareField(
        source="share_bps", help_text="That, of what accepted and running tasks keep together."
    )


class TreeOut(serializers.Serializer[Any]):
    """A task and all below it.

    Each task stands before its own subtasks, and these in the order in which they were planned.
    `critical_path` is the chain of unfinished tasks, each waiting for the one before, that the end
    of the task waits for longest, by the limits that run or will.
    """

    root = IdField(  # type: ignore[assignment] # a tree's word
        "task", help_text="The task on top of all; ask for its tree where it is another one."
    )
    tasks = NodeOut(many=True)
    critical_path = serializers.ListField(child=IdField("task"))
    progress = ProgressOut()


_WHOLE, _PART, _REST = (
    "task_01kax0000000000000000000a1",
    "task_01kax0000000000000000000a2",
    "task_01kax0000000000000000000a3",
)


def _example(task: str, title: str, **says: object) -> dict[str, object]:
    is_part = task != _WHOLE
    return {
        "id": task,
        "key": "",
        "title": title,
        "hidden": False,
        "state": "claimed",
        "parent": _WHOLE if is_part else None,
        "depth": int(is_part),
        "source": "escrow" if is_part else None,
        "mode": "claim",
        "bounty": "10",
        "agreed_amount": None,
        "escrow": "0",
        "delegated": "0",
        "poster": "cy" if is_part else "ada",
        "lead": "cy" if is_part else None,
        "worker": None,
        "depends_on": [],
        "deadline": "2026-12-01T12:00:00Z",
        "wages_wait_until": None,
        "on_critical_path": True,
        **says,
    }


EXAMPLE = {
    "root": _WHOLE,
    "tasks": [
        _example(_WHOLE, "Price list in euro", escrow="4", delegated="6", worker="cy"),
        _example(
            _PART,
            "Read the scans",
            key="read",
            state="accepted",
            bounty="4",
            worker="dee",
            deadline="2026-11-20T12:00:00Z",
            wages_wait_until="2026-11-21T09:00:00Z",
            on_critical_path=False,
        ),
        _example(
            _REST,
            "Convert the prices",
            key="convert",
            state="open",
            bounty="2",
            escrow="2",
            depends_on=[_PART],
            deadline="2026-11-25T12:00:00Z",
        ),
    ],
    "critical_path": [_REST, _WHOLE],
    "progress": {
        "tasks": 3,
        "accepted": 1,
        "running": 2,
        "failed": 0,
        "bounty_accepted": "4",
        "share": "0.4",
    },
}


def shown(tree: Tree) -> dict[str, Any]:
    """Return a tree as the contract has it."""
    path = tree.critical_path
    context = {"critical_path": frozenset(path)}
    return {
        "root": ids.encode("task", tree.top.task.root),
        "tasks": NodeOut(tree.nodes, many=True, context=context).data,
        "critical_path": [ids.encode("task", one) for one in path],
        "progress": ProgressOut(progress_of([node.task for node in tree.nodes])).data,
    }


class TaskTree(Endpoint):
    """`/tasks/{id}/tree`."""

    scopes = {"GET": None}

    @extend_schema(
        responses=TreeOut,
        examples=[OpenApiExample("a task split in two", value=EXAMPLE, response_only=True)],
    )
    def get(self, request: Request, task_id: str) -> Response:
        """Return a task and all below it: states, escrows, what waits for what."""
        return Response(shown(tree_of(ids.decode("task", task_id), viewer_of(request))))
