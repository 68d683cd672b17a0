"""Checks under hostile schemas and hostile deliveries: who is at fault, and who pays for it."""

from typing import Any

import pytest
from pytest_django import Settings

from marketplace.delivery.models import CheckRun
from marketplace.delivery.verification import checks, isolation, runs
from marketplace.delivery.verification.isolation import run_check
from marketplace.foundation.transactions import Busy
from tests.builders.work import (
    SLOW_ANSWER,
    a_check_that_never_ends,
    a_schema_check,
    a_submitted_delivery,
    an_exact_check,
    checked,
    everything_handled,
)

DOUBLING: dict[str, Any] = {
    "$ref": "#/$defs/a0",
    "$defs": {
        f"a{n}": {"allOf": [{"$ref": f"#/$defs/a{n + 1}"}, {"$ref": f"#/$defs/a{n + 1}"}]}
        for n in range(30)
    }
    | {"a30": {"type": "object"}},
}


@pytest.mark.parametrize(
    ("config", "result", "files"),
    [
        ({"schema": {"additionalProperties": {"type": "number"}}}, {"k" * 70_000: "x"}, {}),
        ({"schema": {"type": "array"}, "file": "a.json"}, None, {"a.json": '{"\\u0000": 1}'}),
        (
            {"schema": {"additionalProperties": {"type": "number"}}, "file": "a.json"},
            None,
            {"a.json": '{"\\ud800": "x", "\\u0000": "x"}'},
        ),
        ({"schema": {"type": "object"}, "file": "a.json"}, None, {"a.json": "[" * 50_000}),
    ],
)
def test_a_delivery_cannot_turn_its_failure_into_an_error(
    config: dict[str, Any], result: object, files: dict[str, str]
) -> None:
    report = run_check("json_schema", config, result, files)

    assert report.state == "failed"
    report.detail.encode()
    assert "\0" not in report.detail


def test_an_answer_that_is_nested_too_deeply_to_compare_has_failed() -> None:
    deep: object = 1
    for _ in range(600):
        deep = [deep]

    report = run_check("exact", {"expected": 1, "pointer": "", "normalise": ["trim"]}, deep, {})

    assert report.state == "failed"


def test_a_delivery_on_which_the_check_does_not_end_has_failed(settings: Settings) -> None:
    settings.CHECK_WALL_SECONDS = 5  # the start of a process counts, and machines are busy
    check = a_check_that_never_ends()

    report = run_check("json_schema", check["config"], SLOW_ANSWER, {})  # type: ignore[arg-type]

    assert report.state == "failed"
    assert "did not end" in report.detail


def test_a_check_that_never_ends_is_an_error(settings: Settings) -> None:
    settings.CHECK_WALL_SECONDS = 5  # the start of a process counts, and machines are busy

    report = run_check("json_schema", {"schema": DOUBLING}, {"a": 1}, {})

    assert report.state == "error"


@pytest.mark.django_db
def test_a_check_that_cannot_run_is_tried_three_times_and_counts_against_nobody(
    settings: Settings,
) -> None:
    settings.CHECK_WALL_SECONDS = 1
    delivery = checked(a_submitted_delivery(verification=[a_schema_check(DOUBLING)]))

    run = CheckRun.objects.get(delivery=delivery)

    assert (run.state, run.attempts) == ("error", 3)
    assert delivery.checks_ended_at is not None
    assert delivery.state == "submitted"  # the review has begun; the poster may decide


def test_checks_decide_only_where_they_fail_an_empty_delivery() -> None:
    passes, fails = (
        checks.Check("c", "json_schema", required=True, config={"schema": schema})
        for schema in ({"type": "object"}, {"required": ["a"]})
    )
    optional = checks.Check("c", "json_schema", required=False, config=fails.config)
    endless = checks.Check("c", "json_schema", required=True, config={"schema": DOUBLING})

    assert runs.can_decide([passes, fails])
    assert not runs.can_decide([passes])
    assert not runs.can_decide([optional])
    assert not runs.can_decide([])
    assert not runs.can_decide([fails, endless])


def test_only_so_many_proofs_run_at_once() -> None:
    check = checks.Check("c", "json_schema", required=True, config={"schema": {"required": ["a"]}})
    taken = [isolation._proofs.acquire(blocking=False) for _ in range(isolation.PROOFS_AT_ONCE)]  # noqa: SLF001 - fills the semaphore
    try:
        with pytest.raises(Busy):
            runs.can_decide([check])
    finally:
        for _ in taken:
            isolation._proofs.release()  # noqa: SLF001
    assert all(taken)
    assert runs.can_decide([check])


@pytest.mark.parametrize(
    ("schema", "code"),
    [
        ({"$ref": "#/$defs/none"}, "unresolvable_reference"),
        ({"$ref": "http://127.0.0.1/schema"}, "remote_reference"),
        ({"pattern": "a{99999999999999999999}"}, "invalid_schema"),
        ({"pattern": "(" * 5_000 + ")" * 5_000}, "invalid_schema"),
        ({"type": "nothing"}, "invalid_schema"),
        ({"title": "x" * 40_000}, "too_large"),
        ({"enum": list(range(3_000))}, "schema_too_large"),
        ("object", "invalid_schema"),
    ],
)
def test_a_schema_that_could_not_decide_is_refused_at_posting(schema: object, code: str) -> None:
    with pytest.raises(checks.InvalidCheck) as refusal:
        checks.parse([{"name": "shape", "type": "json_schema", "config": {"schema": schema}}])

    assert refusal.value.code == code


@pytest.mark.django_db
def test_a_named_file_is_what_is_checked_and_a_missing_one_has_failed() -> None:
    delivery = checked(
        a_submitted_delivery(
            verification=[a_schema_check({"type": "object"}, file="totals.json"), an_exact_check()]
        )
    )

    states = dict(CheckRun.objects.filter(delivery=delivery).values_list("name", "state"))

    assert states == {"shape": "failed", "totals": "passed"}


@pytest.mark.django_db
def test_checks_that_no_worker_takes_end_as_errors(settings: Settings) -> None:
    delivery = a_submitted_delivery(verification=[an_exact_check()])
    settings.CHECK_PENDING_SECONDS = 0
    run = CheckRun.objects.get(delivery=delivery)

    assert run.pk in runs.hand_out(1_000)
    assert run.pk not in runs.hand_out(1_000)  # not again within a minute
    runs.give_up_late(1_000)
    run.refresh_from_db()
    everything_handled()

    assert run.state == "error"
