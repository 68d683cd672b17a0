"""What holds for every call: problem documents, strict JSON, request ids, no HTML."""

import json

import pytest
from pytest_django import Settings

from marketplace.delivery.models import Delivery
from marketplace.foundation.transactions import Busy
from tests.api.caller import Caller, a_visitor, invalid, nothing_changes, ok, problem, somebody

pytestmark = pytest.mark.django_db

TASK = b'{"title": "x", "description": "x", "bounty": "5"}'


@pytest.mark.parametrize("path", ["/nothing", "/tasks/", "/", "/tasks/a/b/c/d", "/Tasks"])
def test_an_unknown_path_is_a_problem_document(path: str) -> None:
    problem(a_visitor().get(path), 404, "not_found")


@pytest.mark.parametrize("path", ["/api/", "/api/v2/tasks", "/api/v1"])
def test_an_unknown_path_beside_the_contract_is_a_problem_document(path: str) -> None:
    problem(a_visitor().client.get(path), 404, "not_found")


@pytest.mark.parametrize(
    ("method", "path"),
    [("DELETE", "/tasks"), ("PUT", "/me"), ("POST", "/credits"), ("PATCH", "/participants")],
)
def test_a_wrong_method_is_a_problem_document_that_names_the_right_ones(
    method: str, path: str
) -> None:
    ada = somebody()

    with nothing_changes():
        answer = ada.send(method, path, b"{}")

    problem(answer, 405, "method_not_allowed")
    assert "GET" in answer.headers["Allow"]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"{'a': 1}",
        b"\xff",
        b"\xef\xbb\xbf{}",
        '{"title": "x"}'.encode("utf-16"),
        b'{"bounty": NaN}',
        b'{"bounty": Infinity}',
        b'{"bounty": -Infinity}',
        b'{"title": "a", "title": "b"}',
        b'{"title": {"a": 1, "a": 2}}',
        b'{"title": "\\u0000"}',
        b'{"title": "\\udfff"}',
        b'{"\\u0000": 1}',
        b'{"bounty": ' + b"9" * 5000 + b"}",
        b"[" * 100_000,
        b'{"title": ' + b"[" * 101 + b"]" * 101 + b"}",
        b'{"title": ' + b'{"a":' * 101 + b"1" + b"}" * 101 + b"}",
    ],
    ids=lambda body: repr(body[:24]),
)
def test_a_body_that_is_no_json_as_this_service_reads_it_is_refused(body: bytes) -> None:
    ada = somebody()

    with nothing_changes():
        answer = ada.send("POST", "/tasks", body)

    assert answer.status_code == 400
    expected = "validation_error" if body == b"" else "malformed_json"
    problem(answer, 400, expected)


@pytest.mark.parametrize("body", [b"[]", b"null", b'"x"', b"5", b"true"])
def test_json_that_is_no_object_is_refused(body: bytes) -> None:
    ada = somebody()

    with nothing_changes():
        answer = ada.send("POST", "/tasks", body)

    problem(answer, 400, "validation_error")


@pytest.mark.parametrize("number", [b"1e400", b"-1e400", b"1e999999"])
def test_a_number_that_no_float_holds_is_refused(number: bytes) -> None:
    ada = somebody()

    with nothing_changes():
        answer = ada.send("POST", "/tasks", TASK.replace(b'"5"', number))

    assert answer.status_code == 400


def test_many_names_that_stand_once_and_one_that_stands_twice_are_refused_quickly() -> None:
    members = ",".join(f'"{number}":1' for number in range(100_000))

    answer = somebody().send("POST", "/tasks", f'{{{members},"99999":2}}'.encode())

    problem(answer, 400, "malformed_json")


@pytest.mark.parametrize(
    "content_type", ["text/plain", "application/x-www-form-urlencoded", "application/xml", ""]
)
def test_another_media_type_is_refused(content_type: str) -> None:
    ada = somebody()

    with nothing_changes():
        answer = ada.send("POST", "/tasks", TASK, content_type=content_type)

    problem(answer, 415, "unsupported_media_type")


@pytest.mark.parametrize("accept", ["text/html", "application/xml", "image/*"])
def test_nothing_but_json_can_be_asked_for(accept: str) -> None:
    problem(a_visitor().get("/tasks", accept=accept), 406, "not_acceptable")


def test_a_form_that_cannot_be_read_is_refused() -> None:
    ada = somebody()

    with nothing_changes():
        answer = ada.send("POST", "/files", b"junk", content_type="multipart/form-data")

    assert answer.status_code == 400
    assert answer.headers["Content-Type"] == "application/problem+json"


def test_a_host_that_is_not_ours_gets_a_problem_document() -> None:
    answer = a_visitor().client.get("/api/v1/tasks", headers={"Host": "evil.example"})

    problem(answer, 400, "bad_request")


def test_unknown_query_parameters_are_refused_where_none_are_taken() -> None:
    ada = somebody()

    with nothing_changes():
        answers = [
            ada.get("/credits", colour="red"),
            ada.send("POST", "/tasks?dryrun=true", TASK),
            ada.send("POST", "/credits/transfers?dry_run=true", b"{}"),
        ]

    invalid(answers[0], "?colour", "unknown_field")
    invalid(answers[1], "?dryrun", "unknown_field")
    invalid(answers[2], "?dry_run", "unknown_field")


def test_a_request_id_is_given_back_and_stands_in_the_problem() -> None:
    answer = a_visitor().client.get("/api/v1/nothing", headers={"X-Request-Id": "mine-12345"})

    assert problem(answer, 404, "not_found")["request_id"] == "mine-12345"


@pytest.mark.parametrize("given", ["short", "x" * 65, "with blank", "<script>", ""])
def test_a_request_id_that_is_not_plain_is_replaced(given: str) -> None:
    answer = a_visitor().client.get("/api/v1/nothing", headers={"X-Request-Id": given})

    assert len(problem(answer, 404, "not_found")["request_id"]) == 32


def test_answers_are_for_their_caller_alone() -> None:
    answer = somebody().get("/credits")

    assert answer.headers["Cache-Control"] == "private, no-cache"


# --- What is nobody's fault -----------------------------------------------------------------------


def test_a_bug_is_a_problem_document_that_says_nothing_of_itself(
    monkeypatch: pytest.MonkeyPatch, settings: Settings
) -> None:
    def fail(_: object) -> None:
        raise RuntimeError("the secret is 1234")

    monkeypatch.setattr("marketplace.api.wallets.position_of", fail)
    ada = somebody()
    caller = Caller(ada.key, ada.participant, raises=False)

    answer = caller.get("/credits")

    document = problem(answer, 500, "internal_error")
    assert "1234" not in json.dumps(document)


def test_rows_that_stay_locked_are_a_503_that_says_when_to_come_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def stay_locked(**_: object) -> None:
        raise Busy

    monkeypatch.setattr("marketplace.api.tasks.post_task", stay_locked)

    answer = somebody().send("POST", "/tasks", TASK, Idempotency_Key="k")

    problem(answer, 503, "busy")
    assert answer.headers["Retry-After"] == "1"


def test_what_is_absent_is_told_without_its_name() -> None:
    answer = a_visitor().get("/tasks/task_00000000000000000000000000")

    document = problem(answer, 404, "not_found")
    assert Delivery.__name__ not in document["detail"]
    assert "matching query" not in document["detail"]


def test_the_process_says_that_it_lives_and_that_it_is_ready() -> None:
    client = a_visitor().client

    assert client.get("/healthz").json() == {"status": "ok"}
    assert ok(client.get("/readyz"))["status"] == "ready"
