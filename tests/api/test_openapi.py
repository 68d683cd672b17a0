"""The OpenAPI document: valid, complete, and true of the running server."""

import functools
import io
import re
from collections.abc import Iterator
from typing import Any

import pytest
from drf_spectacular.generators import SchemaGenerator
from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator
from referencing import Registry
from referencing.jsonschema import DRAFT202012

from marketplace.api import assets as asset_calls
from marketplace.api.endpoints import Endpoint
from marketplace.api.urls import urlpatterns
from marketplace.disputes.models import Dispute
from marketplace.foundation import ids
from marketplace.threads.models import Message
from marketplace.threads.usecases.redact_message import redact_message
from tests.api.caller import (
    BASE,
    Answer,
    Caller,
    Json,
    a_visitor,
    as_caller,
    ok,
    somebody,
)
from tests.builders.assets import an_asset_name, skill_md
from tests.builders.disputes import before_a_panel, judges, open_seats
from tests.builders.people import a_handle
from tests.builders.staff import a_freeze, somebody_of_staff
from tests.builders.trees import a_task_to_split, accepted, done, now, split
from tests.builders.work import a_rejected_delivery, a_task, everything_handled

pytestmark = pytest.mark.django_db

METHODS = ("get", "post", "patch", "put", "delete")
# The calls of the contract that this part of the product has.
CONTRACT = """
POST /participants
GET /participants
GET /participants/{handle}
GET /participants/{handle}/ratings
GET /me
PATCH /me
POST /me/email
POST /me/email/confirm
GET /me/keys
POST /me/keys
DELETE /me/keys/{key_id}
POST /me/agents
GET /me/agents
GET /credits
GET /credits/statement
GET /credits/statement/{entry_id}/proof
GET /credits/seals
POST /credits/transfers
GET /tasks
POST /tasks
GET /tasks/{task_id}
PATCH /tasks/{task_id}
POST /tasks/{task_id}/claim
POST /tasks/{task_id}/heartbeat
POST /tasks/{task_id}/abandon
POST /tasks/{task_id}/cancel
POST /tasks/{task_id}/block
GET /tasks/{task_id}/messages
POST /tasks/{task_id}/messages
POST /tasks/{task_id}/messages/read
POST /tasks/{task_id}/raise
POST /tasks/{task_id}/decline
GET /tasks/{task_id}/bids
POST /tasks/{task_id}/bids
GET /bids/{bid_id}
DELETE /bids/{bid_id}
POST /bids/{bid_id}/counter
POST /bids/{bid_id}/select
POST /tasks/{task_id}/subtasks
POST /tasks/{task_id}/workflow
GET /tasks/{task_id}/tree
GET /tasks/{task_id}/settlement
POST /tasks/{task_id}/deliveries
GET /tasks/{task_id}/deliveries
GET /deliveries/{delivery_id}
GET /deliveries/{delivery_id}/archive
POST /deliveries/{delivery_id}/accept
POST /deliveries/{delivery_id}/reject
POST /tasks/{task_id}/disputes
GET /disputes
GET /disputes/{dispute_id}
GET /disputes/{dispute_id}/draw
POST /disputes/{dispute_id}/evidence
POST /disputes/{dispute_id}/votes
POST /disputes/{dispute_id}/appeal
POST /deliveries/{delivery_id}/rating
POST /files
GET /files/{file_id}
GET /files/{file_id}/content
GET /assets
POST /assets
POST /assets/resolve
GET /assets/{owner}/{name}
POST /assets/{owner}/{name}/use
GET /assets/{owner}/{name}/{version}
GET /assets/{owner}/{name}/{version}/archive
GET /assets/{owner}/{name}/{version}/graph
GET /assets/{owner}/{name}/{version}/files/{path}
POST /assets/{owner}/{name}/{version}/yank
GET /me/blocks
DELETE /me/blocks/{handle}
GET /me/freezes
POST /freezes/{freeze_id}/appeal
GET /reports
POST /reports
GET /events
GET /notifications
POST /notifications/read
"""


@functools.cache
def the_document() -> dict[str, Any]:
    generator: Any = SchemaGenerator  # untyped in the library
    return dict(generator().get_schema(request=None, public=True))


def operations() -> Iterator[tuple[str, str, Json]]:
    """Yield method, path below the base, and the operation."""
    for path, item in the_document()["paths"].items():
        for method in METHODS:
            if method in item:
                yield method, path.removeprefix(BASE), item[method]


def validator(schema: Json) -> Draft202012Validator:
    whole = DRAFT202012.create_resource(the_document())
    registry = Registry().with_resource("urn:openapi", whole)
    referring = _referring(schema)
    return Draft202012Validator(referring, registry=registry)


def _referring(schema: Json) -> Json:
    """Return a schema whose references name the document."""
    if isinstance(schema, dict):
        return {
            key: f"urn:openapi{value}" if key == "$ref" else _referring(value)
            for key, value in schema.items()
        }
    return [_referring(one) for one in schema] if isinstance(schema, list) else schema


def test_the_document_is_valid_openapi() -> None:
    assert the_document()["openapi"].startswith("3.1")

    OpenAPIV31SpecValidator(the_document()).validate()


def test_the_document_that_is_served_is_the_one_that_is_tested() -> None:
    answer = a_visitor().client.get(f"{BASE}/openapi.json")

    assert answer.status_code == 200
    assert answer.json()["paths"].keys() == the_document()["paths"].keys()


def test_every_call_of_the_contract_is_in_the_document_and_no_other() -> None:
    documented = {f"{method.upper()} {path}" for method, path, _ in operations()}

    assert documented - {"GET /openapi.json"} == set(CONTRACT.strip().splitlines())


def test_every_operation_has_a_name_of_its_own_a_summary_and_problems() -> None:
    names = [operation["operationId"] for _, _, operation in operations()]

    assert len(names) == len(set(names))
    for method, path, operation in operations():
        if path == "/openapi.json":
            continue
        assert operation["description"], (method, path)
        assert "application/problem+json" in operation["responses"]["default"]["content"]


def test_every_post_can_be_repeated_but_the_one_that_writes_nothing() -> None:
    for route in urlpatterns:
        view = getattr(route.callback, "cls", None)
        if view is None or not issubclass(view, Endpoint) or not hasattr(view, "post"):
            continue
        repeatable = getattr(view.post, "is_retryable", False)
        assert repeatable != (view is asset_calls.Resolve), view


def test_the_document_says_which_scope_a_call_needs() -> None:
    needed = {
        f"{method} {path}": operation.get("x-required-scope")
        for method, path, operation in operations()
    }

    assert needed["post /tasks"] == "tasks:write"
    assert needed["post /tasks/{task_id}/claim"] == "work:write"
    assert needed["get /tasks"] is None


def test_calls_that_anybody_may_make_say_so() -> None:
    security = {f"{method} {path}": one["security"] for method, path, one in operations()}

    assert {} in security["get /tasks"]
    assert {} not in security["get /me"]


def examples() -> list[tuple[str, Json, Json]]:
    found = []
    for method, path, operation in operations():
        for media in operation.get("requestBody", {}).get("content", {}).values():
            for name, example in media.get("examples", {}).items():
                found.append((f"{method} {path} {name}", media["schema"], example["value"]))
    return found


def test_there_are_examples_and_each_fits_its_schema() -> None:
    assert len(examples()) >= 4

    for where, schema, value in examples():
        errors = list(validator(schema).iter_errors(value))
        assert errors == [], where


@pytest.mark.parametrize("component", ["TaskIn", "DeliveryIn", "RegistrationIn"])
def test_schemas_of_requests_refuse_what_the_server_refuses(component: str) -> None:
    schema = {"$ref": f"#/components/schemas/{component}"}
    if component not in the_document()["components"]["schemas"]:
        schema["$ref"] += "Request"

    assert not validator(schema).is_valid({})
    assert not validator(schema).is_valid([])


# --- The main journey, held against the document --------------------------------------------------


class Checking:
    """A caller whose every JSON answer has to fit the document."""

    def __init__(self, caller: Caller) -> None:
        self.caller = caller

    def __call__(self, method: str, path: str, body: object = None, status: int = 200) -> Json:
        if method == "GET":
            answer = self.caller.get(path)
        elif method == "PATCH":
            answer = self.caller.patch(path, body, If_Match="*")
        else:
            answer = self.caller.post(path, body)
        fits(method, path, answer)
        if status >= 400:
            assert answer.status_code == status
            return answer.json()
        return ok(answer, status)


def fits(method: str, path: str, answer: Answer) -> None:
    """Check an answer against the document's schema for its status."""
    plain = path.partition("?")[0]
    for known_method, template, operation in operations():
        pattern = re.sub(r"\{path\}", ".+", re.sub(r"\{(?!path)\w+\}", "[^/]+", template))
        if known_method == method.lower() and re.fullmatch(pattern, plain):
            responses = operation["responses"]
            response = responses.get(str(answer.status_code), responses["default"])
            media = answer.headers["Content-Type"].partition(";")[0]
            schema = response["content"][media]["schema"]
            errors = [
                f"{error.json_path}: {error.message}"
                for error in validator(schema).iter_errors(answer.json())
            ]
            assert errors == [], (method, path)
            return
    raise AssertionError(f"{method} {path} is not documented")


def test_every_answer_of_the_main_journey_fits_the_document() -> None:
    visitor = Checking(a_visitor())
    people = []
    for kind in ("human", "agent", "agent"):
        body = {"handle": a_handle(), "kind": kind, "display_name": "Somebody", "bio": ""}
        key = visitor("POST", "/participants", body, 201)["api_key"]
        people.append(Checking(Caller(key)))
    ada, bo, author = people
    name = an_asset_name()
    files = [{"path": "SKILL.md", "content": skill_md(name)}]
    skill = author("POST", "/assets", {"files": files, "price": "0.1"}, 201)
    check = {"name": "rows", "type": "exact", "config": {"pointer": "/rows", "expected": 3}}
    wanted = {"title": "Sort", "description": "By price.", "bounty": "5", "verification": [check]}
    ada("POST", "/tasks?dry_run=true", wanted)
    task = ada("POST", "/tasks", wanted, 201)
    path = f"/tasks/{task['id']}"
    ada("PATCH", path, {"tags": ["csv"]})
    visitor("GET", "/tasks?limit=5")
    visitor("GET", path)
    bo("POST", f"{path}/claim", {"note": "Mine."})
    bo("POST", f"{path}/heartbeat")
    use = {"task": task["id"], "max_charge": "0.1"}
    bo("POST", f"/assets/{skill['asset']}/use", use)
    work = {
        "summary": "Done.",
        "result": {"rows": 3},
        "uses": [f"{skill['asset']}@1.0.0"],
        "usage": {"seconds": 2.5},
    }
    delivery = bo("POST", f"{path}/deliveries", work, 201)
    everything_handled()
    at = f"/deliveries/{delivery['id']}"
    ada("GET", at)
    ada("POST", f"{at}/reject", {"reason": "Once more."})
    delivery = bo("POST", f"{path}/deliveries", work, 201)
    everything_handled()
    at = f"/deliveries/{delivery['id']}"
    ada("GET", f"{path}/settlement")
    ada("GET", f"{path}/deliveries")
    ada("POST", f"{at}/accept", {"rating": 5})
    visitor("GET", f"/assets/{skill['asset']}")
    visitor("GET", f"/assets/{skill['asset']}/1.0.0")
    visitor("GET", f"/assets/{skill['asset']}/1.0.0/graph")
    visitor("GET", "/assets?limit=5")
    visitor("POST", "/assets/resolve", {"requirements": [{"asset": skill["asset"]}]})
    author("POST", f"/assets/{skill['asset']}/1.0.0/yank", {"reason": "Old."})
    other = ada("POST", "/tasks", wanted, 201)
    bo("POST", f"/tasks/{other['id']}/claim")
    bo("POST", f"/tasks/{other['id']}/abandon")
    ada("POST", f"/tasks/{other['id']}/cancel")
    ada("POST", "/credits/transfers", {"to": "nobody-has-this", "amount": "1"}, 404)
    handle = author("GET", "/me")["handle"]
    ada("POST", "/credits/transfers", {"to": handle, "amount": "1"}, 201)
    ada("POST", "/me/agents", {"handle": a_handle(), "display_name": "x"}, 201)
    ada("POST", "/me/keys", {"name": "x"}, 201)
    for read in (
        "/me",
        "/me/keys",
        "/me/agents",
        "/credits",
        "/credits/statement",
        "/events",
        "/notifications",
        f"/participants/{handle}",
        "/participants?limit=3",
    ):
        ada("GET", read)
    ada("POST", "/notifications/read")


def test_every_answer_about_talk_and_conduct_fits_the_document() -> None:
    poster, asker, blocked = somebody(), somebody(), somebody()
    ada, bo, eve = Checking(poster), Checking(asker), Checking(blocked)
    task = a_task(poster.participant)
    thread = f"/tasks/{task.public_id}/messages"

    bo("POST", thread, {"body": "By which column?"}, 201)
    message = ada("POST", thread, {"body": "The first."}, 201)
    redacted = Message.objects.get(pk=ids.decode("message", message["id"]))
    redact_message(message_id=redacted.pk, actor=somebody_of_staff(), reason="A test.")
    Checking(a_visitor())("GET", thread)
    ada("POST", f"{thread}/read")
    bo("POST", "/reports", {"subject": task.public_id, "reason": "spam"}, 201)
    bo("GET", "/reports")
    ada("POST", f"/tasks/{task.public_id}/block", {"handle": blocked.handle})
    ada("GET", "/me/blocks")
    freeze = a_freeze(blocked.participant)
    eve("GET", "/me/freezes")
    eve("POST", f"/freezes/{freeze.public_id}/appeal", {"text": "Why?"})
    eve("POST", thread, {"body": "x"}, 403)


def test_every_answer_about_a_dispute_fits_the_document() -> None:
    ada, bo = somebody(), somebody()
    task = a_rejected_delivery(ada.participant, bo.participant).task
    judges()
    opened = Checking(bo)("POST", f"/tasks/{task.public_id}/disputes", {"reason": "x"}, 201)
    path = f"/disputes/{opened['id']}"
    Checking(ada)("POST", f"{path}/evidence", {"text": "x"}, 201)
    dispute = before_a_panel(Dispute.objects.get(task=task))
    Checking(ada)("GET", f"{path}/draw")
    for seat in open_seats(dispute):
        judge = Checking(as_caller(seat.panelist))
        judge("GET", path)
        judge("GET", "/disputes?role=panelist")
        judge("POST", f"{path}/votes", {"outcome": "reject", "rationale": "x"}, 201)
        judge("POST", f"{path}/votes", {"outcome": "reject", "rationale": "x"}, 409)
    Checking(bo)("POST", f"{path}/appeal", {"reason": "x"})
    for read in (path, f"{path}/draw", "/disputes?state=appealed"):
        Checking(bo)("GET", read)


def test_an_upload_fits_the_document() -> None:

    answer = somebody().upload("/files", {"file": io.BytesIO(b"x")})

    fits("POST", "/files", answer)


def test_the_draft_of_a_workflow_fits_the_document() -> None:
    task = a_task_to_split()
    done(split(task)[0])
    accepted(now(task))
    path = f"/tasks/{task.public_id}/workflow"

    poster, stranger = Checking(as_caller(task.poster)), Checking(somebody())
    poster("POST", path, {}, 201)
    poster("POST", path, {"name": "A flow"}, 400)
    stranger("POST", path, {}, 404)
