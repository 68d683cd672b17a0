"""How checks are written: strictly, because they move credits."""

from typing import Any

import pytest

from marketplace.delivery.verification.checks import InvalidCheck, parse, without_answers

EXACT: dict[str, Any] = {"name": "x", "type": "exact", "config": {"expected": 1}}


def schema(of: object, **more: object) -> dict[str, Any]:
    return {"name": "x", "type": "json_schema", "config": {"schema": of, **more}}


def nested(levels: int) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for _ in range(levels):
        found = {"not": found}
    return found


def test_defaults_are_filled_in() -> None:
    (check,) = parse([EXACT])

    assert check.as_json() == {
        "name": "x",
        "type": "exact",
        "required": True,
        "config": {"expected": 1, "pointer": "", "normalise": []},
    }


@pytest.mark.parametrize(
    "check",
    [
        EXACT | {"required": False},
        EXACT | {"config": {"expected": None}},
        EXACT | {"config": {"expected": 1, "pointer": "/a~1b/0", "normalise": ["trim"]}},
        EXACT | {"config": {"expected": 1, "file": "result.json"}},
        schema(True),  # noqa: FBT003 - a schema
        schema(False),  # noqa: FBT003
        schema({"$ref": "#/$defs/a", "$defs": {"a": {"type": "string"}}}),
        schema({"$schema": "https://json-schema.org/draft/2020-12/schema"}),
        schema(nested(15)),
        schema({"properties": {"$ref": {"type": "string"}}}),
    ],
)
def test_checks_that_can_decide_are_taken(check: dict[str, Any]) -> None:
    assert len(parse([check])) == 1


@pytest.mark.parametrize(
    ("check", "pointer", "code"),
    [
        (None, "", "invalid"),
        ({"type": "exact"}, "/name", "required"),
        ({"name": "x"}, "/type", "required"),
        (EXACT | {"name": "x" * 101}, "/name", "invalid"),
        (EXACT | {"name": 5}, "/name", "invalid"),
        (EXACT | {"required": "yes"}, "/required", "invalid"),
        (EXACT | {"weight": 1}, "/weight", "unknown_field"),
        (EXACT | {"type": "llm"}, "/type", "unknown_check_type"),
        (EXACT | {"type": ["exact"]}, "/type", "unknown_check_type"),
        (EXACT | {"config": []}, "/config", "invalid"),
        (EXACT | {"config": {}}, "/config/expected", "required"),
        (EXACT | {"config": {"expected": 1, "x": 1}}, "/config/x", "unknown_field"),
        (EXACT | {"config": {"expected": 1, "pointer": "a"}}, "/config/pointer", "invalid_pointer"),
        (EXACT | {"config": {"expected": 1, "pointer": 1}}, "/config/pointer", "invalid_pointer"),
        (EXACT | {"config": {"expected": 1, "file": ""}}, "/config/file", "invalid"),
        (EXACT | {"config": {"expected": 1, "file": "a/b"}}, "/config/file", "invalid"),
        (
            EXACT | {"config": {"expected": 1, "normalise": "trim"}},
            "/config/normalise",
            "unknown_normalisation",
        ),
        (
            EXACT | {"config": {"expected": 1, "normalise": [{}]}},
            "/config/normalise",
            "unknown_normalisation",
        ),
        (schema(5), "/config/schema", "invalid_schema"),
        (schema({"type": "thing"}), "/config/schema/type", "invalid_schema"),
        (schema({"pattern": "("}), "/config/schema/pattern", "invalid_schema"),
        (schema({"$ref": "https://evil/x"}), "/config/schema/$ref", "remote_reference"),
        (schema({"$ref": "file:///etc/passwd"}), "/config/schema/$ref", "remote_reference"),
        (schema({"$ref": "other.json"}), "/config/schema/$ref", "remote_reference"),
        (schema({"$dynamicRef": "x"}), "/config/schema/$dynamicRef", "remote_reference"),
        (
            schema({"allOf": [{"$ref": "http://x"}]}),
            "/config/schema/allOf/0/$ref",
            "remote_reference",
        ),
        (
            schema({"$schema": "http://json-schema.org/draft-07/schema#"}),
            "/config/schema/$schema",
            "remote_reference",
        ),
        (schema({"$ref": "#/$defs/no"}), "/config/schema/$ref", "unresolvable_reference"),
        (schema(nested(41)), "/config/schema", "schema_too_large"),
        (schema({"enum": list(range(5000))}), "/config/schema", "schema_too_large"),
    ],
)
def test_checks_that_cannot_decide_are_refused_where_they_are_wrong(
    check: object, pointer: str, code: str
) -> None:
    with pytest.raises(InvalidCheck) as refusal:
        parse([EXACT | {"name": "first"}, check])

    assert (refusal.value.pointer, refusal.value.code) == (f"/1{pointer}", code)


def test_each_check_has_a_name_of_its_own() -> None:
    with pytest.raises(InvalidCheck) as refusal:
        parse([EXACT, EXACT])

    assert (refusal.value.pointer, refusal.value.code) == ("/1/name", "duplicate")


def test_there_are_few_and_they_are_small() -> None:
    many = [EXACT | {"name": str(number)} for number in range(11)]
    large = EXACT | {"config": {"expected": "x" * 40_000}}

    for given, code in ((many, "too_many"), ([large], "too_large")):
        with pytest.raises(InvalidCheck) as refusal:
            parse(given)
        assert refusal.value.code == code


def test_answers_are_left_out_and_nothing_else() -> None:
    (check,) = parse([EXACT | {"config": {"expected": 1, "pointer": "/a"}}])

    (shown,) = without_answers([check.as_json()])

    assert shown["config"] == {"pointer": "/a", "normalise": []}
    assert check.config["expected"] == 1
