"""Other people's texts are data on every page that shows them."""

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from assets.models import Version
from marketplace.participants.models import Participant
from marketplace.participants.usecases.edit_profile import edit_profile
from marketplace.participants.usecases.transfer_credits import transfer_credits
from marketplace.reuse.usecases.publish_asset import Publication, publish_asset
from marketplace.threads.models import Message
from marketplace.web.markdown import render, without_front_matter
from tests.builders.assets import an_asset_name
from tests.builders.people import a_person
from tests.builders.work import a_task, an_exact_check, everything_handled
from tests.web.reading import Answer, elements_of, signed_in

pytestmark = pytest.mark.django_db

HOSTILE = (
    "<script>alert(1)</script>"
    "<img src=x onerror=alert(2)>"
    "\"'><svg onload=alert(3)>"
    "[go](javascript:alert(4)) ![pixel](https://elsewhere.example/p.png)"
    " <a href='data:text/html,x' style='x'>x</a> {{ 7*7 }} {% now %}"
)


def assert_inert(answer: Answer, *, is_drawn: bool = False) -> None:
    """Say that nothing on a page came out of a text; one that *is_drawn* has SVG of our own."""
    assert answer.status_code < 500
    for tag, attributes, _ in elements_of(answer).found:
        assert tag not in ("script", "style", "iframe", "object", "embed", "img"), tag
        assert tag != "svg" or is_drawn
        for name, value in attributes.items():
            assert not name.startswith("on"), attributes
            assert name != "style", attributes
            if name in ("href", "src", "action"):
                assert not str(value).strip().lower().startswith(("javascript:", "data:")), value


def test_hostile_texts_come_out_inert_on_every_page() -> None:
    ada, bo = a_person(), a_person()
    for person in (ada, bo):
        edit_profile(
            actor=person,
            changes={
                "display_name": HOSTILE[:100],
                "bio": HOSTILE,
                "capabilities": [HOSTILE[:64]],
            },
            read_version=lambda _: True,
        )
    check = an_exact_check(HOSTILE[:100], expected=HOSTILE)
    task = a_task(
        ada,
        title=HOSTILE[:200],
        description=HOSTILE,
        tags=[HOSTILE[:50]],
        requirements=[HOSTILE],
        verification=[check],
    )
    path = f"/tasks/{task.public_id}"
    worker, poster = signed_in(bo), signed_in(ada)
    attached = SimpleUploadedFile("<img src=x onerror=alert(1)>.csv", b"x")
    worker.post(path, {"action": "claim", "note": HOSTILE})
    worker.post(
        path,
        {
            "action": "submit",
            "summary": HOSTILE,
            "result": f'{{"x": "{HOSTILE.partition(chr(34))[0]}"}}',
            "uploads": [attached],
        },
    )
    everything_handled()
    delivery = task.deliveries.get()
    poster.post(
        path,
        {
            "action": "reject",
            "delivery": delivery.public_id,
            "reason": HOSTILE,
            "requirement": "0",
        },
    )
    transfer_credits(actor=bo, to=ada.handle, amount=1, memo=HOSTILE)
    worker.post(
        f"{path}/messages",
        {"text": HOSTILE, "reader": ada.handle, "uploads": [attached]},
    )
    poster.post("/reports", {"subject": bo.handle, "category": "other", "reason": HOSTILE})
    poster.post("/blocks", {"action": "block", "handle": bo.handle, "reason": HOSTILE})
    everything_handled()
    poster.post("/keys", {"action": "make", "name": HOSTILE[:64], "scopes": ["credits:read"]})

    delivery.refresh_from_db()
    assert delivery.reason == HOSTILE
    for client in (poster, worker, Client()):
        for page in ("/", "/tasks", path, f"/people/{ada.handle}"):
            assert_inert(client.get(page))
        assert_inert(client.get(f"{path}/tree"), is_drawn=True)
    assert Message.objects.filter(task=task, body=HOSTILE).exists()
    own = ("/wallet", "/notifications", "/keys", "/reports", "/blocks")
    for page in (*own, f"{path}/edit", f"{path}/messages"):
        assert_inert(poster.get(page))


def test_hostile_assets_come_out_inert() -> None:
    ada = a_person()
    version = _published(ada)
    path = f"/assets/{version.asset.reference}"

    for client in (signed_in(ada), signed_in(a_person()), Client()):
        assert_inert(client.get(path))
        assert_inert(client.get("/assets", {"owner": ada.handle}))


def _published(owner: Participant) -> Version:
    name = an_asset_name()
    skill = f"---\nname: {name}\ndescription: x\n---\n# Title\n{HOSTILE}\n"
    publication = Publication(
        files={"SKILL.md": skill.encode(), "a&quot;b'c.txt": b"x"},
        name=name,
        description=HOSTILE,
        tags=[HOSTILE[:40].lower()],
        license=HOSTILE[:100],
        price=0,
    )
    return publish_asset(actor=owner, publication=publication)


def test_what_was_typed_comes_back_inert_when_it_is_refused() -> None:
    ada = a_person()
    typed = dict.fromkeys(("title", "description", "bounty", "tags", "verification"), HOSTILE)

    answer = signed_in(ada).post("/tasks/new", typed)

    assert answer.status_code == 400
    assert_inert(answer)
    for query in ({"q": HOSTILE}, {"tag": HOSTILE}, {"min_bounty": HOSTILE}, {"cursor": HOSTILE}):
        assert_inert(Client().get("/tasks", query))


@pytest.mark.parametrize(
    ("markdown", "html"),
    [
        ("*a* **b** `c`", "<p><em>a</em> <strong>b</strong> <code>c</code></p>"),
        ("# a", "<h3>a</h3>"),
        ("###### a", "<h6>a</h6>"),
        ("<b>a</b>", "<p>&lt;b&gt;a&lt;/b&gt;</p>"),
        ("[a](javascript:x)", "<p>[a](javascript:x)</p>"),
        (
            "[a](https://b.example)",
            '<p><a href="https://b.example" rel="nofollow noopener noreferrer ugc">a</a></p>',
        ),
    ],
)
def test_markdown_means_what_it_says(markdown: str, html: str) -> None:
    assert render(markdown).strip() == html


@pytest.mark.parametrize(
    ("text", "body"),
    [
        ("---\nname: a\n---\n# B\n", "# B"),
        ("# B\n---\nnot it\n---\n", "# B\n---\nnot it\n---"),
        ("---\nnever ends", "---\nnever ends"),
        ("", ""),
    ],
)
def test_front_matter_is_left_out_and_nothing_else(text: str, body: str) -> None:
    assert without_front_matter(text).strip() == body
