"""What a check says of what was delivered."""

import json
from typing import Any, TypeAlias

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketplace.delivery.verification.checks import parse
from marketplace.delivery.verification.evaluation import Finding, limited
from marketplace.delivery.verification.normalisation import NORMALISATIONS, equal

Config: TypeAlias = Any  # what a poster may write, checked by `parse`


def find(
    kind: str, result: object, files: dict[str, str] | None = None, **config: Config
) -> Finding:
    (check,) = parse([{"name": "x", "type": kind, "config": config}])
    return limited(check.type, check.config, result, files or {})


@pytest.mark.parametrize(
    ("config", "result", "state"),
    [
        ({"expected": {"a": [1, 2]}}, {"a": [1, 2]}, "passed"),
        ({"expected": {"a": 1, "b": 2}}, {"b": 2, "a": 1}, "passed"),
        ({"expected": [1, 2]}, [2, 1], "failed"),
        ({"expected": 1}, 1.0, "passed"),
        ({"expected": 1}, "1", "failed"),
        ({"expected": 1}, True, "failed"),
        ({"expected": None}, {"a": None}, "failed"),
        ({"expected": None, "pointer": "/a"}, {"a": None}, "passed"),
        ({"expected": 2, "pointer": "/a/1"}, {"a": [1, 2]}, "passed"),
        ({"expected": 2, "pointer": "/a~1b"}, {"a/b": 2}, "passed"),
        ({"expected": 2, "pointer": "/m~0n"}, {"m~n": 2}, "passed"),
        ({"expected": 2, "pointer": "/a/2"}, {"a": [1, 2]}, "failed"),
        ({"expected": 2, "pointer": "/a/-1"}, {"a": [1, 2]}, "failed"),
        ({"expected": 2, "pointer": "/a/\u0661"}, {"a": [1, 2]}, "failed"),
        ({"expected": 2, "pointer": "/a/b"}, {"a": 2}, "failed"),
        ({"expected": 2, "pointer": "/"}, {"": 2}, "passed"),
        ({"expected": "Yes", "normalise": ["trim", "casefold"]}, " YES\n", "passed"),
        ({"expected": "a b", "normalise": ["collapse_whitespace"]}, "a \t\n b", "passed"),
        ({"expected": "\u00e9", "normalise": ["unicode_nfc"]}, "e\u0301", "passed"),
        ({"expected": "\u00e9"}, "e\u0301", "failed"),
        ({"expected": {"A": "x"}, "normalise": ["casefold"]}, {"a": "X"}, "passed"),
    ],
)
def test_exact(config: dict[str, Any], result: object, state: str) -> None:
    assert find("exact", result, **config).state == state


def test_a_wrong_answer_does_not_give_the_right_one_away() -> None:
    finding = find("exact", {"answer": 41}, expected=424_242, pointer="/answer")

    assert finding.state == "failed"
    assert "424242" not in finding.detail


@pytest.mark.parametrize(
    ("schema", "result", "state"),
    [
        ({"type": "object", "required": ["a"]}, {"a": 1}, "passed"),
        ({"type": "object", "required": ["a"]}, {}, "failed"),
        ({"format": "date"}, "2026-02-30", "failed"),
        ({"pattern": "^a+$"}, "aaa", "passed"),
        (False, {}, "failed"),
        (True, {}, "passed"),
        ({"$ref": "#/$defs/a", "$defs": {"a": {"const": 1}}}, 1, "passed"),
    ],
)
def test_json_schema(schema: object, result: object, state: str) -> None:
    assert find("json_schema", result, schema=schema).state == state


def test_of_many_faults_the_first_five_are_told() -> None:
    finding = find("json_schema", ["x"] * 100, schema={"items": {"type": "integer"}})

    lines = finding.detail.splitlines()
    assert len(lines) == 6
    assert lines[0].startswith("$[0]: 'x' is not of type")
    assert lines[-1] == "… and more"


@pytest.mark.parametrize("kind", ["exact", "json_schema"])
def test_a_named_file_is_looked_at_in_place_of_the_result(kind: str) -> None:
    config: Config = {"expected": {"a": 1}} if kind == "exact" else {"schema": {"required": ["a"]}}
    config["file"] = "out.json"

    assert find(kind, {"a": 2}, {"out.json": '{"a": 1}'}, **config).state == "passed"
    assert find(kind, {"a": 1}, {"out.json": "{}"}, **config).state == "failed"
    assert find(kind, {"a": 1}, {}, **config).detail == "The delivery has no file named out.json."
    for broken in ("{", "\0", "[" * 100_000):
        assert find(kind, {}, {"out.json": broken}, **config).detail == "out.json is not JSON."


@pytest.mark.parametrize("kind", ["exact", "json_schema"])
def test_a_delivery_without_a_result_fails(kind: str) -> None:
    config = {"expected": None} if kind == "exact" else {"schema": True}

    finding = find(kind, None, **config)

    assert (finding.state, finding.detail) == ("failed", "The delivery has no result.")


def test_what_a_finding_says_can_be_stored() -> None:
    finding = find("json_schema", "\0\ud800" * 50_000, schema={"type": "integer"})

    finding.detail.encode()
    assert "\0" not in finding.detail
    assert len(finding.detail) <= 4_000


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
STEPS = st.lists(st.sampled_from(sorted(NORMALISATIONS)), max_size=4)


@given(JSON, STEPS)
def test_whatever_the_answer_it_equals_itself(answer: object, steps: list[str]) -> None:
    assert equal(answer, json.loads(json.dumps(answer)), steps)


@given(JSON, JSON)
def test_equality_goes_both_ways_and_follows_pythons(one: object, other: object) -> None:
    assert equal(one, other, []) == equal(other, one, [])
    if equal(one, other, []):
        assert json.dumps(one) == json.dumps(other) or one == other
