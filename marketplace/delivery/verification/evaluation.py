"""What a check says of what was delivered: a pure function over JSON.

It runs in a process of its own (`isolation.py`): a schema's regular expression can take for ever,
and nothing of that may happen inside a worker.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass

from jsonschema import Draft202012Validator
from referencing import Registry

from marketplace.delivery.verification.checks import EXACT, JSON_SCHEMA
from marketplace.delivery.verification.normalisation import equal

MOST_ERRORS_SHOWN = 5
MOST_DETAIL_CHARACTERS = 4_000
PASSED, FAILED, ERROR = "passed", "failed", "error"


@dataclass(frozen=True, slots=True)
class Finding:
    """A verdict (`passed`, `failed` or `error`) and one paragraph on why."""

    state: str
    detail: str


def limited(
    type: str,  # noqa: A002 - the contract's word
    config: Mapping[str, object],
    result: object,
    files: Mapping[str, str],
) -> Finding:
    """Evaluate a check and return a finding that can be stored, whatever was delivered.

    A limit that the delivery passes is its failure (rule 17): the caller has seen the same check
    end on an empty delivery.
    """
    try:
        finding = evaluate(type, config, result, files)
    except (RecursionError, MemoryError):
        return Finding(FAILED, "What was delivered is nested too deeply, or too large, to check.")
    # No NUL and no half of a surrogate pair: PostgreSQL stores neither.
    text = finding.detail.encode(errors="replace").decode().replace("\0", "\ufffd")
    return Finding(finding.state, text[:MOST_DETAIL_CHARACTERS])


class Missing(Exception):
    """The delivery lacks what the check looks at."""


def evaluate(
    type: str,  # noqa: A002 - the contract's word
    config: Mapping[str, object],
    result: object,
    files: Mapping[str, str],
) -> Finding:
    """Return what one check says.

    Args:
        type: `json_schema` or `exact`.
        config: As `checks.parse` left it.
        result: The delivery's JSON result; None where there is none.
        files: Contents of the delivered files that the check names, as text.
    """
    try:
        subject = _subject(config, result, files)
    except Missing as missing:
        return Finding(FAILED, str(missing))
    if type == JSON_SCHEMA:
        return _json_schema(config["schema"], subject)
    if type == EXACT:
        return _exact(config, subject)
    return Finding(ERROR, f"this service knows no check of type {type}")


def _subject(config: Mapping[str, object], result: object, files: Mapping[str, str]) -> object:
    name = config.get("file")
    if name is None:
        if result is None:
            raise Missing("The delivery has no result.")
        return result
    if name not in files:
        raise Missing(f"The delivery has no file named {name}.")
    try:
        return json.loads(files[str(name)])
    except (ValueError, RecursionError):
        raise Missing(f"{name} is not JSON.") from None


def _json_schema(schema: object, subject: object) -> Finding:
    # An empty registry: nothing outside the schema is ever fetched.
    validator = Draft202012Validator(
        schema,  # type: ignore[arg-type]
        registry=Registry(),
        format_checker=Draft202012Validator.FORMAT_CHECKER,
    )
    errors = []
    for error in validator.iter_errors(subject):
        errors.append(f"{error.json_path[:200]}: {error.message[:200]}")
        if len(errors) > MOST_ERRORS_SHOWN:
            break
    if not errors:
        return Finding(PASSED, "The result fits the schema.")
    shown = errors[:MOST_ERRORS_SHOWN]
    if len(errors) > MOST_ERRORS_SHOWN:
        shown.append("… and more")
    return Finding(FAILED, "\n".join(shown))


def _exact(config: Mapping[str, object], subject: object) -> Finding:
    pointer = str(config["pointer"])
    try:
        given = _resolve(subject, pointer)
    except Missing as missing:
        return Finding(FAILED, str(missing))
    steps = config["normalise"]
    assert isinstance(steps, list)
    if equal(config["expected"], given, steps):
        return Finding(PASSED, "The answer is the expected one.")
    # What was expected stays hidden until the task is settled.
    return Finding(FAILED, f"The answer at {pointer or 'the top'} is not the expected one.")


def _resolve(value: object, pointer: str) -> object:
    """Return what a JSON pointer (RFC 6901) leads to."""
    for raw in pointer.split("/")[1:]:
        part = raw.replace("~1", "/").replace("~0", "~")
        if isinstance(value, dict) and part in value:
            value = value[part]
        elif (
            isinstance(value, list) and part.isascii() and part.isdigit() and int(part) < len(value)
        ):
            value = value[int(part)]
        else:
            raise Missing(f"The result has nothing at {pointer}.")
    return value
