"""Workflows: what `workflow.json` says of the steps that a task is split into.

The form is a JSON Schema, `schemas/workflow.json`, which is published as it stands and is what is
asked here. Then comes what a schema cannot say: that steps wait for each other without a cycle, and
that their shares add up.
"""

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import cache
from graphlib import CycleError, TopologicalSorter
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError
from jsonschema.protocols import Validator
from jsonschema.validators import extend

from assets import semver
from assets.bundles import InvalidBundle, escaped

WORKFLOW_FILE = "workflow.json"
SCHEMA_FILE = Path(__file__).parent / "schemas" / WORKFLOW_FILE
POINTER = f"/files/{WORKFLOW_FILE}"
WHOLE_BPS = 10_000
MOST_BYTES = 4_000_000
# Checks may have schemas of 40 levels in them; and what is read is written by code that recurses.
MOST_LEVELS = 60
MOST_FAULTS = 20  # who has more will not read them


class Fault(NamedTuple):
    """One thing that is wrong: a JSON pointer into the request, a stable word, a sentence."""

    pointer: str
    code: str
    detail: str


class InvalidWorkflow(InvalidBundle):
    """A `workflow.json` that is none. Nothing was published.

    Attributes:
        faults: All that is wrong with it, at most twenty; the first one is also the error's own.
    """

    def __init__(self, faults: Sequence[Fault]) -> None:
        super().__init__(*faults[0])
        self.faults = tuple(faults)


@dataclass(frozen=True, slots=True)
class NeededAsset:
    """An asset that a step names: `owner/name`, and the range of versions that will do."""

    asset: str
    constraint: str

    def __str__(self) -> str:
        return self.asset if self.constraint == "*" else f"{self.asset}@{self.constraint}"


@dataclass(frozen=True, slots=True)
class Input:
    """Something that a step works on.

    Attributes:
        origin: The key of the step whose delivery has it; None where the planner provides it.
    """

    name: str
    description: str = ""
    origin: str | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """One part of the work.

    Attributes:
        share_bps: Its share of the budget, in basis points.
        depends_on: Keys of the steps that it waits for.
        verification: Checks as they are written; what they ask is not judged here.
        runner_up_bps: A contest's part for a second, in basis points of the step's bounty.
        delegation_bps: What whoever takes it may pay for subtasks, in the same.
    """

    key: str
    title: str
    description: str
    share_bps: int
    depends_on: tuple[str, ...] = ()
    inputs: tuple[Input, ...] = ()
    assets: tuple[NeededAsset, ...] = ()
    mode: str = "claim"
    acceptance: str = "manual"
    verification: tuple[dict[str, Any], ...] = ()
    requirements: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    runner_up_bps: int = 0
    delegation_bps: int = 0


@dataclass(frozen=True, slots=True)
class Workflow:
    """Steps that make something together, in the order of the file."""

    title: str
    description: str
    steps: tuple[Step, ...]

    @property
    def assets(self) -> tuple[NeededAsset, ...]:
        """Return what its steps name, each asset once, with the range that named it first."""
        first: dict[str, NeededAsset] = {}
        for step in self.steps:
            for needed in step.assets:
                first.setdefault(needed.asset, needed)
        return tuple(first.values())


# --- Reading -------------------------------------------------------------------------------------


def read(files: Mapping[str, bytes]) -> Workflow:
    """Return the workflow of a bundle.

    Raises:
        InvalidWorkflow: The bundle has no `workflow.json` at its root, or one that is none.
    """
    content = files.get(WORKFLOW_FILE)
    if content is None:
        raise InvalidWorkflow(
            [Fault("/files", "workflow_missing", f"A workflow has {WORKFLOW_FILE} at its root.")]
        )
    return parse(content)


def parse(content: bytes) -> Workflow:
    """Return the workflow that the bytes of a `workflow.json` say.

    Raises:
        InvalidWorkflow: With all that is wrong, each with its pointer below `/files/workflow.json`.
    """
    value = _json(content)
    faults = [_fault(POINTER, *one) for one in _misfits(value)]
    if not faults:
        workflow = _workflow(value)
        faults = [_fault(POINTER, *one) for one in _contradictions(workflow)]
        if not faults:
            return workflow
    raise InvalidWorkflow(faults)


@cache
def schema() -> dict[str, Any]:
    """Return the JSON Schema of `workflow.json`."""
    return dict(json.loads(SCHEMA_FILE.read_bytes()))


def _fault(at: str, path: Sequence[str | int], code: str, detail: str) -> Fault:
    return Fault(at + "".join(f"/{escaped(str(part))}" for part in path), code, detail[:300])


def _json(content: bytes) -> object:
    if len(content) > MOST_BYTES:
        raise InvalidWorkflow([Fault(POINTER, "too_long", f"At most {MOST_BYTES} bytes.")])
    try:
        value = json.loads(
            content.decode(), parse_constant=_refuse_constant, object_pairs_hook=_once
        )
        _check_plain(value)
    except RecursionError:
        detail = "It is nested too deeply."
    except UnicodeDecodeError:
        detail = "It is not UTF-8."
    except ValueError as error:
        detail = f"It is not JSON: {error}."
    else:
        return value
    raise InvalidWorkflow([_fault(POINTER, (), "invalid_json", detail)])


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number")


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a name stands twice in one object")
    return found


def _check_plain(value: object) -> None:
    """Refuse what a database cannot hold, and nests that code cannot walk."""
    level = [value]
    for _ in range(MOST_LEVELS):
        below: list[object] = []
        for item in level:
            if isinstance(item, str):
                if "\0" in item or any("\ud800" <= character <= "\udfff" for character in item):
                    raise ValueError("a text has a character that is none")
            elif isinstance(item, float) and not math.isfinite(item):
                raise ValueError("a number is too large")
            elif isinstance(item, dict):
                below += item.keys()
                below += item.values()
            elif isinstance(item, list):
                below += item
        if not below:
            return
        level = below
    raise ValueError(f"it is nested deeper than {MOST_LEVELS} levels")


# --- What the schema says ------------------------------------------------------------------------

_Found = tuple[Sequence[str | int], str, str]


def _pattern(_: Validator, pattern: str, instance: object, __: object) -> Iterator[ValidationError]:
    """Find a pattern as ECMA-262 means it: `$` is the very end, not before a last line break."""
    if isinstance(instance, str) and not re.search(pattern.replace("$", r"\Z"), instance):
        yield ValidationError("It has another form.")


def _items(
    validator: Validator, items: object, instance: object, within: Mapping[str, Any]
) -> Iterator[ValidationError]:
    """Look at the items of a list that is not too long: another may have millions."""
    if isinstance(instance, list) and len(instance) <= within["maxItems"]:
        yield from Draft202012Validator.VALIDATORS["items"](validator, items, instance, within)


def _unique(
    validator: Validator, unique: object, instance: object, within: Mapping[str, Any]
) -> Iterator[ValidationError]:
    """The same for comparing them with each other."""
    if isinstance(instance, list) and len(instance) <= within["maxItems"]:
        checked = Draft202012Validator.VALIDATORS["uniqueItems"]
        yield from checked(validator, unique, instance, within)


_SENTENCES = {
    "type": ("invalid_type", "Expected a JSON {wanted}."),
    "const": ("invalid", "Expected {wanted}."),
    "enum": ("invalid", "Expected one of {wanted}."),
    "maxLength": ("too_long", "At most {wanted} characters."),
    "minItems": ("required", "At least {wanted}."),
    "maxItems": ("too_many", "At most {wanted}."),
    "uniqueItems": ("duplicate", "Name each once."),
}
_Bounded = extend(  # type: ignore[no-untyped-call] # untyped in the stubs
    Draft202012Validator, {"pattern": _pattern, "items": _items, "uniqueItems": _unique}
)


def _misfits(value: object) -> list[_Found]:
    """Return what does not fit the schema, at most twenty."""
    found: dict[_Found, None] = {}
    for error in islice(_Bounded(schema()).iter_errors(value), MOST_FAULTS):
        for one in _said(error):
            found[one] = None
    return list(found)[:MOST_FAULTS]


def _said(error: ValidationError) -> Iterator[_Found]:
    """Say what is wrong in our words, without repeating what was sent."""
    path, keyword, within = tuple(error.absolute_path), str(error.validator), error.schema
    assert isinstance(within, Mapping), "no part of the schema is a mere true or false"
    given: Any = error.instance
    wanted: Any = error.validator_value
    if keyword == "required":
        for name in wanted:
            if name not in given:
                yield (*path, name), "required", "This field is required."
    elif keyword == "additionalProperties":
        known = within["properties"]
        expected = f"Expected {', '.join(sorted(known))}."
        for name in islice((one for one in given if one not in known), MOST_FAULTS):
            yield (*path, name[:100]), "unknown_field", expected
    else:
        code, sentence = _SENTENCES.get(keyword, ("invalid", "{about}"))
        shown = ", ".join(wanted) if isinstance(wanted, list) else wanted
        about = within.get("description", "It has another form.")
        yield path, code, sentence.format(wanted=shown, about=about)


# --- What a schema cannot say --------------------------------------------------------------------


def _contradictions(workflow: Workflow) -> list[_Found]:
    found = [*_strange_references(workflow), *_strange_ranges(workflow)]
    if not found:
        found += _cycles(workflow)
    whole = sum(step.share_bps for step in workflow.steps)
    if whole != WHOLE_BPS:
        said = f"The shares add up to {share_text(whole)}; they have to make 1."
        found.append((("steps",), "shares_do_not_add_up", said))
    return found[:MOST_FAULTS]


def _strange_references(workflow: Workflow) -> Iterator[_Found]:
    keys = [step.key for step in workflow.steps]
    for place, step in enumerate(workflow.steps):
        if step.key in keys[:place]:
            yield ("steps", place, "key"), "duplicate", "Give each step a key of its own."
        for at, key in enumerate(step.depends_on):
            if key not in keys:
                yield ("steps", place, "depends_on", at), "unknown_step", "No step has this key."
        for at, one in enumerate(step.inputs):
            if one.origin is not None and one.origin not in step.depends_on:
                said = "A step has inputs from steps that it depends on."
                yield ("steps", place, "inputs", at, "from"), "unknown_step", said


def _strange_ranges(workflow: Workflow) -> Iterator[_Found]:
    for place, step in enumerate(workflow.steps):
        named = [needed.asset for needed in step.assets]
        for at, needed in enumerate(step.assets):
            if not semver.is_range(needed.constraint):
                said = "Give a range such as ^1.2 or >=1 <3 after the @."
                yield ("steps", place, "assets", at), "invalid_range", said
            if needed.asset in named[:at]:
                said = "Name an asset once, with one range."
                yield ("steps", place, "assets", at), "duplicate", said


def _cycles(workflow: Workflow) -> Iterator[_Found]:
    order = TopologicalSorter({step.key: step.depends_on for step in workflow.steps})
    try:
        order.prepare()
    except CycleError as cycle:
        # Each of them is waited for by the next; the first stands at the end once more.
        around = cycle.args[1][::-1]
        place = [step.key for step in workflow.steps].index(around[0])
        said = f"No step of a cycle can begin: {' waits for '.join(around)}."
        yield ("steps", place, "depends_on"), "cycle", said


def require_in_range(workflow: Workflow, chosen: Mapping[str, str]) -> None:
    """Check that the chosen versions are among those that the steps say will do.

    Args:
        workflow: Whose steps name assets.
        chosen: The number of each of them, by `owner/name`.

    Raises:
        InvalidWorkflow: They are not.
    """
    faults = [
        _fault(
            POINTER,
            ("steps", place, "assets", at),
            "not_in_range",
            f"{needed.asset} resolves to {chosen[needed.asset]}: let every step, and the"
            " dependency, name ranges that have one version in common.",
        )
        for place, step in enumerate(workflow.steps)
        for at, needed in enumerate(step.assets)
        if not semver.matches(needed.constraint, chosen[needed.asset])
    ]
    if faults:
        raise InvalidWorkflow(faults[:MOST_FAULTS])


def pinned(workflow: Workflow, chosen: Mapping[str, str]) -> Workflow:
    """Return *workflow* with each asset at the one version that was chosen of it.

    Args:
        workflow: Whose steps name assets.
        chosen: The number of each of them, by `owner/name`.
    """
    steps = (
        replace(
            step,
            assets=tuple(NeededAsset(one.asset, chosen[one.asset]) for one in step.assets),
        )
        for step in workflow.steps
    )
    return replace(workflow, steps=tuple(steps))


# --- Between text and values ---------------------------------------------------------------------


def share_bps(text: str) -> int:
    """Return the basis points of a share such as `0.25`, which is known to be well-formed."""
    return int(Decimal(text) * WHOLE_BPS)


def share_text(bps: int) -> str:
    """Return a share as it is written: a decimal number in its shortest form."""
    return f"{(Decimal(bps) / WHOLE_BPS).normalize():f}"


def _workflow(value: Any) -> Workflow:  # noqa: ANN401 - JSON that fits the schema
    return Workflow(
        title=value["title"],
        description=value.get("description", ""),
        steps=tuple(_step(one) for one in value["steps"]),
    )


def _step(value: Mapping[str, Any]) -> Step:
    return Step(
        key=value["key"],
        title=value["title"],
        description=value["description"],
        share_bps=share_bps(value["share"]),
        depends_on=tuple(value.get("depends_on", ())),
        inputs=tuple(
            Input(one["name"], one.get("description", ""), one.get("from"))
            for one in value.get("inputs", ())
        ),
        assets=tuple(_needed(one) for one in value.get("assets", ())),
        mode=value.get("mode", "claim"),
        acceptance=value.get("acceptance", "manual"),
        verification=tuple(value.get("verification", ())),
        requirements=tuple(value.get("requirements", ())),
        tags=tuple(value.get("tags", ())),
        runner_up_bps=share_bps(value.get("runner_up_share", "0")),
        delegation_bps=share_bps(value.get("delegation_limit", "0")),
    )


def _needed(text: str) -> NeededAsset:
    asset, _, constraint = text.partition("@")
    return NeededAsset(asset, constraint or "*")


def written(workflow: Workflow) -> bytes:
    """Return the bytes of a `workflow.json` that says *workflow*; `parse` reads it again."""
    said = {
        "schema_version": 1,
        "title": workflow.title,
        "description": workflow.description,
        "steps": [_as_json(step) for step in workflow.steps],
    }
    return json.dumps(_filled(said), ensure_ascii=False, indent=2).encode() + b"\n"


def _as_json(step: Step) -> dict[str, object]:
    limits = {"runner_up_share": step.runner_up_bps, "delegation_limit": step.delegation_bps}
    said: dict[str, object] = {
        "key": step.key,
        "title": step.title,
        "description": step.description,
        "share": share_text(step.share_bps),
        "depends_on": list(step.depends_on),
        "inputs": [
            _filled({"name": one.name, "description": one.description, "from": one.origin})
            for one in step.inputs
        ],
        "assets": [str(needed) for needed in step.assets],
        "mode": step.mode,
        "acceptance": step.acceptance,
        "verification": list(step.verification),
        "requirements": list(step.requirements),
        "tags": list(step.tags),
        **{name: share_text(bps) for name, bps in limits.items() if bps},
    }
    return _filled(said)


def _filled(said: Mapping[str, object]) -> dict[str, object]:
    return {name: value for name, value in said.items() if value not in (None, "", [])}
