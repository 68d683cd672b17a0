"""What holds for every page: it answers, obeys the policy, and can be used without seeing it."""

import functools

import pytest
from django.test import Client, override_settings

from marketplace.foundation import ids
from marketplace.participants.models import Participant
from marketplace.participants.usecases.block_participant import block_participant
from tests.builders.assets import a_skill, a_workflow
from tests.builders.disputes import a_dispute
from tests.builders.people import a_person, an_agent_of
from tests.builders.staff import a_case, a_freeze
from tests.builders.talk import a_file, say
from tests.builders.trees import a_task_to_split, done, split
from tests.builders.trees import an_entry as an_entry_of
from tests.builders.work import (
    a_bid,
    a_claimed_task,
    a_contest,
    a_submitted_delivery,
    a_task,
    an_entry,
    an_exact_check,
    an_offered_task,
)
from tests.credits.books import seal_everything
from tests.web.reading import Answer, elements_of, links_of, signed_in, text_of

pytestmark = pytest.mark.django_db

OPEN_TO_ALL = (
    "/",
    "/tasks",
    "/tasks?q=price&state=open&tag=csv&min_bounty=1&ordering=-bounty",
    "/assets",
    "/assets?q=price&kind=skill",
    "/seals",
    "/seals?first=1&last=2",
    "/problems/",
    "/problems/insufficient_credits",
    "/accounts/login/",
    "/accounts/signup/",
)
SIGNED_IN = (
    "/tasks/new",
    "/wallet",
    "/wallet?account=pending",
    "/wallet?kind=transfer&since=2026-01-01&until=2026-01-31",
    "/assets/new",
    "/notifications",
    "/reports",
    "/freezes",
    "/blocks",
    "/keys",
    "/accounts/email/",
    "/disputes",
)


@pytest.fixture
def person() -> Participant:
    return a_person()


def of_things(person: Participant) -> list[str]:
    """Return the pages of a person's things in several states, with every kind of form on them."""
    checks = [an_exact_check()]
    open_task = a_task(person, tags=["csv"], requirements=["One row per product"])
    reviewed = a_submitted_delivery(person, verification=checks, requirements=["All rows"]).task
    held = a_claimed_task(worker=person)
    skill = a_skill(dependencies=[a_skill(person)])
    say(open_task, a_person())
    say(held, person, attachments=[a_file(person).pk])
    a_freeze(an_agent_of(person))
    block_participant(actor=person, handle=held.poster.handle)
    a_case(held.public_id, reporter=person)
    asset = f"/assets/{skill.asset.reference}"
    dispute = a_dispute(person)
    bid_on, bid = a_task(person, mode="bid"), a_bid(bidder=person)
    a_bid(bid_on)
    offered, contest = an_offered_task(to=person), a_contest(person)
    an_entry(contest)
    whole = a_task_to_split(person)
    part, _ = split(whole, an_entry_of("a"), an_entry_of("b", depends_on=("a",)))
    market = (bid_on, bid.task, offered, contest)
    led = a_task_to_split(a_person(), person)
    tree = [led, *split(led, an_entry_of("a"), an_entry_of("b", depends_on=("a",)))]
    done(tree[1])
    return [
        *(f"/tasks/{task.public_id}" for task in tree),
        f"/tasks/{led.public_id}/split",
        *(f"/tasks/{task.public_id}" for task in market),
        *(f"/tasks/{task.public_id}" for task in (open_task, reviewed, held, dispute.task)),
        f"/disputes/{dispute.public_id}",
        f"/tasks/{open_task.public_id}/edit",
        f"/tasks/{open_task.public_id}/messages",
        f"/tasks/{held.public_id}/messages",
        f"/tasks/{whole.public_id}",
        f"/tasks/{part.public_id}",
        f"/tasks/{whole.public_id}/tree",
        f"/tasks/{part.public_id}/tree",
        asset,
        f"{asset}/{skill.number}",
        f"/assets/{a_workflow(owner=person).asset.reference}",
        f"/people/{person.handle}",
        the_proof_of_a_line(person),
    ]


def the_proof_of_a_line(person: Participant) -> str:
    seal_everything()
    links = links_of(signed_in(person).get("/wallet"))
    return next(link for link in links if link.endswith("/proof"))


@functools.cache  # made once, read by several tests
def every_page() -> list[tuple[str, Answer]]:
    person = a_person()
    visitor, member = Client(), signed_in(person)
    things = of_things(person)
    answers = [(path, visitor.get(path)) for path in OPEN_TO_ALL]
    answers += [(path, member.get(path)) for path in (*OPEN_TO_ALL[:-2], *SIGNED_IN, *things)]
    return answers


def test_every_page_answers_and_obeys_a_policy_without_inline_code() -> None:
    for path, answer in every_page():
        assert answer.status_code == 200, path
        policy = answer["Content-Security-Policy"]
        assert "unsafe" not in policy, path
        assert "script-src 'self'" in policy, path
        for tag, attributes, _ in elements_of(answer).found:
            assert tag not in ("script", "style"), path
            assert not any(name == "style" or name.startswith("on") for name in attributes), path


def test_every_field_has_a_label_and_every_page_one_heading() -> None:
    for path, answer in every_page():
        elements = elements_of(answer)
        labels = {label.get("for") for label in elements.all("label")}
        visible = [
            f for f in elements.all("input", "select", "textarea") if f.get("type") != "hidden"
        ]
        named = [f.get("id") for f in elements.all("input", "select", "textarea", "section", "h2")]
        ids_used = [i for i in named if i is not None]

        assert all(field["id"] in labels for field in visible), path
        assert len(ids_used) == len(set(ids_used)), path
        assert len(elements.all("h1")) == 1, path
        assert len(elements.all("main")) == 1, path
        for tag, _, around in elements.found:
            assert tag != "table" or "main" in around, path
        assert len(elements.all("table")) == len(elements.all("caption")), path


def test_every_form_that_changes_something_carries_a_csrf_token() -> None:
    for path, answer in every_page():
        elements = elements_of(answer)
        posting = [form for form in elements.all("form") if form.get("method") == "post"]
        tokens = [i for i in elements.all("input") if i.get("name") == "csrfmiddlewaretoken"]
        assert len(tokens) == len(posting), path


@pytest.mark.parametrize("path", SIGNED_IN)
def test_a_visitor_is_asked_to_sign_in_and_led_back(path: str) -> None:
    answer = Client().get(path)

    assert answer.status_code == 302
    assert answer["Location"].startswith("/accounts/login/?next=/")


@pytest.mark.parametrize(
    "path",
    [
        "/nope",
        "/tasks/nope",
        "/tasks/file_01h455vb4pex5vsknk084sn02q",
        "/tasks/task_01h455vb4pex5vsknk084sn02q",
        "/tasks/task_01h455vb4pex5vsknk084sn02q/tree",
        "/tasks/%00",
        "/assets/nobody/nothing",
        "/assets/nobody/%00",
        "/people/nobody-has-this",
        "/people/%00",
        "/problems/nope",
        "/seals/nope",
    ],
)
def test_what_does_not_exist_is_a_page_that_says_so(path: str) -> None:
    answer = Client().get(path)

    assert answer.status_code == 404
    assert answer["Content-Type"].startswith("text/html")
    assert "To the tasks" in text_of(answer)


@pytest.mark.parametrize(
    "path",
    [
        "/tasks?min_bounty=abc",
        "/tasks?state=nope",
        "/tasks?cursor=nope",
        "/tasks?q=%00",
        "/assets?kind=nope",
        "/assets?cursor=nope",
        "/seals?first=nope",
    ],
)
def test_a_filter_that_is_not_valid_is_a_400_that_says_why(path: str) -> None:
    answer = Client().get(path)

    assert answer.status_code == 400
    assert "valid" in text_of(answer) or "cursor" in text_of(answer)


def test_a_parameter_that_pages_do_not_know_is_ignored() -> None:
    assert Client().get("/tasks?utm_source=mail").status_code == 200


def test_a_form_without_its_csrf_token_is_refused(person: Participant) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(person, backend="django.contrib.auth.backends.ModelBackend")

    answer = client.post("/tasks/new", {"title": "x", "description": "y", "bounty": "1"})

    assert answer.status_code == 403
    assert not person.posted.exists()


def test_pages_of_one_reader_are_kept_by_no_shared_cache() -> None:
    for path, answer in every_page():
        if not path.startswith("/accounts/"):
            assert answer["Cache-Control"].startswith("private, no-"), path


def test_a_body_larger_than_any_form_is_refused_before_it_is_read(person: Participant) -> None:
    with override_settings(JSON_BODY_LIMIT_BYTES=1000, BUNDLE_LIMIT_BYTES=0):
        plain = signed_in(person).post(
            "/keys", b"x" * 2000, content_type="application/x-www-form-urlencoded"
        )
        multipart = signed_in(person).post("/keys", {"name": "x" * 200_000})

    assert plain.status_code == 413
    assert multipart.status_code == 413
    assert "too large" in text_of(plain)


def test_readers_are_limited_like_callers_of_the_api(person: Participant) -> None:
    limits = {
        "RATE_LIMITS": True,
        "RATE_LIMIT_URL": "memory://",
        "RATE_LIMIT_READS_PER_MINUTE": 2,
    }
    with override_settings(**limits):
        client = signed_in(person)
        statuses = [client.get("/tasks").status_code for _ in range(3)]
        refused = client.get("/tasks")

    assert statuses == [200, 200, 429]
    assert int(refused["Retry-After"]) >= 1
    assert "Too many calls" in text_of(refused)


def test_a_move_that_no_page_has_is_a_bad_request(person: Participant) -> None:
    task = a_task()

    assert signed_in(person).post(f"/tasks/{task.public_id}", {"action": "x"}).status_code == 400
    assert signed_in(person).post("/keys", {"action": "x"}).status_code == 400


def test_ids_of_other_things_are_not_tasks(person: Participant) -> None:
    wrong = ids.encode("delivery", a_submitted_delivery(person).pk)

    answer = signed_in(person).get(f"/tasks/{wrong}")

    assert answer.status_code == 404
    assert "This id is of another type" in text_of(answer)
