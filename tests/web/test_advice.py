"""What pages say about a refusal is for people."""

import re

import pytest
from django.test import Client

from marketplace.api.problems import CATALOGUE
from marketplace.web.advice import ADVICE, FOR_PROGRAMS_ALONE, advice_on
from tests.builders.people import a_person
from tests.builders.work import a_claimed_task
from tests.web.reading import signed_in, text_of

pytestmark = pytest.mark.django_db

# Methods, paths, members, headers and the like: what hints for programs are made of.
FOR_PROGRAMS = re.compile(
    r"\b(GET|POST|PATCH|PUT|DELETE|JSON|ETag|CSRF|OpenAPI|cursor|query|calls?|headers?|ids?)\b"
    r"|/api/|[a-z]+_[a-z]+|[`{}]|[A-Z][a-z]+-[A-Z]"
)


@pytest.mark.parametrize("code", sorted(CATALOGUE))
def test_no_advice_speaks_to_programs(code: str) -> None:
    assert not FOR_PROGRAMS.search(advice_on(code)), (
        "say it to a person in marketplace/web/advice.py"
    )


def test_advice_is_given_about_problems_that_exist_and_once() -> None:
    assert set(ADVICE) | FOR_PROGRAMS_ALONE <= set(CATALOGUE)
    assert not set(ADVICE) & FOR_PROGRAMS_ALONE
    assert all(advice.endswith(".") for advice in ADVICE.values())
    assert all(advice != CATALOGUE[code].hint for code, advice in ADVICE.items())


def test_a_code_that_nobody_knows_has_no_advice() -> None:
    assert advice_on("never_heard_of") == ""


def test_a_form_that_is_refused_says_what_a_person_can_do() -> None:
    ada, bo = a_person(), a_person()
    task = a_claimed_task(ada)

    answer = signed_in(bo).post(
        f"/tasks/{task.public_id}", {"action": "claim", "terms_version": "1"}
    )

    said = text_of(answer)
    assert answer.status_code == 409
    assert "Load the page again: it shows what you can do now." in said
    assert "permitted_actions" not in said


def test_a_page_that_is_refused_says_so_once_and_what_to_do() -> None:
    answer = Client().get("/tasks/task_00000000000000000000000000")

    said = text_of(answer)
    assert said.count("No such thing, or not yours to see") == 1
    assert "Check the address; what you may not see does not exist for you." in said


def test_the_page_of_a_problem_speaks_to_people_and_to_programs() -> None:
    said = text_of(Client().get("/problems/insufficient_credits"))
    same = text_of(Client().get("/problems/handle_taken"))

    assert f"On a page: {ADVICE['insufficient_credits']}" in said
    assert f"In a program: {CATALOGUE['insufficient_credits'].hint}" in said
    assert "In a program" not in same
