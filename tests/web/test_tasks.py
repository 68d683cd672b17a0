"""Browsing, posting and editing tasks."""

import json
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.conf import LazySettings
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from marketplace.participants.models import Participant
from marketplace.tasks.models import Task
from tests.builders.people import a_person
from tests.builders.work import BOUNTY, a_claimed_task, a_task, again, available, held
from tests.web.reading import (
    Answer,
    Typed,
    elements_of,
    links_of,
    next_link_of,
    signed_in,
    text_of,
    value_of,
)

pytestmark = pytest.mark.django_db

CHECK = {"name": "rows", "type": "exact", "config": {"pointer": "/rows", "expected": 3}}
FILLED = {
    "title": "Normalise this price list",
    "description": "One row per *product*.",
    "bounty": "2.5",
    "tags": "csv, prices ,csv",
    "requirements": "All rows\r\n\r\nPrices in euro\r\n",
    "acceptance": "manual",
    "verification": json.dumps([CHECK]),
}


def posted(person: Participant, **changes: Typed) -> Answer:
    return signed_in(person).post("/tasks/new", FILLED | changes)


def test_a_task_is_posted_as_it_was_typed_and_its_bounty_is_in_escrow() -> None:
    ada = a_person()
    files = [SimpleUploadedFile(name, b"a;b") for name in ("one.csv", "two.csv")]

    answer = posted(ada, attachments=files, deadline="")

    task = Task.objects.get(poster=ada)
    assert answer["Location"] == f"/tasks/{task.public_id}"
    assert task.description == "One row per *product*."
    assert task.tags == ["csv", "prices"]
    assert task.requirements == ["All rows", "Prices in euro"]
    assert task.verification[0]["config"]["expected"] == 3
    assert [one.file.name for one in task.attached.all()] == ["one.csv", "two.csv"]
    assert held(task) == 2_500_000
    assert available(ada) == 97_500_000


def test_a_form_that_is_sent_twice_posts_once_and_leads_to_the_same_page() -> None:
    ada = a_person()
    client = signed_in(ada)
    token = value_of(client.get("/tasks/new"), "once")

    first = client.post("/tasks/new", FILLED | {"once": token})
    second = client.post("/tasks/new", FILLED | {"once": token})
    changed = client.post("/tasks/new", FILLED | {"once": token, "title": "Another one"})

    assert first["Location"] == second["Location"] != changed["Location"]
    assert Task.objects.filter(poster=ada).count() == 2


def test_four_clicks_at_once_post_once() -> None:
    ada = a_person()
    token = value_of(signed_in(ada).get("/tasks/new"), "once")
    browsers = [signed_in(ada) for _ in range(4)]
    together = threading.Barrier(4)

    def click(browser: Client) -> Answer:
        together.wait(timeout=10)
        return browser.post("/tasks/new", FILLED | {"once": token})

    with ThreadPoolExecutor(4) as threads:
        answers = list(threads.map(click, browsers))

    assert {answer.status_code for answer in answers} == {302}
    assert len({answer["Location"] for answer in answers}) == 1
    assert Task.objects.filter(poster=ada).count() == 1


def test_too_few_credits_are_told_at_the_top_and_what_was_typed_stays() -> None:
    ada = a_person()

    answer = posted(ada, bounty="100.000001")

    assert answer.status_code == 402
    assert "The wallet holds too little" in text_of(answer)
    assert "Available: 100 credits" in text_of(answer)
    assert "/problems/insufficient_credits" in links_of(answer)
    assert 'value="Normalise this price list"' in answer.content.decode()
    assert "One row per *product*." in answer.content.decode()
    assert not Task.objects.filter(poster=ada).exists()
    assert available(ada) == 100_000_000


@pytest.mark.parametrize(
    ("field", "typed", "said"),
    [
        ("title", "", "required"),
        ("title", "x" * 201, "200"),
        ("bounty", "0.001", "at least 0.01"),
        ("bounty", "1.0000001", "at most 6 decimal places"),
        ("bounty", "-1", "Write an amount such as 5 or 0.25"),
        ("bounty", "viel", "Write an amount"),
        ("deadline", "2001-01-01T00:00", "5 minutes and 90 days"),
        ("deadline", "tomorrow", "valid date/time"),
        ("tags", "x" * 51, "50"),
        ("verification", "[", "not JSON"),
        ("verification", "{}", "list of checks"),
        ("verification", '[{"name": "x", "type": "guess"}]', "0/type: Choose one of"),
        ("verification", '[{"name": "x", "name": "y", "type": "exact"}]', "stands twice"),
        ("acceptance", "nobody", "valid choice"),
    ],
)
def test_a_field_that_is_not_valid_says_why_and_nothing_is_posted(
    field: str, typed: str, said: str
) -> None:
    ada = a_person()

    answer = posted(ada, **{field: typed})

    elements = elements_of(answer)
    (shown,) = [f for f in elements.all("input", "select", "textarea") if f.get("name") == field]
    assert answer.status_code == 400
    assert shown.get("aria-invalid") == "true"
    assert f"#{shown['id']}" in links_of(answer)
    assert said in text_of(answer)
    assert not Task.objects.filter(poster=ada).exists()


def test_checks_that_cannot_decide_do_not_accept() -> None:
    ada = a_person()

    answer = posted(ada, acceptance="automatic", verification="")

    assert answer.status_code == 400
    assert "needs a required check that fails an empty delivery" in text_of(answer)


def test_a_file_over_the_limit_is_refused(settings: LazySettings) -> None:
    settings.FILE_LIMIT_BYTES = 10
    ada = a_person()

    answer = posted(ada, attachments=[SimpleUploadedFile("big.bin", b"x" * 11)])

    assert answer.status_code == 413
    assert "The file is too large" in text_of(answer)
    assert not Task.objects.filter(poster=ada).exists()


def test_filters_find_what_they_name() -> None:
    ada = a_person()
    cheap = a_task(ada, title="Water the plants", tags=["garden"], bounty=1_000_000)
    dear = a_claimed_task(ada, title="Build a greenhouse", tags=["garden", "wood"])

    def found(**query: str) -> set[str]:
        answer = Client().get("/tasks", {"poster": ada.handle, **query})
        return {link for link in links_of(answer) if link.startswith("/tasks/task_")}

    of_cheap, of_dear = f"/tasks/{cheap.public_id}", f"/tasks/{dear.public_id}"
    assert found() == {of_cheap, of_dear}
    assert found(q="greenhouse") == {of_dear}
    assert found(state="open") == {of_cheap}
    assert found(tag="wood") == {of_dear}
    assert found(min_bounty="2") == {of_dear}
    assert found(q="nothing like it") == set()


@pytest.mark.parametrize("ordering", ["", "-bounty", "deadline", "created_at"])
def test_pages_of_a_list_follow_each_other_without_a_gap_or_a_repetition(ordering: str) -> None:
    ada = a_person()
    tasks = {f"/tasks/{a_task(ada, bounty=20_000 + n % 3).public_id}" for n in range(45)}

    seen: list[str] = []
    path: str | None = f"/tasks?poster={ada.handle}&ordering={ordering}"
    while path is not None:
        answer = Client().get(path)
        seen += [link for link in links_of(answer) if link.startswith("/tasks/task_")]
        following = next_link_of(answer)
        path = f"/tasks{following}" if following else None

    assert len(seen) == 45
    assert set(seen) == tasks


def test_the_front_page_leads_on_through_the_open_tasks() -> None:
    ada = a_person()
    for _ in range(21):
        a_task(ada, bounty=10_000)

    following = next_link_of(Client().get("/"))

    assert following is not None
    assert following.startswith("/tasks?")
    assert Client().get(following).status_code == 200


# --- Editing --------------------------------------------------------------------------------------


def edited(task: Task, **changes: Typed) -> Answer:
    client = signed_in(task.poster)
    form = client.get(f"/tasks/{task.public_id}/edit").context["form"]
    filled = {name: form[name].value() for name in form.fields}
    filled["deadline"] = task.deadline.strftime("%Y-%m-%dT%H:%M")
    return client.post(f"/tasks/{task.public_id}/edit", filled | changes)


def test_an_edit_changes_what_it_names_and_the_escrow_follows() -> None:
    task = a_task(tags=["csv"], requirements=["All rows"])

    answer = edited(task, title="Better", bounty="12", tags="")

    now = again(task)
    assert answer.status_code == 302
    assert (now.title, now.tags, now.requirements) == ("Better", [], ["All rows"])
    assert now.deadline == task.deadline
    assert held(now) == 12_000_000


def test_an_edit_of_what_has_changed_meanwhile_is_refused() -> None:
    task = a_task()

    answer = edited(task, terms_version=task.terms_version + 1, title="Better")

    assert answer.status_code == 412
    assert "It changed since you read it" in text_of(answer)
    assert again(task).title == task.title


def test_an_edit_after_a_claim_is_refused() -> None:
    task = a_claimed_task()

    answer = edited(task, bounty="1")

    assert answer.status_code == 409
    assert again(task).bounty == BOUNTY


def test_a_stranger_cannot_even_see_the_form_that_edits() -> None:
    task = a_task()

    assert signed_in(a_person()).get(f"/tasks/{task.public_id}/edit").status_code == 404
