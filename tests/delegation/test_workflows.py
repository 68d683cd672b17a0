"""A workflow as a plan, and an accepted task as a workflow again."""

import json
import uuid
from typing import Any

import pytest
from django.test import Client
from hypothesis import given
from hypothesis import strategies as st

from assets.bundles import DependencyRequest
from assets.catalog import UnknownVersion
from assets.graph import UnknownAsset
from assets.models import Version
from assets.workflows import (
    SCHEMA_FILE,
    WHOLE_BPS,
    Input,
    InvalidWorkflow,
    NeededAsset,
    Step,
    Workflow,
    parse,
    pinned,
    written,
)
from credits import amounts
from marketplace.delegation.plans import Entry
from marketplace.delegation.usecases.plan_subtasks import plan_subtasks
from marketplace.delegation.workflows import (
    NotAWorkflow,
    NoWorkflow,
    draft_of,
    drafted,
    entries_of,
    read_workflow,
)
from marketplace.participants.models import Participant
from marketplace.reuse.prices import FilesNotUsed
from marketplace.tasks.models import Mode, Task
from marketplace.tasks.states import TaskState
from marketplace.tasks.terms import LEAST_BOUNTY, InvalidTerms
from marketplace.tasks.usecases.use_asset import use_asset
from tests.api.caller import as_caller, invalid, ok, problem, somebody
from tests.assets.drawn_workflows import workflows as drawn
from tests.builders.assets import a_skill, a_step, a_workflow, an_asset_name
from tests.builders.people import a_person, an_agent, an_agent_of
from tests.builders.trees import a_task_to_split, accepted, an_entry, done, held, now, split
from tests.builders.work import Said, an_exact_check
from tests.web.reading import text_of

MICRO = amounts.MICRO


def used(version: Version, by: Participant, task: Task | None = None) -> None:
    use_asset(
        actor=by,
        owner=version.asset.owner.handle,
        name=version.asset.name,
        version=version.number,
        task_id=task.pk if task else None,
        max_charge=MICRO,
    )


# --- A budget -------------------------------------------------------------------------------------


@given(drawn(), st.integers(0, 10**12))
def test_the_bounties_of_any_workflow_add_up_to_any_budget_that_is_enough(
    workflow: Workflow, more: int
) -> None:
    thinnest = min(step.share_bps for step in workflow.steps)
    budget = -(-LEAST_BOUNTY * WHOLE_BPS // thinnest) + more

    entries = entries_of(workflow, budget=budget)

    bounties = [entry.wanted.bounty for entry in entries]
    assert sum(bounties) == budget
    assert min(bounties) >= LEAST_BOUNTY
    for step, bounty in list(zip(workflow.steps, bounties, strict=True))[1:]:
        assert bounty == budget * step.share_bps // WHOLE_BPS
    assert [entry.key for entry in entries] == [step.key for step in workflow.steps]
    assert [entry.depends_on for entry in entries] == [step.depends_on for step in workflow.steps]


@given(drawn(), st.integers(1, 10**6))
def test_a_budget_of_which_a_step_would_have_too_little_is_refused(
    workflow: Workflow, budget: int
) -> None:
    others = [budget * step.share_bps // WHOLE_BPS for step in workflow.steps[1:]]
    bounties = [budget - sum(others), *others]

    if min(bounties) >= LEAST_BOUNTY:
        entries = entries_of(workflow, budget=budget)
        assert [entry.wanted.bounty for entry in entries] == bounties
    else:
        with pytest.raises(InvalidTerms) as refusal:
            entries_of(workflow, budget=budget)
        assert (refusal.value.field, refusal.value.code) == ("budget", "too_small")


def test_a_budget_that_is_refused_says_which_is_not() -> None:
    workflow = Workflow("x", "", (Step("a", "x", "x", 9_999), Step("b", "x", "x", 1)))

    with pytest.raises(InvalidTerms, match=r"Step b would have 0\.0001; .* 100 are enough"):
        entries_of(workflow, budget=MICRO)

    assert entries_of(workflow, budget=100 * MICRO)[1].wanted.bounty == LEAST_BOUNTY


def test_what_rounding_leaves_goes_to_the_first_step() -> None:
    third = Step("b", "x", "x", 3_333)
    workflow = Workflow("x", "", (Step("a", "x", "x", 3_334), third, third))

    bounties = [entry.wanted.bounty for entry in entries_of(workflow, budget=100_002)]

    assert bounties == [33_342, 33_330, 33_330]


def test_whoever_takes_a_step_reads_what_it_works_on_and_with() -> None:
    step = Step(
        key="table",
        title="Make the table",
        description="One row a product.\n",
        share_bps=WHOLE_BPS,
        inputs=(Input("prices.txt", "One a line.", "read"), Input("logo.png")),
        assets=(NeededAsset("ada/tables", "1.2.0"),),
    )

    (entry,) = entries_of(Workflow("x", "", (step,)), budget=MICRO)

    assert entry.wanted.description == (
        "One row a product.\n\n"
        "Inputs:\n\n- `prices.txt` from `read`: One a line.\n- `logo.png`\n\n"
        "Assets for this step:\n\n- `ada/tables@1.2.0`"
    )


def test_the_longest_step_makes_a_description_that_a_task_can_have() -> None:
    step = Step(
        key="x" * 64,
        title="x",
        description="x" * 40_000,
        share_bps=WHOLE_BPS,
        inputs=(Input("n" * 100, "d" * 200, "x" * 64),) * 10,
        assets=tuple(NeededAsset(f"{'o' * 100}/{'n' * 63}{i}", "1" * 64) for i in range(8)),
    )

    (entry,) = entries_of(Workflow("x", "", (step,)), budget=MICRO)

    assert len(entry.wanted.description) <= 50_000


# --- There and back -------------------------------------------------------------------------------


def as_subtasks(entries: list[Entry]) -> list[Task]:
    """Return what a plan would make of entries, as far as a draft reads it; nothing is written."""
    return [
        Task(
            id=uuid.uuid4(),
            key=entry.key,
            title=entry.wanted.title,
            description=entry.wanted.description,
            bounty=entry.wanted.bounty,
            mode=entry.wanted.mode,
            acceptance=entry.wanted.acceptance,
            verification=list(entry.wanted.verification),
            requirements=list(entry.wanted.requirements),
            tags=list(entry.wanted.tags),
            delegation_bps=entry.wanted.delegation_bps,
            runner_up_bps=entry.wanted.runner_up_bps,
        )
        for entry in entries
    ]


@given(drawn(), st.integers(1, 10**8), st.integers(0, 1))
def test_a_draft_makes_the_plan_again_that_it_came_out_of(
    workflow: Workflow, units: int, odd: int
) -> None:
    thinnest = min(step.share_bps for step in workflow.steps)
    budget = -(-LEAST_BOUNTY * WHOLE_BPS // thinnest) * WHOLE_BPS * units + odd
    exact = {needed.asset: "1.2.0" for needed in workflow.assets}
    entries = entries_of(pinned(workflow, exact), budget=budget)
    subtasks = as_subtasks(entries)
    waits = {one.pk: entry.depends_on for one, entry in zip(subtasks, entries, strict=True)}
    used_assets = {
        one.pk: [NeededAsset(needed.asset, "1.2.0") for needed in step.assets]
        for one, step in zip(subtasks, workflow.steps, strict=True)
    }

    whole = Task(title=workflow.title, description=workflow.description)
    draft = parse(written(drafted(whole, subtasks, waits, used_assets, exact)))

    assert sum(step.share_bps for step in draft.steps) == WHOLE_BPS
    again = entries_of(draft, budget=budget)
    assert [one.key for one in again] == [one.key for one in entries]
    assert [one.depends_on for one in again] == [one.depends_on for one in entries]
    assert sum(one.wanted.bounty for one in again) == budget
    # All that a step says stays as it is, however often it goes round.
    assert [one.wanted for one in again] == [one.wanted for one in entries]


@given(st.lists(st.integers(LEAST_BOUNTY, 10**15), min_size=1, max_size=20))
def test_prices_of_any_size_are_shares_that_make_the_whole(prices: list[int]) -> None:
    subtasks = [
        Task(id=uuid.uuid4(), key=f"k{place}", title="x", description="x", bounty=price)
        for place, price in enumerate(prices)
    ]

    draft = drafted(Task(title="x", description=""), subtasks, {}, {}, ())

    assert parse(written(draft)) == draft
    for step, price in zip(draft.steps, prices, strict=True):
        # Nobody is off by more than rounding, and what the smallest were lifted to.
        assert abs(step.share_bps - price * WHOLE_BPS / sum(prices)) < 1 + len(prices)


def test_a_description_that_is_nothing_but_assets_stays() -> None:
    said = "Assets for this step:\n\n- `ada/tables@1.2.0`"
    one = Task(id=uuid.uuid4(), key="a", title="x", description=said, bounty=MICRO)

    assert drafted(one, [one], {}, {}, ()).steps[0].description == said


# --- Publishing -----------------------------------------------------------------------------------


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("step", "pointer", "code"),
    [
        ({"share": "0.5"}, "/steps", "shares_do_not_add_up"),
        ({"colour": "red"}, "/steps/0/colour", "unknown_field"),
        ({"depends_on": ["a"]}, "/steps/0/depends_on", "cycle"),
        ({"mode": "contest"}, "/steps/0/verification", "required"),
        ({"runner_up_share": "0.1"}, "/steps/0/runner_up_share", "wrong_mode"),
        (
            {"verification": [{"name": "x", "type": "oracle"}]},
            "/steps/0/verification/0/type",
            "unknown_check_type",
        ),
        (
            {
                "mode": "contest",
                "acceptance": "automatic",
                "verification": [{"name": "x", "type": "exact", "config": {"expected": 1}}],
            },
            "/steps/0/acceptance",
            "wrong_mode",
        ),
    ],
)
def test_a_workflow_that_is_none_is_not_published(
    step: dict[str, Any], pointer: str, code: str
) -> None:
    ada = somebody()
    content = {"title": "A flow", "steps": [a_step("a", "1") | step]}
    files = [{"path": "workflow.json", "content": json.dumps(content)}]

    answer = ada.post("/assets", {"kind": "workflow", "name": an_asset_name(), "files": files})

    document = invalid(answer, f"/files/workflow.json{pointer}", code)
    assert len(document["errors"]) == 1
    assert not ada.participant.assets.exists()


@pytest.mark.django_db
def test_a_workflow_whose_contest_waits_is_not_published() -> None:
    ada = somebody()
    contest = {"mode": "contest", "verification": [an_exact_check()]}
    steps = [a_step("a", "0.5"), a_step("b", "0.5", depends_on=["a"]) | contest]
    files = [{"path": "workflow.json", "content": json.dumps({"title": "A flow", "steps": steps})}]

    answer = ada.post("/assets", {"kind": "workflow", "name": an_asset_name(), "files": files})

    invalid(answer, "/files/workflow.json/steps/1/depends_on", "wrong_mode")
    assert not ada.participant.assets.exists()


@pytest.mark.django_db
def test_a_workflow_without_its_file_is_not_published() -> None:
    files = [{"path": "README.md", "content": "Later."}]

    answer = somebody().post("/assets", {"kind": "workflow", "name": "flow", "files": files})

    invalid(answer, "/files", "workflow_missing")


@pytest.mark.django_db
def test_all_that_is_wrong_is_answered_at_once() -> None:
    files = [{"path": "workflow.json", "content": '{"title": "", "steps": [], "colour": "red"}'}]

    answer = somebody().post("/assets", {"kind": "workflow", "name": "flow", "files": files})

    for pointer, code in [
        ("/title", "invalid"),
        ("/steps", "required"),
        ("/colour", "unknown_field"),
    ]:
        invalid(answer, f"/files/workflow.json{pointer}", code)


def test_the_schema_has_an_address() -> None:
    answer = Client().get("/schemas/workflow.json")

    assert answer["Content-Type"] == "application/schema+json"
    assert answer.content == SCHEMA_FILE.read_bytes()


# --- Reading --------------------------------------------------------------------------------------


@pytest.mark.django_db
def test_a_workflow_is_read_with_the_versions_of_its_lock() -> None:
    skill = a_skill(price=0, version="1.2.0")
    flow = a_workflow(a_step("a", "1", assets=[f"{skill.asset.reference}@^1.0"]))
    a_skill(skill.asset.owner, price=0, name=skill.asset.name, version="1.3.0")

    workflow = read_workflow(a_person(), flow.reference)

    (entry,) = entries_of(workflow, budget=MICRO)
    assert f"`{skill.asset.reference}@1.2.0`" in entry.wanted.description


@pytest.mark.django_db
def test_a_priced_workflow_is_read_by_its_owner_and_by_whoever_uses_it() -> None:
    ada, bo, eve = a_person(), a_person(), a_person()
    flow = a_workflow(owner=ada, price=MICRO // 10)
    used(flow, bo)

    for reader in (ada, an_agent_of(ada), bo):
        assert read_workflow(reader, flow.reference).title == "A flow"
    with pytest.raises(FilesNotUsed):
        read_workflow(eve, flow.reference)


@pytest.mark.django_db
def test_only_a_workflow_is_read_as_one() -> None:
    skill = a_skill(price=0)

    with pytest.raises(NotAWorkflow):
        read_workflow(a_person(), skill.reference)


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("reference", "error"),
    [
        ("{asset}", UnknownVersion),
        ("{asset}@2.0.0", UnknownVersion),
        ("{asset}@^1.0", UnknownVersion),
        ("{asset}x@1.0.0", UnknownAsset),
        ("@1.0.0", UnknownAsset),
        ("", UnknownAsset),
        ("a\0b/c@1.0.0", UnknownAsset),
        ("{asset}@1.0.0\0", UnknownVersion),
    ],
)
def test_a_workflow_is_named_with_its_version(reference: str, error: type[Exception]) -> None:
    flow = a_workflow()

    with pytest.raises(error):
        read_workflow(a_person(), reference.format(asset=flow.asset.reference))


@pytest.mark.django_db
def test_a_plan_is_made_of_a_workflow() -> None:
    task = a_task_to_split()
    assert task.worker is not None
    workflow = read_workflow(task.worker, a_workflow().reference)

    first, second = plan_subtasks(
        task_id=task.pk, actor=task.worker, entries=entries_of(workflow, budget=4 * MICRO)
    )

    assert (first.key, first.bounty, first.state) == ("read", 3 * MICRO, TaskState.OPEN)
    assert (second.key, second.bounty, second.state) == ("table", MICRO, TaskState.BLOCKED)


# --- The page -------------------------------------------------------------------------------------


@pytest.mark.django_db
def test_the_page_of_a_workflow_shows_its_steps() -> None:
    skill = a_skill(price=0)
    flow = a_workflow(
        a_step("read", "0.75", title="<b>Read</b>"),
        a_step("table", "0.25", depends_on=["read"], assets=[skill.asset.reference]),
    )

    shown = text_of(Client().get(f"/assets/{flow.asset.reference}"))

    assert "read <b>Read</b> 75 % nothing none" in shown
    assert f"table Step table 25 % read {skill.reference}" in shown


@pytest.mark.django_db
def test_the_steps_of_a_priced_workflow_are_for_those_who_use_it() -> None:
    flow = a_workflow(price=MICRO // 10)

    assert "Step read" not in text_of(Client().get(f"/assets/{flow.asset.reference}"))


# --- Saving ---------------------------------------------------------------------------------------


def an_accepted_tree(*entries: Entry, poster: Participant | None = None, **wanted: Said) -> Task:
    """Return an accepted task whose subtasks, two in a row by default, were all accepted."""
    task = a_task_to_split(poster, **wanted)
    parts = split(
        task,
        *(
            entries
            or (
                an_entry("read", bounty=3 * MICRO),
                an_entry("table", depends_on=("read",), verification=[an_exact_check()]),
            )
        ),
    )
    for part in parts:
        done(now(part))
    return accepted(now(task))


@pytest.mark.django_db
def test_an_accepted_task_is_saved_published_and_planned_again() -> None:
    ada, skill = a_person(), a_skill(version="1.2.0")
    task = a_task_to_split(ada, title="Price list of a shop")
    first, second = split(
        task,
        an_entry("read", bounty=3 * MICRO, tags=["ocr"]),
        an_entry(
            "table",
            depends_on=("read",),
            requirements=["One row"],
            verification=[an_exact_check()],
        ),
    )
    working = held(first)
    assert working.worker is not None
    used(skill, working.worker, working)
    accepted(working)
    done(now(second))
    accepted(now(task))
    poster = as_caller(ada)

    saved = ok(poster.post(f"/tasks/{task.public_id}/workflow"), 201)
    published = ok(poster.post("/assets", saved["publication"]), 201)

    assert saved["file"]["name"] == "workflow.json"
    assert saved["left_out"] == []
    assert published["asset"] == f"{ada.handle}/price-list-of-a-shop"
    assert (published["version"], published["source_task"]) == ("0.1.0", task.public_id)
    assert [entry["asset"] for entry in published["lock"]] == sorted(
        [published["asset"], skill.asset.reference]
    )
    used_by_bo = read_workflow(ada, f"{published['asset']}@0.1.0")
    again = entries_of(used_by_bo, budget=4 * MICRO)
    assert [(one.key, one.wanted.bounty, one.depends_on) for one in again] == [
        ("read", 3 * MICRO, ()),
        ("table", MICRO, ("read",)),
    ]
    assert again[0].wanted.tags == ("ocr",)
    assert again[1].wanted.requirements == ("One row",)
    assert list(again[1].wanted.verification) == [an_exact_check()]
    assert f"`{skill.asset.reference}@1.2.0`" in again[0].wanted.description


@pytest.mark.django_db
def test_the_file_that_is_saved_is_the_callers_and_is_what_would_be_published() -> None:
    task = an_accepted_tree()
    poster = as_caller(task.poster)

    saved = ok(poster.post(f"/tasks/{task.public_id}/workflow", {"name": "a-flow"}), 201)

    answer = poster.get(f"/files/{saved['file']['id']}/content")
    (file,) = saved["publication"]["files"]
    assert b"".join(answer).decode() == file["content"]
    assert saved["publication"]["name"] == "a-flow"
    answer.close()
    assert somebody().get(f"/files/{saved['file']['id']}").status_code == 404


@pytest.mark.django_db
def test_saving_again_with_the_same_key_saves_nothing_more() -> None:
    task = an_accepted_tree()
    poster, path = as_caller(task.poster), f"/tasks/{task.public_id}/workflow"

    first = poster.post(path, once="k")
    second = poster.post(path, once="k")

    assert first.content == second.content
    assert second.headers["Idempotent-Replayed"] == "true"


@pytest.mark.django_db
def test_poster_lead_and_their_operators_save_a_workflow_and_nobody_else() -> None:
    ada, bo = a_person(), a_person()
    poster, lead = an_agent_of(ada), an_agent_of(bo)
    task = a_task_to_split(poster, lead)
    (part,) = split(task)
    worker = an_agent()
    done(part, worker)
    accepted(now(task))

    for side in (poster, ada, lead, bo):
        assert draft_of(task_id=task.pk, actor=side).source_task == task.public_id
    for other in (a_person(), an_agent_of(ada), worker):
        problem(as_caller(other).post(f"/tasks/{task.public_id}/workflow"), 404, "not_found")


@pytest.mark.django_db
def test_the_poster_of_the_root_saves_what_was_done_below_it() -> None:
    task = a_task_to_split()
    part = held(split(task, an_entry("part", bounty=4 * MICRO, delegation_bps=WHOLE_BPS))[0])
    done(split(part, an_entry("leaf"))[0])
    accepted(now(part))

    caller = as_caller(task.poster)
    draft = caller.post(f"/tasks/{part.public_id}/workflow").json()

    workflow = parse(draft["publication"]["files"][0]["content"].encode())
    assert [step.key for step in workflow.steps] == ["leaf"]
    assert "source_task" not in draft["publication"]  # it is the lead's work, who may name it
    assert caller.post("/assets", draft["publication"]).status_code == 201


@pytest.mark.django_db
def test_only_what_was_accepted_is_saved() -> None:
    untouched = a_task_to_split()
    split(untouched)
    alone = accepted(a_task_to_split())

    for task in (untouched, alone):
        with pytest.raises(NoWorkflow):
            draft_of(task_id=task.pk, actor=task.poster)
    answer = as_caller(alone.poster).post(f"/tasks/{alone.public_id}/workflow")
    problem(answer, 409, "no_workflow")


@pytest.mark.django_db
def test_to_whom_a_subtask_was_offered_is_left_out() -> None:
    bo = an_agent()
    task = a_task_to_split()
    (part,) = split(task, an_entry("a", mode=Mode.DIRECT, assignee=bo.handle))
    done(part, bo)
    accepted(now(task))

    content = draft_of(task_id=task.pk, actor=task.poster).content

    assert parse(content).steps[0].mode == "claim"
    assert bo.handle not in content.decode()


@pytest.mark.django_db
def test_a_draft_names_no_more_assets_than_a_version_may_depend_on() -> None:
    skills = [a_skill(price=0) for _ in range(9)]
    task = a_task_to_split()
    first, second = split(task, an_entry("a"), an_entry("b"))
    for part, chosen in ((first, skills), (second, skills[1:])):
        working = held(part)
        assert working.worker is not None
        for skill in chosen:
            used(skill, working.worker, working)
        accepted(working)
    accepted(now(task))

    draft = draft_of(task_id=task.pk, actor=task.poster)

    named = {needed.asset for needed in parse(draft.content).assets}
    assert named == {skill.asset.reference for skill in skills[1:]}
    assert draft.left_out == (skills[0].asset.reference,)


@pytest.mark.django_db
def test_a_draft_does_not_name_the_asset_that_it_will_be() -> None:
    ada = a_person()
    flow = a_workflow(owner=ada)
    task = a_task_to_split(ada)
    (part,) = split(task)
    working = held(part)
    assert working.worker is not None
    used(flow, working.worker, working)
    accepted(working)
    accepted(now(task))

    draft = draft_of(task_id=task.pk, actor=ada, name=flow.asset.name)

    assert parse(draft.content).assets == ()
    assert draft.left_out == (flow.asset.reference,)


@pytest.mark.django_db
@pytest.mark.parametrize("name", ["Flow", "-", "", "flow\n", "x" * 65, 5])
def test_a_draft_is_called_what_an_asset_may_be(name: object) -> None:
    task = an_accepted_tree()

    answer = as_caller(task.poster).post(f"/tasks/{task.public_id}/workflow", {"name": name})

    assert answer.status_code == 400
    assert answer.json()["errors"][0]["pointer"] == "/name"


@pytest.mark.django_db
def test_a_workflow_that_the_market_has_no_use_for_any_more_is_not_planned() -> None:
    step = Step("a", "x", "x", WHOLE_BPS, verification=({"name": "x", "type": "oracle"},))

    with pytest.raises(InvalidWorkflow) as refusal:
        entries_of(Workflow("x", "", (step,)), budget=MICRO)

    assert refusal.value.pointer == "/files/workflow.json/steps/0/verification/0/type"


@pytest.mark.django_db
def test_a_dependency_that_no_step_names_is_one_all_the_same() -> None:
    skill = a_skill(price=0)

    flow = a_workflow(dependencies=[DependencyRequest(skill.asset.reference, "*")])

    assert flow.dependencies.get().dependency == skill
