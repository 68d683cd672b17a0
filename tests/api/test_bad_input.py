"""Every wrong call gets the problem document that the contract names, and changes nothing."""

import io
import tarfile
import zipfile
from collections.abc import Callable
from typing import Any

import pytest
from pytest_django import Settings

from tests.api.caller import Answer, Caller, a_visitor, invalid, nothing_changes, problem, somebody
from tests.builders.assets import a_skill, an_asset_name, skill_md
from tests.builders.work import a_claimed_task, a_submitted_delivery, a_task, an_accepted_delivery

pytestmark = pytest.mark.django_db

TASK = {"title": "Sort this", "description": "By price.", "bounty": "5"}


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/tasks", TASK),
        ("/participants", {"handle": "somebody-new", "kind": "agent", "display_name": "New"}),
        ("/credits/transfers", {"to": "ada", "amount": "1"}),
        ("/me/keys", {"name": "second"}),
    ],
)
def test_unknown_fields_are_refused(path: str, body: dict[str, Any]) -> None:
    ada = somebody()

    with nothing_changes():
        answer = ada.post(path, body | {"bouny": "5"})

    invalid(answer, "/bouny", "unknown_field")


@pytest.mark.parametrize(
    ("field", "value", "pointer", "code"),
    [
        ("title", 5, "/title", "invalid"),
        ("title", None, "/title", "null"),
        ("title", "", "/title", "blank"),
        ("title", "x" * 201, "/title", "max_length"),
        ("description", ["x"], "/description", "invalid"),
        ("bounty", True, "/bounty", "not_a_decimal"),
        ("bounty", {"amount": 5}, "/bounty", "not_a_decimal"),
        ("bounty", None, "/bounty", "null"),
        ("mode", 7, "/mode", "invalid_choice"),
        ("mode", "auction", "/mode", "invalid_choice"),
        ("acceptance", False, "/acceptance", "invalid_choice"),
        ("tags", "csv", "/tags", "not_a_list"),
        ("tags", ["ok", 5], "/tags/1", "invalid"),
        ("tags", {"a": 1}, "/tags", "not_a_list"),
        ("requirements", [None], "/requirements/0", "null"),
        ("deadline", 1_800_000_000, "/deadline", "invalid"),
        ("deadline", "tomorrow", "/deadline", "invalid"),
        ("deadline", "9999-12-31T23:59:59-14:00", "/deadline", "overflow"),
        ("attachments", "file_1", "/attachments", "not_a_list"),
        ("attachments", [5], "/attachments/0", "invalid"),
        ("lease_seconds", "3600", "/lease_seconds", "invalid"),
        ("lease_seconds", 3600.0, "/lease_seconds", "invalid"),
        ("lease_seconds", True, "/lease_seconds", "invalid"),
        ("verification", {"name": "x"}, "/verification", "invalid"),
        ("verification", ["x"], "/verification/0", "invalid"),
        ("verification", [{"type": "exact"}], "/verification/0/name", "required"),
        ("verification", [{"name": "x", "type": {}}], "/verification/0/type", "unknown_check_type"),
    ],
)
def test_wrong_types_are_refused(field: str, value: object, pointer: str, code: str) -> None:
    ada = somebody()

    with nothing_changes():
        answer = ada.post("/tasks", TASK | {field: value})

    invalid(answer, pointer, code)


@pytest.mark.parametrize(
    ("path", "body", "pointer", "code"),
    [
        ("cancel", {"at_once": "yes"}, "/at_once", "invalid"),
        ("cancel", {"at_once": 1}, "/at_once", "invalid"),
        ("claim", {"terms_version": "1"}, "/terms_version", "invalid"),
        ("claim", {"terms_version": 2**40}, "/terms_version", "max_value"),
        ("claim", {"note": 5}, "/note", "invalid"),
        ("abandon", {"reason": []}, "/reason", "invalid"),
        ("deliveries", {"summary": "x", "usage": {"seconds": "5"}}, "/usage/seconds", "invalid"),
        ("deliveries", {"summary": "x", "usage": {"seconds": True}}, "/usage/seconds", "invalid"),
        ("deliveries", {"summary": "x", "usage": {"tokens": 1.5}}, "/usage/tokens", "invalid"),
        ("deliveries", {"summary": "x", "usage": []}, "/usage", "invalid"),
        ("deliveries", {"summary": "x", "files": [1]}, "/files/0", "invalid"),
        ("deliveries", {"summary": "x", "uses": ["nothing"]}, "/uses/0", "invalid"),
        ("deliveries", {"summary": "x", "evidence": [None]}, "/evidence/0", "null"),
    ],
)
def test_wrong_types_are_refused_in_every_call_about_a_task(
    path: str, body: dict[str, Any], pointer: str, code: str
) -> None:
    bo = somebody()
    task = a_claimed_task(worker=bo.participant)

    with nothing_changes():
        answer = bo.post(f"/tasks/{task.public_id}/{path}", body)

    invalid(answer, pointer, code)


@pytest.mark.parametrize(
    ("amount", "code"),
    [
        ("0", "out_of_bounds"),
        (0, "out_of_bounds"),
        ("0.000000", "out_of_bounds"),
        ("-5", "not_a_decimal"),
        (-5, "negative"),
        ("0.0000001", "too_many_places"),
        (0.5, "fractional_number"),
        (5.0, "fractional_number"),
        ("1e3", "not_a_decimal"),
        ("NaN", "not_a_decimal"),
        ("\u0661", "not_a_decimal"),  # a digit of another script
        (" 5", "not_a_decimal"),
        ("5.", "not_a_decimal"),
        (10**13, "too_large"),
        (10**400, "too_large"),
        ("9" * 41, "not_a_decimal"),
    ],
)
def test_amounts_that_are_none_are_refused(amount: object, code: str) -> None:
    ada, bo = somebody(), somebody()

    with nothing_changes():
        answers = [
            ada.post("/tasks", TASK | {"bounty": amount}),
            ada.post("/credits/transfers", {"to": bo.handle, "amount": amount}),
        ]

    invalid(answers[0], "/bounty", code)
    invalid(answers[1], "/amount", code)


def test_a_fractional_number_is_refused_with_a_hint_to_send_a_string() -> None:
    ada = somebody()

    document = invalid(ada.post("/tasks", TASK | {"bounty": 0.5}), "/bounty", "fractional_number")

    assert 'such as "0.1"' in document["errors"][0]["detail"]


@pytest.mark.parametrize(
    ("field", "value", "code"),
    [
        ("bounty", "0.009999", "too_small"),
        ("lease_seconds", 299, "out_of_bounds"),
        ("lease_seconds", 8 * 86_400, "out_of_bounds"),  # past the default deadline
        ("lease_seconds", 10**30, "max_value"),
        ("review_window_seconds", 599, "out_of_bounds"),
        ("review_window_seconds", 14 * 86_400 + 1, "out_of_bounds"),
        ("deadline", "2020-01-01T00:00:00Z", "out_of_bounds"),
        ("deadline", "2999-01-01T00:00:00Z", "out_of_bounds"),
        ("tags", ["x"] * 21, "max_length"),
        ("requirements", ["x"] * 51, "max_length"),
        ("verification", [{}] * 11, "too_many"),
    ],
)
def test_numbers_out_of_range_are_refused(field: str, value: object, code: str) -> None:
    ada = somebody()

    with nothing_changes():
        answer = ada.post("/tasks", TASK | {field: value})

    invalid(answer, f"/{field}", code)


@pytest.mark.parametrize(
    "raw",
    [
        rb'{"title": "a\u0000b", "description": "x", "bounty": "5"}',
        rb'{"title": "x", "description": "x", "bounty": "5", "tags": ["a\u0000"]}',
        rb'{"title": "x", "description": "x", "bounty": "5", "a\u0000": 1}',
        rb'{"title": "\ud800", "description": "x", "bounty": "5"}',
    ],
)
def test_characters_that_cannot_be_stored_are_refused_in_a_body(raw: bytes) -> None:
    ada = somebody()

    with nothing_changes():
        answer = ada.send("POST", "/tasks", raw)

    problem(answer, 400, "malformed_json")


@pytest.mark.parametrize("path", ["/participants/a%00b", "/assets/a%00/b", "/tasks/task_%00"])
def test_nul_bytes_in_a_path_lead_nowhere(path: str) -> None:
    with nothing_changes():
        answer = a_visitor().get(path)

    problem(answer, 404, "not_found")


@pytest.mark.parametrize("name", ["q", "tag", "poster"])
def test_nul_bytes_in_a_query_are_refused(name: str) -> None:
    with nothing_changes():
        answer = a_visitor().get("/tasks", **{name: "a\0b"})

    invalid(answer, f"?{name}", "invalid")


def test_nul_bytes_in_a_forms_texts_are_refused() -> None:
    ada = somebody()
    form = {"bundle": a_zip({"SKILL.md": skill_md("x")}), "name": "a\0b"}

    with nothing_changes():
        answer = ada.upload("/assets", form)

    invalid(answer, "/name", "null_characters_not_allowed")


def test_invisible_characters_in_an_uploads_name_are_dropped() -> None:
    file = io.BytesIO(b"x")
    file.name = "../a\u202eb\x07.csv"

    answer = somebody().upload("/files", {"file": file})

    assert answer.status_code == 201
    assert answer.json()["name"] == "ab.csv"


def test_a_body_over_the_cap_is_refused(settings: Settings) -> None:
    settings.JSON_BODY_LIMIT_BYTES = 2048
    ada = somebody()

    with nothing_changes():
        answer = ada.post("/tasks", TASK | {"description": "x" * 3000})

    problem(answer, 413, "body_too_large")


def test_a_body_that_hides_its_length_is_refused() -> None:
    ada = somebody()

    with nothing_changes():
        answer = ada.post("/tasks", TASK, Transfer_Encoding="chunked")

    problem(answer, 411, "length_required")


def test_a_file_over_the_cap_is_refused(settings: Settings) -> None:
    settings.FILE_LIMIT_BYTES = 1000
    ada = somebody()

    with nothing_changes():
        answer = ada.upload("/files", {"file": io.BytesIO(b"x" * 1001)})

    problem(answer, 413, "file_too_large")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/tasks/{delivery}"),
        ("GET", "/tasks/nonsense"),
        ("GET", "/deliveries/{task}"),
        ("GET", "/files/{task}/content"),
        ("POST", "/tasks/{delivery}/claim"),
        ("POST", "/deliveries/{task}/accept"),
        ("DELETE", "/me/keys/{task}"),
    ],
)
def test_an_id_of_the_wrong_type_is_a_404_that_says_so(method: str, path: str) -> None:
    ada = somebody()
    delivery = a_submitted_delivery(poster=ada.participant)
    ids = {"task": delivery.task.public_id, "delivery": delivery.public_id}

    with nothing_changes():
        answer = ada.send(method, path.format(**ids), b"{}")

    document = problem(answer, 404, "wrong_id_type")
    assert document["expected"] in {"task", "delivery", "file", "key"}


@pytest.mark.parametrize("path", ["/archive", ""])
def test_other_peoples_deliveries_do_not_exist_for_a_stranger(path: str) -> None:
    delivery, eve = a_submitted_delivery(), somebody()

    with nothing_changes():
        answer = eve.get(f"/deliveries/{delivery.public_id}{path}")

    problem(answer, 404, "not_found")


@pytest.mark.parametrize("verb", ["accept", "reject"])
def test_a_stranger_cannot_decide_about_a_delivery_or_learn_that_there_is_one(verb: str) -> None:
    delivery, eve = a_submitted_delivery(), somebody()

    with nothing_changes():
        answer = eve.post(f"/deliveries/{delivery.public_id}/{verb}", body_of(verb))

    problem(answer, 404, "not_found")


@pytest.mark.parametrize("verb", ["heartbeat", "abandon", "cancel", "deliveries"])
def test_other_peoples_moves_are_refused(verb: str) -> None:
    task, eve = a_claimed_task(), somebody()

    with nothing_changes():
        answer = eve.post(f"/tasks/{task.public_id}/{verb}", body_of(verb))

    problem(answer, 403, "not_permitted")


@pytest.mark.parametrize(
    ("verb", "by_poster"),
    [
        ("claim", False),
        ("heartbeat", False),
        ("abandon", False),
        ("deliveries", False),
        ("cancel", True),
    ],
)
def test_an_action_in_the_wrong_state_names_the_state(verb: str, by_poster: bool) -> None:  # noqa: FBT001
    ada, bo = somebody(), somebody()
    delivery = an_accepted_delivery(ada.participant, bo.participant)
    caller = ada if by_poster else bo

    with nothing_changes():
        answer = caller.post(f"/tasks/{delivery.task.public_id}/{verb}", body_of(verb))

    document = problem(answer, 409, "illegal_transition")
    assert document["state"] == "accepted"


def test_a_task_that_costs_more_than_one_has_is_refused_with_the_figures() -> None:
    ada = somebody()

    with nothing_changes():
        answer = ada.post("/tasks", TASK | {"bounty": "100.000001"})

    document = problem(answer, 402, "insufficient_credits")
    assert (document["required"], document["available"]) == ("100.000001", "100")


def test_a_claim_on_ones_own_task_is_refused() -> None:
    ada = somebody()
    task = a_task(ada.participant)

    with nothing_changes():
        answer = ada.post(f"/tasks/{task.public_id}/claim")

    problem(answer, 403, "own_task")


def a_zip(files: dict[str, str]) -> io.BytesIO:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as bundle:
        for name, text in files.items():
            bundle.writestr(name, text)
    archive.seek(0)
    archive.name = "bundle.zip"
    return archive


def a_tar_with_a_link() -> io.BytesIO:
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w:gz") as bundle:
        link = tarfile.TarInfo("SKILL.md")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        bundle.addfile(link)
    archive.seek(0)
    archive.name = "bundle.tar.gz"
    return archive


@pytest.mark.parametrize(
    ("bundle", "reason"),
    [
        (lambda: a_zip({"SKILL.md": "x", "../evil": "x"}), "parent_path"),
        (lambda: a_zip({"SKILL.md": "x", "/etc/cron.d/x": "x"}), "absolute_path"),
        (a_tar_with_a_link, "link"),
        (lambda: a_zip({"SKILL.md": "\0" * 5_000_000}), "ratio"),
        (lambda: io.BytesIO(b"not an archive"), "not_an_archive"),
    ],
    ids=["dots", "absolute", "link", "bomb", "junk"],
)
def test_hostile_archives_are_refused(bundle: Callable[[], io.BytesIO], reason: str) -> None:
    ada = somebody()

    with nothing_changes():
        answer = ada.upload("/assets", {"bundle": bundle(), "name": an_asset_name()})

    document = invalid(answer, "/bundle", "unsafe_archive")
    assert reason in document["errors"][0]["detail"]


def test_a_hostile_path_in_json_is_refused() -> None:
    ada = somebody()
    files = [{"path": "SKILL.md", "content": "x"}, {"path": "../evil", "content": "x"}]

    with nothing_changes():
        answer = ada.post("/assets", {"files": files, "name": an_asset_name()})

    problem(answer, 400, "validation_error")


def test_a_dependency_that_cannot_be_resolved_is_refused_with_an_explanation() -> None:
    ada, needed = somebody(), a_skill()
    dependency = {"asset": needed.asset.reference, "constraint": "^9"}

    with nothing_changes():
        answer = publish(ada, dependencies=[dependency])

    document = problem(answer, 409, "unresolvable_dependency")
    assert needed.asset.reference in document["detail"]


def test_a_dependency_on_nothing_is_a_404_that_names_it() -> None:
    ada = somebody()

    with nothing_changes():
        answer = publish(ada, dependencies=[{"asset": "nobody/nothing"}])

    assert problem(answer, 404, "unknown_asset")["reference"] == "nobody/nothing"


def publish(caller: Caller, **more: object) -> Answer:
    name = an_asset_name()
    files = [{"path": "SKILL.md", "content": skill_md(name)}]
    return caller.post("/assets", {"files": files, "name": name} | more)


def body_of(verb: str) -> dict[str, Any]:
    return {"deliveries": {"summary": "Done."}, "reject": {"reason": "No."}}.get(verb, {})
