"""Workflows: a published one as the plan of a task, and an accepted task as a workflow again."""

import re
import uuid
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from assets import bundles, catalog, graph, semver, workflows
from assets.graph import DIRECT_DEPENDENCIES
from assets.models import Kind, Version
from assets.workflows import POINTER, Fault, InvalidWorkflow, NeededAsset, Step, Workflow
from credits import amounts
from marketplace.delegation.models import Dependency
from marketplace.delegation.plans import Entry, check_waiting
from marketplace.delivery.verification import checks
from marketplace.participants.models import Participant
from marketplace.reuse import browsing, workflow_rules
from marketplace.reuse.models import Use, UseState
from marketplace.reuse.prices import require_files
from marketplace.tasks.models import Acceptance, Mode, Task
from marketplace.tasks.queries import may_name_source, visible_to
from marketplace.tasks.states import TaskState
from marketplace.tasks.terms import LEAST_BOUNTY, InvalidTerms, Wanted, check_mode

MOST_STEPS = 20  # as the schema says
MOST_DESCRIPTION_CHARACTERS = 40_000
# What a subtask's description ends with where its step names assets. A draft leaves it out again:
# it has what was used in its own place.
ASSETS_HEADING = "Assets for this step:"
_ASSETS = re.compile(rf"\s*^{re.escape(ASSETS_HEADING)}\n\n(- `[^`\n]+`(\n|\Z))+\Z", re.MULTILINE)


class NotAWorkflow(Exception):
    """The version is no workflow, or was published before workflows had a form.

    Attributes:
        reference: `owner/name@1.0.0`.
    """

    def __init__(self, reference: str) -> None:
        super().__init__(f"{reference} has no steps that could be planned")
        self.reference = reference


class NoWorkflow(Exception):
    """A task is nothing that can be saved as a workflow."""


# --- A workflow as a plan ------------------------------------------------------------------------


def read_workflow(actor: Participant, reference: str) -> Workflow:
    """Return a published workflow, every asset in it at the version that its lock has.

    Args:
        actor: Who reads; of a priced version its owner and those who use it may.
        reference: `owner/name@1.0.0`.

    Raises:
        UnknownAsset, UnknownVersion: There is none, or staff hide it from the actor.
        FilesNotUsed: The version has a price that the actor has not paid.
        NotAWorkflow: It is something else.
    """
    asset, _, number = reference.partition("@")
    owner, _, name = asset.partition("/")
    version = browsing.find_version(actor, owner, name, number)
    require_files(actor, version)
    return workflow_of(version)


def workflow_of(version: Version) -> Workflow:
    """Return the workflow of a version whose files the caller may have.

    Raises:
        NotAWorkflow: It is something else.
    """
    if version.asset.kind != Kind.WORKFLOW:
        raise NotAWorkflow(version.reference)
    try:
        with catalog.read_file(version, workflows.WORKFLOW_FILE) as content:
            workflow = workflows.parse(content.read())
    except (catalog.UnknownFile, InvalidWorkflow):
        raise NotAWorkflow(version.reference) from None
    lock = graph.lock_of(version).entries
    return workflows.pinned(workflow, {entry.asset: entry.version for entry in lock})


def entries_of(workflow: Workflow, *, budget: int) -> list[Entry]:
    """Return the subtasks that a workflow makes of a budget, in the order of its steps.

    Args:
        workflow: As `read_workflow` returns it.
        budget: Micro-credits. Each step has its share of them, rounded down; what is left goes to
            the first step.

    Returns:
        Entries whose bounties add up to the budget.

    Raises:
        InvalidTerms: A step would have less than a bounty is at least.
        InvalidWorkflow: The market has no use for what a step asks, such as a check of a type that
            it does not know any more.
    """
    faults = list(faults_of(workflow))
    if faults:
        raise InvalidWorkflow(faults)
    bounties = [budget * step.share_bps // workflows.WHOLE_BPS for step in workflow.steps]
    bounties[0] += budget - sum(bounties)
    smallest = min(bounties)
    if smallest < LEAST_BOUNTY:
        step = workflow.steps[bounties.index(smallest)]
        thinnest = min(step.share_bps for step in workflow.steps)
        enough = -(-LEAST_BOUNTY * workflows.WHOLE_BPS // thinnest)
        raise InvalidTerms(
            field="budget",
            code="too_small",
            detail=f"Step {step.key} would have {amounts.format(smallest)}; a bounty is at least"
            f" {amounts.format(LEAST_BOUNTY)}, for which {amounts.format(enough)} are enough.",
        )
    return [
        Entry(key=step.key, wanted=_wanted(step, bounty), depends_on=step.depends_on)
        for step, bounty in zip(workflow.steps, bounties, strict=True)
    ]


@workflow_rules.asks
def faults_of(workflow: Workflow) -> Iterator[Fault]:
    """Yield what no task could be made of: checks that cannot run, what a mode does not have."""
    for place, step in enumerate(workflow.steps):
        at = f"{POINTER}/steps/{place}"
        try:
            check_mode(_wanted(step, LEAST_BOUNTY))
            check_waiting(step.mode, step.depends_on)
        except checks.InvalidCheck as error:
            yield Fault(f"{at}/verification{error.pointer}", error.code, str(error))
        except InvalidTerms as error:
            yield Fault(f"{at}/{error.field}", error.code, str(error))


def _wanted(step: Step, bounty: int) -> Wanted:
    return Wanted(
        title=step.title,
        description=_described(step),
        bounty=bounty,
        mode=Mode(step.mode),
        tags=step.tags,
        requirements=step.requirements,
        acceptance=Acceptance(step.acceptance),
        verification=[check.as_json() for check in checks.parse(list(step.verification))],
        runner_up_bps=step.runner_up_bps,
        delegation_bps=step.delegation_bps,
    )


def _described(step: Step) -> str:
    """Return what a step says, and beside it, what it works on and with."""
    parts = [step.description.rstrip()]
    if step.inputs:
        lines = []
        for one in step.inputs:
            origin = f" from `{one.origin}`" if one.origin else ""
            about = f": {one.description}" if one.description else ""
            lines.append(f"- `{one.name}`{origin}{about}")
        parts.append("Inputs:\n\n" + "\n".join(lines))
    if step.assets:
        parts.append(f"{ASSETS_HEADING}\n\n" + "\n".join(f"- `{one}`" for one in step.assets))
    return "\n\n".join(parts)


# --- A task as a workflow ------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Draft:
    """A workflow that came out of a task and is not published yet.

    Attributes:
        content: Of its `workflow.json`.
        name: What the asset is to be called.
        source_task: Public id of the task, where the actor may name it; else an empty string.
        left_out: Assets that were used and that it does not name: more than a version may depend
            on, or the very asset that it will be.
    """

    content: bytes
    name: str
    source_task: str
    left_out: tuple[str, ...]


def draft_of(*, task_id: uuid.UUID, actor: Participant, name: str | None = None) -> Draft:
    """Return the workflow that an accepted task is an example of.

    Args:
        task_id: A task that was split.
        actor: The poster of its root, its accepted worker, or the operator of one of these.
        name: What the asset is to be called; by default what the task is.

    Raises:
        Task.DoesNotExist: No such task, or the actor is none of these.
        NoWorkflow: It was not accepted, or no subtask of it, or too many.

    Round trips: six.
    """
    task = visible_to(actor).get(pk=task_id)
    root = task if task.pk == task.root else Task.objects.get(pk=task.root)
    if not may_draft(task, root, actor):
        raise Task.DoesNotExist
    if task.state != TaskState.ACCEPTED:
        raise NoWorkflow(f"the task is {task.state}, and only an accepted one shows what works")
    parts = visible_to(actor).filter(parent=task, state=TaskState.ACCEPTED).order_by("pk")
    subtasks = list(parts)
    if not 1 <= len(subtasks) <= MOST_STEPS:
        raise NoWorkflow(
            f"{len(subtasks)} subtasks were accepted, and a workflow has 1 to {MOST_STEPS} steps"
        )
    asset = name or bundles.slug(task.title) or "workflow"
    used = _used_by(subtasks)
    named = _most_used(used, but=f"{actor.handle}/{asset}")
    workflow = drafted(task, subtasks, _waits_of(subtasks), used, named)
    return Draft(
        content=workflows.written(workflow),
        name=asset,
        source_task=task.public_id if may_name_source(actor, task.pk) else "",
        left_out=tuple(sorted({one.asset for all_of in used.values() for one in all_of} - named)),
    )


def may_draft(task: Task, root: Task, actor: Participant) -> bool:
    """Say whether how a task was split is *actor*'s to keep."""
    return actor.pk in (
        root.poster_id,
        root.poster_operator_id,
        task.worker_id,
        task.worker_operator_id,
    )


def drafted(
    task: Task,
    subtasks: Sequence[Task],
    waits: Mapping[uuid.UUID, Sequence[str]],
    used: Mapping[uuid.UUID, Sequence[NeededAsset]],
    named: Collection[str],
) -> Workflow:
    """Return the workflow of a task and its subtasks.

    Args:
        task: What the workflow makes.
        subtasks: Its steps, in their order.
        waits: Keys of what each subtask waited for, by its id.
        used: The assets that each was done with, by its id.
        named: Which of these the workflow is to name.
    """
    shares = _shares([one.priced for one in subtasks])
    return Workflow(
        title=task.title,
        description=_undescribed(task),
        steps=tuple(
            Step(
                key=one.key,
                title=one.title,
                description=_undescribed(one),
                share_bps=share_bps,
                depends_on=tuple(waits.get(one.pk, ())),
                assets=tuple(needed for needed in used.get(one.pk, ()) if needed.asset in named),
                # To whom it was offered is nothing that the next one could know.
                mode=Mode.CLAIM.value if one.mode == Mode.DIRECT else one.mode,
                acceptance=one.acceptance,
                verification=tuple(one.verification),
                requirements=tuple(one.requirements),
                tags=tuple(one.tags),
                runner_up_bps=one.runner_up_bps,
                delegation_bps=one.delegation_bps,
            )
            for one, share_bps in zip(subtasks, shares, strict=True)
        ),
    )


def _undescribed(task: Task) -> str:
    """Return a description without the assets that a workflow added to it, as long as one may be.

    A text that would be nothing else stays.
    """
    said = _ASSETS.sub("", task.description)
    return (said if said.strip() else task.description)[:MOST_DESCRIPTION_CHARACTERS]


def _shares(prices: Sequence[int]) -> list[int]:
    """Return prices as shares of their sum, in basis points, that make the whole exactly.

    Each has one at least. What rounding down leaves goes to those that lost most by it.
    """
    whole = sum(prices)
    exact = [divmod(price * workflows.WHOLE_BPS, whole) for price in prices]
    shares = [max(1, share) for share, _ in exact]
    lost = [rest if share else 0 for share, rest in exact]
    left = workflows.WHOLE_BPS - sum(shares)
    for place in sorted(range(len(prices)), key=lambda one: -lost[one])[: max(left, 0)]:
        shares[place] += 1
    shares[shares.index(max(shares))] += min(left, 0)
    return shares


def _waits_of(subtasks: Sequence[Task]) -> dict[uuid.UUID, list[str]]:
    keys = {one.pk: one.key for one in subtasks}
    edges = Dependency.objects.filter(task__in=keys, predecessor__in=keys).order_by("predecessor")
    waits: dict[uuid.UUID, list[str]] = {}
    for waiting, predecessor in edges.values_list("task", "predecessor"):
        waits.setdefault(waiting, []).append(keys[predecessor])
    return waits


def _used_by(subtasks: Sequence[Task]) -> dict[uuid.UUID, list[NeededAsset]]:
    """Return what the accepted claim of each subtask used, from the version that it used."""
    task_of = {one.claim_id: one.pk for one in subtasks}
    uses = Use.objects.filter(claim__in=task_of).exclude(state=UseState.RELEASED)
    used: dict[uuid.UUID, dict[str, NeededAsset]] = {}
    for use in uses.select_related("version__asset__owner").order_by("pk"):
        asset = use.version.asset.reference
        since = semver.parse(use.version.number).without_build
        # Of two versions the one that was used last: nobody changes for the worse.
        used.setdefault(task_of[use.claim], {})[asset] = NeededAsset(asset, f"^{since}")
    return {task: list(found.values()) for task, found in used.items()}


def _most_used(used: Mapping[uuid.UUID, Sequence[NeededAsset]], *, but: str) -> set[str]:
    """Return the assets that a version may depend on: those that most steps used, then by name."""
    times: dict[str, int] = {}
    for all_of in used.values():
        for needed in all_of:
            times[needed.asset] = times.get(needed.asset, 0) + 1
    times.pop(but, None)
    return set(sorted(times, key=lambda asset: (-times[asset], asset))[:DIRECT_DEPENDENCIES])
