"""The checks that a poster may ask for: how they are written, and that they can decide.

A check is `{name, type, required?, config}`. Parsing is strict, because a check that says something
other than its poster meant moves credits.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError
from referencing import Registry
from referencing.exceptions import Unresolvable
from referencing.jsonschema import DRAFT202012

from marketplace.delivery.verification.normalisation import NORMALISATIONS
from marketplace.files.names import plain_name

MOST_CHECKS = 10
MOST_NAME_CHARACTERS = 100
MOST_SCHEMA_DEPTH = 40
MOST_SCHEMA_NODES = 2_000
MOST_BYTES = 32_768  # of all checks of a task together: they are shown to whoever looks at it

JSON_SCHEMA = "json_schema"
EXACT = "exact"


Schema: TypeAlias = dict[str, object] | bool


class InvalidCheck(Exception):
    """A check that cannot be run, or cannot decide.

    Attributes:
        pointer: JSON pointer below `verification`, such as `/0/config/schema`.
        code: Stable name of what is wrong.
    """

    def __init__(self, *, pointer: str, code: str, detail: str) -> None:
        super().__init__(detail)
        self.pointer = pointer
        self.code = code


@dataclass(frozen=True, slots=True)
class Check:
    """One check, parsed.

    Attributes:
        name: What the poster calls it; unique within the task.
        type: `json_schema` or `exact`.
        required: Whether a failure stands against the delivery.
        config: What its type asks for, with every default filled in.
    """

    name: str
    type: str
    required: bool
    config: dict[str, object]

    def as_json(self) -> dict[str, object]:
        """Return the form that tasks store and the API shows."""
        return {
            "name": self.name,
            "type": self.type,
            "required": self.required,
            "config": self.config,
        }


def parse(given: Sequence[object]) -> list[Check]:
    """Return the checks in *given*.

    Raises:
        InvalidCheck: With the place and what to do.
    """
    if len(given) > MOST_CHECKS:
        raise InvalidCheck(
            pointer="", code="too_many", detail=f"A task has at most {MOST_CHECKS} checks."
        )
    if len(json.dumps(given)) > MOST_BYTES:
        raise InvalidCheck(
            pointer="",
            code="too_large",
            detail=f"The checks of a task have at most {MOST_BYTES} bytes of JSON together.",
        )
    checks = [_parse_one(f"/{index}", raw) for index, raw in enumerate(given)]
    names = [check.name for check in checks]
    for index, name in enumerate(names):
        if name in names[:index]:
            raise InvalidCheck(
                pointer=f"/{index}/name", code="duplicate", detail="Give each check its own name."
            )
    return checks


def _parse_one(at: str, raw: object) -> Check:
    fields = _fields(at, raw, required={"name", "type"}, optional={"required", "config"})
    name = fields["name"]
    if not isinstance(name, str) or not 1 <= len(name) <= MOST_NAME_CHARACTERS:
        raise InvalidCheck(
            pointer=f"{at}/name", code="invalid", detail="A name has 1 to 100 characters."
        )
    required = fields.get("required", True)
    if not isinstance(required, bool):
        raise InvalidCheck(pointer=f"{at}/required", code="invalid", detail="Say true or false.")
    kind = fields["type"]
    parser = _PARSERS.get(kind) if isinstance(kind, str) else None
    if parser is None:
        raise InvalidCheck(
            pointer=f"{at}/type",
            code="unknown_check_type",
            detail=f"Choose one of {', '.join(sorted(_PARSERS))}.",
        )
    config = parser(f"{at}/config", fields.get("config", {}))
    return Check(name=name, type=str(kind), required=required, config=config)


def _fields(
    at: str, raw: object, *, required: set[str], optional: set[str]
) -> Mapping[str, object]:
    if not isinstance(raw, dict):
        raise InvalidCheck(pointer=at, code="invalid", detail="Expected an object.")
    for name in sorted(required - raw.keys()):
        raise InvalidCheck(
            pointer=f"{at}/{name}", code="required", detail="This field is required."
        )
    for name in sorted(raw.keys() - required - optional):
        raise InvalidCheck(
            pointer=f"{at}/{name}",
            code="unknown_field",
            detail=f"Expected {', '.join(sorted(required | optional))}.",
        )
    return raw


def _file_name(at: str, fields: Mapping[str, object]) -> dict[str, object]:
    name = fields.get("file")
    if name is None:
        return {}
    if not isinstance(name, str) or plain_name(name) != name:
        raise InvalidCheck(
            pointer=f"{at}/file",
            code="invalid",
            detail="Name one delivered file, without folders, or leave it out.",
        )
    return {"file": name}


def _json_schema(at: str, raw: object) -> dict[str, object]:
    fields = _fields(at, raw, required={"schema"}, optional={"file"})
    schema = _shaped(f"{at}/schema", fields["schema"])
    try:
        Draft202012Validator.check_schema(schema)
    except SchemaError as error:
        place = "".join(f"/{part}" for part in error.absolute_path)
        raise InvalidCheck(
            pointer=f"{at}/schema{place}", code="invalid_schema", detail=error.message[:300]
        ) from error
    except (RecursionError, OverflowError) as error:  # regular expressions that do not compile
        raise InvalidCheck(
            pointer=f"{at}/schema",
            code="invalid_schema",
            detail="A regular expression in the schema cannot be compiled.",
        ) from error
    _require_references(f"{at}/schema", schema)
    return {"schema": schema, **_file_name(at, fields)}


def _require_references(at: str, schema: Schema) -> None:
    """Refuse a schema that refers to something it does not have: it could never decide."""
    resource = DRAFT202012.create_resource(schema)
    resolver = Registry().with_resource("", resource).resolver()
    for place, node in _nodes(at, schema):
        target = node.get("$ref") if isinstance(node, dict) else None
        if not isinstance(target, str):
            continue
        try:
            resolver.lookup(target)
        except Unresolvable as error:
            raise InvalidCheck(
                pointer=f"{place}/$ref",
                code="unresolvable_reference",
                detail=f"The schema has nothing at {target[:100]}.",
            ) from error


def _nodes(at: str, schema: object) -> Iterator[tuple[str, object]]:
    """Yield every value in a schema that has been found shallow and small, with its place."""
    yield at, schema
    if isinstance(schema, dict):
        for key, value in schema.items():
            yield from _nodes(f"{at}/{key}", value)
    elif isinstance(schema, list):
        for index, value in enumerate(schema):
            yield from _nodes(f"{at}/{index}", value)


def _shaped(at: str, schema: object) -> Schema:
    """Return the schema, unless it is too large, too deep, or reaches outside itself."""
    if not isinstance(schema, (dict, bool)):
        raise InvalidCheck(pointer=at, code="invalid_schema", detail="A schema is an object.")
    nodes = 0
    stack: list[tuple[str, object, int]] = [(at, schema, 0)]
    while stack:
        place, node, depth = stack.pop()
        nodes += 1
        if depth > MOST_SCHEMA_DEPTH or nodes > MOST_SCHEMA_NODES:
            raise InvalidCheck(
                pointer=at,
                code="schema_too_large",
                detail=f"At most {MOST_SCHEMA_DEPTH} levels and {MOST_SCHEMA_NODES} nodes.",
            )
        if isinstance(node, dict):
            for keyword in ("$ref", "$dynamicRef", "$schema"):
                target = node.get(keyword)
                local = target is None or not isinstance(target, str) or target.startswith("#")
                if not local and not (keyword == "$schema" and "2020-12" in str(target)):
                    raise InvalidCheck(
                        pointer=f"{place}/{keyword}",
                        code="remote_reference",
                        detail="A schema refers only to itself (#/$defs/…), in draft 2020-12.",
                    )
            stack.extend((f"{place}/{key}", value, depth + 1) for key, value in node.items())
        elif isinstance(node, list):
            stack.extend((f"{place}/{index}", value, depth + 1) for index, value in enumerate(node))
    return schema


def _exact(at: str, raw: object) -> dict[str, object]:
    fields = _fields(at, raw, required={"expected"}, optional={"pointer", "file", "normalise"})
    pointer = fields.get("pointer", "")
    if not isinstance(pointer, str) or (pointer and not pointer.startswith("/")):
        raise InvalidCheck(
            pointer=f"{at}/pointer",
            code="invalid_pointer",
            detail='A JSON pointer (RFC 6901), such as "/totals"; empty is the whole result.',
        )
    normalise = fields.get("normalise", [])
    if not isinstance(normalise, list) or not all(
        isinstance(step, str) and step in NORMALISATIONS for step in normalise
    ):
        raise InvalidCheck(
            pointer=f"{at}/normalise",
            code="unknown_normalisation",
            detail=f"A list of {', '.join(sorted(NORMALISATIONS))}.",
        )
    return {
        "expected": fields["expected"],
        "pointer": pointer,
        "normalise": list(normalise),
        **_file_name(at, fields),
    }


_PARSERS = {JSON_SCHEMA: _json_schema, EXACT: _exact}


def without_answers(checks: Sequence[Mapping[str, object]]) -> list[dict[str, object]]:
    """Return stored checks as anybody but the poster may see them before settlement (rule 18)."""
    return [
        {**check, "config": {k: v for k, v in dict(check["config"]).items() if k != "expected"}}  # type: ignore[call-overload]
        for check in checks
    ]
