"""Uploads and downloads."""

import hashlib
import io

import pytest

from tests.api.caller import (
    Caller,
    Json,
    a_visitor,
    content,
    invalid,
    nothing_changes,
    ok,
    problem,
    somebody,
)
from tests.builders.work import a_claimed_task

pytestmark = pytest.mark.django_db

DATA = b"<script>alert(1)</script>"


def upload(caller: Caller, name: str = "page.html", data: bytes = DATA) -> Json:
    file = io.BytesIO(data)
    file.name = name
    return ok(caller.upload("/files", {"file": file}), 201)


def test_an_upload_is_named_by_its_content() -> None:
    file = upload(somebody())

    assert file["id"].startswith("file_")
    assert file | {"id": ""} == {
        "id": "",
        "name": "page.html",
        "size": len(DATA),
        "media_type": "text/html",
        "sha256": hashlib.sha256(DATA).hexdigest(),
    }


def test_equal_files_are_two_uploads_of_one_content() -> None:
    ada, bo = somebody(), somebody()

    one, other = upload(ada), upload(bo)

    assert one["id"] != other["id"]
    assert one["sha256"] == other["sha256"]
    assert content(bo.get(f"/files/{other['id']}/content")) == DATA


def test_an_empty_file_is_a_file() -> None:
    ada = somebody()

    assert content(ada.get(f"/files/{upload(ada, data=b'')['id']}/content")) == b""


@pytest.mark.parametrize("accept", ["*/*", "text/html", "image/png"])
def test_a_download_is_an_attachment_that_no_browser_runs(accept: str) -> None:
    ada = somebody()
    file = upload(ada)

    answer = ada.get(f"/files/{file['id']}/content", accept=accept)

    assert content(answer) == DATA
    assert answer.headers["Content-Disposition"] == 'attachment; filename="page.html"'
    assert answer.headers["Content-Security-Policy"] == "default-src 'none'; sandbox"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Cross-Origin-Resource-Policy"] == "same-origin"


@pytest.mark.parametrize("path", ["", "/content"])
def test_a_file_is_its_uploaders_until_it_is_attached(path: str) -> None:
    ada, eve = somebody(), somebody()
    file = f"/files/{upload(ada)['id']}"

    problem(eve.get(file + path), 404, "not_found")
    problem(a_visitor().get(file + path), 404, "not_found")


def test_what_explains_a_task_everybody_reads() -> None:
    ada = somebody()
    file = upload(ada)
    body = {"title": "x", "description": "x", "bounty": "1", "attachments": [file["id"]]}
    ok(ada.post("/tasks", body), 201)

    assert content(a_visitor().get(f"/files/{file['id']}/content")) == DATA


def test_a_delivered_file_is_read_by_both_sides_only() -> None:
    ada, bo, eve = somebody(), somebody(), somebody()
    task = a_claimed_task(ada.participant, bo.participant)
    file = upload(bo)
    path = f"/files/{file['id']}/content"
    problem(ada.get(path), 404, "not_found")

    ok(
        bo.post(f"/tasks/{task.public_id}/deliveries", {"summary": "x", "files": [file["id"]]}),
        201,
    )

    assert content(ada.get(path)) == content(bo.get(path)) == DATA
    problem(eve.get(path), 404, "not_found")


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("../../etc/passwd", "passwd"),
        ("C:\\temp\\a.csv", "a.csv"),
        ("  .hidden. ", "hidden"),
        ("\u202egpj.exe", "gpj.exe"),
        ("x" * 300 + ".csv", "x" * 200),
    ],
)
def test_a_name_is_made_safe(name: str, shown: str) -> None:
    assert upload(somebody(), name)["name"] == shown


def test_a_form_without_a_file_is_refused() -> None:
    ada = somebody()

    with nothing_changes():
        answer = ada.upload("/files", {"files": io.BytesIO(b"x")})

    invalid(answer, "/files", "unknown_field")


def test_json_is_no_upload() -> None:
    problem(somebody().post("/files", {"file": "x"}), 415, "unsupported_media_type")
