"""What a `workflow.json` may say, what is refused with which pointer, and what publishing makes."""

import json
import re
from copy import deepcopy
from typing import Any

import pytest
from django.conf import settings
from hypothesis import given
from jsonschema import Draft202012Validator

from assets import graph, workflows
from assets.bundles import DependencyRequest
from assets.catalog import publish
from assets.graph import TooManyDependencies, UnknownAsset
from assets.models import Version
from assets.workflows import POINTER, InvalidWorkflow, NeededAsset, Workflow, parse, read, written
from marketplace.participants.models import Participant
from tests.assets.drawn_workflows import workflows as drawn
from tests.assets.publishing import a_name, a_skill
from tests.builders.people import a_person

JSON = Any

SHOP: JSON = {
    "$schema": "https://hansa.example/schemas/workflow.json",
    "schema_version": 1,
    "title": "Price list of a shop",
    "description": "From photos to a table.",
    "steps": [
        {
            "key": "read",
            "title": "Read the photos",
            "description": "Write down every price.",
            "share": "0.5",
            "inputs": [{"name": "photos.zip", "description": "One photo a shelf."}],
            "assets": ["ada/ocr@^1.2", "ada/prices"],
            "tags": ["ocr"],
            "delegation_limit": "0.4",
        },
        {
            "key": "table",
            "title": "Make the table",
            "description": "One row a product.",
            "share": "0.3",
            "depends_on": ["read"],
            "inputs": [{"name": "prices.txt", "from": "read"}],
            "mode": "bid",
            "acceptance": "automatic",
            "verification": [{"name": "rows", "type": "exact", "config": {"expected": 3}}],
            "requirements": ["One row a product"],
        },
        {
            "key": "design",
            "title": "Design the page",
            "description": "Somebody's best.",
            "share": "0.2000",
            "mode": "contest",
            "runner_up_share": "0.25",
        },
    ],
}


def content(value: object) -> bytes:
    return json.dumps(value).encode()


def changed(path: str, to: object) -> JSON:
    """Return the shop's workflow with something else at a pointer; None takes it out."""
    value = deepcopy(SHOP)
    *parents, last = path.strip("/").split("/")
    within: JSON = value
    for part in parents:
        within = within[int(part)] if isinstance(within, list) else within[part]
    if to is None:
        del within[last]
    else:
        within[int(last) if isinstance(within, list) else last] = to
    return value


def faults_of(value: object) -> list[tuple[str, str]]:
    with pytest.raises(InvalidWorkflow) as refusal:
        parse(value if isinstance(value, bytes) else content(value))
    for fault in refusal.value.faults:
        assert fault.detail.endswith(".")
    return [(fault.pointer.removeprefix(POINTER), fault.code) for fault in refusal.value.faults]


# --- Reading --------------------------------------------------------------------------------------


def test_the_example_of_the_documentation_is_a_workflow() -> None:
    page = (settings.BASE_DIR / "docs" / "workflows.md").read_text()
    (example,) = re.findall(r"```json\n(.*?)```", page, re.DOTALL)

    assert [step.key for step in parse(example.encode()).steps] == ["read", "table"]


def test_a_workflow_says_its_steps_in_order() -> None:
    workflow = parse(content(SHOP))

    assert (workflow.title, workflow.description) == (
        "Price list of a shop",
        "From photos to a table.",
    )
    assert [step.key for step in workflow.steps] == ["read", "table", "design"]
    first, second, third = workflow.steps
    assert first.assets == (NeededAsset("ada/ocr", "^1.2"), NeededAsset("ada/prices", "*"))
    assert (first.share_bps, second.share_bps, third.share_bps) == (5_000, 3_000, 2_000)
    assert second.depends_on == ("read",)
    assert second.inputs[0].origin == "read"
    assert (second.mode, second.acceptance) == ("bid", "automatic")
    assert (first.mode, first.acceptance) == ("claim", "manual")
    assert third.runner_up_bps == 2_500
    assert (first.delegation_bps, second.delegation_bps) == (4_000, 0)


def test_the_assets_of_a_workflow_are_those_of_its_steps_once_each() -> None:
    value = changed("/steps/1/assets", ["ada/prices@1.0.0", "bo/tables"])

    assert [str(needed) for needed in parse(content(value)).assets] == [
        "ada/ocr@^1.2",
        "ada/prices",
        "bo/tables",
    ]


@given(drawn())
def test_what_is_written_is_read_again(workflow: Workflow) -> None:
    assert parse(written(workflow)) == workflow


# --- The schema -----------------------------------------------------------------------------------


def test_the_schema_is_one_and_takes_an_example() -> None:
    schema = workflows.schema()

    Draft202012Validator.check_schema(schema)
    assert list(Draft202012Validator(schema).iter_errors(SHOP)) == []


@given(drawn(most_steps=4))
def test_whatever_is_read_fits_the_published_schema(workflow: Workflow) -> None:
    value = json.loads(written(workflow))

    assert list(Draft202012Validator(workflows.schema()).iter_errors(value)) == []


def test_every_list_of_the_schema_ends_and_every_text_but_a_key_has_a_length() -> None:
    """A list without an end would be compared with itself, and a text kept, however long it is."""

    def walk(at: str, node: JSON) -> None:
        if isinstance(node, list):
            for index, one in enumerate(node):
                walk(f"{at}/{index}", one)
        if not isinstance(node, dict):
            return
        assert node.get("type") != "array" or "maxItems" in node, at
        bounded = "maxLength" in node or "{" in node.get("pattern", "")
        assert node.get("type") != "string" or bounded, at
        for name, one in node.items():
            walk(f"{at}/{name}", one)

    walk("", workflows.schema())


# --- What is refused ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "to", "code"),
    [
        ("/title", None, "required"),
        ("/title", " \n", "invalid"),
        ("/title", "x" * 201, "too_long"),
        ("/title", 1, "invalid_type"),
        ("/colour", "red", "unknown_field"),
        ("/schema_version", 2, "invalid"),
        ("/steps", [], "required"),
        ("/steps", None, "required"),
        ("/steps", {}, "invalid_type"),
        ("/steps", [SHOP["steps"][0]] * 21, "too_many"),
        ("/steps/0", "read", "invalid_type"),
        ("/steps/0/key", None, "required"),
        ("/steps/0/key", "-read", "invalid"),
        ("/steps/0/key", "read\n", "invalid"),
        ("/steps/0/key", "x" * 65, "invalid"),
        ("/steps/0/key", "\u0661", "invalid"),
        ("/steps/0/bounty", "5", "unknown_field"),
        ("/steps/0/assignee", "bo", "unknown_field"),
        ("/steps/0/description", "", "invalid"),
        ("/steps/0/share", 0.5, "invalid_type"),
        ("/steps/0/share", "0", "invalid"),
        ("/steps/0/share", "0.0000", "invalid"),
        ("/steps/0/share", "0.00005", "invalid"),
        ("/steps/0/share", "-0.5", "invalid"),
        ("/steps/0/share", "1.5", "invalid"),
        ("/steps/0/share", "50%", "invalid"),
        ("/steps/0/share", "0.5\n", "invalid"),
        ("/steps/0/share", "0.\u0665", "invalid"),
        ("/steps/0/share", "1e-1", "invalid"),
        ("/steps/0/delegation_limit", "1.1", "invalid"),
        ("/steps/0/mode", "direct", "invalid"),
        ("/steps/0/acceptance", "never", "invalid"),
        ("/steps/0/assets/0", "ocr@^1.2", "invalid"),
        ("/steps/0/assets/0", "ada/ocr@", "invalid"),
        ("/steps/0/assets/0", "ada/Ocr@^1", "invalid"),
        ("/steps/0/assets/0", "ada/ocr@`rm`", "invalid"),
        ("/steps/0/assets/0", "ada/ocr@soon", "invalid_range"),
        ("/steps/0/assets", ["ada/ocr"] * 2, "duplicate"),
        ("/steps/0/assets", [f"ada/ocr-{index}" for index in range(9)], "too_many"),
        ("/steps/0/assets/1", "ada/ocr@^1.3", "duplicate"),
        ("/steps/0/inputs/0/name", "two\nlines", "invalid"),
        ("/steps/0/inputs/0/from", "table", "unknown_step"),
        ("/steps/1/inputs/0/from", "design", "unknown_step"),
        ("/steps/1/depends_on/0", "nobody", "unknown_step"),
        ("/steps/1/depends_on", ["read", "read"], "duplicate"),
        ("/steps/1/depends_on", "read", "invalid_type"),
        ("/steps/1/key", "read", "duplicate"),
        ("/steps/1/verification/0/type", None, "required"),
        ("/steps/1/verification/0/pays", True, "unknown_field"),
        ("/steps/1/verification/0/config", [], "invalid_type"),
        ("/steps/1/requirements/0", " ", "invalid"),
        ("/steps/2/runner_up_share", "0.6", "invalid"),
        ("/steps/2/runner_up_share", "0.51", "invalid"),
    ],
)
def test_what_is_wrong_is_pointed_at(path: str, to: object, code: str) -> None:
    assert (path, code) in faults_of(changed(path, to))


@pytest.mark.parametrize("share", ["0.5", "0.50", "0.500", "0.5000", "0.05", "0.0500", "0"])
def test_a_second_has_at_most_half(share: str) -> None:
    step = parse(content(changed("/steps/2/runner_up_share", share))).steps[2]

    assert step.runner_up_bps == round(float(share) * 10_000)


def test_all_that_is_wrong_is_said_at_once() -> None:
    value = changed("/steps/0/share", "half")
    value["steps"][1] |= {"key": "Table", "mode": "direct"}

    assert set(faults_of(value)) == {
        ("/steps/0/share", "invalid"),
        ("/steps/1/key", "invalid"),
        ("/steps/1/mode", "invalid"),
    }


@pytest.mark.parametrize("share", ["0.4999", "0.5001", "1"])
def test_shares_that_do_not_make_the_whole_are_refused(share: str) -> None:
    assert faults_of(changed("/steps/0/share", share)) == [("/steps", "shares_do_not_add_up")]


@pytest.mark.parametrize(
    "waits",
    [{"read": ["read"]}, {"read": ["table"]}, {"read": ["design"], "design": ["table"]}],
)
def test_steps_that_wait_for_each_other_are_refused(waits: dict[str, list[str]]) -> None:
    value = deepcopy(SHOP)
    for step in value["steps"]:
        step["depends_on"] = waits.get(step["key"], step.get("depends_on", []))

    found = faults_of(value)

    around = {f"/steps/{index}/depends_on" for index in range(3)}
    assert [code for _, code in found] == ["cycle"]
    assert found[0][0] in around


def test_a_cycle_is_told_by_its_keys() -> None:
    value = changed("/steps/0/depends_on", ["table"])

    with pytest.raises(InvalidWorkflow) as refusal:
        parse(content(value))

    assert refusal.value.detail in {
        "No step of a cycle can begin: read waits for table waits for read.",
        "No step of a cycle can begin: table waits for read waits for table.",
    }


@pytest.mark.parametrize(
    "written_so",
    [
        b"",
        b"{",
        b"\xff",
        b"NaN",
        b'{"title": "a", "title": "b", "steps": []}',
        b'{"title": "\\u0000", "steps": []}',
        b'{"title": "\\ud800", "steps": []}',
        b'{"title": 1e999, "steps": []}',
        b'{"title": ' + b"9" * 5_000 + b"}",
        b"[" * 61 + b"]" * 61,
        b"[" * 100_000,
    ],
)
def test_what_is_no_plain_json_is_refused(written_so: bytes) -> None:
    assert faults_of(written_so) == [("", "invalid_json")]


@pytest.mark.parametrize("value", [[], "x", None, 3])
def test_a_workflow_is_an_object(value: object) -> None:
    assert faults_of(value) == [("", "invalid_type")]


def test_a_file_that_is_too_long_is_not_read() -> None:
    assert faults_of(b" " * (workflows.MOST_BYTES + 1)) == [("", "too_long")]


@pytest.mark.parametrize("name", ["steps", "depends_on", "tags"])
def test_a_list_that_is_too_long_is_one_fault_and_its_items_none(name: str) -> None:
    """Whoever sends a million items has them counted, not looked at and compared."""
    many: list[object] = [1, "a", {}] * 1_000
    value = {"title": "x", "steps": many} if name == "steps" else changed(f"/steps/0/{name}", many)

    path = "/steps" if name == "steps" else f"/steps/0/{name}"
    assert faults_of(value) == [(path, "too_many")]


def test_no_more_is_said_than_somebody_will_read() -> None:
    steps = [dict.fromkeys(["a", "b", "c"], 1) for _ in range(20)]

    assert len(faults_of({"title": "x", "steps": steps})) == workflows.MOST_FAULTS


def test_a_bundle_without_the_file_at_its_root_is_refused() -> None:
    with pytest.raises(InvalidWorkflow) as refusal:
        read({"docs/workflow.json": content(SHOP)})

    assert (refusal.value.pointer, refusal.value.code) == ("/files", "workflow_missing")


# --- Publishing -----------------------------------------------------------------------------------


def a_workflow_of(
    assets: list[list[str]], *, needs: list[DependencyRequest] | None = None, **said: object
) -> Version:
    """Publish a workflow of steps that name these assets."""
    owner = said.pop("owner", None) or a_person()
    assert isinstance(owner, Participant)
    one = {"description": "Do it.", "share": "0"}
    steps = [
        one | {"key": f"s{index}", "title": f"Step {index}", "share": "0.1", "assets": named}
        for index, named in enumerate(assets)
    ]
    steps[0]["share"] = f"{1 - 0.1 * (len(steps) - 1):.1f}".replace("1.0", "1")
    return publish(
        owner=owner,
        published_by=owner,
        kind="workflow",
        files={"workflow.json": content({"title": "A flow", "steps": steps})},
        name=a_name("flow"),
        dependencies=needs or [],
        **said,  # type: ignore[arg-type]
    )


def lock_of(version: Version) -> dict[str, str]:
    entries = graph.lock_of(version).entries
    return {entry.asset: entry.version for entry in entries if entry.version_id != version.pk}


@pytest.mark.django_db
def test_what_steps_name_is_what_the_version_depends_on() -> None:
    first, second = a_skill(version="1.2.0"), a_skill(version="2.0.0")
    a_skill(first.asset.owner, name=first.asset.name, version="2.0.0")

    flow = a_workflow_of(
        [[f"{first.asset.reference}@^1.0"], [second.asset.reference, first.asset.reference]]
    )

    assert lock_of(flow) == {first.asset.reference: "1.2.0", second.asset.reference: "2.0.0"}
    rates = dict(flow.dependencies.values_list("dependency", "rate_bps"))
    assert rates == {first.pk: 1_000, second.pk: 1_000}


@pytest.mark.django_db
def test_a_dependency_that_is_given_says_its_own_range_and_rate() -> None:
    skill, other = a_skill(version="1.2.0"), a_skill()
    a_skill(skill.asset.owner, name=skill.asset.name, version="1.3.0")

    flow = a_workflow_of(
        [[f"{skill.asset.reference}@^1.0"]],
        needs=[
            DependencyRequest(other.asset.reference, "*"),
            DependencyRequest(skill.asset.reference, "1.2.0", 500),
        ],
    )

    assert lock_of(flow) == {skill.asset.reference: "1.2.0", other.asset.reference: "1.0.0"}
    assert flow.dependencies.get(dependency=skill).rate_bps == 500


@pytest.mark.django_db
def test_steps_whose_ranges_have_no_version_in_common_are_refused() -> None:
    skill = a_skill(version="1.2.0")
    a_skill(skill.asset.owner, name=skill.asset.name, version="2.0.0")
    name = skill.asset.reference

    with pytest.raises(InvalidWorkflow) as refusal:
        a_workflow_of([[f"{name}@^2.0"], [], [f"{name}@^1.0"]])

    assert (refusal.value.pointer, refusal.value.code) == (
        f"{POINTER}/steps/2/assets/0",
        "not_in_range",
    )
    assert "2.0.0" in refusal.value.detail


@pytest.mark.django_db
def test_an_asset_that_does_not_exist_is_refused() -> None:
    with pytest.raises(UnknownAsset):
        a_workflow_of([["nobody/nothing@^1.0"]])


@pytest.mark.django_db
def test_steps_name_no_more_assets_than_a_version_may_depend_on() -> None:
    named = [f"nobody/n{index}" for index in range(9)]

    with pytest.raises(TooManyDependencies):
        a_workflow_of([named[:5], named[5:]])


@pytest.mark.django_db
def test_name_and_description_come_from_the_workflow_where_nothing_else_says_them() -> None:
    owner = a_person()
    title = f"Price list {a_name('x')}"

    def published(about: str, **said: str) -> Version:
        step = SHOP["steps"][0] | {"share": "1", "assets": []}
        value = {"title": title, "description": about, "steps": [step]}
        files = {"workflow.json": content(value)}
        return publish(owner=owner, published_by=owner, kind="workflow", files=files, **said)  # type: ignore[arg-type]

    first = published("")
    second = published("What they make.")
    third = published("What they make.", description="Said.", name=a_name("flow"))

    assert first.asset.name == second.asset.name == title.lower().replace(" ", "-")
    assert [one.description for one in (first, second, third)] == [
        title,
        "What they make.",
        "Said.",
    ]
    assert third.asset.name != first.asset.name


@pytest.mark.django_db
def test_a_workflow_is_judged_by_its_caller_too_before_anything_is_written() -> None:
    owner = a_person()

    def never(workflow: Workflow) -> None:
        raise ValueError(workflow.title)

    with pytest.raises(ValueError, match="A flow"):
        a_workflow_of([[]], owner=owner, judge_workflow=never)

    assert not owner.assets.exists()


@pytest.mark.django_db
def test_a_skill_may_have_any_file_of_that_name() -> None:
    name = a_name()

    skill = a_skill(files={"SKILL.md": f"---\nname: {name}\n---\n".encode(), "workflow.json": b"?"})

    assert skill.asset.kind == "skill"
