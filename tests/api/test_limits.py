"""Rate limits: told on every answer, and kept."""

import io
from collections.abc import Iterator

import pytest
from pytest_django import Settings

from marketplace.api import limits
from tests.api.caller import Caller, a_visitor, content, nothing_changes, ok, problem, somebody

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def limited(settings: Settings) -> Iterator[None]:
    settings.RATE_LIMITS = True
    settings.RATE_LIMIT_URL = "memory://"
    settings.RATE_LIMIT_READS_PER_MINUTE = 3
    settings.RATE_LIMIT_WRITES_PER_MINUTE = 2
    limits._limiter.cache_clear()  # noqa: SLF001 - what it counted is another test's
    yield
    limits._limiter.cache_clear()  # noqa: SLF001


def test_every_answer_says_what_is_left() -> None:
    ada = somebody()

    left = [ada.get("/me").headers["RateLimit"].partition(";t=")[0] for _ in range(3)]
    written = ada.post("/me/keys", {"name": "x"})

    assert left == ['"reads";r=2', '"reads";r=1', '"reads";r=0']
    assert written.headers["RateLimit"].startswith('"writes";r=1;t=')
    assert written.headers["RateLimit-Policy"] == '"writes";q=2;w=60'


def test_one_call_too_many_is_told_when_to_come_back() -> None:
    ada = somebody()
    for _ in range(2):
        ok(ada.post("/me/keys", {"name": "x"}), 201)

    with nothing_changes():
        answer = ada.post("/me/keys", {"name": "x"})

    problem(answer, 429, "throttled")
    assert 1 <= int(answer.headers["Retry-After"]) <= 60
    assert answer.headers["RateLimit"].startswith('"writes";r=0;t=')
    ok(ada.get("/me"))


def test_each_participant_has_limits_of_its_own() -> None:
    ada, bo = somebody(), somebody()
    for _ in range(3):
        ok(ada.get("/me"))

    ok(bo.get("/me"))
    problem(ada.get("/me"), 429, "throttled")


def test_visitors_share_the_limit_of_their_address() -> None:
    for _ in range(3):
        ok(a_visitor().get("/tasks"))

    problem(a_visitor().get("/tasks"), 429, "throttled")
    other = a_visitor().client.get("/api/v1/tasks", REMOTE_ADDR="192.0.2.7")
    ok(other)


@pytest.mark.parametrize(
    ("caller", "path", "status"),
    [
        (Caller("hsa_wrong"), "/me", 401),
        (Caller(), "/me", 401),
        (Caller(), "/nothing/here", 404),
        (Caller(), "/tasks/task_wrong", 404),
        (Caller(), "/tasks?colour=red", 400),
    ],
    ids=["wrong key", "no key", "no path", "no task", "no parameter"],
)
def test_answers_that_refuse_are_counted_and_say_so_too(
    caller: Caller, path: str, status: int
) -> None:
    answers = [caller.get(path) for _ in range(4)]

    assert [answer.status_code for answer in answers] == [status, status, status, 429]
    assert all(answer.headers["RateLimit-Policy"] == '"reads";q=3;w=60' for answer in answers)


def test_answers_that_were_kept_and_downloads_say_what_is_left() -> None:
    ada = somebody()
    file = ok(ada.upload("/files", {"file": io.BytesIO(b"x")}, once="k"), 201)

    replayed = ada.upload("/files", {"file": io.BytesIO(b"x")}, once="k")
    downloaded = ada.get(f"/files/{file['id']}/content")

    content(downloaded)
    assert replayed.headers["RateLimit"].startswith('"writes";r=0')
    assert downloaded.headers["RateLimit"].startswith('"reads";r=2')


def test_nobody_is_refused_when_the_counters_cannot_be_reached(settings: Settings) -> None:
    settings.RATE_LIMIT_URL = "redis://127.0.0.1:1/0"
    limits._limiter.cache_clear()  # noqa: SLF001

    answer = somebody().get("/me")

    ok(answer)
    assert "RateLimit" not in answer.headers


def test_limits_that_are_off_are_not_told(settings: Settings) -> None:
    settings.RATE_LIMITS = False

    assert "RateLimit" not in somebody().get("/me").headers
