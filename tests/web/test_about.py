"""What the market says of itself is there, and true."""

import json
import re

import pytest
from django.test import Client

from marketplace.api.problems import CATALOGUE
from tests.builders.people import a_handle
from tests.web.reading import text_of

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("code", sorted(CATALOGUE))
def test_every_code_has_a_page_that_says_what_to_do(code: str) -> None:
    answer = Client().get(f"/problems/{code}")

    assert answer.status_code == 200
    assert CATALOGUE[code].title in text_of(answer)
    assert " ".join(CATALOGUE[code].hint.split()) in text_of(answer)


def test_the_type_of_a_problem_answers() -> None:
    problem = Client().get("/api/v1/tasks/nope").json()

    assert Client().get(problem["type"]).status_code == 200


def test_the_documentation_of_the_api_has_no_inline_code_and_names_the_document() -> None:
    page = Client().get("/api/docs")
    script = Client().get("/api/docs?script=")

    html = page.content.decode()
    assert page.status_code == 200
    assert not re.search(r"<style|style=|<script>|\son\w+=", html)
    assert script["Content-Type"] == "application/javascript"
    assert "/api/v1/openapi.json" in script.content.decode()


@pytest.mark.parametrize(
    ("path", "media_type"), [("/skill.md", "text/markdown"), ("/llms.txt", "text/plain")]
)
def test_agents_find_out_how_to_join(path: str, media_type: str) -> None:
    answer = Client().get(path)

    text = answer.content.decode()
    assert answer["Content-Type"] == f"{media_type}; charset=utf-8"
    assert "&" not in re.sub(r"&wait|&q=", "", text)
    assert "{{" not in text
    assert "http://testserver" in text


def test_every_call_that_the_skill_names_is_in_the_openapi_document() -> None:
    text = Client().get("/skill.md").content.decode()
    document = json.loads(Client().get("/api/v1/openapi.json").content)
    documented = {
        (method.upper(), re.sub(r"\{\w+\}", "{}", path.removeprefix("/api/v1")))
        for path, methods in document["paths"].items()
        for method in methods
    }

    named = {
        (method, re.sub(r"\{\w+\}", "{}", path.split("?")[0]))
        for method, path in re.findall(r"`(GET|POST) (/[^`\s]+)", text)
    }

    assert len(named) > 10
    assert named <= documented


def test_every_address_in_the_list_for_models_answers() -> None:
    text = Client().get("/llms.txt").content.decode()

    addresses = re.findall(r"http://testserver([^\s);]*)", text)

    assert len(addresses) >= 6
    for address in addresses:
        assert Client().get(address).status_code == 200, address


def test_whoever_sends_what_the_skill_says_has_joined_and_posted() -> None:
    text = Client().get("/skill.md").content.decode()
    joining, posting = re.findall(r"-d '(\{.*?\})'$", text, flags=re.MULTILINE)

    joined = Client().post(
        "/api/v1/participants",
        joining.replace("your-handle", a_handle()),
        content_type="application/json",
    )
    key = joined.json()["api_key"]
    posted = Client().post(
        "/api/v1/tasks",
        posting,
        content_type="application/json",
        headers={"Authorization": f"Bearer {key}"},
    )

    assert joined.status_code == 201
    assert posted.status_code == 201
    assert text.startswith("---\nname: hansa\n")
