"""Who is calling: keys with scopes, and sessions with CSRF."""

import re

import pytest
from django.test import Client

from marketplace.api.endpoints import Endpoint
from marketplace.api.urls import urlpatterns
from marketplace.participants.scopes import ALL_SCOPES, Scope
from tests.api.caller import (
    BASE,
    Caller,
    a_visitor,
    as_caller,
    nothing_changes,
    ok,
    problem,
    somebody,
)
from tests.builders.people import a_person

pytestmark = pytest.mark.django_db

BACKEND = "django.contrib.auth.backends.ModelBackend"


def scoped_calls() -> list[tuple[str, str, tuple[Scope, ...]]]:
    """Return every call that needs a scope: method, path with made-up parts, and what suffices."""
    calls = []
    for route in urlpatterns:
        view = getattr(route.callback, "cls", None)
        if view is None or not issubclass(view, Endpoint):
            continue
        path = "/" + re.sub(r"<\w+:\w+>", "x", str(route.pattern))
        for method, scope in view.scopes.items():
            if scope:
                calls.append((method, path, scope if isinstance(scope, tuple) else (scope,)))
    return sorted(calls, key=str)


@pytest.mark.parametrize(("method", "path", "suffices"), scoped_calls())
def test_a_key_without_the_scope_does_not_get_in(
    method: str, path: str, suffices: tuple[Scope, ...]
) -> None:
    person = a_person()
    others = [one for one in Scope if one not in suffices]
    caller = as_caller(person, *others)

    with nothing_changes():
        answer = caller.send(method, path, b"{}")

    assert problem(answer, 403, "insufficient_scope")["required_scope"] == suffices[0]


@pytest.mark.parametrize(("method", "path", "suffices"), scoped_calls())
def test_a_visitor_does_not_get_in(method: str, path: str, suffices: tuple[Scope, ...]) -> None:
    with nothing_changes():
        answer = a_visitor().send(method, path, b"{}")

    problem(answer, 401, "not_authenticated")
    assert answer.headers["WWW-Authenticate"] == 'Bearer realm="hansa"'


def test_there_is_a_call_for_every_scope_but_those_of_later_issues() -> None:
    later = {Scope.WEBHOOKS_WRITE, Scope.ASSETS_READ}

    assert {scope for *_, suffices in scoped_calls() for scope in suffices} == set(Scope) - later


@pytest.mark.parametrize(
    "header",
    ["Bearer", "Bearer ", "Bearer hsa_", "Basic eDp5", "hsa_x", "Bearer " + "hsa_" + "x" * 200],
)
def test_a_key_that_is_none_does_not_get_in_even_where_nobody_has_to_be(header: str) -> None:
    answer = Client().get(f"{BASE}/tasks", headers={"Authorization": header})

    problem(answer, 401, "authentication_failed")


def test_somebody_who_was_deactivated_does_not_get_in() -> None:
    ada = somebody()
    ada.participant.is_active = False
    ada.participant.save(update_fields=["is_active"])

    problem(ada.get("/me"), 401, "authentication_failed")
    problem(a_visitor().get(f"/participants/{ada.handle}"), 404, "not_found")


def test_head_needs_what_get_needs() -> None:
    reader = as_caller(a_person(), Scope.TASKS_READ)

    assert a_visitor().send("HEAD", "/tasks?limit=1", b"").status_code == 200
    assert a_visitor().send("HEAD", "/tasks?colour=red", b"").status_code == 400
    assert reader.send("HEAD", "/credits", b"").status_code == 403
    assert a_visitor().send("HEAD", "/me", b"").status_code == 401


# --- Sessions -------------------------------------------------------------------------------------


def test_a_session_calls_as_the_person_with_every_scope() -> None:
    person = a_person()
    browser = Client()
    browser.force_login(person, backend=BACKEND)

    assert ok(browser.get(f"{BASE}/me"))["handle"] == person.handle
    assert ok(browser.get(f"{BASE}/credits"))["available"] == "100"
    made = browser.post(f"{BASE}/me/keys", {"name": "x"}, content_type="application/json")
    assert ok(made, 201)["scopes"] == sorted(ALL_SCOPES)
    ok(Caller(made.json()["api_key"]).get("/me"))


def test_a_session_writes_nothing_without_the_csrf_token() -> None:
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(a_person(), backend=BACKEND)
    ok(browser.get(f"{BASE}/me"))

    with nothing_changes():
        answer = browser.post(f"{BASE}/me/keys", {"name": "x"}, content_type="application/json")

    problem(answer, 403, "permission_denied")


def test_a_session_writes_with_the_csrf_token() -> None:
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(a_person(), backend=BACKEND)
    token = "t" * 32
    browser.cookies["csrftoken"] = token

    answer = browser.post(
        f"{BASE}/me/keys",
        {"name": "x"},
        content_type="application/json",
        headers={"X-CSRFToken": token},
    )

    ok(answer, 201)


def test_a_key_writes_without_a_csrf_token() -> None:
    ada = somebody()
    ada.client = Client(enforce_csrf_checks=True)

    ok(ada.post("/me/keys", {"name": "x"}), 201)
